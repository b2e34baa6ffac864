"""router.coldstart.precompiled: what comes from a table is what Python would have compiled; all else is compiled."""

import builtins
import collections
import dataclasses
import marshal
import re
from collections.abc import Iterator
from pathlib import Path
from re import _compiler  # type: ignore[attr-defined]  # private, as in the module
from types import CodeType
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from layer import precompile
from router.coldstart import precompiled
from router.coldstart.precompiled import TABLE, VERSION, Tables


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undoes what `use` changes."""
    monkeypatch.setattr(_compiler, "compile", _compiler.compile)
    for module, name in ((collections, "eval"), (dataclasses, "exec")):
        monkeypatch.setitem(vars(module), name, getattr(builtins, name))
    re.purge()
    yield
    re.purge()


def written(directory: Path, version: Any = VERSION, *members: Any) -> list[str]:
    (directory / TABLE).write_bytes(marshal.dumps((version, *(members or ({("a+", 0): ()}, {})))))
    return [str(directory)]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_directory_without_a_table_adds_nothing(tmp_path: Path) -> None:
    assert precompiled.read([str(tmp_path), "/no/such/directory"]) == Tables({}, {})


def test_tables_of_several_directories_are_merged(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    directories = [*written(first, VERSION, {"a": 1}, {}), *written(second, VERSION, {"b": 2}, {"c": 3})]
    assert precompiled.read(directories) == Tables({"a": 1, "b": 2}, {"c": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize("place", range(len(VERSION)))
def test_a_table_of_another_version_is_ignored(tmp_path: Path, place: int) -> None:
    other = [*VERSION]
    other[place] = "big" if isinstance(other[place], str) else other[place] + 1
    assert precompiled.read(written(tmp_path, tuple(other))) == Tables({}, {})


@pytest.mark.parametrize("content", [b"", b"\0", b"not a table", marshal.dumps(7), marshal.dumps(())])
def test_a_damaged_table_is_ignored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TABLE).write_bytes(content)
    assert precompiled.read([str(tmp_path)]) == Tables({}, {})


# --- regular expressions ----------------------------------------------------------------------------------------------

PARTS = st.sampled_from(
    [
        "a",
        "ß",
        "İ",
        ".",
        "^",
        "$",
        r"\b",
        r"\w+",
        r"[^a-z\d]",
        "[é-ü]{2,5}?",
        "(b)",
        "(?P<name>c|d)?",
        "(?:e|f)*+",
        r"(?=g)",
        "(?<!h)",
        "(?i:k)",
        "(?s:.)",
        "(?>x|y)",
        "|",
        r"\s*",
        "0{0,300}",
        "(?a:[\\w-])",
    ]
)
FLAGS = st.sampled_from([0, re.IGNORECASE, re.MULTILINE, re.DOTALL, re.ASCII, re.VERBOSE, re.IGNORECASE | re.DOTALL])


def matches(pattern: re.Pattern[str], text: str) -> list[Any]:
    return [(match.span(), match.groups(), match.lastgroup) for match in pattern.finditer(text)]


@given(st.lists(PARTS, max_size=6).map("".join), FLAGS, st.text("aßİbcdeféKk \n0-Z", max_size=12))
def test_a_pattern_of_the_table_is_the_one_that_python_compiles(pattern: str, flags: int, text: str) -> None:
    try:
        expected = re.compile(pattern, flags)
    except re.PatternError:
        assume(False)  # noqa: FBT003
    parts = marshal.loads(marshal.dumps(precompile._parts(pattern, int(flags)), 2))  # noqa: SLF001
    re.purge()
    original = _compiler.compile
    try:
        precompiled.use(Tables({(pattern, int(flags)): parts}, {}))
        actual = re.compile(pattern, flags)
    finally:
        _compiler.compile = original
        re.purge()
    assert (actual.flags, actual.groups, actual.groupindex) == (expected.flags, expected.groups, expected.groupindex)
    matches = [
        [(match.span(), match.groups(), match.lastgroup) for match in each.finditer(text)]
        for each in (actual, expected)
    ]
    assert matches[0] == matches[1]


def test_a_pattern_is_taken_from_the_table() -> None:
    """The table has the code of another pattern, so that it shows."""
    precompiled.use(Tables({("a+", 0): precompile._parts("b+", 0)}, {}))  # noqa: SLF001
    assert re.search("a+", "aabb").group() == "bb"  # type: ignore[union-attr]


@pytest.mark.parametrize("pattern", ["c+", re.compile("a+", re.IGNORECASE).pattern])
def test_a_pattern_that_is_not_in_the_table_is_compiled(pattern: str) -> None:
    precompiled.use(Tables({("a+", 0): precompile._parts("b+", 0)}, {}))  # noqa: SLF001
    assert re.search(pattern, "bCcAa", re.IGNORECASE)


def test_text_and_bytes_are_different_patterns() -> None:
    precompiled.use(Tables({("a+", 0): precompile._parts("b+", 0)}, {}))  # noqa: SLF001
    assert re.search(b"a+", b"bbaa").group() == b"aa"  # type: ignore[union-attr]


# --- methods ----------------------------------------------------------------------------------------------------------


def recorded(name: str) -> dict[str, CodeType]:
    """What is recorded while a named tuple or a dataclass is made."""
    table: dict[str, CodeType] = precompile._record_methods()  # noqa: SLF001
    make(name)
    return table


def make(name: str) -> Any:
    if name == "tuple":

        class Pair(NamedTuple):
            left: int
            right: str = "r"

        return Pair(1)

    @dataclasses.dataclass(frozen=True, slots=True)
    class Point:
        x: int
        names: tuple[str, ...] = ()

    return Point(1)


def within(code: CodeType) -> Iterator[CodeType]:
    """The code, and that of all functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from within(constant)


@pytest.mark.parametrize(
    ("name", "method", "shown"),
    [("tuple", "__new__", "Pair(left=1, right='r')"), ("dataclass", "__init__", "Point(x=1, names=())")],
)
def test_a_class_has_the_methods_of_the_table(name: str, method: str, shown: str) -> None:
    table = recorded(name)
    precompiled.use(Tables({}, table))
    value = make(name)
    codes = [id(code) for text in table.values() for code in within(text)]
    assert id(getattr(type(value), method).__code__) in codes
    assert repr(value).rpartition(".")[2] == shown
    assert value == type(value)(1) != type(value)(2)


def test_a_class_that_is_not_in_the_table_is_compiled() -> None:
    precompiled.use(Tables({}, recorded("dataclass")))
    assert make("tuple") == (1, "r")
