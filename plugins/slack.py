"""Slack, through an incoming webhook or with a bot token: Block Kit, or plain text if Slack rejects the blocks.

A webhook posts each message by itself. With a token, `plugins._slack_api` keeps one message for each incident.

Limits and error codes: https://docs.slack.dev/reference/block-kit/blocks and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Slack rejects a message as a whole if one of
its blocks is invalid.

Links are text, not buttons: Slack reports a click on a button to the app, an app that only has a webhook cannot answer,
and Slack then shows a warning beside the button (slackapi/node-slack-sdk issue 869).
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, Any

from router import (
    ChannelConfig,
    Message,
    Notification,
    Option,
    PayloadRejected,
    PermanentError,
    TransientError,
    hookimpl,
    post_json,
)

if TYPE_CHECKING:
    from plugins._slack_api import Bot

# In characters. The parts of one message add up to at most 11,600: above about 12,000, Slack answers
# msg_blocks_too_long.
_TITLE, _TEXT, _LOG, _CONTEXT, _MENTION = 150, 3000, 3000, 300, 200
_TITLE_END = 60  # of a title that is too long: its end names the cluster
_REASON, _HINT = 1200, 700  # these two count towards _TEXT
_NOTICE = 300  # of the text; a lock screen shows no more
_FACTS, _FACT_COUNT = 3000, 20  # all facts together, ten to a section, which is Slack's limit
_LABEL = 40
_LINKS, _LINK_LABEL, _LINKS_ON_A_LINE = 2000, 75, 4
_BETWEEN, _NAMELESS = " · ", "\N{NORTH EAST ARROW}"  # between two links; a link without a label
_PLAIN = 3900

# The signs differ in shape: colour-blind readers see no other difference, and phone notifications show no bar.
_LOOKS = {
    "critical": ("#b3001b", "\N{LARGE RED CIRCLE}"),
    "error": ("#e8590c", "\N{LARGE ORANGE DIAMOND}"),
    "warning": ("#f2c037", "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}"),
    "info": ("#3b82f6", "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}"),
}
_RESOLVED = ("#2eb67d", "\N{WHITE HEAVY CHECK MARK}")

# Slack answers with an error code in plain text. The HTTP status of some codes varies, so the code decides.
_ERRORS: dict[str, type[TransientError | PermanentError]] = {
    **dict.fromkeys(
        ("invalid_payload", "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long"),
        PayloadRejected,
    ),
    **dict.fromkeys(
        ("no_text", "missing_text_or_fallback_or_attachments", "too_many_attachments", "user_not_found"),
        PayloadRejected,
    ),
    **dict.fromkeys(
        ("invalid_token", "action_prohibited", "posting_to_general_channel_denied", "team_disabled"), PermanentError
    ),
    **dict.fromkeys(
        ("no_service", "no_service_id", "no_team", "no_active_hooks", "channel_not_found", "channel_is_archived"),
        PermanentError,
    ),
    **dict.fromkeys(("rollup_error", "rate_limited", "ratelimited", "internal_error", "fatal_error"), TransientError),
}

# The only characters that Slack asks to escape; the ampersand first, as the others bring one.
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_WIDEST = len("&amp;")  # the longest escape
# mrkdwn has no escape for these, so look-alikes replace them. An underscore inside a word formats nothing and stays.
_LOOKALIKES = {"*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"}
# Possessive, as a long run must not take quadratic time; begins with what it looks for, which `re` finds quickest.
_EDGE_UNDERSCORE = re.compile(r"_(?<!\w_)_*+|_(?<!__)_*+(?!\w)")
# A word joiner after the @ makes these plain words. (Blocks are also `verbatim`; the notification text cannot be.)
_PING = re.compile("@(?=channel|everyone|here)", re.IGNORECASE)
# A link's URL: no character that would end the link (`>`, `|`) or ping (`@`).
_ADDRESS = re.compile(r"https://[!#-;=?A-Z\[\]^_a-{}~]+")
# A URL in a text, without the punctuation after it.
_URL = re.compile(
    r"(https?://[A-Za-z0-9](?:[!#-%*-;=?A-Z\[\]^_a-z{}~&]|\([!#-%*-;=?A-Z\[\]^_a-z{}~&]*\))*(?<![!*,.:;?\]_}~]))"
)
_WEBHOOK = re.compile(r"https://[^\s/?#@]+/services/T\w*/B\w*/\w+")  # also of GovSlack, and through a proxy
_LOOPBACK = re.compile(r"https?://(?:localhost|127\.[0-9.]+|\[::1\])[:/]")  # tests
_UNFURLED = {"unfurl_links": False, "unfurl_media": False}  # a preview of a console's page is its login form


class Slack:
    """Options: `webhook_url`, the secret URL of an incoming webhook (…/services/T…/B…/…).

    Or `token`, the bot token of an app, and `channel`, the id of a channel that the app is in; perhaps `api_url`.
    """

    options = (
        Option("webhook_url", secret=True, description="URL of an incoming webhook."),
        Option(
            "token", secret=True, description="Bot token of an app, in place of webhook_url: one message per incident."
        ),
        Option("channel", description="Id of the channel that the app posts to, with token."),
        Option("api_url", description="URL of Slack's API, with token, such as that of GovSlack."),
    )
    secret_options = ("webhook_url", "token")
    route_option = "channel"
    threads = "token"
    endpoint_options = ("webhook_url", "token", "channel", "api_url")
    # https://docs.slack.dev/apis/web-api/rate-limits: one message per second, for each webhook, and for each channel
    budget = (1, 1.0)

    def __init__(self, config: ChannelConfig) -> None:
        self._bot = _bot(config)
        if self._bot:
            return
        self._url = config.options["webhook_url"]
        if re.search("/(triggers|workflows)/", self._url):
            raise ValueError(
                "webhook_url starts a workflow, which takes no messages: make an incoming webhook in Slack"
            )
        if not (_WEBHOOK.fullmatch(self._url) or _LOOPBACK.match(self._url)):
            raise ValueError("webhook_url must look like https://hooks.slack.com/services/T…/B…/…")

    def render(self, notification: Notification) -> dict[str, Any]:
        """The message; with a token, also which message it edits or replies to."""
        message = self._message(notification)
        return self._bot.payload(message, notification, self._message) if self._bot else message

    def _message(self, notification: Notification) -> dict[str, Any]:
        """The title as a header, the rest beside a coloured bar, and `text` for notifications and screen readers.

        The mention has a section of its own without `verbatim`, which notifies the people it names.
        """
        colour, title = _colour_and_title(notification)
        heading = _fit_ends(_without_pings(title))
        header = {"type": "header", "text": {"type": "plain_text", "text": heading, "emoji": True}}
        mentions = _mentions(notification)
        sections = [{"type": "section", "text": {"type": "mrkdwn", "text": mention}} for mention in mentions]
        return {
            "text": " ".join((*mentions, _notification_text(title, notification))),
            "blocks": [header, *sections],
            "attachments": [{"color": colour, "blocks": _body(notification)}],
            **_UNFURLED,
        }

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """The message as plain text, without blocks."""
        message = self._plain_message(notification)
        return self._bot.payload(message, notification, self._plain_message, plain=True) if self._bot else message

    def _plain_message(self, notification: Notification) -> dict[str, Any]:
        message = notification.message
        lines = chain(
            [[_literal(_colour_and_title(notification)[1], _TITLE)]],
            [_kept(_pieces(message.text.strip(), _TEXT, _urls(message)), _TEXT)],
            ([link] for link in _links(message.links)),
            (_pieces(f"{label}: {value}", _PLAIN, _urls(message)) for label, value in message.facts),
        )
        mentions = "".join(f"{mention}\n" for mention in _mentions(notification))
        pieces = list(islice((piece for line in lines for piece in (*line, "\n")), _PLAIN))[:-1]  # no more would fit
        text = "".join(_kept(pieces, _PLAIN - _CONTEXT - len(mentions)))
        return {"text": f"{mentions}{text}\n{_footer(notification)}", **_UNFURLED}

    def send(self, payload: dict[str, Any]) -> Mapping[str, str] | None:
        """Posts the message. With a token, returns where the incident's message is.

        Raises:
            PayloadRejected: Slack rejects the layout, so plain text may be accepted.
            RemoteGone: the message to edit was deleted, or can no longer be edited.
            PermanentError: the webhook or its channel is gone or may not be posted to.
            TransientError: Slack is overloaded, failed or unreachable.
        """
        if self._bot:
            return self._bot.send(payload)
        failure: TransientError | PermanentError
        try:
            response = post_json(self._url, payload)
        except (TransientError, PermanentError) as error:
            failure = error
        else:
            text = response.text.strip()
            if text == "ok":
                return None
            failure = PermanentError("Slack did not answer ok", status=response.status, answer=text)
        raise _by_code(failure)  # outside of `except`, so that its context holds no other error


def _bot(config: ChannelConfig) -> "Bot | None":
    """None for a webhook, whose users do not pay for the import in each cold start."""
    if not {"token", "channel"} & config.options.keys():
        return None
    from plugins._slack_api import Bot  # noqa: PLC0415 - see above

    return Bot(config.options)


def _mentions(notification: Notification) -> tuple[str, ...]:
    """The configured mention unchanged, such as `<!here>` or `<@U…>`; empty if there is none."""
    return (notification.mention[:_MENTION],) if notification.mention else ()


def _by_code(failure: TransientError | PermanentError) -> TransientError | PermanentError:
    """The error for Slack's error code; `failure` itself if the table has no other for it."""
    code = next((word for word in re.findall("[a-z_]+", failure.answer) if word in _ERRORS), "")
    error = _ERRORS.get(code)
    if error is None or type(failure) is error:
        return failure
    return error(f"Slack answered {failure.status}: {code}", status=failure.status, answer=failure.answer)


def _colour_and_title(notification: Notification) -> tuple[str, str]:
    """The colour of the bar; the sign, severity and status in words, and the title."""
    message = notification.message
    colour, sign = _RESOLVED if notification.kind == "resolved" else _LOOKS[notification.alert.severity]
    title = message.headline or message.title or notification.alert.cause
    return colour, f"{sign} {' · '.join(filter(None, [message.status, title]))}"


def _notification_text(title: str, notification: Notification) -> str:
    """The title and what happened in one line, which is what a phone shows of a message before it is opened."""
    lead = _literal(" ".join(notification.message.lead.split()), _NOTICE)
    return " \N{EN DASH} ".join(filter(None, [_fit_ends(_unformatted(title.strip())), lead]))


def _body(notification: Notification) -> list[dict[str, Any]]:
    """The blocks beside the coloured bar. Empty parts are left out, because Slack rejects empty text."""
    message = notification.message
    links = _links(message.links)
    rows = (links[start : start + _LINKS_ON_A_LINE] for start in range(0, len(links), _LINKS_ON_A_LINE))
    link_text = "\n".join(_BETWEEN.join(row) for row in rows)
    blocks = [
        *map(_section, _paragraphs(message)),
        *_facts(message.facts[:_FACT_COUNT], _urls(message)),
        *map(_section, filter(None, [_log(message), link_text])),
    ]
    return [*blocks, {"type": "context", "elements": [_mrkdwn(_footer(notification))]}]


def _paragraphs(message: Message) -> Iterator[str]:
    """Paragraphs that say what happened, quote ECS's reason as code, and say what to do."""
    urls = _urls(message)
    hint = _linked(message.hint, _HINT, urls)
    reason = _literal(" ".join(message.reason.split()), _REASON)
    if lead := _linked(message.lead, _TEXT - len(hint) - len(reason), urls):
        yield lead
    if reason:
        yield f"`{reason}`"
    if hint:
        yield f"\N{WHITE RIGHT POINTING BACKHAND INDEX} {hint}"


def _log(message: Message) -> str:
    """The log in a fence, below its heading; "" if there is none."""
    heading = f"*{_literal(message.labels.log, _LABEL)}*\n"
    room = _LOG - len(heading) - len("```\n\n```")
    log = _fit(_replaced(_without_pings(message.log_excerpt), _LOOKALIKES), room, keep_end=True)
    return f"{heading}```\n{log}\n```" if log else ""


def _facts(facts: Sequence[tuple[str, str]], urls: Collection[str]) -> list[dict[str, Any]]:
    """Sections of facts. 2,000 characters is Slack's limit for one field; many facts share `_FACTS`."""
    share = min(2000, _FACTS // max(len(facts), 1)) - _LABEL - len("**\n")
    fields = [
        _mrkdwn(f"*{label}*\n{text}")
        for label, text in ((_literal(label, _LABEL), _linked(value, share, urls)) for label, value in facts)
        if label and text
    ]
    return [{"type": "section", "fields": fields[start : start + 10]} for start in range(0, len(fields), 10)]


def _links(links: Sequence[tuple[str, str]]) -> list[str]:
    """Links as mrkdwn, as many as fit in one section. A part of a URL would lead nowhere, so none is cut."""
    shown = [
        f"<{_replaced(url, _ESCAPES)}|{_literal(' '.join(label.split()), _LINK_LABEL) or _NAMELESS}>"
        for label, url in links
        if _ADDRESS.fullmatch(url)
    ]
    short = [link for link in shown if len(link) + len(_BETWEEN) <= _LINKS]
    sizes = accumulate(len(link) + len(_BETWEEN) for link in short)
    return [link for link, size in zip(short, sizes, strict=True) if size <= _LINKS]


def _footer(notification: Notification) -> str:
    """Account and region, and the incident's id, by which `history show` finds the rest."""
    subject = notification.incident.subject
    place = _literal(f"{subject.account} · {subject.region}", _CONTEXT - 40)
    return place if notification.bundled else f"{place} · {notification.incident.id}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim` stops Slack from turning what looks like a channel or user name into a link."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _without_pings(text: str) -> str:
    """Breaks up mentions, so that the text notifies no one. `_fit` escapes the rest."""
    return _PING.sub("@\N{WORD JOINER}", text).strip()


def _literal(text: str, limit: int) -> str:
    """Text that mrkdwn does not format, escaped and cut to `limit` UTF-16 code units.

    Of a long text only as much is looked at as decides how its first `limit` characters are shown: what may be the rest
    of a mention, or of a run of underscores with the character after it.
    """
    text = text.strip()
    end = limit + len("@everyone")
    rest = text[end:]
    return _fit(_unformatted(text[: end + len(rest) - len(rest.lstrip("_")) + 1]), limit)


def _unformatted(text: str) -> str:
    """The text that mrkdwn does not format, with the white space around it."""
    shown = _PING.sub("@\N{WORD JOINER}", text)
    shown = _EDGE_UNDERSCORE.sub(lambda run: "\N{MODIFIER LETTER LOW MACRON}" * len(run[0]), shown)
    return _replaced(shown, _LOOKALIKES)


def _replaced(text: str, table: Mapping[str, str]) -> str:
    """As `str.translate`, which takes a hundred times as long for a long Japanese text."""
    for char, replacement in table.items():
        text = text.replace(char, replacement)
    return text


def _urls(message: Message) -> Collection[str]:
    """The URLs that may be links in the texts, too. All others come from outside, and may lead anywhere."""
    return {url for _, url in message.links}


def _linked(text: str, limit: int, urls: Collection[str]) -> str:
    """The text as mrkdwn, at most `limit` UTF-16 code units, with these URLs as links and nothing else formatted."""
    return "".join(_kept(_pieces(text.strip(), limit, urls), limit))


def _pieces(text: str, limit: int, urls: Collection[str]) -> list[str]:
    """The text escaped, in pieces that may not be cut: a link for each of these URLs, the other characters one by one.

    Slack itself would link URLs only without `verbatim`, and would then link names of channels and people, too. Of a
    long text only the first `limit` characters are looked at; a letter stands for the rest.
    """
    window = text if len(text) <= limit else f"{text[: limit + 1]}x"
    parts = _URL.split(window)  # text and URL in turn
    pieces: list[str] = []
    for part in parts:
        if part in urls and _ADDRESS.fullmatch(part):
            pieces.append(f"<{_replaced(part, _ESCAPES)}>")
        else:
            pieces += [_ESCAPES.get(char, char) for char in _unformatted(part)]
    return pieces


def _fit(text: str, limit: int, *, keep_end: bool = False) -> str:
    """The text escaped and cut to `limit` UTF-16 code units, with a "…"; never cut inside an escape."""
    if len(text) * _WIDEST <= limit:
        return _replaced(text, _ESCAPES)
    if keep_end:
        return "".join(reversed(_kept([_ESCAPES.get(char, char) for char in text[: -limit - 2 : -1]], limit)))
    return "".join(_kept([_ESCAPES.get(char, char) for char in text[: limit + 1]], limit))


def _fit_ends(title: str) -> str:
    """The title escaped; if it is too long for a header, the middle is left out: a stack's generated names are long."""
    whole = _fit(title, _TITLE)
    if whole == _replaced(title, _ESCAPES):
        return whole
    return _fit(title, _TITLE - _TITLE_END) + _fit(title, _TITLE_END, keep_end=True).removeprefix("…")


def _kept(pieces: list[str], limit: int) -> list[str]:
    """The pieces as far as `limit` UTF-16 code units go, with a "…" where some are left out.

    An emoji is two code units. Slack does not document how it counts; this is the strictest way.
    """
    text = "".join(pieces)
    units = _utf16_units(text)
    if units <= limit:
        return pieces
    sizes = list(accumulate(map(len if units == len(text) else _utf16_units, pieces)))
    return [*pieces[: bisect_right(sizes, limit - 1)], "…"]


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@hookimpl
def register_channels(register: Callable[[str, type[Slack]], None]) -> None:
    register("slack", Slack)
