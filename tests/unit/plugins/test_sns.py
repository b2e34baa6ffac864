"""plugins.sns: what SNS accepts, and mail that reads well."""

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore import exceptions
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.sns.models import sns_backends

from plugins.sns import Sns
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError
from router.incident.state import Dispatch
from router.messages.hygiene import cleaned
from router.messages.render import notification as rendered
from router.model import Kind, Message, Severity, SubjectKind
from router.text.characters import single_line
from tests.doubles.oom import ALERT, INCIDENT, SUBJECT

REGION = "eu-west-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:alerts"
MESSAGE = Message(
    "Still going on: Out of memory: service web in prod",
    "Container app exited with code 137.",
    (("Cluster", "prod"), ("タスク", "abc"), ("Exit code", "137")),
    (("Task", "https://eu-west-1.console.aws.amazon.com/ecs"),),
    "java.lang.OutOfMemoryError: Java heap space",
    details=(
        ("Severity", "critical"),
        ("What", "service web"),
        ("Cluster", "prod"),
        ("Exit code", "13"),
        ("Task", "0d6e3df3"),
        ("Incident", INCIDENT.id),
    ),
    status="CRITICAL",
    headline="Out of memory: service web in prod",
)
NASTY = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=())),
        st.sampled_from(["\r\nBcc: x@y", "\x00", "\u202e", "é", "ﬁ", "…", "—", " ", "\u2028", "\ufffe", "\ud800"]),
        st.sampled_from(["x", "語", "😀", " ", "\n"]).map(lambda char: char * 300),
    ),
    max_size=5,
).map("".join)
PAIRS = st.lists(st.tuples(NASTY, NASTY), max_size=5).map(tuple)


def notification(kind: Kind = Kind.OPENED, *, message: Message = MESSAGE, **alert: Any) -> Notification:
    return cleaned(Notification(kind, message, replace(ALERT, **alert), INCIDENT))


@pytest.fixture(scope="module")
def sns() -> Iterator[Sns]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.delenv("AWS_REGION", raising=False)
        patch.delenv("AWS_DEFAULT_REGION", raising=False)
        boto3.client("sns", REGION).create_topic(Name="alerts")
        yield Sns(ChannelConfig("email", "sns", {"topic_arn": TOPIC}))


def assert_publishable(payload: dict[str, Any]) -> None:
    """SNS's rules, not all of which moto checks (API_Publish, and botocore's service model)."""
    subject, message, attributes = payload["Subject"], payload["Message"], payload.get("MessageAttributes", {})
    assert 1 <= len(subject.encode("utf-16-le")) // 2 <= 99
    assert not re.match(r"\s", subject)
    assert not any(unicodedata.category(char)[0] in "CZ" for char in subject.replace(" ", ""))
    assert not subject.endswith(" ")
    assert message.strip()
    size = len(message.encode())
    for name, attribute in attributes.items():
        assert attribute["DataType"] == "String"
        assert attribute["StringValue"].strip()
        size += len(name) + len("String") + len(attribute["StringValue"].encode())
    assert size <= 256 * 1024
    unsupported = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    assert not re.search(unsupported, message + "".join(attribute["StringValue"] for attribute in attributes.values()))
    json.dumps(payload)


# --- subject ----------------------------------------------------------------------------------------------------------


def subject_of(sns: Sns, headline: str, status: str = "CRITICAL", **alert: Any) -> str:
    message = replace(MESSAGE, headline=headline, status=status)
    return str(sns.render(notification(message=message, **alert))["Subject"])


@pytest.mark.parametrize(
    ("kind", "language", "subject"),
    [
        (Kind.OPENED, "en", "[CRITICAL] Out of memory: service web in prod"),
        (Kind.UPDATED, "en", "[CRITICAL, ongoing] Out of memory: service web in prod"),
        (Kind.RESOLVED, "en", "[RESOLVED] Out of memory: service web in prod"),
        (Kind.OPENED, "ja", "[重大] メモリ不足 - サービス web (prod)"),
        (Kind.UPDATED, "ja", "[重大・継続中] メモリ不足 - サービス web (prod)"),
        (Kind.RESOLVED, "ja", "[解決済み] メモリ不足 - サービス web (prod)"),
    ],
)
def test_the_subject_is_in_the_readers_language_and_differs_by_kind(
    sns: Sns, kind: Kind, language: str, subject: str
) -> None:
    dispatch = Dispatch("email", kind, 1, 1, is_first=False, severity=Severity.CRITICAL, suppressed={})
    said = rendered(dispatch, INCIDENT, ChannelConfig("email", "sns", {}, language))
    payload = sns.render(said)
    assert payload["Subject"] == subject
    assert payload["Message"].startswith(f"{subject}\n\n")
    assert "service:web" not in payload["Message"]
    assert_publishable(payload)


@pytest.mark.parametrize(
    ("headline", "subject"),
    [
        ("ecs-注文/CPU 使用率 (高)", "[CRITICAL] ecs-注文/CPU 使用率 (高)"),
        ("a\r\nBcc: x\ty", "[CRITICAL] a Bcc: x y"),
        (" \n", f"[CRITICAL] {MESSAGE.title}"),
        ("x" * 88, "[CRITICAL] " + "x" * 88),
        ("x" * 89, "[CRITICAL] " + "x" * 48 + "…" + "x" * 39),
        ("😀" * 60, "[CRITICAL] " + "😀" * 24 + "…" + "😀" * 19),
    ],
)
def test_a_subject_is_one_line_of_fewer_than_100_characters(sns: Sns, headline: str, subject: str) -> None:
    assert subject_of(sns, headline) == subject


def test_a_long_subject_keeps_cause_and_cluster(sns: Sns) -> None:
    """Names from CloudFormation are long, and their middle is omitted."""
    name = "orders-production-ServiceD69D759B-EfyMIBhdCKVk-and-much-more-than-fits-into-the-subject-of-a-mail"
    subject = SUBJECT._replace(name=name)
    shown = subject_of(sns, f"Essential container exited: service {name} in prod", subject=subject)
    assert re.fullmatch(r"\[CRITICAL\] Essential container exited: service orders-\S+…\S+-mail in prod", shown)
    assert len(shown) == 99


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (Kind.OPENED, "[CRITICAL] Out of memory: service web in prod"),
        (Kind.UPDATED, "[CRITICAL, ongoing] Out of memory: service web in prod"),
        (Kind.RESOLVED, "[RESOLVED] Out of memory: service web in prod"),
    ],
)
def test_the_plain_subject_is_printable_ascii(sns: Sns, kind: Kind, subject: str) -> None:
    """If SNS refuses a subject, the second attempt uses a plain one, which SNS always accepts."""
    said = notification(kind, message=replace(MESSAGE, headline="メモリ不足", status="重大"))
    assert sns.render_plain(said)["Subject"] == subject
    strange = notification(kind, cause="語", subject=SUBJECT._replace(name="Café…語" + "x" * 200, cluster="語"))
    assert re.fullmatch(r"\[[A-Za-z, ]+\] Alert: service Cafe\.\.\.x+\.\.\.", sns.render_plain(strange)["Subject"])


# --- message ----------------------------------------------------------------------------------------------------------


def test_mail_reads_well(sns: Sns) -> None:
    """Title, text, links, facts, the log, the details not yet shown, and finally the id for history."""
    assert sns.render(notification())["Message"] == (
        "[CRITICAL] Out of memory: service web in prod\n\n"
        "Container app exited with code 137.\n\n"
        "Task: https://eu-west-1.console.aws.amazon.com/ecs\n\n"
        "Cluster: prod\n"
        "タスク: abc\n"
        "Exit code: 137\n\n"
        "Last log lines:\njava.lang.OutOfMemoryError: Java heap space\n\n"
        "Exit code: 13\n"
        "Task: 0d6e3df3\n\n"
        f"-- \n{INCIDENT.id}\n"
    )


def test_empty_message_says_the_title(sns: Sns) -> None:
    """SNS refuses an empty message."""
    payload = sns.render(notification(message=Message("", "")))
    assert payload["Message"] == f"Out of memory: service:web\n\n-- \n{INCIDENT.id}\n"


def test_huge_texts_everywhere_still_make_a_mail(sns: Sns) -> None:
    """With a quarter of a megabyte in every field, a mail is still made, and quickly."""
    huge = "語 " * 131_072
    pairs = ((huge, huge),)
    message = Message(huge, huge, pairs * 50, pairs, huge, details=pairs * 9, status=huge, headline=huge)
    subject = SUBJECT._replace(cluster=huge, name=f"service:{huge}")
    assert_publishable(sns.render(notification(message=message, subject=subject, title=huge, cause=huge)))


@pytest.mark.parametrize("char", ["x", "é", "語", "😀"])
def test_large_mail_is_cut_between_characters(sns: Sns, char: str) -> None:
    """It has at most 256 KiB with the attributes, no half characters, and still the id that finds the rest."""
    payload = sns.render(notification(message=replace(MESSAGE, log_excerpt=char * 300_000, details=())))
    assert_publishable(payload)
    assert re.search(f"{char}…\n\n-- \n{INCIDENT.id}\n$", payload["Message"])
    assert len(payload["Message"].encode()) > 260_000
    assert "\ufffd" not in payload["Message"]


def test_attributes_let_subscribers_filter(sns: Sns) -> None:
    """Severity, cause, cluster, service and kind are attributes if they are known."""
    full = sns.render(notification())["MessageAttributes"]
    assert {name: attribute["StringValue"] for name, attribute in full.items()} == {
        "severity": "critical",
        "cause": "out_of_memory",
        "cluster": "prod",
        "service": "web",
        "kind": "opened",
    }
    nowhere = SUBJECT._replace(cluster="-", kind=SubjectKind.ALARM, name="cpu")
    assert set(sns.render(notification(subject=nowhere))["MessageAttributes"]) == {"severity", "cause", "kind"}


@given(st.lists(NASTY, min_size=4, max_size=4), PAIRS, st.sampled_from(Kind))
@settings(deadline=None)
def test_sns_accepts_the_message_for_any_text(
    sns: Sns, words: list[str], facts: tuple[tuple[str, str], ...], kind: Kind
) -> None:
    """Any text in any place stays within SNS's rules for subject, message and attributes."""
    title, english, text, log = words
    name = single_line(english)  # as `router.ecs.normalise` leaves it
    subject = SUBJECT._replace(cluster=single_line(title), name=f"service:{single_line(text)}")
    message = Message(title, text, facts, facts, log, details=facts, status=english, headline=title)
    said = notification(kind, message=message, title=name, subject=subject, cause=name or "x")
    assert_publishable(sns.render(said))
    assert_publishable(sns.render_plain(said))


# --- sending ----------------------------------------------------------------------------------------------------------


def test_message_arrives_as_rendered(sns: Sns) -> None:
    """`send` adds the topic, and nothing else."""
    sent = sns_backends["123456789012"][REGION].topics[TOPIC].sent_notifications
    for payload in (sns.render(notification()), sns.render_plain(notification())):
        sns.send(payload)
        _, message, subject, attributes, _ = sent[-1]
        assert (message, subject) == (payload["Message"], payload["Subject"])
        assert set(attributes or {}) == set(payload.get("MessageAttributes", {}))


def test_missing_topic_is_permanent(sns: Sns) -> None:
    """A deleted topic does not come back."""
    gone = Sns(ChannelConfig("email", "sns", {"topic_arn": f"{TOPIC}-gone"}))
    with pytest.raises(PermanentError, match="NotFound") as caught:
        gone.send(sns.render(notification()))
    assert caught.value.status == 404


def client_error(code: str, status: int) -> exceptions.ClientError:
    answer = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, "Publish")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        *((client_error(code, 400), PayloadRejected) for code in ("InvalidParameter", "ParameterValueInvalid")),
        (client_error("NotFound", 404), PermanentError),
        (client_error("AuthorizationError", 403), PermanentError),
        (client_error("EndpointDisabled", 400), PermanentError),
        *((client_error(f"KMS{what}", 400), PermanentError) for what in ("Disabled", "NotFound", "AccessDenied")),
        *((client_error(f"KMS{what}", 400), PermanentError) for what in ("InvalidState", "OptInRequired")),
        (client_error("KMSThrottling", 400), TransientError),
        (client_error("InternalError", 500), TransientError),
        *((client_error(code, 429), TransientError) for code in ("Throttling", "ThrottledException", "New")),
        (client_error("Throttling", 400), TransientError),
        (client_error("ExpiredToken", 403), TransientError),
        (client_error("New", 503), TransientError),
        (client_error("New", 400), PermanentError),
        (exceptions.EndpointConnectionError(endpoint_url="x"), TransientError),
        (exceptions.ConnectTimeoutError(endpoint_url="x"), TransientError),
        (exceptions.ReadTimeoutError(endpoint_url="x"), TransientError),
        (exceptions.ConnectionClosedError(endpoint_url="x"), TransientError),
        (exceptions.NoCredentialsError(), PermanentError),
        (exceptions.ParamValidationError(report="x"), PermanentError),
    ],
)
def test_the_error_code_decides(
    sns: Sns, monkeypatch: pytest.MonkeyPatch, raised: Exception, error: type[Exception]
) -> None:
    """SNS's code decides whether to retry, or the status of an unknown code; a missing answer is retried."""
    publish = Mock(side_effect=raised)
    monkeypatch.setattr(sns, "_client", Mock(publish=publish))
    with pytest.raises(error) as caught:
        sns.send(sns.render(notification()))
    assert type(caught.value) is error
    assert publish.call_count == 1


def test_the_client_does_not_retry_and_has_short_timeouts(sns: Sns) -> None:
    """Only the deliver step retries; boto3 does not, and waits no longer than a webhook may."""
    meta = sns._client.meta  # noqa: SLF001 - boto3 exposes its settings nowhere else
    assert meta.region_name == REGION
    assert meta.config.retries["total_max_attempts"] == 1
    assert (meta.config.connect_timeout, meta.config.read_timeout) == (3, 8)


@pytest.mark.parametrize("arn", ["alerts", "arn:aws:sqs:eu-west-1:123456789012:q", f"{TOPIC}.fifo", f"{TOPIC}\n"])
def test_wrong_topic_is_a_configuration_error(arn: str) -> None:
    """The error comes when the channel is created, not at the first alert; FIFO topics have no e-mail."""
    with pytest.raises(ValueError, match="topic_arn"):
        Sns(ChannelConfig("email", "sns", {"topic_arn": arn}))


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_region_comes_from_the_topic(partition: str) -> None:
    """The topic can be in a region other than the function's, in any partition."""
    channel = Sns(ChannelConfig("email", "sns", {"topic_arn": f"arn:{partition}:sns:us-gov-west-1:123456789012:x"}))
    assert channel._client.meta.region_name == "us-gov-west-1"  # noqa: SLF001 - as above


def test_importing_does_not_import_botocore() -> None:
    """Without a configured SNS channel, the function does not import botocore for it."""
    code = """
import sys, plugins.sns
from router import ChannelConfig
try:
    plugins.sns.Sns(ChannelConfig("email", "sns", {}))
except KeyError:
    print("botocore.session" in sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_the_subject_of_a_bundle_has_the_number_of_incidents(sns: Sns) -> None:
    message = replace(MESSAGE, headline="インシデント 23 件 (prod) 重大順", status="重大", details=())
    many = replace(notification(message=message), bundled=(INCIDENT,) * 23)
    payload = sns.render(many)
    assert payload["Subject"] == "[重大] インシデント 23 件 (prod) 重大順"
    assert INCIDENT.id not in payload["Message"]
    plain = sns.render_plain(many)["Subject"]
    assert plain == "[CRITICAL] 23 incidents, the worst: Out of memory: service web in prod"
