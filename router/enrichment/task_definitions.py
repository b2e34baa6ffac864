"""What a task definition says and events do not: which containers are essential, their memory limits, their logs.

A revision never changes, so each is asked for once. Asking is a luxury: after a failure nothing is asked for a minute.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from router.model import Event, Subject

log = logging.getLogger("ecs-alert-router.enrichment.task_definitions")

REMEMBERED = 500
PAUSE = 60.0  # seconds without questions after a failure
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


class LogStreams(NamedTuple):
    """Where the `awslogs` driver writes a container's log."""

    group: str
    prefix: str
    region: str


class TaskDefinition(NamedTuple):
    """Each by the container's name; `memory` in MiB."""

    essential: Mapping[str, bool] = MappingProxyType({})
    memory: Mapping[str, int] = MappingProxyType({})
    logs: Mapping[str, LogStreams] = MappingProxyType({})


class TaskDefinitions:
    """Asks for task definitions and remembers them."""

    def __init__(self, client: Callable[[str], Any], clock: Callable[[], float]) -> None:
        """`client` makes an ECS client for a region; `clock` gives seconds, from whenever."""
        self._client = client
        self._clock = clock
        self._remembered: dict[str, TaskDefinition] = {}
        self._silent_until = 0.0

    def get(self, subject: Subject, revision: str) -> TaskDefinition | None:
        """The task definition `web:42` of the subject's account and region; None where it cannot be had. Never raises.

        It is named by its whole ARN: `web:42` alone would be this account's, whoever's the task was.
        """
        if not revision or "-" in (subject.account, subject.region):
            return None
        arn = _arn(subject, revision)
        if arn not in self._remembered and self._clock() >= self._silent_until:
            self._ask(arn, subject.region)
        return self._remembered.get(arn)

    def essential(self, event: Event) -> Mapping[str, bool]:
        """The flags of the event's containers; empty where they cannot be had."""
        found = self.get(event.subject, event.task_definition)
        return found.essential if found else {}

    def _ask(self, arn: str, region: str) -> None:
        try:
            found = self._client(region).describe_task_definition(taskDefinition=arn)["taskDefinition"]
            read = _read(found, region)
        except Exception as error:  # noqa: BLE001 - whatever it is, alerts do without
            log.warning("%s cannot be read: %s", arn, type(error).__name__)
            self._silent_until = self._clock() + PAUSE
            return
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[arn] = read


def _arn(subject: Subject, revision: str) -> str:
    partition = next((name for prefix, name in _PARTITIONS.items() if subject.region.startswith(prefix)), "aws")
    return f"arn:{partition}:ecs:{subject.region}:{subject.account}:task-definition/{revision}"


def _read(found: Mapping[str, Any], region: str) -> TaskDefinition:
    containers = found["containerDefinitions"]
    of_task = int(found.get("memory") or 0)
    limits = {each["name"]: int(each.get("memory") or of_task) for each in containers}
    return TaskDefinition(
        essential={each["name"]: bool(each.get("essential", True)) for each in containers},
        memory={name: limit for name, limit in limits.items() if limit},
        logs=dict(_streams(containers, region)),
    )


def _streams(containers: Iterable[Mapping[str, Any]], region: str) -> Iterable[tuple[str, LogStreams]]:
    """Without a prefix, a stream is named by Docker's id of the container, which no event tells."""
    for each in containers:
        settings = each.get("logConfiguration") or {}
        options = settings.get("options") or {}
        if settings.get("logDriver") == "awslogs" and "awslogs-group" in options:
            prefix, place = options.get("awslogs-stream-prefix", ""), options.get("awslogs-region", region)
            yield each["name"], LogStreams(options["awslogs-group"], prefix, place)
