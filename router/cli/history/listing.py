"""`history list` and `history open`."""

import time

import click

from router.cli.history.options import narrowed, paged
from router.cli.history.source import as_json, each_alert, reads_history
from router.cli.history.tables import LIST_COLUMNS, OPEN_COLUMNS, show_rows
from router.history.store import AlertQuery, History
from router.history.table import Item


@click.command("list")
@narrowed(since="24h")
@click.option("--task", help="About this task, by its id or ARN, whatever the time.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--after", help="The next page: what the page before says at its end.")
@as_json
@reads_history
def list_command(
    *, history: History, wanted: AlertQuery, task: str | None, limit: int, after: str | None, as_json: bool
) -> None:
    """The alerts, newest first."""
    wanted = wanted._replace(limit=limit + 1, after=paged(after) if after else None)
    now = time.time()
    if task:
        found = [row for row in about_task(history, task, now) if _narrows(wanted, row)]
    else:
        found = list(each_alert(history, wanted, now))
    show_rows(found[:limit], LIST_COLUMNS, "No alerts.", as_json=as_json)
    if len(found) > limit and not task:
        last = found[limit - 1]
        click.echo(f"There are more: --after {last['at']},{last['id']}", err=True)


@click.command("open")
@as_json
@reads_history
def open_command(*, history: History, as_json: bool) -> None:
    """The open incidents, the longest open first."""
    show_rows(history.open_incidents(time.time()), OPEN_COLUMNS, "No incident is open.", as_json=as_json)


def about_task(history: History, task: str, now: float) -> list[Item]:
    """Every alert about a task, newest first.

    Args:
        task: its id, or its ARN, which ends in it.
    """
    rows = history.by_occurrence(task.rpartition("/")[2], now)
    return sorted(rows, key=lambda row: str(row["at"]), reverse=True)


def _narrows(wanted: AlertQuery, row: Item) -> bool:
    """Whether a row is among what is wanted, but for its time."""
    named = {"subject": wanted.subject, "cluster": wanted.cluster, "cause": wanted.cause}
    return row["severity"] in wanted.severities and all(row[name] == it for name, it in named.items() if it)
