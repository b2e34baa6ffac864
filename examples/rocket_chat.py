"""Rocket.Chat, with a personal access token: one message for each incident, and a thread below it."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from router import ChannelConfig, Notification, PermanentError, RemoteGone, hookimpl, post_json

_LIMIT = 4_000  # characters; Rocket.Chat takes 5,000 if nobody changed Message_MaxAllowedSize


class RocketChat:
    secret_options = ("token",)

    def __init__(self, config: ChannelConfig) -> None:
        self.api, self.room = f"{config.options['url'].rstrip('/')}/api/v1", config.options["room"]
        self.headers = {"X-User-Id": config.options["user"], "X-Auth-Token": config.options["token"]}

    def render(self, notification: Notification) -> dict[str, Any]:
        title, text = notification.message.title[:300], notification.message.text
        message = f"*{_literal(title)}*\n{_literal(text)}"[:_LIMIT]
        return {"text": message, "message": "" if notification.bundled else notification.remote.get("message", "")}

    def send(self, payload: dict[str, Any]) -> Mapping[str, str] | None:
        text, message = {"text": payload["text"]}, payload["message"]
        if not message:
            posted = self._call("chat.postMessage", {"roomId": self.room, **text})
            return {"message": str(posted["message"]["_id"])}
        try:  # the edit first: if the reply fails, the edit can be repeated
            self._call("chat.update", {"roomId": self.room, "msgId": message, **text})
        except PermanentError as error:
            if "No message found" in error.answer:
                raise RemoteGone("the message was deleted", status=error.status, answer=error.answer) from None
            raise
        self._call("chat.postMessage", {"roomId": self.room, "tmid": message, **text})
        return None  # it remembers the same message

    def _call(self, method: str, arguments: dict[str, str]) -> dict[str, Any]:
        response = post_json(f"{self.api}/{method}", arguments, headers=self.headers)
        try:
            answer = json.loads(response.text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("success") is not True:
            raise PermanentError("Rocket.Chat did not answer success", status=response.status)
        return answer


def _literal(text: str) -> str:
    """Escapes text from outside, so that it can neither format anything nor notify anyone."""
    return re.sub(r"([\\`*_{}\[\]()#+!|>~-])", r"\\\1", text).replace("@", "@\N{WORD JOINER}")


@hookimpl
def register_channels(register: Callable[[str, type[RocketChat]], None]) -> None:
    register("rocket-chat", RocketChat)
