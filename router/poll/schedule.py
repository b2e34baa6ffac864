"""When a run is due: expressions of EventBridge, evaluated as EventBridge Scheduler does.

No library knows this dialect: 1 is Sunday, `?`, `L`, `W` and `#` have Quartz's meanings, and a time of day that the
clocks skip in spring is skipped, while one that occurs twice in autumn runs once, the first time. So the
minutes of local time are tried one by one, and those that change when converted to UTC and back are left out.

Source: "Schedule types in EventBridge Scheduler" in the EventBridge Scheduler User Guide.
"""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from router.poll.state import Schedule

_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_DAYS_SEARCHED = 366 * 9  # 29 February of a certain weekday of a century year may be eight years away
_SATURDAY, _SUNDAY = 7, 1


class _Cron(NamedTuple):
    """The fields, with names and ranges resolved; days are still text, since they depend on the month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]


def parse_schedule(text: str, time_zone: str = "UTC") -> Schedule:
    """The schedule of a `rate`, `cron` or `at` expression.

    Raises:
        ValueError: it is none; the message is the end of a sentence about the value.
    """
    kind, _, body = text.strip().partition("(")
    body = body.removesuffix(")").strip()
    if not text.strip().endswith(")") or kind not in {"rate", "cron", "at"}:
        raise ValueError("must be rate(…), cron(…) or at(…), as in EventBridge Scheduler")
    if kind == "rate":
        return Schedule(text, time_zone, period=_period(body))
    if kind == "cron":
        _parse_cron(body)
        return Schedule(text, time_zone, cron=body)
    return Schedule(text, time_zone, at=_at(body, time_zone))


def every(text: str) -> Schedule:
    """The schedule of `every = "24h"`."""
    return Schedule(text, period=int(text[:-1]) * {"m": 60.0, "h": 3600.0, "d": 86_400.0}[text[-1]])


def next_due(schedule: Schedule, after: float) -> float | None:
    """Clock time of the first run that is due after that time; None if there is none any more.

    A schedule with a period counts from `after`.
    """
    if schedule.period:
        return after + schedule.period
    if schedule.at is not None:
        return schedule.at if schedule.at > after else None
    cron, zone = _parse_cron(schedule.cron), _zone(schedule.time_zone)
    begin = datetime.fromtimestamp(after, zone)
    shown = begin.date(), begin.hour, begin.minute  # what the clocks show no later than that cannot be due after it
    days = _matching_days(cron, begin.date())
    for local in ((day, hour, minute) for day in days for hour in cron.hours for minute in cron.minutes):
        moment = _moment(*local, zone) if local > shown else None
        if moment is not None and moment > after:
            return moment
    return None


def has_no_day(schedule: Schedule) -> bool:
    """Whether a cron expression names only days that do not exist, such as 31 February."""
    if not schedule.cron:
        return False
    cron = _parse_cron(schedule.cron)
    begins = range(min(cron.years), max(cron.years) + 1, _DAYS_SEARCHED // 366)
    return not any(any(True for _ in _matching_days(cron, date(year, 1, 1))) for year in begins)


def _at(body: str, time_zone: str) -> float:
    """Clock time of the only run. AWS does not say what becomes of one at a time that the clocks skip."""
    try:
        local = datetime.strptime(body, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - of the zone below
    except ValueError:
        raise ValueError("must be a time such as at(2026-11-20T13:00:00)") from None
    at = _moment(local.date(), local.hour, local.minute, _zone(time_zone))
    if at is None:
        raise ValueError(f"has a time that the clocks skip in {time_zone}")
    return at + local.second


def _moment(day: date, hour: int, minute: int, zone: tzinfo) -> float | None:
    """Clock time of a local minute: the first, if it occurs twice; None if the clocks skip it."""
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)  # fold=0 is the first
    back = local.astimezone(UTC).astimezone(zone)
    return local.timestamp() if back.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _period(body: str) -> float:
    match = re.fullmatch(r"([1-9][0-9]{0,5})\s+(minute|hour|day)s?", body)
    if not match:
        raise ValueError("must be a rate such as rate(1 hour) or rate(15 minutes)")
    return int(match[1]) * _UNITS[match[2]]


# --- cron -------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _parse_cron(body: str) -> _Cron:
    fields = body.upper().split()
    if len(fields) not in {5, 6}:
        raise ValueError("must have five fields, or six with the year: minutes hours day-of-month month day-of-week")
    minutes, hours, days, months, weekdays, *years = fields
    if (days == "?") == (weekdays == "?"):
        raise ValueError("must have ? as exactly one of day-of-month and day-of-week")
    if "#" in weekdays and "," in weekdays:
        raise ValueError("must have one expression in day-of-week if that has a #")
    cron = _Cron(
        minutes=_numbers(minutes, 0, 59),
        hours=_numbers(hours, 0, 23),
        days=days,
        months=frozenset(_numbers(months, 1, 12, _MONTHS)),
        weekdays=weekdays,
        years=frozenset(_numbers(years[0] if years else "*", _FIRST_YEAR, _LAST_YEAR)),
    )
    _days_of_month(cron, 2028, 2)  # raises what is wrong with the days
    return cron


def _numbers(field: str, least: int, most: int, names: tuple[str, ...] = ()) -> tuple[int, ...]:
    """The values of a field: `*`, `5`, `1-5`, `0/15`, `1-31/2`, `MON`, and lists of them; sorted."""
    values: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/([1-9][0-9]{0,3}))?", part)
        if not match or (match[1] == "*" and match[2]):
            raise ValueError(f"has the field {field!r}, which is none of EventBridge's")
        first = least if match[1] == "*" else _number(match[1], least, most, names)
        whole = match[1] == "*" or (match[3] and not match[2])
        last = most if whole else _number(match[2] or match[1], least, most, names)
        if last < first:
            raise ValueError(f"has the range {part!r}, which ends before it begins")
        values.update(range(first, last + 1, int(match[3] or 1)))
    return tuple(sorted(values))


def _number(text: str, least: int, most: int, names: tuple[str, ...]) -> int:
    value = names.index(text) + 1 if text in names else int(text) if text.isdecimal() else -1
    if not least <= value <= most:
        raise ValueError(f"has {text!r} where a value from {least} to {most} belongs")
    return value


def _matching_days(cron: _Cron, begin: date) -> Iterator[date]:
    day, end = begin, begin + timedelta(days=_DAYS_SEARCHED)
    known: tuple[int, int, frozenset[int]] = (0, 0, frozenset())
    while day < end and day.year <= max(cron.years):
        if day.month in cron.months and day.year in cron.years:
            if known[:2] != (day.year, day.month):
                known = (day.year, day.month, _days_of_month(cron, day.year, day.month))
            if day.day in known[2]:
                yield day
        day += timedelta(days=1)


def _days_of_month(cron: _Cron, year: int, month: int) -> frozenset[int]:
    length = calendar.monthrange(year, month)[1]
    if cron.weekdays != "?":
        return frozenset(day for part in cron.weekdays.split(",") for day in _by_weekday(part, year, month, length))
    return frozenset(day for part in cron.days.split(",") for day in _by_date(part, year, month, length))


def _by_date(part: str, year: int, month: int, length: int) -> Iterator[int]:
    if part == "L":
        yield length
    elif part == "LW":
        yield _nearest_weekday(length, year, month, length)
    elif match := re.fullmatch(r"([1-9][0-9]?)W", part):
        wanted = _number(match[1], 1, 31, ())
        if wanted <= length:
            yield _nearest_weekday(wanted, year, month, length)
    else:
        yield from (day for day in _numbers(part, 1, 31) if day <= length)


def _nearest_weekday(day: int, year: int, month: int, length: int) -> int:
    """The weekday nearest to a day, within its month."""
    weekday = _weekday(year, month, day)
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _by_weekday(part: str, year: int, month: int, length: int) -> Iterator[int]:
    days = range(1, length + 1)
    if part == "L":  # the last day of the week
        part = str(_SATURDAY)
    if match := re.fullmatch(r"(\w+)#([1-5])", part):
        wanted = [day for day in days if _weekday(year, month, day) == _number(match[1], 1, 7, _WEEKDAYS)]
        yield from wanted[int(match[2]) - 1 : int(match[2])]
    elif match := re.fullmatch(r"([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)L", part):
        yield [day for day in days if _weekday(year, month, day) == _number(match[1], 1, 7, _WEEKDAYS)][-1]
    else:
        numbers = _numbers(part, 1, 7, _WEEKDAYS)
        yield from (day for day in days if _weekday(year, month, day) in numbers)


def _weekday(year: int, month: int, day: int) -> int:
    """1 for Sunday to 7 for Saturday, as EventBridge counts."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1
