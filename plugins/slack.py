"""Slack, through an incoming webhook: Block Kit, or plain text if Slack rejects the blocks.

Limits and error codes: https://docs.slack.dev/reference/block-kit/blocks and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Slack rejects a message as a whole if one of
its blocks is invalid.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from router import (
    ChannelConfig,
    Message,
    Notification,
    PayloadRejected,
    PermanentError,
    TransientError,
    hookimpl,
    post_json,
)

# In characters. The parts of one message add up to at most 11,600: above about 12,000, Slack answers
# msg_blocks_too_long.
_TITLE, _TEXT, _LOG, _CONTEXT, _MENTION = 150, 3000, 3000, 300, 200
_REASON, _HINT = 1200, 700  # these two count towards _TEXT
_NOTICE = 300  # of the text; a lock screen shows no more
_FACTS, _FACT_COUNT = 4000, 20  # all facts together, ten to a section, which is Slack's limit
_LABEL = 40
_LINK_COUNT, _LINK_LABEL, _LINK_URL = 10, 75, 3000
_PLAIN = 3900

# The sign is for colour-blind readers, and for phone notifications, which show no colour.
_LOOKS = {
    "critical": ("#b3001b", "\N{LARGE RED CIRCLE}"),
    "error": ("#e8590c", "\N{LARGE ORANGE CIRCLE}"),
    "warning": ("#f2c037", "\N{LARGE YELLOW CIRCLE}"),
    "info": ("#3b82f6", "\N{LARGE BLUE CIRCLE}"),
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

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # the only characters that Slack asks to escape
_ESCAPED = str.maketrans(_ESCAPES)
_WIDEST = len("&amp;")  # the longest escape
# mrkdwn has no escape for these, so look-alikes replace them. An underscore inside a word formats nothing and stays.
_LOOKALIKES = str.maketrans(
    {"*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"}
)
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_++|(?<!_)_++(?!\w)")  # possessive: a long run must not take quadratic time
# A word joiner after the @ makes these plain words. (Blocks are also `verbatim`; the notification text cannot be.)
_PING = re.compile("@(?=channel|everyone|here)", re.IGNORECASE)


class Slack:
    """Options: `webhook_url`, the secret URL of an incoming webhook (…/services/T…/B…/…)."""

    secret_options = ("webhook_url",)
    budget = (1, 1.0)  # https://docs.slack.dev/apis/web-api/rate-limits: one message per second and webhook

    def __init__(self, config: ChannelConfig) -> None:
        self._url = config.options["webhook_url"]
        if re.search("/(triggers|workflows)/", self._url):
            raise ValueError(
                "webhook_url starts a workflow, which takes no messages: make an incoming webhook in Slack"
            )

    def render(self, notification: Notification) -> dict[str, Any]:
        """The title as a header, the rest beside a coloured bar, and `text` for notifications and screen readers.

        The mention has a section of its own without `verbatim`, which notifies the people it names.
        """
        colour, title = _colour_and_title(notification)
        heading = _fit(_without_pings(title), _TITLE)
        header = {"type": "header", "text": {"type": "plain_text", "text": heading, "emoji": True}}
        mentions = _mentions(notification)
        sections = [{"type": "section", "text": {"type": "mrkdwn", "text": mention}} for mention in mentions]
        return {
            "text": " ".join((*mentions, _notification_text(title, notification))),
            "blocks": [header, *sections],
            "attachments": [{"color": colour, "blocks": _body(notification)}],
        }

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """The same as plain text, without blocks."""
        message = notification.message
        facts = (f"{_literal(label)}: {_literal(value)}" for label, value in message.facts)
        links = (f"{_literal(label)}: {url}" for label, url in message.links if len(url) <= _LINK_URL)
        lines = (
            *_mentions(notification),
            _literal(_colour_and_title(notification)[1]),
            _literal(message.text)[:_TEXT],
            *links,
            *facts,
        )
        return {"text": _fit("\n".join(lines), _PLAIN - _CONTEXT) + "\n" + _footer(notification)}

    def send(self, payload: dict[str, Any]) -> None:
        """Posts the message.

        Raises:
            PayloadRejected: Slack rejects the layout, so plain text may be accepted.
            PermanentError: the webhook or its channel is gone or may not be posted to.
            TransientError: Slack is overloaded, failed or unreachable.
        """
        failure: TransientError | PermanentError
        try:
            response = post_json(self._url, payload)
        except (TransientError, PermanentError) as error:
            failure = error
        else:
            text = response.text.strip()
            if text == "ok":
                return
            failure = PermanentError("Slack did not answer ok", status=response.status, answer=text)
        raise _by_code(failure)  # outside of `except`, so that its context holds no other error


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
    """The colour of the bar, and the title with its sign."""
    colour, sign = _RESOLVED if notification.kind == "resolved" else _LOOKS[notification.alert.severity]
    return colour, f"{sign} {notification.message.title or notification.alert.cause}"


def _notification_text(title: str, notification: Notification) -> str:
    """The title and what happened in one line, which is what a phone shows of a message before it is opened."""
    lead = _fit(_literal(" ".join(notification.message.lead.split())), _NOTICE)
    return " \N{EN DASH} ".join(filter(None, [_fit(_literal(title), _TITLE), lead]))


def _body(notification: Notification) -> list[dict[str, Any]]:
    """The blocks beside the coloured bar. Empty parts are left out, because Slack rejects empty text."""
    message = notification.message
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _mrkdwn(text)} for text in _paragraphs(message)]
    blocks += _facts(message.facts[:_FACT_COUNT])
    if log := _without_pings(message.log_excerpt).translate(_LOOKALIKES):
        blocks.append({"type": "section", "text": _mrkdwn(f"```\n{_fit(log, _LOG - 8, keep_end=True)}\n```")})
    buttons = [_button(label, url) for label, url in message.links if len(url) <= _LINK_URL]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons[:_LINK_COUNT]})
    return [*blocks, {"type": "context", "elements": [_mrkdwn(_footer(notification))]}]


def _paragraphs(message: Message) -> Iterator[str]:
    """What happened; why, in ECS's own words and set as code; what to do."""
    hint = _fit(_literal(message.hint), _HINT)
    reason = _fit(_literal(" ".join(message.reason.split())), _REASON)
    if lead := _fit(_literal(message.lead), _TEXT - len(hint) - len(reason)):
        yield lead
    if reason:
        yield f"`{reason}`"
    if hint:
        yield f"\N{WHITE RIGHT POINTING BACKHAND INDEX} {hint}"


def _facts(facts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Sections of facts. 2,000 characters is Slack's limit for one field; many facts share `_FACTS`."""
    share = min(2000, _FACTS // max(len(facts), 1)) - _LABEL - len("**\n")
    fields = [
        _mrkdwn(f"*{_fit(label, _LABEL)}*\n{_fit(value, share)}")
        for label, value in ((_literal(label), _literal(value)) for label, value in facts)
        if label and value
    ]
    return [{"type": "section", "fields": fields[start : start + 10]} for start in range(0, len(fields), 10)]


def _button(label: str, url: str) -> dict[str, Any]:
    text = {
        "type": "plain_text",
        "text": _fit(_without_pings(label), _LINK_LABEL) or "\N{NORTH EAST ARROW}",
        "emoji": True,
    }
    return {"type": "button", "text": text, "url": url}


def _footer(notification: Notification) -> str:
    """Account and region, and the incident's id, by which `history show` finds the rest."""
    subject = notification.incident.subject
    place = _fit(_literal(f"{subject.account} · {subject.region}"), _CONTEXT - 40)
    return place if notification.bundled else f"{place} · {notification.incident.id}"


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim` stops Slack from turning what looks like a channel or user name into a link."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _without_pings(text: str) -> str:
    """Text that notifies nobody; `_fit` escapes it."""
    return _PING.sub("@\N{WORD JOINER}", text).strip()


def _literal(text: str) -> str:
    """Text that mrkdwn does not format."""
    shown = _EDGE_UNDERSCORE.sub(lambda run: "\N{MODIFIER LETTER LOW MACRON}" * len(run[0]), _without_pings(text))
    return shown.translate(_LOOKALIKES)


def _fit(text: str, limit: int, *, keep_end: bool = False) -> str:
    """The text escaped and cut to `limit` UTF-16 code units, with a "…"; never cut inside an escape.

    An emoji is two code units. Slack does not document how it counts; this is the strictest way.
    """
    if len(text) * _WIDEST <= limit:
        return text.translate(_ESCAPED)
    window = text[-limit - 1 :][::-1] if keep_end else text[: limit + 1]
    pieces = [_ESCAPES.get(char, char) for char in window]
    sizes = list(accumulate(len(piece) + (piece > "\uffff") for piece in pieces))
    if sizes and sizes[-1] > limit:
        pieces = [*pieces[: bisect_right(sizes, limit - 1)], "…"]
    return "".join(reversed(pieces) if keep_end else pieces)


@hookimpl
def register_channels(register: Callable[[str, type[Slack]], None]) -> None:
    register("slack", Slack)
