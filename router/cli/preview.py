"""Previews of messages in a terminal: Slack messages much as Slack shows them, others as plain text."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Any
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from router.text.characters import visible

_URL = "/?#%!$&()*+,;=:~@"  # what stays as it is in a link: nothing that ends the terminal's own sequence
WIDTH = 88  # columns; about what Slack gives a message
_MARKUP = re.compile(
    r"<(?P<url>https?://[^|<>]+)(?:\|(?P<label>[^<>]*))?>|\*(?P<bold>[^*\n]+)\*|(?<!`)`(?P<code>[^`\n]+)`(?!`)"
)


def preview(kind: str, payload: Mapping[str, Any]) -> Panel:
    """A preview of the payload for a channel of that kind."""
    if kind == "slack":
        return slack_panel(payload)
    return Panel(Text("\n".join(lines(payload))), width=WIDTH, padding=(0, 1))


def printable(text: str) -> str:
    """The text as one line on which nothing is hidden, and without tabs."""
    return visible(text.replace("\t", " ")).replace("\n", " ")


def lines(value: Any) -> list[str]:
    """One `name: value` line per entry. Nested values and values of several lines go below their name."""
    if isinstance(value, Mapping):
        return [line for name, member in value.items() for line in _named(printable(str(name)), member)]
    if isinstance(value, list | tuple):
        return [
            mark + line
            for member in value
            for mark, line in zip(chain(["- "], repeat("  ")), lines(member), strict=False)
        ]
    text = value if isinstance(value, str) else json.dumps(value)
    return [printable(line) for line in text.splitlines()] or [""]


def _named(name: str, value: Any) -> list[str]:
    below = lines(value)
    if len(below) == 1 and not isinstance(value, Mapping | list | tuple):
        return [f"{name}: {below[0]}"]
    return [f"{name}:", *(f"  {line}" for line in below)]


def slack_panel(payload: Mapping[str, Any]) -> Panel:
    """A payload for an incoming webhook: the header as title, and a border in the attachment's colour."""
    attachments = payload.get("attachments", [])
    blocks = [
        *payload.get("blocks", []),
        *(block for attachment in attachments for block in attachment.get("blocks", [])),
    ]
    header = next((block["text"]["text"] for block in blocks if block["type"] == "header"), payload.get("text", ""))
    colour = next((attachment["color"] for attachment in attachments if "color" in attachment), "default")
    body = Group(*(part for block in blocks if block["type"] != "header" for part in _parts(block)))
    title = Text(header, style="bold default")
    return Panel(body, title=title, title_align="left", border_style=colour, width=WIDTH, padding=(0, 1))


def _parts(block: Mapping[str, Any]) -> Iterator[RenderableType]:
    if "text" in block:
        yield _mrkdwn(block["text"]["text"])
    if fields := block.get("fields"):
        yield Text("")
        yield _grid([_mrkdwn(field["text"]) for field in fields])
    if elements := block.get("elements"):
        yield Text("")
        yield Text("  ").join(_mrkdwn(element["text"], "dim") for element in elements)


def _grid(entries: list[Text]) -> Table:
    """Slack shows fields in two columns."""
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    for left, right in zip(entries[::2], [*entries[1::2], Text("")], strict=False):
        grid.add_row(left, right)
    return grid


def _mrkdwn(text: str, style: str = "") -> Text:
    """Slack's mrkdwn: links, `*bold*`, code, and three escaped characters."""
    drawn = Text(style=style)
    position = 0
    for match in _MARKUP.finditer(text):
        drawn.append(html.unescape(text[position : match.start()]))
        drawn.append(*_marked(match))
        position = match.end()
    return drawn.append(html.unescape(text[position:]))


def _marked(match: re.Match[str]) -> tuple[str, str]:
    """What is shown of it, and in which style of rich."""
    if url := match["url"]:
        return html.unescape(match["label"] or url), f"underline link {quote(html.unescape(url), safe=_URL)}"
    return html.unescape(match["bold"] or match["code"]), "bold" if match["bold"] else "italic"
