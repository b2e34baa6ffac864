"""layer/compile_function.py: it adds a table and bytecode to the function's package, and nothing else."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from layer.precompile import TABLE
from router.coldstart.precompiled import read

SCRIPT = Path(__file__).resolve().parents[2] / "layer" / "compile_function.py"
PLUGIN = """
import re
from pathlib import Path
re.compile(Path(__file__).with_name("words.txt").read_text())
Path(__file__).with_name("cache.txt").write_text("of this machine")
"""


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="only Python 3.13 compiles for the function")
def test_a_plugin_may_read_and_write_files_while_it_is_imported(tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    with ZipFile(package, "w") as archive:
        archive.writestr("plugins/__init__.py", "")
        archive.writestr("plugins/wordy.py", PLUGIN)
        archive.writestr("plugins/words.txt", "one|two")
    subprocess.run([sys.executable, SCRIPT, package], check=True)
    with ZipFile(package) as archive:
        names = archive.namelist()
        archive.extract(TABLE, tmp_path)
    assert ("one|two", 0) in read([str(tmp_path)]).patterns
    assert sorted(names) == [
        TABLE,
        "plugins/__init__.py",
        "plugins/__pycache__/__init__.cpython-313.pyc",
        "plugins/__pycache__/wordy.cpython-313.pyc",
        "plugins/words.txt",
        "plugins/wordy.py",
    ]
