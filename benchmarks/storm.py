"""Measures a storm: 50 services in a crash loop and 500 others with problems, all at once.

`python -m benchmarks.storm` sends 10,000 events through the stack, deployed to a local AWS, as fast as possible.
`--simulated 1000000` sends that many to the same code in memory, within an hour of virtual time, and counts the calls
to DynamoDB. `--json` prints the figures as JSON. The exit code is 1 if a promise is broken.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from benchmarks.events import batched
from benchmarks.storm_events import CRASH_LOOPING, OTHERS, at, storm
from local_aws.deploy import Stack, deploy
from local_aws.events import Raw
from local_aws.mailbox import Mailbox
from local_aws.pagerduty import PagerDutyDouble
from local_aws.server import LocalAws, running
from local_aws.slack import SlackDouble
from local_aws.stories import put_together
from local_aws.teams import TeamsDouble
from plugins.pagerduty import PagerDuty
from plugins.slack import Slack
from plugins.sns import Sns
from plugins.teams import Teams
from router.aws.queues import TICK
from router.config.silences import Silences
from router.errors import HistoryUnavailable
from router.history.items import each_delivery, is_delivery_key, is_row_key, to_state
from router.history.table import Item, Key, Page, Put, Query, plain_item, put_alone
from router.inbox import handle
from router.model import OWN_SOURCE, Kind, Notification
from tests.doubles.deployed import settings
from tests.doubles.world import START, Recorder, World

BUDGETS = {"slack": Slack.budget, "teams": Teams.budget, "email": Sns.budget, "pagerduty": PagerDuty.budget}
_HOUR = 3600.0
_DRAIN = 900.0  # seconds after the last event in which everything must be sent
_SENDERS = 4
_GATHERING = re.compile(r"\b[0-9]+ incidents\b")
_TOLERANCE = 1.25  # of the period: a send happens a moment after it is granted


@dataclass(frozen=True, slots=True)
class Figures:
    """The result of a storm.

    Attributes:
        messages, gathering: per channel, all messages, and those about several incidents.
        busiest: per channel, the most messages within the period of its budget.
        named: subjects that some message of the channel names. calls: to DynamoDB, by kind; 0 where not counted.
    """

    events: int
    seconds: float
    rows: int
    incidents: int
    buried: int
    decisions: dict[str, int]
    messages: dict[str, int]
    gathering: dict[str, int]
    busiest: dict[str, int]
    named: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> Iterator[str]:
        for channel, most in self.busiest.items():
            limit, period = BUDGETS[channel]
            if most > limit:
                yield f"{channel}: {most} messages within {period:g} s, its budget is {limit}"
        if self.rows + self.buried < self.events:
            yield f"{self.events - self.rows - self.buried} events are nowhere"
        for channel, count in self.named.items():
            if count < self.incidents:
                yield f"{channel}: only {count} of {self.incidents} incidents were announced"


def busiest(times: Sequence[float], period: float) -> int:
    """The highest number of times within any `period` seconds."""
    ordered, most, first = sorted(times), 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= period / _TOLERANCE:
            first += 1
        most = max(most, last - first + 1)
    return most


# --- deployed ---------------------------------------------------------------------------------------------------------


def deployed(count: int, progress: Console) -> Figures:
    with SlackDouble() as slack, TeamsDouble() as teams, PagerDutyDouble() as pagerduty, running() as aws:
        environment = settings(slack, teams, pagerduty)
        progress.print("deploying the stack to a local AWS")
        stack = deploy(aws, environment=environment)
        mailbox = Mailbox(aws, stack.alerts_topic_arn)
        began = time.time()
        _send(list(storm(count, 0.0)), aws, progress)
        _until_drained(aws, stack, progress)
        taken = time.time() - began
        said = {
            "slack": [(message.at, str(message.payload["text"])) for message in slack.received],
            "teams": [(message.at, json.dumps(message.payload)) for message in teams.received],
            "email": [(mail.at, mail.subject) for mail in mailbox.mails],
            "pagerduty": [(message.at, "") for message in pagerduty.received],
        }
        return _of_table(count, taken, aws, stack, said)


def _send(events: Sequence[tuple[float, Raw]], aws: LocalAws, progress: Console) -> None:
    def put(lot: Sequence[tuple[float, Raw]]) -> None:
        put_together([at(raw, happened) for happened, raw in lot], client)

    client = aws.client("events")
    # Each in a millisecond of its own: two steady states of one service in the same one would be one occurrence.
    first = time.time() - len(events) / 1000
    lots = list(batched((first + number / 1000, raw) for number, (_, raw) in enumerate(events)))
    with ThreadPoolExecutor(_SENDERS) as pool:
        sent = pool.map(put, lots)
        for _ in track(sent, "sending", total=len(lots), console=progress, disable=not progress.is_terminal):
            pass


def _until_drained(aws: LocalAws, stack: Stack, progress: Console) -> None:
    """Waits until the queues are empty and nothing is due within the next minutes."""
    sqs, dynamodb = aws.client("sqs"), aws.client("dynamodb")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    ends = time.monotonic() + _DRAIN
    with Progress(console=progress, disable=not progress.is_terminal) as bar:
        task = bar.add_task("waiting", total=None)
        while time.monotonic() < ends:
            counts = sqs.get_queue_attributes(QueueUrl=stack.events_queue_url, AttributeNames=names)["Attributes"]
            left = sum(int(counts[name]) for name in names)
            waiting = left or _waiting(dynamodb, stack.table_name)
            bar.update(task, description=f"{left} events, {waiting} incidents to be told")
            if not waiting:
                return
            time.sleep(2)


def _waiting(dynamodb: Any, table: str) -> int:
    """Incidents with an outbox entry that waits for its turn or is being sent."""
    states = (to_state(plain_item(item)) for item in _scan(dynamodb, table) if "state" in item)
    return sum(any(entry.is_behind for entry in state.outbox.values()) for state in states)


def _scan(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def _of_table(
    count: int, taken: float, aws: LocalAws, stack: Stack, said: Mapping[str, list[tuple[float, str]]]
) -> Figures:
    items = list(_scan(aws.client("dynamodb"), stack.table_name))
    rows = [item for item in items if item["pk"]["S"].startswith("alert#")]
    named: dict[str, set[str]] = {name: set() for name in said if name != "pagerduty"}
    ledger = (item for item in map(plain_item, items) if is_delivery_key((item["pk"], item["sk"])))
    for delivery in (attempt for item in ledger for attempt in each_delivery(item)):
        if delivery["outcome"] == "sent" and delivery["channel"] in named:
            named[delivery["channel"]].add(delivery["incident"])
    dead = aws.client("sqs").get_queue_attributes(
        QueueUrl=stack.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return Figures(
        events=count,
        seconds=taken,
        rows=len(rows),
        incidents=sum("number" in item for item in items),
        buried=int(dead["Attributes"]["ApproximateNumberOfMessages"]),
        decisions=dict(Counter(row["decision"]["S"] for row in rows)),
        messages={name: len(messages) for name, messages in said.items()},
        gathering={name: sum(bool(_GATHERING.search(text)) for _, text in messages) for name, messages in said.items()},
        busiest={name: busiest([at for at, _ in messages], BUDGETS[name][1]) for name, messages in said.items()},
        named={name: len(services) for name, services in named.items()},
    )


# --- simulated --------------------------------------------------------------------------------------------------------


class CountingTable:
    """A fast table in memory that counts its calls.

    Of alert rows it stores only the keys, of deliveries nothing, and its only index is `due`.
    """

    def __init__(self) -> None:
        self._stored: dict[Key, Item] = {}
        self._rows: set[Key] = set()
        self._due: dict[str, dict[Key, Item]] = {}
        self.calls: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        del now
        self.calls["reads"] += 1
        return {key: self._stored[key] for key in keys if key in self._stored}

    def commit(self, puts: Sequence[Put], now: float) -> None:
        del now
        self.calls["writes"] += 1
        self.calls["items written"] += len(puts)
        for put in puts:
            stored = self._stored.get(put.key)
            assert put.version is None or (stored["version"] if stored else 0) == put.version, put.key
            if is_row_key(put.key):
                assert put.key not in self._rows, "the storm has no event twice"
                self._rows.add(put.key)
                self.decisions[put.item["decision"]] += 1
            elif not is_delivery_key(put.key):
                self._store(put.key, put.item)

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        return put_alone(self.commit, puts, now)

    def _store(self, key: Key, item: Item) -> None:
        before = self._stored.get(key, {})
        self._due.get(before.get("due_shard", ""), {}).pop(key, None)
        if "due_shard" in item:
            self._due.setdefault(item["due_shard"], {})[key] = item
        self._stored[key] = item

    def query(self, query: Query, now: float) -> Page:
        self.calls["queries"] += 1
        if query.index_name != "due":  # there are no silences and no earlier incidents
            return Page(())
        assert query.between
        found = self._due.get(query.partition, {}).values()
        due = [item for item in found if item["due_at"] <= query.between[1]]
        return query.page(sorted(due, key=lambda item: item["due_at"]), now)

    def rows(self) -> list[Item]:
        return list(self._stored.values())


class Timed(Recorder):
    """A channel that records the times and subjects of its messages."""

    def __init__(self, name: str, world: "Storm", *, stateful: bool) -> None:
        super().__init__(name, stateful=stateful)
        self.budget = BUDGETS[name]
        self.world = world
        self.times: list[float] = []
        self.gatherings = 0
        self.subjects: set[str] = set()

    def send(self, payload: dict[str, Any]) -> None:
        notification: Notification = payload["notification"]
        self.times.append(self.world.now)
        self.gatherings += bool(notification.bundled)
        if notification.kind is not Kind.RESOLVED:
            incidents = notification.bundled or (notification.incident,)
            self.subjects.update(incident.subject.text for incident in incidents)


class Storm(World):
    """A world with the four channels and their real budgets."""

    def make_channels(self) -> dict[str, Recorder]:
        return {name: Timed(name, self, stateful=name == "pagerduty") for name in BUDGETS}


def simulated(count: int, progress: Console) -> Figures:
    world = Storm()
    table = CountingTable()
    history = world.history._replace(table=table)
    world.keep_in(history, silences=Silences(history.silences))
    began, tick = time.monotonic(), START
    batches = batched(storm(count, _HOUR))
    total = (count + 9) // 10
    for batch in track(batches, "storm", total=total, console=progress, disable=not progress.is_terminal):
        tick = _pass(world, START + batch[-1][0], tick)
        world.receive(*(at(raw, START + after) for after, raw in batch))
    _pass(world, world.now + _DRAIN, tick)
    channels = {name: channel for name, channel in world.channels.items() if isinstance(channel, Timed)}
    return Figures(
        events=count,
        seconds=time.monotonic() - began,
        rows=sum(table.decisions.values()),
        incidents=sum("number" in item for item in table.rows()),
        buried=len(world.sqs.on("dead-letters")),
        decisions=dict(table.decisions),
        messages={name: len(channel.times) for name, channel in channels.items()},
        gathering={name: channel.gatherings for name, channel in channels.items() if channel.gatherings},
        busiest={name: busiest(channel.times, BUDGETS[name][1]) for name, channel in channels.items()},
        named={name: len(channel.subjects) for name, channel in channels.items() if name != "pagerduty"},
        calls=dict(table.calls),
    )


def _pass(world: World, until: float, tick: float) -> float:
    """Advances the time to `until`, with a tick every minute and at each scheduled time; returns the last tick."""
    while True:
        asked = [due for due in _asked_for(world) if due > world.now]
        following = min([tick + 60.0, *asked])
        if following > until:
            world.now = until
            return tick
        world.now = following
        tick = following if following == tick + 60.0 else tick
        handle({"source": OWN_SOURCE, "detail-type": TICK, "detail": {}}, world.router, world.deadline(), 5)


def _asked_for(world: World) -> list[float]:
    """The times when messages on the due queue arrive; removes those that have arrived."""
    for message in world.sqs.sent:
        message.setdefault("comes", world.now + message.get("DelaySeconds", 0))
    world.sqs.sent = [message for message in world.sqs.sent if message["comes"] > world.now]
    return [message["comes"] for message in world.sqs.sent if message["QueueUrl"] == "due"]


# --- shown ------------------------------------------------------------------------------------------------------------


def show(figures: Figures, console: Console) -> None:
    title = f"{figures.events:,} events, {CRASH_LOOPING} services in a crash loop, {OTHERS} others in trouble"
    table = Table(title=title)
    for heading in ("channel", "rate limit", "messages", "of them bundled", "most in one period", "incidents named"):
        table.add_column(heading, justify="left" if heading == "channel" else "right")
    for name, (limit, period) in BUDGETS.items():
        named = figures.named.get(name, figures.incidents)
        entries = (figures.messages[name], figures.gathering.get(name, 0), figures.busiest[name], named)
        table.add_row(name, f"{limit} in {period:g} s", *(f"{entry:,}" for entry in entries))
    console.print(table)
    decided = ", ".join(f"{number:,} {decision}" for decision, number in sorted(figures.decisions.items()))
    console.print(f"{figures.rows:,} rows in history ({decided}), {figures.buried} on the dead-letter queue")
    console.print(f"{figures.incidents:,} incidents, {figures.seconds:,.0f} s")
    if figures.calls:
        calls = sum(figures.calls[name] for name in ("reads", "writes", "queries"))
        console.print(f"DynamoDB: {calls / figures.events:.2f} calls per event {figures.calls}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000, help="to send through the deployed stack")
    parser.add_argument(
        "--simulated",
        type=int,
        metavar="EVENTS",
        help="simulate an hour with that many events",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--out", type=Path, help="write the figures to a file as well")
    options = parser.parse_args()
    progress = Console(stderr=True)
    figures = simulated(options.simulated, progress) if options.simulated else deployed(options.events, progress)
    problems = list(figures.problems)
    text = json.dumps({**asdict(figures), "problems": problems}, indent=2)
    if options.out:
        options.out.write_text(text + "\n", "utf-8")
    if options.json:
        print(text)
    else:
        show(figures, Console())
    for problem in problems:
        print(f"broken: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
