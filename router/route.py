"""Route: where an alert goes. The first route that matches is taken, and those after it while they say `continue`."""

from collections.abc import Sequence
from typing import NamedTuple

from router.config.globs import compiled
from router.config.settings import Route
from router.model import Alert, SubjectKind


def route(alert: Alert, routes: Sequence[Route], time_zone: str = "UTC") -> tuple[Route, ...]:
    """The routes that an alert takes, in their order; may be none.

    Args:
        time_zone: for the hours of routes that name no time zone themselves.
    """
    facts = _facts(alert)
    taken: list[Route] = []
    for candidate in routes:
        if not _matches(candidate, alert, facts):
            continue
        zone = candidate.time_zone or time_zone
        if not candidate.hours or any(hours.contain(alert.at, zone) for hours in candidate.hours):
            taken.append(candidate)
            if not candidate.continues:
                break
    return tuple(taken)


class _Facts(NamedTuple):
    """What globs are matched against, in lower case. `kind` and `name` are the two parts of the subject's name."""

    cluster: str
    cause: str
    account: str
    region: str
    name: str
    kind: SubjectKind


def _facts(alert: Alert) -> _Facts:
    subject = alert.subject
    return _Facts(
        cluster=subject.cluster.lower(),
        cause=alert.cause.lower(),
        account=subject.account.lower(),
        region=subject.region.lower(),
        name=subject.name.lower(),
        kind=subject.kind,
    )


def _matches(route: Route, alert: Alert, facts: _Facts) -> bool:
    return bool(
        (not route.clusters or compiled(route.clusters)(facts.cluster))
        and (not route.causes or compiled(route.causes)(facts.cause))
        and (not route.accounts or compiled(route.accounts)(facts.account))
        and (not route.regions or compiled(route.regions)(facts.region))
        and (not (route.services or route.families) or _is_named(route, facts))
        and alert.severity.at_least(route.severity)
    )


def _is_named(route: Route, facts: _Facts) -> bool:
    globs = {SubjectKind.SERVICE: route.services, SubjectKind.FAMILY: route.families}.get(facts.kind, ())
    return bool(compiled(globs)(facts.name))
