"""What an event means. Each row of the tables below is one line of the classification in docs/classification.md."""

from collections.abc import Mapping

import pytest

from local_aws import events
from local_aws.events import Raw, container, task_event, task_stopped
from router.causes import CAUSES, cause_words
from router.ecs.classify import RULES, alert, classify
from router.ecs.normalise import normalise
from router.model import Classification, Severity

OOM = "OutOfMemoryError: Container killed due to memory usage"
RUNC_OOM = (
    "CannotStartContainerError: Error response from daemon: OCI runtime create failed: starting container process "
    "caused: container init was OOM-killed (memory limit too low?): unknown"
)
PULL = "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref"
INIT = "ResourceInitializationError: unable to pull secrets or registry auth: RequestError: send request failed"
START = "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task"
SCALED = "Scaling activity initiated by (deployment ecs-svc/4632134779785246340)"
UNHEALTHY = (
    "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/0d)"
)
MAINTENANCE = "ECS is performing maintenance on the underlying infrastructure hosting the task"
SPOT = "Your Spot Task was interrupted."
HOST = "Host EC2 (instance i-0da6526579af3bd1b) terminated."
SCHEDULER = "ServiceSchedulerInitiated"
ESSENTIAL = "EssentialContainerExited"
EXITED = "Essential container in task exited"


def verdict(raw: Raw, essential: Mapping[str, bool] | None = None) -> str:
    """`severity cause`, with `!` where it resolves."""
    told = classify(normalise(raw), essential)
    return f"{told.severity} {told.cause}{'!' if told.resolves else ''}"


def exited(*codes: int | None, service: str | None = "web", **fields: object) -> Raw:
    containers = (container(f"c{number}", code) for number, code in enumerate(codes))
    return task_stopped(ESSENTIAL, EXITED, *containers, service=service, **fields)


def scheduled(reason: str, *containers: Raw, service: str | None = "web") -> Raw:
    return task_stopped(SCHEDULER, reason, *containers, service=service)


TASKS = {
    "a user's stop is info, whatever its free text says": (
        task_stopped("UserInitiated", f"{OOM} {SPOT} {UNHEALTHY}", container(exit_code=137, reason=OOM)),
        "info stopped_by_user",
    ),
    "the two-minute notice of Spot comes while the task runs": (
        task_event("RUNNING", desiredStatus="STOPPED", stopCode="SpotInterruption", stoppedReason=SPOT),
        "warning spot_interruption",
    ),
    "Spot, stopped": (task_stopped("SpotInterruption", SPOT), "warning spot_interruption"),
    "Spot under a termination notice, running": (
        task_event("RUNNING", desiredStatus="STOPPED", stopCode="TerminationNotice", stoppedReason=SPOT),
        "warning spot_interruption",
    ),
    "Spot under a termination notice, stopped": (task_stopped("TerminationNotice", SPOT), "warning spot_interruption"),
    "Spot without a code (2021)": (task_stopped(None, SPOT, container(exit_code=2)), "warning spot_interruption"),
    "Spot between its two states": (
        task_event("DEPROVISIONING", desiredStatus="STOPPED", stopCode="SpotInterruption", stoppedReason=SPOT),
        "info task_deprovisioning",
    ),
    "a container of a Spot task does not count": (
        task_stopped("SpotInterruption", SPOT, container(exit_code=137, reason=OOM)),
        "warning spot_interruption",
    ),
    "out of memory": (
        task_stopped(ESSENTIAL, EXITED, container(exit_code=137, reason=OOM)),
        "critical out_of_memory",
    ),
    "out of memory with exit code 0": (
        task_stopped(ESSENTIAL, EXITED, container(exit_code=0, reason=OOM)),
        "critical out_of_memory",
    ),
    "out of memory of a sidecar": (
        task_stopped(ESSENTIAL, EXITED, container(exit_code=1), container("sidecar", 137, OOM)),
        "critical out_of_memory",
    ),
    "OOM-killed counts anywhere in the text": (
        task_stopped("TaskFailedToStart", "Task failed to start", container(reason=RUNC_OOM)),
        "critical out_of_memory",
    ),
    "OOM-killed in the stopped reason": (task_stopped("TaskFailedToStart", RUNC_OOM), "critical out_of_memory"),
    "out of memory with a code nobody knows": (
        task_stopped("SomeNewCode", "something", container(exit_code=137, reason=OOM)),
        "critical out_of_memory",
    ),
    "out of memory of a container while the task runs on": (
        task_event(containers=[container(status="RUNNING"), container("sidecar", 137, OOM)]),
        "critical out_of_memory",
    ),
    "a container that was restarted has not stopped": (
        task_event(containers=[container(exit_code=137, reason=OOM, status="RUNNING")]),
        "info task_running",
    ),
    "out of memory in a task that is about to stop waits for STOPPED": (
        task_event(desiredStatus="STOPPED", containers=[container(exit_code=137, reason=OOM)]),
        "info task_running",
    ),
    "a stopped reason of a task that runs on is nothing": (
        task_event(stoppedReason=OOM),
        "info task_running",
    ),
    "an out-of-memory only mentioned is none": (
        task_stopped(ESSENTIAL, EXITED, container(exit_code=1, reason="gave up after an OutOfMemoryError")),
        "critical essential_container_exited",
    ),
    "image pull, in the stopped reason": (task_stopped("TaskFailedToStart", PULL), "critical image_pull_failed"),
    "image pull, in the container's": (
        task_stopped("TaskFailedToStart", "Task failed to start", container(reason=PULL)),
        "critical image_pull_failed",
    ),
    "image pull behind an exited container": (
        task_stopped(ESSENTIAL, EXITED, container(reason=PULL)),
        "critical image_pull_failed",
    ),
    "image pull with a code nobody knows": (
        task_stopped("SomeNewCode", "something", container(reason=PULL)),
        "warning task_stopped",
    ),
    "image pull under the agent's newer names": (
        task_stopped("TaskFailedToStart", "Task failed to start", container(reason="CannotPullImageManifestError: x")),
        "critical image_pull_failed",
    ),
    "resource initialization": (task_stopped("TaskFailedToStart", INIT), "critical resource_initialization_failed"),
    "resource initialization without a code": (task_stopped(None, INIT), "critical resource_initialization_failed"),
    "of two error names the first wins": (
        task_stopped("TaskFailedToStart", "Task failed to start", container(reason=START)),
        "critical container_start_failed",
    ),
    "container creation": (
        task_stopped("TaskFailedToStart", "CannotCreateContainerError: API error (500): Untar"),
        "critical container_start_failed",
    ),
    "Docker's time-out": (
        task_stopped("TaskFailedToStart", "DockerTimeoutError: Could not transition to created"),
        "critical container_start_failed",
    ),
    "the runtime's time-out": (
        task_stopped("TaskFailedToStart", "ContainerRuntimeTimeoutError: Could not transition to running"),
        "critical container_start_failed",
    ),
    "a container's error comes before the task's": (
        task_stopped("TaskFailedToStart", INIT, container(reason=PULL)),
        "critical image_pull_failed",
    ),
    "failed to start otherwise": (
        task_stopped("TaskFailedToStart", "Timeout waiting for network interface provisioning to complete."),
        "critical task_failed_to_start",
    ),
    "failed to start without containers": (
        task_stopped("TaskFailedToStart", "TaskFailedToStart: RESOURCE:GPU", containers=[]),
        "critical task_failed_to_start",
    ),
    "an error name of no family is still a failed start": (
        task_stopped("TaskFailedToStart", "TaskDependencyError: Task dependencies cannot be resolved"),
        "critical task_failed_to_start",
    ),
    "a bad exit code": (exited(1), "critical essential_container_exited"),
    "a bad exit code beside a good one": (exited(0, 2), "critical essential_container_exited"),
    "no exit code at all": (exited(None), "critical essential_container_exited"),
    "no container at all": (task_stopped(ESSENTIAL, EXITED, containers=[]), "critical essential_container_exited"),
    "SIGTERM alone": (exited(143), "critical essential_container_exited"),
    "SIGINT alone": (exited(130), "critical essential_container_exited"),
    "Windows' Ctrl+C alone": (exited(3221225786), "critical essential_container_exited"),
    **{
        f"{code} beside a good one, {where}": (exited(0, code, service=service), expected)
        for code in (130, 143, 3221225786, -1073741510, 1073807364)
        for where, service, expected in (
            ("standalone", None, "info task_completed!"),
            ("in a service", "web", "warning essential_container_exited"),
        )
    },
    "a crash under Windows beside a good one": (
        exited(0, 3221225477, service=None),
        "critical essential_container_exited",
    ),
    "a stopped one beside a good and a bad one": (
        exited(0, 130, 1, service=None),
        "critical essential_container_exited",
    ),
    "an image called oom-killed that cannot be pulled": (
        task_stopped("TaskFailedToStart", f"{PULL} acme/oom-killed:1: acme/oom-killed:1: not found"),
        "critical image_pull_failed",
    ),
    "a target group called maintenance": (
        scheduled("Task failed ELB health checks in (target-group arn:aws:x:eu-west-1:1:targetgroup/maintenance/0d)"),
        "error health_check_failed",
    ),
    "scale-in by a deployment called draining": (
        scheduled("Scaling activity initiated by (deployment ecs-svc/draining)"),
        "info stopped_by_scheduler",
    ),
    "SIGTERM beside a bad one": (exited(0, 143, 1), "critical essential_container_exited"),
    "SIGKILL beside a good one in a service": (exited(0, 137), "critical essential_container_exited"),
    "SIGKILL beside a good one, standalone": (exited(0, 137, service=None), "warning essential_container_exited"),
    "SIGKILL beside a good one and SIGTERM": (exited(0, 137, 143, service=None), "warning essential_container_exited"),
    "SIGKILL beside a good one and a bad one": (exited(0, 137, 1, service=None), "critical essential_container_exited"),
    "SIGKILL alone, standalone": (exited(137, service=None), "critical essential_container_exited"),
    "memory beside a good one, standalone": (
        task_stopped(ESSENTIAL, EXITED, container("a", 0), container("b", 137, OOM), service=None),
        "critical out_of_memory",
    ),
    "a crash beside a container that ran out of memory, perhaps hours before": (
        task_stopped(ESSENTIAL, EXITED, container("sidecar", 137, OOM), container("app", 139)),
        "critical essential_container_exited",
    ),
    "an own exit code beside a container that ran out of memory": (
        task_stopped(ESSENTIAL, EXITED, container("sidecar", 137, OOM), container("app", 1)),
        "critical out_of_memory",
    ),
    "a good exit in a service": (exited(0), "warning essential_container_exited"),
    "a good exit and SIGTERM in a service": (exited(0, 143), "warning essential_container_exited"),
    "a good exit in a service that only startedBy names": (
        exited(0, group=None, startedBy="ecs-svc/1"),
        "warning essential_container_exited",
    ),
    "a container without code beside one with is ignored": (exited(0, None, service=None), "info task_completed!"),
    "a good standalone run": (exited(0, service=None), "info task_completed!"),
    "a good standalone run whose sidecars got SIGTERM": (exited(0, 143, 143, service=None), "info task_completed!"),
    "a good standalone run with an error name": (
        task_stopped(ESSENTIAL, EXITED, container(exit_code=0, reason="CannotInspectContainerError: x"), service=None),
        "warning essential_container_exited",
    ),
    "a good standalone run without a code (2017)": (
        task_stopped(None, EXITED, container(exit_code=0), service=None),
        "info task_completed!",
    ),
    "failed health checks": (scheduled(UNHEALTHY), "error health_check_failed"),
    "failed container health checks": (
        scheduled("Task failed container health checks", container(exit_code=143)),
        "error health_check_failed",
    ),
    "failed health checks, prefixed": (scheduled(f"Service web: {UNHEALTHY}"), "error health_check_failed"),
    "failed health checks without a code": (task_stopped(None, UNHEALTHY), "error health_check_failed"),
    "maintenance in a service": (scheduled(MAINTENANCE), "info infrastructure_maintenance"),
    "maintenance, prefixed": (scheduled(f"Service web: {MAINTENANCE}"), "info infrastructure_maintenance"),
    "maintenance standalone": (scheduled(MAINTENANCE, service=None), "warning infrastructure_maintenance"),
    "draining": (scheduled("the container instance is in DRAINING state"), "info infrastructure_maintenance"),
    "draining standalone": (scheduled("instance is DRAINING", service=None), "warning infrastructure_maintenance"),
    "deregistered": (scheduled("Container instance deregistration forced by user"), "warning host_terminated"),
    "scale-in": (scheduled(SCALED, container(exit_code=0)), "info stopped_by_scheduler"),
    "scale-in, whatever the exit code": (scheduled(SCALED, container(exit_code=137)), "info stopped_by_scheduler"),
    "scale-in, whatever a container said long ago": (
        scheduled(SCALED, container(exit_code=137, reason=OOM)),
        "info stopped_by_scheduler",
    ),
    "scale-in of a service called maintenance": (
        scheduled(f"Service maintenance: {SCALED}"),
        "info stopped_by_scheduler",
    ),
    "rebalancing": (
        scheduled("Availability-zone rebalancing initiated by (deployment ecs-svc/1)"),
        "info stopped_by_scheduler",
    ),
    "a scheduler's reason not known here": (scheduled("A new reason"), "warning task_stopped"),
    "host terminated": (task_stopped("TerminationNotice", HOST), "warning host_terminated"),
    "host terminated without a code": (task_stopped(None, HOST), "warning host_terminated"),
    "infrastructure health": (task_stopped("InfrastructureHealth", "x"), "warning infrastructure_maintenance"),
    "a stop code of the future": (task_stopped("SomeNewCode", "something"), "warning task_stopped"),
    "nothing said at all": (task_stopped(None, None, containers=[]), "warning task_stopped"),
    "a dead sidecar": (
        task_event(containers=[container(status="RUNNING"), container("sidecar", 1)]),
        "warning container_exited",
    ),
    "a dead sidecar, by error name": (
        task_event(containers=[container(status="RUNNING"), container("sidecar", None, PULL)]),
        "warning container_exited",
    ),
    "a dead sidecar, told by the router itself": (
        events.container_exited(container("sidecar", 1)),
        "warning container_exited",
    ),
    "out of memory, told by the router itself": (
        events.container_exited(container("sidecar", 137, OOM)),
        "warning container_exited",
    ),
    "a container that is done, told by the router itself": (
        events.container_exited(container("init", 0)),
        "info task_running",
    ),
    "a sidecar that is done": (
        task_event(containers=[container(status="RUNNING"), container("init", 0)]),
        "info task_running",
    ),
    "a dead container of a task that shall stop": (
        task_event(desiredStatus="STOPPED", containers=[container(exit_code=1)]),
        "info task_running",
    ),
    "a dead container of a task that still starts": (
        task_event("PENDING", containers=[container(exit_code=1)]),
        "info task_pending",
    ),
    **{
        f"state {status}": (task_event(status, stopCode=ESSENTIAL, stoppedReason=OOM), f"info task_{status.lower()}")
        for status in ("PROVISIONING", "ACTIVATING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "NEW_STATE")
    },
}


def channel_health(value: str) -> events.Raw:
    detail = {"channel": "slack", "state": {"value": value, "reason": "Slack answered 503"}}
    return {"id": "1", "source": "ecs-alert-router", "detail-type": "Channel Health", "detail": detail}


def service_count(value: str) -> events.Raw:
    detail = {"state": {"value": value}}
    resources = [events.arn("service/prod/web")]
    return {
        "id": "1",
        "source": "ecs-alert-router",
        "detail-type": "Service Below Count",
        "resources": resources,
        "detail": detail,
    }


OTHERS = {
    "deployment failed": (events.deployment("SERVICE_DEPLOYMENT_FAILED"), "critical deployment_failed"),
    "deployment failed, as a service action": (
        events.service_action("SERVICE_DEPLOYMENT_FAILED", "ERROR"),
        "critical deployment_failed",
    ),
    "deployment in progress": (events.deployment("SERVICE_DEPLOYMENT_IN_PROGRESS"), "info deployment_in_progress"),
    "rolling back": (
        events.deployment(
            "SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS deployment circuit breaker: ROLLING BACK to deploymentId ecs-svc/1."
        ),
        "warning deployment_rolling_back",
    ),
    "deployment completed": (events.deployment("SERVICE_DEPLOYMENT_COMPLETED"), "info deployment_completed!"),
    "steady state": (events.service_action("SERVICE_STEADY_STATE"), "info service_steady_state!"),
    "task set's steady state": (events.service_action("TASKSET_STEADY_STATE"), "info taskset_steady_state!"),
    "capacity's steady state is not the service's": (
        events.service_action("CAPACITY_PROVIDER_STEADY_STATE"),
        "info capacity_provider_steady_state",
    ),
    "hook failed": (events.hook("HOOK_FAILED"), "error hook_failed"),
    "hook timed out": (events.hook("HOOK_TIMED_OUT"), "error hook_timed_out"),
    "hook waits for somebody": (events.hook("HOOK_AWAITING_ACTION"), "warning hook_awaiting_action"),
    "hook succeeded": (events.hook("HOOK_SUCCEEDED"), "info hook_succeeded!"),
    "event type ERROR": (
        events.service_action("SERVICE_TASK_PLACEMENT_FAILURE", "ERROR"),
        "error service_task_placement_failure",
    ),
    "event type WARN": (
        events.service_action("SERVICE_TASK_START_IMPAIRED", "WARN"),
        "warning service_task_start_impaired",
    ),
    "event type WARNING": (events.daemon_action(), "warning daemon_task_start_impaired"),
    "event type in lower case": (events.service_action("a_new_name", "error"), "error a_new_name"),
    "event type INFO": (events.service_action("TASKS_STOPPED"), "info tasks_stopped"),
    "event type of the future": (events.service_action("X", "FATAL"), "info x"),
    "a detail-type of the future": (
        events.event("ECS Gadget State Change", {"eventType": "ERROR"}),
        "error ecs_gadget_state_change",
    ),
    "a steady state in a detail-type of the future": (
        events.service_action() | {"detail-type": "ECS Service Action v2"},
        "info service_steady_state!",
    ),
    "a task without a state": (events.event("ECS Task State Change", {}), "info ecs_task_state_change"),
    "instance impaired": (events.instance_health("IMPAIRED"), "warning instance_impaired"),
    "instance healthy again": (events.instance_health("OK"), "info instance_impaired!"),
    "instance health unknown": (
        events.instance_health("INITIALIZING"),
        "info ecs_container_instance_health_change",
    ),
    "agent disconnected": (events.instance_state(connected=False), "info agent_disconnected"),
    "instance that failed to register": (
        events.instance_state("REGISTRATION_FAILED", connected=False),
        "warning container_instance_registration_failed",
    ),
    "instance deregistering": (
        events.instance_state("DEREGISTERING", connected=False),
        "info container_instance_deregistering",
    ),
    "instance inactive": (events.instance_state("INACTIVE", connected=False), "info container_instance_inactive"),
    "instance draining": (events.instance_state("DRAINING"), "info container_instance_draining"),
    "channel failing": (channel_health("FAILING"), "error channel_failing"),
    "channel works again": (channel_health("WORKING"), "info channel_failing!"),
    "run overdue": (
        {
            "id": "1",
            "source": "ecs-alert-router",
            "detail-type": "Run Overdue",
            "detail": {"family": "report", "expected": "nightly", "state": {"value": "NOT_STARTED"}},
        },
        "error task_overdue",
    ),
    "no tasks running": (service_count("NONE_RUNNING"), "critical too_few_tasks"),
    "too few tasks": (service_count("TOO_FEW"), "error too_few_tasks"),
    "enough tasks again": (service_count("ENOUGH"), "info too_few_tasks!"),
    "alarm": (events.alarm("ALARM"), "error cloudwatch_alarm"),
    "alarm over": (events.alarm("OK"), "info cloudwatch_alarm!"),
    "alarm without data": (events.alarm("INSUFFICIENT_DATA"), "info cloudwatch_alarm"),
    "alarm contributor": (events.alarm_contributor("ALARM"), "info cloudwatch_alarm_contributor_state_change"),
    "alarm contributor over": (events.alarm_contributor("OK"), "info cloudwatch_alarm_contributor_state_change"),
    "blue/green deployment failed": (events.codedeploy("FAILURE"), "critical deployment_failed"),
    "blue/green deployment stopped": (events.codedeploy("STOP"), "warning deployment_stopped"),
    "blue/green deployment completed": (events.codedeploy("SUCCESS"), "info deployment_completed!"),
    "blue/green deployment begun": (events.codedeploy("START"), "info deployment_in_progress"),
    "blue/green deployment shifted its traffic": (events.codedeploy("READY"), "info deployment_in_progress"),
    "a call that ECS refused": (events.run_task("AGENT"), "error task_not_started"),
    "a call that AWS denied": (events.run_task(error="AccessDeniedException"), "error task_not_started"),
    "a call that started its task": (events.run_task(), "info runtask"),
    "another call": (events.run_task(error="ClientException: x", eventName="UpdateService"), "info updateservice"),
    "retirement of a service's tasks": (events.health("prod|web"), "warning retirement_scheduled"),
    "retirement of a standalone task": (
        events.health(events.arn(f"task/prod/{events.TASK}")),
        "error retirement_scheduled",
    ),
    "a retirement that AWS has closed": (events.health("prod|web", statusCode="closed"), "info retirement_scheduled!"),
    "an issue of AWS": (events.health(code="AWS_ECS_OPERATIONAL_ISSUE", category="issue"), "warning aws_issue"),
    "another change that AWS plans": (events.health(code="AWS_ECS_PLANNED_LIFECYCLE_EVENT"), "warning aws_issue"),
    "an issue of AWS that is closed": (
        events.health(code="AWS_ECS_OPERATIONAL_ISSUE", category="issue", statusCode="closed"),
        "info aws_issue!",
    ),
    "what AWS only informs about": (
        events.health(code="AWS_ECS_SECURITY_NOTIFICATION", category="accountNotification"),
        "info aws_ecs_security_notification",
    ),
    "a Health event of another service": (
        events.health(code="AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", service="EC2"),
        "info aws_ec2_instance_retirement_scheduled",
    ),
    "a deleted alarm": (events.alarm_deleted(), "info cloudwatch_alarm_deleted!"),
    "a changed alarm is no alarm": (
        events.alarm("ALARM") | {"detail-type": "CloudWatch Alarm Configuration Change"},
        "info cloudwatch_alarm_configuration_change",
    ),
}


@pytest.mark.parametrize(("raw", "expected"), TASKS.values(), ids=TASKS)
def test_a_task(raw: Raw, expected: str) -> None:
    assert verdict(raw) == expected


@pytest.mark.parametrize(("raw", "expected"), OTHERS.values(), ids=OTHERS)
def test_everything_that_is_no_task(raw: Raw, expected: str) -> None:
    assert verdict(raw) == expected


# --- essential containers ---------------------------------------------------------------------------------------------


def test_of_mixed_exit_codes_only_the_essential_containers_count() -> None:
    flags = {"c0": True, "c1": False}
    assert verdict(exited(0, 1, service=None), flags) == "info task_completed!"
    assert verdict(exited(0, 1, service="web"), flags) == "warning essential_container_exited"
    assert verdict(exited(1, 0), flags) == "critical essential_container_exited"


def test_a_flag_does_not_matter_where_codes_are_not_mixed() -> None:
    assert verdict(exited(1, 2), {"c0": False, "c1": False}) == "critical essential_container_exited"
    assert verdict(exited(0, None, service=None), {"c0": False, "c1": True}) == "info task_completed!"


def test_flags_that_are_not_known_are_not_guessed() -> None:
    assert verdict(exited(0, 1)) == verdict(exited(0, 1), {}) == "critical essential_container_exited"


def test_a_sidecar_that_aws_injected_is_in_no_task_definition_and_does_not_count() -> None:
    assert verdict(exited(0, 137, service=None), {"c0": True}) == "info task_completed!"


def test_flags_of_other_containers_leave_no_code_that_counts() -> None:
    assert verdict(exited(0, 1), {"other": True}) == "critical essential_container_exited"


def test_sigterm_of_the_essential_container_is_not_excused_by_a_sidecars_0() -> None:
    assert verdict(exited(143, 0), {"c0": True, "c1": False}) == "critical essential_container_exited"


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [
        PULL,
        PULL.upper(),
        PULL.lower(),
        f"  {PULL}",
        PULL[:40],
        "CannotPullContainerErr",
        f"TaskFailedToStart: {PULL}",
        f"Service web: {PULL}",
        f"Status reason: {PULL}",
        f"[prod] {PULL}",
        f"Task failed to start ({PULL})",
        PULL.replace(" ", "\n\t"),
    ],
)
def test_a_reason_may_be_prefixed_cut_and_in_any_case(reason: str) -> None:
    assert verdict(task_stopped(None, reason)) == "critical image_pull_failed"
    assert verdict(task_stopped(ESSENTIAL, EXITED, container(reason=reason))) == "critical image_pull_failed"


def test_a_name_inside_an_arn_or_a_sentence_is_no_error_name() -> None:
    for reason in (
        "fetching arn:aws:secretsmanager:eu-west-1:1:secret:CannotPullContainerError",
        r"cannot open C:\app\OutOfMemoryError.dmp",
        "retrying because CannotStartContainerError was seen",
    ):
        assert verdict(task_stopped("TaskFailedToStart", reason)) == "critical task_failed_to_start"


def test_the_order_of_containers_does_not_decide() -> None:
    one, other = container("a", 0, "CannotInspectContainerError: x"), container("b", 137, OOM)
    assert verdict(task_stopped(ESSENTIAL, EXITED, one, other)) == verdict(task_stopped(ESSENTIAL, EXITED, other, one))


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_rule_has_a_name_of_its_own_and_decides_some_case() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    deciding = {classify(normalise(raw)).rule for raw, _ in [*TASKS.values(), *OTHERS.values()]}
    assert deciding == set(names)


def test_every_cause_that_a_rule_states_has_its_words() -> None:
    assert {rule.cause for rule in RULES if isinstance(rule.cause, str)} <= CAUSES.keys()


def test_every_cause_has_words_in_both_languages() -> None:
    for words in CAUSES.values():
        assert words.en
        assert words.ja
        assert not words.ja.isascii()


def test_a_cause_that_has_no_words_is_said_as_it_stands() -> None:
    assert cause_words("a_new_event_name", "en") == cause_words("a_new_event_name", "ja") == "A new event name"


def test_what_is_over_is_not_said_in_the_words_of_the_trouble() -> None:
    assert cause_words("cloudwatch_alarm", "en", over=True) == "CloudWatch alarm is OK again"
    assert "復帰" in cause_words("instance_impaired", "ja", over=True)
    assert cause_words("task_completed", "en", over=True) == "Task completed"


VOLUME_FAILED = [
    {
        "type": "AmazonElasticBlockStorage",
        "status": "FAILED",
        "details": [
            {"name": "statusReason", "value": "ECS was unable to assume the configured ECS Infrastructure Role"}
        ],
    }
]


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_an_alerts_id_is_made_of_the_task_what_ended_and_the_subject() -> None:
    event = normalise(exited(1))
    told = classify(event)
    assert alert(event, told).id == f"{events.TASK}.task-ended.{event.subject.key[:6]}"


def test_a_duplicate_has_the_same_alert_id() -> None:
    one, other = (normalise(exited(1, event_id=event_id)) for event_id in ("a", "b"))
    assert alert(one, classify(one)).id == alert(other, classify(other)).id


def test_the_title_says_what_and_where() -> None:
    event = normalise(exited(1))
    assert alert(event, classify(event)).title == "Essential container exited: service web in prod"
    event = normalise(events.alarm(name="cpu"))
    assert alert(event, classify(event)).title == "CloudWatch alarm: cpu"
    event = normalise(events.alarm("OK", name="cpu"))
    assert alert(event, classify(event)).title == "CloudWatch alarm is OK again: cpu"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (task_stopped(ESSENTIAL, EXITED, container(exit_code=1), container("b", 137, OOM)), OOM),
        (
            task_stopped(ESSENTIAL, EXITED, container(reason="CannotInspectContainerError: x"), container(reason=PULL)),
            PULL,
        ),
        (task_stopped("TaskFailedToStart", INIT), INIT),
        (exited(1), EXITED),
        (scheduled(SCALED, container(exit_code=137, reason=OOM)), SCALED),
        (task_event(containers=[container("sidecar", 1, "DockerStateError: x")]), "DockerStateError: x"),
        (task_stopped("SomeNewCode", None, container(reason="gone")), "gone"),
        (events.deployment(), "ECS deployment circuit breaker: tasks failed to start."),
        (
            task_stopped("TaskFailedToStart", "Timeout waiting for EBS volume attachment", attachments=VOLUME_FAILED),
            "AmazonElasticBlockStorage FAILED: ECS was unable to assume the configured ECS Infrastructure Role",
        ),
        (task_stopped("TaskFailedToStart", INIT, attachments=VOLUME_FAILED), INIT),
    ],
)
def test_the_reason_is_the_one_that_tells_most(raw: Raw, expected: str) -> None:
    event = normalise(raw)
    assert alert(event, classify(event)).reason == expected


def test_only_a_stopped_task_is_stopped() -> None:
    cases = ((exited(1), True), (task_event(), False), (events.instance_state("STOPPED"), False))
    for raw, expected in cases:
        event = normalise(raw)
        assert alert(event, classify(event)).stopped is expected


def test_an_alert_carries_a_plugins_verdict_as_it_is() -> None:
    event = normalise(exited(1))
    told = alert(event, Classification(Severity.INFO, "known_bug", resolves=True, rule="plugin mine"))
    assert (told.severity, told.cause, told.resolves, told.rule) == (Severity.INFO, "known_bug", True, "plugin mine")
    assert told.title == "Known bug: service web in prod"
