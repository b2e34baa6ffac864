"""plugins.eventbridge: events that reach a bus, and never the router."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws

from plugins.eventbridge import EventBridge
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError
from router.ecs.normalise import normalise
from router.errors import UnreadableEvent
from router.messages.hygiene import cleaned
from router.model import Kind, Message
from router_conformance.channel import NOTIFICATIONS
from tests.doubles.oom import ALERT, INCIDENT

ROOT = Path(__file__).parents[3]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/incident.schema.json").read_text("utf-8")))
REGION = "eu-west-1"
BUS = f"arn:aws:events:{REGION}:123456789012:event-bus/incidents"


def notification(kind: Kind = Kind.OPENED) -> Notification:
    return cleaned(Notification(kind, Message("Out of memory: service web in prod", "メモリ不足"), ALERT, INCIDENT))


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def arrived() -> Iterator[Any]:
    """Reads what a rule of the bus for the router's incidents puts into its queue."""
    with mock_aws():
        client, queues = boto3.client("events", REGION), boto3.client("sqs", REGION)
        client.create_event_bus(Name="incidents")
        pattern = {"source": ["ecs-alert-router.incidents"], "detail": {"incident": {"severity": ["critical"]}}}
        client.put_rule(Name="critical", EventBusName="incidents", EventPattern=json.dumps(pattern))
        url = queues.create_queue(QueueName="q")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client.put_targets(Rule="critical", EventBusName="incidents", Targets=[{"Id": "q", "Arn": arn}])

        def read() -> list[dict[str, Any]]:
            messages = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            return [json.loads(message["Body"]) for message in messages]

        yield read


def channel(bus: str = BUS) -> EventBridge:
    return EventBridge(ChannelConfig("bus", "eventbridge", {"bus_arn": bus}))


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "detail_type"),
    [(Kind.OPENED, "Incident Opened"), (Kind.UPDATED, "Incident Updated"), (Kind.RESOLVED, "Incident Resolved")],
)
def test_an_event_arrives_as_the_schema_says(kind: Kind, detail_type: str, arrived: Any) -> None:
    bus = channel()
    bus.send(bus.render(notification(kind)))
    (event,) = arrived()
    assert (event["source"], event["detail-type"]) == ("ecs-alert-router.incidents", detail_type)
    assert [error.message for error in SCHEMA.iter_errors(event["detail"])] == []
    assert event["detail"]["message"]["text"] == "メモリ不足"


@pytest.mark.parametrize("name", [name for name in NOTIFICATIONS if name.startswith("opened")])
def test_the_service_model_accepts_every_event(name: str, arrived: Any) -> None:
    """botocore checks the types; moto, that the detail is an object."""
    bus = channel()
    for render in (bus.render, bus.render_plain):
        bus.send(render(NOTIFICATIONS[name]))


def test_a_plain_event_has_no_more_of_the_message_than_its_title() -> None:
    detail = channel().render_plain(notification())["Detail"]
    assert (detail["message"]["title"], detail["message"]["text"]) == ("Out of memory: service web in prod", "")


# --- no loop ----------------------------------------------------------------------------------------------------------


def test_no_rule_of_the_router_admits_its_incidents() -> None:
    """In every template, its own and that for other accounts, sources are whole names, and none of them is this one."""
    templates = [path.read_text("utf-8") for path in sorted((ROOT / "deploy").glob("*.yml"))]
    sources = [source for text in templates for source in re.findall(r"^\s*(?:- )?source: (.*)$", text, re.MULTILINE)]
    assert len(sources) >= 9
    names = {name.strip() for source in sources for name in source.split("#")[0].strip().strip("[]").split(",")}
    assert {name for name in names if not re.fullmatch(r"aws\.[a-z]+|ecs-alert-router", name)} == set()
    assert channel().render(notification())["Source"] not in names


@pytest.mark.parametrize("kind", list(Kind))
def test_an_incident_that_reaches_the_router_nevertheless_alerts_nobody(kind: Kind) -> None:
    entry = channel().render(notification(kind))
    event = {
        "id": "1",
        "account": "123456789012",
        "region": REGION,
        "time": entry["Time"],
        "source": entry["Source"],
        "detail-type": entry["DetailType"],
        "detail": entry["Detail"],
    }
    with pytest.raises(UnreadableEvent):
        normalise(event)


# --- errors -----------------------------------------------------------------------------------------------------------


def sent_to(response: dict[str, Any]) -> None:
    bus = channel()
    bus._client = Mock(put_events=Mock(return_value=response))  # noqa: SLF001 - moto fails no single entry
    bus.send(bus.render(notification()))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InternalFailure", TransientError),
        ("ThrottlingException", TransientError),
        ("MalformedDetail", PayloadRejected),
        ("AccessDeniedException", PermanentError),
        ("NotAuthorizedForSourceException", PermanentError),
        ("InvalidAccountIdException", PermanentError),
        ("SomethingNew", PermanentError),
    ],
)
def test_an_entry_that_failed_is_an_error_although_the_call_succeeded(code: str, expected: type[Exception]) -> None:
    """EventBridge answers 200, with the number of those that failed."""
    response = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "why"}]}
    with pytest.raises(expected, match=f"EventBridge answered {code}: why") as caught:
        sent_to(response)
    assert type(caught.value) is expected


def test_an_event_that_is_taken_is_no_error() -> None:
    sent_to({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})


def test_a_bus_that_is_gone_is_a_permanent_error(arrived: Any) -> None:
    bus = channel(BUS.replace("/incidents", "/gone"))
    with pytest.raises(PermanentError, match="ResourceNotFoundException"):
        bus.send(bus.render(notification()))


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bus",
    [
        BUS,
        "arn:aws:events:us-east-1:123456789012:event-bus/default",
        "arn:aws-cn:events:cn-north-1:123456789012:event-bus/aws.partner/x/y",
    ],
)
def test_a_bus_of_any_region_is_called_there(bus: str) -> None:
    assert channel(bus)._client.meta.region_name == bus.split(":")[3]  # noqa: SLF001 - its only trace


@pytest.mark.parametrize(
    ("bus", "why"),
    [
        ("incidents", "must be the ARN of an event bus"),
        ("arn:aws:events:eu-west-1:123456789012:rule/x", "must be the ARN of an event bus"),
        (f"{BUS}\n", "must be the ARN of an event bus"),
        (BUS.replace("event-bus", "event-busv2"), "takes no PutEvents: name one whose ARN has event-bus/"),
    ],
)
def test_what_is_no_bus_for_events_is_refused(bus: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        channel(bus)
