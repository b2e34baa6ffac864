"""The locks: what is installed on a developer's machine, from a registry of his choice."""

import ast
import json
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OF_THE_RUNTIME = {"awslambdaric"}  # local_aws/runtime-requirements.txt


def pins(file: str) -> dict[str, str]:
    """Each package of a lock with its version, conditions and hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / file).read_text("utf-8").rstrip())
    return {entry.partition("==")[0]: entry for entry in entries if "==" in entry}


def imported(*packages: str) -> set[str]:
    """The top-level names that the packages import from elsewhere."""
    names: set[str] = set()
    for module in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"router", "plugins", "local_aws"}


def test_the_demo_has_the_versions_that_the_tests_have() -> None:
    tested = pins("requirements-dev.txt")
    assert {name: pin for name, pin in pins("local_aws/demo-requirements.txt").items() if tested.get(name) != pin} == {}


def test_the_demo_has_everything_that_it_imports() -> None:
    distributions = packages_distributions()
    needed = {distributions[name][0].lower().replace("_", "-") for name in imported("router", "plugins", "local_aws")}
    assert needed - OF_THE_RUNTIME <= {*pins("local_aws/demo-requirements.txt")}


@pytest.mark.parametrize("directory", [".", "tests/serverless3"])
def test_a_lock_of_npm_names_no_registry(directory: str) -> None:
    lock = json.loads((ROOT / directory / "package-lock.json").read_text("utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert "http" not in {str(package.get("version", ""))[:4] for package in lock["packages"].values()}


@pytest.mark.parametrize("file", ["requirements-dev.txt", "local_aws/demo-requirements.txt", "layer/requirements.txt"])
def test_a_lock_of_pip_names_no_registry_and_a_hash_for_each_package(file: str) -> None:
    assert "://" not in (ROOT / file).read_text("utf-8")
    assert [name for name, pin in pins(file).items() if "--hash=sha256:" not in pin] == []
