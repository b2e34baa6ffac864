"""What the scenarios count in the channels' messages, and that a broken promise is one."""

from typing import Any

import pytest

from tests.chaos.result import Result, misses_and_repeats
from tests.chaos.stage import Told, counted

OPENED = {"text": "🔴 CRITICAL · Container crashed: service web in prod – Container app exited with code 1"}
RESOLVED = {"items": [{"text": "✅ RESOLVED"}, {"text": "Container crashed: service web in prod"}]}
WITHOUT_HISTORY = {"text": f"{OPENED['text']}\nHistory is unavailable: you may get this again"}
BUNDLE = """🔴 CRITICAL · 5 incidents in prod, worst first
• Essential container exited in prod, 2 new incidents (critical): service api, service web (2 alerts)
• Essential container exited in prod, 3 resolved incidents (was critical): service a, service b, service web-shop"""
RESOLVED_BUNDLE = (
    "[RESOLVED] 2 incidents in prod\n• Crashed, 2 resolved incidents (was critical): service a, service web"
)


@pytest.mark.parametrize(
    ("message", "service", "told"),
    [
        (OPENED, "web", Told(1, 0, 0)),
        (OPENED, "we", Told()),
        ({"text": "Container crashed: service web-shop in prod"}, "web", Told()),
        (RESOLVED, "web", Told(0, 1, 0)),
        (WITHOUT_HISTORY, "web", Told(1, 0, 1)),
        (BUNDLE, "api", Told(1, 0, 0)),
        (BUNDLE, "b", Told(0, 1, 0)),
        (BUNDLE, "web-shop", Told(0, 1, 0)),
        (RESOLVED_BUNDLE, "a", Told(0, 1, 0)),
        ({"text": "Weekly heartbeat"}, "web", Told()),
    ],
)
def test_a_message_counts_for_each_service_that_it_names(message: Any, service: str, told: Told) -> None:
    assert counted(service, [message]) == told


def test_each_message_counts() -> None:
    assert counted("web", [OPENED, WITHOUT_HISTORY, RESOLVED]) == Told(2, 1, 1)


def told(channel: str, service: str) -> Told:
    return Told({"api": 0, "web": 2}.get(service, 1) if channel == "slack" else 1)


def test_a_channel_that_was_not_told_or_too_often_breaks_a_promise() -> None:
    found = [*misses_and_repeats(told, ["api", "web", "shop"])]
    assert found == ["slack was told of api 0 times", "slack was told of web 2 times"]
    assert [*misses_and_repeats(told, ["web"], lambda channel, _service: 2 if channel == "slack" else 1)] == []


def test_the_line_of_a_result_names_every_promise_that_did_not_hold() -> None:
    assert Result("hot", "9 crashes", ()).line == "hot: 9 crashes: kept"
    assert Result("hot", "9 crashes", ("a", "b")).line == "hot: 9 crashes: BROKEN: a; b"
