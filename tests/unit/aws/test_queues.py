"""router.aws.queues."""

import json
import logging
from typing import Any

import pytest

from router.aws.queues import Queues
from tests.doubles.world import Sqs


class Refusing:
    def send_message(self, **_: Any) -> None:
        raise ConnectionError("https://sqs.example.com/123456789012/due")


def queues() -> tuple[Queues, Sqs]:
    sqs = Sqs()
    return Queues(sqs, "due", "dead-letters"), sqs


@pytest.mark.parametrize(
    ("delay", "seconds"), [(-5.0, 0), (0.0, 0), (0.2, 1), (1.0, 1), (30.0, 30), (30.2, 31), (900.0, 900)]
)
def test_a_delay_is_rounded_up_to_whole_seconds(delay: float, seconds: int) -> None:
    made, sqs = queues()
    made.send_delayed("body", delay)
    assert sqs.sent == [{"QueueUrl": "due", "MessageBody": "body", "DelaySeconds": seconds}]


def test_a_delay_longer_than_that_of_sqs_is_an_error() -> None:
    made, sqs = queues()
    with pytest.raises(ValueError, match="900"):
        made.send_delayed("body", 900.1)
    assert sqs.sent == []


def test_a_scheduled_check_names_the_item_that_is_due() -> None:
    made, sqs = queues()
    made.schedule_check(("subject#x", "incident"), 60)
    body = json.loads(sqs.sent[0]["MessageBody"])
    assert (body["source"], body["detail-type"]) == ("ecs-alert-router", "Router Due")
    assert body["detail"] == {"pk": "subject#x", "sk": "incident"}


def test_a_check_that_cannot_be_scheduled_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The tick finds the subject anyway. Only the type of the error is logged."""
    with caplog.at_level(logging.DEBUG):
        Queues(Refusing(), "due", "dead-letters").schedule_check(("subject#x", "incident"), 60)
    assert caplog.messages == ["hint not sent: ConnectionError"]


def test_an_error_of_the_dead_letter_queue_is_raised() -> None:
    with pytest.raises(ConnectionError):
        Queues(Refusing(), "due", "dead-letters").dead_letter("body", "why")


def received(queue: str = "events") -> dict[str, str]:
    arn = f"arn:aws:sqs:eu-west-1:123456789012:{queue}"
    return {"body": "the event", "receiptHandle": "handle", "eventSourceARN": arn}


@pytest.mark.parametrize("queue", ["events", "due"])
def test_a_record_is_given_back_to_the_queue_that_it_came_from(queue: str) -> None:
    """A visibility timeout is in whole seconds."""
    calls: list[dict[str, Any]] = []

    class Recording:
        def change_message_visibility(self, **request: Any) -> None:
            calls.append(request)

    made = Queues(Recording(), "https://sqs.eu-west-1.amazonaws.com/123456789012/due", "dead-letters")
    made.give_back(received(queue), 7.3)
    url = f"https://sqs.eu-west-1.amazonaws.com/123456789012/{queue}"
    assert calls == [{"QueueUrl": url, "ReceiptHandle": "handle", "VisibilityTimeout": 8}]


def test_a_copy_of_a_record_goes_to_the_queue_that_it_came_from() -> None:
    sqs = Sqs()
    Queues(sqs, "https://sqs.eu-west-1.amazonaws.com/123456789012/due", "dead").send_again(received(), 7.3)
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/events"
    assert sqs.sent == [{"QueueUrl": url, "MessageBody": "the event", "DelaySeconds": 8}]


def test_the_names_of_channels_that_announced_an_event_are_whole() -> None:
    """However many there are: a name that is missing is notified again."""
    made, sqs = queues()
    names = [f"slack-team-payments-{number:03}" for number in range(200)]
    made.dead_letter("body", "why", names)
    assert sqs.sent[0]["MessageAttributes"]["announced"]["StringValue"].split(",") == names


@pytest.mark.parametrize(
    ("reason", "noted"), [("two\nlines\x00", "two lines "), ("odd \ud800 \uffff", "odd    "), ("x" * 300, "x" * 256)]
)
def test_characters_that_sqs_refuses_in_an_attribute_are_replaced(reason: str, noted: str) -> None:
    made, sqs = queues()
    made.dead_letter("body", reason)
    assert sqs.sent[0]["MessageAttributes"] == {"reason": {"DataType": "String", "StringValue": noted}}
