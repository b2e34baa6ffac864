"""Microsoft Teams, through a workflow that starts "when a Teams webhook request is received": one adaptive card.

The workflow answers 202 before it posts, and what it then cannot post is seen by nobody: a card must be valid, and
small enough, before it is sent. Elements: https://adaptivecards.io/explorer, and which of them Teams shows:
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference. Answers:
https://learn.microsoft.com/connectors/teams, "Microsoft Teams Webhook".
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

from router import ChannelConfig, Message, Notification, PayloadRejected, PermanentError, hookimpl, post_json

# Bytes of JSON in UTF-8, as they are sent. A post may hold 28 KB, of which the workflow takes some 4 KB for itself
# (MicrosoftDocs/msteams-docs issue 11274); all of these and the card around them stay below 20,000.
_TITLE, _TEXT, _FACTS, _LOG, _LINKS, _PLACE = 800, 3800, 4500, 3700, 4500, 300
_STATUS = 80
_REASON, _HINT = 1400, 900  # of those of the text
_LABEL, _VALUE, _LINK_LABEL, _LINK_URL = 120, 1500, 200, 2500  # bytes of one
_SHORTEST = 40  # bytes; less of a line than this says nothing
_LONGEST = 5000  # characters; more than any of these takes, so that no time goes into what is cut anyway
_WIDEST = 4  # bytes of one character at most
_FACT_COUNT = 50
_LINK_COUNT = 6  # Teams shows no more actions
_CARD = "application/vnd.microsoft.card.adaptive"

# A container's style is its colour. Colour-blind readers have the sign's shape and the word.
_LOOKS = {
    "critical": ("attention", "\N{LARGE RED CIRCLE}"),
    "error": ("attention", "\N{LARGE ORANGE DIAMOND}"),
    "warning": ("warning", "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}"),
    "info": ("accent", "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}"),
}
_POINTER = "\N{WHITE RIGHT POINTING BACKHAND INDEX}"
_RESOLVED = ("good", "\N{WHITE HEAVY CHECK MARK}")

_ACCEPTED = {200, 202}
_LAYOUT = {400, 413}  # the card is wrong or too large: the plain one may do
# These are the workflow's own state, which no other card changes.
_BROKEN = {
    "WorkflowTriggerIsNotEnabled": "the workflow is turned off or deleted: turn it on, or make a new one",
    "WorkflowNotFound": "the workflow is gone: make a new one, and set webhook_url to its URL",
    "DirectApiAuthorizationRequired": "copy the whole URL with its sig, and let anyone trigger the workflow",
}

_LOOPBACK = re.compile(r"localhost|::1|127(\.[0-9]{1,3}){3}")
# The connectors of Office 365, which Teams has turned off.
_RETIRED = re.compile(r"(.+\.)?(webhook\.office\.com|outlook\.office(365)?\.com)")

# Control characters, halves of surrogate pairs, and marks that make text run backwards.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Clients disagree about the backslash as an escape (microsoft/AdaptiveCards issue 5590), so look-alikes stand in; an
# underscore inside a word formats nothing and stays.
_LOOKALIKES = str.maketrans(
    {"*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"}
)
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_++|(?<!_)_++(?!\w)")  # possessive: a long run must not take quadratic time
# What begins a mention or tag, an entity, a link, an escape or a date, and at the start of a line a list, a heading or
# a quotation: with a word joiner, which has no width, it is text.
_SYNTAX = re.compile(r"<(?=[A-Za-z/!?])|&(?=[#A-Za-z])|\](?=[(:\[])|\\(?=[!-/:-@\[-`{-~])|\{(?=\{)")
_MARKER = re.compile(r"[#>+=|-]|[0-9]+[.)]")
_INDENT = re.compile("^[ \t]+")
# What no client takes for anything but an address: no @ (a host in disguise), nothing that JSON or a card escapes.
_ADDRESS = re.compile(r"https://[!#-;=?A-[\]^_a-{}~]+")

Element = dict[str, Any]


class Teams:
    """Options: `webhook_url`, the secret URL that the workflow shows once it is saved; all of it, with its `sig`."""

    limit = 24_000  # bytes: see above
    secret_options = ("webhook_url",)
    budget = (4, 60.0)  # a workflow posts at most 25 cards in 300 s (connectors/teams, "Throttling limits")

    def __init__(self, config: ChannelConfig) -> None:
        self._url = config.options["webhook_url"]
        if problem := _problem(self._url):
            raise ValueError(f"webhook_url {problem}")

    def render(self, notification: Notification) -> dict[str, Any]:
        """Severity and title in a coloured box; what happened, why, what to do; facts, log, a button for each link.

        A phone shows the box and what follows without a touch, so that nothing else stands before it.
        """
        message = notification.message
        style, word = _look(notification)
        title = _title(notification)
        head = [_text(word, weight="Bolder", size="Small"), _text(title, weight="Bolder", size="Large")]
        body = [{"type": "Container", "style": style, "bleed": True, "items": head}]
        body += _said(message)
        body += _facts(message.facts)
        body += _log(message)
        body.append(_text(_footer(notification), size="Small", isSubtle=True))
        links = [_button(label, url) for label, url in message.links if _sendable(url)]
        card = {"body": body, "actions": _within(links, _LINKS)[:_LINK_COUNT], "fallbackText": f"{word}: {title}"}
        return _envelope({name: part for name, part in card.items() if part})

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """The smallest valid card: one line of text."""
        return _envelope({"body": [_text(f"{_look(notification)[1]}: {_title(notification)} {_footer(notification)}")]})

    def send(self, payload: dict[str, Any]) -> None:
        """Raises PayloadRejected where a plain card may do, PermanentError where the workflow is gone or turned off.

        That it returns means that the workflow took the card, not that it has posted it.
        """
        try:
            reply = post_json(self._url, payload)
        except PermanentError as error:
            failure = _by_code(error)
        else:
            if reply.status in _ACCEPTED:
                return
            failure = PermanentError(f"Teams answered {reply.status}", status=reply.status, answer=reply.text)
        raise failure


def _problem(url: str) -> str:
    """What is wrong with a URL, without a piece of it; "" where nothing is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "is malformed: copy it from the workflow as it is"
    if _RETIRED.fullmatch(host):
        return "is that of a retired Office 365 connector: make a workflow in Teams, and use its URL"
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        return "is plain http, which shows the secret in it to everybody on the way: use https"
    return "" if host and parts.scheme in {"https", "http"} else "must look like https://host/path"


def _by_code(error: PermanentError) -> PermanentError:
    """Teams' error code says what to do about it; of a code that is not in the table, the status decides."""
    code = next((code for code in re.findall(r"\w+", error.answer) if code in _BROKEN), "")
    if code:
        return PermanentError(f"Teams answered {code}: {_BROKEN[code]}", status=error.status, answer=error.answer)
    if error.status in _LAYOUT:
        return PayloadRejected(str(error), status=error.status, answer=error.answer)
    return error


# --- layout -----------------------------------------------------------------------------------------------------------


def _envelope(card: Element) -> dict[str, Any]:
    """What the workflow takes: one attachment, as each of them would be a post of its own."""
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",  # the first that has all of the above, so that the oldest client shows it
        "msteams": {"width": "full"},
        **card,
    }
    return {"type": "message", "attachments": [{"contentType": _CARD, "contentUrl": None, "content": content}]}


def _look(notification: Notification) -> tuple[str, str]:
    """The container's style; the sign, with severity and status in words."""
    style, sign = _RESOLVED if notification.kind == "resolved" else _LOOKS[notification.alert.severity]
    return style, _fit(f"{sign} {_line(notification.message.status)}".rstrip(), _STATUS)


def _title(notification: Notification) -> str:
    """Never empty, as no client shows a card with nothing in it."""
    message = notification.message
    words = (_line(message.headline), _line(message.title), _line(notification.alert.cause), notification.incident.id)
    return _fit(next(filter(None, words)), _TITLE)


def _footer(notification: Notification) -> str:
    """Where it was, and the id that finds the rest in history."""
    incident = notification.incident
    place = _fit(_line(f"{incident.subject.account} · {incident.subject.region}"), _PLACE)
    return place if notification.bundled else f"{place} · {incident.id}"


def _text(text: str, **look: Any) -> Element:
    """Without `wrap`, Teams cuts a line where a phone's screen ends."""
    return {"type": "TextBlock", "text": text, "wrap": True, **look}


def _paragraphs(lines: Iterable[str], limit: int, *, keep_end: bool = False, **look: Any) -> list[Element]:
    """One block a line, as far as they go: clients do not agree on what a newline inside of a block is."""
    blocks: list[Element] = []
    for line in lines:
        block = _text("", **{"spacing": "None", **look})
        room = limit - _size(block)
        if room < _SHORTEST:
            break
        if text := _literal(line[-_LONGEST:] if keep_end else line[:_LONGEST]):
            blocks.append(block | {"text": _fit(text, room, keep_end=keep_end)})
            limit -= _size(blocks[-1]) + len(",")
    return blocks


def _said(message: Message) -> list[Element]:
    """What happened; why, in ECS's own words; what to do."""
    hint = _paragraphs(
        [f"{_POINTER} {message.hint}"] if message.hint.strip() else [], _HINT, spacing="Small", weight="Bolder"
    )
    look: dict[str, Any] = {"isSubtle": True, "fontType": "Monospace", "size": "Small", "spacing": "Small"}
    reason = _paragraphs([" ".join(message.reason.split())], _REASON, **look)
    lead = _paragraphs(message.lead.splitlines(), _TEXT - _size([*reason, *hint]), spacing="Small")
    return [*lead, *reason, *hint]


def _facts(facts: Sequence[tuple[str, str]]) -> list[Element]:
    pairs = ((_fit(_line(label), _LABEL), _fit(_line(value), _VALUE)) for label, value in facts[:_FACT_COUNT])
    shown = _within(({"title": label, "value": value} for label, value in pairs if label and value), _FACTS)
    return [{"type": "FactSet", "facts": shown}] if shown else []


def _log(message: Message) -> list[Element]:
    """The last lines, which tell why it died, below their heading."""
    lines = reversed(message.log_excerpt.splitlines())
    blocks = _paragraphs(lines, _LOG, keep_end=True, fontType="Monospace", size="Small")
    if not blocks:
        return []
    heading = [_text(_fit(label, _LABEL), size="Small", isSubtle=True)] if (label := _line(message.labels.log)) else []
    return [{"type": "Container", "style": "emphasis", "items": [*heading, *blocks[::-1]]}]


def _button(label: str, url: str) -> Element:
    return {
        "type": "Action.OpenUrl",
        "title": _fit(_line(label), _LINK_LABEL) or "\N{NORTH EAST ARROW}",
        "url": url,
    }


def _sendable(url: str) -> bool:
    """A URL that is too long or odd is left out: half of one leads nowhere, and the workflow refuses a bad one late."""
    return len(url) <= _LINK_URL and _ADDRESS.fullmatch(url) is not None


# --- text from outside ------------------------------------------------------------------------------------------------


def _line(text: str) -> str:
    return _literal(" ".join(text[:_LONGEST].split()))


def _literal(line: str) -> str:
    """One line, of which no client formats or mentions anything. Its indentation is kept, as no-break spaces."""
    shown = _UNWANTED.sub("", _INDENT.sub(lambda run: "\N{NO-BREAK SPACE}" * len(run[0]), line)).rstrip()
    shown = _EDGE_UNDERSCORE.sub(lambda run: "\N{MODIFIER LETTER LOW MACRON}" * len(run[0]), shown)
    shown = _SYNTAX.sub("\\g<0>\N{WORD JOINER}", shown.translate(_LOOKALIKES))
    return "\N{WORD JOINER}" + shown if _MARKER.match(shown) else shown


# --- sizes ------------------------------------------------------------------------------------------------------------


def _size(value: Any) -> int:
    """Bytes of JSON, as `post_json` sends it."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _within(elements: Iterable[Element], limit: int) -> list[Element]:
    """The first of them, as many as `limit` bytes hold."""
    chosen = list(elements)
    sizes = accumulate(_size(element) + len(",") for element in chosen)
    return [element for element, size in zip(chosen, sizes, strict=True) if size <= limit]


def _fit(text: str, limit: int, *, keep_end: bool = False) -> str:
    """Cut to `limit` bytes of JSON with a "…", between characters."""
    if len(text) * _WIDEST <= limit:
        return text
    window = text[-limit - 1 :][::-1] if keep_end else text[: limit + 1]
    sizes = list(accumulate(len(char.encode()) + (char in '"\\') for char in window))
    if sizes and sizes[-1] > limit:
        window = window[: sum(size <= limit - len("…".encode()) for size in sizes)] + "…"
    return window[::-1] if keep_end else window


@hookimpl
def register_channels(register: Callable[[str, type[Teams]], None]) -> None:
    register("teams", Teams)
