"""From whatever came in to an event. Each test states one rule."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.ecs.normalise import normalise, parse
from router.errors import UnreadableEvent
from router.model import Subject, SubjectKind

NOW = 1_760_000_000.0


def seconds(*moment: int, fraction: float = 0.0) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp() + fraction  # type: ignore[misc, arg-type]


def without(raw: events.Raw, *keys: str) -> events.Raw:
    copy = deepcopy(raw)
    for key in keys:
        del (copy if key in copy else copy["detail"])[key]
    return copy


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [None, [], "x", 7, True])
def test_what_is_no_object_is_unreadable(raw: object) -> None:
    with pytest.raises(UnreadableEvent, match="not an object"):
        normalise(raw)


@pytest.mark.parametrize("source", ["aws.ec2", "AWS.ECS", "", None, 5, ["aws.ecs"], "x" * 10_000])
def test_another_source_is_unreadable_and_the_reason_is_short(source: object) -> None:
    with pytest.raises(UnreadableEvent, match="unknown source") as raised:
        normalise(events.alarm() | {"source": source})
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize("detail_type", ["", "  ", None, 5, {}])
def test_a_detail_type_that_is_no_text_is_unreadable(detail_type: object) -> None:
    with pytest.raises(UnreadableEvent, match="detail-type"):
        normalise(events.alarm() | {"detail-type": detail_type})


@pytest.mark.parametrize("detail", [None, [], "{}", 5])
def test_a_detail_that_is_no_object_is_unreadable(detail: object) -> None:
    with pytest.raises(UnreadableEvent, match="detail is not an object"):
        normalise(events.alarm() | {"detail": detail})


def test_nesting_that_would_break_a_later_step_is_unreadable() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = {"a": [deep]}
    with pytest.raises(UnreadableEvent, match="nested too deeply"):
        normalise(events.task_event(attributes=deep))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "NaN",
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        b"\xff\xfe\xfa",
        "[" * 100_000,
        "1" * 5000,
        "{'a': 1}",
    ],
)
def test_what_is_no_json_is_unreadable_with_a_short_reason(body: str | bytes) -> None:
    with pytest.raises(UnreadableEvent) as raised:
        parse(body)
    assert 0 < len(str(raised.value)) <= 200


def test_json_is_read_from_text_and_from_bytes() -> None:
    assert parse('{"é": [1, 2.5, null]}') == parse('{"é": [1, 2.5, null]}'.encode()) == {"é": [1, 2.5, None]}


# --- identity and time ------------------------------------------------------------------------------------------------


def test_the_event_keeps_eventbridges_id() -> None:
    assert normalise(events.alarm()).id == "315c1398-40ff-a850-213b-158f73e60175"


@pytest.mark.parametrize("missing", [None, "", " ", 5])
def test_an_event_without_id_gets_a_hash_that_does_not_depend_on_the_order_of_keys(missing: object) -> None:
    raw = events.alarm() | {"id": missing}
    backwards = dict(reversed(raw.items()))
    assert normalise(raw).id == normalise(backwards).id != normalise(raw | {"region": "us-east-1"}).id
    assert len(normalise(raw).id) == 13


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-08-08T17:19:02.67Z", seconds(2024, 8, 8, 17, 19, 2, fraction=0.67)),
        ("2024-08-08T17:19:02Z", seconds(2024, 8, 8, 17, 19, 2)),
        ("2020-07-31T06:56:05.606+0000", seconds(2020, 7, 31, 6, 56, 5, fraction=0.606)),
        ("2020-07-31T15:56:05+09:00", seconds(2020, 7, 31, 6, 56, 5)),
        ("2026-03-05T15:54:41.618059641Z", seconds(2026, 3, 5, 15, 54, 41, fraction=0.618059)),
        ("2024-08-08T17:19:02", seconds(2024, 8, 8, 17, 19, 2)),
        (" 2024-08-08T17:19:02Z ", seconds(2024, 8, 8, 17, 19, 2)),
    ],
)
def test_every_shape_of_time_that_aws_sends_is_read_and_no_zone_means_utc(text: str, expected: float) -> None:
    assert normalise(events.task_event(updatedAt=text)).at == pytest.approx(expected, abs=1e-4)


def test_an_events_time_is_stopped_at_then_updated_at_then_created_at_then_the_envelopes_then_now() -> None:
    raw = events.task_event(
        stoppedAt="2024-01-04T00:00:00Z", updatedAt="2024-01-03T00:00:00Z", createdAt="2024-01-02T00:00:00Z"
    ) | {"time": "2024-01-01T00:00:00Z"}
    for key, day in (("stoppedAt", 4), ("updatedAt", 3), ("createdAt", 2), ("time", 1)):
        assert normalise(raw, now=NOW).at == seconds(2024, 1, day)
        raw = without(raw, key)
    assert normalise(raw, now=NOW).at == NOW


@pytest.mark.parametrize("rubbish", ["", "date", None, 5, True, [], "2024-13-45T99:99:99Z", "0001-01-01T00:00:00Z"])
def test_a_time_that_is_rubbish_gives_way_to_the_next(rubbish: object) -> None:
    raw = events.task_event(stoppedAt=rubbish, updatedAt="2024-01-03T00:00:00Z")
    assert normalise(raw, now=NOW).at == seconds(2024, 1, 3)


def test_a_time_far_ahead_of_the_clock_gives_way_to_the_next() -> None:
    raw = events.task_event(stoppedAt="9999-01-01T00:00:00Z", updatedAt="2024-01-03T00:00:00Z")
    assert normalise(raw, now=NOW).at == seconds(2024, 1, 3)


def test_an_alarms_time_is_its_states_not_the_envelopes() -> None:
    assert normalise(events.alarm(at="2024-01-05T00:00:00.000+0000")).at == seconds(2024, 1, 5)


def test_a_task_started_when_it_reached_running_which_is_not_when_it_was_created() -> None:
    raw = events.task_event(startedAt="2024-01-02T00:00:00Z", createdAt="2024-01-01T00:00:00Z")
    started, pulling = normalise(raw), normalise(without(raw, "startedAt"))
    assert (started.started_at, started.created_at) == (seconds(2024, 1, 2), seconds(2024, 1, 1))
    assert (pulling.started_at, pulling.created_at) == (None, seconds(2024, 1, 1))
    assert normalise(events.service_action()).started_at is None


def test_the_order_in_which_ecs_lists_the_containers_has_no_meaning() -> None:
    names = [
        container.name
        for container in normalise(events.task_event(containers=[{"name": "b"}, {"name": "a"}])).containers
    ]
    assert names == ["a", "b"]


@pytest.mark.parametrize(
    ("stated", "health"), [("UNHEALTHY", "UNHEALTHY"), ("healthy", "HEALTHY"), (None, ""), (3, "")]
)
def test_a_container_has_its_health(stated: object, health: str) -> None:
    raw = events.task_event(containers=[events.container(healthStatus=stated)])
    assert normalise(raw).containers[0].health == health


@pytest.mark.parametrize(
    ("attachments", "reason"),
    [
        (
            [{"type": "EBS", "status": "FAILED", "details": [{"name": "statusReason", "value": "no role"}]}],
            "EBS FAILED: no role",
        ),
        ([{"details": [{"name": "statusReason", "value": "no role"}]}], "no role"),
        ([{"type": "eni", "status": "DELETED", "details": [{"name": "subnetId", "value": "subnet-1"}]}], ""),
        ([{"type": "eni", "details": [{"name": "statusReason"}, None, 3]}, "odd"], ""),
    ],
)
def test_why_an_attachment_failed_is_kept(attachments: object, reason: str) -> None:
    assert normalise(events.task_event(attachments=attachments)).details.get("statusReason", "") == reason


# --- subject ----------------------------------------------------------------------------------------------------------


def fingerprint(raw: events.Raw) -> str:
    return normalise(raw).subject.fingerprint


PROD = "123456789012/eu-west-1/prod"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (events.task_event(service="web"), f"{PROD}/service:web"),
        (events.task_event(service=None, family="nightly"), f"{PROD}/family:nightly"),
        (events.task_event(group="task-group", startedBy="ecs-svc/9223370556150183303"), f"{PROD}/service:web"),
        (events.task_event(group=None, startedBy="ecs-svc/1", serviceName="shop"), f"{PROD}/service:shop"),
        (events.task_event(group="family:x", startedBy="events-rule/nightly"), f"{PROD}/family:web"),
        (events.task_event(group="family:x", startedBy="", taskDefinitionArn="arn"), f"{PROD}/family:x"),
        (events.task_event(group="", startedBy="", taskDefinitionArn=""), f"{PROD}/family:-"),
        (events.task_event(group="service:", startedBy=""), f"{PROD}/service:web"),
        (events.container_exited(), f"{PROD}/service:web"),
        (events.service_action(service="shop"), f"{PROD}/service:shop"),
        (events.service_action(serviceName="new") | {"resources": []}, f"{PROD}/service:new"),
        (events.service_action(service="x") | {"resources": None}, f"{PROD}/cluster:prod"),
        (events.deployment(service="shop"), f"{PROD}/service:shop"),
        (events.hook(service="shop"), f"{PROD}/service:shop"),
        (events.codedeploy(), "123456789012/eu-west-1/-/deployment-group:AppECS-prod-web/DgpECS-prod-web"),
        (without(events.hook(service="shop"), "serviceArn", "clusterArn"), f"{PROD}/service:shop"),
        (events.daemon_action(daemon="monitor"), f"{PROD}/daemon:monitor"),
        (events.instance_state(), f"{PROD}/instance:i-0abcdef1234567890"),
        (events.instance_health(), f"{PROD}/instance:i-0abcdef1234567890"),
        (events.instance_health(ec2InstanceId=None), f"{PROD}/instance:9a7b3a5c1d2e4f60b1c2d3e4f5a6b7c8"),
        (events.alarm(name="a/b c"), "123456789012/eu-west-1/-/alarm:a/b c"),
        (without(events.alarm(name="a/b"), "alarmName"), "123456789012/eu-west-1/-/alarm:a/b"),
        (events.event("ECS New Thing", {}, resources=[events.arn("gadget/prod/g1")]), f"{PROD}/gadget:g1"),
        (events.event("ECS New Thing", {}, resources=[events.arn("task/prod/t1")]), f"{PROD}/-"),
    ],
)
def test_the_subject_is_what_can_be_in_trouble_never_a_task_or_a_revision(raw: events.Raw, expected: str) -> None:
    assert fingerprint(raw) == expected


def test_an_updated_service_names_itself_in_another_field_than_a_created_one() -> None:
    raw = events.service_action() | {"resources": []}
    raw["detail"]["service"] = "shop"
    assert fingerprint(raw) == f"{PROD}/service:shop"


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn", "aws-iso-b"])
def test_every_partition_has_the_same_arns(partition: str) -> None:
    raw = json.loads(json.dumps(events.task_event(service=None)).replace("arn:aws:", f"arn:{partition}:"))
    assert fingerprint(raw) == f"{PROD}/family:web"


def test_the_cluster_is_found_in_any_new_format_arn() -> None:
    raw = without(events.task_event(), "clusterArn")
    assert fingerprint(raw) == f"{PROD}/service:web"
    assert fingerprint(raw | {"resources": []}) == f"{PROD}/service:web"


def test_old_arns_hold_no_cluster() -> None:
    old = events.arn("task/a0d082ff-0cc3-4e68-9426-bf7006a7bb6f")
    event = normalise(without(events.task_event(taskArn=old), "clusterArn") | {"resources": [old]})
    assert (event.subject.cluster, event.task) == ("-", "a0d082ff-0cc3-4e68-9426-bf7006a7bb6f")


def test_a_tasks_own_arn_comes_before_the_resources() -> None:
    raw = events.task_event() | {"resources": [events.arn("task/cut-off")]}
    assert normalise(raw).task == events.TASK
    assert normalise(without(raw, "taskArn")).task == "cut-off"


def test_account_and_region_come_from_an_arn_where_the_envelope_has_none() -> None:
    raw = without(events.task_event(), "account", "region")
    assert fingerprint(raw) == f"{PROD}/service:web"


@pytest.mark.parametrize("garbage", ["arn", "arn:aws:ecs", "", "arn:aws:ecs:eu-west-1:1:cluste", None, 5, "::::::", {}])
def test_a_garbage_arn_gives_fallbacks_not_exceptions(garbage: object) -> None:
    raw = events.task_event(clusterArn=garbage, taskArn=garbage, taskDefinitionArn=garbage, group=garbage, startedBy=[])
    event = normalise(raw | {"account": garbage, "region": None, "resources": garbage, "id": "e1"})
    assert event.subject.cluster == "-"
    assert event.subject.text == "family:-"
    assert (event.task, event.occurrence, event.task_definition) == ("", "e1", "")


def test_names_are_one_bounded_line() -> None:
    event = normalise(events.task_event(service="a\nb\t " + "x" * 10_000))
    assert event.subject.text.startswith("service:a b xxx")
    assert len(event.subject.text) == len("service:") + 255
    bounded = normalise(events.service_action("N" * 10_000, "T" * 10_000, service="s" * 10_000) | {"id": "i" * 10_000})
    assert {len(text) for text in (bounded.id, bounded.name, bounded.type)} == {255}
    assert len(bounded.subject.text) == len("service:") + 255


def test_names_as_long_as_aws_allows_stay_whole_and_apart() -> None:
    cluster, service = "c" * 255, "s" * 254
    for last in "ab":
        resource = events.arn(f"service/{cluster}/{service}{last}")
        subject = normalise(without(events.service_action(), "clusterArn") | {"resources": [resource]}).subject
        assert (subject.cluster, subject.text) == (cluster, f"service:{service}{last}")
        assert normalise(events.task_event(service=f"{service}{last}")).subject.text == f"service:{service}{last}"
        assert normalise(events.alarm(name=f"{service}{last}")).subject.text == f"alarm:{service}{last}"


def test_reasons_are_bounded_but_longer_than_ecs_makes_them() -> None:
    event = normalise(events.task_stopped(None, "r" * 100_000, events.container(reason="c" * 100_000)))
    assert len(event.reason) == len(event.containers[0].reason) == 4096


def test_half_a_surrogate_pair_does_not_reach_what_cannot_encode_it() -> None:
    raw = events.task_event(service="\ud800web", stoppedReason="\udfff")
    event = normalise(raw | {"id": "\ud800"})
    assert f"{event.subject.text}{event.reason}{event.id}".encode()


# --- task fields ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (137, 137),
        (0, 0),
        (-1, -1),
        (3221225477, 3221225477),
        ("137", 137),
        (" 1 ", 1),
        (137.0, 137),
        (True, None),
        (False, None),
        (1.5, None),
        ("1.5", None),
        ("", None),
        ("one", None),
        ("1_0", None),
        (None, None),
        ([1], None),
        (10**400, None),
        (1e300, None),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_an_exit_code_is_an_integral_number_or_its_text(value: object, expected: int | None) -> None:
    raw = events.task_stopped()
    raw["detail"]["containers"] = [{"exitCode": value}]
    assert normalise(raw).containers[0].exit_code == expected


@pytest.mark.parametrize("containers", [None, {}, "x", 5, [], [None, 5, "x", []]])
def test_containers_that_are_none_are_left_out(containers: object) -> None:
    assert normalise(events.task_event() | {"detail": {"containers": containers}}).containers == ()


def test_states_and_names_are_upper_case() -> None:
    event = normalise(events.task_event("running", desiredStatus="stopped", eventName="a_b", eventType="warn"))
    assert (event.status, event.desired_status, event.name, event.type) == ("RUNNING", "STOPPED", "A_B", "WARN")


def test_the_routers_own_event_is_of_a_task_that_runs() -> None:
    event = normalise(events.container_exited())
    assert (event.status, event.desired_status, event.task) == ("RUNNING", "RUNNING", events.TASK)


def test_ecs_events_get_no_state_that_they_do_not_have() -> None:
    raw = without(events.task_event(), "lastStatus", "desiredStatus")
    event = normalise(raw)
    assert (event.status, event.desired_status) == ("", "")


def test_a_task_with_a_stop_time_has_stopped_even_if_its_status_is_lost() -> None:
    assert normalise(without(events.task_stopped(), "lastStatus")).status == "STOPPED"


@pytest.mark.parametrize("code", ["TaskFailedToStart", "InfrastructureHealth", "SpotInterruption"])
def test_a_known_stop_code_is_kept_in_any_case_whatever_the_reason_says(code: str) -> None:
    for stated in (code, code.lower(), code.upper()):
        assert normalise(events.task_stopped(stated, "Task stopped by user")).stop_code == code


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Essential container in task exited", "EssentialContainerExited"),
        ("Task failed to start", "TaskFailedToStart"),
        ("TaskFailedToStart: RESOURCE:GPU", "TaskFailedToStart"),
        ("Timeout waiting for network interface provisioning to complete.", "TaskFailedToStart"),
        ("Timeout waiting for EphemeralStorage provisioning to complete", "TaskFailedToStart"),
        ("CannotPullContainerError: inspect image has been retried 5 time(s)", "TaskFailedToStart"),
        ("ResourceInitializationError: failed to validate logger args: maintenance", "TaskFailedToStart"),
        ("CannotStartContainerError: x", "TaskFailedToStart"),
        ("CannotCreateContainerError: x", "TaskFailedToStart"),
        ("DockerTimeoutError: Could not transition to created", "TaskFailedToStart"),
        ("ContainerRuntimeTimeoutError: x", "TaskFailedToStart"),
        ("Scaling activity initiated by (deployment ecs-svc/1)", "ServiceSchedulerInitiated"),
        ("Availability-zone rebalancing initiated by (deployment ecs-svc/1)", "ServiceSchedulerInitiated"),
        ("Task failed ELB health checks in (target-group arn:aws:x)", "ServiceSchedulerInitiated"),
        ("Task failed container health checks", "ServiceSchedulerInitiated"),
        ("ECS is performing maintenance on the underlying infrastructure", "ServiceSchedulerInitiated"),
        ("Service maintenance: Task stopped by user", "UserInitiated"),
        ("the container instance is in DRAINING state", "ServiceSchedulerInitiated"),
        ("Your Spot Task was interrupted.", "SpotInterruption"),
        ("Host EC2 (instance i-0da6526579af3bd1b) terminated.", "TerminationNotice"),
        ("Container instance deregistration forced by user", "TerminationNotice"),
        ("Task stopped by user", "UserInitiated"),
        ("", ""),
        ("custodian policy", ""),
    ],
)
def test_a_stop_code_that_is_absent_or_unknown_is_inferred_from_the_reason(reason: str, expected: str) -> None:
    assert normalise(events.task_stopped(None, reason)).stop_code == expected
    assert normalise(events.task_stopped(None, f"  {reason.upper()}")).stop_code == expected
    assert normalise(events.task_stopped("SomeNewCode", reason)).stop_code == (expected or "SomeNewCode")


def test_a_stop_code_is_only_a_tasks() -> None:
    assert normalise(events.service_action(reason="Scaling activity initiated")).stop_code == ""


def test_health_checks_that_fail_are_the_reason_of_an_instances_health() -> None:
    assert normalise(events.instance_health()).reason == "ACCELERATED_COMPUTE: XID_46"
    assert normalise(events.instance_health("OK", reason=None)).reason == ""


def test_what_came_in_stays_as_it_was() -> None:
    raw = events.task_stopped()
    before = deepcopy(raw)
    assert normalise(raw).detail == before["detail"]
    assert raw == before


# --- occurrence -------------------------------------------------------------------------------------------------------


def again(raw: events.Raw) -> events.Raw:
    """ECS's own duplicate: the same detail in another envelope."""
    return deepcopy(raw) | {"id": "another-id", "time": "2024-08-08T17:25:00Z"}


TELLING = [
    events.task_stopped(),
    events.container_exited(),
    events.service_action(),
    events.deployment(),
    events.hook(),
    events.daemon_action(),
    events.instance_state(),
    events.instance_health(),
    events.alarm(),
]


@pytest.mark.parametrize("raw", TELLING, ids=lambda raw: str(raw["detail-type"]))
def test_a_duplicate_with_another_envelope_is_the_same_occurrence(raw: events.Raw) -> None:
    assert normalise(raw).occurrence == normalise(again(raw)).occurrence


def test_all_events_of_a_task_are_one_occurrence_its_id() -> None:
    states = [events.task_event(), events.task_stopped(), events.container_exited()]
    assert {normalise(raw).occurrence for raw in states} == {events.TASK}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (events.task_stopped(), events.task_stopped(task="another")),
        (events.service_action(), events.service_action(createdAt="2024-08-08T23:19:02.67Z")),
        (events.service_action(), events.service_action("TASKSET_STEADY_STATE")),
        (events.service_action(), events.service_action(service="shop")),
        (events.service_action(reason="RESOURCE:CPU"), events.service_action(reason="RESOURCE:MEMORY")),
        (events.deployment(), events.deployment(deploymentId="ecs-svc/2")),
        (events.deployment(), events.deployment("SERVICE_DEPLOYMENT_COMPLETED")),
        (events.deployment(), events.deployment(updatedAt="2024-08-08T23:19:02.67Z")),
        (events.hook(), events.hook(hookId="ecs-pause-2")),
        (events.alarm_contributor(), events.alarm_contributor(contributor="another")),
        (events.hook(), events.hook("HOOK_FAILED")),
        (events.instance_state(), events.instance_state(connected=False)),
        (events.instance_health(), events.instance_health("OK")),
        (events.alarm(), events.alarm("OK")),
        (events.alarm(), events.alarm(name="other")),
        (events.alarm(), events.alarm(at="2024-08-08T18:19:02.606+0000")),
    ],
)
def test_what_happened_anew_is_another_occurrence(one: events.Raw, other: events.Raw) -> None:
    assert normalise(one).occurrence != normalise(other).occurrence


def test_without_a_time_of_its_own_an_action_is_told_apart_by_its_id() -> None:
    raw = without(events.service_action(), "createdAt")
    assert normalise(raw).occurrence == raw["id"]
    assert normalise(raw | {"id": "later"}).occurrence == "later"


# --- what messages tell -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_container", "of_task", "limit"),
    [
        ("512", "1024", 512),
        (None, "1024", 1024),
        (None, None, None),
        ("0", "1024", 1024),
        (512, None, 512),
        ("512m", None, None),
        (-1, None, None),
        (True, None, None),
        (10**30, None, None),
        ("9" * 5000, None, None),
    ],
)
def test_a_containers_memory_is_its_own_limit_else_the_tasks(
    of_container: Any, of_task: Any, limit: int | None
) -> None:
    raw = events.task_stopped(
        "EssentialContainerExited", "x", events.container("app", 1, memory=of_container), memory=of_task
    )
    assert normalise(raw).containers[0].memory == limit


def test_a_containers_digest_is_taken_over() -> None:
    raw = events.task_stopped("EssentialContainerExited", "x", events.container("app", 1, imageDigest="sha256:ab"))
    assert normalise(raw).containers[0].digest == "sha256:ab"


def test_a_tasks_deployment_is_the_one_that_started_it() -> None:
    assert normalise(events.task_stopped()).deployment == events.DEPLOYMENT
    assert normalise(events.task_stopped(startedBy="a person")).deployment == ""
    assert normalise(events.task_stopped(startedBy=5)).deployment == ""


def test_details_are_texts_of_known_names_alone() -> None:
    """They are stored and shown: what came in under other names, or of another type, stays out."""
    assert normalise(events.hook(expiresAt=5)).details == {
        "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
        "hookType": "PAUSE",
    }


# --- no two subjects have one fingerprint -----------------------------------------------------------------------------


def deployment_of(application: str, group: str) -> Subject:
    detail = {"application": application, "deploymentGroup": group, "state": "FAILURE"}
    return normalise({"source": "aws.codedeploy", "detail-type": "CodeDeploy", "detail": detail}, now=1.0).subject


@given(*[st.text(st.sampled_from("ab/%2F5"), min_size=1, max_size=6)] * 4)
def test_two_deployment_groups_have_two_fingerprints(application: str, group: str, other: str, another: str) -> None:
    if (application, group) != (other, another):
        assert deployment_of(application, group).fingerprint != deployment_of(other, another).fingerprint


def subject_of_arn(arn: str) -> Subject:
    raw = {"source": "aws.ecs", "detail-type": "ECS Something New", "resources": [arn], "detail": {}}
    return normalise(raw, now=1.0).subject


@pytest.mark.parametrize("kind", ["channel", "alarm", "deployment-group", "family"])
def test_an_unknown_arn_is_not_taken_for_a_subject_of_another_source(kind: str) -> None:
    subject = subject_of_arn(f"arn:aws:ecs:eu-west-1:111122223333:{kind}/slack")
    assert subject.kind is SubjectKind.OTHER
    assert subject.text == f"ecs-{kind}:slack"
    assert Subject.from_text("", "", "", subject.text).kind is SubjectKind.OTHER


def test_a_cluster_called_hyphen_is_not_taken_for_no_cluster() -> None:
    path = "arn:aws:ecs:eu-west-1:111122223333:service"
    clusters = [subject_of_arn(f"{path}/{name}web").cluster for name in ("", "-/", "--/", "a-/")]
    assert clusters == ["-", "--", "---", "a-"]


@pytest.mark.parametrize("place", ["stoppedReason", "container", "attachment"])
def test_reasons_hold_no_secret(place: str) -> None:
    url = "https://b.s3.amazonaws.com/x?X-Amz-Security-Token=IQoJb3JpZ2luX2VjEJrTOKEN&X-Amz-Signature=deadbeefdeadbeef"
    reason = f"CannotPullContainerError: failed to copy: GET {url}: 403"
    details: dict[str, dict[str, object]] = {
        "stoppedReason": {"stoppedReason": reason},
        "container": {"containers": [{"name": "app", "reason": reason}]},
        "attachment": {"attachments": [{"type": "ebs", "details": [{"name": "statusReason", "value": reason}]}]},
    }
    event = normalise({"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": details[place]}, now=1.0)
    shown = repr((event.reason, event.containers, dict(event.details)))
    assert "CannotPullContainerError: failed to copy: GET https://b.s3.amazonaws.com/x?" in shown
    assert "IQoJb3JpZ2luX2VjEJrTOKEN" not in shown
    assert "deadbeef" not in shown
