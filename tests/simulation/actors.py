"""Who else writes to the table and the queues: an operator, the next version of the router, and what damages items."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from rich.progress import Progress

from router.cli import redrive
from router.cli.stack import Stack
from router.errors import HistoryUnavailable
from router.history.items import SCHEMA, is_row_key, is_state_key, packed_state, unpacked_state
from router.history.store import History
from router.history.table import Item, Key, Page, Put, Query
from tests.simulation.neighbours import SimulatedTable

NEW_FIELD, NEW_ENDING = "simulated_field", "simulated_ending"
"""What only the next version knows: a field of every item and state, and a member of an enum."""
_LONG = 14 * 86_400.0  # seconds: `redrive` looks at failures this recent


# --- the next version -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewerTable:
    """The table for the next version of the router: it writes fields and values that this version does not know."""

    table: SimulatedTable

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        return self.table.get(keys, now)

    def query(self, query: Query, now: float) -> Page:
        return self.table.query(query, now)

    def commit(self, puts: Sequence[Put], now: float) -> None:
        self.table.commit([put._replace(item=_as_newer(put.item)) for put in puts], now)

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        return self.table.put_each([put._replace(item=_as_newer(put.item)) for put in puts], now)


def _as_newer(item: Item) -> Item:
    """An item as the next version stores it: `min_reader` allows this version to read it."""
    if is_row_key((item["pk"], item["sk"])) or "schema" not in item:
        return item
    newer = {**item, "schema": SCHEMA + 1, NEW_FIELD: "item"}
    if is_state_key((item["pk"], item["sk"])):
        state = {**unpacked_state(item), NEW_FIELD: "state"}
        if state.get("incident") and state["incident"].get("ended_by"):
            state["incident"] = {**state["incident"], "ended_by": NEW_ENDING}
        newer["state"] = packed_state(state)
    return newer


def reserve(table: SimulatedTable, item: Item, now: float) -> None:
    """From now on, only a newer version may read the item."""
    _put(table, {**item, "min_reader": SCHEMA + 1}, now)


def release(table: SimulatedTable, item: Item, now: float) -> None:
    """This version may read the item again."""
    _put(table, {**item, "min_reader": SCHEMA}, now)


def damage(table: SimulatedTable, item: Item, now: float) -> None:
    """The state in the item becomes unreadable."""
    _put(table, {**item, "state": b"\x00damaged"}, now)


def _put(table: SimulatedTable, item: Item, now: float) -> None:
    table.put(Put({**item, "version": item["version"] + 1}, item["version"]), now)


# --- an operator ------------------------------------------------------------------------------------------------------


class OperatorSqs:
    """What `redrive` calls of SQS, with the dead letters of a simulation.

    Attributes:
        letters: the dead-letter queue. taken: what was put back on the events queue.
    """

    def __init__(self, letters: list[Any], send: Any, now: float) -> None:
        self.letters, self.taken = letters, list[Any]()
        self._send, self._now = send, now
        self._seen = 0

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.letters))}}

    def receive_message(self, **_: Any) -> dict[str, Any]:
        shown = [*enumerate(self.letters)][self._seen : self._seen + 10]
        self._seen += len(shown)
        return {"Messages": [self._message(number, letter) for number, letter in shown]}

    def _message(self, number: int, letter: Any) -> dict[str, Any]:
        notes = {"reason": letter.reason, "announced": letter.announced}
        attributes = {name: {"StringValue": value} for name, value in notes.items() if value}
        sent = {"SentTimestamp": str(int(self._now * 1000) - 1)}
        handles = {"MessageId": str(number), "ReceiptHandle": str(number)}
        return {**handles, "Body": letter.body, "Attributes": sent, "MessageAttributes": attributes}

    def send_message(self, *, QueueUrl: str, MessageBody: str, MessageAttributes: dict[str, Any]) -> None:  # noqa: N803 - SQS's own names
        self._send(QueueUrl, MessageBody, 0.0, MessageAttributes)

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: ARG002, N803
        self.taken.append(self.letters[int(ReceiptHandle)])

    def change_message_visibility(self, **_: Any) -> None:
        """Nobody else receives dead letters."""


def redrive_in_virtual_time(clock: Callable[[], float], sleep: Callable[[float], None]) -> AbstractContextManager[Any]:
    """While it lasts, the command's clock is virtual."""
    return patch.multiple(
        redrive, time=SimpleNamespace(time=clock), pause=lambda attempt: sleep(0.02 * 2 ** min(attempt, 6))
    )


def run_redrive(history: History, sqs: OperatorSqs, now: float) -> list[redrive.Redriven]:
    """What the command does with failed deliveries and dead letters. Raises HistoryUnavailable."""
    stack = Stack(history, sqs, dead_letter_url="dead", events_url="queues/events")
    progress = Progress(disable=True)
    done = redrive._failed_deliveries(stack, (), now - _LONG, progress, dry_run=False)  # noqa: SLF001 - the command itself makes real clients
    letters = redrive.DeadLetters(stack, now - _LONG, now, dry_run=False, delete_unreadable=False)
    return [*done, *letters.redrive(progress)]
