"""router.cli.output: text from outside stays text, whatever prints it."""

import ast
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from router.cli import main
from router.cli.output import console, csv_text, echo, echo_json, shown, to_json
from tests.doubles.text import ANY_TEXT, hidden_characters

ROOT = Path(__file__).parents[3]
HOSTILE = (
    "\x1b]0;OWNED\x07\x1b[2J\x1b[31mX\x1b]8;;http://evil\x1b\\y\x9b31m\u202eEVIL\u202c\u200bz\rOVER\x08\u2028"
    "[bold red]mk[/] [link=http://evil]z"
)
_PRINTERS = {"echo", "secho", "confirm", "prompt", "pause", "echo_via_pager", "progressbar"}


def prints(tree: ast.AST) -> list[str]:
    """What a module does to print by itself."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                found.append("print")
            case ast.Attribute(value=ast.Name(id="click"), attr=name) if name in _PRINTERS:
                found.append(f"click.{name}")
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr" as name):
                found.append(f"sys.{name}")
            case ast.ImportFrom(module="rich.console", names=names) if any(alias.name == "Console" for alias in names):
                found.append("rich.console.Console")
            case ast.ImportFrom(module="rich", names=names) if any(alias.name == "print" for alias in names):
                found.append("rich.print")
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "router").rglob("*.py")), ids=str)
def test_only_the_output_module_prints(path: Path) -> None:
    if path.name != "output.py":
        assert prints(ast.parse(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    ["print(1)", "click.echo(1)", "sys.stderr.write('')", "from rich.console import Console", "click.confirm('')"],
)
def test_that_rule_sees_every_way_to_print(code: str) -> None:
    assert prints(ast.parse(code))


def printed(what: Any, *, terminal: bool) -> str:
    """What a console prints, without the colours that rich makes itself."""
    file = io.StringIO()
    console(file=file, force_terminal=terminal, width=200).print(what)
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


def table(text: str) -> Table:
    made = Table(title=Text(text))
    made.add_column(Text(text))
    made.add_row(Text(text))
    return made


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        Text,
        lambda text: Text.assemble("a ", (text, "red")),
        lambda text: Panel(Text(text), title=Text(text)),
        table,
    ],
    ids=["text", "assembled", "panel", "table"],
)
def test_whatever_is_drawn_shows_what_is_hidden(make: Any, terminal: bool) -> None:  # noqa: FBT001
    out = printed(make(HOSTILE), terminal=terminal)
    assert not hidden_characters(out)
    assert r"\u001b" in out
    assert r"\u202e" in out


@given(ANY_TEXT)
def test_no_text_hides_anything_on_a_console(text: str) -> None:
    assert not hidden_characters(printed(Text(text), terminal=False).replace("\t", " "))


def test_progress_shows_what_is_hidden() -> None:
    file = io.StringIO()
    with Progress(console=console(file=file, force_terminal=True, width=200)) as progress:
        progress.add_task(HOSTILE.replace("[", "("), total=1)
    assert "\x1b]0;" not in file.getvalue()
    assert "\u202e" not in file.getvalue()


@given(ANY_TEXT)
def test_json_is_the_same_value_without_raw_hidden_characters(text: str) -> None:
    line = to_json({"name": text})
    assert not hidden_characters(line)
    assert "\n" not in line
    assert json.loads(line) == {"name": json.loads(json.dumps(text))}


def test_json_is_readable_in_any_language() -> None:
    assert to_json({"a": "メモリ不足 👩\u200d💻"}) == '{"a": "メモリ不足 👩\u200d💻"}'


@pytest.mark.parametrize("err", [False, True])
def test_lines_show_what_is_hidden_on_stdout_and_stderr(err: bool, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001
    echo(HOSTILE, err=err)
    echo_json({"x": HOSTILE})
    out, errors = capfd.readouterr()
    assert not hidden_characters(out + errors)
    assert r"\u001b]0;OWNED" in (errors if err else out)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
@pytest.mark.parametrize("before", ["", " ", "\u200b", "\ufeff", "\u00a0", "\u3000", "\u2060 ", " \ufeff"])
def test_a_cell_is_no_formula_whatever_stands_before_it(before: str, start: str) -> None:
    cell = csv_text(f"{before}{start}HYPERLINK(1)")
    assert re.match(r"['\\]", cell), ascii(cell)
    assert not hidden_characters(cell)


@given(ANY_TEXT)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow([csv_text(text)])
    assert not re.match(r"[\s\u200b\ufeff\u2060]*[=+\-@\uff1d\uff0b\uff0d\uff20]", csv_text(text))
    assert not hidden_characters(file.getvalue().replace("\r\n", ""))


def test_errors_of_click_show_what_is_hidden() -> None:
    for error in (click.ClickException(HOSTILE), click.UsageError(HOSTILE), click.FileError(HOSTILE, HOSTILE)):
        assert not hidden_characters(shown(error).format_message())


@pytest.mark.parametrize(
    "arguments",
    [
        [HOSTILE],
        [f"--{HOSTILE}"],
        ["history", HOSTILE],
        ["history", "list", "--since", HOSTILE],
        ["history", "list", "--after", HOSTILE],
        ["classify", HOSTILE],
        ["config", "check", "--config", HOSTILE],
        ["simulate", HOSTILE],
    ],
)
def test_a_mistake_in_a_command_is_reported_without_hidden_characters(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, [argument.replace("\r", "") for argument in arguments])
    assert result.exit_code in {1, 2}
    assert not hidden_characters(result.output)
