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

from router.channels.rate_limit import Allocation, EndpointLimit, RateLimit, SendRequest, allocate
from router.channels.state import ChannelStates
from router.context import LONGEST_SEND, Dependencies, EventResult, RoutedAlert
from router.errors import Conflict, HistoryUnavailable
from router.history.items import CHANNEL_STATES_KEY, DECISION, AlertRecord, is_row_key, key_of, row_key
from router.history.store import SubjectWrite
from router.history.table import MAX_PUTS, Item, Key
from router.incident.lifecycle import advance, apply_alert
from router.incident.outbox import due_channels, next_kind, postpone, take_lease
from router.incident.recurrence import DEPLOYMENT_STARTED
from router.incident.state import Dispatch, LeaseGrant, SendMode, SubjectState
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
        channel_states = other.channel_states if other.claims else self.channel_states
        gather_at, granted = (*self.bundle_at, *other.bundle_at), {**self.granted_at, **other.granted_at}
        return Claims((*self.claims, *other.claims), channel_states, gather_at, granted)


def invocation_lease(deps: Dependencies, remaining: Callable[[], float]) -> InvocationLease:
    """Margins shrink where little time is left from the start: a short invocation still does what it can."""
    left = remaining()
    ends = deps.runtime.clock() + left
    settle_by = ends - min(SETTLE_MARGIN, left / 4)
    return InvocationLease(deps.new_id(), ends + LEASE_MARGIN, settle_by - min(LONGEST_SEND, left / 2), settle_by)


# --- alerts come in ---------------------------------------------------------------------------------------------------

_Groups = Mapping[Subject, Sequence[EventResult]]


def claim_all(results: Sequence[EventResult], invocation: InvocationLease, deps: Dependencies) -> Claims:
    """Takes in the alerts of a batch, and notes in `handled` what was decided, or why it could not be written."""
    groups: dict[Subject, list[EventResult]] = {}
    for each in results:
        groups.setdefault(_alert_of(each).subject, []).append(each)
    made = Claims()
    for batch in _batches(groups):
        try:
            made = made.joined(_claim(batch, invocation, deps, BATCH_TRIES if len(batch) > 1 else TRIES))
        except HistoryUnavailable as error:
            made = made.joined(_one_by_one(batch, invocation, deps) if len(batch) > 1 else _failed(batch, error))
    return made


def _batches(groups: _Groups) -> Iterator[_Groups]:
    """As many subjects as one transaction takes; a subject with more alerts than that, in lots of its own."""
    batch: dict[Subject, Sequence[EventResult]] = {}
    size = 1  # for the channels
    for subject, all_mine in groups.items():
        most = MAX_PUTS - 3
        for mine in (all_mine[start : start + most] for start in range(0, len(all_mine), most)):
            if batch and (size + len(mine) + 2 > MAX_PUTS or subject in batch):
                yield batch
                batch, size = {}, 1
            batch[subject] = mine
            size += len(mine) + 2  # its standing, and the one that it may replace
    if batch:
        yield batch


def _one_by_one(batch: _Groups, invocation: InvocationLease, deps: Dependencies) -> Claims:
    """What fails for one subject leaves its neighbours alone."""
    made = Claims()
    for subject, mine in batch.items():
        alone = {subject: mine}
        try:
            made = made.joined(_claim(alone, invocation, deps, TRIES))
        except HistoryUnavailable as error:
            made = made.joined(_failed(alone, error))
    return made


def _failed(batch: _Groups, error: HistoryUnavailable) -> Claims:
    for each in (each for mine in batch.values() for each in mine):
        each.error = error
    return Claims()


def _claim(groups: _Groups, invocation: InvocationLease, deps: Dependencies, tries: int) -> Claims:
    """Raises HistoryUnavailable: nothing was written, or nothing is known."""
    runtime = deps.runtime
    fresh = {subject: _by_time(mine) for subject, mine in groups.items()}
    concerned = [subject for subject, mine in fresh.items() if any(_concerns_subject(each.alert) for each in mine)]
    claims, found = Claims(), None
    settled: dict[Key, Item] = {}
    for attempt in range(tries):
        now = runtime.clock()
        if found is None:
            found = runtime.history.states(concerned, now) if concerned else ({}, ChannelStates())
        drafts = [
            _apply_alerts(found[0].get(subject, SubjectState(subject)), fresh[subject], deps, now) for subject in fresh
        ]
        claims, changes, channel_states = _decide(drafts, found[1], invocation, deps, now)
        try:
            stored = runtime.history.commit_all(now, changes, channel_states)
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
    _set_decisions(groups, claims, settled, deps)
    return claims


def _only_rows_conflict(conflict: Conflict) -> bool:
    """Whether only rows were there before: then how things stand is as it was read."""
    return bool(conflict.keys) and all(map(is_row_key, conflict.keys))


def _by_time(results: Iterable[EventResult]) -> list[RoutedAlert]:
    unique = {each.routed.alert.id: each.routed for each in results if each.routed}
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


def _apply_alerts(before: SubjectState, fresh: Iterable[RoutedAlert], deps: Dependencies, now: float) -> _Transition:
    state, rows = advance(before, now), []
    for each in fresh:
        by = _silenced_by(each, deps, now)
        state, decision = apply_alert(state, each.alert, each.targets, now, deps.runtime.resolve_after, by)
        counts = decision in {Decision.ANNOUNCED, Decision.HELD_BACK, Decision.RESOLVING}
        incident = state.incident.id if counts and state.incident else ""
        rows.append(
            AlertRecord(each.alert, decision, incident, each.event, by if decision is Decision.SILENCED else {})
        )
    return _Transition(before, _postponed_by_silence(state, deps, now), tuple(rows))


def _silenced_by(routed: RoutedAlert, deps: Dependencies, now: float) -> Mapping[str, str]:
    """Id and reason of the silence that holds an alert back, if it would be heard of at all."""
    if not (routed.targets and routed.alert.severity.at_least(Severity.WARNING)):
        return {}
    silence = deps.runtime.silences.active(routed.alert, now)
    return {silence.id: silence.reason} if silence else {}


def _postponed_by_silence(state: SubjectState, deps: Dependencies, now: float) -> SubjectState:
    """With what is due put off, if a silence holds the incident back. Raises HistoryUnavailable."""
    if state.incident is None or state.incident.over or not due_channels(state, now):
        return state
    silence = deps.runtime.silences.active(state.incident.alert, now)
    return postpone(state, now, silence.recheck_at(now)) if silence else state


def _decide(
    drafts: Sequence[_Transition],
    channel_states: ChannelStates,
    invocation: InvocationLease,
    deps: Dependencies,
    now: float,
) -> tuple[Claims, list[SubjectWrite], ChannelStates | None]:
    """Who speaks now, and what is to be written for that."""
    allocation = Allocation(channel_states)
    if now < invocation.begin_by:  # else what is due stays due, for somebody who has the time
        allocation = _allocate([draft.state for draft in drafts], channel_states, deps, now, all_due=False)
    made, changes = [], []
    for draft in drafts:
        terms = _lease_grant(draft.state, invocation, allocation, allocation.retry_at)
        state, dispatches = take_lease(draft.state, now, terms)
        rows = tuple(_with_final_decision(row, dispatches, state) for row in draft.rows)
        changes.append(SubjectWrite(rows, state if state != draft.before else None))
        made.append(Claim(state, rows, dispatches, draft.before.next_check_at))
    claims = Claims(
        tuple(made), allocation.channel_states, _new_bundle_times(channel_states, allocation), allocation.granted_at
    )
    return claims, changes, _changed_channel_states(channel_states, allocation)


def _lease_grant(
    state: SubjectState, invocation: InvocationLease, allocation: Allocation, waits: Mapping[str, float]
) -> LeaseGrant:
    return LeaseGrant(invocation.owner, invocation.until, allocation.grants.get(key_of(state), {}), waits)


def _with_final_decision(row: AlertRecord, dispatches: Iterable[Dispatch], state: SubjectState) -> AlertRecord:
    """An alert that no channel hears of by itself is gathered: now, or when its channels have a turn for it."""
    if row.decision is not Decision.ANNOUNCED or any(dispatch.mode is SendMode.SINGLE for dispatch in dispatches):
        return row
    gathered = any(dispatch.mode is SendMode.BUNDLED for dispatch in dispatches) or any(
        entry.throttled and not entry.stateful for entry in state.outbox.values()
    )
    return row._replace(decision=Decision.GATHERED) if gathered else row


def _set_decisions(groups: _Groups, claims: Claims, settled: Mapping[Key, Item], deps: Dependencies) -> None:
    """An alert that was there before has the decision that its row holds; unknown if the row cannot be read now.

    Args:
        settled: what the refusal of a commit told of such rows, so that they need not be read.
    """
    decided = {row.alert.id: row.decision for each in claims.claims for row in each.rows}
    for decision in decided.values():
        deps.count_decision(decision)
    results = [each for mine in groups.values() for each in mine]
    before = {_alert_of(each).id for each in results} - decided.keys()
    rows = {each: settled[key] for each in before if (key := row_key(each)) and key in settled}
    with suppress(HistoryUnavailable):  # the claim is made: this must not fail it
        rows |= deps.runtime.history.rows(sorted(before - rows.keys()), deps.runtime.clock())
    decided |= {each: Decision(DECISION.or_default(row.get("decision"))) for each, row in rows.items()}
    for each in results:
        each.decision = decided.get(_alert_of(each).id)


def _alert_of(results: EventResult) -> Alert:
    assert results.routed is not None
    return results.routed.alert


# --- time has come ----------------------------------------------------------------------------------------------------


def claim_due(due: Sequence[SubjectState], invocation: InvocationLease, deps: Dependencies, *, all_due: bool) -> Claims:
    """Takes the due cells of subjects that nothing new has happened to, as far as the budgets go.

    What somebody else is at already, or what cannot be written, is left to the next tick.

    Args:
        collecting: whether this is everything that is due; see `router.channels.rate_limit`.
    """
    runtime = deps.runtime
    now = runtime.clock()
    if now >= invocation.begin_by:
        return Claims()
    channel_states = runtime.history.channel_states(now)
    advanced = [_postponed_by_silence(advance(state, now), deps, now) for state in due]
    allocation = _allocate(advanced, channel_states, deps, now, all_due=all_due)
    woken = [
        (
            before,
            *take_lease(state, now, _lease_grant(state, invocation, allocation, {})),
        )  # what waits already needs no writing
        for before, state in zip(due, advanced, strict=True)
    ]
    moved = [(SubjectWrite((), after), dispatches, before) for before, after, dispatches in woken if after != before]
    written = _commit_due(
        [change for change, _, _ in moved], _changed_channel_states(channel_states, allocation), deps, now
    )
    made = tuple(
        Claim(written[key_of(before)], (), dispatches, before.next_check_at)
        for _, dispatches, before in moved
        if key_of(before) in written
    )
    return Claims(made, allocation.channel_states, _new_bundle_times(channel_states, allocation), allocation.granted_at)


def _commit_due(
    changes: Sequence[SubjectWrite], channel_states: ChannelStates | None, deps: Dependencies, now: float
) -> dict[Key, SubjectState]:
    """Writes as many standings in one transaction as it takes, and leaves out what others have moved on.

    Returns:
        What is stored now, by key. Nothing, where somebody else has shared out the budgets meanwhile.
    """
    written: dict[Key, SubjectState] = {}
    left, failures = list(changes), 0
    while left or channel_states:
        batch = left[: 1 if failures else MAX_PUTS - 1]
        try:
            stored = deps.runtime.history.commit_all(now, batch, channel_states)
        except Conflict as conflict:
            if CHANNEL_STATES_KEY in conflict.keys:
                return written
            failures += not conflict.keys
            left = [each for each in left if each.state and key_of(each.state) not in conflict.keys]
        except HistoryUnavailable as error:
            log.warning("left to the next tick: %s", error)
            failures += 1
            left = left[len(batch) :] if len(batch) == 1 else left
            if failures > _MAX_FAILURES or not left:
                return written
        else:
            written |= {key_of(each): each for each in stored if each}
            left, channel_states, failures = left[len(batch) :], None, 0
    return written


# --- budgets ----------------------------------------------------------------------------------------------------------


def _allocate(
    states: Iterable[SubjectState], channel_states: ChannelStates, deps: Dependencies, now: float, *, all_due: bool
) -> Allocation:
    asked = [want for state in states for want in send_requests(state, now)]
    if not asked and not (all_due and channel_states.bundles):
        return Allocation(channel_states)
    return allocate(channel_states, asked, endpoint_limits(deps), now, all_due=all_due)


def send_requests(state: SubjectState, now: float) -> Iterator[SendRequest]:
    """What is to be said of an incident now, if the budgets allow it."""
    incident = state.incident
    if incident is None:
        return
    for channel in due_channels(state, now):
        over = next_kind(incident, state.outbox[channel]) is Kind.RESOLVED
        yield SendRequest(key_of(state), channel, (float(over), -incident.severity.rank, incident.opened_at))


def endpoint_limits(deps: Dependencies) -> dict[str, EndpointLimit]:
    """The configured channels, as the budgets see them."""
    return {
        name: EndpointLimit(source.endpoint, RateLimit(*source.budget), source.stateful)
        for name, source in deps.config.channels.items()
    }


def _changed_channel_states(before: ChannelStates, allocation: Allocation) -> ChannelStates | None:
    """What is to be written of the channels; nothing, where only time has passed."""
    changed = allocation.grants or allocation.channel_states.bundles != before.bundles
    return allocation.channel_states if changed else None


def _new_bundle_times(before: ChannelStates, allocation: Allocation) -> tuple[float, ...]:
    gatherings = allocation.channel_states.bundles
    return tuple(each.at for name, each in gatherings.items() if before.bundles.get(name) != each)
