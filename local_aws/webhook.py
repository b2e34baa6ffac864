"""A webhook server on loopback: the shared part of the stand-ins for Slack, Teams and PagerDuty.

Each answers as the real service does, plays the failures that a test scripts, and records what it was sent.
"""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Request:
    """A request and its response. `status` is 0 if the connection was reset."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer: str
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that got through. `at` is when it arrived, in POSIX seconds."""

    payload: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class Step:
    """One response: the server's own, or a scripted one.

    Attributes:
        lost: the server's own, which never arrives: a reset comes in its place, or nothing if it is `withheld`.
    """

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    stall: float = 0.0
    reset: bool = False
    lost: bool = False
    withheld: bool = False


class WebhookDouble:
    """Listens on a free port inside a `with` block. Scripted steps are used first, one per request.

    A subclass decides what its host answers (`judge`), which answers mean that a message got through (`accepts`), and
    what to do with that message (`arrive`).
    """

    content_type: ClassVar[str] = "application/json; charset=utf-8"
    takes_get: ClassVar[bool] = False

    def __init__(self) -> None:
        self._script: deque[Step] = deque()
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

    def judge(
        self, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str] | tuple[int, str, Mapping[str, str]]:
        """Status and body of the host's answer to a post, perhaps with headers."""
        raise NotImplementedError

    def accepts(self, status: int, body: str) -> bool:
        """Whether an answer, scripted or not, means that the message got through."""
        raise NotImplementedError

    def arrive(self, message: Received) -> None:
        """Handles an accepted message. Called with the lock held."""
        self._received.append(message)

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def received(self) -> list[Received]:
        """The messages that people would see, in the order of their arrival."""
        with self._changed:
            return list(self._received)

    @property
    def requests(self) -> list[Request]:
        """Every request that was read completely, including rejected ones."""
        with self._changed:
            return list(self._requests)

    def wait_for(self, count: int, timeout: float = 10) -> list[Received]:
        """Waits until `count` messages got through; raises TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._received) >= count, timeout):
                raise TimeoutError(f"{len(self._received)} of {count} messages after {timeout} s")
            return list(self._received)

    def answer_with(self, status: int, body: str, *, headers: Mapping[str, str] | None = None, times: int = 1) -> None:
        """Answers the next `times` requests with this, regardless of their content."""
        self._plan(Step(status, body, headers or {}), times)

    def stall(self, seconds: float, *, times: int = 1) -> None:
        """Reads the next requests, and answers as usual after `seconds`."""
        self._plan(Step(0, stall=seconds), times)

    def reset_connection(self, *, times: int = 1) -> None:
        """Reads the next requests, and answers with a TCP reset."""
        self._plan(Step(0, reset=True), times)

    def lose_answer(self, *, times: int = 1) -> None:
        """Handles the next requests as usual, and sends a TCP reset in place of the answer."""
        self._plan(Step(0, lost=True), times)

    def withhold_answer(self, *, times: int = 1) -> None:
        """Handles the next requests as usual, and never answers: the client waits until it gives up or is killed."""
        self._plan(Step(0, lost=True, withheld=True), times)

    def answer_as_usual(self) -> None:
        """Forgets what was planned for the next requests."""
        with self._changed:
            self._script.clear()

    def _plan(self, step: Step, times: int) -> None:
        with self._changed:
            self._script.extend([step] * times)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Step:
        """The response to a request. Called by the server's threads."""
        at = time.time()
        with self._changed:
            step = self._script.popleft() if self._script else None
        lost = step if step is not None and step.lost else None
        if step is not None and (step.stall or lost):
            self._closing.wait(step.stall)
            step = None
        if step is None:
            step = Step(*self.judge(path, headers, body))
        with self._changed:
            self._requests.append(Request(path, headers, body, step.status, step.body, at))
            if self.accepts(step.status, step.body):
                self.arrive(Received(json.loads(body), at))
            self._changed.notify_all()
        return Step(0, reset=not lost.withheld, withheld=lost.withheld) if lost else step


class _Server(ThreadingHTTPServer):
    # Joined when the server closes, so that no thread outlives the double.
    daemon_threads = False
    request_queue_size = 64  # the default of 5 makes the sixth client at once wait a second

    def __init__(self, double: WebhookDouble) -> None:
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
        """Ignored: some tests close the connection during a response."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # TCP_NODELAY: else each small answer waits 40 ms for an acknowledgement
    server: _Server

    def do_GET(self) -> None:
        if self.server.double.takes_get:
            self.do_POST()
        else:
            self.send_error(405)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        double = self.server.double
        step = double.answer(self.path, dict(self.headers), body)
        if step.withheld:
            self.connection.recv(1)  # returns when the client has gone
            self.close_connection = True
            return
        if step.reset:
            # Linger of 0 s: close() then sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True
            socket.close(self.connection.detach())
            return
        answer = step.body.encode()
        fields = {"Content-Type": double.content_type, **step.headers, "Content-Length": str(len(answer))}
        self.send_response(step.status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Logs nothing: the path is a secret."""
