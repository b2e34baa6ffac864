"""`ecs-alert-router plugin new`: what it creates in a checkout. tests/packaging runs what it creates elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.channels import plugins
from router.cli import main
from router.cli.checkout import ROOT


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with this router and without a plugin."""
    for package in ("router", "router_conformance"):
        (tmp_path / package).symlink_to(ROOT / package)
    (tmp_path / "serverless.yml").touch()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["plugin", "new", *words])
    return result.exit_code, result.output


def test_in_a_checkout_it_writes_a_file_for_the_plugin_and_one_for_its_tests(checkout: Path) -> None:
    exit_code, output = new("acme_chat")
    assert exit_code == 0
    assert output.startswith("created plugins/acme_chat.py\ncreated tests/unit/plugins/test_acme_chat.py\n")
    loaded = plugins.load(checkout / "plugins")
    assert ([*loaded.kinds], loaded.problems) == (["acme_chat"], ())


def test_the_tests_that_it_writes_pass(checkout: Path) -> None:
    new("acme_chat")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests")
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    ran = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_it_overwrites_nothing(checkout: Path) -> None:
    (checkout / "plugins" / "chat.py").write_text("mine")
    assert new("chat") == (1, "Error: already there: plugins/chat.py; choose another name, or delete them first\n")
    assert (checkout / "plugins" / "chat.py").read_text() == "mine"
    assert not (checkout / "tests").exists()


@pytest.mark.parametrize("name", ["Acme", "acme-chat", "../chat", "1st", "_hidden", ""])
def test_a_name_that_no_module_can_have_is_refused(checkout: Path, name: str) -> None:
    assert new(name)[0] == 2
    assert [path.name for path in (checkout / "plugins").iterdir()] == ["__init__.py"]


@pytest.mark.usefixtures("checkout")
def test_a_package_can_be_asked_for_in_a_checkout() -> None:
    assert new("chat", "--package")[1].startswith("created ecs-alert-router-chat/pyproject.toml\n")
