"""Polling: asks AWS for what no event says, and hands what it finds to the pipeline as events of the router's own.

So findings are classified, recorded, silenced, routed, announced once and resolved like any other event. `router.poll`
has the judgements; this module has the table and the pipeline.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from router.aws.home import Home
from router.context import Dependencies, EventResult
from router.deadline import Deadline, applies
from router.ecs.conditions import TOO_FEW_TASKS
from router.errors import Conflict
from router.incident.state import SubjectState
from router.model import EndedBy, IncidentStatus, Subject, SubjectKind
from router.pipeline import process
from router.poll.services import Report, continue_round, judge, reported, restarted, service_events
from router.poll.state import ServicePoll

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
    poll = restarted(poll, _ended(poll, {service.arn for service in seen}, deps, now))
    poll, reports = judge(poll, seen)
    results = _report(reports[:REPORTS], deps, deadline, now)
    recorded = [report for report, result in zip(reports[:REPORTS], results, strict=True) if not result.error]
    after = reported(poll, recorded, now)
    if after != before:
        with suppress(Conflict):  # another invocation has polled meanwhile; history knows the events that both made
            history.put_service_poll(after, now)
    return sum(len(result.deliveries) for result in results)


def _report(reports: Sequence[Report], deps: Dependencies, deadline: Deadline, now: float) -> Sequence[EventResult]:
    events: list[dict[str, Any]] = list(service_events(reports, now))
    return process(events, deps, deadline) if events else ()


def _ended(poll: ServicePoll, seen: Iterable[str], deps: Dependencies, now: float) -> Mapping[str, float]:
    """When the shortfalls of these services ended, as far as the states of the services know of it."""
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
        return 0.0  # a person has closed it, and knows that it goes on
    if incident and incident.ended_at and incident.ended_by in _ENDS_UNSEEN:
        return max(by_event, incident.ended_at)
    return by_event


def _subject(service: str, cluster: str) -> Subject:
    """The subject of a service, by its ARN and its cluster's."""
    _, _, _, region, account, path = service.split(":", 5)
    return Subject(account, region, cluster.rpartition("/")[2], SubjectKind.SERVICE, path.rpartition("/")[2])
