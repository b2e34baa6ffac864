"""The layer builds once, and says in one line why it does not."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

LAYER = Path(__file__).resolve().parents[2] / "layer"


def build(checkout: Path, python: str | Path = sys.executable) -> tuple[int, str]:
    """Run the build as deploy/prepare.js does; return its exit code and what it said."""
    environment = {"PATH": os.defpath, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    command = [python, checkout / "layer" / "build.py"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(LAYER, tmp_path / "layer", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def require_nothing(checkout: Path) -> None:
    (checkout / "layer" / "requirements.txt").write_text("# nothing\n")


def test_a_layer_that_is_up_to_date_is_left_alone(checkout: Path) -> None:
    require_nothing(checkout)
    assert build(checkout)[1].splitlines()[-1] == "layer: built"
    assert build(checkout) == (0, "layer: up to date\n")


def test_a_change_of_the_requirements_builds_the_layer_anew(checkout: Path) -> None:
    require_nothing(checkout)
    build(checkout)
    (checkout / "layer" / "requirements.txt").write_text("# still nothing\n")
    assert build(checkout)[1].splitlines()[-1] == "layer: built"


def test_a_registry_out_of_reach_is_one_line_that_names_the_package(checkout: Path) -> None:
    returncode, said = build(checkout)
    assert returncode == 1
    assert said.count("\n") == 1
    assert said.startswith("layer: pip could not get the packages: ")
    assert "aws-lambda-powertools" in said


def test_a_failed_build_leaves_nothing_that_passes_for_a_layer(checkout: Path) -> None:
    build(checkout)
    assert {path.name for path in (checkout / ".build").iterdir()} == {"layer.lock"}


def test_a_python_without_pip_is_named(checkout: Path) -> None:
    venv.create(checkout / "bare", with_pip=False)
    python = checkout / "bare" / "bin" / "python"
    message = f"layer: {python} has no pip; install it, or name another Python in the variable PYTHON\n"
    assert build(checkout, python) == (1, message)
