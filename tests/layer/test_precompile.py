"""layer/precompile.py: it records what modules compile while they are imported."""

import compileall
import marshal
from importlib.util import source_hash
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
    write_table(["good"], [directory], "/opt")
    _, patterns, methods = read([str(directory)])
    assert ("a+b", 2) in patterns
    assert "lambda _cls, one, two: _tuple_new(_cls, (one, two))" in methods


def test_a_module_that_cannot_be_imported_does_not_stop_the_others(directory: Path) -> None:
    (directory / "exits.py").write_text("raise SystemExit(1)\n")
    write_table(["broken", "exits", "good", "missing"], [directory], "/opt")
    assert {("a+b", 2), ("c+d", 0)} <= set(read([str(directory)]).patterns)


@pytest.mark.parametrize("status", [0, 1])
def test_if_a_module_ends_the_process_the_modules_keep_their_bytecode(
    directory: Path, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    """The function works without the table, and a deployment does not fail because it would start faster."""
    compileall.compile_dir(directory, quiet=1)
    (directory / "kills.py").write_text(f"import os\nos._exit({status})\n")
    write_table(["good", "kills"], [directory], "/opt")
    assert capfd.readouterr().err.endswith("cold starts take some 40 ms longer\n")
    assert not (directory / TABLE).exists()
    assert list(directory.glob("__pycache__/good.*.pyc"))


def test_what_the_table_of_another_directory_has_is_left_out(directory: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "uses_good.py").write_text("import re, good\nre.compile('new')\n")
    write_table(["good"], [directory], "/opt")
    write_table(["uses_good"], [package, directory], "/var/task")
    _, patterns, methods = read([str(package)])
    assert [pattern for pattern, _ in patterns] == ["new"]
    assert methods == {}


def test_a_module_that_hides_one_of_another_table_is_in_the_table(directory: Path, tmp_path: Path) -> None:
    """It has another code."""
    package = tmp_path / "package"
    for place in (directory, package):
        (place / "whole").mkdir(parents=True)
        (place / "whole" / "__init__.py").write_text("import whole.part\n")
        (place / "whole" / "part.py").write_text("")
    write_table(["whole"], [directory], "/opt")
    write_table(["whole"], [package, directory], "/var/task")
    assert read([str(package)]).modules["whole.part"][0] == str(package / "whole" / "part.py")


def test_a_pattern_that_is_a_text_of_another_type_is_left_out(directory: Path) -> None:
    (directory / "enumeration.py").write_text(
        "import enum, re\nclass Pattern(enum.StrEnum):\n    ONE = 'e+f'\nre.compile(Pattern.ONE)\n"
    )
    write_table(["enumeration", "good"], [directory], "/opt")
    assert {pattern for pattern, _ in read([str(directory)]).patterns} >= {"a+b"}


def test_a_module_may_start_a_thread_that_never_ends(directory: Path) -> None:
    (directory / "starts.py").write_text("import threading\nthreading.Thread(target=threading.Event().wait).start()\n")
    write_table(["starts", "good"], [directory], "/opt")
    assert ("a+b", 2) in read([str(directory)]).patterns


@pytest.mark.parametrize("base", ["types.ModuleType", "object"])
def test_a_module_that_imports_itself_when_it_is_used_is_left_out(directory: Path, base: str) -> None:
    """Those of `six.moves` do so, and some are not installed."""
    (directory / "lazy.py").write_text(
        f"import sys, types\nclass Lazy({base}):\n    def __getattr__(self, name):\n        raise ImportError(name)\n"
        "sys.modules['late'] = Lazy(*['late'][:Lazy.__base__ is not object])\n"
    )
    write_table(["lazy", "good"], [directory], "/opt")
    assert ("a+b", 2) in read([str(directory)]).patterns


@pytest.mark.parametrize("checked", [True, False])
def test_it_writes_the_code_of_the_modules_in_place_of_their_bytecode(directory: Path, *, checked: bool) -> None:
    """With the place that the module has in Lambda, for tracebacks."""
    (directory / "all").mkdir()
    for name in ("good", "broken"):
        (directory / f"{name}.py").rename(directory / "all" / f"{name}.py")
    compileall.compile_dir(directory, quiet=1)
    write_table(["all.good"], [directory], "/var/task", checked=checked)
    file, is_package, hashed, code = read([str(directory)]).modules["all.good"]
    assert (file, is_package) == (str(directory / "all" / "good.py"), False)
    assert hashed == (source_hash(MODULE.encode()) if checked else b"")
    assert marshal.loads(code).co_filename == "/var/task/all/good.py"
    assert [path.name.partition(".")[0] for path in directory.glob("all/__pycache__/*")] == ["broken"]


def test_what_is_in_no_package_keeps_its_bytecode(directory: Path) -> None:
    """Python finds it: another directory may come first on its path and contain something of that name."""
    compileall.compile_dir(directory, quiet=1)
    write_table(["good"], [directory], "/opt")
    assert read([str(directory)]).modules == {}
    assert list(directory.glob("__pycache__/good.*.pyc"))


def test_a_package_is_one_and_another_name_of_a_module_is_left_out(directory: Path) -> None:
    """requests gives urllib3's modules other names, `requests.packages.urllib3` for example."""
    (directory / "whole" / "half").mkdir(parents=True)
    (directory / "whole" / "__init__.py").write_text(
        "import sys, whole.half.part\nsys.modules['whole.alias'] = whole.half.part\n"
    )
    (directory / "whole" / "half" / "__init__.py").write_text("")
    (directory / "whole" / "half" / "part.py").write_text("")
    write_table(["whole"], [directory], "/opt")
    modules = read([str(directory)]).modules
    packages = {name: is_package for name, (_, is_package, *_) in modules.items()}
    assert packages == {"whole.half": True, "whole.half.part": False}


def test_what_is_imported_before_the_table_is_read_keeps_its_bytecode(directory: Path) -> None:
    """The plugins too, which the router imports by their files."""
    for name in ("router", "router/coldstart", "router/ecs", "plugins"):
        (directory / name).mkdir()
        (directory / name / "__init__.py").write_text("")
    compileall.compile_dir(directory, quiet=1)
    write_table(["router.coldstart", "router.ecs", "plugins"], [directory], "/var/task")
    assert [*read([str(directory)]).modules] == ["router.ecs"]
    assert len(list(directory.glob("**/__init__.*.pyc"))) == 3


def test_nothing_else_that_is_installed_is_found(directory: Path) -> None:
    (directory / "asks.py").write_text(
        "import re\ntry:\n    import pluggy\nexcept ImportError:\n    re.compile('none')\n"
    )
    write_table(["asks"], [directory], "/opt")
    assert ("none", 0) in read([str(directory)]).patterns


def test_equal_modules_make_equal_tables(directory: Path) -> None:
    """Python's hashes, and so the order of sets, differ between processes."""
    tables = set()
    for _ in range(3):
        write_table(["good", "json", "email.message", "http.cookiejar", "dataclasses"], [directory], "/opt")
        tables.add((directory / TABLE).read_bytes())
        (directory / TABLE).unlink()
    assert len(tables) == 1


def test_a_directory_may_be_named_by_a_relative_path(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "whole").mkdir()
    (directory / "whole" / "__init__.py").write_text("import whole.part\n")
    (directory / "whole" / "part.py").write_text("")
    monkeypatch.chdir(directory.parent)
    write_table(["whole"], [Path(directory.name)], "/opt")
    assert [*read([str(directory)]).modules] == ["whole.part"]
