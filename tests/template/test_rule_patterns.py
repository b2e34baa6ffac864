"""Which events reach the router, according to a matcher that agrees with EventBridge's own on ECS events."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.services import eventbridge

from local_aws import events
from local_aws.events import Raw
from router.ecs.classify import classify
from router.ecs.normalise import normalise
from router.model import Severity
from sidecar import container_exits
from tests.template.lint import forwarder
from tests.template.packaged import Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
RULES = ("EcsRule", "AlarmRule", "CodeDeployRule", "NoticeRule")
SELF_REPORT = "ContainerExitedRule"
DEPLOYMENT_STARTS = {"deployment_in_progress", "deployment_completed"}
MUST_NOT_PASS = {"task_provisioning", "task_pending", "capacity_provider_steady_state"}

Passes = Callable[[dict[str, Any]], bool]


def event(source: str, detail_type: str, **detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "6e0b71a8-7b0d-4c5b-9d61-0f3a3a3cf1de",
        "source": source,
        "detail-type": detail_type,
        "account": "111122223333",
        "region": "eu-central-1",
        "time": "2026-11-22T10:00:00Z",
        "resources": [],
        "detail": detail,
    }


def task(last: str, desired: str, *containers: str, **detail: Any) -> dict[str, Any]:
    """A task state change; `containers` are the containers' states."""
    states = [{"name": f"c{number}", "lastStatus": state} for number, state in enumerate(containers)]
    fields = {"lastStatus": last, "desiredStatus": desired, "containers": states, **detail}
    return event("aws.ecs", "ECS Task State Change", **fields)


@pytest.fixture(scope="session")
def passes(packaged: Packaged) -> Passes:
    """Whether any of the packaged rules matches an event."""
    return matcher(packaged)


@pytest.fixture(scope="session")
def passes_narrowed(everything: Packaged) -> Passes:
    """The same with the clusters prod and batch-*, every lifecycle state, and other prefixes."""
    return matcher(everything)


@pytest.fixture(scope="session")
def is_forwarded() -> Passes:
    """Whether the stack for other accounts forwards an event."""
    rules = [resource for resource in forwarder()["Resources"].values() if resource["Type"] == "AWS::Events::Rule"]
    return matching([rule["Properties"]["EventPattern"] for rule in rules])


def matcher(packaged: Packaged) -> Passes:
    rules = [rule for rule in (*RULES, SELF_REPORT) if rule in packaged.template["Resources"]]
    return matching([packaged.properties(rule)["EventPattern"] for rule in rules])


def matching(patterns: list[dict[str, Any]]) -> Passes:

    def matches(pattern: dict[str, Any], candidate: dict[str, Any]) -> bool:
        request = {"Event": json.dumps(candidate), "EventPattern": json.dumps(pattern)}
        status, _, body = eventbridge._test_event_pattern(request)  # noqa: SLF001  calling it in process is fast
        assert status == 200, body
        result: bool = json.loads(body)["Result"]
        return result

    return lambda candidate: any(matches(pattern, candidate) for pattern in patterns)


@pytest.mark.parametrize("stop_code", ["EssentialContainerExited", "TaskFailedToStart", "UserInitiated", "OfTomorrow"])
def test_every_stopped_task_passes(passes: Passes, stop_code: str) -> None:
    assert passes(task("STOPPED", "STOPPED", "STOPPED", stopCode=stop_code))


def test_a_stopped_task_passes_without_stop_code_reason_or_containers(passes: Passes) -> None:
    assert passes(task("STOPPED", "STOPPED"))


@pytest.mark.parametrize("stop_code", ["SpotInterruption", "TerminationNotice"])
def test_a_spot_interruption_notice_passes(passes: Passes, stop_code: str) -> None:
    assert passes(task("RUNNING", "STOPPED", "RUNNING", stopCode=stop_code))


def test_a_spot_interruption_notice_passes_by_its_stopped_reason(passes: Passes) -> None:
    assert passes(task("RUNNING", "STOPPED", "RUNNING", stoppedReason="Your Spot Task was interrupted."))


def test_a_container_that_stops_in_a_running_task_passes(passes: Passes) -> None:
    assert passes(task("RUNNING", "RUNNING", "RUNNING", "STOPPED"))


def test_a_running_task_does_not_pass(passes: Passes) -> None:
    """A container of it may have been restarted, but no pattern can tell it from a task that has just started."""
    assert not passes(task("RUNNING", "RUNNING", "RUNNING", "RUNNING"))


def test_a_scale_in_of_a_running_task_does_not_pass(passes: Passes) -> None:
    """Its STOPPED event does."""
    assert not passes(task("RUNNING", "STOPPED", "STOPPED", stopCode="ServiceSchedulerInitiated"))


@pytest.mark.parametrize(
    "state", ["PROVISIONING", "PENDING", "ACTIVATING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "DELETED"]
)
def test_transitional_task_states_do_not_pass(passes: Passes, state: str) -> None:
    assert not passes(task(state, "STOPPED", "STOPPED", stopCode="EssentialContainerExited"))


def test_a_capacity_providers_steady_state_does_not_pass(passes: Passes) -> None:
    assert not passes(event("aws.ecs", "ECS Service Action", eventName="CAPACITY_PROVIDER_STEADY_STATE"))


@pytest.mark.parametrize(
    "name", ["SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE", "SERVICE_TASK_PLACEMENT_FAILURE", "OF_TOMORROW"]
)
def test_every_other_service_action_passes(passes: Passes, name: str) -> None:
    assert passes(event("aws.ecs", "ECS Service Action", eventName=name))


@pytest.mark.parametrize(
    "detail_type",
    [
        "ECS Deployment State Change",
        "ECS Hook State Change",
        "ECS Container Instance Health Change",
        "ECS Daemon Deployment State Change",
        "ECS Daemon Service Action",
        "ECS Something That AWS Has Yet To Invent",
    ],
)
def test_every_other_kind_of_ecs_event_passes_including_unknown_ones(passes: Passes, detail_type: str) -> None:
    assert passes(event("aws.ecs", detail_type, eventName="ANYTHING"))


def test_an_agent_that_disconnects_does_not_pass(passes: Passes) -> None:
    """Agents normally disconnect several times an hour."""
    assert not passes(events.instance_state("ACTIVE", connected=False))
    assert not passes(events.instance_state("DRAINING"))


@pytest.mark.parametrize("status", ["DEREGISTERING", "INACTIVE", "REGISTRATION_FAILED"])
def test_an_instance_that_is_deregistered_or_fails_to_register_passes(
    passes: Passes, passes_narrowed: Passes, is_forwarded: Passes, status: str
) -> None:
    raw = events.instance_state(status)
    assert passes(raw)
    assert passes_narrowed(raw)
    assert is_forwarded(raw)


def test_api_calls_do_not_pass(passes: Passes) -> None:
    assert not passes(event("aws.ecs", "AWS API Call via CloudTrail", eventName="UpdateService"))


@pytest.mark.parametrize(
    "call",
    [
        events.run_task("RESOURCE:MEMORY"),
        events.run_task("AGENT", count=2),
        events.run_task("MISSING", eventName="StartTask"),
        events.run_task(error="InvalidParameterException: No Container Instances were found in your cluster."),
        events.run_task(error="AccessDenied: User: x is not authorized to perform: ecs:RunTask"),
    ],
    ids=["failure", "fewer tasks", "StartTask", "error", "denied"],
)
def test_a_refused_call_passes(passes: Passes, passes_narrowed: Passes, is_forwarded: Passes, call: Raw) -> None:
    assert passes(call)
    assert passes_narrowed(call)
    assert is_forwarded(call)


def test_a_call_that_started_its_task_does_not_pass(passes: Passes, is_forwarded: Passes) -> None:
    assert not passes(events.run_task())
    assert not is_forwarded(events.run_task())


@pytest.mark.parametrize(("cluster", "expected"), [("prod", True), ("batch-eu", True), ("default", False)])
def test_with_a_list_of_clusters_only_their_refused_calls_pass(
    passes_narrowed: Passes, cluster: str, *, expected: bool
) -> None:
    assert passes_narrowed(moved(events.run_task("AGENT"), cluster)) is expected
    by_name = events.run_task("AGENT", requestParameters={"cluster": cluster, "taskDefinition": "nightly"})
    assert passes_narrowed(by_name) is expected


@pytest.mark.parametrize("service", ["ECS", "FARGATE"])
def test_a_health_event_of_ecs_or_fargate_passes(
    passes: Passes, passes_narrowed: Passes, is_forwarded: Passes, service: str
) -> None:
    raw = events.health("other|web", service=service)
    assert passes(raw)
    assert passes_narrowed(raw)
    assert is_forwarded(raw)


def test_a_health_event_of_another_service_does_not_pass(passes: Passes, is_forwarded: Passes) -> None:
    assert not passes(events.health(service="EC2"))
    assert not is_forwarded(events.health(service="EC2"))


@pytest.mark.parametrize("state", ["ALARM", "OK", "INSUFFICIENT_DATA"])
def test_an_alarm_with_the_prefix_passes_in_every_state(passes: Passes, state: str) -> None:
    alarm = event("aws.cloudwatch", "CloudWatch Alarm State Change", alarmName="ecs-web-cpu", state={"value": state})
    assert passes(alarm)


def test_an_alarm_without_the_prefix_does_not_pass(passes: Passes) -> None:
    assert not passes(event("aws.cloudwatch", "CloudWatch Alarm State Change", alarmName="rds-cpu"))


def deleted_alarm(name: str, operation: str = "delete") -> dict[str, Any]:
    state = {"value": "ALARM", "timestamp": "2026-11-22T09:59:46.425+0000"}
    detail = {"alarmName": name, "operation": operation, "state": state, "configuration": {"alarmName": name}}
    return event("aws.cloudwatch", "CloudWatch Alarm Configuration Change", **detail)


def test_the_deletion_of_an_alarm_with_the_prefix_passes(
    passes: Passes, passes_narrowed: Passes, is_forwarded: Passes
) -> None:
    assert passes(deleted_alarm("ecs-web-cpu"))
    assert passes_narrowed(deleted_alarm("web-cpu"))
    assert is_forwarded(deleted_alarm("ecs-web-cpu"))


@pytest.mark.parametrize(("name", "operation"), [("rds-cpu", "delete"), ("ecs-web-cpu", "update")])
def test_no_other_change_of_an_alarm_passes(passes: Passes, name: str, operation: str) -> None:
    assert not passes(deleted_alarm(name, operation))


def test_only_the_deletion_of_an_alarm_is_forwarded(is_forwarded: Passes) -> None:
    assert not is_forwarded(deleted_alarm("ecs-web-cpu", "update"))


def self_report(**detail: Any) -> dict[str, Any]:
    """As sidecar/container_exits.py sends it."""
    dead = {"Name": "metrics", "KnownStatus": "STOPPED", "ExitCode": 139}
    task = {
        "Cluster": "prod",
        "TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/prod/158d1c8083dd49d6b527399fd6414f5c",
        "Family": "checkout",
        "Revision": "42",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Containers": [{"Name": "app", "KnownStatus": "RUNNING"}, dead],
    }
    sent = container_exits.event(task, dead, {})
    return event(sent["Source"], sent["DetailType"], **json.loads(sent["Detail"]) | detail)


def test_a_tasks_own_report_passes_only_if_the_setting_is_on(
    passes: Passes, passes_narrowed: Passes, is_forwarded: Passes
) -> None:
    assert not passes(self_report())
    assert passes_narrowed(self_report())
    assert is_forwarded(self_report())


def test_a_self_report_of_another_cluster_does_not_pass(passes_narrowed: Passes) -> None:
    assert not passes_narrowed(self_report(clusterArn="arn:aws:ecs:eu-west-1:123456789012:cluster/production"))


@pytest.mark.parametrize(
    "detail",
    [
        {"lastStatus": "STOPPED"},
        {"desiredStatus": "STOPPED"},
        {"startedAt": "9000-01-01T00:00:00Z"},
        {"stoppedAt": "2020-01-01T00:00:00Z"},
        {"stopCode": "EssentialContainerExited"},
        {"stoppedReason": "CannotPullContainerError: call this number"},
        {"containers": []},
        {"containers": [{"name": "app", "lastStatus": "RUNNING"}]},
        {"taskArn": "x"},
    ],
    ids=json.dumps,
)
def test_a_self_report_with_other_values_does_not_pass(
    passes_narrowed: Passes, is_forwarded: Passes, detail: dict[str, Any]
) -> None:
    assert not passes_narrowed(self_report(**detail))
    assert not is_forwarded(self_report(**detail))


@pytest.mark.parametrize(
    "name", ["clusterArn", "taskArn", "taskDefinitionArn", "lastStatus", "desiredStatus", "containers"]
)
def test_a_self_report_without_one_of_its_fields_does_not_pass(
    passes_narrowed: Passes, is_forwarded: Passes, name: str
) -> None:
    raw = self_report()
    del raw["detail"][name]
    assert not passes_narrowed(raw)
    assert not is_forwarded(raw)


def test_the_self_report_of_the_examples_passes(passes_narrowed: Passes) -> None:
    assert passes_narrowed(events.container_exited())


def test_no_other_event_with_the_routers_source_passes(passes: Passes) -> None:
    assert not passes(event("ecs-alert-router", "Router Tick"))


def test_other_services_do_not_pass(passes: Passes) -> None:
    assert not passes(event("aws.ec2", "EC2 Instance State-change Notification", state="stopped"))


@pytest.mark.parametrize("state", ["START", "SUCCESS", "FAILURE", "STOP"])
def test_a_blue_green_deployment_of_ecs_passes(passes: Passes, state: str) -> None:
    assert passes(events.codedeploy(state))


def test_a_deployment_by_codedeploy_to_something_else_does_not_pass(passes: Passes) -> None:
    assert not passes(events.codedeploy(application="web-servers"))


# --- settings ---------------------------------------------------------------------------------------------------------


def test_an_empty_prefix_does_not_match_every_alarm(least: Packaged) -> None:
    """An empty variable counts as unset."""
    passes = matcher(least)
    assert not passes(events.alarm(name="rds-cpu"))
    assert passes(events.alarm(name="ecs-web-cpu"))


def test_a_configured_prefix_replaces_the_default(passes_narrowed: Passes) -> None:
    assert passes_narrowed(events.alarm(name="web-running-tasks"))
    assert not passes_narrowed(events.alarm(name="ecs-web-cpu"))


EVENTS_BY_KIND = {
    "task": lambda cluster: moved(events.task_stopped(), cluster),
    "container": lambda cluster: moved(events.task_event(containers=[events.container(exit_code=1)]), cluster),
    "service action": lambda cluster: moved(events.service_action("SERVICE_TASK_PLACEMENT_FAILURE", "ERROR"), cluster),
    "deployment": lambda cluster: moved(events.deployment(), cluster),  # names it only in `resources`
    "hook": lambda cluster: moved(events.hook("HOOK_FAILED"), cluster),
    "daemon": lambda cluster: moved(events.daemon_action(), cluster),
    "instance": lambda cluster: moved(events.instance_health(), cluster),
    "instance that goes away": lambda cluster: moved(events.instance_state("INACTIVE"), cluster),
}


def moved(raw: Raw, cluster: str) -> Raw:
    """The same event in another cluster."""
    text = json.dumps(raw).replace(":cluster/prod", f":cluster/{cluster}").replace("/prod/", f"/{cluster}/")
    copy: Raw = json.loads(text)
    return copy


@pytest.mark.parametrize("kind", EVENTS_BY_KIND)
def test_with_a_list_of_clusters_only_their_events_pass(passes_narrowed: Passes, kind: str) -> None:
    assert passes_narrowed(EVENTS_BY_KIND[kind]("prod"))
    assert passes_narrowed(EVENTS_BY_KIND[kind]("batch-7"))
    assert not passes_narrowed(EVENTS_BY_KIND[kind]("production"))
    assert not passes_narrowed(EVENTS_BY_KIND[kind]("my-batch-7"))


@pytest.mark.parametrize("state", ["PROVISIONING", "PENDING", "RUNNING", "DEPROVISIONING"])
def test_with_all_lifecycle_events_every_state_of_a_task_passes(passes_narrowed: Passes, state: str) -> None:
    assert passes_narrowed(events.task_event(state))


def test_with_all_lifecycle_events_instances_pass_and_api_calls_do_not(passes_narrowed: Passes) -> None:
    assert passes_narrowed(events.instance_state(connected=False))
    call = events.service_action() | {"detail-type": "AWS API Call via CloudTrail"}
    assert not passes_narrowed(call)


def test_event_patterns_are_within_eventbridges_limits(everything: Packaged) -> None:
    for rule in everything.of_type("AWS::Events::Rule").values():
        assert len(json.dumps(rule.get("EventPattern", {}), separators=(",", ":"))) <= 2048


# --- generated and recorded events ------------------------------------------------------------------------------------

CODES = st.sampled_from(["EssentialContainerExited", "TaskFailedToStart", "SpotInterruption", "TerminationNotice"])
STOP_CODES_OF_ALL_KINDS = CODES | st.sampled_from(["ServiceSchedulerInitiated", "UserInitiated", "Of Tomorrow", None])
REASONS = st.sampled_from(
    [
        None,
        "Essential container in task exited",
        "Task failed ELB health checks in (target-group x)",
        "Your Spot Task was interrupted.",
        "OutOfMemoryError: container killed due to memory usage",
        "Scaling activity initiated by (deployment ecs-svc/1)",
    ]
)
STATES = st.sampled_from(
    ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"]
)
CONTAINERS = st.builds(
    lambda code, reason, state: events.container(exit_code=code, reason=reason, status=state),
    st.sampled_from([None, 0, 1, 137, 143]),
    REASONS,
    st.sampled_from(["PENDING", "RUNNING", "STOPPED"]),
)
TASKS = st.builds(
    lambda state, desired, code, reason, containers: events.task_event(
        state,
        containers=containers,
        desiredStatus=desired,
        **{key: value for key, value in (("stopCode", code), ("stoppedReason", reason)) if value},
    ),
    STATES,
    st.sampled_from(["RUNNING", "STOPPED"]),
    STOP_CODES_OF_ALL_KINDS,
    REASONS,
    st.lists(CONTAINERS, max_size=3),
)
NAMED = st.builds(
    lambda build, name, kind: build(name, eventType=kind),
    st.sampled_from([events.service_action, events.deployment, events.hook]),
    st.sampled_from(["SERVICE_STEADY_STATE", "SERVICE_DEPLOYMENT_FAILED", "HOOK_FAILED", "OF_TOMORROW"]),
    st.sampled_from(["INFO", "WARN", "ERROR", "OF_TOMORROW"]),
)
OTHERS = st.sampled_from([*map(events.codedeploy, ("SUCCESS", "FAILURE", "STOP")), events.instance_health()])


@given(raw=TASKS | NAMED | OTHERS)
def test_every_warning_or_worse_and_every_resolving_event_passes(passes: Passes, raw: Raw) -> None:
    classification = classify(normalise(raw))
    if classification.severity.at_least(Severity.WARNING) or classification.resolves:
        assert passes(raw), classification


@given(raw=TASKS | NAMED | OTHERS)
def test_every_event_that_passes_is_also_forwarded(passes: Passes, is_forwarded: Passes, raw: Raw) -> None:
    if passes(raw):
        assert is_forwarded(raw)


def test_api_calls_and_other_services_are_not_forwarded(is_forwarded: Passes) -> None:
    assert is_forwarded(events.alarm())
    assert not is_forwarded(events.service_action() | {"detail-type": "AWS API Call via CloudTrail"})
    assert not is_forwarded(event("aws.ec2", "EC2 Instance State-change Notification"))


@given(raw=TASKS)
def test_states_between_running_and_stopped_do_not_pass(passes: Passes, raw: Raw) -> None:
    if raw["detail"]["lastStatus"] not in {"RUNNING", "STOPPED"}:
        assert not passes(raw)


def corpus() -> Iterator[Any]:
    """Recorded events with their expected classification."""
    if not CORPUS.is_dir():
        yield pytest.param({}, {}, marks=pytest.mark.skip("the recorded events are not beside this checkout"))
        return
    for line in (CORPUS / "index.jsonl").read_text().splitlines():
        entry = json.loads(line)
        yield pytest.param(json.loads((CORPUS / entry["file"]).read_text()), entry["expected"], id=entry["file"])
    for stream in sorted((CORPUS / "streams").glob("*.jsonl")):
        for number, line in enumerate(stream.read_text().splitlines(), start=1):
            entry = json.loads(line)
            yield pytest.param(entry["event"], entry["expected"], id=f"{stream.name}:{number}")


@pytest.mark.parametrize(("recorded", "expected"), list(corpus()))
def test_recorded_events_pass_if_they_can_matter_and_only_then(
    passes: Passes, recorded: dict[str, Any], expected: dict[str, Any]
) -> None:
    if recorded["source"] == "aws.cloudwatch":  # with a name that the rule matches
        recorded["detail"]["alarmName"] = f"ecs-{recorded['detail']['alarmName']}"
    can_matter = expected["severity"] != "info" or expected["resolves"] or expected["cause"] in DEPLOYMENT_STARTS
    if can_matter:
        assert passes(recorded)
    if expected["cause"] in MUST_NOT_PASS:
        assert not passes(recorded)
