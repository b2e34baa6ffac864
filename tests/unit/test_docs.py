"""What the documents say works as they say it."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import click
import pytest
from moto import mock_aws

from docs.examples import EXAMPLES, Example
from docs.pages import DOCS, alert_of
from docs.pages import PAGES as MADE
from docs.pictures import IMAGES, digest, page, pictures, remembered
from local_aws import events
from router.classify import RULES, Rule, alert, classify
from router.cli import main
from router.config import parse
from router.history import History
from router.items import Row
from router.model import Decision
from router.normalise import normalise
from router.plugins import Hooks, load
from router.table import DynamoTable
from tests.doubles.dynamodb import create_history_table

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())
PICTURES = pictures()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_what_the_router_makes(name: str) -> None:
    """If not: `make docs-images`."""
    assert (IMAGES / name).is_file()
    assert remembered()[name] == digest(page(PICTURES[name]))


def test_every_picture_is_shown_in_a_document() -> None:
    shown = set(re.findall(r"images/([\w-]+\.png)", ALL))
    assert shown == PICTURES.keys() == {path.name for path in IMAGES.glob("*.*")} - {"drawn.json"}


@pytest.mark.parametrize("name", MADE)
def test_a_page_is_what_the_code_makes_of_it(name: str) -> None:
    """If not: `make docs-pages`."""
    assert (DOCS / name).read_text("utf-8") == MADE[name]()


@pytest.mark.parametrize(("rule", "example"), [*zip(RULES, EXAMPLES, strict=True)], ids=[rule.name for rule in RULES])
def test_every_rule_has_an_event_that_it_decides(rule: Rule, example: Example) -> None:
    assert alert_of(example.event).rule == example.rule == rule.name


@pytest.mark.parametrize("command", sorted(set(re.findall(r"ecs-alert-router ((?:[a-z][a-z-]*[ `\n])+)", ALL))))
def test_every_command_that_is_named_exists(command: str) -> None:
    group: click.Command = main
    context = click.Context(main)
    for word in re.findall("[a-z-]+", command):
        if not isinstance(group, click.Group):
            break  # an argument
        found = group.get_command(context, word)
        assert found is not None, word
        group = found


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z]+(?:-[a-z]+)*)\b", ALL, re.MULTILINE))))
def test_every_make_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), target


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", TEXTS[page]):
        assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("hook", [name for name in vars(Hooks) if not name.startswith("_")])
def test_every_hook_is_documented_and_tested(hook: str) -> None:
    assert hook in TEXTS["docs/write-a-channel.md"]
    assert hook in (ROOT / "tests/unit/test_plugins.py").read_text("utf-8")


def test_the_readme_shows_the_example_that_is_tested() -> None:
    assert blocks("README.md", "python") == [(ROOT / "examples/mattermost.py").read_text("utf-8")]


def test_what_is_commented_out_in_the_shipped_configuration_would_work() -> None:
    text = (ROOT / "alert-router.toml").read_text("utf-8")
    everything = re.sub(r"^# (?=mention|name|match|severity|runbook|\[\[rules)", "", text, flags=re.MULTILINE)
    assert everything.count("[[rules]]") == 1
    environ = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x"}
    config = parse(tomllib.loads(everything), load(ROOT / "plugins"), environ)
    assert config.problems == ()
    assert config.routes[1].mention == "<!here>"
    assert config.rules[0].exit_codes == {1}


# --- docs/history.md: the keys for people -----------------------------------------------------------------------------


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_history_table(client, "history")
        at = "2026-11-22T01:02:03.000Z"
        event = normalise(events.task_stopped(stoppedAt=at), now=1_795_309_323.0)
        history = History(DynamoTable(client, "history"), 90 * 86400.0)
        for shard in range(40):  # enough for every shard to have some
            each = normalise(events.task_stopped(stoppedAt=at, task=f"t{shard}"), now=1_795_309_323.0)
            history.commit(event.at, [Row(alert(each, classify(each)), Decision.ANNOUNCED, "")])
        history.commit(event.at, [Row(alert(event, classify(event)), Decision.ANNOUNCED, "")])
        yield client


_OPTIONS = {
    "--table-name": "TableName",
    "--index-name": "IndexName",
    "--key-condition-expression": "KeyConditionExpression",
    "--expression-attribute-names": "ExpressionAttributeNames",
    "--expression-attribute-values": "ExpressionAttributeValues",
}


@pytest.mark.parametrize("block", blocks("docs/history.md", "sh"))
def test_a_query_for_the_aws_command_line_finds_something(block: str, table: Any) -> None:
    program, service, operation, *words = shlex.split(block.replace("\\\n", " ").replace("$HISTORY_TABLE", "history"))
    assert (program, service, operation) == ("aws", "dynamodb", "query")
    request: dict[str, Any] = {}
    while words:
        option = words.pop(0)
        if option == "--no-scan-index-forward":
            request["ScanIndexForward"] = False
        else:
            value = words.pop(0)
            request[_OPTIONS[option]] = json.loads(value) if value.startswith("{") else value
    assert table.query(**request)["Items"]


@pytest.mark.parametrize("block", blocks("docs/history.md", "python"))
def test_a_query_for_boto3_finds_something(block: str, table: Any) -> None:
    names: dict[str, Any] = {"TABLE": "history"}
    exec(block, names)
    assert names["found"]
