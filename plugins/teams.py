"""Microsoft Teams, through a workflow that starts "when a Teams webhook request is received": one adaptive card.

The workflow answers 202 before it posts the card, and reports nothing if it then cannot post it. So a card must be
valid and small enough before it is sent.

Elements: https://adaptivecards.io/explorer. Which of them Teams shows:
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference. Responses:
https://learn.microsoft.com/connectors/teams, "Microsoft Teams Webhook".
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router import ChannelConfig, Message, Notification, Option, PayloadRejected, PermanentError, hookimpl, post_json

# In bytes of the JSON that is sent, in UTF-8. A post may have 28 KB, of which the workflow itself uses about 4 KB
# (MicrosoftDocs/msteams-docs issue 11274). These limits and the card around them add up to less than 20,000.
_TITLE, _TEXT, _FACTS, _LOG, _LINKS, _PLACE = 800, 3800, 4500, 3700, 4500, 300
_STATUS = 80
_REASON, _HINT = 1400, 900  # these two count towards _TEXT
_LABEL, _VALUE, _LINK_LABEL, _LINK_URL = 120, 1500, 200, 2500  # bytes of each
_SHORTEST = 40  # bytes; a line cut shorter than this is not worth showing
_LONGEST = 5000  # characters; longer than any limit above, so that no time is spent on text that is cut off anyway
_WIDEST = 4  # bytes of the longest character
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
_INVALID_CARD = {400, 413}  # HTTP statuses for a card that is invalid or too large
# Error codes that say what is wrong with the workflow; no other card would help.
_WORKFLOW_ERRORS = {
    "WorkflowTriggerIsNotEnabled": "the workflow is turned off or deleted: turn it on, or make a new one",
    "WorkflowNotFound": "the workflow is gone: make a new one, and set webhook_url to its URL",
    "DirectApiAuthorizationRequired": "copy the whole URL with its sig, and let anyone trigger the workflow",
}

# Office 365 connectors, which Microsoft has retired.
_LOOPBACK = re.compile(r"localhost|::1|127(?:\.[0-9]{1,3}){3}")  # tests
_RETIRED = re.compile(r"(.+\.)?(webhook\.office\.com|outlook\.office(365)?\.com)")

# Clients disagree about the backslash as an escape (microsoft/AdaptiveCards issue 5590), so look-alikes replace these.
# An underscore inside a word formats nothing and stays.
_LOOKALIKES = str.maketrans(
    {"*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}", "\t": " "}
)
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_++|(?<!_)_++(?!\w)")  # possessive: a long run must not take quadratic time
# The start of a mention or tag, an entity, a link, an escape or a date; and, at the start of a line, of a list, a
# heading or a quotation. A word joiner, which has no width, makes each of them plain text.
_SYNTAX = re.compile(r"<(?=[A-Za-z/!?])|&(?=[#A-Za-z])|\](?=[(:\[])|\\(?=[!-/:-@\[-`{-~])|\{(?=\{)")
_MARKER = re.compile(r"[#>+=|-]|[0-9]+[.)]")
_INDENT = re.compile("^[ \t]+")
Element = dict[str, Any]


class Teams:
    """Options: `webhook_url`, the complete secret URL that the workflow shows once it is saved, including its `sig`."""

    limit = 24_000  # bytes: the 28 KB of a post without the workflow's own 4 KB
    options = (
        Option("webhook_url", required=True, secret=True, description="The whole URL of the workflow, with its sig."),
    )
    secret_options = ("webhook_url",)
    budget = (4, 60.0)  # a workflow posts at most 25 cards in 300 s (connectors/teams, "Throttling limits")

    def __init__(self, config: ChannelConfig) -> None:
        self._url = config.options["webhook_url"]
        if problem := _problem(self._url):
            raise ValueError(f"webhook_url {problem}")

    def render(self, notification: Notification) -> dict[str, Any]:
        """Severity and title in a coloured box; what happened, why, what to do; facts, log, a button for each link.

        The box comes first because a phone shows only the top of a card before it is opened.
        """
        message = notification.message
        style, word = _style_and_word(notification)
        title = _title(notification)
        head = [_text(word, weight="Bolder", size="Small"), _text(title, weight="Bolder", size="Large")]
        body = [{"type": "Container", "style": style, "bleed": True, "items": head}]
        body += _story(message)
        body += _facts(message.facts)
        body += _log(message)
        body.append(_text(_footer(notification), size="Small", isSubtle=True))
        # The workflow would refuse a part of a URL only after it has answered 202.
        links = [_button(label, url) for label, url in message.links if len(url) <= _LINK_URL]
        card = {"body": body, "actions": _within(links, _LINKS)[:_LINK_COUNT], "fallbackText": f"{word}: {title}"}
        return _envelope({name: part for name, part in card.items() if part})

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """The smallest valid card: one line of text."""
        return _envelope(
            {"body": [_text(f"{_style_and_word(notification)[1]}: {_title(notification)} {_footer(notification)}")]}
        )

    def send(self, payload: dict[str, Any]) -> None:
        """Posts the card. Returning means that the workflow accepted the card, not that it has posted it.

        Raises:
            PayloadRejected: the workflow finds the card invalid or too large, so a plain one may be accepted.
            PermanentError: the workflow is gone, turned off or not accessible.
            TransientError: the workflow is throttled, failed or unreachable.
        """
        try:
            response = post_json(self._url, payload)
        except PermanentError as error:
            failure = _by_code(error)
        else:
            if response.status in _ACCEPTED:
                return
            status = response.status
            failure = PermanentError(f"Teams answered {status}", status=status, answer=response.text)
        raise failure  # outside of `except`, so that its context holds no other error


def _problem(url: str) -> str:
    """What is wrong with the URL, without any part of it; "" if nothing is. The router itself refuses plain http."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "is malformed: copy it from the workflow as it is"
    if _RETIRED.fullmatch(host):
        return "is that of a retired Office 365 connector: make a workflow in Teams, and use its URL"
    if not host or parts.scheme not in {"https", "http"} or re.search(r"\s", url):
        return "must look like https://host/workflows/…/triggers/manual/paths/invoke?…&sig=…"
    if _LOOPBACK.fullmatch(host):
        return ""
    if "/workflows/" not in parts.path:
        return "is not that of a workflow: make one in Teams, When a Teams webhook request is received"
    return "" if "sig" in parse_qs(parts.query) else "has no sig: copy the whole URL, up to its end"


def _by_code(error: PermanentError) -> PermanentError:
    """The error with what to do about Teams' error code; for a code that is not in the table, the status decides."""
    code = next((word for word in re.findall(r"\w+", error.answer) if word in _WORKFLOW_ERRORS), "")
    if code:
        message = f"Teams answered {code}: {_WORKFLOW_ERRORS[code]}"
        return PermanentError(message, status=error.status, answer=error.answer)
    if error.status in _INVALID_CARD:
        return PayloadRejected(str(error), status=error.status, answer=error.answer)
    return error


# --- layout -----------------------------------------------------------------------------------------------------------


def _envelope(card: Element) -> dict[str, Any]:
    """The request body that the workflow takes, with one attachment, since each would become a post of its own."""
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",  # the first version with everything used here, so that old clients show it
        "msteams": {"width": "full"},
        **card,
    }
    return {"type": "message", "attachments": [{"contentType": _CARD, "contentUrl": None, "content": content}]}


def _style_and_word(notification: Notification) -> tuple[str, str]:
    """The container's style; the sign, with severity and status in words."""
    style, sign = _RESOLVED if notification.kind == "resolved" else _LOOKS[notification.alert.severity]
    return style, _fit(f"{sign} {_literal(notification.message.status[:_LONGEST])}".rstrip(), _STATUS)


def _title(notification: Notification) -> str:
    """The title. It is never empty, because no client shows an empty card."""
    message = notification.message
    words = (
        _literal(message.headline[:_LONGEST]),
        _literal(message.title[:_LONGEST]),
        _literal(notification.alert.cause[:_LONGEST]),
        notification.incident.id,
    )
    return _fit(next(filter(None, words)), _TITLE)


def _footer(notification: Notification) -> str:
    """Account and region, and the incident's id, by which `history show` finds the rest."""
    incident = notification.incident
    place = _fit(_literal(f"{incident.subject.account} · {incident.subject.region}"), _PLACE)
    return place if notification.bundled else f"{place} · {incident.id}"


def _text(text: str, **style: Any) -> Element:
    """Without `wrap`, Teams cuts a line off at the edge of a phone's screen."""
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


def _paragraphs(lines: Iterable[str], limit: int, *, keep_end: bool = False, **style: Any) -> list[Element]:
    """One block per line within `limit` bytes. Clients disagree about what a newline inside a block means."""
    blocks: list[Element] = []
    for line in lines:
        block = _text("", **{"spacing": "None", **style})
        room = limit - _size(block)
        if room < _SHORTEST:
            break
        if text := _literal(line[-_LONGEST:] if keep_end else line[:_LONGEST]):
            blocks.append(block | {"text": _fit(text, room, keep_end=keep_end)})
            limit -= _size(blocks[-1]) + len(",")
    return blocks


def _story(message: Message) -> list[Element]:
    """What happened; why, in ECS's own words; what to do."""
    hint = _paragraphs(
        [f"{_POINTER} {message.hint}"] if message.hint.strip() else [], _HINT, spacing="Small", weight="Bolder"
    )
    quoted: dict[str, Any] = {"isSubtle": True, "fontType": "Monospace", "size": "Small", "spacing": "Small"}
    reason = _paragraphs([" ".join(message.reason.split())], _REASON, **quoted)
    lead = _paragraphs(message.lead.splitlines(), _TEXT - _size([*reason, *hint]), spacing="Small")
    return [*lead, *reason, *hint]


def _facts(facts: Sequence[tuple[str, str]]) -> list[Element]:
    pairs = (
        (_fit(_literal(label[:_LONGEST]), _LABEL), _fit(_literal(" ".join(value[:_LONGEST].split())), _VALUE))
        for label, value in facts[:_FACT_COUNT]
    )
    shown = _within(({"title": label, "value": value} for label, value in pairs if label and value), _FACTS)
    return [{"type": "FactSet", "facts": shown}] if shown else []


def _log(message: Message) -> list[Element]:
    """The last lines, which usually show why it failed, below their heading."""
    lines = reversed(message.log_excerpt.splitlines())
    blocks = _paragraphs(lines, _LOG, keep_end=True, fontType="Monospace", size="Small")
    if not blocks:
        return []
    heading = (
        [_text(_fit(label, _LABEL), size="Small", isSubtle=True)]
        if (label := _literal(message.labels.log[:_LONGEST]))
        else []
    )
    return [{"type": "Container", "style": "emphasis", "items": [*heading, *blocks[::-1]]}]


def _button(label: str, url: str) -> Element:
    return {
        "type": "Action.OpenUrl",
        "title": _fit(_literal(label[:_LONGEST]), _LINK_LABEL) or "\N{NORTH EAST ARROW}",
        "url": url,
    }


# --- text from outside ------------------------------------------------------------------------------------------------


def _literal(line: str) -> str:
    """One line that no client formats, and that mentions nobody. Its indentation becomes no-break spaces."""
    shown = _INDENT.sub(lambda run: "\N{NO-BREAK SPACE}" * len(run[0]), line).rstrip()
    shown = _EDGE_UNDERSCORE.sub(lambda run: "\N{MODIFIER LETTER LOW MACRON}" * len(run[0]), shown)
    shown = _SYNTAX.sub("\\g<0>\N{WORD JOINER}", shown.translate(_LOOKALIKES))
    return "\N{WORD JOINER}" + shown if _MARKER.match(shown) else shown


# --- sizes ------------------------------------------------------------------------------------------------------------


def _size(value: Any) -> int:
    """Bytes of the JSON that `post_json` sends for it."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _within(elements: Iterable[Element], limit: int) -> list[Element]:
    """The first elements that fit into `limit` bytes together."""
    chosen = list(elements)
    sizes = accumulate(_size(element) + len(",") for element in chosen)
    return [element for element, size in zip(chosen, sizes, strict=True) if size <= limit]


def _fit(text: str, limit: int, *, keep_end: bool = False) -> str:
    """The text cut between characters to `limit` bytes of JSON, with a "…"."""
    if len(text) * _WIDEST <= limit:
        return text
    window = text[-limit - 1 :][::-1] if keep_end else text[: limit + 1]
    if _json_bytes(window) > limit:
        room = limit - len("…".encode())
        fitting = bisect_right(range(len(window)), room, key=lambda length: _json_bytes(window[:length])) - 1
        window = f"{window[:fitting]}…"
    return window[::-1] if keep_end else window


def _json_bytes(text: str) -> int:
    return len(text.encode()) + text.count('"') + text.count("\\")


@hookimpl
def register_channels(register: Callable[[str, type[Teams]], None]) -> None:
    register("teams", Teams)
