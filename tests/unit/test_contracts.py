"""The import contracts in pyproject.toml: they hold on the tree, and each of them breaks when it is violated."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
PACKAGES = ("router", "router_conformance", "plugins", "local_aws")

ONE_WAY = "The core's imports point one way"
NO_CHANNEL = "The core never imports a channel"
FACADE = "A channel knows the facade alone"
APART = "Channels know nothing of each other"
LOCAL = "Only a checkout's demo has a local AWS"
CLIENTS = "AWS clients are made in one place"
PLUGGY = "One module knows pluggy"
POWERTOOLS = "Powertools is the handler's"
HTTP = "One module speaks HTTP"
TERMINAL = "The function carries nothing for terminals"
CIRCLE = "No package imports in a circle"
KIT = "Nothing that is shipped knows the conformance kit"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of all code that the contracts are about, with the contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def broken_contracts(tree: Path) -> set[str]:
    """Runs the linter as `make contracts` does, and gives the names of the contracts that do not hold."""
    run = subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False, env={"COLUMNS": "200"}
    )
    lines = [line.strip() for line in run.stdout.splitlines()]
    broken = {line.partition(" BROKEN")[0] for line in lines if " BROKEN" in line}
    assert run.returncode == bool(broken), run.stdout + run.stderr
    return broken


def test_every_contract_holds(tree: Path) -> None:
    assert broken_contracts(tree) == set()


@pytest.mark.parametrize(
    ("file", "offence", "contract"),
    [
        ("router/model.py", "import router.errors", ONE_WAY),
        ("router/incident/lifecycle.py", "import router.history.items", ONE_WAY),
        ("router/deliver.py", "import router.settle", ONE_WAY),
        ("router/pipeline.py", "import router.handler", ONE_WAY),
        ("router/errors.py", "from router import Severity", ONE_WAY),
        ("router/novelty.py", "", ONE_WAY),
        ("router/deliver.py", "import plugins.slack", NO_CHANNEL),
        ("router/cli/config.py", "import plugins.sns", NO_CHANNEL),
        ("plugins/slack.py", "from router.channels.http import post_json", FACADE),
        ("plugins/novelty.py", "from router.channels import http", FACADE),
        ("plugins/slack.py", "import plugins.sns", APART),
        ("router/cli/history.py", "import local_aws", LOCAL),
        ("plugins/sns.py", "import local_aws.server", LOCAL),
        ("router/history/table.py", "import boto3", CLIENTS),
        ("router/config/parse.py", "import pluggy", PLUGGY),
        ("router/deliver.py", "import aws_lambda_powertools", POWERTOOLS),
        ("plugins/slack.py", "import requests", HTTP),
        ("router/deliver.py", "import urllib3", HTTP),
        ("router/handler.py", "import click", TERMINAL),
        ("router/messages/render.py", "import rich.table", TERMINAL),
        ("router/messages/phrases.py", "import router.messages.render", CIRCLE),
        ("router/cli/config.py", "import router_conformance.channel", KIT),
    ],
)
def test_a_contract_breaks_when_it_is_violated(tree: Path, file: str, offence: str, contract: str) -> None:
    with (tree / file).open("a") as module:
        module.write(f"\n{offence}\n")
    assert contract in broken_contracts(tree)
