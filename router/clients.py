"""Where AWS clients are made; nothing else of the core knows boto3. Endpoints follow the SDK's own AWS_ENDPOINT_URL."""

import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_SETTINGS = Config(
    connect_timeout=2,
    read_timeout=5,
    # The deadline of an invocation is near; what is not done in three tries is tried again by the queue.
    retries={"mode": "standard", "total_max_attempts": 3},
    # One thread per channel may settle while others read.
    max_pool_connections=10,
)

# What only decorates a message is asked once, and not for long.
_BRIEFLY = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})


def dynamodb() -> Any:
    return _client("dynamodb")


def sqs() -> Any:
    return _client("sqs")


def sns() -> Any:
    return _client("sns")


def ecs() -> Any:
    return _client("ecs")


def ec2() -> Any:
    return _client("ec2")


def _client(service: str) -> Any:
    """From boto3's default session: a session of its own for each client would cost 80 ms of a cold start."""
    # boto3 itself knows AWS_DEFAULT_REGION alone; the deployment and the other SDKs, AWS_REGION.
    return boto3.client(service, region_name=os.environ.get("AWS_REGION") or None, config=_SETTINGS)


def stack_outputs(stack: str) -> dict[str, str]:
    """What a deployed stack gives out, by name. Raises what the client raises."""
    (found,) = _client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def ssm() -> Any:
    return _client("ssm")


def secretsmanager() -> Any:
    return _client("secretsmanager")


@cache
def ecs_of(region: str) -> Any:
    return boto3.client("ecs", region_name=region, config=_BRIEFLY)


@cache
def logs_of(region: str) -> Any:
    return boto3.client("logs", region_name=region, config=_BRIEFLY)
