"""A channel that keeps failing is reported on the others (docs/reliability.md)."""

from typing import Any

import pytest

from local_aws.events import Raw, task_stopped
from router.channels.health import REMIND_AFTER, REPORT_AFTER, health_events, record_outcomes
from router.channels.state import ChannelFailure, ChannelStates
from router.errors import PayloadRejected, PermanentError, TransientError
from router.history.items import iso
from router.inbox import handle
from router.incident.state import Delivery, Dispatch
from router.model import Kind, Outcome, Severity
from tests.doubles.world import DAY, HOUR, MINUTE, START, Recorder, World

TICK = {"source": "ecs-alert-router", "detail-type": "Router Tick", "detail": {}}


def came(outcome: Outcome, **of: Any) -> Delivery:
    return Delivery(
        Dispatch("slack", Kind.OPENED, 1, 1, is_first=True, severity=Severity.ERROR, suppressed={}), outcome, **of
    )


# --- what is noted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.FAILED])
def test_the_first_failure_is_recorded_and_later_ones_change_nothing(outcome: Outcome) -> None:
    failing = record_outcomes(ChannelStates(), [came(outcome, response="503")], 100.0)
    assert failing.failures == {"slack": ChannelFailure(100.0, "503", 100.0)}
    assert record_outcomes(failing, [came(outcome, response="500")], 160.0) == failing


def test_a_refused_message_does_not_count_as_a_channel_failure() -> None:
    assert record_outcomes(ChannelStates(), [came(Outcome.FAILED, rejected=True)], 100.0) == ChannelStates()


def test_a_success_clears_a_failure_that_was_not_reported() -> None:
    failing = ChannelStates(failures={"slack": ChannelFailure(100.0)})
    assert record_outcomes(failing, [came(Outcome.SENT)], 160.0) == ChannelStates()


def test_the_later_of_two_attempts_counts() -> None:
    assert record_outcomes(ChannelStates(), [came(Outcome.RETRY), came(Outcome.SENT)], 100.0) == ChannelStates()


def test_a_failure_is_reported_after_15_minutes_and_only_once() -> None:
    failing = ChannelStates(failures={"slack": ChannelFailure(100.0, "503", 100.0)})
    assert health_events(failing, ["slack"], 100.0 + REPORT_AFTER - 1)[0] == []
    (event,), told = health_events(failing, ["slack"], 100.0 + REPORT_AFTER)
    assert event["detail"] == {"channel": "slack", "state": {"value": "FAILING", "reason": "503"}}
    assert health_events(told, ["slack"], 100.0 + DAY)[0] == []


def test_a_channel_that_fails_again_hours_later_is_reported_again() -> None:
    told = ChannelStates(failures={"slack": ChannelFailure(0.0, "503", 0.0, reported_at=900.0)})
    again = record_outcomes(told, [came(Outcome.RETRY)], REMIND_AFTER)
    assert health_events(again, ["slack"], 900.0 + REMIND_AFTER - 1)[0] == []
    assert len(health_events(again, ["slack"], 900.0 + REMIND_AFTER)[0]) == 1


def test_a_recovery_is_reported_if_the_failure_was_and_is_then_cleared() -> None:
    told = ChannelStates(failures={"slack": ChannelFailure(0.0, "503", 0.0, reported_at=900.0)})
    back = record_outcomes(told, [came(Outcome.SENT)], 1000.0)
    (event,), after = health_events(back, ["slack"], 1060.0)
    assert event["detail"]["state"]["value"] == "WORKING"
    assert after == ChannelStates()


def test_a_channel_that_fails_again_before_its_recovery_is_reported_has_not_recovered() -> None:
    back = ChannelStates(failures={"slack": ChannelFailure(0.0, "503", 0.0, reported_at=900.0, recovered_at=1000.0)})
    assert health_events(record_outcomes(back, [came(Outcome.RETRY)], 1010.0), ["slack"], 1060.0)[0] == []


def test_the_state_of_a_channel_that_is_no_longer_configured_is_dropped() -> None:
    told = ChannelStates(failures={"slack": ChannelFailure(0.0, "503", 0.0)})
    assert health_events(told, ["email"], DAY) == ([], ChannelStates())


# --- through the router -----------------------------------------------------------------------------------------------


def died(service: str, at: float) -> Raw:
    return task_stopped(service=service, task=f"{service}-{at}", stoppedAt=iso(at), event_id=f"{service}-{at}")


def wait(world: World, seconds: float) -> None:
    """Lets time pass with a real tick every minute."""
    end = world.now + seconds
    while world.now < end:
        world.now = min(world.now + MINUTE, end)
        handle(TICK, world.router, world.deadline(), 5)


def of_channels(channel: Recorder) -> list[tuple[Kind, str]]:
    told = [(notification.kind, notification.incident.subject.text) for notification in channel.told]
    return [notification for notification in told if notification[1].startswith("channel:")]


def test_the_other_channels_report_a_failure_once_and_the_recovery_once() -> None:
    world = World()
    world.slack.failure = lambda: TransientError("503", status=503)
    world.receive(died("web", START))
    wait(world, 14 * MINUTE)
    assert of_channels(world.email) == []
    wait(world, 2 * MINUTE)
    assert of_channels(world.email) == of_channels(world.pager) == [(Kind.OPENED, "channel:slack")]
    wait(world, HOUR)
    world.slack.failure = lambda: None
    wait(world, HOUR)
    said = [(Kind.OPENED, "channel:slack"), (Kind.RESOLVED, "channel:slack")]
    assert of_channels(world.email) == of_channels(world.pager) == said
    assert of_channels(world.slack) == []


def test_a_recovered_channel_gets_the_current_state_of_each_incident() -> None:
    world = World()
    world.slack.failure = lambda: TransientError("503", status=503)
    for minute in range(30):
        world.receive(died("web", world.now))
        wait(world, MINUTE)
        assert not minute or world.slack.tried
    world.slack.failure = lambda: None
    wait(world, 20 * MINUTE)
    assert [(notification.kind, notification.incident.count) for notification in world.slack.told] == [
        (Kind.OPENED, 30)
    ]


def test_a_revoked_webhook_is_reported_too() -> None:
    world = World()
    world.slack.failure = lambda: PermanentError("404 no_service", status=404)
    world.receive(died("web", START))
    wait(world, 16 * MINUTE)
    assert of_channels(world.email) == [(Kind.OPENED, "channel:slack")]
    (message,) = [
        notification.message
        for notification in world.email.told
        if notification.incident.subject.text == "channel:slack"
    ]
    assert "Alert channel is failing" in message.title
    assert "404 no_service" in message.text


def test_a_single_refused_message_is_not_reported() -> None:
    world = World()
    world.slack.failure = lambda: PayloadRejected("400", status=400)
    world.receive(died("web", START))
    wait(world, HOUR)
    assert of_channels(world.email) == []


def test_a_channel_on_the_failing_endpoint_does_not_report_it() -> None:
    same = {"webhook_url": "https://hooks.example/one"}
    world = World(options={"slack": same, "email": same})
    world.slack.failure = lambda: TransientError("503", status=503)
    world.receive(died("web", START))
    wait(world, 16 * MINUTE)
    assert of_channels(world.email) == []
    assert of_channels(world.pager) == [(Kind.OPENED, "channel:slack")]


def test_the_report_contains_no_secret() -> None:
    world = World(options={"slack": {"webhook_url": "https://hooks.example/T0/B0/secret"}})
    world.slack.failure = lambda: TransientError("no way to https://hooks.example/T0/B0/secret")
    world.receive(died("web", START))
    wait(world, 16 * MINUTE)
    assert of_channels(world.email)
    assert not any("secret" in repr(notification) for notification in world.email.told)
    assert not any("T0/B0" in repr(item) for item in world.rows("channels"))
