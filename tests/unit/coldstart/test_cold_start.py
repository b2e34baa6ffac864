"""A cold start imports only what is listed here, makes everything at the right time, and verifies its peers."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import SSLError

from benchmarks.certificates import make_certificates
from benchmarks.events import batch, crash
from benchmarks.servers import running
from benchmarks.variants import function_environment
from router.aws import clients
from tests.doubles.lambda_environment import UNREACHABLE

ROOT = Path(__file__).resolve().parents[3]

# The packages that a first event imports. Each makes a cold start slower: measure it before you add it (`make bench`).
PACKAGES = {
    "aws_lambda_powertools",
    "botocore",
    "certifi",
    "dateutil",
    "idna",
    "jmespath",
    "pluggy",
    "plugins",
    "requests",
    "router",
    "six",
    "typing_extensions",
    "urllib3",
}
# requests and botocore import these if they are installed; neither the layer nor Lambda has them.
NOT_SHIPPED = {"charset_normalizer", "cython_runtime", "simplejson"}
# Modules that take several milliseconds to import and are easily imported by accident.
EXPENSIVE = {"asyncio", "boto3", "multiprocessing", "s3transfer", "sqlite3", "unittest", "xmlrpc"}

# Modules that `router.coldstart` leaves out of packages that are imported.
LEFT_OUT = {"botocore.docs.docstring", "botocore.docs.service", "html.parser"}

PROGRAM = """
import json, sys
import router.handler as entry

answer = entry.lambda_handler(json.loads(sys.stdin.read()), None)
print(json.dumps({"modules": sorted(sys.modules), "answer": answer}))
"""


@pytest.fixture(scope="module")
def first_event(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The modules of a process after it has sent an alert to four channels, and its answer."""
    with running(tmp_path_factory.mktemp("servers")) as servers:
        environment = {**function_environment(servers), "PATH": os.defpath, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM]
        event = json.dumps(batch([crash("web")]))
        process = subprocess.run(
            command, env=environment, cwd=ROOT, input=event, capture_output=True, text=True, check=True
        )
        counts = servers.report()["counts"]
    assert [counts.get(name) for name in ("sns", "slack", "teams", "pagerduty")] == [1] * 4
    result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    assert result["answer"] == {"batchItemFailures": []}
    return result


START = """
import router.handler as entry
print(entry.make_router.cache_info().currsize)
"""


def started(variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """A process that imports the handler and prints how many routers it has made."""
    environment = {**UNREACHABLE, "PATH": os.defpath, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", START]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


_SLACK = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"}


@pytest.mark.parametrize(("variables", "made"), [({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, "1"), ({}, "0")])
def test_everything_is_made_while_lambda_starts_the_function_and_never_by_another_import(
    variables: dict[str, str], made: str
) -> None:
    """Lambda gives every function a whole CPU while it starts; with 128 MB it has a fourteenth of one afterwards."""
    assert started({**variables, **_SLACK}).stdout.split() == [made]


def test_a_configuration_without_a_usable_channel_stops_the_start() -> None:
    stopped = started({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
    assert stopped.returncode != 0
    assert "no channel is usable" in stopped.stderr


def packages(modules: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_a_first_event_imports_no_package_that_is_not_listed(first_event: dict[str, Any]) -> None:
    imported = packages(first_event["modules"])
    others = {name for name in imported if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert others - PACKAGES - NOT_SHIPPED == set()


def test_a_first_event_imports_nothing_expensive(first_event: dict[str, Any]) -> None:
    assert packages(first_event["modules"]) & EXPENSIVE == set()


def test_a_first_event_imports_nothing_that_is_left_out(first_event: dict[str, Any]) -> None:
    """Fails if botocore starts to import in another way what `router.coldstart.botocore_session` leaves out."""
    assert LEFT_OUT & set(first_event["modules"]) == set()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port and CA bundle of a server that answers `{}`; its certificate is for `localhost`."""
    make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as served:
        served.socket = context.wrap_socket(served.socket, server_side=True)
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served.server_address[1], tmp_path / "bundle.pem"
        served.shutdown()


@pytest.mark.parametrize(
    ("host", "known", "accepted"), [("localhost", True, True), ("localhost", False, False), ("127.1", True, False)]
)
def test_the_shared_context_verifies_the_authority_and_the_host(
    server: tuple[int, Path], monkeypatch: pytest.MonkeyPatch, host: str, *, known: bool, accepted: bool
) -> None:
    port, bundle = server
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"https://{host}:{port}")
    if known:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    client = clients.aws_client("sqs", attempts=1)
    with nullcontext() if accepted else pytest.raises(SSLError):
        assert client.list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
