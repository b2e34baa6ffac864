"""Conditions last until their own end; occurrences end by a recovery; an incident recovers once nothing continues."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws.events import Raw, task_stopped
from router.config.rules import UserRule
from router.errors import PermanentError, TransientError
from router.history.items import iso
from router.incident.recovery import (
    CAUSES_REMEMBERED,
    CONDITIONS_REMEMBERED,
    DEPLOYMENTS_REMEMBERED,
    ENDED_REMEMBERED,
    FAILED_DEPLOYMENT,
    add_active,
    apply_ends,
    apply_findings,
    bounded_cause,
    continues,
    continuing,
    ended_by,
    note_repeat,
    quiet_time,
)
from router.incident.state import SubjectState, Timing, container_key
from router.incident.suppression import Suppression
from router.model import (
    Alert,
    Begun,
    Decision,
    DeploymentStep,
    Effects,
    Ended,
    EndedBy,
    IncidentStatus,
    Kind,
    Reason,
    Severity,
)
from tests.doubles.examples import share
from tests.doubles.service_events import crash, deployed, in_alarm, sidecar_died, steady
from tests.doubles.subject import SUBJECT, Life, a_beginning, a_recovery, an_alert, an_end
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

    def test_a_container_that_died_again_is_not_over_because_its_restart_before_that_is_reported_late(
        self, world: World
    ) -> None:
        world.receive(sidecar_died(START))
        world.receive(sidecar_died(START + 120))
        world.receive(sidecar_died(START + 60, code=None))
        world.wait(HOUR)
        assert world.slack.kinds == [OPENED]
        world.receive(sidecar_died(world.now, code=None))
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED]

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


# --- the pure functions -----------------------------------------------------------------------------------------------


FAILING = Effects(deployment=DeploymentStep.FAILED, immediate=True)
FIRST = "ecs-svc/1"


def failed_deployment(at: float = START, cause: str = FAILED_DEPLOYMENT, deployment: str = FIRST) -> Alert:
    return an_alert(cause, at, effects=FAILING, deployment=deployment)


def rollback(deployment: str, at: float = START, severity: Severity = Severity.INFO) -> Alert:
    effects = Effects(deployment=DeploymentStep.ROLLING_BACK)
    return an_alert("deployment_rolling_back", at, severity, effects=effects, deployment=deployment)


def completion(deployment: str, at: float = START) -> Alert:
    effects = {"deployment": DeploymentStep.COMPLETED, "recovery": EndedBy.DEPLOYMENT_COMPLETED}
    return replace(a_recovery(at, **effects), deployment=deployment)


@pytest.fixture
def life() -> Life:
    return Life()


class TestOccurrences:
    def test_a_crash_continues_until_a_recovery_of_the_same_moment_or_later(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(a_recovery(START - 1))
        assert life.incident_is(IncidentStatus.OPEN)
        life.gets(a_recovery(START))
        assert life.incident_is(IncidentStatus.RECOVERING)

    def test_a_crash_of_the_moment_of_a_recovery_is_news_if_it_arrives_after_that(self, life: Life) -> None:
        """Nothing tells which came first; silence would be the worse mistake."""
        life.gets(a_recovery(START))
        assert life.gets(an_alert(at=START - 1)) is Decision.ALREADY_RESOLVED
        assert life.gets(an_alert()) is Decision.ANNOUNCED
        assert life.incident_is(IncidentStatus.OPEN)
        life.gets(a_recovery(START + 0.002))
        assert life.incident_is(IncidentStatus.RECOVERING)

    @pytest.mark.parametrize("order", [(START, START + 60), (START + 60, START)])
    def test_the_newest_occurrence_of_a_cause_counts_whatever_the_order_of_arrival(
        self, life: Life, order: Sequence[float]
    ) -> None:
        for at in order:
            life.gets(an_alert(at=at))
        life.gets(a_recovery(START + 30))
        assert life.incident_is(IncidentStatus.OPEN)

    def test_every_cause_that_continues_keeps_the_incident_open(self, life: Life) -> None:
        life.gets(an_alert("image_pull_failed", START + 60))
        life.gets(an_alert())
        life.gets(a_recovery(START + 30))
        assert continuing(life.state) == {"image_pull_failed": 1}
        assert life.incident_is(IncidentStatus.OPEN)

    def test_a_late_recovery_takes_back_nothing(self, life: Life) -> None:
        life.gets(a_recovery(START + 60))
        life.gets(a_recovery(START))
        assert life.gets(an_alert(at=START + 30)) is Decision.ALREADY_RESOLVED

    def test_what_ends_conditions_alone_ends_no_occurrence(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(a_recovery(START + 60, ends_occurrences=False))
        assert life.incident_is(IncidentStatus.OPEN)

    def test_what_does_not_resolve_ends_no_occurrence(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(an_alert("deployment_in_progress", START + 60, Severity.INFO))
        assert life.incident_is(IncidentStatus.OPEN)

    def test_an_instance_that_has_left_ends_what_failed_on_it_before(self, life: Life) -> None:
        life.gets(an_alert("container_instance_registration_failed"))
        life.gets(an_alert("container_instance_registration_failed", START + 120))
        gone = Effects(ends=(Ended("instance", EndedBy.INSTANCE_GONE),))
        life.gets(an_alert("container_instance_inactive", START + 60, Severity.INFO, effects=gone))
        assert life.incident_is(IncidentStatus.OPEN)
        last = an_alert("container_instance_inactive", START + 120, Severity.INFO, effects=gone)
        assert life.gets(last) is Decision.RESOLVING
        assert (life.incident.status, life.incident.ended_by) == (IncidentStatus.RECOVERING, EndedBy.INSTANCE_GONE)

    def test_a_run_ends_what_failed_before_it_started(self, life: Life) -> None:
        run = replace(a_recovery(START + 90), task="run", stopped=True, started_at=START + 10, created_at=START - 60)
        life.gets(an_alert(at=START + 20))
        life.gets(run)
        assert life.incident_is(IncidentStatus.OPEN)
        life.gets(replace(run, started_at=START + 20))
        assert life.incident_is(IncidentStatus.RECOVERING)

    def test_a_run_without_a_start_counts_from_its_creation(self, life: Life) -> None:
        run = replace(a_recovery(START + 90), task="run", stopped=True, created_at=START - 1)
        life.gets(an_alert())
        life.gets(run)
        assert life.incident_is(IncidentStatus.OPEN)
        life.gets(replace(run, created_at=START))
        assert life.incident_is(IncidentStatus.RECOVERING)

    def test_a_run_with_neither_counts_from_its_end(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(replace(a_recovery(START), task="run", stopped=True))
        assert life.incident_is(IncidentStatus.RECOVERING)

    def test_a_recovery_without_a_run_counts_at_its_own_time(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(replace(a_recovery(START), started_at=START - 60))
        assert life.incident_is(IncidentStatus.RECOVERING)

    def test_causes_beyond_the_limit_are_one_cause(self) -> None:
        known = {str(number): None for number in range(CAUSES_REMEMBERED)}
        assert bounded_cause(known, "new") == "other"
        assert bounded_cause(known, "1") == "1"
        assert bounded_cause(dict.fromkeys([*known][1:]), "new") == "new"

    def test_a_cause_beyond_the_limit_lasts_until_a_recovery(self, life: Life) -> None:
        for number in range(CAUSES_REMEMBERED + 1):
            life.gets(an_alert(f"cause_{number}"))
        assert "other" in continuing(life.state)


class TestConditions:
    def test_a_condition_is_asked_about_an_hour_after_it_began(self, life: Life) -> None:
        life.gets(a_beginning())
        assert life.state.verify_at == START + HOUR
        life.now += MINUTE
        life.gets(a_beginning("instance"))
        assert life.state.verify_at == START + HOUR

    def test_nothing_is_asked_if_the_settings_say_so(self) -> None:
        state = add_active(SubjectState(SUBJECT), a_beginning(), START, Timing(verify=False))
        assert state.conditions
        assert state.verify_at is None

    def test_nothing_is_asked_once_no_condition_continues(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(an_end())
        assert life.state.verify_at is None

    def test_a_condition_knows_what_aws_can_be_asked_about_even_if_a_later_report_does_not_say(
        self, life: Life
    ) -> None:
        life.gets(a_beginning("instance", arn="arn:one"))
        life.gets(a_beginning("instance", START + 1))
        assert life.state.conditions["instance"].arn == "arn:one"
        life.gets(a_beginning("instance", START + 2, arn="arn:two"))
        assert life.state.conditions["instance"].arn == "arn:two"

    def test_a_condition_of_which_nothing_can_be_asked_has_no_arn(self, life: Life) -> None:
        life.gets(a_beginning())
        assert not life.state.conditions["alarm"].arn

    def test_a_report_of_a_condition_counts_as_a_sight_of_it_even_if_it_is_late(self, life: Life) -> None:
        life.gets(a_beginning())
        life.now += HOUR
        life.gets(a_beginning(at=START - 1))
        assert life.state.conditions["alarm"].seen_at == START + HOUR

    def test_an_end_before_the_newest_report_of_a_condition_is_not_its_end(self) -> None:
        for order in ((START + 60, START), (START, START + 60)):
            life = Life()
            for at in order:
                life.gets(a_beginning(at=at))
            life.gets(an_end(at=START + 59))
            assert life.state.conditions
            life.gets(an_end(at=START + 60))
            assert not life.state.conditions

    def test_a_condition_that_a_later_event_reports_once_more_was_seen_then(self, life: Life) -> None:
        life.gets(a_beginning())
        seen = note_repeat(life.state, a_beginning(at=START + 60), START + HOUR).conditions["alarm"]
        assert (seen.reported_at, seen.seen_at) == (START + 60, START + HOUR)

    def test_an_event_that_is_delivered_again_is_no_sight_of_a_condition(self, life: Life) -> None:
        life.gets(a_beginning())
        assert note_repeat(life.state, a_beginning(), START + HOUR) is life.state

    def test_a_condition_is_not_seen_because_a_task_says_so_or_another_is(self, life: Life) -> None:
        life.gets(a_beginning())
        for other in (a_beginning(at=START + 60, self_reported=True), a_beginning("instance", START + 60)):
            assert note_repeat(life.state, other, START + HOUR) is life.state

    def test_a_condition_is_counted_under_the_cause_that_was_reported_last(self, life: Life) -> None:
        life.gets(replace(a_beginning(), cause="none_running"))
        life.gets(replace(a_beginning(at=START + 1), cause="too_few_tasks"))
        assert continuing(life.state) == {"too_few_tasks": 1}

    def test_conditions_and_causes_are_counted_together(self, life: Life) -> None:
        life.gets(an_alert("container_exited"))
        for name in ("envoy", "agent"):
            life.gets(replace(a_beginning(container_key("t1", name)), cause="container_exited"))
        assert continuing(life.state) == {"container_exited": 3}

    def test_what_has_ended_is_recognised_when_its_report_is_late(self, life: Life) -> None:
        life.gets(an_end(at=START))
        assert life.gets(a_beginning(at=START)) is Decision.ALREADY_RESOLVED
        assert life.gets(a_beginning(at=START + 1)) is Decision.ANNOUNCED

    def test_an_end_of_a_whole_group_ends_each_of_it_and_its_late_reports(self, life: Life) -> None:
        life.gets(a_beginning("hook/h1"))
        life.gets(an_end("hook/", START + 60))
        assert not life.state.conditions
        assert life.gets(a_beginning("hook/h2", START + 30)) is Decision.ALREADY_RESOLVED
        assert life.gets(a_beginning("hook/one/two", START + 30)) is Decision.ALREADY_RESOLVED
        life.gets(a_beginning("overdue/h2", START + 30))
        assert [*life.state.conditions] == ["overdue/h2"]

    def test_an_end_that_says_until_when_ends_only_what_was_reported_by_then(self, life: Life) -> None:
        """Such as a run that was late and has completed: a later one may be late as well."""
        life.gets(a_beginning("overdue/one", START + 30))
        life.gets(a_beginning("overdue/two", START + 31))
        ends = (Ended("overdue/", EndedBy.RUN_COMPLETED, until=START + 30),)
        life.gets(an_end(at=START + 60, effects=Effects(ends=ends)))
        assert [*life.state.conditions] == ["overdue/two"]
        assert life.state.ended == {"overdue/": START + 30}

    def test_an_end_ends_no_condition_whose_key_only_begins_alike(self, life: Life) -> None:
        life.gets(a_beginning("overdue/nightly-2"))
        life.gets(an_end("overdue/nightly", START + 1))
        assert [*life.state.conditions] == ["overdue/nightly-2"]

    def test_a_late_end_takes_back_nothing(self, life: Life) -> None:
        life.gets(an_end(at=START + 60))
        life.gets(an_end(at=START))
        assert life.gets(a_beginning(at=START + 30)) is Decision.ALREADY_RESOLVED

    def test_an_alert_of_several_conditions_is_over_only_if_all_of_them_are(self, life: Life) -> None:
        life.gets(an_end("one", START))
        both = an_alert(effects=Effects(begins=(Begun("one"), Begun("two"))))
        assert life.gets(both) is Decision.ANNOUNCED
        assert [*life.state.conditions] == ["two"]

    def test_the_newest_ends_are_remembered(self, life: Life) -> None:
        for number in range(ENDED_REMEMBERED):
            life.gets(an_end(f"hook/{number}", START + number))
        life.gets(an_end("hook/0", START + 100))
        life.gets(an_end("hook/new", START + 101))
        assert [*life.state.ended] == [
            *(f"hook/{number}" for number in range(2, ENDED_REMEMBERED)),
            "hook/0",
            "hook/new",
        ]

    def test_the_end_of_a_container_is_not_among_them(self, life: Life) -> None:
        """There are many, and `known_tasks` remembers them."""
        life.gets(an_end(container_key("t1", "")))
        assert not life.state.ended

    def test_a_task_ends_nothing_by_its_own_word(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(an_end(at=START + 60, self_reported=True))
        assert life.state.conditions

    def test_conditions_beyond_the_limit_are_one_condition_that_only_time_ends(self) -> None:
        state = SubjectState(SUBJECT)
        for number in range(CONDITIONS_REMEMBERED + 2):
            state = add_active(state, a_beginning(container_key(f"t{number}", "envoy")), START, Timing())
        assert len(state.conditions) == CONDITIONS_REMEMBERED + 1
        for number in range(CONDITIONS_REMEMBERED + 2):
            state = apply_ends(state, an_end(container_key(f"t{number}", ""), START + HOUR), START + HOUR)
        assert [*state.conditions] == ["others"]

    def test_a_known_condition_is_reported_again_although_there_are_too_many(self) -> None:
        state = SubjectState(SUBJECT)
        for number in [*range(CONDITIONS_REMEMBERED), 0]:
            state = add_active(state, a_beginning(container_key(f"t{number}", "envoy")), START, Timing())
        assert len(state.conditions) == CONDITIONS_REMEMBERED


class TestWhatAnAlertReports:
    def test_an_exit_continues_while_one_of_its_containers_is_dead(self, life: Life) -> None:
        begins = tuple(Begun(container_key("t1", name)) for name in ("agent", "envoy"))
        alert = an_alert("container_exited", task="t1", exited=("agent", "envoy"), effects=Effects(begins=begins))
        life.gets(alert)
        life.gets(an_end(container_key("t1", "agent")))
        assert continues(life.state, alert)
        assert not continues(life.state, replace(alert, task="t2"))
        life.gets(an_end(container_key("t1", "envoy")))
        assert not continues(life.state, alert)

    def test_a_condition_continues_by_its_cause(self, life: Life) -> None:
        alert = a_beginning()
        life.gets(alert)
        assert continues(life.state, alert)
        life.gets(an_end())
        assert not continues(life.state, alert)

    def test_an_occurrence_continues_by_its_cause(self, life: Life) -> None:
        life.gets(an_alert())
        assert continues(life.state, an_alert())
        assert not continues(life.state, an_alert("image_pull_failed"))

    def test_a_failed_deployment_continues_whatever_a_rule_calls_it(self, life: Life) -> None:
        life.gets(failed_deployment(cause="our_deployment"))
        assert continues(life.state, failed_deployment(cause="our_deployment"))
        assert continuing(life.state) == {FAILED_DEPLOYMENT: 1}


class TestDeployments:
    def test_a_steady_state_does_not_end_a_failed_deployment(self, life: Life) -> None:
        life.gets(failed_deployment())
        life.gets(a_recovery(START + 60))
        assert life.incident_is(IncidentStatus.OPEN)

    def test_a_completion_of_the_same_moment_or_later_ends_a_failed_deployment(self, life: Life) -> None:
        life.gets(failed_deployment())
        life.gets(completion("ecs-svc/0", START - 1))
        assert life.incident_is(IncidentStatus.OPEN)
        life.gets(completion("ecs-svc/2", START))
        assert life.incident_is(IncidentStatus.RECOVERING)

    def test_a_failure_of_the_moment_of_a_completion_is_news_if_it_arrives_after_that(self, life: Life) -> None:
        life.gets(a_recovery(START + 60))
        life.gets(completion("ecs-svc/2", START))
        assert life.gets(failed_deployment()) is Decision.ANNOUNCED
        assert life.incident_is(IncidentStatus.OPEN)
        life.gets(completion("ecs-svc/3", START + 1))
        assert life.incident_is(IncidentStatus.RECOVERING)

    def test_a_completion_without_an_id_ends_it_too(self, life: Life) -> None:
        """CodeDeploy's, say; its rollbacks are no events of their own."""
        life.gets(failed_deployment())
        life.gets(completion("", START + 60))
        assert life.incident_is(IncidentStatus.RECOVERING)
        life.gets(completion("", START + 30))
        assert life.gets(failed_deployment(START + 45)) is Decision.ALREADY_RESOLVED

    def test_a_completion_that_a_rule_lets_resolve_nothing_ends_nothing(self, life: Life) -> None:
        life.gets(failed_deployment())
        life.gets(replace(completion("ecs-svc/2", START + 60), resolves=False))
        assert life.incident_is(IncidentStatus.OPEN)

    def test_the_completion_of_a_rollback_ends_other_causes(self, life: Life) -> None:
        life.gets(rollback("ecs-svc/2"))
        life.gets(an_alert())
        life.gets(completion("ecs-svc/2", START + 60))
        assert life.incident_is(IncidentStatus.RECOVERING)
        assert life.incident.ended_by is EndedBy.ROLLBACK_COMPLETED

    def test_a_failure_that_arrives_after_its_end_is_kept_until_it_is_known_whether_that_was_a_rollback(
        self, life: Life
    ) -> None:
        life.gets(completion("ecs-svc/2", START + 60))
        assert life.gets(failed_deployment()) is Decision.ALREADY_RESOLVED
        life.gets(failed_deployment(START - 30))
        assert life.state.cause_times == {FAILED_DEPLOYMENT: START}
        assert not continuing(life.state)
        assert life.gets(rollback("ecs-svc/2", START + 1, Severity.WARNING)) is Decision.ANNOUNCED
        assert continuing(life.state)[FAILED_DEPLOYMENT] == 1

    def test_nothing_is_kept_of_other_causes_that_arrive_late(self, life: Life) -> None:
        life.gets(a_recovery(START + 60))
        life.gets(an_alert())
        assert not life.state.cause_times

    def test_a_rollback_of_a_failure_that_is_over_is_over_as_well(self, life: Life) -> None:
        life.gets(a_recovery(START + 60))
        assert life.gets(rollback("ecs-svc/2", START, Severity.WARNING)) is Decision.ALREADY_RESOLVED

    def test_a_rollback_is_remembered_once(self, life: Life) -> None:
        life.gets(rollback("ecs-svc/2"))
        life.gets(rollback("ecs-svc/2"))
        assert life.state.rollbacks == ("ecs-svc/2",)

    def test_a_rollback_without_an_id_is_not_remembered(self, life: Life) -> None:
        life.gets(rollback(""))
        assert life.state.rollbacks == ()

    def test_the_newest_rollbacks_are_remembered(self, life: Life) -> None:
        for number in range(DEPLOYMENTS_REMEMBERED + 1):
            life.gets(rollback(f"ecs-svc/{number}"))
        assert life.state.rollbacks == tuple(f"ecs-svc/{number}" for number in range(1, DEPLOYMENTS_REMEMBERED + 1))

    def test_the_newest_completions_are_remembered(self, life: Life) -> None:
        for number in [*range(DEPLOYMENTS_REMEMBERED), 0, DEPLOYMENTS_REMEMBERED]:
            life.gets(completion(f"ecs-svc/{number}", START + number))
        kept = [*range(2, DEPLOYMENTS_REMEMBERED), 0, DEPLOYMENTS_REMEMBERED]
        assert [*life.state.completions] == [f"ecs-svc/{number}" for number in kept]

    def test_a_completion_that_is_forgotten_still_ends_what_failed_before_it(self, life: Life) -> None:
        late = START + DAY
        life.gets(completion("early", late))
        for number in range(DEPLOYMENTS_REMEMBERED):
            life.gets(completion(f"ecs-svc/{number}", START + number))
        assert "early" not in life.state.completions
        assert life.gets(failed_deployment(late - 1)) is Decision.ALREADY_RESOLVED

    def test_the_completion_of_a_rollback_ends_nothing_after_it_is_forgotten_either(self, life: Life) -> None:
        life.gets(rollback("early"))
        life.gets(completion("early", START + DAY))
        for number in range(DEPLOYMENTS_REMEMBERED):
            life.gets(completion(f"ecs-svc/{number}", START + number))
        assert life.gets(failed_deployment(START + HOUR)) is Decision.ANNOUNCED

    def test_what_a_person_closed_stays_closed_when_completions_are_forgotten(self, life: Life) -> None:
        life.gets(failed_deployment())
        life.now += DAY
        life.closes()
        for number in range(DEPLOYMENTS_REMEMBERED + 1):
            life.gets(completion(f"ecs-svc/{number}", START + number))
        assert life.gets(failed_deployment(START + HOUR)) is Decision.ALREADY_RESOLVED


class TestEndOfAnIncident:
    def test_a_recovering_incident_says_when_and_how_the_last_of_it_ended(self, life: Life) -> None:
        life.gets(a_beginning())
        life.now += HOUR
        life.gets(an_end(at=START + 60))
        assert (life.incident.status, life.incident.ended_at) == (IncidentStatus.RECOVERING, START + 60)
        assert life.incident.ended_by is EndedBy.ALARM_OK
        assert life.state.resolve_at == life.now + 300

    def test_what_comes_after_the_end_changes_nothing_of_it(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(a_recovery(START + 60, recovery=EndedBy.STEADY_STATE))
        life.now += MINUTE
        life.gets(a_recovery(START + 120, recovery=EndedBy.DEPLOYMENT_COMPLETED))
        assert (life.incident.ended_at, life.incident.ended_by) == (START + 60, EndedBy.STEADY_STATE)
        assert life.state.resolve_at == START + 300

    @pytest.mark.parametrize(
        ("event", "by"),
        [
            (a_recovery(START), EndedBy.OTHER),
            (a_recovery(START, recovery=EndedBy.STEADY_STATE), EndedBy.STEADY_STATE),
            (a_recovery(START, ends=(Ended("alarm", EndedBy.ALARM_OK),)), EndedBy.ALARM_OK),
            (an_end(by=EndedBy.TASK_STOPPED), EndedBy.TASK_STOPPED),
            (an_alert(), EndedBy.OTHER),
            (completion("ecs-svc/2"), EndedBy.DEPLOYMENT_COMPLETED),
            (completion("ecs-svc/3"), EndedBy.ROLLBACK_COMPLETED),
            (an_alert(deployment="ecs-svc/3"), EndedBy.OTHER),
        ],
    )
    def test_an_event_tells_what_has_ended_the_incident(self, event: Alert, by: EndedBy) -> None:
        assert ended_by(SubjectState(SUBJECT, rollbacks=("ecs-svc/3",)), event) is by

    def test_the_end_of_the_run_that_failed_is_no_later_run(self, life: Life) -> None:
        """Its sidecar had died, and the run completed all the same."""
        dead = container_key("r1", "sidecar")
        life.gets(a_beginning(dead, task="r1", exited=("sidecar",)))
        ends = (Ended(container_key("r1", ""), EndedBy.TASK_STOPPED),)
        run = a_recovery(START + 60, ends=ends, recovery=EndedBy.RUN_COMPLETED)
        assert ended_by(life.state, replace(run, task="r1", stopped=True)) is EndedBy.TASK_STOPPED
        assert ended_by(life.state, replace(run, task="r2", stopped=True)) is EndedBy.RUN_COMPLETED

    def test_a_failure_opens_a_recovering_incident_again(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(a_recovery(START + 60))
        life.gets(an_alert(at=START + 61))
        assert (life.incident.status, life.incident.ended_at, life.incident.ended_by) == (
            IncidentStatus.OPEN,
            None,
            None,
        )
        assert life.state.resolve_at is None

    def test_a_rollback_below_every_route_opens_a_recovering_incident_again(self, life: Life) -> None:
        """Its completion came first, and was taken for the end of the failure."""
        life.gets(failed_deployment())
        life.gets(completion("ecs-svc/2", START + 60))
        life.gets(rollback("ecs-svc/2", START + 1))
        assert (life.incident.status, life.incident.ended_at, life.incident.ended_by) == (
            IncidentStatus.OPEN,
            None,
            None,
        )
        assert life.state.resolve_at is None
        assert life.state.lapse_at == START + DAY

    def test_an_incident_does_not_lapse_while_a_condition_continues(self, life: Life) -> None:
        life.gets(a_beginning())
        assert life.state.lapse_at is None

    def test_an_incident_may_lapse_a_day_after_its_last_condition_if_a_cause_continues(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(a_beginning())
        life.now += DAY
        life.gets(an_end())
        assert life.incident_is(IncidentStatus.OPEN)
        assert life.state.lapse_at == START + 2 * DAY

    def test_what_happens_to_an_open_incident_without_a_failure_does_not_delay_its_lapse(self, life: Life) -> None:
        life.gets(an_alert())
        life.now += HOUR
        life.gets(a_recovery(START - 1))
        assert life.state.lapse_at == START + DAY

    def test_what_silences_held_back_is_forgotten_once_nothing_of_it_continues(self, life: Life) -> None:
        life.gets(an_alert(), suppression=Suppression({"s": "deploying"}))
        assert life.state.silenced
        life.gets(a_recovery(START))
        assert not life.state.silenced

    def test_the_quiet_time_grows_with_the_number_of_returns(self, life: Life) -> None:
        life.gets(an_alert())
        times = [quiet_time(replace(life.incident, reopened=count), Timing()) for count in range(4)]
        assert times == [300, HOUR, 4 * HOUR, 4 * HOUR]

    def test_the_quiet_time_is_never_shorter_than_configured(self, life: Life) -> None:
        life.gets(an_alert())
        assert quiet_time(replace(life.incident, reopened=1), Timing(resolve_after=2 * HOUR)) == 2 * HOUR


class TestTime:
    def test_a_condition_lasts_until_the_moment_of_its_end(self, life: Life) -> None:
        life.gets(a_beginning(deadline=START + HOUR))
        life.waits(HOUR + 900 - 1)
        assert life.incident_is(IncidentStatus.OPEN)
        life.waits(1)
        assert life.incident_is(IncidentStatus.RECOVERING)
        assert (life.incident.ended_by, life.incident.ended_at) == (EndedBy.APPROVAL_TIMED_OUT, START + HOUR)
        assert not life.incident.unconfirmed

    def test_the_last_of_several_deadlines_is_the_end(self, life: Life) -> None:
        life.gets(a_beginning("hook/1", deadline=START + 60))
        life.gets(a_beginning("hook/2", deadline=START + 90))
        life.waits(HOUR)
        assert life.incident.ended_at == START + 90

    def test_a_health_event_that_nobody_closed_ended_when_it_said(self, life: Life) -> None:
        """Its deadline leaves a day in which AWS may still move it."""
        life.gets(a_beginning("health/arn", deadline=START + 2 * DAY))
        life.waits(3 * DAY)
        assert (life.incident.ended_by, life.incident.ended_at) == (EndedBy.HEALTH_EVENT_EXPIRED, START + DAY)

    def test_an_approval_beside_a_health_event_is_told_as_one(self, life: Life) -> None:
        life.gets(a_beginning("health/arn", deadline=START + DAY))
        life.gets(a_beginning("hook/1", deadline=START + DAY))
        life.waits(2 * DAY)
        assert life.incident.ended_by is EndedBy.APPROVAL_TIMED_OUT

    def test_what_was_neither_seen_nor_checked_for_a_week_has_not_recovered(self, life: Life) -> None:
        life.gets(a_beginning("one"))
        life.gets(a_beginning("two"))
        life.waits(7 * DAY)
        assert (life.incident.status, life.incident.unconfirmed) == (IncidentStatus.UNCONFIRMED, 2)
        assert (life.incident.ended_by, life.incident.ended_at) == (EndedBy.UNCONFIRMED, START + 7 * DAY)

    def test_an_alarm_without_data_is_given_up_for_that(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(an_alert("cloudwatch_alarm", START, Severity.INFO, effects=Effects(uncertain=("alarm",))))
        life.waits(DAY)
        assert life.incident.ended_by is EndedBy.WITHOUT_DATA

    def test_the_conditions_that_are_left_keep_the_incident_open(self, life: Life) -> None:
        life.gets(a_beginning("hook/1", deadline=START))
        life.gets(a_beginning("alarm"))
        life.waits(HOUR)
        assert [*life.state.conditions] == ["alarm"]
        assert life.incident_is(IncidentStatus.OPEN)

    def test_a_condition_that_was_given_up_counts_although_others_ended_by_a_deadline(self, life: Life) -> None:
        life.gets(a_beginning("instance"))
        life.gets(a_beginning("hook/1", deadline=START + 7 * DAY - 900))
        life.waits(7 * DAY)
        assert (life.incident.unconfirmed, life.incident.ended_by) == (1, EndedBy.UNCONFIRMED)

    def test_a_deadline_that_has_not_passed_is_no_end_of_an_alarm_without_data(self, life: Life) -> None:
        life.gets(a_beginning(deadline=START + 30 * DAY))
        life.gets(an_alert("cloudwatch_alarm", START, Severity.INFO, effects=Effects(uncertain=("alarm",))))
        life.waits(DAY)
        assert life.incident.unconfirmed == 1

    def test_a_deadline_that_passes_at_that_moment_is_its_end(self, life: Life) -> None:
        life.gets(a_beginning(deadline=START + DAY))
        life.gets(an_alert("cloudwatch_alarm", START, Severity.INFO, effects=Effects(uncertain=("alarm",))))
        life.waits(DAY)
        assert (life.incident.unconfirmed, life.incident.ended_at) == (0, START + DAY)

    def test_nothing_is_unconfirmed_because_it_expires_after_the_end_of_the_incident(self, life: Life) -> None:
        """A silenced condition of the next failure may expire, too."""
        life.gets(an_alert())
        life.closes()
        life.gets(a_beginning(at=START + 1), suppression=Suppression({"s": "deploying"}, START + 30 * DAY))
        life.waits(7 * DAY)
        assert not life.state.conditions
        assert (life.incident.status, life.incident.unconfirmed) == (IncidentStatus.CLOSED, 0)

    def test_a_subject_without_an_incident_forgets_what_expires(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=Suppression({"s": "deploying"}, START + 30 * DAY))
        life.waits(7 * DAY)
        assert not life.state.conditions
        assert life.state.muted is None


class TestUncertainty:
    LOST = an_alert("cloudwatch_alarm", START, Severity.INFO, effects=Effects(uncertain=("alarm",)))

    def test_the_time_without_data_begins_once_it_is_known(self, life: Life) -> None:
        life.gets(a_beginning())
        life.now += 60
        life.gets(self.LOST)
        life.now += 60
        life.gets(self.LOST)
        assert life.state.conditions["alarm"].uncertain_since == START + 60

    def test_other_conditions_stay_certain(self, life: Life) -> None:
        life.gets(a_beginning("instance"))
        life.gets(self.LOST)
        assert life.state.conditions["instance"].uncertain_since is None

    def test_missing_data_from_before_the_alarm_say_nothing(self, life: Life) -> None:
        life.gets(a_beginning(at=START + 1))
        life.gets(self.LOST)
        assert life.state.conditions["alarm"].uncertain_since is None

    def test_the_next_report_of_the_alarm_ends_the_uncertainty(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(self.LOST)
        life.gets(a_beginning(at=START - 1))
        assert life.state.conditions["alarm"].uncertain_since == START  # an old report is no news
        life.gets(a_beginning(at=START))
        assert life.state.conditions["alarm"].uncertain_since is None


class TestFindings:
    def test_what_aws_says_has_ended_is_over_now(self, life: Life) -> None:
        life.gets(a_beginning())
        state = apply_findings(life.state, {"alarm": EndedBy.ALARM_OK}, START + HOUR, Timing())
        assert not state.conditions
        assert state.incident is not None
        assert (state.incident.status, state.incident.ended_by) == (IncidentStatus.RECOVERING, EndedBy.ALARM_OK)
        assert state.incident.ended_at == START + HOUR
        assert state.resolve_at == START + HOUR + 300

    def test_what_aws_says_continues_was_seen_now_and_is_certain(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(TestUncertainty.LOST)
        state = apply_findings(life.state, {"alarm": None}, START + HOUR, Timing())
        condition = state.conditions["alarm"]
        assert (condition.seen_at, condition.uncertain_since) == (START + HOUR, None)
        assert state.verify_at == START + 2 * HOUR

    def test_what_could_not_be_checked_stays_as_it_is(self, life: Life) -> None:
        life.gets(a_beginning())
        state = apply_findings(life.state, {}, START + HOUR, Timing())
        assert state.conditions == life.state.conditions
        assert state.verify_at == START + 2 * HOUR

    def test_what_has_ended_meanwhile_is_no_end_of_the_incident(self, life: Life) -> None:
        """The conditions are read again before the findings are applied."""
        life.gets(a_beginning())
        state = apply_findings(life.state, {"instance": EndedBy.INSTANCE_GONE, "alarm": None}, START, Timing())
        assert state.is_open
        state = apply_findings(
            life.state, {"instance": EndedBy.INSTANCE_GONE, "alarm": EndedBy.ALARM_OK}, START, Timing()
        )
        assert state.incident is not None
        assert state.incident.ended_by is EndedBy.ALARM_OK

    def test_what_aws_cannot_be_asked_about_any_more_is_unconfirmed(self, life: Life) -> None:
        life.gets(a_beginning("one"))
        life.gets(a_beginning("two"))
        findings = {"one": EndedBy.UNCONFIRMED, "two": EndedBy.UNCONFIRMED, "three": EndedBy.UNCONFIRMED}
        state = apply_findings(life.state, findings, START, Timing())
        assert state.incident is not None
        assert (state.incident.unconfirmed, state.incident.ended_by) == (2, EndedBy.UNCONFIRMED)

    def test_nothing_is_unconfirmed_in_an_incident_that_is_over_or_was_never_open(self, life: Life) -> None:
        muted = Suppression({"s": "deploying"}, START + DAY)
        life.gets(a_beginning(), suppression=muted)
        state = apply_findings(life.state, {"alarm": EndedBy.UNCONFIRMED}, START, Timing())
        assert (state.incident, state.muted, state.silenced) == (None, None, None)
        life.gets(an_alert())
        life.closes()
        life.gets(a_beginning(at=START + 1), suppression=muted)
        state = apply_findings(life.state, {"alarm": EndedBy.UNCONFIRMED}, START, Timing())
        assert state.incident is not None
        assert state.incident.unconfirmed == 0
