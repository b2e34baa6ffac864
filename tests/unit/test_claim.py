"""How often history is asked, what an event costs, and what happens if the process dies at each point."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from local_aws import events
from router.cli.replay.memory_table import MemoryTable
from router.context import Answered, Job
from router.deadline import Deadline
from router.deliver import attempt
from router.history.items import iso, to_state
from router.history.store import History
from router.history.table import Put
from router.incident.recent import REMEMBERED
from router.model import Decision, Kind
from tests.doubles.world import MINUTE, START, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def calls(world: World, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Of the table, by name."""
    made: Counter[str] = Counter()

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **named: Any) -> Any:
            made[name] += 1
            return call(*arguments, **named)

        return count

    for name in ("get", "commit", "query"):
        monkeypatch.setattr(world.table, name, counted(name, getattr(world.table, name)))
    return made


def died(number: int) -> events.Raw:
    return events.task_stopped(task=f"{number:032x}", service="web")


def test_a_held_back_event_is_one_read_one_put_of_the_state_and_one_of_its_row(
    world: World, calls: Counter[str]
) -> None:
    world.receive(died(1))
    calls.clear()
    (results,) = world.receive(died(2))
    assert results.decision is Decision.HELD_BACK
    assert calls == {"get": 1, "commit": 2}


def test_ten_events_of_one_subject_are_one_put_of_the_state_and_their_rows(world: World, calls: Counter[str]) -> None:
    world.receive(died(0))
    calls.clear()
    world.receive(*(died(number) for number in range(1, 11)))
    assert calls == {"get": 1, "commit": 1 + 10}


def test_a_repeated_event_is_one_read_which_tells_its_decision(world: World, calls: Counter[str]) -> None:
    world.receive(died(1))
    calls.clear()
    (results,) = world.receive(died(1))
    assert results.decision is Decision.ANNOUNCED
    assert calls == {"get": 1}


def test_repeated_events_among_new_ones_cost_nothing(world: World, calls: Counter[str]) -> None:
    world.receive(*(died(number) for number in range(8)))
    calls.clear()
    decisions = [result.decision for result in world.receive(*(died(number) for number in range(10)))]
    assert decisions == [Decision.ANNOUNCED, *[Decision.HELD_BACK] * 9]
    assert calls == {"get": 1, "commit": 1 + 2}


# --- the process dies -------------------------------------------------------------------------------------------------


class Died(BaseException):
    """Not an `Exception`, so that nothing in the router catches it."""


class Mortal(MemoryTable):
    """The process dies instead of making one of the next commits.

    Attributes:
        left: commits until then; None for no death.
    """

    left: int | None = None

    def commit(self, puts: Sequence[Put], now: float) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Died
            self.left -= 1
        super().commit(puts, now)


def together(jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
    del deadline
    yield [(job, attempt(job)) for job in jobs]


def killed(commits: int | None) -> tuple[World, Mortal]:
    """The first event of a subject, whose process dies after so many commits, and has lost its lease since."""
    world, table = World(), Mortal()
    world.table = table
    world.keep_in(History(table, world.config.retention))
    world.router = world.router._replace(deliver=together)
    table.left = commits
    with suppress(Died):
        world.receive(died(1))
    table.left = None
    return world, table


def counted(world: World) -> int:
    """How many alerts the only incident counts."""
    (item,) = [item for item in world.rows("subject#") if item["sk"] == "incident"]
    incident = to_state(item).incident
    assert incident
    return incident.count


@pytest.mark.parametrize(
    ("commits", "decision", "told"),
    [
        pytest.param(0, Decision.ANNOUNCED, 1, id="before the state is written: nothing has happened"),
        pytest.param(1, Decision.ANNOUNCED, 1, id="before the row is written: only the row is missing"),
        pytest.param(2, Decision.ANNOUNCED, 2, id="before the deliveries are recorded: sent once more"),
        pytest.param(None, Decision.ANNOUNCED, 1, id="before the record is acknowledged: a repeat"),
    ],
)
def test_an_event_that_is_received_again_after_a_crash_is_counted_once(
    commits: int | None, decision: Decision, told: int
) -> None:
    world, _ = killed(commits)
    assert world.decisions(died(1)) == [decision]
    world.wait(3 * MINUTE)
    assert world.decisions(died(1)) == [decision]
    (row,) = world.rows("alert#")
    assert row["decision"] == decision
    assert {name: len(channel.told) for name, channel in world.channels.items()} == dict.fromkeys(world.channels, told)
    assert counted(world) == 1


def test_after_a_crash_between_state_and_row_nothing_is_sent_before_the_lease_ends() -> None:
    world, _ = killed(1)
    world.receive(died(1))
    assert world.slack.told == []
    world.wait(MINUTE)
    assert world.slack.told == []
    world.wait(MINUTE)
    assert world.slack.kinds == [Kind.OPENED]


def test_a_crash_after_the_rows_is_made_up_for_by_the_due_index_and_the_repeat_writes_nothing() -> None:
    world, table = killed(2)  # as if nothing had been sent yet: the remote cannot be asked
    table.left = 0  # the repeat would die of any write
    assert world.decisions(died(1)) == [Decision.ANNOUNCED]
    table.left = None
    world.wait(2 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.OPENED]


def test_a_repeat_is_recognised_while_its_row_is_missing() -> None:
    """Another invocation has written the state and not yet the row."""
    world, table = killed(None)
    table.left = 1
    with suppress(Died):
        world.receive(died(2))
    table.left = None
    assert world.decisions(died(2), died(3)) == [Decision.HELD_BACK, Decision.HELD_BACK]
    assert len(world.rows("alert#")) == 3
    assert counted(world) == 3


def test_only_the_most_recent_alerts_are_remembered_without_their_rows() -> None:
    """A crash in a storm of more than these may make the count one too high; nothing is announced again."""
    world, table = killed(None)
    table.left = 1
    with suppress(Died):
        world.receive(died(2))
    table.left = None
    for number in range(3, 3 + REMEMBERED):
        world.receive(died(number))
    told = len(world.slack.told)
    assert world.decisions(died(2)) == [Decision.HELD_BACK]
    assert (counted(world), len(world.rows("alert#")), len(world.slack.told)) == (REMEMBERED + 3, REMEMBERED + 2, told)


def test_a_crash_does_not_lose_the_row_of_a_container_that_had_exited_before() -> None:
    """The state gives such an alert an id of its own, and knows all of its containers once it is received again."""
    world, table = killed(None)
    a, b = events.container("a", 1), events.container("b", 137, "OutOfMemoryError")
    runs = events.container(status="RUNNING")

    def running(*containers: events.Raw, event_id: str) -> events.Raw:
        return events.task_event(event_id=event_id, containers=[runs, *containers], task="f" * 32)

    world.receive(running(a, event_id="one"))
    table.left = 1
    with suppress(Died):
        world.receive(running(a, b, event_id="both"))
    table.left = None
    world.receive(running(a, b, event_id="both"))
    world.receive(running(a, b, event_id="both"))
    exits = [row for row in world.rows("alert#") if row["exited"]]
    assert sorted(row["exited"] for row in exits) == [["a"], ["b"]]
    assert counted(world) == len(world.rows("alert#"))


def test_a_crash_does_not_count_an_exit_twice_if_the_container_has_been_restarted_since() -> None:
    """The state gives such an alert an id by the latest restart, which is another one once it is received again."""
    world, table = killed(None)

    def sidecar(seconds: float, event_id: str, *, runs: bool = False) -> events.Raw:
        other = events.container("sidecar", status="RUNNING") if runs else events.container("sidecar", 1)
        containers = [events.container(status="RUNNING"), other]
        at = iso(START + seconds)
        return events.task_event(event_id=event_id, containers=containers, task="f" * 32, updatedAt=at)

    world.receive(sidecar(10, "exit"))
    world.receive(sidecar(20, "restart", runs=True))
    table.left = 1
    with suppress(Died):
        world.receive(sidecar(30, "exit again"))
    table.left = None
    world.receive(sidecar(25, "late report of the restart", runs=True))
    world.receive(sidecar(30, "exit again"))
    assert counted(world) == 3
    assert len([row for row in world.rows("alert#") if row["exited"]]) == 2
