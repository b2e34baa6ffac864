"""deploy/deployment-policy.json: what a deployment needs, and no more of the account than its own resources."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from tests.template.lint import schema_of
from tests.template.packaged import Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

POLICY = json.loads((Path(__file__).resolve().parents[2] / "deploy" / "deployment-policy.json").read_text("utf-8"))

# What CloudFormation's handlers may call for properties that the template does not have.
NOT_USED = {
    "AWS::DynamoDB::Table": (  # replicas, imports, streams
        "dynamodb:*Replica", "dynamodb:*Item", "dynamodb:*ResourcePolicy", "dynamodb:*Kinesis*",
        "dynamodb:ImportTable", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateContributorInsights", "iam:*",
        "kinesis:*", "kms:ListAliases", "kms:RevokeGrant", "logs:*", "s3:GetObject*", "s3:ListBucket",
    ),
    "AWS::Events::EventBus": ("kms:*",),  # AWS's own key
    "AWS::Events::Rule": ("iam:PassRole",),  # no target has a role
    "AWS::IAM::Role": ("iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:*PermissionsBoundary"),
    "AWS::KMS::Key": ("kms:DisableKey", "kms:EnableKey", "kms:ScheduleKeyDeletion"),  # it is retained
    "AWS::Lambda::EventSourceMapping": ("lambda:TagResource", "lambda:UntagResource"),
    "AWS::Lambda::Function": ("ec2:*", "elasticfilesystem:*", "s3files:*"),  # no VPC
    "AWS::Logs::LogGroup": (
        "firehose:*", "logs:*DataProtectionPolicy", "logs:*IndexPolicy", "logs:CreateLogDelivery",
        "logs:PutBearerTokenAuthentication", "logs:PutLogGroupDeletionProtection", "s3:*",
    ),
    "AWS::S3::Bucket": ("iam:PassRole", "s3tables:*"),
    "AWS::SNS::Subscription": ("iam:*",),
    "AWS::SNS::Topic": ("iam:*", "sns:PutDataProtectionPolicy"),
}  # fmt: skip


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions() -> list[str]:
    return [action for statement in POLICY["Statement"] for action in as_list(statement["Action"])]


def called(kind: str) -> Iterator[str]:
    """What CloudFormation calls to create, read, update and delete a resource, by its own schema."""
    handlers = schema_of(kind)["handlers"]
    for handler in ("create", "read", "update", "delete"):
        for action in handlers.get(handler, {}).get("permissions", ()):
            if not any(fnmatchcase(action, unused) for unused in NOT_USED.get(kind, ())):
                yield action


def test_it_permits_what_cloudformation_calls_for_every_resource(packaged: Packaged, everything: Packaged) -> None:
    resources = [*packaged.template["Resources"].values(), *everything.template["Resources"].values()]
    needed = {(kind, action) for kind in {resource["Type"] for resource in resources} for action in called(kind)}
    assert {entry for entry in needed if not any(fnmatchcase(entry[1], permitted) for permitted in actions())} == set()


def test_it_permits_no_whole_service_but_on_its_own_resources() -> None:
    assert "*" not in actions()
    for statement in POLICY["Statement"]:
        for resource in as_list(statement["Resource"]):
            assert resource != "*" or not [entry for entry in as_list(statement["Action"]) if entry.endswith("*")]
            owned = ("ecs-alert-router-*", "alert-router-*", "running-tasks-*", "/aws/events/ecs/*")
            assert resource == "*" or any(name in resource for name in owned), resource


def test_on_all_resources_it_permits_little_but_by_way_of_cloudformation() -> None:
    everywhere = [
        entry for entry in POLICY["Statement"] if "*" in as_list(entry["Resource"]) and "Condition" not in entry
    ]
    assert [action for statement in everywhere for action in as_list(statement["Action"])] == [
        "cloudformation:ValidateTemplate",
        "cloudwatch:DescribeAlarms",
        "lambda:GetEventSourceMapping",
        "lambda:ListTags",
        "logs:DeleteResourcePolicy",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:PutResourcePolicy",
    ]


def test_the_role_it_makes_can_be_given_to_lambda_alone() -> None:
    (statement,) = [entry for entry in POLICY["Statement"] if "iam:PassRole" in as_list(entry["Action"])]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


def test_it_fits_into_a_managed_policy() -> None:
    """IAM takes 6,144 characters without white space."""
    assert len(json.dumps(POLICY, separators=(",", ":"))) <= 6144
