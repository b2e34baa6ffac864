"""Takes from tables what Python would otherwise read from many files, or compile from texts, while it imports modules.

A table contains the bytecode of those modules in its directory that a first event imports, some hundred, so that Python
reads one file instead of searching for each. It also contains what bytecode does not: a first event needs some 250
regular expressions, and 150 named tuples and dataclasses, whose methods the standard library writes as texts. Every
cold start would compile them all. `layer/precompile.py` writes a table into the layer, and one into the function's
package. Importing this module in Lambda begins to use them.

The tables depend on private parts of Python, so each states the version that wrote it. A table of another version is
ignored, and what is in no table is read and compiled as usual.
"""

import _sre  # type: ignore[import-not-found]  # private
import collections
import dataclasses
import marshal
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import source_hash, spec_from_file_location
from re import _compiler  # type: ignore[attr-defined]  # private
from types import CodeType
from typing import Any, NamedTuple

TABLE = "ecs_alert_router_precompiled.marshal"
"""The file on sys.path that `layer/precompile.py` writes: the version, and the members of `Tables`.

If their form changes, so must the name: a deployment may run new code with the old layer for a moment.
"""
VERSION = (*sys.version_info[:2], _sre.MAGIC, _sre.CODESIZE, sys.byteorder)


class Tables(NamedTuple):
    """The contents of the tables. All code is serialised by `marshal`.

    Attributes:
        modules: by name, each module's file, whether it is a package, the hash of its source, and its code. Without a
            hash, the code is used whatever the file contains.
        patterns: by text and flags, each regular expression's flags, those in its text included; its code; the number
            of its groups; the numbers of its named groups; and the names of all its groups.
        methods: the code of generated methods by their texts.
    """

    modules: Mapping[str, tuple[str, bool, bytes, bytes]]
    patterns: Mapping[tuple[str | bytes, int], tuple[int, bytes, int, dict[str, int], tuple[str | None, ...]]]
    methods: Mapping[str, bytes]


def read(directories: Iterable[str]) -> Tables:
    """Everything that the tables in these directories contain, the first one first; damaged tables are skipped."""
    tables: tuple[dict[str, Any], dict[Any, Any], dict[str, bytes]] = ({}, {}, {})
    for directory in map(os.path.abspath, directories):  # as Python states the directories of packages
        path = os.path.join(directory, TABLE)  # noqa: PTH118 - pathlib is not imported yet
        with suppress(OSError, EOFError, TypeError, ValueError, AttributeError), open(path, "rb") as file:  # noqa: PTH123
            version, *members = marshal.loads(file.read())  # noqa: S302 - as trusted as the files beside it
            if version == VERSION:
                modules, *others = members
                files = {name: (os.path.join(directory, place), *rest) for name, (place, *rest) in modules.items()}  # noqa: PTH118
                for table, more in zip(tables, (files, *others), strict=True):
                    table.update({key: value for key, value in more.items() if key not in table})
    return Tables(*tables)


class Finder:
    """Finds the modules of the tables, before Python searches its path; each once, to free its memory."""

    def __init__(self, modules: Mapping[str, tuple[str, bool, bytes, bytes]]) -> None:
        self._modules = dict(modules)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """As Python calls it (importlib.abc.MetaPathFinder)."""
        del target
        entry = self._modules.pop(name, None)
        if entry is None:
            return None
        file, is_package, hashed, code = entry
        directory = os.path.dirname(file)  # noqa: PTH120 - as above
        # The package may be another one of its name, which comes first on sys.path: from another layer, for example.
        is_of_package = (os.path.dirname(directory) if is_package else directory) in (path or ())  # noqa: PTH120
        if not is_of_package or not _is_unchanged(file, hashed):
            return None
        searched = [directory] if is_package else None
        return spec_from_file_location(
            name, file, loader=_Loader(name, file, code), submodule_search_locations=searched
        )


def _is_unchanged(file: str, hashed: bytes) -> bool:
    """Whether the source file still exists and has not changed since it was compiled. Always true without a hash."""
    if not hashed:
        return True
    with suppress(OSError), open(file, "rb") as source:  # noqa: PTH123 - as above
        return hashed == source_hash(source.read())
    return False


class _Loader(SourceFileLoader):
    def __init__(self, name: str, file: str, code: bytes) -> None:
        super().__init__(name, file)
        self._code = code  # replaced by b"" once it is used, to free its memory

    def get_code(self, fullname: str) -> CodeType | None:
        """The code in the table; when the module is loaded again, that of its source."""
        code, self._code = self._code, b""
        return marshal.loads(code) if code else super().get_code(fullname)  # noqa: S302 - as above


def use(tables: Tables) -> None:
    """Makes Python's import, `re`, `collections` and `dataclasses` take from the tables what they contain."""
    # After the finders of others, which may be tracers that wait for the import of certain modules.
    sys.meta_path.insert(sys.meta_path.index(PathFinder), Finder(tables.modules))
    patterns, methods = tables.patterns, dict(tables.methods)
    compile_pattern = _compiler.compile

    def compiled(pattern: Any, flags: int = 0) -> "re.Pattern[Any]":
        if (pattern, flags) not in patterns:
            return compile_pattern(pattern, flags)  # type: ignore[no-any-return]
        all_flags, code, groups, numbers, names = patterns[pattern, flags]
        words = memoryview(code).cast("I").tolist()
        return _sre.compile(pattern, all_flags, words, groups, numbers, names)  # type: ignore[no-any-return]

    def method(text: str) -> str | CodeType:
        code = methods.pop(text, None)
        return text if code is None else marshal.loads(code)  # noqa: S302 - as above

    _compiler.compile = compiled
    # These modules find a global variable before the built-in function of the same name.
    vars(collections)["eval"] = lambda text, *names: eval(method(text), *names)  # noqa: S307
    vars(dataclasses)["exec"] = lambda text, *names: exec(method(text), *names)  # noqa: S102


if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    use(read(sys.path))
