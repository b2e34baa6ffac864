"""The scheduled tick sends what is due."""

import pytest

from router.errors import HistoryUnavailable
from router.model import Kind
from tests.doubles.inbox import TICK, bare, died, failing_slack, receive, record, without_history
from tests.doubles.world import World


def test_the_tick_sends_what_is_due_and_returns_the_number_of_deliveries() -> None:
    world = failing_slack(died())
    assert bare(world, TICK) == {"deliveries": 0}
    world.now += 30
    assert bare(world, TICK) == {"deliveries": 1}
    assert world.slack.kinds == [Kind.OPENED]
    assert bare(world, TICK) == {"deliveries": 0}


def test_a_tick_from_the_queue_does_the_same() -> None:
    world = failing_slack(died())
    world.now += 30
    assert receive(world, record("a", TICK)) == []
    assert world.slack.kinds == [Kind.OPENED]


def test_without_history_a_bare_tick_fails() -> None:
    """So that the alarm on errors sees it."""
    with pytest.raises(HistoryUnavailable):
        bare(without_history(World()), TICK)
