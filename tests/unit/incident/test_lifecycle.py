"""The life of an incident (README, "Notification kinds"), through the whole router in memory."""

import pytest

from local_aws.events import (
    alarm,
    container,
    task_event,
    task_stopped,
)
from router.config.settings import Route
from router.history.items import iso
from router.model import Decision, Kind, Severity
from tests.doubles.service_events import SPOT, crash, deployed, spot, steady
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
