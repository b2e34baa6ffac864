"""Conditions: what an event says about states that last until another event ends them. Pure functions.

A crash is an occurrence: a point in time. A condition lasts: an alarm in ALARM, an exited container in a task that
keeps running, a deployment that waits for approval, an impaired instance, a failing channel, a Health event. This
module decides from the facts of the event alone. What a plugin or a user rule calls the event does not matter here.

Sources: "Amazon ECS events" in the Amazon ECS Developer Guide; "Alarm events and EventBridge" in the CloudWatch User
Guide; those of `router.ecs.health_events`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from router.ecs.fields import line, moment
from router.ecs.health_events import lasts
from router.ecs.reasons import wording
from router.incident.state import HEALTH_EVENT, HEALTH_GRACE, container_key
from router.model import (
    CHANNEL_HEALTH,
    RUN_OVERDUE,
    SERVICE_COUNT,
    Begun,
    DeploymentStep,
    Effects,
    Ended,
    EndedBy,
    Event,
    SubjectKind,
)

ALARM = "alarm"
INSTANCE = "instance"
CHANNEL = "channel"
TOO_FEW_TASKS = "too_few_tasks"
OVERDUE = "overdue/"
"""Prefix of `overdue/NAME`, the name of an `[[expect]]` table: a run of it has not started."""
UNFINISHED = "unfinished/"
"""Prefix of `unfinished/NAME`: a run of it has not finished in time."""
HOOK = "hook/"
"""Prefix of `hook/HOOKID`."""

INSTANCE_GONE = frozenset({"DEREGISTERING", "INACTIVE"})
"""Statuses of a container instance that has left its cluster."""
ALARM_CONFIGURATION = "cloudwatch alarm configuration change"
_ROLLING_BACK = re.compile(r"\broll(ing|ed|s)?[- ]?back")

_NOTHING: Final = Effects()


def effects_of(event: Event, exited: Iterable[str], *, completed: bool = False) -> Effects:
    """Which conditions an event begins and ends, and what it says about a deployment.

    Args:
        exited: names of the containers whose failed exit the event reports, in a task that keeps running.
        completed: the event reports that a run has completed.
    """
    if event.self_reported:
        return Effects(begins=tuple(Begun(container_key(event.task, name)) for name in exited))
    if event.task:
        return _of_task(event, exited, completed=completed)
    if event.subject.kind is SubjectKind.ALARM:
        return _of_alarm(event)
    reader = _BY_DETAIL_TYPE.get(event.detail_type.lower())
    return reader(event) if reader else _of_service(event)


def rolls_back(event: Event) -> bool:
    """Whether a deployment that begins rolls back a failed one. Only its reason tells."""
    return event.name == "SERVICE_DEPLOYMENT_IN_PROGRESS" and bool(_ROLLING_BACK.search(wording(event.reason)))


def alarm_deleted(event: Event) -> bool:
    """Whether a CloudWatch alarm was deleted. No OK follows, even if its state was ALARM."""
    return event.detail_type.lower() == ALARM_CONFIGURATION and line(event.detail, "operation").lower() == "delete"


# --- one kind of event each -------------------------------------------------------------------------------------------


def _of_task(event: Event, exited: Iterable[str], *, completed: bool) -> Effects:
    if event.status == "STOPPED":
        began = event.started_at if event.created_at is None else event.created_at
        missing, unfinished = Ended(OVERDUE, EndedBy.RUN_COMPLETED, began), Ended(UNFINISHED, EndedBy.RUN_COMPLETED)
        overdue = (missing, unfinished) if completed else ()  # a run that began before this was due does not replace it
        stopped = Ended(container_key(event.task, ""), EndedBy.TASK_STOPPED)
        return Effects(ends=(stopped, *overdue), recovery=EndedBy.RUN_COMPLETED)
    if event.status != "RUNNING":
        return _NOTHING
    running = (container.name for container in event.containers if container.status == "RUNNING")
    return Effects(
        begins=tuple(Begun(container_key(event.task, name)) for name in exited),
        ends=tuple(Ended(container_key(event.task, name), EndedBy.CONTAINER_RUNNING) for name in running),
    )


def _of_alarm(event: Event) -> Effects:
    if event.detail_type.lower() == ALARM_CONFIGURATION:
        return _end(ALARM, EndedBy.ALARM_DELETED) if alarm_deleted(event) else _NOTHING
    if event.detail_type.lower() != "cloudwatch alarm state change":
        return _NOTHING
    match event.state:
        case "ALARM":
            return Effects(begins=(Begun(ALARM),))
        case "OK":
            return _end(ALARM, EndedBy.ALARM_OK)
        case "INSUFFICIENT_DATA":
            return Effects(uncertain=(ALARM,))
    return _NOTHING


def _of_instance_health(event: Event) -> Effects:
    match event.state:
        case "IMPAIRED":
            return Effects(begins=(Begun(INSTANCE, arn=_arn(event, "containerInstanceArn")),))
        case "OK":
            return _end(INSTANCE, EndedBy.INSTANCE_HEALTHY)
    return _NOTHING


def _of_instance(event: Event) -> Effects:
    return _end(INSTANCE, EndedBy.INSTANCE_GONE) if event.status in INSTANCE_GONE else _NOTHING


def _of_channel(event: Event) -> Effects:
    match event.state:
        case "FAILING":
            return Effects(begins=(Begun(CHANNEL),))
        case "WORKING":
            return _end(CHANNEL, EndedBy.CHANNEL_WORKS)
    return _NOTHING


def _of_service_count(event: Event) -> Effects:
    match event.state:
        case "NONE_RUNNING" | "TOO_FEW":
            return Effects(begins=(Begun(TOO_FEW_TASKS),))
        case "ENOUGH":
            return _end(TOO_FEW_TASKS, EndedBy.ENOUGH_TASKS)._replace(ends_occurrences=False)
        case "GONE":
            return _end(TOO_FEW_TASKS, EndedBy.SERVICE_DELETED)
    return _NOTHING


def _of_overdue_run(event: Event) -> Effects:
    prefix = UNFINISHED if event.state == "NOT_FINISHED" else OVERDUE
    return Effects(begins=(Begun(prefix + event.details.get("expected", "")),))


def _of_codedeploy(event: Event) -> Effects:
    step = {"FAILURE": DeploymentStep.FAILED, "SUCCESS": DeploymentStep.COMPLETED}.get(event.state)
    if step is None:
        return _NOTHING
    return Effects(deployment=step, recovery=EndedBy.DEPLOYMENT_COMPLETED, immediate=step is DeploymentStep.FAILED)


def _of_health(event: Event) -> Effects:
    key = HEALTH_EVENT + event.subject.name
    if event.state == "CLOSED":
        return _end(key, EndedBy.HEALTH_EVENT_CLOSED)
    if not lasts(event):
        return _NOTHING
    starts_at, ends_at = (moment(event.details.get(name, "")) for name in ("startTime", "endTime"))
    deadline = None if ends_at is None else ends_at + HEALTH_GRACE
    return Effects(begins=(Begun(key, deadline=deadline, starts_at=starts_at),))


_BY_DETAIL_TYPE: Final[Mapping[str, Callable[[Event], Effects]]] = MappingProxyType(
    {
        "ecs container instance health change": _of_instance_health,
        "ecs container instance state change": _of_instance,
        "codedeploy deployment state-change notification": _of_codedeploy,
        CHANNEL_HEALTH.lower(): _of_channel,
        SERVICE_COUNT.lower(): _of_service_count,
        RUN_OVERDUE.lower(): _of_overdue_run,
        "aws health event": _of_health,
    }
)


def _of_service(event: Event) -> Effects:
    """Deployments, hooks and steady states, by `eventName` whatever the detail-type."""
    if event.name.startswith("HOOK_"):
        return _of_hook(event)
    if event.name in {"SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE"}:
        return Effects(ends=(Ended(TOO_FEW_TASKS, EndedBy.STEADY_STATE),), recovery=EndedBy.STEADY_STATE)
    if rolls_back(event):
        return Effects(ends=(Ended(HOOK, EndedBy.DEPLOYMENT_ENDED),), deployment=DeploymentStep.ROLLING_BACK)
    step = _STEPS.get(event.name)
    if step is None:
        return _NOTHING
    return Effects(
        ends=(Ended(HOOK, EndedBy.DEPLOYMENT_ENDED),),
        deployment=step,
        recovery=EndedBy.DEPLOYMENT_COMPLETED,
        immediate=step is DeploymentStep.FAILED,
    )


# A service has one deployment at a time, and no event maps a hook's deployment to the id that these events name: the
# end of a deployment ends every hook that began to wait before it.
_STEPS: Final[Mapping[str, DeploymentStep]] = MappingProxyType(
    {
        "SERVICE_DEPLOYMENT_FAILED": DeploymentStep.FAILED,
        "SERVICE_DEPLOYMENT_COMPLETED": DeploymentStep.COMPLETED,
    }
)
HOOK_ENDS: Final[Mapping[str, EndedBy]] = MappingProxyType(
    {
        "HOOK_SUCCEEDED": EndedBy.APPROVED,
        "HOOK_FAILED": EndedBy.REJECTED,
        "HOOK_TIMED_OUT": EndedBy.APPROVAL_TIMED_OUT,
    }
)


def _of_hook(event: Event) -> Effects:
    key = HOOK + line(event.detail, "hookId")
    if event.name == "HOOK_AWAITING_ACTION":
        begun = Begun(key, arn=_arn(event, "serviceDeploymentArn"), deadline=moment(event.details.get("expiresAt", "")))
        return Effects(begins=(begun,), ends_occurrences=False, immediate=True)
    by = HOOK_ENDS.get(event.name)
    return Effects(ends=(Ended(key, by),), ends_occurrences=False) if by else _NOTHING


# --- small readers ----------------------------------------------------------------------------------------------------


def _end(key: str, by: EndedBy) -> Effects:
    return Effects(ends=(Ended(key, by),), recovery=by)


def _arn(event: Event, key: str) -> str:
    stated = line(event.detail, key)
    return stated if stated.startswith("arn:") else ""
