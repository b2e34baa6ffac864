"""A deployment by somebody who has deploy/deployment-policy.json and nothing else, on a local AWS that enforces IAM.

The local AWS checks what the CLI calls, but not what CloudFormation calls on its behalf: for that, the template tests
compare the policy with CloudFormation's own schemas.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.deploy import DeployError, deploy, remove
from local_aws.server import LocalAws, running

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("end_to_end_policy")]

POLICY = json.loads((Path(__file__).parents[2] / "deploy" / "deployment-policy.json").read_text("utf-8"))
SETTINGS = {"SLACK_WEBHOOK_URL": "ssm:/slack", "ALERT_EMAILS": "oncall@example.com"}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with running(enforce_iam=True) as local:
        yield local


def user(aws: LocalAws, name: str, policy: Any) -> LocalAws:
    """The same AWS for a user who has this policy."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="deployment", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return replace(aws, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])


def without(sid: str) -> Any:
    assert sid in {statement["Sid"] for statement in POLICY["Statement"]}
    return POLICY | {"Statement": [statement for statement in POLICY["Statement"] if statement["Sid"] != sid]}


@pytest.mark.check  # tests/template compares the policy with what CloudFormation calls
def test_the_policy_is_enough_to_deploy_and_to_remove(aws: LocalAws) -> None:
    deployer = user(aws, "deployer", POLICY)
    deploy(deployer, environment=SETTINGS)
    remove(deployer)
    stacks = aws.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])
    assert stacks["StackSummaries"] == []


@pytest.mark.thorough
@pytest.mark.parametrize("sid", ["Stacks", "DeploymentBucket"])
def test_without_a_part_of_it_the_deployment_fails(aws: LocalAws, sid: str) -> None:
    """This shows that the local AWS really checks the calls."""
    with pytest.raises(DeployError):
        deploy(user(aws, f"without-{sid}", without(sid)), environment=SETTINGS)


def test_it_lets_nobody_into_what_belongs_to_others(aws: LocalAws) -> None:
    aws.client("sqs").create_queue(QueueName="payments")
    aws.client("dynamodb").create_table(
        TableName="payments",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    deployer = user(aws, "curious", POLICY)
    with pytest.raises(ClientError, match="AccessDenied"):
        deployer.client("sqs").get_queue_url(QueueName="payments")
    with pytest.raises(ClientError, match="AccessDenied"):
        deployer.client("dynamodb").describe_table(TableName="payments")
    with pytest.raises(ClientError, match="AccessDenied"):
        deployer.client("iam").create_user(UserName="another")
