"""Alarms that CloudWatch mutes or suppresses open no incident until CloudWatch stops doing so."""

from typing import Any

import pytest

from local_aws import events
from router.history.items import iso
from router.incident.lifecycle import close
from router.incident.state import MutedAlert, SubjectState
from router.incident.suppression import NOT_SUPPRESSED, Suppression, extend_mute, forget_muted, suppressed_by
from router.model import Alarm, Begun, Decision, Effects, Kind, Recurrence, Severity
from tests.doubles.subject import EMAIL, SLACK, SUBJECT, Life, a_beginning, an_alert, an_end
from tests.doubles.world import DAY, HOUR, MINUTE, START, World

RULE = f"arn:aws:cloudwatch:{events.REGION}:{events.ACCOUNT}:alarm-mute-rule:nightly-release"


@pytest.fixture
def world() -> World:
    return World()


def alarm(value: str, at: float, *, muted_until: float | None = None, by: str = "", **configuration: Any) -> Any:
    raw = events.alarm(value, at=iso(at)) | {"id": f"{value}-{at}-{by}"}
    if muted_until is not None:
        raw["detail"]["muteDetail"] = {
            "mutedByArn": RULE,
            "muteWindowStart": iso(at - HOUR),
            "muteWindowEnd": iso(muted_until),
        }
    if by:
        raw["detail"]["state"] |= {"actionsSuppressedBy": by, "actionsSuppressedReason": f"Actions suppressed by {by}"}
        configuration["actionsSuppressor"] = "deploying"
    raw["detail"]["configuration"] = configuration
    return raw


def rows(world: World) -> list[tuple[str, str, str]]:
    return [(row["decision"], row.get("silence", ""), row["severity"]) for row in world.rows("alert#")]


def test_a_muted_alarm_is_recorded_as_silenced_by_the_mute_rule_and_announced_to_no_channel(world: World) -> None:
    assert world.decisions(alarm("ALARM", START, muted_until=START + 2 * HOUR)) == [Decision.SILENCED]
    world.wait(HOUR)
    assert rows(world) == [("silenced", "nightly-release", "error")]
    assert not any(channel.tried for channel in world.channels.values())


def test_a_muted_alarm_that_has_not_recovered_is_announced_within_a_minute_of_the_mute_windows_end(
    world: World,
) -> None:
    world.receive(alarm("ALARM", START, muted_until=START + 2 * HOUR))
    world.wait(2 * HOUR - MINUTE)
    assert world.slack.told == []
    world.wait(2 * MINUTE)
    assert world.slack.kinds == world.email.kinds == world.pager.kinds == [Kind.OPENED]
    incident = world.slack.told[0].incident
    assert (incident.severity, incident.count, incident.opened_at) == (Severity.ERROR, 1, START)
    assert "nightly-release" in world.slack.told[0].message.text


def test_a_muted_alarm_that_recovers_in_the_window_is_never_announced(world: World) -> None:
    world.receive(alarm("ALARM", START, muted_until=START + 2 * HOUR))
    world.wait(HOUR)
    world.receive(alarm("OK", world.now, muted_until=START + 2 * HOUR))
    world.wait(3 * HOUR)
    assert world.slack.told == []
    assert world.history.due(world.now + DAY) == []


def test_a_mute_window_may_last_longer_than_an_incident_without_alerts(world: World) -> None:
    world.receive(alarm("ALARM", START, muted_until=START + 3 * DAY))
    world.wait(3 * DAY + MINUTE, step=10 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED]


def test_an_incident_that_was_open_before_stays_open_during_the_window(world: World) -> None:
    world.receive(alarm("ALARM", START))
    world.receive(alarm("ALARM", START + MINUTE, muted_until=START + 3 * DAY))
    world.wait(3 * DAY + MINUTE, step=10 * MINUTE)
    assert Kind.RESOLVED not in world.slack.kinds
    assert {told.incident.number for told in world.slack.told} == {1}


def test_an_alarm_whose_mute_window_is_over_is_announced_at_once(world: World) -> None:
    assert world.decisions(alarm("ALARM", START - 60, muted_until=START)) == [Decision.ANNOUNCED]


def test_the_next_unmuted_alarm_opens_the_incident_and_the_windows_end_announces_it_no_second_time(
    world: World,
) -> None:
    world.receive(alarm("ALARM", START, muted_until=START + HOUR))
    assert world.decisions(alarm("ALARM", START + 60)) == [Decision.ANNOUNCED]
    world.wait(2 * HOUR)
    assert world.slack.kinds == [Kind.OPENED]
    assert world.slack.told[0].incident.count == 1


def test_closing_the_incident_by_hand_forgets_what_is_muted(world: World) -> None:
    (result,) = world.receive(alarm("ALARM", START))
    world.receive(alarm("ALARM", START + 60, muted_until=START + HOUR))
    assert result.routed is not None
    state = world.history.state(result.routed.alert.subject, world.now)
    assert state.muted is not None
    assert close(state, "ann", "known", world.now).muted is None


@pytest.mark.parametrize("by", ["Alarm", "WaitPeriod", "ExtensionPeriod"])
def test_a_suppressed_composite_alarm_is_silenced_by_its_suppressor(world: World, by: str) -> None:
    assert world.decisions(alarm("ALARM", START, by=by)) == [Decision.SILENCED]
    world.wait(DAY)
    assert rows(world) == [("silenced", "deploying", "error")]
    assert world.slack.told == []


def test_the_alarm_after_the_wait_period_is_announced_although_it_reports_the_same_change(world: World) -> None:
    world.receive(alarm("ALARM", START, by="WaitPeriod"))
    world.wait(2 * MINUTE)
    assert world.decisions(alarm("ALARM", START)) == [Decision.ANNOUNCED]
    assert world.pager.kinds == [Kind.OPENED]


def test_a_suppressed_alarm_that_is_ok_again_is_over(world: World) -> None:
    world.receive(alarm("ALARM", START, by="Alarm"))
    world.receive(alarm("OK", START + 60))
    assert world.decisions(alarm("ALARM", START)) == [Decision.ALREADY_RESOLVED]


@pytest.mark.parametrize("end", ["", "never", "9999-99-99", None, 5])
def test_a_mute_window_without_a_readable_end_lasts_until_the_next_unmuted_alarm(world: World, end: Any) -> None:
    raw = alarm("ALARM", START, muted_until=START)
    raw["detail"]["muteDetail"]["muteWindowEnd"] = end
    assert world.decisions(raw) == [Decision.SILENCED]
    assert world.decisions(alarm("ALARM", START + 60)) == [Decision.ANNOUNCED]


@pytest.mark.parametrize("value", ["ALARM", "OK"])
def test_one_time_series_of_an_alarm_neither_opens_nor_resolves_an_incident(world: World, value: str) -> None:
    """The alarm's own event follows the events of its time series."""
    contributor = events.alarm_contributor(value, at=iso(START + MINUTE)) | {"id": "contributor"}
    assert world.decisions(contributor) == [Decision.BELOW_THRESHOLD]
    assert world.decisions(alarm("ALARM", START)) == [Decision.ANNOUNCED]
    contributor = events.alarm_contributor(value, at=iso(START + 2 * MINUTE)) | {"id": "another"}
    assert world.decisions(contributor) == [Decision.BELOW_THRESHOLD]
    world.wait(HOUR)
    assert world.slack.kinds == [Kind.OPENED]


# --- the pure functions -----------------------------------------------------------------------------------------------


MUTED = Alarm(suppressed_by="nightly", suppressed_reason="a release", suppressed_until=START + HOUR)
SILENCE = Suppression({"s1": "deploying"}, START + HOUR)


@pytest.fixture
def life() -> Life:
    return Life()


class TestWhatCloudWatchSuppresses:
    def test_it_is_named_with_its_reason_and_its_end(self) -> None:
        alert = an_alert(alarm=MUTED)
        assert suppressed_by(alert, START) == Suppression({"nightly": "a release"}, START + HOUR)

    def test_it_is_over_at_its_end(self) -> None:
        alert = an_alert(alarm=MUTED)
        assert suppressed_by(alert, START + HOUR - 1)
        assert not suppressed_by(alert, START + HOUR)

    def test_without_an_end_it_lasts(self) -> None:
        alert = an_alert(alarm=MUTED._replace(suppressed_until=None))
        assert suppressed_by(alert, START + 9 * DAY) == Suppression({"nightly": "a release"}, None)

    def test_other_alerts_are_not_suppressed(self) -> None:
        for alarm in (None, Alarm(), MUTED._replace(suppressed_by="")):
            assert suppressed_by(an_alert(alarm=alarm), START) == NOT_SUPPRESSED
        assert not NOT_SUPPRESSED


class TestWhatASilenceKeeps:
    def test_it_keeps_the_alert_and_who_is_to_be_told_of_its_condition(self, life: Life) -> None:
        alert = a_beginning()
        life.gets(alert, SLACK, EMAIL, suppression=SILENCE)
        assert life.state.muted == MutedAlert(START + HOUR, alert, (SLACK, EMAIL), Recurrence(), ("alarm",))

    def test_it_keeps_what_had_happened_before_the_alert(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=SILENCE)
        life.gets(a_beginning(at=START + 60), suppression=SILENCE)
        assert life.state.muted is not None
        assert life.state.muted.recurrence == Recurrence(1, 1, START)

    def test_it_keeps_nothing_of_what_does_not_last(self, life: Life) -> None:
        life.gets(an_alert(), suppression=SILENCE)
        assert life.state.muted is None
        life.gets(a_beginning(), suppression=SILENCE)
        before = life.state.muted
        life.gets(an_alert(at=START + 1), suppression=SILENCE)
        assert life.state.muted == before

    def test_it_keeps_the_newest_alert_with_all_conditions_that_continue(self, life: Life) -> None:
        life.gets(a_beginning("one"), suppression=SILENCE)
        life.gets(a_beginning("two", START + 1), suppression=SILENCE)
        life.gets(an_end("one", START + 2))
        newest = a_beginning("three", START + 3)
        life.gets(newest, suppression=SILENCE._replace(until=START + 9))
        assert life.state.muted is not None
        assert (life.state.muted.alert, life.state.muted.until) == (newest, START + 9)
        assert life.state.muted.conditions == ("two", "three")

    def test_it_keeps_a_condition_once_that_is_reported_twice(self, life: Life) -> None:
        for at in (START, START + 1):
            life.gets(a_beginning(at=at), suppression=SILENCE)
        assert life.state.muted is not None
        assert life.state.muted.conditions == ("alarm",)

    def test_it_keeps_only_the_condition_of_an_older_alert_that_comes_late(self, life: Life) -> None:
        newest = a_beginning("one", START + 60)
        life.gets(newest, suppression=SILENCE)
        life.gets(a_beginning("two"), EMAIL, suppression=SILENCE._replace(until=START + 9))
        assert life.state.muted is not None
        assert (life.state.muted.alert, life.state.muted.until) == (newest, START + HOUR)
        assert life.state.muted.conditions == ("one", "two")

    def test_an_alert_of_the_same_time_is_newer(self, life: Life) -> None:
        life.gets(a_beginning("one"), suppression=SILENCE)
        life.gets(a_beginning("two"), suppression=SILENCE)
        assert life.state.muted is not None
        assert life.state.muted.alert.cause == "cause of two"

    def test_it_keeps_nothing_if_only_another_event_tells_of_its_end(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=SILENCE)
        life.gets(a_beginning(at=START + 1), suppression=Suppression({"suppressor": "why"}))
        assert life.state.muted is None

    def test_it_keeps_no_condition_that_is_over(self, life: Life) -> None:
        both = an_alert(effects=Effects(begins=(Begun("one"), Begun("two"))))
        life.gets(an_end("one", START + 1))
        life.gets(both, suppression=SILENCE)
        assert life.state.muted is not None
        assert life.state.muted.conditions == ("two",)

    def test_its_alert_is_forgotten_once_the_last_condition_has_ended(self, life: Life) -> None:
        life.gets(a_beginning("one"), suppression=SILENCE)
        life.gets(a_beginning("two", START + 1), suppression=SILENCE)
        life.gets(an_end("two", START + 2))
        assert life.state.muted is not None
        life.gets(an_end("one", START + 2))
        assert life.state.muted is None

    def test_its_alert_is_forgotten_if_it_is_not_newer_than_what_was_announced(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=SILENCE)
        assert forget_muted(life.state, START - 1) == life.state
        assert forget_muted(life.state, START).muted is None
        assert forget_muted(SubjectState(SUBJECT), START) == SubjectState(SUBJECT)

    def test_its_alert_is_kept_longer_if_the_silence_goes_on(self, life: Life) -> None:
        life.gets(a_beginning(), suppression=SILENCE)
        extended = extend_mute(life.state, START + DAY).muted
        assert life.state.muted is not None
        assert extended == life.state.muted._replace(until=START + DAY)
        assert extend_mute(SubjectState(SUBJECT), START) == SubjectState(SUBJECT)
