"""Channel health: the other channels report a channel that has failed for 15 minutes, and report its recovery.

A report is an event like any other: it is classified, recorded, announced once and resolved. This module only decides
when there is one. When the channel recovers, its outbox entries bring it the current state of each incident.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from router.channels.state import ChannelFailure, ChannelStates
from router.incident.state import Delivery
from router.model import CHANNEL_HEALTH, OWN_SOURCE, Outcome

REPORT_AFTER = 900.0
"""Seconds of failures, without a success between them, after which a channel is reported."""
REMIND_AFTER = 6 * 3600.0
"""Seconds after a report, after which a channel that still fails is reported again, so its incident does not lapse."""
_UPDATE_AFTER = 3600.0  # seconds; `failed_at` is not written more often, which saves a write per failure


def record_outcomes(channel_states: ChannelStates, deliveries: Iterable[Delivery], now: float) -> ChannelStates:
    """The channel states after these attempts, in their order; equal to `channel_states` if nothing has changed.

    Args:
        now: clock time.
    """
    failures = dict(channel_states.failures)
    for delivery in deliveries:
        channel = delivery.dispatch.channel
        if delivery.outcome is Outcome.SENT and channel in failures:
            if failures[channel].reported_at is None:
                del failures[channel]  # the failure was not reported, so its end is not
            elif failures[channel].recovered_at is None:
                failures[channel] = failures[channel]._replace(recovered_at=now)
        elif delivery.outcome is not Outcome.SENT and not delivery.rejected:
            before = failures.get(channel) or ChannelFailure(now, delivery.response, now)
            failed_at = now if now - before.failed_at >= _UPDATE_AFTER else before.failed_at
            failures[channel] = before._replace(failed_at=failed_at, recovered_at=None)
    return channel_states._replace(failures=failures)


def health_events(
    channel_states: ChannelStates, channels: Iterable[str], now: float
) -> tuple[list[dict[str, Any]], ChannelStates]:
    """The reports that are due, as EventBridge events, and the channel states after them.

    Args:
        channels: the names of the configured channels; the failures of others are dropped.
        now: clock time.
    """
    failures = {name: failure for name, failure in channel_states.failures.items() if name in {*channels}}
    reported = dict(_reportable(failures, now))
    events = [_event(name, failures[name], now) for name in reported]
    after = {**failures, **reported}
    lasting = {name: failure for name, failure in after.items() if failure.recovered_at is None}
    return events, channel_states._replace(failures=lasting)


def _reportable(failures: Mapping[str, ChannelFailure], now: float) -> Iterator[tuple[str, ChannelFailure]]:
    """The failures that began, continue or ended and are to be reported, as they are after the report."""
    for name, failure in failures.items():
        if failure.recovered_at is not None:
            yield name, failure
        elif now >= _report_at(failure):
            yield name, failure._replace(reported_at=now)


def _report_at(failure: ChannelFailure) -> float:
    """Clock time of the next report."""
    if failure.reported_at is None:
        return failure.since + REPORT_AFTER
    return failure.reported_at + REMIND_AFTER if failure.failed_at > failure.reported_at else math.inf


def _event(channel: str, failure: ChannelFailure, now: float) -> dict[str, Any]:
    """An event in EventBridge's form. A repetition has the same id, so that dedup recognises it."""
    back = failure.recovered_at is not None
    at = failure.recovered_at or now
    reminder = 0 if failure.reported_at is None else int((now - failure.since) // REMIND_AFTER)
    return {
        "id": f"{channel}-{failure.since:.3f}-{'back' if back else reminder}",
        "source": OWN_SOURCE,
        "detail-type": CHANNEL_HEALTH,
        "time": datetime.fromtimestamp(at, UTC).isoformat(),
        "detail": {
            "channel": channel,
            "state": {"value": "WORKING" if back else "FAILING", "reason": failure.response},
        },
    }
