"""The real router, in memory and in virtual time. Every send succeeds at once, and nothing leaves the process.

    an event arrives ─► process ─┐                        ┌─► a message, noted with its virtual time
    a delayed message ─► handle ─┼─► the router ─► deliver ┤
    the tick, every minute ──────┘        │               └─► MemoryTable
                └──── due queue ◄─────────┘

Ticks with nothing to do are skipped: the clock jumps to the next one that has something to do.
"""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from router.aws.queues import Queues
from router.channels.plugins import Plugins
from router.cli.replay.memory_table import MemoryTable
from router.config.settings import Config
from router.config.silences import Silences
from router.context import Answered, Dependencies, Job, OutageMemory, Runtime
from router.deadline import Deadline
from router.history.items import CHANNEL_STATES_KEY, iso, to_channel_states
from router.history.store import History
from router.history.table import Item, Key
from router.inbox import handle
from router.incident.state import Delivery, Timing
from router.model import Decision, Incident, Message, Notification, Outcome, Subject
from router.pipeline import process
from router.tick import tick

MINUTE = 60.0
_DUE = "due"
_DEAD_LETTERS = "dead letters"
_SECONDS = 15.0
"""Seconds that an invocation has: enough to send, but too few for the tick to probe channels."""

Line = dict[str, Any]
"""One message, as `replay --json` prints it (docs/operate.md)."""


class _WatchedTable(MemoryTable):
    """A table that knows when the tick next has something to do."""

    def __init__(self) -> None:
        super().__init__()
        self._due: list[tuple[float, Key]] = []
        self._bundle_at = math.inf

    def next_due(self) -> float:
        """Epoch seconds at which the next subject or bundled message is due; infinity for never."""
        while self._due and self._stored[self._due[0][1]].get("due_at") != self._due[0][0]:
            heapq.heappop(self._due)  # no longer due at that time
        return min(self._due[0][0] if self._due else math.inf, self._bundle_at)

    def _store(self, item: Item) -> None:
        super()._store(item)
        key = item["pk"], item["sk"]
        if "due_at" in item:
            heapq.heappush(self._due, (item["due_at"], key))
        if key == CHANNEL_STATES_KEY:
            bundles = to_channel_states(item).bundles.values()
            self._bundle_at = min((bundle.at for bundle in bundles), default=math.inf)


class _Mute(Plugins):
    """The plugins without their `alert_settled` hooks, since nothing is really sent."""

    def ask(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        return iter(()) if hook == "alert_settled" else super().ask(hook, **arguments)


class VirtualRouter:
    """A router with its own clock. Its times are epoch seconds.

    Attributes:
        now: virtual time.
        start: arrival time of the first event, or None.
        messages: number of messages sent to each channel.
        decisions: number of rows with each decision.
        unreadable: number of events that the router could not understand.
        failures: a description of each failure.
    """

    def __init__(
        self, config: Config, plugins: Plugins, tell: Callable[[Line], None], *, every_minute: bool = False
    ) -> None:
        """Args:
        tell: called with each message, in order of sending.
        every_minute: run every tick, even those with nothing to do; the messages are the same.
        """
        self.now = 0.0
        self.start: float | None = None
        self.messages = Counter(dict.fromkeys(config.channels, 0))
        self.decisions: Counter[str] = Counter()
        self.unreadable = 0
        self.failures: list[str] = []
        self._tell = tell
        self._every_minute = every_minute
        self._minutes = 0  # the last tick that has run, or was skipped
        self._threads: set[tuple[str, str]] = set()
        """Channel and incident id of the messages that a later one can edit or reply to."""
        self._delayed: list[tuple[float, int, str]] = []
        self._numbers = itertools.count(1)
        self._table = _WatchedTable()
        self._router = self._put_together(config, plugins)

    @property
    def rows(self) -> int:
        """Number of alerts in history."""
        return sum(self.decisions.values())

    def receive(self, event: object, at: float) -> None:
        """Receives an event at that time, after everything that was due before it."""
        if self.start is None:
            self.now = self.start = at
        self.advance(at)
        (result,) = process([event], self._router, self._deadline())
        if result.routed is None:
            self.unreadable += 1
            self.failures.append(f"{iso(self.now)}: an event cannot be understood: {result.reason}")
        elif result.error:
            self.failures.append(f"{iso(self.now)}: {result.routed.alert.id} is not recorded: {result.error}")

    def advance(self, until: float) -> None:
        """Lets time pass: delayed messages arrive, and the tick runs every minute."""
        while self.start is not None:
            delayed_at = self._delayed[0][0] if self._delayed else math.inf
            minute = self._next_minute(until)
            tick_at = math.inf if minute is None else self._at(minute)
            if min(delayed_at, tick_at) > until:
                self._minutes = max(self._minutes, int((until - self.start) // MINUTE))
                self.now = max(self.now, until)
                return
            self.now = max(self.now, min(delayed_at, tick_at))
            if minute is None or delayed_at <= tick_at:
                record = {"messageId": "delayed", "body": heapq.heappop(self._delayed)[2]}
                handle({"Records": [record]}, self._router, self._deadline(), max_receives=1)
            else:
                self._minutes = minute
                tick(self._router, self._deadline())

    def _at(self, minute: int) -> float:
        return (self.start or 0.0) + minute * MINUTE

    def _next_minute(self, until: float) -> int | None:
        """The number of the next tick with something to do, or None if there is none until then."""
        if self._every_minute:
            return self._minutes + 1
        due = self._table.next_due()
        if due > until:
            return None
        minute = max(self._minutes + 1, math.floor((due - self._at(0)) / MINUTE))
        return minute if self._at(minute) >= due else minute + 1

    # --- the router's dependencies ------------------------------------------------------------------------------------

    def _put_together(self, config: Config, plugins: Plugins) -> Dependencies:
        history = History(self._table, config.retention, config.retention_by_severity)
        runtime = Runtime(
            history=history,
            clock=lambda: self.now,
            jitter=lambda: 0.0,
            pause=lambda _: None,
            timing=Timing(config.resolve_after),
            silences=Silences(windows=config.maintenance),
        )
        return Dependencies(
            config=config,
            plugins=_Mute(*plugins),
            runtime=runtime,
            queues=Queues(self, _DUE, _DEAD_LETTERS),
            deliver=self._deliver,
            new_id=lambda: f"invocation-{next(self._numbers)}",
            memory=OutageMemory(),
            count_decision=self._count,
        )

    def _count(self, decision: Decision) -> None:
        self.decisions[decision.value] += 1

    def send_message(self, **message: Any) -> None:
        """SQS's SendMessage, as far as `router.aws.queues` calls it."""
        if message["QueueUrl"] == _DUE:
            arrives = round(self.now + message["DelaySeconds"], 3)
            heapq.heappush(self._delayed, (arrives, next(self._numbers), message["MessageBody"]))

    def _deadline(self) -> Deadline:
        return Deadline.after(_SECONDS, lambda: self.now)

    def _deliver(self, jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
        """Every send succeeds at once."""
        del deadline
        for job in jobs:
            self.messages[job.config.name] += 1
            self._tell(self._line(job))
        yield [(job, Delivery(job.dispatch, Outcome.SENT)) for job in jobs]

    def _line(self, job: Job) -> Line:
        try:
            sent = job.notify()
        except Exception as error:  # noqa: BLE001 - a plugin may have caused it; the other channels are still notified
            self.failures.append(f"{iso(self.now)}: {job.config.name}: no message could be made: {error!r}")
            sent = _unrendered(job)
        dispatch = next(
            dispatch for state, dispatch in job.members if state.incident and state.incident.id == sent.incident.id
        )
        bundled = [incident.subject.text for incident in sent.bundled]
        return {
            "at": iso(self.now),
            "after": _seconds(self.now - (self.start or 0.0)),
            "channel": job.config.name,
            "channel_kind": job.config.kind,
            "kind": sent.kind.value,
            "reason": dispatch.reason.value,
            "incident": sent.incident.id,
            **_subject(sent.incident.subject),
            "severity": sent.incident.severity.value,
            "cause": sent.alert.cause,
            "title": sent.message.title,
            "text": sent.message.text,
            "bundled": bundled if len(bundled) > 1 else [],
            "continues": len(bundled) <= 1 and self._continues(job, sent.incident),
        }

    def _continues(self, job: Job, incident: Incident) -> bool:
        """Whether the message edits or replies to an earlier one about the incident."""
        thread = job.config.name, incident.id
        if thread in self._threads:
            return True
        if job.channel and job.channel.threads:
            self._threads.add(thread)
        return False


def _seconds(span: float) -> float:
    """Rounded to milliseconds; an integer for whole seconds."""
    rounded = round(span, 3)
    return int(rounded) if rounded.is_integer() else rounded


def _subject(subject: Subject) -> Mapping[str, str]:
    return {
        "subject": subject.text,
        "cluster": subject.cluster,
        "account": subject.account,
        "region": subject.region,
    }


def _unrendered(job: Job) -> Notification:
    incident = job.state.incident
    assert isinstance(incident, Incident)  # there is no job without an incident
    return Notification(job.dispatch.kind, Message(incident.alert.title, ""), incident.alert, incident)
