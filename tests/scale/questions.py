"""What each question of the command line reads: items, read units as DynamoDB counts them, and time."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from router.cli.history.figures import add_alerts, add_incidents, figures
from router.cli.history.source import each_alert
from router.cli.replay.memory_table import size_of
from router.history.store import AlertQuery
from router.history.table import plain_item
from tests.doubles.world import DAY
from tests.scale.seeding import NOW, SERVICES, Seeded

_UNIT = 4096  # bytes of one consistent read unit; half a unit where the read is eventually consistent


@dataclass
class Cost:
    """What a question has read so far."""

    items: int = 0
    units: float = 0.0
    requests: int = 0
    seconds: float = 0.0
    _began: float = field(default_factory=time.perf_counter)

    def note(self, parsed: Mapping[str, Any], model: Any, context: Mapping[str, Any], **_: Any) -> None:
        """Counts an answer (DynamoDB guide, "Read consistency", "Item sizes"): a query's items together, those of
        BatchGetItem one by one."""
        self.requests += 1
        if model.name == "Query":
            read = [size_of(plain_item(item)) for item in parsed["Items"]]
            consistent = not context.get("on_an_index", True)
            self.units += max(1, ceil(sum(read) / _UNIT)) * (1 if consistent else 0.5)
        else:
            read = [size_of(plain_item(item)) for items in parsed.get("Responses", {}).values() for item in items]
            self.units += sum(max(1, ceil(size / _UNIT)) for size in read)
        self.items += len(read)


@contextmanager
def measured(client: Any) -> Iterator[Cost]:
    """What the client reads meanwhile."""

    def ask(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["on_an_index"] = "IndexName" in params

    cost = Cost()
    client.meta.events.register("before-parameter-build.dynamodb", ask)
    client.meta.events.register("after-call.dynamodb", cost.note)
    began = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - began
        client.meta.events.unregister("before-parameter-build.dynamodb", ask)
        client.meta.events.unregister("after-call.dynamodb", cost.note)


def _list(seeded: Seeded, days: float = 1, limit: int | None = 50, **narrowed: Any) -> int:
    return len(list(each_alert(seeded.history, AlertQuery(NOW - days * DAY, NOW, limit, **narrowed), NOW)))


def _report(seeded: Seeded) -> int:
    made = figures(NOW - DAY, NOW, None)
    alerts = each_alert(seeded.history, AlertQuery(made.since, made.until, None), NOW)
    add_incidents(made, seeded.history, add_alerts(made, alerts, lambda _: None), NOW)
    return len(made.incidents)


SERVICE = f"service:{SERVICES[7]}"
OF_A_DAY: Mapping[str, Callable[[Seeded], Any]] = {
    "`list` (50 of a day)": _list,
    "`list --service`": lambda seeded: _list(seeded, subject=SERVICE),
    "`list --service`, whole history, 50": lambda seeded: _list(seeded, days=365, subject=SERVICE),
    "`list --cluster`": lambda seeded: _list(seeded, cluster="prod"),
    "`list --severity critical`": lambda seeded: _list(seeded, severity="critical"),
    "`list --task`, `why`": lambda seeded: len(seeded.history.by_occurrence(seeded.task, NOW)),
    "`open`": lambda seeded: len(seeded.history.open_incidents(NOW)),
    "`show INCIDENT`": lambda seeded: len(
        [seeded.history.incident(seeded.incident, NOW), *seeded.history.deliveries(seeded.incident, NOW)]
    ),
    "`timeline`": lambda seeded: _list(seeded, limit=None, subject=SERVICE),
    "`top`": lambda seeded: _list(seeded, limit=None, at_least="warning"),
    "`export`": lambda seeded: _list(seeded, limit=None),
    "`report`": _report,
}
"""Questions about the newest day: their answers are the same however much history there is behind it."""


def cost_of(question: Callable[[Seeded], Any], seeded: Seeded) -> tuple[int, Cost]:
    """How much was answered, and what it cost."""
    with measured(seeded.client) as cost:
        answer = question(seeded)
    return answer, cost


def export_of(days: int) -> Callable[[Seeded], int]:
    """All alerts of so many days."""
    return lambda seeded: _list(seeded, days=days, limit=None)
