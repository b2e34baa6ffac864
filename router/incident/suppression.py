"""Alarms whose actions CloudWatch suppresses: by a mute rule, or by the suppressor of a composite alarm.

The owner of such an alarm wants silence, so it opens no incident yet. If it does not recover, it opens one at the end
of the mute window, or with the next ALARM that CloudWatch does not suppress, whichever comes first. CloudWatch sends no
event at the end of a mute window, so the state keeps the alert until then.

Pure functions. Times are clock times: a mute window ends by the clock.
"""

from collections.abc import Mapping, Sequence

from router.incident.recurrence import recurrence_of
from router.incident.state import MutedAlert, RouteTarget, SubjectState
from router.model import Alert


def suppressed_by(alert: Alert, now: float) -> Mapping[str, str]:
    """Name and reason of what suppresses the alarm's actions, as for a silence; empty if nothing does any more."""
    alarm = alert.alarm
    if alarm is None or not alarm.suppressed_by:
        return {}
    if alarm.suppressed_until is not None and alarm.suppressed_until <= now:
        return {}
    return {alarm.suppressed_by: alarm.suppressed_reason}


def keep_muted(state: SubjectState, alert: Alert, targets: Sequence[RouteTarget], now: float) -> SubjectState:
    """The state of a silenced alarm: it keeps the alert for the end of CloudWatch's mute window, if one is active."""
    if state.muted and state.muted.alert.at > alert.at:
        return state
    until = alert.alarm.suppressed_until if alert.alarm else None
    if until is None or until <= now:
        return state._replace(muted=None)
    return state._replace(muted=MutedAlert(until, alert, tuple(targets), recurrence_of(state, alert)))


def forget_muted(state: SubjectState, until: float) -> SubjectState:
    """The state without the muted alert, if that is not newer than event time `until`: it is over, or announced."""
    muted = state.muted
    return state._replace(muted=None) if muted and muted.alert.at <= until else state
