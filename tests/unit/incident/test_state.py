"""When a subject needs work next, by the data of its state alone."""

from typing import Any

import pytest

from router.incident.state import (
    DEADLINE_GRACE,
    UNCERTAIN_FOR,
    UNSEEN_FOR,
    Condition,
    MutedAlert,
    OutboxEntry,
    SubjectState,
)
from router.model import Kind
from tests.doubles.subject import SUBJECT, WINDOW, Life, a_beginning, an_alert
from tests.doubles.world import DAY, HOUR, START

TOLD = OutboxEntry(
    WINDOW, remind=DAY, wanted_revision=1, sent_revision=1, last_kind_sent=Kind.OPENED, sent_at=START, due_at=None
)
CONDITION = Condition("cloudwatch_alarm", START, START)


class TestOutboxEntry:
    def test_an_entry_is_behind_while_there_is_a_revision_that_its_channel_was_not_told(self) -> None:
        assert OutboxEntry(WINDOW, wanted_revision=2, sent_revision=1).is_behind
        assert not OutboxEntry(WINDOW, wanted_revision=2, sent_revision=2).is_behind

    @pytest.mark.parametrize(
        ("told", "knows"), [(None, False), (Kind.OPENED, True), (Kind.UPDATED, True), (Kind.RESOLVED, False)]
    )
    def test_a_channel_knows_an_incident_until_it_is_told_that_it_is_over(
        self, told: Kind | None, *, knows: bool
    ) -> None:
        assert OutboxEntry(WINDOW, last_kind_sent=told).knows_incident is knows

    def test_a_lease_ends_at_its_time(self) -> None:
        leased = OutboxEntry(WINDOW, lease_owner="one", lease_ends_at=START)
        assert leased.is_leased(START - 1)
        assert not leased.is_leased(START)

    def test_without_an_owner_there_is_no_lease(self) -> None:
        assert not OutboxEntry(WINDOW, lease_ends_at=START).is_leased(START - 1)

    def test_a_channel_is_reminded_so_long_after_its_last_message(self) -> None:
        assert TOLD.remind_at == START + DAY

    def test_the_next_reminder_counts_from_the_last_one_whether_or_not_it_was_accepted(self) -> None:
        assert TOLD._replace(reminded_at=START + DAY).remind_at == START + 2 * DAY
        assert TOLD._replace(reminded_at=START - DAY).remind_at == START + DAY

    @pytest.mark.parametrize(
        "but",
        [
            {"remind": 0.0},
            {"stateful": True},
            {"sent_at": None},
            {"wanted_revision": 2},
            {"last_kind_sent": Kind.RESOLVED},
        ],
        ids=str,
    )
    def test_nobody_is_reminded_who_does_not_need_it(self, but: dict[str, Any]) -> None:
        """Of what the channel keeps open itself, never heard of, is about to hear of, or knows to be over."""
        assert TOLD._replace(**but).remind_at is None


class TestConditions:
    def test_a_condition_that_is_never_seen_again_is_given_up_after_a_week(self) -> None:
        assert CONDITION.ends_at == START + UNSEEN_FOR == START + 7 * DAY

    def test_a_deadline_takes_the_place_of_that_week_and_leaves_time_to_report_what_came_of_it(self) -> None:
        assert CONDITION._replace(deadline=START + 30 * DAY).ends_at == START + 30 * DAY + DEADLINE_GRACE

    def test_an_alarm_without_data_is_given_up_after_a_day_unless_it_ends_before(self) -> None:
        uncertain = CONDITION._replace(uncertain_since=START + HOUR)
        assert uncertain.ends_at == START + HOUR + UNCERTAIN_FOR == START + HOUR + DAY
        assert uncertain._replace(deadline=START).ends_at == START + DEADLINE_GRACE


class TestTimers:
    def test_a_subject_without_anything_to_do_is_never_due(self) -> None:
        assert SubjectState(SUBJECT).due_at is None
        assert SubjectState(SUBJECT).next_check_at is None

    @pytest.mark.parametrize(
        "timer",
        [
            {"resolve_at": START},
            {"lapse_at": START},
            {"muted": MutedAlert(START, an_alert())},
            {"outbox": {"slack": OutboxEntry(WINDOW, due_at=START)}},
            {"conditions": {"alarm": CONDITION}, "verify_at": START},
            {"conditions": {"alarm": CONDITION._replace(seen_at=START - UNSEEN_FOR)}},
        ],
        ids="+".join,
    )
    def test_the_earliest_timer_decides_when_a_subject_is_due(self, timer: dict[str, Any]) -> None:
        """Of the recovery, the lapse, the end of a silence, the channels, and the conditions."""
        later = {
            "resolve_at": START + 1,
            "lapse_at": START + 2,
            "outbox": {"email": OutboxEntry(WINDOW, due_at=START + 3)},
        }
        state = SubjectState(SUBJECT)._replace(**{**later, **timer})
        assert state.due_at == state.next_check_at == START

    def test_a_subject_whose_condition_continues_is_due_when_a_channel_is_to_be_reminded(self) -> None:
        life = Life()
        life.gets(a_beginning())
        life.sends()
        assert life.entry().remind_at == START + DAY
        assert life.state._replace(verify_at=None).due_at == START + DAY

    def test_nobody_is_reminded_to_decide_once_the_time_for_that_is_over(self) -> None:
        life = Life()
        life.gets(a_beginning("hook/h1", deadline=START + DAY))
        life.sends()
        assert life.state.remind_at(life.entry()) is None
        life.gets(a_beginning("hook/h2", deadline=START + DAY + 1))
        assert life.state.remind_at(life.entry()) == START + DAY

    def test_nobody_is_reminded_of_what_is_over(self) -> None:
        """Such as an alarm that is silenced after its incident was closed."""
        life = Life()
        life.gets(a_beginning())
        life.sends()
        state = life.state._replace(incident=None, verify_at=None, lapse_at=None)
        assert state.due_at == START + UNSEEN_FOR

    def test_a_condition_is_not_verified_after_its_end(self) -> None:
        assert SubjectState(SUBJECT, verify_at=START).due_at is None

    def test_what_waits_for_its_channels_next_bundle_needs_no_check_of_its_own(self) -> None:
        entries = {
            "slack": OutboxEntry(WINDOW, due_at=START, throttled=True),
            "email": OutboxEntry(WINDOW, due_at=START + 1),
        }
        state = SubjectState(SUBJECT, outbox=entries)
        assert (state.due_at, state.next_check_at) == (START, START + 1)


def test_a_subject_is_open_while_it_has_an_incident_that_is_not_over() -> None:
    life = Life()
    assert not life.state.is_open
    life.gets(an_alert())
    assert life.state.is_open
    life.waits(DAY)
    life.sends()
    life.waits(DAY)
    assert not life.state.is_open
