"""An AWS account in memory (moto): the table, the queues, and a router that works on them at the current time."""

import time
from dataclasses import dataclass
from typing import Any

import boto3

from router.aws.queues import Queues
from router.config.silences import Silences
from router.history.store import History
from router.history.table import DynamoTable
from router.inbox import handle
from tests.doubles.dynamodb import create_history_table
from tests.doubles.quick_moto import hurry
from tests.doubles.world import DAY, World

TABLE = "alert-history"
MAX_RECEIVES = 5


@dataclass
class Account:
    """The resources of a stage. `world` is its function, with channels that record their notifications."""

    world: World
    sqs: Any
    events_url: str
    due_url: str
    dead_letter_url: str

    @property
    def options(self) -> list[str]:
        """The options that name these resources to a command."""
        names = ("--table", TABLE), ("--queue", self.events_url), ("--due-queue", self.due_url)
        return [word for pair in (*names, ("--dlq", self.dead_letter_url)) for word in pair]

    def decisions(self, *events: object) -> list[str | None]:
        """One invocation with a batch of events, now."""
        self.world.now = time.time()
        return self.world.decisions(*events)

    def deliver(self, queue_url: str) -> int:
        """Hands everything on a queue to the function, as Lambda's event source mapping does; returns how many."""
        count = 0
        while messages := self.sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        ).get("Messages"):
            self.world.now = time.time()
            answer = handle(
                {"Records": [_record(message) for message in messages]}, self.world.router, self.world.deadline(), 5
            )
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for message in messages:
                if message["MessageId"] not in failed:
                    self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            count += len(messages)
        return count

    def dead_letters(self) -> int:
        """The number of dead letters, including those in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.dead_letter_url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


def make_account() -> Account:
    """Creates the account. Call it within moto's `mock_aws`."""
    hurry()
    create_history_table(boto3.client("dynamodb"), TABLE)
    sqs = boto3.client("sqs")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("events", "due", "dead-letters")]
    world = World()
    world.now = time.time()
    history = History(DynamoTable(boto3.client("dynamodb"), TABLE), 90 * DAY)
    world.keep_in(history, silences=Silences(history.silences))
    world.router = world.router._replace(queues=Queues(sqs, urls[1], urls[2]))
    return Account(world, sqs, *urls)


def _record(message: dict[str, Any]) -> dict[str, Any]:
    """An SQS message as a record of a Lambda event."""
    notes = message.get("MessageAttributes", {})
    return {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {"stringValue": note["StringValue"], "dataType": note["DataType"]} for name, note in notes.items()
        },
    }
