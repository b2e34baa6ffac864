"""What is expected, and what the tick remembers between two polls, in one item of the table for each kind.

Data only; `router.history.items` stores it.
"""

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
    """How far the poll of all services has got. One round goes through all clusters; it may take several ticks.

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


class Schedule(NamedTuple):
    """When a run is due; one of `period`, `cron` and `at` is given. `router.poll.schedule` makes and evaluates it.

    Attributes:
        text: as the configuration has it.
        time_zone: IANA name.
        period: seconds between two runs; 0.0 if it has no period.
        cron: the five or six fields, or "".
        at: the clock time of the only run, or None.
    """

    text: str
    time_zone: str = "UTC"
    period: float = 0.0
    cron: str = ""
    at: float | None = None


class Expectation(NamedTuple):
    """`[[expect]]`: a task family of which runs are expected.

    Attributes:
        cluster: its name.
        grace: seconds after a due time, in which a start counts as in time.
        max_runtime: seconds that a run may take; 0.0 for any time.
    """

    name: str
    family: str
    cluster: str
    schedule: Schedule
    grace: float = 900.0
    max_runtime: float = 0.0


class RunWatch(NamedTuple):
    """What is known of the runs of one expectation.

    Attributes:
        schedule: what is expected: cluster, family, schedule and time zone; anything else begins anew.
        since: clock time of the first tick that saw it.
        due_at: clock time at which the next run is due; None if none is due any more.
        started_at: when the newest known run started; 0.0 if none is known.
        wait_until: clock time before which nothing is judged, because the router was away, or ECS did not answer.
        running: the runs that are watched for `max_runtime`: task id to the time at which it started.
        late: ids of those that have been reported.
    """

    schedule: str
    since: float
    due_at: float | None = None
    started_at: float = 0.0
    wait_until: float = 0.0
    running: Mapping[str, float] = MappingProxyType({})
    late: tuple[str, ...] = ()


class RunPoll(NamedTuple):
    """What is known of all expectations, by their names.

    Attributes:
        version, unknown: as in `ServicePoll`.
    """

    version: int = 0
    watches: Mapping[str, RunWatch] = MappingProxyType({})
    unknown: Mapping[str, Any] = MappingProxyType({})
