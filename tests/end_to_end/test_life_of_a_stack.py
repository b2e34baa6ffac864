"""The life of a stack: deployed, updated, updated back, removed, and deployed again with its history."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local_aws.deploy import DeployError, Stack, deploy, function_logs, remove, run_osls, stack_of
from local_aws.events import Raw, container_exited
from local_aws.server import LocalAws, running
from local_aws.slack import SlackDouble
from local_aws.stories import died, put, stamped
from release.__main__ import release
from router.cli import main
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable
from tests.doubles.dynamodb import create_history_table

pytestmark = [pytest.mark.check, pytest.mark.end_to_end, pytest.mark.xdist_group("end_to_end_life")]

CONFIGURATION = Path(__file__).parents[2] / "local_aws" / "demo.toml"
PARAMETER = "/ecs-alert-router/life/slack"
PATIENCE = 150.0  # seconds; a bundle waits for the next minute
SETTINGS = {"SLACK_WEBHOOK_URL": f"ssm:{PARAMETER}", "ALERT_EMAILS": "oncall@example.com"}


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackDouble]:
    with SlackDouble() as double:
        yield double


@pytest.fixture(scope="module")
def aws(slack: SlackDouble) -> Iterator[LocalAws]:
    with running(enforce_iam=True) as local:
        local.client("ssm").put_parameter(Name=PARAMETER, Value=slack.webhook_url, Type="SecureString")
        yield local


def alerts_of(aws: LocalAws, table: str, service: str) -> list[Any]:
    history = History(DynamoTable(aws.client("dynamodb"), table), 0.0)
    now = time.time()
    return history.alerts(AlertQuery(now - 3600, now + 60, subject=f"service:{service}"), now)


def eventually(condition: Callable[[], Any], aws: LocalAws, stack: Stack) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("".join(function_logs(aws, stack)[-40:]))
        time.sleep(0.1)


def deployments(aws: LocalAws) -> list[str]:
    """The timestamps of the deployments that can be returned to, the earliest first."""
    s3 = aws.client("s3")
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    keys = [item["Key"] for name in names for item in s3.list_objects_v2(Bucket=name).get("Contents", [])]
    return sorted({match[1] for key in keys if (match := re.search(r"/(\d{13})-", key))})


def another_table(aws: LocalAws) -> str:
    create_history_table(aws.client("dynamodb"), "another")
    return "another"


def on_the_bus(aws: LocalAws, service: str) -> None:
    """Puts an event on the event bus, as the rule of another account does."""
    raw = stamped(died(service), time.time())
    entry = {"Source": raw["source"], "DetailType": raw["detail-type"], "Detail": json.dumps(raw["detail"])}
    aws.client("events").put_events(Entries=[{**entry, "EventBusName": "ecs-alert-router-dev"}])


def test_a_stack_can_be_updated_removed_and_reattached_to_its_history(aws: LocalAws, slack: SlackDouble) -> None:
    first = deploy(aws, environment=SETTINGS, configuration=CONFIGURATION)
    put(stamped(died("early"), time.time()), aws.client("events"))
    eventually(lambda: alerts_of(aws, first.table_name, "early"), aws, first)

    put(self_report("unasked"), aws.client("events"))
    more = SETTINGS | {
        "ALERT_EMAILS": "b@example.com",
        "CONTAINER_EXITED_EVENTS": "on",
        "EVENT_BUS_SENDERS": "111122223333",
        "EVENT_LOG_DAYS": "14",
    }
    changed = deploy(aws, environment=more, configuration=CONFIGURATION)
    assert changed == first  # nothing was replaced
    assert [subscription["Endpoint"] for subscription in subscriptions(aws, changed)] == ["b@example.com"]
    on_the_bus(aws, "abroad")
    eventually(lambda: alerts_of(aws, first.table_name, "abroad"), aws, changed)
    put(self_report("metrics"), aws.client("events"))
    eventually(lambda: alerts_of(aws, first.table_name, "metrics"), aws, changed)
    assert not alerts_of(aws, first.table_name, "unasked")  # it was turned on only afterwards

    flood(aws, 40)
    put(stamped(died("behind-a-flood"), time.time()), aws.client("events"))
    eventually(lambda: alerts_of(aws, first.table_name, "behind-a-flood"), aws, changed)
    assert waiting_self_reports(aws) > 0  # an event of AWS does not wait for them

    # HISTORY_TABLE with the name of the stack's own table, which people set for the command line, changes nothing.
    back = deploy(aws, environment=SETTINGS | {"HISTORY_TABLE": first.table_name}, configuration=CONFIGURATION)
    assert back == first
    assert owned(aws, "HistoryTable") == first.table_name

    remove(aws)
    assert aws.client("dynamodb").list_tables()["TableNames"] == [first.table_name]
    assert len(aws.client("kms").list_keys()["Keys"]) == 1

    lean = SETTINGS | {"HISTORY_TABLE": first.table_name, "PROFILE": "lean"}
    again = deploy(aws, environment=lean, configuration=CONFIGURATION)
    assert again.table_name == first.table_name
    assert len(aws.client("kms").list_keys()["Keys"]) == 1  # no second one: the table keeps its own
    assert own_alarms(aws) == {"dead-letters", "oldest-event", "tick-silent"}
    assert owned(aws, "HistoryTable") is None
    put(stamped(died("late"), time.time()), aws.client("events"))
    eventually(lambda: alerts_of(aws, first.table_name, "late"), aws, again)
    assert alerts_of(aws, first.table_name, "early")
    eventually(lambda: any("service late" in str(message.payload) for message in slack.received), aws, again)

    # A deployment that forgets the variable, or names another table, would leave the history behind.
    for other in ({}, {"HISTORY_TABLE": another_table(aws)}):
        with pytest.raises(DeployError) as raised:
            deploy(aws, environment=SETTINGS | other, configuration=CONFIGURATION)
        assert f"Set HISTORY_TABLE={first.table_name} in .env" in str(raised.value)

    # A rollback deploys an earlier template with the values of its time, and takes none from the shell.
    assert deploy(aws, environment=lean | {"ALERT_EMAILS": "b@example.com"}, configuration=CONFIGURATION) == again
    run_osls(aws, "rollback", "--stage", "dev", "--timestamp", deployments(aws)[0], environment={})
    assert [subscription["Endpoint"] for subscription in subscriptions(aws, again)] == ["oncall@example.com"]


def own_alarms(aws: LocalAws, stage: str = "dev") -> set[str]:
    """The alarms of the router itself, without what they have in common."""
    prefix = f"alert-router-{stage}-"
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix(prefix) for alarm in alarms}


def test_the_released_template_is_deployed_by_cloudformation_alone(aws: LocalAws, tmp_path: Path) -> None:
    """In the lean profile and without any tool but an AWS client, as docs/deploy.md says."""
    release(aws, tmp_path)
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    s3.create_bucket(Bucket="releases")
    for name in ("template.json", "function.zip", "layer.zip"):
        s3.upload_file(str(tmp_path / name), "releases", f"0.1.0/{name}")
    with SlackDouble() as slack:
        aws.client("ssm").put_parameter(Name="/released/slack", Value=slack.webhook_url, Type="SecureString")
        parameters = {
            "AlertEmails": "first@example.com,second@example.com",
            "CodeBucket": "releases",
            "FunctionKey": "0.1.0/function.zip",
            "LayerKey": "0.1.0/layer.zip",
            "Profile": "lean",
            "SlackWebhookUrl": "ssm:/released/slack",
            "Stage": "released",
        }
        keys = len(aws.client("kms").list_keys()["Keys"])
        cloudformation.create_stack(
            StackName="released",
            TemplateURL="https://s3.us-east-1.amazonaws.com/releases/0.1.0/template.json",
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="released", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        stack = stack_of(aws, "released")
        assert len(aws.client("kms").list_keys()["Keys"]) == keys
        assert own_alarms(aws, "released") == {"dead-letters", "oldest-event", "tick-silent"}
        endpoints = [subscription["Endpoint"] for subscription in subscriptions(aws, stack)]
        assert endpoints == ["first@example.com", "second@example.com"]
        put(stamped(died("shop"), time.time()), aws.client("events"))
        eventually(lambda: slack.received, aws, stack)
        (message,) = slack.received
        assert "service shop " in str(message.payload["text"])
    cloudformation.delete_stack(StackName="released")


def self_report(service: str) -> Raw:
    """A container that has exited in a task that keeps running, as the task itself reports it."""
    return stamped(container_exited(service=service, family=service, task=uuid.uuid4().hex), time.time())


def flood(aws: LocalAws, calls: int) -> None:
    """Ten self-reports with each call, each about a task of its own."""
    events = aws.client("events")

    def put_ten(_call: int) -> None:
        raws = [self_report(uuid.uuid4().hex) for _ in range(10)]
        events.put_events(
            Entries=[
                {"Source": raw["source"], "DetailType": raw["detail-type"], "Detail": json.dumps(raw["detail"])}
                for raw in raws
            ]
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put_ten, range(calls)))


def waiting_self_reports(aws: LocalAws) -> int:
    sqs = aws.client("sqs")
    (url,) = [url for url in sqs.list_queues()["QueueUrls"] if "SelfReportsQueue" in url]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(counts["ApproximateNumberOfMessages"])


def subscriptions(aws: LocalAws, stack: Stack) -> list[Any]:
    page = aws.client("sns").list_subscriptions_by_topic(TopicArn=stack.alerts_topic_arn)
    return list(page["Subscriptions"])


def owned(aws: LocalAws, logical_id: str) -> str | None:
    response = aws.client("cloudformation").describe_stack_resources(StackName="ecs-alert-router-dev")
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in response["StackResources"]}
    return ids.get(logical_id)


def test_a_channel_is_not_removed_while_a_message_for_it_is_due(aws: LocalAws) -> None:
    """Nobody answers at its address, so the message waits for its next attempt until it is dropped."""
    with_slack = SETTINGS | {"SLACK_WEBHOOK_URL": "http://127.0.0.1:9/services/T0/B0/x"}
    stack = deploy(aws, environment=with_slack, stage="test", configuration=CONFIGURATION)
    put(stamped(died("owed"), time.time()), aws.client("events"))
    eventually(lambda: alerts_of(aws, stack.table_name, "owed"), aws, stack)

    without_slack = SETTINGS | {"SLACK_WEBHOOK_URL": ""}
    with pytest.raises(DeployError) as raised:
        deploy(aws, environment=without_slack, stage="test", configuration=CONFIGURATION)
    assert "channels.slack: the configuration no longer has this channel" in str(raised.value)
    command = re.search(r"ecs-alert-router (redrive --drop slack .*?)\. ", " ".join(str(raised.value).split()))
    assert command
    operator = {
        "AWS_ACCESS_KEY_ID": aws.access_key,
        "AWS_SECRET_ACCESS_KEY": aws.secret_key,
        "AWS_ENDPOINT_URL": aws.endpoint,
    }
    result = CliRunner().invoke(main, [*command[1].split(), "--yes"], env=operator)
    assert result.exit_code == 0, result.output
    assert deploy(aws, environment=without_slack, stage="test", configuration=CONFIGURATION) == stack
    remove(aws, stage="test")


def test_a_missing_history_table_stops_the_deployment_before_anything_is_created(aws: LocalAws) -> None:
    settings = SETTINGS | {"HISTORY_TABLE": "not-there"}
    with pytest.raises(DeployError, match="HISTORY_TABLE: not-there cannot be used"):
        deploy(aws, environment=settings, stage="other", configuration=CONFIGURATION)
    names = [stack["StackName"] for stack in aws.client("cloudformation").list_stacks()["StackSummaries"]]
    assert "ecs-alert-router-other" not in names
