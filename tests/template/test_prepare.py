"""What deploy/prepare.js adds on the way: subscriptions, and the permission to read what the settings refer to."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_aws import DeployError, LocalAws
from local_aws.deploy import run_osls
from router.config.production import is_production
from tests.template.packaged import ENVIRONMENT, EVERYTHING, Packaged, package

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]


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


def test_operators_that_are_named_are_the_only_ones(least: Packaged) -> None:
    assert subscribers(least, "OperatorsTopic") == {"operator@example.com"}


def test_all_that_is_wrong_is_said_at_once(local_aws: LocalAws, tmp_path: Path) -> None:
    wrong = {
        "ALERT_EMAILS": "first@example.com,nobody,@example.com",
        "EVENT_LOG_DAYS": "13",
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/workflows/T/A/1",
    }
    with pytest.raises(DeployError) as raised:
        package(local_aws, tmp_path / "package", **wrong)
    said = str(raised.value)
    assert "ALERT_EMAILS: not an email address: nobody, @example.com" in said
    assert "EVENT_LOG_DAYS: must be one of 1, 3, 5," in said
    assert "channels.slack: " in said


def test_nobody_to_tell_stops_the_deployment() -> None:
    """As deploy/prepare.js asks, without an address for the topic."""
    environment = {"ALERT_ROUTER_CONFIG": "alert-router.toml", "PATH": os.defpath, "SNS_TOPIC_ARN": ""}
    check: list[str | Path] = [sys.executable, ROOT / "deploy" / "check_config.py"]
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no channel is usable" in result.stderr


LITERAL = "https://hooks.slack.com/services/T00000000/B00000000/confidential"


@pytest.mark.parametrize("stage", ["production", "prod-eu"])
def test_a_literal_secret_stops_the_deployment_of_every_stage_that_is_not_known_to_be_for_tests(
    local_aws: LocalAws, tmp_path: Path, stage: str
) -> None:
    words = ("package", "--stage", stage, "--package", str(tmp_path / "package"))
    with pytest.raises(DeployError, match=r"channels\.slack\.webhook_url: is a literal secret"):
        run_osls(local_aws, *words, environment=ENVIRONMENT | {"SLACK_WEBHOOK_URL": LITERAL})


def test_a_literal_secret_in_a_variable_stops_it_even_if_no_channel_refers_to_it(
    local_aws: LocalAws, tmp_path: Path
) -> None:
    configuration = tmp_path / "router.toml"
    configuration.write_text((ROOT / "alert-router.toml").read_text().replace("env:SLACK_WEBHOOK_URL", "ssm:/slack"))
    words = ("package", "--stage", "prod", "--package", str(tmp_path / "package"))
    with pytest.raises(DeployError, match="SLACK_WEBHOOK_URL: is a literal secret"):
        run_osls(
            local_aws,
            *words,
            environment=ENVIRONMENT | {"SLACK_WEBHOOK_URL": LITERAL},
            configuration=configuration,
        )


@pytest.mark.parametrize(
    ("stage", "stated", "production", "days"),
    [
        ("prod", "", True, 90),
        ("staging", "", True, 90),
        ("dev", "", False, 30),
        ("test", "", False, 30),
        ("local", "", False, 30),
        ("dev", "on", True, 90),
        ("prod", "off", False, 30),
    ],
)
def test_every_stage_is_production_but_for_those_for_tests_or_as_stated(
    stage: str, stated: str, *, production: bool, days: int
) -> None:
    found, problems = settings(stage, production=stated)
    assert (found["production"], found["logDays"], problems) == (production, days, [])


def test_a_stage_may_state_how_long_its_logs_are_kept() -> None:
    assert settings("prod", logDays="365")[0]["logDays"] == 365


def test_the_function_and_deployment_agree_on_what_production_is() -> None:
    for stage in ("prod", "production", "prod-eu", "dev", "test", "local", "staging", "live"):
        assert settings(stage)[0]["production"] is is_production({"STAGE": stage})


def settings(stage: str = "dev", **stated: str) -> tuple[dict[str, Any], list[str]]:
    """What deploy/settings.js makes of custom.settings, and what it finds wrong."""
    script = (
        "const {read} = require('./deploy/settings'); console.log(JSON.stringify(read(...JSON.parse(process.argv[1]))))"
    )
    arguments = json.dumps([stated, {}, stage])
    result = subprocess.run(["node", "-e", script, arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    return found["settings"], found["problems"]


@pytest.mark.parametrize(
    ("setting", "value", "variable"),
    [
        ("alarmNamePrefix", "alert-router", "ALARM_NAME_PREFIX"),
        ("clusters", "prod, two words", "ECS_CLUSTERS"),
        ("containerExitedEvents", "maybe", "CONTAINER_EXITED_EVENTS"),
        ("dashboard", "perhaps", "DASHBOARD"),
        ("eventBusSenders", "12345", "EVENT_BUS_SENDERS"),
        ("heartbeat", "weekly", "HEARTBEAT_SCHEDULE"),
        ("historyTable", "a/b", "HISTORY_TABLE"),
        ("kmsKeyArn", "alias/mine", "KMS_KEY_ARN"),
        ("lifecycleEvents", "2", "LIFECYCLE_EVENTS"),
        ("production", "perhaps", "PRODUCTION"),
        ("secretsKeyArns", "mine", "SECRETS_KMS_KEY_ARNS"),
        ("watchedServices", "checkout", "WATCHED_SERVICES"),
        ("watchedServices", "prod/", "WATCHED_SERVICES"),
        ("watchedServices", "a/b/c", "WATCHED_SERVICES"),
        ("watchedServices", "prod/check out", "WATCHED_SERVICES"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(setting: str, value: str, variable: str) -> None:
    (problem,) = settings(**{setting: value})[1]
    assert problem.startswith(f"{variable}: ")


def test_a_setting_that_is_empty_is_as_if_it_were_not_set() -> None:
    names = [
        "alarmNamePrefix",
        "codeDeployPrefix",
        "clusters",
        "containerExitedEvents",
        "dashboard",
        "heartbeat",
        "eventLogDays",
        "historyTable",
    ]
    assert settings(**dict.fromkeys(names, " ")) == settings()
    assert settings()[1] == []


def test_a_stage_has_its_own_configuration_where_there_is_one(local_aws: LocalAws, tmp_path: Path) -> None:
    own = tmp_path / "alert-router.staging.toml"
    own.write_text((ROOT / "alert-router.toml").read_text().replace('language = "en"', 'language = "ja"'))
    files = (own,)
    run_osls(
        local_aws,
        "package",
        "--stage",
        "staging",
        "--package",
        str(tmp_path / "out"),
        environment=ENVIRONMENT,
        files=files,
    )
    packaged = Packaged(tmp_path / "out")
    variables = packaged.properties("RouterLambdaFunction")["Environment"]["Variables"]
    assert variables["ALERT_ROUTER_CONFIG"] == own.name
    assert [name for name in packaged.files("ecs-alert-router.zip") if name.endswith(".toml")] == [own.name]


def test_secrets_under_a_customer_managed_key_can_be_decrypted_through_their_service_alone(
    everything: Packaged,
) -> None:
    statements = everything.properties("IamRoleLambdaExecution")["Policies"][0]["PolicyDocument"]["Statement"]
    (found,) = [each for each in statements if EVERYTHING["SECRETS_KMS_KEY_ARNS"] in each["Resource"]]
    assert found["Action"] == ["kms:Decrypt"]
    assert found["Condition"]["StringLike"]["kms:ViaService"] == [
        "ssm.*.amazonaws.com*",
        "secretsmanager.*.amazonaws.com*",
    ]


def test_a_parameter_that_is_referred_to_may_be_read_and_no_other(packaged: Packaged) -> None:
    arn = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/ecs-alert-router/slack"
    assert permitted(packaged, "ssm:GetParameter") == [{"Fn::Sub": arn}]


def test_a_secret_that_is_referred_to_may_be_read_whatever_suffix_aws_gave_it(packaged: Packaged) -> None:
    arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:pagerduty-??????"
    assert permitted(packaged, "secretsmanager:GetSecretValue") == [{"Fn::Sub": arn}]


def test_without_references_no_secret_may_be_read(least: Packaged) -> None:
    assert permitted(least, "ssm:GetParameter") == []
    assert permitted(least, "secretsmanager:GetSecretValue") == []


def test_after_a_deployment_those_are_named_whom_no_mail_reaches() -> None:
    """Not confirmed, or forgotten by AWS since: CloudFormation takes either for a subscription that is there."""
    script = """
        const {Aws} = require('./deploy/aws');
        const pages = [
          {Subscriptions: [{Endpoint: 'late@example.com', SubscriptionArn: 'PendingConfirmation'}], NextToken: '2'},
          {Subscriptions: [{Endpoint: 'there@example.com', SubscriptionArn: 'arn:aws:sns:eu-west-1:1:alerts:1'}]},
        ];
        const aws = new Aws({});
        aws.ask = async () => pages.shift();
        aws.unheard('arn', ['late@example.com', 'there@example.com', 'forgotten@example.com'])
          .then((found) => console.log(JSON.stringify(found)));
    """
    result = subprocess.run(["node", "-e", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == ["late@example.com", "forgotten@example.com"]


# --- what is turned on ------------------------------------------------------------------------------------------------


def enriched(on: dict[str, Any]) -> Any:
    """The statements for what `[enrich]` of alert-router.toml turns on."""
    script = """
        const {enrichStatements} = require('./deploy/permissions');
        console.log(JSON.stringify(enrichStatements(JSON.parse(process.argv[1]))));
    """
    command = ["node", "-e", script, json.dumps({"taskDefinition": False, "logGroups": []} | on)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_what_only_decorates_messages_is_not_permitted_as_shipped(packaged: Packaged) -> None:
    assert permitted(packaged, "ecs:DescribeTaskDefinition") == []
    assert permitted(packaged, "logs:GetLogEvents") == []


def test_nothing_is_permitted_for_what_is_off() -> None:
    assert enriched({}) == []


def test_a_task_definition_may_be_described_where_that_is_on() -> None:
    statements = enriched({"taskDefinition": True})
    assert statements == [{"Effect": "Allow", "Action": ["ecs:DescribeTaskDefinition"], "Resource": "*"}]


def test_only_log_groups_that_are_named_may_be_read() -> None:
    (statement,) = enriched({"logGroups": ["/ecs/*", "web"]})
    assert statement["Action"] == ["logs:GetLogEvents"]
    assert [resource["Fn::Sub"].partition("log-group:")[2] for resource in statement["Resource"]] == [
        "/ecs/*:log-stream:*",
        "web:log-stream:*",
    ]


def test_each_watched_service_has_an_alarm_that_the_router_hears_of(everything: Packaged) -> None:
    """Its name begins as the rule asks, so that it comes through the same channels; its metrics name the service."""
    found = everything.of_type("AWS::CloudWatch::Alarm").items()
    alarms = [alarm for name, alarm in found if name.startswith("RunningTasks")]
    assert sorted(alarm["AlarmName"].partition("running-tasks-")[2] for alarm in alarms) == [
        "dev-prod-api",
        "dev-prod-checkout",
    ]
    (checkout,) = [alarm for alarm in alarms if alarm["AlarmName"].endswith("checkout")]
    running, desired, missing = checkout["Metrics"]
    for metric, name in ((running, "RunningTaskCount"), (desired, "DesiredTaskCount")):
        assert metric["MetricStat"]["Metric"] == {
            "Namespace": "ECS/ContainerInsights",
            "MetricName": name,
            "Dimensions": [{"Name": "ClusterName", "Value": "prod"}, {"Name": "ServiceName", "Value": "checkout"}],
        }
    assert missing["Expression"] == "desired - FILL(running, 0)"
    assert (checkout["ComparisonOperator"], checkout["Threshold"]) == ("GreaterThanThreshold", 0)
