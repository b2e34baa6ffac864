"""The deadline of an invocation, and what the calls of a thread learn of it."""

import threading

import pytest

from router.deadline import Deadline, applies, current, time_left
from router.errors import DeadlineExceeded


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_call_waits_for_the_smaller_of_its_own_limit_and_the_time_left(clock: Clock) -> None:
    with applies(Deadline.after(10, clock)):
        assert time_left(3) == 3
        clock.now += 8
        assert time_left(3) == 2


def test_without_a_deadline_a_call_has_its_own_limit() -> None:
    """Commands of the CLI have none."""
    assert time_left(3) == 3


@pytest.mark.parametrize("passed", [10.0, 3600.0])
def test_no_call_is_made_after_the_deadline(passed: float, clock: Clock) -> None:
    with applies(Deadline.after(10, clock)):
        clock.now += passed
        with pytest.raises(DeadlineExceeded):
            time_left(3)


def test_no_call_is_made_with_too_little_time_to_finish(clock: Clock) -> None:
    with applies(Deadline.after(0.5, clock)), pytest.raises(DeadlineExceeded):
        time_left(3, enough=0.5)


def test_a_deadline_can_be_made_earlier_and_never_later(clock: Clock) -> None:
    whole = Deadline.after(10, clock)
    with applies(whole.leaving(6)):
        assert time_left(60) == 4
        with applies(whole):
            assert time_left(60) == 4
    with applies(whole), applies(None):
        assert time_left(60) == 10


def test_it_applies_until_its_block_ends(clock: Clock) -> None:
    with applies(Deadline.after(10, clock)):
        pass
    assert current() is None


def test_a_thread_has_the_deadline_that_it_was_given_however_late_it_wakes(clock: Clock) -> None:
    """Not that of the invocation in which it thaws, which runs in another thread."""
    thawed, refused = threading.Event(), threading.Event()

    def left_behind(deadline: Deadline) -> None:
        with applies(deadline):
            thawed.wait(10)
            try:
                time_left(3)
            except DeadlineExceeded:
                refused.set()

    thread = threading.Thread(target=left_behind, args=[Deadline.after(10, clock)])
    thread.start()
    clock.now += 3600
    with applies(Deadline.after(60, clock)):
        thawed.set()
        thread.join(10)
        assert refused.is_set()
