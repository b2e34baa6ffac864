"""The servers that a function calls: DynamoDB, SNS, SQS, Slack, Teams and PagerDuty on the loopback interface.

They use TLS with a certificate of their own authority, which is the last one of a full-size CA bundle; a bundle with
one certificate would hide the time it takes to load. There is one thread per connection and a minimal HTTP parser: a
request takes some 50 µs here, and several hundred in a function. The servers count the requests and keep their bodies.

`python -m benchmarks.servers DIRECTORY` runs them in another process (`Servers`), which takes commands as JSON lines on
standard input: `{"do": "delays", ...}`, `reset`, `put`, `report`.
"""

import hashlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from benchmarks.certificates import make_certificates
from benchmarks.dynamodb import Refused, Tables

NAMES = ("dynamodb", "sns", "sqs", "slack", "teams", "pagerduty")
OUTSIDE = ("slack", "teams", "pagerduty")

AT_ONCE: Mapping[str, float] = {}
REALISTIC = {"dynamodb": 0.004, "sns": 0.015, "sqs": 0.008, "slack": 0.150, "teams": 0.300, "pagerduty": 0.100}
"""Seconds until the answer."""
CONNECT = 0.060
"""Seconds until a new connection to one of `OUTSIDE` is accepted, if there are delays."""


class Servers:
    """Controls the process with the servers: their addresses, delays, and the requests they have received."""

    def __init__(self, process: "subprocess.Popen[str]", directory: Path) -> None:
        self._process = process
        self.bundle, self.layer = directory / "bundle.pem", directory / "layer"
        assert process.stdout
        self.ports: dict[str, int] = json.loads(process.stdout.readline())

    def url(self, name: str) -> str:
        return f"https://localhost:{self.ports[name]}"

    def delays(self, delays: Mapping[str, float], connect: float = 0.0) -> None:
        self._order({"do": "delays", "delays": delays, "connect": connect})

    def reset(self) -> None:
        """Empties the tables and the lists of received requests."""
        self._order({"do": "reset"})

    def report(self, *, bodies: bool = False) -> dict[str, Any]:
        """`counts` by server, DynamoDB's `calls`, `read` and `write` units, items by kind, and optionally `bodies`."""
        return self._order({"do": "report", "bodies": bodies})

    def put(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Puts items, in DynamoDB's typed JSON, into the table."""
        self._order({"do": "put", "items": items})

    def _order(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def running(directory: Path) -> Iterator[Servers]:
    make_certificates(directory)
    command = [sys.executable, "-m", "benchmarks.servers", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield Servers(process, directory)
        finally:
            process.kill()


# --- in the other process ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _State:
    delays: Mapping[str, float] = field(default_factory=dict)
    connect: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    connections: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, list[str]] = field(default_factory=dict)
    tables: Tables = field(default_factory=Tables)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        self.counts, self.connections, self.bodies, self.tables = Counter(), Counter(), {}, Tables()

    def report(self, *, bodies: bool) -> dict[str, Any]:
        tables = self.tables
        return {
            "counts": dict(self.counts),
            "connections": dict(self.connections),
            "calls": dict(tables.calls),
            "read": tables.read_units,
            "write": tables.write_units,
            "rows": dict(Counter(key[0].partition("#")[0] for key in list(tables.items))),
            "bodies": self.bodies if bodies else {},
        }


_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *[^.\r]*\.(\w+)", re.IGNORECASE)
_OVERSLEEP = 0.002  # seconds
_KEPT = 50  # bodies per server


def _serve(name: str, port: socket.socket, context: ssl.SSLContext, state: _State) -> None:
    while True:
        connection, _ = port.accept()
        threading.Thread(target=_talk, args=(name, connection, context, state), daemon=True).start()


def _talk(name: str, raw: socket.socket, context: ssl.SSLContext, state: _State) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if state.connect and name in OUTSIDE:
        time.sleep(state.connect)
    try:
        with context.wrap_socket(raw, server_side=True) as connection:
            state.connections[name] += 1
            left = b""
            while request := _request(connection, left):
                head, body, left = request
                due = time.perf_counter() + state.delays.get(name, 0.0)
                status, kind, answer = _answer(name, head, body, state)
                _wait_until(due)  # the time to make the answer is part of the delay
                connection.sendall(
                    b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                    % (status, kind, len(answer), answer)
                )
    except OSError:
        return  # the function is gone


def _wait_until(due: float) -> None:
    """On an idle virtual machine, time.sleep returns up to two milliseconds late."""
    if (wait := due - time.perf_counter()) > _OVERSLEEP:
        time.sleep(wait - _OVERSLEEP)
    while time.perf_counter() < due:
        pass


def _request(connection: ssl.SSLSocket, buffer: bytes) -> tuple[bytes, bytes, bytes] | None:
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        chunk = connection.recv(65_536)
        if not chunk:
            return None
        buffer += chunk
    head, body = buffer[:end], buffer[end + 4 :]
    header = _LENGTH.search(head)
    length = int(header[1]) if header else 0
    if b"100-continue" in head and len(body) < length:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while len(body) < length:
        body += connection.recv(65_536)
    return head, body[:length], body[length:]


def _answer(name: str, head: bytes, body: bytes, state: _State) -> tuple[bytes, bytes, bytes]:
    with state.lock:
        state.counts[name] += 1
        kept = state.bodies.setdefault(name, [])
        if len(kept) < _KEPT:
            kept.append(body.decode(errors="replace"))
        return _OF[name](head, body, state)


def _dynamodb(head: bytes, body: bytes, state: _State) -> tuple[bytes, bytes, bytes]:
    target = _TARGET.search(head)
    assert target
    try:
        answer = state.tables.call(target[1].decode(), json.loads(body))
    except Refused as refused:
        return b"400 Bad Request", b"application/x-amz-json-1.0", json.dumps(refused.answer).encode()
    return b"200 OK", b"application/x-amz-json-1.0", json.dumps(answer).encode()


def _sns(_head: bytes, body: bytes, _state: _State) -> tuple[bytes, bytes, bytes]:
    action = parse_qs(body.decode())["Action"][0]
    inside = "<TopicArn>arn:aws:sns:us-east-1:000000000000:alerts</TopicArn>" if action == "CreateTopic" else ""
    inside = inside or "<MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId>"
    xml = (
        f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{inside}</{action}Result>'
        f"<ResponseMetadata><RequestId>f187a3c1</RequestId></ResponseMetadata></{action}Response>"
    )
    return b"200 OK", b"text/xml", xml.encode()


def _sqs(_head: bytes, body: bytes, _state: _State) -> tuple[bytes, bytes, bytes]:
    text = json.loads(body).get("MessageBody", "")
    answer = {"MessageId": "1", "MD5OfMessageBody": hashlib.md5(text.encode()).hexdigest()}  # noqa: S324 - SQS's own
    return b"200 OK", b"application/x-amz-json-1.0", json.dumps(answer).encode()


def _slack(_head: bytes, _body: bytes, _state: _State) -> tuple[bytes, bytes, bytes]:
    return b"200 OK", b"text/html", b"ok"


def _teams(_head: bytes, _body: bytes, _state: _State) -> tuple[bytes, bytes, bytes]:
    return b"202 Accepted", b"text/plain", b""


def _pagerduty(_head: bytes, _body: bytes, _state: _State) -> tuple[bytes, bytes, bytes]:
    answer = b'{"status":"success","message":"Event processed","dedup_key":"x"}'
    return b"202 Accepted", b"application/json", answer


_OF = {
    "dynamodb": _dynamodb,
    "sns": _sns,
    "sqs": _sqs,
    "slack": _slack,
    "teams": _teams,
    "pagerduty": _pagerduty,
}


def main(directory: Path) -> None:
    sys.setswitchinterval(0.0005)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    state, ports = _State(), {}
    for name in NAMES:
        port = socket.create_server(("127.0.0.1", 0), backlog=100)
        ports[name] = port.getsockname()[1]
        threading.Thread(target=_serve, args=(name, port, context, state), daemon=True).start()
    print(json.dumps(ports), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        match order["do"]:
            case "delays":
                state.delays, state.connect = order["delays"], order["connect"]
                print("{}", flush=True)
            case "reset":
                with state.lock:
                    state.reset()
                print("{}", flush=True)
            case "put":
                with state.lock:
                    for item in order["items"]:
                        state.tables.items[item["pk"]["S"], item["sk"]["S"]] = item
                print("{}", flush=True)
            case "report":
                with state.lock:
                    print(json.dumps(state.report(bodies=order["bodies"])), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
