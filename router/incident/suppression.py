"""Silences: alerts that a silence, a maintenance window or CloudWatch itself holds back. Pure functions.

CloudWatch suppresses the actions of an alarm by a mute rule, or by the suppressor of a composite alarm.

A silenced alert sends no message now. If the problem that it reports continues when the silence ends, its incident
opens then: the state keeps the alert until the silence or its condition has ended. A crash is over when the
silence ends; only a condition lasts (`router.incident.recovery`).

Times are clock times: silences end by the clock.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from router.incident.recurrence import recurrence_of
from router.incident.state import MutedAlert, RouteTarget, SubjectState
from router.model import Alert


class Suppression(NamedTuple):
    """What holds an alert back; falsy if nothing does.

    Attributes:
        by: id to reason of the silence, or name and reason of what CloudWatch suppresses the alarm by.
        until: clock time at which to check whether it still does; None if only another event tells.
    """

    by: Mapping[str, str] = MappingProxyType({})
    until: float | None = None

    def __bool__(self) -> bool:
        return bool(self.by)


NOT_SUPPRESSED = Suppression()


def suppressed_by(alert: Alert, now: float) -> Suppression:
    """The mute rule or suppressor alarm by which CloudWatch suppresses the alarm's actions, if it still does."""
    alarm = alert.alarm
    if alarm is None or not alarm.suppressed_by:
        return NOT_SUPPRESSED
    if alarm.suppressed_until is not None and alarm.suppressed_until <= now:
        return NOT_SUPPRESSED
    return Suppression({alarm.suppressed_by: alarm.suppressed_reason}, alarm.suppressed_until)


def keep_muted(state: SubjectState, alert: Alert, targets: Sequence[RouteTarget], until: float | None) -> SubjectState:
    """The state of a silenced subject: it keeps its newest alert for the end of the silence, if that is known.

    What earlier alerts reported counts as well: the newest may end before them.
    """
    conditions = tuple(begun.key for begun in alert.effects.begins if begun.key in state.conditions)
    if not conditions:
        return state
    before = state.muted
    earlier = tuple(key for key in before.conditions if key in state.conditions) if before else ()
    conditions = tuple(dict.fromkeys((*earlier, *conditions)))
    if before and before.alert.at > alert.at:
        return state._replace(muted=before._replace(conditions=conditions))
    if until is None:
        return state._replace(muted=None)
    return state._replace(muted=MutedAlert(until, alert, tuple(targets), recurrence_of(state, alert), conditions))


def forget_muted(state: SubjectState, until: float) -> SubjectState:
    """The state without the muted alert, if that is not newer than event time `until`: it is over, or announced."""
    muted = state.muted
    return state._replace(muted=None) if muted and muted.alert.at <= until else state


def extend_mute(state: SubjectState, until: float) -> SubjectState:
    """The state whose muted alert is still silenced, to be checked again at clock time `until`."""
    return state._replace(muted=state.muted._replace(until=until)) if state.muted else state
