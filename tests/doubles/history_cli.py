"""Runs the history commands as a user would, on a table written by the whole router."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from local_aws import events
from router.cli import main
from router.history.items import iso
from router.history.store import History
from router.history.table import DynamoTable
from tests.doubles.dynamodb import create_history_table
from tests.doubles.place import without_place
from tests.doubles.quick_moto import hurry
from tests.doubles.world import DAY, World

TABLE = "alert-history"
TASKS = [f"{number:032x}" for number in range(100)]


def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with the table, isolated from the developer's settings."""
    for name in ("HISTORY_TABLE", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hurry()
    with mock_aws(), zone("UTC"):
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        create_history_table(boto3.client("dynamodb"), TABLE)
        yield


@contextmanager
def zone(name: str) -> Iterator[None]:
    """Sets the time zone of this process."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def recording(retention: float = 90 * DAY) -> World:
    """The router, writing its history to that table, now."""
    world = World()
    world.now = time.time()
    return writing(world, retention)


def writing(world: World, retention: float, table: str = TABLE) -> World:
    world.keep_in(History(DynamoTable(boto3.client("dynamodb"), table), retention))
    return world


def died(number: int, before: float, *, service: str | None = "web", **fields: Any) -> events.Raw:
    """Task `number` died so many seconds ago."""
    stopped_at = iso(time.time() - before)
    return events.task_stopped(task=TASKS[number], service=service, stoppedAt=stopped_at, **fields)


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return without_place(CliRunner().invoke(main, ["history", *arguments, "--table", TABLE], env=env))


def lines(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == "" or result.stderr.startswith("More alerts: ")
    return [json.loads(line) for line in result.stdout.splitlines()]


def one_line_error(result: Result) -> str:
    """Checks that a failure is reported in one line on stderr, without a traceback. Returns the line."""
    assert (result.exit_code, result.stdout) == (1, "")
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    return line
