"""Claim: takes alerts in, once, and says who is to be told what, by whom.

One transaction writes the alerts' rows (each only if it is not there yet), how things stand with their subjects and
with the channels (only if nobody has moved them on), and in them the leases of what is to be sent now. So an alert is
counted exactly once, a row is never without its decision, no budget is spent twice, and should this process die, what
was leased is due again when the lease ends:

    read ─► absorb alerts ─► share out budgets ─► lease ─► commit ─┬─ written: ours to send
      ▲                                                            ├─ a row was there: settled already, leave it out ─┐
      └── again ◄──────────────────────────────────────────────────┴─ a standing, or the channels, moved on ◄─────────┘

A batch is one transaction while that goes well; one that does not is taken subject by subject.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

from router.channels.rate_limit import Allocation, RateLimit, EndpointLimit, SendRequest, allocate
from router.channels.state import ChannelStates
from router.context import LONGEST_SEND, EventResult, RoutedAlert, Dependencies
from router.errors import Conflict, HistoryUnavailable
from router.history.items import CHANNEL_STATES_KEY, AlertRecord, is_row_key, key_of, row_key
from router.history.store import SubjectWrite
from router.history.table import MAX_PUTS, Item, Key
from router.incident.lifecycle import apply_alert, advance
from router.incident.outbox import due_channels, postpone, next_kind, take_lease
from router.incident.recurrence import DEPLOYMENT_STARTED
from router.incident.state import Dispatch, SubjectState, LeaseGrant, SendMode
from router.model import Alert, Decision, Kind, Severity, Subject

log = logging.getLogger("ecs-alert-router.claim")

LEASE_MARGIN = 5.0  # seconds that a lease outlives its invocation; far below the queue's visibility timeout
SETTLE_MARGIN = 5.0  # seconds at the end of an invocation in which nothing is waited for but history

BATCH_TRIES = 2
"""Tries at a whole batch; then its subjects are taken one by one."""
TRIES = 6
"""Reads again this often when others are writing to the same subject; then the records are received again."""
_MAX_FAILURES = 3  # of history, one after the other, after which the rest of a long list is left to the next tick


class InvocationLease(NamedTuple):
    """Who may send what was leased, and until when (clock time).

    Attributes:
        begin_by: clock time after which there is no time left to send and to write down what came of it.
        settle_by: clock time from which on nothing is waited for but history.
    """

    owner: str
    until: float
    begin_by: float
    settle_by: float


class Claim(NamedTuple):
    """What was committed for one subject.

    Attributes:
        rows: the alerts that were new. sayings: what is to be sent under our lease.
        recalled: when somebody had to look at the subject before (clock time).
    """

    state: SubjectState
    rows: tuple[AlertRecord, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()
    checked_at: float | None = None


class Claims(NamedTuple):
    """What was committed for a batch.

    Attributes:
        condition: of the channels, as far as it is known.
        gather_at: clock times at which a gathering is to take place that was not to before.
        granted: by endpoint, when turns were given.
    """

    claims: tuple[Claim, ...] = ()
    channel_states: ChannelStates = ChannelStates()
    bundle_at: tuple[float, ...] = ()
    granted_at: Mapping[str, float] = MappingProxyType({})

    def joined(self, other: "Claims") -> "Claims":
        condition = other.channel_states if other.claims else self.channel_states
        gather_at, granted = (*self.bundle_at, *other.bundle_at), {**self.granted_at, **other.granted_at}
        return Claims((*self.claims, *other.claims), condition, gather_at, granted)


def invocation_lease(router: Dependencies, remaining: Callable[[], float]) -> InvocationLease:
    """Margins shrink where little time is left from the start: a short invocation still does what it can."""
    left = remaining()
    ends = router.runtime.clock() + left
    settle_by = ends - min(SETTLE_MARGIN, left / 4)
    return InvocationLease(router.new_id(), ends + LEASE_MARGIN, settle_by - min(LONGEST_SEND, left / 2), settle_by)


# --- alerts come in ---------------------------------------------------------------------------------------------------

_Groups = Mapping[Subject, Sequence[EventResult]]


def claim_all(results: Sequence[EventResult], invocation: InvocationLease, router: Dependencies) -> Claims:
    """Takes in the alerts of a batch, and notes in `handled` what was decided, or why it could not be written."""
    groups: dict[Subject, list[EventResult]] = {}
    for each in results:
        groups.setdefault(_alert_of(each).subject, []).append(each)
    made = Claims()
    for lot in _batches(groups):
        try:
            made = made.joined(_claim(lot, invocation, router, BATCH_TRIES if len(lot) > 1 else TRIES))
        except HistoryUnavailable as error:
            made = made.joined(_one_by_one(lot, invocation, router) if len(lot) > 1 else _failed(lot, error))
    return made


def _batches(groups: _Groups) -> Iterator[_Groups]:
    """As many subjects as one transaction takes; a subject with more alerts than that, in lots of its own."""
    lot: dict[Subject, Sequence[EventResult]] = {}
    size = 1  # for the channels
    for subject, all_mine in groups.items():
        most = MAX_PUTS - 3
        for mine in (all_mine[start : start + most] for start in range(0, len(all_mine), most)):
            if lot and (size + len(mine) + 2 > MAX_PUTS or subject in lot):
                yield lot
                lot, size = {}, 1
            lot[subject] = mine
            size += len(mine) + 2  # its standing, and the one that it may replace
    if lot:
        yield lot


def _one_by_one(lot: _Groups, lease_: InvocationLease, router: Dependencies) -> Claims:
    """What fails for one subject leaves its neighbours alone."""
    made = Claims()
    for subject, mine in lot.items():
        alone = {subject: mine}
        try:
            made = made.joined(_claim(alone, lease_, router, TRIES))
        except HistoryUnavailable as error:
            made = made.joined(_failed(alone, error))
    return made


def _failed(lot: _Groups, error: HistoryUnavailable) -> Claims:
    for each in (each for mine in lot.values() for each in mine):
        each.error = error
    return Claims()


def _claim(groups: _Groups, lease_: InvocationLease, router: Dependencies, tries: int) -> Claims:
    """Raises HistoryUnavailable: nothing was written, or nothing is known."""
    runtime = router.runtime
    fresh = {subject: _by_time(mine) for subject, mine in groups.items()}
    concerned = [subject for subject, mine in fresh.items() if any(_concerns_subject(each.alert) for each in mine)]
    claims, found = Claims(), None
    settled: dict[Key, Item] = {}
    for attempt in range(tries):
        now = runtime.clock()
        if found is None:
            found = runtime.history.states(concerned, now) if concerned else ({}, ChannelStates())
        drafts = [
            _apply_alerts(found[0].get(subject, SubjectState(subject)), fresh[subject], router, now)
            for subject in fresh
        ]
        claims, changes, condition = _decide(drafts, found[1], lease_, router, now)
        try:
            stored = runtime.history.commit_all(now, changes, condition)
        except Conflict as conflict:
            settled |= conflict.items
            if not _only_rows_conflict(conflict):
                found = None
            fresh = _without(fresh, conflict)
            runtime.pause(attempt)
        else:
            made = zip(claims.claims, stored, strict=True)
            claims = claims._replace(claims=tuple(each._replace(state=new or each.state) for each, new in made))
            break
        claims = Claims()
        if not fresh:
            break
    else:
        raise HistoryUnavailable(f"{next(iter(fresh)).fingerprint} was written to by others {tries} times in a row")
    _set_decisions(groups, claims, settled, router)
    return claims


def _only_rows_conflict(conflict: Conflict) -> bool:
    """Whether only rows were there before: then how things stand is as it was read."""
    return bool(conflict.keys) and all(map(is_row_key, conflict.keys))


def _by_time(handled: Iterable[EventResult]) -> list[RoutedAlert]:
    unique = {each.routed.alert.id: each.routed for each in handled if each.routed}
    return sorted(unique.values(), key=lambda routed: routed.alert.at)


def _without(fresh: Mapping[Subject, Sequence[RoutedAlert]], conflict: Conflict) -> dict[Subject, list[RoutedAlert]]:
    left = {
        subject: [each for each in mine if row_key(each.alert.id) not in conflict.keys]
        for subject, mine in fresh.items()
    }
    return {subject: mine for subject, mine in left.items() if mine}


def _concerns_subject(alert: Alert) -> bool:
    """Whether an alert can change how things stand with its subject; all others are rows only and cost no read."""
    begun = alert.cause == DEPLOYMENT_STARTED
    return begun or alert.resolves or alert.stopped or alert.severity.at_least(Severity.WARNING)


class _Transition(NamedTuple):
    before: SubjectState
    state: SubjectState
    rows: tuple[AlertRecord, ...] = ()


def _apply_alerts(before: SubjectState, fresh: Iterable[RoutedAlert], router: Dependencies, now: float) -> _Transition:
    standing, rows = advance(before, now), []
    for each in fresh:
        by = _silenced_by(each, router, now)
        standing, decision = apply_alert(standing, each.alert, each.targets, now, router.runtime.resolve_after, by)
        counts = decision in {Decision.ANNOUNCED, Decision.HELD_BACK, Decision.RESOLVING}
        incident = standing.incident.id if counts and standing.incident else ""
        rows.append(
            AlertRecord(each.alert, decision, incident, each.event, by if decision is Decision.SILENCED else {})
        )
    return _Transition(before, _postponed_by_silence(standing, router, now), tuple(rows))


def _silenced_by(routed: RoutedAlert, router: Dependencies, now: float) -> Mapping[str, str]:
    """Id and reason of the silence that holds an alert back, if it would be heard of at all."""
    if not (routed.targets and routed.alert.severity.at_least(Severity.WARNING)):
        return {}
    silence = router.runtime.silences.active(routed.alert, now)
    return {silence.id: silence.reason} if silence else {}


def _postponed_by_silence(standing: SubjectState, router: Dependencies, now: float) -> SubjectState:
    """With what is due put off, if a silence holds the incident back. Raises HistoryUnavailable."""
    if standing.incident is None or standing.incident.over or not due_channels(standing, now):
        return standing
    silence = router.runtime.silences.active(standing.incident.alert, now)
    return postpone(standing, now, silence.recheck_at(now)) if silence else standing


def _decide(
    drafts: Sequence[_Transition], condition: ChannelStates, lease_: InvocationLease, router: Dependencies, now: float
) -> tuple[Claims, list[SubjectWrite], ChannelStates | None]:
    """Who speaks now, and what is to be written for that."""
    allotted = Allocation(condition)
    if now < lease_.begin_by:  # else what is due stays due, for somebody who has the time
        allotted = _allocate([draft.state for draft in drafts], condition, router, now, collecting=False)
    made, changes = [], []
    for draft in drafts:
        terms = _lease_grant(draft.state, lease_, allotted, allotted.retry_at)
        standing, sayings = take_lease(draft.state, now, terms)
        rows = tuple(_with_final_decision(row, sayings, standing) for row in draft.rows)
        changes.append(SubjectWrite(rows, standing if standing != draft.before else None))
        made.append(Claim(standing, rows, sayings, draft.before.next_check_at))
    claims = Claims(tuple(made), allotted.channel_states, _new_bundle_times(condition, allotted), allotted.granted_at)
    return claims, changes, _changed_channel_states(condition, allotted)


def _lease_grant(
    standing: SubjectState, lease_: InvocationLease, allotted: Allocation, waits: Mapping[str, float]
) -> LeaseGrant:
    return LeaseGrant(lease_.owner, lease_.until, allotted.grants.get(key_of(standing), {}), waits)


def _with_final_decision(row: AlertRecord, sayings: Iterable[Dispatch], standing: SubjectState) -> AlertRecord:
    """An alert that no channel hears of by itself is gathered: now, or when its channels have a turn for it."""
    if row.decision is not Decision.ANNOUNCED or any(saying.mode is SendMode.SINGLE for saying in sayings):
        return row
    gathered = any(saying.mode is SendMode.BUNDLED for saying in sayings) or any(
        cell.throttled and not cell.stateful for cell in standing.outbox.values()
    )
    return row._replace(decision=Decision.GATHERED) if gathered else row


def _set_decisions(groups: _Groups, claims: Claims, settled: Mapping[Key, Item], router: Dependencies) -> None:
    """An alert that was there before has the decision that its row holds; unknown if the row cannot be read now.

    Args:
        settled: what the refusal of a commit told of such rows, so that they need not be read.
    """
    decided = {row.alert.id: row.decision for each in claims.claims for row in each.rows}
    for decision in decided.values():
        router.count_decision(decision)
    handled = [each for mine in groups.values() for each in mine]
    before = {_alert_of(each).id for each in handled} - decided.keys()
    rows = {each: settled[key] for each in before if (key := row_key(each)) and key in settled}
    with suppress(HistoryUnavailable):  # the claim is made: this must not fail it
        rows |= router.runtime.history.rows(sorted(before - rows.keys()), router.runtime.clock())
    decided |= {each: Decision(row["decision"]) for each, row in rows.items()}
    for each in handled:
        each.decision = decided.get(_alert_of(each).id)


def _alert_of(handled: EventResult) -> Alert:
    assert handled.routed is not None
    return handled.routed.alert


# --- time has come ----------------------------------------------------------------------------------------------------


def claim_due(due: Sequence[SubjectState], lease_: InvocationLease, router: Dependencies, *, all_due: bool) -> Claims:
    """Takes the due cells of subjects that nothing new has happened to, as far as the budgets go.

    What somebody else is at already, or what cannot be written, is left to the next tick.

    Args:
        collecting: whether this is everything that is due; see `router.channels.rate_limit`.
    """
    runtime = router.runtime
    now = runtime.clock()
    if now >= lease_.begin_by:
        return Claims()
    condition = runtime.history.channel_states(now)
    advanced = [_postponed_by_silence(advance(standing, now), router, now) for standing in due]
    allotted = _allocate(advanced, condition, router, now, collecting=all_due)
    woken = [
        (
            before,
            *take_lease(standing, now, _lease_grant(standing, lease_, allotted, {})),
        )  # what waits already needs no writing
        for before, standing in zip(due, advanced, strict=True)
    ]
    moved = [(SubjectWrite((), after), sayings, before) for before, after, sayings in woken if after != before]
    written = _commit_due([change for change, _, _ in moved], _changed_channel_states(condition, allotted), router, now)
    made = tuple(
        Claim(written[key_of(before)], (), sayings, before.next_check_at)
        for _, sayings, before in moved
        if key_of(before) in written
    )
    return Claims(made, allotted.channel_states, _new_bundle_times(condition, allotted), allotted.granted_at)


def _commit_due(
    changes: Sequence[SubjectWrite], condition: ChannelStates | None, router: Dependencies, now: float
) -> dict[Key, SubjectState]:
    """Writes as many standings in one transaction as it takes, and leaves out what others have moved on.

    Returns:
        What is stored now, by key. Nothing, where somebody else has shared out the budgets meanwhile.
    """
    written: dict[Key, SubjectState] = {}
    left, failures = list(changes), 0
    while left or condition:
        lot = left[: 1 if failures else MAX_PUTS - 1]
        try:
            stored = router.runtime.history.commit_all(now, lot, condition)
        except Conflict as conflict:
            if CHANNEL_STATES_KEY in conflict.keys:
                return written
            failures += not conflict.keys
            left = [each for each in left if each.state and key_of(each.state) not in conflict.keys]
        except HistoryUnavailable as error:
            log.warning("left to the next tick: %s", error)
            failures += 1
            left = left[len(lot) :] if len(lot) == 1 else left
            if failures > _MAX_FAILURES or not left:
                return written
        else:
            written |= {key_of(each): each for each in stored if each}
            left, condition, failures = left[len(lot) :], None, 0
    return written


# --- budgets ----------------------------------------------------------------------------------------------------------


def _allocate(
    standings: Iterable[SubjectState], condition: ChannelStates, router: Dependencies, now: float, *, collecting: bool
) -> Allocation:
    asked = [want for standing in standings for want in send_requests(standing, now)]
    if not asked and not (collecting and condition.bundles):
        return Allocation(condition)
    return allocate(condition, asked, endpoint_limits(router), now, all_due=collecting)


def send_requests(standing: SubjectState, now: float) -> Iterator[SendRequest]:
    """What is to be said of an incident now, if the budgets allow it."""
    incident = standing.incident
    if incident is None:
        return
    for channel in due_channels(standing, now):
        over = next_kind(incident, standing.outbox[channel]) is Kind.RESOLVED
        yield SendRequest(key_of(standing), channel, (float(over), -incident.severity.rank, incident.opened_at))


def endpoint_limits(router: Dependencies) -> dict[str, EndpointLimit]:
    """The configured channels, as the budgets see them."""
    return {
        name: EndpointLimit(source.endpoint, RateLimit(*source.budget), source.stateful)
        for name, source in router.config.channels.items()
    }


def _changed_channel_states(before: ChannelStates, allotted: Allocation) -> ChannelStates | None:
    """What is to be written of the channels; nothing, where only time has passed."""
    changed = allotted.grants or allotted.channel_states.bundles != before.bundles
    return allotted.channel_states if changed else None


def _new_bundle_times(before: ChannelStates, allotted: Allocation) -> tuple[float, ...]:
    gatherings = allotted.channel_states.bundles
    return tuple(each.at for name, each in gatherings.items() if before.bundles.get(name) != each)
