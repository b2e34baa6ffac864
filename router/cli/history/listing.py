"""`history list` and `history open`."""

import time

import click

from router.cli.history.options import page_start, with_filters
from router.cli.history.source import as_json, each_alert, matches, reads_history
from router.cli.history.tables import LIST_COLUMNS, OPEN_COLUMNS, show_rows
from router.cli.output import echo
from router.history.store import AlertQuery, History
from router.history.table import Item


@click.command("list")
@with_filters(since="24h")
@click.option("--task", help="Only this task, by its id or ARN, at any time.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Maximum number.")
@click.option("--after", help="The next page: the value printed at the end of the previous page.")
@as_json
@reads_history
def list_command(
    *, history: History, wanted: AlertQuery, task: str | None, limit: int, after: str | None, as_json: bool
) -> None:
    """List alerts, newest first."""
    wanted = wanted._replace(limit=limit + 1, after=page_start(after) if after else None)
    now = time.time()
    if task:
        rows = [row for row in about_task(history, task, now) if _matches(wanted, row)]
    else:
        rows = list(each_alert(history, wanted, now))
    show_rows(rows[:limit], LIST_COLUMNS, "No alerts.", as_json=as_json)
    if len(rows) > limit and not task:
        last = rows[limit - 1]
        echo(f"More alerts: --after {last['at']},{last['id']}", err=True)


@click.command("open")
@as_json
@reads_history
def open_command(*, history: History, as_json: bool) -> None:
    """List open incidents, the one open longest first."""
    show_rows(history.open_incidents(time.time()), OPEN_COLUMNS, "No incident is open.", as_json=as_json)


def about_task(history: History, task: str, now: float) -> list[Item]:
    """Every alert about a task, newest first.

    Args:
        task: its id or ARN.
    """
    rows = history.by_occurrence(task.rpartition("/")[2], now)
    return sorted(rows, key=lambda row: str(row["at"]), reverse=True)


def _matches(wanted: AlertQuery, row: Item) -> bool:
    """Whether a row matches the query, apart from its time."""
    named = {"subject": wanted.subject, "cluster": wanted.cluster, "cause": wanted.cause}
    return row["severity"] in wanted.severities and matches(row, named)
