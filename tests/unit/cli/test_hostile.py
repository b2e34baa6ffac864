"""Every command that shows history, with hostile names and reasons in it: no control character gets through."""

import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from router.cli import main
from tests.doubles.history_cli import TABLE, account, recording
from tests.doubles.place import without_place
from tests.doubles.text import hidden_characters

HOSTILE = "\x1b]0;OWNED\x07\x1b[2J\x1b]8;;http://evil\x1b\\y\x9b31m\u202eEVIL\u202c\u200b\rOVER\x08 =1+1 [bold red]m[/]"
TASK = "a" * 32


@pytest.fixture
def incident(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of an incident whose rows hold the hostile text in every field, as a foreign writer could leave it."""
    import boto3  # noqa: PLC0415 - made within the fixture's account

    for _ in account(monkeypatch):
        world = recording()
        arn = "arn:aws:ecs:eu-west-1:111122223333"
        detail = {
            "clusterArn": f"{arn}:cluster/prod",
            "taskArn": f"{arn}:task/prod/{TASK}",
            "group": f"service:web{HOSTILE}",
            "lastStatus": "STOPPED",
            "stopCode": "TaskFailedToStart",
            "stoppedReason": f"CannotPullContainerError: {HOSTILE}",
            "containers": [{"name": f"app{HOSTILE}", "reason": HOSTILE, "lastStatus": "STOPPED", "image": HOSTILE}],
        }
        envelope = {"id": "e1", "source": "aws.ecs", "detail-type": "ECS Task State Change", "account": "111122223333"}
        world.receive({**envelope, "region": "eu-west-1", "resources": [], "detail": detail})
        table = boto3.resource("dynamodb").Table(TABLE)
        for item in table.scan()["Items"]:
            if item["pk"].startswith("alert#"):
                texts = ("subject", "cluster", "cause", "title", "reason", "rule", "stop_code", "task_definition")
                table.put_item(Item={**item, **{name: f"{item.get(name, '')}{HOSTILE}" for name in texts}})
            elif "#delivery#" in item["sk"] or item["sk"].startswith("delivery#"):
                table.put_item(Item={**item, "answer": HOSTILE, "channel": f"slack{HOSTILE}"})
        yield next(iter(world.history.open_incidents(world.now)))["id"]


COMMANDS = (
    "list",
    "list --json",
    "open",
    "open --json",
    f"show {TASK}",
    f"show {TASK} --json",
    "show INCIDENT",
    "show INCIDENT --json",
    f"why {TASK}",
    f"why {TASK} --json",
    "timeline web --all",
    "timeline web --json",
    "top",
    "top --json",
    "top --by cluster",
    "export",
    "export --whole",
    "export --format jsonl",
    "export --format jsonl --whole",
    "report --json",
    f"forget --task {TASK}",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_of_history_prints_what_is_hidden(command: str, incident: str) -> None:
    arguments = command.replace("INCIDENT", incident).split()
    result = without_place(CliRunner().invoke(main, ["history", *arguments, "--table", TABLE], env={"COLUMNS": "200"}))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not hidden_characters(re.sub(r"\x1b\[[0-9;]*m", "", result.output))
    if command in {"list", "list --json", f"show {TASK}", "export", "export --format jsonl", "top"}:
        assert r"\u202eEVIL" in re.sub(r"\s", "", result.output)
