"""Events of service:web at a given time."""

from typing import Any

from local_aws.events import (
    DEPLOYMENT,
    Raw,
    alarm,
    container,
    deployment,
    service_action,
    task_event,
    task_stopped,
)
from router.history.items import iso

SPOT = "Your Spot Task was interrupted."


def crash(task: str, at: float, **fields: Any) -> Raw:
    """A critical alert of service:web."""
    return task_stopped(task=task, stoppedAt=iso(at), event_id=f"{task}-{at}", **fields)


def spot(task: str, at: float) -> Raw:
    """A warning of service:web."""
    return task_stopped("SpotInterruption", SPOT, task=task, stoppedAt=iso(at), event_id=f"spot-{task}")


def steady(at: float) -> Raw:
    return service_action(createdAt=iso(at)) | {"id": f"steady-{at}"}


def deployed(name: str, at: float, deployment_id: str = DEPLOYMENT, reason: str = "") -> Raw:
    raw = deployment(name, reason, deploymentId=deployment_id, updatedAt=iso(at))
    return raw | {"id": f"{name}-{deployment_id}-{at}"}


def in_alarm(at: float, value: str = "ALARM") -> Raw:
    """The alarm web-running-tasks changes its state."""
    return alarm(value, at=iso(at)) | {"id": f"{value}-{at}"}


def sidecar_died(at: float, task: str = "t1", name: str = "sidecar", code: int | None = 1) -> Raw:
    """A container of service:web exits in a task that goes on; without a code, it runs."""
    dead = container(name, code) if code is not None else container(name, status="RUNNING")
    containers = [container("app", status="RUNNING"), dead]
    return task_event("RUNNING", containers=containers, task=task, updatedAt=iso(at), event_id=f"{task}-{name}-{at}")
