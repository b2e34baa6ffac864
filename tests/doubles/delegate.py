"""A world in which one of the channels is a real one, with the whole router before it."""

from typing import Any

from router.channels.plugins import Channel
from router.model import Notification
from tests.doubles.world import Recorder, World


class Delegate(Recorder):
    """A channel that records its notifications, and lets a real channel render and send them."""

    def __init__(self, name: str, channel: Channel) -> None:
        super().__init__(name)
        self._channel = channel

    def render(self, notification: Notification) -> dict[str, Any]:
        self.told.append(notification)
        return self._channel.render(notification)

    def send(self, payload: dict[str, Any]) -> Any:
        return self._channel.send(payload)


class WorldWith(World):
    """A world whose channel `slack` is this one."""

    def __init__(self, channel: Channel) -> None:
        self._real = channel
        super().__init__()

    def make_channels(self) -> dict[str, Recorder]:
        return {**super().make_channels(), "slack": Delegate("slack", self._real)}
