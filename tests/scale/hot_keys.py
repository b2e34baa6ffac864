"""How evenly 10,000 writes a second spread over the keys of the table and of each index.

A partition takes 1,000 writes a second (DynamoDB guide, "Designing partition keys"); a key is never on two.
"""

import json
import random
from collections import Counter
from collections.abc import Sequence

from local_aws import events
from router.cli.replay.memory_table import MemoryTable
from router.history.items import iso
from router.history.store import History
from router.history.table import INDEXES, Index, Item, Key, Put
from tests.doubles.world import World
from tests.scale.seeding import KINDS

WRITES = 10_000
"""Alerts that come in one second."""
PER_KEY = 1_000
"""Writes a second that one partition takes."""
_BATCH = 10


class Counting(MemoryTable):
    """Counts the writes to each key of the table, and of each index where what it holds of the item has changed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: dict[str, Counter[str]] = {name: Counter() for name in ("table", *INDEXES)}
        self._held: dict[tuple[str, Key], Item] = {}

    def commit(self, puts: Sequence[Put], now: float) -> None:
        super().commit(puts, now)
        for put in puts:
            self.writes["table"][put.item["pk"]] += 1
            for name, index in INDEXES.items():
                if index.partition in put.item and index.sort in put.item:
                    self._write(name, index, put)

    def _write(self, name: str, index: Index, put: Put) -> None:
        held = {name: put.item.get(name) for name in (*index.names, *(index.projects or ()))}
        if self._held.get((name, put.key)) != held:
            self._held[name, put.key] = held
            self.writes[name][put.item[index.partition]] += 1


def storm(alerts: int = WRITES, services: int = 500, clusters: int = 4, seed: int = 1) -> Counting:
    """So many tasks stop within a second, in services that are evenly loud, through the whole router."""
    chance, table, world = random.Random(seed), Counting(), World()
    world.table = table
    world.keep_in(History(table, world.config.retention))
    raws = [_stop(chance, number, services, clusters, world.now) for number in range(alerts)]
    for start in range(0, alerts, _BATCH):
        world.now += _BATCH / alerts
        world.receive(*raws[start : start + _BATCH])
    return table


def _stop(chance: random.Random, number: int, services: int, clusters: int, now: float) -> events.Raw:
    service = chance.randrange(services)
    weights, kinds = zip(*KINDS, strict=True)
    (fields,) = chance.choices(kinds, weights)
    at = iso(now + chance.random())
    raw = events.task_stopped(task=f"{number:032x}", service=f"service-{service}", stoppedAt=at, **fields)
    moved: events.Raw = json.loads(json.dumps(raw).replace("/prod", f"/cluster-{service % clusters}"))
    return moved


def hottest(table: Counting) -> dict[str, tuple[str, int, int]]:
    """Of the table and each index: the hottest key, its writes, and all writes."""
    return {
        name: (*counts.most_common(1)[0], counts.total()) for name, counts in table.writes.items() if counts.total()
    }
