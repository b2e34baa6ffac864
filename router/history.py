"""The history table in the words of the router: what is committed together, and the questions it answers.

Nothing here decides anything. The items themselves are in `router.items`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from router.condition import Condition
from router.incidents import Delivery, Standing
from router.items import (
    CONDITION_KEY,
    SHARDS,
    SILENCES,
    Row,
    condition_item,
    delivery_item,
    iso,
    row_item,
    row_key,
    silence_item,
    standing_item,
    standing_key,
    to_condition,
    to_silence,
    to_standing,
)
from router.model import Severity, Subject
from router.silences import Silence
from router.table import Item, Key, Put, Query, Table


class Change(NamedTuple):
    """What is written of one subject, together or not at all."""

    rows: Sequence[Row] = ()
    standing: Standing | None = None
    deliveries: Sequence[Delivery] = ()

    @property
    def size(self) -> int:
        """Items that it writes."""
        standing = self.standing
        return len(self.rows) + (1 + bool(standing.replaced) + len(self.deliveries) if standing else 0)


@dataclass(frozen=True, slots=True)
class AlertsWanted:
    """Which alerts are asked for, newest first.

    Attributes:
        since, until: event times, in seconds.
        subject: `service:web`; the narrowest question. cluster: its name. severity: one of the four.
            What is empty does not narrow.
    """

    since: float
    until: float
    limit: int = 50
    subject: str = ""
    cluster: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """The table, with the retention of what is written to it.

    Attributes:
        retention: seconds after which a row expires.
    """

    table: Table
    retention: float

    def standing(self, subject: Subject, now: float) -> Standing:
        """How things stand with a subject, read consistently. Raises HistoryUnavailable."""
        return self.standings([subject], now)[0][subject]

    def standings(self, subjects: Sequence[Subject], now: float) -> tuple[dict[Subject, Standing], Condition]:
        """The same for many, and with the channels, in one call for up to 99."""
        found = self.table.get([CONDITION_KEY, *(standing_key(subject) for subject in subjects)], now)
        standings = {
            subject: to_standing(item) if (item := found.get(standing_key(subject))) else Standing(subject)
            for subject in subjects
        }
        return standings, to_condition(found.get(CONDITION_KEY))

    def condition(self, now: float) -> Condition:
        """How things stand with the channels, read consistently."""
        return to_condition(self.table.get([CONDITION_KEY], now).get(CONDITION_KEY))

    def archived(self, subject: Subject, number: int, now: float) -> Standing | None:
        """The standing of an incident that a later one has replaced."""
        key = standing_key(subject, number)
        item = self.table.get([key], now).get(key)
        return to_standing(item) if item else None

    def incident(self, incident_id: str, now: float) -> Standing | None:
        """The incident of that id, newest or archived, or None."""
        subject_key, _, number = incident_id.rpartition("-")
        if not (subject_key and number.isdecimal()):
            return None
        keys = [(f"subject#{subject_key}", "incident"), (f"subject#{subject_key}", f"incident#{int(number):06}")]
        for item in self.table.get(keys, now).values():
            if item["number"] == int(number):
                return to_standing(item)
        return None

    def commit(
        self,
        now: float,
        rows: Sequence[Row] = (),
        standing: Standing | None = None,
        deliveries: Sequence[Delivery] = (),
    ) -> Standing | None:
        """Writes of one subject, as `commit_all`. Returns the standing as it is now stored, for the next commit."""
        return self.commit_all(now, [Change(rows, standing, deliveries)])[0]

    def commit_all(
        self, now: float, changes: Sequence[Change], condition: Condition | None = None
    ) -> list[Standing | None]:
        """Writes all or nothing: rows if absent, standings if nobody has moved them on, and what was delivered.

        Args:
            changes: of different subjects; at most `MAX_PUTS` items, of which `size` says how many a change has.
            condition: of the channels, where it changes.

        Returns:
            The standings as they are now stored, for the next commit.

        Raises:
            Conflict: a row was there already (of a delivery: one of this very millisecond), or the standing has moved
                on; its keys say which.
            HistoryUnavailable: nothing is known.
        """
        puts = [put for change in changes for put in self._puts(change, now)]
        if condition:
            puts.append(Put(condition_item(condition), condition.version))
        if puts:
            self.table.commit(puts, now)
        standings = (change.standing for change in changes)
        return [each and replace(each, version=each.version + 1, replaced=None) for each in standings]

    def _puts(self, change: Change, now: float) -> Iterator[Put]:
        ttl, standing = int(now + self.retention), change.standing
        for row in change.rows:
            yield Put(row_item(row, ttl, now), 0)
        if standing:
            yield Put(standing_item(standing, ttl), standing.version)
            if standing.replaced:  # whatever is there: after a standing has expired, numbers begin again at 1
                yield Put(standing_item(standing.replaced, ttl))
            for each in change.deliveries:
                yield Put(delivery_item(standing, each, ttl, now), 0)

    def row(self, alert_id: str, now: float) -> Item | None:
        """The row of that alert, or None."""
        key = row_key(alert_id)
        return self.table.get([key], now).get(key) if key else None

    def about(self, occurrence: str, now: float) -> tuple[Item, ...]:
        """Every row about one task (by its id), deployment, alarm change or service action."""
        return self.table.query(Query(None, f"alert#{occurrence}"), now).items

    def deliveries(self, incident_id: str, now: float) -> tuple[Item, ...]:
        """Every attempt to tell a channel of an incident, oldest first."""
        subject_key, _, number = incident_id.rpartition("-")
        prefix = f"delivery#{int(number):06}#"
        return self.table.query(Query(None, f"subject#{subject_key}", (prefix, prefix + "~")), now).items

    def due(self, now: float) -> list[Standing]:
        """The standings that somebody must look at, the longest overdue first; read consistently."""
        keys = [
            (item["pk"], item["sk"])
            for shard in range(SHARDS)
            for item in self.table.query(Query("due", f"due#{shard}", (0, now), limit=100), now).items
        ]
        found = self.load(keys, now) if keys else []
        return sorted((each for each in found if each.due_at is not None and each.due_at <= now), key=_due_at)

    def load(self, keys: Sequence[Key], now: float) -> list[Standing]:
        """The standings with those keys, as far as they are there, read consistently."""
        return [to_standing(item) for item in self.table.get(keys, now).values()]

    def open_incidents(self, now: float) -> list[Item]:
        """Every open incident, the longest open first."""
        found = [
            item
            for shard in range(SHARDS)
            for item in self.table.query(Query("open_incidents", f"open#{shard}"), now).items
        ]
        return sorted(found, key=lambda item: str(item["opened_at"]))

    def alerts(self, wanted: AlertsWanted, now: float) -> list[Item]:
        """The alerts asked for, newest first: the narrowest index is asked, the rest filters."""
        span = (iso(wanted.since), iso(wanted.until))
        index, days, filters = _place(wanted)
        found: list[Item] = []
        for partitions in days:
            for partition in partitions:
                query = Query(index, partition, span, newest_first=True, limit=wanted.limit, filters=filters)
                found += self.table.query(query, now).items
            if len(found) >= wanted.limit:
                break  # whatever is older than a day that fills the answer is not in it
        return sorted(found, key=lambda item: str(item["at"]), reverse=True)[: wanted.limit]

    # --- silences -----------------------------------------------------------------------------------------------------

    def silences(self, now: float) -> list[Silence]:
        """Those that have not ended, the first to end first; read consistently."""
        return self._silences((iso(now), "~"), now)

    def all_silences(self, now: float) -> list[Silence]:
        """The same with those that have ended, as far as they are still kept."""
        return self._silences(None, now)

    def put_silence(self, silence: Silence, now: float) -> None:
        """Writes a new silence, or one that ends earlier now. Raises Conflict and HistoryUnavailable."""
        kept = int(max(now, silence.planned_end) + self.retention)
        self.table.commit([Put(silence_item(silence, kept), silence.version)], now)

    def _silences(self, between: tuple[str, str] | None, now: float) -> list[Silence]:
        return [to_silence(item) for item in self.table.query(Query(None, SILENCES, between), now).items]

    # --- what failed --------------------------------------------------------------------------------------------------

    def failed_deliveries(self, since: float, now: float) -> list[Item]:
        """What failed for good since a clock time, the oldest first."""
        span = (iso(since), iso(now))
        partitions = _sharded([f"failed#{day}" for day in _days(since, now)])
        found = (self.table.query(Query("failed_deliveries", each, span), now).items for each in partitions)
        return sorted((item for items in found for item in items), key=lambda item: str(item["at"]))


def _place(wanted: AlertsWanted) -> tuple[str, Iterator[list[str]], Mapping[str, str]]:
    """The index, its partitions day by day (newest first), and what is left to filter by."""
    days = _days(wanted.since, wanted.until)
    filters = {name: value for name, value in (("severity", wanted.severity), ("cluster", wanted.cluster)) if value}
    if wanted.subject:
        return "alerts_by_subject", iter([[wanted.subject]]), filters
    if wanted.cluster:
        del filters["cluster"]
        return "alerts_by_cluster", (_sharded([f"{wanted.cluster}#{day}"]) for day in days), filters
    severities = [wanted.severity] if wanted.severity else list(Severity)
    return "alerts_by_severity", (_sharded([f"{each}#{day}" for each in severities]) for day in days), {}


def _sharded(prefixes: Sequence[str]) -> list[str]:
    return [f"{prefix}#{shard}" for prefix in prefixes for shard in range(SHARDS)]


def _days(since: float, until: float) -> Iterator[str]:
    """Newest first."""
    day = datetime.fromtimestamp(until, UTC).date()
    while day >= datetime.fromtimestamp(since, UTC).date():
        yield day.isoformat()
        day -= timedelta(days=1)


def _due_at(standing: Standing) -> float:
    return standing.due_at or 0.0
