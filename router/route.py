"""Route: where an alert goes. The first route that matches decides, unless it says `continue`."""

from collections.abc import Sequence
from typing import NamedTuple

from router.config.globs import compiled
from router.config.settings import Route
from router.model import Alert


def route(alert: Alert, routes: Sequence[Route], time_zone: str = "UTC") -> tuple[Route, ...]:
    """The routes that it takes, in their order; none where none matches.

    Args:
        time_zone: of the hours of routes that name no zone themselves.
    """
    facts = _facts(alert)
    taken: list[Route] = []
    for each in routes:
        if _matches(each, alert, facts) and _in_hours(each, alert, each.time_zone or time_zone):
            taken.append(each)
            if not each.continues:
                break
    return tuple(taken)


class _Facts(NamedTuple):
    """What globs are held against, in lower case. `kind` is the subject's, and `name` what follows it."""

    cluster: str
    cause: str
    account: str
    region: str
    kind: str
    name: str


def _facts(alert: Alert) -> _Facts:
    subject = alert.subject
    kind, _, name = subject.name.partition(":")
    names = (subject.cluster, alert.cause, subject.account, subject.region, kind, name)
    return _Facts(*(each.lower() for each in names))


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
    globs = {"service": route.services, "family": route.families}.get(facts.kind, ())
    return bool(compiled(globs)(facts.name))


def _in_hours(route: Route, alert: Alert, time_zone: str) -> bool:
    return not route.hours or any(hours.contain(alert.at, time_zone) for hours in route.hours)
