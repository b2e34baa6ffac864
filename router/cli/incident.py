"""`ecs-alert-router incident`: closes incidents by hand. The router then notifies the channels."""

import time

import click

from router.cli.output import echo, echo_json
from router.cli.silence import user
from router.cli.stack import Stack, pause, reaches_stack
from router.errors import Contended, HistoryError
from router.history.store import Attempt, Change, SubjectWrite
from router.incident.lifecycle import close
from router.incident.state import SubjectState
from router.model import IncidentStatus


@click.group("incident")
def incident_group() -> None:
    """Close incidents by hand."""


@incident_group.command("close")
@click.argument("id_", metavar="ID")
@click.option("--reason", default="", help="Why; shown in the message.")
@click.option("--author", default=None, help="Who; default: the user of this machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@reaches_stack
def close_command(*, stack: Stack, id_: str, reason: str, author: str | None, as_json: bool) -> None:
    """Close an incident that no event will resolve. Channels that were notified of it are told that it ended."""
    state = _closed(id_, author or user(), reason, stack)
    when = stack.hint(state)
    channels = sorted(name for name, entry in state.outbox.items() if entry.due_at is not None)
    if as_json:
        echo_json({"id": id_, "status": IncidentStatus.CLOSED, "to_be_told": channels})
    else:
        echo(f"{id_} is closed; {f'notifying {when}: ' + ', '.join(channels) if channels else 'no channel to notify'}")


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
        return Change(closed, [SubjectWrite(state=closed)])

    try:
        closed, (stored,) = stack.history.update(read, change, time.time, pause)
    except Contended:
        raise HistoryError(f"{incident_id} keeps being changed by the router at the same time; try again") from None
    return stored or closed
