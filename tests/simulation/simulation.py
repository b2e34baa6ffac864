"""One run: the real router, from `router.inbox.handle` on, in a simulated world. A seed decides what happens.

After the storm that a plan describes nothing fails any more, and the run continues until there is nothing left to do.
"""

import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from router import deliver as deliver_step
from router import tick as tick_step
from router.aws.queues import DUE, TICK, Queues
from router.channels.configured import ConfiguredChannel
from router.config.settings import Config, Poll, Route
from router.config.silences import Silence, Silences
from router.context import Answered, Dependencies, Job, OutageMemory, Runtime
from router.deadline import Deadline
from router.deliver import deliver
from router.errors import HistoryUnavailable
from router.history.items import key_of, silence_item
from router.history.store import History, backoff
from router.history.table import Item, Key, Put
from router.inbox import handle
from router.incident.recovery import Findings
from router.incident.state import SubjectState, Timing
from router.model import OWN_SOURCE, ChannelConfig, EndedBy, Severity
from tests.doubles.ecs_account import EcsAccount
from tests.doubles.world import no_plugins
from tests.simulation.actors import (
    NewerTable,
    OperatorSqs,
    damage,
    redrive_in_virtual_time,
    release,
    reserve,
    run_redrive,
)
from tests.simulation.boundary import Boundary, Invocation, Log, Unanswered
from tests.simulation.neighbours import SimulatedTable, SqsClient
from tests.simulation.plan import CHANNELS, HOUR, MINUTE, Muting, Plan, Reservation, plan
from tests.simulation.polling import EXPECTED, EcsClient, Polled, home, polled
from tests.simulation.remotes import Line, Remote
from tests.simulation.scheduler import Process, QueueDouble, Scheduler, ThreadingDouble
from tests.simulation.workload import SECRET, Arrival, workload

START = 1_760_000_000.0
DEADLINE = 60.0  # seconds that an invocation may take
VISIBILITY = 360.0
MAX_RECEIVES = 5
RESOLVE_AFTER = 300.0
DEDUP_WINDOW = 900.0
_PATIENCE = 15 * 24 * 3600.0  # virtual seconds after the storm by which everything must have ended
_INVOCATIONS = 8_000

Receipt = Callable[[Invocation, dict[str, Any]], object]
"""Handles an invocation's answer."""


class Endless(Exception):
    """The run does not end, because something keeps becoming due."""


@dataclass(slots=True)
class Message:
    """One message on a queue. `visible_at` is when it can be received (again)."""

    id: str
    body: str
    visible_at: float
    attributes: dict[str, Any] = field(default_factory=dict)
    receives: int = 0
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that an invocation gave back, to be received again."""

    by: Process
    body: str
    receives: int


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter; `reason` is empty if SQS itself has moved it there."""

    body: str
    reason: str = ""
    announced: str = ""


@dataclass(slots=True)
class Environment:
    """What a function's execution environment keeps between invocations, until it dies.

    Attributes:
        newer: it runs the next version of the router.
        left: invocations that have left threads behind, which are frozen until the next invocation.
    """

    silences: Silences
    newer: bool
    memory: OutageMemory = field(default_factory=OutageMemory)
    left: list[Process] = field(default_factory=list)


class Simulation:
    """A run and its results.

    Attributes:
        accepted: everything that arrived. dropped: direct invocations that did not return.
        truth: what really lasts, and until when. polled: what ECS answers if it is polled.
        buried: the dead-letter queue. refused: records that were given back.
        redriven: dead letters that an operator has put back on the events queue.
        backfills: invocations with the bodies that they received back after that.
        broken: invocations that raised an error that they must not raise.
        reserved: the items that only a newer version could read, and from when to when.
        damaged: when the items of some subjects were damaged, by their partition keys, and their subjects.
        set_aside: how often the router found a damaged item. thawed: threads that continued in a later invocation.
        given_back: how often a record was made visible again early.
    """

    def __init__(self, what: Plan | int) -> None:
        self.plan = plan(what) if isinstance(what, int) else what
        seed = self.plan.seed
        self.scheduler = Scheduler(START)
        self.log = Log(self.scheduler)
        self.table = SimulatedTable(self._boundary("table", self.plan.table), self._note_due)
        self.remotes = {name: self._remote(name) for name in CHANNELS}
        self.polled = polled(seed, START, self.plan.storm) if self.plan.world == "polled" else None
        own = workload(seed, START, self.plan.storm, self.plan.subjects, self.plan.again, self.plan.fleet)
        load = own.joined(self.polled.arrivals, self.polled.lasting) if self.polled else own
        self.accepted: list[Arrival] = load.arrivals
        self.truth = load.truth
        self._aws = self._boundary("verify", self.plan.blind)
        self.dropped: dict[Arrival, None] = {}
        self.buried: list[Buried] = []
        self.refused: list[Refused] = []
        self.redriven: list[Buried] = []
        self.backfills: set[tuple[Process, str]] = set()
        self.reserved: list[tuple[Key, float, float]] = []
        self.damaged: dict[str, tuple[float, str]] = {}
        self.set_aside = self.thawed = self.given_back = 0
        self.broken: list[str] = []
        self._chances = {
            name: Random(f"{name} {seed}") for name in ("events", "due", "lambda", "tick", "jitter", "version")
        }
        self._queues: dict[str, list[Message]] = {"events": [], "due": []}
        self._ids = itertools.count(1)
        self._invocations = 0
        self._running = 0
        self._idle: list[Environment] = []
        self._ticks: set[float] = set()
        self._swept = START
        self._polls_until = self.polled.until if self.polled and self.plan.polls else 0.0
        self.router = self._put_together()

    def run(self) -> "Simulation":
        for arrival in self.accepted:
            self.scheduler.at(arrival.comes, partial(self._arrive, arrival))
        for number, muting in enumerate(self.plan.silences):
            self._silence(f"silence-{number}", muting)
        self._schedule_actors()
        if self._polls_until:
            self._tick_after(START)
        threads, queues = ThreadingDouble(self.scheduler), QueueDouble(self.scheduler)
        disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with (
                patch.multiple(deliver_step, threading=threads, queue=queues),
                patch.object(tick_step, "probe", lambda *_: 0),  # it sends nothing, and waits for nothing of this world
                redrive_in_virtual_time(lambda: self.scheduler.now, self.scheduler.sleep),
            ):
                self.scheduler.run()
        finally:
            logging.disable(disabled)
        return self

    @property
    def stormy(self) -> bool:
        return self.scheduler.now < START + self.plan.storm

    # --- the router, put together -------------------------------------------------------------------------------------

    def _boundary(self, name: str, rates: dict[str, float]) -> Boundary:
        return Boundary(self.scheduler, self.plan, self.log, name, rates)

    def _remote(self, name: str) -> Remote:
        return Remote(name, self._boundary(name, self.plan.send), self.plan.budgets[name], stateful=name == "pager")

    def _put_together(self) -> Dependencies:
        everyone = Route(Severity.ERROR, channels=CHANNELS)
        settings = {
            name: ChannelConfig(name, "double", {"url": f"https://hooks.example/{name}/{SECRET}", "key": SECRET})
            for name in CHANNELS
        }
        config = Config(
            poll=Poll(services=True),
            expect=(EXPECTED,),
            resolve_after=RESOLVE_AFTER,
            retention=self.plan.retention,
            channels={name: ConfiguredChannel.of(settings[name], remote) for name, remote in self.remotes.items()},
            routes=(everyone, Route(Severity.WARNING, channels=("slack", "email"))),
        )
        runtime = Runtime(
            history=History(self.table, config.retention, count_damaged=self._count_damaged),
            clock=lambda: self.scheduler.now,
            jitter=self._jitter,
            pause=self._pause,
            timing=Timing(config.resolve_after, self.plan.verify),
            silences=Silences(),
        )
        sqs = SqsClient(self._boundary("sqs", self.plan.sqs), self._accept, self._give_back)
        new_id = partial(next, map("lease-{}".format, self._ids))
        queues, memory = Queues(sqs, "queues/due", "dead"), OutageMemory()
        made = Dependencies(config, no_plugins(), runtime, queues, self._deliver, new_id, memory)
        if not (self.polled and self.plan.polls):
            return made._replace(verify=self._verify)
        client = EcsClient(self._boundary("ecs", self.plan.ecs), partial(self._account, self.polled))
        return made._replace(verify=self._verify, home=home(client))

    def _account(self, known: Polled) -> EcsAccount:
        return known.account(self.scheduler.now)

    def _verify(self, states: Sequence[SubjectState]) -> dict[Key, Findings]:
        """What AWS answers about these conditions; nothing about some of them if it throttles the router."""
        return {key_of(state): self._findings(state) for state in states}

    def _findings(self, state: SubjectState) -> Findings:
        name, found = state.subject.name, dict[str, EndedBy | None]()
        for key in state.conditions:
            with suppress(Unanswered):
                found |= self._aws.call(partial(self._truly, name, key), "verify", name, key)
        return found

    def _truly(self, name: str, key: str) -> dict[str, EndedBy | None]:
        return self.truth.answer(name, key, self.scheduler.now)

    def _count_damaged(self) -> None:
        self.set_aside += 1

    def _jitter(self) -> float:
        return 0.5 if self.plan.steady else self._chances["jitter"].random()

    def _pause(self, attempt: int) -> None:
        """Waits as `router.handler` does."""
        self.scheduler.sleep(backoff(attempt, self._jitter()))

    def _deliver(self, jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
        """The real step, with the remotes in place of the channels."""
        lines = (ConfiguredChannel.of(job.config, Line(self.remotes[job.config.name], job)) for job in jobs)
        lined = [job._replace(channel=line) for job, line in zip(jobs, lines, strict=True)]
        return deliver(lined, deadline, lambda: self.scheduler.now)

    # --- SQS ----------------------------------------------------------------------------------------------------------

    def _accept(self, queue: str, body: str, delay: float, attributes: dict[str, Any]) -> None:
        if queue == "dead":
            notes = {name: value["StringValue"] for name, value in attributes.items()}
            self.buried.append(Buried(body, **notes))
        elif f'"{DUE}"' in body and self.stormy and self._chances["due"].random() < self.plan.lost:
            self.log.note("the hint is lost")
        else:
            self._enqueue(queue.removeprefix("queues/"), body, delay, attributes)

    def _give_back(self, receipt_handle: str, seconds: float) -> None:
        for queue, messages in self._queues.items():
            for message in messages:
                if message.id == receipt_handle:
                    self.given_back += 1
                    message.visible_at = self.scheduler.now + seconds
                    self._poll_at(queue, message.visible_at)

    def _silence(self, id_: str, muting: Muting) -> None:
        """An operator adds a silence, and may end it early."""
        begins, ends, planned = (START + time for time in (muting.begins, muting.ends, muting.planned))
        made = Silence(id_, {"subject": (f"*:{muting.name}",)}, "planned", "ann", begins, begins, planned, planned)
        ttl = int(planned + _PATIENCE)
        for when, silence in ((begins, made), (ends, made._replace(ends_at=ends, version=1))):
            self.scheduler.at(when, partial(self.table.put, Put(silence_item(silence, ttl), silence.version), when))

    def _arrive(self, arrival: Arrival) -> None:
        if arrival.raw and self._chances["events"].random() < self.plan.bare:
            self.dropped[arrival] = None
            self._invoke("bare", arrival.raw, lambda *_: self.dropped.pop(arrival))
        else:
            self._enqueue("events", arrival.body, 0.0)

    def _enqueue(
        self, queue: str, body: str, delay: float, attributes: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        notes = {name: {"stringValue": note["StringValue"]} for name, note in attributes.items()}
        message = Message(f"{queue}-{next(self._ids)}", body, self.scheduler.now + delay, notes)
        self._queues[queue].append(message)
        self._poll_at(queue, message.visible_at)

    def _poll_at(self, queue: str, when: float) -> None:
        batching = 0.1 if self.plan.steady else self._chances[queue].choice((0.0, 0.01, 0.3, 2.0, 20.0))
        self.scheduler.at(when + batching, partial(self._poll, queue))

    def _poll(self, queue: str) -> None:
        """One receive by the event source mapping, if there are messages and a free process."""
        now, chance = self.scheduler.now, self._chances[queue]
        self._queues[queue] = [message for message in self._queues[queue] if not message.deleted]
        visible = [message for message in self._queues[queue] if message.visible_at <= now]
        if not visible:
            return
        if self._running >= self.plan.processes:
            self._poll_at(queue, now + 1.0)
            return
        batch = visible if self.plan.steady else chance.sample(visible, min(len(visible), chance.randint(1, 10)))
        if len(batch) < len(visible):
            self._poll_at(queue, now)
        records = [record for message in batch[:10] if (record := self._receive(queue, message))]
        if records:
            self._invoke(f"{queue}", {"Records": records}, partial(self._receipt, queue, batch[:10], records))

    def _receive(self, queue: str, message: Message) -> dict[str, Any] | None:
        message.receives += 1
        if message.receives > MAX_RECEIVES:
            message.deleted = True
            self.log.note(message.id, "moved to the dead-letter queue by SQS")
            self.buried.append(
                Buried(message.body, **{k: note["stringValue"] for k, note in message.attributes.items()})
            )
            return None
        doubled = self.stormy and self._chances[queue].random() < self.plan.doubled
        message.visible_at = self.scheduler.now + (self._chances[queue].uniform(0, 5) if doubled else VISIBILITY)
        self._poll_at(queue, message.visible_at)
        return {
            "messageId": message.id,
            "receiptHandle": message.id,
            "eventSourceARN": f"arn:aws:sqs:eu-west-1:123456789012:{queue}",
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
            "messageAttributes": message.attributes,
        }

    def _receipt(
        self,
        queue: str,
        batch: Sequence[Message],
        records: Sequence[dict[str, Any]],
        invocation: Invocation,
        answer: dict[str, Any],
    ) -> None:
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] in failed:
                receives = int(record["attributes"]["ApproximateReceiveCount"])
                self.refused.append(Refused(invocation, record["body"], receives))
        for message in batch:
            kept = self.stormy and self._chances[queue].random() < self.plan.undeleted
            if message.id not in failed and not kept:
                message.deleted = True

    # --- the tick -----------------------------------------------------------------------------------------------------

    def _note_due(self, item: Item) -> None:
        """A tick every minute. Ticks with nothing due are left out, so that days pass quickly."""
        if "due_at" in item:
            self._tick_after(item["due_at"])

    def _tick_after(self, when: float) -> None:
        minute = math.ceil(max(when, self.scheduler.now) / MINUTE + 1e-9) * MINUTE
        if minute not in self._ticks:
            self._ticks.add(minute)
            self.scheduler.at(minute, partial(self._tick, minute))

    def _tick(self, minute: float) -> None:
        self._ticks.discard(minute)
        due = self.table.next_due()
        if minute <= self._polls_until:
            due = minute
        if due is None:
            return
        self._tick_after(max(due, minute + 1))
        chance = self._chances["tick"]
        if due > minute or (self.stormy and chance.random() < self.plan.tick_missing):
            return
        event = {"source": OWN_SOURCE, "detail-type": TICK, "detail": {}}
        for _ in range(2 if self.stormy and chance.random() < self.plan.tick_twice else 1):
            late = 0.0 if self.plan.steady else chance.choice((0.0, 1.0, 40.0))
            self.scheduler.at(self.scheduler.now + late, partial(self._invoke, "tick", event, lambda *_: None))
        if self.scheduler.now > START + self.plan.storm + _PATIENCE:
            raise Endless(f"still due after {_PATIENCE / 86400:.0f} days")
        if self.plan.retention < _PATIENCE and minute >= self._swept + HOUR:
            self._swept = minute
            self.table.sweep(minute)

    # --- other actors -------------------------------------------------------------------------------------------------

    def _schedule_actors(self) -> None:
        for reserved in self.plan.reserved:
            self.scheduler.at(START + reserved.begins, partial(self._reserve, reserved))
        for damaged in self.plan.damaged:
            self.scheduler.at(START + damaged.at, partial(self._damage, damaged.name))
        for number, at in enumerate(self.plan.redrives):
            operator = Invocation(f"redrive-{number}", math.inf)
            start = partial(self.scheduler.spawn, operator.name, operator, partial(self._redrive, operator))
            self.scheduler.at(START + at, start)

    def _item_of(self, name: str) -> Item | None:
        """The newest state of the subject with that name, as it is stored."""
        stored = self.table.stored(self.scheduler.now).values()
        texts = (f"service:{name}", f"family:{name}", f"alarm:{name}", f"instance:{name}")
        return next((item for item in stored if item["sk"] == "incident" and item["subject"] in texts), None)

    def _reserve(self, reserved: Reservation) -> None:
        item, ends = self._item_of(reserved.name), START + reserved.ends
        if item:
            reserve(self.table, item, self.scheduler.now)
            self.reserved.append(((item["pk"], item["sk"]), self.scheduler.now, ends))
            self.scheduler.at(ends, lambda: release(self.table, self._item_of(reserved.name) or {}, ends))

    def _damage(self, name: str) -> None:
        item = self._item_of(name)
        if item:
            self.log.note("DAMAGE to", name)
            damage(self.table, item, self.scheduler.now)
            self.damaged[item["pk"]] = self.scheduler.now, item["subject"]

    def _redrive(self, operator: Invocation) -> None:
        sqs = OperatorSqs(self.buried, self._accept, self.scheduler.now)
        try:
            run_redrive(self.router.runtime.history, sqs, self.scheduler.now)
        except HistoryUnavailable as error:
            self.log.note("redrive fails:", error)
        self.log.note("redrive takes", len(sqs.taken), "dead letters")
        for letter in sqs.taken:
            self.buried.remove(letter)
        self.redriven += sqs.taken
        operator.done = self.scheduler.now

    # --- the function -------------------------------------------------------------------------------------------------

    def _invoke(self, name: str, event: dict[str, Any], receipt: Receipt) -> None:
        self._invocations += 1
        if self._invocations > _INVOCATIONS:
            raise Endless(f"{_INVOCATIONS} invocations")
        self._running += 1
        ends = self.scheduler.now + DEADLINE
        invocation = Invocation(f"{name}-{self._invocations}", ends)
        kept = self._environment()
        for process in kept.left:
            self.thawed += len(self.scheduler.threads(process))
            self.scheduler.thaw(process)
        invocation.left = kept.left
        self.scheduler.at(ends, partial(self._time_out, invocation))
        self.scheduler.spawn(invocation.name, invocation, partial(self._serve, invocation, kept, event, receipt))

    def _environment(self) -> Environment:
        if self._idle and self._chances["lambda"].random() < 0.9:
            return self._idle.pop()
        newer = self._chances["version"].random() < self.plan.newer
        return Environment(Silences(self.router.runtime.history.silences), newer)

    def _serve(self, invocation: Invocation, kept: Environment, event: dict[str, Any], receipt: Receipt) -> None:
        runtime = self.router.runtime._replace(silences=kept.silences)
        if kept.newer:
            runtime = runtime._replace(history=runtime.history._replace(table=NewerTable(self.table)))
        polled_home = self.router.home if self.scheduler.now <= self._polls_until else None
        deps = self.router._replace(memory=kept.memory, runtime=runtime, home=polled_home)
        records = event.get("Records", ())
        anew = {record["body"] for record in records if not record["messageAttributes"]}
        self.backfills |= {(invocation, body) for record in records if (body := record["body"]) not in anew}
        self.log.note("begins", *(record["messageId"] for record in event.get("Records", ())))
        try:
            answer = handle(event, deps, Deadline(invocation.ends, lambda: self.scheduler.now), MAX_RECEIVES)
        except Exception as error:  # noqa: BLE001 - the caller sees a failed invocation
            self.log.note("raises", repr(error))
            self._note_broken(invocation, event, error)
        else:
            self.log.note("ends", json.dumps(answer))
            receipt(invocation, answer)
        finally:
            self._running -= 1
        invocation.done = self.scheduler.now
        kept.left = [process for process in (*kept.left, invocation) if self.scheduler.threads(process)]
        for process in kept.left:
            self.scheduler.freeze(process)
        self._idle.append(kept)

    def _note_broken(self, invocation: Invocation, event: dict[str, Any], error: Exception) -> None:
        if "Records" in event or not (invocation.troubles or self.plan.sqs):
            self.broken.append(f"{invocation.name} raised {error!r}")

    def _time_out(self, invocation: Invocation) -> None:
        if invocation.done is None and not invocation.dead:
            self.log.note("TIME-OUT of", invocation.name)
            invocation.troubles.append(self.scheduler.now)
            self.scheduler.kill(invocation)
