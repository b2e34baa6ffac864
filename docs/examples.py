"""An event for each rule of the table, as ECS sends it: what docs/classification.md and docs/messages.md show.

Everything here is invented; the shapes are those of the Amazon ECS Developer Guide, and the reasons those of real events.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from local_aws.events import (
    ACCOUNT,
    DEPLOYMENT,
    REGION,
    TASK,
    Raw,
    alarm,
    alarm_contributor,
    alarm_deleted,
    arn,
    codedeploy,
    container,
    container_exited,
    daemon_action,
    deployment,
    event,
    health,
    hook,
    instance_health,
    instance_state,
    run_task,
    service_action,
    task_event,
    task_stopped,
)

_HOUR, _DAY = 3600.0, 86400.0
_AT = 1723137542.67  # when the events happen: 2024-08-08T17:19:02.67Z
_IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
_DIGEST = "sha256:2f9085812ab34cd56ef07a1b9c3d5e6f8091a2b3c4d5e6f708192a3b4c5d6e7f"


class Example(NamedTuple):
    """One event.

    Attributes:
        rule: of `router.ecs.classify.RULES`.
        when: when the rule matches, in words.
        enrichment: what `[enrich]` would have found out (`simulate --enrichment`).
    """

    rule: str
    when: str
    event: Raw
    enrichment: Mapping[str, Any] | None = None


def _died(code: int, reason: str | None = None, **fields: Any) -> Raw:
    return container("app", code, reason, imageDigest=_DIGEST, image=f"{_IMAGE}/checkout:2026.11.3", **fields)


def _channel(value: str, reason: str) -> Raw:
    detail = {"channel": "slack", "state": {"value": value, "reason": reason}}
    return event("Channel Health", detail, source="ecs-alert-router", resources=[])


def _count(state: str, running: int, reason: str = "") -> Raw:
    """The event that the router creates after it has polled the service checkout in prod."""
    detail = {
        "clusterArn": arn("cluster/prod"),
        "state": {"value": state, "reason": reason},
        "runningCount": str(running),
        "desiredCount": "3",
    }
    return event("Service Below Count", detail, source="ecs-alert-router", resources=[arn("service/prod/checkout")])


def _issue(status: str) -> Raw:
    return health(
        code="AWS_ECS_OPERATIONAL_ISSUE",
        category="issue",
        statusCode=status,
        startTime="Thu, 08 Aug 2024 16:31:00 GMT",
        endTime="Thu, 08 Aug 2024 17:19:00 GMT" if status == "closed" else None,
        eventDescription=[
            {
                "language": "en_US",
                "latestDescription": "We are investigating increased error rates when tasks start in the EU-WEST-1 Region.",
            }
        ],
    )


_LOGS = ["/ecs/checkout", f"checkout/app/{TASK}"]
_NEW = {"deployed_at": _AT - 242}
_AGAIN = {"last_day": 2, "last_week": 9, "previous": _AT - 3 * _HOUR - 400}
_ESSENTIAL = {"app": True, "proxy": False}
_HEAP = """17:18:31 INFO  export of 1,204,331 rows begins
17:18:58 WARN  heap 498 MiB of 512 MiB
java.lang.OutOfMemoryError: Java heap space
    at com.example.Export.rows(Export.java:42)
    at com.example.Export.run(Export.java:17)"""
_MIGRATION = """17:19:01 INFO  starting checkout 2026.11.3
17:19:02 ERROR connecting to postgres://app:[redacted]@db.internal/checkout
psycopg.errors.UndefinedColumn: column orders.currency does not exist"""

_service: Mapping[str, Any] = {"service": "checkout", "family": "checkout"}

EXAMPLES: tuple[Example, ...] = (
    Example(
        "reported by the task",
        "a task reports about itself ([container-exits.md](container-exits.md)) that a container STOPPED with a code "
        "other than 0 or with an error name. Anyone who may call PutEvents can send this event, so nothing else in it counts",
        container_exited(container("metrics-agent", 139), container("app", status="RUNNING"), **_service),
        {"recurrence": _AGAIN},
    ),
    Example(
        "reported by the task, no failure",
        "the same event about a container that ended with 0",
        container_exited(container("migrate", 0), container("app", status="RUNNING"), **_service),
    ),
    Example(
        "stopped by user",
        "STOPPED, stop code UserInitiated; its text is free and not evaluated",
        task_stopped("UserInitiated", "Task stopped by user", container("app", 143)),
    ),
    Example(
        "spot interruption",
        "RUNNING (the two-minute notice) or STOPPED, SpotInterruption, or TerminationNotice with the Spot text",
        task_event(
            "RUNNING",
            desiredStatus="STOPPED",
            stopCode="SpotInterruption",
            stoppedReason="Your Spot Task was interrupted.",
            capacityProviderName="FARGATE_SPOT",
            **_service,
        ),
    ),
    Example(
        "out of memory",
        "STOPPED; a reason that counts names OutOfMemoryError, or says OOM-killed anywhere",
        task_stopped(
            "EssentialContainerExited",
            "Essential container in task exited",
            _died(137, "OutOfMemoryError: Container killed due to memory usage", memory="512"),
            memory="1024",
            **_service,
        ),
        {"log_excerpt": _HEAP, "logs": _LOGS, "essential": _ESSENTIAL, "recurrence": _NEW},
    ),
    Example(
        "container out of memory",
        "the same, for a container that has STOPPED in a running task",
        task_event(
            containers=[
                container("app", status="RUNNING"),
                container("log-router", 137, "OutOfMemoryError: Container killed due to memory usage", memory="64"),
            ],
            **_service,
        ),
        {"recurrence": _AGAIN},
    ),
    Example(
        "image pull",
        "STOPPED, TaskFailedToStart or EssentialContainerExited, error name CannotPull…",
        task_stopped(
            "TaskFailedToStart",
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
            f"{_IMAGE}/checkout:2026.11.3: not found",
            container("app", image=f"{_IMAGE}/checkout:2026.11.3"),
            **_service,
        ),
        {"recurrence": _NEW},
    ),
    Example(
        "resource initialization",
        "the same, error name ResourceInitializationError",
        task_stopped(
            "TaskFailedToStart",
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
            "failed: unable to retrieve secret from asm: service call has been retried 1 time(s): "
            "AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/checkout-execution/0d6e3df3 is not "
            "authorized to perform: secretsmanager:GetSecretValue",
            container("app"),
            **_service,
        ),
        {"recurrence": _NEW},
    ),
    Example(
        "container start",
        "the same, error name CannotStart…, CannotCreate…, DockerTimeoutError or ContainerRuntime…Error",
        task_stopped(
            "TaskFailedToStart",
            "Task failed to start",
            container(
                "app",
                reason="CannotStartContainerError: Error response from daemon: failed to create task for container: "
                'exec: "/app/bin/server": permission denied: unknown',
            ),
            **_service,
        ),
    ),
    Example(
        "failed to start",
        "STOPPED, TaskFailedToStart, and none of the rules above",
        task_stopped(
            "TaskFailedToStart",
            "Timeout waiting for network interface provisioning to complete.",
            container("job"),
            service=None,
            family="nightly-report",
        ),
    ),
    Example(
        "killed beside a success",
        "STOPPED, EssentialContainerExited, standalone; a 137 beside a 0, with no failing code, and the `essential` flags "
        "are not known",
        task_stopped(
            "EssentialContainerExited",
            "Essential container in task exited",
            container("migrate", 0),
            container("log_router", 137),
            service=None,
            family="migrate",
        ),
    ),
    Example(
        "exited badly",
        "STOPPED, EssentialContainerExited; an exit code that decides is neither 0 nor a 143 beside a 0, or none is "
        "known",
        task_stopped(
            "EssentialContainerExited",
            "Essential container in task exited",
            _died(1),
            container("proxy", 0),
            **_service,
        ),
        {
            "log_excerpt": _MIGRATION,
            "logs": _LOGS,
            "essential": _ESSENTIAL,
            "recurrence": _AGAIN | {"deployed_at": _AT - 242},
        },
    ),
    Example(
        "exited well, of a service",
        "the same with 0 alone, or 0 and 143, in a service, where no container should exit",
        task_stopped("EssentialContainerExited", "Essential container in task exited", _died(0), **_service),
    ),
    Example(
        "exited well, with an error",
        "the same, standalone, and a container's reason names an error",
        task_stopped(
            "EssentialContainerExited",
            "Essential container in task exited",
            container(
                "job", 0, "CannotInspectContainerError: Could not transition to inspecting; timed out after waiting 30s"
            ),
            service=None,
            family="nightly-report",
        ),
    ),
    Example(
        "run completed",
        "the same, standalone, without an error; resolves failures from before the run started",
        task_stopped(
            "EssentialContainerExited",
            "Essential container in task exited",
            container("job", 0),
            service=None,
            family="nightly-report",
        ),
    ),
    Example(
        "health check",
        "STOPPED, ServiceSchedulerInitiated; only the text distinguishes it from a scale-in",
        task_stopped(
            "ServiceSchedulerInitiated",
            "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:"
            "targetgroup/checkout/6d0ecf831eec9f09)",
            _died(143),
            **_service,
        ),
        {"recurrence": _AGAIN},
    ),
    Example(
        "maintenance of a service",
        "STOPPED, ServiceSchedulerInitiated, maintenance or draining, in a service",
        task_stopped(
            "ServiceSchedulerInitiated",
            "Service checkout: ECS is performing maintenance on the underlying infrastructure hosting the task",
            _died(143),
            **_service,
        ),
    ),
    Example(
        "maintenance",
        "the same, for a standalone task, which is not restarted",
        task_stopped(
            "ServiceSchedulerInitiated",
            "ECS is performing maintenance on the underlying infrastructure hosting the task",
            container("job", 137),
            service=None,
            family="nightly-report",
            startedBy="",
        ),
    ),
    Example(
        "instance deregistered",
        "STOPPED, ServiceSchedulerInitiated, the instance was deregistered",
        task_stopped(
            "ServiceSchedulerInitiated",
            "Container instance deregistration forced by user",
            container("app"),
            **_service,
        ),
    ),
    Example(
        "scaled, deployed, rebalanced",
        "STOPPED, ServiceSchedulerInitiated, scaling, deployment or rebalancing, whatever the exit codes",
        task_stopped(
            "ServiceSchedulerInitiated", f"Scaling activity initiated by (deployment {DEPLOYMENT})", _died(143)
        ),
    ),
    Example(
        "host terminated",
        "STOPPED, TerminationNotice",
        task_stopped(
            "TerminationNotice", "Host EC2 (instance i-0da6526579af3bd1b) terminated.", container("app"), **_service
        ),
    ),
    Example(
        "infrastructure health",
        "STOPPED, InfrastructureHealth",
        task_stopped(
            "InfrastructureHealth",
            "Task stopped because the underlying infrastructure became unhealthy.",
            container("app"),
            **_service,
        ),
    ),
    Example(
        "stopped for another reason",
        "STOPPED, for a reason that the router does not know",
        task_stopped("QuotaExceeded", "Stopped by account quota.", container("app"), **_service),
    ),
    Example(
        "container exited",
        "RUNNING, and desired to be; a container STOPPED with a code other than 0 or with an error name",
        task_event(containers=[container("metrics-agent", 139), container("app", status="RUNNING")], **_service),
        {"recurrence": _AGAIN},
    ),
    Example("task state", "every other state of a task", task_event("PENDING")),
    Example(
        "deployment failed",
        "SERVICE_DEPLOYMENT_FAILED",
        deployment(service="checkout", reason="ECS deployment circuit breaker: tasks failed to start."),
    ),
    Example(
        "deployment rolling back",
        "SERVICE_DEPLOYMENT_IN_PROGRESS whose reason reports a rollback",
        deployment(
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/4558847650534451435.",
            service="checkout",
        ),
    ),
    Example(
        "deployment in progress",
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", service="checkout"),
    ),
    Example(
        "deployment completed",
        "SERVICE_DEPLOYMENT_COMPLETED; resolves",
        deployment("SERVICE_DEPLOYMENT_COMPLETED", service="checkout"),
    ),
    Example("steady state", "SERVICE_STEADY_STATE or TASKSET_STEADY_STATE; resolves", service_action()),
    Example(
        "capacity steady state",
        "CAPACITY_PROVIDER_STEADY_STATE: reports that capacity is available, not that the service is healthy",
        service_action("CAPACITY_PROVIDER_STEADY_STATE"),
    ),
    Example(
        "hook failed",
        "HOOK_FAILED or HOOK_TIMED_OUT",
        hook("HOOK_TIMED_OUT", eventType="ERROR", service="checkout"),
    ),
    Example("hook awaits action", "HOOK_AWAITING_ACTION", hook(service="checkout")),
    Example("hook succeeded", "HOOK_SUCCEEDED; resolves that hook alone", hook("HOOK_SUCCEEDED", service="checkout")),
    Example("CodeDeploy failed", "a blue/green deployment by CodeDeploy has failed", codedeploy()),
    Example("CodeDeploy stopped", "a user or an alarm has stopped it", codedeploy("STOP")),
    Example("CodeDeploy completed", "it has completed; resolves", codedeploy("SUCCESS")),
    Example("CodeDeploy in progress", "every other state of it", codedeploy("START")),
    Example("instance impaired", "an instance's health is IMPAIRED", instance_health()),
    Example("instance healthy", "an instance's health is OK; resolves", instance_health("OK", reason=None)),
    Example(
        "registration failed",
        "a container instance could not register",
        instance_state("REGISTRATION_FAILED", connected=False, statusReason="Failed to attach trunk network interface"),
    ),
    Example(
        "instance not in use",
        "a container instance is registering, deregistering or inactive",
        instance_state("DEREGISTERING", connected=False),
    ),
    Example(
        "agent disconnected",
        "a container instance whose agent is disconnected: normal, several times an hour",
        instance_state(connected=False),
    ),
    Example("instance state", "every other state of a container instance", instance_state("DRAINING")),
    Example(
        "alarm",
        "a CloudWatch alarm goes off",
        alarm(
            name="ecs-running-tasks-prod-checkout",
            reason="Threshold Crossed: 5 out of the last 5 datapoints [2.0, 2.0, 2.0, 2.0, 2.0] were greater than "
            "the threshold (0.0).",
            metrics=[
                ("running", "RunningTaskCount", {"ClusterName": "prod", "ServiceName": "checkout"}),
                ("desired", "DesiredTaskCount", {"ClusterName": "prod", "ServiceName": "checkout"}),
            ],
            expression="desired - FILL(running, 0)",
        ),
    ),
    Example("alarm over", "it is OK again; resolves", alarm("OK")),
    Example("alarm without data", "it has insufficient data", alarm("INSUFFICIENT_DATA")),
    Example("alarm deleted", "it was deleted; resolves", alarm_deleted()),
    Example(
        "alarm contributor",
        "one time series of an alarm that watches several goes off or is OK again; the alarm's own event follows",
        alarm_contributor(),
    ),
    Example(
        "no tasks running",
        "the poll of services found one that has run no task for five minutes, with no deployment in progress",
        _count(
            "NONE_RUNNING",
            0,
            "(service checkout) was unable to place a task because no container instance met all of its requirements.",
        ),
    ),
    Example(
        "too few tasks",
        "the same, while some of the desired tasks are running",
        _count("TOO_FEW", 1),
    ),
    Example(
        "enough tasks again",
        "it runs as many tasks as desired, or was deleted; resolves",
        _count("ENOUGH", 3),
    ),
    Example(
        "run overdue",
        "a run of an `[[expect]]` table did not start or finish in time; a completed run of the family ends it",
        event(
            "Run Overdue",
            {
                "clusterArn": arn("cluster/prod"),
                "family": "nightly-report",
                "expected": "nightly-report",
                "state": {"value": "NOT_STARTED"},
                "dueAt": "2026-11-20T03:00:00+00:00",
                "taskId": "",
            },
            source="ecs-alert-router",
            resources=[],
        ),
    ),
    Example(
        "call refused",
        "CloudTrail recorded a RunTask or StartTask that ECS refused: it has an error, failures, or fewer tasks than "
        "requested; not of the service scheduler ([container-exits.md](container-exits.md))",
        run_task("Capacity is unavailable at this time. Please try again later or in a different availability zone"),
    ),
    Example(
        "retirement over",
        "AWS Health, services ECS and FARGATE: AWS has closed the retirement of tasks; resolves",
        health("prod|checkout", statusCode="closed"),
    ),
    Example(
        "retirement of standalone tasks",
        "AWS will retire tasks, and `resources` names one by its ARN: it belongs to no service, so nothing replaces it",
        health(arn(f"task/prod/{TASK}")),
    ),
    Example("retirement", "AWS will retire tasks of services, or does not say which", health("prod|checkout")),
    Example("AWS issue over", "AWS has closed an issue of the services; resolves", _issue("closed")),
    Example(
        "AWS issue",
        "AWS reports an issue of the services, or plans another change of them; a notice that only informs about the "
        "account is *any other event*",
        _issue("open"),
    ),
    Example(
        "channel failing",
        "one of the router's own channels has failed for 15 minutes",
        _channel("FAILING", "Slack answered 503: service_unavailable"),
    ),
    Example("channel works again", "it works again; resolves", _channel("WORKING", "")),
    Example(
        "event type error",
        "every other event that ECS calls an ERROR, including unknown detail types; the cause is its eventName",
        service_action(
            "SERVICE_TASK_PLACEMENT_FAILURE",
            "ERROR",
            reason="RESOURCE:FARGATE",
            capacityProviderArns=[arn("capacity-provider/FARGATE")],
            service="checkout",
        ),
    ),
    Example(
        "event type warning",
        "the same, WARN or WARNING",
        service_action("SERVICE_TASK_START_IMPAIRED", "WARN", service="checkout"),
    ),
    Example(
        "any other event",
        "every other event",
        event(
            "ECS Something New",
            {"eventType": "INFO", "eventName": "SOMETHING_NEW", "createdAt": "2024-08-08T17:19:02Z"},
        ),
    ),
)

# More of the causes that the last rules find by `eventName`, for docs/messages.md.
MORE: Mapping[str, Raw] = {
    "service_discovery_instance_unhealthy": service_action(
        "SERVICE_DISCOVERY_INSTANCE_UNHEALTHY", "WARN", service="checkout"
    ),
    "vpc_lattice_target_unhealthy": service_action("VPC_LATTICE_TARGET_UNHEALTHY", "WARN", service="checkout"),
    "service_daemon_placement_constraint_violated": service_action(
        "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED", "ERROR", service="node-exporter"
    ),
    "ecs_operation_throttled": service_action("ECS_OPERATION_THROTTLED", "ERROR", service="checkout"),
    "service_discovery_operation_throttled": service_action(
        "SERVICE_DISCOVERY_OPERATION_THROTTLED", "ERROR", service="checkout"
    ),
    "service_task_configuration_failure": service_action(
        "SERVICE_TASK_CONFIGURATION_FAILURE", "ERROR", service="checkout"
    ),
    "service_health_unknown": service_action("SERVICE_HEALTH_UNKNOWN", "ERROR", service="checkout"),
    "daemon_task_start_impaired": daemon_action(),
    "daemon_deployment_rollback_failed": event(
        "ECS Daemon Deployment State Change",
        {
            "eventType": "ERROR",
            "eventName": "DAEMON_DEPLOYMENT_ROLLBACK_FAILED",
            "daemonArn": arn("daemon/prod/monitor"),
            "clusterArn": arn("cluster/prod"),
            "updatedAt": "2024-08-08T17:19:02.67Z",
            "reason": "The rollback did not reach a healthy state.",
        },
    ),
    "hook_failed": hook("HOOK_FAILED", eventType="ERROR", hookType="AWS_LAMBDA", service="checkout"),
    "cloudwatch_alarm": alarm(name="ecs-checkout-5xx"),
}
