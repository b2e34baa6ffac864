"""The router's own queues."""

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
def test_a_message_never_comes_before_its_time_and_less_than_a_second_after_it(delay: float, seconds: int) -> None:
    made, sqs = queues()
    made.send_delayed("body", delay)
    assert sqs.sent == [{"QueueUrl": "due", "MessageBody": "body", "DelaySeconds": seconds}]


def test_what_is_later_than_sqs_can_wait_is_a_mistake() -> None:
    made, sqs = queues()
    with pytest.raises(ValueError, match="900"):
        made.send_delayed("body", 900.1)
    assert sqs.sent == []


def test_a_hint_names_the_item_that_is_due() -> None:
    made, sqs = queues()
    made.schedule_check(("subject#x", "incident"), 60)
    body = json.loads(sqs.sent[0]["MessageBody"])
    assert (body["source"], body["detail-type"]) == ("ecs-alert-router", "Router Due")
    assert body["detail"] == {"pk": "subject#x", "sk": "incident"}


def test_a_hint_that_cannot_be_sent_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The tick finds what is due anyway. Of the error only the type is told."""
    with caplog.at_level(logging.DEBUG):
        Queues(Refusing(), "due", "dead-letters").schedule_check(("subject#x", "incident"), 60)
    assert caplog.messages == ["hint not sent: ConnectionError"]


def test_what_is_put_aside_and_cannot_be_is_not_swallowed() -> None:
    with pytest.raises(ConnectionError):
        Queues(Refusing(), "due", "dead-letters").dead_letter("body", "why")


@pytest.mark.parametrize(
    ("reason", "noted"), [("two\nlines\x00", "two lines "), ("odd \ud800 \uffff", "odd    "), ("x" * 300, "x" * 256)]
)
def test_a_reason_is_made_what_sqs_takes_for_an_attribute(reason: str, noted: str) -> None:
    made, sqs = queues()
    made.dead_letter("body", reason)
    assert sqs.sent[0]["MessageAttributes"] == {"reason": {"DataType": "String", "StringValue": noted}}
