"""The globs of routes, rules and silences: `*`, `?` and `[…]`, ignoring case."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache

WILDCARDS = "*?["


@lru_cache(maxsize=8192)  # enough for all of a thousand silences and a hundred routes
def compiled(globs: tuple[str, ...]) -> Callable[[str], object]:
    """A predicate that is true for a lower-case value if any of the globs matches all of it.

    Cached: there may be hundreds of routes, and every event is compared with all of them.
    """
    lowered = [glob.lower() for glob in globs]
    if any(wildcard in glob for glob in lowered for wildcard in WILDCARDS):
        return re.compile("|".join(map(translate, lowered))).match
    return frozenset(lowered).__contains__
