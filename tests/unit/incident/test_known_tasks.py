"""What a state remembers of tasks stays small, and of what tasks report themselves nothing is taken for AWS's word."""

from dataclasses import replace
from typing import Any

import pytest

from local_aws import events
from router.incident.known_tasks import (
    STOPS_REMEMBERED,
    TASKS_REMEMBERED,
    exits_of,
    remember,
    replaced_report,
    restarted_at,
    stopped_at,
)
from router.incident.state import KnownTask, Replaced, SelfReport, SubjectState, container_key
from router.incident.suppression import Suppression
from router.model import Alert, Begun, Container, Effects, Severity
from tests.doubles.alerts import alert_of
from tests.doubles.subject import EMAIL, SLACK, Life, an_alert
from tests.doubles.world import START

EXITED = alert_of(events.task_event(containers=[events.container("envoy", 1), events.container(status="RUNNING")]))
STOPPED = alert_of(events.task_stopped())
SCALED_IN = ("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)")


def remembered(state: SubjectState, alert: Alert) -> SubjectState:
    return remember(state, state._replace(quiet_from=state.quiet_from + 1), alert)


@pytest.fixture
def state() -> SubjectState:
    return SubjectState(EXITED.subject)


def test_the_containers_that_exited_are_known_by_name(state: SubjectState) -> None:
    state = remembered(state, EXITED)
    assert exits_of(state, EXITED.task) == {"envoy": Severity.WARNING}
    assert not exits_of(state, "another task")


def test_the_stop_of_a_task_is_known(state: SubjectState) -> None:
    assert stopped_at(remembered(state, STOPPED), STOPPED.task) == STOPPED.at


def test_a_stop_that_changes_nothing_is_not_remembered(state: SubjectState) -> None:
    assert remember(state, state, STOPPED) == state


def test_a_stop_is_remembered_if_the_exit_of_a_container_may_be_reported_later(state: SubjectState) -> None:
    for sidecar in (events.container("envoy", 1), events.container("envoy", 137, "OutOfMemoryError: killed")):
        stop = alert_of(events.task_stopped(*SCALED_IN, events.container(exit_code=143), sidecar))
        assert stopped_at(remember(state, state, stop), stop.task) == stop.at


@pytest.mark.parametrize("code", [0, 137, 143])
def test_a_stop_whose_containers_were_all_asked_to_stop_is_not_remembered(state: SubjectState, code: int) -> None:
    stop = alert_of(events.task_stopped(*SCALED_IN, events.container(exit_code=143), events.container("envoy", code)))
    assert remember(state, state, stop) == state


def test_the_most_recent_tasks_are_remembered(state: SubjectState) -> None:
    for number in range(TASKS_REMEMBERED + 5):
        state = remembered(state, replace(EXITED, task=str(number)))
    assert [*state.tasks] == [str(number) for number in range(5, TASKS_REMEMBERED + 5)]


def test_tasks_known_for_their_stop_alone_are_few(state: SubjectState) -> None:
    """They must not crowd out the containers that exited."""
    state = remembered(state, EXITED)
    for number in range(STOPS_REMEMBERED + 5):
        state = remembered(state, replace(STOPPED, task=str(number)))
    assert len(state.tasks) == STOPS_REMEMBERED + 1
    assert exits_of(state, EXITED.task)


def test_what_a_task_reports_itself_is_no_known_exit(state: SubjectState) -> None:
    state = remembered(state, replace(EXITED, self_reported=True))
    assert not exits_of(state, EXITED.task)
    assert state.tasks[EXITED.task].self_reports.keys() == {"envoy"}


def test_the_word_of_aws_takes_the_place_of_the_report(state: SubjectState) -> None:
    state = remembered(remembered(state, replace(EXITED, self_reported=True)), EXITED)
    assert state.tasks[EXITED.task] == KnownTask({"envoy": Severity.WARNING})


def test_a_report_that_no_incident_counts_is_not_replaced(state: SubjectState) -> None:
    state = remembered(state, replace(EXITED, self_reported=True))
    assert replaced_report(state, EXITED) is None


# --- in the life of a subject -----------------------------------------------------------------------------------------


AGENT = an_alert("container_exited", severity=Severity.WARNING, task="t1", exited=("agent",))
REPORT = replace(AGENT, self_reported=True)
STOP = an_alert("task_stopped", START + 60, Severity.WARNING, task="t1", stopped=True)


@pytest.fixture
def life() -> Life:
    return Life()


def again(at: float, *containers: tuple[str, str]) -> Alert:
    """The task goes on, and its containers have these statuses."""
    found = tuple(Container(name, status) for name, status in containers)
    return an_alert("task_running", at, Severity.INFO, task="t1", containers=found)


class TestRestarts:
    def test_a_container_that_runs_again_has_been_restarted_at_that_time(self, life: Life) -> None:
        life.gets(AGENT)
        life.gets(again(START + 9, ("agent", "RUNNING"), ("app", "RUNNING")))
        assert exits_of(life.state, "t1") == {}
        assert restarted_at(life.state, "t1", ["agent"]) == START + 9
        assert restarted_at(life.state, "t1", ["app"]) is None
        assert restarted_at(life.state, "another task", ["agent"]) is None

    def test_one_that_does_not_run_is_still_dead(self, life: Life) -> None:
        life.gets(replace(AGENT, exited=("agent", "envoy")))
        life.gets(again(START + 9, ("agent", "RUNNING"), ("envoy", "STOPPED")))
        assert [*exits_of(life.state, "t1")] == ["envoy"]

    def test_the_newest_of_several_restarts_counts(self, life: Life) -> None:
        life.gets(replace(AGENT, exited=("agent", "envoy")))
        life.gets(again(START + 9, ("envoy", "RUNNING")))
        life.gets(again(START + 5, ("agent", "RUNNING")))
        assert restarted_at(life.state, "t1", ["agent", "envoy"]) == START + 9
        assert restarted_at(life.state, "t1", ["agent"]) == START + 5

    def test_a_container_that_died_later_was_not_restarted(self, life: Life) -> None:
        begins = Effects(begins=(Begun(container_key("t1", "agent")),))
        life.gets(replace(AGENT, at=START + 9, effects=begins))
        life.gets(again(START + 8, ("agent", "RUNNING")))
        assert [*exits_of(life.state, "t1")] == ["agent"]
        life.gets(again(START + 9, ("agent", "RUNNING")))
        assert restarted_at(life.state, "t1", ["agent"]) == START + 9

    def test_a_container_may_exit_again_after_its_restart(self, life: Life) -> None:
        life.gets(AGENT)
        life.gets(again(START + 9, ("agent", "RUNNING")))
        life.gets(replace(AGENT, at=START + 20))
        assert [*exits_of(life.state, "t1")] == ["agent"]
        assert restarted_at(life.state, "t1", ["agent"]) == START + 9

    def test_a_task_that_says_itself_that_it_runs_again_is_not_believed(self, life: Life) -> None:
        life.gets(AGENT)
        life.gets(replace(again(START + 9, ("agent", "RUNNING")), self_reported=True))
        assert [*exits_of(life.state, "t1")] == ["agent"]

    def test_nothing_runs_in_a_task_that_has_stopped(self, life: Life) -> None:
        """Though its event may list a container as it was before."""
        life.gets(AGENT)
        life.gets(replace(again(START + 9, ("agent", "RUNNING")), stopped=True))
        assert [*exits_of(life.state, "t1")] == ["agent"]

    def test_a_container_that_never_exited_was_not_restarted(self, life: Life) -> None:
        life.gets(again(START + 9, ("agent", "RUNNING")))
        assert life.state.tasks == {}


class TestStops:
    def test_an_alert_that_is_not_about_a_task_is_not_remembered(self, life: Life) -> None:
        life.gets(replace(AGENT, task=""))
        assert life.state.tasks == {}

    def test_the_stop_of_a_task_that_nothing_is_known_of_is_not_remembered_if_it_changes_nothing(
        self, life: Life
    ) -> None:
        life.gets(replace(STOP, severity=Severity.INFO))
        assert life.state.tasks == {}

    def test_the_stop_of_a_task_that_is_known_is_remembered_though_it_changes_nothing(self, life: Life) -> None:
        life.gets(AGENT)
        assert stopped_at(remember(life.state, life.state, STOP), "t1") == START + 60

    def test_what_is_known_of_a_task_outlives_its_stop(self, life: Life) -> None:
        life.gets(AGENT)
        life.gets(STOP)
        assert life.state.tasks["t1"] == KnownTask({"agent": Severity.WARNING}, stopped_at=START + 60)

    def test_no_stop_is_known_of_a_task_that_goes_on(self, life: Life) -> None:
        life.gets(AGENT)
        life.gets(an_alert(task="t1"))
        assert stopped_at(life.state, "t1") is None
        assert stopped_at(life.state, "another") is None

    def test_what_was_known_already_makes_no_task_more_recent(self, life: Life) -> None:
        """Else every event of an old task would push out a newer one."""
        life.gets(AGENT)
        life.gets(replace(AGENT, task="t2"))
        life.gets(AGENT)
        assert [*life.state.tasks] == ["t1", "t2"]

    def test_news_of_a_task_makes_it_the_most_recent(self, life: Life) -> None:
        life.gets(AGENT)
        life.gets(replace(AGENT, task="t2"))
        life.gets(replace(AGENT, exited=("envoy",)))
        assert [*life.state.tasks] == ["t2", "t1"]

    @pytest.mark.parametrize(
        "known",
        [
            KnownTask({"agent": Severity.WARNING}),
            KnownTask(restarted={"agent": START}),
            KnownTask(self_reports={"agent": SelfReport(0, "container_exited", Severity.WARNING)}),
        ],
    )
    def test_only_tasks_known_for_nothing_else_are_few(self, state: SubjectState, known: KnownTask) -> None:
        state = state._replace(tasks={"old": known._replace(stopped_at=START)})
        for number in range(STOPS_REMEMBERED + 1):
            state = remembered(state, replace(STOPPED, task=str(number)))
        assert [*state.tasks] == ["old", *(str(number) for number in range(1, STOPS_REMEMBERED + 1))]

    def test_the_exit_of_a_lone_container_cannot_be_reported_later(self, state: SubjectState) -> None:
        stop = alert_of(events.task_stopped(*SCALED_IN, events.container("app", 1)))
        assert remember(state, state, stop) == state

    def test_a_reason_may_be_reported_later_though_its_code_is_that_of_a_signal(self, state: SubjectState) -> None:
        containers = (Container("agent", exit_code=137, reason="OutOfMemoryError"), Container("app", exit_code=0))
        assert remember(state, state, replace(STOPPED, containers=containers)).tasks
        quiet = (Container("agent", exit_code=137), Container("app", exit_code=None), Container("x", exit_code=130))
        assert not remember(state, state, replace(STOPPED, containers=quiet)).tasks


class TestReports:
    """What a task reports of itself, until AWS confirms it."""

    def test_a_report_knows_the_incident_that_counts_it_and_the_revisions_that_tell_of_it(self, life: Life) -> None:
        life.gets(REPORT, SLACK, EMAIL)
        report = life.state.tasks["t1"].self_reports["agent"]
        assert report == SelfReport(1, "container_exited", Severity.WARNING, {"slack": 1, "email": 1})

    def test_a_report_that_no_incident_counts_has_no_number(self, life: Life) -> None:
        life.gets(REPORT, suppression=Suppression({"s": "deploying"}))
        assert life.state.tasks["t1"].self_reports["agent"].incident == 0
        life.gets(an_alert())
        life.gets(replace(REPORT, task="t2"), suppression=Suppression({"s": "deploying"}))
        assert life.state.tasks["t2"].self_reports["agent"].incident == 0

    def test_a_report_in_an_incident_that_is_over_has_no_number(self, life: Life) -> None:
        life.gets(replace(AGENT, task="t2"))
        life.closes()
        state = remember(life.state, life.state, REPORT)
        assert state.tasks["t1"].self_reports["agent"].incident == 0

    def test_a_report_that_is_held_back_is_told_by_the_next_revision(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.gets(REPORT)
        assert life.state.tasks["t1"].self_reports["agent"].revisions == {"slack": 2}

    def test_a_report_that_comes_while_a_message_is_sent_is_told_by_the_one_after_it(self, life: Life) -> None:
        life.gets(an_alert())
        life.leases()
        life.gets(REPORT)
        assert life.state.tasks["t1"].self_reports["agent"].revisions == {"slack": 2}

    def test_reports_of_several_containers_are_kept_together(self, life: Life) -> None:
        life.gets(REPORT)
        life.gets(replace(REPORT, exited=("envoy",)))
        assert {*life.state.tasks["t1"].self_reports} == {"agent", "envoy"}

    def test_only_the_report_that_aws_confirms_is_forgotten(self, life: Life) -> None:
        life.gets(replace(REPORT, exited=("agent", "envoy")))
        life.gets(AGENT)
        assert [*life.state.tasks["t1"].self_reports] == ["envoy"]

    def test_an_exit_that_aws_reports_after_another_leaves_that_known(self, life: Life) -> None:
        life.gets(AGENT)
        life.gets(replace(AGENT, exited=("envoy",), severity=Severity.CRITICAL))
        assert exits_of(life.state, "t1") == {"agent": Severity.WARNING, "envoy": Severity.CRITICAL}


class TestReplacedReports:
    def test_the_alert_of_aws_takes_the_place_of_the_report_of_the_same_exit(self, life: Life) -> None:
        life.gets(replace(REPORT, cause="reported"))
        replaced = replaced_report(life.state, AGENT)
        assert replaced == Replaced("reported", frozenset())

    def test_a_channel_that_was_told_of_the_report_need_not_be_told_again(self, life: Life) -> None:
        life.gets(REPORT, SLACK, EMAIL)
        life.answers(life.leases("slack")["slack"])
        assert replaced_report(life.state, AGENT) == Replaced("container_exited", frozenset({"slack"}))

    def test_a_channel_is_told_of_an_alert_that_is_more_severe_than_the_report(self, life: Life) -> None:
        life.gets(REPORT)
        life.sends()
        worse = replaced_report(life.state, replace(AGENT, severity=Severity.ERROR))
        assert worse == Replaced("container_exited", frozenset())
        milder = replaced_report(life.state, replace(AGENT, severity=Severity.INFO))
        assert milder == Replaced("container_exited", frozenset({"slack"}))

    def test_a_channel_that_joined_after_the_report_was_not_told_of_it(self, life: Life) -> None:
        life.gets(REPORT, SLACK)
        life.gets(an_alert(), EMAIL)
        life.sends()
        assert replaced_report(life.state, AGENT) == Replaced("container_exited", frozenset({"slack"}))

    def test_a_channel_must_have_been_told_of_each_of_several_exits(self, life: Life) -> None:
        life.gets(REPORT)
        life.sends()
        life.gets(replace(REPORT, exited=("envoy",), at=START + 1))
        both = replace(AGENT, exited=("agent", "envoy"))
        assert replaced_report(life.state, both) == Replaced("container_exited", frozenset())

    def test_a_task_does_not_replace_its_own_report(self, life: Life) -> None:
        life.gets(REPORT)
        assert replaced_report(life.state, REPORT) is None

    def test_an_exit_beyond_those_reported_is_another_ending(self, life: Life) -> None:
        life.gets(REPORT)
        assert replaced_report(life.state, replace(AGENT, exited=("agent", "envoy"))) is None

    @pytest.mark.parametrize("other", [{"task": "t2"}, {"exited": ("envoy",)}, {"exited": ()}], ids=str)
    def test_another_exit_replaces_nothing(self, life: Life, other: dict[str, Any]) -> None:
        life.gets(REPORT)
        assert replaced_report(life.state, replace(AGENT, **other)) is None

    def test_a_report_in_an_incident_that_is_over_is_not_replaced(self, life: Life) -> None:
        life.gets(REPORT)
        life.closes()
        assert replaced_report(life.state, AGENT) is None

    def test_a_report_that_an_earlier_incident_counts_is_not_replaced(self, life: Life) -> None:
        life.gets(REPORT)
        life.closes()
        life.gets(an_alert(at=START + 1))
        assert life.incident.number == 2
        assert replaced_report(life.state, AGENT) is None

    def test_without_an_incident_there_is_nothing_to_replace(self, life: Life) -> None:
        life.gets(REPORT)
        assert replaced_report(life.state._replace(incident=None), AGENT) is None
