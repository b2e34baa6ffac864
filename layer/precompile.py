"""Writes a table of the modules in a directory, and of what Python compiles while it imports them.

`router/coldstart/precompiled.py` reads the table in Lambda and says what it contains, and why. The modules are imported
in a process of its own, which finds nothing but Python's own modules and the given directories.
"""

# ruff: noqa: INP001  beside scripts that are run by their path, not a package

import collections
import dataclasses
import json
import marshal
import os
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import cache_from_source, source_hash
from pathlib import Path
from types import ModuleType
from typing import Any

TABLE = "ecs_alert_router_precompiled.marshal"  # router/coldstart/precompiled.py looks for this name on sys.path
# Imported before the table is read, or not by Python's import: router/channels/plugins.py imports the plugins.
_NOT_FOUND = ("router.coldstart", "plugins")
_MARSHAL_VERSION = 2  # newer ones depend on how often an object is referred to, so that equal tables have other bytes


def write_table(modules: Iterable[str], directories: Sequence[Path], unpacked: str, *, checked: bool = False) -> None:
    """Write a table into the first directory: what the modules import from it, in place of bytecode, and compile.

    Args:
        modules: what is imported. A module that cannot be imported is left out.
        directories: where they are found, the first one first. What they compile is left out if another table has it.
        unpacked: where the first directory will be, for tracebacks.
        checked: whether the code of a module is ignored if its source is changed later.
    """
    table = directories[0] / TABLE
    table.unlink(missing_ok=True)
    options = json.dumps([*modules]), unpacked, "checked" if checked else ""
    found_in = [str(directory.absolute()) for directory in directories]  # as the modules' own paths are
    # -I -S: neither the environment nor installed packages change what is found.
    command = [sys.executable, "-I", "-S", "-B", "-Wignore", __file__, *options, *found_in]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - a module may print anything
    if not table.is_file():  # a module may even end the process, with any exit code
        sys.stderr.write(
            f"layer: no table of compiled modules in {directories[0]}; cold starts take some 40 ms longer\n"
        )


def _write(modules: Sequence[str], unpacked: str, directories: Sequence[str], *, checked: bool) -> None:
    import _sre  # type: ignore[import-not-found]  # noqa: PLC0415 - private; any Python can import this module

    version = (*sys.version_info[:2], _sre.MAGIC, _sre.CODESIZE, sys.byteorder)
    known: set[Any] = set()
    for path in (Path(directory, TABLE) for directory in directories[1:]):
        if path.is_file():
            _version, _modules_there, *others = marshal.loads(path.read_bytes())  # noqa: S302 - this script wrote it
            known = known.union(*others)
    patterns, methods = _record_patterns(), _record_methods()
    sys.path[:0] = directories
    for module in modules:
        with suppress(Exception, SystemExit):  # a plugin may do anything; `check_config.py` reports it
            import_module(module)
    directory = Path(directories[0])
    imported = dict(sorted(_modules(directory, unpacked, checked=checked)))
    tables = [{key: table[key] for key in sorted(table, key=repr) if key not in known} for table in (patterns, methods)]
    (directory / TABLE).write_bytes(marshal.dumps((version, imported, *tables), _MARSHAL_VERSION))
    for file, *_ in imported.values():
        Path(cache_from_source(str(directory / file))).unlink(missing_ok=True)


def _modules(directory: Path, unpacked: str, *, checked: bool) -> Iterator[tuple[str, tuple[str, bool, bytes, bytes]]]:
    """The modules of the directory that have been imported, as the table has them."""
    for name, module in list(sys.modules.items()):
        # Not getattr(): a module that imports itself when it is used, as those of `six.moves`, may raise anything.
        values = vars(module) if isinstance(module, ModuleType) else {}
        file, is_alias = Path(values.get("__file__") or ""), values.get("__name__") != name
        if is_alias or file.suffix != ".py" or directory not in file.parents:
            continue
        # Python itself finds what is in no package, as only it knows which one comes first on its path.
        if "." not in name or name.startswith(_NOT_FOUND):
            continue
        place, source = file.relative_to(directory).as_posix(), file.read_bytes()
        code = compile(source, f"{unpacked}/{place}", "exec", dont_inherit=True)
        yield name, (place, "__path__" in values, source_hash(source) if checked else b"", marshal.dumps(code))


def _record_patterns() -> dict[Any, Any]:
    """A table of the regular expressions that are compiled from now on."""
    from re import _compiler  # type: ignore[attr-defined]  # noqa: PLC0415 - private

    table: dict[Any, Any] = {}
    compile_pattern = _compiler.compile

    def recorded(pattern: Any, flags: int = 0) -> Any:
        compiled = compile_pattern(pattern, flags)
        if type(pattern) in {str, bytes}:  # `marshal` refuses others, such as a member of a StrEnum
            table[pattern, int(flags)] = _parts(pattern, flags)
        return compiled

    _compiler.compile = recorded
    return table


def _parts(pattern: Any, flags: int) -> tuple[int, bytes, int, dict[str, int], tuple[str | None, ...]]:
    """The arguments that `re` passes to `_sre.compile` after the pattern, with the code as bytes."""
    from re import _compiler, _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - private

    parsed = _parser.parse(pattern, flags)
    numbers: dict[str, int] = parsed.state.groupdict
    names: list[str | None] = [None] * parsed.state.groups
    for name, number in numbers.items():
        names[number] = name
    code = array("I", _compiler._code(parsed, flags)).tobytes()  # noqa: SLF001
    return int(flags | parsed.state.flags), code, parsed.state.groups - 1, numbers, tuple(names)


def _record_methods() -> dict[str, bytes]:
    """A table of the methods that named tuples and dataclasses generate from now on."""
    table: dict[str, bytes] = {}

    def recording(run: Callable[..., Any], mode: str) -> Callable[..., Any]:
        def recorded(text: str, *names: Any) -> Any:
            code = compile(text, "<string>", mode)  # the name that eval() and exec() use
            table[text] = marshal.dumps(code)
            return run(code, *names)

        return recorded

    # These modules find a global variable before the built-in function of the same name.
    vars(collections)["eval"] = recording(eval, "eval")
    vars(dataclasses)["exec"] = recording(exec, "exec")
    return table


if __name__ == "__main__":
    imported, place, check, *found_in = sys.argv[1:]
    _write(json.loads(imported), place, found_in, checked=bool(check))
    os._exit(0)  # a plugin may have started a thread that never ends
