"""Every command with hostile names and reasons in what it reads: no control character gets through."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.cli import main
from tests.doubles.history_cli import TABLE, account, recording
from tests.doubles.place import without_place
from tests.doubles.text import hidden_characters

HOSTILE = "\x1b]0;OWNED\x07\x1b[2J\x1b]8;;http://evil\x1b\\y\x9b31m\u202eEVIL\u202c\u200b\rOVER\x08 =1+1 [bold red]m[/]"
TASK = "a" * 32


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")  # the commands change nothing
def incident(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of an incident whose rows hold the hostile text in every field, as a foreign writer could leave it."""
    import boto3  # noqa: PLC0415 - made within the fixture's account

    for _ in account(patch):
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
    if arguments[0] in {"list", "top", "export", "report"}:
        arguments += ["--since", "2h"]  # a month is 1,240 queries, and seconds of moto's time
    result = without_place(CliRunner().invoke(main, ["history", *arguments, "--table", TABLE], env={"COLUMNS": "200"}))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not hidden_characters(re.sub(r"\x1b\[[0-9;]*m", "", result.output))
    if command in {"list", "list --json", f"show {TASK}", "export", "export --format jsonl", "top"}:
        assert r"\u202eEVIL" in re.sub(r"\s", "", result.output)


CONFIGURATION = """
[channels.slack]
kind = "slack"
webhook_url = "env:SLACK_WEBHOOK_URL"
[channels."TEXT"]
kind = "TEXT"
[[routes]]
severity = "warning"
match = { cluster = "TEXT" }
channels = ["slack", "TEXT"]
[[routes]]
severity = "warning"
channels = ["slack"]
[[rules]]
name = TEXT
match = { cluster = "*" }
severity = "error"
[[expect]]
name = TEXT
family = TEXT
cluster = "c"
every = TEXT
"""


@pytest.mark.parametrize(
    "command",
    [
        "classify EVENTS",
        "classify EVENTS --config CONFIGURATION",
        "simulate EVENTS",
        "simulate EVENTS --json",
        "simulate EVENTS --config CONFIGURATION --kind resolved",
        "replay EVENTS",
        "replay EVENTS --json",
        "replay EVENTS --config CONFIGURATION",
        "replay EVENTS --compare CONFIGURATION",
        "config check --config CONFIGURATION",
        "config check --config CONFIGURATION --json",
    ],
)
def test_no_command_prints_what_is_hidden_in_events_and_configurations(command: str, tmp_path: Path) -> None:
    events, configuration = tmp_path / "events.json", tmp_path / "alert-router.toml"
    alarm = {"alarmName": HOSTILE, "state": {"value": "ALARM", "reason": HOSTILE}}
    envelope = {"id": HOSTILE, "account": "111122223333", "region": "eu-west-1", "time": "2026-11-30T06:00:00Z"}
    unknown = {"eventName": HOSTILE, "eventType": "ERROR"}
    found = [
        {**envelope, "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": alarm},
        {**envelope, "source": "aws.ecs", "detail-type": HOSTILE, "detail": unknown},
        {**envelope, "source": HOSTILE, "detail-type": HOSTILE, "detail": {}},
    ]
    events.write_text("\n".join(map(json.dumps, found if "classify" in command else found[:2])), "utf-8")
    written = json.dumps(HOSTILE).replace("\x7f", "\\u007f")
    configuration.write_text(re.sub('"?TEXT"?', lambda _: written, CONFIGURATION), "utf-8")
    words = [str({"EVENTS": events, "CONFIGURATION": configuration}.get(word, word)) for word in command.split()]
    result = without_place(CliRunner().invoke(main, words, env={"COLUMNS": "200"}))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "EVIL" in result.output
    assert not hidden_characters(re.sub(r"\x1b\[[0-9;]*m", "", result.output))
