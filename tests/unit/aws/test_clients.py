"""router.aws.clients: regions, retries and the choice of the session."""

from contextlib import suppress
from io import BytesIO

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from plugins.sns import Sns
from router import ChannelConfig
from router.aws import clients


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
    kept = {"mode": "standard", "total_max_attempts": 3}
    for client, attempts in ((clients.dynamodb(), 3), (clients.ecs_of("eu-west-1"), 1)):
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
