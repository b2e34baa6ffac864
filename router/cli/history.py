"""`ecs-alert-router history`: what happened, what was decided, who was told. Works with read-only credentials."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router import clients
from router.errors import HistoryError
from router.history import AlertsWanted, History
from router.items import iso, unpacked
from router.model import Incident, Severity
from router.table import DynamoTable, Item

SEVERITY_STYLES = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "dim"}
OUTCOME_STYLES = {"sent": "green", "retry": "yellow", "failed": "bold red"}
STATUS_STYLES = {"open": "bold red", "recovering": "yellow", "resolved": "green"}
_STYLES = {**SEVERITY_STYLES, **OUTCOME_STYLES, **STATUS_STYLES}
_SPAN = re.compile("([0-9]{1,4})([mhd])")
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_PIPED_WIDTH = 200  # columns where no terminal says how many there are

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
_DELIVERIES = {
    "When": "at",
    "Channel": "channel",
    "Said": "kind",
    "Outcome": "outcome",
    "Attempt": "attempt",
    "Answer": "answer",
}
_ALERT = ("at", "severity", "cause", "title", "decision", "incident", "reason", "stop_code", "task", "task_definition")


class Span(click.ParamType[float]):
    """`90m`, `24h` or `7d`, as seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = _SPAN.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no span of time: write 90m, 24h or 7d", param, ctx)
        return float(int(match[1]) * _UNITS[match[2]])


@click.group("history")
def history_group() -> None:
    """What happened: every alert, every incident, every delivery."""


def reads_history(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --table, --stage and --json, and passes the history that they name as `history`."""

    @click.option(
        "--table", envvar="HISTORY_TABLE", help="The table's name; else that of --stage. [env: HISTORY_TABLE]"
    )
    @click.option(
        "--stage", default="dev", show_default=True, help="Take the table of the stack deployed to this stage."
    )
    @click.option("--json", "as_json", is_flag=True, help="JSON Lines instead of a table.")
    @wraps(command)
    def with_history(*arguments: Any, table: str | None, stage: str, **options: Any) -> None:
        command(*arguments, history=_history(table, stage), **options)

    return with_history


def _history(table: str | None, stage: str) -> History:
    """Only reads, so it keeps nothing: no retention. Raises HistoryError where there is no region or no stack."""
    try:
        name = table or clients.stack_outputs(f"ecs-alert-router-{stage}")["TableName"]
        return History(DynamoTable(clients.dynamodb(), name), retention=0.0)
    except Exception as error:
        raise HistoryError(
            f"the history of stage {stage} is not found ({error}): name its --stage or --table"
        ) from error


@history_group.command("list")
@click.option("--service", help="Of this service.")
@click.option("--family", help="Of this task family, outside of services.")
@click.option("--cluster", default="", help="Of this cluster.")
@click.option("--severity", type=click.Choice([each.value for each in Severity]), default=None)
@click.option("--since", type=Span(), default="24h", show_default=True, help="How far back: 90m, 24h, 7d.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@reads_history
def list_command(
    *,
    history: History,
    service: str | None,
    family: str | None,
    cluster: str,
    severity: str | None,
    since: float,
    limit: int,
    as_json: bool,
) -> None:
    """The alerts, newest first."""
    if service and family:
        raise click.UsageError("--service and --family exclude each other")
    now = time.time()
    subject = f"service:{service}" if service else f"family:{family}" if family else ""
    wanted = AlertsWanted(now - since, now, limit, subject, cluster, severity or "")
    show_rows(history.alerts(wanted, now), LIST_COLUMNS, "No alerts.", as_json=as_json)


@history_group.command("open")
@reads_history
def open_command(*, history: History, as_json: bool) -> None:
    """The open incidents, the longest open first."""
    show_rows(history.open_incidents(time.time()), OPEN_COLUMNS, "No incident is open.", as_json=as_json)


@history_group.command("show")
@click.argument("id_", metavar="ID")
@reads_history
def show_command(*, history: History, id_: str, as_json: bool) -> None:
    """Everything about an incident, an alert or a task, by its ID."""
    now = time.time()
    if show_incident_of(history, id_, now, as_json=as_json):
        return
    row = history.row(id_, now)
    rows = [row] if row else list(history.about(id_, now))
    if not rows:
        raise HistoryError(f"there is no incident, alert or task {id_} (or it has expired)")
    for each in rows:
        _show_alert(each, as_json=as_json)


def show_incident_of(history: History, incident_id: str, now: float, *, as_json: bool = False) -> bool:
    """Shows the incident of that id with its deliveries; says whether there is one."""
    standing = history.incident(incident_id, now)
    if standing is None or standing.incident is None:
        return False
    _show_incident(_incident(standing.incident), history.deliveries(incident_id, now), as_json=as_json)
    return True


def _incident(incident: Incident) -> Item:
    """An incident as its reader sees it."""
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


# --- for people and for machines --------------------------------------------------------------------------------------


def console() -> Console:
    """Colour and the terminal's width on a terminal; plain and wide elsewhere."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], nothing: str, *, as_json: bool) -> None:
    """A table for people, JSON Lines for machines."""
    if as_json:
        for row in rows:
            click.echo(_json(row))
    elif not rows:
        click.echo(nothing, err=True)
    else:
        console().print(table_of(rows, columns))


def table_of(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, row.get(name, "")) for name in columns.values()))
    return table


def _cell(name: str, value: Any) -> str:
    text = local_time(str(value)) if name in {"at", "opened_at"} else str(value)
    style = _STYLES.get(text) if name in {"severity", "outcome", "status"} else None
    return f"[{style}]{text}[/]" if style else escape(text)


def local_time(iso: str) -> str:
    """A stored time in the zone of whoever reads it, to the second."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _show_incident(incident: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """An incident with each of its deliveries."""
    if as_json:
        click.echo(_json({**incident, "deliveries": [dict(each) for each in deliveries]}))
        return
    out = console()
    facts = Table(box=None, pad_edge=False, show_header=False)
    for name, value in incident.items():
        if value not in (None, "", [], {}):
            facts.add_row(f"[bold]{name.replace('_', ' ')}[/]", escape(_readable(value)))
    out.print(facts)
    out.print()
    out.print(table_of(deliveries, _DELIVERIES) if deliveries else "Nobody was told of it.")


def _show_alert(row: Mapping[str, Any], *, as_json: bool) -> None:
    event = unpacked(row["event"]) if row.get("event") else None
    if as_json:
        click.echo(_json({**row, "event": event}))
        return
    facts = Table(box=None, pad_edge=False, show_header=False)
    for name in ("id", *_ALERT):
        if row.get(name):
            facts.add_row(f"[bold]{name.replace('_', ' ')}[/]", escape(str(row[name])))
    for container in row.get("containers", ()):
        told = {key: value for key, value in container.items() if value not in (None, "")}
        facts.add_row("[bold]container[/]", escape(_readable(told)))
    console().print(facts)


def _readable(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _json(row: Mapping[str, Any]) -> str:
    hidden = {"pk", "sk", "ttl", "schema", "state", "version", "due_shard", "open_shard"}
    return json.dumps({key: value for key, value in row.items() if key not in hidden}, default=str, ensure_ascii=False)
