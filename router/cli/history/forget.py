"""`history forget`: deletes the history of a task or subject. Without --yes it only shows what it would delete.

It is the only history command that writes: it needs `dynamodb:DeleteItem`, and `dynamodb:PutItem` for a task.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import click
from rich.progress import track

from router.cli.deployed import names_stage
from router.cli.history.options import subject_of
from router.cli.history.source import as_json, find_table, table_option
from router.cli.history.tables import to_json
from router.cli.output import console, echo
from router.errors import Conflict, DamagedItem, HistoryError
from router.history.items import is_row_key, is_state_key, state_item, to_state
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable, Item, Put, Query
from router.model import Subject

_FUTURE = 366 * 86400.0  # seconds: an event may have a time in the future
_KINDS = {"alert": "alerts", "delivery": "deliveries", "incident": "incidents"}
_DAMAGED = "damaged"  # copies that were set aside: deleted with the subject, and not counted


@dataclass(frozen=True)
class Matches:
    """The items that history holds about the task or subject.

    Attributes:
        delete: the items to delete.
        scrub: incidents to keep, with the task removed from them.
    """

    delete: list[Item] = field(default_factory=list)
    scrub: list[Item] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The number of items of each kind."""
        kinds = Counter(_KINDS[kind] for item in self.delete if (kind := _kind(item)) in _KINDS)
        return {**{kind: kinds[kind] for kind in _KINDS.values()}, "incidents_without_the_task": len(self.scrub)}


@click.command("forget")
@click.option("--task", help="A task, by its id or ARN.")
@click.option("--service", help="A service, with its alerts, incidents and deliveries.")
@click.option("--family", help="A task family, for tasks outside services.")
@click.option("--subject", help="Any subject: alarm:NAME, instance:ID, daemon:NAME, …")
@click.option("--cluster", default="", help="Only in this cluster.")
@click.option("--account", default="", help="Only in this account.")
@click.option("--alert-region", "region", default="", help="Only alerts from this region.")
@click.option("--yes", is_flag=True, help="Delete; without it, only show what would be deleted.")
@click.option("--even-open", is_flag=True, help="Also delete incidents that are not over; their end is not announced.")
@table_option
@names_stage()
@as_json
def forget_command(*, task: str | None, yes: bool, even_open: bool, stage: str, as_json: bool, **named: Any) -> None:
    """Delete the history of a task or subject for good. Nothing is deleted without --yes."""
    subject = subject_of(service=named["service"], family=named["family"], subject=named["subject"])
    if bool(task) == bool(subject):
        raise click.UsageError("name one of --task, --service, --family, --subject")
    source, _ = find_table(stage)
    history, now = History(source, retention=0.0), time.time()
    places = {name: named[name] for name in ("account", "region", "cluster") if named[name]}
    matches = _of_task(history, task, now) if task else _of_subject(history, subject, places, now)
    if not even_open:
        _refuse_open([*matches.delete, *matches.scrub])
    if yes:
        _forget(source, matches, task or "", now)
    _report(matches, done=yes, as_json=as_json)


def _report(matches: Matches, *, done: bool, as_json: bool) -> None:
    if as_json:
        echo(to_json({**matches.counts, "deleted": done}))
        return
    parts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in matches.counts.items() if count)
    if not parts:
        echo("History has nothing about it.", err=True)
    elif done:
        echo(f"Deleted: {parts}.")
    else:
        echo(f"Would delete: {parts}. Nothing was deleted; pass --yes to delete.")


# --- find ------------------------------------------------------------------------------------------------------------


def _of_task(history: History, task: str, now: float) -> Matches:
    """What to forget of a task: its alerts are deleted; their incidents stay, with the task removed from them."""
    task = task.rpartition("/")[2]
    rows = list(history.by_occurrence(task, now))
    pks = {f"subject#{row['incident'].rpartition('-')[0]}" for row in rows if row["incident"]}
    items = [item for pk in sorted(pks) for item in history.table.query(Query(None, pk), now).items]
    damaged = [item for item in items if _kind(item) == _DAMAGED]  # they may name the task
    return Matches([*rows, *damaged], [item for item in items if _kind(item) == "incident" and _names(item, task)])


def _names(item: Item, task: str) -> bool:
    """Raises HistoryError if the item cannot be read, so that nobody believes that the task is gone."""
    try:
        incident = to_state(item).incident
    except DamagedItem as error:
        raise HistoryError(
            f"item {item['pk']} {item['sk']} is damaged and may name the task: forget its whole subject instead"
        ) from error
    return incident is not None and (task in incident.tasks or incident.alert.task == task)


def _of_subject(history: History, name: str, places: dict[str, str], now: float) -> Matches:
    """The alerts, incidents and deliveries of every subject with that name in the given places."""
    wanted = AlertQuery(0.0, now + _FUTURE, None, name, places.get("cluster", ""))
    alerts = [row for row in history.each_alert(wanted, now) if _is_in(row, places)]
    incidents = [row for row in history.open_incidents(now) if row["subject"] == name and _is_in(row, places)]
    subjects = {Subject.from_text(row["account"], row["region"], row["cluster"], name) for row in [*alerts, *incidents]}
    if len(places) == len(("account", "region", "cluster")):
        subjects.add(Subject.from_text(**places, text=name))  # its alerts may have expired before its incidents
    queries = (Query(None, f"subject#{subject.key}") for subject in subjects)
    return Matches([*alerts, *(item for query in queries for item in history.table.query(query, now).items)])


def _is_in(item: Item, places: dict[str, str]) -> bool:
    return all(item[name] == value for name, value in places.items())


def _kind(item: Item) -> str:
    return "alert" if is_row_key((item["pk"], item["sk"])) else str(item["sk"].partition("#")[0])


def _refuse_open(items: Iterable[Item]) -> None:
    """Raises HistoryError if an incident is not over, or if a channel still has to be notified of it."""
    waiting = [item["id"] for item in items if _kind(item) == "incident" and "id" in item and _is_waiting(item)]
    if waiting:
        raise HistoryError(
            f"{', '.join(waiting)}: not over, or its end is not announced yet, and it never would be. "
            "Wait until it is, or pass --even-open"
        )


def _is_waiting(item: Item) -> bool:
    try:
        state = to_state(item)
    except DamagedItem:
        return False  # its end is not known to anybody
    return state.due_at is not None or (state.incident is not None and not state.incident.over)


# --- delete -----------------------------------------------------------------------------------------------------------


def _forget(table: DynamoTable, matches: Matches, task: str, now: float) -> None:
    """Deletes and scrubs. Incidents go first, so that a second attempt can still find what is left by its alerts.

    Raises HistoryError if the router wrote to an incident in the meantime; the remaining items stay.
    """
    keys = sorted(((item["pk"], item["sk"]) for item in matches.delete), key=is_row_key)
    versions = {key: item["version"] for item in matches.delete if is_state_key(key := (item["pk"], item["sk"]))}
    bar_ = console(stderr=True)
    try:
        for item in matches.scrub:
            table.commit([Put(_without(item, task.rpartition("/")[2]), item["version"])], now)
        table.delete(track(keys, "forgetting", console=bar_, disable=not bar_.is_terminal, transient=True), versions)
    except Conflict as conflict:
        raise HistoryError("the router wrote to it at the same time, so some of it is left; try again") from conflict


def _without(item: Item, task: str) -> Item:
    """The incident's item without the task. Its age and expiry stay the same."""
    state = to_state(item)
    incident = state.incident
    assert incident is not None  # `_names` checked it
    alert = incident.alert
    if alert.task == task:
        alert = replace(alert, id="", event_id="", task="", reason="", containers=(), task_definition="")
    incident = replace(incident, tasks=tuple(id_ for id_ in incident.tasks if id_ != task), alert=alert)
    return state_item(state._replace(incident=incident), item.get("ttl", 0))  # without one while it is open
