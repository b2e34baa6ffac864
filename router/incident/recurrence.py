"""What is remembered of a subject beside its incident: how often each cause came, and which deployments began.

It is kept with how things stand, so that a message which tells of it costs no question to history. Pure.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from router.incident.state import SubjectState
from router.model import Alert, Recurrence

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY
CAUSES_REMEMBERED = 4
DEPLOYMENTS_REMEMBERED = 5
DEPLOYMENT_STARTED = "deployment_in_progress"

Times = Sequence[tuple[float, int]]
"""Event time of the newest alert of a while, and how many there were in it: an hour, after a day a whole day."""


def recurrence_of(state: SubjectState, alert: Alert) -> Recurrence:
    """What was before an alert that is not counted yet. An hour that has begun before it counts whole."""
    times = [
        (min(at, alert.at), count)
        for at, count in state.occurrences.get(alert.cause, ())
        if at >= alert.at - WEEK and at // HOUR * HOUR <= alert.at
    ]
    return Recurrence(
        last_day=sum(count for at, count in times if at >= alert.at - DAY),
        last_week=sum(count for _, count in times),
        previous=max((at for at, _ in times), default=None),
        deployed_at=_deployed_at(state.deployments, alert),
    )


def _deployed_at(deployments: Mapping[str, float], alert: Alert) -> float | None:
    """When the deployment began that started the task; of what is not about a task, the newest deployment.

    One that is older than a week has nothing to do with it: what is remembered goes no further back.
    """
    begun = {id_: at for id_, at in deployments.items() if alert.at - WEEK <= at <= alert.at}
    return begun.get(alert.deployment) if alert.task else max(begun.values(), default=None)


def count_occurrence(state: SubjectState, alert: Alert) -> SubjectState:
    """Counts an alert. Rare causes are forgotten where there are many, and what is older than a week."""
    counted = [*state.occurrences.get(alert.cause, ()), (float(math.floor(alert.at)), 1)]
    others = {cause: times for cause, times in state.occurrences.items() if cause != alert.cause}
    kept = list(others.items())[-(CAUSES_REMEMBERED - 1) :]
    return state._replace(occurrences=dict([*kept, (alert.cause, tuple(_by_while(counted)))]))


def _by_while(times: Times) -> Iterable[tuple[float, int]]:
    newest = max(at for at, _ in times)
    whiles: dict[tuple[float, int], tuple[float, int]] = {}
    for at, count in sorted(times):
        if newest - at <= WEEK:
            length = HOUR if newest - at <= DAY else DAY
            before = whiles.get(key := (length, int(at // length)), (at, 0))
            whiles[key] = (max(before[0], at), before[1] + count)
    return whiles.values()


def record_deployment(state: SubjectState, alert: Alert) -> SubjectState:
    """Remembers when a deployment began, if the alert says so."""
    if alert.cause != DEPLOYMENT_STARTED or not alert.deployment:
        return state
    began = min(alert.at, state.deployments.get(alert.deployment, alert.at))
    newest = sorted({**state.deployments, alert.deployment: began}.items(), key=lambda each: each[1])
    return state._replace(deployments=dict(newest[-DEPLOYMENTS_REMEMBERED:]))
