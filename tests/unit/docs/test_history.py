"""docs/history.md: each query is run, with the AWS command line itself and with boto3."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awscli.clidriver
import boto3
import pytest
from moto import mock_aws

from local_aws import events
from router.errors import PermanentError
from router.history.items import EVENT_LIMIT, SCHEMA, SHARDS, damaged_item
from router.history.table import INDEXES, TABLE, Put
from router.model import Decision, Kind, Outcome
from tests.doubles.dynamodb import create_history_table
from tests.doubles.history_cli import writing
from tests.doubles.world import DAY, World

PAGE = Path(__file__).parents[3].joinpath("docs", "history.md").read_text("utf-8")
AT = "2026-11-22T01:02:03.000Z"
NOW = 1_795_309_323.0  # that moment
NAME = "history"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


pytestmark = pytest.mark.xdist_group("docs_history")  # the shared table is created once
COMMANDS = [block for block in blocks("sh") if block.startswith("aws ")]


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    """A night on which many tasks of service web died, and paging failed."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setenv("AWS_PAGER", "")
        client = boto3.client("dynamodb")
        create_history_table(client, NAME)
        client.update_continuous_backups(
            TableName=NAME, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        boto3.client("s3").create_bucket(
            Bucket="exports", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        world = World()
        world.now = NOW
        world.pager.failure = lambda: PermanentError("no such service")
        writing(world, 90 * DAY, NAME)
        tasks = [events.TASK, *(f"t{number}" for number in range(60))]  # enough for every shard to have some
        world.receive(*(events.task_stopped(task=task, stoppedAt=AT) for task in tasks))
        key = ("subject#7sb25qiwwrc7a", "incident")
        item = world.history.table.get([key], NOW)[key]
        world.history.table.commit([Put(damaged_item(item, "state: no JSON", int(NOW + 90 * DAY), NOW))], NOW)
        patch.setenv("HISTORY_TABLE", NAME)
        patch.setenv("HISTORY_TABLE_ARN", client.describe_table(TableName=NAME)["Table"]["TableArn"])
        patch.setenv("BUCKET", "exports")
        yield client


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split("\\\n")[0].strip())
def test_each_aws_command_finds_items(command: str, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(os.path.expandvars(command.replace("\\\n", " ").replace('\\"', '"')))
    assert program == "aws"
    assert awscli.clidriver.create_clidriver().main([*words, "--output", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.get("Items") or answer.get("ExportDescription")


@pytest.mark.parametrize("block", blocks("python"))
def test_each_boto3_query_finds_items(block: str, table: Any) -> None:
    names: dict[str, Any] = {"TABLE": NAME}
    exec(block, names)
    assert names["found"]


def test_every_public_index_is_documented_with_its_keys_and_both_kinds_of_query() -> None:
    for name, index in INDEXES.items():
        assert f"| `{name}` | `{index.partition}` = " in PAGE
        if name != "due":  # the router's own
            assert sum(name in block for block in COMMANDS) == 1, name
            assert sum(name in block for block in blocks("python")) == 1, name
    assert f"`{TABLE.partition}` | `{TABLE.sort}`" in PAGE


def test_every_stored_word_is_documented() -> None:
    for word in (*Decision, *Outcome, *Kind):
        assert f"`{word.value}`" in PAGE, word
    assert f"SHARD is 0 to {SHARDS - 1}" in PAGE
    assert f"`schema` ({SCHEMA} today)" in PAGE
    assert f"above {EVENT_LIMIT // 1024} KB" in PAGE
