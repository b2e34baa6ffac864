"""What is remembered of a subject: how often each cause came before, and which deployment began it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.config.settings import EnrichSettings
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.history.items import iso
from router.incident.recurrence import (
    CAUSES_REMEMBERED,
    DAY,
    DEPLOYMENTS_REMEMBERED,
    HOUR,
    WEEK,
    count_occurrence,
    record_deployment,
    recurrence_of,
)
from router.incident.state import SubjectState
from router.model import Alert, Recurrence
from tests.doubles.subject import SUBJECT, an_alert
from tests.doubles.world import MINUTE, START, World

BEGUN = "SERVICE_DEPLOYMENT_IN_PROGRESS"


def of(raw: events.Raw) -> Alert:
    event = normalise(raw)
    return alert(event, classify(event))


def died(at: float, task: str = events.TASK, **fields: str) -> events.Raw:
    return events.task_stopped(stoppedAt=iso(at), task=task, event_id=f"{task}-{at}", **fields)


def begun(at: float, deployment: str = events.DEPLOYMENT) -> events.Raw:
    return events.deployment(BEGUN, updatedAt=iso(at), deploymentId=deployment) | {"id": f"begun-{at}"}


def state(*raws: events.Raw) -> SubjectState:
    """With each of them counted, or noted as a deployment."""
    made = SubjectState(of(died(START)).subject)
    for raw in map(of, raws):
        made = record_deployment(made, raw) if raw.cause == BEGUN.lower()[8:] else count_occurrence(made, raw)
    return made


# --- how often --------------------------------------------------------------------------------------------------------


def test_earlier_occurrences_are_counted_over_a_day_and_a_week() -> None:
    """Not another cause, nor what is older than a week."""
    spot = events.task_stopped("SpotInterruption", "x", stoppedAt=iso(START - 60))
    known = state(died(START - 8 * DAY), died(START - 30 * HOUR), died(START - HOUR), spot)
    assert recurrence_of(known, of(died(START))) == Recurrence(last_day=1, last_week=2, previous=START - HOUR)


def test_a_first_occurrence_has_no_recurrence() -> None:
    assert recurrence_of(state(), of(died(START))) == Recurrence()


@given(
    st.lists(st.floats(0, 9 * DAY), max_size=60).map(sorted).map(lambda ages: [START - age for age in reversed(ages)])
)
def test_counts_are_exact_to_the_hour_and_what_is_kept_stays_small(times: list[float]) -> None:
    known = state(*(died(at, f"t{number}") for number, at in enumerate(times)))
    found = recurrence_of(known, of(died(START)))
    exactly = [sum(at >= START - span for at in times) for span in (DAY - HOUR, DAY + HOUR, WEEK - DAY, WEEK + DAY)]
    assert exactly[0] <= found.last_day <= exactly[1]
    assert exactly[2] <= found.last_week <= exactly[3]
    assert all(len(kept) <= 25 + 8 for kept in known.occurrences.values())


@given(st.permutations([START - 90, START - 3 * HOUR, START - 2 * DAY, START - 2 * DAY - 60]))
def test_the_order_of_arrival_does_not_matter(times: list[float]) -> None:
    known = state(*(died(at, f"t{number}") for number, at in enumerate(times)))
    assert recurrence_of(known, of(died(START))) == Recurrence(last_day=2, last_week=4, previous=START - 90)


@pytest.mark.parametrize("later", [0.3, -0.3])
def test_alerts_within_a_second_know_of_each_other(later: float) -> None:
    """Whichever was counted first; what is kept is whole seconds."""
    known = state(died(START + 0.6))
    found = recurrence_of(known, of(died(START + 0.6 + later)))
    assert (found.last_day, found.last_week) == (1, 1)
    assert found.previous == pytest.approx(START + 0.6, abs=1)


def test_a_late_alert_counts_only_earlier_occurrences() -> None:
    """Though one that is newer than it stands for the whole hour by now."""
    known = state(*(died(START + second, f"t{second}") for second in range(0, 1000, 20)))
    found = recurrence_of(known, of(died(START + 979)))
    assert (found.last_day, found.last_week, found.previous) == (50, 50, START + 979)


def test_only_the_newest_causes_are_kept() -> None:
    known = state()
    for number in range(20):
        known = count_occurrence(known, of(events.service_action(f"ODD_THING_{number}", "ERROR", createdAt=iso(START))))
    assert list(known.occurrences) == [f"odd_thing_{number}" for number in range(20 - CAUSES_REMEMBERED, 20)]


def occurred(*ages: float, cause: str = "oom") -> SubjectState:
    """A subject on which a cause occurred so many seconds before `START`."""
    known = SubjectState(SUBJECT)
    for age in ages:
        known = count_occurrence(known, an_alert(cause, START - age))
    return known


@pytest.mark.parametrize(
    ("age", "expected"), [(DAY, (1, 1)), (DAY + 1, (0, 1)), (WEEK, (0, 1)), (WEEK + 1, (0, 0)), (0, (1, 1))]
)
def test_a_day_and_a_week_end_to_the_second(age: float, expected: tuple[int, int]) -> None:
    found = recurrence_of(occurred(age), an_alert("oom"))
    assert (found.last_day, found.last_week) == expected


def test_what_is_kept_is_an_hour_at_a_time_and_a_day_at_a_time_once_it_is_a_day_old() -> None:
    hour, day = START // HOUR * HOUR, START // DAY * DAY
    known = SubjectState(SUBJECT)
    for at in (day - 3 * DAY + 1, day - 3 * DAY + 5 * HOUR, hour - 2 * HOUR, hour - 2 * HOUR + 60, hour):
        known = count_occurrence(known, an_alert("oom", at))
    assert known.occurrences["oom"] == ((day - 3 * DAY + 5 * HOUR, 2), (hour - 2 * HOUR + 60, 2), (hour, 1))


def test_an_hour_is_kept_for_a_day_to_the_second() -> None:
    """Of two alerts of one day, the one that is older than that is apart."""
    start = START // DAY * DAY
    known = SubjectState(SUBJECT)
    for at in (start + HOUR - 1, start + HOUR, start + DAY + HOUR):
        known = count_occurrence(known, an_alert("oom", at))
    assert known.occurrences["oom"] == ((start + HOUR - 1, 1), (start + HOUR, 1), (start + DAY + HOUR, 1))


def test_a_count_of_many_is_a_count_of_many() -> None:
    found = recurrence_of(occurred(60, 60, 60, 2 * DAY, 2 * DAY), an_alert("oom"))
    assert (found.last_day, found.last_week, found.previous) == (3, 5, START - 60)


def test_what_came_in_a_later_hour_is_no_earlier_occurrence() -> None:
    assert recurrence_of(occurred(-2 * HOUR), an_alert("oom")) == Recurrence()


def test_an_alert_at_the_start_of_an_hour_knows_of_what_came_in_that_hour() -> None:
    hour = START // HOUR * HOUR
    found = recurrence_of(occurred(START - hour - 60), an_alert("oom", hour))
    assert (found.last_day, found.previous) == (1, hour)


def test_what_is_a_week_older_than_the_newest_is_dropped() -> None:
    assert len(occurred(WEEK, 0).occurrences["oom"]) == 2
    assert len(occurred(WEEK + 1, 0).occurrences["oom"]) == 1
    assert len(occurred(0, WEEK + 1).occurrences["oom"]) == 1


def test_a_cause_that_occurs_again_is_among_the_newest() -> None:
    known = SubjectState(SUBJECT)
    for cause in ("a", "b", "c", "d", "a", "e"):
        known = count_occurrence(known, an_alert(cause))
    assert [*known.occurrences] == ["c", "d", "a", "e"]


# --- which deployment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "known"), [(WEEK, True), (WEEK + 1, False), (0, True), (-1, False)])
def test_a_deployment_is_known_for_a_week_to_the_second(age: float, *, known: bool) -> None:
    deployed = SubjectState(SUBJECT, deployments={"ecs-svc/1": START - age})
    for since in (an_alert(), an_alert(task="t1", deployment="ecs-svc/1")):
        assert recurrence_of(deployed, since).deployed_at == (START - age if known else None)


def test_only_the_beginning_of_a_deployment_with_an_id_is_recorded() -> None:
    empty = SubjectState(SUBJECT)
    assert record_deployment(empty, an_alert("deployment_in_progress")) == empty
    assert record_deployment(empty, an_alert("deployment_failed", deployment="ecs-svc/1")) == empty
    recorded = record_deployment(empty, an_alert("deployment_in_progress", deployment="ecs-svc/1"))
    assert recorded.deployments == {"ecs-svc/1": START}


def test_the_deployments_that_began_last_are_kept_whatever_the_order_of_arrival() -> None:
    known = SubjectState(SUBJECT)
    for number in (5, 4, 3, 2, 1, 0):
        begins = an_alert("deployment_in_progress", START + number, deployment=f"ecs-svc/{9 - number}")
        known = record_deployment(known, begins)
    assert [*known.deployments] == [f"ecs-svc/{9 - number}" for number in range(1, 6)]


def test_a_task_came_after_the_deployment_that_started_it() -> None:
    """Not after a later one, which has nothing to do with this task; nor is it known of a task of no deployment."""
    known = state(begun(START - 240), begun(START - 60, "ecs-svc/1"))
    assert recurrence_of(known, of(died(START))).deployed_at == START - 240
    assert recurrence_of(known, of(died(START, startedBy="ecs-svc/2"))).deployed_at is None


def test_a_deployment_more_than_a_week_old_is_not_mentioned() -> None:
    """Nobody knows whether the cause was there in between: it must not be called its first after that deployment."""
    assert recurrence_of(state(begun(START - 8 * DAY)), of(died(START))).deployed_at is None


def test_what_is_not_about_a_task_came_after_the_newest_deployment() -> None:
    failed = of(events.service_action("SERVICE_TASK_START_IMPAIRED", "WARN", createdAt=iso(START)))
    assert recurrence_of(state(begun(START - 8 * DAY)), failed).deployed_at is None
    assert recurrence_of(state(begun(START - 240), begun(START - 60, "ecs-svc/1")), failed).deployed_at == START - 60
    assert recurrence_of(state(begun(START + 60)), failed).deployed_at is None


def test_a_deployment_began_when_it_was_first_heard_of_and_the_newest_are_remembered() -> None:
    known = state(begun(START - 60), begun(START - 240), begun(START))
    assert known.deployments == {events.DEPLOYMENT: START - 240}
    known = state(*(begun(START + number, f"ecs-svc/{number}") for number in range(9)))
    assert list(known.deployments) == [f"ecs-svc/{number}" for number in range(9 - DEPLOYMENTS_REMEMBERED, 9)]


# --- the whole way ----------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return World()


def test_a_message_tells_of_the_deployment_before_and_the_next_incident_of_what_came_before(world: World) -> None:
    world.receive(begun(START - 4 * MINUTE))
    world.receive(died(START, "t1"))
    world.receive(died(START + MINUTE, "t2"))  # held back, and counted
    world.receive(events.service_action(createdAt=iso(START + 2 * MINUTE)))
    world.wait(3 * HOUR)
    world.receive(died(world.now, "t3"))
    first, _, second = (told.message.text for told in world.slack.told)
    assert "First seen 4 min after" in first
    assert "3rd time in 24 h, 3rd in 7 days; last seen 2 h before." in second


def test_the_same_event_again_is_counted_once(world: World) -> None:
    for _ in range(3):
        world.receive(died(START, "t1"))
    world.wait(30 * HOUR)  # until the incident has lapsed
    world.receive(died(world.now, "t2"))
    assert world.slack.told[-1].incident.recurrence == Recurrence(last_day=0, last_week=1, previous=START)


def test_silenced_alerts_are_counted(world: World) -> None:
    world.silence(START + HOUR, service="web")
    world.receive(died(START, "t1"))
    world.now += 2 * HOUR
    world.receive(died(world.now, "t2"))
    assert world.slack.told[-1].incident.recurrence.last_day == 1


def test_without_history_among_the_enrichments_messages_say_nothing_of_it() -> None:
    world = World(enrich=EnrichSettings(history=False))
    world.receive(begun(START - 4 * MINUTE))
    world.receive(died(START, "t1"))
    assert "First seen" not in world.slack.told[0].message.text
