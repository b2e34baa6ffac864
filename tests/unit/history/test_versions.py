"""Items of a newer version, and damaged ones: each affects only itself."""

import json
import logging
import random
import zlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws import events
from router.channels.state import BundleState, ChannelFailure, ChannelStates
from router.config.silences import Silence
from router.errors import DamagedItem, NewerItem, TransientError
from router.history import items
from router.history.codec import REQUIRED, Record
from router.history.items import CHANNEL_STATES_KEY, SCHEMA, state_item, to_channel_states, to_silence, to_state
from router.history.store import History
from router.history.table import Item, Put, plain_item, typed_item
from router.inbox import handle
from router.incident.state import Condition, KnownTask, MessageOptions, OutboxEntry, SubjectState
from router.model import Alert, Container, Incident, Outcome, Recurrence, Silenced
from tests.doubles.examples import share
from tests.doubles.world import DAY, HOUR, MINUTE, World

TICK = {"source": "ecs-alert-router", "detail-type": "Router Tick", "detail": {}}
OOM = events.container("app", 137, "OutOfMemoryError: Container killed due to memory usage")
NEW = "since_version_2"
"""A field that this version does not know."""


def crash(service: str = "web", number: int = 1, **detail: Any) -> events.Raw:
    return events.task_stopped(task=f"{number:032x}", service=service, **detail)


def busy_world() -> World:
    """Incidents in every state that has something in each record: retries, silences, returns, archives."""
    world = World()
    world.silence(world.now + HOUR, service="quiet")
    world.receive(crash("quiet", 3))
    world.receive(crash(containers=[OOM]), crash("api"), events.service_action(service="api"))
    world.slack.failure = lambda: TransientError("Slack answered 503", status=503)
    world.wait(20 * MINUTE)
    world.receive(crash(number=2), crash("quiet", 4))
    return world


STORED = busy_world().table.rows()
STATES = [item for item in STORED if item["sk"].startswith("incident")]
(CHANNELS,) = [item for item in STORED if (item["pk"], item["sk"]) == CHANNEL_STATES_KEY]
(SILENCE,) = [item for item in STORED if item["pk"] == "silences"]


# --- the stored form of a state, opened and closed again as another version would -------------------------------------


def opened(item: Item) -> Item:
    """An item with its state as plain data."""
    return {**item, "state": items.unpacked_state(item)}


def closed(item: Item) -> Item:
    return {**item, "state": items.packed_state(item["state"])}


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every record and mapping in it, itself first."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(item)


MAPPINGS_OF_DATA = {
    "causes",
    "cause_times",
    "completions",
    "ended",
    "restarted",
    "remote",
    "suppressed",
    "by",
    "details",
    "occurrences",
    "deployments",
    "exits",
    "revisions",
    "dimensions",
    "silenced_by",
    "children",
}
MAPPINGS_OF_RECORDS = {"outbox", "tasks", "self_reports", "conditions"}


def records(value: Any) -> Iterator[dict[str, Any]]:
    """Every record in it: a structure with fields of its own, not a mapping whose keys are data."""
    if isinstance(value, dict):
        yield value
        for name, member in value.items():
            if name in MAPPINGS_OF_RECORDS and isinstance(member, dict):  # an incident's `tasks` is a list of ids
                yield from (record for entry in member.values() for record in records(entry))
            elif name not in MAPPINGS_OF_DATA:
                yield from records(member)
    elif isinstance(value, list):
        for member in value:
            yield from records(member)


CHOICES = {"severity", "status", "last_kind_sent", "announced_severity", "outcome"}
plain_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def of_a_newer_version(draw: st.DrawFn) -> Item:
    """A stored state as a newer version would have written it."""
    item = opened(draw(st.sampled_from(STATES)))
    places = [item, *records(item["state"])]
    for place in draw(st.lists(st.sampled_from(places), min_size=1, max_size=4)):
        place[NEW] = draw(plain_data)
        for name in sorted(CHOICES & place.keys()):
            if place is not item["state"] and draw(st.booleans()):
                place[name] = "unheard of"
    item["schema"] = draw(st.integers(SCHEMA, SCHEMA + 3))
    return closed(item)


@settings(max_examples=share(60))
@given(of_a_newer_version())
def test_a_newer_versions_state_is_written_back_with_everything_unknown(newer: Item) -> None:
    again = opened(state_item(to_state(newer), newer.get("ttl", 0)))
    expected = opened(newer) | {"version": newer["version"] + 1, "schema": SCHEMA}
    if again.keys() != expected.keys():  # an unknown status does not count as over, so the incident is listed as open
        assert (again.keys() - expected.keys(), expected.keys() - again.keys()) == ({"open_shard"}, {"ttl"})
        del again["open_shard"], expected["ttl"]
    assert again == expected


def test_unknown_fields_survive_the_incident_and_are_not_in_the_next_one() -> None:
    world = World()
    world.receive(crash())
    change_state(world, "service:web", add_unknown)
    world.receive(crash(number=2))
    world.wait(16 * MINUTE)
    (item,) = [opened(row) for row in world.rows("subject#") if row["sk"] == "incident"]
    state = item["state"]
    assert [place[NEW] for place in (item, state, state["incident"], state["outbox"]["slack"])] == [1, 2, 3, 4]
    world.receive(events.service_action(createdAt="2024-08-08T18:00:00Z"))
    world.wait(HOUR)
    world.receive(crash(number=3, stoppedAt="2024-08-10T18:00:00Z"))
    found = {row["sk"]: opened(row) for row in world.rows("subject#") if row["sk"].startswith("incident")}
    assert found["incident#000001"]["state"]["incident"][NEW] == 3
    newest = found["incident"]
    assert (newest[NEW], newest["state"][NEW]) == (1, 2)
    assert not any(NEW in place for place in (newest["state"]["incident"], newest["state"]["outbox"]["slack"]))


def test_an_unknown_value_that_this_version_has_changed_does_not_reappear() -> None:
    world = World()
    world.receive(crash())

    def degrade(item: Item) -> None:
        item["state"]["outbox"]["slack"]["outcome"] = "bounced"

    change_state(world, "service:web", degrade)
    state = world.history.state(subject_of(world, "service:web"), world.now)
    assert state.outbox["slack"].outcome is Outcome.RETRY
    for outcome, text in ((Outcome.RETRY, "bounced"), (Outcome.SENT, "sent"), (Outcome.RETRY, "retry")):
        entry = state.outbox["slack"]._replace(outcome=outcome)
        written = world.history.commit(world.now, state=state._replace(outbox={**state.outbox, "slack": entry}))
        assert written is not None
        state = written
        (item,) = [row for row in world.rows("subject#") if row["sk"] == "incident"]
        assert opened(item)["state"]["outbox"]["slack"]["outcome"] == text


def test_channel_states_and_silences_keep_unknown_fields() -> None:
    newer = {**CHANNELS, NEW: {"a": 1}}
    for name in newer["failures"]:
        newer["failures"][name] = {**newer["failures"][name], NEW: [2]}
    assert newer["failures"]
    again = plain_item(typed_item(items.channel_states_item(to_channel_states(newer))))
    assert again == {**newer, "version": newer["version"] + 1}
    silence = {**SILENCE, NEW: "later"}
    assert items.silence_item(to_silence(silence), silence["ttl"]) == {**silence, "version": silence["version"] + 1}


# --- defaults ---------------------------------------------------------------------------------------------------------

RECORDS: list[tuple[type[Any], Record, set[str]]] = [  # what is read from elsewhere, or not stored
    (SubjectState, items.STATE, {"subject", "version", "superseded", "given_up", "unknown"}),
    (Incident, items.INCIDENT, {"subject", "number", "status", "severity"}),
    (Alert, items.ALERT, {"subject", "effects"}),
    (Container, items.CONTAINER, set()),
    (Recurrence, items.RECURRENCE, set()),
    (Silenced, items.SILENCED, set()),
    (Condition, items.CONDITION, set()),
    (KnownTask, items.KNOWN_TASK, set()),
    (OutboxEntry, items.OUTBOX_ENTRY, set()),
    (MessageOptions, items.OPTIONS, set()),
    (BundleState, items.BUNDLE, set()),
    (ChannelFailure, items.FAILURE, set()),
    (ChannelStates, items.CHANNEL_STATES, {"version", "unknown"}),
    (Silence, items.SILENCE, {"planned_end", "hours", "time_zone", "unknown"}),
]


@pytest.mark.parametrize(("kind", "record", "elsewhere"), RECORDS)
def test_each_field_of_stored_data_has_an_entry_in_the_storage_module(
    kind: type[Any], record: Record, elsewhere: set[str]
) -> None:
    names = {field.name for field in fields(kind)} if is_dataclass(kind) else set(kind._fields)
    assert record.fields.keys() == names - elsewhere


@settings(max_examples=share(60))
@given(st.sampled_from(STATES), st.data())
def test_a_state_without_a_field_that_has_a_default_is_read(item: Item, data: st.DataObject) -> None:
    opened_item = opened(item)
    optional = {
        name for _, record, _ in RECORDS for name, field in record.fields.items() if field.default is not REQUIRED
    }
    optional -= {"incident", "rule", "title", "task", "reason", "version"}  # required elsewhere, or half of a pair
    places = [(place, name) for place in records(opened_item["state"]) for name in sorted(optional & place.keys())]
    for place, name in data.draw(st.lists(st.sampled_from(places), max_size=5)):
        place.pop(name, None)
    to_state(closed(opened_item))


def test_the_items_schema_selects_the_compression_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    old = STATES[0]
    monkeypatch.setattr(items, "DICTIONARIES", {**items.DICTIONARIES, SCHEMA + 1: b'"outbox":{"another":'})
    monkeypatch.setattr(items, "SCHEMA", SCHEMA + 1)
    monkeypatch.setattr(items, "STAMP", {"schema": SCHEMA + 1, "min_reader": SCHEMA + 1})
    state = to_state(old)
    new = state_item(state, 0)
    assert new["state"] != old["state"]
    assert to_state(new) == state._replace(version=state.version + 1)
    later = {**new, "schema": SCHEMA + 5}  # without a dictionary of its own
    assert to_state(later) == to_state(new)


# --- newer than this version can read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "item"), [(to_state, STATES[0]), (to_channel_states, CHANNELS), (to_silence, SILENCE)]
)
def test_an_item_for_newer_readers_is_refused_with_the_fix(read: Any, item: Item) -> None:
    with pytest.raises(NewerItem, match="deploy the newer version"):
        read({**item, "min_reader": SCHEMA + 1})


def test_a_silence_on_an_unknown_fact_is_refused() -> None:
    with pytest.raises(NewerItem, match="matches moon"):
        to_silence({**SILENCE, "match": {"moon": ["full"]}})


def test_a_subject_of_a_newer_version_is_not_touched_and_others_are_handled() -> None:
    world = World()
    world.receive(crash("web"), crash("api"))
    change_state(world, "service:web", lambda item: item.update(min_reader=SCHEMA + 1))
    untouched = [item for item in world.rows("subject#") if item.get("subject") == "service:web"]
    result = handle(batch(crash("web", 2), crash("api", 2), crash("new", 3)), world.router, world.deadline(), 5)
    assert result == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    world.now += HOUR
    handle(TICK, world.router, world.deadline(), 5)
    assert [item for item in world.rows("subject#") if item.get("subject") == "service:web"] == untouched
    assert {notification.incident.subject.text for notification in world.slack.told} == {
        "service:web",
        "service:api",
        "service:new",
    }


# --- damaged ----------------------------------------------------------------------------------------------------------

Corruption = Any


def corrupt_bytes(item: Item) -> None:
    item["state"] = item["state"][:40] + bytes(byte ^ 0x55 for byte in item["state"][40:])


DAMAGES = {
    "corrupt bytes": corrupt_bytes,
    "no bytes": lambda item: item.pop("state"),
    "a text in place of bytes": lambda item: item.update(state="packed"),
    "no JSON": lambda item: item.update(state=compressed(b"{")),
    "JSON of another shape": lambda item: item.update(state=compressed(b"[]")),
    "too deep": lambda item: item.update(state=compressed(b"[" * 200_000)),
    "no incident": lambda item: item.pop("number"),
    "another version type": lambda item: item.update(version="x"),
    "no version": lambda item: item.pop("version"),
    "version 0": lambda item: item.update(version=0),
    "no cluster": lambda item: item.pop("cluster"),
    "another subject": lambda item: item.update(cluster="other"),
    "no schema": lambda item: item.pop("schema"),
    "schema 0": lambda item: item.update(schema=0),
    "min_reader no number": lambda item: item.update(min_reader="x"),
}


def compressed(text: bytes) -> bytes:
    compressor = zlib.compressobj(zdict=items.DICTIONARIES[SCHEMA])
    return compressor.compress(text) + compressor.flush()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_affects_only_its_subject_whose_next_alert_is_announced(
    damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world, counted = World(), []
    world.keep_in(History(world.table, 90 * DAY, count_damaged=lambda: counted.append(1)))
    world.slack.failure = lambda: TransientError("500", status=500)
    world.receive(*(crash(f"s{number}", number) for number in range(20)))
    world.slack.failure = lambda: None
    damaged = spoil(world, "service:s7", damage)
    for _ in range(3):
        world.now += MINUTE
        handle(TICK, world.router, world.deadline(), 5)
    names = {notification.incident.subject.text for notification in world.slack.told}
    names |= {incident.subject.text for notification in world.slack.told for incident in notification.bundled}
    assert names == {f"service:s{number}" for number in range(20) if number != 7}
    (copy,) = [item for item in world.rows("subject#") if item["sk"].startswith("damaged#")]
    assert copy["item"] == damaged
    assert copy["reason"] in caplog.text
    assert copy["ttl"] >= world.now + 29 * DAY
    world.receive(crash("s7", 107), *(crash(f"new{number}", 200 + number) for number in range(9)))
    world.wait(2 * MINUTE)
    told = {
        incident.id for notification in world.slack.told for incident in (notification.incident, *notification.bundled)
    }
    assert f"{damaged['pk'].partition('#')[2]}-2" in told
    assert {f"service:new{number}" for number in range(9)} <= {
        incident.subject.text
        for notification in world.slack.told
        for incident in (notification.incident, *notification.bundled)
    }
    assert len(counted) == len([item for item in world.rows("subject#") if item["sk"].startswith("damaged#")])


@settings(max_examples=share(60))
@given(st.sampled_from(STATES), st.randoms(use_true_random=False))
def test_a_state_with_any_value_in_a_field_is_either_read_or_damaged(item: Item, chance: random.Random) -> None:
    odd = opened(item)
    place = chance.choice([odd, *mappings(odd["state"])])
    if not place:
        return
    place[chance.choice(sorted(place.keys() - {"pk", "sk"}))] = chance.choice(
        [None, True, -1, 1e300, "x", [], {}, [[]], "critical"]
    )
    try:
        item = closed(odd)
        state = to_state(item)
    except (DamagedItem, NewerItem):
        restarted = items.restarted_state(item, 1e9)
        assert restarted is None or to_state(state_item(restarted, 0)).incident == restarted.incident
    else:
        state_item(state, 0)


def test_the_readable_lasting_fields_of_a_damaged_state_are_kept() -> None:
    world = World()
    world.receive(events.service_action(createdAt="2024-08-08T17:00:00Z"))
    world.receive(crash(stoppedAt="2024-08-08T18:00:00Z"))
    before = world.history.state(subject_of(world, "service:web"), world.now)
    change_state(world, "service:web", lambda item: item["state"].update(lapse_at="later"))
    after = world.history.state(before.subject, world.now)
    assert before.quiet_from > 0
    assert (after.quiet_from, after.occurrences) == (before.quiet_from, before.occurrences)
    assert after.incident is not None
    assert (after.incident.number, after.incident.status) == (1, "closed")


def test_damaged_channel_states_are_set_aside_and_alerts_are_still_sent() -> None:
    world = World()
    world.receive(crash())
    (item,) = world.rows("channels")
    world.table.commit([Put({**item, "sent_at": "now"})], world.now)
    world.receive(crash("api", 2))
    world.tick()
    assert {notification.incident.subject.text for notification in world.slack.told} == {"service:web", "service:api"}
    assert sorted(row["sk"].partition("#")[0] for row in world.rows("channels")) == ["condition", "damaged"]


def test_a_damaged_silence_silences_nothing_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    silence = world.silence(world.now + HOUR, service="web")
    world.silence(world.now + HOUR, id_="s2", service="api")
    (item,) = [row for row in world.rows("silences") if row["id"] == silence.id]
    world.table.commit([Put({**item, "starts_at": "soon"})], world.now)
    assert world.decisions(crash(), crash("api", 2)) == ["announced", "silenced"]
    assert "starts_at" in caplog.text or "soon" in caplog.text


def test_a_reader_without_retention_reports_a_damaged_state_and_writes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    world = World()
    world.receive(crash())
    spoil(world, "service:web", corrupt_bytes)
    before = world.table.rows()
    (key,) = [(item["pk"], item["sk"]) for item in before if item["sk"] == "incident"]
    assert History(world.table, retention=0.0).load([key], world.now) == []
    assert world.table.rows() == before
    assert "is damaged" in caplog.text


def test_a_damaged_row_is_shown_with_its_readable_fields() -> None:
    world = World()
    world.receive(crash())
    (row,) = world.rows("alert#")
    world.table.commit([Put({**row, "severity": 7, "title": None, "id": [], "event": b"?"})], world.now)
    (shown,) = world.history.by_occurrence(row["pk"].partition("#")[2], world.now)
    assert (shown["id"], shown["severity"], shown["title"]) == (row["id"], "info", "")
    assert items.unpacked(shown["event"]) is None


def test_a_damaged_open_incident_is_listed_with_its_readable_fields() -> None:
    world = World()
    world.receive(crash())
    item = spoil(world, "service:web", lambda item: item.update(severity=3, title=None))
    (shown,) = world.history.open_incidents(world.now)
    assert (shown["id"], shown["severity"], shown["title"]) == (item["id"], "critical", "")


@pytest.mark.parametrize(
    "change", [{"deliveries": "none"}, {"deliveries": [7]}, {"deliveries": [{"channel": "slack"}]}]
)
def test_unreadable_attempts_are_left_out(change: dict[str, Any]) -> None:
    world = World()
    world.receive(crash())
    item, *_ = [row for row in world.rows("subject#") if row["sk"].startswith("delivery#")]
    before = world.history.deliveries(item["incident"], world.now)
    world.table.commit([Put({**item, **change})], world.now)
    assert world.history.deliveries(item["incident"], world.now) == before[1:]


# --- in the table -----------------------------------------------------------------------------------------------------


def batch(*raws: events.Raw) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{place}", "body": json.dumps(raw)} for place, raw in enumerate(raws)]}


def stored_item(world: World, name: str) -> Item:
    (item,) = [row for row in world.rows("subject#") if row["sk"] == "incident" and row["subject"] == name]
    return item


def subject_of(world: World, name: str) -> Any:
    return to_state(stored_item(world, name)).subject


def spoil(world: World, name: str, damage: Any) -> Item:
    item = stored_item(world, name)
    damage(item)
    world.table.commit([Put(item)], world.now)
    return item


def change_state(world: World, name: str, change: Any) -> None:
    item = opened(stored_item(world, name))
    change(item)
    world.table.commit([Put(closed(item))], world.now)


def add_unknown(item: Item) -> None:
    state = item["state"]
    for number, place in enumerate((item, state, state["incident"], state["outbox"]["slack"]), start=1):
        place[NEW] = number
