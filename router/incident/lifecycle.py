"""The life of an incident: pure functions from a subject state, and something that happened, to the next state.

    absent ──alert──► open ──resolving event──► recovering ──resolve_after──► resolved ──alert within 1 h──► open
                      │ ◄────────alert─────────────┘                             └───────alert later──► the next one
                      └──nothing new for 24 h──► lapsed

The order of events is decided by their own times, never by their arrival. Windows and leases use clock time: `now`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from router.incident.known_tasks import remember, stopped_at
from router.incident.outbox import HOUR, apply_incident_end, request_send
from router.incident.recurrence import count_occurrence, record_deployment, recurrence_of
from router.incident.state import MutedAlert, OutboxEntry, Replaced, RouteTarget, SubjectState
from router.incident.suppression import forget_muted, keep_muted
from router.model import Alert, Decision, Incident, IncidentStatus, Severity, Silenced

LAPSE_AFTER = 24 * HOUR
REOPEN_WITHIN = 1 * HOUR
TASKS_SHOWN = 10
EXITS_REMEMBERED = 50
SILENCES_NAMED = 3

RUN_COMPLETED = "task_completed"
CONTAINER_EXITED = "container_exited"
DEPLOYMENT_FAILED = "deployment_failed"
DEPLOYMENT_COMPLETED = "deployment_completed"
ROLLING_BACK = "deployment_rolling_back"

_NO_SILENCE: Mapping[str, str] = MappingProxyType({})


# --- an alert arrives -------------------------------------------------------------------------------------------------


def apply_alert(  # noqa: PLR0913, PLR0917 - everything that the decision depends on
    state: SubjectState,
    alert: Alert,
    targets: Sequence[RouteTarget],
    now: float,
    resolve_after: float,
    silenced_by: Mapping[str, str] = _NO_SILENCE,
    replaces: Replaced | None = None,
) -> tuple[SubjectState, Decision]:
    """Applies an alert and decides whether to announce it. The caller passes each occurrence only once.

    Args:
        targets: the channels that the alert's routes name.
        resolve_after: seconds without a new alert after which a recovery is announced.
        silenced_by: id and reason of the silence that matches the alert, or of what CloudWatch suppresses its alarm by;
            empty if nothing does.
        replaces: an alert of the open incident about the same ending, which is counted already.
    """
    after, decision = _decide(state, alert, targets, now, resolve_after, silenced_by, replaces)
    ended_at = stopped_at(after, alert.task) if alert.exited and not alert.self_reported else None
    if ended_at is not None:  # the exit of a container is reported after the stop of its task
        after = _end_causes(after, {_exit_key(alert)}, ended_at, now, resolve_after)
    return remember(state, after, alert), decision


def apply_repeat(state: SubjectState, alert: Alert, now: float, resolve_after: float) -> SubjectState:
    """Applies an alert whose occurrence is known already: it is not announced, and still ends what a stop ends."""
    if not alert.stopped:
        return state
    after = _end_causes(state, {_exit_key(alert)}, alert.at, now, resolve_after)
    after = _recover(after, alert, now, resolve_after) if alert.resolves else after
    return remember(state, after, alert)


def _decide(  # noqa: PLR0913, PLR0917 - as `apply_alert`
    state: SubjectState,
    alert: Alert,
    targets: Sequence[RouteTarget],
    now: float,
    resolve_after: float,
    silenced_by: Mapping[str, str],
    replaces: Replaced | None,
) -> tuple[SubjectState, Decision]:
    state = record_deployment(_note_rollback(state, alert), alert)
    if alert.stopped:
        state = _end_causes(state, {_exit_key(alert)}, alert.at, now, resolve_after)
    if alert.resolves:
        return _recover(state, alert, now, resolve_after), Decision.RESOLVING
    if not alert.severity.at_least(Severity.WARNING):
        return state, Decision.BELOW_THRESHOLD
    if not targets:
        return state, Decision.NO_ROUTE
    if alert.at < _quiet_from(state, alert.cause):
        return state, Decision.ALREADY_RESOLVED
    if silenced_by:
        state = keep_muted(_apply_silence(state, alert, silenced_by, now), alert, targets, now)
        return count_occurrence(state, alert), Decision.SILENCED
    state = forget_muted(state, alert.at)
    incident = state.incident
    # A message that is being sent is out of date if the incident gets worse, or is not over after all.
    outdates_message = incident is None or incident.over or alert.severity.worse_than(incident.severity)
    state = _add_to_incident(state, alert, now, replaces)
    if replaces is None or replaces.cause != alert.cause:
        state = count_occurrence(state, alert)
    untold = [target for target in targets if replaces is None or target.channel not in replaces.announced_to]
    return _announce(state, alert, untold, now, outdates_message=outdates_message)


def _add_to_incident(state: SubjectState, alert: Alert, now: float, replaces: Replaced | None) -> SubjectState:
    """Adds the alert to the open incident, reopens the last one, or opens a new one."""
    incident = state.incident
    if incident is None or (incident.over and not _reopens(incident, alert)):
        return _open(state, alert, now)
    worse = alert.severity.worse_than(incident.severity)
    confirms = incident.alert.self_reported and not alert.self_reported and alert.severity.at_least(incident.severity)
    incident = replace(
        incident,
        status=IncidentStatus.OPEN,
        ended_at=None,
        reopened=incident.reopened + (incident.over and not alert.self_reported),
        severity=alert.severity if worse else incident.severity,
        alert=alert if worse or confirms else incident.alert,
        recurrence=recurrence_of(state, alert) if worse or confirms else incident.recurrence,
        causes=_plus(_without_replaced(incident.causes, replaces), {alert.cause: 1}),
        tasks=_with_task(incident.tasks, alert.task),
        opened_at=min(incident.opened_at, alert.at),
        last_at=max(incident.last_at, alert.at),
        silenced=_merge_silenced(incident.silenced, state.silenced),
    )
    return state._replace(
        incident=incident,
        active_causes=_with_active(state.active_causes, alert),
        resolve_at=None,
        lapse_at=now + LAPSE_AFTER,
        silenced=None,
    )


def _open(state: SubjectState, alert: Alert, now: float) -> SubjectState:
    previous, silenced = state.incident, _unless_lapsed(state.silenced, alert)
    archived = state._replace(
        version=0,
        archived=True,
        silenced=None,
        muted=None,
        active_causes={},
        occurrences={},
        deployments={},
        tasks={},
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
        active_causes=_with_active(state.active_causes if silenced else {}, alert),
        outbox={},
        resolve_at=None,
        lapse_at=now + LAPSE_AFTER,
        silenced=None,
        superseded=archived if previous else None,
    )


def _without_replaced(causes: Mapping[str, int], replaces: Replaced | None) -> dict[str, int]:
    replaced = replaces.cause if replaces else None
    fewer = {cause: count - (cause == replaced) for cause, count in causes.items()}
    return {cause: count for cause, count in fewer.items() if count > 0}


def _reopens(incident: Incident, alert: Alert) -> bool:
    return incident.status is IncidentStatus.RESOLVED and alert.at <= (incident.ended_at or 0.0) + REOPEN_WITHIN


# --- a silence matches it ---------------------------------------------------------------------------------------------


def _apply_silence(state: SubjectState, alert: Alert, by: Mapping[str, str], now: float) -> SubjectState:
    """Counts the alert as silenced, not as part of the incident. Its cause is active and may outlast the silence."""
    silenced = _merge_silenced(_unless_lapsed(state.silenced, alert), Silenced(alert.at, alert.at, 1, by))
    state = state._replace(silenced=silenced, active_causes=_with_active(state.active_causes, alert))
    incident = state.incident
    if incident is None or incident.over:
        return state
    incident = replace(incident, status=IncidentStatus.OPEN, ended_at=None)
    return state._replace(incident=incident, resolve_at=None, lapse_at=now + LAPSE_AFTER)


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
    for target in targets:
        before = entries.get(target.channel) or OutboxEntry(target.dedup_window)
        entry = before._replace(
            suppressed=_plus(before.suppressed, {alert.cause: 1}),
            dedup_window=target.dedup_window,
            stateful=target.stateful,
            options=target.options,
            only_self_reports=alert.self_reported
            and (before.only_self_reports or not (before.is_behind or before.suppressed)),
        )
        if outdates_message if before.is_leased(now) else _is_due_now(before, alert, now):
            decision = Decision.ANNOUNCED
            entry = request_send(entry, now)
        elif not entry.is_behind:
            entry = entry._replace(due_at=entry.window_ends_at)
        entries[target.channel] = entry
    return state._replace(outbox=entries), decision


def _is_due_now(entry: OutboxEntry, alert: Alert, now: float) -> bool:
    """Whether a channel is told at once: it does not know the incident, it gets worse, or the window has ended."""
    if entry.is_behind:
        return False  # a notification is pending already, and it will include this alert
    return (
        not entry.knows_incident
        or alert.severity.worse_than(entry.announced_severity)
        or entry.window_ends_at is None
        or entry.window_ends_at <= now
    )


# --- causes end -------------------------------------------------------------------------------------------------------


def _note_rollback(state: SubjectState, alert: Alert) -> SubjectState:
    if alert.cause != ROLLING_BACK or not alert.deployment or alert.deployment in state.rollbacks:
        return state
    return state._replace(rollbacks=(*state.rollbacks, alert.deployment)[-EXITS_REMEMBERED:])


def _recover(state: SubjectState, alert: Alert, now: float, resolve_after: float) -> SubjectState:
    """Applies a resolving event: sets `quiet_from` and ends the causes that this event can end.

    A completed standalone run ends only failures from before its start. The completion of a rollback does not end
    `deployment_failed`.
    """
    quiet_from = alert.at
    began = alert.created_at if alert.started_at is None else alert.started_at
    if alert.cause == RUN_COMPLETED and began is not None:
        quiet_from = began
    rollbacks = state.rollbacks
    if alert.cause == DEPLOYMENT_COMPLETED and alert.deployment not in rollbacks:
        rollbacks = ()
    state = forget_muted(state._replace(rollbacks=rollbacks, quiet_from=max(state.quiet_from, quiet_from)), quiet_from)
    if not rollbacks:
        state = state._replace(deployment_resolved_at=max(state.deployment_resolved_at, quiet_from))
    ended = {key for key, newest in state.active_causes.items() if newest <= _quiet_from(state, key)}
    return _end_causes(state, ended, alert.at, now, resolve_after)


def _quiet_from(state: SubjectState, key: str) -> float:
    """Event time up to which an active cause, given by its key, is over."""
    if key.startswith(CONTAINER_EXITED):
        return 0.0  # the task still runs without this container; only the end of the task ends that
    return state.deployment_resolved_at if key == DEPLOYMENT_FAILED else state.quiet_from


def _end_causes(state: SubjectState, ended: Iterable[str], at: float, now: float, resolve_after: float) -> SubjectState:
    """Removes active causes by their keys. If none is left, the recovery will be announced after `resolve_after`."""
    left = {key: newest for key, newest in state.active_causes.items() if key not in ended}
    incident = state.incident
    if len(left) == len(state.active_causes):
        return state
    if not left:
        state = state._replace(silenced=None)
    if left or incident is None or incident.status is not IncidentStatus.OPEN:
        return state._replace(active_causes=left)
    incident = replace(incident, status=IncidentStatus.RECOVERING, ended_at=at)
    return state._replace(incident=incident, active_causes=left, resolve_at=now + resolve_after)


def _with_active(active_causes: Mapping[str, float], alert: Alert) -> dict[str, float]:
    key = _exit_key(alert) if alert.cause == CONTAINER_EXITED else alert.cause
    newest = max(alert.at, active_causes.get(key, alert.at))
    others = [(other, at) for other, at in active_causes.items() if other != key]
    return dict([*others[-EXITS_REMEMBERED:], (key, newest)])


def _exit_key(alert: Alert) -> str:
    """The key of a container's exit among the active causes."""
    return f"{CONTAINER_EXITED}/{alert.task}"


# --- time passes ------------------------------------------------------------------------------------------------------


def advance(state: SubjectState, now: float) -> SubjectState:
    """What the clock alone changes: a recovery is complete, an incident lapses, or CloudWatch's mute window ends."""
    if state.muted is not None and state.muted.until <= now:
        state = _unmute(state, state.muted, now)
    incident = state.incident
    if incident is None:
        return state
    if state.resolve_at is not None and state.resolve_at <= now:
        return _close(state, replace(incident, status=IncidentStatus.RESOLVED), now)
    if state.lapse_at is not None and state.lapse_at <= now:
        if any(entry.due_at is not None and not entry.attempt for entry in state.outbox.values()):
            return state._replace(lapse_at=now + HOUR)  # a digest is pending; a channel that fails is not waited for
        return _close(state, replace(incident, status=IncidentStatus.LAPSED, ended_at=now), now)
    return state


def _unmute(state: SubjectState, muted: MutedAlert, now: float) -> SubjectState:
    """The state at the end of the mute window: the alarm has not recovered, so its alert is announced.

    History has counted the alert as silenced already; from now on the incident counts it instead.
    """
    silenced = state.silenced
    if silenced is not None:
        others = replace(silenced, count=silenced.count - 1)
        state = state._replace(silenced=others if others.count else None)
    incident = state.incident
    outdates_message = incident is None or incident.over or muted.alert.severity.worse_than(incident.severity)
    state = _add_to_incident(state._replace(muted=None), muted.alert, now, None)
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
        quiet_from=max(state.quiet_from, now),
        deployment_resolved_at=max(state.deployment_resolved_at, now),
    )
    return _close(quiet, incident, now)


def _close(state: SubjectState, incident: Incident, now: float) -> SubjectState:
    entries = {name: apply_incident_end(entry, incident, now) for name, entry in state.outbox.items()}
    return state._replace(
        incident=incident, outbox=entries, active_causes={}, resolve_at=None, lapse_at=None, silenced=None
    )


# --- counting ---------------------------------------------------------------------------------------------------------


def _plus(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {**counts, **{cause: counts.get(cause, 0) + count for cause, count in more.items()}}


def _with_task(tasks: tuple[str, ...], task: str) -> tuple[str, ...]:
    if not task or task in tasks or len(tasks) >= TASKS_SHOWN:
        return tasks
    return (*tasks, task)
