"""SQS records, and outages of the history table and of the queues."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from local_aws import events
from router.cli.replay.memory_table import MemoryTable
from router.config.settings import Route
from router.errors import Conflict, HistoryUnavailable, TransientError
from router.history.items import state_key
from router.history.store import History
from router.history.table import Item, Key, Page, Put, Query, put_alone
from router.inbox import handle
from router.model import Severity, Subject
from tests.doubles.world import World

MAX_RECEIVES = 5
TICK = {"source": "ecs-alert-router", "detail-type": "Router Tick", "detail": {}}
TASKS = [f"{number:032x}" for number in range(30)]
NOTE = "History is unavailable: you may get this again, and no resolution will be sent."


def died(task: str = TASKS[0], service: str = "web") -> events.Raw:
    return events.task_stopped(task=task, service=service)


def record(message_id: str, body: object, *, receives: object = 1) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "receiptHandle": f"handle of {message_id}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:events",
    }


def receive(world: World, *records: dict[str, Any], left: float = 60.0) -> list[str]:
    """The ids of the records that are returned to the queue."""
    answer = handle({"Records": list(records)}, world.router, world.deadline(left), MAX_RECEIVES)
    assert answer.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def bare(world: World, event: object) -> dict[str, Any]:
    return handle(event, world.router, world.deadline(), MAX_RECEIVES)


def buried(world: World) -> list[tuple[str, dict[str, str]]]:
    """Body and attributes of what is on the dead-letter queue."""
    return [
        (
            message["MessageBody"],
            {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()},
        )
        for message in world.sqs.on("dead-letters")
    ]


class Outage:
    """A table that is unavailable, or that refuses some commits."""

    def __init__(self, table: MemoryTable, refuses: Callable[[Sequence[Put]], bool] | None) -> None:
        self._table = table
        self._refuses = refuses

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        if self._refuses is None:
            raise HistoryUnavailable("DynamoDB does not answer")
        return self._table.get(keys, now)

    def commit(self, puts: Sequence[Put], now: float) -> None:
        if self._refuses is None or self._refuses(puts):
            raise HistoryUnavailable("DynamoDB does not answer")
        self._table.commit(puts, now)

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        return put_alone(self.commit, puts, now)

    def query(self, query: Query, now: float) -> Page:
        if self._refuses is None:
            raise HistoryUnavailable("DynamoDB does not answer")
        return self._table.query(query, now)


def without_history(world: World, refuses: Callable[[Sequence[Put]], bool] | None = None) -> World:
    """Makes history unavailable from now on, or makes it refuse some commits."""
    history = History(Outage(world.table, refuses), world.config.retention)
    world.router = world.router._replace(runtime=world.router.runtime._replace(history=history))
    return world


class Contention(MemoryTable):
    """Somebody else changes one subject before each commit."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self._hot = state_key(subject)

    def commit(self, puts: Sequence[Put], now: float) -> None:
        if any(put.key == self._hot for put in puts):
            raise Conflict([self._hot])
        super().commit(puts, now)


class NoQueue:
    def send_message(self, **_: Any) -> None:
        raise ConnectionError("SQS does not answer")


def without_queues(world: World) -> World:
    world.router = world.router._replace(queues=world.router.queues._replace(client=NoQueue()))
    return world


def failing_slack(*raws: events.Raw) -> World:
    """Slack could not be told; it is due in 30 seconds, and Slack is well again."""
    world = World(routes=[Route(Severity.WARNING, channels=("slack",))])
    world.slack.failure = lambda: TransientError("busy")
    world.receive(*raws)
    world.slack.failure = lambda: None
    return world
