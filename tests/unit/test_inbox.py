"""The three kinds of input that the function accepts, and what returns to the queue when something fails."""

import json
from typing import Any

import pytest

from local_aws import events
from router.aws.queues import WITHOUT_HISTORY
from router.errors import TransientError
from router.history.items import is_row_key
from router.history.store import History
from router.model import Kind
from tests.doubles.alerts import alert_of
from tests.doubles.inbox import (
    MAX_RECEIVES,
    TASKS,
    TICK,
    Contention,
    bare,
    buried,
    died,
    failing_slack,
    receive,
    record,
    without_history,
    without_queues,
)
from tests.doubles.world import MINUTE, World

# --- (a) a batch ------------------------------------------------------------------------------------------------------


def test_each_record_of_a_batch_is_processed_separately() -> None:
    """Good, junk, another's and a duplicate: each of them ends in history or on the dead-letter queue."""
    world = World()
    foreign = {**died(), "source": "aws.ec2"}
    batch = [record("a", died()), record("b", "junk"), record("c", foreign), record("d", died())]
    assert receive(world, *batch, record("e", died(TASKS[1], service="api"))) == []
    assert sorted(row["subject"] for row in world.rows("alert#")) == ["service:api", "service:web"]
    assert [told.incident.subject.text for told in world.slack.told] == ["service:web", "service:api"]
    assert {body for body, _ in buried(world)} == {"junk", json.dumps(foreign)}


def test_only_records_whose_state_could_not_be_written_are_returned() -> None:
    world = without_history(World(), lambda puts: any(put.item.get("subject") == "service:api" for put in puts))
    assert receive(world, record("a", died()), record("b", died(TASKS[1], service="api")), record("c", "junk")) == ["b"]
    assert [told.incident.subject.text for told in world.slack.told] == ["service:web"]


def test_all_records_are_returned_when_history_cannot_be_read() -> None:
    world = without_history(World())
    assert receive(world, record("a", died()), record("b", died(TASKS[1], service="api"))) == ["a", "b"]
    assert world.slack.told == []
    assert world.sqs.sent == []


def test_a_returned_record_is_announced_when_history_recovers() -> None:
    world = World()
    with_history = world.router
    assert receive(without_history(world), record("a", died())) == ["a"]
    world.router = with_history
    assert receive(world, record("a", died(), receives=2)) == []
    assert world.slack.kinds == [Kind.OPENED]


def test_a_failing_channel_returns_no_record() -> None:
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
def test_an_unreadable_body_is_dead_lettered_unchanged_with_the_reason(body: str, reason: str) -> None:
    world = World()
    assert receive(world, record("a", body)) == []
    ((kept, attributes),) = buried(world)
    assert kept == (body or "-")
    assert attributes.keys() == {"reason"}
    assert reason in attributes["reason"]


def test_a_record_that_cannot_be_dead_lettered_is_returned_alone() -> None:
    world = without_queues(World())
    assert sorted(receive(world, record("a", "junk"), record("b", died()), record("c", "[]"))) == ["a", "c"]
    assert world.slack.kinds == [Kind.OPENED]


# --- other writers are faster -----------------------------------------------------------------------------------------


def hot_and_cold() -> World:
    """Somebody else changes the service `hot` before each commit."""
    world = World()
    world.keep_in(History(Contention(alert_of(died(service="hot")).subject), world.config.retention))
    return world


def test_a_contended_record_is_received_again_within_seconds_and_its_neighbours_are_unharmed() -> None:
    world = hot_and_cold()
    assert receive(world, record("a", died(service="hot")), record("b", died(service="cold"))) == ["a"]
    assert [told.incident.subject.name for told in world.slack.told] == ["cold"]
    (given_back,) = world.sqs.given_back
    assert given_back["ReceiptHandle"] == "handle of a"
    assert 5 <= given_back["VisibilityTimeout"] <= 30


def test_contention_on_the_last_receive_is_no_outage() -> None:
    """Nothing is announced without history, and SQS does not move the record to the dead-letter queue."""
    world = hot_and_cold()
    hot = record("a", died(service="hot"), receives=MAX_RECEIVES)
    assert receive(world, hot) == []
    assert world.slack.told == []
    (copy,) = world.sqs.sent
    assert (copy["QueueUrl"].rpartition("/")[2], copy["MessageBody"]) == ("events", hot["body"])
    assert 5 <= copy["DelaySeconds"] <= 30


def test_a_contended_record_that_cannot_be_given_back_waits_for_the_visibility_timeout() -> None:
    world = without_queues(hot_and_cold())
    for receives in (1, MAX_RECEIVES):
        assert receive(world, record("a", died(service="hot"), receives=receives)) == ["a"]


def test_an_alert_whose_row_alone_is_missing_is_not_announced_again_without_history() -> None:
    """The state counts it, and its lease was used: only its row is left to redrive."""
    world = without_history(World(), lambda puts: is_row_key(puts[0].key))
    assert receive(world, record("a", died(), receives=1)) == ["a"]
    assert receive(world, record("a", died(), receives=MAX_RECEIVES)) == []
    assert world.slack.kinds == [Kind.OPENED]
    (copy,) = world.sqs.on("dead-letters")
    assert copy["MessageAttributes"]["reason"]["StringValue"] == WITHOUT_HISTORY


# --- (b) a bare event -------------------------------------------------------------------------------------------------


def said(channel: str, outcome: str = "sent") -> dict[str, Any]:
    return {"channel": channel, "kind": "opened", "outcome": outcome, "attempt": 1}


def test_a_bare_event_is_answered_with_its_decision_and_deliveries() -> None:
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
def test_a_bare_event_without_a_notification_is_answered_with_its_decision(
    before: list[events.Raw], event: events.Raw, severity: str, cause: str, decision: str
) -> None:
    """One that was there before has the decision that stands in history."""
    world = World()
    world.receive(*before)
    assert bare(world, event) == {"severity": severity, "cause": cause, "decision": decision, "deliveries": []}


def test_a_retry_for_a_bare_event_puts_a_hint_on_the_due_queue() -> None:
    world = World()
    world.slack.failure = lambda: TransientError("busy")
    assert bare(world, died())["deliveries"] == [said("slack", "retry"), said("email"), said("pager")]
    (hint,) = world.sqs.on("due")
    assert hint["DelaySeconds"] == 30


@pytest.mark.parametrize("junk", [None, [], "text", {}, {"source": "aws.ec2", "detail-type": "x", "detail": {}}])
def test_an_unreadable_bare_event_is_dead_lettered_and_answered_with_the_reason(junk: object) -> None:
    world = World()
    answer = bare(world, junk)
    reason = answer.pop("reason")
    assert answer == {"severity": None, "cause": None, "decision": "unreadable", "deliveries": []}
    assert buried(world) == [(json.dumps(junk), {"reason": reason})]


def test_a_bare_event_that_could_not_be_written_is_requeued_on_the_due_queue() -> None:
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
def test_a_bare_event_raises_only_if_neither_history_nor_a_queue_accepts_it(event: events.Raw) -> None:
    with pytest.raises(ConnectionError):
        bare(without_queues(without_history(World())), event)


# --- hints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail_type", ["Router Tick", "Router Due"])
def test_a_hint_or_tick_is_never_returned_to_the_queue(detail_type: str) -> None:
    """They only save waiting: the next tick finds what is due."""
    world = without_history(World())
    message = {**TICK, "detail-type": detail_type, "detail": {"pk": "subject#x", "sk": "incident"}}
    assert receive(world, record("a", message), record("b", died())) == ["b"]
    assert world.sqs.sent == []


def test_a_hint_sends_what_is_due_for_one_subject() -> None:
    world = failing_slack(died(), died(TASKS[1], service="api"))
    hint = record("a", world.sqs.on("due")[1]["MessageBody"])
    assert receive(world, hint) == []
    assert world.slack.told == []
    world.now += 30
    assert receive(world, hint) == []
    assert [told.incident.subject.text for told in world.slack.told] == ["service:api"]


def test_a_hint_for_a_row_that_is_not_a_subject_is_dropped() -> None:
    world = World()
    world.receive(died())
    (row,) = world.rows("alert#")
    hint = {"source": "ecs-alert-router", "detail-type": "Router Due", "detail": {"pk": row["pk"], "sk": row["sk"]}}
    assert receive(world, record("a", hint)) == []


@pytest.mark.parametrize(
    "detail", [None, [], {}, {"pk": "subject#x"}, {"pk": "", "sk": ""}, {"pk": "subject#x", "sk": "incident"}]
)
def test_a_hint_without_a_key_is_dropped(detail: object) -> None:
    world = World()
    hint = {"source": "ecs-alert-router", "detail-type": "Router Due", "detail": detail}
    assert receive(world, record("a", hint), record("b", died())) == []
    assert world.slack.kinds == [Kind.OPENED]
