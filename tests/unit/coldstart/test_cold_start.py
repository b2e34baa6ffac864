"""What a cold start costs cannot creep: what it imports, how often it loads certificates, which models it reads."""

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
from botocore.httpsession import URLLib3Session, get_cert_path

from benchmarks.certificates import make_certificates
from benchmarks.events import batch, crash
from benchmarks.servers import running
from benchmarks.variants import function_environment
from router.aws import clients
from router.coldstart import tls

ROOT = Path(__file__).resolve().parents[3]

# Beside the standard library. A package that comes in here costs each cold start: measure it (`make bench`).
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
    "urllib3",
}
# What requests and botocore take where a developer's machine has it; the layer and Lambda have none of it.
NOT_SHIPPED = {"charset_normalizer", "cython_runtime", "simplejson"}
# What costs more than a few milliseconds, and is easily brought in by accident.
DEAR = {"asyncio", "boto3", "multiprocessing", "s3transfer", "sqlite3", "unittest", "xmlrpc"}

# What is left out of packages that come in: by whom it is imported, and what for.
LEFT_OUT = {
    "botocore.docs.docstring",  # writes docstrings
    "botocore.docs.service",
    "html.parser",  # for the former
    "aws_lambda_powertools.logging",  # for lines of the log
    "aws_lambda_powertools.tracing",
    "typing_extensions",  # for the former
    "zoneinfo",  # for another time zone than UTC
    "router.selfcheck.heartbeat",  # once a week
    "router.outage",  # while history is unreachable, and for what comes back from the dead-letter queue
}

PROGRAM = """
import json, sys
import router.handler as entry

answer = entry.lambda_handler(json.loads(sys.stdin.read()), None)
print(json.dumps({"modules": sorted(sys.modules), "answer": answer}))
"""


@pytest.fixture(scope="module")
def first_event(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The modules of a process that has told four channels of an alert, and its answer."""
    with running(tmp_path_factory.mktemp("servers")) as servers:
        environment = {**function_environment(servers), "PATH": os.defpath, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM]
        event = json.dumps(batch([crash("web")]))
        shown = subprocess.run(
            command, env=environment, cwd=ROOT, input=event, capture_output=True, text=True, check=True
        )
        told = servers.report()["counts"]
    assert [told.get(name) for name in ("sns", "slack", "teams", "pagerduty")] == [1] * 4
    found: dict[str, Any] = json.loads(shown.stdout.splitlines()[-1])
    assert found["answer"] == {"batchItemFailures": []}
    return found


START = """
import router.handler as entry
print(entry.make_router.cache_info().currsize)
"""


def started(variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """A process that imports the handler, and says how many routers it has made."""
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",  # nobody is there, and nobody needs to be
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "HISTORY_TABLE": "history",
        "DUE_QUEUE_URL": "https://sqs.invalid/due",
        "DLQ_URL": "https://sqs.invalid/dead",
        **variables,
    }
    command = [sys.executable, "-c", START]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


_SLACK = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"}


@pytest.mark.parametrize(("variables", "made"), [({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, "1"), ({}, "0")])
def test_everything_is_made_while_lambda_starts_the_function_and_nowhere_else(
    variables: dict[str, str], made: str
) -> None:
    """With little memory a function has a whole CPU then, and a fourteenth of one afterwards."""
    assert started({**variables, **_SLACK}).stdout.split() == [made]


def test_a_configuration_without_a_usable_channel_stops_the_start() -> None:
    stopped = started({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
    assert stopped.returncode != 0
    assert "no channel is usable" in stopped.stderr


def packages(modules: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_a_first_event_imports_no_package_that_is_not_listed(first_event: dict[str, Any]) -> None:
    found = packages(first_event["modules"])
    others = {name for name in found if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert others - PACKAGES - NOT_SHIPPED == set()


def test_a_first_event_imports_nothing_dear(first_event: dict[str, Any]) -> None:
    assert packages(first_event["modules"]) & DEAR == set()


def test_a_first_event_imports_nothing_that_was_left_out(first_event: dict[str, Any]) -> None:
    """Fails when a library begins to import by another way what `router.aws.clients` keeps it from importing."""
    assert LEFT_OUT & set(first_event["modules"]) == set()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each bundle that anybody loads."""
    made: list[Any] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(self: ssl.SSLContext, cafile: Any = None, *more: Any, **named: Any) -> None:
        made.append(cafile)
        load(self, cafile, *more, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    tls._loaded.cache_clear()  # noqa: SLF001
    return made


def test_all_clients_of_the_process_share_one_loaded_context(loads: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when botocore renames what `router.aws.clients` hooks into: then each connection loads the bundle again."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    contexts = []
    for client in (clients.dynamodb(), clients.sqs()):
        session: URLLib3Session = client._endpoint.http_session  # noqa: SLF001 - nobody else shows it
        pool = session._manager.connection_from_url("https://dynamodb.us-east-1.amazonaws.com")  # noqa: SLF001
        session._setup_ssl_cert(pool, "https://dynamodb.us-east-1.amazonaws.com", verify=True)  # noqa: SLF001
        assert pool.ca_certs is None
        assert pool.cert_reqs == "CERT_REQUIRED"
        contexts.append(pool.conn_kw["ssl_context"])
    assert contexts[0] is contexts[1]
    assert contexts[0].verify_mode is ssl.CERT_REQUIRED
    assert contexts[0].check_hostname
    assert loads == [get_cert_path(verify=True)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port and CA bundle of a server that answers everything with `{}`, under a certificate for `localhost`."""
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
            """Nothing."""

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


def test_models_on_the_path_are_taken_and_others_are_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the layer brings them along; without it, or for another service, botocore's own are read."""
    model = tmp_path / clients.MODELS / "sns" / "2010-03-31" / "service-2.json"
    model.parent.mkdir(parents=True)
    metadata = {"serviceId": "SNS", "endpointPrefix": "sns", "apiVersion": "2010-03-31", "protocol": "query"}
    model.write_text(json.dumps({"metadata": metadata, "operations": {}, "shapes": {}}))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert not hasattr(clients.sns(), "publish")
    assert hasattr(clients.sqs(), "send_message")


def test_a_client_is_late_until_it_is_asked_for_something() -> None:
    made: list[str] = []

    def make() -> Any:
        made.append("made")
        return "client"

    late = clients.LazyClient(make)
    assert made == []
    assert (late.upper(), late.lower()) == ("CLIENT", "client")
    assert made == ["made"]
