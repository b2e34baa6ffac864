"""What no event says, on a local AWS with IAM enforced: the function finds out, or is told by another service.

The services, tasks, alarms and schedules of the local AWS are changed from outside. The function's clock is moved ahead
instead of waiting, and the tick is invoked as its rule invokes it.
"""

import json
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from local_aws.deploy import Stack, deploy, function_logs
from local_aws.events import Raw, alarm, container, health, run_task, task_event, task_stopped
from local_aws.server import LocalAws, running
from local_aws.slack import SlackDouble
from local_aws.stories import put, stamped
from router.cli import main
from router.history.items import iso
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable
from router.model import OWN_SOURCE

pytestmark = [pytest.mark.check, pytest.mark.end_to_end, pytest.mark.xdist_group("end_to_end_polling")]

CONFIGURATION = """
resolve_after = "5s"
channels.slack = { kind = "slack", webhook_url = "env:SLACK_WEBHOOK_URL" }
routes = [{ severity = "warning", channels = ["slack"] }]
poll.services = true
expect = [
  { name = "once", family = "report", cluster = "prod", schedule = "AT" },
  { name = "daily", family = "import", cluster = "prod", every = "24h" },
]
"""
WITHOUT_POLLING = Path(__file__).parents[2] / "local_aws" / "demo.toml"
ACCOUNT = "000000000000"
SETTINGS = {"SLACK_WEBHOOK_URL": "ssm:/polling/slack"}
TICK = {"source": OWN_SOURCE, "detail-type": "Router Tick"}
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
PATIENCE = 60.0  # seconds
RECOVERED = 6.0  # seconds; more than `resolve_after`


@dataclass(frozen=True)
class Deployed:
    aws: LocalAws
    stack: Stack
    slack: SlackDouble

    def invoke(self, event: Any) -> Any:
        """What the function answers."""
        answer = self.aws.client("lambda").invoke(FunctionName=self.stack.function_name, Payload=json.dumps(event))
        payload = json.load(answer["Payload"])
        assert "FunctionError" not in answer, "".join(function_logs(self.aws, self.stack)[-40:])
        return payload

    def happen(self, raw: Raw) -> Any:
        """An event of the stack's own account and region happens now, and arrives."""
        home = {"account": ACCOUNT, "region": self.aws.region}
        return self.invoke(stamped(raw, self.aws.now()) | home | {"id": uuid.uuid4().hex})

    def later(self, *waits: float) -> None:
        """Time passes, with a tick after each wait."""
        for seconds in waits:
            self.aws.advance(seconds)
            self.invoke(TICK)

    def texts(self, about: str) -> list[str]:
        """The texts that Slack received and that contain this."""
        payloads = (received.payload for received in self.slack.received)
        return [str(payload["text"]) for payload in payloads if about in json.dumps(payload)]

    def type(self, *words: str) -> str:
        """What a command prints for the operator of the stage."""
        environment = {
            "AWS_ENDPOINT_URL": self.aws.endpoint,
            "AWS_REGION": self.aws.region,
            "AWS_DEFAULT_REGION": self.aws.region,
            "AWS_ACCESS_KEY_ID": self.aws.access_key,
            "AWS_SECRET_ACCESS_KEY": self.aws.secret_key,
        }
        result = CliRunner().invoke(main, words, env=environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    def rows(self) -> list[Any]:
        """Every alert in history."""
        history = History(DynamoTable(self.aws.client("dynamodb"), self.stack.table_name), 0.0)
        now = self.aws.now()
        return history.alerts(AlertQuery(now - 10 * DAY, now + DAY, at_least="warning"), now)


@pytest.fixture(autouse=True)
def calm(deployed: Deployed) -> None:
    """Waits until Slack's rate limit is free again; otherwise a message would be bundled with one of the last test."""
    deployed.aws.advance(MINUTE)


def eventually(condition: Callable[[], Any], deployed: Deployed) -> None:
    """Waits until the function has processed what EventBridge sent it."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "".join(function_logs(deployed.aws, deployed.stack)[-40:])
        time.sleep(0.1)


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is polled; the run `once` is due in an hour."""
    file = tmp_path_factory.mktemp("polling") / "alert-router.toml"
    file.write_text(CONFIGURATION.replace("AT", f"at({iso(time.time() + HOUR)[:19]})"))
    return file


@pytest.fixture(scope="module")
def deployed(configuration: Path) -> Iterator[Deployed]:
    with SlackDouble() as slack, running(enforce_iam=True) as aws:
        aws.client("ssm").put_parameter(Name="/polling/slack", Value=slack.webhook_url, Type="SecureString")
        ecs = aws.client("ecs")
        ecs.create_cluster(clusterName="prod")
        for family in ("web", "import"):
            containers = [{"name": "app", "image": "app", "memory": 64}]
            ecs.register_task_definition(family=family, containerDefinitions=containers)
        ecs.create_service(cluster="prod", serviceName="web", taskDefinition="web", desiredCount=2)
        stack = deploy(aws, environment=SETTINGS, configuration=configuration)
        deployed = Deployed(aws, stack, slack)
        deployed.later(0)  # from now on, the runs are expected
        yield deployed


def test_a_service_below_its_count_is_announced_and_ends_when_it_is_back(deployed: Deployed) -> None:
    ecs = deployed.aws.client("ecs")
    task = ecs.list_tasks(cluster="prod", serviceName="web")["taskArns"][0]
    ecs.stop_task(cluster="prod", task=task)
    deployed.later(5 * MINUTE)
    assert deployed.texts("service web ") == []
    deployed.later(5 * MINUTE)
    (opened,) = deployed.texts("service web ")
    assert opened.startswith(
        "🔶 ERROR · Too few tasks running: service web in prod – The service has run 1 of 2 desired"
    )
    ecs.update_service(cluster="prod", service="web", desiredCount=2)  # which starts the missing task
    deployed.later(5 * MINUTE, RECOVERED)
    _, resolved = deployed.texts("service web ")
    assert resolved.startswith("✅ RESOLVED · Too few tasks running: service web in prod")


def test_a_run_that_never_came_is_announced_and_the_next_completed_one_ends_it(deployed: Deployed) -> None:
    """The first tick may come so late that the router was away; then it waits for ten minutes."""
    deployed.later(HOUR + 16 * MINUTE, 10 * MINUTE)
    (opened,) = deployed.texts("family report ")
    assert opened.startswith("🔶 ERROR · Scheduled task is overdue: task family report in prod – The run once was due")
    deployed.happen(completed("report"))
    deployed.later(RECOVERED)
    _, resolved = deployed.texts("family report ")
    assert resolved.startswith("✅ RESOLVED · Scheduled task is overdue: task family report in prod")


def completed(family: str) -> Raw:
    """A standalone run that succeeds."""
    task = uuid.uuid4().hex
    return task_stopped(containers=[container("app", 0)], service=None, family=family, task=task)


def test_the_schedules_of_the_account_become_tables_and_are_listed(deployed: Deployed, configuration: Path) -> None:
    scheduler, events = deployed.aws.client("scheduler"), deployed.aws.client("events")
    place = f"arn:aws:ecs:{deployed.aws.region}:{ACCOUNT}"
    role, task = f"arn:aws:iam::{ACCOUNT}:role/run", {"TaskDefinitionArn": f"{place}:task-definition/nightly:3"}
    cluster = {"Arn": f"{place}:cluster/prod", "RoleArn": role}
    templated = {**cluster, "EcsParameters": task}
    request = json.dumps({"Cluster": "prod", "TaskDefinition": "weekly"})
    universal = {"Arn": "arn:aws:scheduler:::aws-sdk:ecs:runTask", "RoleArn": role, "Input": request}
    other = {"Arn": deployed.stack.alerts_topic_arn, "RoleArn": role}
    for name, target in {"nightly": templated, "weekly": universal, "note": other}.items():
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression="cron(0 3 ? * MON *)",
            ScheduleExpressionTimezone="Asia/Tokyo",
            FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30},
            Target=target,
        )
    events.put_rule(Name="hourly", ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule="hourly", Targets=[{"Id": "1", **templated}])
    tables = tomllib.loads(deployed.type("expect", "learn"))["expect"]
    assert {(table["name"], table["family"], table["schedule"]) for table in tables} == {
        ("nightly", "nightly", "cron(0 3 ? * MON *)"),
        ("weekly", "weekly", "cron(0 3 ? * MON *)"),
        ("hourly", "nightly", "rate(1 hour)"),
    }
    assert [(table.get("time_zone"), table.get("grace")) for table in tables] == [("Asia/Tokyo", "45m")] * 2 + [
        (None,) * 2
    ]
    listed = deployed.type("expect", "list", "--config", str(configuration), "--stage", "dev", "--json")
    runs = {run["name"]: run for run in map(json.loads, listed.splitlines())}
    assert set(runs) == {"once", "daily"}
    assert runs["daily"]["due"] > iso(time.time())


def test_a_refused_run_is_announced_with_its_reason_and_ended_by_a_later_run(deployed: Deployed) -> None:
    put(run_task("RESOURCE:MEMORY", family="refused"), deployed.aws.client("events"))
    eventually(lambda: deployed.texts("family refused "), deployed)
    (opened,) = deployed.texts("family refused ")
    assert opened.startswith("🔶 ERROR · Task not started: task family refused in prod")
    assert "RESOURCE:MEMORY" in str(deployed.slack.received[-1].payload)
    deployed.aws.advance(1)
    deployed.happen(completed("refused"))
    deployed.later(RECOVERED)
    assert deployed.texts("family refused ")[1].startswith(
        "✅ RESOLVED · Task not started: task family refused in prod"
    )


def test_all_messages_of_a_health_event_are_one_incident(deployed: Deployed) -> None:
    """Two pages, the copy for the backup Region, an update, and the end."""
    arn = f"arn:aws:health:{deployed.aws.region}::event/ECS/RETIREMENT/1"
    moment, ends = deployed.aws.now(), formatdate(deployed.aws.now() + 14 * DAY, usegmt=True)

    def message(communication: str, page: str, status: str = "upcoming", region: str = "") -> Raw:
        raw = health(
            f"prod|web-{page}",
            eventArn=arn,
            communicationId=f"{communication}-{page}",
            page=page,
            totalPages="2",
            statusCode=status,
            eventRegion=deployed.aws.region,
            affectedAccount=ACCOUNT,
            lastUpdatedTime=formatdate(moment, usegmt=True),
            endTime=ends,
        )
        return raw | {"id": uuid.uuid4().hex, "time": iso(moment), "region": region or raw["region"]}

    announced = message("a", "1")
    put(announced, deployed.aws.client("events"))
    eventually(lambda: deployed.texts("retire"), deployed)
    repeated = [message("a", "2"), message("a", "1", region="us-west-2"), message("b", "1")]
    decisions = [deployed.invoke(raw)["decision"] for raw in repeated]
    assert "announced" not in decisions
    (opened,) = deployed.texts("retire")
    assert opened.startswith("⚠️ WARNING · AWS will retire tasks: services in us-east-1")
    rows = [row for row in deployed.rows() if row["cause"] == "retirement_scheduled"]
    assert len(rows) == 4
    assert len({row["incident"] for row in rows} - {""}) == 1
    deployed.later(HOUR)
    deployed.invoke(message("c", "1", "closed"))
    deployed.later(RECOVERED)
    assert deployed.texts("retire")[-1].startswith("✅ RESOLVED · ")


def test_an_alarm_whose_ok_never_came_is_ended_by_the_hourly_verification(deployed: Deployed) -> None:
    cloudwatch = deployed.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="ecs-cpu",
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=90,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName="ecs-cpu", StateValue="ALARM", StateReason="test")
    deployed.happen(alarm("ALARM", name="ecs-cpu", at=iso(deployed.aws.now())))
    deployed.later(HOUR)
    assert len(deployed.texts("ecs-cpu")) == 1
    cloudwatch.set_alarm_state(AlarmName="ecs-cpu", StateValue="OK", StateReason="test")
    deployed.later(HOUR, RECOVERED)
    _, resolved = deployed.texts("ecs-cpu")
    assert resolved.startswith("✅ RESOLVED · CloudWatch alarm: ecs-cpu – The alarm is OK again.")


def test_a_dead_container_whose_task_stopped_unseen_is_ended_by_the_hourly_verification(deployed: Deployed) -> None:
    ecs = deployed.aws.client("ecs")
    (task,) = ecs.run_task(cluster="prod", taskDefinition="web")["tasks"]
    containers = [container("app", status="RUNNING"), container("sidecar", 1)]
    task_id = task["taskArn"].rpartition("/")[2]
    deployed.happen(task_event(containers=containers, service=None, family="web", task=task_id))
    deployed.later(HOUR)
    (opened,) = deployed.texts("family web")
    assert opened.startswith("⚠️ WARNING · Container exited in a running task: task family web in prod – ")
    ecs.stop_task(cluster="prod", task=task_id)
    deployed.later(HOUR, RECOVERED)
    _, resolved = deployed.texts("family web")
    assert resolved.startswith(
        "✅ RESOLVED · Container exited in a running task: task family web in prod – The task has stopped."
    )


def as_role(deployed: Deployed) -> LocalAws:
    """The local AWS for a user who has exactly the policies of the function's role."""
    iam, function = deployed.aws.client("iam"), deployed.aws.client("lambda")
    configuration = function.get_function_configuration(FunctionName=deployed.stack.function_name)
    role, user = configuration["Role"].rpartition("/")[2], uuid.uuid4().hex
    iam.create_user(UserName=user)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return replace(deployed.aws, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])


ECS = "arn:aws:ecs:us-east-1"
HOOK = f"{ECS}:{ACCOUNT}:service-deployment/prod/web/d"
INSTANCE = f"{ECS}:{ACCOUNT}:container-instance/prod/i"
VERIFICATION: dict[str, dict[str, Any]] = {
    "describe_container_instances": {"cluster": "prod", "containerInstances": [INSTANCE]},
    "describe_service_deployments": {"serviceDeploymentArns": [HOOK]},
    "describe_services": {"cluster": "prod", "services": ["web"]},
    "describe_tasks": {"cluster": "prod", "tasks": ["t1"]},
}
POLLING: dict[str, dict[str, Any]] = {
    "list_clusters": {},
    "list_services": {"cluster": "prod"},
    "list_tasks": {"cluster": "prod", "family": "import"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "describe_clusters": {"clusters": ["prod"]},
    "describe_task_definition": {"taskDefinition": "web"},
    "list_container_instances": {"cluster": "prod"},
    "list_service_deployments": {"service": "web", "cluster": "prod"},
    "list_task_definitions": {},
    "run_task": {"cluster": "prod", "taskDefinition": "web"},
    "stop_task": {"cluster": "prod", "task": "t1"},
    "update_service": {"cluster": "prod", "service": "web", "desiredCount": 0},
}


def permitted(aws: LocalAws, calls: Mapping[str, dict[str, Any]]) -> set[str]:
    """Which of these calls to ECS are not denied."""
    ecs, found = aws.client("ecs"), set(calls)
    for name, request in calls.items():
        try:
            getattr(ecs, name)(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDeniedException":
                found.remove(name)
    return found


def test_the_role_permits_the_calls_of_verification_and_polling_and_no_other(deployed: Deployed) -> None:
    role = as_role(deployed)
    assert permitted(role, VERIFICATION | POLLING | OTHERS) == VERIFICATION.keys() | POLLING.keys()
    role.client("cloudwatch").describe_alarms(AlarmNames=["ecs-cpu"])
    with pytest.raises(ClientError, match="AccessDenied"):
        role.client("cloudwatch").describe_alarm_history(AlarmName="ecs-cpu")
    with pytest.raises(ClientError, match="AccessDenied"):
        role.client("scheduler").list_schedules()


def test_what_it_reads_must_belong_to_its_account(deployed: Deployed) -> None:
    other = {"cluster": "prod", "services": [f"{ECS}:111122223333:service/prod/web"]}
    assert permitted(as_role(deployed), {"describe_services": other}) == set()


@pytest.mark.thorough  # the template tests check the permissions of a stack that does not poll
def test_switched_off_polling_has_no_permission_and_what_it_found_ends(deployed: Deployed) -> None:
    """The last test of this stack, since it is deployed again with the shipped settings."""
    ecs = deployed.aws.client("ecs")
    ecs.stop_task(cluster="prod", task=ecs.list_tasks(cluster="prod", serviceName="web")["taskArns"][0])
    deployed.later(0, 5 * MINUTE, 5 * MINUTE)
    assert deployed.texts("service web ")[-1].startswith("🔶 ERROR · ")
    deployed.later(DAY + 6 * MINUTE, 10 * MINUTE)
    assert deployed.texts("family import ")[-1].startswith("🔶 ERROR · ")
    deploy(deployed.aws, environment=SETTINGS, configuration=WITHOUT_POLLING)
    assert permitted(as_role(deployed), VERIFICATION | POLLING | OTHERS) == VERIFICATION.keys()
    deployed.later(HOUR, RECOVERED, MINUTE)
    assert deployed.texts("service web ")[-1].startswith("✅ NOT CONFIRMED · ")
    assert deployed.texts("family import")[-1].startswith("✅ RESOLVED · ")
