"""Claim: takes alerts in, once, and says who is to be told what.

One transaction writes the alerts' rows (each only if it is not there yet), how things stand with their subject (only if
nobody has moved it on), and in it the leases of what is to be sent now. So an alert is counted exactly once, a row is
never without its decision, and should this process die, what was leased is due again when the lease ends:

    read standing ─► absorb alerts, lease due cells ─► commit ─┬─ written: ours to send
                  ▲                                            ├─ a row was there: settled already, leave it out ─┐
                  └── again ◄──────────────────────────────────┴─ the standing moved on ◄─────────────────────────┘
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from router.errors import Conflict, HistoryUnavailable
from router.incidents import Saying, Standing, absorb, advance, any_due, hold, lease
from router.items import Row, row_key
from router.model import Alert, Decision, Severity, Subject
from router.parts import LONGEST_SEND, Handled, Routed, Router
from router.runtime import Runtime

log = logging.getLogger("ecs-alert-router.claim")

LEASE_MARGIN = 5.0  # seconds that a lease outlives its invocation; far below the queue's visibility timeout
SETTLE_MARGIN = 5.0  # seconds at the end of an invocation in which nothing is waited for but history

TRIES = 6
"""Reads again this often when others are writing to the same subject; then the records are received again."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may send what was leased, and until when (clock time).

    Attributes:
        begin_by: clock time after which there is no time left to send and to write down what came of it.
        settle_by: clock time from which on nothing is waited for but history.
    """

    owner: str
    until: float
    begin_by: float
    settle_by: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What was committed for one subject.

    Attributes:
        rows: the alerts that were new. sayings: what is to be sent under our lease.
        due_before: when somebody had to look at the subject before (clock time).
    """

    standing: Standing
    rows: tuple[Row, ...] = ()
    sayings: tuple[Saying, ...] = ()
    due_before: float | None = None


def claim(routed: Sequence[Routed], standing: Standing, lease_: Lease, runtime: Runtime) -> Claim:
    """Takes in alerts of one subject.

    Args:
        standing: as read at the start of the batch; read again where it has moved on.

    Raises:
        HistoryUnavailable: nothing was written.
    """
    fresh = sorted({each.alert.id: each for each in routed}.values(), key=lambda each: each.alert.at)
    for attempt in range(TRIES):
        if not fresh:
            break
        now = runtime.clock()
        if attempt:
            standing = runtime.history.standing(standing.subject, now)
        made = _decide(fresh, advance(standing, now), lease_, runtime, now)
        try:
            moved_on = made.standing != standing
            stored = runtime.history.commit(now, made.rows, made.standing if moved_on else None)
        except Conflict as conflict:
            fresh = [each for each in fresh if row_key(each.alert.id) not in conflict.keys]
            runtime.pause(attempt)
        else:
            return Claim(stored or standing, made.rows, made.sayings, standing.due_at)
    if fresh:
        raise HistoryUnavailable(f"{standing.subject.fingerprint} was written to by others {TRIES} times in a row")
    return Claim(standing, due_before=standing.due_at)


def _decide(fresh: Iterable[Routed], standing: Standing, lease_: Lease, runtime: Runtime, now: float) -> Claim:
    rows = []
    for each in fresh:
        by = _silenced_by(each, runtime, now)
        standing, decision = absorb(standing, each.alert, each.reached, now, runtime.resolve_after, by)
        counts = decision in {Decision.ANNOUNCED, Decision.HELD_BACK, Decision.RESOLVING}
        incident = standing.incident.id if counts and standing.incident else ""
        rows.append(Row(each.alert, decision, incident, each.event, by if decision is Decision.SILENCED else {}))
    sayings: tuple[Saying, ...] = ()
    if now < lease_.begin_by:  # else what is due stays due, for somebody who has the time
        standing, sayings = lease(held_back(standing, runtime, now), now, lease_.owner, lease_.until)
    return Claim(standing, tuple(rows), sayings)


def _silenced_by(routed: Routed, runtime: Runtime, now: float) -> Mapping[str, str]:
    """Id and reason of the silence that holds an alert back, if it would be heard of at all."""
    if not (routed.reached and routed.alert.severity.at_least(Severity.WARNING)):
        return {}
    silence = runtime.silences.active(routed.alert, now)
    return {silence.id: silence.reason} if silence else {}


def held_back(standing: Standing, runtime: Runtime, now: float) -> Standing:
    """With what is due put off, if a silence holds the incident back. Raises HistoryUnavailable."""
    if standing.incident is None or standing.incident.over or not any_due(standing, now):
        return standing
    silence = runtime.silences.active(standing.incident.alert, now)
    return hold(standing, now, silence.look_again_at(now)) if silence else standing


def wake(standing: Standing, lease_: Lease, runtime: Runtime) -> Claim:
    """Takes the due cells of a subject that nothing new has happened to.

    Raises HistoryUnavailable. When somebody else is at it already, or no time is left, there is nothing to send.
    """
    now = runtime.clock()
    if now >= lease_.begin_by:
        return Claim(standing, due_before=standing.due_at)
    moved = held_back(advance(standing, now), runtime, now)
    moved, sayings = lease(moved, now, lease_.owner, lease_.until)
    if moved == standing:
        return Claim(standing, due_before=standing.due_at)
    try:
        stored = runtime.history.commit(now, standing=moved)
    except Conflict:
        return Claim(standing, due_before=standing.due_at)
    return Claim(stored or moved, (), sayings, standing.due_at)


def concerns_subject(alert: Alert) -> bool:
    """Whether an alert can change how things stand with its subject; all others are rows only and cost no read."""
    return alert.resolves or alert.stopped or alert.severity.at_least(Severity.WARNING)


# --- many subjects at once --------------------------------------------------------------------------------------------


def new_lease(router: Router, remaining: Callable[[], float]) -> Lease:
    """Margins shrink where little time is left from the start: a short invocation still does what it can."""
    left = remaining()
    ends = router.runtime.clock() + left
    settle_by = ends - min(SETTLE_MARGIN, left / 4)
    return Lease(router.new_id(), ends + LEASE_MARGIN, settle_by - min(LONGEST_SEND, left / 2), settle_by)


def wake_all(due: Iterable[Standing], lease: Lease, router: Router) -> Iterable[Claim]:
    """One claim per subject; one that fails leaves its neighbours alone."""
    for standing in due:
        try:
            yield wake(standing, lease, router.runtime)
        except HistoryUnavailable as error:
            log.warning("%s stays due: %s", standing.subject.fingerprint, error)


def claim_all(handled: Sequence[Handled], lease: Lease, router: Router) -> Iterable[Claim]:
    """One claim per subject; one that fails leaves its neighbours alone."""
    groups: dict[Subject, list[Handled]] = {}
    for each in handled:
        groups.setdefault(_alert(each).subject, []).append(each)
    concerned = [subject for subject, mine in groups.items() if any(concerns_subject(_alert(each)) for each in mine)]
    try:
        standings = router.runtime.history.standings(concerned, router.runtime.clock()) if concerned else {}
    except HistoryUnavailable as error:
        _failed(handled, error)
        return
    for subject, mine in groups.items():
        standing = standings.get(subject, Standing(subject))
        try:
            made = claim([each.routed for each in mine if each.routed], standing, lease, router.runtime)
        except HistoryUnavailable as error:
            _failed(mine, error)
        else:
            for row in made.rows:
                router.decided(row.decision)
            _note_decisions(mine, made, router)
            yield made


def _note_decisions(handled: Iterable[Handled], made: Claim, router: Router) -> None:
    """An alert that was there before has the decision that its row holds; unknown if the row cannot be read now."""
    decided = {row.alert.id: row.decision for row in made.rows}
    for each in handled:
        alert_id = _alert(each).id
        each.decision = decided.get(alert_id)
        if each.decision is None:
            with suppress(HistoryUnavailable):  # the claim is made: this must not fail it
                row = router.runtime.history.row(alert_id, router.runtime.clock())
                each.decision = Decision(row["decision"]) if row else None


def _alert(handled: Handled) -> Alert:
    assert handled.routed is not None
    return handled.routed.alert


def _failed(handled: Iterable[Handled], error: HistoryUnavailable) -> None:
    for each in handled:
        each.error = error
