"""Plausible but nasty sequences of events: what ECS sends about some subjects, when it arrives, and what is true.

Some events never arrive. What lasts is true nevertheless, and AWS tells when it is asked (`Truth`).
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from local_aws import events
from local_aws.events import Raw
from router.model import EndedBy

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
_LOST = 0.03  # share of events that never arrive
HOUR = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A message for the events queue. `comes` is virtual time; `raw` is None if the message is not an event."""

    comes: float
    body: str
    raw: Raw | None = None


@dataclass(frozen=True, slots=True)
class Lasting:
    """A condition as it really is, in virtual time.

    Attributes:
        subject: its name. key: of the condition, as `router.ecs.conditions` names it.
        by: what ends it.
        unknown_from: from then on AWS itself cannot tell whether it continues.
    """

    subject: str
    key: str
    begins: float
    ends: float
    by: EndedBy
    unknown_from: float = math.inf

    def continues(self, now: float) -> bool:
        return self.begins <= now < self.ends


class Truth:
    """What lasts, and until when."""

    def __init__(self, lasting: Sequence[Lasting]) -> None:
        self._lasting: dict[tuple[str, str], list[Lasting]] = defaultdict(list)
        for condition in sorted(lasting, key=lambda condition: condition.begins):
            self._lasting[condition.subject, condition.key].append(condition)

    def at(self, subject: str, key: str, now: float) -> Lasting | None:
        """The condition that had begun last by then; None if there was none."""
        begun = (condition for condition in self._lasting.get((subject, key), ()) if condition.begins <= now)
        return max(begun, key=lambda condition: condition.begins, default=None)

    def answer(self, subject: str, key: str, now: float) -> dict[str, EndedBy | None]:
        """What AWS answers if it is asked about a condition: what ended it, or None if it continues."""
        found = self.at(subject, key, now)
        if found is None or found.unknown_from <= now < found.ends:
            return {}
        return {key: None if found.continues(now) else found.by}


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything that arrives, in order of arrival, and what really lasts."""

    arrivals: list[Arrival]
    lasting: Sequence[Lasting]

    @property
    def truth(self) -> Truth:
        return Truth(self.lasting)

    def joined(self, arrivals: Iterable[Arrival], lasting: Iterable[Lasting]) -> "Workload":
        """With what others bring."""
        return Workload(_in_order((*self.arrivals, *arrivals)), (*self.lasting, *lasting))


@dataclass(slots=True)
class Story:
    """The sequence of events of one subject; `now` is the virtual time of the next one.

    Attributes:
        emitted: each event, when it happened, and the least time until it arrives.
        lasting: the conditions of the subject.
    """

    chance: Random
    name: str
    now: float
    emitted: list[tuple[float, float, Raw]] = field(default_factory=list)
    lasting: list[Lasting] = field(default_factory=list)

    def wait(self, *seconds: float) -> None:
        self.now += self.chance.choice(seconds) * self.chance.uniform(0.7, 1.3)

    def emit(self, raw: Raw, late: float = 0.0) -> None:
        event_id = f"{self.chance.getrandbits(128):032x}"
        self.emitted.append((self.now, late, {**raw, "id": event_id, "time": iso(self.now)}))

    def lasts(self, key: str, begins: float, by: EndedBy, *, unknown_from: float = math.inf) -> None:
        """A condition that began at virtual time `begins` ends now."""
        self.lasting.append(Lasting(self.name, key, begins, self.now, by, unknown_from))

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


def workload(  # noqa: PLR0917 - what a plan says of it
    seed: int, start: float, storm: float, subjects: int = 0, again: Sequence[float] = (), fleet: int = 0
) -> Workload:
    """`subjects` is how many there are; 0 for a small random number. The others are as in `Plan`."""
    chance = Random(f"workload {seed}")
    found: list[Arrival] = []
    lasting: list[Lasting] = []
    few = chance.choice((2, 6, 10, 10, 14))
    for number in range(subjects or few):
        story = _story(chance, f"s{number}", start, storm, again)
        lasting += story.lasting
        for happened, late, raw in story.emitted:
            if chance.random() >= _LOST:
                found += ways(chance, happened + late, raw)
    if fleet:
        story = Story(Random(f"fleet {seed}"), "fleet", start)
        _fleet(story, fleet)
        lasting += story.lasting
        found += _on_time(story)  # of so many tasks, the router does not remember for long which have stopped
    found += _steady_meanwhile(Random(f"steady {seed}"), lasting)
    if Random(f"another task {seed}").random() < 0.1:
        found += _stops_meanwhile(Random(f"stops {seed}"), lasting)
    if chance.random() < 0.3:
        found += [Arrival(start + chance.uniform(0, storm), junk) for junk in chance.sample(_JUNK, 2)]
    return Workload(_in_order(found), lasting)


def _in_order(arrivals: Iterable[Arrival]) -> list[Arrival]:
    return sorted(arrivals, key=lambda arrival: arrival.comes)


def _steady_meanwhile(chance: Random, lasting: Sequence[Lasting]) -> Iterator[Arrival]:
    """Steady states of services while an exited container or a pending approval lasts; they end neither."""
    for condition in lasting:
        if condition.key.startswith(("container/", "hook/")) and chance.random() < 0.5:
            story = _story_within_the_first_hour(chance, condition)
            steady(story)
            yield from _on_time(story)


def _stops_meanwhile(chance: Random, lasting: Sequence[Lasting]) -> Iterator[Arrival]:
    """The stops of other tasks of services in which a container has exited. They do not end that condition."""
    for condition in lasting:
        if condition.key.startswith("container/"):
            story = _story_within_the_first_hour(chance, condition)
            _scale_in(story)
            yield from _on_time(story)


def _story_within_the_first_hour(chance: Random, condition: Lasting) -> Story:
    """A story of the same subject that begins while the condition lasts."""
    lasts = min(condition.ends - condition.begins, HOUR)
    return Story(chance, condition.subject, condition.begins + lasts * chance.random())


def _on_time(story: Story) -> Iterator[Arrival]:
    return (Arrival(happened + 1.0, json.dumps(raw), raw) for happened, _, raw in story.emitted)


def ways(chance: Random, happened: float, raw: Raw) -> Iterator[Arrival]:
    """The arrivals of one event: mostly at once, sometimes late, sometimes repeated."""
    late = chance.choices((chance.uniform(0, 2), chance.uniform(0, 60), chance.uniform(0, 7200)), (16, 3, 1))[0]
    first = Arrival(happened + late, json.dumps(raw), raw)
    yield first
    while chance.random() < 0.15:
        yield replace(first, comes=first.comes + chance.choice((0.0, 0.01, 1.0, 400.0, 5000.0)))


def _story(chance: Random, name: str, start: float, storm: float, again: Sequence[float]) -> Story:
    story = Story(chance, name, start + chance.uniform(0, storm / 4))
    plots = chance.choices((_OF_SERVICE, _OF_FAMILY, _OF_ALARM, _OF_INSTANCE), (12, 3, 4, 1))[0]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(plots)(story)
        story.wait(1, 30, 200, 700, 2000)
        if story.now > start + storm:
            break
    if again and chance.random() < 0.8:
        _recovers(story, plots)
        _fails_again(story, plots, chance.choice(again))
        _recovers(story, plots)
    elif chance.random() < 0.15:  # some time later, or just when the incident lapses
        later = chance.choice((1.1, 24 + 0.03 * chance.random(), 24 + 0.03 * chance.random(), 26, 80))
        _fails_again(story, plots, later * HOUR)
    return story


def _recovers(story: Story, plots: "Sequence[_Plot]") -> None:
    if plots is _OF_SERVICE:
        story.wait(60, 600)
        steady(story)


def _fails_again(story: Story, plots: "Sequence[_Plot]", later: float) -> None:
    # A service has one deployment at a time, so its next one comes after the approvals of this one.
    over = (condition.ends for condition in story.lasting if condition.key.startswith("hook/"))
    story.now = max((*(happened for happened, *_ in story.emitted), *over), default=story.now) + later
    story.chance.choice(plots)(story)


# --- plots: services --------------------------------------------------------------------------------------------------


def _crash_loop(story: Story) -> None:
    pace = story.chance.choice((0.0, 5.0, 60.0, 400.0))
    for _ in range(story.chance.choice((1, 2, 3, 5, 12))):
        code = story.chance.choice((1, 1, 1, 0))
        story.stopped(story.task(), *_EXITED, events.container(exit_code=code), service=story.name)
        story.wait(pace)


def _out_of_memory(story: Story) -> None:
    story.stopped(
        story.task(),
        *_EXITED,
        events.container(exit_code=137, reason="OutOfMemoryError: Container killed due to memory usage"),
        service=story.name,
    )


def _spot(story: Story) -> None:
    """The two-minute notice, then the end: one occurrence."""
    task = story.task()
    emitted: Any = {"task": task, "service": story.name, "stopCode": "SpotInterruption"}
    reason = "Your Spot Task was interrupted."
    story.emit(events.task_event(stoppedReason=reason, desiredStatus="STOPPED", updatedAt=iso(story.now), **emitted))
    story.wait(110)
    story.stopped(task, "SpotInterruption", reason, events.container(exit_code=143), service=story.name)


def _scale_in(story: Story) -> None:
    reason = "Scaling activity initiated by (deployment ecs-svc/1)"
    story.stopped(story.task(), "ServiceSchedulerInitiated", reason, service=story.name)


def _unhealthy(story: Story) -> None:
    reason = f"Task failed ELB health checks in (target-group {story.name})"
    story.stopped(story.task(), "ServiceSchedulerInitiated", reason, service=story.name)


def steady(story: Story) -> None:
    """The service reaches a steady state."""
    story.emit(events.service_action(service=story.name, createdAt=iso(story.now)))


def _failed_deployment(story: Story) -> None:
    """Its rollback is sometimes reported long after the rollback's end, or not at all."""
    failed, saved = (f"ecs-svc/{story.chance.getrandbits(60)}" for _ in range(2))
    late = story.chance.choice((0.0, 0.0, 300.0, 3000.0))
    for name, reason, deployment in (
        ("SERVICE_DEPLOYMENT_FAILED", "", failed),
        ("SERVICE_DEPLOYMENT_IN_PROGRESS", f"ECS deployment circuit breaker: rolling back to {saved}.", saved),
        ("SERVICE_DEPLOYMENT_COMPLETED", "", saved),
    ):
        fields: Any = {"service": story.name, "deploymentId": deployment, "updatedAt": iso(story.now)}
        story.emit(events.deployment(name, reason, **fields), late=late if reason else 0.0)
        story.wait(0, 20, 120)


def _deployed(story: Story) -> None:
    deployment = f"ecs-svc/{story.chance.getrandbits(60)}"
    for name in ("SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"):
        story.emit(events.deployment(name, service=story.name, deploymentId=deployment, updatedAt=iso(story.now)))
        story.wait(20)


def _flapping(story: Story) -> None:
    """It fails and recovers again and again, at a steady pace."""
    period, down = story.chance.choice((120.0, 900.0, 2400.0, 2 * HOUR)), story.chance.choice((0.1, 0.5, 0.9))
    for _ in range(story.chance.choice((3, 5, 8))):
        story.stopped(story.task(), *_EXITED, events.container(exit_code=1), service=story.name)
        story.now += period * down
        steady(story)
        story.now += period * (1 - down)


def _sidecar(story: Story) -> None:
    """A container exits in a task that keeps running, and may be restarted; later the task stops."""
    task, dead = story.task(), events.container("sidecar", story.chance.choice((1, 139)))
    key, began, restarts = f"container/{task}/sidecar", story.now, story.chance.choice((0, 0, 0, 1, 2))
    _sidecar_is(story, task, dead)
    for _ in range(restarts):  # by its restart policy, and it exits again
        story.wait(5, 70)
        story.lasts(key, began, EndedBy.CONTAINER_RUNNING)
        _sidecar_is(story, task, events.container("sidecar", status="RUNNING"))
        story.wait(20, 400)
        began = story.now
        _sidecar_is(story, task, dead)
    spot = story.chance.random() < 0.2
    reason = "Your Spot Task was interrupted." if spot else "Scaling activity initiated by (deployment ecs-svc/1)"
    code = "SpotInterruption" if spot else "ServiceSchedulerInitiated"
    if spot:
        story.wait(5, 900)
        _sidecar_is(story, task, dead, desiredStatus="STOPPED", stopCode=code, stoppedReason=reason)
    story.wait(5, 900, 900, 30 * HOUR)
    story.lasts(key, began, EndedBy.TASK_STOPPED)
    if story.chance.random() < 0.8:
        story.stopped(task, code, reason, events.container(exit_code=143), dead, service=story.name)


def _fleet(story: Story, size: int) -> None:
    """A container dies in every task of a large service. The tasks are replaced, the last ten of them hours later."""
    tasks = {story.task(): story.now + number for number in range(size)}
    for task, began in tasks.items():
        story.now = began
        _sidecar_is(story, task, events.container("sidecar", 1))
    story.wait(900)
    reason = "Scaling activity initiated by (deployment ecs-svc/1)"
    for number, (task, began) in enumerate(tasks.items()):
        story.now += 2 * HOUR if number == size - 10 else 1.0
        story.lasts(f"container/{task}/sidecar", began, EndedBy.TASK_STOPPED)
        story.stopped(task, "ServiceSchedulerInitiated", reason, events.container(exit_code=143), service=story.name)


def _sidecar_is(story: Story, task: str, sidecar: Raw, **fields: Any) -> None:
    containers = [events.container(status="RUNNING"), sidecar]
    fields = {"task": task, "service": story.name, "updatedAt": iso(story.now), **fields}
    story.emit(events.task_event(containers=containers, **fields))


def _approvals(story: Story) -> None:
    """Hooks that wait at the same time. Each is answered, or times out, or ends with the deployment."""
    deployment = f"ecs-svc/{story.chance.getrandbits(60)}"
    waiting = {}
    for _ in range(story.chance.choice((1, 2, 3))):
        hook, expires = (
            f"hook-{story.chance.getrandbits(40):x}",
            story.now + story.chance.choice((600.0, 9000.0, 30 * HOUR)),
        )
        waiting[hook] = story.now, expires
        _hook_is(story, "HOOK_AWAITING_ACTION", hook, expires)
        story.wait(1, 240)
    for hook, (began, expires) in [*waiting.items()]:
        if expires <= story.now or story.chance.random() < 0.2:
            continue
        story.wait(1, 240, 2000)
        if expires > story.now:
            name, by = story.chance.choice(_ANSWERS)
            story.lasts(f"hook/{hook}", began, by)
            _hook_is(story, name, hook, expires)
            del waiting[hook]
    ends = story.chance.random() < 0.7  # the deployment, and all that still waits
    story.wait(1, 240)
    if not ends:
        story.now = max((story.now, *(expires for _, expires in waiting.values())))
    for hook, (began, expires) in waiting.items():
        if not ends or expires <= story.now:
            story.lasting.append(Lasting(story.name, f"hook/{hook}", began, expires, EndedBy.APPROVAL_TIMED_OUT))
        else:
            story.lasts(f"hook/{hook}", began, EndedBy.DEPLOYMENT_ENDED)
    if ends:
        name = story.chance.choice(("SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"))
        story.emit(events.deployment(name, service=story.name, deploymentId=deployment, updatedAt=iso(story.now)))


def _hook_is(story: Story, name: str, hook: str, expires: float) -> None:
    times = {"expiresAt": iso(expires), "updatedAt": iso(story.now)}
    story.emit(events.hook(name, service=story.name, hookId=hook, **times))


# --- plots: standalone runs and alarms --------------------------------------------------------------------------------


def _run_fails(story: Story) -> None:
    started = story.now
    story.wait(1, 300)
    story.stopped(story.task(), *_EXITED, service=None, family=story.name, started=started)


def _run_completes(story: Story) -> None:
    started = story.now
    story.wait(1, 300)
    done = events.container(exit_code=0)
    story.stopped(story.task(), *_EXITED, done, service=None, family=story.name, started=started)


def _alarm(story: Story) -> None:
    """It ends with OK or is deleted, after minutes or days, and may lack data meanwhile."""
    began, unknown_from = story.now, math.inf
    story.emit(events.alarm("ALARM", name=story.name, at=iso(story.now)))
    story.wait(3, 200, 600, 600, 30 * HOUR)
    if story.chance.random() < 0.3:
        story.emit(events.alarm("INSUFFICIENT_DATA", name=story.name, at=iso(story.now)))
        unknown_from = story.now
        story.wait(60, 3000, 30 * HOUR)
    if story.chance.random() < 0.8:
        story.lasts("alarm", began, EndedBy.ALARM_OK, unknown_from=unknown_from)
        story.emit(events.alarm("OK", name=story.name, at=iso(story.now)))
    else:
        story.lasts("alarm", began, EndedBy.ALARM_DELETED, unknown_from=unknown_from)
        story.emit(events.alarm_deleted(name=story.name, at=iso(story.now)))


# --- plots: container instances ---------------------------------------------------------------------------------------


def _impaired(story: Story) -> None:
    """An instance is impaired until it is healthy or gone. The stops of its tasks say nothing about it."""
    began, instance = story.now, {"ec2InstanceId": story.name, "containerInstanceArn": _instance_arn(story.name)}
    story.emit(events.instance_health("IMPAIRED", **instance))
    story.wait(60, 900, 900, 30 * HOUR)
    if story.chance.random() < 0.6:
        story.lasts("instance", began, EndedBy.INSTANCE_HEALTHY)
        story.emit(events.instance_health("OK", reason=None, **instance))
    else:
        story.lasts("instance", began, EndedBy.INSTANCE_GONE)
        status = story.chance.choice(("DEREGISTERING", "INACTIVE"))
        story.emit(events.instance_state(status, updatedAt=iso(story.now), **instance))


def _instance_arn(name: str) -> str:
    return events.arn(f"container-instance/{events.CLUSTER}/{name}")


_ANSWERS = (
    ("HOOK_SUCCEEDED", EndedBy.APPROVED),
    ("HOOK_FAILED", EndedBy.REJECTED),
    ("HOOK_TIMED_OUT", EndedBy.APPROVAL_TIMED_OUT),
)
_EXITED = ("EssentialContainerExited", "Essential container in task exited")
_Plot = Callable[[Story], None]
_OF_SERVICE: tuple[_Plot, ...] = (
    _crash_loop,
    _crash_loop,
    _out_of_memory,
    _spot,
    _scale_in,
    _unhealthy,
    steady,
    steady,
    _failed_deployment,
    _deployed,
    _flapping,
    _sidecar,
    _sidecar,
    _approvals,
    _approvals,
)
_OF_FAMILY: tuple[_Plot, ...] = (_run_fails, _run_completes)
_OF_ALARM: tuple[_Plot, ...] = (_alarm,)
_OF_INSTANCE: tuple[_Plot, ...] = (_impaired,)


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
