"""Where AWS clients are made."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.handlers import BUILTIN_HANDLERS

from plugins.sns import Sns
from router import ChannelConfig
from router.aws import clients


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


# --- what is left out for cold starts ---------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[3]


def event_names(service: str) -> set[str]:
    """What botocore's events call a service."""
    model = botocore.session.get_session().get_service_model(service)
    return {service, model.service_id.hyphenize(), model.endpoint_prefix}


@pytest.mark.parametrize("service", sorted(clients.SERVICES))
def test_whatever_botocore_does_for_a_service_of_the_function_is_done(service: str) -> None:
    """Fails when botocore does something for one of them under a name that is not looked for."""
    names = event_names(service)
    concerned = [each for each in BUILTIN_HANDLERS if names & {*each[0].split(".")} and "docs" not in each[0]]
    assert all(clients._concerns(each) for each in concerned)  # noqa: SLF001
    generic = [each for each in BUILTIN_HANDLERS if "." not in each[0]]
    assert generic
    assert all(clients._concerns(each) for each in generic)  # noqa: SLF001


def test_other_services_have_botocore_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """EC2's own handlers, say: one of them makes base64 of a launch template's user data."""
    for name, value in {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    sent: list[str] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent.append(str(request.body))
        return AWSResponse(request.url, 200, {}, BytesIO(b"<RunInstancesResponse/>"))

    client = clients.ec2()
    client.meta.events.register("before-send.ec2.*", answer)
    with suppress(AttributeError):  # of what is no answer
        client.run_instances(MinCount=1, MaxCount=1, UserData="hello")
    assert "UserData=aGVsbG8" in sent[0]


AFTER = """
import json, sys
from router.aws import clients
client = clients.dynamodb()
left_out = [name for name in ("botocore.docs", "botocore.docs.docstring", "html.parser") if name in sys.modules]
import boto3
other = boto3.client("sns")
print(json.dumps([left_out, client.put_item.__doc__, str(other.publish.__doc__ or ""), bool(boto3.docs)]))
"""


def test_what_writes_docstrings_is_left_out_and_is_still_there_for_others() -> None:
    """A plugin's boto3, say, brings it along; only the docstrings stay empty."""
    environment = {**os.environ, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-c", AFTER], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(shown) == [[], "", "", True]


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}, ("a", "b", "c")),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, ("a", "b", None)),
    ],
)
def test_credentials_of_the_environment_are_taken_as_botocore_would(
    variables: dict[str, str], kept: tuple[str | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, "AWS_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    found = clients.sqs()._get_credentials()  # noqa: SLF001 - nobody else shows it
    assert (found.access_key, found.secret_key, found.token) == kept


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ACCESS_KEY_ID": "a"},
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CREDENTIAL_EXPIRATION": "2026-11-29T00:00:00Z"},
    ],
)
def test_credentials_that_are_not_for_good_are_botocores_to_look_after(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert clients._credentials() == {}  # noqa: SLF001


@pytest.mark.parametrize("missing", ["REGISTER_FIRST", "BUILTIN_HANDLERS"])
def test_with_another_botocore_clients_are_made_the_long_way(
    missing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """AWS gives the function another one now and then: what is tuned must never stop an alert."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    clients._session.cache_clear()  # noqa: SLF001
    with monkeypatch.context() as other:
        other.delattr(f"botocore.handlers.{missing}")
        made = clients._session()  # noqa: SLF001
    assert made is clients._other_session()  # noqa: SLF001
    assert "the long way" in caplog.text
    assert clients.dynamodb().meta.region_name == "eu-west-1"
    clients._session.cache_clear()  # noqa: SLF001
