"""Formats rows: as a table that fits the terminal, or as JSON Lines."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from router.cli.output import console, echo, row_json
from router.model import IncidentStatus, Outcome, Severity

SEVERITY_STYLES: Mapping[str, str] = {
    Severity.CRITICAL: "bold red",
    Severity.ERROR: "red",
    Severity.WARNING: "yellow",
    Severity.INFO: "dim",
}
OUTCOME_STYLES: Mapping[str, str] = {Outcome.SENT: "green", Outcome.RETRY: "yellow", Outcome.FAILED: "bold red"}
STATUS_STYLES: Mapping[str, str] = {
    IncidentStatus.OPEN: "bold red",
    IncidentStatus.RECOVERING: "yellow",
    IncidentStatus.RESOLVED: "green",
}
_STYLES: Mapping[str, str] = {**SEVERITY_STYLES, **OUTCOME_STYLES, **STATUS_STYLES}
_TIMES = {"at", "opened_at", "last_at", "ended_at", "recorded_at"}
_ENDLESS = 10_000
_BELOW = {"cluster": "severity", "incident": "subject", "id": "subject", "decision": "cause", "status": "cause"}
_HIDDEN = {
    "pk",
    "sk",
    "ttl",
    "schema",
    "min_reader",
    "state",
    "version",
    "due_shard",
    "open_shard",
    "cluster_day",
    "severity_day",
}

LIST_COLUMNS = {
    "When": "at",
    "Severity": "severity",
    "What": "subject",
    "Cluster": "cluster",
    "Cause": "cause",
    "Decision": "decision",
    "Incident": "incident",
}
OPEN_COLUMNS = {
    "Since": "opened_at",
    "Severity": "severity",
    "What": "subject",
    "Cluster": "cluster",
    "Cause": "cause",
    "Status": "status",
    "Incident": "id",
}
DELIVERY_COLUMNS = {
    "When": "at",
    "Channel": "channel",
    "Kind": "kind",
    "Outcome": "outcome",
    "Attempt": "attempt",
    "Response": "answer",
}


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], nothing: str, *, as_json: bool) -> None:
    """Prints JSON Lines or a table; without rows, prints `nothing` on stderr instead of a table."""
    if as_json:
        for row in rows:
            echo(to_json(row))
    elif not rows:
        echo(nothing, err=True)
    else:
        print_table(rows, columns)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Prints a table as wide as the terminal. If stdout is not a terminal, each row is one line of any length."""
    out = console()
    if out.is_terminal:
        out.print(table_of(rows, fitting(rows, columns, out.width)))
        return
    wide = console(width=_ENDLESS, file=io.StringIO(), record=True)
    wide.print(table_of(rows, columns))
    echo("\n".join(line.rstrip() for line in wide.export_text().splitlines()))


def fitting(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], width: int) -> Mapping[str, str]:
    """The columns unchanged if the rows fit the width; otherwise some are stacked, named `upper+lower`."""
    widths = [
        max([len(heading), *(len(_text(name, row.get(name, ""))) for row in rows)]) for heading, name in columns.items()
    ]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        return columns
    headings = {name: heading for heading, name in columns.items()}
    below = {_BELOW[name]: name for name in headings if _BELOW.get(name) in headings}
    return {
        f"{heading}\n{headings[below[name]]}" if name in below else heading: f"{name}+{below[name]}"
        if name in below
        else name
        for name, heading in headings.items()
        if name not in below.values()
    }


def table_of(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    """A table. Columns map a heading to a field, or to two stacked fields as `upper+lower`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, names in columns.items():
        table.add_column(heading, overflow="fold", no_wrap=bool({*names.split("+")} & {*_TIMES, "severity"}))
    for row in rows:
        entries = ([_cell(name, row.get(name, "")) for name in names.split("+")] for names in columns.values())
        table.add_row(*("\n".join(entry) for entry in entries))
    return table


def facts_of(pairs: Iterable[tuple[str, str]]) -> Table:
    """A table of names in bold and their values."""
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in pairs:
        facts.add_row(f"[bold]{escape(name.replace('_', ' '))}[/]", Text(value))
    return facts


def _cell(name: str, value: Any) -> str:
    text = _text(name, value)
    style = _STYLES.get(text) if name in {"severity", "outcome", "status"} else None
    return f"[{style}]{text}[/]" if style else escape(text)


def _text(name: str, value: Any) -> str:
    return local_time(str(value)) if name in _TIMES and value else str(value).replace("\n", " ")


def local_time(iso: str) -> str:
    """A stored time in the local time zone, to the second."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def readable(value: Any) -> str:
    """A mapping or list on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def counted(count: int, what: str) -> str:
    """`1 alert`, `2 alerts`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def to_json(row: Mapping[str, Any]) -> str:
    """One line of JSON, without the table's internal fields."""
    return row_json(row, _HIDDEN)
