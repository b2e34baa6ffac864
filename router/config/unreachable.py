"""Which routes and rules are never reached, because earlier ones take all of their alerts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from router.config.globs import WILDCARDS, compiled
from router.config.match import Match, accepts_all, split
from router.model import Severity

_SINGLE = frozenset(
    {"account", "alarm", "cause", "cluster", "detail_type", "event_name", "family", "region", "service", "severity"}
    | {"stop_code", "subject", "task", "task_definition"}
)
"""The facts of which an alert has at most one value."""


class Taker(NamedTuple):
    """A route or rule, as far as it decides what later ones get.

    Attributes:
        place: `routes[1]`.
        severities: those that it takes.
        takes: it leaves nothing of what it matches to later ones.
        is_known: nothing is wrong with it; otherwise it is not known what it is meant to take.
    """

    place: str
    match: Match
    severities: frozenset[Severity]
    takes: bool = True
    is_known: bool = True


def unreachable(takers: Sequence[Taker]) -> Iterator[tuple[str, list[str]]]:
    """The places that get nothing, each with the places that take all of it."""
    known = [taker for taker in takers if taker.is_known]
    for at, later in enumerate(known):
        left, by = later.severities, []
        for earlier in known[:at]:
            if earlier.takes and earlier.severities & left and covers(earlier.match, later.match):
                left -= earlier.severities
                by.append(earlier.place)
        if later.severities and not left:
            yield later.place, by


def covers(wide: Match, narrow: Match) -> bool:
    """Whether every alert that `narrow` matches is matched by `wide`. False if that is not certain.

    The severities are not compared: `Taker` has them.
    """
    return all(
        fact == "severity" or (fact == "cluster" and accepts_all(globs)) or _covers(globs, narrow.get(fact, ()), fact)
        for fact, globs in wide.items()
    )


def _covers(wide: tuple[str, ...], narrow: tuple[str, ...], fact: str) -> bool:
    if not narrow or (fact == "cluster" and accepts_all(narrow)):  # of alerts that lack the fact, too
        return False
    (wanted, refused), (own, excluded) = split(wide), split(narrow)
    if wanted and not all(_any_includes(wanted, glob) for glob in own or ("*",)):
        return False
    return all(_any_includes(excluded, glob) or _is_apart(glob, own, fact) for glob in refused)


def _is_apart(refused: str, own: tuple[str, ...], fact: str) -> bool:
    """Whether no value that one of the literals `own` matches is refused."""
    is_literal = bool(own) and not any(wildcard in glob for glob in own for wildcard in WILDCARDS)
    return fact in _SINGLE and is_literal and not any(compiled((refused,))(glob.lower()) for glob in own)


def _any_includes(wide: Iterable[str], narrow: str) -> bool:
    return any(_includes(glob.lower(), narrow.lower()) for glob in wide)


def _includes(wide: str, narrow: str) -> bool:
    """Whether every value that `narrow` matches is matched by `wide`; False if that is not certain."""
    if wide == narrow or not wide.strip("*"):
        return True
    if not any(wildcard in narrow for wildcard in WILDCARDS):
        return bool(compiled((wide,))(narrow))
    prefix = wide[:-1]
    return wide.endswith("*") and not any(wildcard in prefix for wildcard in WILDCARDS) and narrow.startswith(prefix)
