"""Slack, through an incoming webhook: Block Kit, and plain text where Slack refuses the blocks.

Limits and error words: https://docs.slack.dev/reference/block-kit/blocks and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. One bad block rejects the whole message.
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

# Characters. What one message may hold adds up to 11,600: past some 12,000 Slack answers msg_blocks_too_long.
_TITLE, _TEXT, _LOG, _CONTEXT, _MENTION = 150, 3000, 3000, 300, 200
_REASON, _HINT = 1200, 700  # of those of the text
_NOTICE = 300  # what a lock screen shows; more of the text is cut there anyway
_FACTS, _FACT_COUNT = 4000, 20  # all facts together; ten to a section, which is Slack's limit
_LABEL = 40
_LINK_COUNT, _LINK_LABEL, _LINK_URL = 10, 75, 3000
_PLAIN = 3900

# Colour-blind readers and phone notifications, which show no colour, have the sign.
_LOOKS = {
    "critical": ("#b3001b", "\N{LARGE RED CIRCLE}"),
    "error": ("#e8590c", "\N{LARGE ORANGE CIRCLE}"),
    "warning": ("#f2c037", "\N{LARGE YELLOW CIRCLE}"),
    "info": ("#3b82f6", "\N{LARGE BLUE CIRCLE}"),
}
_RESOLVED = ("#2eb67d", "\N{WHITE HEAVY CHECK MARK}")

# Slack answers with one word, and the status of some words varies: the word counts, then the status.
_WORDS: dict[str, type[TransientError | PermanentError]] = {
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

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # all that Slack asks to be escaped, and all that it decodes
_ESCAPED = str.maketrans(_ESCAPES)
_WIDEST = len("&amp;")  # that one character can become
# Control characters but tab and newline, halves of surrogate pairs, and marks that make text run backwards.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# mrkdwn has no escape for these, so look-alikes stand in; an underscore inside a word formats nothing and stays.
_LOOKALIKES = str.maketrans(
    {"*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"}
)
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_++|(?<!_)_++(?!\w)")  # possessive: a long run must not take quadratic time
# With a word joiner after the @ these are words. (Blocks are `verbatim` as well; the notification text cannot be.)
_PING = re.compile("@(?=channel|everyone|here)", re.IGNORECASE)
# What no client takes for anything but an address: no @ (a ping, or a host in disguise), nothing to escape but the &.
_ADDRESS = re.compile(r"https://[!#-;=?A-_a-{}~]+")


class Slack:
    """Options: `webhook_url`, the secret URL of an incoming webhook (…/services/T…/B…/…)."""

    secret_options = ("webhook_url",)
    budget = (1, 1.0)  # Slack, "Rate limits": one message per second and webhook

    def __init__(self, config: ChannelConfig) -> None:
        self._url = config.options["webhook_url"]
        if re.search("/(triggers|workflows)/", self._url):
            raise ValueError(
                "webhook_url starts a workflow, which takes no messages: make an incoming webhook in Slack"
            )

    def render(self, notification: Notification) -> dict[str, Any]:
        """The title as a header, the rest beside a coloured bar, and `text` for notifications and screen readers."""
        colour, title = _look(notification)
        header = {"type": "header", "text": {"type": "plain_text", "text": _fit(_clean(title), _TITLE), "emoji": True}}
        called = [{"type": "section", "text": {"type": "mrkdwn", "text": mention}} for mention in _called(notification)]
        return {
            "text": " ".join((*_called(notification), _notice(title, notification))),
            "blocks": [header, *called],
            "attachments": [{"color": colour, "blocks": _body(notification)}],
        }

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        message = notification.message
        facts = (f"{_literal(label)}: {_literal(value)}" for label, value in message.facts)
        links = (f"{_literal(label)}: {url}" for label, url in message.links if _sendable(url))
        lines = (
            *_called(notification),
            _literal(_look(notification)[1]),
            _literal(message.text)[:_TEXT],
            *links,
            *facts,
        )
        return {"text": _fit("\n".join(lines), _PLAIN - _CONTEXT) + "\n" + _footer(notification)}

    def send(self, payload: dict[str, Any]) -> None:
        """Raises PayloadRejected where plain text may do, PermanentError where the webhook or channel is gone."""
        failure: TransientError | PermanentError
        try:
            reply = post_json(self._url, payload)
        except (TransientError, PermanentError) as error:
            failure = error
        else:
            if reply.text.strip() == "ok":
                return
            failure = PermanentError("Slack did not answer ok", status=reply.status, answer=reply.text.strip())
        raise _by_word(failure)


def _called(notification: Notification) -> tuple[str, ...]:
    """Whom the configuration wants called, as it stands there: `<!here>`, `<@U…>`; blocks alone notify anybody."""
    return (notification.mention[:_MENTION],) if notification.mention else ()


def _by_word(failure: TransientError | PermanentError) -> TransientError | PermanentError:
    word = next((word for word in re.findall("[a-z_]+", failure.answer) if word in _WORDS), "")
    verdict = _WORDS.get(word)
    if verdict is None or type(failure) is verdict:
        return failure
    return verdict(f"Slack answered {failure.status}: {word}", status=failure.status, answer=failure.answer)


def _look(notification: Notification) -> tuple[str, str]:
    """The colour, and the title with its sign."""
    over = notification.kind == "resolved"
    colour, sign = _RESOLVED if over else _LOOKS[notification.alert.severity]
    title = " ".join(notification.message.title.split()) or notification.alert.cause
    return colour, f"{sign} {title}"


def _notice(title: str, notification: Notification) -> str:
    """The title and what happened, as one line: all that a phone shows of a message before it is opened."""
    lead = _fit(_literal(" ".join(notification.message.lead.split())), _NOTICE)
    return " \N{EN DASH} ".join(filter(None, [_fit(_literal(title), _TITLE), lead]))


def _body(notification: Notification) -> list[dict[str, Any]]:
    """The blocks beside the coloured bar; what is empty is left out, as Slack refuses empty text."""
    message = notification.message
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _mrkdwn(text)} for text in _paragraphs(message)]
    blocks += _facts(message.facts[:_FACT_COUNT])
    if log := _clean(message.log_excerpt).translate(_LOOKALIKES):
        blocks.append({"type": "section", "text": _mrkdwn(f"```\n{_fit(log, _LOG - 8, keep_end=True)}\n```")})
    buttons = [_button(label, url) for label, url in message.links if _sendable(url)]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons[:_LINK_COUNT]})
    return [*blocks, {"type": "context", "elements": [_mrkdwn(_footer(notification))]}]


def _paragraphs(message: Message) -> Iterator[str]:
    """What happened; why, in ECS's own words, as a machine's words are set; what to do."""
    hint = _fit(_literal(message.hint), _HINT)
    reason = _fit(_literal(" ".join(message.reason.split())), _REASON)
    if lead := _fit(_literal(message.lead), _TEXT - len(hint) - len(reason)):
        yield lead
    if reason:
        yield f"`{reason}`"
    if hint:
        yield f"\N{WHITE RIGHT POINTING BACKHAND INDEX} {hint}"


def _facts(facts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    share = min(2000, _FACTS // max(len(facts), 1)) - _LABEL - len("**\n")
    fields = [
        _mrkdwn(f"*{_fit(label, _LABEL)}*\n{_fit(value, share)}")
        for label, value in ((_literal(" ".join(label.split())), _literal(value)) for label, value in facts)
        if label and value
    ]
    return [{"type": "section", "fields": fields[start : start + 10]} for start in range(0, len(fields), 10)]


def _button(label: str, url: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": _fit(_clean(label), _LINK_LABEL) or "\N{NORTH EAST ARROW}", "emoji": True}
    return {"type": "button", "text": text, "url": url}


def _sendable(url: str) -> bool:
    """A URL that is too long or odd is left out: half of one leads nowhere, and one bad URL rejects the message."""
    return len(url) <= _LINK_URL and _ADDRESS.fullmatch(url) is not None


def _footer(notification: Notification) -> str:
    """Where it was, and the id that finds the rest in history."""
    subject = notification.incident.subject
    place = _fit(_literal(f"{subject.account} · {subject.region}"), _CONTEXT - 40)
    return place if notification.bundled else f"{place} · {notification.incident.id}"


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim` keeps Slack from making links of what looks like a channel or a name."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _clean(text: str) -> str:
    """Text that can be shown and pings nobody; `_fit` escapes it."""
    return _PING.sub("@\N{WORD JOINER}", _UNWANTED.sub("", text)).strip()


def _literal(text: str) -> str:
    """Text of which mrkdwn formats nothing."""
    return _EDGE_UNDERSCORE.sub(lambda run: "\N{MODIFIER LETTER LOW MACRON}" * len(run[0]), _clean(text)).translate(
        _LOOKALIKES
    )


def _fit(text: str, limit: int, *, keep_end: bool = False) -> str:
    """Escaped, and cut to `limit` with a "…", never inside an escape.

    Counted as JavaScript does, where an emoji is two: Slack does not say how it counts, and this is the strictest.
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
