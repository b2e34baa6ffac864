"""The weekly heartbeat: what it proves, what it contains, and that it is sent once."""

from collections.abc import Sequence
from typing import Any

import pytest

from local_aws import events
from router.errors import TransientError
from router.inbox import handle
from router.model import ChannelConfig, Notification, Severity
from router.selfcheck.heartbeat import WEEK, last_week, unconfirmed
from tests.doubles.inbox import record, without_history
from tests.doubles.world import DAY, World

NOW = "2025-10-09T08:53:20Z"  # START
BEAT = {
    "source": "ecs-alert-router",
    "detail-type": "Router Heartbeat",
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "time": "2026-11-23T09:00:00Z",
    "account": "111122223333",
    "region": "eu-west-1",
    "detail": {},
}


def receive(world: World, *beats: dict[str, Any]) -> list[str]:
    """The ids of the messages that are given back."""
    records = [record(f"m{number}", beat) for number, beat in enumerate(beats)]
    answer = handle({"Records": records}, world.router, world.deadline(), 5)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def facts(notification: Notification) -> dict[str, str]:
    return dict(notification.message.facts)


def waiting(world: World, addresses: Sequence[str]) -> World:
    world.router = world.router._replace(unconfirmed_subscriptions=lambda: addresses)
    return world


def test_it_is_sent_to_every_channel_except_the_pager() -> None:
    world = World()
    assert receive(world, BEAT) == []
    assert [len(channel.told) for channel in (world.slack, world.email, world.pager)] == [1, 1, 0]
    assert world.slack.told[0].alert.severity is Severity.INFO


def test_it_summarises_the_week() -> None:
    world = World()
    for number in range(3):
        world.receive(events.task_stopped(task=f"{number:032x}", stoppedAt=NOW))
    receive(world, BEAT)
    assert facts(world.slack.told[-1]) == {
        "Alerts in 7 days": "3",
        "Announced": "1",
        "Held back": "2",
        "Deliveries failed": "0",
        "Incidents open now": "1",
    }


def test_alerts_older_than_a_week_are_not_counted() -> None:
    world = World()
    world.receive(events.task_stopped(stoppedAt=NOW))
    assert last_week(world.history, world.now).total == "1"
    assert last_week(world.history, world.now + WEEK + DAY).total == "0"


def test_permanently_failed_deliveries_are_counted_and_mentioned() -> None:
    world = World()
    world.slack.failure = lambda: RuntimeError("a bug")
    world.receive(events.task_stopped())
    world.slack.failure = lambda: None
    receive(world, BEAT)
    assert facts(world.email.told[-1])["Deliveries failed"] == "1"
    assert "could not be delivered" in world.email.told[-1].message.text


def test_each_heartbeat_is_sent_once() -> None:
    world = World()
    receive(world, BEAT, BEAT)
    receive(world, BEAT)
    assert len(world.slack.told) == 1
    receive(world, BEAT | {"id": "the-next"})
    assert len(world.slack.told) == 2


def test_a_failing_channel_is_not_retried_and_affects_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.slack.failure = lambda: TransientError("down")
    assert receive(world, BEAT) == []
    assert (world.slack.tried, len(world.email.told)) == (1, 1)
    assert "channel slack did not take the heartbeat" in caplog.text


def test_without_history_it_is_received_again_and_nothing_is_sent() -> None:
    world = without_history(World())
    assert receive(world, BEAT) == ["m0"]
    assert world.slack.told == []


def test_it_names_unconfirmed_addresses() -> None:
    world = waiting(World(), ["late@example.com"])
    receive(world, BEAT)
    text = world.slack.told[0].message.text
    assert "These addresses have not confirmed and receive nothing: late@example.com." in text


def test_without_permission_to_list_subscriptions_it_is_still_sent_and_says_so() -> None:
    def refused() -> Sequence[str]:
        raise PermissionError

    world = World()
    world.router = world.router._replace(unconfirmed_subscriptions=refused)
    receive(world, BEAT)
    assert "Could not check whether" in world.slack.told[0].message.text


def test_each_channel_gets_it_in_its_language() -> None:
    world = World()
    world.config.channels["slack"].config = ChannelConfig("slack", "recorder", {}, language="ja")
    receive(world, BEAT)
    assert world.slack.told[0].message.title.startswith("週次ハートビート")


def test_a_bare_heartbeat_works_too() -> None:
    """This is how `serverless invoke` sends it."""
    assert handle(BEAT, (world := World()).router, world.deadline(), 5) == {"deliveries": 2}


class Sns:
    """SNS's subscriptions of two topics, in pages."""

    def get_paginator(self, operation: str) -> "Sns":
        assert operation == "list_subscriptions_by_topic"
        return self

    def paginate(self, *, TopicArn: str) -> list[dict[str, Any]]:  # noqa: N803 - AWS's name
        mine = [("email", "late@example.com", "PendingConfirmation"), ("email", "there@example.com", f"{TopicArn}:1")]
        other = [("sqs", "arn:aws:sqs:eu-west-1:1:q", "PendingConfirmation")]
        return [
            {"Subscriptions": [{"Protocol": p, "Endpoint": e, "SubscriptionArn": a} for p, e, a in page]}
            for page in (mine, other)
        ]


def test_only_unconfirmed_addresses_are_named_and_each_once() -> None:
    assert unconfirmed(Sns(), ["arn:aws:sns:eu-west-1:1:alerts", "arn:aws:sns:eu-west-1:1:operators"]) == [
        "late@example.com"
    ]
