"""However often a subject fails and recovers, a channel gets few messages a day about it, and none too late.

The real router runs in virtual time, without faults, with many different paces.
"""

from bisect import bisect_right
from typing import Any

import pytest

from router.channels.configured import ConfiguredChannel
from router.cli.replay.virtual import VirtualRouter
from router.config.settings import Config, Route
from router.model import ChannelConfig, Severity
from tests.doubles.service_events import crash, steady
from tests.doubles.world import DAY, HOUR, MINUTE, START, Recorder, no_plugins

_DAYS = 1.25
_OFTEN = [*range(5, 240, 7), 240]
_SELDOM = [241, 252, 300, 360, 480, 719, 1_080, 1_440]
_DOWN = (0.02, 0.3, 0.7, 0.97)
"""Shares of the period for which the subject is down."""


def told(minutes: int, down: float) -> list[dict[str, Any]]:
    """The messages about a crash every so many minutes that recovers after a share of them."""
    lines: list[dict[str, Any]] = []
    names = {"slack": False, "pager": True}
    channels = {
        name: ConfiguredChannel.of(ChannelConfig(name, "recorder", {}), Recorder(name, stateful=stateful))
        for name, stateful in names.items()
    }
    config = Config(channels=channels, routes=(Route(Severity.WARNING, channels=tuple(names)),))
    router = VirtualRouter(config, no_plugins(), lines.append)
    period = minutes * MINUTE
    for number in range(int(_DAYS * DAY // period) + 1):
        at = START + number * period
        router.receive(crash(f"t{number}", at), at)
        router.receive(steady(at + down * period), at + down * period)
    router.advance(router.now + 5 * HOUR)
    return lines


def most_in_a_day(times: list[float]) -> int:
    return max(bisect_right(times, at + DAY) - number for number, at in enumerate(times))


def times(lines: list[dict[str, Any]], channel: str) -> list[float]:
    return [START + line["after"] for line in lines if line["channel"] == channel]


@pytest.mark.parametrize("down", [_DOWN[0], *(pytest.param(share, marks=pytest.mark.thorough) for share in _DOWN[1:])])
def test_a_subject_that_fails_at_least_every_four_hours_sends_six_messages_a_day_at_most(down: float) -> None:
    for number, minutes in enumerate(_OFTEN):
        if number % 2 == _DOWN.index(down) % 2:  # each period with two of the shares
            lines = told(minutes, down)
            for channel in ("slack", "pager"):
                assert most_in_a_day(times(lines, channel)) <= 6, f"every {minutes} minutes, on {channel}"


@pytest.mark.parametrize("down", [_DOWN[0], *(pytest.param(share, marks=pytest.mark.thorough) for share in _DOWN[1:])])
def test_a_subject_that_fails_less_often_sends_twelve_messages_a_day_at_most(down: float) -> None:
    for minutes in _SELDOM:
        lines = told(minutes, down)
        for channel in ("slack", "pager"):
            assert most_in_a_day(times(lines, channel)) <= 12, f"every {minutes} minutes, on {channel}"


@pytest.mark.parametrize("minutes", [30, 100, 240])
def test_the_pager_stays_open_while_a_subject_flaps(minutes: int) -> None:
    """After the second return the quiet time is four hours, so nothing in between resolves it."""
    kinds = [line["kind"] for line in told(minutes, 0.3) if line["channel"] == "pager"]
    assert kinds.count("opened") <= 3
    assert kinds[-1] == "resolved"
