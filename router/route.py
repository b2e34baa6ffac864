"""Route: where an alert goes. The first route that matches decides, unless it says `continue`."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from router.config import Route
from router.model import Alert


def route(alert: Alert, routes: Sequence[Route], time_zone: str = "UTC") -> tuple[Route, ...]:
    """The routes that it takes, in their order; none where none matches.

    Args:
        time_zone: of the hours of routes that name no zone themselves.
    """
    taken: list[Route] = []
    for each in routes:
        if _matches(each, alert, each.time_zone or time_zone):
            taken.append(each)
            if not each.proceed:
                break
    return tuple(taken)


def _matches(route: Route, alert: Alert, time_zone: str) -> bool:
    subject = alert.subject
    kind, _, name = subject.name.partition(":")
    names = {"service": route.services, "family": route.families}
    facts = (
        (subject.cluster, route.clusters),
        (alert.cause, route.causes),
        (subject.account, route.accounts),
        (subject.region, route.regions),
    )
    return (
        alert.severity.at_least(route.severity)
        and all(_any(globs, value) for value, globs in facts)
        and (not route.hours or any(hours.hold(alert.at, time_zone) for hours in route.hours))
        and (not any(names.values()) or (bool(names.get(kind)) and _any(names[kind], name)))
    )


def _any(globs: Sequence[str], value: str) -> bool:
    return not globs or any(fnmatchcase(value.lower(), glob.lower()) for glob in globs)
