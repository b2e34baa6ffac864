"""Adds the bytecode of its modules to the function's package: `python layer/function_bytecode.py PACKAGE.zip`.

Lambda's file system is read-only, so without bytecode every cold start compiles every module again. `deploy/prepare.js`
calls this when the Serverless CLI has written the package. The modules come out of the package itself: the bytecode
fits what is shipped, and the `__pycache__` directories of the checkout, which every Python that runs there changes, are
neither read nor written.
"""

# ruff: noqa: INP001  a script that is run by its path, not a package

import compileall
import sys
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

RUNTIME_VERSION = (3, 13)  # serverless.yml names the same
UNPACKED = "/var/task"  # where the files lie in Lambda, for tracebacks
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file knows: equal modules, equal bytes
READABLE = 0o100644 << 16


def compiles() -> bool:
    """Tell whether this Python makes the function's bytecode; another's would only be dead weight."""
    return sys.version_info[:2] == RUNTIME_VERSION and sys.implementation.name == "cpython"


def add_bytecode(package: Path) -> None:
    """Add the bytecode of every module in the package, unless this Python makes another version's.

    It is checked against the source's hash, not its date: the zip loses dates.
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
