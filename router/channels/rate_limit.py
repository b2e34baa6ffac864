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

from router.channels.state import Condition, Gathering
from router.incident.state import SendMode

Key = tuple[str, str]
"""Identifies the state of a subject (`router.history.items`)."""

GATHER_AFTER = (15.0, 30.0, 60.0)
"""Seconds from one gathering message of a channel to the next; the last repeats. One a minute can be followed."""
FEW = 4
"""So many at once are one message, but no storm yet: what comes next is said as soon as the budget allows."""
LATE = 0.5
"""Seconds from a turn to the end of its last message from which on the budget counts from the end."""
_SAME = 0.002  # seconds; the table keeps milliseconds
OVERDUE = 90.0
"""Seconds after which nobody waits for a gathering that has not come: the tick that makes it comes every 60."""


class Budget(NamedTuple):
    """At most `limit` messages within any `period` seconds."""

    limit: int
    period: float


class Line(NamedTuple):
    """What a channel speaks through.

    Attributes:
        endpoint: names what the budget is for: two channels may share a webhook.
        budget: None where nothing is sent in the end, so that nothing needs to be saved.
    """

    endpoint: str
    budget: Budget | None
    stateful: bool = False


class Want(NamedTuple):
    """A due cell: the key of its standing, its channel, and what sorts the worst first."""

    key: Key
    channel: str
    rank: tuple[float, ...]


class Allotment(NamedTuple):
    """Who speaks now.

    Attributes:
        turns: by standing and channel.
        waits: by channel, the clock time at which those without a turn are looked at again.
        condition: the channels afterwards.
        granted: by endpoint, when it was given turns now.
    """

    condition: Condition
    turns: Mapping[Key, Mapping[str, SendMode]] = MappingProxyType({})
    waits: Mapping[str, float] = MappingProxyType({})
    granted: Mapping[str, float] = MappingProxyType({})


def allot(
    condition: Condition, wants: Sequence[Want], lines: Mapping[str, Line], now: float, *, collecting: bool
) -> Allotment:
    """Shares out the budgets.

    Args:
        wants: every due cell that is known. lines: of the configured channels; nothing is sent to others.
        collecting: whether `wants` is everything that is due, as at a tick; only then a gathering that others wait for
            takes place.
    """
    spoken = _recent(condition.spoken, lines.values(), now)
    turns: dict[Key, dict[str, SendMode]] = {}
    waits: dict[str, float] = {}
    granted: dict[str, float] = {}
    gathering = {name: each for name, each in condition.gathering.items() if name in lines}
    for channel in _longest_waiting_first({*(want.channel for want in wants), *gathering}, condition):
        mine = sorted((want for want in wants if want.channel == channel), key=_rank)
        if not mine and not collecting:
            continue
        line, before = lines.get(channel, Line(channel, None)), gathering.get(channel)
        if before and now < before.at + (0.0 if collecting else OVERDUE):
            share = _Share(0, 0, SendMode.SINGLE, before)
        else:
            share = _share(len(mine), line, spoken.get(line.endpoint, ()), before, now)
        spoken[line.endpoint] = (*spoken.get(line.endpoint, ()), *(now,) * share.messages)
        if share.messages:
            granted[line.endpoint] = now
        for want in mine[: share.speaking]:
            turns.setdefault(want.key, {})[channel] = share.turn
        if share.gathering is None:
            gathering.pop(channel, None)
        else:
            gathering[channel] = share.gathering
            if share.speaking < len(mine):
                waits[channel] = share.gathering.at
    after = condition._replace(spoken={name: times for name, times in spoken.items() if times}, gathering=gathering)
    return Allotment(after, turns, waits, granted)


def taken_late(condition: Condition, granted: Mapping[str, float], ended: Mapping[str, float]) -> Condition:
    """The turns as they were taken: a slow remote hears a message long after its turn was given, and the next period
    begins then.

    Args:
        granted: by endpoint, when turns were given. ended: by endpoint, when the last message was through.
    """
    late = {name: end for name, end in ended.items() if name in granted and end - granted[name] > LATE}
    moved = {
        name: tuple(
            sorted(late[name] if abs(time - granted[name]) < _SAME else time for time in condition.spoken[name])
        )
        for name in late
        if name in condition.spoken
    }
    return condition._replace(spoken={**condition.spoken, **moved}) if moved else condition


class _Share(NamedTuple):
    """Of one channel: how many cells speak, in how many messages, and the gathering that the others wait for."""

    speaking: int
    messages: int
    turn: SendMode
    gathering: Gathering | None


def _share(wanting: int, line: Line, spoken: Sequence[float], before: Gathering | None, now: float) -> _Share:
    if line.budget is None:
        return _Share(wanting, 0, SendMode.SINGLE, None)
    left = line.budget.limit - len(spoken)
    rung = before.rung if before else 0
    if wanting <= (left if rung == 0 or line.stateful else min(left, 1)):  # while the storm goes on, two are too many
        return _Share(wanting, wanting, SendMode.SINGLE, None)
    if left <= 0:
        return _Share(0, 0, SendMode.SINGLE, Gathering(spoken[-line.budget.limit] + line.budget.period, rung))
    if line.stateful:
        return _Share(left, left, SendMode.SINGLE, Gathering(now + line.budget.period))
    if rung == 0 and wanting <= FEW:
        soon = 1.5 * min(line.budget.period, GATHER_AFTER[0])  # after those who have had no turn yet
        return _Share(wanting, 1, SendMode.BUNDLED, Gathering(now + soon))
    after = GATHER_AFTER[min(rung, len(GATHER_AFTER) - 1)]
    return _Share(wanting, 1, SendMode.BUNDLED, Gathering(now + max(after, line.budget.period), rung + 1))


def _recent(spoken: Mapping[str, Sequence[float]], lines: Iterable[Line], now: float) -> dict[str, tuple[float, ...]]:
    """What counts against the budgets still; the endpoints of channels that are no longer configured are forgotten."""
    return {
        line.endpoint: tuple(time for time in spoken.get(line.endpoint, ()) if time > now - line.budget.period)
        for line in lines
        if line.budget
    }


def _longest_waiting_first(channels: Iterable[str], condition: Condition) -> list[str]:
    """So that of two channels that share an endpoint neither starves."""

    def waiting(name: str) -> tuple[float, str]:
        return (condition.gathering[name].at if name in condition.gathering else float("inf")), name

    return sorted(channels, key=waiting)


def _rank(want: Want) -> tuple[float, ...]:
    return want.rank
