"""What each channel has yet to be sent, as a table, and how to drop it."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from router.cli.stack import Stack, pause
from router.errors import Contended
from router.history.store import Attempt, Change, History, SubjectWrite
from router.incident.outbox import drop
from router.incident.state import SubjectState
from router.selfcheck.owed import Owed, owed, totals


def counted(all_owed: Iterable[Owed], configured: Iterable[str]) -> list[dict[str, Any]]:
    """A row for each channel: how much it is owed, and whether this checkout's configuration has it."""
    known = {*configured}
    rows = [{"channel": name, **total, "configured": name in known} for name, total in totals(all_owed).items()]
    return sorted(rows, key=lambda row: (row["configured"], row["channel"]))


def dropped(stack: Stack, channel: str, since: float, *, dry_run: bool) -> Mapping[str, str]:
    """Drops what the channel has yet to be sent, and what failed for good. Returns the outcome in words by incident.

    Args:
        since: clock time of the earliest failure.
    """
    now = time.time()
    failed = [item["incident"] for item in stack.history.failed_deliveries(since, now) if item["channel"] == channel]
    incidents = dict.fromkeys(
        [*(entry.incident for entry in owed(stack.history, now) if entry.channel == channel), *failed]
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
