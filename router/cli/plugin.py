"""`ecs-alert-router plugin new`: creates a channel plugin with its tests, to be changed for another remote."""

import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

import click

from router.cli.checkout import is_checkout
from router.cli.output import echo
from router.errors import PluginError

NAME = re.compile(r"[a-z][a-z0-9_]*")

CHANNEL = '''"""$title, through a webhook that takes JSON. Change `render` to what the remote expects."""

from collections.abc import Callable
from typing import Any

from $facade import ChannelConfig, Notification, hookimpl, post_json

_LIMIT = 4_000  # characters of the whole text: what does the remote accept?


class $title:
    secret_options = ("webhook_url",)  # whoever knows it can send

    def __init__(self, config: ChannelConfig) -> None:
        self.url = config.options["webhook_url"]

    def render(self, notification: Notification) -> dict[str, Any]:
        """The payload: pure, JSON-able, and without secrets. Escape here what the remote reads as markup."""
        message = notification.message
        return {"text": f"{message.title}\\n{message.text}"[:_LIMIT]}

    def send(self, payload: dict[str, Any]) -> None:
        """Sends once; `post_json` raises TransientError or PermanentError."""
        post_json(self.url, payload)


@hookimpl
def register_channels(register: Callable[[str, type[$title]], None]) -> None:
    register("$name", $title)
'''

TESTS = '''"""$title: what every channel must do, and the text that it sends."""

from $module import $title
from router_conformance import ChannelConformance
from router_conformance.notifications import notifications


class Test$title(ChannelConformance):
    factory = $title
    forbidden = ()  # regular expressions for mentions and markup of the remote, which no text may contain

    def options(self, server: str) -> dict[str, str]:
        return {"webhook_url": f"{server}/hooks/a-secret-of-sixteen"}

    def test_the_text_begins_with_the_title(self) -> None:
        notification = notifications()["opened, critical"]
        assert self.channel().render(notification)["text"].startswith(notification.message.title)
'''

PACKAGE = """[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "$distribution"
version = "0.1.0"
description = "A channel of ecs-alert-router"
requires-python = ">=3.11"

[project.entry-points.ecs_alert_router]
$name = "$module"

[tool.setuptools]
py-modules = ["$module"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
"""

NEXT = """
Run its tests:

    $pytest

Then add a channel to alert-router.toml and name it in a route:

    [channels.$name]
    kind = "$name"
    webhook_url = "env:$variable"

and add $variable to provider.environment in serverless.yml (docs/write-a-channel.md)."""


@click.group("plugin")
def plugin_group() -> None:
    """Plugins of your own."""


@plugin_group.command("new")
@click.argument("name")
@click.option("--package", is_flag=True, help="Create a package of its own, as outside of a checkout.")
def new(name: str, *, package: bool) -> None:
    """Create a channel plugin NAME with its tests.

    In a checkout, the files are plugins/NAME.py and tests/unit/plugins/test_NAME.py. Elsewhere, a new directory
    ecs-alert-router-NAME has a package with the plugin.
    """
    if not NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r}: use small letters, digits and _, as in a module's name")
    in_checkout = is_checkout(Path()) and not package
    files, following = (_in_checkout if in_checkout else _as_package)(name)
    _write(files)
    echo("\n".join(f"created {path}" for path in files))
    echo(following)


def _in_checkout(name: str) -> tuple[dict[Path, str], str]:
    words = _words(name, module=f"plugins.{name}", facade="router")
    tests = Path("tests", "unit", "plugins", f"test_{name}.py")
    files = {Path("plugins", f"{name}.py"): CHANNEL, tests: TESTS}
    pytest = f"make .venv/.installed && .venv/bin/pytest {tests}"
    return _filled(files, words), Template(NEXT).substitute(words, pytest=pytest)


def _as_package(name: str) -> tuple[dict[Path, str], str]:
    module, directory = f"ecs_alert_router_{name}", Path(f"ecs-alert-router-{name.replace('_', '-')}")
    words = _words(name, module=module, facade="ecs_alert_router", distribution=directory.name)
    files = {
        directory / "pyproject.toml": PACKAGE,
        directory / f"{module}.py": CHANNEL,
        directory / "tests" / f"test_{name}.py": TESTS,
    }
    return _filled(files, words), Template(NEXT).substitute(words, pytest=f"cd {directory} && pytest")


def _words(name: str, **others: str) -> dict[str, str]:
    title = "".join(part.capitalize() for part in name.split("_"))
    return {"name": name, "title": title, "variable": f"{name.upper()}_WEBHOOK_URL", **others}


def _filled(files: Mapping[Path, str], words: Mapping[str, str]) -> dict[Path, str]:
    return {path: Template(text).substitute(words) for path, text in files.items()}


def _write(files: Mapping[Path, str]) -> None:
    """Raises PluginError if any of the files exists; then none is written."""
    if there := [str(path) for path in files if path.exists()]:
        raise PluginError(f"already there: {', '.join(there)}; choose another name, or delete them first")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
