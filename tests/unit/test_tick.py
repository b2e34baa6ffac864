"""The scheduled tick sends what is due."""

from collections.abc import Sequence

import pytest

from router.cli.replay.memory_table import MemoryTable
from router.config.settings import Route
from router.errors import Conflict, HistoryUnavailable, TransientError
from router.history.items import CHANNEL_STATES_KEY
from router.history.store import History
from router.history.table import Put
from router.model import Kind, Severity
from router.pipeline import process_due
from tests.doubles.inbox import TICK, bare, died, failing_slack, receive, record, without_history
from tests.doubles.world import MINUTE, World


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


class Busy(MemoryTable):
    """Others charge rate limits before each of the next commits that do, or hold an item in a transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.charges = self.collisions = self.commits = 0

    def commit(self, puts: Sequence[Put], now: float) -> None:
        self.commits += 1
        if self.charges and any(put.key == CHANNEL_STATES_KEY for put in puts):
            self.charges -= 1
            raise Conflict([CHANNEL_STATES_KEY])
        if self.collisions:
            self.collisions -= 1
            raise Conflict
        super().commit(puts, now)


def busy_world() -> tuple[World, Busy]:
    """Something is due on Slack, which is well again."""
    world, table = World(), Busy()
    world.keep_in(History(table, world.config.retention))
    world.slack.failure = lambda: TransientError("busy")
    world.receive(died())
    world.slack.failure = lambda: None
    world.now += 30
    return world, table


@pytest.mark.parametrize(("others", "sent"), [(2, 1), (3, 0)])
def test_a_tick_that_meets_another_writer_tries_three_times(others: int, sent: int) -> None:
    """In a storm somebody charges rate limits with every send: a tick that gave up at once never got anywhere."""
    world, table = busy_world()
    table.charges = others
    assert bare(world, TICK) == {"deliveries": sent}


def test_what_another_writer_has_done_meanwhile_is_not_done_again() -> None:
    world, table = busy_world()
    other = world.router

    def pause(_: int) -> None:
        process_due(world.history.due(world.now), other, world.deadline(), all_due=True)

    world.keep_in(world.history, pause=pause)
    table.charges = 1
    assert bare(world, TICK) == {"deliveries": 0}
    assert world.slack.kinds == [Kind.OPENED]


def test_a_tick_that_only_collides_pauses_and_leaves_the_rest_to_the_next() -> None:
    world, table = busy_world()
    pauses: list[int] = []
    world.keep_in(world.history, pause=pauses.append)
    table.collisions, table.commits = 1000, 0
    assert bare(world, TICK) == {"deliveries": 0}
    assert (table.commits, pauses) == (3, [0, 1])


def test_without_history_a_bare_tick_fails() -> None:
    """So that the alarm on errors sees it."""
    with pytest.raises(HistoryUnavailable):
        bare(without_history(World()), TICK)


def test_pages_that_wait_for_their_rate_limit_hide_nothing_that_is_due_on_other_channels() -> None:
    """Two thousand of them are due for many minutes, and the tick loads a thousand states."""
    world = World([Route(Severity.ERROR, channels=("slack", "pager"))])
    world.slack.budget, world.pager.budget = (10_000, 1.0), (16, 10.0)
    for start in range(0, 2_000, 50):
        world.receive(*(died(f"{number:032x}", f"s{number}") for number in range(start, start + 50)))
    world.slack.failure = lambda: TransientError("busy")
    late = {f"late{number}" for number in range(20)}
    world.receive(*(died(f"f{number:031x}", name) for number, name in enumerate(sorted(late))))
    world.slack.failure = lambda: None
    assert len(world.pager.told) < 100
    world.wait(2 * MINUTE)
    assert late <= {told.incident.subject.name for told in world.slack.told}
    assert len([item for item in world.rows("subject#") if "only_pages_until" in item]) > 1_000
