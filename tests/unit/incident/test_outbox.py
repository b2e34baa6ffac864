"""When each channel is notified of an incident: dedup windows, digests, retries and permanent failures."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from local_aws.events import hook
from router.errors import PermanentError, TransientError
from router.history.items import iso
from router.incident.lifecycle import close
from router.incident.outbox import (
    NOT_SENT_DURING_OUTAGE,
    SENT_DURING_OUTAGE,
    apply_delivery,
    apply_incident_end,
    close_outbox,
    drop,
    due_channels,
    fail_if_exhausted,
    postpone,
    record_outage_repeat,
    record_outage_sends,
    request_outage_end,
    request_send,
    requeue,
    retry_delay,
    take_lease,
    withdraw_end,
)
from router.incident.state import (
    Delivery,
    Dispatch,
    LeaseGrant,
    MessageOptions,
    OutboxEntry,
    SendMode,
    SubjectState,
)
from router.model import Alert, Decision, Effects, Kind, Outcome, Reason, Severity
from tests.doubles.service_events import crash, steady
from tests.doubles.subject import (
    EMAIL,
    PAGER,
    SLACK,
    SUBJECT,
    WINDOW,
    Life,
    a_beginning,
    a_recovery,
    an_alert,
    an_end,
)
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
        outcomes = [delivery["outcome"] for delivery in world.ledger("slack")]
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


# --- the pure functions -----------------------------------------------------------------------------------------------


@pytest.fixture
def life() -> Life:
    return Life()


def told(kind: Kind = OPENED, **fields: Any) -> OutboxEntry:
    """The entry of a channel whose last message was of this kind."""
    known: dict[str, Any] = {
        "wanted_revision": 1,
        "sent_revision": 1,
        "last_kind_sent": kind,
        "announced_severity": Severity.CRITICAL,
        "sent_at": START,
    }
    return OutboxEntry(WINDOW, **{**known, **fields})


def dispatched(kind: Kind = OPENED, **fields: Any) -> Dispatch:
    known: dict[str, Any] = {
        "channel": "slack",
        "kind": kind,
        "revision": 1,
        "attempt": 1,
        "is_first": kind is OPENED,
        "severity": Severity.CRITICAL,
        "suppressed": {},
    }
    return Dispatch(**{**known, **fields})


class TestWhatIsDue:
    def test_news_is_due_at_once_even_if_a_digest_was_due_later(self) -> None:
        assert request_send(told(due_at=START + WINDOW), START).due_at == START
        assert request_send(told(), START).due_at == START
        assert request_send(told(), START).wanted_revision == 2

    def test_news_waits_for_the_attempt_that_is_scheduled(self) -> None:
        retried = told(wanted_revision=2, attempt=1, due_at=START + 60)
        assert request_send(retried, START).due_at == START + 60

    def test_news_waits_for_the_end_of_the_attempt_that_is_under_way(self) -> None:
        leased = told(wanted_revision=2, lease_owner="one", lease_ends_at=START + 60, due_at=START + 60)
        assert request_send(leased, START).due_at == START + 60
        assert request_send(leased, START + 60).due_at == START + 60
        assert request_send(leased, START + 61).due_at == START + 61

    def test_an_entry_is_due_from_its_time_on_unless_it_is_leased(self, life: Life) -> None:
        life.gets(an_alert())
        entry = life.entry()._replace(due_at=START)
        entries = {
            "now": entry,
            "later": entry._replace(due_at=START + 1),
            "never": entry._replace(due_at=None),
            "leased": entry._replace(lease_owner="one", lease_ends_at=START + 1),
        }
        assert due_channels(life.state._replace(outbox=entries), START) == ("now",)

    def test_without_an_incident_nothing_is_due(self, life: Life) -> None:
        life.gets(an_alert())
        assert due_channels(life.state._replace(incident=None), START) == ()

    def test_a_silence_postpones_what_is_due_and_begins_the_attempts_anew(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL)
        life.sends(Outcome.RETRY)
        entries = dict(life.state.outbox)
        life.state = postpone(life.state, START, START + HOUR)
        assert life.state.outbox == entries
        life.now += MINUTE
        entries["slack"] = entries["slack"]._replace(throttled=True)
        life.state = postpone(life.state._replace(outbox=entries), life.now, START + HOUR)
        slack = life.entry()
        assert (slack.due_at, slack.throttled, slack.attempt, slack.first_attempt_at) == (START + HOUR, False, 0, None)
        assert life.entry("email").due_at == START + HOUR

    def test_a_silence_postpones_no_end(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.closes()
        assert postpone(life.state, START, START + HOUR) == life.state

    def test_a_silence_postpones_nothing_where_there_is_no_incident(self) -> None:
        state = SubjectState(SUBJECT)
        assert postpone(state, START, START + HOUR) == state


class TestEnds:
    def test_a_channel_that_knows_the_incident_is_told_that_it_is_over(self) -> None:
        entry = apply_incident_end(told(), START)
        assert (entry.is_behind, entry.due_at) == (True, START)

    def test_what_was_to_be_told_anyway_becomes_the_end_at_its_own_time(self) -> None:
        behind = told(wanted_revision=2, due_at=START + 60)
        assert apply_incident_end(behind, START) == behind

    def test_a_channel_that_was_never_told_hears_that_it_opened_and_is_over(self) -> None:
        missed = OutboxEntry(WINDOW, wanted_revision=1, due_at=START)
        assert apply_incident_end(missed, START).is_behind

    def test_a_stateful_channel_that_was_never_triggered_hears_nothing(self) -> None:
        missed = OutboxEntry(WINDOW, stateful=True, wanted_revision=1, due_at=START)
        entry = apply_incident_end(missed, START)
        assert (entry.is_behind, entry.due_at) == (False, None)

    @pytest.mark.parametrize("perhaps", [{"in_doubt": True}, {"lease_owner": "died", "lease_ends_at": START}])
    def test_a_stateful_channel_that_may_have_been_triggered_is_resolved(self, perhaps: dict[str, Any]) -> None:
        tried = OutboxEntry(WINDOW, stateful=True, wanted_revision=1, due_at=START, **perhaps)
        assert apply_incident_end(tried, START).is_behind

    def test_a_channel_that_failed_for_good_and_a_channel_that_knows_the_end_hear_nothing(self) -> None:
        for entry in (OutboxEntry(WINDOW, due_at=START), told(RESOLVED, due_at=START)):
            ended = apply_incident_end(entry, START)
            assert (ended.is_behind, ended.due_at) == (False, None)

    def test_what_is_being_sent_is_looked_at_when_its_result_is_known(self, life: Life) -> None:
        life.gets(an_alert())
        (dispatch,) = life.leases().values()
        before = life.entry()
        life.closes()
        assert life.entry() == before
        life.answers(dispatch)
        assert (life.entry().is_behind, life.entry().due_at) == (True, START)
        assert [send.kind for send in life.sends().values()] == [RESOLVED]

    def test_the_end_itself_is_followed_by_no_other_end(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.closes()
        life.sends()
        assert (life.entry().is_behind, life.entry().due_at) == (False, None)

    def test_a_send_that_was_tried_and_is_not_owed_any_more_has_failed(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.RETRY, response="503")
        life.closes()
        assert life.entry("pager").outcome is Outcome.FAILED
        (given_up,) = life.state.given_up
        assert (given_up.outcome, given_up.response) == (Outcome.FAILED, "503")
        assert (given_up.dispatch.channel, given_up.dispatch.attempt) == ("pager", 1)
        assert given_up.dispatch.mode is SendMode.SINGLE

    def test_what_was_given_up_before_stays_listed(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.RETRY)
        state = close(life.state, "ann", "known", START)
        assert len(close_outbox(life.state._replace(given_up=state.given_up), START).given_up) == 2

    def test_a_send_that_was_tried_before_a_silence_has_failed_as_well(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.RETRY)
        life.now += MINUTE
        life.state = postpone(life.state, life.now, START + HOUR)
        life.closes()
        assert len(life.state.given_up) == 1

    def test_a_send_that_was_never_tried_is_just_dropped(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.closes()
        assert life.state.given_up == ()
        assert life.entry("pager").outcome is None

    def test_a_send_that_is_still_owed_has_not_failed(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY)
        life.closes()
        assert life.state.given_up == ()
        assert life.entry().is_behind

    def test_what_failed_before_has_not_failed_again(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.FAILED)
        life.closes()
        assert life.state.given_up == ()

    def test_an_attempt_that_the_end_overtakes_is_not_repeated_if_its_channel_need_not_hear_of_it(
        self, life: Life
    ) -> None:
        life.gets(an_alert(), PAGER, SLACK)
        dispatches = life.leases()
        life.closes()
        pager, slack = (Delivery(dispatches[name], Outcome.RETRY) for name in ("pager", "slack"))
        assert fail_if_exhausted(life.state, pager, START).outcome is Outcome.FAILED
        assert fail_if_exhausted(life.state, slack, START).outcome is Outcome.RETRY
        unanswered = pager._replace(unanswered=True)
        assert fail_if_exhausted(life.state, unanswered, START).outcome is Outcome.RETRY

    def test_an_attempt_to_tell_of_the_end_is_repeated(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends()
        life.closes()
        (dispatch,) = life.leases().values()
        delivery = Delivery(dispatch, Outcome.RETRY)
        assert fail_if_exhausted(life.state, delivery, START).outcome is Outcome.RETRY
        life.answers(dispatch, Outcome.RETRY)
        assert life.entry("pager").is_behind

    def test_the_end_is_retried_even_by_a_stateful_channel_that_may_never_have_been_triggered(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.RETRY, unanswered=True)
        life.closes()
        life.now += MINUTE
        (dispatch,) = life.leases().values()
        assert dispatch.kind is RESOLVED
        entry = life.entry("pager")._replace(in_doubt=False)
        state = life.state._replace(outbox={"pager": entry})
        assert fail_if_exhausted(state, Delivery(dispatch, Outcome.RETRY), life.now).outcome is Outcome.RETRY

    def test_a_retry_while_the_incident_is_open_is_not_pointless(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        (dispatch,) = life.leases().values()
        assert fail_if_exhausted(life.state, Delivery(dispatch, Outcome.RETRY), START).outcome is Outcome.RETRY


class TestReturns:
    ENDING = told(wanted_revision=2, due_at=START, window_ends_at=START + WINDOW)

    def test_an_end_that_nobody_has_begun_to_send_is_withdrawn(self) -> None:
        entry = withdraw_end(self.ENDING._replace(throttled=True), Severity.CRITICAL)
        assert (entry.is_behind, entry.due_at, entry.throttled) == (False, None, False)

    def test_what_was_held_back_is_then_due_at_the_end_of_the_window(self) -> None:
        ending = self.ENDING._replace(suppressed={"oom": 1})
        assert withdraw_end(ending, Severity.CRITICAL).due_at == START + WINDOW

    @pytest.mark.parametrize(
        "but",
        [
            {"wanted_revision": 1},
            {"last_kind_sent": RESOLVED},
            {"attempt": 1},
            {"lease_owner": "one"},
            {"immediate": True},
            {"announced_severity": Severity.WARNING},
        ],
        ids=str,
    )
    def test_anything_else_that_there_is_to_send_stays(self, but: dict[str, Any]) -> None:
        """No end at all, one that was begun, or something that no window holds back."""
        entry = self.ENDING._replace(**but)
        assert withdraw_end(entry, Severity.ERROR) == entry


class TestLeases:
    GRANTED = LeaseGrant("one", START + MINUTE, {"slack": SendMode.BUNDLED}, {"email": START + 15})

    def test_a_granted_entry_is_leased_until_the_lease_ends(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL)
        state, (dispatch,) = take_lease(life.state, START, self.GRANTED)
        entry = state.outbox["slack"]
        assert (entry.lease_owner, entry.lease_ends_at, entry.due_at) == ("one", START + MINUTE, START + MINUTE)
        assert (entry.attempt, entry.first_attempt_at, entry.throttled) == (1, START, False)
        assert (dispatch.channel, dispatch.mode, dispatch.attempt) == ("slack", SendMode.BUNDLED, 1)

    def test_an_entry_without_a_grant_waits_for_its_channel(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL)
        state, _ = take_lease(life.state, START, self.GRANTED)
        entry = state.outbox["email"]
        assert (entry.due_at, entry.throttled, entry.lease_owner, entry.attempt) == (START + 15, True, "", 0)

    def test_an_entry_whose_channel_has_neither_stays_as_it_is(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, PAGER)
        state, _ = take_lease(life.state, START, self.GRANTED)
        assert state.outbox["pager"] == life.entry("pager")

    def test_only_what_is_due_is_leased(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        state, dispatches = take_lease(life.state, START, self.GRANTED)
        assert (state, dispatches) == (life.state, ())

    def test_the_attempts_of_one_revision_are_counted_from_the_first(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY)
        life.now += MINUTE
        (dispatch,) = life.leases().values()
        assert (dispatch.attempt, dispatch.revision) == (2, 1)
        assert life.entry().first_attempt_at == START

    def test_an_entry_that_waited_for_its_channel_is_no_longer_throttled_once_it_is_leased(self, life: Life) -> None:
        life.gets(an_alert(), EMAIL)
        life.state, _ = take_lease(life.state, START, self.GRANTED)
        life.now += 15
        life.leases()
        assert not life.entry("email").throttled

    def test_a_lease_that_died_leaves_doubt(self, life: Life) -> None:
        """Its owner may have sent before it died."""
        life.gets(an_alert())
        (dispatch,) = life.leases().values()
        assert not dispatch.in_doubt
        life.now += 2 * MINUTE
        (dispatch,) = life.leases(owner="two").values()
        assert dispatch.in_doubt

    def test_a_doubt_lasts_until_something_was_accepted(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY, unanswered=True)
        life.now += MINUTE
        life.sends(Outcome.RETRY)  # a later answer says nothing about the first attempt
        assert life.entry().in_doubt
        life.now += 2 * MINUTE
        (dispatch,) = life.sends().values()
        assert dispatch.in_doubt
        assert life.entry().in_doubt is False

    def test_an_attempt_that_was_answered_leaves_no_doubt(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY)
        assert life.entry().in_doubt is False

    def test_who_has_lost_the_lease_records_nothing(self, life: Life) -> None:
        life.gets(an_alert())
        (late,) = life.leases(owner="one").values()
        life.now += 2 * MINUTE
        life.leases(owner="two")
        before = life.state
        life.answers(late, owner="one")
        assert life.state == before

    def test_a_result_of_a_channel_that_was_dropped_meanwhile_is_not_recorded(self, life: Life) -> None:
        life.gets(an_alert())
        (dispatch,) = life.leases().values()
        life.state = life.state._replace(outbox={})
        before = life.state
        life.answers(dispatch)
        assert life.state == before
        assert fail_if_exhausted(life.state, Delivery(dispatch, Outcome.RETRY), START).outcome is Outcome.RETRY

    @pytest.mark.parametrize("outcome", [*Outcome])
    def test_a_result_ends_the_lease_and_is_remembered(self, life: Life, outcome: Outcome) -> None:
        life.gets(an_alert(), SLACK, EMAIL)
        slack = life.leases("slack")["slack"]
        email = life.entry("email")
        life.answers(slack, outcome, response="its words")
        entry = life.entry()
        assert (entry.lease_owner, entry.lease_ends_at) == ("", 0.0)
        assert (entry.outcome, entry.response) == (outcome, "its words")
        assert life.entry("email") == email


class TestDispatches:
    def test_the_first_message_opens_the_incident_for_its_channel(self, life: Life) -> None:
        life.gets(an_alert())
        (dispatch,) = life.sends().values()
        assert (dispatch.kind, dispatch.reason, dispatch.is_first) == (OPENED, Reason.FIRST, True)
        assert (dispatch.severity, dispatch.suppressed) == (Severity.CRITICAL, {"out_of_memory": 1})
        assert dispatch.continuing == {"out_of_memory": 1}
        assert dispatch.alert is None

    def test_a_worse_alert_updates_and_is_described(self, life: Life) -> None:
        life.gets(an_alert("spot_interruption", severity=Severity.WARNING))
        life.sends()
        worse = an_alert(at=START + 1)
        assert life.gets(worse) is Decision.ANNOUNCED
        (dispatch,) = life.sends().values()
        assert (dispatch.kind, dispatch.reason, dispatch.is_first) == (UPDATED, Reason.WORSE, False)
        assert dispatch.severity is Severity.CRITICAL

    def test_what_cannot_wait_is_a_reason_of_its_own(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.gets(an_alert(at=START + 1, effects=Effects(immediate=True)))
        (dispatch,) = life.sends().values()
        assert dispatch.reason is Reason.WORSE

    def test_a_digest_describes_the_newest_alert(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        newest = an_alert(at=START + 1)
        assert life.gets(newest) is Decision.HELD_BACK
        life.waits(WINDOW)
        (dispatch,) = life.sends().values()
        assert (dispatch.reason, dispatch.suppressed, dispatch.alert) == (Reason.DIGEST, {"out_of_memory": 1}, newest)
        assert dispatch.revision == life.entry().sent_revision == life.entry().wanted_revision == 2

    def test_a_return_is_told_as_such(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        life.sends()
        life.gets(an_alert(at=life.now))
        (dispatch,) = life.sends().values()
        assert (dispatch.kind, dispatch.reason, dispatch.is_first) == (OPENED, Reason.RETURNED, True)

    def test_an_end_describes_the_worst(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.gets(an_alert(at=START + 1))
        life.closes()
        (dispatch,) = life.sends().values()
        assert (dispatch.kind, dispatch.reason, dispatch.alert) == (RESOLVED, Reason.ENDED, None)

    def test_a_reminder_describes_what_continues(self, life: Life) -> None:
        life.gets(a_beginning())
        life.sends()
        newest = a_beginning("instance", START + 1)
        life.gets(newest)
        life.waits(WINDOW)
        life.sends()
        life.waits(DAY)
        (reminder,) = life.leases().values()
        assert (reminder.reason, reminder.alert) == (Reason.REMINDER, newest)

    def test_a_message_knows_since_when_nothing_is_known_of_what_continues(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(a_beginning("another"))
        for key in ("alarm", "another"):
            assert life.sends()["slack"].without_data_since is None
            life.now += HOUR
            life.gets(an_alert("no_data", life.now, Severity.INFO, effects=Effects(uncertain=(key,))))
            life.gets(an_alert("worse" + key, life.now, effects=Effects(immediate=True)))
            life.gets(a_recovery(life.now))
        assert life.sends()["slack"].without_data_since == START + 2 * HOUR

    def test_a_reminder_does_not_describe_what_has_ended_if_the_worst_continues(self, life: Life) -> None:
        life.gets(a_beginning())
        life.sends()
        life.gets(a_beginning("instance", START + 1))
        life.waits(WINDOW)
        life.sends()
        life.gets(an_end("instance", START + 2))
        life.waits(DAY)
        (reminder,) = life.leases().values()
        assert (reminder.reason, reminder.alert) == (Reason.REMINDER, None)

    def test_a_reminder_describes_the_newest_if_neither_continues(self, life: Life) -> None:
        life.gets(a_beginning())
        life.gets(a_beginning("hook/h", START + 1))
        life.sends()
        newest = a_beginning("instance", START + 2)
        life.gets(newest)
        life.waits(WINDOW)
        life.sends()
        life.gets(an_end("instance", START + 3))
        life.gets(an_end("alarm", START + 3))
        life.waits(DAY)
        (reminder,) = life.leases().values()
        assert (reminder.reason, reminder.alert) == (Reason.REMINDER, newest)

    def test_a_dispatch_carries_what_its_channel_was_configured_with_and_remembers(self, life: Life) -> None:
        options = MessageOptions(mention="<!here>")
        life.gets(an_alert(), SLACK._replace(options=options))
        life.sends(remote={"ts": "1"})
        life.gets(an_alert(at=START + 1, effects=Effects(immediate=True)), SLACK._replace(options=options))
        (dispatch,) = life.sends().values()
        assert (dispatch.options, dispatch.remote) == (options, {"ts": "1"})

    def test_what_a_dispatch_tells_is_fixed_when_it_is_leased(self, life: Life) -> None:
        life.gets(an_alert())
        (dispatch,) = life.leases().values()
        life.gets(an_alert(at=START + 1))
        assert dispatch.suppressed == {"out_of_memory": 1}


class TestSent:
    def test_what_was_sent_is_known_and_begins_a_window(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        entry = life.entry()
        assert (entry.sent_revision, entry.last_kind_sent, entry.sent_at) == (1, OPENED, START)
        assert (entry.announced_severity, entry.suppressed) == (Severity.CRITICAL, {})
        assert (entry.window_step, entry.window_ends_at, entry.due_at) == (1, START + WINDOW, None)
        assert (entry.attempt, entry.first_attempt_at) == (0, None)
        assert life.state.latest_sent

    @pytest.mark.parametrize(("step", "length"), [(0, WINDOW), (1, HOUR), (2, 4 * HOUR), (3, DAY), (4, DAY), (9, DAY)])
    def test_windows_grow_to_a_day(self, life: Life, step: int, length: float) -> None:
        life.gets(an_alert())
        life.state = life.state._replace(outbox={"slack": life.entry()._replace(window_step=step)})
        life.sends()
        assert life.entry().window_ends_at == START + length

    def test_no_window_is_shorter_than_the_configured_one(self, life: Life) -> None:
        life.gets(an_alert(), SLACK._replace(dedup_window=2 * HOUR))
        life.state = life.state._replace(outbox={"slack": life.entry()._replace(window_step=1)})
        life.sends()
        assert life.entry().window_ends_at == START + 2 * HOUR

    def test_what_came_while_a_message_was_sent_is_in_the_next_digest(self, life: Life) -> None:
        life.gets(an_alert())
        (dispatch,) = life.leases().values()
        for number in range(1, 8):
            assert life.gets(an_alert(at=START + number)) is Decision.HELD_BACK
        life.answers(dispatch)
        assert life.entry().suppressed == {"out_of_memory": 7}
        assert life.entry().due_at == START + WINDOW
        life.waits(WINDOW)
        (digest,) = life.sends().values()
        assert (digest.reason, digest.suppressed) == (Reason.DIGEST, {"out_of_memory": 7})

    def test_what_is_worse_and_came_while_a_message_was_sent_is_due_at_once(self, life: Life) -> None:
        life.gets(an_alert("spot_interruption", severity=Severity.WARNING))
        (dispatch,) = life.leases().values()
        assert life.gets(an_alert(at=START + 1)) is Decision.ANNOUNCED
        life.answers(dispatch)
        assert (life.entry().is_behind, life.entry().due_at) == (True, START)

    def test_an_end_that_was_sent_begins_no_window_and_holds_nothing_back(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.gets(an_alert(at=START + 1))
        life.closes()
        life.now += MINUTE
        life.sends()
        entry = life.entry()
        assert (entry.last_kind_sent, entry.announced_severity, entry.suppressed) == (RESOLVED, Severity.INFO, {})
        assert (entry.window_step, entry.window_ends_at, entry.due_at) == (1, None, None)
        assert (entry.only_self_reports, entry.sent_at, entry.attempt) == (False, life.now, 0)

    def test_an_end_is_not_the_message_that_describes_the_newest_alert(self, life: Life) -> None:
        """The next update after a return describes what the channels have not been told."""
        life.gets(an_alert())
        life.sends()
        life.gets(an_alert("image_pull_failed", START + 1))
        assert not life.state.latest_sent
        life.closes()
        life.sends()
        assert not life.state.latest_sent

    def test_a_message_that_was_not_sent_described_nothing(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY)
        assert not life.state.latest_sent

    def test_a_channel_that_is_told_first_does_not_unsay_what_another_was_told(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL)
        dispatches = life.leases()
        life.answers(dispatches["slack"])
        life.answers(dispatches["email"], Outcome.RETRY)
        assert life.state.latest_sent

    def test_somebody_has_to_decide_until_a_message_has_said_so(self, life: Life) -> None:
        life.gets(an_alert(effects=Effects(immediate=True)))
        (dispatch,) = life.leases().values()
        life.answers(dispatch)
        assert not life.entry().immediate
        life.gets(an_alert(at=START + 1, effects=Effects(immediate=True)))
        (dispatch,) = life.leases().values()
        life.gets(an_alert(at=START + 2, effects=Effects(immediate=True)))
        life.answers(dispatch)
        assert life.entry().immediate

    def test_an_entry_that_nobody_marked_immediate_is_not_immediate_because_more_came(self, life: Life) -> None:
        life.gets(an_alert("spot_interruption", severity=Severity.WARNING))
        (dispatch,) = life.leases().values()
        life.gets(an_alert(at=START + 1))
        life.answers(dispatch)
        assert not life.entry().immediate


class TestSelfReports:
    REPORT = an_alert("container_exited", severity=Severity.WARNING, self_reported=True, task="t1", exited=("agent",))

    def test_a_message_about_what_a_task_reports_of_itself_begins_no_window(self, life: Life) -> None:
        life.gets(self.REPORT)
        (dispatch,) = life.leases().values()
        assert not dispatch.opens_window
        life.answers(dispatch)
        entry = life.entry()
        assert (entry.sent_revision, entry.last_kind_sent, entry.sent_at) == (1, OPENED, START)
        assert (entry.window_step, entry.window_ends_at, entry.due_at) == (0, None, None)
        assert (entry.announced_severity, entry.suppressed) == (Severity.INFO, {})
        assert (entry.attempt, entry.first_attempt_at, entry.in_doubt) == (0, None, False)

    def test_it_ends_no_window_either(self, life: Life) -> None:
        life.gets(an_alert("spot_interruption", severity=Severity.WARNING))
        life.sends()
        life.waits(WINDOW)
        life.gets(self.REPORT)
        (dispatch,) = life.leases().values()
        life.gets(an_alert("spot_interruption", life.now, severity=Severity.WARNING))
        life.answers(dispatch)
        assert (life.entry().window_step, life.entry().window_ends_at) == (1, START + WINDOW)
        assert life.entry().due_at == life.now  # the window that was over holds nothing back

    def test_what_came_while_it_was_sent_waits_for_the_window_of_the_message_before(self, life: Life) -> None:
        life.gets(an_alert("spot_interruption", severity=Severity.WARNING))
        life.sends()
        life.now += MINUTE
        life.gets(replace(self.REPORT, effects=Effects(immediate=True)))
        (dispatch,) = life.leases().values()
        life.gets(an_alert("spot_interruption", START + 2, severity=Severity.WARNING))
        life.answers(dispatch)
        assert (life.entry().suppressed, life.entry().due_at) == ({"spot_interruption": 1}, START + WINDOW)

    def test_what_is_worse_and_came_while_it_was_sent_is_due_at_once(self, life: Life) -> None:
        life.gets(self.REPORT)
        (dispatch,) = life.leases().values()
        assert life.gets(an_alert(at=START + 1)) is Decision.ANNOUNCED
        life.answers(dispatch)
        assert (life.entry().is_behind, life.entry().due_at) == (True, START)

    def test_what_is_worse_and_came_while_it_was_sent_does_not_wait_for_an_open_window(self, life: Life) -> None:
        life.gets(an_alert("spot_interruption", severity=Severity.WARNING))
        life.sends()
        life.gets(replace(self.REPORT, effects=Effects(immediate=True)))
        (dispatch,) = life.leases().values()
        assert life.gets(an_alert(at=START + 1)) is Decision.ANNOUNCED
        life.answers(dispatch)
        assert (life.entry().is_behind, life.entry().due_at) == (True, START)

    def test_it_settles_a_doubt(self, life: Life) -> None:
        life.gets(self.REPORT)
        life.sends(Outcome.RETRY, unanswered=True)
        life.now += MINUTE
        life.sends()
        assert life.entry().in_doubt is False

    def test_a_message_that_also_tells_of_an_alert_of_aws_begins_a_window(self, life: Life) -> None:
        life.gets(an_alert())
        life.gets(self.REPORT)
        (dispatch,) = life.leases().values()
        assert dispatch.opens_window

    def test_it_describes_what_the_next_update_need_not(self, life: Life) -> None:
        life.gets(self.REPORT)
        life.sends()
        assert life.state.latest_sent

    def test_the_end_of_what_only_the_task_reported_is_told_like_any_other(self, life: Life) -> None:
        life.gets(self.REPORT)
        life.sends()
        life.closes()
        life.sends()
        assert life.entry().last_kind_sent is RESOLVED
        assert not life.entry().only_self_reports


class TestRetries:
    @pytest.mark.parametrize(
        ("attempt", "seconds"), [(0, 30), (1, 30), (2, 60), (3, 120), (4, 300), (5, 900), (6, 900)]
    )
    def test_retries_come_ever_less_often(self, attempt: int, seconds: float) -> None:
        assert retry_delay(attempt, None, 0.0) == seconds

    def test_jitter_spreads_them_by_a_fifth(self) -> None:
        assert retry_delay(1, None, 1.0) == pytest.approx(36)
        assert retry_delay(1, None, 0.5) == pytest.approx(33)

    def test_a_remote_that_says_when_gets_a_twentieth_more_and_never_less(self) -> None:
        assert retry_delay(3, 1000.0, 0.0) == 1000
        assert retry_delay(3, 1000.0, 1.0) == pytest.approx(1050)
        assert retry_delay(3, 0.0, 1.0) == 0

    def test_a_retry_is_due_after_its_delay(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY)
        assert life.entry().due_at == START + 30
        assert life.entry().attempt == 1
        life.now += 30
        life.sends(Outcome.RETRY, retry_after=7.0)
        assert life.entry().due_at == START + 37

    def test_the_jitter_of_a_retry_is_that_of_its_delivery(self, life: Life) -> None:
        life.gets(an_alert())
        (dispatch,) = life.leases().values()
        state = apply_delivery(life.state, Delivery(dispatch, Outcome.RETRY), "one", START, 1.0)
        assert state.outbox["slack"].due_at == pytest.approx(START + 36)

    def test_a_delivery_that_was_tried_for_a_day_has_failed(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY)
        life.now += DAY
        (dispatch,) = life.leases().values()
        delivery = Delivery(dispatch, Outcome.RETRY)
        assert fail_if_exhausted(life.state, delivery, START + DAY - 1).outcome is Outcome.RETRY
        assert fail_if_exhausted(life.state, delivery, START + DAY).outcome is Outcome.FAILED

    def test_a_delivery_that_was_accepted_has_not_failed_however_late(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY)
        life.now += 2 * DAY
        (dispatch,) = life.leases().values()
        assert fail_if_exhausted(life.state, Delivery(dispatch, Outcome.SENT), life.now).outcome is Outcome.SENT

    def test_a_send_that_failed_opens_no_window_and_is_not_due_again(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends()
        life.waits(2 * HOUR)
        life.gets(an_alert(at=life.now))
        life.sends(Outcome.FAILED)
        entry = life.entry()
        assert (entry.is_behind, entry.due_at, entry.window_ends_at) == (False, None, None)
        assert (entry.attempt, entry.first_attempt_at, entry.outcome) == (0, None, Outcome.FAILED)
        assert life.gets(an_alert(at=life.now + 1)) is Decision.ANNOUNCED


class TestMemory:
    def test_a_channel_remembers_what_its_last_message_left(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(remote={"ts": "1"})
        assert life.entry().remote == {"ts": "1"}
        life.gets(an_alert(at=START + 1, effects=Effects(immediate=True)))
        life.sends(remote=None)
        assert life.entry().remote == {"ts": "1"}

    @pytest.mark.parametrize(
        ("before", "left", "after"),
        [
            ({}, {"bundle": "1"}, {"bundle": "1"}),
            ({}, {"ts": "2"}, {}),
            ({"ts": "1"}, {"bundle": "2"}, {"ts": "1"}),
        ],
    )
    def test_a_bundle_is_remembered_only_as_a_bundle_and_only_by_who_has_no_message_of_its_own(
        self, life: Life, before: dict[str, str], left: dict[str, str], after: dict[str, str]
    ) -> None:
        life.gets(an_alert())
        life.state = life.state._replace(outbox={"slack": life.entry()._replace(remote=before)})
        (dispatch,) = life.leases().values()
        life.answers(dispatch._replace(mode=SendMode.BUNDLED), remote=left)
        assert life.entry().remote == after

    def test_what_was_not_sent_left_nothing(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.RETRY, remote={"ts": "1"})
        assert life.entry().remote == {}


class TestRedrive:
    """By hand: what failed is made due again, or forgotten."""

    def test_a_failed_entry_is_due_again_at_once(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL)
        life.sends(Outcome.FAILED)
        state, why = requeue(life.state, "slack", START + HOUR)
        assert why == ""
        assert (state.outbox["slack"].is_behind, state.outbox["slack"].due_at) == (True, START + HOUR)
        assert state.outbox["email"] == life.entry("email")

    @pytest.mark.parametrize(
        ("outcome", "said"), [(Outcome.SENT, "told meanwhile"), (Outcome.RETRY, "tried again meanwhile")]
    )
    def test_an_entry_that_has_not_failed_is_left_alone(self, life: Life, outcome: Outcome, said: str) -> None:
        life.gets(an_alert())
        life.sends(outcome)
        assert requeue(life.state, "slack", START) == (life.state, said)

    def test_a_channel_that_has_no_entry_is_left_alone(self, life: Life) -> None:
        life.gets(an_alert())
        assert requeue(life.state, "email", START) == (life.state, "tried again meanwhile")

    def test_an_entry_without_an_incident_is_left_alone(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.FAILED)
        life.state = life.state._replace(incident=None)
        assert requeue(life.state, "slack", START) == (life.state, "tried again meanwhile")

    def test_an_entry_that_is_due_or_being_sent_is_left_alone(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.FAILED)
        for fields in ({"due_at": START + 1}, {"lease_owner": "one", "lease_ends_at": START + 1}):
            state = life.state._replace(outbox={"slack": life.entry()._replace(**fields)})
            assert requeue(state, "slack", START) == (state, "due already")

    def test_a_channel_that_has_nothing_to_resolve_is_not_told_of_an_end(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.FAILED)
        life.closes()
        said = "over, and the channel has nothing to resolve"
        assert requeue(life.state, "pager", START) == (life.state, said)

    def test_a_channel_that_was_told_of_the_end_is_not_told_again(self, life: Life) -> None:
        life.gets(an_alert())
        life.sends(Outcome.FAILED)
        life.closes()
        life.state = life.state._replace(outbox={"slack": life.entry()._replace(last_kind_sent=RESOLVED)})
        assert requeue(life.state, "slack", START)[1].startswith("over")

    @pytest.mark.parametrize("known", [{"last_kind_sent": OPENED}, {"in_doubt": True}, {"stateful": False}], ids=str)
    def test_a_channel_that_may_have_something_to_resolve_is_told_of_the_end(
        self, life: Life, known: dict[str, Any]
    ) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.FAILED)
        life.closes()
        life.state = life.state._replace(outbox={"pager": life.entry("pager")._replace(**known)})
        assert requeue(life.state, "pager", START)[1] == ""

    def test_a_channel_that_is_dropped_is_forgotten(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL)
        state, why = drop(life.state, "slack", START)
        assert why == ""
        assert [*state.outbox] == ["email"]

    def test_a_channel_is_not_dropped_while_it_is_being_sent_to(self, life: Life) -> None:
        life.gets(an_alert())
        life.leases()
        assert drop(life.state, "slack", START) == (life.state, "it is being sent now")

    def test_a_channel_that_is_not_there_can_be_dropped(self, life: Life) -> None:
        assert drop(life.state, "slack", START) == (life.state, "")


class TestOutage:
    """What was sent without history is recorded afterwards."""

    def recorded(self, life: Life, alert: Alert, *announced: str) -> tuple[Delivery, ...]:
        before = life.state
        life.gets(alert, SLACK, EMAIL, PAGER)
        life.now += MINUTE
        life.state, deliveries = record_outage_sends(life.state, announced, before, life.now)
        return deliveries

    def repeated(self, life: Life, *announced: str) -> tuple[Delivery, ...]:
        life.state, deliveries = record_outage_repeat(life.state, life.incident.id, announced, life.now)
        return deliveries

    def changes_nothing(self, life: Life) -> None:
        before = life.state
        assert self.repeated(life, "slack") == ()
        assert life.state == before

    def test_a_channel_that_was_told_is_not_told_again(self, life: Life) -> None:
        (delivery, *_) = self.recorded(life, an_alert(), "slack", "email", "pager")
        assert (delivery.outcome, delivery.response) == (Outcome.SENT, SENT_DURING_OUTAGE)
        assert (delivery.dispatch.channel, delivery.dispatch.kind, delivery.dispatch.attempt) == ("slack", OPENED, 1)
        assert (delivery.dispatch.suppressed, delivery.dispatch.mode) == ({}, SendMode.SINGLE)
        entry = life.entry()
        assert (entry.is_behind, entry.due_at, entry.suppressed) == (False, None, {})
        assert (entry.outcome, entry.response) == (Outcome.SENT, SENT_DURING_OUTAGE)
        assert entry.window_ends_at == life.now + WINDOW

    def test_a_channel_that_was_not_told_has_failed(self, life: Life) -> None:
        deliveries = self.recorded(life, an_alert(), "slack")
        assert [(delivery.dispatch.channel, delivery.outcome) for delivery in deliveries] == [
            ("slack", Outcome.SENT),
            ("email", Outcome.FAILED),
            ("pager", Outcome.FAILED),
        ]
        assert deliveries[1].response == NOT_SENT_DURING_OUTAGE
        entry = life.entry("email")
        assert (entry.is_behind, entry.due_at, entry.outcome) == (False, None, Outcome.FAILED)
        assert entry.response == NOT_SENT_DURING_OUTAGE

    def test_a_channel_that_was_not_told_hears_once_it_is_tried_again_what_it_has_missed(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL, PAGER)
        life.sends()
        life.now += DAY
        self.recorded(life, an_alert(at=life.now), "slack", "pager")
        life.state, why = requeue(life.state, "email", life.now)
        dispatch = life.leases("email")["email"]
        assert (why, dispatch.reason, dispatch.suppressed) == ("", Reason.DIGEST, {"out_of_memory": 1})

    def test_a_stateful_channel_keeps_a_second_alert_open_which_is_resolved_after_the_incidents_own(
        self, life: Life
    ) -> None:
        self.recorded(life, an_alert(), "slack", "email", "pager")
        assert (life.entry("pager").outage_alert, life.entry().outage_alert) == (True, False)
        life.closes()
        assert not life.leases("pager")["pager"].of_outage
        life.now += 2 * MINUTE
        first = life.leases("pager")["pager"]
        life.answers(first)
        assert (life.entry("pager").is_behind, life.entry("pager").due_at) == (True, life.now)
        second = life.leases("pager")["pager"]
        assert (second.kind, second.of_outage) == (RESOLVED, True)
        life.answers(second)
        assert (life.entry("pager").outage_alert, life.entry("pager").due_at) == (False, None)

    def test_an_update_of_the_incident_is_not_about_the_second_alert(self, life: Life) -> None:
        self.recorded(life, an_alert(), "pager")
        life.gets(an_alert(at=START + 1, effects=Effects(immediate=True)), PAGER)
        assert not life.leases("pager")["pager"].of_outage

    def test_what_the_window_holds_back_owes_nothing(self, life: Life) -> None:
        """It was known before, so nobody was told, and nobody has to be."""
        life.gets(an_alert(), SLACK, EMAIL, PAGER)
        life.sends()
        before = life.entry()
        assert self.recorded(life, an_alert(at=START + 1)) == ()
        assert life.entry() == before

    def test_what_is_due_for_an_earlier_alert_stays_due(self, life: Life) -> None:
        life.gets(an_alert(), SLACK)
        life.sends()
        life.gets(an_alert(at=START + 1), SLACK)
        before = life.entry()
        deliveries = self.recorded(life, an_alert(at=START + 2), "email", "pager")
        assert [delivery.dispatch.channel for delivery in deliveries] == ["email", "pager"]
        assert life.entry() == before._replace(suppressed=life.entry().suppressed)

    def test_a_channel_whose_message_failed_gets_the_alert_with_the_digest_of_its_window(self, life: Life) -> None:
        life.gets(an_alert(), SLACK)
        life.sends()
        self.recorded(life, an_alert(at=START + 1), "email", "pager")
        assert (life.entry().suppressed, life.entry().due_at) == ({"out_of_memory": 1}, life.entry().window_ends_at)

    def test_a_channel_that_was_told_although_it_need_not_counts_as_told(self, life: Life) -> None:
        life.gets(an_alert(), SLACK)
        life.sends()
        life.gets(an_alert(at=START + 1), SLACK)
        before = life.state
        life.gets(an_alert(at=START + 2), SLACK)
        life.now += MINUTE
        life.state, (delivery,) = record_outage_sends(life.state, ["slack"], before, life.now)
        assert (delivery.outcome, delivery.dispatch.revision) == (Outcome.SENT, 2)
        assert (life.entry().sent_revision, life.entry().suppressed) == (2, {"out_of_memory": 1})
        assert life.entry().window_step == 2

    def test_a_channel_that_is_being_sent_to_gets_its_result_from_that(self, life: Life) -> None:
        life.gets(an_alert(), SLACK)
        life.leases(seconds=HOUR)
        before = life.entry()
        life.gets(an_alert(at=START + 1), SLACK)
        state, deliveries = record_outage_sends(
            life.state, ["slack"], life.state._replace(outbox={"slack": before}), life.now
        )
        assert deliveries == ()
        assert state.outbox["slack"].lease_owner == "one"
        assert state.outbox["slack"].suppressed == before.suppressed

    def test_a_stateful_channel_that_is_being_sent_to_keeps_the_alert_that_it_got_without_history(
        self, life: Life
    ) -> None:
        life.gets(an_alert(), PAGER, SLACK)
        life.leases(seconds=HOUR)
        untold, _ = record_outage_sends(life.state, [], life.state, START)
        assert not untold.outbox["pager"].outage_alert
        told, _ = record_outage_sends(life.state, ["pager", "slack"], life.state, START)
        assert (told.outbox["pager"].outage_alert, told.outbox["slack"].outage_alert) == (True, False)
        later, _ = record_outage_sends(told, [], told, START)
        assert later.outbox["pager"].outage_alert

    def test_a_channel_that_was_told_only_of_a_repeat_was_told(self, life: Life) -> None:
        self.recorded(life, an_alert())
        (delivery,) = self.repeated(life, "slack")
        assert (delivery.dispatch.channel, delivery.outcome) == ("slack", Outcome.SENT)
        assert (life.entry().outcome, life.entry().last_kind_sent) == (Outcome.SENT, OPENED)
        assert (life.entry().is_behind, life.entry().due_at, life.entry().suppressed) == (False, None, {})
        assert life.entry("email").outcome is Outcome.FAILED

    def test_a_repeat_of_an_alert_of_another_incident_tells_nothing_about_this_one(self, life: Life) -> None:
        self.recorded(life, an_alert())
        assert record_outage_repeat(life.state, "another-1", ["slack"], life.now) == (life.state, ())

    def test_a_repeat_changes_nothing_once_the_incident_is_over(self, life: Life) -> None:
        self.recorded(life, an_alert())
        life.closes()
        self.changes_nothing(life)

    def test_a_repeat_of_what_a_channel_knows_does_not_tell_it_what_is_new(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL, PAGER)
        life.sends()
        life.now += DAY
        self.recorded(life, an_alert(at=life.now))
        self.changes_nothing(life)

    def test_a_repeat_does_not_withdraw_what_is_tried_again(self, life: Life) -> None:
        self.recorded(life, an_alert())
        life.state, why = requeue(life.state, "slack", life.now)
        assert why == ""
        self.changes_nothing(life)

    def test_a_repeat_does_not_tell_a_channel_what_could_not_be_sent_before_the_outage(self, life: Life) -> None:
        life.gets(an_alert(), SLACK)
        life.answers(life.leases()["slack"], Outcome.FAILED)
        self.changes_nothing(life)

    def test_the_channels_of_an_incident_before_know_nothing_of_this_one(self, life: Life) -> None:
        life.gets(an_alert(), SLACK, EMAIL, PAGER)
        life.sends()
        life.closes()
        life.sends()
        life.now += DAY
        deliveries = self.recorded(life, an_alert(at=life.now), "slack")
        assert [delivery.outcome for delivery in deliveries] == [Outcome.SENT, Outcome.FAILED, Outcome.FAILED]
        assert deliveries[0].dispatch.revision == 1
        assert life.incident.number == 2

    def test_without_an_incident_there_is_nothing_to_record(self) -> None:
        state = SubjectState(SUBJECT, outbox={"slack": told()})
        assert record_outage_sends(state, ["slack"], state, START) == (state, ())

    def test_an_alert_that_was_counted_and_announced_without_history_as_well_is_resolved_with_the_incident(
        self, life: Life
    ) -> None:
        life.gets(an_alert(), PAGER, SLACK)
        life.sends()
        life.state = request_outage_end(life.state, ["slack", "pager", "email"], START)
        assert (life.entry("pager").outage_alert, life.entry("pager").is_behind) == (True, False)
        assert not life.entry().outage_alert
        assert [*life.state.outbox] == ["pager", "slack"]

    def test_it_is_resolved_at_once_if_the_incident_is_over_and_that_was_told(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends()
        life.closes()
        waits = request_outage_end(life.state, ["pager"], START).outbox["pager"]
        assert waits == life.entry("pager")._replace(outage_alert=True)
        life.sends()
        told = request_outage_end(life.state, ["pager"], START + 9).outbox["pager"]
        assert (told.outage_alert, told.is_behind, told.due_at) == (True, True, START + 9)

    def test_a_channel_that_was_not_told_of_the_end_is_not_told_of_it_because_of_that(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends(Outcome.FAILED)
        life.closes()
        assert not request_outage_end(life.state, ["pager"], START).outbox["pager"].is_behind

    def test_it_is_not_resolved_in_an_incident_that_has_opened_again(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends()
        life.gets(a_recovery(START))
        life.waits(5 * MINUTE)
        life.sends()
        life.gets(an_alert(at=life.now), SLACK)
        assert not request_outage_end(life.state, ["pager"], life.now).outbox["pager"].is_behind

    def test_it_is_asked_for_once(self, life: Life) -> None:
        life.gets(an_alert(), PAGER)
        life.sends()
        life.closes()
        life.sends()
        once = request_outage_end(life.state, ["pager"], START)
        assert request_outage_end(once, ["pager"], START + 9) == once
