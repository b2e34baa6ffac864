"""Plausible but nasty sequences of events: what ECS sends about a few subjects, and when it arrives."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from local_aws import events
from local_aws.events import Raw

SECRET = "hunter2-do-not-tell"
"""Used in the `environment` of some tasks and in the options of every channel. It must appear nowhere else."""

_JUNK = (
    "",
    "not json",
    "[]",
    "null",
    '"text"',
    '{"source": "aws.ec2", "detail-type": "x", "detail": {}}',
    '{"source": "aws.ecs", "detail-type": 7, "detail": {}}',
    '{"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": []}',
    '{"source": "aws.ecs", "detail-type": "ECS Task State Change"}',
    '{"source": "ecs-alert-router", "detail-type": "Router Due"}',
    "[" * 100_000,
)


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A message for the events queue. `comes` is virtual time; `raw` is None if the message is not an event."""

    comes: float
    body: str
    raw: Raw | None = None


@dataclass(slots=True)
class _Story:
    """The sequence of events of one subject; `now` is the virtual time of the next one."""

    chance: Random
    name: str
    now: float
    emitted: list[tuple[float, Raw]]

    def wait(self, *seconds: float) -> None:
        self.now += self.chance.choice(seconds) * self.chance.uniform(0.7, 1.3)

    def emit(self, raw: Raw, **times: str) -> None:
        stamp = iso(self.now)
        raw["detail"].update(times)
        event_id = f"{self.chance.getrandbits(128):032x}"
        self.emitted.append((self.now, {**raw, "id": event_id, "time": stamp}))

    def task(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"

    def stopped(self, task: str, *reasons: Any, started: float | None = None, **fields: Any) -> None:
        """The task's STOPPED event, and often repeats of it, which are the same occurrence."""
        times = {"updatedAt": iso(self.now), "stoppedAt": iso(self.now), "startedAt": iso(started or self.now - 60)}
        fields = {"task": task, "createdAt": iso((started or self.now - 60) - 5), **times, **fields}
        if self.chance.random() < 0.2:
            secret = {"containerOverrides": [{"environment": [{"name": "PASSWORD", "value": SECRET}]}]}
            fields["overrides"] = secret
        self.emit(events.task_stopped(*reasons, **fields))
        if self.chance.random() < 0.2:
            self.emit(events.task_stopped(*reasons, **fields))  # once more, with another id


def arrivals(seed: int, start: float, storm: float) -> list[Arrival]:
    """Everything that arrives, in order of arrival."""
    chance = Random(f"workload {seed}")
    found: list[Arrival] = []
    for number in range(chance.choice((1, 1, 2, 3))):
        for happened, raw in _stories(chance, f"s{number}", start, storm):
            found += _ways(chance, happened, raw)
    if chance.random() < 0.3:
        found += [Arrival(start + chance.uniform(0, storm), junk) for junk in chance.sample(_JUNK, 2)]
    return sorted(found, key=lambda arrival: arrival.comes)


def _ways(chance: Random, happened: float, raw: Raw) -> Iterator[Arrival]:
    """The arrivals of one event: mostly at once, sometimes late, sometimes repeated."""
    late = chance.choices((chance.uniform(0, 2), chance.uniform(0, 60), chance.uniform(0, 7200)), (16, 3, 1))[0]
    first = Arrival(happened + late, json.dumps(raw), raw)
    yield first
    while chance.random() < 0.15:
        yield replace(first, comes=first.comes + chance.choice((0.0, 0.01, 1.0, 400.0, 5000.0)))


def _stories(chance: Random, name: str, start: float, storm: float) -> list[tuple[float, Raw]]:
    story = _Story(chance, name, start + chance.uniform(0, storm / 4), [])
    standalone, alarm = chance.random() < 0.25, chance.random() < 0.15
    plots = _OF_FAMILY if standalone else _OF_ALARM if alarm else _OF_SERVICE
    for _ in range(chance.randint(1, 4)):
        chance.choice(plots)(story)
        story.wait(1, 30, 200, 700, 2000)
        if story.now > start + storm:
            break
    if chance.random() < 0.25:  # it fails again: some time later, or just when the incident lapses
        later = chance.choice((1.1, 24 + 0.03 * chance.random(), 24 + 0.03 * chance.random(), 26, 80))
        story.now = max((happened for happened, _ in story.emitted), default=story.now) + later * 3600
        chance.choice(plots)(story)
    return story.emitted


# --- plots: services --------------------------------------------------------------------------------------------------


def _crash_loop(story: _Story) -> None:
    pace = story.chance.choice((0.0, 5.0, 60.0, 400.0))
    for _ in range(story.chance.choice((1, 2, 3, 5, 12))):
        code = story.chance.choice((1, 1, 1, 0))
        story.stopped(story.task(), *_EXITED, events.container(exit_code=code), service=story.name)
        story.wait(pace)


def _out_of_memory(story: _Story) -> None:
    story.stopped(
        story.task(),
        *_EXITED,
        events.container(exit_code=137, reason="OutOfMemoryError: Container killed due to memory usage"),
        service=story.name,
    )


def _spot(story: _Story) -> None:
    """The two-minute notice, then the end: one occurrence."""
    task = story.task()
    emitted: Any = {"task": task, "service": story.name, "stopCode": "SpotInterruption"}
    reason = "Your Spot Task was interrupted."
    story.emit(events.task_event(stoppedReason=reason, desiredStatus="STOPPED", updatedAt=iso(story.now), **emitted))
    story.wait(110)
    story.stopped(task, "SpotInterruption", reason, events.container(exit_code=143), service=story.name)


def _scale_in(story: _Story) -> None:
    reason = "Scaling activity initiated by (deployment ecs-svc/1)"
    story.stopped(story.task(), "ServiceSchedulerInitiated", reason, service=story.name)


def _unhealthy(story: _Story) -> None:
    reason = f"Task failed ELB health checks in (target-group {story.name})"
    story.stopped(story.task(), "ServiceSchedulerInitiated", reason, service=story.name)


def _steady(story: _Story) -> None:
    story.emit(events.service_action(service=story.name, createdAt=iso(story.now)))


def _failed_deployment(story: _Story) -> None:
    failed, saved = (f"ecs-svc/{story.chance.getrandbits(60)}" for _ in range(2))
    for name, reason, deployment in (
        ("SERVICE_DEPLOYMENT_FAILED", "", failed),
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", f"ECS deployment circuit breaker: rolling back to {saved}.", saved),
        ("SERVICE_DEPLOYMENT_COMPLETED", "", saved),
    ):
        story.emit(
            events.deployment(name, reason, service=story.name, deploymentId=deployment, updatedAt=iso(story.now))
        )
        story.wait(0, 20, 120)


def _deployed(story: _Story) -> None:
    deployment = f"ecs-svc/{story.chance.getrandbits(60)}"
    for name in ("SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"):
        story.emit(events.deployment(name, service=story.name, deploymentId=deployment, updatedAt=iso(story.now)))
        story.wait(20)


def _sidecar(story: _Story) -> None:
    """A container dies in a task that keeps running; often the task stops later."""
    task, code = story.task(), story.chance.choice((1, 139))
    story.emit(
        events.task_event(
            task=task,
            service=story.name,
            containers=[events.container(status="RUNNING"), events.container("sidecar", code)],
            updatedAt=iso(story.now),
        )
    )
    if story.chance.random() < 0.7:
        story.wait(5, 900)
        reason = "Scaling activity initiated by (deployment ecs-svc/1)"
        story.stopped(task, "ServiceSchedulerInitiated", reason, service=story.name)


# --- plots: standalone runs and alarms --------------------------------------------------------------------------------


def _run_fails(story: _Story) -> None:
    started = story.now
    story.wait(1, 300)
    story.stopped(story.task(), *_EXITED, service=None, family=story.name, started=started)


def _run_completes(story: _Story) -> None:
    started = story.now
    story.wait(1, 300)
    done = events.container(exit_code=0)
    story.stopped(story.task(), *_EXITED, done, service=None, family=story.name, started=started)


def _alarm(story: _Story) -> None:
    for value in ("ALARM", "OK")[: story.chance.choice((1, 2, 2))]:
        story.emit(events.alarm(value, name=story.name, at=iso(story.now)))
        story.wait(3, 200, 600)


_EXITED = ("EssentialContainerExited", "Essential container in task exited")
_Plot = Callable[[_Story], None]
_OF_SERVICE: tuple[_Plot, ...] = (
    _crash_loop,
    _crash_loop,
    _out_of_memory,
    _spot,
    _scale_in,
    _unhealthy,
    _steady,
    _steady,
    _failed_deployment,
    _deployed,
    _sidecar,
)
_OF_FAMILY: tuple[_Plot, ...] = (_run_fails, _run_completes)
_OF_ALARM: tuple[_Plot, ...] = (_alarm,)


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
