"""What each channel has yet to be sent, and how to drop it: for a channel that is to be removed from the configuration.

A channel that is removed gets no more messages. Whoever is waiting on it for the end of an incident never hears of it.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from router.cli.stack import Stack, pause
from router.errors import Contended
from router.history.store import Attempt, Change, History, SubjectWrite
from router.incident.outbox import drop
from router.incident.state import SubjectState

_FAR = 366 * 86400.0  # seconds: everything that is due at all


class Owed(NamedTuple):
    """What a channel has yet to be sent of one incident.

    Attributes:
        due: a message is due, now or later; otherwise only the end of the incident is.
    """

    channel: str
    incident: str
    due: bool


def owed(history: History, now: float) -> Iterator[Owed]:
    """Each channel and incident of which the channel has yet to be sent something."""
    for state in _states(history, now):
        incident = state.incident
        if incident is None:
            continue
        for channel, entry in state.outbox.items():
            if entry.due_at is not None or entry.is_behind or (entry.knows_incident and not incident.over):
                yield Owed(channel, incident.id, entry.due_at is not None)


def _states(history: History, now: float) -> Iterable[SubjectState]:
    keys = [(item["pk"], item["sk"]) for item in history.open_incidents(now)]
    states = {state.subject: state for state in history.load(keys, now)} if keys else {}
    return {**states, **{state.subject: state for state in history.due(now + _FAR)}}.values()


def counted(all_owed: Iterable[Owed], configured: Iterable[str]) -> list[dict[str, Any]]:
    """A row for each channel: how much it is owed, and whether this checkout's configuration has it."""
    rows: dict[str, dict[str, Any]] = {}
    known = {*configured}
    for each in all_owed:
        row = rows.setdefault(
            each.channel, {"channel": each.channel, "due": 0, "open_incidents": 0, "configured": each.channel in known}
        )
        row["due" if each.due else "open_incidents"] += 1
    return sorted(rows.values(), key=lambda row: (row["configured"], row["channel"]))


def dropped(stack: Stack, channel: str, since: float, *, dry_run: bool) -> Mapping[str, str]:
    """Drops what the channel has yet to be sent, and what failed for good. Returns the outcome in words by incident.

    Args:
        since: clock time of the earliest failure.
    """
    now = time.time()
    failed = [item["incident"] for item in stack.history.failed_deliveries(since, now) if item["channel"] == channel]
    incidents = dict.fromkeys(
        [*(each.incident for each in owed(stack.history, now) if each.channel == channel), *failed]
    )
    return {incident: _dropped(stack.history, incident, channel, dry_run=dry_run) for incident in incidents}


def _dropped(history: History, incident_id: str, channel: str, *, dry_run: bool) -> str:
    def read(attempt: Attempt) -> SubjectState | None:
        return history.incident(incident_id, attempt.now)

    def change(state: SubjectState | None, attempt: Attempt) -> Change[str]:
        if state is None or channel not in state.outbox:
            return Change("skipped: there is nothing left to drop")
        changed, why_not = drop(state, channel, attempt.now)
        if why_not:
            return Change(f"left: {why_not}")
        if dry_run:
            return Change("would be dropped")
        return Change("dropped", SubjectWrite(state=changed))

    try:
        return history.update(read, change, time.time, pause).result
    except Contended:
        return "left: the router kept changing its incident at the same time; try again"
