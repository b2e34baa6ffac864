"""The life of an incident (README, "Notification kinds"), through the whole router in memory."""

from dataclasses import replace
from typing import Any

import pytest

from local_aws.events import (
    alarm,
    container,
    task_event,
    task_stopped,
)
from router.config.settings import Route
from router.history.items import iso
from router.incident.known_tasks import exits_of, stopped_at
from router.incident.lifecycle import REOPEN_WITHIN, apply_alert, apply_late, apply_repeat, close
from router.incident.outbox import due_channels
from router.incident.recent import with_recent
from router.incident.recovery import FAILED_DEPLOYMENT, apply_findings
from router.incident.state import MessageOptions, Replaced, RouteTarget, SubjectState, container_key
from router.incident.suppression import Suppression
from router.model import (
    Alert,
    Begun,
    Decision,
    DeploymentStep,
    Effects,
    EndedBy,
    IncidentStatus,
    Kind,
    Outcome,
    Severity,
    Silenced,
)
from tests.doubles.service_events import SPOT, crash, deployed, spot, steady
from tests.doubles.subject import (
    EMAIL,
    SLACK,
    SUBJECT,
    TIMING,
    WINDOW,
    Life,
    a_beginning,
    a_recovery,
    an_alert,
    an_end,
)
from tests.doubles.world import DAY, HOUR, MINUTE, START, World

OPENED, UPDATED, RESOLVED = Kind.OPENED, Kind.UPDATED, Kind.RESOLVED


@pytest.fixture
def world() -> World:
    return World()


class TestOpening:
    def test_the_first_alert_opens_an_incident_on_every_channel_that_its_route_reaches(self, world: World) -> None:
        assert world.decisions(crash("t1", START)) == [Decision.ANNOUNCED]
        assert [channel.kinds for channel in world.channels.values()] == [[OPENED]] * 3

    def test_an_info_alert_is_a_row_and_nothing_else(self, world: World) -> None:
        scaled_in = task_stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment x)")
        assert world.decisions(scaled_in) == [Decision.BELOW_THRESHOLD]
        assert world.slack.tried == 0
        assert len(world.rows("alert#")) == 1

    def test_an_alert_that_no_route_matches_is_a_row_and_nothing_else(self) -> None:
        world = World(routes=[Route(match={"cluster": ("elsewhere",)}, channels=("slack",))])
        assert world.decisions(crash("t1", START)) == [Decision.NO_ROUTE]
        assert world.slack.tried == 0

    def test_the_same_event_again_is_announced_once_and_keeps_its_decision(self, world: World) -> None:
        event = crash("t1", START)
        assert world.decisions(event, event) == [Decision.ANNOUNCED] * 2
        assert world.decisions(event) == [Decision.ANNOUNCED]
        assert world.slack.kinds == [OPENED]
        assert world.slack.told[0].incident.count == 1

    def test_all_events_of_one_failing_task_are_one_occurrence(self, world: World) -> None:
        notice = task_event(stopCode="SpotInterruption", stoppedReason=SPOT, desiredStatus="STOPPED", event_id="notice")
        stopped = task_stopped("SpotInterruption", SPOT, event_id="stopped")
        world.receive(notice)
        world.receive(stopped)
        assert len(world.rows("alert#")) == 1
        assert world.slack.kinds == [OPENED]

    def test_subjects_do_not_share_incidents(self, world: World) -> None:
        world.receive(crash("t1", START), crash("t2", START, service="api"))
        assert [told.incident.subject.text for told in world.slack.told] == ["service:web", "service:api"]


class TestGoingOn:
    def test_a_worse_alert_is_announced_at_once(self, world: World) -> None:
        world.receive(spot("t1", START))
        assert world.pager.tried == 0
        assert world.decisions(crash("t2", START + 1)) == [Decision.ANNOUNCED]
        assert world.slack.kinds == [OPENED, UPDATED]
        assert world.slack.told[1].alert.severity is Severity.CRITICAL

    def test_a_channel_reached_for_the_first_time_gets_opened_during_the_window(self, world: World) -> None:
        world.receive(spot("t1", START))
        world.receive(crash("t2", START + 1))
        assert world.pager.kinds == [OPENED]

    def test_an_incident_lapses_after_a_day_without_alerts_and_each_channel_that_was_notified_is_told(
        self, world: World
    ) -> None:
        world.receive(crash("t1", START))
        world.wait(DAY + 5 * MINUTE)
        assert world.slack.kinds == world.pager.kinds == [OPENED, RESOLVED]
        assert "No further occurrence in 24 h" in world.pager.told[-1].message.text
        assert world.history.open_incidents(world.now) == []


class TestRecovery:
    def test_a_recovery_is_announced_after_resolve_after_to_the_channels_that_were_notified(self, world: World) -> None:
        world.receive(spot("t1", START))
        world.wait(2 * MINUTE)
        assert world.decisions(steady(world.now)) == [Decision.RESOLVING]
        world.wait(4 * MINUTE)
        assert world.slack.kinds == [OPENED]
        world.wait(2 * MINUTE)
        assert world.slack.kinds == world.email.kinds == [OPENED, RESOLVED]
        assert world.pager.tried == 0

    def test_a_new_alert_cancels_a_recovery_that_was_not_announced_yet(self, world: World) -> None:
        world.receive(crash("t1", START))
        world.wait(MINUTE)
        world.receive(steady(world.now))
        world.wait(2 * MINUTE)
        world.receive(crash("t2", world.now))
        world.wait(10 * MINUTE)
        assert RESOLVED not in world.slack.kinds

    def test_further_resolving_events_do_not_delay_the_announcement(self, world: World) -> None:
        world.receive(crash("t1", START))
        for _ in range(6):
            world.wait(MINUTE)
            world.receive(steady(world.now))
        world.wait(MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED]

    def test_an_alert_older_than_the_recovery_is_not_announced(self, world: World) -> None:
        world.receive(steady(START))
        assert world.decisions(crash("t1", START - 30)) == [Decision.ALREADY_RESOLVED]
        assert world.slack.tried == 0

    def test_an_alert_within_four_hours_of_the_recovery_reopens_the_incident_at_the_same_window_step(
        self, world: World
    ) -> None:
        world.receive(crash("t1", START))
        world.wait(MINUTE)
        world.receive(steady(world.now))
        world.wait(10 * MINUTE)
        world.receive(crash("t2", world.now))
        assert world.slack.kinds == [OPENED, RESOLVED, OPENED]
        assert {told.incident.number for told in world.slack.told} == {1}
        world.receive(crash("t3", world.now + 1))
        world.wait(20 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED, OPENED]  # 1 h is the second window, not another 15 min
        world.wait(45 * MINUTE)
        assert world.slack.kinds[3:] == [UPDATED]

    def test_an_alert_more_than_four_hours_after_the_recovery_opens_a_new_incident_with_another_dedup_key(
        self, world: World
    ) -> None:
        world.receive(crash("t1", START))
        world.receive(steady(START + 1))
        world.wait(5 * HOUR)
        world.receive(crash("t2", world.now))
        first, last = world.slack.told[0].incident, world.slack.told[-1].incident
        assert (first.number, last.number) == (1, 2)
        assert first.dedup_key != last.dedup_key
        assert world.history.incident(first.id, world.now) is not None

    def test_a_completed_run_ends_only_what_failed_before_it_started(self, world: World) -> None:
        failed_meanwhile = crash("t1", START, service=None)
        completed = task_stopped(
            "EssentialContainerExited",
            "Essential container in task exited",
            container(exit_code=0),
            service=None,
            task="t2",
            startedAt=iso(START - HOUR),
            stoppedAt=iso(START + 60),
        )
        world.receive(failed_meanwhile)
        world.receive(completed)
        world.wait(HOUR)
        assert RESOLVED not in world.slack.kinds
        later = completed["detail"] | {"startedAt": iso(START + 100), "stoppedAt": iso(START + 200)}
        later["taskArn"] = later["taskArn"].replace("t2", "t3")
        world.receive(completed | {"detail": later, "id": "later"})
        world.wait(10 * MINUTE)
        assert world.slack.kinds[-1] is RESOLVED

    def test_steady_state_does_not_end_a_container_exit_in_a_task_that_runs_on(self, world: World) -> None:
        sidecar = task_event(
            containers=[container("app", status="RUNNING"), container("sidecar", 1)], updatedAt=iso(START)
        )
        world.receive(sidecar)
        world.receive(steady(START + 60))
        world.wait(HOUR)
        assert world.slack.kinds == [OPENED]
        stopped = task_stopped(
            "ServiceSchedulerInitiated", "Scaling activity initiated by (x)", stoppedAt=iso(world.now)
        )
        world.receive(stopped)
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED]

    def test_the_completion_of_a_rollback_does_not_end_the_failed_deployment(self, world: World) -> None:
        back = "ecs-svc/9"
        world.receive(deployed("SERVICE_DEPLOYMENT_FAILED", START))
        rolling = deployed(
            "SERVICE_DEPLOYMENT_IN_PROGRESS", START + 5, back, f"circuit breaker: rolling back to deploymentId {back}."
        )
        world.receive(rolling)
        world.receive(deployed("SERVICE_DEPLOYMENT_COMPLETED", START + 60, back), steady(START + 61))
        world.wait(30 * MINUTE)
        assert RESOLVED not in world.slack.kinds
        world.receive(deployed("SERVICE_DEPLOYMENT_COMPLETED", world.now, "ecs-svc/10"))
        world.wait(10 * MINUTE)
        assert world.slack.kinds[-1] is RESOLVED

    def test_an_alarm_that_is_ok_again_resolves(self, world: World) -> None:
        world.receive(alarm("ALARM", at=iso(START)))
        world.receive(alarm("OK", at=iso(START + 60)) | {"id": "ok"})
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [OPENED, RESOLVED]


# --- the pure functions -----------------------------------------------------------------------------------------------


SILENCE = Suppression({"s1": "deploying"}, START + HOUR)
WORSE = an_alert("out_of_memory", START + 60)
WARNED = an_alert("spot_interruption", severity=Severity.WARNING)
INFO = an_alert("stopped_by_scheduler", severity=Severity.INFO)
FAILED = Effects(deployment=DeploymentStep.FAILED, immediate=True)


@pytest.fixture
def life() -> Life:
    return Life()


def resolved(life: Life, alert: Alert = WARNED, *targets: RouteTarget) -> None:
    """Until an incident has opened and ended, and each channel was told so."""
    life.gets(alert, *targets)
    life.sends()
    life.gets(a_recovery(life.now))
    life.waits(5 * MINUTE)
    life.sends()
    assert life.incident_is(IncidentStatus.RESOLVED)


class TestANewIncident:
    def test_it_counts_its_first_alert(self, life: Life) -> None:
        life.gets(replace(WARNED, task="t1"))
        incident = life.incident
        assert (incident.number, incident.status, incident.subject) == (1, IncidentStatus.OPEN, SUBJECT)
        assert (incident.severity, incident.causes, incident.tasks) == (
            Severity.WARNING,
            {"spot_interruption": 1},
            ("t1",),
        )
        assert (incident.opened_at, incident.last_at, incident.ended_at) == (START, START, None)
        assert (incident.alert, incident.latest) == (replace(WARNED, task="t1"), None)

    def test_what_is_not_about_a_task_names_none(self, life: Life) -> None:
        life.gets(WARNED)
        assert life.incident.tasks == ()

    def test_it_lapses_a_day_later(self, life: Life) -> None:
        life.now += 60
        life.gets(WARNED)
        assert life.state.lapse_at == START + 60 + DAY

    def test_it_knows_what_happened_before(self, life: Life) -> None:
        resolved(life)
        life.now += 5 * HOUR
        life.gets(replace(WARNED, at=life.now))
        assert life.incident.recurrence.previous == START

    def test_it_replaces_the_one_before_whose_open_sends_are_still_completed(self, life: Life) -> None:
        life.gets(replace(WARNED, task="t1"), SLACK, EMAIL)
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        before = life.state._replace(version=7)
        life.state = before
        life.now += 5 * HOUR
        life.gets(replace(WARNED, at=life.now))
        archived = life.state.superseded
        assert archived is not None
        assert (archived.incident, archived.outbox) == (before.incident, before.outbox)
        assert (archived.version, archived.archived) == (0, True)
        assert due_channels(archived, life.now) == ("slack", "email")
        assert (life.incident.number, life.state.version, life.state.archived) == (2, 7, False)
        assert [*life.state.outbox] == ["slack"]
        assert not life.entry().knows_incident

    def test_an_archived_incident_keeps_nothing_that_the_subject_goes_on_with(self, life: Life) -> None:
        """It is one item of the table more, and only its sends are read."""
        life.gets(an_alert("container_exited", task="t1", exited=("agent",)))
        life.gets(an_alert("deployment_in_progress", severity=Severity.INFO, deployment="ecs-svc/1"))
        life.gets(an_end("hook/h1"))
        completed = a_recovery(START, deployment=DeploymentStep.COMPLETED)
        life.gets(replace(completed, deployment="ecs-svc/1"))
        life.waits(5 * MINUTE)
        life.gets(a_beginning("alarm", START + DAY), suppression=Suppression({"s": "deploying"}, START + 9 * DAY))
        life.state = with_recent(life.state, WARNED, Decision.ANNOUNCED, 1)
        life.now += 5 * HOUR
        life.gets(an_alert(at=life.now))
        assert life.state.conditions
        assert life.state.muted
        archived = life.state.superseded
        assert archived is not None
        emptied = SubjectState(SUBJECT, incident=archived.incident, outbox=archived.outbox, archived=True)
        assert archived._replace(quiet_from=0.0) == emptied

    def test_the_first_one_replaces_nothing(self, life: Life) -> None:
        life.gets(WARNED)
        assert life.state.superseded is None

    def test_its_alert_has_not_been_told(self, life: Life) -> None:
        resolved(life)
        assert life.state.latest_sent
        life.now += 5 * HOUR
        life.gets(replace(WARNED, at=life.now))
        assert not life.state.latest_sent

    def test_the_causes_of_the_one_before_do_not_belong_to_it(self, life: Life) -> None:
        """A failed deployment that was over is remembered, for its end may turn out to be its rollback."""
        resolved(life)
        life.state = life.state._replace(cause_times={FAILED_DEPLOYMENT: life.now + DAY})
        life.now += 5 * HOUR
        life.gets(an_alert(at=life.now))
        assert [*life.state.cause_times] == ["out_of_memory"]

    def test_no_earlier_cause_belongs_to_one_that_opens_with_a_condition(self, life: Life) -> None:
        resolved(life)
        life.state = life.state._replace(cause_times={FAILED_DEPLOYMENT: life.now + DAY})
        life.now += 5 * HOUR
        life.gets(a_beginning(at=life.now))
        assert life.state.cause_times == {}

    def test_a_rollback_opens_it_with_the_failure_that_it_rolls_back(self, life: Life) -> None:
        resolved(life)
        life.state = life.state._replace(cause_times={FAILED_DEPLOYMENT: life.now + DAY, "other": life.now + DAY})
        life.now += 5 * HOUR
        life.gets(an_alert("rolling", life.now, effects=Effects(deployment=DeploymentStep.ROLLING_BACK)))
        assert {*life.state.cause_times} == {FAILED_DEPLOYMENT, "rolling"}


class TestAnOpenIncident:
    def test_it_counts_by_cause_in_the_order_in_which_they_came(self, life: Life) -> None:
        for alert in (WARNED, WORSE, WARNED):
            life.gets(alert)
        assert [*life.incident.causes.items()] == [("spot_interruption", 2), ("out_of_memory", 1)]

    def test_it_names_its_first_ten_tasks_once_each(self, life: Life) -> None:
        for task in ("t0", "t0", "", *(f"t{number}" for number in range(1, 15))):
            life.gets(replace(WARNED, task=task))
        assert life.incident.tasks == tuple(f"t{number}" for number in range(10))

    def test_its_times_are_those_of_its_first_and_newest_alert_whatever_the_order_of_arrival(self, life: Life) -> None:
        for at in (START, START + 60, START - 60, START + 30):
            life.gets(replace(WARNED, at=at))
        assert (life.incident.opened_at, life.incident.last_at) == (START - 60, START + 60)

    def test_each_alert_puts_off_its_lapse(self, life: Life) -> None:
        life.gets(WARNED)
        life.now += HOUR
        life.gets(WARNED)
        assert life.state.lapse_at == START + HOUR + DAY

    def test_a_worse_alert_becomes_the_one_that_it_is_about(self, life: Life) -> None:
        life.gets(WARNED)
        life.gets(replace(WARNED, at=START + 1))
        life.gets(WORSE)
        incident = life.incident
        assert (incident.severity, incident.alert, incident.latest) == (Severity.CRITICAL, WORSE, None)

    def test_it_says_what_happened_before_its_worst_alert(self, life: Life) -> None:
        life.gets(WARNED)
        life.state = life.state._replace(occurrences={"out_of_memory": ((START - DAY, 3),)})
        life.gets(WORSE)
        assert life.incident.recurrence.last_week == 3
        life.gets(replace(WORSE, at=START + 120))
        assert life.incident.recurrence.last_week == 3

    def test_a_lesser_alert_is_only_its_newest(self, life: Life) -> None:
        life.gets(WORSE)
        life.sends()
        life.gets(WARNED)
        incident = life.incident
        assert (incident.severity, incident.alert, incident.latest) == (Severity.CRITICAL, WORSE, WARNED)

    def test_the_newest_alert_has_not_been_told(self, life: Life) -> None:
        life.gets(WORSE)
        life.sends()
        life.gets(WARNED)
        assert not life.state.latest_sent

    def test_a_worse_one_has_not_been_told_either(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(WORSE)
        assert not life.state.latest_sent

    def test_aws_takes_the_place_of_the_task_that_reported_the_same(self, life: Life) -> None:
        life.gets(replace(WARNED, self_reported=True))
        life.gets(replace(WARNED, at=START + 1))
        assert not life.incident.alert.self_reported
        life.gets(replace(WARNED, at=START + 2))
        assert life.incident.alert.at == START + 1

    def test_what_a_task_reports_takes_the_place_of_no_alert(self, life: Life) -> None:
        life.gets(WARNED)
        life.gets(replace(WARNED, at=START + 1, self_reported=True))
        life.gets(replace(WARNED, at=START + 2, self_reported=True))
        assert life.incident.alert is not None
        assert life.incident.alert.at == START

    def test_a_lesser_alert_of_aws_does_not_take_the_place_of_a_report(self, life: Life) -> None:
        life.gets(replace(WORSE, self_reported=True))
        life.gets(WARNED)
        assert life.incident.alert.self_reported


class TestWhatTheNextUpdateDescribes:
    def worst_untold(self, life: Life) -> Alert:
        """A worse and a lesser alert, of which no channel was told."""
        life.gets(an_alert("health_check_failed"))
        life.sends()
        worse = an_alert("image_pull_failed", START + 1, Severity.ERROR)
        life.gets(worse)
        return worse

    def test_it_describes_the_newest_alert(self, life: Life) -> None:
        self.worst_untold(life)
        newest = an_alert("task_failed_to_start", START + 2, Severity.ERROR)
        life.gets(newest)
        assert life.incident.latest == newest

    def test_it_describes_a_worse_alert_that_was_not_told_yet(self, life: Life) -> None:
        worse = self.worst_untold(life)
        life.gets(replace(WARNED, at=START + 2))
        assert life.incident.latest == worse

    def test_it_describes_the_newest_if_the_worse_one_was_told(self, life: Life) -> None:
        self.worst_untold(life)
        life.state = life.state._replace(latest_sent=True)
        newest = replace(WARNED, at=START + 2)
        life.gets(newest)
        assert life.incident.latest == newest

    def test_it_describes_the_newest_if_the_worse_one_is_over(self, life: Life) -> None:
        life.gets(an_alert("health_check_failed", START + 60))
        life.sends()
        life.gets(an_alert("image_pull_failed", START + 1, Severity.ERROR))
        life.gets(a_recovery(START + 1))
        newest = replace(WARNED, at=START + 2)
        life.gets(newest)
        assert life.incident.latest == newest

    def test_the_newest_is_not_told_because_a_worse_one_still_waits(self, life: Life) -> None:
        self.worst_untold(life)
        life.gets(replace(WARNED, at=START + 2))
        assert not life.state.latest_sent

    def test_it_describes_a_failed_deployment_and_not_its_rollback(self, life: Life) -> None:
        life.gets(an_alert())
        failed = an_alert(FAILED_DEPLOYMENT, START + 1, effects=Effects(deployment=DeploymentStep.FAILED))
        rolling = Effects(deployment=DeploymentStep.ROLLING_BACK)
        life.gets(failed)
        life.sends()
        life.gets(an_alert("rolling", START + 2, Severity.WARNING, effects=rolling))
        assert life.incident.latest == failed
        assert life.state.latest_sent
        newest = replace(WARNED, at=START + 3)
        life.gets(newest)
        life.gets(an_alert("rolling", START + 4, Severity.WARNING, effects=rolling))
        assert life.incident.latest is not None
        assert life.incident.latest.cause == "rolling"

    def test_the_rollback_of_the_failure_that_the_incident_is_about_is_no_news(self, life: Life) -> None:
        failed = an_alert(FAILED_DEPLOYMENT, START, effects=Effects(deployment=DeploymentStep.FAILED))
        life.gets(failed)
        rolling = Effects(deployment=DeploymentStep.ROLLING_BACK)
        life.gets(an_alert("rolling", START + 2, Severity.WARNING, effects=rolling))
        assert life.incident.latest == failed


class TestAReturn:
    def test_an_incident_that_was_resolved_opens_again_within_four_hours_of_its_end(self, life: Life) -> None:
        resolved(life)
        ended_at = life.incident.ended_at
        assert ended_at is not None
        life.gets(replace(WARNED, at=ended_at + REOPEN_WITHIN))
        assert (life.incident.number, life.incident.status) == (1, IncidentStatus.OPEN)
        assert (life.incident.ended_at, life.incident.ended_by) == (None, None)

    def test_an_alert_more_than_four_hours_later_opens_another_incident(self, life: Life) -> None:
        resolved(life)
        assert life.incident.ended_at is not None
        life.gets(replace(WARNED, at=life.incident.ended_at + REOPEN_WITHIN + 1))
        assert life.incident.number == 2

    def test_what_was_closed_does_not_come_back(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.closes()
        life.gets(replace(WARNED, at=START + 1))
        assert life.incident.number == 2

    def test_what_has_lapsed_does_not_come_back(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.waits(DAY)
        assert life.incident_is(IncidentStatus.LAPSED)
        life.gets(replace(WARNED, at=life.now))
        assert life.incident.number == 2

    def test_a_return_becomes_what_the_incident_is_about_if_it_is_as_severe(self, life: Life) -> None:
        resolved(life, WARNED)
        back = replace(WARNED, at=life.now)
        life.gets(back)
        assert (life.incident.alert, life.incident.latest) == (back, None)

    def test_a_lesser_return_does_not_become_what_the_incident_is_about(self, life: Life) -> None:
        resolved(life, an_alert())
        back = replace(WARNED, at=life.now)
        life.gets(back)
        assert (life.incident.alert, life.incident.latest) == (an_alert(), back)
        assert life.incident.severity is Severity.CRITICAL

    def test_a_failure_is_a_return_once_a_channel_was_told_of_the_end(self, life: Life) -> None:
        resolved(life)
        life.gets(replace(WARNED, at=life.now))
        incident = life.incident
        assert (incident.reopened, incident.relapses, incident.relapsed_at) == (1, 1, (life.now,))

    def test_a_failure_before_the_end_is_a_relapse_and_no_return(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(a_recovery(START))
        life.gets(replace(WARNED, at=START + 1))
        incident = life.incident
        assert (incident.reopened, incident.relapses, incident.relapsed_at) == (0, 1, (START + 1,))

    def test_a_failure_before_any_channel_was_told_of_the_end_is_no_return(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        life.gets(replace(WARNED, at=life.now))
        assert (life.incident.reopened, life.incident.relapses) == (0, 1)

    def test_an_incident_of_which_no_channel_was_told_does_not_return(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends(Outcome.FAILED)
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        life.gets(replace(WARNED, at=life.now))
        assert (life.incident.reopened, life.incident.relapses) == (0, 1)

    def test_one_channel_that_was_told_of_the_end_makes_a_failure_a_return(self, life: Life) -> None:
        life.gets(WARNED, SLACK, EMAIL)
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        life.answers(life.leases("slack")["slack"])
        life.gets(replace(WARNED, at=life.now), SLACK, EMAIL)
        assert life.incident.reopened == 1

    def test_a_further_alert_of_an_open_incident_is_no_return(self, life: Life) -> None:
        life.gets(WARNED)
        life.gets(replace(WARNED, at=START + 1))
        assert (life.incident.relapses, life.incident.relapsed_at) == (0, ())

    def test_what_a_task_reports_of_itself_is_no_return(self, life: Life) -> None:
        resolved(life)
        life.gets(replace(WARNED, at=life.now, self_reported=True))
        assert (life.incident.reopened, life.incident.relapses) == (0, 0)

    def test_a_cause_that_occurs_again_after_its_end_is_a_relapse_though_a_condition_kept_the_incident_open(
        self, life: Life
    ) -> None:
        life.gets(a_beginning())
        for at in (START + 1, START + 3, START + 4):
            life.gets(an_alert(at=at))
            if at == START + 1:
                life.gets(a_recovery(START + 2))
        assert (life.incident.relapses, life.incident.relapsed_at) == (1, (START + 3,))

    def test_what_is_reported_once_more_or_is_another_cause_is_no_relapse(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(a_recovery(START + 2, ends_occurrences=True))
        life.gets(a_beginning(at=START + 3))
        life.gets(an_alert(at=START + 4))
        assert life.incident.relapses == 0

    def test_crashes_that_a_condition_outlasts_are_in_the_digest(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(an_alert(at=START + 1))
        life.gets(a_recovery(START + 2))
        life.sends()
        life.gets(an_alert(at=START + 3))
        life.gets(a_recovery(START + 4))
        life.waits(WINDOW)
        assert life.sends()["slack"].suppressed == {"out_of_memory": 1}

    def test_what_was_taken_for_the_end_of_a_failed_deployment_is_no_recovery(self, life: Life) -> None:
        life.gets(an_alert(FAILED_DEPLOYMENT, effects=FAILED))
        life.gets(replace(a_recovery(START + 60, deployment=DeploymentStep.COMPLETED), deployment="ecs-svc/3"))
        assert life.incident_is(IncidentStatus.RECOVERING)
        rolling = Effects(deployment=DeploymentStep.ROLLING_BACK)
        life.gets(an_alert("rolling", START + 1, Severity.WARNING, effects=rolling, deployment="ecs-svc/3"))
        assert (life.incident.status, life.incident.relapses) == (IncidentStatus.OPEN, 0)

    def test_an_approval_is_no_failure(self, life: Life) -> None:
        resolved(life)
        effects = Effects(begins=(Begun("hook/h1"),), immediate=True)
        life.gets(an_alert("hook_awaiting_action", life.now, Severity.WARNING, effects=effects))
        assert (life.incident.reopened, life.incident.relapses) == (0, 0)

    def test_a_failed_deployment_and_a_condition_that_waits_for_its_window_are_failures(self, life: Life) -> None:
        for effects in (Effects(immediate=True), Effects(begins=(Begun("alarm"),))):
            life = Life()
            resolved(life)
            life.gets(an_alert("failure", life.now, effects=effects))
            assert (life.incident.reopened, life.incident.relapses) == (1, 1)

    def test_the_times_of_the_newest_three_are_kept(self, life: Life) -> None:
        life.gets(WARNED)
        for number in range(1, 6):
            life.gets(a_recovery(START + number))
            life.gets(replace(WARNED, at=START + number + 0.5))
        assert life.incident.relapses == 5
        assert life.incident.relapsed_at == (START + 3.5, START + 4.5, START + 5.5)

    def test_an_end_that_nobody_was_told_of_yet_is_withdrawn(self, life: Life) -> None:
        life.gets(WARNED, SLACK, EMAIL)
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        assert life.entry().is_behind
        life.gets(replace(WARNED, at=life.now), SLACK)
        assert not life.entry().is_behind
        assert not life.entry("email").is_behind

    def test_an_update_of_an_open_incident_is_not_withdrawn(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.waits(WINDOW)
        life.gets(replace(WARNED, at=START + 1))
        assert life.entry().is_behind
        life.gets(replace(WARNED, at=START + 2))
        assert life.entry().is_behind


class TestDecisions:
    def test_a_resolving_alert_is_not_announced(self, life: Life) -> None:
        assert life.gets(a_recovery()) is Decision.RESOLVING
        assert life.state.incident is None

    def test_what_is_below_warning_is_not_announced(self, life: Life) -> None:
        assert life.gets(INFO) is Decision.BELOW_THRESHOLD
        assert life.state == SubjectState(SUBJECT)

    def test_what_is_below_warning_and_ends_a_condition_is_resolving(self, life: Life) -> None:
        life.gets(a_beginning())
        assert life.gets(an_end()) is Decision.RESOLVING
        assert life.gets(an_end()) is Decision.BELOW_THRESHOLD

    def test_what_no_route_names_changes_nothing(self) -> None:
        state = SubjectState(SUBJECT)
        assert apply_alert(state, WARNED, (), START, TIMING) == (state, Decision.NO_ROUTE)

    def test_what_is_over_already_wakes_nobody(self, life: Life) -> None:
        life.gets(a_recovery(START + 1))
        assert life.gets(WARNED) is Decision.ALREADY_RESOLVED
        assert life.state.incident is None

    def test_one_channel_that_is_told_makes_an_alert_announced(self, life: Life) -> None:
        life.gets(WARNED, SLACK)
        life.sends()
        assert life.gets(replace(WARNED, at=START + 1), EMAIL, SLACK) is Decision.ANNOUNCED
        assert life.gets(replace(WARNED, at=START + 2), SLACK) is Decision.HELD_BACK

    def test_an_alert_takes_the_place_of_the_report_of_the_same_ending(self, life: Life) -> None:
        """It is counted already, and a channel that was told need not be told again."""
        life.gets(WARNED, SLACK)
        life.sends()
        replaces = Replaced("spot_interruption", frozenset({"slack"}))
        life.gets(replace(WARNED, at=START + 1), SLACK, EMAIL, replaces=replaces)
        assert life.incident.causes == {"spot_interruption": 1}
        assert sum(count for _, count in life.state.occurrences["spot_interruption"]) == 1
        assert (life.entry().is_behind, life.entry().suppressed) == (False, {})
        assert life.entry("email").is_behind

    def test_an_alert_that_replaces_a_report_is_counted_under_its_own_cause(self, life: Life) -> None:
        life.gets(WARNED)
        life.gets(WORSE, replaces=Replaced("spot_interruption"))
        assert life.incident.causes == {"out_of_memory": 1}
        assert "out_of_memory" in life.state.occurrences

    def test_an_alert_replaces_one_report_and_no_more(self, life: Life) -> None:
        for at in (START, START + 1, START + 2):
            life.gets(replace(WARNED, at=at))
        life.gets(WORSE, replaces=Replaced("spot_interruption"))
        assert life.incident.causes == {"spot_interruption": 2, "out_of_memory": 1}

    def test_an_exit_that_is_reported_after_the_stop_of_its_task_is_told_and_over(self, life: Life) -> None:
        stop = an_alert("task_stopped", START + 60, Severity.WARNING, task="t1", stopped=True)
        life.gets(stop)
        life.sends()
        begins = Effects(begins=(Begun(container_key("t1", "agent")),))
        exit_ = an_alert("container_exited", START, task="t1", exited=("agent",), effects=begins)
        life.gets(a_recovery(START + 61))
        assert life.gets(exit_) is Decision.ANNOUNCED
        assert not life.state.conditions
        assert life.incident_is(IncidentStatus.RECOVERING)
        assert (life.incident.ended_by, life.incident.ended_at) == (EndedBy.TASK_STOPPED, START + 60)

    def test_a_run_that_resolves_tells_what_ended_the_incident_though_its_stop_is_known(self, life: Life) -> None:
        life.gets(an_alert("container_exited", task="t1", exited=("agent",)))
        life.gets(an_alert("task_stopped", START + 60, Severity.WARNING, task="t1", stopped=True))
        run = a_recovery(START + 90, recovery=EndedBy.RUN_COMPLETED)
        life.gets(replace(run, task="t1"))
        assert (life.incident.ended_by, life.incident.ended_at) == (EndedBy.RUN_COMPLETED, START + 90)

    def test_an_exit_that_only_the_task_itself_reports_late_is_not_over(self, life: Life) -> None:
        life.gets(an_alert("task_stopped", START + 60, Severity.WARNING, task="t1", stopped=True))
        begins = Effects(begins=(Begun(container_key("t1", "agent")),))
        life.gets(an_alert("container_exited", START, task="t1", exited=("agent",), effects=begins, self_reported=True))
        assert life.state.conditions

    def test_the_exit_of_a_container_of_a_task_that_goes_on_continues(self, life: Life) -> None:
        life.gets(an_alert("task_stopped", START, Severity.WARNING, task="t2", stopped=True))
        begins = Effects(begins=(Begun(container_key("t1", "agent")),))
        life.gets(an_alert("container_exited", START, task="t1", exited=("agent",), effects=begins))
        assert life.state.conditions


class TestAnnouncing:
    def test_a_channel_has_the_settings_of_the_route_that_named_it_last(self, life: Life) -> None:
        life.gets(WARNED)
        target = RouteTarget("slack", HOUR, stateful=True, options=MessageOptions(language="ja"), remind=7.0)
        life.gets(WARNED, target)
        entry = life.entry()
        assert (entry.dedup_window, entry.stateful, entry.remind) == (HOUR, True, 7.0)
        assert entry.options.language == "ja"

    def test_what_is_held_back_is_counted_by_cause_and_due_at_the_end_of_the_window(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        for at in (START + 1, START + 2):
            assert life.gets(replace(WARNED, at=at)) is Decision.HELD_BACK
        assert life.entry().suppressed == {"spot_interruption": 2}
        assert life.entry().due_at == START + WINDOW

    def test_after_the_window_the_next_alert_is_announced_at_once(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.now = START + WINDOW - 1
        assert life.gets(replace(WARNED, at=life.now)) is Decision.HELD_BACK
        life.now += 1
        assert life.gets(replace(WARNED, at=life.now)) is Decision.ANNOUNCED
        assert life.entry().due_at == life.now

    def test_what_is_pending_already_includes_further_alerts(self, life: Life) -> None:
        life.gets(WARNED)
        revision = life.entry().wanted_revision
        assert life.gets(WORSE) is Decision.HELD_BACK
        assert life.entry().wanted_revision == revision

    def test_a_failed_send_holds_nothing_back(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.waits(WINDOW)
        life.gets(replace(WARNED, at=life.now))
        life.sends(Outcome.FAILED)
        assert life.gets(replace(WARNED, at=life.now)) is Decision.ANNOUNCED

    def test_what_cannot_wait_is_announced_in_the_window(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        question = an_alert("hook", START + 1, Severity.WARNING, effects=Effects(immediate=True))
        assert life.gets(question) is Decision.ANNOUNCED
        assert life.entry().immediate

    def test_a_deployment_that_fails_again_and_again_is_held_back_after_three_times_in_a_day(self, life: Life) -> None:
        decisions = []
        for _ in range(5):
            decisions.append(life.gets(an_alert(FAILED_DEPLOYMENT, life.now, effects=FAILED)))
            life.sends()
            life.waits(MINUTE)
        assert decisions == [Decision.ANNOUNCED] * 3 + [Decision.HELD_BACK] * 2
        assert not life.entry().immediate
        question = Effects(begins=(Begun("hook/h1"),), immediate=True)
        assert life.gets(an_alert("hook", life.now, Severity.WARNING, effects=question)) is Decision.ANNOUNCED

    def test_a_deployment_that_failed_on_other_days_is_announced_at_once(self, life: Life) -> None:
        for _ in range(5):
            life.gets(an_alert(FAILED_DEPLOYMENT, life.now, effects=FAILED))
            life.sends()
            life.now += DAY + HOUR
        life.gets(an_alert(at=life.now))
        life.sends()
        assert life.gets(an_alert(FAILED_DEPLOYMENT, life.now + 1, effects=FAILED)) is Decision.ANNOUNCED

    def test_a_message_that_is_being_sent_is_out_of_date_if_the_incident_gets_worse(self, life: Life) -> None:
        life.gets(WARNED)
        life.leases()
        assert life.gets(replace(WARNED, at=START + 1)) is Decision.HELD_BACK
        assert life.entry().wanted_revision == 1
        assert life.gets(WORSE) is Decision.ANNOUNCED
        assert life.entry().wanted_revision == 2

    def test_a_message_that_is_being_sent_is_out_of_date_if_something_cannot_wait(self, life: Life) -> None:
        life.gets(an_alert())
        life.leases()
        question = an_alert("hook", START + 1, Severity.WARNING, effects=Effects(immediate=True))
        assert life.gets(question) is Decision.ANNOUNCED

    def test_a_message_that_is_being_sent_is_out_of_date_if_it_is_not_over_after_all(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        life.leases()
        assert life.gets(replace(WARNED, at=life.now)) is Decision.ANNOUNCED
        assert life.entry().wanted_revision == 3

    def test_a_channel_that_joins_while_a_message_to_another_is_sent_is_told(self, life: Life) -> None:
        life.gets(WARNED)
        life.leases()
        assert life.gets(replace(WARNED, at=START + 1), EMAIL) is Decision.ANNOUNCED

    def test_reports_of_a_task_about_itself_are_marked_until_aws_has_something_to_say(self, life: Life) -> None:
        report = replace(WARNED, self_reported=True)
        life.gets(report)
        assert life.entry().only_self_reports
        life.gets(report)
        assert life.entry().only_self_reports
        life.gets(replace(WARNED, at=START + 1))
        assert not life.entry().only_self_reports
        life.gets(report)
        assert not life.entry().only_self_reports

    def test_a_report_after_what_was_held_back_is_not_all_that_there_is_to_tell(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(replace(WARNED, at=START + 1))
        life.gets(replace(WARNED, self_reported=True))
        assert not life.entry().only_self_reports

    def test_a_report_after_a_message_is_all_that_there_is_to_tell(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(replace(WARNED, self_reported=True))
        assert life.entry().only_self_reports


class TestSilences:
    def test_a_silenced_alert_opens_nothing_and_is_counted_as_silenced(self, life: Life) -> None:
        assert life.gets(WARNED, suppression=SILENCE) is Decision.SILENCED
        assert life.state.incident is None
        assert life.state.silenced == Silenced(START, START, 1, {"s1": "deploying"})
        assert "spot_interruption" in life.state.occurrences
        assert life.state.outbox == {}

    def test_silenced_alerts_are_added_up(self, life: Life) -> None:
        life.gets(WARNED, suppression=SILENCE)
        life.gets(replace(WARNED, at=START + 60), suppression=Suppression({"s2": "still"}))
        life.gets(replace(WARNED, at=START + 30), suppression=SILENCE)
        assert life.state.silenced == Silenced(START, START + 60, 3, {"s1": "deploying", "s2": "still"})

    def test_the_first_three_silences_are_named(self, life: Life) -> None:
        for number in range(5):
            life.gets(WARNED, suppression=Suppression({f"s{number}": "why"}))
        assert life.state.silenced is not None
        assert [*life.state.silenced.by] == ["s0", "s1", "s2"]

    def test_what_is_a_day_older_than_the_next_alert_is_forgotten(self, life: Life) -> None:
        life.gets(WARNED, suppression=SILENCE)
        life.gets(replace(WARNED, at=START + DAY), suppression=SILENCE)
        assert life.state.silenced is not None
        assert life.state.silenced.count == 2
        life.gets(replace(WARNED, at=START + 2 * DAY + 1), suppression=SILENCE)
        assert life.state.silenced.count == 1

    def test_the_next_alert_opens_the_incident_at_the_time_of_the_first_silenced_one(self, life: Life) -> None:
        life.gets(an_alert(), suppression=SILENCE)
        life.gets(replace(WARNED, at=START + 60))
        incident = life.incident
        assert (incident.opened_at, incident.last_at) == (START, START + 60)
        assert incident.silenced == Silenced(START, START, 1, {"s1": "deploying"})
        assert life.state.silenced is None
        assert {*life.state.cause_times} == {"out_of_memory", "spot_interruption"}

    def test_the_next_alert_opens_the_incident_at_its_own_time_if_that_is_earlier(self, life: Life) -> None:
        life.gets(replace(WARNED, at=START + 60), suppression=SILENCE)
        life.gets(WARNED)
        assert life.incident.opened_at == START

    def test_an_alert_a_day_later_opens_the_incident_at_its_own_time(self, life: Life) -> None:
        life.gets(WARNED, suppression=SILENCE)
        life.gets(replace(WARNED, at=START + DAY + 1))
        assert life.incident.opened_at == START + DAY + 1
        assert life.incident.silenced is None

    def test_an_open_incident_counts_what_was_silenced_with_its_next_alert(self, life: Life) -> None:
        life.gets(WARNED)
        life.gets(replace(WARNED, at=START + 1), suppression=SILENCE)
        life.gets(replace(WARNED, at=START + 2))
        life.gets(replace(WARNED, at=START + 3), suppression=SILENCE)
        life.gets(replace(WARNED, at=START + 4))
        assert life.incident.silenced == Silenced(START + 1, START + 3, 2, {"s1": "deploying"})
        assert life.incident.count == 3

    def test_a_silenced_alert_puts_off_the_lapse_of_an_open_incident(self, life: Life) -> None:
        life.gets(WARNED)
        life.now += HOUR
        life.gets(replace(WARNED, at=START + 1), suppression=SILENCE)
        assert life.state.lapse_at == START + HOUR + DAY

    def test_a_silenced_failure_opens_a_recovering_incident_again(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(a_recovery(START))
        life.gets(replace(WARNED, at=START + 1), suppression=SILENCE)
        assert life.incident_is(IncidentStatus.OPEN)
        assert (life.incident.ended_at, life.incident.ended_by) == (None, None)
        assert life.state.resolve_at is None

    def test_a_silenced_exit_that_is_over_already_does_not_put_off_the_end(self, life: Life) -> None:
        """It is reported after the stop of its task."""
        life.gets(an_alert("task_stopped", task="t1", stopped=True, severity=Severity.WARNING))
        life.gets(a_recovery(START))
        begins = Effects(begins=(Begun(container_key("t1", "agent")),))
        exit_ = an_alert("container_exited", START - 9, task="t1", exited=("agent",), effects=begins)
        life.now += MINUTE
        assert life.gets(exit_, suppression=SILENCE) is Decision.SILENCED
        assert (life.incident.status, life.state.resolve_at) == (IncidentStatus.RECOVERING, START + 300)

    def test_a_silenced_failure_opens_no_incident_that_is_over(self, life: Life) -> None:
        resolved(life)
        life.gets(replace(WARNED, at=life.now), suppression=SILENCE)
        assert life.incident_is(IncidentStatus.RESOLVED)
        assert life.state.lapse_at is None

    def test_a_silenced_alert_is_not_told_to_a_channel_that_waits(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(WORSE, suppression=SILENCE)
        assert not life.entry().is_behind
        assert life.entry().suppressed == {}


class TestTheEndOfASilence:
    def test_what_continues_opens_an_incident(self, life: Life) -> None:
        life.gets(a_beginning(), SLACK, EMAIL, suppression=SILENCE)
        life.waits(HOUR - 1)
        assert life.state.incident is None
        life.waits(1)
        incident = life.incident
        assert (incident.alert.cause, incident.opened_at, incident.count) == ("cause of alarm", START, 1)
        assert {*life.state.outbox} == {"slack", "email"}
        assert life.entry().due_at == life.now
        assert life.state.muted is None
        assert life.state.lapse_at is None

    def test_the_alert_is_no_longer_counted_as_silenced(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=SILENCE)
        life.waits(HOUR)
        assert life.incident.silenced is None
        assert life.state.silenced is None

    def test_the_other_silenced_alerts_still_are(self, life: Life) -> None:
        life.gets(WARNED, suppression=SILENCE)
        life.gets(replace(WARNED, at=START + 1), suppression=SILENCE)
        life.gets(a_beginning(at=START + 2), suppression=SILENCE)
        life.waits(HOUR)
        assert life.incident.silenced is not None
        assert life.incident.silenced.count == 2
        assert life.incident.opened_at == START

    def test_an_alert_that_no_silence_counts_any_more_opens_it_too(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=Suppression({"s": "long"}, START + 3 * DAY))
        life.state = life.state._replace(silenced=None)
        life.waits(3 * DAY)
        assert life.incident.silenced is None

    def test_the_incident_says_what_came_before_the_alert(self, life: Life) -> None:
        """History has counted the alert itself, and what came after it, already."""
        life.gets(replace(a_beginning(), cause="alarm"), suppression=SILENCE)
        life.gets(an_end(at=START + 1))
        life.gets(replace(a_beginning(at=START + 2), cause="alarm"), suppression=SILENCE)
        life.waits(HOUR)
        assert life.incident.recurrence.last_day == 1

    def test_an_alert_that_the_incident_is_not_about_leaves_what_it_says_of_the_past(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        before = life.incident.recurrence
        life.state = life.state._replace(occurrences={"cause of alarm": ((START - 5.0, 5),)})
        life.gets(replace(a_beginning(at=START + 1), severity=Severity.WARNING), suppression=SILENCE)
        life.waits(HOUR)
        assert life.incident.recurrence == before
        assert life.incident.latest is not None
        assert life.incident.latest.cause == "cause of alarm"

    def test_an_incident_that_is_open_goes_on_within_its_window(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(
            replace(a_beginning(at=START + 1), severity=Severity.WARNING),
            suppression=SILENCE._replace(until=START + 60),
        )
        life.waits(60)
        assert life.incident.number == 1
        assert not life.entry().is_behind
        assert life.entry().suppressed == {"cause of alarm": 1}

    @pytest.mark.parametrize(("first", "revision"), [(WARNED, 2), (an_alert(), 1)])
    def test_a_message_that_is_being_sent_is_out_of_date_if_it_is_worse(
        self, life: Life, first: Alert, revision: int
    ) -> None:
        life.gets(first)
        life.gets(a_beginning(at=START + 1), suppression=SILENCE._replace(until=START + 60))
        life.leases(seconds=2 * HOUR)
        life.waits(60)
        assert life.entry().wanted_revision == revision

    def test_a_message_that_is_being_sent_is_out_of_date_if_the_incident_was_over(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        life.leases(seconds=2 * HOUR)
        life.gets(a_beginning(at=life.now), suppression=SILENCE._replace(until=life.now + 60))
        life.waits(60)
        assert life.entry().wanted_revision == 3

    def test_the_silenced_alert_is_kept_while_a_condition_continues(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=SILENCE)
        life.gets(a_recovery(START - 1))
        assert life.state.muted is not None

    def test_an_alert_that_is_announced_takes_its_place(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=SILENCE)
        life.gets(an_alert(at=START - 1))
        assert life.state.muted is not None
        life.gets(an_alert())
        assert life.state.muted is None


class TestTime:
    def test_without_an_incident_time_changes_nothing(self, life: Life) -> None:
        life.gets(a_recovery())
        before = life.state
        life.waits(9 * DAY)
        assert life.state == before

    def test_an_incident_that_is_over_stays_as_it_is(self, life: Life) -> None:
        resolved(life)
        before = life.state
        life.waits(9 * DAY)
        assert life.state == before

    def test_a_recovery_is_complete_after_its_quiet_time(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE - 1)
        assert life.incident_is(IncidentStatus.RECOVERING)
        life.waits(1)
        assert life.incident_is(IncidentStatus.RESOLVED)
        assert life.incident.ended_at == START
        assert life.entry().due_at == life.now

    def test_what_is_unconfirmed_is_over_at_once(self, life: Life) -> None:
        """No quiet time makes it more certain."""
        life.gets(a_beginning())
        life.sends()
        life.now += HOUR
        life.state = apply_findings(life.state, {"alarm": EndedBy.UNCONFIRMED}, life.now, TIMING)
        life.waits(1)
        assert life.incident_is(IncidentStatus.UNCONFIRMED)
        assert life.incident.ended_at == life.entry().due_at == life.now

    def test_an_open_incident_of_which_something_is_unconfirmed_goes_on(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(WARNED)
        life.state = apply_findings(life.state, {"alarm": EndedBy.UNCONFIRMED}, START, TIMING)
        life.waits(1)
        assert life.incident_is(IncidentStatus.OPEN)

    def test_an_incident_lapses_a_day_after_its_last_alert(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.waits(DAY - 1)
        assert life.incident_is(IncidentStatus.OPEN)
        life.waits(1)
        assert life.incident_is(IncidentStatus.LAPSED)
        assert life.incident.ended_at == life.entry().due_at == START + DAY

    def test_an_incident_does_not_lapse_while_a_digest_is_pending(self, life: Life) -> None:
        life.gets(WARNED, SLACK._replace(dedup_window=2 * DAY))
        life.sends()
        life.gets(replace(WARNED, at=START + 1), SLACK._replace(dedup_window=2 * DAY))
        life.waits(DAY)
        assert life.incident_is(IncidentStatus.OPEN)
        assert life.state.lapse_at == START + DAY + HOUR

    def test_an_incident_lapses_although_a_channel_fails(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends(Outcome.RETRY)
        life.waits(DAY)
        assert life.incident_is(IncidentStatus.LAPSED)

    def test_a_digest_of_nothing_but_what_has_ended_is_dropped(self, life: Life) -> None:
        life.gets(an_alert(at=START + 60))
        life.sends()
        life.gets(an_alert("image_pull_failed"))
        life.gets(a_recovery(START))
        assert life.entry().due_at == START + WINDOW
        life.waits(WINDOW)
        assert (life.entry().due_at, life.entry().suppressed) == (None, {})
        assert life.incident_is(IncidentStatus.OPEN)

    def test_a_digest_is_dropped_only_when_it_is_due(self, life: Life) -> None:
        life.gets(an_alert(at=START + 60))
        life.sends()
        life.gets(an_alert("image_pull_failed"))
        life.gets(a_recovery(START))
        life.waits(WINDOW - 1)
        assert life.entry().suppressed

    def test_a_digest_of_anything_that_continues_is_sent(self, life: Life) -> None:
        life.gets(an_alert(at=START + 60))
        life.sends()
        life.gets(an_alert("image_pull_failed"))
        life.gets(an_alert(at=START + 61))
        life.gets(a_recovery(START))
        life.waits(WINDOW)
        assert life.sends()["slack"].suppressed == {"image_pull_failed": 1, "out_of_memory": 1}

    def test_a_subject_that_fails_again_and_again_keeps_its_digests(self, life: Life) -> None:
        life.gets(WARNED)
        life.sends()
        life.gets(a_recovery(START))
        life.gets(an_alert(at=START + 60))
        life.sends()
        life.gets(an_alert("image_pull_failed", START + 1))
        life.gets(a_recovery(START + 1))
        life.waits(2 * HOUR)
        assert life.entry().suppressed == {"image_pull_failed": 1}

    @pytest.mark.parametrize(
        "but",
        [{"wanted_revision": 9}, {"lease_owner": "one", "lease_ends_at": START + DAY}, {"suppressed": {}}],
        ids=str,
    )
    def test_what_is_no_digest_is_not_dropped(self, life: Life, but: dict[str, Any]) -> None:
        """News, what is being sent, or a reminder."""
        life.gets(an_alert(at=START + 60), SLACK, EMAIL)
        life.sends()
        life.gets(an_alert("image_pull_failed"), SLACK, EMAIL)
        life.gets(a_recovery(START))
        life.state = life.state._replace(outbox={**life.state.outbox, "slack": life.entry()._replace(**but)})
        before = life.entry()
        life.waits(WINDOW)
        assert life.entry() == before
        assert life.entry("email").due_at is None

    def test_a_channel_is_reminded_of_a_condition_that_continues(self, life: Life) -> None:
        life.gets(a_beginning(), SLACK, EMAIL)
        life.sends()
        life.state = life.state._replace(
            conditions={"alarm": life.state.conditions["alarm"]._replace(seen_at=START + DAY)}
        )
        life.waits(DAY - 1)
        assert not life.entry().is_behind
        life.waits(1)
        assert (life.entry().is_behind, life.entry().due_at, life.entry().reminded_at) == (True, life.now, life.now)
        assert not life.entry("email").is_behind

    def test_nobody_is_reminded_of_an_occurrence(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.now += DAY - 1
        life.gets(an_alert(at=life.now), EMAIL)
        life.waits(1)
        assert not life.entry().is_behind


class TestClosing:
    def test_it_says_who_closed_it_when_and_why(self, life: Life) -> None:
        life.gets(WARNED)
        life.state = close(life.state, "ann", "known", START + 60)
        incident = life.incident
        assert (incident.status, incident.ended_at) == (IncidentStatus.CLOSED, START + 60)
        assert (incident.closed_by, incident.closed_because) == ("ann", "known")

    def test_alerts_from_before_are_not_announced_any_more(self, life: Life) -> None:
        life.gets(WARNED)
        life.now += HOUR
        life.closes()
        assert life.gets(replace(WARNED, at=life.now)) is Decision.ALREADY_RESOLVED
        assert life.gets(a_beginning(at=life.now)) is Decision.ALREADY_RESOLVED
        failed = an_alert(FAILED_DEPLOYMENT, life.now, effects=Effects(deployment=DeploymentStep.FAILED))
        assert life.gets(failed) is Decision.ALREADY_RESOLVED
        assert life.gets(replace(WARNED, at=life.now + 1)) is Decision.ANNOUNCED

    def test_alerts_from_before_are_not_announced_when_another_incident_has_opened_either(self, life: Life) -> None:
        life.gets(a_beginning())
        life.now += HOUR
        life.closes()
        life.gets(an_alert(at=life.now + 1))
        assert life.incident.number == 2
        assert life.gets(replace(WARNED, at=START + 60)) is Decision.ALREADY_RESOLVED
        assert life.gets(a_beginning(at=START + 60)) is Decision.ALREADY_RESOLVED
        failed = an_alert(FAILED_DEPLOYMENT, START + 60, effects=Effects(deployment=DeploymentStep.FAILED))
        assert life.gets(failed) is Decision.ALREADY_RESOLVED

    def test_its_conditions_end_with_it(self, life: Life) -> None:
        life.gets(an_end("hook/h"))
        life.gets(a_beginning())
        life.closes()
        assert not life.state.conditions
        assert life.state.ended == {"hook/h": START, "alarm": START}

    def test_what_people_know_already_is_not_taken_back(self, life: Life) -> None:
        life.gets(a_recovery(START + 60))
        effects = {"deployment": DeploymentStep.COMPLETED}
        life.gets(a_recovery(START + 60, **effects))
        life.gets(replace(WARNED, at=START + 61))
        life.closes()
        assert (life.state.quiet_from, life.state.deployment_resolved_at) == (START + 60, START + 60)

    def test_what_a_silence_kept_is_forgotten(self, life: Life) -> None:
        life.gets(WARNED)
        life.gets(a_beginning(), suppression=SILENCE)
        life.closes()
        assert (life.state.muted, life.state.silenced) == (None, None)

    def test_there_is_nothing_left_to_do_but_to_tell(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(WARNED)
        life.sends()
        life.closes()
        state = life.state
        assert (state.verify_at, state.resolve_at, state.lapse_at) == (None, None, None)
        assert state.cause_times == {}
        assert life.entry().due_at == START

    def test_what_is_over_or_was_never_open_is_not_closed(self, life: Life) -> None:
        life.closes()
        assert life.state == SubjectState(SUBJECT)
        resolved(life)
        before = life.state
        life.closes()
        assert life.state == before

    def test_a_failed_deployment_is_remembered_after_a_recovery_and_not_after_anything_else(self, life: Life) -> None:
        failed = an_alert(FAILED_DEPLOYMENT, START, effects=Effects(deployment=DeploymentStep.FAILED))
        life.gets(failed)
        life.gets(replace(WARNED, at=START))
        life.gets(a_recovery(START, deployment=DeploymentStep.COMPLETED))
        other = replace(life)
        life.waits(5 * MINUTE)
        assert life.state.cause_times == {FAILED_DEPLOYMENT: START}
        other.closes()
        assert other.state.cause_times == {}


class TestRepeats:
    def test_a_repeat_is_not_announced_or_counted(self, life: Life) -> None:
        life.gets(WARNED)
        before = life.state
        assert apply_repeat(life.state, WARNED, START, TIMING) == before

    def test_it_still_ends_what_it_ends(self, life: Life) -> None:
        life.gets(a_beginning())
        life.now += 60
        state = apply_repeat(life.state, an_end(at=START + 5), life.now, TIMING)
        assert not state.conditions
        assert state.incident is not None
        assert (state.incident.status, state.incident.ended_at) == (IncidentStatus.RECOVERING, START + 5)
        assert state.resolve_at == START + 60 + 300

    def test_the_stop_of_a_task_is_remembered(self, life: Life) -> None:
        life.gets(an_alert("container_exited", task="t1", exited=("agent",)))
        stop = an_alert("task_stopped", START + 60, Severity.WARNING, task="t1", stopped=True)
        state = apply_repeat(life.state, stop, START, TIMING)
        assert stopped_at(state, "t1") == START + 60

    def test_an_exit_that_aws_reports_again_is_remembered(self, life: Life) -> None:
        exit_ = an_alert("container_exited", task="t1", exited=("agent",))
        state = apply_repeat(life.state, exit_, START, TIMING)
        assert exits_of(state, "t1") == {"agent": Severity.CRITICAL}

    def test_a_stop_that_changes_nothing_is_not_remembered(self, life: Life) -> None:
        stop = an_alert("task_stopped", severity=Severity.INFO, task="t1", stopped=True)
        assert apply_repeat(life.state, stop, START, TIMING) == life.state

    def test_missing_data_that_are_reported_before_the_alarm_and_again_after_it_begin_the_time_without_data(
        self, life: Life
    ) -> None:
        lost = an_alert("cloudwatch_alarm", START, Severity.INFO, effects=Effects(uncertain=("alarm",)))
        life.gets(lost)
        life.gets(a_beginning(at=START - 1))
        state = apply_repeat(life.state, lost, START + 5, TIMING)
        assert state.conditions["alarm"].uncertain_since == START + 5


class TestLate:
    """An alert that was announced without history, and that has ended when history is back."""

    def test_its_incident_recovers_at_once(self, life: Life) -> None:
        life.gets(a_recovery(START + 60))
        state = apply_late(life.state, WARNED, [SLACK], START + HOUR, TIMING)
        assert state.incident is not None
        assert (state.incident.status, state.incident.ended_by) == (IncidentStatus.RECOVERING, EndedBy.OTHER)
        assert state.incident.ended_at == START + 60
        assert state.resolve_at == START + HOUR + 300
        assert state.outbox["slack"].due_at == START + HOUR
        assert state.incident.causes == {"spot_interruption": 1}
        assert "spot_interruption" in state.occurrences

    def test_never_before_it_began(self, life: Life) -> None:
        state = apply_late(life.state, WARNED, [SLACK], START + HOUR, TIMING)
        assert state.incident is not None
        assert state.incident.ended_at == START

    def test_it_does_not_outdate_a_message_that_is_being_sent(self, life: Life) -> None:
        life.gets(WARNED)
        life.leases(seconds=DAY)
        state = apply_late(life.state, WORSE, [SLACK], START + HOUR, TIMING)
        assert state.outbox["slack"].wanted_revision == 1
