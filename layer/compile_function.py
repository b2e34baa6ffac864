"""Adds to the function's package what Python would compile: `python layer/compile_function.py PACKAGE.zip`.

These are a table of what a first event imports (`precompile`), and the bytecode of all other modules. Lambda's file
system is read-only, so without them every cold start compiles everything. `deploy/prepare.js` runs this after the
Serverless CLI has written the package; the layer must have been built. It compiles the modules in the package, not
those of the checkout: other Python processes write to the `__pycache__` directories of the checkout at any time.
"""

# ruff: noqa: INP001  a script that is run by its path, not a package

import compileall
import sys
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from precompile import TABLE, write_table  # type: ignore[import-not-found]  # beside this script

BUILD = Path(__file__).resolve().parent.parent / ".build"
BESIDE = (BUILD / "layer" / "python", BUILD / "botocore")  # what the function finds in Lambda, made by build.py
RUNTIME_VERSION = (3, 13)  # the same as in serverless.yml
UNPACKED = "/var/task"  # the function's directory in Lambda, for tracebacks
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file can hold; a fixed date makes the package reproducible
READABLE = 0o100644 << 16


def compiles() -> bool:
    """Tells whether the function can use bytecode that this Python makes."""
    return sys.version_info[:2] == RUNTIME_VERSION and sys.implementation.name == "cpython"


def compile_package(package: Path) -> None:
    """Add to the zip file what `compile_directory` writes; do nothing if this Python has another version."""
    if not compiles():
        return
    with tempfile.TemporaryDirectory() as scratch, ZipFile(package, "a") as archive:
        directory = Path(scratch)
        archive.extractall(directory)  # with the data, which a plugin may read while it is imported
        shipped = {*directory.rglob("*")}
        compile_directory(directory)
        for file in sorted({*directory.rglob("*.pyc"), *directory.glob(TABLE)} - shipped):
            entry = ZipInfo(file.relative_to(directory).as_posix(), EARLIEST)
            entry.external_attr = READABLE
            archive.writestr(entry, file.read_bytes(), ZIP_DEFLATED)


def compile_directory(package: Path) -> None:
    """Write the table of a directory with modules, and the bytecode of those that it does not contain.

    Both contain a hash of each source, so that the function notices when someone edits a source in the Lambda console.
    The default, comparing dates, does not work, because a zip file does not keep them.
    """
    compileall.compile_dir(
        package,
        quiet=1,
        invalidation_mode=PycInvalidationMode.CHECKED_HASH,
        stripdir=package,
        prependdir=UNPACKED,
    )
    plugins = [f"plugins.{path.stem}" for path in sorted(package.glob("plugins/*.py"))]
    write_table(["router.handler", *plugins], [package, *BESIDE], UNPACKED, checked=True)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    (compile_directory if target.is_dir() else compile_package)(target)
