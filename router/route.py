"""Route: which channels an alert goes to. The first route that matches decides, unless it says `continue`."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from router.config import Route
from router.model import Alert


def route(alert: Alert, routes: Sequence[Route]) -> tuple[str, ...]:
    """Names of the channels, in the order of the routes; empty where none matches."""
    channels: dict[str, None] = {}
    for each in routes:
        if _matches(each, alert):
            channels |= dict.fromkeys(each.channels)
            if not each.proceed:
                break
    return tuple(channels)


def _matches(route: Route, alert: Alert) -> bool:
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
        and (not any(names.values()) or (bool(names.get(kind)) and _any(names[kind], name)))
    )


def _any(globs: Sequence[str], value: str) -> bool:
    return not globs or any(fnmatchcase(value.lower(), glob.lower()) for glob in globs)
