"""`history export`: the alerts of a time range as CSV or JSON Lines, written while they are read."""

import csv
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, Any, Protocol

import click
from rich.progress import Progress

from router.cli.history.options import with_filters
from router.cli.history.source import each_alert, reads_history
from router.cli.history.tables import to_json
from router.cli.output import console, csv_text, echo
from router.history.items import row_key, seconds, unpacked
from router.history.store import AlertQuery, History
from router.history.table import Item

COLUMNS = (
    "at",
    "severity",
    "cause",
    "title",
    "decision",
    "incident",
    "subject",
    "cluster",
    "account",
    "region",
    "task",
    "resolves",
    "id",
)
WHOLE_COLUMNS = (*COLUMNS, "recorded_at", "rule", "reason", "stop_code", "task_definition", "deployment", "fingerprint")
_BATCH = 100  # rows of one BatchGetItem


class _Writer(Protocol):
    def __call__(self, row: Item) -> None: ...


@click.command("export")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--out", type=click.File("w", encoding="utf-8"), default="-", help="Output file; default: stdout.")
@click.option("--whole", is_flag=True, help="Include all fields (reasons, rule, containers, event); this reads more.")
@with_filters(since="30d")
@reads_history
def export_command(*, history: History, wanted: AlertQuery, form: str, out: IO[str], whole: bool) -> None:
    """Export alerts, newest first, for a spreadsheet or another program. Times are in UTC."""
    now = time.time()
    alerts = each_alert(history, wanted, now)
    rows = _with_progress(_whole(history, alerts, now) if whole else alerts, wanted)
    first = list(islice(rows, 1))  # read before writing: if reading fails, nothing is written
    write = _csv(out, WHOLE_COLUMNS if whole else COLUMNS) if form == "csv" else _jsonl(out)
    for row in chain(first, rows):
        write(row)
    if not first:
        echo("No alerts.", err=True)


def _with_progress(rows: Iterable[Item], wanted: AlertQuery) -> Iterator[Item]:
    """Shows progress through the time range on stderr, if it is a terminal. The number of alerts is not known ahead."""
    console_ = console(stderr=True)
    span = max(wanted.until - wanted.since, 1.0)
    with Progress(console=console_, disable=not console_.is_terminal, transient=True) as progress:
        task = progress.add_task("exporting", total=span)
        for count, row in enumerate(rows, start=1):
            if not progress.disable:
                progress.update(task, completed=wanted.until - seconds(row["at"]), description=f"{count:,} alerts")
            yield row


def _whole(history: History, alerts: Iterable[Item], now: float) -> Iterator[Item]:
    """Replaces index entries with the complete rows, a hundred at a time, in the same order."""
    remaining = iter(alerts)
    while batch := list(islice(remaining, _BATCH)):
        keys = [key for alert in batch if (key := row_key(alert["id"]))]
        stored = history.table.get(keys, now)
        for row in (stored[key] for key in keys if key in stored):
            event = row.pop("event", None)
            yield {**row, "event": unpacked(event) if event else None}


# --- formats ----------------------------------------------------------------------------------------------------------


def _jsonl(out: IO[str]) -> _Writer:
    def write(row: Item) -> None:
        out.write(f"{to_json(row)}\n")

    return write


def _csv(out: IO[str], columns: Sequence[str]) -> _Writer:
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    return lambda row: writer.writerow([entry(row, name) for name in columns]) and None


def entry(row: Mapping[str, Any], name: str) -> str:
    """A value of a row; titles and reasons hold text from outside."""
    return csv_text(row.get(name, ""))
