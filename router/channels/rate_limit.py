"""Rate limits: how many messages each endpoint gets, from all Lambdas together. Above the limit, messages are bundled.

    within the limit ──more is due than the limit allows──► one bundled message; the channel has a `BundleState`
           ▲                                                   │ what is due waits until `BundleState.at`, when one
           └────── what is due fits into the limit again ──────┘ message bundles it; the intervals grow

A stateful channel, such as a pager, has one alert per incident. There, messages above the limit are not bundled but
delayed: accounts and clusters take turns, and the worst of each goes first. The limit is exact: no period of its length
has more messages, whichever Lambda sends them.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from router.channels.round_robin import round_robin
from router.channels.state import BundleState, ChannelStates
from router.incident.state import SendMode

Key = tuple[str, str]
"""Identifies the state of a subject (`router.history.items`)."""

BUNDLE_INTERVALS = (15.0, 30.0, 60.0)
"""Seconds between the bundled messages of a channel; the last repeats. People can follow one message a minute."""
BURST = 4
"""At most this many incidents are bundled without starting `BUNDLE_INTERVALS`; later ones are sent as the limit allows.
"""
SLOW_SEND = 0.5
"""Seconds. If a send takes longer, it counts towards the limit from its end instead of from its start."""
_SAME = 0.002  # seconds; the table stores milliseconds
STALE_BUNDLE = 90.0
"""Seconds after `BundleState.at`, after which any Lambda sends what is due; the tick, which bundles, runs every 60."""


class RateLimit(NamedTuple):
    """At most `limit` messages within any `period` seconds."""

    limit: int
    period: float


class EndpointLimit(NamedTuple):
    """The endpoint of a channel, with its rate limit.

    Attributes:
        endpoint: identifies what the limit applies to; two channels may share a webhook.
        rate_limit: None for a channel that cannot send, whose attempts need no limit.
        stateful: see `router.channels.plugins.Channel`.
    """

    endpoint: str
    rate_limit: RateLimit | None
    stateful: bool = False


class SendRequest(NamedTuple):
    """An outbox entry that is due: the key of its subject's state, its channel, and its rank; the lowest goes first.

    Accounts and clusters take turns among the requests of the same `rank[0]`.
    """

    key: Key
    channel: str
    rank: tuple[float, ...]
    account: str = ""
    cluster: str = ""


class Allocation(NamedTuple):
    """What is sent now.

    Attributes:
        channel_states: the channel states after it.
        grants: by key of the subject's state and by channel, how it is sent.
        retry_at: by channel, the clock time of the next try for the entries that were not granted.
        granted_at: by endpoint that was granted messages, the clock time.
        new_bundles: clock times of the bundled messages that it schedules.
    """

    channel_states: ChannelStates
    grants: Mapping[Key, Mapping[str, SendMode]] = MappingProxyType({})
    retry_at: Mapping[str, float] = MappingProxyType({})
    granted_at: Mapping[str, float] = MappingProxyType({})
    new_bundles: tuple[float, ...] = ()


def allocate(
    channel_states: ChannelStates,
    requests: Sequence[SendRequest],
    limits: Mapping[str, EndpointLimit],
    now: float,
    *,
    all_due: bool,
) -> Allocation:
    """Decides which of the due entries are sent now, within the rate limits.

    Args:
        requests: every due entry that is known.
        limits: by name, those of the configured channels.
        now: clock time.
        all_due: whether `requests` are all due entries, as at a tick. Only then is a bundled message sent.
    """
    sent_at = _within_period(channel_states.sent_at, limits.values(), now)
    bundles = {name: bundle for name, bundle in channel_states.bundles.items() if name in limits}
    grants: dict[Key, dict[str, SendMode]] = {}
    retry_at: dict[str, float] = {}
    granted_at: dict[str, float] = {}
    # The longest waiting first, so that neither of two channels that share an endpoint starves.
    channels = {*(request.channel for request in requests), *bundles}
    for channel in sorted(channels, key=lambda name: (bundles[name].at if name in bundles else float("inf"), name)):
        due = _in_turns(request for request in requests if request.channel == channel)
        if not due and not all_due:
            continue
        limit, before = limits.get(channel, EndpointLimit(channel, None)), bundles.get(channel)
        if before and now < before.at + (0.0 if all_due else STALE_BUNDLE):
            share = _Share(0, 0, SendMode.SINGLE, before)
        else:
            share = _share(len(due), limit, sent_at.get(limit.endpoint, ()), before, now)
        sent_at[limit.endpoint] = (*sent_at.get(limit.endpoint, ()), *(now,) * share.messages)
        if share.messages:
            granted_at[limit.endpoint] = now
        for request in due[: share.entries]:
            grants.setdefault(request.key, {})[channel] = share.mode
        if share.bundle is None:
            bundles.pop(channel, None)
        else:
            bundles[channel] = share.bundle
            if share.entries < len(due):
                retry_at[channel] = share.bundle.at
    sent_at = {endpoint: times for endpoint, times in sent_at.items() if times}
    new_bundles = tuple(bundle.at for name, bundle in bundles.items() if channel_states.bundles.get(name) != bundle)
    changed = channel_states._replace(sent_at=sent_at, bundles=bundles)
    return Allocation(changed, grants, retry_at, granted_at, new_bundles)


def charge_at_completion(
    channel_states: ChannelStates, granted: Mapping[str, float], ended: Mapping[str, float]
) -> ChannelStates:
    """Counts slow messages from their end: a slow remote gets a message long after it was granted, and a new period
    starts then.

    Args:
        granted: by endpoint, the clock time at which messages were granted (`Allocation.granted_at`).
        ended: by endpoint, the clock time at which its last message was sent.
    """
    late = {name: end for name, end in ended.items() if name in granted and end - granted[name] > SLOW_SEND}
    moved = {
        name: tuple(
            sorted(late[name] if abs(time - granted[name]) < _SAME else time for time in channel_states.sent_at[name])
        )
        for name in late
        if name in channel_states.sent_at
    }
    return channel_states._replace(sent_at={**channel_states.sent_at, **moved}) if moved else channel_states


def _in_turns(requests: Iterable[SendRequest]) -> list[SendRequest]:
    """The lowest rank first, in turns, so that a flood in one account or cluster does not make the others wait."""
    groups: dict[float, list[SendRequest]] = {}
    for request in requests:
        groups.setdefault(request.rank[0], []).append(request)
    return [
        request
        for _, group in sorted(groups.items())
        for request in round_robin(group, _rank, lambda request: request.account, lambda request: request.cluster)
    ]


def _rank(request: SendRequest) -> tuple[float, ...]:
    return request.rank


class _Share(NamedTuple):
    """What one channel sends now.

    Attributes:
        entries: how many of its due entries.
        messages: in how many messages.
        bundle: the channel's state afterwards; None if nothing waits.
    """

    entries: int
    messages: int
    mode: SendMode
    bundle: BundleState | None


def _share(due: int, limit: EndpointLimit, sent_at: Sequence[float], before: BundleState | None, now: float) -> _Share:
    """How the `due` entries of one channel are sent. `sent_at` are the messages of the last period to its endpoint."""
    if limit.rate_limit is None:
        return _Share(due, 0, SendMode.SINGLE, None)
    left = limit.rate_limit.limit - len(sent_at)
    step = before.step if before else 0
    # Two single messages at once are too many while messages are being bundled.
    if due <= (left if step == 0 or limit.stateful else min(left, 1)):
        return _Share(due, due, SendMode.SINGLE, None)
    period = limit.rate_limit.period
    if left <= 0:
        return _Share(0, 0, SendMode.SINGLE, BundleState(sent_at[-limit.rate_limit.limit] + period, step))
    if limit.stateful:
        return _Share(left, left, SendMode.SINGLE, BundleState(now + period))
    if step == 0 and due <= BURST:
        # Later than the period ends, so that entries that have not been granted a message yet go first.
        return _Share(due, 1, SendMode.BUNDLED, BundleState(now + 1.5 * min(period, BUNDLE_INTERVALS[0])))
    interval = BUNDLE_INTERVALS[min(step, len(BUNDLE_INTERVALS) - 1)]
    return _Share(due, 1, SendMode.BUNDLED, BundleState(now + max(interval, period), step + 1))


def _within_period(
    sent_at: Mapping[str, Sequence[float]], limits: Iterable[EndpointLimit], now: float
) -> dict[str, tuple[float, ...]]:
    """By endpoint of a configured channel, the messages that still count towards its limit."""
    return {
        limit.endpoint: tuple(time for time in sent_at.get(limit.endpoint, ()) if time > now - limit.rate_limit.period)
        for limit in limits
        if limit.rate_limit
    }
