"""Recovery: which causes and conditions of a subject continue, and what ends them. Pure functions.

    occurrence (a crash, a failed start) ── ended by a later recovery of the subject: a steady state, a deployment
    condition (an alarm, an exited container) ── ended by what says that this very condition has ended

An incident recovers once nothing continues. What has ended is computed anew from the times of all events that are
known, so the order in which they arrive does not matter.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from router.incident.state import (
    CONTAINER,
    HEALTH_EVENT,
    HEALTH_GRACE,
    HOUR,
    Condition,
    SubjectState,
    Timing,
    container_key,
)
from router.model import Alert, Begun, DeploymentStep, Ended, EndedBy, Incident, IncidentStatus

LAPSE_AFTER = 24 * HOUR
VERIFY_EVERY = HOUR
"""Seconds between two checks of the conditions that continue."""
CONDITIONS_REMEMBERED = 200
"""How many conditions of one subject are kept separately. All further ones count as one, which only time ends."""
ENDED_REMEMBERED = 20
DEPLOYMENTS_REMEMBERED = 20
QUIET_TIMES = (HOUR, 4 * HOUR)
"""Seconds without failures before a recovery is announced: after the first return, and after later ones."""

CAUSES_REMEMBERED = 100
"""How many causes of one subject are kept separately, as a plugin may make any number. The rest count as `other`."""
OTHER_CAUSES = "other"

FAILED_DEPLOYMENT = "deployment_failed"
"""The key of failed deployments among the causes, whatever a plugin or a user rule calls them."""
OTHERS = "others"
"""The key of the conditions beyond `CONDITIONS_REMEMBERED`."""
_SMALLEST = 0.001  # seconds: stored times have this precision


# --- what continues ---------------------------------------------------------------------------------------------------


def continuing_causes(state: SubjectState) -> tuple[str, ...]:
    """The keys of the causes that nothing has ended yet."""
    return tuple(key for key, newest in state.cause_times.items() if newest > _quiet_from(state, key))


def continuing(state: SubjectState) -> dict[str, int]:
    """How many conditions and causes continue, by cause."""
    counts = Counter(condition.cause for condition in state.conditions.values())
    counts.update(continuing_causes(state))
    return dict(counts)


def without_data_since(state: SubjectState) -> float | None:
    """Clock time since which AWS has had no data about anything that continues, such as an alarm without data.

    None if it has data about some of it, or if nothing continues.
    """
    times = [condition.uncertain_since for condition in state.conditions.values()]
    without_data = [time for time in times if time is not None]
    if not without_data or len(without_data) < len(times) or continuing_causes(state):
        return None
    return max(without_data)


def continues(state: SubjectState, alert: Alert) -> bool:
    """Whether what an alert of the incident reports has not ended."""
    if alert.exited:
        return any(container_key(alert.task, name) in state.conditions for name in alert.exited)
    if any(condition.cause == alert.cause for condition in state.conditions.values()):
        return True
    return cause_key(alert) in continuing_causes(state)


def cause_key(alert: Alert) -> str:
    """The key of an occurrence among the causes."""
    return FAILED_DEPLOYMENT if alert.effects.deployment is DeploymentStep.FAILED else alert.cause


def bounded_cause(known: Mapping[str, object], cause: str) -> str:
    """The cause, or `other` if so many are known already that the state would grow too large."""
    return cause if cause in known or len(known) < CAUSES_REMEMBERED else OTHER_CAUSES


def is_over(state: SubjectState, alert: Alert) -> bool:
    """Whether an alert that arrives now reports something that has ended, by the times of the events."""
    begins, incident = alert.effects.begins, state.incident
    # A person closed it. An incident whose stored state was damaged has no such time.
    closed_at = incident.ended_at if incident and incident.status is IncidentStatus.CLOSED else None
    if closed_at is not None and alert.at <= min(closed_at, state.quiet_from):
        return True
    if begins:
        return all(_ended_at(state, begun.key) >= alert.at for begun in begins)
    if alert.effects.deployment is DeploymentStep.ROLLING_BACK and FAILED_DEPLOYMENT in continuing_causes(state):
        return False  # its completion came first, and was taken for the end of the failure
    return alert.at < _quiet_from(state, cause_key(alert))


def is_relapse(state: SubjectState, incident: Incident, alert: Alert) -> bool:
    """Whether a cause of the incident occurs again after its end, though something else has kept the incident open."""
    occurred = alert.cause in incident.causes and not alert.effects.begins
    return occurred and incident.last_at <= _quiet_from(state, cause_key(alert))


def _quiet_from(state: SubjectState, key: str) -> float:
    """Event time up to which a cause, given by its key, is over."""
    if key != FAILED_DEPLOYMENT:
        return state.quiet_from
    completed = (at for deployment, at in state.completions.items() if deployment not in state.rollbacks)
    return max([state.deployment_resolved_at, *completed])


def _ended_at(state: SubjectState, key: str) -> float:
    """Event time of the latest end of a condition, given by its key, or of all whose keys begin alike."""
    whole = key.partition("/")[0] + "/"
    return max((state.ended[ended] for ended in (key, whole) if ended in state.ended), default=-math.inf)


# --- what begins ------------------------------------------------------------------------------------------------------


def add_active(state: SubjectState, alert: Alert, now: float, timing: Timing) -> SubjectState:
    """The state with what an alert reports: its conditions, else an occurrence of its cause."""
    begins = [begun for begun in alert.effects.begins if _ended_at(state, begun.key) < alert.at]
    if alert.effects.begins:
        conditions = dict(state.conditions)
        for begun in begins:
            _add(conditions, begun, alert, now)
        verify_at = now + VERIFY_EVERY if state.verify_at is None and timing.verify else state.verify_at
        return state._replace(conditions=conditions, verify_at=verify_at)
    key = bounded_cause(state.cause_times, cause_key(alert))
    newest = max(alert.at, state.cause_times.get(key, alert.at), _quiet_from(state, key) + _SMALLEST)
    return state._replace(cause_times={**state.cause_times, key: newest})


def note_failure(state: SubjectState, alert: Alert) -> SubjectState:
    """The state with a failed deployment that seems over: the completion after it may turn out to be a rollback."""
    if alert.effects.deployment is not DeploymentStep.FAILED:
        return state
    newest = max(alert.at, state.cause_times.get(FAILED_DEPLOYMENT, alert.at))
    return state._replace(cause_times={**state.cause_times, FAILED_DEPLOYMENT: newest})


def _add(conditions: dict[str, Condition], begun: Begun, alert: Alert, now: float) -> None:
    key = begun.key
    if key not in conditions and len(conditions) >= CONDITIONS_REMEMBERED:
        key = OTHERS
    known = conditions.get(key)
    late = known is not None and alert.at < known.reported_at
    conditions[key] = Condition(
        cause=alert.cause,
        reported_at=known.reported_at if known and late else alert.at,
        seen_at=max(now, begun.starts_at or now),
        arn=begun.arn or (known.arn if known else ""),
        deadline=begun.deadline,
        uncertain_since=known.uncertain_since if known and late else None,
    )


def note_repeat(state: SubjectState, alert: Alert, now: float) -> SubjectState:
    """The state whose conditions a later event reports once more: what is older than that event is not their end."""
    keys = set() if alert.self_reported else {begun.key for begun in alert.effects.begins}
    seen = {
        key: condition._replace(reported_at=alert.at, seen_at=max(now, condition.seen_at))
        for key, condition in state.conditions.items()
        if key in keys and condition.reported_at < alert.at
    }
    return state._replace(conditions={**state.conditions, **seen}) if seen else state


# --- what ends --------------------------------------------------------------------------------------------------------


def apply_ends(state: SubjectState, alert: Alert, now: float) -> SubjectState:
    """Applies what an event ends: conditions by their keys, and perhaps the causes from before it."""
    state = _note_deployment(state, alert)
    if alert.effects.uncertain:
        state = _with_uncertain(state, alert, now)
    if alert.effects.ends and not alert.self_reported:
        state = _end_conditions(state, alert)
    if _ends_occurrences(alert):
        state = state._replace(quiet_from=max(state.quiet_from, _recovered_from(alert)))
    return state


def _ends_occurrences(alert: Alert) -> bool:
    """Whether an event ends the causes from before it: a recovery, or the end of the instance that they are about."""
    gone = any(ended.by is EndedBy.INSTANCE_GONE for ended in alert.effects.ends)
    return gone or (alert.resolves and alert.effects.ends_occurrences)


def _recovered_from(alert: Alert) -> float:
    """Event time up to which a resolving event ends causes: a standalone run ends only failures before its start."""
    began = alert.created_at if alert.started_at is None else alert.started_at
    return began if alert.stopped and began is not None else alert.at


def _note_deployment(state: SubjectState, alert: Alert) -> SubjectState:
    step = alert.effects.deployment
    if step is DeploymentStep.ROLLING_BACK and alert.deployment and alert.deployment not in state.rollbacks:
        return state._replace(rollbacks=(*state.rollbacks, alert.deployment)[-DEPLOYMENTS_REMEMBERED:])
    if step is DeploymentStep.COMPLETED and alert.resolves:
        return _note_completion(state, alert)
    return state


def _note_completion(state: SubjectState, alert: Alert) -> SubjectState:
    if not alert.deployment:
        return state._replace(deployment_resolved_at=max(state.deployment_resolved_at, alert.at))
    others = [(key, at) for key, at in state.completions.items() if key != alert.deployment]
    forgotten = others[: 1 - DEPLOYMENTS_REMEMBERED]
    good = (at for key, at in forgotten if key not in state.rollbacks)
    kept = dict([*others[len(forgotten) :], (alert.deployment, alert.at)])
    return state._replace(completions=kept, deployment_resolved_at=max([state.deployment_resolved_at, *good]))


def _with_uncertain(state: SubjectState, alert: Alert, now: float) -> SubjectState:
    conditions = {
        key: condition._replace(uncertain_since=now)
        if key in alert.effects.uncertain and condition.uncertain_since is None and condition.reported_at <= alert.at
        else condition
        for key, condition in state.conditions.items()
    }
    return state._replace(conditions=conditions)


def _end_conditions(state: SubjectState, alert: Alert) -> SubjectState:
    ends = alert.effects.ends
    left = {
        key: condition
        for key, condition in state.conditions.items()
        if not any(_names(ended.key, key) and condition.reported_at <= _until(ended, alert) for ended in ends)
    }
    lasting = {ended.key: _until(ended, alert) for ended in ends if not ended.key.startswith(CONTAINER)}
    known = {key: at for key, at in state.ended.items() if key not in lasting}
    ended = known | {key: max(at, state.ended.get(key, at)) for key, at in lasting.items()}
    return without_stale_mute(
        state._replace(conditions=left, ended=dict(list(ended.items())[-ENDED_REMEMBERED:])),
    )


def _until(ended: Ended, alert: Alert) -> float:
    """Event time up to which an event ends a condition."""
    return alert.at if ended.until is None else ended.until


def _names(ended: str, key: str) -> bool:
    return key == ended or (ended.endswith("/") and key.startswith(ended))


def without_stale_mute(state: SubjectState) -> SubjectState:
    """The state without the muted alert, if none of its conditions continues."""
    if state.muted and not any(key in state.conditions for key in state.muted.conditions):
        return state._replace(muted=None)
    return state


def ended_by(state: SubjectState, alert: Alert) -> EndedBy:
    """What an event says has ended the incident."""
    if alert.effects.deployment is DeploymentStep.COMPLETED and alert.deployment in state.rollbacks:
        return EndedBy.ROLLBACK_COMPLETED
    own_run = alert.stopped and state.incident is not None and alert.task in state.incident.tasks
    if alert.resolves and not own_run:  # the end of the run that failed is no later run
        return alert.effects.recovery or next((ended.by for ended in alert.effects.ends), EndedBy.OTHER)
    return next((ended.by for ended in alert.effects.ends), EndedBy.OTHER)


# --- what follows for the incident ------------------------------------------------------------------------------------


def reassess(state: SubjectState, by: EndedBy, at: float, now: float, timing: Timing) -> SubjectState:
    """The state with its incident recovering once nothing continues, or open again because something does.

    Args:
        by, at: what ended the last of it, and the event time of that.
    """
    active = bool(state.conditions) or bool(continuing_causes(state))
    if not state.conditions and state.verify_at is not None:
        state = state._replace(verify_at=None)
    if not active and state.silenced:
        state = state._replace(silenced=None)
    incident = state.incident
    if incident is None or incident.over:
        return state
    if active:
        return _still_open(state, incident, now)
    if incident.status is IncidentStatus.RECOVERING:
        return state
    incident = replace(incident, status=IncidentStatus.RECOVERING, ended_at=at, ended_by=by)
    return state._replace(incident=incident, resolve_at=now + quiet_time(incident, timing))


def _still_open(state: SubjectState, incident: Incident, now: float) -> SubjectState:
    if incident.status is IncidentStatus.RECOVERING:
        incident = replace(incident, status=IncidentStatus.OPEN, ended_at=None, ended_by=None)
        state = state._replace(incident=incident, resolve_at=None)
    if state.conditions:
        return state._replace(lapse_at=None)
    return state._replace(lapse_at=now + LAPSE_AFTER if state.lapse_at is None else state.lapse_at)


def quiet_time(incident: Incident, timing: Timing) -> float:
    """Seconds without failures before a recovery is announced: the more often the incident returned, the longer."""
    if not incident.reopened:
        return timing.resolve_after
    return max(timing.resolve_after, QUIET_TIMES[min(incident.reopened, len(QUIET_TIMES)) - 1])


# --- time passes ------------------------------------------------------------------------------------------------------


def expire_conditions(state: SubjectState, now: float, timing: Timing) -> SubjectState:
    """The state without the conditions that time has ended: a deadline has passed, or nothing is known any more."""
    expired = {key: condition for key, condition in state.conditions.items() if condition.ends_at <= now}
    if not expired:
        return state
    left = {key: condition for key, condition in state.conditions.items() if key not in expired}
    state = without_stale_mute(state._replace(conditions=left))
    by_deadline = {
        key: condition.deadline
        for key, condition in expired.items()
        if condition.deadline and condition.deadline <= now
    }
    unconfirmed = len(expired) - len(by_deadline)
    if state.incident and not state.incident.over and unconfirmed:
        incident = replace(state.incident, unconfirmed=state.incident.unconfirmed + unconfirmed)
        state = state._replace(incident=incident)
    without_data = any(condition.uncertain_since is not None for condition in expired.values())
    doubt = EndedBy.WITHOUT_DATA if without_data else EndedBy.UNCONFIRMED
    by, at = (doubt, now) if unconfirmed else _deadline_passed(by_deadline)
    return reassess(state, by, at, now, timing)


def _deadline_passed(deadlines: Mapping[str, float]) -> tuple[EndedBy, float]:
    """What ended the conditions with these keys, and the clock time of that."""
    last = max(deadlines.values())
    if all(key.startswith(HEALTH_EVENT) for key in deadlines):
        return EndedBy.HEALTH_EVENT_EXPIRED, last - HEALTH_GRACE
    return EndedBy.APPROVAL_TIMED_OUT, last


Findings = Mapping[str, EndedBy | None]
"""What AWS says about conditions: by key, what ended the condition, or None if it continues."""


def apply_findings(state: SubjectState, findings: Findings, now: float, timing: Timing) -> SubjectState:
    """Applies what AWS says about conditions whose end no event has reported.

    Args:
        findings: a condition without a finding could not be checked.
    """
    conditions = {
        key: condition._replace(seen_at=now, uncertain_since=None) if key in findings else condition
        for key, condition in state.conditions.items()
        if findings.get(key) is None
    }
    ended = next((by for key, by in findings.items() if by and key in state.conditions), None)
    unconfirmed = sum(by is EndedBy.UNCONFIRMED for key, by in findings.items() if key in state.conditions)
    if unconfirmed and state.incident and not state.incident.over:
        incident = replace(state.incident, unconfirmed=state.incident.unconfirmed + unconfirmed)
        state = state._replace(incident=incident)
    state = without_stale_mute(state._replace(conditions=conditions, verify_at=now + VERIFY_EVERY))
    return reassess(state, ended or EndedBy.VERIFIED, now, now, timing)
