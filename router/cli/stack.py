"""`ecs-alert-router stack`, and what other commands work on: the table and queues of a deployed stage."""

import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from router.aws import clients
from router.aws.queues import Queues
from router.cli.checkout import CONFIGURATION, configuration
from router.cli.config import load_plugins
from router.cli.deployed import Deployed, find, function_environment, named_resources, names_stage
from router.cli.output import echo, echo_json
from router.config.parse import parse, read
from router.config.settings import Config
from router.errors import ConfigError
from router.history.items import key_of
from router.history.store import History
from router.history.table import DynamoTable
from router.incident.state import SubjectState


@dataclass(frozen=True, slots=True)
class Stack:
    """The table and queues that an operator's command works on.

    Attributes:
        settings: of this checkout's configuration for the stage.
        options: the options that make a command work on the same stage.
        sqs: a low-level boto3 client.
        events_url, due_url, dead_letter_url: URLs of the queues; "" if not named.
    """

    history: History
    sqs: Any = field(repr=False)
    settings: Config = field(default=Config(), repr=False)
    options: str = ""
    events_url: str = ""
    due_url: str = ""
    dead_letter_url: str = ""

    def hint(self, state: SubjectState) -> str:
        """Asks the router to process a subject at once. Returns when that will be: "now" or "within a minute"."""
        if not self.due_url:
            return "within a minute"
        Queues(self.sqs, self.due_url, self.dead_letter_url).schedule_check(key_of(state), 0)
        return "now"


def pause(attempt: int) -> None:
    """Waits before the next try of an update that met the router's own (`History.update`)."""
    time.sleep(0.02 * 2**attempt)


def reaches_stack(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --stage, or --table and the queue URLs in its place, and passes the result as `stack`."""

    @names_stage()
    @click.option("--table", envvar="HISTORY_TABLE", help="The table's name, instead of --stage. [env: HISTORY_TABLE]")
    @click.option("--queue", envvar="QUEUE_URL", default="", help="URL of the events queue. [env: QUEUE_URL]")
    @click.option("--due-queue", envvar="DUE_QUEUE_URL", default="", help="URL of the due queue. [env: DUE_QUEUE_URL]")
    @click.option("--dlq", envvar="DLQ_URL", default="", help="URL of the dead-letter queue. [env: DLQ_URL]")
    @wraps(command)
    def with_stack(*arguments: Any, stage: str, **options: Any) -> None:
        for name in _OUTPUTS:
            del options[name]
        command(*arguments, stack=_stack(find(stage, named_resources(_OUTPUTS))), **options)

    return with_stack


_OUTPUTS = {
    "table": "TableName",
    "queue": "EventsQueueUrl",
    "due_queue": "DueQueueUrl",
    "dlq": "DeadLetterQueueUrl",
}
"""The options, and the outputs of the stack that they take the place of."""


def _stack(deployed: Deployed) -> Stack:
    table = DynamoTable(clients.dynamodb(), deployed.resources["TableName"])
    urls = (deployed.resources.get(output, "") for output in (*_OUTPUTS.values(),)[1:])
    settings = _settings(deployed.stage)
    history = History(table, settings.retention, settings.retention_by_severity)
    return Stack(history, clients.sqs(), settings, deployed.options, *urls)


def configuration_of(stage: str) -> Path:
    """The configuration that is deployed to a stage: alert-router.STAGE.toml, or alert-router.toml without one."""
    named = os.environ.get("ALERT_ROUTER_CONFIG") or CONFIGURATION
    own = configuration(f"alert-router.{stage}.toml")
    return own if stage and named == CONFIGURATION and own.is_file() else configuration(named)


def _settings(stage: str) -> Config:
    """The stage's configuration without its secrets; the defaults if it cannot be read."""
    path = configuration_of(stage)
    try:
        return parse(read(path), load_plugins(), {})
    except ConfigError:
        return Config()


# --- ecs-alert-router stack -------------------------------------------------------------------------------------------


@click.command("stack")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@names_stage()
def stack_command(*, stage: str, as_json: bool) -> None:
    """Print the environment of the function of a deployed stage, to be used by this shell.

    \b
    eval "$(ecs-alert-router stack --stage prod --region eu-west-1)"

    Values are printed as the function has them: references to secrets, or literal secrets where a stage has those.
    """
    variables = function_environment(find(stage))
    if as_json:
        echo_json(variables)
        return
    for name, value in variables.items():
        echo(f"export {name}={shlex.quote(value)}")
