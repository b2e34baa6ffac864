"""router.coldstart.precompiled: what comes from a table is what Python would have compiled; all else is compiled."""

import builtins
import collections
import dataclasses
import importlib
import importlib.resources
import marshal
import re
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path
from re import _compiler  # type: ignore[attr-defined]  # private, as in the module
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
    # Python's own finders: those of other tests' packages may find a module before the table does.
    monkeypatch.setattr(sys, "meta_path", [BuiltinImporter, FrozenImporter, PathFinder])
    monkeypatch.setattr(_compiler, "compile", _compiler.compile)
    for module, name in ((collections, "eval"), (dataclasses, "exec")):
        monkeypatch.setitem(vars(module), name, getattr(builtins, name))
    re.purge()
    yield
    re.purge()


def written(directory: Path, version: Any = VERSION, *members: Any) -> list[str]:
    (directory / TABLE).write_bytes(marshal.dumps((version, *(members or ({}, {("a+", 0): ()}, {})))))
    return [str(directory)]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_directory_without_a_table_adds_nothing(tmp_path: Path) -> None:
    assert precompiled.read([str(tmp_path), "/no/such/directory"]) == Tables({}, {}, {})


def test_tables_of_several_directories_are_merged(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    directories = [
        *written(first, VERSION, {"m": ("m.py", False, b"", b"1")}, {"a": 1}, {}),
        *written(second, VERSION, {"m": ("m.py", False, b"", b"2")}, {"b": 2}, {"c": b"3"}),
    ]
    modules = {"m": (str(first / "m.py"), False, b"", b"1")}  # as on Python's path, the first one is found
    assert precompiled.read(directories) == Tables(modules, {"a": 1, "b": 2}, {"c": b"3"})  # type: ignore[dict-item]


@pytest.mark.parametrize("place", range(len(VERSION)))
def test_a_table_of_another_version_is_ignored(tmp_path: Path, place: int) -> None:
    other = [*VERSION]
    other[place] = "big" if isinstance(other[place], str) else other[place] + 1
    assert precompiled.read(written(tmp_path, tuple(other))) == Tables({}, {}, {})


@pytest.mark.parametrize("content", [b"", b"\0", b"not a table", marshal.dumps(7), marshal.dumps(())])
def test_a_damaged_table_is_ignored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TABLE).write_bytes(content)
    assert precompiled.read([str(tmp_path)]) == Tables({}, {}, {})


@pytest.mark.parametrize("members", [(), ({}, {}), ({}, {}, {}, {}), (7, {}, {}), ({"m": 7}, {}, {}), ({}, 7, {})])
def test_a_table_of_another_form_is_ignored(tmp_path: Path, members: tuple[Any, ...]) -> None:
    (tmp_path / TABLE).write_bytes(marshal.dumps((VERSION, *members)))
    assert precompiled.read([str(tmp_path)]) == Tables({}, {}, {})


# --- modules ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package in a directory with its table."""
    (tmp_path / "shelf" / "box").mkdir(parents=True)
    (tmp_path / "shelf" / "__init__.py").write_text("import shelf.book, shelf.box\n")
    (tmp_path / "shelf" / "book.py").write_text("TITLE = 'first'\ndef title():\n    return TITLE\n")
    (tmp_path / "shelf" / "box" / "__init__.py").write_text("")
    (tmp_path / "shelf" / "box" / "note.txt").write_text("a note")
    precompile.write_table(["shelf"], [tmp_path], "/opt", checked=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("shelf")]:
        del sys.modules[name]


def test_a_module_of_the_table_is_imported_with_the_code_in_it(package: Path) -> None:
    precompiled.use(precompiled.read([str(package)]))
    shelf = importlib.import_module("shelf")
    assert shelf.book.TITLE == "first"
    assert shelf.book.__file__ == str(package / "shelf" / "book.py")
    assert [*shelf.box.__path__] == [str(package / "shelf" / "box")]
    assert shelf.book.title.__code__.co_filename == "/opt/shelf/book.py"


def test_a_source_that_was_edited_is_imported_instead(package: Path) -> None:
    """Someone may edit the function in the Lambda console, even without changing its length."""
    (package / "shelf" / "book.py").write_text("TITLE = 'other'\n")
    precompiled.use(precompiled.read([str(package)]))
    assert importlib.import_module("shelf.book").TITLE == "other"


def test_a_source_that_was_deleted_is_not_found(package: Path) -> None:
    (package / "shelf" / "book.py").unlink()
    precompiled.use(precompiled.read([str(package)]))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("shelf.book")


def test_a_module_that_became_a_package_is_one(package: Path) -> None:
    (package / "shelf" / "book").mkdir()
    (package / "shelf" / "book.py").rename(package / "shelf" / "book" / "__init__.py")
    precompiled.use(precompiled.read([str(package)]))
    assert [*importlib.import_module("shelf.book").__path__] == [str(package / "shelf" / "book")]


@pytest.mark.parametrize("checked", [True, False])
def test_a_package_that_comes_first_on_the_path_has_its_own_modules(
    package: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, *, checked: bool
) -> None:
    """Another layer of the function may have a package of that name, in another version."""
    precompile.write_table(["shelf"], [package], "/opt", checked=checked)
    first = tmp_path_factory.mktemp("first")
    for file, source in {"__init__.py": "", "book.py": "TITLE = 'other'\n", "box/__init__.py": "LID = True\n"}.items():
        path = first / "shelf" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    monkeypatch.syspath_prepend(str(first))
    precompiled.use(precompiled.read([str(package)]))
    assert importlib.import_module("shelf.book").TITLE == "other"
    assert importlib.import_module("shelf.box").LID


def test_a_relative_path_is_that_of_the_directory_at_the_start(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python has it. A plugin may change the directory."""
    monkeypatch.chdir(package)
    precompiled.use(precompiled.read([""]))
    monkeypatch.chdir("/")
    assert importlib.import_module("shelf.book").title.__code__.co_filename == "/opt/shelf/book.py"


class Raced(str):  # noqa: SLOT000 - one name for each test
    """A name that another thread imports between the second look-up of it in a table and the first."""

    meanwhile: Callable[[], object]
    looked_up = 0

    def __hash__(self) -> int:
        self.looked_up += 1
        if self.looked_up == 2:
            self.meanwhile()
        return super().__hash__()


def test_two_threads_may_ask_for_the_same_module_or_method(package: Path) -> None:
    finder = precompiled.Finder(precompiled.read([str(package)]).modules)
    name = Raced("shelf.book")
    name.meanwhile = lambda: finder.find_spec("shelf.book", [str(package / "shelf")])
    assert finder.find_spec(name, [str(package / "shelf")])
    code = marshal.dumps(compile("7", "<string>", "eval"))
    precompiled.use(Tables({}, {}, {"3 + 4": code}))
    evaluate: Any = vars(collections)["eval"]
    text = Raced("3 + 4")
    text.meanwhile = lambda: evaluate("3 + 4")
    assert evaluate(text) == 7


def test_without_a_hash_the_code_in_the_table_is_imported(package: Path) -> None:
    """The function never reads the layer's sources, because no one can edit them in Lambda."""
    precompile.write_table(["shelf"], [package], "/opt")
    (package / "shelf" / "book.py").unlink()
    precompiled.use(precompiled.read([str(package)]))
    assert importlib.import_module("shelf.book").TITLE == "first"


def test_the_tables_code_is_freed_and_the_source_can_be_compiled_again(package: Path) -> None:
    """The tables are 3 MB, which the function would keep for as long as it runs."""
    tables = precompiled.read([str(package)])
    before = sys.getrefcount(tables.modules["shelf.book"][-1])
    precompiled.use(tables)
    loader: Any = importlib.import_module("shelf.book").__loader__
    after = sys.getrefcount(tables.modules["shelf.book"][-1])
    assert after == before
    assert loader.get_code("shelf.book").co_filename == str(package / "shelf" / "book.py")


def test_a_module_that_is_in_no_table_is_found_beside_those_that_are(package: Path) -> None:
    (package / "shelf" / "new.py").write_text("TITLE = 'new'\n")
    precompiled.use(precompiled.read([str(package)]))
    assert importlib.import_module("shelf.new").TITLE == "new"


def test_a_package_of_the_table_reads_its_files(package: Path) -> None:
    precompiled.use(precompiled.read([str(package)]))
    assert importlib.resources.files("shelf.box").joinpath("note.txt").read_text() == "a note"


def test_finders_of_others_are_asked_before_the_table(package: Path) -> None:
    """A tracer in another layer, for example, which must see that a module is imported."""
    asked = []

    class Tracer:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            asked.append(name)

    sys.meta_path.insert(0, Tracer)
    precompiled.use(precompiled.read([str(package)]))
    importlib.import_module("shelf")
    assert asked == ["shelf", "shelf.book", "shelf.box"]


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
    except re.error:
        assume(False)  # noqa: FBT003
    parts = marshal.loads(marshal.dumps(precompile._parts(pattern, int(flags)), 2))  # noqa: SLF001
    re.purge()
    original = _compiler.compile
    try:
        precompiled.use(Tables({}, {(pattern, int(flags)): parts}, {}))
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
    precompiled.use(Tables({}, {("a+", 0): precompile._parts("b+", 0)}, {}))  # noqa: SLF001
    assert re.search("a+", "aabb").group() == "bb"  # type: ignore[union-attr]


@pytest.mark.parametrize("pattern", ["c+", re.compile("a+", re.IGNORECASE).pattern])
def test_a_pattern_that_is_not_in_the_table_is_compiled(pattern: str) -> None:
    precompiled.use(Tables({}, {("a+", 0): precompile._parts("b+", 0)}, {}))  # noqa: SLF001
    assert re.search(pattern, "bCcAa", re.IGNORECASE)


def test_text_and_bytes_are_different_patterns() -> None:
    precompiled.use(Tables({}, {("a+", 0): precompile._parts("b+", 0)}, {}))  # noqa: SLF001
    assert re.search(b"a+", b"bbaa").group() == b"aa"  # type: ignore[union-attr]


# --- methods ----------------------------------------------------------------------------------------------------------


def recorded(name: str) -> dict[str, bytes]:
    """What is recorded while a named tuple or a dataclass is made."""
    table: dict[str, bytes] = precompile._record_methods()  # noqa: SLF001
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


@pytest.mark.parametrize(
    ("name", "shown"), [("tuple", "Pair(left=1, right='r')"), ("dataclass", "Point(x=1, names=())")]
)
def test_a_class_with_methods_of_the_table_is_the_one_that_python_makes(name: str, shown: str) -> None:
    precompiled.use(Tables({}, {}, recorded(name)))
    value = make(name)
    assert repr(value).rpartition(".")[2] == shown
    assert value == type(value)(1) != type(value)(2)


@pytest.mark.parametrize("name", ["tuple", "dataclass"])
def test_the_methods_of_a_class_are_taken_from_the_table(name: str) -> None:
    """The table has a division by zero in place of each, so that it shows."""
    code = marshal.dumps(compile("1 / 0", "<string>", "eval"))
    precompiled.use(Tables({}, {}, dict.fromkeys(recorded(name), code)))
    with pytest.raises(ZeroDivisionError):
        make(name)


def test_a_class_that_is_not_in_the_table_is_compiled() -> None:
    precompiled.use(Tables({}, {}, recorded("dataclass")))
    assert make("tuple") == (1, "r")
