"""Which runs are overdue, by what is known of the family's runs."""

import pytest

from router.poll.runs import NOT_FINISHED, NOT_STARTED, WATCHED, Overdue, Run, judge, judge_at, watched
from router.poll.schedule import every, parse_schedule
from router.poll.state import Expectation, RunWatch
from tests.doubles.world import DAY, HOUR, MINUTE, START

HOURLY = Expectation("hourly", "report", "prod", every("1h"))
LIMITED = HOURLY._replace(max_runtime=30 * MINUTE)
NIGHTLY = Expectation("nightly", "report", "prod", parse_schedule("cron(0 3 * * ? *)"))


def run(at: float, task: str = "t1", *, running: bool = False) -> Run:
    return Run(task, at, running)


def test_the_first_run_is_due_one_interval_after_the_table_is_seen() -> None:
    watch = watched(None, HOURLY, START)
    assert watch.due_at == START + HOUR
    assert judge_at(watch, HOURLY) == START + HOUR + 15 * MINUTE


def test_another_schedule_begins_anew_and_the_same_one_does_not() -> None:
    watch = watched(None, HOURLY, START)
    assert watched(watch, HOURLY, START + DAY) is watch
    assert watched(watch, HOURLY._replace(schedule=every("2h")), START + DAY).due_at == START + DAY + 2 * HOUR


@pytest.mark.parametrize("other", [HOURLY._replace(family="invoices"), HOURLY._replace(cluster="dev")])
def test_another_family_and_another_cluster_begin_anew(other: Expectation) -> None:
    watch = watched(None, HOURLY, START)._replace(started_at=START - MINUTE, late=("t1",))
    assert watched(watch, other, START + DAY) == watched(None, other, START + DAY)


def test_any_start_since_the_last_one_counts_and_sets_the_next_due_time() -> None:
    watch = watched(None, HOURLY, START)
    watch, overdue = judge(watch, HOURLY, [run(START + 50 * MINUTE)], START + 75 * MINUTE)
    assert (overdue, watch.due_at) == ([], START + 110 * MINUTE)


def test_each_missing_run_is_overdue() -> None:
    watch = watched(None, HOURLY, START)
    watch, overdue = judge(watch, HOURLY, [], START + 75 * MINUTE)
    assert overdue == [Overdue(NOT_STARTED, START + HOUR)]
    assert watch.due_at == START + 2 * HOUR
    assert judge(watch, HOURLY, [], START + 135 * MINUTE)[1] == [Overdue(NOT_STARTED, START + 2 * HOUR)]


def test_of_several_missing_runs_the_newest_is_reported() -> None:
    watch = watched(None, HOURLY, START)
    assert judge(watch, HOURLY, [], START + 5 * HOUR)[1] == [Overdue(NOT_STARTED, START + 4 * HOUR)]


def test_a_run_by_a_calendar_is_missing_although_the_next_one_started() -> None:
    """The router was away for both. Whether the next one has made up for it, its completion says."""
    watch = watched(None, NIGHTLY, START)
    due = watch.due_at
    assert due is not None
    after, overdue = judge(watch, NIGHTLY, [run(due + DAY)], due + DAY + HOUR)
    assert (overdue, after.due_at) == ([Overdue(NOT_STARTED, due)], due + 2 * DAY)


def test_a_run_of_a_time_that_is_not_known_any_more_is_not_missing() -> None:
    watch = watched(None, NIGHTLY, START)
    due = watch.due_at
    assert due is not None
    after, overdue = judge(watch, NIGHTLY, [run(due + DAY)], due + DAY + HOUR, known_since=due + HOUR)
    assert (overdue, after.due_at) == ([], due + 2 * DAY)


@pytest.mark.parametrize(
    ("offset", "in_time"), [(-HOUR, False), (-30, True), (0, True), (14 * MINUTE, True), (16 * MINUTE, False)]
)
def test_a_run_by_a_calendar_must_start_between_the_due_time_and_its_grace(offset: float, *, in_time: bool) -> None:
    watch = watched(None, NIGHTLY, START)
    due = watch.due_at
    assert due is not None
    after, overdue = judge(watch, NIGHTLY, [run(due + offset)], due + 20 * MINUTE)
    assert overdue == ([] if in_time else [Overdue(NOT_STARTED, due)])
    assert after.due_at == due + DAY


def test_a_run_that_takes_too_long_is_overdue_once_and_each_overlapping_one_by_itself() -> None:
    watch = RunWatch("1h UTC", START, START + HOUR)
    first, second = run(START + HOUR, "a", running=True), run(START + 2 * HOUR, "b", running=True)
    watch, overdue = judge(watch, LIMITED, [first], START + 75 * MINUTE)
    assert overdue == []
    assert judge_at(watch, LIMITED) == START + 90 * MINUTE
    watch, overdue = judge(watch, LIMITED, [first], START + 90 * MINUTE)
    assert overdue == [Overdue(NOT_FINISHED, START + HOUR, "a")]
    watch, overdue = judge(watch, LIMITED, [first, second], START + 135 * MINUTE)
    assert overdue == []
    watch, overdue = judge(watch, LIMITED, [first, second], START + 150 * MINUTE)
    assert overdue == [Overdue(NOT_FINISHED, START + 2 * HOUR, "b")]


def test_of_very_many_runs_the_earliest_are_watched() -> None:
    """DynamoDB stores 400 KB in one item, with the runs of all expectations."""
    watch = RunWatch("1h UTC", START, START + HOUR)
    runs = [run(START + HOUR + number, f"t{number}", running=True) for number in reversed(range(1000))]
    watch, _ = judge(watch, LIMITED, runs, START + 75 * MINUTE)
    assert list(watch.running) == [f"t{number}" for number in range(WATCHED)]


def test_a_run_that_finished_in_time_is_not_overdue() -> None:
    watch = RunWatch("1h UTC", START, START + 2 * HOUR, START + HOUR, running={"a": START + HOUR})
    watch, overdue = judge(watch, LIMITED, [run(START + HOUR, "a")], START + 90 * MINUTE)
    assert (overdue, watch.running) == ([], {})


def test_what_is_not_expected_to_run_again_is_never_looked_up() -> None:
    assert judge_at(RunWatch("at", START), NIGHTLY) is None
