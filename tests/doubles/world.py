"""The whole router in memory: a clock that tests move, a table, queues, and channels that record notifications."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pluggy

from router.aws.queues import Queues
from router.channels.configured import ConfiguredChannel
from router.channels.plugins import Hooks, Plugins
from router.cli.replay.memory_table import MemoryTable
from router.config.settings import Config, Route
from router.config.silences import Silence, Silences
from router.context import Answered, Dependencies, EventResult, Job, OutageMemory, Runtime
from router.deadline import Deadline
from router.deliver import attempt
from router.history.items import each_delivery, is_delivery_key
from router.history.store import History
from router.history.table import Item
from router.incident.state import Delivery, Timing
from router.model import ChannelConfig, Kind, Notification, Severity
from router.pipeline import process, process_due

START = 1_760_000_000.0
MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR


class Recorder:
    """A channel that records its notifications, and fails as a test sets it to."""

    def __init__(self, name: str, *, stateful: bool = False) -> None:
        self.name = name
        self.stateful = stateful
        self.told: list[Notification] = []
        self.tried = 0
        self.failure: Callable[[], Exception | None] = lambda: None
        self.budget = (1000, 1.0)

    def render(self, notification: Notification) -> dict[str, Any]:
        return {"notification": notification}

    def send(self, payload: dict[str, Any]) -> None:
        self.tried += 1
        if failure := self.failure():
            raise failure
        self.told.append(payload["notification"])

    @property
    def kinds(self) -> list[Kind]:
        return [notification.kind for notification in self.told]


@dataclass
class Sqs:
    """Records the SQS messages that the router sends."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    given_back: list[dict[str, Any]] = field(default_factory=list)

    def send_message(self, **message: Any) -> None:
        self.sent.append(message)

    def change_message_visibility(self, **request: Any) -> None:
        self.given_back.append(request)

    def on(self, queue: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["QueueUrl"] == queue]


def serially(jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
    """`router.deliver.deliver` without threads: the same order every time."""
    del deadline
    for job in jobs:
        yield [(job, attempt(job))]


def no_plugins() -> Plugins:
    manager = pluggy.PluginManager("ecs_alert_router")
    manager.add_hookspecs(Hooks)
    return Plugins(manager, {}, ())


class World:
    """By default Slack and e-mail get warnings and worse, and the pager (stateful, like PagerDuty) errors and worse."""

    def __init__(
        self,
        routes: Sequence[Route] | None = None,
        options: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        **settings: Any,
    ) -> None:
        self.now = START
        self.table = MemoryTable()
        self.sqs = Sqs()
        self.channels = self.make_channels()
        quiet = tuple(name for name, channel in self.channels.items() if not channel.stateful)
        everyone = Route(Severity.ERROR, channels=tuple(self.channels))
        self.config = Config(
            channels={
                name: ConfiguredChannel.of(ChannelConfig(name, "recorder", options.get(name, {})), channel)
                for name, channel in self.channels.items()
            },
            routes=tuple(routes or (everyone, Route(Severity.WARNING, channels=quiet))),
            **settings,
        )
        self.history = History(self.table, self.config.retention)
        ids = itertools.count(1)
        self.router = Dependencies(
            config=self.config,
            plugins=no_plugins(),
            runtime=Runtime(
                history=self.history,
                clock=lambda: self.now,
                jitter=lambda: 0.0,
                pause=lambda _: None,
                timing=Timing(self.config.resolve_after),
                silences=Silences(self.history.silences, self.config.maintenance),
            ),
            queues=Queues(self.sqs, "due", "dead-letters"),
            deliver=serially,
            new_id=lambda: f"invocation-{next(ids)}",
            memory=OutageMemory(),
        )

    def deadline(self, seconds: float = 60.0) -> Deadline:
        """Of an invocation that begins now."""
        return Deadline.after(seconds, lambda: self.now)

    def keep_in(self, history: History, **runtime: Any) -> None:
        """The router uses this history from now on."""
        self.history = history
        self.router = self.router._replace(runtime=self.router.runtime._replace(history=history, **runtime))

    def make_channels(self) -> dict[str, Recorder]:
        return {name: Recorder(name, stateful=name == "pager") for name in ("slack", "email", "pager")}

    @property
    def slack(self) -> Recorder:
        return self.channels["slack"]

    @property
    def email(self) -> Recorder:
        return self.channels["email"]

    @property
    def pager(self) -> Recorder:
        return self.channels["pager"]

    def receive(self, *events: object) -> list[EventResult]:
        """One invocation with a batch of events."""
        return process(events, self.router, self.deadline())

    def decisions(self, *events: object) -> list[str | None]:
        return [results.decision for results in self.receive(*events)]

    def tick(self) -> list[Delivery]:
        return process_due(self.history.due(self.now), self.router, self.deadline(), all_due=True)

    def silence(self, until: float, *, id_: str = "s1", reason: str = "deploying", **match: str) -> Silence:
        """Adds a silence that starts now; the router reads it within a minute."""
        globs = {fact: (glob,) for fact, glob in match.items()}
        silence = Silence(id_, globs, reason, "ann", self.now, self.now, until, until)
        self.history.put_silence(silence, self.now)
        return silence

    def wait(self, seconds: float, step: float = MINUTE) -> None:
        """Lets time pass, with a tick every minute."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + step, end)
            self.tick()

    def rows(self, prefix: str) -> list[Item]:
        """The items whose partition key has this prefix, e.g. `alert#`."""
        return self.table.rows(prefix)

    def ledger(self, channel: str) -> list[Item]:
        """Every recorded delivery attempt on a channel, of all incidents."""
        noted = (item for item in self.rows("subject#") if is_delivery_key((item["pk"], item["sk"])))
        return [delivery for item in noted for delivery in each_delivery(item) if delivery["channel"] == channel]
