"""How a stored value becomes a Python value and is stored again, without losing what this version does not know.

Each codec reads a stored value as a pair: the value, and the *unknown*: the part that only a newer version understands
(None for nothing). The unknown is a plain tree that has the shape of what was stored:

- a record's unknown holds its unknown fields by name, and the unknown of each known field by that field's name;
- a mapping's holds the unknown of its values by their keys, a list's by their positions;
- the unknown of a choice is the text that this version could only replace by the default.

Writing takes the value and its unknown, and puts the two together again. `router.history.items` states each field and
its stored default.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from router.errors import DamagedItem

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
REQUIRED: Final[Any] = object()
"""In place of a stored default: an item without this field is damaged."""
_EARLIEST, _LATEST = -62_135_596_800.0, 253_402_300_799.999  # the years 1 and 9999, which `datetime` can show


Check = Callable[[Any], bool]


class Codec(Protocol):
    """One type of stored value.

    Attributes:
        accepts: of a type that is stored as it is and never has an unknown part, whether a stored value is valid; None
            for any other type. Nearly every stored value is of such a type, and asking is faster than `read`.
    """

    @property
    def accepts(self) -> Check | None: ...

    def read(self, stored: Any) -> tuple[Any, Any]:
        """The value and its unknown. Raises DamagedItem for a value of another type."""

    def write(self, value: Any, unknown: Any) -> Any:
        """What to store."""


class Plain:
    """A value that is stored as it is."""

    def __init__(self, name: str, accepts: Check) -> None:
        """`name` says in an error what was expected."""
        self._name = name
        self.accepts = accepts

    def read(self, stored: Any) -> tuple[Any, Any]:
        if not self.accepts(stored):
            raise DamagedItem(f"{str(stored)[:40]!r} is not {self._name}")
        return stored, None

    def write(self, value: Any, unknown: Any) -> Any:
        del unknown
        return value


_NUMBERS = (int, float)  # exactly these: True and False are integers, too


def _is_number(stored: Any) -> bool:
    return type(stored) in _NUMBERS and _EARLIEST <= stored <= _LATEST


TEXT = Plain("a text", lambda stored: isinstance(stored, str))
FLAG = Plain("true or false", lambda stored: isinstance(stored, bool))
NUMBER = Plain("a number in the range of clock times", _is_number)
INTEGER = Plain("an integer", lambda stored: type(stored) is int)
COUNT = Plain("a count", lambda stored: type(stored) is int and stored >= 0)
VERSION = Plain("a version", lambda stored: type(stored) is int and stored >= 1)
OCCURRENCES = Plain(
    "a time and a count",
    lambda stored: (
        isinstance(stored, (list, tuple)) and len(stored) == 2 and all(map(_is_number, stored))  # noqa: PLR2004
    ),
)


class Float:
    """A number of any size, stored as text: the table rounds numbers to thousandths."""

    accepts = None

    def read(self, stored: Any) -> tuple[Any, Any]:
        try:
            number = float(TEXT.read(stored)[0])
        except ValueError as error:
            raise DamagedItem(f"{stored[:40]!r} is not a number") from error
        if not math.isfinite(number):
            raise DamagedItem(f"{stored[:40]!r} is not a finite number")
        return number, None

    def write(self, value: Any, unknown: Any) -> Any:
        del unknown
        return repr(float(value))


FLOAT = Float()


class Choice:
    """One of a closed set of texts. A text that this version does not know counts as `default`, and is kept."""

    accepts = None

    def __init__(self, members: Iterable[str], default: str) -> None:
        self.default = default
        self._members = {str(member): member for member in members}

    def read(self, stored: Any) -> tuple[Any, Any]:
        member = self._members.get(stored) if isinstance(stored, str) else None
        if member is not None:
            return member, None
        return self.default, TEXT.read(stored)[0]

    def or_default(self, stored: Any) -> str:
        """For code that only shows the value: a damaged value is read as the default, too."""
        return self._members.get(stored, self.default) if isinstance(stored, str) else self.default

    def write(self, value: Any, unknown: Any) -> Any:
        return unknown if unknown is not None and value == self.default else str(value)


class Optional:
    """A value or nothing."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.accepts = _or_none(codec.accepts) if codec.accepts else None

    def read(self, stored: Any) -> tuple[Any, Any]:
        return (None, None) if stored is None else self._codec.read(stored)

    def write(self, value: Any, unknown: Any) -> Any:
        return None if value is None else self._codec.write(value, unknown)


def _or_none(accepts: Check) -> Check:
    return lambda stored: stored is None or accepts(stored)


class TupleOf:
    """A list, as a tuple; `element` is a function of each element that was read, such as `tuple`."""

    accepts = None  # what is stored is a list

    def __init__(self, codec: Codec, element: Callable[[Any], Any] | None = None) -> None:
        self._codec = codec
        self._element = element

    def read(self, stored: Any) -> tuple[Any, Any]:
        if not isinstance(stored, (list, tuple)):
            raise DamagedItem(f"{str(stored)[:40]!r} is not a list")
        values, unknown = stored, None
        if self._codec.accepts is None or not all(map(self._codec.accepts, stored)):
            pairs = [self._codec.read(element) for element in stored]
            values, unknown = [value for value, _ in pairs], _unknown(enumerate(pairs))
        return tuple(map(self._element, values) if self._element else values), unknown

    def write(self, value: Any, unknown: Any) -> Any:
        if self._codec.accepts is not None:
            return list(value)
        known = unknown or {}
        return [self._codec.write(element, known.get(position)) for position, element in enumerate(value)]


class MapOf:
    """A mapping from text."""

    accepts = None  # what was read is a copy, which nobody else changes

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def read(self, stored: Any) -> tuple[Any, Any]:
        values = _mapping(stored)
        if self._codec.accepts is not None and all(map(self._codec.accepts, values.values())):
            return dict(values), None
        pairs = {name: self._codec.read(value) for name, value in values.items()}
        return {name: value for name, (value, _) in pairs.items()}, _unknown(pairs.items())

    def write(self, value: Any, unknown: Any) -> Any:
        if self._codec.accepts is not None:
            return dict(value)
        known = unknown or EMPTY
        return {name: self._codec.write(member, known.get(name)) for name, member in value.items()}


class Field(NamedTuple):
    """A field of a record. A value that equals `default` is not stored, and a field that is not stored has it."""

    codec: Codec
    default: Any = REQUIRED


class Record:
    """An object with named fields.

    Its unknown belongs to one object alone: `identity` names the field by which a later write recognises that object.
    """

    accepts = None

    def __init__(self, make: Callable[..., Any], fields: Mapping[str, Field], identity: str = "") -> None:
        """`make` is called with the value of each field by its name."""
        self.fields = fields
        self._make = make
        self._identity = identity
        self._defaults = {name: field.default for name, field in fields.items() if field.default is not REQUIRED}
        self._codecs = {name: (field.codec.accepts, field.codec.read) for name, field in fields.items()}
        self._required = fields.keys() - self._defaults.keys()

    def read(self, stored: Any) -> tuple[Any, Any]:
        values, unknown, name = dict(self._defaults), {}, ""
        if not self._required <= _mapping(stored).keys():
            raise DamagedItem(f"{', '.join(sorted(self._required - stored.keys()))} is missing")
        try:
            for name, value in stored.items():
                if name not in self._codecs:
                    unknown[name] = value
                    continue
                accepts, read = self._codecs[name]
                if accepts is not None and accepts(value):
                    values[name] = value
                    continue
                values[name], nested = read(value)
                if nested is not None:
                    unknown[name] = nested
        except DamagedItem as error:
            raise DamagedItem(f"{name}: {error}") from error
        if unknown and self._identity:
            unknown[self._identity] = values[self._identity]
        return self._make(**values), unknown or None

    def write(self, value: Any, unknown: Any) -> dict[str, Any]:
        known = unknown if unknown and self._is_of(unknown, value) else EMPTY
        stored = {name: content for name, content in known.items() if name not in self.fields}
        for name, (codec, default) in self.fields.items():
            content, nested = getattr(value, name), known.get(name)
            if content != default or nested is not None:
                stored[name] = content if codec.accepts is not None else codec.write(content, nested)
        return stored

    def readable(self, stored: Any, names: Iterable[str]) -> dict[str, Any]:
        """Those of the named fields that can be read; what cannot be read or is missing has its default."""
        values = {name: self._defaults[name] for name in names}
        for name in values.keys() & (stored.keys() if isinstance(stored, Mapping) else ()):
            try:
                values[name] = self.fields[name].codec.read(stored[name])[0]
            except DamagedItem:
                continue
        return values

    def _is_of(self, unknown: Mapping[str, Any], value: Any) -> bool:
        return not self._identity or unknown[self._identity] == getattr(value, self._identity)


def _mapping(stored: Any) -> Mapping[str, Any]:
    if type(stored) is not dict and not isinstance(stored, Mapping):  # the second takes ten times as long
        raise DamagedItem(f"{str(stored)[:40]!r} is not a mapping")
    return stored


def _unknown(pairs: Iterable[tuple[Any, tuple[Any, Any]]]) -> Any:
    return {place: unknown for place, (_, unknown) in pairs if unknown is not None} or None
