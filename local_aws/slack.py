"""A stand-in for hooks.slack.com on loopback: accepts what Slack accepts, and refuses the rest in Slack's words.

For the demo and the tests. Rules: https://docs.slack.dev/reference/block-kit/blocks and the error words of
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
"""

import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

# The same form as the example in Slack's own documentation; a secret that opens nothing.
_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
_PATH_FORM = re.compile(r"/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20,}")
_TOTAL_TEXT = 13_200  # characters of all blocks; Slack does not publish the figure (slackapi/bolt-js issue 2509)


@dataclass(frozen=True, slots=True)
class Request:
    """One request and what it was answered. `status` is 0 where the connection was reset."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer: str
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that Slack would have posted. `at` is when it arrived, in POSIX seconds."""

    payload: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class _Step:
    """One scripted answer."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    stall: float = 0.0
    reset: bool = False


class SlackDouble:
    """Listens on a free port between `with` and its end. What is scripted is used up first, one step per request."""

    def __init__(self) -> None:
        self._script: deque[_Step] = deque()
        self._requests: list[Request] = []
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{_PATH}"

    @property
    def received(self) -> list[Received]:
        """The accepted messages, in the order of their arrival."""
        with self._changed:
            return list(self._received)

    @property
    def requests(self) -> list[Request]:
        """Every request that was read to its end, refused ones too."""
        with self._changed:
            return list(self._requests)

    def wait_for(self, count: int, timeout: float = 10) -> list[Received]:
        """Waits until `count` messages were accepted; raises TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._received) >= count, timeout):
                raise TimeoutError(f"{len(self._received)} of {count} messages after {timeout} s")
            return list(self._received)

    def answer_with(self, status: int, body: str, *, headers: Mapping[str, str] | None = None, times: int = 1) -> None:
        """Answers the next `times` requests with this, whatever they hold."""
        self._plan(_Step(status, body, headers or {}), times)

    def stall(self, seconds: float, *, times: int = 1) -> None:
        """Reads the next requests, and answers as usual after `seconds`."""
        self._plan(_Step(stall=seconds), times)

    def reset_connection(self, *, times: int = 1) -> None:
        """Reads the next requests, and answers with a TCP reset."""
        self._plan(_Step(reset=True), times)

    def _plan(self, step: _Step, times: int) -> None:
        with self._changed:
            self._script.extend([step] * times)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> _Step:
        """What to answer to one request; called by the server's threads."""
        at = time.time()
        with self._changed:
            step = self._script.popleft() if self._script else None
        if step is not None and step.stall:
            self._closing.wait(step.stall)
            step = None
        if step is None:
            step = _Step(*judge(path, body))
        with self._changed:
            self._requests.append(Request(path, headers, body, 0 if step.reset else step.status, step.body, at))
            if (step.status, step.body, step.reset) == (200, "ok", False):
                self._received.append(Received(json.loads(body), at))
            self._changed.notify_all()
        return step


def judge(path: str, body: bytes) -> tuple[int, str]:
    """Status and body of Slack's answer to a post."""
    if not _PATH_FORM.fullmatch(path):
        return 404, "no_service"
    try:
        payload = json.loads(body)
    except ValueError:
        return 400, "invalid_payload"
    if not isinstance(payload, dict):
        return 400, "invalid_payload"
    problem = _problem(payload)
    return (400, problem) if problem else (200, "ok")


def _problem(payload: Mapping[str, Any]) -> str:
    """Slack's word for what is wrong with a payload, or ""."""
    attachments = payload.get("attachments") or []
    if not (payload.get("text") or payload.get("blocks") or attachments):
        return "no_text"
    if len(attachments) > 100:  # noqa: PLR2004 - the limits in this file stand in Slack's documentation as they are
        return "too_many_attachments"
    groups = [payload.get("blocks") or [], *(attachment.get("blocks") or [] for attachment in attachments)]
    if any(len(group) > 50 or not all(map(_valid, group)) for group in groups):  # noqa: PLR2004
        return "invalid_blocks"
    return "msg_blocks_too_long" if sum(map(len, _texts(groups))) > _TOTAL_TEXT else ""


def _valid(block: Any) -> bool:
    rule = _RULES.get(str(block.get("type"))) if isinstance(block, dict) else None
    return rule is not None and rule(block) and len(block.get("block_id", "")) <= 255  # noqa: PLR2004


def _header(block: Mapping[str, Any]) -> bool:
    return _text(block.get("text"), 150, ("plain_text",))


def _section(block: Mapping[str, Any]) -> bool:
    fields = block.get("fields", [])
    if not fields:
        return _text(block.get("text"), 3000)
    return len(fields) <= 10 and all(_text(item, 2000) for item in fields)  # noqa: PLR2004


def _context(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements", [])
    return 1 <= len(elements) <= 10 and all(_text(item, 3000) for item in elements)  # noqa: PLR2004


def _actions(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements", [])
    return 1 <= len(elements) <= 25 and all(map(_button, elements))  # noqa: PLR2004


def _button(element: Any) -> bool:
    url = element.get("url", "")
    named = element.get("type") == "button" and _text(element.get("text"), 75, ("plain_text",))
    return named and len(url) <= 3000 and re.fullmatch(r"(https?://\S+)?", url) is not None  # noqa: PLR2004


def _text(value: Any, limit: int, types: tuple[str, ...] = ("plain_text", "mrkdwn")) -> bool:
    return (
        isinstance(value, dict)
        and value.get("type") in types
        and isinstance(value.get("text"), str)
        and 1 <= len(value["text"]) <= limit
    )


_RULES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "divider": lambda _: True,
}


def _texts(value: Any) -> Iterator[str]:
    """Every `text` in blocks, wherever it stands."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)


class _Server(ThreadingHTTPServer):
    # Joined when the server closes, so that no thread outlives the double.
    daemon_threads = False
    request_queue_size = 64  # the default of 5 makes the sixth client at once wait a second

    def __init__(self, double: SlackDouble) -> None:
        self.double = double
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Wakes the threads that wait for the next request of a client that keeps its connection."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that went away while it was answered is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # TCP_NODELAY: else each small answer waits 40 ms for an acknowledgement
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        step = self.server.double.answer(self.path, dict(self.headers), body)
        if step.reset:
            # Linger of 0 s: close() then sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True
            socket.close(self.connection.detach())
            return
        answer = step.body.encode()
        self.send_response(step.status)
        for name, value in {"Content-Type": "text/html", **step.headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Nothing: the path would be a secret."""
