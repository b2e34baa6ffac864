"""The demo's scenarios: failures in one cluster, and the messages that are expected for them."""

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_aws.events import Raw, container, deployment, service_action, task_stopped

OOM = "OutOfMemoryError: Container killed due to memory usage"
NO_IMAGE = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1.4.3: not found"
)
SCALE_IN = "Scaling activity initiated by (deployment ecs-svc/4632134779785246340)"


@dataclass(frozen=True, slots=True)
class Story:
    """The events of one service, and the expected messages.

    Attributes:
        events: seconds after the start, and the event as ECS sends it.
        expected: the kinds of message that each channel must get, in this order, and no others.
    """

    name: str
    service: str
    events: Sequence[tuple[float, Raw]]
    expected: tuple[str, ...]


def stories() -> tuple[Story, ...]:
    """All stories. Their events get their times when they are sent (`stamped`).

    They start seconds apart: in a storm, Slack would get one message about all of them.
    """
    oom = died("api", container("app", 137, OOM))
    return (
        Story("a crash loop", "checkout", [(i * 1.2, died("checkout")) for i in range(8)], ("opened", "updated")),
        Story("an out-of-memory kill, delivered twice", "api", [(3, oom), (5, oom)], ("opened",)),
        Story("a missing image", "web", [(6, _never_started("web"))], ("opened",)),
        Story("a failed deployment, and the next one", "orders", _deployments("orders"), ("opened", "resolved")),
        Story("a scale-in at night", "worker", [(i, _scaled_in("worker")) for i in range(3)], ()),
    )


def stamped(raw: Mapping[str, Any], moment: float) -> dict[str, Any]:
    """The event with all its times set to now."""
    now = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    detail = {
        key: now if key in {"updatedAt", "stoppedAt", "createdAt", "startedAt"} else value
        for key, value in raw["detail"].items()
    }
    return {**raw, "detail": detail}


def in_order(stories: Iterable[Story]) -> list[tuple[float, Raw]]:
    """All events of the stories, earliest first."""
    return sorted((timed for story in stories for timed in story.events), key=lambda timed: timed[0])


def send(events: Sequence[tuple[float, Raw]], client: Any) -> None:
    """Puts the events on the default bus, each at its time."""
    start = time.time()
    first_seen: dict[int, float] = {}
    for after, raw in events:
        time.sleep(max(0.0, start + after - time.time()))
        moment = first_seen.setdefault(id(raw), time.time())  # a redelivered event is identical
        put(stamped(raw, moment), client)


def put(raw: Mapping[str, Any], client: Any) -> None:
    """Puts one event on the default bus, as ECS would."""
    put_together([raw], client)


def put_together(raws: Iterable[Mapping[str, Any]], client: Any) -> None:
    """Puts up to ten events on the default bus in one call."""
    entries = [
        {
            "Source": raw["source"],
            "DetailType": raw["detail-type"],
            "Detail": json.dumps(raw["detail"]),
            "Resources": raw["resources"],
        }
        for raw in raws
    ]
    answer = client.put_events(Entries=entries)
    if answer["FailedEntryCount"]:
        refused = next(entry for entry in answer["Entries"] if "ErrorCode" in entry)
        raise RuntimeError(f"EventBridge refused an event: {refused.get('ErrorMessage')}")


def died(service: str, *containers: Raw) -> Raw:
    """A task of a service that stopped because its essential container exited, by default with code 1."""
    return task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        *(containers or (container("app", 1),)),
        service=service,
        family=service,
        task=uuid.uuid4().hex,
    )


def _never_started(service: str) -> Raw:
    failed = container("app", reason=NO_IMAGE)
    return task_stopped("TaskFailedToStart", NO_IMAGE, failed, service=service, family=service, task=uuid.uuid4().hex)


def _scaled_in(service: str) -> Raw:
    killed = container("app", 137)
    return task_stopped(
        "ServiceSchedulerInitiated", SCALE_IN, killed, service=service, family=service, task=uuid.uuid4().hex
    )


def _deployments(service: str) -> list[tuple[float, Raw]]:
    """A deployment that fails, and six seconds later one that completes."""
    bad, good = "ecs-svc/1111111111111111111", "ecs-svc/2222222222222222222"
    return [
        (7, deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", service=service, deploymentId=bad)),
        (9, deployment("SERVICE_DEPLOYMENT_FAILED", service=service, deploymentId=bad)),
        (15, deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", service=service, deploymentId=good)),
        (16, deployment("SERVICE_DEPLOYMENT_COMPLETED", service=service, deploymentId=good)),
        (16.5, service_action("SERVICE_STEADY_STATE", service=service)),
    ]
