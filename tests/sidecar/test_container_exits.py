"""sidecar/container_exits.py, against a double of the task metadata endpoint and of EventBridge."""

import ast
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from sidecar import container_exits
from sidecar.container_exits import Credentials, check, main, signed

NOW = 1_723_137_550.0
ARN = "arn:aws:ecs:eu-west-1:123456789012"
TASK_ID = "158d1c8083dd49d6b527399fd6414f5c"
KEYS = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI", "Token": "a-session", "Expiration": "2024"}


def container(name: str, status: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    """A container in the format of the endpoint, version 4 (Developer Guide, "Examples")."""
    return {
        "DockerId": f"{name}-a7e6e2d6",
        "Name": name,
        "DockerName": f"ecs-checkout-42-{name}-a2b3c4d5",
        "Image": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}:1.4.2",
        "ImageID": "sha256:2f9085812ab34cd56ef07a1b9c3d5e6f8091a2b3c4d5e6f708192a3b4c5d6e7f",
        "Labels": {
            "com.amazonaws.ecs.cluster": f"{ARN}:cluster/prod",
            "com.amazonaws.ecs.container-name": name,
            "com.amazonaws.ecs.task-arn": f"{ARN}:task/prod/{TASK_ID}",
            "com.amazonaws.ecs.task-definition-family": "checkout",
            "com.amazonaws.ecs.task-definition-version": "42",
        },
        "DesiredStatus": "RUNNING",
        "KnownStatus": status,
        "Limits": {"CPU": 10, "Memory": 128},
        "CreatedAt": "2024-08-08T17:11:10.554728345Z",
        "StartedAt": "2024-08-08T17:11:20.554728345Z",
        "Type": "NORMAL",
        "LogDriver": "awslogs",
        "ContainerARN": f"{ARN}:container/prod/{TASK_ID}/11d8b5c5-2a6f-4a1d-a2ab-4bb6fbc3f0d8",
        **fields,
    }


def dead(name: str = "metrics", code: int | None = 139) -> dict[str, Any]:
    exit_code = {} if code is None else {"ExitCode": code}
    return container(name, "STOPPED", FinishedAt="2024-08-08T17:19:02.671163382Z", **exit_code)


def task(*containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "Cluster": f"{ARN}:cluster/prod",
        "TaskARN": f"{ARN}:task/prod/{TASK_ID}",
        "Family": "checkout",
        "Revision": "42",
        "ServiceName": "checkout",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Limits": {"CPU": 0.25, "Memory": 512},
        "PullStartedAt": "2024-08-08T17:11:00.460563019Z",
        "PullStoppedAt": "2024-08-08T17:11:09.553843882Z",
        "AvailabilityZone": "eu-west-1a",
        "LaunchType": "FARGATE",
        "Containers": [container("app"), *containers],
        **fields,
    }


@dataclass
class Double:
    """Answers on loopback as the metadata endpoint, the credentials endpoint and EventBridge do."""

    url: str = ""
    task: Any = field(default_factory=lambda: task(dead()))
    failing: set[str] = field(default_factory=set)
    refuses: bool = False
    put: list[Any] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "ECS_CONTAINER_METADATA_URI_V4": f"{self.url}/v4/{TASK_ID}-0179205828",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/v2/credentials/abc",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a-token",
            "AWS_ENDPOINT_URL": f"{self.url}/",
            "AWS_REGION": "eu-west-1",
        }

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path in self.failing:
            return 500, {}
        match method, path:
            case "GET", "/v2/credentials/abc":
                return 200, KEYS
            case "GET", path if path == f"/v4/{TASK_ID}-0179205828/task":
                return 200, self.task
            case "POST", "/":
                return 200, self.accept(json.loads(body)["Entries"])
        return 404, {}

    def accept(self, entries: list[Any]) -> Any:
        if self.refuses:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        self.put += entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in entries]}


@pytest.fixture
def double() -> Iterator[Double]:
    double = Double()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            double.headers.append((self.command, self.path, dict(self.headers), body))
            status, answer = double.answer(self.command, self.path, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: Any) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield double
    server.shutdown()
    server.server_close()


def test_a_stopped_container_is_reported_once(double: Double) -> None:
    reported: set[str] = set()
    assert check(double.environ, reported, NOW) == ["metrics"]
    assert check(double.environ, reported, NOW) == []
    assert len(double.put) == 1


def test_the_router_reads_the_report_as_a_container_exit_in_the_service(double: Double) -> None:
    check(double.environ, set(), NOW)
    (entry,) = double.put
    assert (entry["Source"], entry["DetailType"]) == ("ecs-alert-router", "Container Exited")
    received = {
        "id": "e1",
        "source": entry["Source"],
        "detail-type": entry["DetailType"],
        "account": "123456789012",
        "region": "eu-west-1",
        "time": "2024-08-08T17:19:10Z",
        "resources": entry["Resources"],
        "detail": json.loads(entry["Detail"]),
    }
    event = normalise(received)
    report = alert(event, classify(event))
    assert (report.cause, report.severity, report.stopped) == ("container_exited", "warning", False)
    assert report.subject.fingerprint == "123456789012/eu-west-1/prod/service:checkout"
    assert (report.task, report.task_definition) == (TASK_ID, "checkout:42")
    assert event.at == pytest.approx(datetime(2024, 8, 8, 17, 19, 2, 671163, tzinfo=UTC).timestamp())
    culprit = report.culprit
    assert culprit is not None
    assert (culprit.name, culprit.exit_code, culprit.memory) == ("metrics", 139, 128)
    assert culprit.digest.startswith("sha256:2f90")


def test_a_standalone_task_is_reported_by_its_family(double: Double) -> None:
    double.task = task(dead())
    del double.task["ServiceName"]
    check(double.environ, set(), NOW)
    assert json.loads(double.put[0]["Detail"])["group"] == "family:checkout"


@pytest.mark.parametrize(
    "metadata",
    [
        task(),
        task(dead(code=0)),
        task(dead(), DesiredStatus="STOPPED"),
        task(dead() | {"Type": "CNI_PAUSE", "Name": "~internal~ecs~pause"}),
    ],
    ids=["all run", "exit code 0", "the task stops", "internal container"],
)
def test_a_container_that_has_not_failed_is_not_reported(metadata: Any, double: Double) -> None:
    double.task = metadata
    assert check(double.environ, set(), NOW) == []
    assert double.put == []


def test_a_stop_without_an_exit_code_is_reported(double: Double) -> None:
    double.task = task(dead(code=None))
    assert check(double.environ, set(), NOW) == ["metrics"]


def test_more_containers_than_one_call_takes_are_reported_in_several(double: Double) -> None:
    """PutEvents accepts ten entries per call."""
    double.task = task(*(dead(f"c{number}") for number in range(12)))
    assert len(check(double.environ, set(), NOW)) == 12
    assert len(double.put) == 12
    assert sum(method == "POST" for method, *_ in double.headers) == 2


@pytest.mark.parametrize("path", ["/", "/v2/credentials/abc", f"/v4/{TASK_ID}-0179205828/task"])
def test_a_failed_report_is_retried(path: str, double: Double) -> None:
    reported: set[str] = set()
    double.failing = {path}
    with pytest.raises(OSError, match="500"):
        check(double.environ, reported, NOW)
    double.failing = set()
    assert check(double.environ, reported, NOW) == ["metrics"]


def test_a_refused_event_does_not_count_as_reported(double: Double) -> None:
    double.refuses, reported = True, set[str]()
    with pytest.raises(ValueError, match="InternalFailure"):
        check(double.environ, reported, NOW)
    assert reported == set()


def test_the_task_roles_credentials_are_requested_with_the_token(double: Double) -> None:
    check(double.environ, set(), NOW)
    (request,) = [headers for _, path, headers, _ in double.headers if path == "/v2/credentials/abc"]
    assert request["Authorization"] == "a-token"


@pytest.mark.parametrize("token", ["a-session", ""])
@pytest.mark.parametrize("url", ["https://events.eu-west-1.amazonaws.com/", "http://127.0.0.1:4566/"])
def test_a_request_is_signed_as_botocore_signs_it(token: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body, keys = b'{"Entries": []}', Credentials("AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)
    ours = signed(url, body, "eu-west-1", keys, NOW)
    moment = datetime.fromtimestamp(NOW, UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None))
    plain = {name: ours[name] for name in ("content-type", "x-amz-target")}
    request = AWSRequest("POST", url, headers=plain, data=body)
    SigV4Auth(BotoCredentials(keys.key_id, keys.secret, keys.token or None), "events", "eu-west-1").add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]


def test_it_imports_only_the_standard_library() -> None:
    tree = ast.parse(Path(container_exits.__file__).read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


# --- as a command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(double: Double, monkeypatch: pytest.MonkeyPatch) -> Double:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in double.environ.items():
        monkeypatch.setenv(name, value)
    return double


def test_a_state_file_remembers_what_was_reported(environment: Double, tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    assert [main(["--once", "--state", state]) for _ in range(2)] == [0, 0]
    assert len(environment.put) == 1


def test_it_never_fails_a_health_check(environment: Double, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment.failing = {"/"}
    (tmp_path / "state.json").write_text("{not json")
    assert main(["--once", "--state", str(tmp_path / "state.json")]) == 0
    stderr = capsys.readouterr().err
    assert stderr.startswith("not reported, will retry: HTTPError")
    assert stderr.count("\n") == 1
