"""Conditions last until their own end; occurrences end by a recovery; an incident recovers once nothing continues."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws.events import Raw, task_stopped
from router.config.rules import UserRule
from router.errors import PermanentError, TransientError
from router.history.items import iso
from router.incident.recovery import CAUSES_REMEMBERED, CONDITIONS_REMEMBERED
from router.incident.state import Timing
from router.model import Decision, EndedBy, IncidentStatus, Kind, Reason
from tests.doubles.examples import share
from tests.doubles.service_events import crash, deployed, in_alarm, sidecar_died, steady
from tests.doubles.world import DAY, HOUR, MINUTE, START, World

OPENED, UPDATED, RESOLVED = Kind.OPENED, Kind.UPDATED, Kind.RESOLVED
SCALED_IN = "Scaling activity initiated by (deployment ecs-svc/1)"


@pytest.fixture
def world() -> World:
    return World()


def stopped(at: float, task: str = "t1") -> Raw:
    return task_stopped(
        "ServiceSchedulerInitiated", SCALED_IN, task=task, stoppedAt=iso(at), event_id=f"stop-{task}-{at}"
    )


def hook(name: str, at: float, hook_id: str = "h1", expires: float = START + DAY) -> Raw:
    return deployed(name, at) | {
        "id": f"{name}-{hook_id}-{at}",
        "detail-type": "ECS Hook State Change",
        "detail": {
            **deployed(name, at)["detail"],
            "eventName": name,
            "eventType": "INFO",
            "hookId": hook_id,
            "hookType": "PAUSE",
            "expiresAt": iso(expires),
            "serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/prod/web",
            "deploymentId": "",
        },
    }


class TestConditionsDoNotLapse:
    def test_an_alarm_that_stays_in_alarm_is_open_after_days_and_its_end_is_announced(self, world: World) -> None:
        world.receive(in_alarm(START))
        world.wait(3 * DAY, step=10 * MINUTE)
        assert world.pager.kinds == [OPENED]
        world.receive(in_alarm(world.now, "OK"))
        world.wait(10 * MINUTE)
        assert world.pager.kinds == [OPENED, RESOLVED]

    def test_an_end_between_two_reports_of_a_condition_is_not_the_end_of_the_newer_one(self, world: World) -> None:
        """Whatever the order in which they arrive."""
        world.receive(in_alarm(START + 600))
        world.receive(in_alarm(START))
        world.receive(in_alarm(START + 60, "OK"))
        world.wait(HOUR)
        assert RESOLVED not in world.slack.kinds
        world.receive(in_alarm(world.now, "OK"))
        world.wait(10 * MINUTE)
        assert world.slack.kinds[-1] is RESOLVED

    def test_a_steady_state_ends_no_dead_container_and_the_stop_of_its_task_does(self, world: World) -> None:
        world.receive(sidecar_died(START))
        world.receive(steady(START + 60))
        world.wait(HOUR)
        assert world.slack.kinds == [OPENED]
        world.receive(stopped(world.now, "another-task"))
        world.wait(HOUR)
        assert world.slack.kinds == [OPENED]
        world.receive(stopped(world.now))
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED]
        assert world.slack.told[-1].incident.ended_by is EndedBy.TASK_STOPPED

    def test_a_container_that_its_restart_policy_restarted_is_over_and_its_next_death_is_another(
        self, world: World
    ) -> None:
        world.receive(sidecar_died(START))
        world.receive(sidecar_died(START + 60, code=None))
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED]
        assert world.decisions(sidecar_died(world.now, code=2)) == [Decision.ANNOUNCED]
        assert world.slack.kinds == [OPENED, RESOLVED, OPENED]
        assert world.decisions(sidecar_died(START)) == [Decision.ANNOUNCED]  # the first death, delivered again
        assert len(world.rows("alert#")) == 3

    def test_an_alarm_without_data_for_a_day_is_no_longer_tracked_which_is_no_recovery(self, world: World) -> None:
        world.receive(in_alarm(START))
        world.receive(in_alarm(START + HOUR, "INSUFFICIENT_DATA"))
        world.wait(DAY - HOUR, step=10 * MINUTE)
        assert RESOLVED not in world.slack.kinds
        world.wait(2 * HOUR + 10 * MINUTE, step=MINUTE)
        assert world.slack.told[-1].incident.status is IncidentStatus.UNCONFIRMED
        assert world.slack.told[-1].message.title.startswith("No longer tracked")
        assert "the alarm has had no data for 24 h" in world.slack.told[-1].message.text
        assert world.pager.kinds[-1] is RESOLVED

    def test_an_alarm_that_has_data_again_is_tracked_on(self, world: World) -> None:
        world.receive(in_alarm(START))
        world.wait(HOUR)
        world.receive(in_alarm(world.now, "INSUFFICIENT_DATA"))
        world.wait(HOUR)
        world.receive(in_alarm(world.now))
        world.wait(2 * DAY, step=10 * MINUTE)
        assert RESOLVED not in world.slack.kinds

    def test_a_condition_that_is_neither_seen_nor_checked_for_a_week_is_unconfirmed(self, world: World) -> None:
        world.receive(sidecar_died(START))
        world.wait(7 * DAY - HOUR, step=HOUR)
        assert RESOLVED not in world.slack.kinds
        world.wait(3 * HOUR)
        assert world.slack.told[-1].incident.status is IncidentStatus.UNCONFIRMED

    def test_more_conditions_than_are_told_apart_never_resolve_too_early(self, world: World) -> None:
        for number in range(CONDITIONS_REMEMBERED + 10):
            world.receive(sidecar_died(START, f"t{number}"))
        for number in range(CONDITIONS_REMEMBERED):
            world.receive(stopped(START + HOUR, f"t{number}"))
        world.wait(3 * HOUR)
        assert RESOLVED not in world.slack.kinds


class TestApprovals:
    def test_each_approval_is_announced_at_once_with_its_own_deadline(self, world: World) -> None:
        for number in range(3):
            world.wait(START + number * 240 - world.now)
            expires = START + DAY + number * HOUR
            assert world.decisions(hook("HOOK_AWAITING_ACTION", world.now, f"h{number}", expires)) == [
                Decision.ANNOUNCED
            ]
            assert len(world.slack.told) == number + 1
        first, *_, last = (told.message.text for told in world.slack.told)
        assert first.partition("before ")[2] != last.partition("before ")[2]

    def test_only_its_own_answer_ends_an_approval(self, world: World) -> None:
        world.receive(hook("HOOK_AWAITING_ACTION", START), steady(START + 60))
        world.receive(hook("HOOK_SUCCEEDED", START + 90, "another"))
        world.wait(HOUR)
        assert world.slack.kinds == [OPENED]
        world.receive(hook("HOOK_SUCCEEDED", world.now))
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED]

    def test_an_answer_that_arrives_before_its_question_is_known(self, world: World) -> None:
        world.receive(hook("HOOK_SUCCEEDED", START + 60))
        assert world.decisions(hook("HOOK_AWAITING_ACTION", START)) == [Decision.ALREADY_RESOLVED]

    def test_an_approval_without_an_answer_ends_a_quarter_of_an_hour_after_its_deadline(self, world: World) -> None:
        world.receive(hook("HOOK_AWAITING_ACTION", START, expires=START + HOUR))
        world.wait(HOUR + 14 * MINUTE)
        assert world.slack.kinds == [OPENED]
        world.wait(10 * MINUTE)
        assert world.slack.told[-1].incident.ended_by is EndedBy.APPROVAL_TIMED_OUT


class TestRollbacks:
    FAILED = deployed("SERVICE_DEPLOYMENT_FAILED", START, "ecs-svc/2")
    BACK = deployed("SERVICE_DEPLOYMENT_IN_PROGRESS", START + 1, "ecs-svc/3", "rolling back to deploymentId ecs-svc/1.")
    DONE = deployed("SERVICE_DEPLOYMENT_COMPLETED", START + 100, "ecs-svc/3")

    @settings(max_examples=share(24), deadline=None)
    @given(order=st.permutations([FAILED, BACK, DONE, steady(START + 90)]))
    def test_a_rollback_does_not_end_the_failed_deployment_in_whatever_order_its_events_arrive(
        self, order: Sequence[Raw]
    ) -> None:
        world = World()
        world.receive(order[0])
        for event in order[1:]:
            world.wait(10)
            world.receive(event)
        world.wait(HOUR)
        assert RESOLVED not in world.slack.kinds
        world.receive(deployed("SERVICE_DEPLOYMENT_COMPLETED", world.now, "ecs-svc/4"))
        world.wait(10 * MINUTE)
        assert world.slack.kinds[-1] is RESOLVED
        assert world.slack.told[-1].incident.ended_by is EndedBy.DEPLOYMENT_COMPLETED

    def test_a_rollback_that_is_reported_after_the_recovery_was_announced_brings_the_incident_back(
        self, world: World
    ) -> None:
        world.receive(self.FAILED, self.DONE)
        world.wait(HOUR)
        assert world.slack.kinds == [OPENED, RESOLVED]
        world.receive(self.BACK)
        world.wait(HOUR)
        assert world.slack.kinds == [OPENED, RESOLVED, OPENED]

    def test_a_failed_deployment_is_announced_at_once_during_a_window(self, world: World) -> None:
        world.receive(crash("t1", START - 60))
        world.wait(1)
        assert world.decisions(self.FAILED) == [Decision.ANNOUNCED]
        assert world.slack.told[-1].alert.cause == "deployment_failed"
        world.receive(self.BACK, self.DONE)
        world.wait(6 * HOUR)
        assert len(world.slack.told) == 2  # no digest about what has ended


class TestFlapping:
    def test_a_return_is_announced_at_once_and_the_next_recovery_later(self, world: World) -> None:
        world.receive(crash("t1", START), steady(START + 60))
        world.wait(10 * MINUTE)
        world.receive(crash("t2", world.now))
        assert world.slack.told[-1].reason is Reason.RETURNED
        world.receive(steady(world.now + 1))
        world.wait(59 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED, OPENED]
        world.wait(2 * MINUTE)
        assert world.slack.kinds[-1] is RESOLVED

    def test_an_incident_that_failed_again_three_times_says_that_it_is_flapping(self, world: World) -> None:
        for number in range(4):
            world.receive(crash(f"t{number}", world.now))
            world.receive(steady(world.now + 60))
            world.wait(30 * MINUTE)
        world.wait(HOUR)
        assert world.slack.told[-1].incident.flapping
        assert "recovered and failed again 3 times" in world.slack.told[-1].message.text

    @pytest.mark.parametrize("minutes", [20, 240])
    def test_a_subject_that_fails_at_least_every_four_hours_sends_six_messages_a_day_at_most(
        self, world: World, minutes: int
    ) -> None:
        assert most_in_a_day(world, minutes) <= 6

    @pytest.mark.parametrize("minutes", [245])
    def test_a_subject_that_fails_less_often_sends_twelve_messages_a_day_at_most(
        self, world: World, minutes: int
    ) -> None:
        assert most_in_a_day(world, minutes) <= 12

    def test_a_return_withdraws_an_end_that_was_due_and_not_sent(self, world: World) -> None:
        """Else every channel that knows the incident is told at once, although nothing changed for it."""
        world.receive(crash("t1", START), steady(START + 10))
        world.now = START + 6 * MINUTE  # no tick came meanwhile
        world.receive(crash("t2", world.now))
        assert world.slack.kinds == [OPENED]
        world.wait(20 * MINUTE)
        assert world.slack.kinds == [OPENED, UPDATED]
        assert world.ledger("slack")[-1]["reason"] == "digest"


def most_in_a_day(world: World, minutes: int) -> int:
    """The most messages on Slack within any 24 hours, of a crash every so many minutes that recovers after three."""
    sent: list[float] = []
    for minute in range(int(2 * DAY // MINUTE)):
        if minute % minutes == 0:
            world.receive(crash(f"t{minute}", world.now))
        if minute % minutes == 3:
            world.receive(steady(world.now))
        sent += [world.now] * (len(world.slack.told) - len(sent))
        world.wait(MINUTE)
    return max(sum(at <= later < at + DAY for later in sent) for at in sent)


class TestReminders:
    def test_what_continues_is_recalled_every_day_on_channels_that_do_not_keep_it_open(self) -> None:
        world = World(remind=DAY)
        world.receive(in_alarm(START))
        world.wait(2 * DAY + HOUR, step=10 * MINUTE)
        assert [told.reason for told in world.slack.told] == [Reason.FIRST, Reason.REMINDER, Reason.REMINDER]
        assert world.pager.kinds == [OPENED]
        assert "Reminder" in world.slack.told[-1].message.text

    def test_a_reminder_that_fails_for_good_is_not_repeated_before_the_next_day(self, world: World) -> None:
        world.receive(in_alarm(START))
        world.slack.failure = lambda: PermanentError("404", status=404)
        world.wait(DAY + HOUR, step=10 * MINUTE)
        assert world.slack.tried == 2
        world.slack.failure = lambda: None
        world.wait(DAY, step=10 * MINUTE)
        assert world.slack.kinds == [OPENED, UPDATED]

    def test_reminders_can_be_turned_off(self) -> None:
        world = World(remind=0.0)
        world.receive(in_alarm(START))
        world.wait(3 * DAY, step=10 * MINUTE)
        assert world.slack.kinds == [OPENED]


class TestSilences:
    def test_a_condition_that_outlasts_a_silence_opens_within_a_minute_of_its_end(self, world: World) -> None:
        world.silence(START + HOUR)
        assert world.decisions(sidecar_died(START)) == [Decision.SILENCED]
        world.wait(HOUR - MINUTE)
        assert world.slack.told == []
        world.wait(2 * MINUTE)
        assert world.slack.kinds == [OPENED]

    def test_what_an_earlier_alert_reported_opens_an_incident_if_the_newest_has_ended(self, world: World) -> None:
        world.silence(START + HOUR)
        world.receive(sidecar_died(START, "t1"))
        world.receive(sidecar_died(START + 60, "t2"))
        world.receive(stopped(START + 120, "t2"))
        world.wait(HOUR + 2 * MINUTE)
        assert world.slack.kinds == [OPENED]

    def test_a_condition_that_outlasts_a_silence_does_not_lapse(self) -> None:
        world = World()
        world.keep_in(world.history, timing=Timing(verify=False))
        world.silence(START + HOUR)
        world.receive(sidecar_died(START))
        world.wait(3 * DAY, step=10 * MINUTE)
        assert world.slack.kinds[0] is OPENED
        assert RESOLVED not in world.slack.kinds

    def test_a_crash_that_was_silenced_is_over_when_the_silence_ends(self, world: World) -> None:
        world.silence(START + HOUR)
        world.receive(crash("t1", START))
        world.wait(2 * HOUR)
        assert world.slack.told == []

    def test_a_condition_that_ends_during_the_silence_is_never_announced(self, world: World) -> None:
        world.silence(START + HOUR)
        world.receive(sidecar_died(START), stopped(START + 60))
        world.wait(2 * HOUR)
        assert world.slack.told == []


class TestUpdates:
    def test_an_update_describes_what_is_new(self, world: World) -> None:
        world.receive(sidecar_died(START, name="envoy"))
        world.wait(3 * HOUR)
        world.receive(sidecar_died(world.now, "t2", name="datadog", code=139))
        assert "datadog" in world.slack.told[-1].message.text
        assert world.slack.told[-1].alert.culprits == ("datadog",)

    def test_an_update_names_what_else_continues(self, world: World) -> None:
        world.receive(sidecar_died(START))
        world.wait(20 * MINUTE)
        world.receive(crash("t2", world.now))
        assert "Still continuing" in world.slack.told[-1].message.text


def test_a_page_that_was_tried_for_a_day_is_failed_and_found_by_redrive(world: World) -> None:
    world.pager.failure = lambda: TransientError("down")
    world.receive(crash("t1", START))
    world.wait(30 * HOUR, step=5 * MINUTE)
    outcomes = [attempt["outcome"] for attempt in world.ledger("pager")]
    assert outcomes[-1] == "failed"
    assert set(outcomes[:-1]) == {"retry"}


def test_a_page_that_was_tried_before_a_silence_in_which_its_incident_ends_is_failed(world: World) -> None:
    world.pager.failure = lambda: TransientError("500", status=500, answer="no")
    world.receive(crash("t1", START))
    world.wait(5 * MINUTE)
    world.silence(world.now + 3 * HOUR)
    world.wait(20 * MINUTE)
    world.receive(steady(world.now))
    world.wait(HOUR)
    assert world.ledger("pager")[-1]["outcome"] == "failed"


def test_every_delivery_says_why_the_channel_was_notified(world: World) -> None:
    world.receive(crash("t1", START), steady(START + 60))
    world.wait(10 * MINUTE)
    reasons: list[Any] = [attempt["reason"] for attempt in world.ledger("slack")]
    assert reasons == ["first", "ended"]


def test_a_channel_may_be_notified_twice_within_a_millisecond(world: World) -> None:
    world.receive(crash("t1", START), deployed("SERVICE_DEPLOYMENT_FAILED", START))
    world.receive(hook("HOOK_AWAITING_ACTION", START))
    world.receive(hook("HOOK_AWAITING_ACTION", START, "h2"))
    assert [attempt["outcome"] for attempt in world.ledger("slack")] == ["sent"] * len(world.slack.told)


def test_a_new_cause_for_each_alert_does_not_make_the_state_large() -> None:
    rules = [
        UserRule(f"r{number}", {"task_definition": (f"web:{number}",)}, cause=f"cause_{number}")
        for number in range(150)
    ]
    world = World(rules=tuple(rules))
    for number in range(150):
        definition = f"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:{number}"
        world.receive(crash(f"t{number}", START, taskDefinitionArn=definition))
        world.now += 1
    (state,) = world.history.load([(world.rows("subject#")[-1]["pk"], "incident")], world.now)
    assert state.incident is not None
    assert state.incident.count == 150
    assert max(len(state.incident.causes), len(state.cause_times)) <= CAUSES_REMEMBERED + 1
