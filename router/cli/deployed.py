"""Which deployed stage a command is about: `--stage`, `--region` and `--profile`, or the environment in their place.

Every answer says which stage and region it is about, on stderr, so that nobody takes one stage for another.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from router.aws import clients
from router.cli.aws_errors import explained
from router.cli.output import echo

STAGE_VARIABLE = "ECS_ALERT_ROUTER_STAGE"
DEFAULT_STAGE = "dev"
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Deployed(NamedTuple):
    """A deployed stage.

    Attributes:
        stage: "" if its resources were named one by one.
        resources: the outputs of its stack, by name.
    """

    stage: str
    region: str
    resources: Mapping[str, str]

    def __str__(self) -> str:
        account = next((arn.split(":")[4] for arn in self.resources.values() if arn.startswith("arn:")), "")
        what = f"stage {self.stage}" if self.stage else f"table {self.resources['TableName']}"
        return f"{what} in {self.region}{f', account {account}' if account else ''}"

    @property
    def options(self) -> str:
        """The options that make a command ask this stage again."""
        what = f"--stage {self.stage}" if self.stage else f"--table {self.resources['TableName']}"
        return f"{what} --region {self.region}"


def names_stage(default: str | None = DEFAULT_STAGE) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds --stage, --region and --profile. Passes `stage`; while the command runs, all clients use the other two.

    Args:
        default: the stage if none is named; None for a command that also works without one.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--stage",
            envvar=STAGE_VARIABLE,
            default=default,
            show_default=True,
            help=f"The stage. [env: {STAGE_VARIABLE}]",
        )
        @click.option("--region", "aws_region", help="The stage's AWS region. [env: AWS_REGION]")
        @click.option("--profile", "aws_profile", help="The profile of your AWS credentials. [env: AWS_PROFILE]")
        @wraps(command)
        def with_stage(*arguments: Any, aws_region: str | None, aws_profile: str | None, **options: Any) -> None:
            with _environment(aws_region, aws_profile):
                command(*arguments, **options)

        return with_stage

    return decorate


@contextmanager
def _environment(region: str | None, profile: str | None) -> Iterator[None]:
    """The variables by which the AWS SDK takes both. A named profile takes precedence over credentials in variables."""
    _check_profile(profile or os.environ.get("AWS_PROFILE", ""))
    before = dict(os.environ)
    if profile:
        for name in _CREDENTIALS:
            os.environ.pop(name, None)
        os.environ["AWS_PROFILE"] = profile
    if region:
        os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _check_profile(profile: str) -> None:
    """Raises click.ClickException if there is no such profile."""
    if not profile:
        return
    from botocore.session import Session  # noqa: PLC0415 - most commands need no AWS, and start faster without it

    try:
        Session(profile=profile).get_scoped_config()
    except Exception as error:
        raise click.ClickException(explained(error) or str(error)) from error


def find(stage: str, named: Mapping[str, str] | None = None) -> Deployed:
    """The stage with its resources; those that are named are not looked up. Says on stderr which it is.

    Args:
        named: by the names of the stack's outputs. With `TableName`, the stack is not asked.

    Raises click.ClickException if there is no region, no credentials or no such stack.
    """
    named = named or {}
    try:
        region = str(clients.dynamodb().meta.region_name)
        asked_stage = "" if "TableName" in named else stage
        deployed = Deployed(
            asked_stage, region, named if not asked_stage else {**clients.stack_outputs(stage), **named}
        )
    except Exception as error:
        reason = explained(error, stage) or f"cannot find the stack of stage {stage}: {error}"
        raise click.ClickException(reason) from error
    echo(str(deployed), err=True)
    return deployed


def named_resources(names: Mapping[str, str | None]) -> dict[str, str]:
    """The resources that options or variables name, by the names of the stack's outputs.

    A stage on the command line takes precedence over variables, which may be those of another stage.

    Args:
        names: the names of the options, and the names of the stack's outputs.
    """
    context = click.get_current_context()
    stage_is_given = context.get_parameter_source("stage") is ParameterSource.COMMANDLINE
    return {
        output: str(context.params[option])
        for option, output in names.items()
        if output
        and context.params.get(option)
        and not (stage_is_given and context.get_parameter_source(option) is ParameterSource.ENVIRONMENT)
    }


def function_environment(deployed: Deployed) -> Mapping[str, str]:
    """The environment of the stage's function, in the order of the names. Raises what the client raises."""
    answer = clients.functions().get_function_configuration(FunctionName=deployed.resources["FunctionName"])
    return dict(sorted(answer.get("Environment", {}).get("Variables", {}).items()))
