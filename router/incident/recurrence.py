"""How often each cause occurred in the last week, and which deployments began. Pure functions.

This is part of the subject's state, so a message that mentions it needs no query to history.
"""

import math
from collections.abc import Sequence

from router.incident.state import SubjectState
from router.model import Alert, Recurrence

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY
CAUSES_REMEMBERED = 4
DEPLOYMENTS_REMEMBERED = 5
DEPLOYMENT_STARTED = "deployment_in_progress"

Times = Sequence[tuple[float, int]]
"""Periods of one hour, or of one day once they are a day old: the event time of the newest alert, and the count."""


def recurrence_of(state: SubjectState, alert: Alert) -> Recurrence:
    """What happened before an alert that is not counted yet. The alert's own hour counts as a whole."""
    times = [
        (min(at, alert.at), count)
        for at, count in state.occurrences.get(alert.cause, ())
        if at >= alert.at - WEEK and at // HOUR * HOUR <= alert.at
    ]
    # The deployment that started the task; for an alert that is not about a task, the newest one.
    deployments = {id_: at for id_, at in state.deployments.items() if alert.at - WEEK <= at <= alert.at}
    newest = max(deployments.values(), default=None)
    return Recurrence(
        last_day=sum(count for at, count in times if at >= alert.at - DAY),
        last_week=sum(count for _, count in times),
        previous=max((at for at, _ in times), default=None),
        deployed_at=deployments.get(alert.deployment) if alert.task else newest,
    )


def count_occurrence(state: SubjectState, alert: Alert) -> SubjectState:
    """Counts an alert. Drops what is older than a week, and the causes that occurred longest ago if there are many."""
    times = [*state.occurrences.get(alert.cause, ()), (float(math.floor(alert.at)), 1)]
    newest = max(at for at, _ in times)
    periods: dict[tuple[float, float], tuple[float, int]] = {}
    for at, count in sorted(times):
        if newest - at <= WEEK:
            length = HOUR if newest - at <= DAY else DAY
            period = (length, at // length)
            latest, total = periods.get(period, (at, 0))
            periods[period] = (max(latest, at), total + count)
    others = [(cause, kept) for cause, kept in state.occurrences.items() if cause != alert.cause]
    recent = others[-(CAUSES_REMEMBERED - 1) :]
    return state._replace(occurrences=dict([*recent, (alert.cause, tuple(periods.values()))]))


def record_deployment(state: SubjectState, alert: Alert) -> SubjectState:
    """Records when a deployment began, if the alert says so."""
    if alert.cause != DEPLOYMENT_STARTED or not alert.deployment:
        return state
    began = min(alert.at, state.deployments.get(alert.deployment, alert.at))
    deployments = sorted({**state.deployments, alert.deployment: began}.items(), key=lambda item: item[1])
    return state._replace(deployments=dict(deployments[-DEPLOYMENTS_REMEMBERED:]))
