"""Collects the messages of an SNS topic in a subscribed queue, in place of e-mail."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local_aws.server import LocalAws


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as a subscriber gets it. `attributes`: name to value. `at`: POSIX seconds when SNS accepted it."""

    subject: str
    text: str
    attributes: dict[str, str]
    at: float = 0.0


class Mailbox:
    """A subscription to a topic. `mails` holds everything received since it was created."""

    def __init__(self, aws: LocalAws, topic_arn: str) -> None:
        self._sqs = aws.client("sqs")
        self._url = self._sqs.create_queue(QueueName=f"mailbox-{topic_arn.rpartition(':')[2]}"[:80])["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": _admitting(topic_arn, arn)})
        aws.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
        self._mails: list[Mail] = []

    @property
    def mails(self) -> list[Mail]:
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._mails.append(_mail(json.loads(message["Body"])))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return list(self._mails)


def _admitting(topic_arn: str, queue_arn: str) -> str:
    """A queue policy: without one, SNS may not deliver."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _mail(envelope: dict[str, Any]) -> Mail:
    attributes = {name: attribute["Value"] for name, attribute in envelope.get("MessageAttributes", {}).items()}
    at = datetime.fromisoformat(envelope["Timestamp"]).timestamp()
    return Mail(envelope.get("Subject", ""), envelope["Message"], attributes, at)
