"""`ecs-alert-router incident`: what a person decides about an incident. The router itself then says it."""

import json
import time

import click

from router.cli.silence import user
from router.cli.stack import Stack, pause, reaches_stack
from router.errors import Contended, HistoryError
from router.history.store import Attempt, Change, SubjectWrite
from router.incident.lifecycle import close
from router.incident.state import SubjectState
from router.model import IncidentStatus


@click.group("incident")
def incident_group() -> None:
    """What a person decides about an incident."""


@incident_group.command("close")
@click.argument("id_", metavar="ID")
@click.option("--reason", default="", help="Why; it stands in the message.")
@click.option("--author", default=None, help="Who; the user of this machine if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@reaches_stack
def close_command(*, stack: Stack, id_: str, reason: str, author: str | None, as_json: bool) -> None:
    """End by hand what nothing will resolve: PagerDuty is resolved, and who was told of it is told that it is over."""
    state = _closed(id_, author or user(), reason, stack)
    when = stack.hint(state)
    notified = sorted(name for name, entry in state.outbox.items() if entry.due_at is not None)
    if as_json:
        click.echo(json.dumps({"id": id_, "status": IncidentStatus.CLOSED, "to_be_told": notified}))
    else:
        click.echo(
            f"{id_} is closed; {', '.join(notified) + f' hear of it {when}' if notified else 'nobody is to be told'}"
        )


def _closed(incident_id: str, author: str, reason: str, stack: Stack) -> SubjectState:
    """Raises HistoryError if there is no such incident, or nothing to close."""

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
        raise HistoryError(f"{incident_id} is being written to by the router all the time; try again") from None
    return stored or closed
