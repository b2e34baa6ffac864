"""What comes in, and that nothing of it is lost."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from local_aws import events
from router.cli.replay.memory_table import MemoryTable
from router.config.settings import Route
from router.errors import HistoryUnavailable, TransientError
from router.history.store import History
from router.history.table import Item, Key, Page, Put, Query
from router.inbox import handle
from router.model import Kind, Severity
from tests.doubles.world import MINUTE, START, World

MAX_RECEIVES = 5
TICK = {"source": "ecs-alert-router", "detail-type": "Router Tick", "detail": {}}
TASKS = [f"{number:032x}" for number in range(30)]
NOTE = "History is unavailable: this may repeat, and nothing will say when it is over."


def died(task: str = TASKS[0], service: str = "web") -> events.Raw:
    return events.task_stopped(task=task, service=service)


def record(message_id: str, body: object, *, receives: object = 1) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": message_id, "body": text, "attributes": {"ApproximateReceiveCount": str(receives)}}


def receive(world: World, *records: dict[str, Any], left: float = 60.0) -> list[str]:
    """The ids of the records that come back."""
    answer = handle({"Records": list(records)}, world.router, lambda: left, MAX_RECEIVES)
    assert answer.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def bare(world: World, event: object) -> dict[str, Any]:
    return handle(event, world.router, lambda: 60.0, MAX_RECEIVES)


def buried(world: World) -> list[tuple[str, dict[str, str]]]:
    """Body and attributes of what is on the dead-letter queue."""
    return [
        (message["MessageBody"], {name: each["StringValue"] for name, each in message["MessageAttributes"].items()})
        for message in world.sqs.on("dead-letters")
    ]


class Outage:
    """A table that does not do what it is told not to do."""

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

    def query(self, query: Query, now: float) -> Page:
        if self._refuses is None:
            raise HistoryUnavailable("DynamoDB does not answer")
        return self._table.query(query, now)


def without_history(world: World, refuses: Callable[[Sequence[Put]], bool] | None = None) -> World:
    """History is unreachable from now on; or refuses some commits."""
    history = History(Outage(world.table, refuses), world.config.retention)
    world.router = world.router._replace(runtime=world.router.runtime._replace(history=history))
    return world


class NoQueue:
    def send_message(self, **_: Any) -> None:
        raise ConnectionError("SQS does not answer")


def without_queues(world: World) -> World:
    world.router = world.router._replace(queues=world.router.queues._replace(client=NoQueue()))
    return world


# --- (a) a batch ------------------------------------------------------------------------------------------------------


def test_each_record_of_a_batch_is_taken_for_itself() -> None:
    """Good, junk, another's and a duplicate: each of them ends in history or on the dead-letter queue."""
    world = World()
    foreign = {**died(), "source": "aws.ec2"}
    batch = [record("a", died()), record("b", "junk"), record("c", foreign), record("d", died())]
    assert receive(world, *batch, record("e", died(TASKS[1], service="api"))) == []
    assert sorted(row["subject"] for row in world.rows("alert#")) == ["service:api", "service:web"]
    assert [told.incident.subject.name for told in world.slack.told] == ["service:web", "service:api"]
    assert [body for body, _ in buried(world)] == ["junk", json.dumps(foreign)]


def test_only_records_whose_state_could_not_be_written_come_back() -> None:
    world = without_history(World(), lambda puts: any(put.item.get("subject") == "service:api" for put in puts))
    assert receive(world, record("a", died()), record("b", died(TASKS[1], service="api")), record("c", "junk")) == ["b"]
    assert [told.incident.subject.name for told in world.slack.told] == ["service:web"]


def test_all_records_come_back_when_history_cannot_be_read() -> None:
    world = without_history(World())
    assert receive(world, record("a", died()), record("b", died(TASKS[1], service="api"))) == ["a", "b"]
    assert world.slack.told == []
    assert world.sqs.sent == []


def test_a_record_that_comes_back_is_told_once_history_is_there_again() -> None:
    world = World()
    with_history = world.router
    assert receive(without_history(world), record("a", died())) == ["a"]
    world.router = with_history
    assert receive(world, record("a", died(), receives=2)) == []
    assert world.slack.kinds == [Kind.OPENED]


def test_a_channel_that_fails_makes_no_record_come_back() -> None:
    """Its retry waits in history; the record has done its duty."""
    world = World()
    world.slack.failure = lambda: TransientError("busy")
    assert receive(world, record("a", died())) == []
    world.slack.failure = lambda: None
    world.wait(2 * MINUTE)
    assert (world.slack.kinds, world.email.kinds) == ([Kind.OPENED], [Kind.OPENED])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("junk", "not JSON"),
        ("", "not JSON"),
        ("[]", "not an object"),
        ('{"source": "aws.ec2", "detail-type": "x", "detail": {}}', "unknown source 'aws.ec2'"),
        ('{"source": "aws.ecs", "detail-type": "x", "detail": []}', "detail"),
    ],
)
def test_what_cannot_be_read_is_put_aside_as_it_came_with_the_reason(body: str, reason: str) -> None:
    world = World()
    assert receive(world, record("a", body)) == []
    ((kept, attributes),) = buried(world)
    assert kept == (body or "-")
    assert attributes.keys() == {"reason"}
    assert reason in attributes["reason"]


def test_what_cannot_be_put_aside_comes_back_alone() -> None:
    world = without_queues(World())
    assert receive(world, record("a", "junk"), record("b", died()), record("c", "[]")) == ["a", "c"]
    assert world.slack.kinds == [Kind.OPENED]


# --- the last receive -------------------------------------------------------------------------------------------------


def test_on_its_last_receive_without_history_an_event_is_announced_with_a_note_and_a_copy_is_put_aside() -> None:
    world = without_history(World())
    assert receive(world, record("a", died(), receives=MAX_RECEIVES)) == []
    for channel in world.channels.values():
        assert channel.kinds == [Kind.OPENED]
        assert channel.told[0].message.text.startswith(f"{NOTE}\n")
    assert buried(world) == [
        (json.dumps(died()), {"reason": "history unavailable", "announced": "slack,email,pager"}),
    ]


def test_without_history_the_budgets_of_this_process_hold_and_what_is_too_much_is_gathered() -> None:
    world = without_history(World([Route(Severity.WARNING, channels=("slack", "pager"))]))
    world.slack.budget, world.pager.budget = (1, 1.0), (2, 10.0)
    records = [record(str(each), died(TASKS[each], f"s{each}"), receives=MAX_RECEIVES) for each in range(5)]
    assert receive(world, *records) == []
    (message,) = world.slack.told
    assert len(message.bundled) == 5
    assert message.message.text.startswith(NOTE)
    assert len(world.pager.told) == 2
    announced = Counter(channel for _, notes in buried(world) for channel in notes["announced"].split(","))
    assert announced == {"slack": 5, "pager": 2}


@pytest.mark.parametrize("receives", [1, MAX_RECEIVES - 1, "", "many"])
def test_before_its_last_receive_it_is_tried_again_and_nobody_is_told(receives: object) -> None:
    world = without_history(World())
    assert receive(world, record("a", died(), receives=receives)) == ["a"]
    assert world.slack.told == []
    assert world.sqs.sent == []


def test_without_history_a_process_announces_a_subject_once_per_window() -> None:
    world = without_history(World())
    for number, task in enumerate(TASKS[:3]):
        assert receive(world, record(str(number), died(task), receives=MAX_RECEIVES)) == []
    assert world.slack.kinds == [Kind.OPENED]
    assert [attributes.get("announced") for _, attributes in buried(world)] == ["slack,email,pager", None, None]
    receive(world, record("x", died(TASKS[3], service="api"), receives=MAX_RECEIVES))
    assert len(world.slack.told) == 2
    world.now = START + 15 * MINUTE
    receive(world, record("y", died(TASKS[4]), receives=MAX_RECEIVES))
    assert len(world.slack.told) == 3


def test_without_history_a_channel_that_failed_is_told_by_the_next_event() -> None:
    world = without_history(World())
    world.slack.failure = lambda: TransientError("busy")
    receive(world, record("a", died(), receives=MAX_RECEIVES))
    world.slack.failure = lambda: None
    receive(world, record("b", died(TASKS[1]), receives=MAX_RECEIVES))
    assert (world.slack.kinds, world.email.kinds) == ([Kind.OPENED], [Kind.OPENED])
    assert [attributes["announced"] for _, attributes in buried(world)] == ["email,pager", "slack"]


def test_without_history_what_wakes_nobody_is_only_put_aside() -> None:
    world = without_history(World())
    assert receive(world, record("a", events.service_action(), receives=MAX_RECEIVES)) == []
    assert world.slack.told == []
    assert buried(world) == [(json.dumps(events.service_action()), {"reason": "history unavailable"})]


def test_a_copy_that_cannot_be_put_aside_lets_the_record_come_back() -> None:
    world = without_queues(without_history(World()))
    assert receive(world, record("a", died(), receives=MAX_RECEIVES)) == ["a"]
    assert world.slack.kinds == [Kind.OPENED]


# --- (b) a bare event -------------------------------------------------------------------------------------------------


def said(channel: str, outcome: str = "sent") -> dict[str, Any]:
    return {"channel": channel, "kind": "opened", "outcome": outcome, "attempt": 1}


def test_a_bare_event_is_answered_with_what_came_of_it() -> None:
    world = World()
    assert bare(world, died()) == {
        "severity": "critical",
        "cause": "essential_container_exited",
        "decision": "announced",
        "deliveries": [said("slack"), said("email"), said("pager")],
    }
    assert world.sqs.sent == []


@pytest.mark.parametrize(
    ("before", "event", "severity", "cause", "decision"),
    [
        ([], events.task_event(), "info", "task_running", "below threshold"),
        ([], events.service_action(), "info", "service_steady_state", "resolving"),
        ([died()], died(TASKS[1]), "critical", "essential_container_exited", "held back by window"),
        ([died()], died(), "critical", "essential_container_exited", "announced"),
    ],
)
def test_a_bare_event_that_tells_nobody_says_what_was_decided(
    before: list[events.Raw], event: events.Raw, severity: str, cause: str, decision: str
) -> None:
    """One that was there before has the decision that stands in history."""
    world = World()
    world.receive(*before)
    assert bare(world, event) == {"severity": severity, "cause": cause, "decision": decision, "deliveries": []}


def test_a_bare_event_whose_channel_must_be_tried_again_puts_a_hint_on_the_due_queue() -> None:
    world = World()
    world.slack.failure = lambda: TransientError("busy")
    assert bare(world, died())["deliveries"] == [said("slack", "retry"), said("email"), said("pager")]
    (hint,) = world.sqs.on("due")
    assert hint["DelaySeconds"] == 30


@pytest.mark.parametrize("junk", [None, [], "text", {}, {"source": "aws.ec2", "detail-type": "x", "detail": {}}])
def test_a_bare_event_that_cannot_be_read_is_put_aside_and_answered_with_the_reason(junk: object) -> None:
    world = World()
    answer = bare(world, junk)
    reason = answer.pop("reason")
    assert answer == {"severity": None, "cause": None, "decision": "unreadable", "deliveries": []}
    assert buried(world) == [(json.dumps(junk), {"reason": reason})]


def test_a_bare_event_that_could_not_be_written_comes_again_through_the_due_queue() -> None:
    world = World()
    with_history = world.router
    answer = bare(without_history(world), died())
    assert (answer["decision"], answer["deliveries"]) == ("to be tried again", [])
    (message,) = world.sqs.on("due")
    assert message["DelaySeconds"] == 30
    world.router = with_history
    assert receive(world, record("a", message["MessageBody"])) == []
    assert world.slack.kinds == [Kind.OPENED]


@pytest.mark.parametrize("event", [died(), {"source": "aws.ec2"}])
def test_a_bare_event_raises_only_if_neither_history_nor_a_queue_takes_it(event: events.Raw) -> None:
    with pytest.raises(ConnectionError):
        bare(without_queues(without_history(World())), event)


# --- (c) the tick, and hints ------------------------------------------------------------------------------------------


def failing_slack(*raws: events.Raw) -> World:
    """Slack could not be told; it is due in 30 seconds, and Slack is well again."""
    world = World(routes=[Route(Severity.WARNING, channels=("slack",))])
    world.slack.failure = lambda: TransientError("busy")
    world.receive(*raws)
    world.slack.failure = lambda: None
    return world


def test_the_tick_says_what_is_due_and_how_many_that_were() -> None:
    world = failing_slack(died())
    assert bare(world, TICK) == {"deliveries": 0}
    world.now += 30
    assert bare(world, TICK) == {"deliveries": 1}
    assert world.slack.kinds == [Kind.OPENED]
    assert bare(world, TICK) == {"deliveries": 0}


def test_a_tick_that_comes_through_the_queue_does_the_same() -> None:
    world = failing_slack(died())
    world.now += 30
    assert receive(world, record("a", TICK)) == []
    assert world.slack.kinds == [Kind.OPENED]


def test_without_history_a_bare_tick_fails() -> None:
    """So that the alarm on errors sees it."""
    with pytest.raises(HistoryUnavailable):
        bare(without_history(World()), TICK)


@pytest.mark.parametrize("detail_type", ["Router Tick", "Router Due"])
def test_neither_a_hint_nor_a_tick_needs_to_come_back(detail_type: str) -> None:
    """They only save waiting: the next tick finds what is due."""
    world = without_history(World())
    message = {**TICK, "detail-type": detail_type, "detail": {"pk": "subject#x", "sk": "incident"}}
    assert receive(world, record("a", message), record("b", died())) == ["b"]
    assert world.sqs.sent == []


def test_a_hint_says_what_is_due_of_one_subject() -> None:
    world = failing_slack(died(), died(TASKS[1], service="api"))
    hint = record("a", world.sqs.on("due")[1]["MessageBody"])
    assert receive(world, hint) == []
    assert world.slack.told == []
    world.now += 30
    assert receive(world, hint) == []
    assert [told.incident.subject.name for told in world.slack.told] == ["service:api"]


def test_a_hint_that_names_a_row_which_is_no_subject_is_let_go() -> None:
    world = World()
    world.receive(died())
    (row,) = world.rows("alert#")
    hint = {"source": "ecs-alert-router", "detail-type": "Router Due", "detail": {"pk": row["pk"], "sk": row["sk"]}}
    assert receive(world, record("a", hint)) == []


@pytest.mark.parametrize(
    "detail", [None, [], {}, {"pk": "subject#x"}, {"pk": "", "sk": ""}, {"pk": "subject#x", "sk": "incident"}]
)
def test_a_hint_that_names_nothing_is_let_go(detail: object) -> None:
    world = World()
    hint = {"source": "ecs-alert-router", "detail-type": "Router Due", "detail": detail}
    assert receive(world, record("a", hint), record("b", died())) == []
    assert world.slack.kinds == [Kind.OPENED]


# --- back from the dead-letter queue ----------------------------------------------------------------------------------


def redriven(message_id: str, body: object, announced: str, *, receives: int = 1) -> dict[str, Any]:
    """A record as `redrive` puts it back: announced at the time, without history."""
    notes = {"reason": "history unavailable", "announced": announced}
    attributes = {name: {"stringValue": each, "dataType": "String"} for name, each in notes.items()}
    return {**record(message_id, body, receives=receives), "messageAttributes": attributes}


def test_what_was_announced_without_history_is_written_and_nobody_is_told() -> None:
    world = World()
    assert receive(world, redriven("m1", died(), "slack,email,pager")) == []
    world.wait(2 * MINUTE)
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]
    assert [row["decision"] for row in world.rows("alert#")] == ["announced"]
    (state,) = world.history.load([(world.rows("subject#")[-1]["pk"], "incident")], world.now)
    assert {entry.last_kind_sent for entry in state.outbox.values()} == {Kind.OPENED}


def test_of_two_events_that_one_process_told_as_one_neither_is_told_again() -> None:
    world = World()
    receive(world, redriven("m1", died(TASKS[1]), ""))
    world.now += 1
    receive(world, redriven("m2", died(TASKS[2]), "slack,email,pager"))
    world.wait(20 * MINUTE)
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]
    assert len(world.rows("alert#")) == 2


def test_it_may_come_twice() -> None:
    world = World()
    back = redriven("m1", died(), "slack")
    assert [receive(world, back), receive(world, back)] == [[], []]
    assert len(world.rows("alert#")) == 1
    assert world.slack.tried == 0


def test_it_is_never_announced_again_however_long_history_is_unreachable() -> None:
    world = World()
    without_history(world)
    assert receive(world, redriven("m1", died(), "slack")) == ["m1"]
    assert receive(world, redriven("m1", died(), "slack", receives=MAX_RECEIVES)) == []
    ((_, notes),) = buried(world)
    assert notes == {"reason": "history unavailable", "announced": "slack"}
    assert world.slack.tried == 0
