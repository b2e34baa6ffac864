"""Makes the AWS clients, all from one botocore session. Endpoints follow the SDK's AWS_ENDPOINT_URL variables."""

import logging
import os
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from router import deadline

log = logging.getLogger("ecs-alert-router.aws.clients")

SERVICES = frozenset(
    {"cloudwatch", "dynamodb", "ecs", "events", "logs", "secretsmanager", "sesv2", "sns", "sqs", "ssm"}
)
"""The services that the function calls."""

_SETTINGS: Mapping[str, Any] = {
    "connect_timeout": 1,  # each service answers within milliseconds; what takes longer hangs
    "read_timeout": 2,
    "attempts": 2,  # an invocation has little time; the queue repeats what fails twice
    "max_pool_connections": 10,  # several threads call DynamoDB at the same time
    "parameter_validation": False,  # a quarter of the CPU time of each call; the service validates the request itself
}
_PATIENT: Mapping[str, Any] = {**_SETTINGS, "read_timeout": 10, "attempts": 3}
"""For commands, where only a person waits."""
_BRIEF: Mapping[str, Any] = {"connect_timeout": 1, "read_timeout": 2, "attempts": 1}
"""For calls that only add details to a message."""
_LONGEST_PAUSE = 1.0  # seconds; botocore's before the second attempt, in the standard mode
_ENOUGH = 0.2
"""Seconds that must be left before the deadline for a call to begin. Most calls take less."""

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
        client = session.create_client(service, region_name=region_name, config=config)
    _keep_to_deadline(client)
    return client


def _keep_to_deadline(client: Any) -> None:
    """Keeps attempts to the deadline: none begins too late, and none waits longer than the time that is left.

    botocore has no public way to set the timeouts of a call. If AWS renames what this uses, calls keep to the
    client's own timeouts, which are short.
    """
    client.meta.events.register("before-send", _begin)
    client.meta.events.register_first("needs-retry", _end)
    try:
        session = client._endpoint.http_session  # noqa: SLF001 - there is no public way
        session._timeout = session._manager.connection_pool_kw["timeout"] = _timeout(session._timeout)  # noqa: SLF001
    except (AttributeError, KeyError) as error:
        log.warning("this botocore is unknown; its calls keep to their own timeouts: %r", error)


def _begin(**_: Any) -> None:
    """Runs before each attempt at a call, when nothing was written yet. Raises DeadlineExceeded."""
    deadline.time_left(0.0, enough=_ENOUGH)


def _end(caught_exception: Exception | None = None, **_: Any) -> None:
    """Runs after each attempt: raises its error if the deadline comes before the end of botocore's pause."""
    current = deadline.current()
    if caught_exception and current and current.left() <= _LONGEST_PAUSE + _ENOUGH:
        raise caught_exception


def _timeout(own: Any) -> Any:
    """The same timeouts, which urllib3 shortens to the time that is left when a request begins."""

    class TimeLeft(type(own)):  # type: ignore[misc]  # urllib3's Timeout, which `router.channels.http` alone imports
        def clone(self) -> Any:  # urllib3 asks for each request
            current = deadline.current()
            total = max(current.left(), _ENOUGH) if current else None
            return type(own)(connect=own.connect_timeout, read=own.read_timeout, total=total)

    return TimeLeft(connect=own.connect_timeout, read=own.read_timeout)


@cache
def _session() -> Any:
    """The session for `SERVICES`. botocore is imported here, so that commands that do not need AWS start faster."""
    from router.coldstart.botocore_session import make_session  # noqa: PLC0415 - as above

    try:
        return make_session(SERVICES)
    except Exception as error:  # noqa: BLE001 - AWS updates botocore in the runtime, and any change may break it
        log.warning("this botocore is unknown; using its own session: %s: %s", type(error).__name__, error)
        return _stock_session()


@cache
def _stock_session() -> Any:
    """The session for all other services, which only the command line calls."""
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
    return aws_client("ec2", **_PATIENT)


def functions() -> Any:
    """AWS Lambda, for commands: an answer may take as long as the function runs, and nothing is run twice."""
    return aws_client("lambda", **{**_PATIENT, "read_timeout": 70, "attempts": 1})


def rules() -> Any:
    return aws_client("events", **_PATIENT)


def stacks() -> Any:
    return aws_client("cloudformation", **_PATIENT)


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


def scheduler_of(region: str) -> Any:
    return aws_client("scheduler", region, **_PATIENT)


def events_of(region: str) -> Any:
    return aws_client("events", region, **_PATIENT)


def stack_outputs(stage: str) -> dict[str, str]:
    """The outputs of the stack of a stage, by name. Raises what the client raises."""
    (stack,) = stacks().describe_stacks(StackName=f"ecs-alert-router-{stage}")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
