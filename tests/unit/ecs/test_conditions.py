"""What an event says about states that last."""

from typing import Any

import pytest

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.model import Begun, DeploymentStep, Effects, Ended, EndedBy

TASK = "a" * 32


def effects(raw: events.Raw) -> Effects:
    event = normalise(raw)
    return alert(event, classify(event)).effects


def running(*containers: dict[str, Any], **fields: Any) -> events.Raw:
    return events.task_event("RUNNING", containers=list(containers), task=TASK, **fields)


def hook(name: str, hook_id: str = "ecs-pause-1", **fields: Any) -> events.Raw:
    return {
        "source": "aws.ecs",
        "detail-type": "ECS Hook State Change",
        "id": f"{name}-{hook_id}",
        "account": "123456789012",
        "region": "eu-west-1",
        "time": "2026-03-05T15:54:41Z",
        "resources": [],
        "detail": {
            "eventType": "INFO",
            "eventName": name,
            "hookId": hook_id,
            "hookType": "PAUSE",
            "expiresAt": "2026-03-05T16:04:41Z",
            "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
            "serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/prod/web",
            "serviceDeploymentArn": "arn:aws:ecs:eu-west-1:123456789012:service-deployment/prod/web/0EYSiB0qap8xf0N76F",
            "updatedAt": "2026-03-05T15:54:41.618059641Z",
            **fields,
        },
    }


class TestTasks:
    def test_each_container_that_failed_in_a_running_task_begins_a_condition_of_its_own(self) -> None:
        dead = [events.container("a", 1), events.container("b", 139)]
        alive = events.container("app", lastStatus="RUNNING")
        begun = effects(running(*dead, alive)).begins
        assert [condition.key for condition in begun] == [f"container/{TASK}/a", f"container/{TASK}/b"]

    def test_a_container_that_runs_again_ends_its_condition(self) -> None:
        alive = events.container("app", lastStatus="RUNNING")
        assert effects(running(alive)).ends == (Ended(f"container/{TASK}/app", EndedBy.CONTAINER_RUNNING),)

    def test_the_stop_of_a_task_ends_the_conditions_of_all_its_containers(self) -> None:
        stop = events.task_stopped(containers=[events.container(exit_code=1)], task=TASK)
        assert effects(stop).ends == (Ended(f"container/{TASK}/", EndedBy.TASK_STOPPED),)

    def test_what_a_task_reports_itself_ends_nothing(self) -> None:
        claim = running(events.container("a", 1), events.container("b", lastStatus="RUNNING"))
        claim |= {"source": "ecs-alert-router", "detail-type": "Container Exited"}
        assert effects(claim).ends == ()


class TestAlarms:
    def test_an_alarm_lasts_from_alarm_to_ok(self) -> None:
        assert effects(events.alarm("ALARM")).begins == (Begun("alarm"),)
        assert effects(events.alarm("OK")).ends == (Ended("alarm", EndedBy.ALARM_OK),)

    def test_an_alarm_without_data_is_uncertain_and_not_over(self) -> None:
        assert effects(events.alarm("INSUFFICIENT_DATA")) == Effects(uncertain=("alarm",))

    @pytest.mark.parametrize(("operation", "ends"), [("delete", True), ("update", False), ("create", False)])
    def test_the_deletion_of_an_alarm_ends_it_whatever_its_state_was(self, operation: str, *, ends: bool) -> None:
        raw = events.alarm("ALARM")
        raw = {**raw, "detail-type": "CloudWatch Alarm Configuration Change"}
        raw["detail"] = {**raw["detail"], "operation": operation}
        assert effects(raw).begins == ()
        assert bool(effects(raw).ends) is ends


class TestHooks:
    def test_each_hook_that_waits_is_a_condition_with_its_own_deadline(self) -> None:
        (begun,) = effects(hook("HOOK_AWAITING_ACTION")).begins
        assert begun.key == "hook/ecs-pause-1"
        assert begun.deadline == pytest.approx(1_772_726_681)
        assert begun.arn.endswith("0EYSiB0qap8xf0N76F")
        assert effects(hook("HOOK_AWAITING_ACTION")).immediate

    @pytest.mark.parametrize(
        ("name", "by"),
        [
            ("HOOK_SUCCEEDED", EndedBy.APPROVED),
            ("HOOK_FAILED", EndedBy.REJECTED),
            ("HOOK_TIMED_OUT", EndedBy.APPROVAL_TIMED_OUT),
        ],
    )
    def test_an_answer_ends_its_own_hook_and_no_occurrence(self, name: str, by: EndedBy) -> None:
        said = effects(hook(name, "ecs-pause-2"))
        assert said.ends == (Ended("hook/ecs-pause-2", by),)
        assert not said.ends_occurrences

    @pytest.mark.parametrize("name", ["SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"])
    def test_the_end_of_a_deployment_ends_its_hooks(self, name: str) -> None:
        ended = effects(hook(name, eventName=name)).ends
        assert ended == (Ended("hook/", EndedBy.DEPLOYMENT_ENDED),)

    def test_a_steady_state_ends_no_hook(self) -> None:
        ended = effects(hook("SERVICE_STEADY_STATE", eventName="SERVICE_STEADY_STATE")).ends
        assert [condition.key for condition in ended] == ["too_few_tasks"]


class TestDeployments:
    @pytest.mark.parametrize(
        ("name", "reason", "step"),
        [
            ("SERVICE_DEPLOYMENT_FAILED", "tasks failed to start.", DeploymentStep.FAILED),
            ("SERVICE_DEPLOYMENT_COMPLETED", "deployment completed.", DeploymentStep.COMPLETED),
            (
                "SERVICE_DEPLOYMENT_IN_PROGRESS",
                "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.",
                DeploymentStep.ROLLING_BACK,
            ),
            ("SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS deployment ecs-svc/2 in progress.", None),
        ],
    )
    def test_what_a_deployment_does_is_read_from_its_event(
        self, name: str, reason: str, step: DeploymentStep | None
    ) -> None:
        assert effects(hook(name, eventName=name, reason=reason)).deployment is step


class TestInstances:
    @pytest.mark.parametrize("status", ["DEREGISTERING", "INACTIVE"])
    def test_an_instance_that_leaves_the_cluster_ends_its_impairment(self, status: str) -> None:
        raw = hook("x", eventName="", status=status, containerInstanceArn="arn:aws:ecs:r:1:container-instance/prod/i")
        raw["detail-type"] = "ECS Container Instance State Change"
        assert effects(raw).ends == (Ended("instance", EndedBy.INSTANCE_GONE),)
