"""Help that ends its sentences, and output for terminals of every encoding and width."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from local_aws import events
from router.cli import main

ROOT = Path(__file__).parents[3]
EVENT = json.dumps(events.task_stopped(service="wéb-\u65e5\u672c-\U0001f525"))


def each_group(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from each_group(command, *path, name)


@pytest.mark.parametrize("path", list(each_group(main)), ids=" ".join)
@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_no_sentence_in_a_list_of_commands_is_cut(path: tuple[str, ...], columns: str) -> None:
    help_text = (
        CliRunner().invoke(main, [*path, "--help"], env={"COLUMNS": columns}, terminal_width=int(columns)).stdout
    )
    assert not re.search(r"[a-z]\.\.\.", help_text.partition("Commands:")[2])


def run(encoding: str, *words: str, text: str = "", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """A command in a shell of its own, whose output has that encoding."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    env |= {"PYTHONIOENCODING": encoding, "AWS_EC2_METADATA_DISABLED": "true", **environ}
    return subprocess.run(
        [sys.executable, "-m", "router", *words],
        input=text.encode(),
        cwd=ROOT,
        env=env,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("encoding", "environ"),
    [
        pytest.param("cp1252", {}, marks=pytest.mark.check),
        ("ascii", {}),
        pytest.param("latin-1", {"COLUMNS": "3"}, marks=pytest.mark.check),
    ],
)
@pytest.mark.parametrize("words", [["simulate", "-"], ["replay", "-"], ["classify", "-"], ["--help"]], ids=" ".join)
def test_no_encoding_ends_in_a_traceback(words: list[str], encoding: str, environ: dict[str, str]) -> None:
    result = run(encoding, *words, text=EVENT, **environ)
    assert (result.returncode, b"Traceback" in result.stderr) == (0, False), result.stderr.decode()


def test_json_stays_json_in_every_encoding() -> None:
    """What the encoding lacks is an escape that JSON reads as the same character."""
    titles = {
        json.loads(run(encoding, "classify", "-", text=EVENT).stdout.decode(encoding))["title"]
        for encoding in ("cp1252", "utf-8")
    }
    assert len(titles) == 1
    assert "\u65e5\u672c-\U0001f525" in titles.pop()


def test_the_shell_completes_commands() -> None:
    environ = {"COMP_WORDS": "ecs-alert-router hist", "COMP_CWORD": "1"}
    env = {**os.environ, "_ECS_ALERT_ROUTER_COMPLETE": "bash_complete", **environ}
    program = "from router.cli import main; main(prog_name='ecs-alert-router')"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, check=True)
    assert result.stdout == b"plain,history\n"
