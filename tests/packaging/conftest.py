"""The wheel, built from the checkout, and virtual environments with it on every supported Python of this machine.

Nothing is downloaded: what the wheel depends on comes from the environment that runs the tests.
"""

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
SOURCES = ("LICENSE", "MANIFEST.in", "README.md", "alert-router.toml", "pyproject.toml", "setup.py")
PACKAGES = ("ecs_alert_router", "local_aws", "plugins", "router", "router_conformance")
BUILD = "from setuptools.build_meta import build_wheel; build_wheel({!r})"


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        (found,) = self.directory.glob("lib/python3*/site-packages")
        return found

    def install(self, *wheels: Path) -> None:
        pip = (sys.executable, "-m", "pip", f"--python={self.python}", "--disable-pip-version-check", "install")
        how = ("--quiet", "--no-index", "--no-deps", "--no-compile")
        subprocess.run([*pip, *how, *map(str, wheels)], check=True)

    def add_dependencies(self) -> None:
        """Appends this environment's packages to its path, without its own links to the checkout."""
        packages = Path(click.__file__).parents[1]
        (self.site_packages / "dependencies.pth").write_text(f"{packages}\n")

    def run(self, program: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment in a directory, and with no variables of ours."""
        command = (str(self.directory / "bin" / program), *words)
        return subprocess.run(command, cwd=cwd, env={"HOME": str(cwd)}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a copy, because setuptools leaves files beside its sources."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD.format("wheels")], cwd=copy, check=True, capture_output=True)
    (built,) = (copy / "wheels").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Installed]:
    """Makes an environment of a Python with the wheel and other distributions, which are installed first."""

    def make(python: str | Path = sys.executable, *others: Path, dependencies: bool = True) -> Installed:
        directory = tmp_path_factory.mktemp("environment") / "venv"
        subprocess.run([str(python), "-m", "venv", "--without-pip", str(directory)], check=True)
        made = Installed(directory)
        made.install(*others, wheel)
        if dependencies:
            made.add_dependencies()
        return made

    return make


@pytest.fixture(scope="session")
def installed(environment: Callable[..., Installed]) -> Installed:
    """The wheel alone, with what it depends on."""
    return environment()


@functools.cache
def interpreter(version: str) -> Path | None:
    """An interpreter of this version on this machine."""
    return next((found for found in _candidates(version) if _is(found, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    if on_path := shutil.which(f"python{version}"):
        yield Path(on_path)
    yield from sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python"))


def _is(python: Path, version: str) -> bool:
    """False for the stubs that pyenv puts on the path, too."""
    script = "import sys, venv; print('.'.join(map(str, sys.version_info[:2])))"
    ran = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=False)
    return ran.stdout.strip() == version
