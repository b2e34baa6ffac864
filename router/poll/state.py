"""What the tick remembers between two polls: one item of the table. Data only; `router.history.items` stores it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Shortfall(NamedTuple):
    """A service that runs fewer tasks than desired.

    Attributes:
        cluster: the ARN of its cluster.
        since: clock time of the first poll that saw it, with nothing else seen in between.
        reported: the state that was last reported, or "" if none was. reported_at: clock time of that.
    """

    cluster: str
    since: float
    reported: str = ""
    reported_at: float = 0.0


class ServicePoll(NamedTuple):
    """How far the poll of all services has come. One round goes through all clusters; it may take several ticks.

    There is no list of all services: listing 100 takes one call and describing them ten, so each round lists anew, and
    the item stays small.

    Attributes:
        version: of the stored item; 0 if there is none yet.
        started_at: clock time at which the latest round began.
        clusters: names of the clusters that this round has yet to finish, the current one first; empty between rounds.
        token: of the current cluster's next page of services: "" for the first, None after the last.
        services: ARNs of the page's services that have yet to be described.
        unseen: ARNs of the services in `shortfalls` that this round has not come to yet.
        complete: nothing had to be left out in this round.
        shortfalls: by the ARN of the service.
        unknown: what a newer version stored, to be written back; only `router.history` reads it.
    """

    version: int = 0
    started_at: float = 0.0
    clusters: tuple[str, ...] = ()
    token: str | None = ""
    services: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    complete: bool = True
    shortfalls: Mapping[str, Shortfall] = MappingProxyType({})
    unknown: Mapping[str, Any] = MappingProxyType({})
