"""A table of as many days as one likes, a thousand alerts a day, the same each time.

Some services have been through the whole router on the newest day, so that there are incidents and deliveries to ask
for; the rest are rows as the router writes them, which is what makes a table large.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.history.items import AlertRecord, iso, row_item
from router.history.store import History
from router.history.table import DynamoTable, Item, typed_item
from router.model import Decision
from tests.doubles.world import DAY, World

A_DAY = 1000
"""Alerts of a day."""
WITH_INCIDENTS = 2
"""Services whose newest day has been through the whole router."""
SERVICES = [f"service-{number:02}" for number in range(40)]
NOW = 1_795_305_600.0  # noon, so that a day back is two days of an index
_BATCH = 25  # items of one BatchWriteItem
_RETENTION = 400 * DAY

KINDS: list[tuple[int, dict[str, Any]]] = [  # how often, and what
    (70, {"stop_code": "ServiceSchedulerInitiated", "reason": "Scaling activity initiated by (deployment x)"}),
    (12, {}),
    (8, {"containers": (events.container("app", 137, "OutOfMemoryError: Container killed"),)}),
    (6, {"stop_code": "SpotInterruption", "reason": "Your Spot Task was interrupted."}),
    (4, {"stop_code": "ServiceSchedulerInitiated", "reason": "Task failed ELB health checks in (target-group x)"}),
]


@dataclass(frozen=True)
class Seeded:
    """A table, and somebody in it to ask about."""

    history: History
    client: Any
    task: str
    incident: str


def raw_events(day: int) -> Iterator[tuple[float, events.Raw]]:
    """The events of that day before now, the oldest first; day 0 ends now."""
    chance = random.Random(day)
    weights, kinds = zip(*KINDS, strict=True)
    ends = NOW - day * DAY
    for number in range(A_DAY):
        at = ends - DAY + (number + 0.5) * DAY / A_DAY
        service = chance.choice(SERVICES)
        (fields,) = chance.choices(kinds, weights)
        task = f"{zlib.crc32(f'{day}/{number}'.encode()):032x}"
        raw = events.task_stopped(
            task=task, service=service, family=service, stoppedAt=iso(at), event_id=task, **fields
        )
        yield at, raw


def rows_of(day: int) -> Iterator[Item]:
    """What the router would write of that day's alerts, but for incidents."""
    for at, raw in raw_events(day):
        event = normalise(raw)
        if day == 0 and event.subject.name in SERVICES[:WITH_INCIDENTS]:
            continue
        yield row_item(
            AlertRecord(alert(event, classify(event)), Decision.NO_ROUTE, "", event), int(at + _RETENTION), at
        )


def newest_day(client: Any, name: str) -> Seeded:
    """Day 0."""
    world = World()
    world.keep_in(History(DynamoTable(client, name), _RETENTION))
    incident = task = ""
    older_day(client, name, 0)
    routed = {f"service:{service}" for service in SERVICES[:WITH_INCIDENTS]}
    for at, raw in raw_events(0):
        if raw["detail"]["group"] not in routed:
            continue
        world.now = at + 1
        (results,) = world.receive(raw)
        if results.decision == Decision.ANNOUNCED and results.routed:
            task = results.routed.alert.task
            incident = str(world.history.by_occurrence(task, world.now)[0]["incident"])
    return Seeded(world.history, client, task, incident)


def older_day(client: Any, name: str, day: int) -> None:
    """The rows of a day."""
    rows = [{"PutRequest": {"Item": typed_item(item)}} for item in rows_of(day)]
    for start in range(0, len(rows), _BATCH):
        answer = client.batch_write_item(RequestItems={name: rows[start : start + _BATCH]})
        if answer["UnprocessedItems"]:
            raise RuntimeError("the table is busy")
