"""Stored values and Python values: types, defaults, and values of newer versions."""

from typing import Any, NamedTuple

import pytest

from router.errors import DamagedItem
from router.history.codec import (
    COUNT,
    FLAG,
    INTEGER,
    NUMBER,
    OCCURRENCES,
    TEXT,
    Choice,
    Codec,
    Field,
    MapOf,
    Optional,
    Record,
    TupleOf,
)


class Pet(NamedTuple):
    name: str
    mood: str = "calm"
    legs: int = 4


MOOD = Choice(("calm", "wild"), "wild")
PET = Record(Pet, {"name": Field(TEXT), "mood": Field(MOOD, "calm"), "legs": Field(COUNT, 4)}, identity="name")


@pytest.mark.parametrize(
    ("codec", "value"),
    [
        (TEXT, None),
        (TEXT, 1),
        (FLAG, 0),
        (COUNT, -1),
        (COUNT, True),
        (COUNT, 1.5),
        (INTEGER, "1"),
        (NUMBER, "1"),
        (NUMBER, True),
        (NUMBER, float("nan")),
        (NUMBER, float("inf")),
        (NUMBER, 1e18),
        (OCCURRENCES, [1.0]),
        (OCCURRENCES, [1.0, "2"]),
        (MOOD, None),
        (MOOD, ["calm"]),
        (TupleOf(TEXT), "abc"),
        (TupleOf(TEXT), ["a", None]),
        (MapOf(TEXT), []),
        (MapOf(TEXT), {"a": 1}),
        (Optional(TEXT), 1),
        (PET, None),
        (PET, {"mood": "calm"}),
        (PET, {"name": "rex", "legs": "four"}),
    ],
)
def test_a_value_of_a_different_type_is_damaged(codec: Codec, value: Any) -> None:
    with pytest.raises(DamagedItem):
        codec.read(value)


def test_the_error_names_the_damaged_field() -> None:
    with pytest.raises(DamagedItem, match="legs: 'four' is not a count"):
        PET.read({"name": "rex", "legs": "four"})


def test_a_field_with_its_default_is_not_stored_and_comes_back_with_it() -> None:
    assert PET.write(Pet("rex"), None) == {"name": "rex"}
    assert PET.read({"name": "rex"}) == (Pet("rex"), None)


NEWER_PET = {"name": "rex", "mood": "sleepy", "colour": {"red": [1, 2]}}


@pytest.mark.parametrize(
    ("codec", "stored"),
    [
        (PET, NEWER_PET),
        (Optional(PET), NEWER_PET),
        (TupleOf(PET), [{"name": "tom"}, NEWER_PET]),
        (MapOf(PET), {"a": {"name": "tom"}, "b": NEWER_PET}),
        (MapOf(TupleOf(PET)), {"a": [{"name": "tom"}, NEWER_PET]}),
    ],
)
def test_unknown_fields_of_a_newer_version_are_written_back(codec: Codec, stored: Any) -> None:
    value, unknown = codec.read(stored)
    assert codec.write(value, unknown) == stored


def test_an_unknown_choice_counts_as_its_default_and_is_written_back_until_it_changes() -> None:
    value, unknown = MOOD.read("sleepy")
    assert value == "wild"
    assert MOOD.write("wild", unknown) == "sleepy"
    assert MOOD.write("calm", unknown) == "calm"


def test_unknown_fields_of_one_record_are_not_written_into_another() -> None:
    _, unknown = PET.read({"name": "rex", "colour": "red"})
    assert PET.write(Pet("tom"), unknown) == {"name": "tom"}


def test_readable_fields_of_a_damaged_value_are_read() -> None:
    stored = {"name": 1, "mood": "wild", "legs": "four"}
    assert PET.readable(stored, ("mood", "legs")) == {"mood": "wild", "legs": 4}
    assert PET.readable(None, ("mood", "legs")) == {"mood": "calm", "legs": 4}
