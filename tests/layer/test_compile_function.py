"""layer/compile_function.py: it adds the table and bytecode to a package, and nothing that another Python made."""

import importlib
import marshal
import sys
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from router.coldstart.precompiled import TABLE, read

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "alert-router.toml": "",
    "plugins/__init__.py": "",
    "plugins/pager.py": "import re\nre.compile('p+q')\n",
    "router/__init__.py": "",
    "router/handler.py": "import router.inbox\n",
    "router/inbox.py": "",
    "router/never.py": "",
}

PLUGIN = """
import re
from pathlib import Path
re.compile(Path(__file__).with_name("words.txt").read_text())
Path(__file__).with_name("cache.txt").write_text("of this machine")
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "layer"))
    module = importlib.import_module("compile_function")
    monkeypatch.setattr(module, "compiles", lambda: True)  # the tests run on newer versions of Python, too
    return module


def packaged(path: Path) -> Path:
    with ZipFile(path, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    return path


def test_a_package_gets_the_table_and_the_bytecode_of_what_is_not_in_it(script: ModuleType, tmp_path: Path) -> None:
    package = packaged(tmp_path / "package.zip")
    script.compile_package(package)
    with ZipFile(package) as archive:
        added = {entry.filename: entry for entry in archive.infolist() if entry.filename not in FILES}
        _, modules, patterns, _ = marshal.loads(archive.read(TABLE))
    assert set(modules) == {"router.handler", "router.inbox"}
    assert ("p+q", 0) in patterns
    bytecode = {name.replace("__pycache__/", "").partition(".")[0] for name in added if name.endswith(".pyc")}
    assert bytecode == {"plugins/__init__", "plugins/pager", "router/__init__", "router/never"}
    assert {entry.date_time for entry in added.values()} == {(1980, 1, 1, 0, 0, 0)}
    assert {oct(entry.external_attr >> 16) for entry in added.values()} == {"0o100644"}


def test_the_code_is_checked_against_the_source(script: ModuleType, tmp_path: Path) -> None:
    """Someone may edit the function in the Lambda console."""
    package = packaged(tmp_path / "package.zip")
    script.compile_package(package)
    with ZipFile(package) as archive:
        _, modules, *_ = marshal.loads(archive.read(TABLE))
        flags = {archive.read(name)[4] for name in archive.namelist() if name.endswith(".pyc")}
    assert all(hashed for _, _, hashed, _ in modules.values())
    assert flags == {0b11}  # PEP 552: with a hash, which is checked


def test_equal_packages_stay_equal(script: ModuleType, tmp_path: Path) -> None:
    contents = []
    for name in ("one.zip", "other.zip"):
        script.compile_package(package := packaged(tmp_path / name))
        with ZipFile(package) as archive:
            contents.append({entry: archive.read(entry) for entry in archive.namelist()})
    assert contents[0] == contents[1]


def test_another_version_of_python_adds_nothing(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytecode would be ignored in Lambda."""
    package = packaged(tmp_path / "package.zip")
    before = package.read_bytes()
    monkeypatch.setattr(script, "compiles", lambda: False)
    script.compile_package(package)
    assert package.read_bytes() == before


def test_a_directory_is_compiled_in_place(script: ModuleType, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    script.compile_directory(tmp_path)
    assert (tmp_path / TABLE).is_file()
    assert [*tmp_path.glob("plugins/__pycache__/pager.*.pyc")]


def test_a_plugin_may_read_and_write_files_while_it_is_imported(script: ModuleType, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    with ZipFile(package, "w") as archive:
        archive.writestr("plugins/__init__.py", "")
        archive.writestr("plugins/wordy.py", PLUGIN)
        archive.writestr("plugins/words.txt", "one|two")
    script.compile_package(package)
    with ZipFile(package) as archive:
        names = archive.namelist()
        archive.extract(TABLE, tmp_path)
    assert ("one|two", 0) in read([str(tmp_path)]).patterns
    assert sorted(name.replace(sys.implementation.cache_tag, "TAG") for name in names) == [
        TABLE,
        "plugins/__init__.py",
        "plugins/__pycache__/__init__.TAG.pyc",
        "plugins/__pycache__/wordy.TAG.pyc",
        "plugins/words.txt",
        "plugins/wordy.py",
    ]
