"""The alerts that a subject's state has applied lately, so that none of them is applied twice. Pure functions.

A state is written before the rows of its alerts. If the process dies in between, the event is received again while its
row is missing. The state then says what was decided.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from types import MappingProxyType

from router.incident.state import RecentAlert, SubjectState
from router.model import Alert, Decision

REMEMBERED = 32
"""How many of these a state remembers. If a process dies between the two writes, and more alerts than that follow
before the event is received again, the incident counts one alert twice."""
_NOBODY: Mapping[str, str] = MappingProxyType({})


def recent_id(id_: str) -> str:
    """48 bits of a hash, in eight characters."""
    return urlsafe_b64encode(hashlib.blake2b(id_.encode(), digest_size=6).digest()).decode()


def find_recent(state: SubjectState, id_: str) -> RecentAlert | None:
    """What was decided about the alert of that id, or of the event of that id; None if it is not remembered.

    Events are remembered only if the state made another alert of them: see `with_changed_id`.
    """
    return state.recent.get(recent_id(id_)) if state.recent else None


def with_recent(
    state: SubjectState, alert: Alert, decision: Decision, incident: int, silenced_by: Mapping[str, str] = _NOBODY
) -> SubjectState:
    """The state that remembers this decision, and forgets the oldest beyond `REMEMBERED`.

    Args:
        incident: number of the incident that the alert's row names; 0 for none.
        silenced_by: id and reason of the silence that the row names.
    """
    entry = RecentAlert(decision, alert.severity, alert.cause, incident, silenced_by=silenced_by)
    return _with_entry(state, alert.id, entry)


def with_changed_id(state: SubjectState, event_id: str, alert: Alert) -> SubjectState:
    """The state, which now remembers the row of an event whose alert it gave another id.

    Otherwise, if the event were received again, the changed state would give its alert yet another id.
    """
    entry = find_recent(state, alert.id)
    return _with_entry(state, event_id, entry._replace(alert_id=alert.id, ended=alert.ended)) if entry else state


def with_decision(state: SubjectState, alert_id: str, decision: Decision) -> SubjectState:
    """The state with another decision about an alert that it remembers."""
    entry = find_recent(state, alert_id)
    if entry is None or entry.decision is decision:
        return state
    return state._replace(recent={**state.recent, recent_id(alert_id): entry._replace(decision=decision)})


def _with_entry(state: SubjectState, id_: str, entry: RecentAlert) -> SubjectState:
    key = recent_id(id_)
    entries = [*((other, known) for other, known in state.recent.items() if other != key), (key, entry)]
    return state._replace(recent=dict(entries[-REMEMBERED:]))
