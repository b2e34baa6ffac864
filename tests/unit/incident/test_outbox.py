"""When each channel is notified of an incident: dedup windows, digests, retries and permanent failures."""

from itertools import pairwise

import pytest

from local_aws.events import hook
from router.errors import PermanentError, TransientError
from router.history.items import iso
from router.model import Decision, Kind, Reason
from tests.doubles.service_events import crash, steady
from tests.doubles.world import DAY, HOUR, MINUTE, START, World

OPENED, UPDATED, RESOLVED = Kind.OPENED, Kind.UPDATED, Kind.RESOLVED


@pytest.fixture
def world() -> World:
    return World()


class TestWindows:
    def test_alerts_in_the_window_are_held_back_for_one_digest_at_its_end(self, world: World) -> None:
        world.receive(crash("t1", START))
        for number in range(2, 7):
            world.wait(MINUTE)
            assert world.decisions(crash(f"t{number}", world.now)) == [Decision.HELD_BACK]
        assert world.slack.kinds == [OPENED]
        world.wait(15 * MINUTE)
        assert world.slack.kinds == [OPENED, UPDATED]
        assert "5 more alerts" in world.slack.told[1].message.text
        assert world.slack.told[1].incident.count == 6

    def test_a_window_without_held_back_alerts_ends_without_a_message(self, world: World) -> None:
        world.receive(crash("t1", START))
        world.wait(2 * HOUR)
        assert world.slack.kinds == [OPENED]

    def test_windows_do_not_slide_and_grow_from_15_minutes_to_1_hour_4_hours_and_a_day(self, world: World) -> None:
        told_at = []
        for number in range(2 * 24 * 6):
            before = len(world.slack.told)
            world.receive(crash(f"t{number}", world.now))
            world.wait(10 * MINUTE, step=10 * MINUTE)
            if len(world.slack.told) > before:
                told_at.append(world.now - START)
        gaps = [later - earlier for earlier, later in pairwise(told_at)]
        assert gaps == pytest.approx([15 * MINUTE, HOUR, 4 * HOUR, DAY], abs=11 * MINUTE)


def test_what_somebody_has_to_decide_and_came_while_a_message_was_sent_is_no_digest() -> None:
    """The entry stays immediate until a message that tells of it has been sent."""
    world = World()
    questions = [
        hook(hookId=name, updatedAt=iso(START), expiresAt=iso(START + DAY)) | {"id": name} for name in ("one", "two")
    ]

    def another_comes() -> None:
        world.slack.failure = lambda: None
        world.receive(questions[1])

    world.slack.failure = another_comes
    world.receive(questions[0])
    world.wait(2 * MINUTE)
    assert [told.reason for told in world.slack.told] == [Reason.FIRST, Reason.WORSE]


class TestFailingChannels:
    def test_a_failed_channel_does_not_affect_others_and_gets_the_current_state_once_it_recovers(
        self, world: World
    ) -> None:
        world.slack.failure = lambda: TransientError("503")
        world.receive(crash("t1", START))
        assert world.email.kinds == world.pager.kinds == [OPENED]
        world.wait(10 * MINUTE)
        assert world.email.kinds == [OPENED]
        for number in range(2, 5):
            world.receive(crash(f"t{number}", world.now))
        world.slack.failure = lambda: None
        world.wait(20 * MINUTE)
        assert world.slack.kinds[0] is OPENED
        assert world.slack.told[0].incident.count == 4

    def test_retries_follow_the_schedule_and_honour_retry_after(self, world: World) -> None:
        world.slack.failure = lambda: TransientError("503")
        world.receive(crash("t1", START))
        tried_at = []
        for _ in range(60):
            before = world.slack.tried
            world.wait(30, step=30)
            if world.slack.tried > before:
                tried_at.append(world.now - START)
        assert tried_at[:5] == pytest.approx([30, 90, 210, 510, 1410], abs=31)
        world.slack.failure = lambda: TransientError("429", retry_after=3 * HOUR)
        world.wait(16 * MINUTE)
        before = world.slack.tried
        world.wait(3 * HOUR - 20 * MINUTE)
        assert world.slack.tried == before

    def test_after_24_hours_of_retries_the_delivery_has_failed(self, world: World) -> None:
        world.slack.failure = lambda: TransientError("503")
        world.receive(crash("t1", START))
        world.wait(25 * HOUR)
        outcomes = [each["outcome"] for each in world.ledger("slack")]
        assert outcomes[-1] == "failed"
        tried = world.slack.tried
        world.wait(HOUR)
        assert world.slack.tried == tried

    def test_a_permanent_error_is_not_retried_and_the_next_alert_tries_again(self, world: World) -> None:
        world.slack.failure = lambda: PermanentError("404")
        world.receive(crash("t1", START))
        world.wait(HOUR)
        assert world.slack.tried == 1
        world.slack.failure = lambda: None
        world.receive(crash("t2", world.now))
        assert world.slack.kinds == [OPENED]

    def test_a_chat_that_missed_an_incident_gets_one_message_and_a_stateful_channel_gets_none(
        self, world: World
    ) -> None:
        world.slack.failure = world.pager.failure = lambda: TransientError("503", status=503)
        world.receive(crash("t1", START))
        world.wait(2 * MINUTE)
        world.receive(steady(world.now))
        world.wait(10 * MINUTE)
        world.slack.failure = world.pager.failure = lambda: None
        world.wait(30 * MINUTE)
        assert world.slack.kinds == [RESOLVED]
        assert "before this channel could be notified" in world.slack.told[0].message.text
        assert world.pager.kinds == []


def test_a_channel_that_missed_a_return_hears_that_it_opened_and_is_over_not_the_same_end_twice() -> None:
    world = World()
    world.receive(crash("t1", START), steady(START + 1))
    world.wait(10 * MINUTE)
    world.slack.failure = lambda: TransientError("429")
    world.receive(crash("t2", world.now), steady(world.now + 1))
    world.wait(2 * HOUR)
    world.slack.failure = lambda: None
    world.wait(HOUR)
    assert world.slack.kinds == [OPENED, RESOLVED, RESOLVED]
    assert world.email.kinds == [OPENED, RESOLVED, OPENED, RESOLVED]
    missed, heard = world.slack.told[-1].message.text, world.email.told[-1].message.text
    assert missed != heard
    assert "before this channel could be notified" in missed
