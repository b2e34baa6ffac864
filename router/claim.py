"""Claim: applies alerts to their subjects' states, each once, and decides who sends what.

The state comes first, the rows of the alerts second, the acknowledgement last:

    read ─► apply alerts ─► allocate sends ─► take leases ─► put the state ─► put the rows ─► send, record, acknowledge
      ▲                                                      │
      └── again, until the deadline ◄── somebody changed it ─┘

One consistent read finds the states, the channel states and the alerts' rows. An alert that has a row is a repeat, and
needs no write. The state remembers what was decided about its most recent alerts (`router.incident.recent`), and its
put has one condition: nobody has changed it since. So an alert is applied once, however often and wherever its event is
received. Where something is sent, states and channel states are one transaction, which also takes the leases; so no
rate limit is charged twice. If the process dies,

- before the put of the state, nothing has happened;
- before the rows are there, the event is received again, the state knows it, and only the row is written;
- later, what is leased becomes due again when the leases end. The event is received again and has a row.

`router.history.store` reads, commits and repeats.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from router.errors import HistoryUnavailable
from router.history.items import AlertRecord, key_of, row_key
from router.history.store import Attempt, Change, Changes, Snapshot, Stored, SubjectWrite, is_due
from router.history.table import Key
from router.incident.lifecycle import advance
from router.incident.outbox import due_channels, next_kind, postpone, take_lease
from router.incident.recent import with_decision
from router.incident.recovery import Findings, apply_findings
from router.incident.recurrence import DEPLOYMENT_STARTED
from router.incident.state import Dispatch, LeaseGrant, SendMode, SubjectState
from router.incident.suppression import NOT_SUPPRESSED, Suppression, extend_mute, suppressed_by
from router.model import Alert, Decision, Kind, Severity, Subject
from router.occurrence import Moment, Reclassify, Rows, apply_routed

log = logging.getLogger("ecs-alert-router.claim")

_DUE_TRIES = 3  # attempts to share the rate limits among what is due, while other invocations send as well
_KNOWN = Decision.HELD_BACK
"""The decision about an alert that only repeats a known one in other words, and therefore has no row of its own."""

Channels = Mapping[str, ConfiguredChannel]


def invocation_lease(owner: str, now: float, remaining: float) -> InvocationLease:
    """The lease of an invocation that has `remaining` seconds left; its margins shrink if that is little."""
    ends = now + remaining
    settle_by = ends - min(SETTLE_MARGIN, remaining / 4)
    return InvocationLease(owner, ends + LEASE_MARGIN, settle_by - min(LONGEST_SEND, remaining / 2), settle_by)


# --- alerts arrive ----------------------------------------------------------------------------------------------------


class _Group(NamedTuple):
    """Alerts of one subject, by event time."""

    subject: Subject
    alerts: Sequence[RoutedAlert]


class _Claimed(NamedTuple):
    """What applying a group means, once its state is written.

    Attributes:
        claim: None if nothing is written.
        decisions, reclassified: see `Claims`.
    """

    claim: Claim | None
    allocation: Allocation
    decisions: Mapping[str, Decision]
    reclassified: Mapping[tuple[str, str], RoutedAlert]


def claim_alerts(
    batch: Sequence[RoutedAlert],
    lease: InvocationLease,
    channels: Channels,
    runtime: Runtime,
    reclassify: Reclassify,
) -> Claims:
    """Applies a batch of alerts, and leases what must be sent because of them."""
    history = runtime.history

    def read(groups: Sequence[_Group], attempt: Attempt) -> Snapshot:
        concerned = [group.subject for group in groups if any(map(_concerns_subject, group.alerts))]
        alert_ids = [routed.alert.id for group in groups for routed in group.alerts]
        return history.snapshot(concerned, alert_ids, attempt.now)

    def change(snapshot: Snapshot, groups: Sequence[_Group], attempt: Attempt) -> Changes[_Claimed]:
        apply = partial(_apply_group, runtime=runtime, reclassify=reclassify, now=attempt.now)
        transitions = [apply(group, snapshot) for group in groups]
        return _lease(transitions, snapshot.channel_states, lease, channels, attempt.now)

    groups = _groups(batch)
    claims = Claims()
    outcomes = history.update_all(groups, read, change, runtime.clock, runtime.pause)
    for group, outcome in zip(groups, outcomes, strict=True):
        claims = claims.joined(_claims_of(group, outcome))
    return claims


def _groups(batch: Sequence[RoutedAlert]) -> list[_Group]:
    by_subject: dict[Subject, dict[tuple[str, str], RoutedAlert]] = {}
    for routed in batch:
        identity = routed.alert.id, routed.event.id
        by_subject.setdefault(routed.alert.subject, {}).setdefault(identity, routed)
    return [
        _Group(subject, sorted(by_id.values(), key=lambda routed: routed.alert.at))
        for subject, by_id in by_subject.items()
    ]


def _claims_of(group: _Group, outcome: Stored[_Claimed] | HistoryUnavailable) -> Claims:
    if isinstance(outcome, HistoryUnavailable):
        return Claims(errors={routed.alert.id: outcome for routed in group.alerts})
    claim, allocation, decisions, reclassified = outcome.result
    claims = _claims([claim._replace(state=outcome.state or claim.state)] if claim else [], allocation)
    return claims._replace(decisions=decisions, reclassified=reclassified, errors=outcome.missing_rows)


def _concerns_subject(routed: RoutedAlert) -> bool:
    """Whether an alert can change its subject's state. If it cannot, the router only records the alert."""
    alert, effects = routed.alert, routed.alert.effects
    begun = alert.cause == DEPLOYMENT_STARTED or effects.deployment is not None
    ends = alert.resolves or alert.stopped or bool(alert.exited or effects.ends or effects.uncertain)
    return begun or ends or alert.severity.at_least(Severity.WARNING)


class _Transition(NamedTuple):
    """What the alerts of one subject change.

    Attributes:
        final: the alerts as they are classified with the state known; see `Claims.reclassified`.
        known: the earlier decisions about those alerts that are repeats.
        is_news: something must be written.
    """

    before: SubjectState
    state: SubjectState
    rows: tuple[AlertRecord, ...]
    final: Mapping[tuple[str, str], RoutedAlert]
    known: Mapping[str, Decision]
    is_news: bool


def _apply_group(
    group: _Group, snapshot: Snapshot, runtime: Runtime, reclassify: Reclassify, now: float
) -> _Transition:
    """Applies a group. Raises HistoryUnavailable.

    The state can give an alert an id that differs from the one its event gives it. The few rows of such alerts are
    read now. That is late enough, because each writer changes the state before it writes such a row.
    """
    before = snapshot.states.get(group.subject, SubjectState(group.subject))
    existing = dict(snapshot.rows)
    read = {key for routed in group.alerts if (key := row_key(routed.alert.id))}
    while True:
        rows = Rows(existing, read, {}, set())
        transition = _apply_alerts(before, group.alerts, rows, runtime, reclassify, now)
        if not rows.unread:
            return transition
        existing |= runtime.history.table.get(sorted(rows.unread), now)
        read |= rows.unread


def _apply_alerts(  # noqa: PLR0913, PLR0917 - everything that it depends on
    before: SubjectState,
    alerts: Iterable[RoutedAlert],
    rows: Rows,
    runtime: Runtime,
    reclassify: Reclassify,
    now: float,
) -> _Transition:
    def suppression(routed: RoutedAlert) -> Suppression:
        if not routed.targets or not routed.alert.severity.at_least(Severity.WARNING):
            return NOT_SUPPRESSED  # no channel is notified anyway
        return _suppression(routed.alert, runtime, now)

    moment = Moment(now, runtime.timing, suppression, reclassify)
    advanced = state = _advanced(before, runtime, now)
    final = {}
    for routed in alerts:
        state, final[routed.event.id, routed.alert.id] = apply_routed(state, routed, rows, moment)
    is_news = state != advanced or any(not row.is_repeat for row in rows.new.values())
    after = _postponed_by_silence(state, runtime, now) if is_news else before
    recorded = {routed.alert.id: rows.find(after, routed.alert.id) for routed in final.values()}
    known = {alert_id: record.decision if record else _KNOWN for alert_id, record in recorded.items()}
    return _Transition(before, after, tuple(rows.new.values()), final, known, is_news)


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
) -> Changes[_Claimed]:
    """Takes leases as far as rate limits grant sends, and lists what must be written for that."""
    allocation = Allocation(channel_states)
    if now < lease.begin_by:  # otherwise what is due stays due, for an invocation that has time
        states = [transition.state for transition in transitions if transition.is_news]
        allocation = _allocate(states, channel_states, channels, now, all_due=False)
    changes = [_change(transition, allocation, lease, now) for transition in transitions]
    return Changes(changes, _changed_channel_states(channel_states, allocation))


def _change(transition: _Transition, allocation: Allocation, lease: InvocationLease, now: float) -> Change[_Claimed]:
    state = transition.state
    dispatches: tuple[Dispatch, ...] = ()
    is_independent = not (transition.is_news and due_channels(state, now))
    if transition.is_news:
        grant = _lease_grant(state, lease, allocation, allocation.retry_at)
        state, dispatches = take_lease(state, now, grant)
    rows = tuple(_with_final_decision(row, dispatches, state) for row in transition.rows)
    for row in rows:
        state = state if row.is_repeat else with_decision(state, row.alert.id, row.decision)
    claim = Claim(state, rows, dispatches, transition.before.next_check_at)
    decisions = {**transition.known, **{row.alert.id: row.decision for row in rows}}
    changed = state if transition.is_news and state != transition.before else None
    result = _Claimed(claim if changed or rows else None, allocation, decisions, transition.final)
    return Change(result, SubjectWrite(rows, changed, is_independent=is_independent))


def _lease_grant(
    state: SubjectState, lease: InvocationLease, allocation: Allocation, retry_at: Mapping[str, float]
) -> LeaseGrant:
    return LeaseGrant(lease.owner, lease.until, allocation.grants.get(key_of(state), {}), retry_at)


def _with_final_decision(row: AlertRecord, dispatches: Iterable[Dispatch], state: SubjectState) -> AlertRecord:
    """If no channel announces the alert on its own, it is recorded as gathered, now or when a bundle is sent."""
    if (
        row.is_repeat
        or row.decision is not Decision.ANNOUNCED
        or any(dispatch.mode is SendMode.SINGLE for dispatch in dispatches)
    ):
        return row
    gathered = any(dispatch.mode is SendMode.BUNDLED for dispatch in dispatches) or any(
        entry.throttled and not entry.stateful for entry in state.outbox.values()
    )
    return row._replace(decision=Decision.GATHERED) if gathered else row


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
    history = runtime.history
    states = {key_of(state): state for state in due}
    keys: Sequence[Key | None] = [*states] or [None]  # without any, the channel states may still change

    def read(parts: Sequence[Key | None], attempt: Attempt) -> _Due:
        known = [states[key] for key in parts if key]
        if attempt.number or len(parts) < len(keys):
            loaded = history.load([key for key in parts if key], attempt.now)
            known = [state for state in loaded if is_due(state, attempt.now)]
        return _Due({key_of(state): state for state in known}, history.channel_states(attempt.now))

    def change(snapshot: _Due, parts: Sequence[Key | None], attempt: Attempt) -> Changes[_Claimed]:
        now, (before, channel_states) = attempt.now, snapshot
        if now >= lease.begin_by:
            return Changes([_nothing(channel_states)] * len(parts))
        advanced = {key: _advanced_due(state, findings.get(key), runtime, now) for key, state in before.items()}
        is_whole = all_due and len(parts) == len(keys)
        allocation = _allocate(list(advanced.values()), channel_states, channels, now, all_due=is_whole)
        changes = [
            _lease_due(before[key], advanced[key], allocation, lease, now, is_whole)
            if key and key in before
            else _nothing(channel_states)
            for key in parts
        ]
        return Changes(changes, _changed_channel_states(channel_states, allocation))

    claims = Claims()
    for outcome in history.update_all(keys, read, change, runtime.clock, runtime.pause, _DUE_TRIES):
        if isinstance(outcome, HistoryUnavailable):
            log.warning("left to the next tick: %s", outcome)
        else:
            claim, allocation, *_ = outcome.result
            claims = claims.joined(
                _claims([claim._replace(state=outcome.state or claim.state)] if claim else [], allocation)
            )
    return claims


class _Due(NamedTuple):
    """The states that are due, by key, and the channel states."""

    states: Mapping[Key, SubjectState]
    channel_states: ChannelStates


def _advanced_due(state: SubjectState, findings: Findings | None, runtime: Runtime, now: float) -> SubjectState:
    checked = state if findings is None else apply_findings(state, findings, now, runtime.timing)
    return _postponed_by_silence(_advanced(checked, runtime, now), runtime, now)


def _lease_due(  # noqa: PLR0913, PLR0917 - everything that it depends on
    before: SubjectState,
    state: SubjectState,
    allocation: Allocation,
    lease: InvocationLease,
    now: float,
    is_whole: bool,  # noqa: FBT001
) -> Change[_Claimed]:
    """Leases what is due for one subject. The tick also moves what is not due yet to its place in the due index."""
    grant = _lease_grant(state, lease, allocation, {})  # what waits for a bundle already needs no write
    leased, dispatches = take_lease(state, now, grant)
    if leased == before and (is_due(before, now) or not is_whole):
        return _nothing(allocation.channel_states)
    claim = Claim(leased, (), dispatches, before.next_check_at)
    return Change(_Claimed(claim, allocation, {}, {}), SubjectWrite(state=leased))


def _nothing(channel_states: ChannelStates) -> Change[_Claimed]:
    return Change(_Claimed(None, Allocation(channel_states), {}, {}))


# --- rate limits ------------------------------------------------------------------------------------------------------


def _allocate(
    states: Iterable[SubjectState], channel_states: ChannelStates, channels: Channels, now: float, *, all_due: bool
) -> Allocation:
    requests = [request for state in states for request in send_requests(state, now)]
    if not requests and not (all_due and channel_states.bundles):
        return Allocation(channel_states)
    return allocate(channel_states, requests, endpoint_limits(channels), now, all_due=all_due)


def send_requests(state: SubjectState, now: float) -> Iterator[SendRequest]:
    """One request for each channel that is due. Worse incidents come before others; resolutions come last."""
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
    """The channel states if they must be written; None if only time has passed."""
    changed = allocation.grants or allocation.channel_states.bundles != before.bundles
    return allocation.channel_states if changed else None


def _claims(claims: Iterable[Claim], allocation: Allocation) -> Claims:
    return Claims(tuple(claims), allocation.channel_states, allocation.new_bundles, allocation.granted_at)
