"""Schedules are evaluated as EventBridge Scheduler does."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.poll.schedule import every, next_due, parse_schedule
from tests.doubles.world import DAY, HOUR, MINUTE, START


def moment(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone) if zone != "UTC" else UTC).timestamp()


def due(expression: str, after: str, zone: str = "UTC", count: int = 1) -> list[str]:
    """The next due times as that zone's clocks show them."""
    schedule, at, found = parse_schedule(expression, zone), moment(after, zone), list[str]()
    for _ in range(count):
        following = next_due(schedule, at)
        assert following is not None
        at = following
        found.append(datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 3 * * ? *)", "2026-11-30T02:00", ["2026-11-30T03:00", "2026-12-01T03:00"]),
        ("cron(0 3 * * ?)", "2026-11-30T03:00", ["2026-12-01T03:00", "2026-12-02T03:00"]),
        ("cron(0/15 8-9 ? * MON-FRI *)", "2026-11-27T09:30", ["2026-11-27T09:45", "2026-11-30T08:00"]),
        ("cron(30 6 ? * 1 *)", "2026-11-30T00:00", ["2026-12-06T06:30", "2026-12-13T06:30"]),  # 1 is Sunday
        ("cron(0 0 L * ? *)", "2027-01-31T12:00", ["2027-02-28T00:00", "2027-03-31T00:00"]),
        ("cron(0 0 15W * ? *)", "2026-08-01T00:00", ["2026-08-14T00:00", "2026-09-15T00:00"]),  # a Saturday
        ("cron(0 0 1W * ? *)", "2026-08-01T00:00", ["2026-08-03T00:00", "2026-09-01T00:00"]),  # never last month
        ("cron(0 0 LW * ? *)", "2026-10-20T00:00", ["2026-10-30T00:00", "2026-11-30T00:00"]),
        ("cron(0 0 ? * 2#1 *)", "2026-11-30T00:00", ["2026-12-07T00:00", "2027-01-04T00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-11-01T00:00", ["2026-11-27T00:00", "2026-12-25T00:00"]),
        ("cron(0 0 ? * L *)", "2026-11-30T00:00", ["2026-12-05T00:00", "2026-12-12T00:00"]),
        ("cron(0 0 29 2 ? *)", "2026-11-30T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("cron(0 12 1 JAN,JUL ? 2027-2028)", "2026-11-30T00:00", ["2027-01-01T12:00", "2027-07-01T12:00"]),
        ("rate(1 hour)", "2026-11-30T00:10", ["2026-11-30T01:10", "2026-11-30T02:10"]),
        ("rate(2 days)", "2026-11-30T00:00", ["2026-12-02T00:00", "2026-12-04T00:00"]),
    ],
)
def test_the_next_due_times(expression: str, after: str, expected: list[str]) -> None:
    assert due(expression, after, count=2) == expected


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        ("America/New_York", "2026-03-07T12:00", ["2026-03-09T02:30", "2026-03-10T02:30"]),  # 8 March has no 02:30
        ("Europe/Berlin", "2026-03-28T12:00", ["2026-03-30T02:30", "2026-03-31T02:30"]),
        ("Asia/Tokyo", "2026-03-07T12:00", ["2026-03-08T02:30", "2026-03-09T02:30"]),
    ],
)
def test_a_time_that_the_clocks_skip_is_skipped(zone: str, after: str, expected: list[str]) -> None:
    assert due("cron(30 2 * * ? *)", after, zone, 2) == expected


@pytest.mark.parametrize(
    ("zone", "hour", "day", "first"),
    [
        ("America/New_York", 1, "2026-11-01", "2026-11-01T05:30"),  # in UTC; the second is at 06:30
        ("Europe/Berlin", 2, "2026-10-25", "2026-10-25T00:30"),
    ],
)
def test_a_time_that_occurs_twice_is_due_once_at_the_first(zone: str, hour: int, day: str, first: str) -> None:
    schedule = parse_schedule(f"cron(30 {hour} * * ? *)", zone)
    at = next_due(schedule, moment(f"{day}T00:00", zone))
    assert at == moment(first)
    assert next_due(schedule, at) == at + 25 * HOUR


CHANGES = ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]  # of the clocks
ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Tokyo", "UTC"]


@settings(deadline=None, max_examples=60)
@given(
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(CHANGES),
    minutes=st.integers(-24 * 60, 48 * 60),
    hours=st.sets(st.integers(0, 4), min_size=1),
    minute=st.sampled_from([0, 1, 30, 59]),
)
def test_due_times_are_those_that_the_clocks_show_for_the_first_time(
    zone: str, day: str, minutes: int, hours: set[int], minute: int
) -> None:
    """Around every change of the clocks: as somebody finds out who looks at a clock of the zone each minute."""
    after = moment(day) + minutes * MINUTE
    schedule = parse_schedule(f"cron({minute} {','.join(map(str, sorted(hours)))} * * ? *)", zone)
    shown = (datetime.fromtimestamp(after + number * MINUTE, ZoneInfo(zone)) for number in range(1, 49 * 60))
    seen = (clock for clock in shown if clock.hour in hours and clock.minute == minute and not clock.fold)
    assert next_due(schedule, after) == next(seen).timestamp()


def test_a_run_that_is_due_once_is_never_due_again() -> None:
    schedule = parse_schedule("at(2026-12-01T09:00:00)", "Asia/Tokyo")
    assert next_due(schedule, moment("2026-11-30T00:00")) == moment("2026-12-01T00:00")
    assert next_due(schedule, moment("2026-12-01T00:00")) is None


def test_a_run_at_a_time_that_the_clocks_skip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has a time that the clocks skip in America/New_York"):
        parse_schedule("at(2026-03-08T02:30:00)", "America/New_York")
    assert parse_schedule("at(2026-11-01T01:30:00)", "America/New_York").at == moment("2026-11-01T05:30")  # the first


def test_a_schedule_whose_years_are_over_is_never_due() -> None:
    assert next_due(parse_schedule("cron(0 0 1 1 ? 2025)"), moment("2026-11-30T00:00")) is None


def test_an_interval_is_clock_time() -> None:
    assert next_due(every("24h"), START) == START + DAY
    assert next_due(every("7d"), START) == START + 7 * DAY


@pytest.mark.parametrize(
    "expression",
    [
        "0 3 * * ? *",
        "cron(0 3 * *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(0 3 1 * 2 *)",
        "cron(60 3 * * ? *)",
        "cron(0 3 ? * 0 *)",
        "cron(0 3 ? * 8 *)",
        "cron(0 3 ? * FUNDAY *)",
        "cron(0 3 32 * ? *)",
        "cron(0 3 9-5 * ? *)",
        "cron(0/0 3 * * ? *)",
        "cron(0 3 ? * 3#1,6#3 *)",
        "cron(0 3 ? * 3#6 *)",
        "cron(0 3 W * ? *)",
        "cron(0 3 L-3 * ? *)",
        "rate(0 minutes)",
        "rate(5 weeks)",
        "at(tomorrow)",
        "at(2026-12-01 09:00)",
        "cron(0 3 * * ? *",
    ],
)
def test_what_eventbridge_refuses_is_refused_with_what_is_wrong(expression: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has) "):
        parse_schedule(expression)
