"""`ecs-alert-router incident`: closes incidents by hand. The router then notifies the channels."""

import time

import click

from router.cli.confirm import confirm
from router.cli.groups import CommandGroup
from router.cli.output import echo, echo_json
from router.cli.silence import user
from router.cli.stack import Stack, pause, reaches_stack
from router.errors import Contended, HistoryError
from router.history.store import Attempt, Change, SubjectWrite
from router.incident.lifecycle import close
from router.incident.state import SubjectState
from router.model import Incident, IncidentStatus


@click.group("incident", cls=CommandGroup)
def incident_group() -> None:
    """Close incidents by hand."""


@incident_group.command("close")
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True, help="Why; shown in the message.")
@click.option("--author", default=None, help="Who; default: the user of this machine.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@reaches_stack
def close_command(*, stack: Stack, id_: str, reason: str, author: str | None, yes: bool, as_json: bool) -> None:
    """Close an incident that no event will resolve. Channels that were notified of it are notified of its end."""
    if not reason.strip():
        raise click.UsageError("--reason is empty: say why it is closed; the message shows it")
    if not yes:
        _confirm(_open_incident(id_, stack))
    state = _closed(id_, author or user(), reason, stack)
    when = stack.hint(state)
    channels = sorted(name for name, entry in state.outbox.items() if entry.due_at is not None)
    if as_json:
        echo_json({"id": id_, "status": IncidentStatus.CLOSED, "due_channels": channels})
    else:
        echo(f"{id_} is closed; {f'notifying {when}: ' + ', '.join(channels) if channels else 'no channel to notify'}")


def _open_incident(incident_id: str, stack: Stack) -> Incident:
    """Raises HistoryError if it does not exist or is over."""
    state = stack.history.incident(incident_id, time.time())
    if state is None or state.incident is None:
        raise HistoryError(f"there is no incident {incident_id} (or it has expired): ecs-alert-router history open")
    if state.incident.over:
        raise HistoryError(f"{incident_id} is over already: {state.incident.status}")
    return state.incident


def _confirm(incident: Incident) -> None:
    """Asks first, because everybody is notified and it cannot be undone."""
    echo(f"{incident.alert.title} ({incident.severity}, {incident.status})", err=True)
    confirm(f"Close {incident.id} and notify its channels? It cannot be undone.")


def _closed(incident_id: str, author: str, reason: str, stack: Stack) -> SubjectState:
    """Closes the incident. Raises HistoryError if it does not exist or is over."""

    def read(attempt: Attempt) -> SubjectState | None:
        return stack.history.incident(incident_id, attempt.now)

    def change(state: SubjectState | None, attempt: Attempt) -> Change[SubjectState]:
        if state is None or state.incident is None:
            raise HistoryError(f"there is no incident {incident_id} (or it has expired): ecs-alert-router history open")
        if state.incident.over:
            raise HistoryError(f"{incident_id} is over already: {state.incident.status}")
        closed = close(state, author, reason, attempt.now)
        return Change(closed, SubjectWrite(state=closed))

    try:
        closed, stored, _ = stack.history.update(read, change, time.time, pause)
    except Contended:
        raise HistoryError(f"{incident_id} keeps being changed by the router at the same time; try again") from None
    return stored or closed
