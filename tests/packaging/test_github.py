"""The files for GitHub: workflows, issue forms, code owners, updates. `make lint` also runs actionlint and zizmor."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.__main__ import BILL, CHECKSUMS, FUNCTION, LAYER, TEMPLATE

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_with_its_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text("utf-8"))
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_one_action_has_one_version_everywhere() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: (.+)", path.read_text("utf-8"))}
    assert len({line.partition("@")[0] for line in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_can_write_that_runs_code_of_this_checkout(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        checks_out = any("actions/checkout@" in step.get("uses", "") for step in job["steps"])
        can_write = "write" in job["permissions"].values()
        assert not (checks_out and can_write)
        assert job["timeout-minutes"]


def test_a_release_is_checked_before_it_is_built_and_its_tag_is_the_version() -> None:
    commands = [step["run"] for step in steps(GITHUB / "workflows" / "release.yml") if "run" in step]
    check, tag, release, *_ = commands
    assert (check, release) == ("make check PYTHON=python", "make release")
    assert "router.version" in tag


def test_a_release_has_every_file_that_make_release_writes() -> None:
    assert {BILL, CHECKSUMS, FUNCTION, LAYER, TEMPLATE} == {
        "SHA256SUMS",
        "function.zip",
        "layer.zip",
        "sbom.cdx.json",
        "template.json",
    }
    publish = steps(GITHUB / "workflows" / "release.yml")[-1]["run"]
    assert publish.endswith("dist/* wheel/*.whl")


def test_the_make_targets_of_the_workflows_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = [step["run"] for path in WORKFLOWS for step in steps(path) if step.get("run", "").startswith("make ")]
    assert commands
    for command in commands:
        target = command.split()[1].replace(".venv", "$(VENV)")
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def test_updates_cover_every_lock_file() -> None:
    updates = read(GITHUB / "dependabot.yml")["updates"]
    covered = {directory for update in updates for directory in update.get("directories", [])}
    locks = [*ROOT.glob("*requirements*.txt"), *ROOT.glob("[!.]*/*requirements*.txt"), ROOT / "package-lock.json"]
    locks.append(ROOT / "tests" / "serverless3" / "package-lock.json")
    locked = {
        f"/{path.parent.relative_to(ROOT)}".replace("/.", "/") for path in locks if "node_modules" not in path.parts
    }
    assert covered == locked


def test_code_owners_own_what_exists() -> None:
    lines = (GITHUB / "CODEOWNERS").read_text("utf-8").splitlines()
    patterns = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert [pattern for pattern in patterns[1:] if not (ROOT / pattern.strip("/")).exists()] == []


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_complete(path: Path) -> None:
    form = read(path)
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_names_only_commands_that_exist(path: Path) -> None:
    commands = re.findall(r"ecs-alert-router (\w+)", path.read_text("utf-8"))
    assert set(commands) <= {"simulate", "replay", "history"}
