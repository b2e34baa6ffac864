"""References to secrets: where they are read, how long they are kept, and that they never get out."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError
from moto import mock_aws

from router.channels.secrets import KEPT_FOR, Secrets, is_reference
from router.errors import PermanentError, TransientError

URL = "https://hooks.example.com/services/T0/B0/confidential"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield {name: boto3.client(name, region_name="eu-west-1") for name in ("ssm", "secretsmanager")}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets(clients: dict[str, Any], clock: Clock) -> Secrets:
    clients["ssm"].put_parameter(Name="/router/slack", Value=URL, Type="SecureString")
    clients["secretsmanager"].create_secret(Name="router/slack", SecretString=URL)
    clients["secretsmanager"].create_secret(Name="router/all", SecretString=json.dumps({"slack": URL, "count": 3}))
    return Secrets(lambda: clients["ssm"], lambda: clients["secretsmanager"], clock)


@pytest.mark.parametrize(
    "reference", ["ssm:/router/slack", "secretsmanager:router/slack", "secretsmanager:router/all#slack"]
)
def test_a_reference_stands_for_the_secret(secrets: Secrets, reference: str) -> None:
    assert is_reference(reference)
    assert secrets.read(reference) == URL


@pytest.mark.parametrize("value", ["", "env:SLACK_WEBHOOK_URL", URL, 5, None])
def test_all_else_is_no_reference(value: object) -> None:
    assert not is_reference(value)


def test_a_secret_is_kept_for_five_minutes_and_no_longer(
    secrets: Secrets, clients: dict[str, Any], clock: Clock
) -> None:
    secrets.read("ssm:/router/slack")
    clients["ssm"].put_parameter(Name="/router/slack", Value="new", Type="SecureString", Overwrite=True)
    clock.now = KEPT_FOR - 1
    assert secrets.read("ssm:/router/slack") == URL
    clock.now = KEPT_FOR
    assert secrets.read("ssm:/router/slack") == "new"


def test_a_secret_that_the_remote_refused_can_be_read_anew(secrets: Secrets, clients: dict[str, Any]) -> None:
    secrets.read("ssm:/router/slack")
    clients["ssm"].put_parameter(Name="/router/slack", Value="new", Type="SecureString", Overwrite=True)
    assert secrets.read("ssm:/router/slack", refresh=True) == "new"


@pytest.mark.parametrize(
    "reference",
    [
        "ssm:/router/nothing",
        "secretsmanager:nothing",
        "secretsmanager:router/all#nothing",
        "secretsmanager:router/all#count",
    ],
)
def test_a_reference_to_nothing_is_a_permanent_error_that_names_it_and_holds_no_secret(
    secrets: Secrets, reference: str
) -> None:
    with pytest.raises(PermanentError) as raised:
        secrets.read(reference)
    assert reference in str(raised.value)
    assert "confidential" not in str(raised.value)


@pytest.mark.parametrize("silence", [ConnectTimeoutError, ReadTimeoutError])
def test_an_aws_that_does_not_answer_is_a_transient_error(clock: Clock, silence: type[BotoCoreError]) -> None:
    class Silent:
        def get_parameter(self, **_: Any) -> None:
            raise silence(endpoint_url="https://ssm.eu-west-1.amazonaws.com")

    with pytest.raises(TransientError):
        Secrets(Silent, Silent, clock).read("ssm:/router/slack")


def test_what_was_read_is_in_no_repr(secrets: Secrets) -> None:
    secrets.read("ssm:/router/slack")
    assert "confidential" not in repr(secrets)
