"""The local AWS ends when it is no longer needed, for whatever reason."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from local_aws import running

ROOT = Path(__file__).resolve().parents[2]
RUN_FOREVER = """
import time
from local_aws import running
with running() as aws:
    print(aws.endpoint, flush=True)
    time.sleep(600)
"""


def answers(endpoint: str) -> bool:
    address = urlsplit(endpoint)
    with socket.socket() as client:
        return client.connect_ex((str(address.hostname), int(address.port or 0))) == 0


def test_nothing_listens_after_the_with_block() -> None:
    with running() as aws:
        assert answers(aws.endpoint)
    assert not answers(aws.endpoint)


def test_the_emulator_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", RUN_FOREVER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        endpoint = parent.stdout.readline().strip()
        assert answers(endpoint)
        parent.kill()
    deadline = time.monotonic() + 5
    while answers(endpoint) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(endpoint)


def test_the_clock_of_the_functions_moves_ahead() -> None:
    with running() as aws:
        before = time.time()
        aws.advance(3600)
        aws.advance(60)
        assert 3660 <= aws.now() - before < 3700
