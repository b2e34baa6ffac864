"""The state of the channels, shared by all Lambdas: one item of the table, read with every batch. Data only.

`router.channels.rate_limit` and `router.channels.health` change it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class BundleState(NamedTuple):
    """A channel with more messages due than its rate limit allows.

    Attributes:
        at: clock time of the next bundled message, which holds everything that is due on the channel by then.
        step: how many bundled messages there have been since the channel last kept up.
    """

    at: float
    step: int = 0


class ChannelFailure(NamedTuple):
    """A channel whose last attempt failed.

    Attributes:
        since: clock time of the first failure after the last success.
        response: what the remote answered then.
        failed_at: clock time of a later failure, at most an hour before the latest one.
        reported_at: clock time of the last report on the other channels; None if it has not been reported.
        recovered_at: clock time of the success that ended it, kept until the recovery is reported; None before.
    """

    since: float
    response: str = ""
    failed_at: float = 0.0
    reported_at: float | None = None
    recovered_at: float | None = None


class ChannelStates(NamedTuple):
    """The state of all channels.

    Attributes:
        version: of the stored item; 0 if there is none yet.
        sent_at: by endpoint, the clock times of the messages in the last period of its rate limit, oldest first.
        bundles: by channel, those that are over their rate limit.
        failures: by channel, those that fail, and those whose recovery has not been reported yet.
        unknown: what a newer version stored, to be written back; only `router.history` reads it.
    """

    version: int = 0
    sent_at: Mapping[str, tuple[float, ...]] = MappingProxyType({})
    bundles: Mapping[str, BundleState] = MappingProxyType({})
    failures: Mapping[str, ChannelFailure] = MappingProxyType({})
    unknown: Mapping[str, Any] = MappingProxyType({})
