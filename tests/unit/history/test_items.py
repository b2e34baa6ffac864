"""The items of the history table: their keys, their content, and reading them back."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.history.items import (
    EVENT_LIMIT,
    SHARDS,
    AlertRecord,
    delivery_items,
    each_delivery,
    iso,
    key_of,
    redacted,
    row_item,
    row_key,
    seconds,
    shard,
    state_item,
    state_key,
    to_state,
    unpacked,
)
from router.history.table import INDEXES, Item, plain_item, typed_item
from router.incident.state import (
    Condition,
    Delivery,
    Dispatch,
    KnownTask,
    MessageOptions,
    MutedAlert,
    OutboxEntry,
    RecentAlert,
    RouteTarget,
    SelfReport,
    SubjectState,
)
from router.model import (
    Alarm,
    Alert,
    Container,
    Decision,
    Effects,
    Incident,
    IncidentStatus,
    Kind,
    Outcome,
    Recurrence,
    Severity,
    Silenced,
    Subject,
    SubjectKind,
)

NOW = 1_723_137_600.0  # 2024-08-08T17:20:00Z
TTL = 1_800_000_000
SECRET = "hunter2-hunter2"


def row_of(raw: events.Raw, decision: Decision = Decision.ANNOUNCED) -> AlertRecord:
    event = normalise(raw)
    return AlertRecord(alert(event, classify(event)), decision, "abc-1", event)


def stored(item: Item) -> Item:
    """The value after a round trip through DynamoDB."""
    return plain_item(typed_item(item))


# --- an alert's row ---------------------------------------------------------------------------------------------------

DIED = row_of(events.task_stopped())


def test_an_alerts_id_gives_the_key_of_its_row() -> None:
    item = row_item(DIED, TTL, NOW)
    assert row_key(DIED.alert.id) == (item["pk"], item["sk"])
    assert item["pk"] == f"alert#{events.TASK}"


def test_all_rows_about_one_task_share_a_partition() -> None:
    oom = row_of(events.task_event(containers=[events.container(reason="OutOfMemoryError: killed", exit_code=137)]))
    items = [row_item(row, TTL, NOW) for row in (DIED, oom)]
    assert items[0]["pk"] == items[1]["pk"]
    assert items[0]["sk"] != items[1]["sk"]


@pytest.mark.parametrize("text", ["", "abc", "abc-12", "a.b", events.TASK])
def test_an_invalid_alert_id_has_no_key(text: str) -> None:
    assert row_key(text) is None


def test_a_row_has_the_alert_and_the_decision() -> None:
    item = row_item(DIED, TTL, NOW)
    expected = {
        "id": DIED.alert.id,
        "severity": "critical",
        "cause": "essential_container_exited",
        "rule": "exited badly",
        "decision": "announced",
        "incident": "abc-1",
        "at": "2024-08-08T17:19:02.670Z",
        "recorded_at": "2024-08-08T17:20:00.000Z",
        "fingerprint": "123456789012/eu-west-1/prod/service:web",
        "cluster": "prod",
        "subject": "service:web",
        "task": events.TASK,
        "schema": 1,
        "ttl": TTL,
    }
    assert item.items() >= expected.items()
    assert [(container["name"], container["exit_code"]) for container in item["containers"]] == [("app", 1)]


def test_hot_index_keys_include_day_and_shard() -> None:
    item = row_item(DIED, TTL, NOW)
    day = f"2024-08-08#{shard(DIED.alert.id)}"
    assert item["cluster_day"] == f"prod#{day}"
    assert item["severity_day"] == f"critical#{day}"


def test_the_day_is_that_of_the_event_not_of_its_arrival() -> None:
    item = row_item(DIED, TTL, NOW + 86400)
    assert item["cluster_day"].startswith("prod#2024-08-08#")


def test_shards_are_even_and_stable() -> None:
    shards = [shard(str(number)) for number in range(10_000)]
    assert set(shards) == set(range(SHARDS))
    assert all(800 < shards.count(delivery) < 1200 for delivery in range(SHARDS))
    assert shard("0d6e3df3") == 1


@pytest.mark.parametrize("time", [0.0, 1_723_137_542.67, 1_723_137_600.0, 253_402_300_799.0])
def test_times_sort_as_text_and_can_be_read_back(time: float) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", iso(time))
    assert seconds(iso(time)) == pytest.approx(time, abs=0.001)


@given(st.lists(st.floats(0, 253_402_300_799), min_size=2, max_size=2))
def test_an_earlier_time_never_sorts_behind_a_later_one(times: list[float]) -> None:
    earlier, later = sorted(times)
    assert iso(earlier) <= iso(later)


# --- the event in it --------------------------------------------------------------------------------------------------


def with_environment(value: Any) -> events.Raw:
    return events.task_stopped(overrides={"containerOverrides": [{"name": "app", "environment": value}]})


def test_the_event_is_stored_whole_except_for_secrets() -> None:
    raw = with_environment([{"name": "TOKEN", "value": SECRET}])
    item = stored(row_item(row_of(raw), TTL, NOW))
    detail = unpacked(item["event"])
    assert detail.pop("overrides") == {
        "containerOverrides": [{"name": "app", "environment": [{"name": "TOKEN", "value": "[redacted]"}]}]
    }
    assert detail == {key: value for key, value in stored(raw["detail"]).items() if key != "overrides"}


variables = st.recursive(
    st.just(SECRET),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["value", "Value", "valueFrom", "x"]), inner),
)


@given(variables=variables, path=st.lists(st.sampled_from(["overrides", "x", 0]), max_size=5))
def test_no_environment_variables_value_is_stored_at_any_depth(variables: Any, path: list[str | int]) -> None:
    """In any shape, because only names are known to be harmless."""
    value: Any = {"environment": variables, "kept": 1}
    for step in path:
        value = [value] if step == 0 else {step: value}
    assert SECRET not in str(redacted(value))
    assert "'kept': 1" in str(redacted(value))


def test_redaction_does_not_change_its_input() -> None:
    """The event is still to be classified and announced."""
    raw = {"environment": [{"name": "A", "value": SECRET}]}
    redacted(raw)
    assert raw == {"environment": [{"name": "A", "value": SECRET}]}


def test_an_event_that_is_too_large_is_omitted_from_its_row() -> None:
    noise = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(EVENT_LIMIT))
    item = stored(row_item(row_of(events.task_stopped(noise=noise)), TTL, NOW))
    assert not item.get("event")
    assert (item["cause"], len(item["containers"])) == ("essential_container_exited", 1)


def test_an_event_with_text_that_cannot_be_encoded_is_still_stored() -> None:
    item = stored(row_item(row_of(events.task_stopped(odd="half a \ud83d pair")), TTL, NOW))
    assert unpacked(item["event"])["odd"] == "half a ? pair"


# --- how things stand with a subject ----------------------------------------------------------------------------------

TIMES = st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000)
COUNTS = st.integers(0, 10**9)
OF_HINT: Mapping[Any, st.SearchStrategy[Any]] = {
    float: TIMES,
    float | None: st.none() | TIMES,
    int: COUNTS,
    int | None: st.none() | COUNTS,
    Mapping[str, int]: st.dictionaries(st.text(), COUNTS, max_size=3),
    Mapping[str, float]: st.dictionaries(st.text(), TIMES, max_size=3),
    Mapping[str, tuple[tuple[float, int], ...]]: st.dictionaries(
        st.text(), st.lists(st.tuples(TIMES, COUNTS), max_size=3).map(tuple), max_size=3
    ),
}


def whole(kind: type[Any], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Every field is built, including those with a default, so that a new field cannot be forgotten."""
    hints = get_type_hints(kind)
    others = {name: OF_HINT.get(hint, st.from_type(hint)) for name, hint in hints.items() if name not in given}
    return st.builds(kind, **given, **others)


SUBJECTS = st.builds(
    Subject.from_text,
    *[st.text()] * 3,
    st.text() | st.sampled_from([*SubjectKind, "x"]).map(lambda kind: f"{kind}:web"),
)


SILENCED = st.none() | whole(Silenced, by=st.dictionaries(st.text(), st.text(), max_size=3))


ANY_NUMBER = st.floats(allow_nan=False, allow_infinity=False)
ALARMS = whole(
    Alarm,
    values=st.lists(ANY_NUMBER, max_size=3).map(tuple),
    **dict.fromkeys(("period", "threshold", "lower", "upper"), st.none() | ANY_NUMBER),
    **dict.fromkeys(("dimensions", "children"), st.dictionaries(st.text(), st.text(), max_size=3)),
)


def alerts_of(subject: Subject) -> st.SearchStrategy[Alert]:
    containers = st.lists(whole(Container), max_size=2).map(tuple)
    return whole(
        Alert, subject=st.just(subject), containers=containers, alarm=st.none() | ALARMS, effects=st.just(Effects())
    )


def muted_of(subject: Subject) -> st.SearchStrategy[MutedAlert]:
    targets = st.lists(whole(RouteTarget, remind=TIMES), max_size=2).map(tuple)
    return whole(MutedAlert, alert=alerts_of(subject), targets=targets, recurrence=whole(Recurrence))


def incidents_of(subject: Subject) -> st.SearchStrategy[Incident]:
    statuses = st.sampled_from(["open", "recovering", "resolved", "lapsed", "unconfirmed", "closed"])
    return whole(
        Incident,
        status=statuses,
        subject=st.just(subject),
        alert=alerts_of(subject),
        latest=st.none() | alerts_of(subject),
        relapsed_at=st.lists(TIMES, max_size=3).map(tuple),
        silenced=SILENCED,
        recurrence=whole(Recurrence),
    )


STANDINGS = SUBJECTS.flatmap(
    lambda subject: whole(
        SubjectState,
        subject=st.just(subject),
        incident=st.none() | incidents_of(subject),
        outbox=st.dictionaries(st.text(), whole(OutboxEntry), max_size=3),
        silenced=SILENCED,
        muted=st.none() | muted_of(subject),
        tasks=st.dictionaries(
            st.text(),
            whole(KnownTask, self_reports=st.dictionaries(st.text(), whole(SelfReport), max_size=2)),
            max_size=2,
        ),
        recent=st.dictionaries(st.text(min_size=8, max_size=8), whole(RecentAlert), max_size=4),
        conditions=st.dictionaries(st.text(), whole(Condition), max_size=2),
        superseded=st.none(),
        given_up=st.just(()),
        unknown=st.just({}),
    )
)


@given(STANDINGS)
def test_a_state_is_read_back_unchanged_with_the_next_version(state: SubjectState) -> None:
    item = stored(state_item(state, TTL))
    assert to_state(item) == state._replace(version=state.version + 1)
    assert (item["pk"], item["sk"]) == key_of(state)


@given(STANDINGS)
def test_a_states_times_are_rounded_like_those_of_the_due_index(
    state: SubjectState,
) -> None:
    late = state._replace(resolve_at=NOW + 0.123456, lapse_at=None, muted=None, outbox={}, conditions={})
    item = stored(state_item(late, TTL))
    assert to_state(item).due_at == item["due_at"] == NOW + 0.123


SUBJECT = DIED.alert.subject
OPEN = Incident(1, IncidentStatus.OPEN, SUBJECT, Severity.CRITICAL, {"x": 1}, (), DIED.alert, NOW, NOW)

CELL = OutboxEntry(
    dedup_window=900.0,
    stateful=True,
    options=MessageOptions("<!here>", "ja", "Asia/Tokyo"),
    wanted_revision=2,
    sent_revision=1,
    last_kind_sent=Kind.OPENED,
    announced_severity=Severity.CRITICAL,
    suppressed={"out_of_memory": 3},
    window_step=1,
    window_ends_at=NOW + 900.0,
    attempt=1,
    first_attempt_at=NOW + 1.0,
    due_at=NOW + 0.5,
    throttled=True,
    lease_owner="0f1e",
    lease_ends_at=NOW + 65.0,
    in_doubt=True,
    outcome=Outcome.RETRY,
    response="Slack answered 503",
)
NEW_CELL = OutboxEntry(
    dedup_window=900.0,
    stateful=False,
    options=MessageOptions("", "", ""),
    wanted_revision=0,
    sent_revision=0,
    last_kind_sent=None,
    announced_severity=Severity.INFO,
    suppressed={},
    window_step=0,
    window_ends_at=None,
    attempt=0,
    first_attempt_at=None,
    due_at=None,
    throttled=False,
    lease_owner="",
    lease_ends_at=0.0,
    in_doubt=False,
    outcome=None,
    response="",
)


def test_the_latest_incident_has_the_subjects_key_and_earlier_ones_their_number() -> None:
    newest = SubjectState(SUBJECT, incident=replace(OPEN, number=12))
    assert key_of(newest) == state_key(SUBJECT) == (f"subject#{SUBJECT.key}", "incident")
    assert key_of(newest._replace(archived=True)) == (f"subject#{SUBJECT.key}", "incident#000012")


@pytest.mark.parametrize(
    ("status", "shown"),
    [(status, status in {IncidentStatus.OPEN, IncidentStatus.RECOVERING}) for status in IncidentStatus],
)
def test_only_open_incidents_are_in_the_index_of_open_incidents(status: IncidentStatus, *, shown: bool) -> None:
    item = state_item(SubjectState(SUBJECT, incident=replace(OPEN, status=status)), TTL)
    index = INDEXES["open_incidents"]
    assert (index.partition in item) is shown
    assert item[index.sort] == iso(NOW)


@pytest.mark.parametrize("status", IncidentStatus)
def test_an_unknown_status_is_read_as_open(status: IncidentStatus) -> None:
    item = stored(state_item(SubjectState(SUBJECT, incident=replace(OPEN, status=status)), TTL))
    incident = to_state({**item, "status": "new"}).incident
    assert incident is not None
    assert incident.status is IncidentStatus.OPEN


@pytest.mark.parametrize(
    ("state", "due_at"),
    [
        (SubjectState(SUBJECT), None),
        (
            SubjectState(SUBJECT, incident=OPEN, lapse_at=NOW + 9, outbox={"chat": OutboxEntry(900.0, due_at=NOW + 5)}),
            NOW + 5,
        ),
        (SubjectState(SUBJECT, incident=OPEN, resolve_at=NOW + 1, lapse_at=NOW + 9), NOW + 1),
    ],
)
def test_only_subjects_with_a_due_time_are_in_the_due_index(state: SubjectState, due_at: float | None) -> None:
    item = state_item(state, TTL)
    index = INDEXES["due"]
    assert item.get(index.sort) == due_at
    assert item.get(index.partition) == (None if due_at is None else f"due#{shard(item['pk'])}")


# --- a delivery -------------------------------------------------------------------------------------------------------


def delivery(outcome: Outcome = Outcome.SENT, channel: str = "chat") -> Delivery:
    return Delivery(
        Dispatch(channel, Kind.OPENED, 1, 2, is_first=True, severity=Severity.ERROR, suppressed={}), outcome, "ok"
    )


def test_deliveries_are_stored_with_their_incident_in_order_of_time() -> None:
    (item,) = delivery_items(SubjectState(SUBJECT, incident=replace(OPEN, number=7)), [delivery()], TTL, NOW)
    assert (item["pk"], item["sk"]) == (f"subject#{SUBJECT.key}", "delivery#000007#2024-08-08T17:20:00.000Z#chat#1.2")
    (found,) = each_delivery(stored(item))
    said = {"channel": "chat", "kind": "opened", "outcome": "sent", "attempt": 2, "answer": "ok"}
    assert found.items() >= {"incident": f"{SUBJECT.key}-7", "ttl": TTL, "at": iso(NOW), **said}.items()


def test_deliveries_recorded_together_are_one_item_and_are_read_separately() -> None:
    made = [delivery(channel=name) for name in ("email", "slack", "teams")]
    (item,) = delivery_items(SubjectState(SUBJECT, incident=OPEN), made, TTL, NOW)
    assert [delivery["channel"] for delivery in each_delivery(stored(item))] == ["email", "slack", "teams"]


def test_only_failed_deliveries_are_in_the_index_of_failures_each_as_its_own_item() -> None:
    failed = [delivery(Outcome.FAILED, name) for name in ("slack", "teams")]
    made = [delivery(channel="email"), *failed, delivery(Outcome.RETRY, "pager")]
    items = list(delivery_items(SubjectState(SUBJECT, incident=OPEN), made, TTL, NOW))
    index = INDEXES["failed_deliveries"]
    indexed = [item for item in items if index.partition in item]
    assert [item["channel"] for item in indexed] == ["slack", "teams"]
    assert [item[index.partition] for item in indexed] == [
        f"failed#2024-08-08#{shard(delivery['sk'])}" for delivery in indexed
    ]
    assert [delivery["channel"] for item in items for delivery in each_delivery(item)] == [
        "slack",
        "teams",
        "email",
        "pager",
    ]


def test_a_delivery_without_an_incident_is_an_error() -> None:
    with pytest.raises(ValueError, match="always of an incident"):
        list(delivery_items(SubjectState(SUBJECT), [delivery()], TTL, NOW))
