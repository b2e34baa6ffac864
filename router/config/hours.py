"""Hours of the week: `"09:00-18:00"`, `"mon-fri 09:00-18:00"`, `"22:00-06:00"`, `"sat,sun"`."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from router.config.time_zones import zone

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(
    r"(?P<days>[a-z]{3}(?:[-,][a-z]{3})*)?\s*"
    r"(?:(?P<from>[0-9]{2}):(?P<from_min>[0-9]{2})-(?P<to>[0-9]{2}):(?P<to_min>[0-9]{2}))?"
)
_MINUTES = 24 * 60


class Hours(NamedTuple):
    """A time range on certain days of the week.

    Attributes:
        days: the days on which the range begins, from 0 for Monday to 6.
        begin, end: minutes since midnight. If `end` is not after `begin`, the range ends on the next day.
        text: as it was written.
    """

    days: frozenset[int]
    begin: int = 0
    end: int = _MINUTES
    text: str = ""

    def contain(self, moment: float, time_zone: str) -> bool:
        """Whether a time (POSIX seconds) is in this range, in the time zone with that IANA name."""
        local = datetime.fromtimestamp(moment, UTC).astimezone(zone(time_zone))
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= minute < self.end
        yesterday = (today - 1) % 7
        return (today in self.days and minute >= self.begin) or (yesterday in self.days and minute < self.end)


def parse_hours(text: str) -> Hours:
    """Parses `09:00-18:00` or `mon-fri 09:00-18:00`. Raises ValueError, with an example, for any other form."""
    match = _FORM.fullmatch(text.strip().lower())
    if not text.strip() or match is None:
        raise ValueError(f"must be hours such as 09:00-18:00 or mon-fri 09:00-18:00, not {text!r}")
    days = _days(match["days"]) if match["days"] else frozenset(range(7))
    if match["from"] is None:
        return Hours(days, text=text.strip())
    return Hours(days, _minute(match["from"], match["from_min"]), _minute(match["to"], match["to_min"]), text.strip())


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, *rest = (_day(name) for name in part.split("-"))
        last = rest[-1] if rest else first
        days |= {day % 7 for day in range(first, last + 1 if last >= first else last + 8)}
    return frozenset(days)


def _day(name: str) -> int:
    if name not in _DAYS:
        raise ValueError(f"{name!r} is not a day: write {', '.join(_DAYS)}")
    return _DAYS.index(name)


def _minute(hour: str, minute: str) -> int:
    total = int(hour) * 60 + int(minute)
    if total > _MINUTES or int(minute) > 59:  # noqa: PLR2004
        raise ValueError(f"{hour}:{minute} is not a time of day")
    return total
