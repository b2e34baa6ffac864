"""Imports without ballast, of a library that a test makes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BALLAST = "from library.heavy import weight\n"


def imported(tmp_path: Path, said: str, *, wanted: str = "x = 1\n", weight: str = "1") -> list[str]:
    """What a process says that imports `library.wanted`, whose package imports `library.heavy` by itself."""
    package = tmp_path / "library"
    package.mkdir(exist_ok=True)
    for name, text in {"__init__": BALLAST, "heavy": f"weight = {weight}\n", "wanted": wanted}.items():
        (package / f"{name}.py").write_text(text)
    imports = "from router.coldstart.imports import import_without_package"
    program = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; {imports}\n{said}"
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    ).stdout.split()


LEAN = "made = import_without_package('library.wanted', empty='library')\n"


def test_what_the_package_brings_along_is_left_out(tmp_path: Path) -> None:
    assert imported(tmp_path, LEAN + "print(made.x, 'library.heavy' in sys.modules, 'library' in sys.modules)") == [
        "1",
        "False",
        "False",
    ]


def test_whoever_imports_the_package_later_gets_it_whole_with_the_same_module(tmp_path: Path) -> None:
    said = "import library; from library import wanted; print(library.weight, wanted is made)"
    assert imported(tmp_path, LEAN + said) == ["1", "True"]


def test_where_somebody_has_the_package_already_it_is_taken_as_it_is(tmp_path: Path) -> None:
    assert imported(tmp_path, f"import library\n{LEAN}print(library.wanted is made)") == ["True"]


@pytest.mark.parametrize(
    "wanted", ["from library import weight as x\n", "import library\nfrom library import weight as x\n"]
)
def test_a_module_that_has_come_to_need_the_whole_package_gets_it(tmp_path: Path, wanted: str) -> None:
    assert imported(tmp_path, LEAN + "print(made.x, 'library.heavy' in sys.modules)", wanted=wanted) == ["1", "True"]


def test_what_stands_in_for_another_module_is_gone_afterwards(tmp_path: Path) -> None:
    said = """
from types import ModuleType
light = ModuleType("library.heavy")
light.weight = 2
made = import_without_package("library.wanted", empty="library", instead={"library.heavy": light})
import library
print(made.weight, library.weight)
"""
    assert imported(tmp_path, said, wanted="from library.heavy import weight\n") == ["2", "1"]


def test_where_a_module_does_with_a_stand_in_what_it_cannot_bear_it_gets_the_real_one(tmp_path: Path) -> None:
    """To inherit from a function raises TypeError, say."""
    said = """
from types import ModuleType
light = ModuleType("library.heavy")
light.weight = lambda: None
made = import_without_package("library.wanted", empty="library", instead={"library.heavy": light})
print(made.Heavy.__mro__[1].__name__)
"""
    heavy = "class Heavy(weight): pass\n"
    assert imported(tmp_path, said, wanted=f"from library.heavy import weight\n{heavy}", weight="int") == ["int"]
