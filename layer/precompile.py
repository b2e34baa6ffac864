"""Compiles the texts that Python compiles while it imports modules, and writes the result into a table.

`router/coldstart/precompiled.py` reads the table in Lambda and says what it contains, and why. The modules are imported
in a process of its own, which finds nothing but Python's own modules and the given directories.
"""

# ruff: noqa: INP001  beside scripts that are run by their path, not a package

import collections
import dataclasses
import json
import marshal
import subprocess
import sys
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

TABLE = "ecs_alert_router_precompiled.marshal"  # router/coldstart/precompiled.py looks for this name on sys.path
_MARSHAL_VERSION = 2  # newer ones depend on how often an object is referred to, so that equal tables have other bytes


def write_table(modules: Iterable[str], directories: Sequence[Path]) -> None:
    """Write into the first directory what the modules need beyond the tables in the directories.

    A module that cannot be imported is left out.
    """
    # -I -S: neither the environment nor installed packages change what is found.
    command = [sys.executable, "-I", "-S", "-B", "-Wignore", __file__, json.dumps([*modules]), *map(str, directories)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - a module may print anything


def _write(modules: Sequence[str], directories: Sequence[str]) -> None:
    import _sre  # type: ignore[import-not-found]  # noqa: PLC0415 - private; any Python can import this module

    version = (*sys.version_info[:2], _sre.MAGIC, _sre.CODESIZE, sys.byteorder)
    known: list[dict[Any, Any]] = [{}, {}]
    for path in (Path(directory, TABLE) for directory in directories):
        if path.is_file():
            known = [before | more for before, more in zip(known, marshal.loads(path.read_bytes())[1:], strict=True)]  # noqa: S302 - this script wrote it
    patterns, methods = _record_patterns(), _record_methods()
    sys.path[:0] = directories
    for module in modules:
        with suppress(Exception):  # a plugin may do anything; `check_config.py` reports it
            import_module(module)
    new = [
        {key: value for key, value in sorted(table.items(), key=repr) if key not in before}
        for table, before in zip((patterns, methods), known, strict=True)
    ]
    Path(directories[0], TABLE).write_bytes(marshal.dumps((version, *new), _MARSHAL_VERSION))


def _record_patterns() -> dict[Any, Any]:
    """A table of the regular expressions that are compiled from now on."""
    from re import _compiler  # type: ignore[attr-defined]  # noqa: PLC0415 - private

    table: dict[Any, Any] = {}
    compile_pattern = _compiler.compile

    def recorded(pattern: Any, flags: int = 0) -> Any:
        compiled = compile_pattern(pattern, flags)
        if isinstance(pattern, str | bytes):
            table[pattern, int(flags)] = _parts(pattern, flags)
        return compiled

    _compiler.compile = recorded
    return table


def _parts(pattern: Any, flags: int) -> tuple[int, bytes, int, dict[str, int], tuple[str | None, ...]]:
    """What `re` passes to `_sre.compile` after the pattern; the code as bytes."""
    from re import _compiler, _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - private

    parsed = _parser.parse(pattern, flags)
    numbers: dict[str, int] = parsed.state.groupdict
    names: list[str | None] = [None] * parsed.state.groups
    for name, number in numbers.items():
        names[number] = name
    code = array("I", _compiler._code(parsed, flags)).tobytes()  # noqa: SLF001
    return int(flags | parsed.state.flags), code, parsed.state.groups - 1, numbers, tuple(names)


def _record_methods() -> dict[str, Any]:
    """A table of the methods that named tuples and dataclasses generate from now on."""
    table: dict[str, Any] = {}

    def compiled(text: str, mode: str) -> Any:
        table[text] = compile(text, "<string>", mode)  # the name that eval() and exec() use
        return table[text]

    # These modules find a global variable before the built-in function of the same name.
    vars(collections)["eval"] = lambda text, *names: eval(compiled(text, "eval"), *names)  # noqa: S307
    vars(dataclasses)["exec"] = lambda text, *names: exec(compiled(text, "exec"), *names)  # noqa: S102
    return table


if __name__ == "__main__":
    _write(json.loads(sys.argv[1]), sys.argv[2:])
