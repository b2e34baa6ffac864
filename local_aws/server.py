"""Starts and stops the local AWS."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from local_aws.runtime import ROOT, StartError, runtime_python

CLOCK = "clock"  # the directory of function_clock.py, in the scratch directory
START_SECONDS = 30.0  # usually 0.3 to 1; more on a busy machine
PORT_ATTEMPTS = 3
LOG_TAIL = 20  # lines


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS. Its dummy credentials belong to the root user of account 000000000000."""

    endpoint: str
    log: Path  # the emulator's log; removed when it stops
    ahead: Path  # by how many seconds the functions' clock is ahead of the machine's (function_clock.py)
    process_group: int  # of the emulator and the processes in which its functions run
    region: str = "us-east-1"
    access_key: str = "test"
    secret_key: str = "test"  # noqa: S105  not a secret: any text works

    def client(self, service: str) -> Any:
        """Return a boto3 client that talks to this AWS regardless of the environment and ~/.aws."""
        session = boto3.Session(
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key, region_name=self.region
        )
        return session.client(service, endpoint_url=self.endpoint)

    def now(self) -> float:
        """Epoch seconds by the functions' clock."""
        return time.time() + float(self.ahead.read_text())

    def advance(self, seconds: float) -> None:
        """Move the functions' clock ahead. That of the local AWS does not move, since it checks signatures by it."""
        moved = self.ahead.with_suffix(".new")
        moved.write_text(str(float(self.ahead.read_text()) + seconds))
        moved.replace(self.ahead)  # a function that reads it at the same time finds it whole


@contextmanager
def running(*, enforce_iam: bool = False) -> Iterator[LocalAws]:
    """Run a local AWS on a free loopback port; nothing of it is left afterwards, even after an error.

    With `enforce_iam` the function may do only what its role allows, as on AWS.
    """
    python = runtime_python()
    with tempfile.TemporaryDirectory(prefix="local-aws-") as scratch:
        process, aws = _start(python, Path(scratch), enforce_iam=enforce_iam)
        try:
            yield aws
        finally:
            _kill(process)


def _start(python: Path, scratch: Path, *, enforce_iam: bool) -> tuple[subprocess.Popen[bytes], LocalAws]:
    log, ahead = scratch / "emulator.log", scratch / CLOCK / "ahead"
    ahead.parent.mkdir()
    ahead.write_text("0")
    shutil.copy(ROOT / "local_aws" / "function_clock.py", ahead.parent)
    for _ in range(PORT_ATTEMPTS):
        port = _free_port()
        endpoint = f"http://127.0.0.1:{port}"
        environment = _environment(port, python, scratch, enforce_iam=enforce_iam)
        process = _launch(environment, log)
        try:
            if _is_ready(process, endpoint):
                return process, LocalAws(endpoint, log, ahead, process.pid)
        except BaseException:
            _kill(process)
            raise
        _kill(process)  # another process may have taken the port
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL:])
    raise StartError(f"the local AWS did not start:\n{tail}")


def _environment(port: int, python: Path, scratch: Path, *, enforce_iam: bool) -> dict[str, str]:
    """Build the emulator's whole environment. Functions inherit it, so this process's variables must not leak in."""
    return {
        "AUTH": "true" if enforce_iam else "false",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "BIND_HOST": "127.0.0.1",  # the default is every interface
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "PATH": os.defpath,
        "RUNTIME_PYTHON": str(python),
        "TMPDIR": str(scratch),
    }


def _launch(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "local_aws.emulator"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,  # closes when this process dies, and the emulator ends with it
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # one group to end: the emulator and the functions that it runs
        )


def _is_ready(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=1):  # noqa: S310  always http
                return process.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the emulator and its functions at once. Its state is in memory and no longer needed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin:
        process.stdin.close()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
