"""Open conditions are verified hourly; what AWS cannot be asked about stays as it is."""

from typing import Any

import pytest

from local_aws.events import ACCOUNT, REGION
from router.aws.home import Home
from router.history.items import key_of
from router.incident.recovery import VERIFY_EVERY, Findings
from router.incident.state import Condition, SubjectState
from router.model import EndedBy, Kind, Subject, SubjectKind
from router.tick import tick
from router.verify import verify
from tests.doubles.service_events import in_alarm, sidecar_died
from tests.doubles.world import HOUR, MINUTE, START, World

HOOK_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service-deployment/prod/web/0EYSiB0qap8xf0N76FsbE"
INSTANCE_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/prod/abc"


class Aws:
    """Answers as CloudWatch and ECS do, in the shapes of their API references, and records each call."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.calls.append((operation, parameters))
            answer = self.answers.get(operation, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    @property
    def home(self) -> Home:
        return Home(ACCOUNT, REGION, lambda: self, lambda: self, services=True)


def state(kind: SubjectKind, name: str, key: str, arn: str = "", *, account: str = ACCOUNT) -> SubjectState:
    condition = Condition("cause", START, START, arn)
    cluster = "-" if kind is SubjectKind.ALARM else "prod"
    return SubjectState(Subject(account, REGION, cluster, kind, name), conditions={key: condition})


def findings(subject: SubjectState, **answers: Any) -> Findings:
    return verify([subject], Aws(**answers).home)[key_of(subject)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"MetricAlarms": [{"AlarmName": "cpu", "StateValue": "ALARM"}]}, {"alarm": None}),
        ({"CompositeAlarms": [{"AlarmName": "cpu", "StateValue": "OK"}]}, {"alarm": EndedBy.ALARM_OK}),
        ({"MetricAlarms": [], "CompositeAlarms": []}, {"alarm": EndedBy.ALARM_DELETED}),
        ({"MetricAlarms": [{"AlarmName": "cpu", "StateValue": "INSUFFICIENT_DATA"}]}, {}),
    ],
)
def test_an_alarm_is_asked_for_by_its_name(answer: Any, expected: Findings) -> None:
    assert findings(state(SubjectKind.ALARM, "cpu", "alarm"), describe_alarms=answer) == expected


def test_alarms_of_every_type_are_asked_for() -> None:
    aws = Aws()
    verify([state(SubjectKind.ALARM, "cpu", "alarm")], aws.home)
    assert aws.calls[0][1]["AlarmTypes"] == ["MetricAlarm", "CompositeAlarm", "LogAlarm"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("RUNNING", "STOPPED"), None),
        (("RUNNING", "RUNNING"), EndedBy.CONTAINER_RUNNING),
        (("STOPPED", "STOPPED"), EndedBy.TASK_STOPPED),
    ],
)
def test_a_dead_container_is_looked_up_in_its_task(answer: tuple[str, str], expected: EndedBy | None) -> None:
    task = {
        "taskArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/prod/t1",
        "lastStatus": answer[0],
        "containers": [{"name": "sidecar", "lastStatus": answer[1]}],
    }
    subject = state(SubjectKind.SERVICE, "web", "container/t1/sidecar")
    assert findings(subject, describe_tasks={"tasks": [task]}) == {"container/t1/sidecar": expected}


def test_a_task_that_ecs_has_forgotten_has_stopped() -> None:
    missing = {"failures": [{"arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/prod/t1", "reason": "MISSING"}]}
    subject = state(SubjectKind.SERVICE, "web", "container/t1/sidecar")
    assert findings(subject, describe_tasks=missing) == {"container/t1/sidecar": EndedBy.TASK_STOPPED}


@pytest.mark.parametrize(
    ("deployment", "hook", "expected"),
    [
        ("IN_PROGRESS", "AWAITING_ACTION", {"hook/h1": None}),
        ("IN_PROGRESS", "SUCCEEDED", {"hook/h1": EndedBy.APPROVED}),
        ("ROLLBACK_SUCCESSFUL", "AWAITING_ACTION", {"hook/h1": EndedBy.DEPLOYMENT_ENDED}),
        ("IN_PROGRESS", "SOMETHING_NEW", {}),
    ],
)
def test_an_approval_is_looked_up_in_its_deployment(deployment: str, hook: str, expected: Findings) -> None:
    details = [{"hookId": "h1", "status": hook}]
    answer = {"serviceDeploymentArn": HOOK_ARN, "status": deployment, "lifecycleHookDetails": details}
    subject = state(SubjectKind.SERVICE, "web", "hook/h1", HOOK_ARN)
    assert findings(subject, describe_service_deployments={"serviceDeployments": [answer]}) == expected


@pytest.mark.parametrize(
    ("status", "health", "expected"),
    [
        ("ACTIVE", "IMPAIRED", None),
        ("ACTIVE", "OK", EndedBy.INSTANCE_HEALTHY),
        ("INACTIVE", "IMPAIRED", EndedBy.INSTANCE_GONE),
    ],
)
def test_an_instance_is_looked_up_by_its_arn(status: str, health: str, expected: EndedBy | None) -> None:
    instance = {"containerInstanceArn": INSTANCE_ARN, "status": status, "healthStatus": {"overallStatus": health}}
    subject = state(SubjectKind.INSTANCE, "i-1", "instance", INSTANCE_ARN)
    assert findings(subject, describe_container_instances={"containerInstances": [instance]}) == {"instance": expected}


@pytest.mark.parametrize(("running", "expected"), [(1, None), (2, EndedBy.VERIFIED)])
def test_a_service_has_enough_tasks_again(running: int, expected: EndedBy | None) -> None:
    service = {"serviceName": "web", "status": "ACTIVE", "runningCount": running, "desiredCount": 2}
    subject = state(SubjectKind.SERVICE, "web", "too_few_tasks")
    assert findings(subject, describe_services={"services": [service]}) == {"too_few_tasks": expected}


def test_another_account_is_never_asked_about() -> None:
    aws = Aws()
    assert verify([state(SubjectKind.ALARM, "cpu", "alarm", account="999999999999")], aws.home) != {}
    assert aws.calls == []


def test_an_error_leaves_the_conditions_of_its_call_unchecked_and_no_others() -> None:
    alarm, service = state(SubjectKind.ALARM, "cpu", "alarm"), state(SubjectKind.SERVICE, "web", "container/t1/a")
    missing = {"failures": [{"arn": "task/prod/t1", "reason": "MISSING"}]}
    answers = verify([alarm, service], Aws(describe_alarms=RuntimeError("throttled"), describe_tasks=missing).home)
    assert answers[key_of(alarm)] == {}
    assert answers[key_of(service)] == {"container/t1/a": EndedBy.TASK_STOPPED}


def test_the_tick_verifies_once_an_hour_and_announces_what_has_ended() -> None:
    world, aws = (
        World(),
        Aws(describe_alarms={"MetricAlarms": [{"AlarmName": "web-running-tasks", "StateValue": "ALARM"}]}),
    )
    world.router = world.router._replace(verify=lambda states: verify(states, aws.home))
    world.receive(in_alarm(START))

    def wait(seconds: float) -> None:
        end = world.now + seconds
        while world.now < end:
            world.now += MINUTE
            tick(world.router, world.deadline())

    wait(3 * HOUR)
    assert len(aws.calls) == 3 * HOUR // VERIFY_EVERY
    assert world.slack.kinds == [Kind.OPENED]
    aws.answers["describe_alarms"] = {"MetricAlarms": [{"AlarmName": "web-running-tasks", "StateValue": "OK"}]}
    wait(HOUR + 10 * MINUTE)
    assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
    assert world.slack.told[-1].incident.ended_by is EndedBy.ALARM_OK
    calls = len(aws.calls)
    wait(3 * HOUR)
    assert len(aws.calls) == calls  # nothing is open, so nothing is asked


def test_what_is_verified_for_weeks_is_never_given_up() -> None:
    task = {"taskArn": "task/prod/t1", "lastStatus": "RUNNING", "containers": []}
    world, aws = World(), Aws(describe_tasks={"tasks": [task]})
    world.router = world.router._replace(verify=lambda states: verify(states, aws.home))
    world.receive(sidecar_died(START))
    for _ in range(14 * 24):
        world.now += HOUR
        tick(world.router, world.deadline())
    assert Kind.RESOLVED not in world.slack.kinds
