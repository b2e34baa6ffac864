"""Runs a function as Lambda does: AWS's runtime client in another process, with a Runtime API in this one."""

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from local_aws.runtime import runtime_python

_WAIT = 120.0


class FunctionError(Exception):
    """The function failed; the message is its error or the end of its log."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A handler to measure, the paths of its modules, and its environment variables."""

    name: str
    handler: str
    path: tuple[Path, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one invocation: seconds of wall clock and of CPU until the answer, and the answer."""

    wall: float
    cpu: float
    value: Any


class Function:
    """One execution environment. With `one_core`, it is pinned to one CPU core."""

    def __init__(self, variant: Variant, *, one_core: bool = False) -> None:
        self._api = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._buffer = b""
        environment = {
            "PATH": os.environ["PATH"],
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
            "PYTHONPATH": ":".join(map(str, variant.path)),
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "_HANDLER": variant.handler,
            "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.getsockname()[1]}",
            **variant.environment,
        }
        command = [str(runtime_python()), "-m", "awslambdaric", variant.handler]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the function
        self.began = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603
            command, env=environment, stdout=self._said, stderr=subprocess.STDOUT, cwd=variant.path[0]
        )
        if one_core:
            os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        self._wait_for_next()
        self.init = time.perf_counter() - self.began

    def invoke(self, event: Any) -> Answer:
        """Raises FunctionError."""
        body = json.dumps(event).encode()
        deadline = int((time.time() + 60) * 1000)
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 8476a536\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline}\r\nLambda-Runtime-Invoked-Function-Arn: "
            "arn:aws:lambda:us-east-1:000000000000:function:benchmark\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        cpu = self.cpu
        began = time.perf_counter()
        self._send(head.encode() + body)
        line, answer = self._request()
        wall = time.perf_counter() - began
        self._send(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        if not line.endswith("/response"):
            raise FunctionError(f"{line}: {answer.decode()[:2000]}")
        self._wait_for_next()
        return Answer(wall, self.cpu - cpu, json.loads(answer))

    @property
    def cpu(self) -> float:
        """Seconds of CPU since the process began, ended threads included: clock_getcpuclockid(3)."""
        return time.clock_gettime((~self._process.pid << 3) | 2)

    @property
    def peak(self) -> float:
        """Peak memory in MB. Not ru_maxrss, which includes the parent's memory before exec."""
        return self._memory("VmHWM")

    @property
    def memory(self) -> float:
        """Memory in MB now."""
        return self._memory("VmRSS")

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return float(status.partition(f"{name}:")[2].split()[0]) / 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for connection in (self._client, self._api):
            if connection:
                connection.close()
        self._said.close()

    def said(self) -> str:
        """The end of its log."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace")[-3000:]

    # --- the Runtime API ---

    def _wait_for_next(self) -> None:
        while True:
            line, body = self._request()
            if line.endswith("/next"):
                return
            if "/init/error" in line:
                raise FunctionError(body.decode()[:2000])

    def _request(self) -> tuple[str, bytes]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._receive()
        head, rest = self._buffer[:end].decode(), self._buffer[end + 4 :]
        line, *headers = head.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in headers)}
        self._buffer = rest
        if "100-continue" in fields.get("expect", ""):
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._chunked() if "chunked" in fields.get("transfer-encoding", "") else None
        if body is None:
            length = int(fields.get("content-length", 0))
            while len(self._buffer) < length:
                self._receive()
            body, self._buffer = self._buffer[:length], self._buffer[length:]
        return line.split()[1], body

    def _chunked(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._buffer:
                self._receive()
            size, _, self._buffer = self._buffer.partition(b"\r\n")
            wanted = int(size, 16)
            while len(self._buffer) < wanted + 2:
                self._receive()
            body += self._buffer[:wanted]
            self._buffer = self._buffer[wanted + 2 :]
            if not wanted:
                return body

    def _receive(self) -> None:
        """Receives from the function's connection, or accepts the next one if the function has closed it."""
        while True:
            if self._client is None:
                self._client = self._accept()
            chunk = b""
            with suppress(OSError):
                chunk = self._client.recv(262_144)
            if chunk:
                self._buffer += chunk
                return
            self._client.close()
            self._client = None

    def _accept(self) -> socket.socket:
        ends = time.monotonic() + _WAIT
        self._api.settimeout(0.5)
        while time.monotonic() < ends:
            with suppress(TimeoutError):
                client, _ = self._api.accept()
                client.settimeout(_WAIT)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return client
            if self._process.poll() is not None:
                break
        raise FunctionError(f"the function ended:\n{self.said()}")

    def _send(self, content: bytes) -> None:
        assert self._client
        self._client.sendall(content)
