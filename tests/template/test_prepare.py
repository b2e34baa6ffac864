"""What deploy/prepare.js adds on the way: subscriptions, and the permission to read what the settings refer to."""

from pathlib import Path
from typing import Any

import pytest

from local_aws import DeployError, LocalAws
from tests.template.packaged import Packaged, package

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


def test_without_references_no_secret_may_be_read(least: Packaged) -> None:
    assert permitted(least, "ssm:GetParameter") == []
    assert permitted(least, "secretsmanager:GetSecretValue") == []
