"""docs/deploy.md, "Supported versions": the table agrees with what is declared, installed and tested."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from tests.packaging.conftest import SUPPORTED

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "deploy.md").read_text("utf-8").split("## Supported versions\n")[1].split("\n## ")[0]
VERSIONS = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| [^|]+ \|$", SECTION, re.MULTILINE))
STACK = (ROOT / "serverless.yml").read_text("utf-8")


def declared(file: str) -> Any:
    return json.loads((ROOT / file).read_text("utf-8"))


def test_the_table_has_a_row_for_each_part() -> None:
    assert [*VERSIONS][1:] == [
        "Python, for the command line and for deploying",
        "Python of the function",
        "Node",
        "osls",
        "Serverless Framework 3",
        "Serverless Framework 4",
    ]


def test_the_pythons_are_those_that_the_package_declares_and_the_wheel_is_tested_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = VERSIONS["Python, for the command line and for deploying"].split(", ")
    prefix = "Programming Language :: Python :: "
    assert named == [
        classifier.removeprefix(prefix) for classifier in project["classifiers"] if classifier.startswith(prefix)
    ]
    assert named == [*SUPPORTED]
    assert project["requires-python"] == f">={named[0]}"


def test_the_functions_python_is_that_of_the_stack_and_of_the_layer() -> None:
    version = VERSIONS["Python of the function"]
    assert {*re.findall(r"python3\.[0-9]+", STACK)} == {f"python{version}"}
    assert f'"--python-version={version}"' in (ROOT / "layer" / "build.py").read_text("utf-8")


def test_node_is_what_npm_asks_for() -> None:
    assert VERSIONS["Node"] == declared("package.json")["engines"]["node"].removeprefix(">=") + " or newer"


def test_the_serverless_clis_are_those_that_the_tests_deploy_with() -> None:
    assert VERSIONS["osls"] == declared("package.json")["devDependencies"]["osls"]
    assert (
        VERSIONS["Serverless Framework 3"]
        == declared("tests/serverless3/package.json")["devDependencies"]["serverless"]
    )


def test_serverless_yml_accepts_these_clis_and_no_older_one() -> None:
    oldest, newest = VERSIONS["Serverless Framework 3"], int(VERSIONS["Serverless Framework 4"])
    assert f'\nframeworkVersion: ">={oldest} <{newest + 1}"\n' in STACK


def test_a_mistake_in_serverless_yml_stops_each_cli() -> None:
    assert "\nconfigValidationMode: error\n" in STACK
