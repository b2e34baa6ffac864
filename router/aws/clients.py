"""Makes the AWS clients, all from one botocore session. Endpoints follow the SDK's AWS_ENDPOINT_URL variables."""

import logging
import os
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

log = logging.getLogger("ecs-alert-router.aws.clients")

SERVICES = frozenset({"cloudwatch", "dynamodb", "ecs", "logs", "secretsmanager", "sns", "sqs", "ssm"})
"""The services that the function calls."""

_SETTINGS: Mapping[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "attempts": 3,  # an invocation has little time; the queue repeats what fails three times
    "max_pool_connections": 10,  # several threads call DynamoDB at the same time
    "parameter_validation": False,  # a quarter of the CPU time of each call; the service validates the request itself
}
_BRIEF: Mapping[str, Any] = {"connect_timeout": 1, "read_timeout": 2, "attempts": 1}
"""For calls that only add details to a message."""

_USER_AGENT = "ecs-alert-router"
"""botocore's own user agent is composed again for each call, which takes a sixth of the call's CPU time."""

_creating = threading.Lock()  # botocore cannot create clients in several threads at once


def aws_client(service: str, region: str = "", *, attempts: int, **settings: Any) -> Any:
    """A low-level client of an AWS service.

    Args:
        region: if it is not the function's own.
        attempts: the most attempts for a call, including the first.
        settings: of `botocore.config.Config`: `connect_timeout`, `read_timeout` (seconds).
    """
    with _creating:
        session = _session() if service in SERVICES else _stock_session()
        from botocore.config import Config  # noqa: PLC0415 - see `_session`

        # botocore reads AWS_DEFAULT_REGION only; the deployment and the other SDKs use AWS_REGION.
        region_name = region or os.environ.get("AWS_REGION") or None
        retries = {"mode": "standard", "total_max_attempts": attempts}  # the legacy mode reads a file of rules
        config = Config(user_agent=_USER_AGENT, retries=retries, **settings)
        return session.create_client(service, region_name=region_name, config=config)


@cache
def _session() -> Any:
    """For `SERVICES`. botocore is imported here, because most commands of the CLI do without AWS and start faster."""
    from router.coldstart.botocore_session import make_session  # noqa: PLC0415 - as above

    try:
        return make_session(SERVICES)
    except Exception as error:  # noqa: BLE001 - AWS updates botocore in the runtime, and any change may break it
        log.warning("this botocore is unknown; using its own session: %s: %s", type(error).__name__, error)
        return _stock_session()


@cache
def _stock_session() -> Any:
    """For all other services, which the command line calls."""
    import botocore.session  # noqa: PLC0415 - as above

    return botocore.session.get_session()


def _client(service: str) -> Any:
    return aws_client(service, **_SETTINGS)


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


def ssm() -> Any:
    return _client("ssm")


def secretsmanager() -> Any:
    return _client("secretsmanager")


@cache
def cloudwatch() -> Any:
    return aws_client("cloudwatch", **_BRIEF)


@cache
def ecs_of(region: str) -> Any:
    return aws_client("ecs", region, **_BRIEF)


@cache
def logs_of(region: str) -> Any:
    return aws_client("logs", region, **_BRIEF)


def stack_outputs(stage: str) -> dict[str, str]:
    """The outputs of the stack of a stage, by name. Raises what the client raises."""
    (stack,) = _client("cloudformation").describe_stacks(StackName=f"ecs-alert-router-{stage}")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
