"""History is unreachable: alerts are announced on the last receive, and backfilled when redrive returns them."""

import json
from collections import Counter
from typing import Any

import pytest

from local_aws import events
from router.config.settings import Route
from router.errors import TransientError
from router.model import Kind, Outcome, Severity
from tests.doubles.inbox import (
    MAX_RECEIVES,
    NOTE,
    TASKS,
    buried,
    died,
    receive,
    record,
    without_history,
    without_queues,
)
from tests.doubles.service_events import crash, spot, steady
from tests.doubles.world import DAY, HOUR, MINUTE, START, World


def test_without_history_the_last_receive_announces_the_event_with_a_note_and_dead_letters_a_copy() -> None:
    world = without_history(World())
    assert receive(world, record("a", died(), receives=MAX_RECEIVES)) == []
    for channel in world.channels.values():
        assert channel.kinds == [Kind.OPENED]
        assert channel.told[0].message.text.startswith(f"{NOTE}\n")
    assert buried(world) == [
        (json.dumps(died()), {"reason": "history unavailable", "announced": "slack,email,pager"}),
    ]


def test_without_history_the_rate_limits_of_this_process_apply_and_the_rest_is_bundled() -> None:
    world = without_history(World([Route(Severity.WARNING, channels=("slack", "pager"))]))
    world.slack.budget, world.pager.budget = (1, 1.0), (2, 10.0)
    records = [record(str(number), died(TASKS[number], f"s{number}"), receives=MAX_RECEIVES) for number in range(5)]
    assert receive(world, *records) == []
    (message,) = world.slack.told
    assert len(message.bundled) == 5
    assert message.message.text.startswith(NOTE)
    assert len(world.pager.told) == 2
    announced = Counter(channel for _, notes in buried(world) for channel in notes["announced"].split(","))
    assert announced == {"slack": 5, "pager": 2}


@pytest.mark.parametrize("receives", [1, MAX_RECEIVES - 1, "", "many"])
def test_before_the_last_receive_the_record_is_returned_and_no_channel_is_notified(receives: object) -> None:
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


def test_without_history_a_failed_channel_is_notified_with_the_next_event() -> None:
    world = without_history(World())
    world.slack.failure = lambda: TransientError("busy")
    receive(world, record("a", died(), receives=MAX_RECEIVES))
    world.slack.failure = lambda: None
    receive(world, record("b", died(TASKS[1]), receives=MAX_RECEIVES))
    assert (world.slack.kinds, world.email.kinds) == ([Kind.OPENED], [Kind.OPENED])
    assert [attributes["announced"] for _, attributes in buried(world)] == ["email,pager", "slack"]


def test_without_history_an_unannounced_event_is_only_dead_lettered() -> None:
    world = without_history(World())
    assert receive(world, record("a", events.service_action(), receives=MAX_RECEIVES)) == []
    assert world.slack.told == []
    assert buried(world) == [(json.dumps(events.service_action()), {"reason": "history unavailable"})]


def test_if_the_copy_cannot_be_dead_lettered_the_record_is_returned() -> None:
    world = without_queues(without_history(World()))
    assert receive(world, record("a", died(), receives=MAX_RECEIVES)) == ["a"]
    assert world.slack.kinds == [Kind.OPENED]


# --- backfill ---------------------------------------------------------------------------------------------------------


def redriven(message_id: str, body: object, announced: str, *, receives: int = 1) -> dict[str, Any]:
    """A record as `redrive` puts it back: announced at the time, without history."""
    notes = {"reason": "history unavailable", "announced": announced}
    attributes = {name: {"stringValue": note, "dataType": "String"} for name, note in notes.items()}
    return {**record(message_id, body, receives=receives), "messageAttributes": attributes}


def test_an_event_announced_without_history_is_recorded_without_notifying() -> None:
    world = World()
    assert receive(world, redriven("m1", died(), "slack,email,pager")) == []
    world.wait(2 * MINUTE)
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]
    assert [row["decision"] for row in world.rows("alert#")] == ["announced"]
    (state,) = world.history.load([(world.rows("subject#")[-1]["pk"], "incident")], world.now)
    assert {entry.last_kind_sent for entry in state.outbox.values()} == {Kind.OPENED}


def test_two_events_announced_in_one_message_are_not_announced_again() -> None:
    world = World()
    receive(world, redriven("m1", died(TASKS[1]), ""))
    world.now += 1
    receive(world, redriven("m2", died(TASKS[2]), "slack,email,pager"))
    world.wait(20 * MINUTE)
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]
    assert len(world.rows("alert#")) == 2


def test_a_redriven_event_may_arrive_twice() -> None:
    world = World()
    back = redriven("m1", died(), "slack")
    assert [receive(world, back), receive(world, back)] == [[], []]
    assert len(world.rows("alert#")) == 1
    assert world.slack.tried == 0


def test_a_channel_that_only_the_second_copy_of_an_event_names_has_been_notified() -> None:
    world = World()
    receive(world, redriven("m1", died(), ""))
    world.now += 1
    receive(world, redriven("m2", died(), "slack,pager"))
    (state,) = world.history.load([(world.rows("subject#")[-1]["pk"], "incident")], world.now)
    outcomes = {name: entry.outcome for name, entry in state.outbox.items()}
    assert outcomes == {"slack": Outcome.SENT, "pager": Outcome.SENT, "email": Outcome.FAILED}
    world.wait(20 * MINUTE)
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]


def test_the_copy_of_an_event_of_an_earlier_incident_changes_nothing_about_this_one() -> None:
    world = World()
    receive(world, redriven("m1", crash("t1", START), ""))
    world.receive(steady(START + 1))
    world.wait(5 * HOUR)
    receive(world, redriven("m2", crash("t2", world.now), ""))
    receive(world, redriven("m3", crash("t1", START), "slack"))
    (state,) = world.history.load([(world.rows("subject#")[-1]["pk"], "incident")], world.now)
    assert state.incident
    assert (state.incident.number, state.outbox["slack"].outcome) == (2, Outcome.FAILED)


def test_a_redriven_event_is_never_announced_again_during_a_long_outage() -> None:
    world = World()
    without_history(world)
    assert receive(world, redriven("m1", died(), "slack")) == ["m1"]
    assert receive(world, redriven("m1", died(), "slack", receives=MAX_RECEIVES)) == []
    ((_, notes),) = buried(world)
    assert notes == {"reason": "history unavailable", "announced": "slack"}
    assert world.slack.tried == 0


def test_a_channel_that_was_neither_notified_nor_due_gets_the_event_with_the_next_digest() -> None:
    """Its message without history failed, and in history its window was open: so the alert is held back as usual."""
    world = World()
    world.receive(crash("t1", START))
    world.now += MINUTE
    receive(world, redriven("m1", crash("t2", START + MINUTE), "slack"))
    world.wait(HOUR)
    assert (world.email.kinds, world.slack.kinds) == ([Kind.OPENED, Kind.UPDATED], [Kind.OPENED])


class TestTheEnd:
    """What was announced without history is resolved, although it was announced as incident number 0."""

    def test_a_recovery_after_the_backfill_resolves_both_alerts_of_a_stateful_channel(self) -> None:
        world = World()
        receive(world, redriven("m1", crash("t1", START), "slack,pager"))
        world.wait(MINUTE)
        world.receive(steady(world.now))
        world.wait(10 * MINUTE)
        assert [told.incident.number for told in world.pager.told] == [1, 0]
        assert world.pager.kinds == [Kind.RESOLVED] * 2
        assert world.slack.kinds == [Kind.RESOLVED]

    def test_a_recovery_before_the_backfill_is_announced_by_it(self) -> None:
        world = World()
        world.receive(steady(START + MINUTE))
        world.wait(HOUR)
        receive(world, redriven("m1", crash("t1", START), "slack,pager"))
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [Kind.RESOLVED]
        assert {told.incident.number for told in world.pager.told} == {0, 1}
        assert world.email.tried == 0

    def test_a_return_before_the_end_leaves_nothing_open(self) -> None:
        world = World()
        receive(world, redriven("m1", crash("t1", START), "pager"))
        world.receive(steady(START + 1))
        world.wait(4 * MINUTE)
        world.receive(crash("t2", world.now))
        world.wait(MINUTE)
        world.receive(steady(world.now))
        world.wait(HOUR)
        last = {told.incident.number: told.kind for told in world.pager.told}
        assert last == {0: Kind.RESOLVED, 1: Kind.RESOLVED}

    @pytest.mark.parametrize("ended", [False, True])
    def test_an_alert_that_was_recorded_all_the_same_leaves_nothing_open(self, *, ended: bool) -> None:
        """Its event was received once more, by a copy or by a commit whose answer was lost."""
        world = World()
        world.receive(crash("t1", START))
        world.wait(MINUTE)
        if ended:
            world.receive(steady(world.now))
            world.wait(HOUR)
        receive(world, redriven("m1", crash("t1", START), "slack,pager"))
        world.receive(steady(world.now))
        world.wait(HOUR)
        assert {told.incident.number: told.kind for told in world.pager.told} == {0: Kind.RESOLVED, 1: Kind.RESOLVED}
        assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]

    def test_an_incident_that_reopened_for_others_alone_leaves_nothing_open(self) -> None:
        world = World()
        world.receive(crash("t1", START))
        world.receive(steady(START + 1))
        world.wait(10 * MINUTE)
        world.receive(spot("t2", world.now))
        receive(world, redriven("m1", crash("t1", START), "slack,pager"))
        world.wait(2 * DAY)
        assert {told.incident.number: told.kind for told in world.pager.told} == {0: Kind.RESOLVED, 1: Kind.RESOLVED}

    def test_a_backfill_while_the_incident_is_told_leaves_nothing_open(self) -> None:
        world = World()

        def meanwhile() -> None:
            world.pager.failure = lambda: None
            receive(world, redriven("m2", crash("t2", START + 1), "pager"))

        world.pager.failure = meanwhile
        world.receive(crash("t1", START))
        world.wait(MINUTE)
        world.receive(steady(world.now))
        world.wait(HOUR)
        assert {told.incident.number for told in world.pager.told if told.kind is Kind.RESOLVED} == {0, 1}
