"""`history` needs exactly the permissions in docs/history.md, on a local AWS that enforces IAM."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner, Result

from local_aws import events
from local_aws.server import LocalAws, running
from router.cli import main
from router.history.items import iso
from router.history.store import History
from router.history.table import DynamoTable
from tests.doubles.dynamodb import create_history_table
from tests.doubles.place import without_place
from tests.doubles.world import DAY, World

pytestmark = pytest.mark.xdist_group("access")  # the tests share one table, which is created once
PAGE = Path(__file__).parents[4].joinpath("docs", "history.md").read_text("utf-8")
TABLE = "history"
TASK = events.TASK


@pytest.fixture(scope="module")
def reader() -> Iterator[dict[str, str]]:
    """The environment of a user with read-only credentials, and one crash in the table."""
    with running(enforce_iam=True) as aws:
        client = aws.client("dynamodb")
        create_history_table(client, TABLE)
        world = World()
        world.now = time.time()
        world.keep_in(History(DynamoTable(client, TABLE), 90 * DAY))
        world.receive(events.task_stopped(stoppedAt=iso(world.now - 60)))
        yield _reader(aws)


def _reader(aws: LocalAws) -> dict[str, str]:
    """A user who has exactly the permissions that the page lists for reading."""
    (sentence,) = re.findall(r"Read-only credentials are enough: (.*?), and\s+for", PAGE, re.DOTALL)
    actions = re.findall(r"`(dynamodb:\w+)`", sentence)
    arn = aws.client("dynamodb").describe_table(TableName=TABLE)["Table"]["TableArn"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": [arn, f"{arn}/index/*"]}
    iam = aws.client("iam")
    iam.create_user(UserName="reader")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    return {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "HISTORY_TABLE": TABLE,
        "NO_PROXY": "127.0.0.1",
    }


def run(reader: dict[str, str], monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return without_place(CliRunner().invoke(main, ["history", *words], env=reader))


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "--service", "web"),
        ("list", "--task", TASK),
        ("open",),
        ("show", TASK),
        ("timeline", "web"),
        ("top",),
        ("why", TASK),
        ("export", "--whole"),
        ("report", "--json", "--since", "1d"),
        ("forget", "--task", TASK, "--even-open"),
    ],
    ids=" ".join,
)
def test_reading_needs_only_read_only_credentials_and_the_tables_name(
    words: tuple[str, ...], reader: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lately = ("--since", "2h") if words[0] in {"top", "export"} else ()  # a month is 1,240 queries
    result = run(reader, monkeypatch, *words, *lately)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "essential_container_exited" in result.stdout or words[0] in {"timeline", "forget"}


def test_deleting_needs_more_permissions_and_says_so_in_one_line(
    reader: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(reader, monkeypatch, "forget", "--service", "web", "--even-open", "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "dynamodb:DeleteItem" in result.stderr
    assert len(result.stderr.splitlines()) == 1
