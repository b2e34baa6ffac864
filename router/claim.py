"""Claim: records alerts, each once, and decides who sends what.

One transaction writes the alerts' rows, the states of their subjects and of the channels, and with the states the
leases of what is to be sent now. A row must not be there yet, unless a repeat is more severe than the row says. A state
must not have been changed by another writer. So an alert is counted exactly once, a row always has its decision, no
rate limit is charged twice, and if this process dies, its dispatches become due again when their leases end:

    read ─► apply alerts ─► allocate sends ─► take leases ─► commit ─┬─ written: this invocation sends
      ▲                          ▲                                   ├─ a row was there: it is a repeat ───────┐
      │                          └───────────────────────────────────┼─────────────────────────────────────────┘
      └── again ◄────────────────────────────────────────────────────┴─ a state changed meanwhile

A batch is one transaction. If that fails, it is repeated subject by subject (`router.history.store`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from router.channels.configured import ConfiguredChannel
from router.channels.rate_limit import Allocation, EndpointLimit, RateLimit, SendRequest, allocate
from router.channels.state import ChannelStates
from router.context import (
    LEASE_MARGIN,
    LONGEST_SEND,
    SETTLE_MARGIN,
    Claim,
    Claims,
    InvocationLease,
    RoutedAlert,
    Runtime,
)
from router.errors import Conflict, HistoryUnavailable
from router.history.items import CHANNEL_STATES_KEY, DECISION, AlertRecord, key_of, row_key
from router.history.store import Attempt, Change, SubjectWrite, is_due, update_in_batches
from router.history.table import MAX_PUTS, Item, Key
from router.incident.lifecycle import advance
from router.incident.outbox import due_channels, next_kind, postpone, take_lease
from router.incident.recovery import Findings, apply_findings
from router.incident.recurrence import DEPLOYMENT_STARTED
from router.incident.state import Dispatch, LeaseGrant, SendMode, SubjectState
from router.incident.suppression import NOT_SUPPRESSED, Suppression, extend_mute, suppressed_by
from router.model import Alert, Decision, Kind, Severity, Subject
from router.occurrence import Moment, Reclassify, Rows, apply_routed

log = logging.getLogger("ecs-alert-router.claim")

_MAX_FAILURES = 3  # of history in a row; then the rest of a long list is left to the next tick
_DUE_TRIES = 3  # at sharing the rate limits among what is due, while others send as well

_KNOWN_BY_THE_STATE: Item = {"decision": Decision.HELD_BACK.value}  # a repeat in other words, so without a row

_Snapshot = tuple[dict[Subject, SubjectState], ChannelStates]
Channels = Mapping[str, ConfiguredChannel]


def invocation_lease(owner: str, now: float, remaining: float) -> InvocationLease:
    """The lease of an invocation that has `remaining` seconds left; its margins shrink if that is little."""
    ends = now + remaining
    settle_by = ends - min(SETTLE_MARGIN, remaining / 4)
    return InvocationLease(owner, ends + LEASE_MARGIN, settle_by - min(LONGEST_SEND, remaining / 2), settle_by)


# --- alerts arrive ----------------------------------------------------------------------------------------------------


class _Group(NamedTuple):
    """Alerts of one subject by event time, as many as fit into one transaction."""

    subject: Subject
    alerts: Sequence[RoutedAlert]

    @property
    def puts(self) -> int:
        """Items: the rows, the subject's state, and the state that it may replace."""
        return len(self.alerts) + 2


def claim_alerts(
    batch: Sequence[RoutedAlert],
    lease: InvocationLease,
    channels: Channels,
    runtime: Runtime,
    reclassify: Reclassify,
) -> Claims:
    """Records a batch of alerts, and leases what must be sent because of them."""
    claim = partial(_claim, lease=lease, channels=channels, runtime=runtime, reclassify=reclassify)
    claims = Claims()
    for groups, outcome in update_in_batches(_groups(batch), lambda group: group.puts, claim, MAX_PUTS - 1):
        if isinstance(outcome, HistoryUnavailable):
            errors = {routed.alert.id: outcome for group in groups for routed in group.alerts}
            claims = claims.joined(Claims(errors=errors))
        else:
            claims = claims.joined(outcome)
    return claims


def _groups(batch: Sequence[RoutedAlert]) -> Iterator[_Group]:
    by_subject: dict[Subject, dict[tuple[str, str], RoutedAlert]] = {}
    for routed in batch:
        identity = routed.alert.id, routed.event.id
        by_subject.setdefault(routed.alert.subject, {}).setdefault(identity, routed)
    most = MAX_PUTS - 3  # rows, beside the subject's states and the channels
    for subject, by_id in by_subject.items():
        alerts = list(by_id.values())
        for start in range(0, len(alerts), most):
            yield _Group(subject, sorted(alerts[start : start + most], key=lambda routed: routed.alert.at))


def _claim(  # noqa: PLR0913, PLR0917 - everything that a claim depends on
    groups: Sequence[_Group],
    tries: int,
    lease: InvocationLease,
    channels: Channels,
    runtime: Runtime,
    reclassify: Reclassify,
) -> Claims:
    """Raises HistoryUnavailable: nothing was written, or nothing is known."""
    history = runtime.history
    concerned = [group.subject for group in groups if any(_concerns_subject(routed.alert) for routed in group.alerts)]

    def read(attempt: Attempt) -> _Snapshot:
        return history.states(concerned, attempt.now) if concerned else ({}, ChannelStates())

    def change(snapshot: _Snapshot, attempt: Attempt) -> Change[_Claimed]:
        states, channel_states = snapshot
        transitions = [
            _apply_alerts(states.get(subject, SubjectState(subject)), alerts, attempt, runtime, reclassify)
            for subject, alerts in groups
        ]
        new = [transition for transition in transitions if transition.is_news]
        claims, writes, changed_channels = _lease(new, channel_states, lease, channels, attempt.now)
        final = {key: routed for transition in transitions for key, routed in transition.final.items()}
        return Change(_Claimed(claims, attempt.existing, final), writes, changed_channels)

    (claims, existing, final), stored = history.update(read, change, runtime.clock, runtime.pause, tries)
    committed = tuple(
        claim._replace(state=state or claim.state) for claim, state in zip(claims.claims, stored, strict=True)
    )
    decisions = {row.alert.id: row.decision for claim in committed for row in claim.rows}
    recorded_before = {routed.alert.id for routed in final.values()} - decisions.keys()
    decisions |= _recorded_decisions(recorded_before, existing, runtime)
    return claims._replace(claims=committed, decisions=decisions, reclassified=final)


class _Claimed(NamedTuple):
    claims: Claims
    existing: Mapping[Key, Item | None]
    final: Mapping[tuple[str, str], RoutedAlert]


def _concerns_subject(alert: Alert) -> bool:
    """Whether an alert can change its subject's state. All others are only recorded, which needs no read."""
    effects = alert.effects
    begun = alert.cause == DEPLOYMENT_STARTED or effects.deployment is not None
    ends = alert.resolves or alert.stopped or bool(alert.exited or effects.ends or effects.uncertain)
    return begun or ends or alert.severity.at_least(Severity.WARNING)


class _Transition(NamedTuple):
    """What the alerts of one subject change.

    Attributes:
        final: the alerts as they are classified with the state known; see `Claims.reclassified`.
        is_news: something must be written.
    """

    before: SubjectState
    state: SubjectState
    rows: tuple[AlertRecord, ...]
    final: Mapping[tuple[str, str], RoutedAlert]
    is_news: bool


def _apply_alerts(
    before: SubjectState, alerts: Iterable[RoutedAlert], attempt: Attempt, runtime: Runtime, reclassify: Reclassify
) -> _Transition:
    now = attempt.now

    def suppression(routed: RoutedAlert) -> Suppression:
        if not routed.targets or not routed.alert.severity.at_least(Severity.WARNING):
            return NOT_SUPPRESSED  # no channel is notified anyway
        return _suppression(routed.alert, runtime, now)

    moment = Moment(now, runtime.timing, suppression, reclassify)
    advanced = state = _advanced(before, runtime, now)
    rows, final = Rows(attempt.existing, {}), {}
    for routed in alerts:
        state, final[routed.event.id, routed.alert.id] = apply_routed(state, routed, rows, moment)
    is_news = bool(rows.new) or state != advanced
    postponed = _postponed_by_silence(state, runtime, now) if is_news else state
    return _Transition(before, postponed, tuple(rows.new.values()), final, is_news)


def _suppression(alert: Alert, runtime: Runtime, now: float) -> Suppression:
    """What silences the alert now. Raises HistoryUnavailable."""
    silence = runtime.silences.active(alert, now)
    if silence:
        return Suppression({silence.id: silence.reason}, silence.recheck_at(now))
    return suppressed_by(alert, now)


def _advanced(state: SubjectState, runtime: Runtime, now: float) -> SubjectState:
    """The state as the clock has changed it. Raises HistoryUnavailable."""
    muted = state.muted
    if muted is not None and muted.until <= now:
        suppression = _suppression(muted.alert, runtime, now)
        if suppression and suppression.until is not None:
            state = extend_mute(state, suppression.until)
    return advance(state, now, runtime.timing)


def _postponed_by_silence(state: SubjectState, runtime: Runtime, now: float) -> SubjectState:
    """The state with its due sends postponed if a silence suppresses the incident. Raises HistoryUnavailable."""
    if state.incident is None or state.incident.over or not due_channels(state, now):
        return state
    silence = runtime.silences.active(state.incident.alert, now)
    return postpone(state, now, silence.recheck_at(now)) if silence else state


def _lease(
    transitions: Sequence[_Transition],
    channel_states: ChannelStates,
    lease: InvocationLease,
    channels: Channels,
    now: float,
) -> Change[Claims]:
    """Takes leases as far as rate limits grant sends, and lists what must be written for that."""
    allocation = Allocation(channel_states)
    if now < lease.begin_by:  # else what is due stays due, for an invocation that has the time
        states = [transition.state for transition in transitions]
        allocation = _allocate(states, channel_states, channels, now, all_due=False)
    claims, writes = [], []
    for transition in transitions:
        grant = _lease_grant(transition.state, lease, allocation, allocation.retry_at)
        state, dispatches = take_lease(transition.state, now, grant)
        rows = tuple(_with_final_decision(row, dispatches, state) for row in transition.rows)
        writes.append(SubjectWrite(rows, state if state != transition.before else None))
        claims.append(Claim(state, rows, dispatches, transition.before.next_check_at))
    changed = _changed_channel_states(channel_states, allocation)
    return Change(_claims(claims, channel_states, allocation), writes, changed)


def _lease_grant(
    state: SubjectState, lease: InvocationLease, allocation: Allocation, retry_at: Mapping[str, float]
) -> LeaseGrant:
    return LeaseGrant(lease.owner, lease.until, allocation.grants.get(key_of(state), {}), retry_at)


def _with_final_decision(row: AlertRecord, dispatches: Iterable[Dispatch], state: SubjectState) -> AlertRecord:
    """If no channel announces the alert on its own, it is recorded as gathered, now or when a bundle is sent."""
    if row.decision is not Decision.ANNOUNCED or any(dispatch.mode is SendMode.SINGLE for dispatch in dispatches):
        return row
    gathered = any(dispatch.mode is SendMode.BUNDLED for dispatch in dispatches) or any(
        entry.throttled and not entry.stateful for entry in state.outbox.values()
    )
    return row._replace(decision=Decision.GATHERED) if gathered else row


def _recorded_decisions(
    alert_ids: Iterable[str], existing: Mapping[Key, Item | None], runtime: Runtime
) -> dict[str, Decision]:
    """The decisions of alerts that were known before, as far as their rows can be read now.

    Args:
        existing: the rows that a refused commit returned, which need not be read again.
    """
    rows = {alert_id: row for alert_id in alert_ids if (key := row_key(alert_id)) and (row := existing.get(key))}
    with suppress(HistoryUnavailable):  # the claim is committed: this must not fail it
        missing = sorted({*alert_ids} - rows.keys())
        if missing:
            rows |= dict.fromkeys(missing, _KNOWN_BY_THE_STATE) | runtime.history.rows(missing, runtime.clock())
    return {alert_id: Decision(DECISION.or_default(row.get("decision"))) for alert_id, row in rows.items()}


# --- work is due ------------------------------------------------------------------------------------------------------


def claim_due(  # noqa: PLR0913 - everything that a claim depends on
    due: Sequence[SubjectState],
    lease: InvocationLease,
    channels: Channels,
    runtime: Runtime,
    findings: Mapping[Key, Findings] = MappingProxyType({}),
    *,
    all_due: bool,
) -> Claims:
    """Leases what is due on these subjects, as far as rate limits grant sends.

    What another invocation has leased, or what cannot be written, is left to the next tick. If another invocation
    charges rate limits at the same time, they are shared again.

    Args:
        findings: what AWS says about the conditions of these subjects, by the keys of their states.
        all_due: whether `due` is everything that is due; see `router.channels.rate_limit`.
    """
    for number in range(_DUE_TRIES):
        try:
            return _claim_due_once(due, lease, channels, runtime, findings, all_due=all_due)
        except Conflict:
            runtime.pause(number)
        now = runtime.clock()
        due = [state for state in runtime.history.load([key_of(state) for state in due], now) if is_due(state, now)]
    log.warning("left to the next tick: others charged rate limits %s times in a row", _DUE_TRIES)
    return Claims()


def _claim_due_once(  # noqa: PLR0913 - as `claim_due`
    due: Sequence[SubjectState],
    lease: InvocationLease,
    channels: Channels,
    runtime: Runtime,
    findings: Mapping[Key, Findings],
    *,
    all_due: bool,
) -> Claims:
    """Raises Conflict: another invocation has charged rate limits meanwhile, and nothing was written."""
    now = runtime.clock()
    if now >= lease.begin_by:
        return Claims()
    channel_states = runtime.history.channel_states(now)
    checked = [
        apply_findings(state, findings[key], now, runtime.timing) if (key := key_of(state)) in findings else state
        for state in due
    ]
    advanced = [_postponed_by_silence(_advanced(state, runtime, now), runtime, now) for state in checked]
    allocation = _allocate(advanced, channel_states, channels, now, all_due=all_due)
    claims, writes = [], []
    for before, state in zip(due, advanced, strict=True):
        grant = _lease_grant(state, lease, allocation, {})  # what waits for a bundle already needs no write
        leased, dispatches = take_lease(state, now, grant)
        if leased != before:
            writes.append(SubjectWrite((), leased))
            claims.append(Claim(before, (), dispatches, before.next_check_at))
    stored = _commit_due(writes, _changed_channel_states(channel_states, allocation), runtime, now)
    committed = [claim._replace(state=stored[key]) for claim in claims if (key := key_of(claim.state)) in stored]
    return _claims(committed, channel_states, allocation)


def _commit_due(
    writes: Sequence[SubjectWrite], channel_states: ChannelStates | None, runtime: Runtime, now: float
) -> dict[Key, SubjectState]:
    """Writes as many states in one transaction as possible, and leaves out those that others have changed.

    Returns:
        The states that were stored, by key.

    Raises:
        Conflict: another invocation has charged rate limits meanwhile, and nothing was written.
    """
    written: dict[Key, SubjectState] = {}
    left, failures = list(writes), 0
    while left or channel_states:
        batch = left[: 1 if failures else MAX_PUTS - 1]
        try:
            stored = runtime.history.commit_all(now, batch, channel_states)
        except Conflict as conflict:
            if CHANNEL_STATES_KEY in conflict.keys:
                raise
            left = [write for write in left if write.state and key_of(write.state) not in conflict.keys]
            if not conflict.keys:  # two transactions collided; none of them tells on which item
                failures += 1
                runtime.pause(failures)
            if failures > _MAX_FAILURES:
                return written
        except HistoryUnavailable as error:
            log.warning("left to the next tick: %s", error)
            failures += 1
            left = left[len(batch) :] if len(batch) == 1 else left
            if failures > _MAX_FAILURES or not left:
                return written
        else:
            written |= {key_of(state): state for state in stored if state}
            left, channel_states, failures = left[len(batch) :], None, 0
    return written


# --- rate limits ------------------------------------------------------------------------------------------------------


def _allocate(
    states: Iterable[SubjectState], channel_states: ChannelStates, channels: Channels, now: float, *, all_due: bool
) -> Allocation:
    requests = [request for state in states for request in send_requests(state, now)]
    if not requests and not (all_due and channel_states.bundles):
        return Allocation(channel_states)
    return allocate(channel_states, requests, endpoint_limits(channels), now, all_due=all_due)


def send_requests(state: SubjectState, now: float) -> Iterator[SendRequest]:
    """One request for each channel that is due; resolutions come after, and worse incidents before, the others."""
    incident = state.incident
    if incident is None:
        return
    for channel in due_channels(state, now):
        over = next_kind(incident, state.outbox[channel]) is Kind.RESOLVED
        rank = (float(over), -incident.severity.rank, incident.opened_at)
        yield SendRequest(key_of(state), channel, rank, state.subject.account, state.subject.cluster)


def endpoint_limits(channels: Channels) -> dict[str, EndpointLimit]:
    """The rate limits of the configured channels, by channel."""
    return {
        name: EndpointLimit(channel.endpoint, RateLimit(*channel.budget), channel.stateful)
        for name, channel in channels.items()
    }


def _changed_channel_states(before: ChannelStates, allocation: Allocation) -> ChannelStates | None:
    """What must be written of the channels; nothing if only time has passed."""
    changed = allocation.grants or allocation.channel_states.bundles != before.bundles
    return allocation.channel_states if changed else None


def _claims(claims: Iterable[Claim], before: ChannelStates, allocation: Allocation) -> Claims:
    bundles = allocation.channel_states.bundles.items()
    new_bundles = tuple(bundle.at for name, bundle in bundles if before.bundles.get(name) != bundle)
    return Claims(tuple(claims), allocation.channel_states, new_bundles, allocation.granted_at)
