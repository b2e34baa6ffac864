"""What the function says of each channel's outbox when a deployment invokes it."""

from typing import Any

from local_aws import events
from router.errors import TransientError
from router.inbox import handle
from router.model import OWED, OWN_SOURCE
from tests.doubles.inbox import MAX_RECEIVES
from tests.doubles.world import HOUR, World


def owed(world: World) -> Any:
    event = {"source": OWN_SOURCE, "detail-type": OWED, "detail": {}}
    return handle(event, world.router, world.deadline(), MAX_RECEIVES)["owed"]


def test_without_incidents_nothing_is_owed() -> None:
    assert owed(World()) == {}


def test_a_message_that_failed_is_due_and_of_what_was_sent_only_the_end_is_owed() -> None:
    world = World()
    world.pager.failure = lambda: TransientError("down")
    world.receive(events.task_stopped())
    assert owed(world) == {
        "slack": {"due": 0, "open_incidents": 1},
        "email": {"due": 0, "open_incidents": 1},
        "pager": {"due": 1, "open_incidents": 0},
    }


def test_what_a_window_holds_back_is_due() -> None:
    world = World()
    world.receive(events.task_stopped(task="a" * 32))
    world.now += 60
    world.receive(events.task_stopped(task="b" * 32))
    assert owed(world)["slack"] == {"due": 1, "open_incidents": 0}


def test_a_reminder_is_no_news() -> None:
    """Or no channel could be removed while an incident is open."""
    world = World()
    world.receive(events.alarm())
    world.wait(HOUR)
    assert owed(world)["slack"] == {"due": 0, "open_incidents": 1}
