"""Health: a channel that fails for a quarter of an hour is news on the other channels, and so is that it is back.

The news takes the way of every event: it is classified, recorded, announced once and resolved. Here is only when there
is some. What the channel missed is caught up by its cells, which hold the newest state of each incident.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from router.channels.state import ChannelFailure, ChannelStates
from router.incident.state import Delivery
from router.model import CHANNEL_HEALTH, OWN_SOURCE, Outcome

REPORT_AFTER = 900.0
"""Seconds of failures without a success between them."""
REMIND_AFTER = 6 * 3600.0
"""Seconds after which a channel that has failed again is recorded once more, so that its incident does not lapse."""
_RENEW_AFTER = 3600.0  # so that not each failure is a write


def record_outcomes(channel_states: ChannelStates, deliveries: Iterable[Delivery], now: float) -> ChannelStates:
    """The channels after these attempts, in their order. Equal to `condition` where nothing has changed."""
    failing = dict(channel_states.failures)
    for delivery in deliveries:
        channel = delivery.dispatch.channel
        if delivery.outcome is Outcome.SENT and channel in failing:
            _recovered(failing, channel, now)
        elif delivery.outcome is not Outcome.SENT and not delivery.rejected:
            before = failing.get(channel) or ChannelFailure(now, delivery.response, now)
            late = now if now - before.failed_at >= _RENEW_AFTER else before.failed_at
            failing[channel] = before._replace(failed_at=late, recovered_at=None)
    return channel_states._replace(failures=failing)


def _recovered(failing: dict[str, ChannelFailure], channel: str, now: float) -> None:
    if failing[channel].reported_at is None:
        del failing[channel]  # nobody was told that it failed
    elif failing[channel].recovered_at is None:
        failing[channel] = failing[channel]._replace(recovered_at=now)


def health_events(
    channel_states: ChannelStates, channels: Iterable[str], now: float
) -> tuple[list[dict[str, Any]], ChannelStates]:
    """The events that there are to tell, and the channels once they are told.

    Args:
        channels: that are configured; the others are forgotten.
    """
    failing = {name: each for name, each in channel_states.failures.items() if name in {*channels}}
    told = dict(_reportable(failing, now))
    events = [_event(name, failing[name], now) for name in told]
    kept = {name: told.get(name, each) for name, each in failing.items()}
    return events, channel_states._replace(
        failures={name: each for name, each in kept.items() if each.recovered_at is None}
    )


def _reportable(failing: Mapping[str, ChannelFailure], now: float) -> Iterator[tuple[str, ChannelFailure]]:
    for name, each in failing.items():
        if each.recovered_at is not None:
            yield name, each
        elif now >= _report_at(each):
            yield name, each._replace(reported_at=now)


def _report_at(failing: ChannelFailure) -> float:
    """Clock time from which on there is something to tell."""
    if failing.reported_at is None:
        return failing.since + REPORT_AFTER
    return failing.reported_at + REMIND_AFTER if failing.failed_at > failing.reported_at else math.inf


def _event(channel: str, failing: ChannelFailure, now: float) -> dict[str, Any]:
    """As EventBridge would bring it. Its id says what it tells, so that telling it twice is noticed."""
    back = failing.recovered_at is not None
    at = failing.recovered_at or now
    reminder = 0 if failing.reported_at is None else int((now - failing.since) // REMIND_AFTER)
    return {
        "id": f"{channel}-{failing.since:.3f}-{'back' if back else reminder}",
        "source": OWN_SOURCE,
        "detail-type": CHANNEL_HEALTH,
        "time": datetime.fromtimestamp(at, UTC).isoformat(),
        "detail": {
            "channel": channel,
            "state": {"value": "WORKING" if back else "FAILING", "reason": failing.response},
        },
    }
