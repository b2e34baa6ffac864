"""What the documents say works as they say it."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from docs.pictures import IMAGES, PICTURES
from router.cli import main
from router.config import parse
from router.plugins import Hooks, load

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_what_the_router_makes(name: str) -> None:
    """If not: `make docs-images`."""
    assert (IMAGES / name).read_text("utf-8") == PICTURES[name]()


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
    everything = re.sub(
        r"^# (?=mention|name|match|severity|runbook|\[\[rules|\[retention|critical|info)", "", text, flags=re.MULTILINE
    )
    assert everything.count("[[rules]]") == 1
    environ = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x"}
    config = parse(tomllib.loads(everything), load(ROOT / "plugins"), environ)
    assert config.problems == ()
    assert config.routes[1].mention == "<!here>"
    assert config.rules[0].exit_codes == {1}
    assert config.retention_by_severity == {"critical": 365 * 86400.0, "info": 14 * 86400.0}
