"""Settle: writes down what came of each delivery, per channel, after the send and before anything else."""

from collections.abc import Sequence

from router.errors import Conflict, HistoryUnavailable
from router.history import History
from router.incidents import Delivery, Standing, judge
from router.incidents import settle as move
from router.items import key_of
from router.runtime import Runtime

TRIES = 8
"""Reads again this often when others move the same subject on."""


def settle(standing: Standing, deliveries: Sequence[Delivery], owner: str, runtime: Runtime) -> Standing:
    """Commits the deliveries and what follows from them for the cells.

    Returns:
        The standing as it is now stored.

    Raises:
        HistoryUnavailable: it could not be written. The cells are due again when their lease ends, so the channels
            hear the same once more: the one repeat per crash between acceptance and record.
    """
    for attempt in range(TRIES):
        now = runtime.clock()
        judged = [judge(standing, delivery, now) for delivery in deliveries]
        moved = standing
        for delivery in judged:
            moved = move(moved, delivery, owner, now, runtime.jitter())
        try:
            return runtime.history.commit(now, standing=moved, deliveries=judged) or moved
        except Conflict:
            runtime.pause(attempt)
            standing = _again(runtime.history, standing, now)
    raise HistoryUnavailable(f"{standing.subject.fingerprint} was written to by others {TRIES} times in a row")


def _again(history: History, standing: Standing, now: float) -> Standing:
    """The same incident as it stands now: a later one may have taken its place, then it is in the archive."""
    number = standing.incident.number if standing.incident else 0
    for newest in history.load([key_of(standing)], now):
        if newest.incident and newest.incident.number == number:
            return newest
    archived = history.archived(standing.subject, number, now)
    if archived is None:
        raise HistoryUnavailable(f"incident {number} of {standing.subject.fingerprint} is gone")
    return archived
