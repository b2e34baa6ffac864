"""What deploy/prepare.js adds on the way: subscriptions, and the permission to read what the settings refer to."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_aws import DeployError, LocalAws
from tests.template.packaged import Packaged, package

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]


@pytest.fixture(scope="module")
def otherwise(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """Packaged with operators that are named, and without any secret."""
    settings = {"OPERATOR_EMAILS": "operator@example.com", "SLACK_WEBHOOK_URL": "", "PAGERDUTY_ROUTING_KEY": ""}
    return package(local_aws, tmp_path_factory.mktemp("otherwise"), **settings)


def subscribers(packaged: Packaged, topic: str) -> set[str]:
    subscriptions = packaged.of_type("AWS::SNS::Subscription").values()
    assert {subscription["Protocol"] for subscription in subscriptions} <= {"email"}
    return {found["Endpoint"] for found in subscriptions if found["TopicArn"] == {"Ref": topic}}


def permitted(packaged: Packaged, action: str) -> list[Any]:
    (policy,) = packaged.properties("IamRoleLambdaExecution")["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    return [resource for found in statements if action in found["Action"] for resource in found["Resource"]]


def test_each_alert_address_is_subscribed_to_the_alerts(packaged: Packaged) -> None:
    assert subscribers(packaged, "AlertsTopic") == {"first@example.com", "second@example.com"}


def test_operators_are_those_who_get_the_alerts_unless_they_are_named(packaged: Packaged) -> None:
    assert subscribers(packaged, "OperatorsTopic") == {"first@example.com", "second@example.com"}


def test_operators_that_are_named_are_the_only_ones(otherwise: Packaged) -> None:
    assert subscribers(otherwise, "OperatorsTopic") == {"operator@example.com"}


def test_what_is_no_address_stops_the_deployment_with_its_name(local_aws: LocalAws, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"ALERT_EMAILS: not an email address: nobody, @example\.com"):
        package(local_aws, tmp_path / "package", ALERT_EMAILS="first@example.com,nobody,@example.com")


def test_a_wrong_setting_stops_the_deployment_with_its_place(local_aws: LocalAws, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"channels\.slack: "):
        package(local_aws, tmp_path / "package", SLACK_WEBHOOK_URL="https://hooks.slack.com/workflows/T/A/1")


def test_nobody_to_tell_stops_the_deployment(local_aws: LocalAws, tmp_path: Path) -> None:
    nobody = {"ALERT_EMAILS": "", "SLACK_WEBHOOK_URL": "", "PAGERDUTY_ROUTING_KEY": ""}
    with pytest.raises(DeployError, match="no channel is usable"):
        package(local_aws, tmp_path / "package", **nobody)


def test_a_parameter_that_is_referred_to_may_be_read_and_no_other(packaged: Packaged) -> None:
    arn = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/ecs-alert-router/slack"
    assert permitted(packaged, "ssm:GetParameter") == [{"Fn::Sub": arn}]


def test_a_secret_that_is_referred_to_may_be_read_whatever_suffix_aws_gave_it(packaged: Packaged) -> None:
    arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:pagerduty-??????"
    assert permitted(packaged, "secretsmanager:GetSecretValue") == [{"Fn::Sub": arn}]


def test_without_references_no_secret_may_be_read(otherwise: Packaged) -> None:
    assert permitted(otherwise, "ssm:GetParameter") == []
    assert permitted(otherwise, "secretsmanager:GetSecretValue") == []


# --- what is turned on ------------------------------------------------------------------------------------------------

PREPARED = """
const Prepare = require('./deploy/prepare.js');
const [custom, on] = JSON.parse(process.argv[1]);
const service = {
  custom,
  resources: { Resources: {} },
  provider: { environment: { ALERT_ROUTER_CONFIG: 'alert-router.toml' }, iam: { role: { statements: [] } } },
};
const serverless = {
  service,
  serviceDir: process.cwd(),
  classes: { Error },
  getProvider: () => ({ getStage: () => 'dev' }),
};
const prepare = new Prepare(serverless, {}, { log: {} });
prepare.run = (command, words) => (words.join().includes('check_config') ? JSON.stringify(on) : 'python');
prepare.prepare();
const { statements } = service.provider.iam.role;
console.log(JSON.stringify({ Resources: service.resources.Resources, statements }));
"""
NOTHING_ON: dict[str, Any] = {"taskDefinition": False, "logGroups": []}


def prepared(services: list[str], on: dict[str, Any]) -> Any:
    """What deploy/prepare.js adds, without building a layer."""
    custom = {"watchedServices": services, "alarmNamePrefix": "ecs-"}
    command = ["node", "-e", PREPARED, json.dumps([custom, on])]
    environ = {**os.environ, "ALERT_EMAILS": "", "OPERATOR_EMAILS": ""}
    result = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DeployError(result.stderr)
    return json.loads(result.stdout)


def test_what_only_decorates_messages_is_not_permitted_as_shipped(packaged: Packaged) -> None:
    assert permitted(packaged, "ecs:DescribeTaskDefinition") == []
    assert permitted(packaged, "logs:GetLogEvents") == []


def test_nothing_is_permitted_for_what_is_off() -> None:
    assert prepared([], NOTHING_ON)["statements"] == []


def test_a_task_definition_may_be_described_where_that_is_on() -> None:
    statements = prepared([], NOTHING_ON | {"taskDefinition": True})["statements"]
    assert statements == [{"Effect": "Allow", "Action": ["ecs:DescribeTaskDefinition"], "Resource": "*"}]


def test_only_log_groups_that_are_named_may_be_read() -> None:
    (statement,) = prepared([], NOTHING_ON | {"logGroups": ["/ecs/*", "web"]})["statements"]
    assert statement["Action"] == ["logs:GetLogEvents"]
    assert [resource["Fn::Sub"].partition("log-group:")[2] for resource in statement["Resource"]] == [
        "/ecs/*:log-stream:*",
        "web:log-stream:*",
    ]


def test_each_watched_service_has_an_alarm_that_the_router_hears_of(tmp_path: Path) -> None:
    """Its name begins as the rule asks, so that it comes through the same channels; its metrics name the service."""
    resources = prepared(["prod/checkout", "prod/api", "prod/api"], NOTHING_ON)["Resources"]
    alarms = [resource["Properties"] for resource in resources.values()]
    assert [alarm["AlarmName"] for alarm in alarms] == [
        "ecs-running-tasks-dev-prod-checkout",
        "ecs-running-tasks-dev-prod-api",
    ]
    running, desired, missing = alarms[0]["Metrics"]
    for metric, name in ((running, "RunningTaskCount"), (desired, "DesiredTaskCount")):
        assert metric["MetricStat"]["Metric"] == {
            "Namespace": "ECS/ContainerInsights",
            "MetricName": name,
            "Dimensions": [{"Name": "ClusterName", "Value": "prod"}, {"Name": "ServiceName", "Value": "checkout"}],
        }
    assert missing["Expression"] == "desired - FILL(running, 0)"
    assert (alarms[0]["ComparisonOperator"], alarms[0]["Threshold"]) == ("GreaterThanThreshold", 0)
    template = tmp_path / "alarms.json"
    template.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    lint = Path(sys.executable).with_name("cfn-lint")
    checked = subprocess.run([lint, template], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("name", ["checkout", "prod/", "a/b/c", "prod/check out"])
def test_what_is_no_service_stops_the_deployment_with_its_name(name: str) -> None:
    with pytest.raises(DeployError, match=f"custom.watchedServices: not CLUSTER/SERVICE: {name}"):
        prepared([name], NOTHING_ON)
