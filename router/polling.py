"""Polling: asks AWS about what no event reports, and passes the results to the pipeline as events of the router's own.

So they are classified, recorded, silenced, routed, announced once and resolved like any other event. `router.poll`
decides; this module reads and writes the table and calls the pipeline.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from router.aws.home import Home
from router.context import Dependencies, EventResult
from router.deadline import Deadline, applies
from router.ecs.conditions import TOO_FEW_TASKS
from router.errors import Conflict
from router.history.items import seconds
from router.history.store import AlertQuery
from router.incident.state import SubjectState
from router.model import EndedBy, IncidentStatus, Subject, SubjectKind
from router.pipeline import process
from router.poll.runs import (
    AWAY_AFTER,
    CATCH_UP,
    Overdue,
    Run,
    judge,
    judge_at,
    lookup_since,
    overdue_events,
    watched,
)
from router.poll.services import Report, continue_round, judge_services, reported, restarted, service_events
from router.poll.state import Expectation, RunWatch, ServicePoll

log = logging.getLogger("ecs-alert-router.polling")

_ENOUGH = 2.0  # seconds that must be left to look up another family
_ROWS = 100  # the most stops of one family that are read
PAGES = 10
"""The most pages of one family's tasks that are read: 1,000 tasks that run, and as many that have stopped. A family
that also belongs to a service may have so many."""
REPORTS = 50
"""The most services that one tick reports; the next round reports the others."""
_ENDS_UNSEEN = frozenset({EndedBy.VERIFIED, EndedBy.UNCONFIRMED})  # what ends a condition without an event


def poll_services(deps: Dependencies, home: Home, until: Deadline, deadline: Deadline) -> int:
    """Looks at the next services, and reports those that have run too few tasks for long, or run enough again.

    Args:
        until: no call to ECS begins later.
        deadline: of the invocation.

    Returns:
        The number of attempts to send.

    Raises:
        HistoryUnavailable: nothing is lost, since the next tick looks at the same services.
    """
    history, now = deps.runtime.history, deps.runtime.clock()
    before = history.service_poll(now)
    with applies(until):
        poll, seen = continue_round(before, home.ecs(), now, deps.config.poll.every, until.left)
    answered_at = deps.runtime.clock()
    poll = restarted(poll, _ended(poll, {service.arn for service in seen}, deps, now))
    poll, reports = judge_services(poll, seen, now, answered_at)
    results = _report(reports[:REPORTS], deps, deadline, now)
    recorded = [report for report, result in zip(reports[:REPORTS], results, strict=True) if not result.error]
    after = reported(poll, recorded, now)
    if after != before:
        with suppress(Conflict):  # another invocation has polled, too; history recognises the same events
            history.put_service_poll(after, now)
    return sum(len(result.deliveries) for result in results)


def poll_runs(deps: Dependencies, home: Home, until: Deadline, deadline: Deadline) -> int:
    """Looks up the runs that should have started or finished by now, and reports those that have not.

    Args, result and errors as for `poll_services`.
    """
    history, now = deps.runtime.history, deps.runtime.clock()
    before = history.run_poll(now)
    watches: dict[str, RunWatch] = {}
    attempts = 0
    for expected in deps.config.expect:
        watch = watched(before.watches.get(expected.name), expected, now)
        at = judge_at(watch, expected)
        if at is not None and at <= now and until.left() > _ENOUGH:
            with applies(until):
                after, overdue = _judged(watch, expected, deps, home, now)
            events = list(overdue_events(expected, overdue, home.account, home.region, now))
            results = process(events, deps, deadline) if events else []
            attempts += sum(len(result.deliveries) for result in results)
            watch = watch if any(result.error for result in results) else after
        watches[expected.name] = watch
    if watches != before.watches:
        with suppress(Conflict):  # as above
            history.put_run_poll(before._replace(watches=watches), now)
    return attempts


def _judged(
    watch: RunWatch, expected: Expectation, deps: Dependencies, home: Home, now: float
) -> tuple[RunWatch, list[Overdue]]:
    """The watch after looking up the runs; it waits where the answer could be wrong."""
    at = judge_at(watch, expected) or now
    if now - at > AWAY_AFTER and not watch.wait_until:
        return watch._replace(wait_until=now + CATCH_UP), []
    stopped, known_since = _recorded(expected, home, deps, lookup_since(watch, expected), now)
    recorded = {run.task: run for run in stopped}
    try:
        runs = recorded | {run.task: run for run in _tasks(expected, home.ecs())}
    except Exception as error:  # noqa: BLE001 - whatever AWS answers, the alerts come first
        log.warning("the runs of %s could not be looked up: %s", expected.name, error)
        if now - at < AWAY_AFTER:
            return watch, []
        running = {task: Run(task, started_at, running=True) for task, started_at in watch.running.items()}
        runs = running | recorded  # as far as is known, what has not stopped still runs
    return judge(watch, expected, runs.values(), now, known_since)


def _tasks(expected: Expectation, ecs: Any) -> list[Run]:
    """The tasks of the family that ECS knows: those that run, and those that stopped within the last hour.

    Raises:
        LookupError: there are too many, so that a run may not be among those that were read.
        Exception: what the client raises.
    """
    return [
        Run(task["taskArn"].rpartition("/")[2], task["createdAt"].timestamp(), task.get("lastStatus") != "STOPPED")
        for status in ("RUNNING", "STOPPED")
        for arns in _pages(expected, status, ecs)
        for task in (ecs.describe_tasks(cluster=expected.cluster, tasks=arns).get("tasks", ()) if arns else ())
        if not str(task.get("group", "")).startswith("service:") and task.get("createdAt")
    ]


def _pages(expected: Expectation, status: str, ecs: Any) -> Iterator[Sequence[str]]:
    """ARNs of the family's tasks with that desired status, up to 100 at once. Raises as `_tasks` does."""
    token: Mapping[str, str] = {}
    for _ in range(PAGES):
        page = ecs.list_tasks(
            cluster=expected.cluster, family=expected.family, desiredStatus=status, maxResults=100, **token
        )
        yield page.get("taskArns", ())
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}
    raise LookupError(f"the family {expected.family} has more than {PAGES * 100} {status.lower()} tasks")


def _recorded(
    expected: Expectation, home: Home, deps: Dependencies, since: float, now: float
) -> tuple[list[Run], float]:
    """The runs of the family that have stopped since then, as far as history knows.

    Returns:
        The runs, and the clock time since which all of them are among the rows that were read.
    """
    history = deps.runtime.history
    subject = f"{SubjectKind.FAMILY.value}:{expected.family}"
    query = AlertQuery(since, now, _ROWS, subject=subject, cluster=expected.cluster)
    alerts = history.alerts(query, now)
    rows = history.rows([alert["id"] for alert in alerts], now).values()
    runs = [
        Run(row["task"], float(at), running=False)
        for row in rows
        if (row.get("account"), row.get("region")) == (home.account, home.region)
        and row.get("stopped")
        and (at := row.get("created_at") or row.get("started_at")) is not None
    ]
    return runs, since if len(alerts) < _ROWS else seconds(alerts[-1]["at"])


def _report(reports: Sequence[Report], deps: Dependencies, deadline: Deadline, now: float) -> Sequence[EventResult]:
    events: list[dict[str, Any]] = list(service_events(reports, now))
    return process(events, deps, deadline) if events else ()


def _ended(poll: ServicePoll, seen: Iterable[str], deps: Dependencies, now: float) -> Mapping[str, float]:
    """When the shortfalls of these services ended, as far as the states of the services show it."""
    subjects = {arn: _subject(arn, poll.shortfalls[arn].cluster) for arn in seen if arn in poll.shortfalls}
    if not subjects:
        return {}
    states, _ = deps.runtime.history.states(list(dict.fromkeys(subjects.values())), now)
    return {arn: _ended_at(states[subject]) for arn, subject in subjects.items()}


def _ended_at(state: SubjectState) -> float:
    if TOO_FEW_TASKS in state.conditions:
        return 0.0
    incident, by_event = state.incident, state.ended.get(TOO_FEW_TASKS, 0.0)
    if incident and incident.status is IncidentStatus.CLOSED and by_event <= (incident.ended_at or 0.0):
        return 0.0  # a person has closed it, and knows that it continues
    if incident and incident.ended_at and incident.ended_by in _ENDS_UNSEEN:
        return max(by_event, incident.ended_at)
    return by_event


def _subject(service: str, cluster: str) -> Subject:
    """The subject of a service, by its ARN and its cluster's."""
    _, _, _, region, account, path = service.split(":", 5)
    return Subject(account, region, cluster.rpartition("/")[2], SubjectKind.SERVICE, path.rpartition("/")[2])
