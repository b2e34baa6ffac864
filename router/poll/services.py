"""Looks for services that have run fewer tasks than desired for five minutes, with no deployment in progress.

ECS reports failures of tasks, but no event says that a service runs none: one that cannot place tasks, or whose tasks
were stopped by hand, can stay down for weeks. So the tick asks, with a limited number of calls in limited time; if
that is not enough, the next tick continues.

Sources: API reference of Amazon ECS (ListClusters and ListServices return up to 100, DescribeServices takes 10; fields
of Service, Deployment and TaskSet); "Request throttling for the Amazon ECS API" (service reads: a bucket of 100 calls,
refilled with 20 a second, shared with the console, CI and autoscalers).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from router.errors import DeadlineExceeded
from router.model import OWN_SOURCE, SERVICE_COUNT, short_hash
from router.poll.state import ServicePoll, Shortfall

log = logging.getLogger("ecs-alert-router.poll.services")

BELOW_FOR = 300.0
"""Seconds for which a service must have run too few tasks before that is reported."""
REMEMBERED = 500
"""How many shortfalls are remembered at most."""
CALLS = 120
"""The most calls in one tick: two a second, a tenth of what the account may make."""
_TICK_SLACK = 30.0  # seconds; ticks do not come exactly a minute apart
_FORGOTTEN_AFTER = 3  # rounds that did not take place, after which it is not known that a shortfall lasted
_STALLED_AFTER = 86_400.0  # seconds; a deployment that has not finished by then explains nothing any more
_ENOUGH = 1.0  # seconds that must be left for another call
_PAGE, _BATCH = 100, 10
_THROTTLED = frozenset({"ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"})
NONE_RUNNING, TOO_FEW, ENOUGH, GONE = "NONE_RUNNING", "TOO_FEW", "ENOUGH", "GONE"
"""The states of a service that are reported. A service that is deleted is GONE."""


class Service(NamedTuple):
    """A service as a poll saw it.

    Attributes:
        state: one of the four above; "" while a deployment is in progress and tasks are still missing.
        event: the newest of the service's events, which often names the reason.
    """

    arn: str
    cluster: str
    state: str
    running: int = 0
    desired: int = 0
    event: str = ""


class Report(NamedTuple):
    """A change that is to be reported: the service, and what was known of its shortfall before."""

    service: Service
    shortfall: Shortfall


# --- asks ECS ---------------------------------------------------------------------------------------------------------


def continue_round(
    poll: ServicePoll, ecs: Any, now: float, every: float, left: Callable[[], float]
) -> tuple[ServicePoll, list[Service]]:
    """Continues the round, or begins one if it is time. Returns how far it got, and the services that it saw.

    Args:
        every: seconds between the beginnings of two rounds.
        left: returns the seconds that are left for calls.
    """
    if not poll.clusters and now < poll.started_at + every - _TICK_SLACK:
        return poll, []
    seen: list[Service] = []
    calls = CALLS
    try:
        if not poll.clusters:
            poll, spent = _begin(poll, ecs, now, every)
            calls -= spent
        while poll.clusters and calls > 0 and left() > _ENOUGH:
            calls -= 1
            poll, services = _step(poll, ecs, now)
            seen += services
    except Exception as error:  # noqa: BLE001 - whatever AWS answers, the alerts come first
        log.warning("services could not be polled: %s", error)
        if not _passes(error):
            poll = _skip(poll)
    return poll, seen


def _begin(poll: ServicePoll, ecs: Any, now: float, every: float) -> tuple[ServicePoll, int]:
    """A new round, and the number of calls that it took."""
    clusters: list[str] = []
    token, calls = "", 0
    while token or not calls:
        page = ecs.list_clusters(maxResults=_PAGE, **({"nextToken": token} if token else {}))
        clusters += page.get("clusterArns", ())
        token, calls = page.get("nextToken") or "", calls + 1
    missed = now - poll.started_at > _FORGOTTEN_AFTER * max(every, BELOW_FOR)
    known = {arn: shortfall for arn, shortfall in poll.shortfalls.items() if shortfall.reported or not missed}
    begun = ServicePoll(
        version=poll.version,
        started_at=now,
        clusters=tuple(arn.rpartition("/")[2] for arn in clusters),
        unseen=tuple(known),
        shortfalls=known,
        unknown=poll.unknown,
    )
    return begun, calls


def _step(poll: ServicePoll, ecs: Any, now: float) -> tuple[ServicePoll, list[Service]]:
    """One call: describes the next services, or lists the next page of them."""
    cluster = poll.clusters[0]
    if poll.services:
        batch = poll.services[:_BATCH]
        answer = ecs.describe_services(cluster=cluster, services=list(batch))
        seen = [_service(service, now) for service in answer.get("services", ())]
        return _advanced(poll._replace(services=poll.services[_BATCH:])), seen
    page = {"nextToken": poll.token} if poll.token else {}
    answer = ecs.list_services(cluster=cluster, maxResults=_PAGE, **page)
    arns, token = tuple(answer.get("serviceArns", ())), answer.get("nextToken") or None
    return _advanced(poll._replace(services=arns, token=token)), []


def _advanced(poll: ServicePoll) -> ServicePoll:
    """The poll at the next cluster, if nothing is left to do in the current one."""
    if poll.services or poll.token is not None:
        return poll
    return poll._replace(clusters=poll.clusters[1:], token="")


def _skip(poll: ServicePoll) -> ServicePoll:
    """The poll at the next cluster: this one refuses its calls, or its page has expired."""
    return poll._replace(clusters=poll.clusters[1:], token="", services=(), complete=False)


def _passes(error: Exception) -> bool:
    """Whether the same call may succeed at the next tick."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, Mapping) else None
    return isinstance(error, DeadlineExceeded) or code in _THROTTLED


# --- judges one service -----------------------------------------------------------------------------------------------


def _service(service: Mapping[str, Any], now: float) -> Service:
    running, desired = int(service.get("runningCount") or 0), int(service.get("desiredCount") or 0)
    event = next((str(message.get("message", "")) for message in service.get("events") or ()), "")
    return Service(
        arn=str(service.get("serviceArn", "")),
        cluster=str(service.get("clusterArn", "")),
        state=_state(service, running, desired, now),
        running=running,
        desired=desired,
        event="" if "steady state" in event else event,
    )


def _state(service: Mapping[str, Any], running: int, desired: int, now: float) -> str:
    if service.get("status") != "ACTIVE":  # DRAINING and INACTIVE: it was deleted
        return GONE
    if running >= desired:
        return ENOUGH
    if _deploys(service, now):
        return ""
    return TOO_FEW if running else NONE_RUNNING


def _deploys(service: Mapping[str, Any], now: float) -> bool:
    """Whether a deployment explains the missing tasks.

    `deployments` is of the ECS controller alone; with CodeDeploy and external controllers, task sets replace each
    other. `rolloutState` is absent behind a Classic Load Balancer, where only an older deployment beside the newest
    shows that one is in progress. A daemon's `desiredCount` follows its instances, so it needs nothing special here.
    """
    controller = (service.get("deploymentController") or {}).get("type") or "ECS"
    if controller != "ECS":
        sets = service.get("taskSets") or ()
        return not sets or (len(sets) > 1 and any(_recent(task_set, now) for task_set in sets))
    deployments = service.get("deployments") or ()
    going_on = len(deployments) > 1 or any(
        deployment.get("rolloutState") == "IN_PROGRESS" for deployment in deployments
    )
    return going_on and any(_recent(deployment, now) for deployment in deployments)


def _recent(deployment: Mapping[str, Any], now: float) -> bool:
    """Whether it began within the last day. Without a circuit breaker, ECS keeps trying indefinitely."""
    created = deployment.get("createdAt")
    return created is None or now - _seconds(created) < _STALLED_AFTER


def _seconds(time: Any) -> float:
    """botocore gives times as datetimes; a stored answer has numbers."""
    return float(time.timestamp() if isinstance(time, datetime) else time)


# --- what is to be reported -------------------------------------------------------------------------------------------


def judge_services(
    poll: ServicePoll, seen: Iterable[Service], asked_at: float, answered_at: float
) -> tuple[ServicePoll, list[Report]]:
    """The poll with what it saw, and the changes that are to be reported, as long as nothing else ended a shortfall.

    Args:
        asked_at, answered_at: clock times between which ECS described the services. A slow answer shortens the time
            that is counted, so that nothing is reported early.
    """
    shortfalls = dict(poll.shortfalls)
    services = {service.arn: service for service in seen}
    unseen = tuple(arn for arn in poll.unseen if arn not in services)
    if not poll.clusters and poll.complete:  # ListServices leaves out a deleted service at once
        services |= {arn: Service(arn, shortfalls[arn].cluster, GONE) for arn in unseen if arn in shortfalls}
        unseen = ()
    reports = []
    for arn, service in services.items():
        before = shortfalls.get(arn)
        after = _after(before, service, answered_at)
        if before is None and len(shortfalls) >= REMEMBERED:
            continue  # the item of the table has a limit; so many failures are not missed
        if after is None:
            shortfalls.pop(arn, None)
            if before and before.reported:
                shortfalls[arn] = before  # until its end is recorded
                reports.append(Report(service, before))
        else:
            shortfalls[arn] = after
            if _is_due(after, service, asked_at):
                reports.append(Report(service, after))
    return poll._replace(shortfalls=shortfalls, unseen=unseen), reports


def _after(before: Shortfall | None, service: Service, now: float) -> Shortfall | None:
    """The shortfall after this look; None if there is none."""
    if service.state in {TOO_FEW, NONE_RUNNING}:
        return before or Shortfall(service.cluster, now)
    if service.state == "" and before and before.reported:
        return before  # a deployment that tries to repair it does not end it
    return None


def _is_due(shortfall: Shortfall, service: Service, now: float) -> bool:
    if service.state == "" or now - shortfall.since < BELOW_FOR - _TICK_SLACK:
        return False
    worse = service.state == NONE_RUNNING and shortfall.reported == TOO_FEW
    return not shortfall.reported or worse


def reported(poll: ServicePoll, reports: Sequence[Report], now: float) -> ServicePoll:
    """The poll once these reports are in history."""
    shortfalls = dict(poll.shortfalls)
    for service, shortfall in reports:
        if service.state in {ENOUGH, GONE}:
            shortfalls.pop(service.arn, None)
        else:
            shortfalls[service.arn] = shortfall._replace(reported=service.state, reported_at=now)
    return poll._replace(shortfalls=shortfalls)


def restarted(poll: ServicePoll, ended: Mapping[str, float]) -> ServicePoll:
    """The poll with the shortfalls beginning anew that something else ended after they began or were reported.

    Args:
        ended: by the ARN of the service, when a steady state or a check ended its shortfall.
    """
    shortfalls = {
        arn: Shortfall(shortfall.cluster, max(ended[arn], shortfall.since))
        if arn in ended and ended[arn] > (shortfall.reported_at or shortfall.since)
        else shortfall
        for arn, shortfall in poll.shortfalls.items()
    }
    return poll._replace(shortfalls=shortfalls)


def service_events(reports: Iterable[Report], now: float) -> Iterator[dict[str, Any]]:
    """The reports, as EventBridge events. A repetition has the same id, so that dedup recognises it."""
    for service, shortfall in reports:
        parts = service.arn.split(":")
        yield {
            "id": f"{short_hash(service.arn)}-{shortfall.since:.0f}-{shortfall.reported_at:.0f}-{service.state}",
            "source": OWN_SOURCE,
            "detail-type": SERVICE_COUNT,
            "time": datetime.fromtimestamp(now, UTC).isoformat(),
            "account": parts[4] if len(parts) > 5 else "",  # noqa: PLR2004 - arn:aws:ecs:REGION:ACCOUNT:service/…
            "region": parts[3] if len(parts) > 5 else "",  # noqa: PLR2004
            "resources": [service.arn],
            "detail": {
                "clusterArn": service.cluster,
                "state": {"value": service.state, "reason": service.event},
                "runningCount": str(service.running),
                "desiredCount": str(service.desired),
            },
        }
