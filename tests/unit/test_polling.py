"""What the poll finds goes through the pipeline: it is announced once, and resolved."""

from collections.abc import Mapping
from typing import Any

import pytest

from local_aws.events import ACCOUNT, REGION
from router.aws.home import Home
from router.config.settings import Poll
from router.errors import HistoryUnavailable
from router.history.items import SERVICE_POLL_KEY
from router.incident.lifecycle import close
from router.model import EndedBy, IncidentStatus, Kind, Severity
from router.tick import tick
from router.verify import verify
from tests.doubles.ecs_account import EcsAccount, service_arn
from tests.doubles.inbox import receive, record
from tests.doubles.service_events import steady
from tests.doubles.world import DAY, HOUR, MINUTE, World


def polling(account: EcsAccount, **poll: Any) -> World:
    world = World(poll=Poll(**{"services": True, **poll}))
    switch(world, account, world.config.poll)
    return world


def switch(world: World, account: EcsAccount, poll: Poll) -> None:
    home = Home(ACCOUNT, REGION, lambda: account, lambda: None, services=poll.services, verifies=poll.verify)
    world.router = world.router._replace(
        config=world.config._replace(poll=poll), home=home, verify=lambda states: verify(states, home)
    )


def wait(world: World, seconds: float) -> None:
    for _ in range(int(seconds // MINUTE)):
        world.now += MINUTE
        tick(world.router, world.deadline())


def down(running: int = 0, **fields: Any) -> dict[str, Any]:
    return {"runningCount": running, "desiredCount": 2, **fields}


def change(account: EcsAccount, fields: Mapping[str, Any]) -> None:
    account.services["prod"]["web"] = dict(fields)


@pytest.mark.parametrize(("running", "severity"), [(0, Severity.CRITICAL), (1, Severity.ERROR)])
def test_a_service_below_its_count_for_five_minutes_is_announced_once(running: int, severity: Severity) -> None:
    world = polling(EcsAccount(prod={"web": down(running), "api": {}}))
    wait(world, 5 * MINUTE)
    assert world.slack.kinds == []
    wait(world, 12 * HOUR)
    (told,) = world.slack.told
    assert (told.alert.cause, told.alert.severity) == ("too_few_tasks", severity)
    assert told.alert.subject.text == "service:web"
    assert f"has run {running} of 2 desired tasks" in told.message.text


def test_a_service_that_lost_its_last_task_is_announced_as_worse() -> None:
    account = EcsAccount(prod={"web": down(1)})
    world = polling(account)
    wait(world, 15 * MINUTE)
    change(account, down(0))
    wait(world, 10 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.UPDATED]
    assert world.slack.told[-1].incident.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("end", "ended_by"),
    [
        ({}, EndedBy.ENOUGH_TASKS),
        ({"runningCount": 0, "desiredCount": 0}, EndedBy.ENOUGH_TASKS),
        ({"status": "INACTIVE"}, EndedBy.SERVICE_DELETED),
    ],
)
def test_enough_tasks_no_desired_tasks_and_no_service_end_it(end: Mapping[str, Any], ended_by: EndedBy) -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account)
    wait(world, 15 * MINUTE)
    change(account, end)
    wait(world, 20 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
    assert world.slack.told[-1].incident.ended_by is ended_by


def test_it_does_not_lapse_while_it_lasts() -> None:
    world = polling(EcsAccount(prod={"web": down()}), verify=False, every=HOUR)
    for _ in range(16 * 24):
        world.now += HOUR
        tick(world.router, world.deadline())
    assert Kind.RESOLVED not in world.slack.kinds
    assert world.pager.kinds[0] is Kind.OPENED


def test_a_steady_state_ends_it_and_a_new_shortfall_is_announced_again() -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account)
    wait(world, 15 * MINUTE)
    world.receive(steady(world.now))
    wait(world, 4 * MINUTE)  # and fails again between two polls
    assert world.slack.kinds == [Kind.OPENED]
    wait(world, 30 * MINUTE)
    (state,) = [world.history.state(told.alert.subject, world.now) for told in world.slack.told[:1]]
    assert "too_few_tasks" in state.conditions
    assert state.incident is not None
    assert state.incident.causes == {"too_few_tasks": 2}


def test_what_a_person_closed_stays_closed() -> None:
    world = polling(EcsAccount(prod={"web": down()}))
    wait(world, 15 * MINUTE)
    state = world.history.state(world.slack.told[0].alert.subject, world.now)
    world.history.commit(world.now, state=close(state, "ann", "it is meant to be down", world.now))
    rows = len(world.rows("alert#"))
    wait(world, 2 * HOUR)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
    assert len(world.rows("alert#")) == rows


def test_once_polling_is_switched_off_it_ends_as_unconfirmed() -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account)
    wait(world, 15 * MINUTE)
    switch(world, account, Poll(services=False))
    wait(world, 70 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
    assert world.slack.told[-1].incident.status is IncidentStatus.UNCONFIRMED
    calls = account.calls.total()
    wait(world, HOUR)
    assert account.calls.total() == calls


def test_it_is_announced_once_more_when_polling_is_switched_on_again() -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account)
    wait(world, 15 * MINUTE)
    switch(world, account, Poll(services=False))
    wait(world, 70 * MINUTE)
    switch(world, account, Poll(services=True))
    wait(world, 30 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED, Kind.OPENED]


def test_a_report_that_history_refused_is_made_again() -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account)
    wait(world, 5 * MINUTE)
    poll = world.history.service_poll(world.now)

    commit = world.table.commit

    def refuse(puts: Any, now: float) -> None:
        if not any(put.key == SERVICE_POLL_KEY for put in puts):
            raise HistoryUnavailable("throttled")
        commit(puts, now)

    world.table.commit = refuse  # type: ignore[method-assign]
    world.now = poll.started_at + 300
    tick(world.router, world.deadline())
    world.table.commit = commit  # type: ignore[method-assign]
    wait(world, 6 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED]


def test_nothing_is_asked_unless_it_is_switched_on() -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account, services=False)
    wait(world, DAY)
    assert account.calls.total() == 0


def test_sends_come_before_the_poll_and_a_late_tick_does_not_poll() -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account)
    tick(world.router, world.deadline(19))
    assert account.calls.total() == 0


@pytest.mark.parametrize("detail_type", ["Service Below Count", "service below count "])
def test_such_an_event_from_outside_is_refused(detail_type: str) -> None:
    world = World()
    forged = {
        "id": "1",
        "source": "ecs-alert-router",
        "detail-type": detail_type,
        "resources": [service_arn("prod", "web")],
        "detail": {"state": {"value": "ENOUGH"}},
    }
    assert receive(world, record("a", forged)) == []
    assert len(world.sqs.on("dead-letters")) == 1
    assert world.rows("alert#") == []


def test_a_silence_holds_it_back_and_its_end_announces_what_continues() -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account)
    world.silence(world.now + HOUR, service="web")
    wait(world, 50 * MINUTE)
    assert world.slack.kinds == []
    wait(world, 15 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED]
