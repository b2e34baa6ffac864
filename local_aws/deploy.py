"""Deploys this checkout to a local AWS with the real Serverless CLI."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_aws.runtime import ROOT
from local_aws.server import LocalAws

SERVICE = "ecs-alert-router"
OSLS = Path("node_modules", ".bin", "osls")
DEPLOY_SECONDS = 300.0  # usually 5; a minute more if the layer has to be built over a slow connection
OUTPUT_TAIL = 30  # lines

# The parts of a checkout that the CLI sees: see `_view`.
VISIBLE = (
    ".build",
    "alert-router.toml",
    "deploy",
    "ecs_alert_router",
    "layer",
    "package.json",
    "plugins",
    "router",
    "serverless.yml",
)

# Unset these, so that settings of the developer's shell do not leak in.
SETTINGS = (
    "ALARM_NAME_PREFIX",
    "ALERT_EMAILS",
    "ALERT_ROUTER_CONFIG",
    "CODEDEPLOY_APPLICATION_PREFIX",
    "CONTAINER_EXITED_EVENTS",
    "DASHBOARD",
    "DEPLOYMENT_BUCKET",
    "ECS_CLUSTERS",
    "EVENT_BUS_SENDERS",
    "EVENT_LOG_DAYS",
    "FUNCTION_ARCHITECTURE",
    "HEARTBEAT_SCHEDULE",
    "HISTORY_TABLE",
    "KMS_KEY_ARN",
    "LIFECYCLE_EVENTS",
    "OPERATOR_EMAILS",
    "PAGERDUTY_EVENTS_URL",
    "PAGERDUTY_ROUTING_KEY",
    "PERMISSIONS_BOUNDARY",
    "PRODUCTION",
    "PROFILE",
    "ROLE_PATH",
    "SECRETS_KMS_KEY_ARNS",
    "SLACK_WEBHOOK_URL",
    "STACK_TAGS",
    "TEAMS_WEBHOOK_URL",
    "VPC_SECURITY_GROUPS",
    "VPC_SUBNETS",
    "WATCHED_SERVICES",
)


class DeployError(Exception):
    """The Serverless CLI failed; the message ends with its last output."""


@dataclass(frozen=True)
class Stack:
    """The outputs of a deployed stack (serverless.yml)."""

    table_name: str
    events_queue_url: str
    due_queue_url: str
    dead_letter_queue_url: str
    alerts_topic_arn: str
    operators_topic_arn: str
    function_name: str


def deploy(
    aws: LocalAws,
    *,
    environment: Mapping[str, str],
    stage: str = "dev",
    checkout: Path = ROOT,
    configuration: Path | None = None,
    cli: Path = OSLS,
) -> Stack:
    """Package and deploy; return the stack.

    `environment` has the settings of the deploying shell. `configuration` replaces the checkout's alert-router.toml.
    """
    words = ("deploy", "--stage", stage)
    run_osls(aws, *words, environment=environment, checkout=checkout, configuration=configuration, cli=cli)
    stack = stack_of(aws, f"{SERVICE}-{stage}")
    _enable_ttl(aws, stack)
    return stack


def remove(aws: LocalAws, *, stage: str = "dev", checkout: Path = ROOT) -> None:
    """Remove the stack. The history table remains, as it would on AWS."""
    run_osls(aws, "remove", "--stage", stage, environment={}, checkout=checkout)


def function_logs(aws: LocalAws, stack: Stack) -> list[str]:
    """Return the lines that the function has logged so far, oldest first."""
    pages = aws.client("logs").get_paginator("filter_log_events")
    responses = pages.paginate(logGroupName=f"/aws/lambda/{stack.function_name}")
    return [event["message"] for page in responses for event in page["events"]]


def run_osls(
    aws: LocalAws,
    *words: str,
    environment: Mapping[str, str],
    checkout: Path = ROOT,
    configuration: Path | None = None,
    files: Iterable[Path] = (),
    cli: Path = OSLS,
) -> str:
    """Run the Serverless CLI of the checkout against the local AWS; return what it printed.

    `files` are added to the root of the checkout. `cli` is the path of the program in the checkout.
    """
    program = checkout / cli
    if not program.exists():
        raise DeployError(f"{program.name} is not installed: run `npm ci` in {program.parents[2]}")
    with _view(checkout, configuration, files) as directory:
        returncode, output = _run((str(program), *words), directory, _environment(aws, environment))
    if returncode:
        tail = "\n".join(output.splitlines()[-OUTPUT_TAIL:])
        raise DeployError(f"{program.name} {words[0]} failed with exit code {returncode}:\n{tail}")
    return output


@contextmanager
def _view(checkout: Path, configuration: Path | None, files: Iterable[Path]) -> Iterator[Path]:
    """Give the CLI a directory that holds only what a deployment needs.

    It has no `.env`, because a demo must not send to the developer's real channels, and no virtual environment, because
    the CLI searches every file. Each run has its own `.serverless`, because test workers deploy at the same time.
    """
    (checkout / ".build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkout-") as directory:
        for source in (checkout / name for name in VISIBLE):
            if source.is_dir():
                Path(directory, source.name).symlink_to(source)
            else:  # copied, not linked: the CLI only accepts a regular file as its configuration
                shutil.copy(source, directory)
        for file in files:
            shutil.copy(file, directory)
        if configuration:
            shutil.copy(configuration, Path(directory, "alert-router.toml"))
        yield Path(directory)


def _run(command: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run osls; return its exit code and output. No process of it is left afterwards, even after an error."""
    process = subprocess.Popen(  # noqa: S603  arguments come from this file and the tests
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # osls starts further processes; one group ends them all
    )
    try:
        output, _ = process.communicate(timeout=DEPLOY_SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, output


def _environment(aws: LocalAws, environment: Mapping[str, str]) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name not in SETTINGS and not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": aws.access_key,
        "AWS_SECRET_ACCESS_KEY": aws.secret_key,
        "AWS_REGION": aws.region,
        "AWS_ENDPOINT_URL": aws.endpoint,
        # A profile of the developer must never lead to a real account.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NODE_NO_WARNINGS": "1",
        "SLS_AWS_MONITORING_FREQUENCY": "200",  # ms between status requests; the default is 5000
        **environment,
    }


def stack_of(aws: LocalAws, name: str) -> Stack:
    """A deployed stack, by its name."""
    (stack,) = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return Stack(
        table_name=outputs["TableName"],
        events_queue_url=outputs["EventsQueueUrl"],
        due_queue_url=outputs["DueQueueUrl"],
        dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
        alerts_topic_arn=outputs["AlertsTopicArn"],
        operators_topic_arn=outputs["OperatorsTopicArn"],
        function_name=outputs["FunctionName"],
    )


def _enable_ttl(aws: LocalAws, stack: Stack) -> None:
    """Do what MiniStack's CloudFormation leaves out."""
    aws.client("dynamodb").update_time_to_live(
        TableName=stack.table_name, TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True}
    )
