"""What the function says about itself when `doctor` invokes it."""

from types import MappingProxyType
from typing import Any

from local_aws import events
from router.channels.configured import ConfiguredChannel
from router.errors import PermanentError
from router.inbox import handle
from router.model import CHECK, OWN_SOURCE, ChannelConfig, Notification
from router_conformance.server import ScriptedServer, answer
from tests.doubles.inbox import MAX_RECEIVES
from tests.doubles.world import World


class Hook:
    """A channel with a URL of its own."""

    def __init__(self, config: ChannelConfig) -> None:
        self.url = config.options["url"]

    def render(self, _notification: Notification) -> dict[str, str]:
        return {}

    def send(self, _payload: dict[str, str]) -> None:
        raise AssertionError("a check sends nothing")


def checked(world: World, **options: str) -> dict[str, Any]:
    if options:
        config = ChannelConfig("hook", "hook", MappingProxyType(options))
        hook = ConfiguredChannel.of(config, Hook(config))
        world.router = world.router._replace(config=world.router.config._replace(channels={"hook": hook}))
    event = {"source": OWN_SOURCE, "detail-type": CHECK, "detail": {}}
    return handle(event, world.router, world.deadline(), MAX_RECEIVES)


def test_a_channel_that_answers_is_sound_and_is_sent_nothing() -> None:
    with ScriptedServer(answer(200)) as server:
        found = checked(World(), url=server.url())
        assert found["channels"] == {"hook": ""}
        assert server.requests == []


def test_a_host_that_cannot_be_reached_is_named_without_its_path() -> None:
    problem = checked(World(), url="http://127.0.0.1:9/services/SECRET")["channels"]["hook"]
    assert problem.startswith("127.0.0.1 cannot be reached: ")
    assert "SECRET" not in problem


def test_a_channel_whose_last_messages_failed_is_listed_with_the_answer() -> None:
    world = World()
    world.slack.failure = lambda: PermanentError("gone")
    world.receive(events.task_stopped())
    assert [*checked(world)["failing"]] == ["slack"]


def test_the_release_and_the_unconfirmed_addresses_are_in_the_answer() -> None:
    world = World()
    world.router = world.router._replace(unconfirmed_subscriptions=lambda: ["a@example.com"])
    found = checked(world)
    assert set(found["release"]) == {"code", "plugins", "configuration"}
    assert found["unconfirmed"] == ["a@example.com"]


def test_subscriptions_that_cannot_be_listed_are_unknown() -> None:
    def denied() -> list[str]:
        raise PermissionError

    world = World()
    world.router = world.router._replace(unconfirmed_subscriptions=denied)
    assert checked(world)["unconfirmed"] is None
