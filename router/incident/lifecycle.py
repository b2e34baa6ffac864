"""The life of an incident, as pure functions from how things stand, and something that happened, to how they stand now.

    absent ──alert──► open ──resolving event──► recovering ──resolve_after──► resolved ──alert within 1 h──► open
                      │ ◄────────alert─────────────┘                             └───────alert later──► the next one
                      └──nothing new for 24 h──► lapsed

What came before what is decided by the events' own times, never by arrival; windows and leases run on the clock: `now`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from router.incident.outbox import HOUR, apply_incident_end, request_send
from router.incident.recurrence import record_deployment, recurrence_of, count_occurrence
from router.incident.state import OutboxEntry, RouteTarget, SubjectState
from router.model import Alert, Decision, Incident, Kind, Severity, Silenced

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

_NOBODY: Mapping[str, str] = MappingProxyType({})


# --- an alert comes ---------------------------------------------------------------------------------------------------


def apply_alert(  # noqa: PLR0913, PLR0917 - all that the decision hangs on
    standing: SubjectState,
    alert: Alert,
    targets: Sequence[RouteTarget],
    now: float,
    resolve_after: float,
    silenced_by: Mapping[str, str] = _NOBODY,
) -> tuple[SubjectState, Decision]:
    """Takes an alert in, once: the caller sees to it that the same occurrence never comes twice.

    Args:
        silenced_by: id and reason of the silence that holds it back; empty where none does.
    """
    standing = record_deployment(_note_rollback(standing, alert), alert)
    if alert.stopped:
        standing = _end_causes(standing, {_exit_key(alert)}, alert.at, now, resolve_after)
    if alert.resolves:
        return _recover(standing, alert, now, resolve_after), Decision.RESOLVING
    if not alert.severity.at_least(Severity.WARNING):
        return standing, Decision.BELOW_THRESHOLD
    if not targets:
        return standing, Decision.NO_ROUTE
    if alert.at < _quiet_from(standing, alert.cause):
        return standing, Decision.ALREADY_RESOLVED
    if silenced_by:
        return count_occurrence(_apply_silence(standing, alert, silenced_by, now), alert), Decision.SILENCED
    after = count_occurrence(_add_to_incident(standing, alert, now), alert)
    return _announce(after, alert, targets, now, news=_changes_message(standing.incident, alert))


def _changes_message(incident: Incident | None, alert: Alert) -> bool:
    """Whether this changes what a message that is under way says: the incident gets worse, or is not over after all."""
    return incident is None or incident.over or alert.severity.worse_than(incident.severity)


def _add_to_incident(standing: SubjectState, alert: Alert, now: float) -> SubjectState:
    """The incident with this alert in it: the open one, the last one come back, or a new one."""
    incident = standing.incident
    if incident is None or (incident.over and not _reopens(incident, alert)):
        return _open(standing, alert, now)
    worse = alert.severity.worse_than(incident.severity)
    incident = replace(
        incident,
        status="open",
        ended_at=None,
        reopened=incident.reopened + incident.over,
        severity=alert.severity if worse else incident.severity,
        alert=alert if worse else incident.alert,
        recurrence=recurrence_of(standing, alert) if worse else incident.recurrence,
        causes=_plus(incident.causes, {alert.cause: 1}),
        tasks=_with_task(incident.tasks, alert.task),
        opened_at=min(incident.opened_at, alert.at),
        last_at=max(incident.last_at, alert.at),
        silenced=_merge_silenced(incident.silenced, standing.silenced),
    )
    return standing._replace(
        incident=incident,
        active_causes=_with_active(standing.active_causes, alert),
        resolve_at=None,
        lapse_at=now + LAPSE_AFTER,
        silenced=None,
    )


def _open(standing: SubjectState, alert: Alert, now: float) -> SubjectState:
    previous, silenced = standing.incident, _unless_lapsed(standing.silenced, alert)
    incident = Incident(
        number=previous.number + 1 if previous else 1,
        status="open",
        subject=standing.subject,
        severity=alert.severity,
        causes={alert.cause: 1},
        tasks=_with_task((), alert.task),
        alert=alert,
        opened_at=min(alert.at, silenced.since) if silenced else alert.at,
        last_at=alert.at,
        silenced=silenced,
        recurrence=recurrence_of(standing, alert),
    )
    return standing._replace(
        incident=incident,
        active_causes=_with_active(standing.active_causes if silenced else {}, alert),
        outbox={},
        resolve_at=None,
        lapse_at=now + LAPSE_AFTER,
        silenced=None,
        superseded=_archived(standing) if previous else None,
    )


def _archived(standing: SubjectState) -> SubjectState:
    return standing._replace(version=0, archived=True, silenced=None, active_causes={}, occurrences={}, deployments={})


def _reopens(incident: Incident, alert: Alert) -> bool:
    return incident.status == "resolved" and alert.at <= (incident.ended_at or 0.0) + REOPEN_WITHIN


# --- a silence holds it back ------------------------------------------------------------------------------------------


def _apply_silence(standing: SubjectState, alert: Alert, by: Mapping[str, str], now: float) -> SubjectState:
    """Nobody is told and nothing is counted; but the trouble goes on, and may outlast the silence."""
    silenced = _merge_silenced(_unless_lapsed(standing.silenced, alert), Silenced(alert.at, alert.at, 1, by))
    standing = standing._replace(silenced=silenced, active_causes=_with_active(standing.active_causes, alert))
    incident = standing.incident
    if incident is None or incident.over:
        return standing
    incident = replace(incident, status="open", ended_at=None)
    return standing._replace(incident=incident, resolve_at=None, lapse_at=now + LAPSE_AFTER)


def _unless_lapsed(silenced: Silenced | None, alert: Alert) -> Silenced | None:
    """What was held back, if it is the same trouble: like an incident, it lapses when nothing comes for a day."""
    return silenced if silenced and alert.at - silenced.last_at <= LAPSE_AFTER else None


def _merge_silenced(one: Silenced | None, other: Silenced | None) -> Silenced | None:
    if one is None or other is None:
        return one or other
    by = dict(list({**one.by, **other.by}.items())[:SILENCES_NAMED])
    return Silenced(min(one.since, other.since), max(one.last_at, other.last_at), one.count + other.count, by)


# --- and is announced -------------------------------------------------------------------------------------------------


def _announce(
    standing: SubjectState, alert: Alert, reached: Sequence[RouteTarget], now: float, *, news: bool
) -> tuple[SubjectState, Decision]:
    """Moves the cell of each channel that is reached; announced when one of them shall speak because of this alert."""
    cells = dict(standing.outbox)
    decision = Decision.HELD_BACK
    for reach in reached:
        before = cells.get(reach.channel) or OutboxEntry(reach.dedup_window)
        held = _plus(before.suppressed, {alert.cause: 1})
        cell = before._replace(
            suppressed=held, dedup_window=reach.dedup_window, stateful=reach.stateful, options=reach.options
        )
        if news if before.is_leased(now) else _is_due_now(before, alert, now):
            decision = Decision.ANNOUNCED
            cell = request_send(cell, now)
        elif not cell.is_behind:
            cell = cell._replace(due_at=cell.window_ends_at)
        cells[reach.channel] = cell
    return standing._replace(outbox=cells), decision


def _is_due_now(cell: OutboxEntry, alert: Alert, now: float) -> bool:
    """Whether a channel is told of an alert at once: it knows nothing, it thinks all is well, or it gets worse."""
    if cell.is_behind:
        return False  # something is waiting to be said already, and the newest is what will be said
    if cell.last_kind_sent in {None, Kind.RESOLVED}:
        return True
    return (
        alert.severity.worse_than(cell.announced_severity) or cell.window_ends_at is None or cell.window_ends_at <= now
    )


# --- trouble ends -----------------------------------------------------------------------------------------------------


def _note_rollback(standing: SubjectState, alert: Alert) -> SubjectState:
    if alert.cause != ROLLING_BACK or not alert.deployment or alert.deployment in standing.rollbacks:
        return standing
    return standing._replace(rollbacks=(*standing.rollbacks, alert.deployment)[-EXITS_REMEMBERED:])


def _recover(standing: SubjectState, alert: Alert, now: float, resolve_after: float) -> SubjectState:
    """A resolving event: notes since when the subject is quiet, and ends what it can end.

    A completed standalone run ends only what failed before it started. While a rollback is what made the service well,
    the deployment that failed is still failed.
    """
    quiet_from = alert.at
    if alert.cause == RUN_COMPLETED and alert.started_at is not None:
        quiet_from = alert.started_at
    rollbacks = standing.rollbacks
    if alert.cause == DEPLOYMENT_COMPLETED and alert.deployment not in rollbacks:
        rollbacks = ()
    standing = standing._replace(
        rollbacks=rollbacks,
        quiet_from=max(standing.quiet_from, quiet_from),
        deployment_resolved_at=standing.deployment_resolved_at
        if rollbacks
        else max(standing.deployment_resolved_at, quiet_from),
    )
    ended = {what for what, newest in standing.active_causes.items() if newest <= _quiet_from(standing, what)}
    return _end_causes(standing, ended, alert.at, now, resolve_after)


def _quiet_from(standing: SubjectState, what: str) -> float:
    """Event time up to which `what` (a cause, or a container's exit) is over."""
    if what.startswith(CONTAINER_EXITED):
        return 0.0  # the task runs on without its container: it ends when that task stops
    return standing.deployment_resolved_at if what == DEPLOYMENT_FAILED else standing.quiet_from


def _end_causes(
    standing: SubjectState, ended: Iterable[str], at: float, now: float, resolve_after: float
) -> SubjectState:
    """Takes `ended` out of what goes on; when nothing is left, the recovery is announced after `resolve_after`."""
    left = {what: newest for what, newest in standing.active_causes.items() if what not in ended}
    incident = standing.incident
    if len(left) == len(standing.active_causes):
        return standing
    if not left:
        standing = standing._replace(silenced=None)
    if left or incident is None or incident.status != "open":
        return standing._replace(active_causes=left)
    incident = replace(incident, status="recovering", ended_at=at)
    return standing._replace(incident=incident, active_causes=left, resolve_at=now + resolve_after)


def _with_active(going_on: Mapping[str, float], alert: Alert) -> dict[str, float]:
    what = _exit_key(alert) if alert.cause == CONTAINER_EXITED else alert.cause
    newest = max(alert.at, going_on.get(what, alert.at))
    others = [(key, time) for key, time in going_on.items() if key != what]
    return dict([*others[-EXITS_REMEMBERED:], (what, newest)])


def _exit_key(alert: Alert) -> str:
    return f"{CONTAINER_EXITED}/{alert.task}"


# --- time passes ------------------------------------------------------------------------------------------------------


def advance(standing: SubjectState, now: float) -> SubjectState:
    """What the clock alone brings about: the end of a recovery, and the lapse of what nothing resolves."""
    incident = standing.incident
    if incident is None:
        return standing
    if standing.resolve_at is not None and standing.resolve_at <= now:
        return _close(standing, replace(incident, status="resolved"), now)
    if standing.lapse_at is not None and standing.lapse_at <= now:
        if any(cell.due_at is not None and not cell.attempt for cell in standing.outbox.values()):
            return standing._replace(lapse_at=now + HOUR)  # not before a last digest; but no channel waits for another
        return _close(standing, replace(incident, status="lapsed", ended_at=now), now)
    return standing


def close(standing: SubjectState, author: str, reason: str, now: float) -> SubjectState:
    """Ends by hand what nothing will resolve; what came before wakes nobody any more."""
    if standing.incident is None or standing.incident.over:
        return standing
    incident = replace(standing.incident, status="closed", ended_at=now, closed_by=author, closed_because=reason)
    quiet = standing._replace(
        quiet_from=max(standing.quiet_from, now), deployment_resolved_at=max(standing.deployment_resolved_at, now)
    )
    return _close(quiet, incident, now)


def _close(standing: SubjectState, incident: Incident, now: float) -> SubjectState:
    cells = {name: apply_incident_end(cell, incident, now) for name, cell in standing.outbox.items()}
    return standing._replace(
        incident=incident, outbox=cells, active_causes={}, resolve_at=None, lapse_at=None, silenced=None
    )


# --- counting ---------------------------------------------------------------------------------------------------------


def _plus(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {**counts, **{cause: counts.get(cause, 0) + count for cause, count in more.items()}}


def _with_task(tasks: tuple[str, ...], task: str) -> tuple[str, ...]:
    if not task or task in tasks or len(tasks) >= TASKS_SHOWN:
        return tasks
    return (*tasks, task)
