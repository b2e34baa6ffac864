"""`ecs-alert-router incident`: closes incidents by hand. The router then notifies the channels."""

import json
import time

import click

from router.cli.silence import user
from router.cli.stack import Stack, reaches_stack
from router.errors import Conflict, HistoryError
from router.incident.lifecycle import close
from router.incident.state import SubjectState

TRIES = 5
"""Attempts before giving up when the router writes to the same subject."""


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
        click.echo(json.dumps({"id": id_, "status": "closed", "to_be_told": channels}))
    else:
        click.echo(
            f"{id_} is closed; {f'notifying {when}: ' + ', '.join(channels) if channels else 'no channel to notify'}"
        )


def _closed(incident_id: str, author: str, reason: str, stack: Stack) -> SubjectState:
    """Closes the incident. Raises HistoryError if it does not exist or is over."""
    for attempt in range(TRIES):
        now = time.time()
        state = stack.history.incident(incident_id, now)
        if state is None or state.incident is None:
            raise HistoryError(f"there is no incident {incident_id} (or it has expired): ecs-alert-router history open")
        if state.incident.over:
            raise HistoryError(f"{incident_id} is over already: {state.incident.status}")
        closed = close(state, author, reason, now)
        try:
            return stack.history.commit(now, state=closed) or closed
        except Conflict:
            time.sleep(0.05 * 2**attempt)
    raise HistoryError(f"the router kept changing {incident_id} at the same time; try again")
