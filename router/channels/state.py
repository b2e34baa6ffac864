"""How things stand with the channels, as all Lambdas together know it: one item of the table, read with every batch.

`router.channels.rate_limit` and `router.channels.health` say how it moves on.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class BundleState(NamedTuple):
    """A channel that had more to say than its budget allows.

    Attributes:
        at: clock time at which everything that is due on it is put together.
        rung: gatherings since it was calm.
    """

    at: float
    step: int = 0


class ChannelFailure(NamedTuple):
    """A channel whose last attempt failed.

    Attributes:
        since: clock time of the first failure after the last success. answer: what it said then.
        failed_at: clock time of a late failure, an hour or less before the latest.
        told_at: clock time at which the other channels were told of it, or reminded; None before.
        back_at: clock time of the success that ended it; kept until the others are told of that, too.
    """

    since: float
    response: str = ""
    failed_at: float = 0.0
    reported_at: float | None = None
    recovered_at: float | None = None


class ChannelStates(NamedTuple):
    """What is known of the channels.

    Attributes:
        version: of the stored item; 0 when there is none yet.
        spoken: clock times of the messages in the last period of the budget, by endpoint, oldest first.
        gathering, failing: by channel; a channel that is in neither is calm and well.
        unknown: what a newer version stored, to be written back; only `router.history.items` reads it.
    """

    version: int = 0
    sent_at: Mapping[str, tuple[float, ...]] = MappingProxyType({})
    bundles: Mapping[str, BundleState] = MappingProxyType({})
    failures: Mapping[str, ChannelFailure] = MappingProxyType({})
    unknown: Mapping[str, Any] = MappingProxyType({})
