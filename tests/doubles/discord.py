"""A webhook of Discord on loopback, which refuses what Discord's documentation says it refuses.

https://docs.discord.com/developers/resources/webhook, https://docs.discord.com/developers/resources/message
"""

import json
import socket
import threading
from contextlib import AbstractContextManager
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from router_conformance.server import ScriptedServer, answer

PATH = "/api/webhooks/1234567890/a-token-that-is-secret"
_FIELDS = {"content", "embeds", "allowed_mentions"}
_EMBED = {"title": 256, "description": 4096, "color": 0, "fields": 0, "footer": 0}


class Discord(AbstractContextManager["Discord"]):
    """Attributes: `messages`, those in the channel by id, as they are now; `posted`, how many were ever posted."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.posted = 0
        self._server = ScriptedServer(self._respond)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)

    @property
    def url(self) -> str:
        return self._server.url(PATH)

    def _respond(self, connection: socket.socket, over: threading.Event) -> None:
        head, body = self._server.requests[-1]
        method, target, _ = head.split(" ", 2)
        status, answered = self._answer(method, target, json.loads(body))
        answer(status, json.dumps(answered) if answered else "")(connection, over)

    def _answer(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(target)
        path, _, identity = parts.path.partition("/messages/")
        if path != PATH:
            return 404, {"message": "Unknown Webhook", "code": 10015}
        if problem := invalid(body, empty=method == "PATCH"):
            return 400, {"message": "Invalid Form Body", "code": 50035, "errors": problem}
        if method == "PATCH":
            if identity not in self.messages:
                return 404, {"message": "Unknown Message", "code": 10008}
            self.messages[identity] |= body
            return 200, {"id": identity, **self.messages[identity]}
        self.posted += 1
        identity = f"11223344556677{self.posted:04}"
        self.messages[identity] = body
        return (200, {"id": identity, **body}) if parse_qs(parts.query).get("wait") == ["true"] else (204, {})


def invalid(body: dict[str, Any], *, empty: bool = False) -> str:
    """What Discord would refuse; "" if nothing."""
    embeds = body.get("embeds") or []
    problems = [
        (not {*body} <= _FIELDS, "an unknown field"),
        (not empty and not body.get("content") and not embeds, "an empty message"),
        (len(body.get("content") or "") > 2000, "content"),
        (len(embeds) > 10, "embeds"),
        (sum(map(_size, embeds)) > 6000, "all embeds together"),
        *((not {*embed} <= {*_EMBED}, "an unknown field of an embed") for embed in embeds),
        *((len(embed.get(name, "")) > _EMBED[name], name) for embed in embeds for name in ("title", "description")),
        *((len(embed.get("fields", [])) > 25, "fields") for embed in embeds),
        *((len(embed.get("footer", {}).get("text", "")) > 2048, "footer") for embed in embeds),
        *(
            (not 1 <= len(field["name"].strip()) <= 256 or not 1 <= len(field["value"].strip()) <= 1024, "a field")
            for embed in embeds
            for field in embed.get("fields", [])
        ),
    ]
    return ", ".join(what for wrong, what in problems if wrong)


def _size(embed: dict[str, Any]) -> int:
    fields = sum(len(field["name"]) + len(field["value"]) for field in embed.get("fields", []))
    texts = (embed.get("title", ""), embed.get("description", ""), embed.get("footer", {}).get("text", ""))
    return fields + sum(map(len, texts))
