"""A webhook of Google Chat on loopback, which refuses what Google's documentation says it refuses.

https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create
"""

import json
import socket
import threading
from contextlib import AbstractContextManager
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from router_conformance.server import ScriptedServer, answer

PATH = "/v1/spaces/AAAA/messages"
QUERY = "key=a-key-that-is-secret&token=a-token-that-is-secret"
_WIDGETS = {"textParagraph", "decoratedText", "buttonList"}


class GoogleChat(AbstractContextManager["GoogleChat"]):
    """Attributes: `threads`, the messages of the space in their threads."""

    def __init__(self) -> None:
        self.threads: dict[str, list[dict[str, Any]]] = {}
        self._server = ScriptedServer(self._respond)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)

    @property
    def url(self) -> str:
        return self._server.url(f"{PATH}?{QUERY}")

    def _respond(self, connection: socket.socket, over: threading.Event) -> None:
        head, body = self._server.requests[-1]
        status, answered = self._answer(head.split(" ", 2)[1], body)
        answer(status, json.dumps(answered))(connection, over)

    def _answer(self, target: str, content: bytes) -> tuple[int, dict[str, Any]]:
        parts, body = urlsplit(target), json.loads(content)
        query = parse_qs(parts.query)
        if parts.path != PATH or query.get("key") != ["a-key-that-is-secret"]:
            return 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
        if problem := invalid(body, len(content)):
            return 400, {"error": {"code": 400, "message": problem, "status": "INVALID_ARGUMENT"}}
        # By default, the thread of the request is ignored, and each message begins one.
        replies = query.get("messageReplyOption") == ["REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"]
        key = body.get("thread", {}).get("threadKey") if replies else None
        thread = self.threads.setdefault(key or f"new-{len(self.threads)}", [])
        thread.append(body)
        return 200, {"name": f"spaces/AAAA/messages/{sum(map(len, self.threads.values()))}", "thread": {"name": key}}


def invalid(body: dict[str, Any], size: int) -> str:
    """What Google Chat would refuse; "" if nothing."""
    cards = [entry["card"] for entry in body.get("cardsV2", [])]
    widgets = [widget for card in cards for section in card["sections"] for widget in section["widgets"]]
    problems = [
        (size > 32_000, "too large"),
        (not {*body} <= {"text", "cardsV2", "fallbackText", "thread"}, "an unknown field"),
        (not body.get("text") and not cards, "empty"),
        (len(body.get("thread", {}).get("threadKey", "")) > 4000, "threadKey"),
        *((not card["header"]["title"], "a header without a title") for card in cards),
        *((len(widget) != 1 or not {*widget} <= _WIDGETS, "an unknown widget") for widget in widgets),
        *((not widget["textParagraph"]["text"], "no text") for widget in widgets if "textParagraph" in widget),
        *((not widget["decoratedText"]["text"], "no text") for widget in widgets if "decoratedText" in widget),
        *(
            (not button["text"] or not button["onClick"]["openLink"]["url"].startswith("https://"), "a button")
            for widget in widgets
            for button in widget.get("buttonList", {}).get("buttons", [])
        ),
    ]
    return ", ".join(what for wrong, what in problems if wrong)
