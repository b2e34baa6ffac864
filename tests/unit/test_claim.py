"""How often history is asked: what a storm pays for with each of its events."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from local_aws import events
from router.model import Decision
from tests.doubles.world import World


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


def test_a_held_back_event_is_one_read_and_one_write(world: World, calls: Counter[str]) -> None:
    world.receive(died(1))
    calls.clear()
    (results,) = world.receive(died(2))
    assert results.decision is Decision.HELD_BACK
    assert calls == {"get": 1, "commit": 1}


def test_ten_events_of_one_subject_are_one_read_and_one_write(world: World, calls: Counter[str]) -> None:
    world.receive(died(0))
    calls.clear()
    world.receive(*(died(number) for number in range(1, 11)))
    assert calls == {"get": 1, "commit": 1}


def test_a_repeated_event_is_one_read_and_one_refusal_which_tells_its_decision(
    world: World, calls: Counter[str]
) -> None:
    world.receive(died(1))
    calls.clear()
    (results,) = world.receive(died(1))
    assert results.decision is Decision.ANNOUNCED
    assert calls == {"get": 1, "commit": 1}


def test_repeated_events_among_new_ones_cost_one_more_write_and_no_read(world: World, calls: Counter[str]) -> None:
    """A refusal for rows alone says that how things stand is as it was read."""
    world.receive(*(died(number) for number in range(8)))
    calls.clear()
    decisions = [each.decision for each in world.receive(*(died(number) for number in range(10)))]
    assert decisions == [Decision.ANNOUNCED, *[Decision.HELD_BACK] * 9]
    assert calls == {"get": 1, "commit": 2}
