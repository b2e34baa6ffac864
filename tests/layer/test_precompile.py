"""layer/precompile.py: it records what modules compile while they are imported."""

from pathlib import Path

import pytest

from layer.precompile import write_table
from router.coldstart.precompiled import TABLE, read

MODULE = """
import re
from typing import NamedTuple
print("imported")
PATTERN = re.compile("a+b", re.IGNORECASE)
class Pair(NamedTuple):
    one: int
    two: int
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import re\nre.compile('c+d')\nraise SystemError\n")
    return tmp_path


def test_it_writes_the_patterns_and_the_generated_methods(directory: Path) -> None:
    write_table(["good"], [directory])
    patterns, methods = read([str(directory)])
    assert ("a+b", 2) in patterns
    assert "lambda _cls, one, two: _tuple_new(_cls, (one, two))" in methods


def test_a_module_that_cannot_be_imported_does_not_stop_the_others(directory: Path) -> None:
    write_table(["broken", "good", "missing"], [directory])
    assert {("a+b", 2), ("c+d", 0)} <= set(read([str(directory)]).patterns)


def test_what_the_table_of_another_directory_has_is_left_out(directory: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "uses_good.py").write_text("import re, good\nre.compile('new')\n")
    write_table(["good"], [directory])
    write_table(["uses_good"], [package, directory])
    patterns, methods = read([str(package)])
    assert [pattern for pattern, _ in patterns] == ["new"]
    assert methods == {}


def test_nothing_else_that_is_installed_is_found(directory: Path) -> None:
    (directory / "asks.py").write_text(
        "import re\ntry:\n    import pluggy\nexcept ImportError:\n    re.compile('none')\n"
    )
    write_table(["asks"], [directory])
    assert ("none", 0) in read([str(directory)]).patterns


def test_equal_modules_make_equal_tables(directory: Path) -> None:
    """Python's hashes, and so the order of sets, differ between processes."""
    tables = set()
    for _ in range(3):
        write_table(["good", "json", "email.message", "http.cookiejar", "dataclasses"], [directory])
        tables.add((directory / TABLE).read_bytes())
        (directory / TABLE).unlink()
    assert len(tables) == 1
