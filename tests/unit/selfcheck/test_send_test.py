"""The test alert that the function sends when `send-test` invokes it; the command's own tests are in cli/."""

import json
from typing import Any

import pytest

from router.errors import PermanentError
from router.inbox import handle
from router.model import CHECK, OWED, OWN_SOURCE, SEND_TEST
from tests.doubles.inbox import MAX_RECEIVES, buried, receive, record
from tests.doubles.world import World


def invoked(world: World, detail_type: str = SEND_TEST, **detail: Any) -> dict[str, Any]:
    event = {"source": OWN_SOURCE, "detail-type": detail_type, "detail": detail}
    return handle(event, world.router, world.deadline(), MAX_RECEIVES)


def test_every_channel_gets_it_and_history_nothing() -> None:
    world = World()
    answer = invoked(world)
    sent = sorted((row["channel"], row["kind"], row["outcome"]) for row in answer["deliveries"])
    assert sent == [
        ("email", "opened", "sent"),
        ("pager", "opened", "sent"),
        ("pager", "resolved", "sent"),
        ("slack", "opened", "sent"),
    ]
    assert "TEST" in world.slack.told[0].message.title
    assert world.rows("") == []


def test_only_the_named_channels_get_it() -> None:
    world = World()
    assert [row["channel"] for row in invoked(world, channels=["slack"])["deliveries"]] == ["slack"]
    assert world.email.told == []


def test_a_channel_that_fails_is_reported_with_its_answer() -> None:
    world = World()
    world.slack.failure = lambda: PermanentError("gone", answer="no_service")
    (row,) = invoked(world, channels=["slack"])["deliveries"]
    assert (row["outcome"], "reason" in row) == ("failed", True)


@pytest.mark.parametrize(
    ("detail", "error"),
    [
        ({"channels": ["slakc"]}, "there is no channel 'slakc'; known channels: email, pager, slack"),
        ({"severity": "fatal"}, "there is no severity 'fatal'"),
    ],
)
def test_what_is_wrong_is_answered_and_nothing_is_sent(detail: dict[str, Any], error: str) -> None:
    world = World()
    assert invoked(world, **detail) == {"error": error}
    assert world.slack.told == []


@pytest.mark.parametrize("detail_type", [SEND_TEST, CHECK, OWED, SEND_TEST.upper(), f" {CHECK} "])
def test_a_queue_cannot_ask_for_it(detail_type: str) -> None:
    """Whoever may put events could page everybody otherwise."""
    world = World()
    event = {"source": OWN_SOURCE, "detail-type": detail_type, "detail": {}}
    assert receive(world, record("a", event)) == []
    ((body, reason),) = buried(world)
    assert (json.loads(body), "only someone who may invoke the function" in str(reason)) == (event, True)
    assert world.slack.told == []
