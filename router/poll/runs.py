"""Expected runs: which did not start, or did not finish, in time. Pure functions.

A run is looked up when it should have started, and not before: in ECS, which knows the tasks of the last hour, and in
history, which knows the stops before that. So nothing has to follow each event, and a router that was away for a while
finds out what happened meanwhile before it reports a run as overdue.

Any start within the window counts; who started the task does not matter. A run that failed counts as a run, because an
alert of its own reports the failure.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from router.model import OWN_SOURCE, RUN_OVERDUE, short_hash
from router.poll.schedule import next_due
from router.poll.state import Expectation, RunWatch

EARLY = 60.0
"""A start up to so many seconds before a due time counts for it: EventBridge starts a run within its minute."""
AWAY_AFTER = 300.0
"""If a run is judged so many seconds late, the router must have been away."""
CATCH_UP = 600.0
"""Seconds that it then waits for the events that are still in its queue."""
WATCHED = 100
"""The most runs of one expectation that are watched for `max_runtime`, the earliest first; the item has a limit."""
_JUDGED_BACK = 2 * 86_400.0  # seconds; older due times are not judged, since only the newest is reported
NOT_STARTED, NOT_FINISHED = "NOT_STARTED", "NOT_FINISHED"


class Run(NamedTuple):
    """A run of the family, as far as it is known.

    Attributes:
        started_at: clock time at which the task was started.
        running: it has not stopped.
    """

    task: str
    started_at: float
    running: bool


class Overdue(NamedTuple):
    """A run that did not start or finish in time.

    Attributes:
        state: `NOT_STARTED` or `NOT_FINISHED`.
        at: clock time at which it was due, or at which the run started that does not finish.
        task: of the run that does not finish, or "".
    """

    state: str
    at: float
    task: str = ""


def watched(watch: RunWatch | None, expected: Expectation, now: float) -> RunWatch:
    """The watch of an expectation, or a new one for another expectation: its first run is due an interval from now."""
    schedule = f"{expected.cluster}/{expected.family} {expected.schedule.text} {expected.schedule.time_zone}"
    if watch and watch.schedule == schedule:
        return watch
    return RunWatch(schedule, now, next_due(expected.schedule, now))


def judge_at(watch: RunWatch, expected: Expectation) -> float | None:
    """Clock time at which the runs must be looked up next; None for never."""
    times = [] if watch.due_at is None else [watch.due_at + expected.grace]
    if expected.max_runtime:
        times += [at + expected.max_runtime for task, at in watch.running.items() if task not in watch.late]
    return max(min(times), watch.wait_until) if times else None


def lookup_since(watch: RunWatch, expected: Expectation) -> float:
    """Clock time from which the starts of runs matter."""
    if expected.schedule.period or watch.due_at is None:
        return max(watch.started_at, watch.since - EARLY)
    return watch.due_at - EARLY


def judge(
    watch: RunWatch, expected: Expectation, runs: Iterable[Run], now: float, known_since: float = 0.0
) -> tuple[RunWatch, list[Overdue]]:
    """The watch after looking at the runs since `lookup_since`, and what is overdue.

    Args:
        known_since: clock time before which runs may be unknown, so that none is taken for missing.
    """
    runs = sorted(runs, key=lambda run: run.started_at)
    starts = [run.started_at for run in runs]
    after, overdue = _judge_starts(watch, expected, starts, now, known_since)
    watchable = [run for run in runs if run.running] if expected.max_runtime else []
    running = {run.task: run.started_at for run in watchable[:WATCHED]}
    late = tuple(task for task in watch.late if task in running)
    too_long = [
        Overdue(NOT_FINISHED, at, task)
        for task, at in running.items()
        if now >= at + expected.max_runtime and task not in late
    ]
    after = after._replace(
        started_at=max([after.started_at, *starts]),
        wait_until=0.0,
        running=running,
        late=(*late, *(run.task for run in too_long)),
    )
    return after, [*overdue, *too_long]


def _judge_starts(
    watch: RunWatch, expected: Expectation, starts: list[float], now: float, known_since: float
) -> tuple[RunWatch, list[Overdue]]:
    """Goes through the due times whose grace has passed. If several runs are missing, the newest is reported."""
    schedule, due = expected.schedule, watch.due_at
    missing: Overdue | None = None
    if due is not None and not schedule.period and due < now - _JUDGED_BACK:
        due = next_due(schedule, now - _JUDGED_BACK)
    while due is not None and due + expected.grace <= now:
        if schedule.period:
            newest = max((at for at in starts if watch.started_at < at), default=None)
            if newest is not None and newest + schedule.period > due:
                due, missing = newest + schedule.period, None
                continue
            missing, due = Overdue(NOT_STARTED, due), due + schedule.period
        else:
            if due >= known_since and not any(due - EARLY <= at <= due + expected.grace for at in starts):
                missing = Overdue(NOT_STARTED, due)
            due = next_due(schedule, due)
    return watch._replace(due_at=due), [missing] if missing else []


def overdue_events(
    expected: Expectation, missing: Iterable[Overdue], account: str, region: str, now: float
) -> Iterator[dict[str, Any]]:
    """What is overdue, as EventBridge events. A repetition has the same id, so that dedup recognises it.

    The time of a run that is missing is when it was due: a later run that has completed in the meantime ends it.
    """
    cluster = f"arn:{_partition(region)}:ecs:{region}:{account}:cluster/{expected.cluster}"
    for overdue in missing:
        name = short_hash(account, region, expected.cluster, expected.family, expected.name)
        yield {
            "id": f"{name}-{overdue.at:.0f}-{overdue.task or overdue.state}",
            "source": OWN_SOURCE,
            "detail-type": RUN_OVERDUE,
            "time": datetime.fromtimestamp(overdue.at if overdue.state == NOT_STARTED else now, UTC).isoformat(),
            "account": account,
            "region": region,
            "resources": [],
            "detail": {
                "clusterArn": cluster,
                "family": expected.family,
                "expected": expected.name,
                "state": {"value": overdue.state},
                "dueAt": datetime.fromtimestamp(overdue.at, UTC).isoformat(),
                "taskId": overdue.task,
            },
        }


def _partition(region: str) -> str:
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}
    return next((name for prefix, name in prefixes.items() if region.startswith(prefix)), "aws")
