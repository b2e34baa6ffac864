"""The router's own queues: dead letters, and delayed messages for work that is due soon."""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from router.history.table import Key
from router.model import OWN_SOURCE

log = logging.getLogger("ecs-alert-router.aws.queues")

DUE = "Router Due"
TICK = "Router Tick"
WITHOUT_HISTORY = "history unavailable"
"""The reason for a dead letter whose event was announced but not stored (`router.outage`)."""
GIVE_BACK_AFTER = (5.0, 30.0)
"""Seconds, chosen at random, after which a record is received again because other writers were faster."""
MAX_DELAY = 900  # seconds; Amazon SQS API, SendMessage, DelaySeconds
_REASON_LENGTH = 256  # characters


Record = Mapping[str, Any]
"""One SQS message, as Lambda passes it to a function."""


class Queues(NamedTuple):
    """The router's own queues.

    Attributes:
        client: a low-level SQS client.
        due_url: of the queue for delayed messages to the router.
        dead_letter_url: of the queue for events that an operator must look at.
    """

    client: Any
    due_url: str
    dead_letter_url: str

    def dead_letter(self, body: str, reason: str, announced: Iterable[str] = ()) -> None:
        """Puts an event on the dead-letter queue, with the reason as an attribute. Raises what the client raises.

        Args:
            announced: the channels that have sent it nevertheless. Their names may be as long as the message still has
                room for: SQS counts body and attributes together.
        """
        notes = {"reason": _printable(reason)[:_REASON_LENGTH], "announced": _printable(",".join(announced))}
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in notes.items() if value}
        self.client.send_message(QueueUrl=self.dead_letter_url, MessageBody=body or "-", MessageAttributes=attributes)

    def give_back(self, record: Record, delay: float) -> None:
        """Makes a record that failed visible again after `delay` seconds instead of the queue's visibility timeout.

        Raises what the client raises, and KeyError if the record does not say where it came from.
        """
        self.client.change_message_visibility(
            QueueUrl=self._url_of(record),
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=math.ceil(delay),
        )

    def send_again(self, record: Record, delay: float) -> None:
        """Sends a copy of a record to its queue, where it counts as never received. Raises as `give_back` does."""
        self.client.send_message(
            QueueUrl=self._url_of(record), MessageBody=record["body"], DelaySeconds=math.ceil(delay)
        )

    def _url_of(self, record: Record) -> str:
        """The queue that the record came from. All queues of the stack are in one account and region."""
        return f"{self.due_url.rpartition('/')[0]}/{record['eventSourceARN'].rpartition(':')[2]}"

    def schedule_check(self, key: Key, delay: float) -> None:
        """Sends a hint that the subject is due in `delay` seconds. Without it, the next tick finds the subject."""
        self._hint({"source": OWN_SOURCE, "detail-type": DUE, "detail": {"pk": key[0], "sk": key[1]}}, delay)

    def _hint(self, body: Mapping[str, Any], delay: float) -> None:
        try:
            self.send_delayed(json.dumps(body), delay)
        except Exception as error:  # noqa: BLE001 - a lost hint only causes a delay
            log.warning("hint not sent: %s", type(error).__name__)

    def schedule_tick(self, delay: float) -> None:
        """Sends a hint to run a tick in `delay` seconds, for a bundle that should not wait for the next tick."""
        self._hint({"source": OWN_SOURCE, "detail-type": TICK, "detail": {}}, min(delay, MAX_DELAY))

    def send_delayed(self, body: str, delay: float) -> None:
        """Delivers `body` to the router again after `delay` seconds. Raises what the client raises."""
        seconds = max(0, math.ceil(delay))
        if seconds > MAX_DELAY:
            raise ValueError(f"SQS delays by at most {MAX_DELAY} s, not {seconds}")
        self.client.send_message(QueueUrl=self.due_url, MessageBody=body, DelaySeconds=seconds)


def _printable(text: str) -> str:
    """The text without the characters that SQS refuses in an attribute, such as control characters."""
    return "".join(character if character.isprintable() else " " for character in text)
