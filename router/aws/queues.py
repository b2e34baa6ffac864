"""The router's own queues: what it cannot read is put aside, what is due soon is recalled to mind."""

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
"""The reason beside an event that was announced and could not be written down (`router.outage`)."""
MAX_DELAY = 900  # seconds; Amazon SQS API, SendMessage, DelaySeconds
_NOTE_LENGTH = 256  # characters of a message attribute


class Queues(NamedTuple):
    """Where the router writes to itself.

    Attributes:
        client: a low-level boto3 SQS client.
        due_url: delayed messages. dead_letter_url: what somebody must look at.
    """

    client: Any
    due_url: str
    dead_letter_url: str

    def dead_letter(self, body: str, reason: str, announced: Iterable[str] = ()) -> None:
        """Puts an event on the dead-letter queue, the reason beside it. Raises what the client raises.

        Args:
            announced: channels that were told of it all the same.
        """
        notes = {"reason": reason, "announced": ",".join(announced)}
        attributes = {
            name: {"DataType": "String", "StringValue": _printable(value)} for name, value in notes.items() if value
        }
        self.client.send_message(QueueUrl=self.dead_letter_url, MessageBody=body or "-", MessageAttributes=attributes)

    def schedule_check(self, key: Key, delay: float) -> None:
        """A hint that something is due in `delay` seconds. It only saves waiting: the tick finds what is due anyway."""
        self._hint({"source": OWN_SOURCE, "detail-type": DUE, "detail": {"pk": key[0], "sk": key[1]}}, delay)

    def _hint(self, body: Mapping[str, Any], delay: float) -> None:
        try:
            self.send_delayed(json.dumps(body), delay)
        except Exception as error:  # noqa: BLE001 - what it would have saved is waiting, no more
            log.warning("hint not sent: %s", type(error).__name__)

    def schedule_tick(self, delay: float) -> None:
        """A tick in `delay` seconds, for a gathering that is not to wait for the next minute's. A hint, too."""
        self._hint({"source": OWN_SOURCE, "detail-type": TICK, "detail": {}}, min(delay, MAX_DELAY))

    def send_delayed(self, body: str, delay: float) -> None:
        """Delivers `body` to the router again after `delay` seconds. Raises what the client raises."""
        seconds = max(0, math.ceil(delay))
        if seconds > MAX_DELAY:
            raise ValueError(f"SQS delays by at most {MAX_DELAY} s, not {seconds}")
        self.client.send_message(QueueUrl=self.due_url, MessageBody=body, DelaySeconds=seconds)


def _printable(text: str) -> str:
    """SQS refuses control characters, and XML's other outcasts, in an attribute."""
    return "".join(character if character.isprintable() else " " for character in text)[:_NOTE_LENGTH]
