"""What a subject's state remembers of its tasks: which of their containers have ended. Pure functions.

ECS lists a container that ended in every later event of its task, and does not say when it ended. So the
state remembers which containers had ended before, to recognise what is new.
"""

from collections.abc import Collection, Mapping

from router.incident.state import KnownTask, OutboxEntry, Replaced, SelfReport, SubjectState, container_key
from router.model import Alert, Container, Severity

TASKS_REMEMBERED = 200
STOPS_REMEMBERED = 20
"""How many of these tasks may be remembered only for their stop: a crash loop must not make the state large."""

_UNKNOWN = KnownTask()
_STOPPED_BY_ECS = frozenset({None, 0, 130, 137, 143})
"""Exit codes of containers that ended well, or that ECS ended by a signal: SIGINT, SIGKILL, SIGTERM."""


def exits_of(state: SubjectState, task: str) -> Mapping[str, Severity]:
    """The containers of a task whose exits AWS has reported while the task ran, with the severity of that alert."""
    return state.tasks.get(task, _UNKNOWN).exits


def restarted_at(state: SubjectState, task: str, names: Collection[str]) -> float | None:
    """Event time at which any of these containers ran again after an exit; None if that is not known."""
    restarted = state.tasks.get(task, _UNKNOWN).restarted
    return max((restarted[name] for name in names if name in restarted), default=None)


def stopped_at(state: SubjectState, task: str) -> float | None:
    """Event time at which AWS reported the stop of a task, or None if that is not known."""
    return state.tasks.get(task, _UNKNOWN).stopped_at


def remember(before: SubjectState, state: SubjectState, alert: Alert) -> SubjectState:
    """The state once an alert about a task has been applied.

    Args:
        before: the state without the alert. Of a task that is not known yet, the stop alone is remembered only if it
            changed anything, or if the exit of one of its containers may be reported later: most tasks stop because a
            service scales in.
    """
    if not alert.task:
        return state
    known = _with_restarts(state, state.tasks.get(alert.task, _UNKNOWN), alert)
    if alert.self_reported:
        report = _self_report(state, alert)
        known = known._replace(self_reports={**known.self_reports, **dict.fromkeys(alert.exited, report)})
    elif alert.exited:
        exits = dict.fromkeys(alert.exited, alert.severity)
        left = {name: report for name, report in known.self_reports.items() if name not in exits}
        known = known._replace(exits={**known.exits, **exits}, self_reports=left)
    elif alert.stopped and (alert.task in state.tasks or state != before or _may_have_gone_on(alert)):
        known = known._replace(stopped_at=alert.at)
    if known == state.tasks.get(alert.task, _UNKNOWN):
        return state
    others = {task: other for task, other in state.tasks.items() if task != alert.task}
    return state._replace(tasks=_bounded({**others, alert.task: known}))


def _may_have_gone_on(alert: Alert) -> bool:
    """Whether a container of a stopped task may have ended before the others; the report of that may still come."""
    containers = alert.containers
    return len(containers) > 1 and any(
        container.reason or container.exit_code not in _STOPPED_BY_ECS for container in containers
    )


def _with_restarts(state: SubjectState, known: KnownTask, alert: Alert) -> KnownTask:
    """What is known of the task, where containers that had exited run again: their restart policy restarted them."""
    if alert.self_reported or alert.stopped or not known.exits:
        return known
    running = {
        container.name
        for container in alert.containers
        if container.status == "RUNNING" and container.name in known.exits and not _died_later(state, alert, container)
    }
    if not running:
        return known
    exits = {name: severity for name, severity in known.exits.items() if name not in running}
    return known._replace(exits=exits, restarted={**known.restarted, **dict.fromkeys(running, alert.at)})


def _died_later(state: SubjectState, alert: Alert, container: Container) -> bool:
    """Whether a newer event than this one has reported that the container is dead."""
    condition = state.conditions.get(container_key(alert.task, container.name))
    return condition is not None and condition.reported_at > alert.at


def _bounded(tasks: Mapping[str, KnownTask]) -> dict[str, KnownTask]:
    stops = [task for task, known in tasks.items() if not (known.exits or known.self_reports or known.restarted)]
    forgotten = {*stops[:-STOPS_REMEMBERED]}
    kept = [(task, known) for task, known in tasks.items() if task not in forgotten]
    return dict(kept[-TASKS_REMEMBERED:])


def _self_report(state: SubjectState, alert: Alert) -> SelfReport:
    incident = state.incident
    counted = incident is not None and not incident.over and incident.causes.get(alert.cause)
    number = incident.number if incident and counted else 0
    return SelfReport(number, alert.cause, alert.severity, {name: _revision(e) for name, e in state.outbox.items()})


def _revision(entry: OutboxEntry) -> int:
    """The revision that tells the channel of an alert which has just been added to its entry."""
    waits = entry.is_behind and not entry.lease_owner
    return entry.wanted_revision if waits else entry.wanted_revision + 1


def replaced_report(state: SubjectState, alert: Alert) -> Replaced | None:
    """The task's own report, in the open incident, that AWS's alert about the same exits replaces; None without one.

    A channel that was told of that report at this severity need not be told again.
    """
    reports = state.tasks.get(alert.task, _UNKNOWN).self_reports
    replaced = [reports[name] for name in alert.exited if name in reports]
    incident = state.incident
    if alert.self_reported or not replaced or len(replaced) < len(alert.exited) or incident is None or incident.over:
        return None
    if any(report.incident != incident.number for report in replaced):
        return None
    notified = {
        channel
        for channel, entry in state.outbox.items()
        if all(
            report.severity.at_least(alert.severity)
            and channel in report.revisions
            and entry.sent_revision >= report.revisions[channel]
            for report in replaced
        )
    }
    return Replaced(replaced[0].cause, frozenset(notified))
