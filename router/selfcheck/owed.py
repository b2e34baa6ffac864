"""What each channel has yet to be sent: for a channel that is to be removed from the configuration.

A channel that is removed gets no more messages. People who wait there for the end of an incident are never told.
So a deployment invokes the function with the event `Router Owed` before it replaces the configuration.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from router.history.store import History
from router.incident.state import SubjectState

_FAR = 366 * 86400.0  # seconds: everything that is due at all


class Owed(NamedTuple):
    """What a channel has yet to be sent of one incident.

    Attributes:
        due: a message about the incident is due; otherwise the channel only has to be told of the end, later.
    """

    channel: str
    incident: str
    due: bool


def owed(history: History, now: float) -> Iterator[Owed]:
    """Each channel and incident of which the channel has yet to be sent something."""
    for state in _states(history, now):
        incident = state.incident
        if incident is None:
            continue
        for channel, entry in state.outbox.items():
            if entry.due_at is not None or entry.is_behind or (entry.knows_incident and not incident.over):
                yield Owed(channel, incident.id, entry.is_behind or bool(entry.suppressed))


def _states(history: History, now: float) -> Iterable[SubjectState]:
    keys = [(item["pk"], item["sk"]) for item in history.open_incidents(now)]
    states = {state.subject: state for state in history.load(keys, now)} if keys else {}
    return {**states, **{state.subject: state for state in history.due(now + _FAR)}}.values()


def totals(all_owed: Iterable[Owed]) -> Mapping[str, dict[str, Any]]:
    """By channel: of how many incidents a message is `due`, and of how many only the end (`open_incidents`)."""
    by_channel: dict[str, dict[str, Any]] = {}
    for entry in all_owed:
        total = by_channel.setdefault(entry.channel, {"due": 0, "open_incidents": 0})
        total["due" if entry.due else "open_incidents"] += 1
    return by_channel
