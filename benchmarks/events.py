"""Events for the function, in batches like those of SQS."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from local_aws.events import Raw, container, deployment, service_action, task_stopped
from router.history.items import iso

_Element = TypeVar("_Element")
_OOM = "OutOfMemoryError: Container killed due to memory usage"


def crash(service: str, *, of: str = "web") -> Raw:
    """An out-of-memory kill of one task of a service, now."""
    at, task = iso(time.time()), uuid.uuid4().hex
    raw = task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        container("app", 137, _OOM),
        service=service,
        family=of,
        task=task,
    )
    detail = raw["detail"] | {"updatedAt": at, "createdAt": at, "stoppedAt": at}
    return raw | {"time": at, "detail": detail, "id": str(uuid.uuid4())}


def deployed(service: str, began: float) -> Iterator[Raw]:
    """The events of a successful deployment, which cause no alert, one minute apart: it starts, the old task is
    stopped, it completes, and the service is steady.
    """
    id_ = f"ecs-svc/{uuid.uuid4().int % 10**19}"
    stopped = task_stopped(
        "ServiceSchedulerInitiated",
        f"Scaling activity initiated by (deployment {id_})",
        container("app", 0),
        service=service,
        task=uuid.uuid4().hex,
    )
    raws = (
        deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", service=service, deploymentId=id_),
        stopped,
        deployment("SERVICE_DEPLOYMENT_COMPLETED", service=service, deploymentId=id_),
        service_action(service=service),
    )
    for number, raw in enumerate(raws):
        at = iso(began + 60 * number)
        times = {name: at for name in ("updatedAt", "createdAt", "stoppedAt") if name in raw["detail"]}
        yield raw | {"time": at, "detail": raw["detail"] | times, "id": str(uuid.uuid4())}


def batched(elements: Iterable[_Element], size: int = 10) -> Iterator[list[_Element]]:
    """Lists of `size` elements; ten is the batch size of the function's SQS trigger."""
    rest = iter(elements)
    while batch := list(islice(rest, size)):
        yield batch


def batch(events: Sequence[Raw]) -> dict[str, Any]:
    """The function's input for these events from SQS."""
    return {"Records": [_record(event) for event in events]}


def _record(event: Raw) -> dict[str, Any]:
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "AQEB",
        "body": json.dumps(event),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events",
        "awsRegion": "us-east-1",
    }
