"""Measures the claim: the write units of an event, and how many records are given back in a fast crash loop.

`python -m benchmarks.claim` takes a minute or two. Nothing is deployed: the router runs from its inbox on, in memory.
The units are those that AWS charges (`benchmarks.dynamodb`), for events of a realistic size. The contention is
simulated in virtual time, with the latencies of DynamoDB and its refusals of writes that meet a transaction, so the
figures do not depend on the machine. `--json` prints them as JSON. The exit code is 1 if a promise is broken.
"""

import argparse
import itertools
import json
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table

from benchmarks.dynamodb import Refused, Tables
from benchmarks.events import batched, crash
from router import deliver as deliver_step
from router.aws.queues import TICK, Queues
from router.cli.replay.memory_table import MemoryTable
from router.config.silences import Silences
from router.context import Answered, Job, OutageMemory
from router.deadline import Deadline
from router.deliver import attempt, deliver
from router.errors import Conflict, HistoryUnavailable
from router.history.store import History, backoff
from router.history.table import DynamoTable, Item, Key, Page, Put, Query
from router.inbox import handle
from router.model import OWN_SOURCE
from tests.doubles.world import START, Recorder, World
from tests.simulation.scheduler import Process, QueueDouble, Scheduler, ThreadingDouble

CHANNELS = ("email", "slack", "teams", "pagerduty")
PROCESSES = 10  # deploy/queues.yml, MaximumConcurrency
BATCH = 10
MAX_RECEIVES = 5
TIME_OUT = 60.0
GIVEN_BACK_AT_MOST = 0.01

# --- write units ------------------------------------------------------------------------------------------------------


class _Client:
    """Counts the calls and capacity units of a `DynamoTable` as AWS does."""

    def __init__(self) -> None:
        self.tables = Tables()

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        action = "".join(word.capitalize() for word in name.split("_"))

        def call(**request: Any) -> dict[str, Any]:
            try:
                return self.tables.call(action, request)
            except Refused as error:
                code = error.answer["__type"].rpartition("#")[2]
                raise ClientError({"Error": {"Code": code}, **error.answer}, action) from error

        return call


class _Counted(World):
    """The router with four channels that accept everything, and the units that DynamoDB charges."""

    def __init__(self) -> None:
        super().__init__()
        self.client = _Client()
        self.keep_in(History(DynamoTable(self.client, "history"), self.config.retention))
        self.router = self.router._replace(deliver=_at_once)
        self.now = time.time()

    def make_channels(self) -> dict[str, Recorder]:
        return {name: Recorder(name, stateful=name == "pagerduty") for name in CHANNELS}

    def units(self, *raws: object) -> float:
        """The write units of one batch."""
        before = self.client.tables.write_units
        self.receive(*raws)
        return self.client.tables.write_units - before


def _at_once(jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
    """As `router.deliver.deliver` answers if no channel takes long: one write records all deliveries."""
    del deadline
    yield [(job, attempt(job)) for job in jobs]


def write_units() -> dict[str, float]:
    """Write units per event, by kind."""
    world = _Counted()
    world.units(crash("before"))
    first = crash("web")
    units = {"announced": world.units(first), "held back": world.units(crash("web")), "repeated": world.units(first)}
    units["the fifth of an incident"] = [world.units(crash("web")) for _ in range(3)][-1]
    units["the fiftieth of an incident"] = [world.units(crash("web")) for _ in range(45)][-1]
    units["a batch of ten, each"] = _storm(("web",), 10, size=10)
    for name, size in (("a storm, one by one", 1), ("a storm, in batches of ten", 10)):
        units[name] = _storm(("a", "b", "c"), 60, size)
    return units


def _storm(services: Sequence[str], events: int, size: int) -> float:
    """Units per event of services that crash in turn, after the event that opened their incidents."""
    world = _Counted()
    for service in services:
        world.units(crash(service))
    raws = [crash(service) for service, _ in zip(itertools.cycle(services), range(events), strict=False)]
    return sum(world.units(*lot) for lot in batched(raws, size)) / events


# --- contention -------------------------------------------------------------------------------------------------------


class _SlowTable:
    """A table that answers as late as DynamoDB does, and refuses what meets a transaction that is under way."""

    def __init__(self, scheduler: Scheduler, chance: Random) -> None:
        self._scheduler, self._chance = scheduler, chance
        self._table = MemoryTable()
        self._busy: dict[Key, float] = {}
        self.refused = self.commits = 0

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        self._wait(0.003, 0.008)
        found = self._table.get(keys, now)
        self._wait(0.003)  # to read the answer
        return found

    def query(self, query: Query, now: float) -> Page:
        self._wait(0.003, 0.008)
        return self._table.query(query, now)

    def commit(self, puts: Sequence[Put], now: float) -> None:
        self.commits += 1
        takes = self._chance.uniform(0.012, 0.03) if len(puts) > 1 else self._chance.uniform(0.004, 0.01)
        self._wait(takes * 0.3)
        keys = {put.key for put in puts}
        if any(self._busy.get(key, 0.0) > self._scheduler.now for key in keys):
            self.refused += 1
            self._wait(takes * 0.3)
            raise Conflict
        if len(puts) > 1:
            self._busy |= dict.fromkeys(keys, self._scheduler.now + takes * 0.5)
            self._wait(takes * 0.5)
        try:
            self._table.commit(puts, now)
        except Conflict:
            self.refused += 1
            raise
        finally:
            self._wait(takes * 0.2)

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        """At the same time, and a millisecond of CPU for each."""
        self._wait(0.004 + 0.001 * len(puts), 0.01 + 0.001 * len(puts))
        return self._table.put_each(puts, now)

    def rows(self) -> list[Item]:
        return self._table.rows()

    def _wait(self, least: float, most: float | None = None) -> None:
        self._scheduler.sleep(least if most is None else self._chance.uniform(least, most))


@dataclass(slots=True)
class _Record:
    body: str
    id: str
    born: float
    receives: int = 0
    given_back_at: float | None = None


@dataclass(frozen=True, slots=True)
class Contention:
    """The outcome for the events of one service.

    Attributes:
        given_back: records that were received again because others were first, in all.
        slowest: seconds until the last of them was acknowledged, after its first receive was possible.
        back_within: the most seconds between a give-back and the next receive.
        median: seconds from arrival to acknowledgement.
        without_history: announcements of an incident without a number.
        dead: on the dead-letter queue.
    """

    rate: float
    window: float
    events: int
    rows: int
    given_back: int
    median: float
    slowest: float
    back_within: float
    commits: int
    refused: int
    without_history: int
    dead: int

    @property
    def problems(self) -> Iterator[str]:
        if self.rows != self.events:
            yield f"{self.rows} rows of {self.events} events"
        if self.without_history or self.dead:
            yield f"{self.without_history} announced without history, {self.dead} dead letters"
        if self.given_back > GIVEN_BACK_AT_MOST * self.events:
            yield f"{self.given_back} of {self.events} records were given back"


@dataclass(slots=True)
class _Crashing:
    """One service that crashes `rate` times a second, and ten processes that receive its events."""

    rate: float
    seconds: float
    window: float
    time_out: float = TIME_OUT
    scheduler: Scheduler = field(default_factory=lambda: Scheduler(START))
    waiting: deque[_Record] = field(default_factory=deque)
    taken: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    given_back: int = 0
    dead: int = 0
    running: int = 0
    collecting: bool = False

    def run(self, seed: int) -> Contention:
        chance = Random(seed)
        table, world = _SlowTable(self.scheduler, chance), _Counted()
        for channel in world.channels.values():
            channel.failure = partial(self.scheduler.sleep, 0.15)
        ids = map("invocation-{}".format, itertools.count())
        runtime = world.router.runtime._replace(
            history=History(table, world.config.retention),
            clock=lambda: self.scheduler.now,
            jitter=chance.random,
            pause=lambda attempt: self.scheduler.sleep(backoff(attempt, chance.random())),
            silences=Silences(),
        )
        self._router = world.router._replace(
            runtime=runtime,
            queues=Queues(self, "queues/due", "queues/dead"),
            deliver=partial(deliver, clock=lambda: self.scheduler.now),
            new_id=lambda: next(ids),
        )
        events = round(self.rate * self.seconds)
        for number in range(events):
            when = START + number / self.rate + chance.random() / self.rate
            self.scheduler.at(when, partial(self._arrive, number, when))
        self.scheduler.at(START + 60, self._tick)
        threads, queues = ThreadingDouble(self.scheduler), QueueDouble(self.scheduler)
        with _quiet(), patch.multiple(deliver_step, threading=threads, queue=queues):
            self.scheduler.run()
        told = [notification for channel in world.channels.values() for notification in channel.told]
        return Contention(
            rate=self.rate,
            window=self.window,
            events=events,
            rows=sum(item["pk"].startswith("alert#") for item in table.rows()),
            given_back=self.given_back,
            median=sorted(self.taken)[len(self.taken) // 2],
            slowest=max(self.taken),
            back_within=max(self.back, default=0.0),
            commits=table.commits,
            refused=table.refused,
            without_history=sum(notification.incident.number == 0 for notification in told),
            dead=self.dead,
        )

    # --- SQS ---

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803 - SQS's own names
        del QueueUrl
        self._back[ReceiptHandle] = self.scheduler.now + VisibilityTimeout

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: float = 0, **_: Any) -> None:  # noqa: N803
        if QueueUrl.endswith("dead"):
            self.dead += 1
        elif QueueUrl.endswith("due"):
            hint = {"Records": [_sqs(_Record(MessageBody, "hint", self.scheduler.now, 1), "due")]}
            self.scheduler.at(self.scheduler.now + DelaySeconds, partial(self._invoke, hint, []))
        else:
            self._again(_Record(MessageBody, "copy", self.scheduler.now), self.scheduler.now + DelaySeconds)

    def _arrive(self, number: int, now: float) -> None:
        raw = crash("web")
        times = dict.fromkeys(("stoppedAt", "updatedAt"), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
        body = json.dumps({**raw, "id": f"event-{number}", "detail": raw["detail"] | times})
        self.waiting.append(_Record(body, f"record-{number}", now))
        self._collect()

    def _collect(self) -> None:
        """Lambda's poller waits for a full batch, but not longer than the batch window."""
        if len(self.waiting) >= BATCH or not self.window:
            self._receive()
        elif not self.collecting:
            self.collecting = True
            self.scheduler.at(self.scheduler.now + self.window, self._window_ends)

    def _window_ends(self) -> None:
        self.collecting = False
        self._receive()

    def _receive(self) -> None:
        while self.waiting and self.running < PROCESSES:
            records = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
            for record in records:
                record.receives += 1
                if record.given_back_at is not None:
                    self.back.append(self.scheduler.now - record.given_back_at)
            self.running += 1
            self._invoke({"Records": [_sqs(record, "events") for record in records]}, records)

    def _again(self, record: _Record, when: float) -> None:
        record.given_back_at = self.scheduler.now
        self.given_back += 1

        def returned() -> None:
            self.waiting.append(record)
            self._collect()

        self.scheduler.at(when, returned)

    # --- Lambda ---

    _router: Any = None
    _back: dict[str, float] = field(default_factory=dict)

    def _tick(self) -> None:
        self._invoke({"source": OWN_SOURCE, "detail-type": TICK, "detail": {}}, [])
        if self.scheduler.now < START + self.seconds + 120:
            self.scheduler.at(self.scheduler.now + 60, self._tick)

    def _invoke(self, event: dict[str, Any], records: list[_Record]) -> None:
        self.scheduler.spawn("invocation", Process("invocation"), partial(self._serve, event, records))

    def _serve(self, event: dict[str, Any], records: list[_Record]) -> None:
        router = self._router._replace(memory=OutageMemory())
        deadline = Deadline(self.scheduler.now + self.time_out, lambda: self.scheduler.now)
        answer = handle(event, router, deadline, MAX_RECEIVES)
        again = {failure["itemIdentifier"] for failure in answer.get("batchItemFailures", ())}
        for record in records:
            if record.id in again:
                self._again(record, self._back.pop(record.id, self.scheduler.now + 6 * TIME_OUT))
            else:
                self.taken.append(self.scheduler.now - record.born)
        if records:
            self.running -= 1
            self._collect()


def _sqs(record: _Record, queue: str) -> dict[str, Any]:
    return {
        "messageId": record.id,
        "receiptHandle": record.id,
        "eventSourceARN": f"arn:aws:sqs:eu-west-1:123456789012:{queue}",
        "body": record.body,
        "attributes": {"ApproximateReceiveCount": str(record.receives)},
    }


@contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def contention(
    rate: float, seconds: float, window: float = 0.0, seed: int = 1, time_out: float = TIME_OUT
) -> Contention:
    """One service crashes `rate` times a second for so long, and nothing fails.

    Args:
        window: seconds for which Lambda collects a batch. time_out: the function's.
    """
    return _Crashing(rate, seconds, window, time_out).run(seed)


# --- the whole --------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claim", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="virtual seconds of each contention")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    console = Console(stderr=True)
    with console.status("write units"):
        units = write_units()
    runs = []
    for rate, window in itertools.product((20.0, 50.0, 200.0), (0.0, 1.0)):
        with console.status(f"{rate:g} crashes a second"):
            runs.append(contention(rate, options.seconds, window))
    if options.json:
        print(json.dumps({"write_units": units, "contention": [asdict(run) for run in runs]}, indent=2))
    else:
        _show(units, runs)
    broken = [f"{run.rate:g} a second: {problem}" for run in runs for problem in run.problems]
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


def _show(units: dict[str, float], runs: Sequence[Contention]) -> None:
    table = Table("an event that is", "write units")
    for name, count in units.items():
        table.add_row(name, f"{count:.3g}")
    Console().print(table)
    table = Table("crashes a second", "batch window", "given back", "back within", "median", "slowest", "refused")
    for run in runs:
        share = f"{run.given_back} of {run.events} ({run.given_back / run.events:.2%})"
        refused = f"{run.refused} of {run.commits} commits"
        times = (f"{seconds:.1f} s" for seconds in (run.back_within, run.median, run.slowest))
        table.add_row(f"{run.rate:g}", f"{run.window:g} s", share, *times, refused)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
