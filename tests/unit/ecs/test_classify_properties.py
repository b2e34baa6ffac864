"""What holds of every event there can be, not only of those that somebody thought of."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import SOURCES, normalise
from router.ecs.reasons import STOP_CODES
from router.errors import UnreadableEvent
from router.model import OWN_SOURCE, Alert

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text(max_size=8), children, max_size=3)  # any shape, shallow
    ),
    max_leaves=8,
)
REALISTIC = [
    events.task_event(),
    events.task_stopped(),
    events.task_stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)"),
    events.container_exited(),
    events.service_action(),
    events.deployment(),
    events.hook(),
    events.daemon_action(),
    events.instance_state(),
    events.instance_health(),
    events.alarm(),
]
REASONS = {
    "stopped_by_user": "Task stopped by user",
    "spot_interruption": "Your Spot Task was interrupted.",
    "out_of_memory": "OutOfMemoryError: Container killed due to memory usage",
    "image_pull_failed": "CannotPullContainerError: pull image manifest has been retried 5 time(s)",
    "resource_initialization_failed": "ResourceInitializationError: failed to validate logger args",
    "container_start_failed": "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s",
    "task_failed_to_start": "Timeout waiting for EphemeralStorage provisioning to complete",
    "health_check_failed": "Task failed ELB health checks in (elb classic)",
    "infrastructure_maintenance": "ECS is performing maintenance on the underlying infrastructure hosting the task",
    "stopped_by_scheduler": "Scaling activity initiated by (deployment ecs-svc/4632134779785246340)",
    "host_terminated": "Host EC2 (instance i-0da6526579af3bd1b) terminated.",
}


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of an event stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, child in items for path in ((*here, key), *paths(child, (*here, key)))]


def replaced(raw: events.Raw, path: tuple[Any, ...], value: object) -> events.Raw:
    copy = deepcopy(raw)
    place: Any = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


def told(raw: object) -> Alert:
    event = normalise(raw, now=0.0)
    return alert(event, classify(event))


@st.composite
def broken(draw: st.DrawFn) -> events.Raw:
    """A realistic event of which any values, anywhere, were replaced by any JSON."""
    raw = draw(st.sampled_from(REALISTIC))
    for _ in range(draw(st.integers(1, 4))):
        raw = replaced(raw, draw(st.sampled_from(paths(raw))), draw(JSON))
    return raw


@given(JSON)
def test_any_json_is_an_event_or_unreadable(raw: object) -> None:
    reason = "read"
    try:
        normalise(raw)
    except UnreadableEvent as error:
        reason = str(error)
    assert 0 < len(reason) < 120


@given(broken())
def test_any_value_in_any_field_is_classified_or_unreadable(raw: events.Raw) -> None:
    try:
        result = told(raw)
    except UnreadableEvent:
        return
    assert result.cause
    assert result.cause.isascii()
    assert all(len(part) <= 4096 for part in (result.reason, result.title, result.id, result.subject.fingerprint))
    f"{result}".encode()  # no half surrogates


@given(detail=st.dictionaries(st.text(max_size=12), JSON, max_size=6), source=st.sampled_from(sorted(SOURCES)))
def test_classification_is_total(detail: dict[str, Any], source: str) -> None:
    detail_type = "Container Exited" if source == OWN_SOURCE else "ECS Task State Change"
    assert told(events.event(detail_type, detail, source=source)).rule


@given(
    raw=st.sampled_from(REALISTIC),
    event_id=st.uuids().map(str),
    time=st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
)
def test_a_duplicate_in_another_envelope_is_the_same_alert(raw: events.Raw, event_id: str, time: str) -> None:
    assert told(raw).id == told(raw | {"id": event_id, "time": time}).id


SPACES = st.sampled_from(["", " ", "\n", "\t  "])
PREFIXES = st.sampled_from(["", "Service web: ", "Service maintenance: ", "Stopped reason: "])


@given(cause=st.sampled_from(sorted(REASONS)), before=SPACES, prefix=PREFIXES, after=SPACES, data=st.data())
def test_case_spaces_and_prefixes_of_a_reason_do_not_matter(
    cause: str, before: str, prefix: str, after: str, data: st.DataObject
) -> None:
    words = data.draw(st.sampled_from([" ", "  ", " \n"])).join(REASONS[cause].split(" "))
    text = f"{before}{prefix}{words}{after}"
    cased = data.draw(st.sampled_from([text, text.upper(), text.lower(), text.title()]))
    assert told(events.task_stopped(None, cased)).cause == cause


@given(cause=st.sampled_from(sorted(REASONS)), cut=st.integers(32, 1024))
def test_a_reason_cut_by_ecs_keeps_its_cause(cause: str, cut: int) -> None:
    assert told(events.task_stopped(None, REASONS[cause][:cut])).cause == cause


IRRELEVANT = st.sampled_from(
    [
        "cpu",
        "memory",
        "version",
        "attachments",
        "overrides",
        "availabilityZone",
        "launchType",
        "stoppedAt",
        "clusterArn",
    ]
)


@given(raw=st.sampled_from([raw for raw in REALISTIC if "Task" in raw["detail-type"]]), field=IRRELEVANT, value=JSON)
def test_fields_that_do_not_matter_change_neither_severity_nor_cause(
    raw: events.Raw, field: str, value: object
) -> None:
    one, other = told(raw), told(replaced(raw, ("detail", field), value))
    assert (one.severity, one.cause, one.resolves) == (other.severity, other.cause, other.resolves)


CONTAINERS = st.lists(
    st.builds(
        events.container,
        st.sampled_from("abc"),
        st.sampled_from([None, 0, 1, 137, 143]),
        st.sampled_from([None, "x", "CannotInspectContainerError: x", *REASONS.values()]),
    ),
    max_size=4,
)
CODES = st.sampled_from([*STOP_CODES.values(), "SomeNewCode"])


@given(containers=CONTAINERS, code=CODES, data=st.data())
def test_the_order_of_containers_does_not_matter(containers: list[events.Raw], code: str, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(containers))
    one, other = (told(events.task_stopped(code, "x", containers=container)) for container in (containers, shuffled))
    assert (one.severity, one.cause) == (other.severity, other.cause)


@pytest.mark.parametrize("code", sorted(set(STOP_CODES.values()) - {"TaskFailedToStart", "EssentialContainerExited"}))
@given(containers=CONTAINERS, reason=st.sampled_from(sorted(REASONS.values())))
def test_containers_do_not_count_where_the_stop_code_says_it_all(
    code: str, containers: list[events.Raw], reason: str
) -> None:
    assert told(events.task_stopped(code, reason, containers=containers)).cause == (
        told(events.task_stopped(code, reason, containers=[])).cause
    )


@given(containers=CONTAINERS, code=CODES, service=st.sampled_from(["web", None]))
def test_only_a_good_standalone_run_of_a_task_resolves(
    containers: list[events.Raw], code: str, service: str | None
) -> None:
    result = told(events.task_stopped(code, "x", containers=containers, service=service))
    if result.resolves:
        assert (result.cause, service, code) == ("task_completed", None, "EssentialContainerExited")
        assert {container.get("exitCode") for container in containers} & {0} == {0}
