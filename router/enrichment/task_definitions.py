"""Facts from task definitions that events lack: essential containers, memory limits, log streams.

A revision never changes, so each is fetched once. What cannot be read is requested once a minute
(`router.enrichment.pauses`).
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from router.enrichment.pauses import Pauses, error_code, is_resource_error
from router.errors import DeadlineExceeded
from router.model import Event, Subject

log = logging.getLogger("ecs-alert-router.enrichment.task_definitions")

CACHED = 500
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


class LogStreams(NamedTuple):
    """Where the `awslogs` driver writes a container's log."""

    group: str
    prefix: str
    region: str


class TaskDefinition(NamedTuple):
    """The facts used, each by container name; `memory` in MiB."""

    essential: Mapping[str, bool] = MappingProxyType({})
    memory: Mapping[str, int] = MappingProxyType({})
    logs: Mapping[str, LogStreams] = MappingProxyType({})


class TaskDefinitions:
    """Fetches and caches task definitions."""

    def __init__(self, client: Callable[[str], Any], clock: Callable[[], float]) -> None:
        """`client` makes an ECS client for a region; `clock` returns monotonic seconds."""
        self._client = client
        self._cache: dict[str, TaskDefinition] = {}
        self._pauses = Pauses(clock)

    def get(self, subject: Subject, revision: str) -> TaskDefinition | None:
        """The task definition `web:42` in the subject's account and region; None if it cannot be read. Never raises.

        It is requested by ARN: `web:42` alone would mean the function's own account.
        """
        if not revision or "-" in (subject.account, subject.region):
            return None
        arn = _arn(subject, revision)
        place = (subject.account, subject.region)
        if arn not in self._cache and not self._pauses.paused((arn,), place):
            self._fetch(arn, place)
        return self._cache.get(arn)

    def essential(self, event: Event) -> Mapping[str, bool]:
        """The `essential` flag of each container of the event's task; empty if they cannot be read."""
        definition = self.get(event.subject, event.task_definition)
        return definition.essential if definition else {}

    def _fetch(self, arn: str, place: tuple[str, str]) -> None:
        _, region = place
        try:
            response = self._client(region).describe_task_definition(taskDefinition=arn)
        except DeadlineExceeded:  # says nothing about ECS; a thread that thaws late must not pause the others
            return
        except Exception as error:  # noqa: BLE001 - after any failure alerts go without it
            log.warning("%s cannot be read: %s", arn, error_code(error) or type(error).__name__)
            self._pauses.pause((arn,) if is_resource_error(error) else place)
            return
        try:
            definition = _read(response["taskDefinition"], region)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("%s has an unexpected form: %s", arn, type(error).__name__)
            self._pauses.pause((arn,))
            return
        if len(self._cache) >= CACHED:
            self._cache.clear()
        self._cache[arn] = definition


def _arn(subject: Subject, revision: str) -> str:
    partition = next((name for prefix, name in _PARTITIONS.items() if subject.region.startswith(prefix)), "aws")
    return f"arn:{partition}:ecs:{subject.region}:{subject.account}:task-definition/{revision}"


def _read(definition: Mapping[str, Any], region: str) -> TaskDefinition:
    containers = definition["containerDefinitions"]
    task_limit = int(definition.get("memory") or 0)
    limits = {container["name"]: int(container.get("memory") or task_limit) for container in containers}
    return TaskDefinition(
        essential={container["name"]: bool(container.get("essential", True)) for container in containers},
        memory={name: limit for name, limit in limits.items() if limit},
        logs=dict(_streams(containers, region)),
    )


def _streams(containers: Iterable[Mapping[str, Any]], region: str) -> Iterable[tuple[str, LogStreams]]:
    """Log settings by container name. Without a prefix, the stream name has the Docker id, which events lack."""
    for container in containers:
        settings = container.get("logConfiguration") or {}
        options = settings.get("options") or {}
        if settings.get("logDriver") == "awslogs" and "awslogs-group" in options:
            prefix, log_region = options.get("awslogs-stream-prefix", ""), options.get("awslogs-region", region)
            yield container["name"], LogStreams(options["awslogs-group"], prefix, log_region)
