"""layer/build.py: it builds the layer when needed, lists its plugins, and reports errors in one line."""

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "write-a-channel.md").read_text("utf-8")
INDEX = "ecs_alert_router_plugins.json"


def build(checkout: Path, python: str | Path = sys.executable) -> tuple[int, str]:
    """Run the build as deploy/prepare.js does; return its exit code and its output."""
    environment = {"PATH": os.defpath, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    command = [python, checkout / "layer" / "build.py"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "layer", tmp_path / "layer", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of docs/write-a-channel.md, built as the page says."""
    source, dist = tmp_path_factory.mktemp("acme-chat"), tmp_path_factory.mktemp("dist")
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (pyproject,) = (block for block in blocks if "[project]" in block)
    (source / "pyproject.toml").write_text(pyproject)
    shutil.copy(ROOT / "examples" / "mattermost.py", source / "acme_chat.py")
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", *offline, f"--wheel-dir={dist}", source], check=True
    )
    (built,) = dist.glob("*.whl")
    return built


def require_nothing(checkout: Path) -> None:
    (checkout / "layer" / "requirements.txt").write_text("# nothing\n")
    (checkout / "layer" / "botocore.txt").write_text("# nothing\n")


def add_plugin(checkout: Path, wheel: Path) -> None:
    """Adds the wheel as the page says: by its path from the root of the checkout, with its hash."""
    shutil.copy(wheel, checkout)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (checkout / "layer" / "plugins.txt").write_text(f"./{wheel.name} --hash=sha256:{digest}\n")


def index(checkout: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((checkout / ".build" / "layer" / "python" / INDEX).read_text())
    return found


# --- building ---------------------------------------------------------------------------------------------------------


def test_a_layer_that_is_up_to_date_is_not_built_again(checkout: Path) -> None:
    require_nothing(checkout)
    assert build(checkout)[1].splitlines()[-1].startswith("layer: built, ")
    assert build(checkout) == (0, "layer: up to date\n")


def _add_a_file(layer: Path) -> None:
    (layer / "python" / "sitecustomize.py").write_text("raise SystemExit\n")


def _change_a_file(layer: Path) -> None:
    (layer / "python" / INDEX).write_text('[{"distribution": "x", "name": "x", "module": "x"}]\n')


def _remove_a_file(layer: Path) -> None:
    (layer / "python" / INDEX).unlink()


@pytest.mark.parametrize(
    "change",
    [_add_a_file, *(pytest.param(change, marks=pytest.mark.check) for change in (_change_a_file, _remove_a_file))],
)
def test_a_layer_whose_files_have_changed_is_built_again(checkout: Path, change: Callable[[Path], None]) -> None:
    """A cache may have been written to between two deployments."""
    require_nothing(checkout)
    build(checkout)
    layer = checkout / ".build" / "layer"
    before = {path: path.read_bytes() for path in layer.rglob("*") if path.is_file()}
    change(layer)
    returncode, output = build(checkout)
    assert (returncode, output.splitlines()[0]) == (
        0,
        "layer: its files have changed since it was built, so it is built again",
    )
    assert {path: path.read_bytes() for path in layer.rglob("*") if path.is_file()} == before
    assert build(checkout)[1] == "layer: up to date\n"


def test_a_file_that_is_added_while_the_layer_is_built_is_not_shipped(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that imports modules of the layer writes bytecode as soon as it is there."""
    require_nothing(checkout)
    (checkout / ".build").mkdir()
    monkeypatch.syspath_prepend(str(checkout / "layer"))
    build_script = runpy.run_path(str(checkout / "layer" / "build.py"))
    rename = Path.rename

    def rename_and_add(path: Path, target: Path) -> Path:
        moved = rename(path, target)
        (moved / "late.pyc").write_bytes(b"")
        return moved

    monkeypatch.setattr(Path, "rename", rename_and_add)
    assert build_script["build"]()
    assert (checkout / ".build" / "layer" / "late.pyc").exists()
    build(checkout)
    assert not (checkout / ".build" / "layer" / "late.pyc").exists()


def test_a_change_of_the_requirements_builds_the_layer_again(checkout: Path) -> None:
    require_nothing(checkout)
    build(checkout)
    (checkout / "layer" / "requirements.txt").write_text("# still nothing\n")
    assert build(checkout)[1].splitlines()[-1].startswith("layer: built, ")


def test_an_unreachable_registry_is_reported_in_one_line_with_the_package(checkout: Path) -> None:
    returncode, said = build(checkout)
    assert returncode == 1
    assert said.count("\n") == 1
    assert said.startswith("layer: pip could not get the packages: ")
    assert "aws-lambda-powertools" in said


def test_a_failed_build_leaves_no_layer(checkout: Path) -> None:
    build(checkout)
    assert {path.name for path in (checkout / ".build").iterdir()} == {"layer.lock"}


def test_a_python_without_pip_is_reported(checkout: Path) -> None:
    venv.create(checkout / "bare", with_pip=False)
    python = checkout / "bare" / "bin" / "python"
    message = f"layer: {python} has no pip; install it, or name another Python in the variable PYTHON\n"
    assert build(checkout, python) == (1, message)


# --- plugins ----------------------------------------------------------------------------------------------------------


def test_a_layer_without_plugins_has_an_empty_index(checkout: Path) -> None:
    """Without an index, the function would search all packages."""
    require_nothing(checkout)
    build(checkout)
    assert index(checkout) == []


def test_a_package_in_plugins_txt_is_in_the_layer_and_in_its_index(checkout: Path, wheel: Path) -> None:
    """The locked requirements do not change."""
    require_nothing(checkout)
    add_plugin(checkout, wheel)
    assert build(checkout)[0] == 0
    assert index(checkout) == [{"distribution": "acme-chat", "name": "mattermost", "module": "acme_chat"}]
    assert (checkout / ".build" / "layer" / "python" / "acme_chat.py").is_file()


@pytest.mark.parametrize(
    ("spelling", "unused"),
    [
        ("charset-normalizer", "charset_normalizer"),
        ("Charset_Normalizer", "charset_normalizer"),
        ("charset-normalizer", "charset_normalizer-3.5.2.dist-info"),
        ("aws-lambda-powertools", "aws_lambda_powertools/utilities/batch"),
    ],
)
def test_an_unused_package_is_shipped_if_plugins_txt_names_it(
    checkout: Path, spelling: str, unused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any spelling that pip accepts."""
    monkeypatch.syspath_prepend(str(checkout / "layer"))
    build_script = runpy.run_path(str(checkout / "layer" / "build.py"))
    packages = checkout / "packages"
    for name in (unused, "requests", "aws_lambda_powertools/utilities/jmespath_utils"):
        (packages / name).mkdir(parents=True)
    (checkout / "layer" / "plugins.txt").write_text(f"{spelling}==3.5.2 --hash=sha256:0\n")
    build_script["_drop_unused"](packages)
    assert (packages / unused).is_dir()
    (checkout / "layer" / "plugins.txt").unlink()
    build_script["_drop_unused"](packages)
    assert not (packages / unused).exists()
    assert (packages / "requests").is_dir()
    assert (packages / "aws_lambda_powertools/utilities/jmespath_utils").is_dir()


def test_adding_or_removing_a_plugin_builds_the_layer_again(checkout: Path, wheel: Path) -> None:
    require_nothing(checkout)
    build(checkout)
    add_plugin(checkout, wheel)
    assert build(checkout)[1].splitlines()[-1].startswith("layer: built, ")
    assert build(checkout) == (0, "layer: up to date\n")
    (checkout / "layer" / "plugins.txt").unlink()
    assert build(checkout)[1].splitlines()[-1].startswith("layer: built, ")
    assert index(checkout) == []


def test_a_package_without_its_hash_is_refused(checkout: Path, wheel: Path) -> None:
    """Only packages that were reviewed are shipped."""
    require_nothing(checkout)
    add_plugin(checkout, wheel)
    (checkout / "layer" / "plugins.txt").write_text(f"./{wheel.name}\n")
    returncode, said = build(checkout)
    assert returncode == 1
    assert said.startswith("layer: pip could not get the packages: Hashes are required")


def test_the_configuration_check_finds_the_channel_kinds_of_plugins_in_the_layer(checkout: Path, wheel: Path) -> None:
    """deploy/check_config.py reads the layer that has just been built."""
    require_nothing(checkout)
    add_plugin(checkout, wheel)
    build(checkout)
    for package in ("router", "plugins", "deploy"):
        shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    config = checkout / "alert-router.toml"
    config.write_text('[channels.x]\nkind = "mattermost"\nwebhook_url = "env:HOOK"\n[[routes]]\nchannels = ["x"]\n')
    environment = {"ALERT_ROUTER_CONFIG": str(config), "HOOK": "ssm:/chat"}
    check: list[str | Path] = [sys.executable, checkout / "deploy" / "check_config.py"]
    result = subprocess.run(check, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_builds_in_two_directories_are_identical(tmp_path: Path, wheel: Path) -> None:
    """With bytecode only if this Python has the function's version."""
    layers = []
    for place in ("here", "there"):
        checkout = tmp_path / place
        shutil.copytree(ROOT / "layer", checkout / "layer", ignore=shutil.ignore_patterns("__pycache__"))
        require_nothing(checkout)
        add_plugin(checkout, wheel)
        assert build(checkout)[0] == 0
        layer = checkout / ".build" / "layer"
        layers.append({str(file.relative_to(layer)): file.read_bytes() for file in layer.rglob("*") if file.is_file()})
    assert layers[0] == layers[1]
    assert any(name.endswith(".dist-info/METADATA") for name in layers[0])


@pytest.mark.parametrize(("architecture", "platform"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_pip_gets_the_wheels_of_the_functions_architecture(
    architecture: str, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "layer"))
    monkeypatch.setenv("FUNCTION_ARCHITECTURE", architecture)
    build_script = runpy.run_path(str(ROOT / "layer" / "build.py"))
    assert f"--platform=manylinux2014_{platform}" in build_script["TARGET"]


def test_a_layer_for_another_architecture_is_built_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(checkout / "layer"))
    fingerprints = set()
    for architecture in ("arm64", "x86_64"):
        monkeypatch.setenv("FUNCTION_ARCHITECTURE", architecture)
        fingerprints.add(runpy.run_path(str(checkout / "layer" / "build.py"))["_fingerprint"]())
    assert len(fingerprints) == 2
