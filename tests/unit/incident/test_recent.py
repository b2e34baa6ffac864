"""What a state remembers of its most recent alerts, while their rows may be missing."""

from dataclasses import replace

from local_aws import events
from router.incident.recent import REMEMBERED, find_recent, recent_id, with_changed_id, with_decision, with_recent
from router.incident.state import SubjectState
from router.model import Alert, Decision, Severity
from tests.doubles.alerts import alert_of


def crash(number: int) -> Alert:
    return alert_of(events.task_stopped(task=f"{number:032x}"))


EMPTY = SubjectState(crash(0).subject)


def test_an_id_has_48_bits_in_eight_characters() -> None:
    assert len({recent_id(crash(number).id) for number in range(100)}) == 100
    assert {len(recent_id(crash(number).id)) for number in range(100)} == {8}


def test_a_state_knows_what_was_decided_about_its_alerts() -> None:
    known = find_recent(with_recent(EMPTY, crash(1), Decision.HELD_BACK, 7), crash(1).id)
    assert known
    assert (known.decision, known.severity, known.cause, known.incident) == (
        Decision.HELD_BACK,
        Severity.CRITICAL,
        "essential_container_exited",
        7,
    )
    assert find_recent(EMPTY, crash(1).id) is None


def test_the_oldest_alert_is_forgotten_first() -> None:
    state = EMPTY
    for number in range(REMEMBERED):
        state = with_recent(state, crash(number), Decision.HELD_BACK, 1)
    state = with_recent(state, crash(0), Decision.ANNOUNCED, 1)  # the newest now
    state = with_recent(state, crash(REMEMBERED), Decision.HELD_BACK, 1)
    assert len(state.recent) == REMEMBERED
    assert [find_recent(state, crash(number).id) is None for number in (0, 1, 2)] == [False, True, False]


def test_the_decision_may_become_another_one() -> None:
    state = with_decision(with_recent(EMPTY, crash(1), Decision.ANNOUNCED, 1), crash(1).id, Decision.GATHERED)
    known = find_recent(state, crash(1).id)
    assert known
    assert known.decision is Decision.GATHERED
    assert with_decision(EMPTY, crash(1).id, Decision.GATHERED) is EMPTY


def test_an_event_leads_to_the_row_that_it_led_to_before() -> None:
    state = with_changed_id(with_recent(EMPTY, crash(1), Decision.ANNOUNCED, 1), "event", crash(1))
    known = find_recent(state, "event")
    assert known
    assert known.alert_id == crash(1).id
    assert known.ended == crash(1).ended


def test_an_event_leads_nowhere_if_its_alert_is_not_known() -> None:
    assert with_changed_id(EMPTY, "event", crash(1)) is EMPTY


def test_the_containers_that_were_left_out_are_known() -> None:
    changed = replace(crash(1), ended=("agent",))
    state = with_changed_id(with_recent(EMPTY, changed, Decision.ANNOUNCED, 1), "event", changed)
    known, alert = find_recent(state, "event"), find_recent(state, changed.id)
    assert known
    assert alert
    assert (known.ended, known.decision) == (("agent",), Decision.ANNOUNCED)
    assert (alert.ended, alert.alert_id) == ((), "")


def test_the_silence_that_held_an_alert_back_is_known() -> None:
    known = find_recent(with_recent(EMPTY, crash(1), Decision.SILENCED, 0, {"s1": "deploying"}), crash(1).id)
    assert known
    assert known.silenced_by == {"s1": "deploying"}


def test_a_decision_that_stays_the_same_changes_nothing() -> None:
    state = with_recent(EMPTY, crash(1), Decision.ANNOUNCED, 1)
    assert with_decision(state, crash(1).id, Decision.ANNOUNCED) is state


def test_another_decision_about_one_alert_leaves_the_others() -> None:
    state = with_recent(with_recent(EMPTY, crash(1), Decision.ANNOUNCED, 1), crash(2), Decision.ANNOUNCED, 1)
    other = find_recent(with_decision(state, crash(1).id, Decision.GATHERED), crash(2).id)
    assert other
    assert other.decision is Decision.ANNOUNCED
