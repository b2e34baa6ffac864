"""What the documents describe works as described."""

import json
import re
import shlex
import time
import tomllib
from pathlib import Path

import botocore.session
import click
import pytest
from botocore import xform_name
from click.testing import CliRunner
from PIL import Image

from docs.examples import EXAMPLES, Example
from docs.pages import DOCS, alert_of
from docs.pages import PAGES as MADE
from docs.pictures import IMAGES, PHOTOS, digest, page, pictures, remembered
from local_aws import events
from local_aws.deploy import SETTINGS
from router.channels.plugins import Hooks, declared_options, load
from router.cli import main
from router.config.match import SILENCE_FACTS
from router.config.parse import parse
from router.ecs.classify import RULES, Rule
from router.ecs.normalise import normalise
from router.errors import PermanentError
from router.history.items import iso
from router.model import Severity
from router.understand import classify_with_rules
from tests.doubles.account import Account
from tests.doubles.stage import Stage
from tests.doubles.world import no_plugins

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())
PICTURES = pictures()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_the_current_messages(name: str) -> None:
    """If not: `make docs-images`."""
    assert (IMAGES / name).is_file()
    assert remembered()[name] == digest(page(PICTURES[name]))


def test_pictures_have_the_colours_of_the_browser_not_those_of_a_palette() -> None:
    modes = {}
    for path in IMAGES.glob("*.png"):
        with Image.open(path) as image:
            modes[path.name] = image.mode
    assert set(modes.values()) == {"RGB"}, modes


def test_every_picture_is_shown_in_a_document() -> None:
    shown = set(re.findall(r"images/([\w-]+\.png)", ALL))
    there = {path.name for path in IMAGES.glob("*.*")} - {"drawn.json"}
    assert shown == there == PICTURES.keys() | {*PHOTOS}


@pytest.mark.parametrize("name", MADE)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """If not: `make docs-pages`."""
    assert (DOCS / name).read_text("utf-8") == MADE[name]()


def test_the_rule_for_batch_jobs_that_take_too_long_applies_to_them() -> None:
    (table,) = re.findall(r"^```toml\n(.*?)^```$", MADE["classification.md"](), re.DOTALL | re.MULTILINE)
    config = parse(tomllib.loads(table), no_plugins(), {})
    stopped = events.task_stopped("UserInitiated", "Job attempt duration exceeded timeout", service=None)
    assert classify_with_rules(normalise(stopped), config, no_plugins()).severity is Severity.ERROR
    by_hand = events.task_stopped("UserInitiated", "Task stopped by user", service=None)
    assert classify_with_rules(normalise(by_hand), config, no_plugins()).severity is Severity.INFO


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
    assert hook in (ROOT / "tests/unit/channels/test_plugins.py").read_text("utf-8")


def test_the_readme_shows_the_example_that_is_tested() -> None:
    assert blocks("README.md", "python") == [(ROOT / "examples/mattermost.py").read_text("utf-8")]


def test_the_commented_out_settings_of_the_shipped_configuration_are_valid() -> None:
    text = (ROOT / "alert-router.toml").read_text("utf-8")
    everything = re.sub(
        r"^# (?=mention|name|match|severity|runbook|hours|time_zone|reason|\[\[|\[retention|critical|info)",
        "",
        text,
        flags=re.MULTILINE,
    )
    assert everything.count("[[rules]]") == everything.count("[[maintenance]]") == 1
    environ = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x"}
    config = parse(tomllib.loads(everything), load(ROOT / "plugins"), environ)
    assert config.problems == ()
    assert config.routes[1].mention == "<!here>"
    assert config.rules[0].match["exit_code"] == ("1",)
    assert config.routes[0].match == {"service": ("payments-*",), "cluster": ("!staging",)}
    assert config.retention_by_severity == {"critical": 365 * 86400.0, "info": 14 * 86400.0}
    assert config.maintenance[0].time_zone == "Asia/Tokyo"


# --- docs/configuration.md --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("docs/configuration.md", "toml"))
def test_each_table_of_the_page_is_read(block: str) -> None:
    written = tomllib.loads(block)
    named = {name for route in written.get("routes", []) for name in route["channels"]}
    slack = {"kind": "slack", "webhook_url": "https://hooks.slack.com/services/T0/B0/x"}
    channels = dict.fromkeys(named or {"chat"}, slack) | written.get("channels", {})
    routes = written.get("routes") or [{"channels": list(channels)}]
    config = parse({**written, "channels": channels, "routes": routes}, load(ROOT / "plugins"), {})
    assert config.problems == ()


def test_the_page_explains_every_fact_and_no_other() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    table = page.partition("| fact | what it is |")[2].partition("\n\n")[0]
    facts = [row.split("|")[1] for row in table.splitlines() if row]
    explained = {name for cell in facts for name in re.findall(r"`([a-z_]+)`", cell)}
    assert explained == SILENCE_FACTS.keys()


def test_the_page_names_the_options_of_each_kind() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    rows = page.partition("| kind | options |")[2].partition("\n\n")[0].splitlines()[2:]
    named = {kind: {*options} for kind, *options in (re.findall(r"`([a-z_]+)`", row) for row in rows)}
    declared = {
        kind: {option.name for option in declared_options(factory) or ()}
        for kind, factory in load(ROOT / "plugins").kinds.items()
    }
    assert named == declared


# --- docs/deploy.md ---------------------------------------------------------------------------------------------------


def test_exactly_the_values_of_a_deployment_are_documented() -> None:
    """The variables that serverless.yml and deploy/ read from the shell."""
    read = (ROOT / "serverless.yml").read_text("utf-8") + (ROOT / "deploy" / "settings.js").read_text("utf-8")
    taken = set(re.findall(r"\$\{env:([A-Z_]+)", read)) | set(re.findall(r"addresses\('([A-Z_]+)'\)", read))
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", TEXTS["docs/deploy.md"], re.MULTILINE))
    assert documented == taken


def test_the_example_of_env_has_every_value_and_sets_none() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    stated = [line for line in lines if line and not line.startswith("#")]
    assert sorted(stated) == sorted(f"{name}=" for name in SETTINGS)


def test_the_demo_and_the_tests_see_no_setting_of_the_developers_shell() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", TEXTS["docs/deploy.md"], re.MULTILINE))
    assert documented == set(SETTINGS)


# --- docs/operate.md: what to type ------------------------------------------------------------------------------------

RUNBOOK = blocks("docs/operate.md", "sh")
TYPED = [line for block in RUNBOOK for line in block.splitlines()]
SHELL = ("export ", 'eval "$(')  # what end_to_end/ runs
TO_RUN = [
    *(block for block in blocks("README.md", "sh") if "ecs-alert-router " in block),
    *(pytest.param(block, marks=pytest.mark.check) for block in RUNBOOK if "ecs-alert-router " in block),
]


@pytest.fixture
def troubled(account: Account) -> Account:
    """With an open incident, and a failed delivery."""
    account.world.slack.failure = lambda: PermanentError("gone")
    account.decisions(events.task_stopped(stoppedAt=iso(time.time())))
    account.world.slack.failure = lambda: None
    return account


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is a checkout, into which a command may write."""
    for name in ("alert-router.toml", "examples", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("block", TO_RUN)
def test_every_command_of_the_readme_and_the_runbook_works(
    block: str, troubled: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As typed; a test in end_to_end/ does the same in a fresh shell, against a stage that was really deployed."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/x")
    monkeypatch.setenv("ECS_ALERT_ROUTER_STAGE", "dev")
    stage = Stage(troubled, "dev")
    stage.variables["SLACK_WEBHOOK_URL"] = "ssm:/ecs-alert-router/slack"
    stage.install(monkeypatch)
    (incident,) = troubled.world.history.open_incidents(time.time())
    known = {"k3f9x2a7m2c4q-12": incident["id"], "k3f9x2a": _silenced(troubled)}
    for line in block.splitlines():
        program, *words = shlex.split(line, comments=True)
        if program == "ecs-alert-router":
            words = [known.get(word, word) for word in words]
            result = CliRunner().invoke(main, words)
            assert result.exit_code == (1 if words[0] == "doctor" else 0), result.output  # it finds what fails


def _silenced(account: Account) -> str:
    words = ["silence", "add", "--service", "x", "--for", "1h", "--reason", "y", "--json", *account.options]
    return str(json.loads(CliRunner().invoke(main, words).stdout)["id"])


@pytest.mark.parametrize("line", [line for line in TYPED if line.startswith("aws ")])
def test_every_aws_command_of_the_runbook_exists(line: str) -> None:
    _, service, operation, *words = shlex.split(line)
    session = botocore.session.get_session()
    model = session.get_service_model(service)
    (name,) = [
        operation_name for operation_name in model.operation_names if xform_name(operation_name, "-") == operation
    ]
    shape = model.operation_model(name).input_shape
    members = {xform_name(member, "-") for member in shape.members} if shape else set()
    assert {word.removeprefix("--") for word in words if word.startswith("--")} <= members


def test_every_line_of_the_runbook_is_tested() -> None:
    assert all(line.startswith(("ecs-alert-router ", "aws ", *SHELL)) for line in TYPED if line)


def test_every_alarm_is_in_the_runbook() -> None:
    made = "".join(path.read_text("utf-8") for path in (ROOT / "deploy").glob("*.yml"))
    names = set(re.findall(r"AlarmName: alert-router-\$\{sls:stage\}-(\S+)", made))
    table = TEXTS["docs/operate.md"].partition("## Alarms")[2].partition("```")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == names


def test_the_maintenance_window_of_the_runbook_is_read() -> None:
    (window,) = blocks("docs/operate.md", "toml")
    config = parse(tomllib.loads(window), no_plugins(), {})
    assert [problem for problem in config.problems if problem.startswith("maintenance")] == []
    assert [window.id for window in config.maintenance] == ["patching"]
