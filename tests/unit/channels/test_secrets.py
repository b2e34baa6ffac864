"""References to secrets: where they are read, how long they are kept, and that they are never revealed."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError
from moto import mock_aws

from router.channels.secrets import KEPT_FOR, Secrets, is_reference
from router.deadline import Deadline, applies
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
def test_a_reference_is_resolved_to_the_secret(secrets: Secrets, reference: str) -> None:
    assert is_reference(reference)
    assert secrets.read(reference) == URL


@pytest.mark.parametrize("value", ["", "env:SLACK_WEBHOOK_URL", URL, 5, None])
def test_other_values_are_not_references(value: object) -> None:
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


def test_a_secret_that_the_remote_refused_can_be_read_again(secrets: Secrets, clients: dict[str, Any]) -> None:
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
def test_a_missing_secret_is_a_permanent_error_that_names_the_reference(secrets: Secrets, reference: str) -> None:
    with pytest.raises(PermanentError) as raised:
        secrets.read(reference)
    assert reference in str(raised.value)
    assert "confidential" not in str(raised.value)


@pytest.mark.parametrize("failure", [ConnectTimeoutError, ReadTimeoutError])
def test_a_failed_aws_call_is_a_transient_error(clock: Clock, failure: type[BotoCoreError]) -> None:
    class Silent:
        def get_parameter(self, **_: Any) -> None:
            raise failure(endpoint_url="https://ssm.eu-west-1.amazonaws.com")

    with pytest.raises(TransientError):
        Secrets(Silent, Silent, clock).read("ssm:/router/slack")


# --- a store that hangs -----------------------------------------------------------------------------------------------


class Hanging:
    """A Secrets Manager that answers only when the test is over, except about the secret `well`."""

    def __init__(self) -> None:
        self.asked, self.over = threading.Event(), threading.Event()

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's own name
        if SecretId == "well":
            return {"SecretString": "the token"}
        self.asked.set()
        self.over.wait(20)
        return {"SecretString": URL}


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    store = Hanging()
    yield store
    store.over.set()


def reading(secrets: Secrets, store: Hanging) -> threading.Thread:
    """A thread that waits for the secret `slack`."""
    thread = threading.Thread(target=secrets.read, args=["secretsmanager:slack"], daemon=True)
    thread.start()
    assert store.asked.wait(20)
    return thread


def test_a_store_that_hangs_does_not_hold_up_a_secret_of_another_store(
    clients: dict[str, Any], hanging: Hanging, clock: Clock
) -> None:
    clients["ssm"].put_parameter(Name="/router/pager", Value="the key", Type="SecureString")
    secrets = Secrets(lambda: clients["ssm"], lambda: hanging, clock)
    reading(secrets, hanging)
    assert secrets.read("ssm:/router/pager") == "the key"


def test_a_secret_that_hangs_does_not_hold_up_another_of_the_same_store(hanging: Hanging, clock: Clock) -> None:
    secrets = Secrets(lambda: None, lambda: hanging, clock)
    reading(secrets, hanging)
    with applies(Deadline.after(10.0)):
        assert secrets.read("secretsmanager:well") == "the token"


def test_whoever_waits_for_the_same_secret_waits_no_longer_than_the_deadline(hanging: Hanging, clock: Clock) -> None:
    secrets = Secrets(lambda: None, lambda: hanging, clock)
    reading(secrets, hanging)
    for seconds in (0.1, 0.0):
        with applies(Deadline.after(seconds)), pytest.raises(TransientError, match="secretsmanager:slack") as raised:
            secrets.read("secretsmanager:slack")
        assert raised.value.unsent


def test_a_secret_that_arrives_hours_late_is_not_kept(hanging: Hanging, clock: Clock) -> None:
    """The thread that read it was frozen; it may have been rotated since."""
    secrets = Secrets(lambda: None, lambda: hanging, clock)
    thread = reading(secrets, hanging)
    clock.now += 3600
    hanging.over.set()
    thread.join(20)
    hanging.asked.clear()
    secrets.read("secretsmanager:slack")
    assert hanging.asked.is_set()


def test_secrets_are_in_no_repr(secrets: Secrets) -> None:
    secrets.read("ssm:/router/slack")
    assert "confidential" not in repr(secrets)
