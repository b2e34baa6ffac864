"""Which events reach the router, judged by a matcher that agrees with EventBridge's own on ECS events."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ministack.services import eventbridge

from tests.template.packaged import Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
RULES = ("EcsRule", "AlarmRule", "ContainerExitedRule")
NEWS_OF_DEPLOYMENTS = {"deployment_in_progress", "deployment_completed"}
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
    found = {"lastStatus": last, "desiredStatus": desired, "containers": states, **detail}
    return event("aws.ecs", "ECS Task State Change", **found)


@pytest.fixture(scope="session")
def passes(packaged: Packaged) -> Passes:
    """Tell whether any of the packaged rules lets an event through."""
    patterns = [packaged.properties(rule)["EventPattern"] for rule in RULES]

    def matches(pattern: dict[str, Any], candidate: dict[str, Any]) -> bool:
        request = {"Event": json.dumps(candidate), "EventPattern": json.dumps(pattern)}
        status, _, body = eventbridge._test_event_pattern(request)  # noqa: SLF001  in process it takes no time
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
def test_the_two_minute_notice_of_a_running_task_passes(passes: Passes, stop_code: str) -> None:
    assert passes(task("RUNNING", "STOPPED", "RUNNING", stopCode=stop_code))


def test_the_two_minute_notice_passes_by_its_reason_alone(passes: Passes) -> None:
    assert passes(task("RUNNING", "STOPPED", "RUNNING", stoppedReason="Your Spot Task was interrupted."))


def test_a_container_that_stops_in_a_task_that_runs_on_passes(passes: Passes) -> None:
    assert passes(task("RUNNING", "RUNNING", "RUNNING", "STOPPED"))


def test_a_task_that_just_runs_does_not_pass(passes: Passes) -> None:
    assert not passes(task("RUNNING", "RUNNING", "RUNNING", "RUNNING"))


def test_a_running_task_that_is_scaled_in_does_not_pass(passes: Passes) -> None:
    """Its STOPPED event will."""
    assert not passes(task("RUNNING", "STOPPED", "STOPPED", stopCode="ServiceSchedulerInitiated"))


@pytest.mark.parametrize(
    "state", ["PROVISIONING", "PENDING", "ACTIVATING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "DELETED"]
)
def test_states_on_the_way_do_not_pass(passes: Passes, state: str) -> None:
    assert not passes(task(state, "STOPPED", "STOPPED", stopCode="EssentialContainerExited"))


def test_capacity_providers_in_steady_state_do_not_pass(passes: Passes) -> None:
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
def test_every_other_kind_of_ecs_event_passes_also_one_of_tomorrow(passes: Passes, detail_type: str) -> None:
    assert passes(event("aws.ecs", detail_type, eventName="ANYTHING"))


def test_states_of_container_instances_do_not_pass(passes: Passes) -> None:
    """Their agents disconnect several times an hour as a matter of course."""
    assert not passes(event("aws.ecs", "ECS Container Instance State Change", agentConnected=False, status="ACTIVE"))


def test_api_calls_do_not_pass(passes: Passes) -> None:
    assert not passes(event("aws.ecs", "AWS API Call via CloudTrail", eventName="UpdateService"))


@pytest.mark.parametrize("state", ["ALARM", "OK", "INSUFFICIENT_DATA"])
def test_an_alarm_with_the_prefix_passes_in_every_state(passes: Passes, state: str) -> None:
    found = event("aws.cloudwatch", "CloudWatch Alarm State Change", alarmName="ecs-web-cpu", state={"value": state})
    assert passes(found)


def test_an_alarm_without_the_prefix_does_not_pass(passes: Passes) -> None:
    assert not passes(event("aws.cloudwatch", "CloudWatch Alarm State Change", alarmName="rds-cpu"))


def test_a_container_may_report_its_own_end(passes: Passes) -> None:
    assert passes(event("ecs-alert-router", "Container Exited", container="sidecar"))


def test_nothing_else_of_the_routers_own_passes(passes: Passes) -> None:
    assert not passes(event("ecs-alert-router", "Router Tick"))


def test_other_services_do_not_pass(passes: Passes) -> None:
    assert not passes(event("aws.ec2", "EC2 Instance State-change Notification", state="stopped"))


def corpus() -> Iterator[Any]:
    """Recorded events with what is expected of them."""
    if not CORPUS.is_dir():
        yield pytest.param({}, {}, marks=pytest.mark.skip("the recorded events do not lie beside this checkout"))
        return
    for line in (CORPUS / "index.jsonl").read_text().splitlines():
        entry = json.loads(line)
        yield pytest.param(json.loads((CORPUS / entry["file"]).read_text()), entry["expected"], id=entry["file"])
    for stream in sorted((CORPUS / "streams").glob("*.jsonl")):
        for number, line in enumerate(stream.read_text().splitlines(), start=1):
            entry = json.loads(line)
            yield pytest.param(entry["event"], entry["expected"], id=f"{stream.name}:{number}")


@pytest.mark.parametrize(("recorded", "expected"), list(corpus()))
def test_recorded_events_pass_where_they_speak_and_stay_out_where_they_never_do(
    passes: Passes, recorded: dict[str, Any], expected: dict[str, Any]
) -> None:
    if recorded["source"] == "aws.cloudwatch":  # under a name that the rule is meant for
        recorded["detail"]["alarmName"] = f"ecs-{recorded['detail']['alarmName']}"
    speaks = expected["severity"] != "info" or expected["resolves"] or expected["cause"] in NEWS_OF_DEPLOYMENTS
    if speaks:
        assert passes(recorded)
    if expected["cause"] in MUST_NOT_PASS:
        assert not passes(recorded)
