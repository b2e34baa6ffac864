"""`history show`: one incident, alert or task in full, with its deliveries."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from router.cli.history.listing import about_task
from router.cli.history.source import as_json, reads_history
from router.cli.history.tables import DELIVERY_COLUMNS, facts_of, local_time, readable, table_of, to_json
from router.cli.output import console, echo
from router.errors import HistoryError
from router.history.items import iso, unpacked
from router.history.store import History
from router.history.table import Item
from router.model import Incident

_ALERT = (
    "id",
    "at",
    "severity",
    "cause",
    "rule",
    "title",
    "fingerprint",
    "decision",
    "incident",
    "reason",
    "stop_code",
    "task",
    "task_definition",
    "deployment",
    "runbook_url",
)
_TIMES = {"at", "opened_at", "last_at", "ended_at"}


@click.command("show")
@click.argument("id_", metavar="ID")
@as_json
@reads_history
def show_command(*, history: History, id_: str, as_json: bool) -> None:
    """Show an incident, an alert or a task in full, by its ID."""
    now = time.time()
    if show_incident_of(history, id_, now, as_json=as_json):
        return
    row = history.row(id_, now)
    for alert in [row] if row else alerts_of_task(history, id_, now):
        deliveries = history.deliveries(alert["incident"], now) if alert["incident"] else ()
        _show_alert(alert, deliveries, as_json=as_json)


def alerts_of_task(history: History, id_: str, now: float) -> list[Item]:
    """Every alert about a task, newest first. Raises HistoryError if there is none."""
    rows = about_task(history, id_, now)
    if not rows:
        raise HistoryError(f"there is no incident, alert or task {id_} (or it has expired)")
    return rows


def show_incident_of(history: History, incident_id: str, now: float, *, as_json: bool = False) -> bool:
    """Shows the incident with that id and its deliveries. Returns False if there is no such incident."""
    state = history.incident(incident_id, now)
    if state is None or state.incident is None:
        return False
    memory = {name: dict(entry.remote) for name, entry in state.outbox.items() if entry.remote}
    row = {**incident_row(state.incident), "remote": memory}
    _show_incident(row, history.deliveries(incident_id, now), as_json=as_json)
    return True


def incident_row(incident: Incident) -> Item:
    """The fields of an incident that the commands show."""
    return {
        "id": incident.id,
        "status": incident.status,
        "severity": incident.severity.value,
        "title": incident.alert.title,
        "fingerprint": incident.subject.fingerprint,
        "opened_at": iso(incident.opened_at),
        "last_at": iso(incident.last_at),
        "ended_at": iso(incident.ended_at) if incident.ended_at else None,
        "alerts": incident.count,
        "causes": dict(incident.causes),
        "tasks": list(incident.tasks),
        "reopened": incident.reopened,
    }


def _show_incident(incident: Mapping[str, Any], deliveries: Sequence[Item], *, as_json: bool) -> None:
    """An incident with each of its deliveries."""
    if as_json:
        echo(to_json({**incident, "deliveries": [dict(delivery) for delivery in deliveries]}))
        return
    console().print(facts_of(_known_facts(incident, incident)))
    _show_deliveries(deliveries)


def _show_alert(row: Item, deliveries: Sequence[Item], *, as_json: bool) -> None:
    if as_json:
        event = unpacked(row["event"]) if row.get("event") else None
        echo(to_json({**row, "event": event, "deliveries": [dict(delivery) for delivery in deliveries]}))
        return
    facts = _known_facts(row, _ALERT)
    for container in row.get("containers", ()):
        known = {key: value for key, value in container.items() if value not in (None, "")}
        facts.append(("container", readable(known)))
    console().print(facts_of(facts))
    _show_deliveries(deliveries)


def _known_facts(row: Mapping[str, Any], names: Any) -> list[tuple[str, str]]:
    """Name and text of each field that has a value."""
    known = [(name, row.get(name)) for name in names]
    return [
        (name, local_time(str(value)) if name in _TIMES else readable(value))
        for name, value in known
        if value not in (None, "", [], {})
    ]


def _show_deliveries(deliveries: Sequence[Item]) -> None:
    out = console()
    out.print()
    out.print(table_of(deliveries, DELIVERY_COLUMNS) if deliveries else "No notification was sent.")
