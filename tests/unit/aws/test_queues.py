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


@pytest.mark.parametrize(
    ("reason", "noted"), [("two\nlines\x00", "two lines "), ("odd \ud800 \uffff", "odd    "), ("x" * 300, "x" * 256)]
)
def test_characters_that_sqs_refuses_in_an_attribute_are_replaced(reason: str, noted: str) -> None:
    made, sqs = queues()
    made.dead_letter("body", reason)
    assert sqs.sent[0]["MessageAttributes"] == {"reason": {"DataType": "String", "StringValue": noted}}
