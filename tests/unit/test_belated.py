"""Events that were announced without history are written to it when redrive puts them back."""

from typing import Any

from router.model import Kind
from tests.doubles.inbox import MAX_RECEIVES, TASKS, buried, died, receive, record, without_history
from tests.doubles.world import MINUTE, World


def redriven(message_id: str, body: object, announced: str, *, receives: int = 1) -> dict[str, Any]:
    """A record as `redrive` puts it back: announced at the time, without history."""
    notes = {"reason": "history unavailable", "announced": announced}
    attributes = {name: {"stringValue": each, "dataType": "String"} for name, each in notes.items()}
    return {**record(message_id, body, receives=receives), "messageAttributes": attributes}


def test_an_event_announced_without_history_is_recorded_without_notifying() -> None:
    world = World()
    assert receive(world, redriven("m1", died(), "slack,email,pager")) == []
    world.wait(2 * MINUTE)
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]
    assert [row["decision"] for row in world.rows("alert#")] == ["announced"]
    (state,) = world.history.load([(world.rows("subject#")[-1]["pk"], "incident")], world.now)
    assert {entry.last_kind_sent for entry in state.outbox.values()} == {Kind.OPENED}


def test_two_events_announced_in_one_message_are_not_announced_again() -> None:
    world = World()
    receive(world, redriven("m1", died(TASKS[1]), ""))
    world.now += 1
    receive(world, redriven("m2", died(TASKS[2]), "slack,email,pager"))
    world.wait(20 * MINUTE)
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]
    assert len(world.rows("alert#")) == 2


def test_a_redriven_event_may_arrive_twice() -> None:
    world = World()
    back = redriven("m1", died(), "slack")
    assert [receive(world, back), receive(world, back)] == [[], []]
    assert len(world.rows("alert#")) == 1
    assert world.slack.tried == 0


def test_a_redriven_event_is_never_announced_again_during_a_long_outage() -> None:
    world = World()
    without_history(world)
    assert receive(world, redriven("m1", died(), "slack")) == ["m1"]
    assert receive(world, redriven("m1", died(), "slack", receives=MAX_RECEIVES)) == []
    ((_, notes),) = buried(world)
    assert notes == {"reason": "history unavailable", "announced": "slack"}
    assert world.slack.tried == 0
