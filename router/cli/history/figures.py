"""The numbers of a report, added up while the alerts are read."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from router.cli.history.top import Tallies, count
from router.history.items import SEVERITY, iso, seconds
from router.history.store import History
from router.history.table import Item
from router.incident.state import SubjectState
from router.model import Incident, IncidentStatus, Outcome, Severity

DRAWN = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)
"""Severities over time; info would dwarf them."""
RECOVERY_STEPS = (60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Upper ends of the classes of times to recover, in seconds; there is one more, open above."""
MOST_BUCKETS = 62
_STEPS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7), timedelta(days=28))
_AT_ONCE = 10  # requests


@dataclass
class Channel:
    """What came of the attempts on one channel.

    Attributes:
        trouble: the newest attempts that failed or are to be tried again, newest first.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    trouble: list[Item] = field(default_factory=list)

    @property
    def reliability(self) -> float:
        """The share of attempts that succeeded, 0 to 1."""
        return self.outcomes[Outcome.SENT] / max(self.outcomes.total(), 1)


@dataclass
class Figures:
    """Everything that a report shows.

    Attributes:
        since, until: event times, in seconds. zone: in which days begin.
        buckets: local beginning of each stretch of time, the oldest first. over_time: alerts in each, by severity.
        incidents: with their deliveries, the newest first. incomplete: how many more there were that have expired.
    """

    since: float
    until: float
    zone: tzinfo | None
    buckets: list[datetime]
    step: timedelta
    over_time: dict[Severity, list[int]]
    severities: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    tops: dict[str, Tallies] = field(default_factory=dict)
    incidents: list[tuple[Incident, tuple[Item, ...]]] = field(default_factory=list)
    expired: int = 0
    channels: dict[str, Channel] = field(default_factory=dict)

    @property
    def still_open(self) -> list[Incident]:
        return [incident for incident, _ in self.incidents if not incident.over]

    @property
    def recoveries(self) -> list[float]:
        """Seconds from the first alert to the recovery, of the incidents that recovered."""
        return [
            incident.ended_at - incident.opened_at
            for incident, _ in self.incidents
            if incident.status is IncidentStatus.RESOLVED and incident.ended_at is not None
        ]

    @property
    def median_recovery(self) -> float | None:
        return statistics.median(self.recoveries) if self.recoveries else None

    @property
    def recovery_classes(self) -> list[int]:
        """How many recoveries there are in each of the classes of `RECOVERY_STEPS`."""
        counts = [0] * (len(RECOVERY_STEPS) + 1)
        for seconds_ in self.recoveries:
            counts[sum(seconds_ > step for step in RECOVERY_STEPS)] += 1
        return counts

    @property
    def told(self) -> int:
        """Messages that a channel took."""
        return sum(channel.outcomes[Outcome.SENT] for channel in self.channels.values())


def figures(since: float, until: float, zone: tzinfo | None) -> Figures:
    """None yet: the stretches of time alone."""
    step = next((each for each in _STEPS if (until - since) / each.total_seconds() < MOST_BUCKETS), _STEPS[-1])
    first = datetime.fromtimestamp(since, zone).astimezone(zone)
    first = first.replace(minute=0, second=0, microsecond=0)
    if step >= timedelta(days=1):
        first = first.replace(hour=0)
    buckets = [first]
    while (following := buckets[-1] + step).timestamp() < until:
        buckets.append(following)
    return Figures(since, until, zone, buckets, step, {severity: [0] * len(buckets) for severity in DRAWN})


def add_alerts(made: Figures, alerts: Iterable[Item], watch: Callable[[Item], None]) -> set[str]:
    """Counts the alerts, newest first, one by one; gives the ids of the incidents that they count in."""
    incidents: set[str] = set()

    def passed() -> Iterable[Item]:
        for alert in alerts:
            watch(alert)
            incidents.update({alert["incident"]} - {""})
            _add(made, alert)
            if Severity(SEVERITY.or_default(alert["severity"])).at_least(Severity.WARNING):
                yield alert

    made.tops = count(passed(), ("service", "cause"))
    return incidents


def _add(made: Figures, alert: Item) -> None:
    made.severities[alert["severity"]] += 1
    made.decisions[alert["decision"]] += 1
    if alert["severity"] in DRAWN:
        passed = seconds(alert["at"]) - made.buckets[0].timestamp()
        place = min(len(made.buckets) - 1, max(0, int(passed / made.step.total_seconds())))
        made.over_time[Severity(SEVERITY.or_default(alert["severity"]))][place] += 1


def add_incidents(made: Figures, history: History, ids: Iterable[str], now: float) -> None:
    """Reads the incidents and what was delivered of them."""
    wanted = sorted(ids)
    found = history.incidents(wanted, now)
    made.expired = len(wanted) - len(found)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        deliveries = dict(zip(found, pool.map(lambda each: history.deliveries(each, now), found), strict=True))
    made.incidents = _newest_first(found, deliveries)
    first, last = iso(made.since), iso(max(made.until, now))
    for each in sorted((each for some in deliveries.values() for each in some), key=lambda each: str(each["at"])):
        if first <= each["at"] <= last:
            channel = made.channels.setdefault(each["channel"], Channel())
            channel.outcomes[each["outcome"]] += 1
            if each["outcome"] != Outcome.SENT:
                channel.trouble.insert(0, each)


def _newest_first(
    found: Mapping[str, SubjectState], deliveries: Mapping[str, Sequence[Item]]
) -> list[tuple[Incident, tuple[Item, ...]]]:
    pairs = [(each.incident, tuple(deliveries[id_])) for id_, each in found.items() if each.incident]
    return sorted(pairs, key=lambda pair: pair[0].opened_at, reverse=True)
