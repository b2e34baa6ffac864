"""Which services count as running too few tasks, and how many calls it takes to find out."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from router.errors import DeadlineExceeded
from router.poll.services import CALLS, ENOUGH, GONE, NONE_RUNNING, TOO_FEW, Service, continue_round, judge_services
from router.poll.state import ServicePoll, Shortfall
from tests.doubles.ecs_account import EcsAccount, Throttled, cluster_arn, service_arn
from tests.doubles.world import DAY, HOUR, START

EVERY = 300.0
WEB = service_arn("prod", "web")


def seen(
    poll: ServicePoll, account: EcsAccount, now: float = START, left: float = math.inf
) -> tuple[ServicePoll, list[Service]]:
    return continue_round(poll, account, now, EVERY, lambda: left)


def state_of(**fields: Any) -> str:
    """The state of a service that was listed before its fields changed to these."""
    poll = ServicePoll(started_at=START, clusters=("prod",), token=None, services=(WEB,))
    _, (service,) = seen(poll, EcsAccount(prod={"web": fields}))
    return service.state


def primary(state: str | None = "IN_PROGRESS", age: float = HOUR) -> dict[str, Any]:
    rollout = {"rolloutState": state} if state else {}
    return {"status": "PRIMARY", "createdAt": datetime.fromtimestamp(START - age, UTC), **rollout}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"runningCount": 1}, TOO_FEW),
        ({"runningCount": 0}, NONE_RUNNING),
        ({"runningCount": 0, "desiredCount": 0}, ENOUGH),
        ({"runningCount": 3}, ENOUGH),
        ({"runningCount": 0, "status": "DRAINING"}, GONE),
        ({"runningCount": 0, "status": "INACTIVE"}, GONE),
        ({"runningCount": 0, "desiredCount": 0, "schedulingStrategy": "DAEMON"}, ENOUGH),
        ({"runningCount": 1, "schedulingStrategy": "DAEMON"}, TOO_FEW),
    ],
)
def test_the_counts_decide(fields: dict[str, Any], state: str) -> None:
    assert state_of(**fields) == state


@pytest.mark.parametrize(
    ("fields", "explained"),
    [
        ({"deployments": [primary()]}, True),
        ({"deployments": [primary("COMPLETED")]}, False),
        ({"deployments": [primary("FAILED")]}, False),
        ({"deployments": [primary(None)]}, False),  # behind a Classic Load Balancer
        ({"deployments": [primary(None), {"status": "ACTIVE"}]}, True),
        ({"deployments": [primary(age=2 * DAY)]}, False),
        ({"deploymentController": {"type": "CODE_DEPLOY"}, "deployments": [], "taskSets": [{}, {}]}, True),
        ({"deploymentController": {"type": "CODE_DEPLOY"}, "deployments": [], "taskSets": [{}]}, False),
        ({"deploymentController": {"type": "EXTERNAL"}, "deployments": [], "taskSets": []}, True),
        ({"deploymentController": {"type": "EXTERNAL"}, "taskSets": [primary(age=2 * DAY)] * 2}, False),
    ],
)
def test_a_deployment_in_progress_explains_missing_tasks_for_a_day(fields: dict[str, Any], *, explained: bool) -> None:
    assert state_of(runningCount=0, **fields) == ("" if explained else NONE_RUNNING)


def test_a_steady_state_is_no_reason() -> None:
    account = EcsAccount(prod={"web": {"events": [{"message": "(service web) has reached a steady state."}]}})
    assert not seen(ServicePoll(), account)[1][0].event
    account.services["prod"]["web"] = {"events": [{"message": "(service web) was unable to place a task."}]}
    assert seen(ServicePoll(), account)[1][0].event == "(service web) was unable to place a task."


# --- calls ------------------------------------------------------------------------------------------------------------


def many(count: int) -> EcsAccount:
    return EcsAccount(prod={f"s{number}": {} for number in range(count)})


@pytest.mark.parametrize(("services", "calls", "ticks"), [(50, 7, 1), (500, 56, 1), (5000, 551, 5)])
def test_a_round_takes_one_call_per_ten_services_and_few_ticks(services: int, calls: int, ticks: int) -> None:
    account, poll, found = many(services), ServicePoll(), list[Service]()
    for tick in range(ticks):
        assert tick == 0 or poll.clusters
        before = account.calls.total()
        poll, batch = seen(poll, account, START + 60 * tick)
        assert account.calls.total() - before <= CALLS
        found += batch
    assert not poll.clusters
    assert account.calls.total() == calls
    assert len({service.arn for service in found}) == services


def test_between_two_rounds_nothing_is_asked() -> None:
    account = many(1)
    poll, _ = seen(ServicePoll(), account)
    calls = account.calls.total()
    assert seen(poll, account, START + 200) == (poll, [])
    assert account.calls.total() == calls
    assert seen(poll, account, START + 299)[1]  # ticks do not come exactly a minute apart


def test_without_time_no_service_is_asked_about() -> None:
    account = many(10)
    poll, services = seen(ServicePoll(), account, left=0.5)
    assert services == []
    assert account.calls.total() == 1
    assert len(seen(poll, account, START + 60)[1]) == 10


@pytest.mark.parametrize("error", [Throttled(), DeadlineExceeded()])
def test_a_throttled_call_is_made_again_by_the_next_tick(error: Exception) -> None:
    account = many(10)
    account.fail("describe_services", [error])
    poll, services = seen(ServicePoll(), account)
    assert services == []
    poll, services = seen(poll, account, START + 60)
    assert len(services) == 10
    assert poll.complete


def test_a_cluster_that_may_not_be_read_holds_up_no_other() -> None:
    account = EcsAccount(a={"web": {}}, b={"web": {}})
    account.fail("list_services", [RuntimeError("AccessDeniedException")])
    poll, _ = seen(ServicePoll(), account)
    poll, (service,) = seen(poll, account, START + 60)
    assert service.cluster == cluster_arn("b")
    assert not poll.complete


# --- judgement --------------------------------------------------------------------------------------------------------


def shortfall(since: float, reported: str = "", reported_at: float = 0.0) -> Shortfall:
    return Shortfall(cluster_arn("prod"), since, reported, reported_at)


def after(before: Shortfall | None, state: str) -> tuple[ServicePoll, list[str]]:
    known = {WEB: before} if before else {}
    poll = ServicePoll(started_at=START, shortfalls=known, unseen=tuple(known))
    poll, reports = judge_services(poll, [Service(WEB, cluster_arn("prod"), state)], START, START)
    return poll, [report.service.state for report in reports]


@pytest.mark.parametrize(
    ("before", "state", "reports"),
    [
        (None, NONE_RUNNING, []),
        (shortfall(START - 200), NONE_RUNNING, []),
        (shortfall(START - 300), NONE_RUNNING, [NONE_RUNNING]),
        (shortfall(START - 300), TOO_FEW, [TOO_FEW]),
        (shortfall(START - 300), "", []),
        (shortfall(START - 300), ENOUGH, []),
        (shortfall(START - HOUR, TOO_FEW, START - 600), TOO_FEW, []),
        (shortfall(START - HOUR, TOO_FEW, START - 600), NONE_RUNNING, [NONE_RUNNING]),
        (shortfall(START - HOUR, NONE_RUNNING, START - 600), TOO_FEW, []),
        (shortfall(START - HOUR, TOO_FEW, START - 600), "", []),
        (shortfall(START - HOUR, TOO_FEW, START - 600), ENOUGH, [ENOUGH]),
    ],
)
def test_a_shortfall_is_reported_after_five_minutes_once_and_if_it_gets_worse_or_ends(
    before: Shortfall | None, state: str, reports: list[str]
) -> None:
    assert after(before, state)[1] == reports


def test_a_slow_answer_makes_no_shortfall_look_older_than_it_is() -> None:
    """The round began two minutes before ECS described the service, which may have fallen short just then."""
    service = Service(WEB, cluster_arn("prod"), NONE_RUNNING)
    poll, _ = judge_services(ServicePoll(started_at=START), [service], START, START + 120)
    assert judge_services(poll, [service], START + 300, START + 301)[1] == []
    assert len(judge_services(poll, [service], START + 420, START + 421)[1]) == 1


def test_a_deployment_starts_the_five_minutes_anew_and_does_not_end_what_was_reported() -> None:
    assert after(shortfall(START - 200), "")[0].shortfalls == {}
    assert WEB in after(shortfall(START - HOUR, TOO_FEW, START - 600), "")[0].shortfalls


@pytest.mark.parametrize(("complete", "reports"), [(True, [GONE]), (False, [])])
def test_a_service_that_a_complete_round_does_not_list_was_deleted(*, complete: bool, reports: list[str]) -> None:
    known = {WEB: shortfall(START - HOUR, TOO_FEW, START - 600)}
    poll = ServicePoll(started_at=START, shortfalls=known, unseen=(WEB,), complete=complete)
    assert [report.service.state for report in judge_services(poll, [], START, START)[1]] == reports


def test_what_was_not_reported_is_forgotten_if_polling_paused() -> None:
    """A service that was down before and after a pause of the poll may have been up in between."""
    poll = ServicePoll(started_at=START - DAY, shortfalls={WEB: shortfall(START - DAY)})
    assert seen(poll, EcsAccount(prod={}))[0].shortfalls == {}
