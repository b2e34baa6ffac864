"""The numbers of a report, summed up while the alerts are read."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import chain

from router.cli.history.top import Tallies, count
from router.history.items import SEVERITY, iso, seconds
from router.history.store import History
from router.history.table import Item
from router.incident.state import SubjectState
from router.model import Incident, IncidentStatus, Outcome, Severity

DRAWN = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)
"""The severities shown over time; info is left out since its counts would dwarf the others."""
RECOVERY_STEPS = (60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Upper bounds, in seconds, of the recovery-time classes; one more class has no upper bound."""
MAX_BUCKETS = 62
_STEPS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7), timedelta(days=28))
_PARALLEL = 10  # requests


@dataclass
class Channel:
    """The outcomes of the delivery attempts on one channel.

    Attributes:
        trouble: the attempts that failed or will be retried, newest first.
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
        since, until: event times, in seconds.
        zone: time zone for the start of days.
        buckets: local start of each bucket, oldest first.
        over_time: alerts in each bucket, by severity.
        incidents: incidents with their deliveries, newest first.
        expired: number of further incidents that have expired.
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
        """Seconds from the first alert to the recovery, for each resolved incident."""
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
        """The number of recoveries in each class of `RECOVERY_STEPS`."""
        counts = [0] * (len(RECOVERY_STEPS) + 1)
        for duration in self.recoveries:
            counts[sum(duration > step for step in RECOVERY_STEPS)] += 1
        return counts

    @property
    def messages_sent(self) -> int:
        """Messages that a channel accepted."""
        return sum(channel.outcomes[Outcome.SENT] for channel in self.channels.values())


def figures(since: float, until: float, zone: tzinfo | None) -> Figures:
    """Empty figures, with at most `MAX_BUCKETS` buckets of a suitable length."""
    step = next((step for step in _STEPS if (until - since) / step.total_seconds() < MAX_BUCKETS), _STEPS[-1])
    first = datetime.fromtimestamp(since, zone).astimezone(zone)
    first = first.replace(minute=0, second=0, microsecond=0)
    if step >= timedelta(days=1):
        first = first.replace(hour=0)
    buckets = [first]
    while (following := buckets[-1] + step).timestamp() < until:
        buckets.append(following)
    return Figures(since, until, zone, buckets, step, {severity: [0] * len(buckets) for severity in DRAWN})


def add_alerts(total: Figures, alerts: Iterable[Item], watch: Callable[[Item], None]) -> set[str]:
    """Adds the alerts, newest first, and calls `watch` for each. Returns the ids of their incidents."""
    incidents: set[str] = set()

    def problems() -> Iterable[Item]:
        for alert in alerts:
            watch(alert)
            incidents.update({alert["incident"]} - {""})
            _add(total, alert)
            if Severity(SEVERITY.or_default(alert["severity"])).at_least(Severity.WARNING):
                yield alert

    total.tops = count(problems(), ("service", "cause"))
    return incidents


def _add(total: Figures, alert: Item) -> None:
    total.severities[alert["severity"]] += 1
    total.decisions[alert["decision"]] += 1
    if alert["severity"] in DRAWN:
        elapsed = seconds(alert["at"]) - total.buckets[0].timestamp()
        bucket = min(len(total.buckets) - 1, max(0, int(elapsed / total.step.total_seconds())))
        total.over_time[Severity(SEVERITY.or_default(alert["severity"]))][bucket] += 1


def add_incidents(total: Figures, history: History, ids: Iterable[str], now: float) -> None:
    """Reads and adds the incidents with these ids, and their deliveries."""
    wanted = sorted(ids)
    states = history.incidents(wanted, now)
    total.expired = len(wanted) - len(states)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        deliveries = dict(zip(states, pool.map(lambda id_: history.deliveries(id_, now), states), strict=True))
    total.incidents = _newest_first(states, deliveries)
    first, last = iso(total.since), iso(max(total.until, now))
    for delivery in sorted(chain.from_iterable(deliveries.values()), key=lambda delivery: str(delivery["at"])):
        if first <= delivery["at"] <= last:
            channel = total.channels.setdefault(delivery["channel"], Channel())
            channel.outcomes[delivery["outcome"]] += 1
            if delivery["outcome"] != Outcome.SENT:
                channel.trouble.insert(0, delivery)


def _newest_first(
    states: Mapping[str, SubjectState], deliveries: Mapping[str, Sequence[Item]]
) -> list[tuple[Incident, tuple[Item, ...]]]:
    pairs = [(state.incident, tuple(deliveries[id_])) for id_, state in states.items() if state.incident]
    return sorted(pairs, key=lambda pair: pair[0].opened_at, reverse=True)
