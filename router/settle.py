"""Settle: records the results of the sends, and schedules what follows from them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from router.aws.queues import MAX_DELAY, Queues
from router.channels.health import record_outcomes
from router.channels.rate_limit import charge_at_completion
from router.channels.state import ChannelStates
from router.context import Answered, Claims, Runtime
from router.errors import HistoryUnavailable
from router.history.items import key_of
from router.history.store import BACKGROUND_TRIES, Attempt, Change, Changes, History, SubjectWrite
from router.history.table import MAX_PUTS, Key
from router.incident.outbox import apply_delivery, fail_if_exhausted
from router.incident.state import Delivery, SubjectState
from router.model import Subject

log = logging.getLogger("ecs-alert-router.settle")


class SendResults(NamedTuple):
    """The results of all jobs of an invocation.

    Attributes:
        states: of the claimed subjects, as they are stored now.
        finished_at: by endpoint, the clock time at which its last send ended.
    """

    states: Mapping[Key, SubjectState]
    answers: Sequence[Answered] = ()
    finished_at: Mapping[str, float] = MappingProxyType({})

    @property
    def sent(self) -> list[tuple[Subject, Delivery]]:
        """Every attempt with its subject; a bundle is an attempt for each of its members."""
        return [
            (state.subject, delivery._replace(dispatch=dispatch))
            for job, delivery in self.answers
            for state, dispatch in job.members
        ]


# --- states of the subjects -------------------------------------------------------------------------------------------


class _Settlement(NamedTuple):
    """The deliveries of one subject, and its state as it was last known."""

    key: Key
    state: SubjectState
    deliveries: Sequence[Delivery]


def record_results(answers: Iterable[Sequence[Answered]], claims: Claims, owner: str, runtime: Runtime) -> SendResults:
    """Records each batch of answers as soon as it is there.

    A result that cannot be recorded becomes due again when its lease ends, and is then sent a second time.
    """
    states = {key_of(claim.state): claim.state for claim in claims.claims}
    received: list[Answered] = []
    finished_at: dict[str, float] = {}
    for batch in answers:
        now = runtime.clock()
        received += batch
        finished_at |= {job.channel.endpoint: now - delivery.waited for job, delivery in batch if job.channel}
        deliveries: dict[Key, list[Delivery]] = {}
        for job, delivery in batch:
            for state, dispatch in job.members:
                deliveries.setdefault(key_of(state), []).append(delivery._replace(dispatch=dispatch))
        states |= _record(list(_settlements(deliveries, states)), owner, runtime)
    return SendResults(states, received, finished_at)


def _settlements(
    deliveries: Mapping[Key, Sequence[Delivery]], states: Mapping[Key, SubjectState]
) -> Iterator[_Settlement]:
    """Each with as many deliveries as one transaction takes. Two of one subject never share a transaction."""
    most = MAX_PUTS - 1  # beside the subject's state
    for key, attempts in deliveries.items():
        for start in range(0, len(attempts), most):
            yield _Settlement(key, states[key], attempts[start : start + most])


def _record(settlements: Sequence[_Settlement], owner: str, runtime: Runtime) -> dict[Key, SubjectState]:
    """Returns the states that were stored."""
    history = runtime.history

    def read(parts: Sequence[_Settlement], attempt: Attempt) -> list[SubjectState]:
        known = [settlement.state for settlement in parts]  # since the claim: mostly nobody has changed it
        first = attempt.number == 0 and len(parts) == len(settlements)
        return known if first else _reload(known, history, attempt.now)

    def change(states: list[SubjectState], parts: Sequence[_Settlement], attempt: Attempt) -> Changes[None]:
        return Changes(
            [
                Change(None, _settled(state, settlement.deliveries, owner, attempt.now, runtime.jitter))
                for state, settlement in zip(states, parts, strict=True)
            ]
        )

    stored: dict[Key, SubjectState] = {}
    outcomes = history.update_all(settlements, read, change, runtime.clock, runtime.pause)
    for settlement, outcome in zip(settlements, outcomes, strict=True):
        if isinstance(outcome, HistoryUnavailable):
            lost = settlement.deliveries
            log.error("not recorded, so it may be sent again when the lease ends: %s", lost, exc_info=outcome)
        elif outcome.state:
            stored[settlement.key] = outcome.state
    return stored


def _settled(
    state: SubjectState, attempts: Sequence[Delivery], owner: str, now: float, jitter: Callable[[], float]
) -> SubjectWrite:
    deliveries = [fail_if_exhausted(state, delivery, now) for delivery in attempts]
    settled = state
    for delivery in deliveries:
        settled = apply_delivery(settled, delivery, owner, now, jitter())
    return SubjectWrite((), settled, deliveries)


def _reload(states: Sequence[SubjectState], history: History, now: float) -> list[SubjectState]:
    """The same incidents as they are now; one that a later incident has replaced is in the archive.

    Raises:
        HistoryUnavailable: an incident is gone, or history cannot be read.
    """
    loaded = {key_of(state): state for state in history.load([key_of(state) for state in states], now)}
    incidents = []
    for state in states:
        number = state.incident.number if state.incident else 0
        newest = loaded.get(key_of(state))
        if not (newest and newest.incident and newest.incident.number == number):
            newest = history.archived(state.subject, number, now)
        if newest is None:
            raise HistoryUnavailable(f"incident {number} of {state.subject.fingerprint} is gone")
        incidents.append(newest)
    return incidents


# --- what follows -----------------------------------------------------------------------------------------------------


def record_channel_states(results: SendResults, claims: Claims, runtime: Runtime) -> None:
    """Records which channels fail, work again or were slow; most of the time nothing has changed."""
    history = runtime.history
    deliveries = [delivery for _, delivery in results.answers]

    def read(_: Sequence[None], attempt: Attempt) -> ChannelStates:
        return history.channel_states(attempt.now)

    def change(before: ChannelStates, _: Sequence[None], attempt: Attempt) -> Changes[None]:
        outcomes = record_outcomes(before, deliveries, attempt.now)
        after = charge_at_completion(outcomes, claims.granted_at, results.finished_at)
        return Changes([Change(None)], after if after != before else None)

    if change(claims.channel_states, [None], Attempt(runtime.clock())).channel_states is None:
        return
    # On the states as they are now: those of the claim may be seconds old.
    (outcome,) = history.update_all([None], read, change, runtime.clock, runtime.pause, BACKGROUND_TRIES)
    if isinstance(outcome, HistoryUnavailable):
        log.warning("the next attempt to send will record it: %s", outcome)


def schedule_checks(results: SendResults, claims: Claims, queues: Queues, clock: Callable[[], float]) -> None:
    """Schedules a check if something becomes due soon; without it, the tick would find it up to a minute late."""
    for claim in claims.claims:
        key = key_of(claim.state)
        check_at, now = results.states[key].next_check_at, clock()
        if check_at is not None and check_at != claim.checked_at and check_at - now < MAX_DELAY - 1:
            queues.schedule_check(key_of(results.states[key]), check_at - now)
    for bundle_at in sorted({*claims.bundle_at}):
        queues.schedule_tick(bundle_at - clock())
