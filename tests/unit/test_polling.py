"""What the poll finds goes through the pipeline: it is announced once, and resolved."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local_aws.events import ACCOUNT, REGION, container, task_stopped
from router.aws.home import ExpectedRun, Home
from router.config.settings import Poll
from router.errors import HistoryUnavailable
from router.history.items import RUN_POLL_KEY, SERVICE_POLL_KEY, iso
from router.history.table import Key, Put
from router.incident.lifecycle import close
from router.model import EndedBy, IncidentStatus, Kind, Reason, Severity
from router.poll.schedule import every, next_due, parse_schedule
from router.poll.state import Expectation
from router.tick import tick
from router.verify import verify
from tests.doubles.ecs_account import EcsAccount, Throttled, service_arn
from tests.doubles.inbox import receive, record
from tests.doubles.service_events import steady
from tests.doubles.world import DAY, HOUR, MINUTE, START, World


@pytest.fixture(autouse=True)
def _channels_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the probe of the channels, which has its own tests: each of thousands of ticks would make one."""
    monkeypatch.setattr("router.tick.probe", lambda *_: 0)


def polling(account: EcsAccount, expect: tuple[Expectation, ...] = (), **poll: Any) -> World:
    world = World(expect=expect, poll=Poll(**{"services": True, **poll}))
    switch(world, account, world.config.poll)
    return world


def switch(world: World, account: EcsAccount, poll: Poll) -> None:
    expected = frozenset(
        ExpectedRun(expectation.name, expectation.family, expectation.cluster) for expectation in world.config.expect
    )
    home = Home(ACCOUNT, REGION, lambda: account, lambda: None, poll.services, expected, poll.verify)
    world.router = world.router._replace(
        config=world.config._replace(poll=poll), home=home, verify=lambda states: verify(states, home)
    )


def expecting(account: EcsAccount, *expected: Expectation) -> World:
    world = World(expect=expected)
    switch(world, account, world.config.poll)
    return world


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


def test_while_it_lasts_for_weeks_it_does_not_lapse_and_each_day_has_its_reminder() -> None:
    world = polling(EcsAccount(prod={"web": down()}), verify=False, every=HOUR)
    for _ in range(3 * 7 * 24):
        world.now += HOUR
        tick(world.router, world.deadline())
    assert world.slack.kinds == [Kind.OPENED] + [Kind.UPDATED] * 20
    assert {told.reason for told in world.slack.told[1:]} == {Reason.REMINDER}
    assert world.pager.kinds == [Kind.OPENED]


def test_a_service_that_comes_and_goes_each_hour_is_told_of_a_few_times_a_day() -> None:
    account = EcsAccount(prod={"web": {}})
    world = polling(account)
    began = world.now
    while world.now < began + 2 * DAY:
        change(account, down(1) if (world.now - began) % HOUR < 20 * MINUTE else {})
        world.now += 5 * MINUTE
        tick(world.router, world.deadline())
    assert len(world.rows("alert#")) == 2 * 48
    assert len(world.slack.told) <= 8
    assert "Flapping" in world.slack.told[-1].message.text


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


SHARED = {SERVICE_POLL_KEY: "shortfalls", RUN_POLL_KEY: "watches"}


@pytest.mark.parametrize("key", SHARED)
def test_a_damaged_item_is_set_aside_and_its_poll_begins_anew(key: Key) -> None:
    account = EcsAccount(prod={"web": down()})
    world = polling(account, expect=(HOURLY,))
    wait(world, 2 * MINUTE)
    damaged = {**world.table.get([key], world.now)[key], SHARED[key]: "?"}
    world.table.commit([Put(damaged)], world.now)
    wait(world, 3 * HOUR)
    assert {told.alert.cause for told in world.slack.told} == {"too_few_tasks", "task_overdue"}
    (copy,) = [item for item in world.rows("poll") if item["sk"].startswith("damaged#")]
    assert copy["item"] == damaged
    assert world.table.get([key], world.now)[key][SHARED[key]] != "?"


@pytest.mark.parametrize(("key", "cause"), [(SERVICE_POLL_KEY, "task_overdue"), (RUN_POLL_KEY, "too_few_tasks")])
def test_an_item_of_a_newer_version_is_left_alone_and_the_rest_of_the_tick_goes_on(key: Key, cause: str) -> None:
    world = polling(EcsAccount(prod={"web": down()}), expect=(HOURLY,))
    newer = {"pk": key[0], "sk": key[1], "schema": 99, "min_reader": 99, "version": 7}
    world.table.commit([Put(newer)], world.now)
    wait(world, 3 * HOUR)
    assert {told.alert.cause for told in world.slack.told} == {cause}
    assert world.table.get([key], world.now)[key] == newer


# --- expected runs ----------------------------------------------------------------------------------------------------

NIGHTLY = Expectation("nightly-report", "report", "prod", parse_schedule("cron(0 3 * * ? *)"))
HOURLY = Expectation("hourly-report", "report", "prod", every("1h"))


def completed(task: str, at: float, started: float, family: str = "report", code: int = 0) -> dict[str, Any]:
    return task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        container("app", code),
        task=task,
        family=family,
        stoppedAt=iso(at),
        createdAt=iso(started),
        startedAt=iso(started),
        service=None,
        event_id=task,
    )


def test_a_run_that_does_not_start_is_announced_and_the_next_completed_run_ends_it() -> None:
    world = expecting(EcsAccount(), HOURLY)
    wait(world, 70 * MINUTE)
    assert world.slack.kinds == []
    wait(world, 10 * MINUTE)
    (told,) = world.slack.told
    assert (told.alert.cause, told.alert.severity) == ("task_overdue", Severity.ERROR)
    assert told.alert.subject.text == "family:report"
    assert told.message.text.startswith("The run hourly-report was due at ")
    world.receive(completed("failed", world.now, world.now - 60, code=1))
    world.receive(completed("other", world.now, world.now - 60, family="other"))
    assert "overdue/hourly-report" in world.history.state(told.alert.subject, world.now).conditions
    world.now += 2 * MINUTE
    world.receive(completed("good", world.now, world.now - 60))
    assert world.history.state(told.alert.subject, world.now).conditions == {}
    wait(world, 10 * MINUTE)
    assert world.slack.kinds[-1] is Kind.RESOLVED
    assert world.slack.told[-1].incident.ended_by is EndedBy.RUN_COMPLETED


@pytest.mark.parametrize("code", [0, 1])
def test_a_run_that_history_or_ecs_knows_is_not_overdue_even_if_it_failed(code: int) -> None:
    account = EcsAccount()
    world = expecting(account, HOURLY)
    wait(world, 55 * MINUTE)
    world.receive(completed("t1", world.now, world.now - 60, code=code))
    wait(world, 60 * MINUTE)
    account.run("report", "t2", world.now)
    wait(world, 60 * MINUTE)
    assert not [told for told in world.slack.told if told.alert.cause == "task_overdue"]


def test_a_task_of_a_service_is_no_run() -> None:
    account = EcsAccount()
    world = expecting(account, HOURLY)
    account.run("report", "t1", world.now + HOUR, group="service:web")
    wait(world, 80 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED]


def test_a_run_that_does_not_finish_is_announced_with_its_task() -> None:
    account = EcsAccount()
    world = expecting(account, HOURLY._replace(max_runtime=30 * MINUTE))
    wait(world, HOUR)
    began = world.now
    account.run("report", "t1", began)
    wait(world, 29 * MINUTE)
    assert world.slack.kinds == []
    wait(world, 2 * MINUTE)
    (told,) = world.slack.told
    assert "has not finished in time (task t1)" in told.message.text
    world.receive(completed("t1", world.now, began))
    wait(world, 10 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]


def test_a_run_that_does_not_finish_is_announced_although_ecs_does_not_answer_any_more() -> None:
    account = EcsAccount()
    world = expecting(account, HOURLY._replace(max_runtime=40 * MINUTE))
    account.run("report", "t1", world.now + HOUR)
    wait(world, 80 * MINUTE)
    account.fail("list_tasks", [Throttled()] * 1000)
    wait(world, 26 * MINUTE)
    (told,) = world.slack.told
    assert "has not finished in time (task t1)" in told.message.text


def test_a_router_that_was_away_reads_its_queue_before_it_reports() -> None:
    world = expecting(EcsAccount(), HOURLY)
    wait(world, MINUTE)
    started = world.now + 50 * MINUTE
    world.now += 2 * HOUR
    tick(world.router, world.deadline())
    assert world.slack.kinds == []
    world.receive(completed("t1", started + 60, started))  # it waited in the queue
    wait(world, 9 * MINUTE)
    assert world.slack.kinds == []
    wait(world, 5 * MINUTE)
    (told,) = world.slack.told  # the run after it is missing
    assert told.alert.at >= started + HOUR


def test_a_run_behind_hundreds_of_tasks_of_a_service_is_found() -> None:
    """ListTasks returns 100 at once, in no order, and cannot leave out those of services."""
    account = EcsAccount()
    world = expecting(account, HOURLY)
    for number in range(990):
        account.run("report", f"s{number}", world.now, group="service:report")
    account.run("report", "t1", world.now + HOUR)
    wait(world, 85 * MINUTE)
    assert world.slack.kinds == []
    assert account.calls == {"list_tasks": 10 + 1, "describe_tasks": 10}


def test_a_family_with_more_tasks_than_are_read_is_judged_by_history() -> None:
    account = EcsAccount()
    world = expecting(account, HOURLY)
    for number in range(1001):
        account.run("report", f"s{number}", world.now, group="service:report")
    wait(world, 78 * MINUTE)
    assert world.slack.kinds == []  # it tries again for five minutes
    assert account.calls["list_tasks"] == 3 * 10
    wait(world, 5 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED]


def test_a_run_is_not_reported_while_ecs_does_not_answer() -> None:
    account = EcsAccount()
    world = expecting(account, HOURLY)
    account.run("report", "t1", world.now + HOUR)
    account.fail("list_tasks", [Throttled()] * 3)
    wait(world, 85 * MINUTE)
    assert account.calls["list_tasks"] == 5
    assert world.slack.kinds == []


@pytest.mark.parametrize("expected", [(), (HOURLY._replace(family="renamed"),), (HOURLY._replace(cluster="dev"),)])
def test_a_run_that_is_not_expected_any_more_ends_within_the_hour(expected: tuple[Expectation, ...]) -> None:
    """The table was removed, or the same table now expects something else."""
    account = EcsAccount()
    world = expecting(account, HOURLY)
    wait(world, 80 * MINUTE)
    world.config = world.config._replace(expect=expected)
    switch(world, account, world.config.poll)
    wait(world, 70 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
    assert world.slack.told[-1].incident.ended_by is EndedBy.NOT_EXPECTED


def test_a_late_run_that_completes_before_the_report_has_ended_it() -> None:
    """The router was away; the run came an hour late and completed, and only then the router finds it missing."""
    account = EcsAccount()
    world = expecting(account, NIGHTLY)
    due = next_due(NIGHTLY.schedule, world.now)
    assert due is not None
    wait(world, MINUTE)
    world.now = due + 2 * HOUR
    world.receive(completed("late", world.now - MINUTE, due + HOUR))
    wait(world, 20 * MINUTE)
    assert world.slack.kinds == []
    assert [row["decision"] for row in world.rows("alert#") if row["cause"] == "task_overdue"] == ["already resolved"]


@pytest.mark.parametrize("zone", [pytest.param("America/New_York", marks=pytest.mark.check), "Europe/Berlin"])
def test_a_nightly_run_is_followed_for_months_across_both_changes_of_the_clocks(zone: str) -> None:
    """At 02:30, which the clocks skip in spring in both zones, and which occurs twice in autumn in Berlin."""
    account = EcsAccount()
    world = World(expect=(Expectation("nightly", "report", "prod", parse_schedule("cron(30 2 * * ? *)", zone)),))
    world.now = datetime(2026, 1, 15, 12, 30, tzinfo=UTC).timestamp()
    switch(world, account, world.config.poll)
    end = datetime(2026, 12, 1, 12, 30, tzinfo=UTC).timestamp()
    missed = datetime(2026, 7, 1, tzinfo=ZoneInfo(zone)).date()
    last, runs = None, 0
    while world.now < end:
        world.now += 16 * MINUTE if world.now % HOUR == 30 * MINUTE else 44 * MINUTE
        local = datetime.fromtimestamp(world.now, ZoneInfo(zone))
        if (local.hour, local.minute) == (2, 30) and local.date() not in {last, missed}:  # what Scheduler does
            last, runs = local.date(), runs + 1
            account.tasks.clear()  # ECS forgets the last one
            account.run("report", f"t{runs}", world.now)
        if local.hour in {1, 2, 3}:
            tick(world.router, world.deadline())
    told = [notification for notification in world.slack.told if notification.kind is Kind.OPENED]
    assert [datetime.fromtimestamp(notification.alert.at, ZoneInfo(zone)).date() for notification in told] == [missed]
    assert runs == (end - datetime(2026, 1, 15, 12, 30, tzinfo=UTC).timestamp()) // DAY - 2  # without the two skipped


def test_a_run_that_began_before_the_due_time_is_not_the_next_one() -> None:
    """Runs overlap: one takes longer than the interval, and the one that was due meanwhile is missing."""
    account = EcsAccount()
    world = expecting(account, HOURLY)
    wait(world, 30 * MINUTE)
    began = world.now
    account.run("report", "long", began)
    wait(world, 65 * MINUTE)
    account.run("report", "long", began, lastStatus="STOPPED")
    world.receive(completed("long", world.now, began))  # five minutes after the next one was due
    wait(world, 11 * MINUTE)
    (told,) = world.slack.told
    assert told.alert.at == began + HOUR
    world.receive(completed("earlier", world.now, began + 30 * MINUTE))
    assert "overdue/hourly-report" in world.history.state(told.alert.subject, world.now).conditions
    world.receive(completed("next", world.now, began + 70 * MINUTE))
    assert world.history.state(told.alert.subject, world.now).conditions == {}


def test_a_run_that_is_due_once_is_reported_once_and_never_again() -> None:
    account = EcsAccount()
    schedule = parse_schedule(f"at({iso(START + DAY)[:19]})")
    world = expecting(account, Expectation("once", "report", "prod", schedule))
    world.now += MINUTE
    tick(world.router, world.deadline())
    world.now = START + DAY + 14 * MINUTE
    wait(world, 2 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED]
    world.receive(completed("late", world.now, world.now - MINUTE))
    wait(world, 10 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
    calls = account.calls.total()
    for _ in range(60 * 4):
        world.now += 6 * HOUR
        tick(world.router, world.deadline())
    assert (len(world.slack.told), account.calls.total()) == (2, calls)


def test_a_router_that_was_away_for_days_reports_the_newest_missing_run_of_a_rate() -> None:
    """Meanwhile it ran each hour for a day, which history knows, and then stopped."""
    world = expecting(EcsAccount(), HOURLY)
    wait(world, MINUTE)
    runs = [completed(f"t{hour}", START + hour * HOUR + 60, START + hour * HOUR) for hour in range(1, 25)]
    world.now = START + 3 * DAY
    world.receive(*runs)
    wait(world, 12 * MINUTE)
    (told,) = world.slack.told
    assert told.alert.at == START + 71 * HOUR  # the newest whose grace has passed


def test_runs_beyond_the_alerts_that_are_read_are_not_missing() -> None:
    """The router was away for 30 hours, in which a run failed every ten minutes. Only the newest hundred are read."""
    often = Expectation("often", "report", "prod", parse_schedule("cron(0/10 * * * ? *)"))
    world = expecting(EcsAccount(), often)
    wait(world, MINUTE)
    due, runs = next_due(often.schedule, world.now), list[dict[str, Any]]()
    while due is not None and due < START + 30 * HOUR:
        runs.append(completed(f"t{due:.0f}", due + 30, due + 1, code=1))
        due = next_due(often.schedule, due)
    world.now = START + 30 * HOUR
    for start in range(0, len(runs), 10):
        world.receive(*runs[start : start + 10])
    wait(world, 11 * MINUTE)
    assert not [row for row in world.rows("alert#") if row["cause"] == "task_overdue"]
