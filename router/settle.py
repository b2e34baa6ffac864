"""Settle: writes down what came of each delivery, per channel, after the send."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from router.errors import Conflict, HistoryUnavailable
from router.history.items import key_of
from router.history.store import History, SubjectWrite
from router.history.table import MAX_PUTS, Key
from router.incident.outbox import apply_delivery as move
from router.incident.outbox import fail_if_exhausted
from router.incident.state import Delivery, SubjectState
from router.runtime import Runtime

log = logging.getLogger("ecs-alert-router.settle")

TRIES = 8
"""Reads again this often when others move the same subject on."""

Answers = Mapping[Key, tuple[SubjectState, Sequence[Delivery]]]


def record_all(told: Answers, owner: str, runtime: Runtime) -> dict[Key, SubjectState]:
    """Commits the deliveries of many subjects, as many in one transaction as it takes.

    Returns:
        The standings as far as they are known now. What could not be recorded is due again when its lease ends, so the
        channels hear it once more: the one repeat per crash between acceptance and record.
    """
    known = {key: state for key, (state, _) in told.items()}
    for batch in _batches(told):
        try:
            known |= _record_batch(batch, owner, runtime)
        except (Conflict, HistoryUnavailable):
            for key, (state, deliveries) in batch.items():
                try:
                    known[key] = record(state, deliveries, owner, runtime)
                except HistoryUnavailable:
                    log.exception("not recorded, so it may be said once more when the lease ends: %s", deliveries)
    return known


def _batches(told: Answers) -> Iterator[Answers]:
    batch: dict[Key, tuple[SubjectState, Sequence[Delivery]]] = {}
    size = 0
    for key, each in told.items():
        if size + 1 + len(each[1]) > MAX_PUTS:
            yield batch
            batch, size = {}, 0
        batch[key] = each
        size += 1 + len(each[1])
    if batch:
        yield batch


def _record_batch(batch: Answers, owner: str, runtime: Runtime) -> dict[Key, SubjectState]:
    now = runtime.clock()
    changes = [_transition(state, deliveries, owner, now, runtime) for state, deliveries in batch.values()]
    return {key_of(each): each for each in runtime.history.commit_all(now, changes) if each}


def _transition(
    state: SubjectState, deliveries: Sequence[Delivery], owner: str, now: float, runtime: Runtime
) -> SubjectWrite:
    judged = [fail_if_exhausted(state, delivery, now) for delivery in deliveries]
    for delivery in judged:
        state = move(state, delivery, owner, now, runtime.jitter())
    return SubjectWrite((), state, judged)


def record(state: SubjectState, deliveries: Sequence[Delivery], owner: str, runtime: Runtime) -> SubjectState:
    """Commits the deliveries of one subject and what follows from them for its cells.

    Returns:
        The standing as it is now stored.

    Raises:
        HistoryUnavailable: it could not be written.
    """
    for attempt in range(TRIES):
        now = runtime.clock()
        change = _transition(state, deliveries, owner, now, runtime)
        try:
            return runtime.history.commit_all(now, [change])[0] or state
        except Conflict:
            runtime.pause(attempt)
            state = _reload(runtime.history, state, now)
    raise HistoryUnavailable(f"{state.subject.fingerprint} was written to by others {TRIES} times in a row")


def _reload(history: History, state: SubjectState, now: float) -> SubjectState:
    """The same incident as it stands now: a later one may have taken its place, then it is in the archive."""
    number = state.incident.number if state.incident else 0
    for newest in history.load([key_of(state)], now):
        if newest.incident and newest.incident.number == number:
            return newest
    archived = history.archived(state.subject, number, now)
    if archived is None:
        raise HistoryUnavailable(f"incident {number} of {state.subject.fingerprint} is gone")
    return archived
