"""router.aws.clients: regions, retries and the choice of the session."""

import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import BotoCoreError

from plugins.sns import Sns
from router import ChannelConfig
from router.aws import clients
from router.deadline import Deadline, applies
from router.errors import DeadlineExceeded
from tests.doubles.hang import Hanging, deaf, silent


def test_a_client_uses_the_region_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore does not read AWS_REGION."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert clients.sqs().meta.region_name == "eu-west-3"


def test_without_aws_region_botocore_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert clients.sqs().meta.region_name == "eu-west-1"


def test_enrichment_calls_are_tried_once_and_others_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """They use the standard mode, which reads no file of rules, and a constant user agent."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    kept = {"mode": "standard", "total_max_attempts": 2}
    for client, attempts in ((clients.dynamodb(), 2), (clients.ecs_of("eu-west-1"), 1)):
        assert client.meta.config.retries == {**kept, "total_max_attempts": attempts}
        assert client.meta.config.user_agent == "ecs-alert-router"


def test_the_sns_channels_client_does_not_retry() -> None:
    config = ChannelConfig("email", "sns", {"topic_arn": "arn:aws:sns:eu-west-1:111122223333:alerts"})
    assert Sns(config)._client.meta.config.retries["total_max_attempts"] == 1  # noqa: SLF001 - there is no public way


def test_other_services_get_botocores_own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has all event handlers; one of them encodes the user data of an EC2 instance in base64."""
    for name, value in {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    sent: list[str] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent.append(str(request.body))
        return AWSResponse(request.url, 200, {}, BytesIO(b"<RunInstancesResponse/>"))

    client = clients.ec2()
    client.meta.events.register("before-send.ec2.*", answer)
    with suppress(AttributeError):  # botocore cannot parse this answer
        client.run_instances(MinCount=1, MaxCount=1, UserData="hello")
    assert "UserData=aGVsbG8" in sent[0]


@pytest.mark.parametrize("missing", ["REGISTER_FIRST", "BUILTIN_HANDLERS"])
def test_an_unknown_botocore_is_used_with_its_own_session(
    missing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """AWS updates botocore in the runtime from time to time, and that must never stop an alert."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with monkeypatch.context() as other:
        other.delattr(f"botocore.handlers.{missing}")
        assert clients._session() is clients._stock_session()  # noqa: SLF001
    assert "this botocore is unknown" in caplog.text
    assert clients.dynamodb().meta.region_name == "eu-west-1"
    clients._session.cache_clear()  # noqa: SLF001


# --- the deadline of the invocation -----------------------------------------------------------------------------------


HANGS = pytest.mark.parametrize("hanging", [silent, deaf], ids=["never answers", "lets nobody connect"], indirect=True)


@pytest.fixture
def hanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    for name, value in {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    with getattr(request, "param", silent)() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


def asked(client: Any) -> float:
    """How many seconds a call took that got no answer."""
    began = time.monotonic()
    with pytest.raises((BotoCoreError, DeadlineExceeded)):
        client.send_message(QueueUrl="https://sqs.example.com/1/due", MessageBody="x")
    return time.monotonic() - began


@HANGS
def test_a_service_that_hangs_is_waited_for_no_longer_than_the_deadline(hanging: Hanging) -> None:
    client = clients.sqs()  # whose own timeouts are 1 and 2 seconds, twice
    with applies(Deadline.after(0.4)):
        assert asked(client) < 0.9


def test_after_the_deadline_no_service_is_called(hanging: Hanging) -> None:
    client = clients.sqs()
    with applies(Deadline.after(0.0)):
        assert asked(client) < 0.2
    assert hanging.connections() == 0


@HANGS
def test_without_a_deadline_a_call_keeps_to_its_own_time_outs(hanging: Hanging) -> None:
    client = clients.aws_client("sqs", attempts=1, connect_timeout=0.1, read_timeout=0.1)
    assert asked(client) < 0.9


def test_a_botocore_without_these_details_keeps_to_its_own_time_outs(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """AWS updates botocore in the runtime from time to time; that must never stop an alert."""

    def renamed(_own: object) -> None:
        raise AttributeError("_timeout")

    monkeypatch.setattr(clients, "_timeout", renamed)
    client = clients.aws_client("sqs", attempts=1, connect_timeout=0.1, read_timeout=0.1)
    with applies(Deadline.after(60.0)):
        assert asked(client) < 0.9
    assert "its calls keep to their own timeouts" in caplog.text
