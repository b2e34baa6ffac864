"""docs/write-a-channel.md: its code works as printed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import router
from local_aws.events import task_stopped
from router.channels.plugins import INDEX, Hooks, load
from router.config.parse import parse
from router_conformance import ChannelConformance, RenderConformance
from router_conformance.channel import NOTIFICATIONS
from router_conformance.server import ScriptedServer, answer
from tests.doubles.alerts import alert_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/write-a-channel.md").read_text("utf-8")
PLUGIN, MEMORY, KIT, OWNERS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TOML, PYPROJECT, OWNERS_TOML = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """`plugins/`, with the page's plugin dropped into it."""
    return dropped_in(tmp_path, "mattermost.py", PLUGIN)


def dropped_in(tmp_path: Path, name: str, source: str) -> Path:
    """`plugins/` with one more file."""
    directory = tmp_path / "plugins"
    directory.mkdir()
    (directory / "__init__.py").touch()
    (directory / name).write_text(source, "utf-8")
    return directory


def test_the_page_quotes_the_example() -> None:
    """The page shows exactly the example."""
    assert (ROOT / "examples/mattermost.py").read_text("utf-8") == PLUGIN


def test_a_file_and_a_table_are_a_working_channel(directory: Path) -> None:
    """The page's plugin and configuration, with nothing else changed, deliver a message."""
    with ScriptedServer(answer(200, "ok")) as server:
        environment = {"MATTERMOST_WEBHOOK_URL": server.url("/hooks/x")}
        config = parse(tomllib.loads(TOML), load(directory), environment)
        _, channel = config.channels["chat"].open()
        channel.send(channel.render(NOTIFICATIONS["opened, critical"]))
        ((_, body),) = server.requests
    assert config.problems == ()
    assert json.loads(body)["text"].startswith("**Out of memory: service web in prod**\nContainer app exited")


def test_the_channel_is_not_configured_where_its_value_is_unset(directory: Path) -> None:
    """A KeyError from the constructor means that, as the page says."""
    config = parse(tomllib.loads(TOML), load(directory), {})
    assert config.unset == {"chat": "webhook_url"}


def test_an_entry_point_is_a_working_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file works as a module of a distribution with the page's pyproject.toml."""
    announced = tomllib.loads(PYPROJECT)["project"]["entry-points"]["ecs_alert_router"]
    (module,) = announced.values()
    (tmp_path / f"{module}.py").write_text(PLUGIN, "utf-8")
    index = [{"distribution": "acme-chat", "name": name, "module": module} for name in announced]
    (tmp_path / INDEX).write_text(json.dumps(index), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    plugins = load(tmp_path / "plugins")
    config = parse(tomllib.loads(TOML), plugins, {"MATTERMOST_WEBHOOK_URL": "http://127.0.0.1/x"})
    assert (list(config.channels), config.problems) == (["chat"], ())


def test_the_example_passes_the_kit(directory: Path) -> None:
    """The page's test runs and passes without this repository's settings."""
    (directory.parent / "test_mattermost.py").write_text(KIT, "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", directory.parent, "."],
        cwd=directory.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{directory.parent}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"^[0-9]{3} passed in", run.stdout, re.MULTILINE), run.stdout


def test_text_from_outside_mentions_no_one_and_formats_nothing(directory: Path) -> None:
    """The example does what the page says about text from outside."""
    channel = load(directory).kinds["mattermost"](router.ChannelConfig("x", "x", {"webhook_url": "http://127.0.0.1"}))
    text = channel.render(NOTIFICATIONS["opened, mentions"])["text"]
    assert not re.search("@(everyone|here|channel|all)", text)
    assert r"\[x\]\(https://evil.example\)" in channel.render(NOTIFICATIONS["opened, Markdown"])["text"]


def test_the_page_names_every_hook_and_all_of_the_facade() -> None:
    """A hook or name that the page omits would be useless to authors."""
    hooks = {name for name in vars(Hooks) if not name.startswith("_")}
    assert {name for name in hooks | {*router.__all__} if name not in PAGE} == set()


def test_the_page_names_every_attribute_of_the_kit() -> None:
    """Attributes of the kit's classes, all of them."""
    told = {name for kit in (ChannelConformance, RenderConformance) for name in kit.__annotations__}
    assert {name for name in told if f"`{name}`" not in PAGE} == {"factory"}


def test_the_plugin_without_a_channel_works_as_the_page_says(tmp_path: Path) -> None:
    directory = tmp_path / "plugins"
    directory.mkdir()
    assert (ROOT / "examples/owners.py").read_text("utf-8") == OWNERS
    (directory / "owners.py").write_text(OWNERS, "utf-8")
    loaded = load(directory)
    config = parse(tomllib.loads(OWNERS_TOML), loaded, {})
    assert [problem for problem in config.problems if problem.startswith("plugins")] == []
    alert = alert_of(task_stopped(service="payments"))
    assert [answer for _, answer in loaded.ask("enrich_alert", alert=alert)] == [{"Owner": "team-pay"}]


# --- memory -----------------------------------------------------------------------------------------------------------

MEMORY_KIT = """
from plugins.rocket_chat import RocketChat
from router_conformance import Answer, ChannelConformance


class TestRocketChat(ChannelConformance):
    factory = RocketChat
    memory = {"message": "BaE62jfDLXK3Xo6BA"}
    accepted = (Answer(200, '{"success":true,"message":{"_id":"BaE62jfDLXK3Xo6BA"}}'),)
    unaccepted = (Answer(200), Answer(200, '{"success":false}'), Answer(204))
    gone = (Answer(400, '{"success":false,"error":"No message found with the id of \\\\"BaE\\\\"."}'),)

    def options(self, server):
        return {"url": server, "room": "GENERAL", "user": "rbAXPnMktTFbNpwtJ", "token": "a-secret-of-sixteen"}
"""


@pytest.fixture
def rocket_chat(tmp_path: Path) -> Path:
    """`plugins/`, with the page's channel with a memory dropped into it."""
    return dropped_in(tmp_path, "rocket_chat.py", MEMORY)


def test_the_page_quotes_the_example_with_a_memory() -> None:
    assert (ROOT / "examples/rocket_chat.py").read_text("utf-8") == MEMORY


@pytest.mark.check  # the kit's own rules for a memory are tested with our channels
def test_the_example_with_a_memory_passes_the_kit(rocket_chat: Path) -> None:
    (rocket_chat.parent / "test_rocket_chat.py").write_text(MEMORY_KIT, "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", rocket_chat.parent, "."],
        cwd=rocket_chat.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{rocket_chat.parent}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_the_example_edits_its_message_and_replies_below_it(rocket_chat: Path) -> None:
    config = router.ChannelConfig("x", "x", {"url": "", "room": "GENERAL", "user": "u", "token": "t"})
    posted = answer(200, '{"success":true,"message":{"_id":"BaE"}}')
    with ScriptedServer(posted) as server:
        options = {**config.options, "url": server.url("")}
        channel = load(rocket_chat).kinds["rocket-chat"](replace(config, options=options))
        first = NOTIFICATIONS["opened, critical"]
        memory = channel.send(channel.render(first))
        assert memory == {"message": "BaE"}
        assert channel.send(channel.render(replace(first, remote=memory))) is None
        calls = [(head.split()[1].rpartition("/")[2], json.loads(body)) for head, body in server.requests]
    assert [method for method, _ in calls] == ["chat.postMessage", "chat.update", "chat.postMessage"]
    assert (calls[1][1]["msgId"], calls[2][1]["tmid"]) == ("BaE", "BaE")
