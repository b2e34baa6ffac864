"""An account in memory (moto): the table, the queues, and a router that works on them when it is told to, now."""

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
from tests.doubles.world import DAY, World

TABLE = "alert-history"
MAX_RECEIVES = 5


@dataclass
class Account:
    """What a stage's stack has made. `world` is its function, with channels that remember what they were told."""

    world: World
    sqs: Any
    events_url: str
    due_url: str
    dead_letter_url: str

    @property
    def options(self) -> list[str]:
        """What names all of it to a command."""
        names = ("--table", TABLE), ("--queue", self.events_url), ("--due-queue", self.due_url)
        return [word for pair in (*names, ("--dlq", self.dead_letter_url)) for word in pair]

    def decisions(self, *events: object) -> list[str | None]:
        """One invocation with a batch of events, now."""
        self.world.now = time.time()
        return self.world.decisions(*events)

    def deliver(self, queue_url: str) -> int:
        """Hands everything on a queue to the function, as Lambda's event source mapping does; returns how much."""
        count = 0
        while found := self.sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        ).get("Messages"):
            self.world.now = time.time()
            answer = handle({"Records": [_record(each) for each in found]}, self.world.router, lambda: 60.0, 5)
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for each in found:
                if each["MessageId"] not in failed:
                    self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"])
            count += len(found)
        return count

    def dead_letters(self) -> int:
        """How many there are, those that somebody looks at just now too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.dead_letter_url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


def make_account() -> Account:
    """Within moto's `mock_aws`."""
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
    """A message of SQS in the words of a Lambda event."""
    notes = message.get("MessageAttributes", {})
    return {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {"stringValue": each["StringValue"], "dataType": each["DataType"]} for name, each in notes.items()
        },
    }
