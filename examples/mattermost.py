"""Mattermost, through an incoming webhook."""

import re
from collections.abc import Callable
from typing import Any

from router import ChannelConfig, Notification, hookimpl, post_json

_LIMIT = 16_000  # characters; Mattermost takes 16,383 in one post


class Mattermost:
    def __init__(self, config: ChannelConfig) -> None:
        self.url = config.options["webhook_url"]

    def render(self, notification: Notification) -> dict[str, Any]:  # pure, JSON-able
        title, text = notification.message.title[:300], notification.message.text
        return {"text": f"**{_literal(title)}**\n{_literal(text)}"[:_LIMIT]}

    def send(self, payload: dict[str, Any]) -> None:  # once; raises TransientError or PermanentError
        post_json(self.url, payload)


def _literal(text: str) -> str:
    """Escapes text from outside, so that it can neither format anything nor notify anyone."""
    return re.sub(r"([\\`*_{}\[\]()#+!|>~-])", r"\\\1", text).replace("@", "@\N{WORD JOINER}")


@hookimpl
def register_channels(register: Callable[[str, type[Mattermost]], None]) -> None:
    register("mattermost", Mattermost)
