"""`history forget`: deletes what history holds of a task or of a subject. Shows what that is, unless told to do it.

It is the one question that writes: it needs `dynamodb:DeleteItem`, and `dynamodb:PutItem` for a task.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from router.cli.history.options import subject_of
from router.cli.history.source import as_json, find_table
from router.cli.history.tables import to_json
from router.errors import Conflict, DamagedItem, HistoryError
from router.history.items import is_row_key, is_state_key, state_item, to_state
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable, Item, Key, Put, Query
from router.model import Subject

_FOR_EVER = 366 * 86400.0  # seconds ahead: an event may bear a time that is not yet
_KINDS = {"alert": "alerts", "delivery": "deliveries", "incident": "incidents"}
_DAMAGED = "damaged"  # copies that were set aside: deleted with the subject, and not counted


@dataclass(frozen=True)
class Found:
    """What history holds of somebody.

    Attributes:
        delete: the items to go. scrub: incidents that stay, without the task.
    """

    delete: list[Item] = field(default_factory=list)
    scrub: list[Item] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many of which kind would go."""
        kinds = Counter(_KINDS[kind] for item in self.delete if (kind := _kind(item)) in _KINDS)
        return {**{kind: kinds[kind] for kind in _KINDS.values()}, "incidents_without_the_task": len(self.scrub)}


@click.command("forget")
@click.option("--task", help="A task, by its id or ARN.")
@click.option("--service", help="A service: its alerts, incidents and deliveries.")
@click.option("--family", help="A task family, outside of services.")
@click.option("--subject", help="Any subject: alarm:NAME, instance:ID, daemon:NAME, …")
@click.option("--cluster", default="", help="Only in this cluster.")
@click.option("--account", default="", help="Only in this account.")
@click.option("--region", default="", help="Only in this region.")
@click.option("--yes", is_flag=True, help="Do it; else it is only said what there is.")
@click.option("--even-open", is_flag=True, help="Also where an incident is not over: nobody will hear its end.")
@click.option("--table", envvar="HISTORY_TABLE", help="The table's name; else that of --stage. [env: HISTORY_TABLE]")
@click.option("--stage", default="dev", show_default=True, help="Take the table of the stack deployed to this stage.")
@as_json
def forget_command(
    *, task: str | None, yes: bool, even_open: bool, table: str | None, stage: str, as_json: bool, **named: Any
) -> None:
    """Delete what history holds of a task or a subject, for good. Nothing is deleted without --yes."""
    subject = subject_of(service=named["service"], family=named["family"], subject=named["subject"])
    if bool(task) == bool(subject):
        raise click.UsageError("name one of --task, --service, --family, --subject")
    source, _ = find_table(table, stage)
    history, now = History(source, retention=0.0), time.time()
    places = {name: named[name] for name in ("account", "region", "cluster") if named[name]}
    found = _of_task(history, task, now) if task else _of_subject(history, subject, places, now)
    if not even_open:
        _refuse_open([*found.delete, *found.scrub])
    if yes:
        _forget(source, found, task or "", now)
    _say(found, done=yes, as_json=as_json)


def _say(found: Found, *, done: bool, as_json: bool) -> None:
    if as_json:
        click.echo(to_json({**found.counts, "deleted": done}))
        return
    parts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in found.counts.items() if count)
    if not parts:
        click.echo("History holds nothing of it.", err=True)
    elif done:
        click.echo(f"Deleted: {parts}.")
    else:
        click.echo(f"This would be deleted: {parts}. Nothing was: do it with --yes.")


# --- what there is ----------------------------------------------------------------------------------------------------


def _of_task(history: History, task: str, now: float) -> Found:
    """Its alerts go; the incidents that they count in stay, without it."""
    task = task.rpartition("/")[2]
    rows = list(history.by_occurrence(task, now))
    pks = {f"subject#{row['incident'].rpartition('-')[0]}" for row in rows if row["incident"]}
    items = [item for pk in sorted(pks) for item in history.table.query(Query(None, pk), now).items]
    damaged = [item for item in items if _kind(item) == _DAMAGED]  # they may name the task
    return Found([*rows, *damaged], [item for item in items if _kind(item) == "incident" and _names(item, task)])


def _names(item: Item, task: str) -> bool:
    """Raises HistoryError where the item cannot be read, so that nobody believes the task to be gone."""
    try:
        incident = to_state(item).incident
    except DamagedItem as error:
        raise HistoryError(
            f"item {item['pk']} {item['sk']} is damaged and may name the task: forget its whole subject instead"
        ) from error
    return incident is not None and (task in incident.tasks or incident.alert.task == task)


def _of_subject(history: History, name: str, places: dict[str, str], now: float) -> Found:
    """Its alerts, and all that is kept of how things stood with it, wherever there is a subject of that name."""
    wanted = AlertQuery(0.0, now + _FOR_EVER, None, name, places.get("cluster", ""))
    alerts = [each for each in history.each_alert(wanted, now) if _is_there(each, places)]
    opened = [each for each in history.open_incidents(now) if each["subject"] == name and _is_there(each, places)]
    subjects = {
        Subject.from_text(each["account"], each["region"], each["cluster"], name) for each in [*alerts, *opened]
    }
    if len(places) == len(("account", "region", "cluster")):
        subjects.add(Subject.from_text(**places, text=name))  # its alerts may have expired before the rest
    return Found([*alerts, *(item for subject in subjects for item in _kept_of(history, subject, now))])


def _is_there(item: Item, places: dict[str, str]) -> bool:
    return all(item[name] == value for name, value in places.items())


def _kept_of(history: History, subject: Subject, now: float) -> Iterator[Item]:
    yield from history.table.query(Query(None, f"subject#{subject.key}"), now).items


def _kind(item: Item) -> str:
    return "alert" if is_row_key((item["pk"], item["sk"])) else str(item["sk"].partition("#")[0])


def _refuse_open(items: Iterable[Item]) -> None:
    """Raises HistoryError where somebody has still to be told of something."""
    waiting = [item["id"] for item in items if _kind(item) == "incident" and "id" in item and _is_waiting(item)]
    if waiting:
        raise HistoryError(
            f"{', '.join(waiting)}: not over, or its end not told yet; whoever was told of it would never hear its "
            "end. Wait for that, or insist with --even-open"
        )


def _is_waiting(item: Item) -> bool:
    try:
        state = to_state(item)
    except DamagedItem:
        return False  # its end is not known to anybody
    return state.due_at is not None or (state.incident is not None and not state.incident.over)


# --- and then it is gone ----------------------------------------------------------------------------------------------


def _forget(table: DynamoTable, found: Found, task: str, now: float) -> None:
    """Raises HistoryError where somebody has written to an incident meanwhile: what is left, is left for the next try.

    The incidents go first, so that what is left can still be found by its alerts.
    """
    keys = sorted(_deletions(found.delete), key=is_row_key)
    versions = {(item["pk"], item["sk"]): item["version"] for item in found.delete if _is_standing(item)}
    bar = Console(stderr=True)
    try:
        for item in found.scrub:
            table.commit([Put(_without(item, task.rpartition("/")[2]), item["version"])], now)
        table.delete(track(keys, "forgetting", console=bar, disable=not bar.is_terminal, transient=True), versions)
    except Conflict as conflict:
        raise HistoryError("the router has just written to it: some of it is left, try again") from conflict


def _deletions(items: Sequence[Item]) -> list[Key]:
    return [(item["pk"], item["sk"]) for item in items]


def _is_standing(item: Item) -> bool:
    return is_state_key((item["pk"], item["sk"]))


def _without(item: Item, task: str) -> Item:
    """An incident's item that knows nothing of the task any more; as old, and as long to live, as before."""
    state = to_state(item)
    incident = state.incident
    assert incident is not None  # `_names` has seen it
    alert = incident.alert
    if alert.task == task:
        alert = replace(alert, id="", event_id="", task="", reason="", containers=(), task_definition="")
    incident = replace(incident, tasks=tuple(each for each in incident.tasks if each != task), alert=alert)
    return state_item(state._replace(incident=incident), item["ttl"])
