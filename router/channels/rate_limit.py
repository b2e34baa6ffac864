"""Budgets: how often each endpoint is spoken to, by all Lambdas together. What is too much is gathered.

    calm ──more is to be said than the budget has left──► one message says all of it; gathering
     ▲                                                       │ whatever comes now waits for `Gathering.at`, when
     └──────────── hardly anything waits any more ───────────┘ one message says all that has come; ever less often

A stateful channel, a pager, has one alert for each incident, so there what is too much comes one by one, worst first,
as the budget allows. The budget is exact: never more than its limit within any period, whoever speaks.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from router.channels.state import BundleState, ChannelStates
from router.incident.state import SendMode

Key = tuple[str, str]
"""Identifies the state of a subject (`router.history.items`)."""

BUNDLE_INTERVALS = (15.0, 30.0, 60.0)
"""Seconds from one gathering message of a channel to the next; the last repeats. One a minute can be followed."""
BURST = 4
"""So many at once are one message, but no storm yet: what comes next is said as soon as the budget allows."""
SLOW_SEND = 0.5
"""Seconds from a turn to the end of its last message from which on the budget counts from the end."""
_SAME = 0.002  # seconds; the table keeps milliseconds
STALE_BUNDLE = 90.0
"""Seconds after which nobody waits for a gathering that has not come: the tick that makes it comes every 60."""


class RateLimit(NamedTuple):
    """At most `limit` messages within any `period` seconds."""

    limit: int
    period: float


class EndpointLimit(NamedTuple):
    """What a channel speaks through.

    Attributes:
        endpoint: names what the budget is for: two channels may share a webhook.
        budget: None where nothing is sent in the end, so that nothing needs to be saved.
    """

    endpoint: str
    rate_limit: RateLimit | None
    stateful: bool = False


class SendRequest(NamedTuple):
    """A due cell: the key of its standing, its channel, and what sorts the worst first."""

    key: Key
    channel: str
    rank: tuple[float, ...]


class Allocation(NamedTuple):
    """Who speaks now.

    Attributes:
        turns: by standing and channel.
        waits: by channel, the clock time at which those without a turn are looked at again.
        condition: the channels afterwards.
        granted: by endpoint, when it was given turns now.
    """

    channel_states: ChannelStates
    grants: Mapping[Key, Mapping[str, SendMode]] = MappingProxyType({})
    retry_at: Mapping[str, float] = MappingProxyType({})
    granted_at: Mapping[str, float] = MappingProxyType({})


def allocate(
    channel_states: ChannelStates,
    requests: Sequence[SendRequest],
    limits: Mapping[str, EndpointLimit],
    now: float,
    *,
    all_due: bool,
) -> Allocation:
    """Shares out the budgets.

    Args:
        wants: every due cell that is known. lines: of the configured channels; nothing is sent to others.
        collecting: whether `wants` is everything that is due, as at a tick; only then a gathering that others wait for
            takes place.
    """
    spoken = _within_period(channel_states.sent_at, limits.values(), now)
    turns: dict[Key, dict[str, SendMode]] = {}
    waits: dict[str, float] = {}
    granted: dict[str, float] = {}
    gathering = {name: each for name, each in channel_states.bundles.items() if name in limits}
    for channel in _longest_waiting_first({*(want.channel for want in requests), *gathering}, channel_states):
        mine = sorted((want for want in requests if want.channel == channel), key=_rank)
        if not mine and not all_due:
            continue
        line, before = limits.get(channel, EndpointLimit(channel, None)), gathering.get(channel)
        if before and now < before.at + (0.0 if all_due else STALE_BUNDLE):
            share = _Share(0, 0, SendMode.SINGLE, before)
        else:
            share = _share(len(mine), line, spoken.get(line.endpoint, ()), before, now)
        spoken[line.endpoint] = (*spoken.get(line.endpoint, ()), *(now,) * share.messages)
        if share.messages:
            granted[line.endpoint] = now
        for want in mine[: share.sending]:
            turns.setdefault(want.key, {})[channel] = share.mode
        if share.bundle is None:
            gathering.pop(channel, None)
        else:
            gathering[channel] = share.bundle
            if share.sending < len(mine):
                waits[channel] = share.bundle.at
    after = channel_states._replace(sent_at={name: times for name, times in spoken.items() if times}, bundles=gathering)
    return Allocation(after, turns, waits, granted)


def charge_at_completion(
    channel_states: ChannelStates, granted: Mapping[str, float], ended: Mapping[str, float]
) -> ChannelStates:
    """The turns as they were taken: a slow remote hears a message long after its turn was given, and the next period
    begins then.

    Args:
        granted: by endpoint, when turns were given. ended: by endpoint, when the last message was through.
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


class _Share(NamedTuple):
    """Of one channel: how many cells speak, in how many messages, and the gathering that the others wait for."""

    sending: int
    messages: int
    mode: SendMode
    bundle: BundleState | None


def _share(
    wanting: int, line: EndpointLimit, spoken: Sequence[float], before: BundleState | None, now: float
) -> _Share:
    if line.rate_limit is None:
        return _Share(wanting, 0, SendMode.SINGLE, None)
    left = line.rate_limit.limit - len(spoken)
    rung = before.step if before else 0
    if wanting <= (left if rung == 0 or line.stateful else min(left, 1)):  # while the storm goes on, two are too many
        return _Share(wanting, wanting, SendMode.SINGLE, None)
    if left <= 0:
        return _Share(0, 0, SendMode.SINGLE, BundleState(spoken[-line.rate_limit.limit] + line.rate_limit.period, rung))
    if line.stateful:
        return _Share(left, left, SendMode.SINGLE, BundleState(now + line.rate_limit.period))
    if rung == 0 and wanting <= BURST:
        soon = 1.5 * min(line.rate_limit.period, BUNDLE_INTERVALS[0])  # after those who have had no turn yet
        return _Share(wanting, 1, SendMode.BUNDLED, BundleState(now + soon))
    after = BUNDLE_INTERVALS[min(rung, len(BUNDLE_INTERVALS) - 1)]
    return _Share(wanting, 1, SendMode.BUNDLED, BundleState(now + max(after, line.rate_limit.period), rung + 1))


def _within_period(
    spoken: Mapping[str, Sequence[float]], lines: Iterable[EndpointLimit], now: float
) -> dict[str, tuple[float, ...]]:
    """What counts against the budgets still; the endpoints of channels that are no longer configured are forgotten."""
    return {
        line.endpoint: tuple(time for time in spoken.get(line.endpoint, ()) if time > now - line.rate_limit.period)
        for line in lines
        if line.rate_limit
    }


def _longest_waiting_first(channels: Iterable[str], channel_states: ChannelStates) -> list[str]:
    """So that of two channels that share an endpoint neither starves."""

    def waiting(name: str) -> tuple[float, str]:
        return (channel_states.bundles[name].at if name in channel_states.bundles else float("inf")), name

    return sorted(channels, key=waiting)


def _rank(want: SendRequest) -> tuple[float, ...]:
    return want.rank
