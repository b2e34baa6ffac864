"""The Lambda's entry: a cold start from a real environment, against an emulated AWS and a webhook on this machine."""

import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local_aws import events
from router import handler, hookimpl
from router.claim import invocation_lease
from router.config.settings import EnrichSettings
from router.enrichment.task_definitions import TaskDefinitions
from router.errors import ConfigError
from router.handler import lambda_handler, logger, make_router
from router.version import VERSION
from router_conformance.server import ScriptedServer, answer
from tests.doubles.dynamodb import create_history_table
from tests.doubles.hang import Hanging, deaf, silent
from tests.doubles.world import no_plugins

CONFIG = """
    [channels.chat]
    kind = "slack"
    webhook_url = "env:SLACK_WEBHOOK_URL"

    [[routes]]
    severity = "warning"
    channels = ["chat"]
"""
TICK = {"source": "ecs-alert-router", "detail-type": "Router Tick", "detail": {}}


@dataclass
class Context:
    """What Lambda passes in."""

    seconds: float = 60.0
    aws_request_id: str = "6bc28136"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Stack:
    """What a deployment would have made."""

    config: Path
    slack: ScriptedServer

    def configure(self, text: str) -> None:
        self.config.write_text(text)

    def on(self, queue: str) -> list[dict[str, Any]]:
        """What is on a queue now."""
        answer = boto3.client("sqs").receive_message(
            QueueUrl=os.environ[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return list(answer.get("Messages", []))

    def rows(self) -> int:
        """How many items are in the table."""
        return int(boto3.client("dynamodb").scan(TableName=os.environ["HISTORY_TABLE"])["Count"])


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A deployed stack, in whose environment the function has not started yet."""
    config = tmp_path / "alert-router.toml"
    config.write_text(CONFIG)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "MAX_RECEIVES"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws(), ScriptedServer(answer(200, "ok")) as slack:
        environment = {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "NO_PROXY": "127.0.0.1",
            "ALERT_ROUTER_CONFIG": str(config),
            "HISTORY_TABLE": "history",
            "SLACK_WEBHOOK_URL": slack.url("/services/T0/B0/secret"),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        create_history_table(boto3.client("dynamodb"), "history")
        for name in ("DUE_QUEUE_URL", "DLQ_URL"):
            monkeypatch.setenv(name, boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"])
        make_router.cache_clear()
        yield Stack(config, slack)
        make_router.cache_clear()


def batch(*bodies: str, receives: int = 1) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(receives)}
    return {
        "Records": [
            {"messageId": str(number), "body": body, "attributes": attributes} for number, body in enumerate(bodies)
        ]
    }


# --- what comes in ----------------------------------------------------------------------------------------------------


def test_a_batch_is_told_recorded_and_acknowledged(stack: Stack) -> None:
    answer = lambda_handler(batch(json.dumps(events.task_stopped()), "junk"), Context())
    assert answer == {"batchItemFailures": []}
    ((_, body),) = stack.slack.requests
    assert "Container crashed: service web in prod" in json.loads(body)["text"]
    assert stack.rows() == 4  # the alert, the incident, the delivery, the channels
    (buried,) = stack.on("DLQ_URL")
    assert buried["Body"] == "junk"
    assert buried["MessageAttributes"]["reason"]["StringValue"].startswith("not JSON")


@pytest.mark.parametrize("context", [Context(), None])
def test_a_bare_event_is_answered_with_json(context: Context | None, stack: Stack) -> None:
    """Whoever calls it need not pass a context."""
    answer = lambda_handler(events.task_stopped(), context)
    assert json.loads(json.dumps(answer)) == {
        "severity": "critical",
        "cause": "essential_container_exited",
        "decision": "announced",
        "deliveries": [{"channel": "chat", "kind": "opened", "outcome": "sent", "attempt": 1}],
    }


def test_the_tick_is_answered_with_the_number_of_deliveries(stack: Stack) -> None:
    assert lambda_handler(TICK, Context()) == {"deliveries": 0}


def test_of_what_must_be_tried_again_there_is_a_delayed_hint_on_the_due_queue(stack: Stack) -> None:
    stack.slack.script = [answer(503)]
    summary = lambda_handler(events.task_stopped(), Context())
    assert [delivery["outcome"] for delivery in summary["deliveries"]] == ["retry"]
    delayed = "ApproximateNumberOfMessagesDelayed"
    queue = boto3.client("sqs").get_queue_attributes(QueueUrl=os.environ["DUE_QUEUE_URL"], AttributeNames=[delayed])
    assert queue["Attributes"] == {delayed: "1"}


def test_how_often_a_record_is_received_is_set_by_the_environment(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the last time, an event is announced even without history."""
    monkeypatch.setenv("HISTORY_TABLE", "nowhere")
    monkeypatch.setenv("MAX_RECEIVES", "3")
    event = json.dumps(events.task_stopped())
    assert lambda_handler(batch(event, receives=2), Context()) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert stack.slack.requests == []
    assert lambda_handler(batch(event, receives=3), Context()) == {"batchItemFailures": []}
    assert len(stack.slack.requests) == 1
    assert [message["Body"] for message in stack.on("DLQ_URL")] == [event]


# --- how the time is divided ------------------------------------------------------------------------------------------


def test_a_minute_is_divided_as_docs_reliability_says() -> None:
    """Claims end and sends begin by 44 s, sends end by 54 s, all calls by 59 s. The lease outlives them."""
    deadline = handler._deadline(Context())  # noqa: SLF001 - what the handler passes on
    assert deadline.left() == pytest.approx(59, abs=0.1)
    lease = invocation_lease("invocation", 0.0, 59.0)
    assert (lease.begin_by, lease.settle_by, lease.until) == (44, 54, 64)


# --- a DynamoDB that hangs --------------------------------------------------------------------------------------------


@dataclass
class Ending:
    """A context whose time runs out, as Lambda's does."""

    ends: float
    aws_request_id: str = "6bc28136"

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends - time.monotonic()) * 1000)


@pytest.mark.parametrize("hang", [silent, deaf], ids=["never answers", "lets nobody connect"])
def test_the_last_receive_is_announced_in_time_though_dynamodb_hangs(
    hang: Callable[[], AbstractContextManager[Hanging]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten subjects in a batch, the real clients, and a function's time-out of 2.4 seconds instead of 60. Lambda would
    kill the function afterwards: nobody would be notified, and SQS would move the records without a note.
    """
    config = tmp_path / "alert-router.toml"
    config.write_text(CONFIG)
    monkeypatch.setattr("router.channels.http._TIME_TO_ANSWER", 0.1)
    with (
        hang() as dynamodb,
        ScriptedServer(answer(200, '{"MessageId": "1"}')) as sqs,
        ScriptedServer(answer(200, "ok")) as slack,
    ):
        environment = {
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": sqs.url(),
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url,
            "NO_PROXY": "127.0.0.1",
            "ALERT_ROUTER_CONFIG": str(config),
            "HISTORY_TABLE": "history",
            "DUE_QUEUE_URL": sqs.url("/1/due"),
            "DLQ_URL": sqs.url("/1/dead-letters"),
            "MAX_RECEIVES": "5",
            "SLACK_WEBHOOK_URL": slack.url("/services/T0/B0/secret"),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        make_router.cache_clear()
        died = [json.dumps(events.task_stopped(service=f"web-{number}", task=f"{number:032x}")) for number in range(10)]
        ends = time.monotonic() + 2.4
        assert lambda_handler(batch(*died, receives=5), Ending(ends)) == {"batchItemFailures": []}
        assert time.monotonic() < ends
        make_router.cache_clear()
        copies = [json.loads(body) for _, body in sqs.requests]
        ((_, message),) = slack.requests
    assert [copy["MessageBody"] for copy in copies] == died
    assert {copy["MessageAttributes"]["announced"]["StringValue"] for copy in copies} == {"chat"}
    assert [name for name in map("web-{}".format, range(10)) if name not in message.decode()] == []


# --- the cold start ---------------------------------------------------------------------------------------------------


def test_everything_is_made_once_per_process(stack: Stack) -> None:
    lambda_handler(TICK, Context())
    stack.config.unlink()
    assert lambda_handler(TICK, Context()) == {"deliveries": 0}


@pytest.mark.parametrize("text", ["channels = [", None])
def test_a_file_that_cannot_be_read_stops_it(text: str | None, stack: Stack) -> None:
    stack.config.unlink() if text is None else stack.configure(text)
    with pytest.raises(ConfigError, match=r"alert-router\.toml"):
        lambda_handler(TICK, Context())


def test_no_usable_channel_stops_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "")
    with pytest.raises(ConfigError, match=r"channels\.chat: webhook_url is unset"):
        lambda_handler(TICK, Context())


def test_no_other_mistake_stops_it(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong is logged, and a wrong channel disables itself alone: its delivery fails with the reason."""
    stack.configure('colour = "red"\n[channels.odd]\nkind = "smoke"\n' + CONFIG.replace('["chat"]', '["odd", "chat"]'))
    summary = lambda_handler(events.task_stopped(), Context())
    outcomes = {delivery["channel"]: delivery["outcome"] for delivery in summary["deliveries"]}
    assert outcomes == {"odd": "failed", "chat": "sent"}
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [error.split(": ")[1] for error in errors] == ["colour", "channels.odd.kind"]


# --- what it says of itself -------------------------------------------------------------------------------------------


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """What came out as the log, all of which is JSON. The handler holds the standard output of when it was imported."""
    (output,) = logger.handlers
    stream = io.StringIO()
    monkeypatch.setattr(output, "stream", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


Lines = Callable[[], list[dict[str, Any]]]


def test_every_line_of_the_routers_log_is_json_with_the_id_of_its_request(stack: Stack, lines: Lines) -> None:
    """Of the modules' loggers, too, and of each request anew."""
    for request in ("first", "second"):
        lambda_handler(batch("junk"), Context(aws_request_id=request))
    assert [(line["function_request_id"], line["level"]) for line in lines()] == [
        ("first", "WARNING"),
        ("second", "WARNING"),
    ]
    assert all(line["message"].startswith("put on the dead-letter queue: not JSON") for line in lines())
    assert {(line["service"], line["version"]) for line in lines()} == {("ecs-alert-router", VERSION)}


def test_the_log_begins_at_info(stack: Stack, lines: Lines) -> None:
    log = logging.getLogger("ecs-alert-router.inbox")
    log.debug("not this")
    log.info("but this")
    assert [line["message"] for line in lines()] == ["but this"]


def test_no_event_is_logged(stack: Stack, lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    """What is in it may be anybody's data; neither in the log nor beside it, whatever comes of it."""
    stack.slack.script = [answer(503)]
    told = events.task_stopped("TaskFailedToStart", "canary in the reason", events.container("canary-app", 1))
    unreadable = '{"source": "aws.ecs", "detail": "canary in the body"}'
    lambda_handler(batch(json.dumps(told), unreadable, "canary in no JSON"), Context())
    assert len(lines()) == 2  # of what was put on the dead-letter queue
    assert "canary" not in json.dumps(lines()) + "".join(capfd.readouterr())


def test_metrics_are_printed_once_per_channel_and_for_alerts(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE", "prod")
    lambda_handler(batch(json.dumps(events.task_stopped())), Context())
    channel, alerts = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (channel["channel"], channel["stage"], channel["Sent"]) == ("chat", "prod", [1.0])
    (latency,) = channel["Latency"]
    assert 0 < latency < 10_000
    assert (alerts["stage"], alerts["Announced"]) == ("prod", [1.0])


def test_metrics_are_printed_even_if_the_invocation_fails(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent before was sent."""

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("router.inbox._summary", fail)
    with pytest.raises(RuntimeError):
        lambda_handler(events.task_stopped(), Context())
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_tick_that_finds_nothing_prints_nothing(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    lambda_handler(TICK, Context())
    assert capsys.readouterr().out == ""


def test_what_it_logs_holds_no_secret(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    stack.slack.script = [answer(404, "no_service")]
    lambda_handler(events.task_stopped(), Context())
    assert "/services/" not in caplog.text


@pytest.mark.parametrize(
    ("on", "asked"),
    [
        (EnrichSettings(), ["ask_plugins"]),
        (
            EnrichSettings(task_definition=True, log_groups=("/ecs/*",)),
            ["ask_task_definition", "ask_logs", "ask_plugins"],
        ),
    ],
)
def test_only_what_is_switched_on_is_asked_and_plugins_last(on: EnrichSettings, asked: list[str]) -> None:
    """Nobody knows how long a plugin takes: what the router finds itself does not wait for it."""

    class Owner:
        @hookimpl
        def enrich_alert(self) -> Mapping[str, str]:
            return {"Owner": "web team"}

    plugins, definitions = no_plugins(), TaskDefinitions(lambda _region: None, lambda: 0.0)
    plugins.manager.register(Owner())
    parts = handler.enrichers(on, definitions, plugins)
    assert [part.__name__ for part in parts] == asked


def test_where_nothing_is_switched_on_and_no_plugin_knows_more_nobody_is_asked() -> None:
    definitions = TaskDefinitions(lambda _region: None, lambda: 0.0)
    assert handler.enrichers(EnrichSettings(), definitions, no_plugins()) == ()
