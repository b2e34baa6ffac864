"""The probe: what the tick checks for each channel without sending."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from router.channels.configured import ConfiguredChannel
from router.channels.secrets import Secrets
from router.deadline import Deadline
from router.errors import TransientError
from router.inbox import handle
from router.model import ChannelConfig, Notification
from router.selfcheck.probe import probe
from tests.doubles.world import World

TICK = {"source": "ecs-alert-router", "detail-type": "Router Tick", "detail": {}}
SECRET = "https://chat.example.com/hooks/sixteen-characters"


def ticked(world: World, left: float = 60.0) -> list[int]:
    """The numbers of unusable channels that the tick reports."""
    heard: list[int] = []
    handle(TICK, world.router._replace(count_unusable=heard.append), world.deadline(left), 5)
    return heard


def with_channel(world: World, source: ConfiguredChannel) -> World:
    config = world.config._replace(channels={**world.config.channels, "new": source})
    world.router = world.router._replace(config=config)
    return world


class Broken:
    def render(self, notification: Notification) -> dict[str, Any]:
        raise RuntimeError(f"{SECRET} {notification.kind}")

    def send(self, payload: dict[str, Any]) -> None:
        raise AssertionError(f"nothing is to be sent: {payload}")


class Refusing:
    """An SSM that answers with an error code, or too late."""

    def __init__(self, code: str) -> None:
        self._code = code

    def get_parameter(self, **request: Any) -> Mapping[str, Any]:
        error = RuntimeError(request["Name"])
        error.response = {"Error": {"Code": self._code}}  # type: ignore[attr-defined]  # as in botocore
        raise error


def secret_channel(code: str) -> ConfiguredChannel:
    secrets = Secrets(lambda: Refusing(code), lambda: None, lambda: 0.0)
    return ConfiguredChannel(
        ChannelConfig("new", "recorder", {"webhook_url": "ssm:/gone"}), lambda _: Broken(), secrets
    )


def test_it_sends_nothing_and_logs_nothing_if_all_is_well() -> None:
    world = World()
    assert ticked(world) == [0]
    assert [channel.tried for channel in (world.slack, world.email, world.pager)] == [0, 0, 0]


def test_an_unreadable_secret_is_noticed_before_an_alert_needs_it(caplog: pytest.LogCaptureFixture) -> None:
    assert ticked(with_channel(World(), secret_channel("AccessDeniedException"))) == [1]
    assert "channel new cannot be used: ssm:/gone: the function may not read it" in caplog.text


def test_a_transient_error_is_not_reported() -> None:
    assert ticked(with_channel(World(), secret_channel("ThrottlingException"))) == [0]


def test_a_plugin_that_cannot_render_is_reported_without_its_error_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = ConfiguredChannel.of(ChannelConfig("new", "recorder", {}), Broken())
    assert ticked(with_channel(World(), source)) == [1]
    assert "its plugin raised RuntimeError" in caplog.text
    assert SECRET not in caplog.text


def test_channels_are_probed_side_by_side() -> None:
    """Each is rendered only while the other is."""
    together, world = threading.Barrier(2, timeout=20), World()

    class Meeting(Broken):
        def render(self, notification: Notification) -> dict[str, Any]:
            together.wait()
            return {"kind": notification.kind}

    channels = {name: ConfiguredChannel.of(ChannelConfig(name, "recorder", {}), Meeting()) for name in ("a", "b")}
    assert probe(world.config._replace(channels=channels), world.now, Deadline.after(20)) == 0


def test_a_channel_that_hangs_is_left_to_the_next_tick(caplog: pytest.LogCaptureFixture) -> None:
    """Three secrets that hang took longer than the function's time-out. The other channels are probed all the same."""
    over, world = threading.Event(), World()

    class Stuck(Broken):
        def render(self, notification: Notification) -> dict[str, Any]:
            over.wait(20)
            return {"kind": notification.kind}

    channels = {
        "broken": ConfiguredChannel.of(ChannelConfig("broken", "recorder", {}), Broken()),
        **{name: ConfiguredChannel.of(ChannelConfig(name, "recorder", {}), Stuck()) for name in ("x", "y", "z")},
    }
    began = time.monotonic()
    assert probe(world.config._replace(channels=channels), world.now, Deadline.after(0.2)) == 1
    assert time.monotonic() - began < 2
    assert [f"channel {name}: not probed in time" in caplog.text for name in ("x", "y", "z")] == [True] * 3
    over.set()


def test_a_disabled_channel_is_counted() -> None:
    world = World()
    world.router = world.router._replace(config=world.config._replace(disabled={"teams": "the URL is retired"}))
    assert ticked(world) == [1]


def test_sending_what_is_due_has_priority_over_the_probe() -> None:
    assert (
        ticked(with_channel(World(), ConfiguredChannel.of(ChannelConfig("new", "recorder", {}), Broken())), left=15.0)
        == []
    )


def test_a_channel_whose_remote_is_down_is_not_unusable() -> None:
    """A send shows that; the probe sends nothing."""
    world = World()
    world.slack.failure = lambda: TransientError("down")
    assert ticked(world) == [0]
