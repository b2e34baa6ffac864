"""Takes from tables what Python would otherwise compile from texts while it imports modules.

Bytecode does not contain everything that is compiled. A first event needs some 250 regular expressions and 150 classes
whose methods the standard library writes as texts: named tuples and dataclasses. Every cold start compiles them all.
`layer/precompile.py` writes what the compiler makes of them into a table in the layer, and one in the function's
package. Importing this module in Lambda begins to use them.

The tables depend on private parts of Python, so each states the version that wrote it. A table of another version is
ignored, and what is in no table is compiled as usual.
"""

import _sre  # type: ignore[import-not-found]  # private
import collections
import dataclasses
import marshal
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from re import _compiler  # type: ignore[attr-defined]  # private
from types import CodeType
from typing import Any, NamedTuple

TABLE = "ecs_alert_router_precompiled.marshal"
"""The file on sys.path that `layer/precompile.py` writes: the version, and the two members of `Tables`."""
VERSION = (*sys.version_info[:2], _sre.MAGIC, _sre.CODESIZE, sys.byteorder)


class Tables(NamedTuple):
    """Regular expressions by text and flags, and the code of generated methods by text.

    A regular expression is its flags, those in the text included; its code; the number of its groups; the numbers of
    its named groups; and the names of all its groups.
    """

    patterns: Mapping[tuple[str | bytes, int], tuple[int, bytes, int, dict[str, int], tuple[str | None, ...]]]
    methods: Mapping[str, CodeType]


def read(directories: Iterable[str]) -> Tables:
    """Everything that the tables in these directories contain; missing and damaged tables are skipped."""
    patterns: dict[Any, Any] = {}
    methods: dict[str, CodeType] = {}
    for path in (os.path.join(directory, TABLE) for directory in directories):  # noqa: PTH118 - imports no pathlib yet
        with suppress(OSError, EOFError, TypeError, ValueError), open(path, "rb") as file:  # noqa: PTH123 - as above
            version, *members = marshal.loads(file.read())  # noqa: S302 - as trusted as the bytecode beside it
            if version == VERSION:
                patterns |= members[0]
                methods |= members[1]
    return Tables(patterns, methods)


def use(tables: Tables) -> None:
    """Makes `re`, `collections` and `dataclasses` take from the tables what they contain."""
    patterns, methods = tables
    compile_pattern = _compiler.compile

    def compiled(pattern: Any, flags: int = 0) -> "re.Pattern[Any]":
        if (pattern, flags) not in patterns:
            return compile_pattern(pattern, flags)  # type: ignore[no-any-return]
        all_flags, code, groups, numbers, names = patterns[pattern, flags]
        words = memoryview(code).cast("I").tolist()
        return _sre.compile(pattern, all_flags, words, groups, numbers, names)  # type: ignore[no-any-return]

    _compiler.compile = compiled
    # These modules find a global variable before the built-in function of the same name.
    vars(collections)["eval"] = lambda text, *names: eval(methods.get(text, text), *names)  # noqa: S307
    vars(dataclasses)["exec"] = lambda text, *names: exec(methods.get(text, text), *names)  # noqa: S102


if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    use(read(sys.path))
