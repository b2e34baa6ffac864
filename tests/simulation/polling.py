"""What AWS answers in a run that polls: services below their count, runs that never come, and what AWS Health reports.

Also the events about them. A shortage of tasks and a run that does not come have no event of their own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

from local_aws import events
from local_aws.events import ACCOUNT, CLUSTER, REGION
from router.aws.home import ExpectedRun, Home
from router.ecs.conditions import OVERDUE, TOO_FEW_TASKS
from router.incident.state import HEALTH_EVENT, HEALTH_GRACE
from router.model import EndedBy
from router.poll.state import Expectation, Schedule
from tests.doubles.ecs_account import EcsAccount, Throttled
from tests.simulation.boundary import Boundary, Unanswered
from tests.simulation.plan import HOUR, MINUTE
from tests.simulation.workload import Arrival, Lasting, Story, steady, ways

PERIOD, GRACE = 600.0, 180.0
FAMILY = "expected"
EXPECTED = Expectation("nightly", FAMILY, CLUSTER, Schedule("rate(10 minutes)", period=PERIOD), GRACE)
_SERVICES = 3
_FORGOTTEN_AFTER = HOUR  # seconds after which ECS does not know a stopped task any more


@dataclass(frozen=True, slots=True)
class Shortage:
    """A service runs fewer tasks than the two that are desired, in virtual time."""

    service: str
    begins: float
    ends: float
    running: int


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the expected family, in virtual time."""

    task: str
    begins: float
    ends: float
    succeeds: bool


@dataclass(frozen=True, slots=True)
class Polled:
    """What is polled in a run, and what events say about it.

    Attributes:
        missing: clock times at which runs were due that do not come.
        until: clock time of the last poll.
    """

    shortages: Sequence[Shortage]
    runs: Sequence[Run]
    missing: Sequence[float]
    arrivals: Sequence[Arrival]
    lasting: Sequence[Lasting]
    until: float

    def account(self, now: float) -> EcsAccount:
        """The ECS account at that time."""
        services: dict[str, dict[str, Any]] = {f"polled{number}": {} for number in range(_SERVICES)}
        for shortage in self.shortages:
            if shortage.begins <= now < shortage.ends:
                services[shortage.service] = {"runningCount": shortage.running}
        account = EcsAccount(**{CLUSTER: services})
        for run in self.runs:
            if run.begins <= now < run.ends + _FORGOTTEN_AFTER:
                status = {} if now < run.ends else {"lastStatus": "STOPPED"}
                account.run(FAMILY, run.task, run.begins, **status)
        return account


def polled(seed: int, start: float, storm: float) -> Polled:
    chance = Random(f"polled {seed}")
    stories = [_service(chance, f"polled{number}", start, storm) for number in range(_SERVICES)]
    shortages = [shortage for _, found in stories for shortage in found]
    runs = list(_runs(chance, start, storm))
    run_story = Story(chance, FAMILY, start)
    for run in runs:
        _finish(run_story, run)
    missing = [due for before, after in pairwise(runs) for due in _missing(before, after)]
    lasting = [
        Lasting(shortage.service, TOO_FEW_TASKS, shortage.begins, shortage.ends, EndedBy.ENOUGH_TASKS)
        for shortage in shortages
    ]
    for due in missing:
        ends = next(run.ends for run in runs if run.begins > due and run.succeeds)
        lasting.append(Lasting(FAMILY, f"{OVERDUE}{EXPECTED.name}", due - 1, ends, EndedBy.RUN_COMPLETED))
    health = [_health(chance, f"h{number}", start, storm) for number in range(chance.choice((0, 1, 2)))]
    told = [*(story for story, _ in stories), run_story, *health]
    arrivals = [
        arrival for story in told for happened, _, raw in story.emitted for arrival in ways(chance, happened, raw)
    ]
    until = runs[-1].begins + 5 * MINUTE  # the last run has finished by then, and the next is not due yet
    return Polled(
        shortages,
        runs,
        missing,
        arrivals,
        [*lasting, *(condition for story in health for condition in story.lasting)],
        until,
    )


def _service(chance: Random, name: str, start: float, storm: float) -> tuple[Story, list[Shortage]]:
    """A service falls short a few times; events say why, and that it has recovered, or nothing does."""
    story, shortages = Story(chance, name, start + chance.uniform(0, storm / 2)), []
    for _ in range(chance.choice((0, 1, 1, 2))):
        begins = story.now
        if chance.random() < 0.3:
            exited = ("EssentialContainerExited", "Essential container in task exited")
            story.stopped(story.task(), *exited, events.container(exit_code=1), service=name)
        story.wait(120, 900, 900, 2400)
        shortages.append(Shortage(name, begins, story.now, chance.choice((0, 0, 1))))
        if chance.random() < 0.5:
            steady(story)
        story.wait(20 * MINUTE)
    return story, shortages


def _runs(chance: Random, start: float, storm: float) -> Iterator[Run]:
    """A run every ten minutes, some of which never come. The last two come, and succeed."""
    begins, ends = start + chance.uniform(MINUTE, 5 * MINUTE), start + max(storm, 40 * MINUTE)
    while begins < ends:
        yield _run(chance, begins, succeeds=chance.random() < 0.9)
        begins += PERIOD * chance.choice((1, 1, 1, 2, 3))
    yield from (_run(chance, begins + number * PERIOD, succeeds=True) for number in range(2))


def _run(chance: Random, begins: float, *, succeeds: bool) -> Run:
    begins += chance.uniform(-10, 10)
    return Run(f"{chance.getrandbits(128):032x}", begins, begins + chance.uniform(20, 200), succeeds)


def _finish(story: Story, run: Run) -> None:
    story.now = run.ends
    exited = ("EssentialContainerExited", "Essential container in task exited")
    container = events.container(exit_code=0 if run.succeeds else 1)
    story.stopped(run.task, *exited, container, service=None, family=FAMILY, started=run.begins)


def _missing(before: Run, after: Run) -> Iterator[float]:
    """When runs were due between these two."""
    due = before.begins + PERIOD
    while due + GRACE < after.begins:
        yield due
        due += PERIOD


def _health(chance: Random, name: str, start: float, storm: float) -> Story:
    """AWS Health announces something, and closes it, or it ends a day after its planned end."""
    arn = f"arn:aws:health:{REGION}::event/ECS/AWS_ECS_TASK_PATCHING_RETIREMENT/{name}"
    story = Story(chance, arn, start + chance.uniform(0, storm))
    began, ends = story.now, story.now + chance.choice((10 * MINUTE, 3 * HOUR))
    _report(story, "upcoming", ends)
    story.wait(5 * MINUTE, HOUR, 5 * HOUR)
    if chance.random() < 0.7:
        story.lasts(HEALTH_EVENT + arn, began, EndedBy.HEALTH_EVENT_CLOSED)
        _report(story, "closed", ends)
    else:
        expires = int(ends) + HEALTH_GRACE  # AWS Health tells whole seconds
        story.lasting.append(Lasting(arn, HEALTH_EVENT + arn, began, expires, EndedBy.HEALTH_EVENT_EXPIRED))
    return story


def _report(story: Story, status: str, ends: float) -> None:
    times = {"endTime": _rfc(ends), "lastUpdatedTime": _rfc(story.now), "startTime": _rfc(ends - HOUR)}
    communication = f"{story.chance.getrandbits(64):x}-1"
    story.emit(
        events.health(f"{CLUSTER}|web", eventArn=story.name, statusCode=status, communicationId=communication, **times)
    )


def _rfc(time: float) -> str:
    return format_datetime(datetime.fromtimestamp(time, UTC), usegmt=True)


class EcsClient:
    """What `router.poll` and `router.polling` call of ECS, with faults."""

    def __init__(self, boundary: Boundary, account: Callable[[], EcsAccount]) -> None:
        self._boundary, self._account = boundary, account

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        return partial(self._call, operation)

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            return self._boundary.call(lambda: self._answer(operation, arguments), operation)
        except Unanswered as error:
            raise Throttled from error

    def _answer(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self._account(), operation)(**arguments)
        return answer


def home(client: EcsClient) -> Home:
    expected = ExpectedRun(EXPECTED.name, FAMILY, CLUSTER)
    return Home(ACCOUNT, REGION, lambda: client, lambda: None, services=True, expected=frozenset({expected}))
