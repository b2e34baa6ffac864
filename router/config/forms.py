"""What a value of alert-router.toml may be: a form reads it, reports what is wrong with it, and has its JSON Schema.

`router.config.tables` has the keys of each table. The reader and `ecs-alert-router config schema` both use them, so
they cannot differ.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

from router.config.hours import parse_hours
from router.config.time_zones import zone

_SHOWN = 60  # characters of a wrong value
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")

Schema = Mapping[str, Any]


class Place(NamedTuple):
    """A place in the file, such as `routes[2].match.cluster`, and the list that collects the problems of all places."""

    path: str
    problems: list[str]

    def report(self, what: str) -> None:
        self.problems.append(f"{self.path}: {what}")

    @property
    def is_wrong(self) -> bool:
        """Whether a problem of this place, or of one inside it, has been reported."""
        inside = (f"{self.path}: ", f"{self.path}.", f"{self.path}[")
        return any(problem.startswith(inside) for problem in self.problems)

    def key(self, name: str) -> "Place":
        return Place(f"{self.path}.{name}".lstrip("."), self.problems)

    def item(self, number: int) -> "Place":
        return Place(f"{self.path}[{number}]", self.problems)


class Form(NamedTuple):
    """What a value may be.

    Attributes:
        read: returns what the router makes of a value; reports problems inside of it at their own places, and raises
            ValueError if the value as a whole is wrong.
        schema: makes its JSON Schema.
    """

    read: Callable[[Any, Place], Any]
    schema: Callable[[], Schema]


class Key(NamedTuple):
    """A key of a table.

    Attributes:
        description: for people who edit the file.
        default: what is used if the key is missing or its value is wrong.
        missing: the problem if the key is missing; "" if it may be.
    """

    form: Form
    description: str
    default: Any = None
    missing: str = ""


class Table(NamedTuple):
    """The keys of a table.

    Attributes:
        others: the form of all other keys' values; None if there may be no others.
        names: a regular expression that the names of other keys must match, and what they must be, in words.
        hint: says of an unknown key what to write instead; "" if it does not know.
    """

    keys: Mapping[str, Key]
    others: Form | None = None
    names: tuple[str, str] = ("", "")
    hint: Callable[[str], str] = lambda _: ""


def read_table(table: Table, content: Any, place: Place) -> dict[str, Any]:
    """The values of all keys, with defaults. Other keys are there if their values could be read."""
    if not isinstance(content, Mapping):
        raise ValueError(f"must be a table, not {shown(content)}")  # noqa: TRY004 - as every other wrong value
    values = {name: key.default for name, key in table.keys.items()}
    for name, value in content.items():
        at = place.key(name)
        try:
            values[name] = _form_of(name, table).read(value, at)
        except ValueError as error:
            at.report(str(error))
    for name, key in table.keys.items():
        if key.missing and name not in content:
            place.key(name).report(key.missing)
    return values


def _form_of(name: str, table: Table) -> Form:
    if name in table.keys:
        return table.keys[name].form
    if table.others is None:
        raise ValueError(f"is not a key of this table; {table.hint(name) or known(table.keys, name)}")
    pattern, what = table.names
    if pattern and not re.fullmatch(pattern, name):
        raise ValueError(f"must be {what}")
    return table.others


def known(names: Collection[str], name: str = "") -> str:
    """The last part of a problem with an unknown name: the name that was probably meant, or else all names."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a wrong file needs it

    by_lower = {known.lower(): known for known in names}
    close = get_close_matches(name.lower(), by_lower, 1)
    return f"did you mean {by_lower[close[0]]}?" if close else f"there are {', '.join(sorted(names)) or 'none'}"


def shown(value: object) -> str:
    """A value as a problem shows it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


# --- tables -----------------------------------------------------------------------------------------------------------


def table_of(table: Table) -> Form:
    return Form(partial(read_table, table), lambda: table_schema(table))


def array_of(table: Table, none: str = "") -> Form:
    """An array of tables, `[[routes]]`. An element that is not a table is read as an empty one, to keep the numbering.

    Args:
        none: the problem if the array is empty; "" if it may be.
    """

    def read(value: Any, place: Place) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            raise ValueError(f"must be an array of tables, not {shown(value)}")  # noqa: TRY004
        if not value and none:
            raise ValueError(none)
        return [item(content, place.item(number)) for number, content in enumerate(value, start=1)]

    def item(content: Any, place: Place) -> dict[str, Any]:
        try:
            return read_table(table, content, place)
        except ValueError as error:
            place.report(str(error))
            return read_table(table, {}, Place("", []))

    least = {"minItems": 1} if none else {}
    return Form(read, lambda: {"type": "array", "items": table_schema(table), **least})


def table_schema(table: Table) -> dict[str, Any]:
    """The JSON Schema of a table."""
    keys = table.keys.items()
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: {"description": key.description, **key.form.schema()} for name, key in keys},
        "additionalProperties": dict(table.others.schema()) if table.others else False,
    }
    if table.names[0]:
        others = schema["additionalProperties"]
        schema |= {"patternProperties": {f"^{table.names[0]}$": others}, "additionalProperties": False}
    required = [name for name, key in keys if key.missing]
    return schema | ({"required": required} if required else {})


# --- values -----------------------------------------------------------------------------------------------------------


def matching(pattern: str, what: str, make: Callable[[str], Any] = str) -> Form:
    """A string that matches the regular expression, which JSON Schema must understand too."""

    def read(value: Any, _place: Place) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {what}, not {shown(value)}")
        return make(value)

    return Form(read, lambda: {"type": "string", "pattern": f"^(?:{pattern})$"})


def choice(*choices: str, make: Callable[[str], Any] = str) -> Form:
    def read(value: Any, _place: Place) -> Any:
        if not isinstance(value, str) or value not in choices:
            close = f"; {known(choices, value)}" if isinstance(value, str) and value else ""
            raise ValueError(f"must be one of {', '.join(choices)}, not {shown(value)}{close if '?' in close else ''}")
        return make(value)

    return Form(read, lambda: {"type": "string", "enum": list(choices)})


def duration(at_least: str = "1s", at_most: str = "30d", *, off: bool = False) -> Form:
    """Seconds.

    Args:
        at_least: the shortest that is allowed.
        at_most: the longest; what is longer is a slip, such as 15d for 15m.
        off: "0" is allowed too, and means never.
    """
    minimum, maximum = _seconds(at_least), _seconds(at_most)
    means_never = '; "0" means never' if off else ""

    def read(value: Any, _place: Place) -> float:
        if off and value == "0":
            return 0.0
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            raise ValueError(f"must be a duration such as 30s, 15m, 4h or 90d, not {shown(value)}{means_never}")
        seconds = _seconds(value)
        if not minimum <= seconds <= maximum:
            limit = f"at least {at_least}" if seconds < minimum else f"at most {at_most}"
            raise ValueError(f"must be {limit}, not {shown(value)}{means_never}")
        return seconds

    def schema() -> Schema:
        return {"type": "string", "pattern": f"^(?:{'0|' if off else ''}{_durations(minimum, maximum)})$"}

    return Form(read, schema)


def whole_duration(at_most: str) -> Form:
    """A duration of whole minutes, as text, such as 24h."""
    pattern = _durations(60.0, _seconds(at_most), "mhd")
    return matching(pattern, f"a duration such as 15m, 24h or 7d, at most {at_most}")


def _seconds(text: str) -> float:
    return int(text[:-1]) * _SECONDS[text[-1]]


def _durations(minimum: float, maximum: float, units: str = "smhd") -> str:
    """A regular expression for the durations between two, in seconds, with numbers of at most six digits."""
    ranges = {unit: (-int(-minimum // _SECONDS[unit]), int(maximum // _SECONDS[unit])) for unit in units}
    return "|".join(
        f"(?:{_numbers(max(least, 1), min(most, 999_999))}){unit}" for unit, (least, most) in ranges.items() if most
    )


def _numbers(least: int, most: int) -> str:
    """A regular expression for the whole numbers between two, without leading zeros."""
    lengths = range(len(str(least)), len(str(most)) + 1)
    ends = ((max(least, 10 ** (length - 1)), min(most, 10**length - 1)) for length in lengths)
    return "|".join(_digits(str(low), str(high)) for low, high in ends)


def _digits(low: str, high: str) -> str:
    """A regular expression for the numbers between two that have equally many digits."""
    first, last, more = low[0], high[0], len(low) - 1
    if (low[1:], high[1:]) == ("0" * more, "9" * more):
        return _digit(first, last) + "[0-9]" * more
    if first == last:
        return f"{first}(?:{_digits(low[1:], high[1:])})"
    lowest, highest = _digits(low, first + "9" * more), _digits(last + "0" * more, high)
    if int(last) - int(first) == 1:
        return f"{lowest}|{highest}"
    return f"{lowest}|{_digit(str(int(first) + 1), str(int(last) - 1))}{'[0-9]' * more}|{highest}"


def _digit(low: str, high: str) -> str:
    return low if low == high else f"[{low}-{high}]"


def _flag(value: Any, _place: Place) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shown(value)}")  # noqa: TRY004
    return value


def _time_zone(value: Any, _place: Place) -> str:
    try:
        zone(value)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        raise ValueError(f"must be a time zone such as Asia/Tokyo, not {shown(value)}") from None
    return str(value)


def _text(value: Any, _place: Place) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a text, not {shown(value)}")
    return value.strip()


def _hours(value: Any, _place: Place) -> tuple[Any, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(text, str) for text in values):
        raise ValueError(f"must be hours such as mon-fri 09:00-18:00, or a list of them, not {shown(value)}")
    return tuple(parse_hours(text) for text in values)


def _any_case(words: Collection[str]) -> str:
    return "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in words)


def _hours_schema() -> Schema:
    day, time = f"(?:{_any_case(('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'))})", "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    days, times = f"{day}(?:[-,]{day})*", f"(?:{time}|24:00)-(?:{time}|24:00)"
    one = {"type": "string", "pattern": f"^\\s*(?:{days}|(?:{days})?\\s*{times})\\s*$"}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


TEXT = Form(_text, lambda: {"type": "string", "pattern": "\\S"})
FLAG = Form(_flag, lambda: {"type": "boolean"})
TIME_ZONE = Form(_time_zone, lambda: {"type": "string", "minLength": 1})
HOURS = Form(_hours, _hours_schema)
ANYTHING = Form(lambda value, _place: value, dict)
SLUG = matching("[a-z0-9_]+", "a slug such as nightly_batch_failed")
HTTPS = matching(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#]\S*)?", "a URL such as https://wiki.example.com/page")


def list_of(form: Form, *, empty: bool = True) -> Form:
    """A list of different values of a form."""

    def read(value: Any, place: Place) -> tuple[Any, ...]:
        if not isinstance(value, list) or not (value or empty):
            raise ValueError(f"must be a list{'' if empty else ' with at least one entry'}, not {shown(value)}")
        items = tuple(form.read(item, place) for item in value)
        for repeated in {item for item in value if value.count(item) > 1}:
            place.report(f"has {shown(repeated)} more than once")
        return items

    def schema() -> Schema:
        return {"type": "array", "items": form.schema(), "uniqueItems": True} | ({} if empty else {"minItems": 1})

    return Form(read, schema)


def _globs(value: Any, *, numbers: bool) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    kinds = (str, int) if numbers else (str,)
    if not values:
        raise ValueError("is an empty list, which matches nothing: leave the key out, or name what it matches")
    for glob in values:
        if not isinstance(glob, kinds) or isinstance(glob, bool) or glob in {"", "!"}:
            what = "a number, a glob such as 13? or !0" if numbers else "a glob such as prod-* or !staging"
            raise ValueError(f"must be {what}, or a list of them, not {shown(glob)}")
    return tuple(map(str, values))


def _globs_schema(**also: Any) -> Schema:
    one: Schema = {"type": "string", "pattern": "^(?:[^!]|!.)"}
    element = {"anyOf": [one, also]} if also else one
    return {"anyOf": [one, *([also] if also else []), {"type": "array", "items": element, "minItems": 1}]}


GLOBS = Form(lambda value, _place: _globs(value, numbers=False), _globs_schema)
EXIT_CODES = Form(lambda value, _place: _globs(value, numbers=True), partial(_globs_schema, type="integer"))
