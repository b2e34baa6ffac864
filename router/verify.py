"""Verify: asks AWS once an hour whether open conditions still continue.

An event can be lost, and some ends have no event. So each open condition is checked with a read-only Describe call, in
batches, and only while it is open. What AWS cannot be asked about (another account or region, no permission,
throttling) stays open until it expires (`router.incident.state.Condition.ends_at`).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from router.aws.home import ExpectedRun, Home
from router.ecs.conditions import ALARM, HOOK, HOOK_ENDS, INSTANCE, INSTANCE_GONE, OVERDUE, TOO_FEW_TASKS, UNFINISHED
from router.history.items import key_of
from router.history.table import Key
from router.incident.recovery import Findings
from router.incident.state import CONTAINER, SubjectState
from router.model import EndedBy, Subject

log = logging.getLogger("ecs-alert-router.verify")

_GONE = "MISSING"  # the reason of a failure in ECS's answer
_DEPLOYMENT_OVER = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})


class _Open(NamedTuple):
    """A condition that continues, as far as is known."""

    state: Key
    key: str
    subject: Subject
    arn: str

    @property
    def parts(self) -> list[str]:
        return self.key.split("/", 2)


_Answer = tuple[_Open, EndedBy | None]
"""What ended the condition, or None if it continues. A condition without an answer could not be checked."""


def verify(states: Iterable[SubjectState], home: Home) -> dict[Key, Findings]:
    """What AWS says about the conditions of these states, by the keys of the states; never raises."""
    findings: dict[Key, dict[str, EndedBy | None]] = {}
    questions: dict[tuple[str, str], list[_Open]] = {}
    for state in states:
        findings[key_of(state)] = {}
        subject = state.subject
        if (subject.account, subject.region) == (home.account, home.region):
            for key, condition in state.conditions.items():
                kind = key.partition("/")[0]
                if not home.verifies and kind not in _POLLED:
                    continue
                cluster = "" if kind in _WITHOUT_CLUSTER else subject.cluster
                questions.setdefault((kind, cluster), []).append(_Open(key_of(state), key, subject, condition.arn))
    for (kind, cluster), conditions in questions.items():
        for asked, ended in _answers(kind, cluster, conditions, home):
            findings[asked.state][asked.key] = ended
    return dict(findings)


def _answers(kind: str, cluster: str, conditions: Sequence[_Open], home: Home) -> Iterator[_Answer]:
    if kind not in _CHECKS or cluster == "-":
        return
    check, size = _CHECKS[kind]
    for start in range(0, len(conditions), size):
        batch = conditions[start : start + size]
        try:
            yield from check(batch, cluster, home)
        except Exception as error:  # noqa: BLE001 - whatever AWS answers, the alerts come first
            log.warning("%d conditions could not be checked: %s", len(batch), type(error).__name__)


# --- one kind of condition each ---------------------------------------------------------------------------------------


def _alarms(conditions: Sequence[_Open], _cluster: str, home: Home) -> Iterator[_Answer]:
    """Without `AlarmTypes`, CloudWatch leaves out all but metric alarms, and they would look deleted."""
    names = sorted({condition.subject.name for condition in conditions})
    answer = home.cloudwatch().describe_alarms(
        AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm", "LogAlarm"], MaxRecords=100
    )
    states = {
        alarm["AlarmName"]: alarm.get("StateValue")
        for alarms in answer.values()
        if isinstance(alarms, list)
        for alarm in alarms
    }
    for condition in conditions:
        match states.get(condition.subject.name, _GONE):
            case "OK":
                yield condition, EndedBy.ALARM_OK
            case "ALARM":
                yield condition, None
            case "MISSING":
                yield condition, EndedBy.ALARM_DELETED


def _containers(conditions: Sequence[_Open], cluster: str, home: Home) -> Iterator[_Answer]:
    ids = sorted({condition.parts[1] for condition in conditions})
    answer = home.ecs().describe_tasks(cluster=cluster, tasks=ids)
    tasks = {_last(task["taskArn"]): task for task in answer.get("tasks", ())}
    gone = _missing(answer)
    for condition in conditions:
        _, task_id, name = condition.parts
        task = tasks.get(task_id)
        if task_id in gone or (task and task.get("lastStatus") == "STOPPED"):
            yield condition, EndedBy.TASK_STOPPED
        elif task:
            statuses = {container.get("name"): container.get("lastStatus") for container in task.get("containers", ())}
            yield condition, EndedBy.CONTAINER_RUNNING if statuses.get(name) == "RUNNING" else None


def _hooks(conditions: Sequence[_Open], _cluster: str, home: Home) -> Iterator[_Answer]:
    arns = sorted({condition.arn for condition in conditions if condition.arn})
    if not arns:
        return
    answer = home.ecs().describe_service_deployments(serviceDeploymentArns=arns)
    deployments = {
        deployment["serviceDeploymentArn"]: deployment for deployment in answer.get("serviceDeployments", ())
    }
    for condition in conditions:
        deployment = deployments.get(condition.arn)
        if deployment is None:
            continue
        hooks = {hook.get("hookId"): hook.get("status") for hook in deployment.get("lifecycleHookDetails", ())}
        status = hooks.get(condition.key.removeprefix(HOOK))
        if deployment.get("status") in _DEPLOYMENT_OVER:
            yield condition, EndedBy.DEPLOYMENT_ENDED
        elif status == "AWAITING_ACTION":
            yield condition, None
        elif ended := HOOK_ENDS.get(f"HOOK_{status}"):
            yield condition, ended


def _instances(conditions: Sequence[_Open], cluster: str, home: Home) -> Iterator[_Answer]:
    arns = sorted({condition.arn for condition in conditions if condition.arn})
    if not arns:
        return
    answer = home.ecs().describe_container_instances(
        cluster=cluster, containerInstances=arns, include=["CONTAINER_INSTANCE_HEALTH"]
    )
    instances = {instance["containerInstanceArn"]: instance for instance in answer.get("containerInstances", ())}
    gone = _missing(answer)
    for condition in conditions:
        instance = instances.get(condition.arn)
        if _last(condition.arn) in gone or (instance and instance.get("status") in INSTANCE_GONE):
            yield condition, EndedBy.INSTANCE_GONE
        elif instance:
            match instance.get("healthStatus", {}).get("overallStatus"):
                case "OK":
                    yield condition, EndedBy.INSTANCE_HEALTHY
                case "IMPAIRED":
                    yield condition, None


def _services(conditions: Sequence[_Open], cluster: str, home: Home) -> Iterator[_Answer]:
    """Only the poll begins this condition. Once polling is switched off, nothing can tell whether it continues."""
    if not home.services:
        yield from ((condition, EndedBy.UNCONFIRMED) for condition in conditions)
        return
    names = sorted({condition.subject.name for condition in conditions})
    answer = home.ecs().describe_services(cluster=cluster, services=names)
    services = {service["serviceName"]: service for service in answer.get("services", ())}
    gone = _missing(answer)
    for condition in conditions:
        name = condition.subject.name
        service = services.get(name)
        if name in gone or (service and service.get("status") == "INACTIVE"):
            yield condition, EndedBy.VERIFIED
        elif service:
            enough = service.get("runningCount", 0) >= service.get("desiredCount", 0)
            yield condition, EndedBy.VERIFIED if enough else None


def _overdue_runs(conditions: Sequence[_Open], _cluster: str, home: Home) -> Iterator[_Answer]:
    """It lasts until an event reports a completed run, or until no run of the family is expected any more."""
    for condition in conditions:
        subject = condition.subject
        run = ExpectedRun(condition.key.partition("/")[2], subject.name, subject.cluster)
        yield condition, None if run in home.expected else EndedBy.NOT_EXPECTED


_Check = Callable[[Sequence[_Open], str, Home], Iterator[_Answer]]
_CHECKS: Final[Mapping[str, tuple[_Check, int]]] = MappingProxyType(
    {
        ALARM: (_alarms, 100),
        CONTAINER.rstrip("/"): (_containers, 100),
        HOOK.rstrip("/"): (_hooks, 20),
        INSTANCE: (_instances, 100),
        TOO_FEW_TASKS: (_services, 10),
        OVERDUE.rstrip("/"): (_overdue_runs, 100),
        UNFINISHED.rstrip("/"): (_overdue_runs, 100),
    }
)
"""By kind of condition, how it is checked, and how many one call takes at most: API references of Amazon CloudWatch and
Amazon ECS."""
_POLLED: Final = frozenset({TOO_FEW_TASKS, OVERDUE.rstrip("/"), UNFINISHED.rstrip("/")})
"""The conditions that only a poll begins. They are checked as long as it is switched on, whatever `verify` says."""
_WITHOUT_CLUSTER: Final = frozenset({ALARM, HOOK.rstrip("/")})


def _missing(answer: Mapping[str, Any]) -> set[str]:
    """Names or ids that ECS does not know (any more)."""
    failures = answer.get("failures", ())
    return {_last(str(failure.get("arn", ""))) for failure in failures if failure.get("reason") == _GONE}


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]
