"""What the claim costs, and that contention is no outage; `python -m benchmarks.claim` measures the same for longer."""

import pytest

from benchmarks.claim import contention, write_units


@pytest.fixture(scope="module")
def units() -> dict[str, float]:
    return write_units()


@pytest.mark.parametrize(
    ("event", "most"),
    [
        ("announced", 17),
        ("held back", 6),
        ("the fifth of an incident", 6),
        ("the fiftieth of an incident", 7),
        ("repeated", 0),
        ("a batch of ten, each", 5.2),
        ("a storm, one by one", 6.8),
        ("a storm, in batches of ten", 5.6),
    ],
)
def test_an_event_costs_at_most_so_many_write_units(units: dict[str, float], event: str, most: float) -> None:
    """A write unit is what AWS charges for a KB of an item, or for an index entry that changes."""
    assert units[event] <= most


@pytest.mark.parametrize("window", [0.0, 1.0])
def test_two_hundred_crashes_a_second_of_one_service_are_no_outage(window: float) -> None:
    """All are recorded, at most one in a hundred is given back, and none is announced without history."""
    run = contention(200, seconds=4, window=window)
    assert [*run.problems] == []
    assert run.slowest < 30


def test_what_is_given_back_returns_within_seconds_and_is_recorded() -> None:
    """With so little time that some give up: Lambda ends the invocation after two seconds."""
    run = contention(400, seconds=2, time_out=2.0)
    assert run.given_back
    assert run.back_within <= 40
    assert (run.rows, run.without_history, run.dead) == (run.events, 0, 0)
