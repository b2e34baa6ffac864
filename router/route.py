"""Route: where an alert goes. The first route that matches is taken, and those after it while they say `continue`."""

from collections.abc import Sequence

from router.config.match import facts_of, matches
from router.config.settings import Route
from router.model import Alert


def route(alert: Alert, routes: Sequence[Route], time_zone: str = "UTC") -> tuple[Route, ...]:
    """The routes that an alert takes, in their order; may be none.

    Args:
        time_zone: for the hours of routes that name no time zone themselves.
    """
    facts = facts_of(alert) if any(candidate.match for candidate in routes) else {}
    taken: list[Route] = []
    for candidate in routes:
        if not (matches(candidate.match, facts) and alert.severity.at_least(candidate.severity)):
            continue
        zone = candidate.time_zone or time_zone
        if not candidate.hours or any(hours.contain(alert.at, zone) for hours in candidate.hours):
            taken.append(candidate)
            if not candidate.continues:
                break
    return tuple(taken)
