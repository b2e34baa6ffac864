"""Reads TOML tables and collects every problem with its place, instead of stopping at the first."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from router.config.time_zones import zone

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Reader(NamedTuple):
    """Collects problems while it reads tables."""

    problems: list[str]

    def table(self, place: str, content: Any) -> "TomlTable":
        if not isinstance(content, dict):
            self.problems.append(f"{place}: must be a table")
            content = {}
        return TomlTable(place, dict(content), self.problems)


class TomlTable:
    """One TOML table. Each key is removed when it is read, so the keys left at the end are unknown ones."""

    def __init__(self, place: str, content: dict[str, Any], problems: list[str]) -> None:
        self.place = place
        self.content = content
        self.problems = problems
        self.asked: list[str] = []

    def problem(self, key: str, what: str) -> None:
        self.problems.append(f"{self.place}.{key}: {what}".lstrip("."))

    def take(self, key: str, kind: type, default: Any, what: str) -> Any:
        self.asked.append(key)
        value = self.content.pop(key, default)
        if isinstance(value, kind):
            return value
        self.problem(key, f"must be {what}, not {value!r}")
        return default

    def text(self, key: str) -> str:
        return str(self.take(key, str, "", "a string"))

    def optional(self, key: str, kind: type, what: str) -> Any:
        """The value, or None if it is missing or of the wrong type."""
        if key in self.content:
            return self.take(key, kind, None, what)
        self.asked.append(key)
        return None

    def parsed(self, key: str, parse: Callable[[str], Any]) -> tuple[Any, ...]:
        """A string or list of strings, each parsed by `parse`. Its ValueError becomes a problem."""
        values = []
        for text in self.one_or_more(key):
            try:
                values.append(parse(text))
            except ValueError as error:
                self.problem(key, str(error))
        return tuple(values)

    def one_or_more(self, key: str) -> tuple[str, ...]:
        """A string, or a list of strings."""
        if isinstance(self.content.get(key), str):
            return (self.text(key),)
        return self.texts(key)

    def flag(self, key: str, *, default: bool = False) -> bool:
        return bool(self.take(key, bool, default, "true or false"))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, [], "a list of strings")
        if all(isinstance(value, str) for value in values):
            return tuple(values)
        self.problem(key, "must be a list of strings")
        return ()

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = str(self.take(key, str, default, "a string"))
        if value in choices:
            return value
        self.problem(key, f"must be one of {', '.join(choices)}, not {value!r}")
        return default

    def duration(self, key: str, default: float, *, at_least: float = 1.0, instead: str = "") -> float:
        """Seconds. `at_least` is the minimum; `instead` ends the problem, and says what else the key can be."""
        value = self.take(key, str, None, "a duration such as 15m") if key in self.content else None
        self.asked.append(key)
        if value is None:
            return default
        match = _DURATION.fullmatch(value)
        seconds = int(match[1]) * _SECONDS[match[2]] if match else 0.0
        if seconds >= at_least:
            return seconds
        if seconds > 0:
            self.problem(key, f"must be at least {at_least:g}s, not {value!r}{instead}")
        else:
            self.problem(key, f"must be a duration such as 30s, 15m, 4h or 90d, not {value!r}{instead}")
        return default

    def time_zone(self, key: str, default: str) -> str:
        value = str(self.take(key, str, default, "a time zone such as Asia/Tokyo"))
        try:
            zone(value or "UTC")
        except (KeyError, ValueError, OSError):  # zoneinfo's own is a KeyError
            self.problem(key, f"must be a time zone such as Asia/Tokyo, not {value!r}")
            return default
        return value

    def tables(self, key: str) -> Mapping[str, Any]:
        return dict(self.take(key, dict, {}, "a table of tables"))

    def array(self, key: str) -> list[Any]:
        return list(self.take(key, list, [], "an array of tables"))

    def rest(self) -> dict[str, Any]:
        """Takes everything that has not been read yet."""
        rest, self.content = self.content, {}
        return rest

    def done(self) -> None:
        for key in self.content:
            self.problem(key, f"is not a key of this table; {known(self.asked)}")


def known(names: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the names that exist."""
    return f"there are {', '.join(sorted(names)) or 'none'}"
