"""The wheel works in any directory, beside any other distribution, on every supported Python."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import ecs_alert_router
import router
from router.version import VERSION
from tests.packaging.conftest import ROOT, SUPPORTED, Installed, interpreter

pytestmark = pytest.mark.xdist_group("packaging")

EVENT = {
    "version": "0",
    "id": "315c1398-40ff-a850-213b-158f73e60175",
    "detail-type": "ECS Service Action",
    "source": "aws.ecs",
    "account": "123456789012",
    "time": "2024-08-08T17:19:02Z",
    "region": "eu-west-1",
    "resources": ["arn:aws:ecs:eu-west-1:123456789012:service/prod/web"],
    "detail": {"eventType": "ERROR", "eventName": "SERVICE_TASK_PLACEMENT_FAILURE", "reason": "RESOURCE:CPU"},
}
EVERY_MODULE = """
import importlib, pkgutil, sys
sys.modules["router"] = sys.modules["plugins"] = sys.modules["local_aws"] = None  # importing them fails
import ecs_alert_router, router_conformance
for package in (ecs_alert_router, router_conformance):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Somewhere else than in the checkout, with an event."""
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    return tmp_path


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def classified(environment: Installed, directory: Path) -> str:
    ran = environment.run("ecs-alert-router", "classify", "event.json", cwd=directory)
    assert (ran.returncode, ran.stderr) == (0, "")
    return str(json.loads(ran.stdout)["cause"])


def other(directory: Path, name: str, **files: str) -> Path:
    """The wheel of another distribution."""
    path = directory / f"{name}-1.0-py3-none-any.whl"
    information = f"{name}-1.0.dist-info"
    contents = {file.replace("__", "/", 1) + ".py": text for file, text in files.items()} | {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*contents, f"{information}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (contents | {f"{information}/RECORD": record}).items():
            archive.writestr(file, text)
    return path


# --- what it contains -------------------------------------------------------------------------------------------------


def test_it_has_no_top_level_package_of_a_name_that_others_could_have(wheel: Path) -> None:
    assert {name.split("/")[0] for name in names(wheel) if ".dist-info/" not in name} == {
        "ecs_alert_router",
        "router_conformance",
    }


def test_it_has_no_entry_point_of_the_function_which_would_load_the_plugins_beside_the_package(wheel: Path) -> None:
    assert "ecs_alert_router/handler.py" not in names(wheel)


def test_it_says_that_it_is_typed_and_under_which_licence(wheel: Path) -> None:
    assert {"ecs_alert_router/py.typed", "router_conformance/py.typed"} <= {*names(wheel)}
    assert [name for name in names(wheel) if name.endswith("/licenses/LICENSE")]


def test_every_module_works_without_the_names_of_the_checkout(installed: Installed, directory: Path) -> None:
    ran = installed.run("python", "-c", EVERY_MODULE, cwd=directory)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_interface_of_the_checkout_is_the_one_that_is_installed(installed: Installed, directory: Path) -> None:
    script = "import ecs_alert_router; print(*ecs_alert_router.__all__)"
    here = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert installed.run("python", "-c", script, cwd=directory).stdout == here


def test_in_a_checkout_both_names_are_one_interface() -> None:
    for name in router.__all__:
        assert getattr(ecs_alert_router, name) is getattr(router, name)


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "python",
    [SUPPORTED[0], *(pytest.param(version, marks=pytest.mark.thorough) for version in SUPPORTED[1:-1]), SUPPORTED[-1]],
)
def test_the_command_line_works_on_each_supported_python(
    python: str, environment: Callable[..., Installed], directory: Path
) -> None:
    if not (found := interpreter(python)):
        pytest.skip(f"no Python {python} on this machine")
    made = environment(found)
    shown = made.run("ecs-alert-router", "--version", cwd=directory)
    assert (shown.returncode, shown.stdout) == (0, f"ecs-alert-router, version {VERSION}\n")
    assert classified(made, directory) == "service_task_placement_failure"


def test_python_m_is_the_command_line_too(installed: Installed, directory: Path) -> None:
    ran = installed.run("python", "-m", "ecs_alert_router", "classify", "event.json", cwd=directory)
    assert json.loads(ran.stdout)["cause"] == "service_task_placement_failure"


def test_a_package_that_is_missing_is_named_in_one_line(environment: Callable[..., Installed], directory: Path) -> None:
    made = environment()
    (made.site_packages / "click.py").write_text("raise ModuleNotFoundError(name='click')")  # before the dependencies
    ran = made.run("ecs-alert-router", "--help", cwd=directory)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"Error: the command line needs click, which is not installed: {made.python} -m pip install ecs-alert-router\n"
    )


def test_the_demo_says_that_it_needs_a_checkout(installed: Installed, directory: Path) -> None:
    ran = installed.run("ecs-alert-router", "demo", cwd=directory)
    assert ran.returncode == 1
    assert ran.stderr == "Error: the demo runs from a checkout (local_aws is missing): make demo\n"


# --- configuration and plugins ----------------------------------------------------------------------------------------


def check(environment: Installed, directory: Path) -> tuple[dict[str, str], str]:
    """The channels that `config check` finds, each with its kind, and what it says on stderr."""
    words = ("config", "check", "--json")
    ran = environment.run("python", "-c", CHECK, *words, cwd=directory)
    return json.loads(ran.stdout)["channels"], ran.stderr


CHECK = """
import os, sys
os.environ["SLACK_WEBHOOK_URL"] = "https://hooks.slack.com/services/T0/B0/abcdefghijklmnopqrstuvwx"
os.environ["CHAT_URL"] = "https://chat.example.com/hooks/abcdefghijklmnop"
from ecs_alert_router.__main__ import main
main()
"""
CONFIGURED = (
    '[channels.{0}]\nkind = "{1}"\nwebhook_url = "env:{2}"\n[[routes]]\nseverity = "error"\nchannels = ["{0}"]\n'
)


def test_without_a_configuration_it_uses_the_one_that_it_is_shipped_with_and_says_so(
    installed: Installed, directory: Path
) -> None:
    channels, said = check(installed, directory)
    assert channels == {"slack": "slack"}
    assert said.startswith("no alert-router.toml in this directory: using the one that the router is shipped with\n")


def test_the_configuration_of_the_current_directory_is_used(installed: Installed, directory: Path) -> None:
    (directory / "alert-router.toml").write_text(CONFIGURED.format("ops", "slack", "SLACK_WEBHOOK_URL"))
    channels, _ = check(installed, directory)
    assert channels == {"ops": "slack"}


def test_in_a_checkout_its_plugins_are_used(installed: Installed, directory: Path) -> None:
    """They import the router by the name that it has there."""
    (directory / "router").mkdir()
    (directory / "plugins").mkdir()
    for marker in ("serverless.yml", "router/handler.py"):
        (directory / marker).touch()
    (directory / "plugins" / "mattermost.py").write_text((ROOT / "examples" / "mattermost.py").read_text())
    (directory / "alert-router.toml").write_text(CONFIGURED.format("chat", "mattermost", "CHAT_URL"))
    channels, _ = check(installed, directory)
    assert channels == {"chat": "mattermost"}


# --- beside others ----------------------------------------------------------------------------------------------------


def test_it_lives_beside_distributions_with_top_level_packages_router_and_plugins(
    environment: Callable[..., Installed], directory: Path
) -> None:
    theirs = {"router____init__": "MINE = 1", "plugins____init__": "MINE = 2", "plugins__slack": "MINE = 3"}
    made = environment(sys.executable, other(directory, "acme_other", **theirs))
    assert classified(made, directory) == "service_task_placement_failure"
    channels, said = check(made, directory)
    assert channels == {"slack": "slack"}
    assert "acme" not in said
    assert "plugins/" not in said
    script = (
        "import ecs_alert_router.cli.config as config; config.load_plugins();"
        "import router, plugins.slack, plugins; print(router.MINE, plugins.MINE, plugins.slack.MINE)"
    )
    assert made.run("python", "-c", script, cwd=directory).stdout == "1 2 3\n"


def test_a_plugin_package_registers_its_kind(environment: Callable[..., Installed], directory: Path) -> None:
    module = (
        (ROOT / "examples" / "mattermost.py").read_text().replace("from router import", "from ecs_alert_router import")
    )
    wheel = other(directory, "acme_chat", acme_chat=module)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("acme_chat-1.0.dist-info/entry_points.txt", "[ecs_alert_router]\nchat = acme_chat\n")
    made = environment(sys.executable, wheel)
    (directory / "alert-router.toml").write_text(CONFIGURED.format("chat", "mattermost", "CHAT_URL"))
    channels, _ = check(made, directory)
    assert channels == {"chat": "mattermost"}


# --- plugins of one's own ---------------------------------------------------------------------------------------------


@pytest.mark.check  # tests/unit/cli/test_plugin.py runs the same tests in the checkout
def test_the_tests_of_a_new_plugin_pass_with_plain_pytest(
    environment: Callable[..., Installed], directory: Path
) -> None:
    """In a repository of its own, beside distributions with top-level packages `router` and `plugins`."""
    theirs = {"router____init__": "", "plugins____init__": ""}
    made = environment(sys.executable, other(directory, "acme_other", **theirs))
    assert made.run("ecs-alert-router", "plugin", "new", "acme_chat", cwd=directory).returncode == 0
    (made.directory / "bin" / "pytest").write_text(f"#!{made.python}\nimport pytest\nraise SystemExit(pytest.main())\n")
    (made.directory / "bin" / "pytest").chmod(0o755)
    ran = made.run("pytest", "-q", "-p", "no:xdist", cwd=directory / "ecs-alert-router-acme-chat")
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout
