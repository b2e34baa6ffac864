"""The history table in the words of the router: what is committed together, and the questions it answers.

Nothing here decides anything. The items themselves are in `router.history.items`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import groupby, islice
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from router.channels.state import ChannelStates
from router.config.silences import Silence
from router.errors import Conflict, Contended, HistoryUnavailable
from router.history.items import (
    CHANNEL_STATES_KEY,
    SHARDS,
    SILENCES,
    AlertRecord,
    channel_states_item,
    delivery_items,
    each_delivery,
    is_row_key,
    iso,
    row_item,
    row_key,
    seconds,
    silence_item,
    state_item,
    state_key,
    to_channel_states,
    to_silence,
    to_state,
)
from router.history.table import MAX_PUTS, Item, Key, Page, Put, Query, Table
from router.incident.state import Delivery, SubjectState
from router.model import Severity, Subject

_PAGE = 1000  # items; as many index entries are less than the 1 MB that DynamoDB reads at once
MapPages = Callable[[Callable[[Query], Page], Iterable[Query]], Iterable[Page]]

TRIES = 8
"""Attempts at one update before it gives up on a contended subject."""
BATCH_TRIES = 2
"""Attempts at a batch of subjects before they are updated one by one."""

_Part = TypeVar("_Part")
_Snapshot = TypeVar("_Snapshot")
_Result = TypeVar("_Result")


class SubjectWrite(NamedTuple):
    """What is written of one subject, together or not at all."""

    rows: Sequence[AlertRecord] = ()
    state: SubjectState | None = None
    deliveries: Sequence[Delivery] = ()


class Attempt(NamedTuple):
    """One attempt at an update.

    Attributes:
        now: clock time. number: 0 for the first attempt.
        existing: alert rows that earlier attempts found in the table; the item is None if DynamoDB did not return it.
    """

    now: float
    number: int = 0
    existing: Mapping[Key, Item | None] = MappingProxyType({})


class Change(NamedTuple, Generic[_Result]):
    """What one transaction writes (nothing is allowed), and what that means to the caller."""

    result: _Result
    writes: Sequence[SubjectWrite] = ()
    channel_states: ChannelStates | None = None


class AlertQuery(NamedTuple):
    """Which alerts are asked for, newest first.

    Attributes:
        since, until: event times, in seconds.
        limit: at most this many; None for all there are.
        subject: `service:web`; the narrowest question. cluster: its name. severity: one of the four.
            at_least: this severity or a worse one. cause: a slug; no index has it, so the rest must make it narrow.
            What is empty does not narrow.
        after: (`at`, `id`) of the last alert of the page before.
    """

    since: float
    until: float
    limit: int | None = 50
    subject: str = ""
    cluster: str = ""
    severity: str = ""
    at_least: str = ""
    cause: str = ""
    after: tuple[str, str] | None = None

    @property
    def severities(self) -> tuple[str, ...]:
        """Those that an alert may have."""
        if self.severity:
            return (self.severity,)
        return tuple(each for each in Severity if not self.at_least or each.at_least(Severity(self.at_least)))


class History(NamedTuple):
    """The table, with the retention of what is written to it.

    Attributes:
        retention: seconds after which a row expires. by_severity: the same where it differs; an archived incident
            and its deliveries have the incident's. How things stand with a subject stays longest: it holds the number
            that the next incident counts on from.
    """

    table: Table
    retention: float
    by_severity: Mapping[str, float] = MappingProxyType({})

    def state(self, subject: Subject, now: float) -> SubjectState:
        """How things stand with a subject, read consistently. Raises HistoryUnavailable."""
        return self.states([subject], now)[0][subject]

    def states(self, subjects: Sequence[Subject], now: float) -> tuple[dict[Subject, SubjectState], ChannelStates]:
        """The same for many, and with the channels, in one call for up to 99."""
        found = self.table.get([CHANNEL_STATES_KEY, *(state_key(subject) for subject in subjects)], now)
        states = {
            subject: to_state(item) if (item := found.get(state_key(subject))) else SubjectState(subject)
            for subject in subjects
        }
        return states, to_channel_states(found.get(CHANNEL_STATES_KEY))

    def channel_states(self, now: float) -> ChannelStates:
        """How things stand with the channels, read consistently."""
        return to_channel_states(self.table.get([CHANNEL_STATES_KEY], now).get(CHANNEL_STATES_KEY))

    def archived(self, subject: Subject, number: int, now: float) -> SubjectState | None:
        """The standing of an incident that a later one has replaced."""
        key = state_key(subject, number)
        item = self.table.get([key], now).get(key)
        return to_state(item) if item else None

    def incident(self, incident_id: str, now: float) -> SubjectState | None:
        """The incident of that id, newest or archived, or None."""
        return self.incidents([incident_id], now).get(incident_id)

    def incidents(self, incident_ids: Iterable[str], now: float) -> dict[str, SubjectState]:
        """Those of the incidents that are there, newest or archived, by their ids."""
        keys = {key: each for each in incident_ids for key in _incident_keys(each)}
        found = (to_state(item) for item in self.table.get(list(keys), now).values() if "number" in item)
        wanted = set(keys.values())
        return {each.incident.id: each for each in found if each.incident and each.incident.id in wanted}

    def commit(
        self,
        now: float,
        rows: Sequence[AlertRecord] = (),
        state: SubjectState | None = None,
        deliveries: Sequence[Delivery] = (),
    ) -> SubjectState | None:
        """Writes of one subject, as `commit_all`. Returns the standing as it is now stored, for the next commit."""
        return self.commit_all(now, [SubjectWrite(rows, state, deliveries)])[0]

    def commit_all(
        self, now: float, changes: Sequence[SubjectWrite], channel_states: ChannelStates | None = None
    ) -> list[SubjectState | None]:
        """Writes all or nothing: rows if absent, standings if nobody has moved them on, and what was delivered.

        Args:
            changes: of different subjects; at most `MAX_PUTS` items in all.
            condition: of the channels, where it changes.

        Returns:
            The standings as they are now stored, for the next commit.

        Raises:
            Conflict: a row was there already (of a delivery: one of this very millisecond), or the standing has moved
                on; its keys say which.
            HistoryUnavailable: nothing is known.
        """
        puts = [put for change in changes for put in self._puts(change, now)]
        if channel_states:
            puts.append(Put(channel_states_item(channel_states), channel_states.version))
        if puts:
            self.table.commit(puts, now)
        states = (change.state for change in changes)
        return [each and each._replace(version=each.version + 1, superseded=None) for each in states]

    def update(
        self,
        read: Callable[[Attempt], _Snapshot],
        change: Callable[[_Snapshot, Attempt], Change[_Result]],
        clock: Callable[[], float],
        pause: Callable[[int], None],
        tries: int = TRIES,
    ) -> tuple[_Result, list[SubjectState | None]]:
        """Reads, applies a change and commits it; starts again when another writer was faster.

        A conflict on alert rows alone says that the states are still as they were read: only the change is repeated,
        which finds those rows in `Attempt.existing`.

        Args:
            change: pure; may raise to give up.
            pause: waits before attempt n + 1 (from 0), so that writers of one subject do not keep colliding.

        Returns:
            The change's result, and the states that its writes stored.

        Raises:
            Contended: every attempt met another writer. Nothing was written.
            HistoryUnavailable: nothing is known about what was written.
        """
        snapshot: Any = None
        must_read = True
        existing: dict[Key, Item | None] = {}
        for number in range(tries):
            attempt = Attempt(clock(), number, existing)
            if must_read:
                snapshot = read(attempt)
            result, writes, channel_states = change(snapshot, attempt)
            try:
                return result, self.commit_all(attempt.now, writes, channel_states)
            except Conflict as conflict:
                existing |= {key: conflict.items.get(key) for key in conflict.keys if is_row_key(key)}
                must_read = not conflict.keys or not all(map(is_row_key, conflict.keys))
            pause(number)
        raise Contended(tries)

    def _puts(self, change: SubjectWrite, now: float) -> Iterator[Put]:
        state = change.state
        for row in change.rows:
            yield Put(row_item(row, self._ttl(row.alert.severity, now), now), 0)
        if state:
            longest = int(now + max(self.retention, *self.by_severity.values(), 0.0))
            yield Put(state_item(state, longest), state.version)
            if state.superseded:  # whatever is there: after a standing has expired, numbers begin again at 1
                yield Put(state_item(state.superseded, self._ttl_of(state.superseded, now)))
            if change.deliveries:
                ttl = self._ttl_of(state, now)
                yield from (Put(item, 0) for item in delivery_items(state, change.deliveries, ttl, now))

    def _ttl_of(self, state: SubjectState, now: float) -> int:
        return self._ttl(state.incident.severity if state.incident else Severity.INFO, now)

    def _ttl(self, severity: Severity, now: float) -> int:
        return int(now + self.by_severity.get(severity, self.retention))

    def row(self, alert_id: str, now: float) -> Item | None:
        """The row of that alert, or None."""
        return self.rows([alert_id], now).get(alert_id)

    def rows(self, alert_ids: Iterable[str], now: float) -> dict[str, Item]:
        """The rows of those alerts, as far as they are there."""
        keys = {each: key for each in alert_ids if (key := row_key(each))}
        found = self.table.get(list(keys.values()), now) if keys else {}
        return {each: found[key] for each, key in keys.items() if key in found}

    def by_occurrence(self, occurrence: str, now: float) -> tuple[Item, ...]:
        """Every row about one task (by its id), deployment, alarm change or service action."""
        return self.table.query(Query(None, f"alert#{occurrence}"), now).items

    def deliveries(self, incident_id: str, now: float) -> tuple[Item, ...]:
        """Every attempt to tell a channel of an incident, oldest first."""
        subject_key, _, number = incident_id.rpartition("-")
        prefix = f"delivery#{int(number):06}#"
        found = self.table.query(Query(None, f"subject#{subject_key}", (prefix, prefix + "~")), now).items
        return tuple(each for item in found for each in each_delivery(item))

    def due(self, now: float) -> list[SubjectState]:
        """The standings that somebody must look at, the longest overdue first; read consistently."""
        keys = [
            (item["pk"], item["sk"])
            for shard in range(SHARDS)
            for item in self.table.query(Query("due", f"due#{shard}", (0, now), limit=100), now).items
        ]
        found = self.load(keys, now) if keys else []
        return sorted((each for each in found if each.due_at is not None and each.due_at <= now), key=_due_at)

    def load(self, keys: Sequence[Key], now: float) -> list[SubjectState]:
        """The standings with those keys, as far as they are there, read consistently."""
        return [to_state(item) for item in self.table.get(keys, now).values()]

    def open_incidents(self, now: float) -> list[Item]:
        """Every open incident, the longest open first."""
        found = [
            item
            for shard in range(SHARDS)
            for item in self.table.query(Query("open_incidents", f"open#{shard}"), now).items
        ]
        return sorted(found, key=lambda item: str(item["opened_at"]))

    def alerts(self, wanted: AlertQuery, now: float) -> list[Item]:
        """The alerts asked for, newest first."""
        return list(self.each_alert(wanted, now))

    def each_alert(self, wanted: AlertQuery, now: float, map_pages: MapPages = map) -> Iterator[Item]:
        """The alerts asked for, newest first, read only as far as they are taken: the narrowest index, day by day.

        Args:
            gather: asks for the first pages of a day's partitions, as `map` does; a thread pool's is faster.
        """
        return islice(self._each(wanted, now, map_pages), wanted.limit)

    def _each(self, wanted: AlertQuery, now: float, gather: MapPages) -> Iterator[Item]:
        span = (iso(wanted.since), wanted.after[0] if wanted.after else iso(wanted.until))
        if span[0] > span[1]:
            return
        index, days, filters = _partitions(wanted, until=seconds(span[1]))
        for partitions in days:
            size = _page_size(wanted.limit, len(partitions))
            queries = [
                Query(index, partition, span, newest_first=True, limit=size, filters=filters)
                for partition in partitions
            ]
            firsts = gather(lambda query: self.table.query(query, now), queries)
            walks = [self._walk(query, page, now) for query, page in zip(queries, firsts, strict=True)]
            for item in _in_order(merge(*walks, key=_at, reverse=True)):
                if wanted.after is None or (item["at"], item["id"]) < wanted.after:
                    yield item

    def _walk(self, query: Query, page: Page, now: float) -> Iterator[Item]:
        """The items of a page and of those after it, which are read when it comes to them."""
        yield from page.items
        while page.cursor is not None:
            query = query._replace(cursor=page.cursor, limit=_PAGE)
            page = self.table.query(query, now)
            yield from page.items

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


def update_in_batches(
    parts: Iterable[_Part],
    puts: Callable[[_Part], int],
    update: Callable[[Sequence[_Part], int], _Result],
    most: int = MAX_PUTS,
) -> Iterator[tuple[Sequence[_Part], _Result | HistoryUnavailable]]:
    """Updates many subjects with as few transactions as possible.

    A batch that fails is repeated subject by subject, so that one subject's failure leaves the others alone.

    Args:
        parts: what there is to update, one for each subject.
        puts: how many items one of them writes; at most `most` go into one transaction.
        update: updates these parts in one transaction, with that many attempts (`History.update`).

    Yields:
        The parts of each transaction, and what `update` returned for them, or why it failed.
    """
    batch: list[_Part] = []
    size = 0
    for part in parts:
        if batch and size + puts(part) > most:
            yield from _update_batch(batch, update)
            batch, size = [], 0
        batch.append(part)
        size += puts(part)
    if batch:
        yield from _update_batch(batch, update)


def _update_batch(
    batch: Sequence[_Part], update: Callable[[Sequence[_Part], int], _Result]
) -> Iterator[tuple[Sequence[_Part], _Result | HistoryUnavailable]]:
    alone = len(batch) == 1
    try:
        outcome: _Result | HistoryUnavailable = update(batch, TRIES if alone else BATCH_TRIES)
    except HistoryUnavailable as error:
        if not alone:
            for part in batch:
                yield from _update_batch([part], update)
            return
        outcome = error
    yield batch, outcome


def _page_size(limit: int | None, partitions: int) -> int:
    """Of the first page: what is wanted and one more, to see where a millisecond ends; or of many partitions twice its
    share, which is likely to be enough of it."""
    if limit is None:
        return _PAGE
    return min(_PAGE, limit + 1 if partitions == 1 else 5 + 2 * limit // partitions)


def _partitions(
    wanted: AlertQuery, until: float
) -> tuple[str, Iterator[list[str]], Mapping[str, str | Collection[str]]]:
    """The index, its partitions day by day (newest first), and what is left to filter by."""
    days = _days(wanted.since, until)
    filters: dict[str, str | Collection[str]] = {"cause": wanted.cause} if wanted.cause else {}
    if not wanted.subject and not wanted.cluster:
        return (
            "alerts_by_severity",
            (_sharded([f"{each}#{day}" for each in wanted.severities]) for day in days),
            filters,
        )
    if len(wanted.severities) < len(Severity):
        filters["severity"] = wanted.severities
    if wanted.subject:
        filters |= {"cluster": wanted.cluster} if wanted.cluster else {}
        return "alerts_by_subject", iter([[wanted.subject]]), filters
    return "alerts_by_cluster", (_sharded([f"{wanted.cluster}#{day}"]) for day in days), filters


def _at(item: Item) -> str:
    return str(item["at"])


def _in_order(items: Iterable[Item]) -> Iterator[Item]:
    """Those of one millisecond by their ids, so that a page always begins where the one before ended."""
    for _, together in groupby(items, _at):
        yield from sorted(together, key=lambda item: str(item["id"]), reverse=True)


def _sharded(prefixes: Sequence[str]) -> list[str]:
    return [f"{prefix}#{shard}" for prefix in prefixes for shard in range(SHARDS)]


def _days(since: float, until: float) -> Iterator[str]:
    """Newest first."""
    day = datetime.fromtimestamp(until, UTC).date()
    while day >= datetime.fromtimestamp(since, UTC).date():
        yield day.isoformat()
        day -= timedelta(days=1)


def _incident_keys(incident_id: str) -> list[Key]:
    """Where an incident of that id may be: the subject's newest, or an archived one."""
    subject_key, _, number = incident_id.rpartition("-")
    if not (subject_key and number.isdecimal()):
        return []
    pk = f"subject#{subject_key}"
    return [(pk, "incident"), (pk, f"incident#{int(number):06}")]


def _due_at(state: SubjectState) -> float:
    return state.due_at or 0.0
