"""Globs, by which routes, rules and silences name what they match: `*`, `?` and `[…]`, without regard to case."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache

WILDCARDS = "*?["


@lru_cache(maxsize=8192)  # of a thousand silences and a hundred routes, all
def compiled(globs: tuple[str, ...]) -> Callable[[str], object]:
    """One test for all of the globs; it is true of a lower-case value that any of them matches as a whole.

    Made once: there may be hundreds of routes, and each event is held against all of them.
    """
    lowered = [glob.lower() for glob in globs]
    if any(wildcard in glob for glob in lowered for wildcard in WILDCARDS):
        return re.compile("|".join(map(translate, lowered))).match
    return frozenset(lowered).__contains__
