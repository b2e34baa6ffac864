"""What a state remembers of tasks stays small, and of what tasks report themselves nothing is taken for AWS's word."""

from dataclasses import replace

import pytest

from local_aws import events
from router.incident.known_tasks import (
    STOPS_REMEMBERED,
    TASKS_REMEMBERED,
    exits_of,
    remember,
    replaced_report,
    stopped_at,
)
from router.incident.state import KnownTask, SubjectState
from router.model import Alert, Severity
from tests.doubles.alerts import alert_of

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
