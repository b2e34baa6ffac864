"""Adds the bytecode of its modules to the function's package: `python layer/function_bytecode.py PACKAGE.zip`.

Lambda's file system is read-only, so without bytecode every cold start compiles every module. `deploy/prepare.js` runs
this after the Serverless CLI has written the package. It compiles the modules in the package, not those of the
checkout: other Python processes write to the `__pycache__` directories of the checkout at any time.
"""

# ruff: noqa: INP001  a script that is run by its path, not a package

import compileall
import sys
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

RUNTIME_VERSION = (3, 13)  # the same as in serverless.yml
UNPACKED = "/var/task"  # the function's directory in Lambda, for tracebacks
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file can hold; a fixed date makes the package reproducible
READABLE = 0o100644 << 16


def compiles() -> bool:
    """Tells whether the function can use bytecode that this Python makes."""
    return sys.version_info[:2] == RUNTIME_VERSION and sys.implementation.name == "cpython"


def add_bytecode(package: Path) -> None:
    """Add the bytecode of every module in the package; do nothing if this Python has another version.

    Python checks it against the source's hash, because a zip file loses the dates that are compared by default.
    """
    if not compiles():
        return
    with tempfile.TemporaryDirectory() as scratch, ZipFile(package, "a") as archive:
        archive.extractall(scratch, [name for name in archive.namelist() if name.endswith(".py")])
        compileall.compile_dir(
            scratch,
            quiet=1,
            invalidation_mode=PycInvalidationMode.CHECKED_HASH,
            stripdir=scratch,
            prependdir=UNPACKED,
        )
        for file in sorted(Path(scratch).rglob("*.pyc")):
            entry = ZipInfo(file.relative_to(scratch).as_posix(), EARLIEST)
            entry.external_attr = READABLE
            archive.writestr(entry, file.read_bytes(), ZIP_DEFLATED)


if __name__ == "__main__":
    add_bytecode(Path(sys.argv[1]))
