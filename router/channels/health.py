"""Health: a channel that fails for a quarter of an hour is news on the other channels, and so is that it is back.

The news takes the way of every event: it is classified, recorded, announced once and resolved. Here is only when there
is some. What the channel missed is caught up by its cells, which hold the newest state of each incident.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from router.channels.state import Condition, Failing
from router.incident.state import Delivery
from router.model import CHANNEL_HEALTH, OWN_SOURCE, Outcome

NEWS_AFTER = 900.0
"""Seconds of failures without a success between them."""
REMIND_AFTER = 6 * 3600.0
"""Seconds after which a channel that has failed again is recorded once more, so that its incident does not lapse."""
_RENEW_AFTER = 3600.0  # so that not each failure is a write


def noted(condition: Condition, deliveries: Iterable[Delivery], now: float) -> Condition:
    """The channels after these attempts, in their order. Equal to `condition` where nothing has changed."""
    failing = dict(condition.failing)
    for delivery in deliveries:
        channel = delivery.dispatch.channel
        if delivery.outcome is Outcome.SENT and channel in failing:
            _recovered(failing, channel, now)
        elif delivery.outcome is not Outcome.SENT and not delivery.rejected:
            before = failing.get(channel) or Failing(now, delivery.response, now)
            late = now if now - before.failed_at >= _RENEW_AFTER else before.failed_at
            failing[channel] = before._replace(failed_at=late, back_at=None)
    return condition._replace(failing=failing)


def _recovered(failing: dict[str, Failing], channel: str, now: float) -> None:
    if failing[channel].told_at is None:
        del failing[channel]  # nobody was told that it failed
    elif failing[channel].back_at is None:
        failing[channel] = failing[channel]._replace(back_at=now)


def news(condition: Condition, channels: Iterable[str], now: float) -> tuple[list[dict[str, Any]], Condition]:
    """The events that there are to tell, and the channels once they are told.

    Args:
        channels: that are configured; the others are forgotten.
    """
    failing = {name: each for name, each in condition.failing.items() if name in {*channels}}
    told = dict(_moved_on(failing, now))
    events = [_event(name, failing[name], now) for name in told]
    kept = {name: told.get(name, each) for name, each in failing.items()}
    return events, condition._replace(failing={name: each for name, each in kept.items() if each.back_at is None})


def _moved_on(failing: Mapping[str, Failing], now: float) -> Iterator[tuple[str, Failing]]:
    for name, each in failing.items():
        if each.back_at is not None:
            yield name, each
        elif now >= _news_at(each):
            yield name, each._replace(told_at=now)


def _news_at(failing: Failing) -> float:
    """Clock time from which on there is something to tell."""
    if failing.told_at is None:
        return failing.since + NEWS_AFTER
    return failing.told_at + REMIND_AFTER if failing.failed_at > failing.told_at else math.inf


def _event(channel: str, failing: Failing, now: float) -> dict[str, Any]:
    """As EventBridge would bring it. Its id says what it tells, so that telling it twice is noticed."""
    back = failing.back_at is not None
    at = failing.back_at or now
    reminder = 0 if failing.told_at is None else int((now - failing.since) // REMIND_AFTER)
    return {
        "id": f"{channel}-{failing.since:.3f}-{'back' if back else reminder}",
        "source": OWN_SOURCE,
        "detail-type": CHANNEL_HEALTH,
        "time": datetime.fromtimestamp(at, UTC).isoformat(),
        "detail": {
            "channel": channel,
            "state": {"value": "WORKING" if back else "FAILING", "reason": failing.answer},
        },
    }
