"""The table and queues of a deployed router: named by options, or looked up in the stack of its stage."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import click

from router.aws import clients
from router.aws.queues import Queues
from router.cli.checkout import CONFIGURATION, configuration
from router.cli.config import load_plugins
from router.config.parse import parse, read
from router.config.settings import Config
from router.errors import ConfigError, HistoryError
from router.history.items import key_of
from router.history.store import History
from router.history.table import DynamoTable
from router.incident.state import SubjectState


@dataclass(frozen=True, slots=True)
class Stack:
    """The table and queues that an operator's command works on.

    Attributes:
        sqs: a low-level boto3 client.
        events_url, due_url, dead_letter_url: URLs of the queues; "" if not named.
    """

    history: History
    sqs: Any = field(repr=False)
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

    @click.option("--stage", default="dev", show_default=True, help="Use the stack deployed to this stage.")
    @click.option("--table", envvar="HISTORY_TABLE", help="The table's name, instead of --stage. [env: HISTORY_TABLE]")
    @click.option("--queue", envvar="QUEUE_URL", default="", help="URL of the events queue. [env: QUEUE_URL]")
    @click.option("--due-queue", envvar="DUE_QUEUE_URL", default="", help="URL of the due queue. [env: DUE_QUEUE_URL]")
    @click.option("--dlq", envvar="DLQ_URL", default="", help="URL of the dead-letter queue. [env: DLQ_URL]")
    @wraps(command)
    def with_stack(
        *arguments: Any, stage: str, table: str | None, queue: str, due_queue: str, dlq: str, **options: Any
    ) -> None:
        names = {"TableName": table, "EventsQueueUrl": queue, "DueQueueUrl": due_queue, "DeadLetterQueueUrl": dlq}
        command(*arguments, stack=find_stack(stage, {key: name for key, name in names.items() if name}), **options)

    return with_stack


def find_stack(stage: str, named: dict[str, str]) -> Stack:
    """The stack with the named parts. Without a table name, the outputs of the stage's CloudFormation stack are used.

    Raises HistoryError if there is no region, no credentials or no such stack.
    """
    try:
        names = named if "TableName" in named else clients.stack_outputs(stage) | named
        table, sqs = DynamoTable(clients.dynamodb(), names["TableName"]), clients.sqs()
    except Exception as error:
        raise HistoryError(
            f"cannot find the stack of stage {stage} ({error}): pass --stage, or --table and the queues"
        ) from error
    urls = (names.get(key, "") for key in ("EventsQueueUrl", "DueQueueUrl", "DeadLetterQueueUrl"))
    settings = _settings()
    return Stack(History(table, settings.retention, settings.retention_by_severity), sqs, *urls)


def _settings() -> Config:
    """alert-router.toml, for its retention; the defaults if it cannot be read."""
    path = configuration(os.environ.get("ALERT_ROUTER_CONFIG", CONFIGURATION))
    try:
        return parse(read(path), load_plugins(), {})
    except ConfigError:
        return Config()
