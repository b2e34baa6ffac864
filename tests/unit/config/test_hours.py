"""Hours of routes."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from router.config.hours import parse_hours


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


SUNDAY, MONDAY, SATURDAY = "2026-11-22", "2026-11-23", "2026-11-21"


@pytest.mark.parametrize(
    ("hours", "moment", "held"),
    [
        ("09:00-18:00", f"{MONDAY}T09:00", True),
        ("09:00-18:00", f"{MONDAY}T17:59", True),
        ("09:00-18:00", f"{MONDAY}T18:00", False),
        ("09:00-18:00", f"{MONDAY}T08:59", False),
        ("mon-fri 09:00-18:00", f"{MONDAY}T12:00", True),
        ("mon-fri 09:00-18:00", f"{SUNDAY}T12:00", False),
        ("sat,sun", f"{SUNDAY}T23:59", True),
        ("sat,sun", f"{MONDAY}T00:00", False),
        ("fri-mon", f"{SATURDAY}T12:00", True),
        ("SAT 00:00-24:00", f"{SATURDAY}T00:00", True),
    ],
)
def test_a_time_is_in_the_hours_or_not(hours: str, moment: str, *, held: bool) -> None:
    assert parse_hours(hours).contain(at(moment), "UTC") is held


@pytest.mark.parametrize(
    ("moment", "held"),
    [(f"{SATURDAY}T22:00", True), (f"{SUNDAY}T05:59", True), (f"{SUNDAY}T06:00", False), (f"{SATURDAY}T05:00", False)],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_start(moment: str, *, held: bool) -> None:
    assert parse_hours("sat 22:00-06:00").contain(at(moment), "UTC") is held


def test_hours_are_those_of_the_time_zone() -> None:
    office = parse_hours("09:00-18:00")
    assert office.contain(at(f"{MONDAY}T09:00", "Asia/Tokyo"), "Asia/Tokyo")
    assert not office.contain(at(f"{MONDAY}T09:00", "Asia/Tokyo"), "UTC")


@pytest.mark.parametrize(
    "text", ["", "9-18", "25:00-26:00", "09:60-10:00", "someday", "mon 09:00", "mon--fri", "24:01-25:00"]
)
def test_text_that_is_not_hours_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be hours|is not a day|is not a time of day"):
        parse_hours(text)
