"""The life of an incident: pure functions from a subject state, and something that happened, to the next state.

    absent ──alert──► open ──nothing continues──► recovering ──quiet time──► resolved ──alert within 4 h──► open
                      │ ◄────────alert────────────────┘                         └───────alert later──► the next one
                      ├──nothing new for 24 h, and no condition continues──► lapsed
                      └──conditions that can be neither seen nor checked──► unconfirmed

The order of events is decided by their own times, never by their arrival. Windows and leases use clock time: `now`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from router.incident.known_tasks import remember, stopped_at
from router.incident.outbox import close_outbox, request_send, withdraw_end
from router.incident.recovery import (
    FAILED_DEPLOYMENT,
    LAPSE_AFTER,
    add_active,
    apply_ends,
    bounded_cause,
    cause_key,
    continues,
    continuing,
    continuing_causes,
    ended_by,
    expire_conditions,
    is_over,
    is_relapse,
    note_failure,
    note_repeat,
    reassess,
)
from router.incident.recurrence import count_occurrence, record_deployment, recurrence_of
from router.incident.state import HOUR, MutedAlert, OutboxEntry, Replaced, RouteTarget, SubjectState, Timing
from router.incident.suppression import NOT_SUPPRESSED, Suppression, forget_muted, keep_muted
from router.model import (
    RELAPSES_OF_FLAPPING,
    Alert,
    Decision,
    DeploymentStep,
    EndedBy,
    Incident,
    IncidentStatus,
    Severity,
    Silenced,
)

REOPEN_WITHIN = 4 * HOUR
TASKS_SHOWN = 10
SILENCES_NAMED = 3
IMMEDIATE_DEPLOYMENTS = 3
"""Failed deployments of 24 hours that no window holds back; further ones wait for the digest."""


# --- an alert arrives -------------------------------------------------------------------------------------------------


def apply_alert(  # noqa: PLR0913, PLR0917 - everything that the decision depends on
    state: SubjectState,
    alert: Alert,
    targets: Sequence[RouteTarget],
    now: float,
    timing: Timing,
    suppression: Suppression = NOT_SUPPRESSED,
    replaces: Replaced | None = None,
) -> tuple[SubjectState, Decision]:
    """Applies an alert and decides whether to announce it. The caller passes each occurrence only once.

    Args:
        targets: the channels that the alert's routes name.
        suppression: what silences the alert.
        replaces: an alert of the open incident about the same ending, which is counted already.
    """
    ended = apply_ends(record_deployment(state, alert), alert, now)
    after, decision = _decide(ended, alert, targets, now, timing, suppression, replaces)
    if decision is Decision.BELOW_THRESHOLD and continuing(ended) != continuing(state):
        decision = Decision.RESOLVING
    return remember(state, _reassessed(after, alert, now, timing), alert), decision


def apply_late(
    state: SubjectState, alert: Alert, targets: Sequence[RouteTarget], now: float, timing: Timing
) -> SubjectState:
    """Applies an alert that was announced without history and has ended meanwhile: its incident recovers at once."""
    state = _add_to_incident(state, alert, None)
    state = _announce(count_occurrence(state, alert), alert, targets, now, outdates_message=False)[0]
    return reassess(state, EndedBy.OTHER, max(state.quiet_from, alert.at), now, timing)


def apply_repeat(state: SubjectState, alert: Alert, now: float, timing: Timing) -> SubjectState:
    """Applies an alert whose occurrence is known already: it is not announced, and still ends what it ends."""
    state = note_repeat(state, alert, now)
    return remember(state, _reassessed(apply_ends(state, alert, now), alert, now, timing), alert)


def _reassessed(state: SubjectState, alert: Alert, now: float, timing: Timing) -> SubjectState:
    stopped = stopped_at(state, alert.task) if alert.exited else None
    if stopped is not None:  # the exit of a container is reported after the stop of its task
        return reassess(state, EndedBy.TASK_STOPPED, stopped, now, timing)
    return reassess(state, ended_by(state, alert), alert.at, now, timing)


def _decide(  # noqa: PLR0913, PLR0917 - as `apply_alert`
    state: SubjectState,
    alert: Alert,
    targets: Sequence[RouteTarget],
    now: float,
    timing: Timing,
    suppression: Suppression,
    replaces: Replaced | None,
) -> tuple[SubjectState, Decision]:
    if alert.resolves:
        return state, Decision.RESOLVING
    if not alert.severity.at_least(Severity.WARNING):
        return state, Decision.BELOW_THRESHOLD
    if not targets:
        return state, Decision.NO_ROUTE
    if is_over(state, alert):
        return note_failure(state, alert), Decision.ALREADY_RESOLVED
    if not _task_is_over(state, alert):
        state = add_active(state, alert, now, timing)
    if suppression:
        state = keep_muted(_apply_silence(state, alert, suppression.by), alert, targets, suppression.until)
        return count_occurrence(state, alert), Decision.SILENCED
    state = forget_muted(state, alert.at)
    incident = state.incident
    # A message that is being sent is out of date if the incident gets worse, or is not over after all.
    outdates_message = (
        incident is None or incident.over or alert.severity.worse_than(incident.severity) or alert.effects.immediate
    )
    state = _add_to_incident(state, alert, replaces)
    if replaces is None or replaces.cause != alert.cause:
        state = count_occurrence(state, alert)
    untold = [target for target in targets if replaces is None or target.channel not in replaces.announced_to]
    return _announce(state, alert, untold, now, outdates_message=outdates_message)


def _task_is_over(state: SubjectState, alert: Alert) -> bool:
    """Whether the exit of a container is reported after the stop of its task, so that nothing continues."""
    return bool(alert.exited) and not alert.self_reported and stopped_at(state, alert.task) is not None


def _add_to_incident(state: SubjectState, alert: Alert, replaces: Replaced | None) -> SubjectState:
    """Adds the alert to the open incident, reopens the last one, or opens a new one. `reassess` says when it lapses."""
    incident = state.incident
    if incident is None or (incident.over and not _reopens(incident, alert)):
        return _open(state, alert)
    worse = alert.severity.worse_than(incident.severity)
    confirms = incident.alert.self_reported and not alert.self_reported and alert.severity.at_least(incident.severity)
    returns = incident.over and alert.severity.at_least(incident.severity)
    becomes_main = worse or confirms or returns
    before = incident
    incident = replace(
        _with_relapse(incident, state, alert),
        status=IncidentStatus.OPEN,
        ended_at=None,
        ended_by=None,
        severity=alert.severity if worse else incident.severity,
        alert=alert if becomes_main else incident.alert,
        latest=None if becomes_main else _latest(state, incident, alert),
        recurrence=recurrence_of(state, alert) if becomes_main else incident.recurrence,
        causes=_plus_one(_without_replaced(incident.causes, replaces), alert.cause),
        tasks=_with_task(incident.tasks, alert.task),
        opened_at=min(incident.opened_at, alert.at),
        last_at=max(incident.last_at, alert.at),
        silenced=_merge_silenced(incident.silenced, state.silenced),
    )
    if before.over:
        entries = {name: withdraw_end(entry, before.severity) for name, entry in state.outbox.items()}
        state = state._replace(outbox=entries)
    return state._replace(
        incident=incident,
        latest_sent=False if incident.latest is alert or becomes_main else state.latest_sent,
        resolve_at=None,
        lapse_at=None,
        silenced=None,
    )


def _latest(state: SubjectState, incident: Incident, alert: Alert) -> Alert:
    """The alert that the next update describes: the newest, unless a worse one has not been told yet.

    The rollback of a failed deployment does not take the place of the failure.
    """
    before = incident.latest or incident.alert
    if alert.effects.deployment is DeploymentStep.ROLLING_BACK and before.cause == FAILED_DEPLOYMENT:
        return before
    waits = not state.latest_sent and before.severity.worse_than(alert.severity) and continues(state, before)
    return before if waits else alert


def _with_relapse(incident: Incident, state: SubjectState, alert: Alert) -> Incident:
    """Counts a relapse if the incident had recovered, and a return if a channel was told that it is resolved."""
    recovered = incident.over or incident.status is IncidentStatus.RECOVERING or is_relapse(state, incident, alert)
    another_question = alert.effects.immediate and bool(alert.effects.begins)  # an approval is not a failure
    if not recovered or alert.self_reported or another_question or _corrects_recovery(state, incident, alert):
        return incident
    end_announced = any(entry.sent_revision and not entry.knows_incident for entry in state.outbox.values())
    return replace(
        incident,
        reopened=incident.reopened + (incident.over and end_announced),
        relapses=incident.relapses + 1,
        relapsed_at=(*incident.relapsed_at, alert.at)[-RELAPSES_OF_FLAPPING:],
    )


def _corrects_recovery(state: SubjectState, incident: Incident, alert: Alert) -> bool:
    """Whether what seemed to end a failed deployment was its rollback, and no channel was told that it is over."""
    is_rollback = alert.effects.deployment is DeploymentStep.ROLLING_BACK
    return is_rollback and not incident.over and FAILED_DEPLOYMENT in continuing_causes(state)


def _open(state: SubjectState, alert: Alert) -> SubjectState:
    previous, silenced = state.incident, _unless_lapsed(state.silenced, alert)
    archived = state._replace(
        version=0,
        archived=True,
        silenced=None,
        muted=None,
        cause_times={},
        conditions={},
        ended={},
        completions={},
        occurrences={},
        deployments={},
        tasks={},
        recent={},
        verify_at=None,
    )
    incident = Incident(
        number=previous.number + 1 if previous else 1,
        status=IncidentStatus.OPEN,
        subject=state.subject,
        severity=alert.severity,
        causes={alert.cause: 1},
        tasks=_with_task((), alert.task),
        alert=alert,
        opened_at=min(alert.at, silenced.since) if silenced else alert.at,
        last_at=alert.at,
        silenced=silenced,
        recurrence=recurrence_of(state, alert),
    )
    return state._replace(
        incident=incident,
        cause_times=state.cause_times if silenced else _newest_alone(state, alert),
        outbox={},
        latest_sent=False,
        silenced=None,
        superseded=archived if previous else None,
    )


def _newest_alone(state: SubjectState, alert: Alert) -> dict[str, float]:
    """The causes of an incident that opens with this alert: those of the previous incident do not belong to it."""
    own = {cause_key(alert)}
    if alert.effects.deployment is DeploymentStep.ROLLING_BACK:
        own.add(FAILED_DEPLOYMENT)
    return {key: at for key, at in state.cause_times.items() if key in own}


def _without_replaced(causes: Mapping[str, int], replaces: Replaced | None) -> dict[str, int]:
    replaced = replaces.cause if replaces else None
    fewer = {cause: count - (cause == replaced) for cause, count in causes.items()}
    return {cause: count for cause, count in fewer.items() if count > 0}


def _reopens(incident: Incident, alert: Alert) -> bool:
    resolved_at = incident.ended_at if incident.status is IncidentStatus.RESOLVED else None
    return resolved_at is not None and alert.at <= resolved_at + REOPEN_WITHIN


# --- a silence matches it ---------------------------------------------------------------------------------------------


def _apply_silence(state: SubjectState, alert: Alert, by: Mapping[str, str]) -> SubjectState:
    """Counts the alert as silenced, not as part of the incident. Its problem may outlast the silence."""
    silenced = _merge_silenced(_unless_lapsed(state.silenced, alert), Silenced(alert.at, alert.at, 1, by))
    return state._replace(silenced=silenced, lapse_at=None)  # `reassess` gives an open incident another day


def _unless_lapsed(silenced: Silenced | None, alert: Alert) -> Silenced | None:
    """Silenced alerts lapse like an incident: None if the newest of them is older than `LAPSE_AFTER`."""
    return silenced if silenced and alert.at - silenced.last_at <= LAPSE_AFTER else None


def _merge_silenced(one: Silenced | None, other: Silenced | None) -> Silenced | None:
    if one is None or other is None:
        return one or other
    by = dict(list({**one.by, **other.by}.items())[:SILENCES_NAMED])
    return Silenced(min(one.since, other.since), max(one.last_at, other.last_at), one.count + other.count, by)


# --- or it is announced -----------------------------------------------------------------------------------------------


def _announce(
    state: SubjectState, alert: Alert, targets: Sequence[RouteTarget], now: float, *, outdates_message: bool
) -> tuple[SubjectState, Decision]:
    """Updates the entry of each target. The decision is `announced` if one of them sends because of this alert."""
    entries = dict(state.outbox)
    decision = Decision.HELD_BACK
    immediate = _cannot_wait(state, alert)
    for target in targets:
        before = entries.get(target.channel) or OutboxEntry(target.dedup_window)
        entry = before._replace(
            suppressed=_plus_one(before.suppressed, alert.cause),
            dedup_window=target.dedup_window,
            stateful=target.stateful,
            options=target.options,
            remind=target.remind,
            immediate=before.immediate or immediate,
            only_self_reports=alert.self_reported
            and (before.only_self_reports or not (before.is_behind or before.suppressed)),
        )
        if outdates_message if before.is_leased(now) else _is_due_now(before, alert, now, immediate=immediate):
            decision = Decision.ANNOUNCED
            entry = request_send(entry, now)
        elif not entry.is_behind:
            entry = entry._replace(due_at=entry.window_ends_at)
        entries[target.channel] = entry
    return state._replace(outbox=entries), decision


def _cannot_wait(state: SubjectState, alert: Alert) -> bool:
    """Whether no window holds an alert back that is counted already: somebody has to decide, or a deployment failed.

    A deployment that is tried again and again fails as often, and each of its messages would say the same.
    """
    if alert.effects.deployment is not DeploymentStep.FAILED:
        return alert.effects.immediate
    return alert.effects.immediate and recurrence_of(state, alert).last_day <= IMMEDIATE_DEPLOYMENTS


def _is_due_now(entry: OutboxEntry, alert: Alert, now: float, *, immediate: bool) -> bool:
    """Whether a channel is notified at once: it is new to the channel, it gets worse, or no window holds it back."""
    if entry.is_behind:
        return False  # a notification is pending already, and it will include this alert
    return (
        not entry.knows_incident
        or alert.severity.worse_than(entry.announced_severity)
        or immediate
        or entry.window_ends_at is None
        or entry.window_ends_at <= now
    )


# --- time passes ------------------------------------------------------------------------------------------------------


def advance(state: SubjectState, now: float, timing: Timing) -> SubjectState:
    """What the clock alone changes: conditions expire, a silence has ended, a recovery is complete, an incident lapses.

    A digest of nothing but what has ended is dropped: `resolved` counts it.

    The caller has extended the mute of an alert that is still silenced (`router.incident.suppression`).
    """
    state = expire_conditions(state, now, timing)
    if state.muted is not None and state.muted.until <= now:
        state = _unmute(state, state.muted, now)
    incident = state.incident
    if incident is None or incident.over:
        return state
    if incident.status is IncidentStatus.RECOVERING and incident.unconfirmed and state.resolve_at is not None:
        return _close(state, replace(incident, status=IncidentStatus.UNCONFIRMED, ended_at=now), now)
    if state.resolve_at is not None and state.resolve_at <= now:
        return _close(state, replace(incident, status=IncidentStatus.RESOLVED), now)
    if state.lapse_at is not None and state.lapse_at <= now:
        if any(entry.due_at is not None and not entry.attempt for entry in state.outbox.values()):
            return state._replace(lapse_at=now + HOUR)  # a digest is pending; a channel that fails is not waited for
        return _close(state, replace(incident, status=IncidentStatus.LAPSED, ended_at=now), now)
    return _with_reminders(_without_stale_digests(state, now), now)


def _without_stale_digests(state: SubjectState, now: float) -> SubjectState:
    """The state without the due digests that would only report what has ended; a flapping subject keeps them."""
    if state.incident is None or state.incident.relapses:
        return state
    left = continuing(state)
    stale = {
        name: entry._replace(suppressed={}, due_at=None)
        for name, entry in state.outbox.items()
        if entry.due_at is not None
        and entry.due_at <= now
        and not entry.is_behind
        and not entry.is_leased(now)
        and entry.suppressed
        and not entry.suppressed.keys() & left.keys()
    }
    return state._replace(outbox={**state.outbox, **stale})


def _with_reminders(state: SubjectState, now: float) -> SubjectState:
    """Requests a message for each channel that has not been told for a long time that a condition continues."""
    if not state.conditions:
        return state
    due = {
        name: request_send(entry, now)._replace(reminded_at=now)
        for name, entry in state.outbox.items()
        if (at := state.remind_at(entry)) is not None and at <= now
    }
    return state._replace(outbox={**state.outbox, **due})


def _unmute(state: SubjectState, muted: MutedAlert, now: float) -> SubjectState:
    """The state at the end of a silence: what the alert reports continues, so the alert is announced.

    History has counted the alert as silenced already; from now on the incident counts it instead.
    """
    silenced = state.silenced
    if silenced is not None:
        others = replace(silenced, count=silenced.count - 1)
        state = state._replace(silenced=others if others.count else None)
    incident = state.incident
    outdates_message = incident is None or incident.over or muted.alert.severity.worse_than(incident.severity)
    state = _add_to_incident(state._replace(muted=None), muted.alert, None)
    if state.incident and state.incident.alert is muted.alert:  # else history would count the alert as an earlier one
        state = state._replace(incident=replace(state.incident, recurrence=muted.recurrence))
    return _announce(state, muted.alert, muted.targets, now, outdates_message=outdates_message)[0]


def close(state: SubjectState, author: str, reason: str, now: float) -> SubjectState:
    """Closes an incident by hand. Alerts from before `now` are not announced any more.

    Args:
        author: who closed it. reason: why.
    """
    if state.incident is None or state.incident.over:
        return state
    incident = replace(
        state.incident, status=IncidentStatus.CLOSED, ended_at=now, closed_by=author, closed_because=reason
    )
    quiet = state._replace(
        muted=None,
        ended={**state.ended, **dict.fromkeys(state.conditions, now)},
        quiet_from=max(state.quiet_from, now),
        deployment_resolved_at=max(state.deployment_resolved_at, now),
    )
    return _close(quiet, incident, now)


def _close(state: SubjectState, incident: Incident, now: float) -> SubjectState:
    """The state with its incident over. What it counted, and its conditions, end with it.

    A failed deployment is remembered: the one that completed may turn out to be its rollback, which ends nothing.
    """
    recovered = incident.status is IncidentStatus.RESOLVED
    over = state._replace(
        incident=incident,
        cause_times={key: at for key, at in state.cause_times.items() if recovered and key == FAILED_DEPLOYMENT},
        conditions={},
        verify_at=None,
        resolve_at=None,
        lapse_at=None,
        silenced=None,
    )
    return close_outbox(over, now)


# --- counting ---------------------------------------------------------------------------------------------------------


def _plus_one(counts: Mapping[str, int], cause: str) -> dict[str, int]:
    key = bounded_cause(counts, cause)
    return {**counts, key: counts.get(key, 0) + 1}


def _with_task(tasks: tuple[str, ...], task: str) -> tuple[str, ...]:
    if not task or task in tasks or len(tasks) >= TASKS_SHOWN:
        return tasks
    return (*tasks, task)
