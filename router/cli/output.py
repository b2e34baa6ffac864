"""The only way from a command to a terminal, a pipe or a file. It makes sure that text from outside stays text.

Names, reasons and errors come from events, registries and remotes. A terminal would obey the control characters in
them, and bidirectional marks would make a line read differently from what it says.
`router.text.characters.visible` writes each of these as `\\u202e`, in tables and in JSON alike. A test checks that no
other module of the command line prints.
"""

import codecs
import io
import json
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from router.text.characters import clean, visible

_ESCAPED = "ecs-alert-router.escaped"
_PIPED_WIDTH = 200  # columns if the output is not a terminal
# What a spreadsheet takes for a formula, also after spaces, and in full width.
_FORMULA = re.compile(r"\s*[\t\r\n=+\-@|%\uff1d\uff0b\uff0d\uff20]")


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Prints a text that may have several lines."""
    click.echo(visible(str(text)), err=err, nl=nl)


def echo_json(value: object) -> None:
    """Prints one line of JSON."""
    click.echo(to_json(value))


def to_json(value: object) -> str:
    """One line of JSON, readable in any language, without raw control or bidirectional characters."""
    return visible(json.dumps(value, default=str, ensure_ascii=False))


def csv_text(value: object) -> str:
    """A value as text that a spreadsheet does not run as a formula: such a text gets a leading apostrophe.

    Source: OWASP, "CSV Injection".
    """
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{visible(text)}" if _FORMULA.match(text) or _FORMULA.match(clean(text)) else visible(text)


class TextConsole(Console):
    """Shows what is hidden in every text that it renders, before the text is measured for its line."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Text):
            renderable = _visible(renderable)
        return super().render(renderable, options)

    def render_str(self, text: str, **options: Any) -> Text:
        return _visible(super().render_str(text, **options))


def _visible(text: Text) -> Text:
    """The text with its styles; a part with hidden characters keeps the style of the whole only."""
    if visible(text.plain) == text.plain:
        return text
    shown_text = text.blank_copy()
    for place, char in enumerate(text.plain):
        piece = visible(char)
        shown_text.append_text(text[place] if piece == char else Text(piece))
    return shown_text


def console(*, stderr: bool = False, **options: Any) -> TextConsole:
    """A console with colour and the terminal's width; plain and wide if the output is not a terminal."""
    terminal = TextConsole(stderr=stderr, highlight=False, **options)
    if terminal.is_terminal or "width" in options:
        return terminal
    return TextConsole(stderr=stderr, highlight=False, **{**options, "width": _PIPED_WIDTH})


def overwrite_line(text: str) -> None:
    """Replaces the current line of stderr, which must be a terminal; "" clears it."""
    click.echo(f"\r\x1b[K{visible(text)}", err=True, nl=False)


def stderr_is_terminal() -> bool:
    return bool(sys.stderr.isatty())


def shown(error: click.ClickException) -> click.ClickException:
    """The error as click may print it, which prints messages and names of files as they are."""
    for name in ("message", "ui_filename"):
        if hasattr(error, name):
            setattr(error, name, visible(str(getattr(error, name))))
    return error


def row_json(row: Mapping[str, Any], hidden: set[str]) -> str:
    """One line of JSON without these fields."""
    return to_json({key: value for key, value in row.items() if key not in hidden})


def ask(question: str) -> None:
    """Asks on the terminal. Raises click.Abort unless the answer is yes."""
    click.confirm(visible(question), abort=True, err=True)


def fit_encoding() -> None:
    """Makes stdout and stderr write what their encoding lacks as an escape."""
    codecs.register_error(_ESCAPED, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that an encoding lacks with escapes that are valid in JSON too."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end
