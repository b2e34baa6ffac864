"""Where AWS clients are made."""

import pytest

from plugins.sns import Sns
from router import ChannelConfig, clients


def test_a_client_goes_to_the_region_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 alone does not know AWS_REGION."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert clients.sqs().meta.region_name == "eu-west-3"


def test_without_it_boto3_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert clients.sqs().meta.region_name == "eu-west-1"


def test_what_only_decorates_is_asked_once_and_history_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the mode that reads no file of rules, under a name that is not put together anew for each call."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    kept = {"mode": "standard", "total_max_attempts": 3}
    for client, attempts in ((clients.dynamodb(), 3), (clients.ecs_of("eu-west-1"), 1)):
        assert client.meta.config.retries == {**kept, "total_max_attempts": attempts}
        assert client.meta.config.user_agent == "ecs-alert-router"


def test_the_mail_channel_leaves_retries_to_the_deliver_step() -> None:
    config = ChannelConfig("email", "sns", {"topic_arn": "arn:aws:sns:eu-west-1:111122223333:alerts"})
    assert Sns(config)._client.meta.config.retries["total_max_attempts"] == 1  # noqa: SLF001 - nobody else shows it
