"""Events as ECS and CloudWatch send them, built from their documented shapes ("Amazon ECS events", Developer Guide).

Every builder returns a complete, realistic event; keyword arguments replace fields of its `detail`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

ACCOUNT = "123456789012"
REGION = "eu-west-1"
CLUSTER = "prod"
TASK = "0d6e3df3e26e4d67ac070a491bda29f7"
DEPLOYMENT = "ecs-svc/4632134779785246340"
AT = "2024-08-08T17:19:02.67Z"
TIME = "2024-08-08T17:19:03Z"

Raw = dict[str, Any]


def arn(resource: str, *, service: str = "ecs", partition: str = "aws") -> str:
    return f"arn:{partition}:{service}:{REGION}:{ACCOUNT}:{resource}"


def event(
    detail_type: str,
    detail: Mapping[str, Any],
    *,
    source: str = "aws.ecs",
    resources: Sequence[str] = (),
    event_id: str = "315c1398-40ff-a850-213b-158f73e60175",
) -> Raw:
    """An EventBridge envelope around a detail."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": TIME,
        "region": REGION,
        "resources": list(resources),
        "detail": dict(detail),
    }


def container(
    name: str = "app", exit_code: object = None, reason: str | None = None, *, status: str = "STOPPED", **fields: Any
) -> Raw:
    """A container of a task. ECS omits an unknown exit code or reason."""
    known = {"exitCode": exit_code, "reason": reason}
    return {
        "containerArn": arn(f"container/{CLUSTER}/{TASK}/11d8b5c5-2a6f-4a1d-a2ab-4bb6fbc3f0d8"),
        "lastStatus": status,
        "name": name,
        "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}:1.4.2",
        "taskArn": arn(f"task/{CLUSTER}/{TASK}"),
        "cpu": "0",
        **{key: value for key, value in known.items() if value is not None},
        **fields,
    }


def task_event(
    status: str = "RUNNING",
    *,
    containers: Sequence[Mapping[str, Any]] | None = None,
    service: str | None = "web",
    family: str = "web",
    task: str = TASK,
    event_id: str = "315c1398-40ff-a850-213b-158f73e60175",
    **detail: Any,
) -> Raw:
    """An ECS Task State Change of a Fargate task: of a service, or standalone with `service=None`."""
    owner: Raw = {"group": f"service:{service}", "startedBy": DEPLOYMENT} if service else {"group": f"family:{family}"}
    fields: Raw = {
        "clusterArn": arn(f"cluster/{CLUSTER}"),
        "containers": list(containers if containers is not None else [container(status="RUNNING")]),
        "createdAt": "2024-08-08T17:10:41.123Z",
        "desiredStatus": "RUNNING",
        "lastStatus": status,
        "launchType": "FARGATE",
        "startedAt": "2024-08-08T17:11:20.5Z",
        "taskArn": arn(f"task/{CLUSTER}/{task}"),
        "taskDefinitionArn": arn(f"task-definition/{family}:42"),
        "updatedAt": AT,
        "version": 5,
        **owner,
        **detail,
    }
    return event("ECS Task State Change", fields, resources=[arn(f"task/{CLUSTER}/{task}")], event_id=event_id)


def task_stopped(
    stop_code: str | None = "EssentialContainerExited",
    reason: str | None = "Essential container in task exited",
    *containers: Mapping[str, Any],
    **fields: Any,
) -> Raw:
    """A STOPPED task. Without `containers`, its only container exited with code 1. None omits a field."""
    fields_of_stop = {"stopCode": stop_code, "stoppedReason": reason}
    stated = {key: value for key, value in fields_of_stop.items() if value is not None}
    merged: Raw = {"desiredStatus": "STOPPED", "stoppedAt": AT, "containers": containers or (container(exit_code=1),)}
    return task_event("STOPPED", **(merged | stated | fields))


def container_exited(*containers: Mapping[str, Any], **fields: Any) -> Raw:
    """The router's own event: a container has stopped in a task that is still running."""
    raw = task_event(containers=containers or (container("sidecar", 1),), **fields)
    raw["detail"].pop("startedAt")
    return raw | {"source": "ecs-alert-router", "detail-type": "Container Exited"}


def service_action(
    name: str = "SERVICE_STEADY_STATE", event_type: str = "INFO", *, service: str = "web", **detail: Any
) -> Raw:
    fields = {
        "eventType": event_type,
        "eventName": name,
        "clusterArn": arn(f"cluster/{CLUSTER}"),
        "createdAt": AT,
        **detail,
    }
    return event("ECS Service Action", fields, resources=[arn(f"service/{CLUSTER}/{service}")])


def deployment(
    name: str = "SERVICE_DEPLOYMENT_FAILED", reason: str = "", *, service: str = "web", **detail: Any
) -> Raw:
    """An ECS Deployment State Change: it names its cluster only in `resources`."""
    reasons = {
        "SERVICE_DEPLOYMENT_FAILED": "ECS deployment circuit breaker: tasks failed to start.",
        "SERVICE_DEPLOYMENT_IN_PROGRESS": f"ECS deployment {DEPLOYMENT} in progress.",
        "SERVICE_DEPLOYMENT_COMPLETED": f"ECS deployment {DEPLOYMENT} completed.",
    }
    fields = {
        "eventType": "ERROR" if name == "SERVICE_DEPLOYMENT_FAILED" else "INFO",
        "eventName": name,
        "deploymentId": DEPLOYMENT,
        "updatedAt": AT,
        "reason": reason or reasons.get(name, ""),
        **detail,
    }
    return event("ECS Deployment State Change", fields, resources=[arn(f"service/{CLUSTER}/{service}")])


def hook(name: str = "HOOK_AWAITING_ACTION", *, service: str = "web", **detail: Any) -> Raw:
    deployed = arn(f"service-deployment/{CLUSTER}/{service}/0EYSiB0qap8xf0N76FsbE")
    fields = {
        "eventType": "INFO",
        "eventName": name,
        "hookId": "ecs-pause-e7tK9G_WRJqNF_EOMjztDXfKenlJuEUVjsNStf4WLKw",
        "hookType": "PAUSE",
        "expiresAt": "2024-08-08T17:29:02Z",
        "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
        "clusterArn": arn(f"cluster/{CLUSTER}"),
        "serviceArn": arn(f"service/{CLUSTER}/{service}"),
        "serviceDeploymentArn": deployed,
        "updatedAt": "2024-08-08T17:19:02.618059641Z",
        **detail,
    }
    return event("ECS Hook State Change", fields, resources=[deployed])


def daemon_action(*, daemon: str = "monitor", **detail: Any) -> Raw:
    task = arn(f"task/{CLUSTER}/{TASK}")
    fields = {
        "eventType": "WARNING",
        "eventName": "DAEMON_TASK_START_IMPAIRED",
        "clusterArn": arn(f"cluster/{CLUSTER}"),
        "containerInstanceArn": arn(f"container-instance/{CLUSTER}/a1b2c3d4e5f6"),
        "taskArn": task,
        "daemonArn": arn(f"daemon/{CLUSTER}/{daemon}"),
        "failureType": "TASK_FAILED_TO_RUN",
        "createdAt": AT,
        "reason": "Task failed to reach RUNNING status: CannotPullContainerError: pull image manifest has been retried",
        **detail,
    }
    return event("ECS Daemon Service Action", fields, resources=[task])


def instance_state(status: str = "ACTIVE", *, connected: object = True, **detail: Any) -> Raw:
    instance = arn(f"container-instance/{CLUSTER}/9a7b3a5c1d2e4f60b1c2d3e4f5a6b7c8")
    fields = {
        "agentConnected": connected,
        "clusterArn": arn(f"cluster/{CLUSTER}"),
        "containerInstanceArn": instance,
        "ec2InstanceId": "i-0abcdef1234567890",
        "status": status,
        "updatedAt": AT,
        "version": 14801,
        **detail,
    }
    return event("ECS Container Instance State Change", fields, resources=[instance])


def instance_health(status: str = "IMPAIRED", *, reason: str | None = "XID_46", **detail: Any) -> Raw:
    instance = arn(f"container-instance/{CLUSTER}/9a7b3a5c1d2e4f60b1c2d3e4f5a6b7c8")
    check = {
        "type": "ACCELERATED_COMPUTE",
        "status": status,
        "lastStatusChange": "2024-08-08T17:18:53Z",
        "lastUpdated": "2024-08-08T17:18:09Z",
        "statusReason": reason,
    }
    fields = {
        "clusterArn": arn(f"cluster/{CLUSTER}"),
        "containerInstanceArn": instance,
        "capacityProviderName": None,
        "ec2InstanceId": "i-0abcdef1234567890",
        "overallStatus": status,
        "healthChecks": [check],
        **detail,
    }
    return event("ECS Container Instance Health Change", fields, resources=[instance])


def alarm(
    value: str = "ALARM",
    *,
    name: str = "web-running-tasks",
    at: str = "2024-08-08T17:19:02.606+0000",
    reason: str = "Threshold Crossed: 1 datapoint [1.0 (08/08/24 17:18:00)] was less than the threshold (2.0).",
    metrics: Sequence[tuple[str, str, Mapping[str, str]]] = (),
    expression: str = "",
) -> Raw:
    """`metrics` are ids, names and dimensions of what the alarm watches; `expression` computes its value from them."""
    watched: list[Mapping[str, Any]] = [
        {
            "id": id_,
            "metricStat": {
                "metric": {"namespace": "ECS/ContainerInsights", "name": metric, "dimensions": dict(dimensions)},
                "period": 60,
                "stat": "Average",
            },
            "returnData": not expression,
        }
        for id_, metric, dimensions in metrics
    ]
    if expression:
        watched.append({"id": "result", "expression": expression, "returnData": True})
    fields = {
        "alarmName": name,
        **({"configuration": {"metrics": watched}} if watched else {}),
        "state": {"value": value, "timestamp": at, "reason": reason},
        "previousState": {"value": "OK", "timestamp": "2024-08-08T16:52:05.601+0000"},
    }
    alarm_arn = arn(f"alarm:{name}", service="cloudwatch")
    return event("CloudWatch Alarm State Change", fields, source="aws.cloudwatch", resources=[alarm_arn])


def alarm_contributor(value: str = "ALARM", *, contributor: str = "6d442278dba546f6", **fields: Any) -> Raw:
    """One time series of an alarm that watches several; it has no `previousState` ("Alarm events and EventBridge")."""
    raw = alarm(value, **fields)
    attributes = {"ServiceName": "checkout"}
    detail = {**raw["detail"], "alarmContributor": {"id": contributor, "attributes": attributes}}
    del detail["previousState"]
    return {**raw, "detail-type": "CloudWatch Alarm Contributor State Change", "detail": detail}


def alarm_deleted(**fields: Any) -> Raw:
    """The deletion of an alarm; the state is the one that it had ("Alarm events and EventBridge")."""
    raw = alarm(**fields)
    detail = {name: value for name, value in raw["detail"].items() if name != "previousState"}
    return {
        **raw,
        "id": "11111111-2222-4333-8444-555555555555",
        "detail-type": "CloudWatch Alarm Configuration Change",
        "detail": {**detail, "operation": "delete"},
    }


def codedeploy(state: str = "FAILURE", *, application: str = "AppECS-prod-web", **detail: Any) -> Raw:
    """A blue/green deployment ("Monitoring deployments with Amazon EventBridge", AWS CodeDeploy User Guide)."""
    group = application.replace("AppECS", "DgpECS")
    fields = {
        "region": REGION,
        "application": application,
        "deploymentGroup": group,
        "deploymentId": "d-5PZ2T6LYB",
        "instanceGroupId": "9fd2fbef-2157-40d8-91e7-6845af69e2d2",
        "state": state,
        **detail,
    }
    resources = [
        arn(f"application:{application}", service="codedeploy"),
        arn(f"deploymentgroup:{application}/{group}", service="codedeploy"),
    ]
    kind = "CodeDeploy Deployment State-change Notification"
    return event(kind, fields, source="aws.codedeploy", resources=resources)


def run_task(*failures: str, error: str = "", family: str = "nightly-report", count: int = 1, **detail: Any) -> Raw:
    """A call of RunTask as CloudTrail records it, with the reasons of its failures, or with an error.

    If access is denied, CloudTrail knows no parameters.
    """
    code, _, message = error.partition(": ")
    denied = code.startswith("AccessDenied")
    call = {"cluster": arn(f"cluster/{CLUSTER}"), "taskDefinition": family, "count": count, "launchType": "FARGATE"}
    answer = {
        "tasks": [{"taskArn": arn(f"task/{CLUSTER}/{TASK}")}] * (count - len(failures)),
        "failures": [{"reason": reason} for reason in failures],
    }
    detail = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/scheduler-run-task/6f1c2ab0",
            "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "scheduler-run-task"}},
            "invokedBy": "scheduler.amazonaws.com",
        },
        "eventTime": "2024-08-08T17:19:02Z",
        "eventSource": "ecs.amazonaws.com",
        "eventName": "RunTask",
        "requestParameters": None if denied else {**call, "startedBy": "chronos-schedule/nightly-report"},
        "responseElements": None if error else answer,
        "eventID": "e3c6f4ce-1b52-4c5e-9a0e-6a1f3c5b7d90",
        **({"errorCode": code, "errorMessage": message} if error else {}),
        **detail,
    }
    return event("AWS API Call via CloudTrail", detail)


def health(
    *resources: str, code: str = "AWS_ECS_TASK_PATCHING_RETIREMENT", category: str = "scheduledChange", **detail: Any
) -> Raw:
    """A message of AWS Health that affects these resources."""
    detail = {
        "eventArn": f"arn:aws:health:{REGION}::event/ECS/{code}/{code}_4f0b91c2d7",
        "service": "ECS",
        "eventTypeCode": code,
        "eventTypeCategory": category,
        "eventScopeCode": "ACCOUNT_SPECIFIC" if resources else "PUBLIC",
        "communicationId": "7988399e2e6fb0b905ddc88e0e2de1fd17e4c9fa-1",
        "startTime": "Thu, 15 Aug 2024 17:00:00 GMT",
        "endTime": "Sat, 17 Aug 2024 17:00:00 GMT",
        "lastUpdatedTime": "Thu, 08 Aug 2024 17:19:02 GMT",
        "statusCode": "upcoming",
        "eventRegion": REGION,
        "eventDescription": [
            {"language": "en_US", "latestDescription": "A software update has been deployed to Fargate."}
        ],
        "affectedAccount": ACCOUNT,
        "affectedEntities": [{"entityValue": resource, "statusCode": "PENDING"} for resource in resources],
        "page": "1",
        "totalPages": "1",
        **detail,
    }
    return event("AWS Health Event", detail, source="aws.health", resources=resources)
