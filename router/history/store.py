"""What the router reads from the history table, and what it writes there together.

Nothing here decides anything about alerts. `router.history.items` describes the items. An item that cannot be read
affects only itself: see `History.load`.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import groupby, islice
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from router import deadline
from router.channels.state import ChannelStates
from router.config.silences import Silence
from router.errors import Conflict, Contended, DamagedItem, HistoryUnavailable, NewerItem
from router.history.items import (
    CHANNEL_STATES_KEY,
    RUN_POLL_KEY,
    SERVICE_POLL_KEY,
    SHARDS,
    SILENCES,
    AlertRecord,
    channel_states_item,
    damaged_item,
    delivery_items,
    each_delivery,
    is_row_key,
    iso,
    readable_open_incident,
    readable_row,
    restarted_state,
    row_item,
    row_key,
    run_poll_item,
    seconds,
    service_poll_item,
    silence_item,
    state_item,
    state_key,
    to_channel_states,
    to_run_poll,
    to_service_poll,
    to_silence,
    to_state,
    version_of,
    without_index_keys,
)
from router.history.table import MAX_PUTS, Item, Key, Page, Put, Query, Table
from router.incident.state import Delivery, SubjectState
from router.model import Severity, Subject
from router.poll.state import RunPoll, ServicePoll

log = logging.getLogger("ecs-alert-router.history.store")

_PAGE = 1000  # items; as many index entries are less than the 1 MB that DynamoDB reads at once
_KEPT_DAMAGED = 30 * 86400  # seconds for which a copy of a damaged item is kept at least
MapPages = Callable[[Callable[[Query], Page], Iterable[Query]], Iterable[Page]]

TRIES = 100
"""Attempts at one update, if the deadline does not come before."""
BACKGROUND_TRIES = 8
"""Attempts at an update that the next invocation makes as well."""
BATCH_TRIES = 2
"""Attempts at a batch of subjects before they are updated one by one."""

_LONGEST_PAUSE = 1.0  # seconds between two attempts at an update
_TIME_TO_TRY = 0.5  # seconds that must be left for another attempt

_Part = TypeVar("_Part")
_Snapshot = TypeVar("_Snapshot")
_SharedItem = TypeVar("_SharedItem", ChannelStates, ServicePoll, RunPoll)
_Result = TypeVar("_Result")


class SubjectWrite(NamedTuple):
    """What is written about one subject, all of it or nothing."""

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
    """Which alerts are asked for, newest first. An empty text does not narrow the question.

    Attributes:
        since, until: event times in seconds.
        limit: at most this many alerts; None for all.
        subject: such as `service:web`; this narrows most. cluster: its name. severity: one of the four.
        at_least: this severity or a worse one.
        cause: a slug. No index contains it, so the other attributes must narrow the question.
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
        """The severities that an alert may have."""
        if self.severity:
            return (self.severity,)
        return tuple(level for level in Severity if not self.at_least or level.at_least(Severity(self.at_least)))


class History(NamedTuple):
    """The table, and how long what is written to it is kept.

    Attributes:
        retention: seconds after which a row expires; 0.0 for a program that only reads, and so sets nothing aside.
        by_severity: the same for the severities that differ. An archived incident and its deliveries have the
            incident's. A subject's state has the longest of all, since the next incident counts on from its number.
        count_damaged: called once for each item that cannot be read.
    """

    table: Table
    retention: float
    by_severity: Mapping[str, float] = MappingProxyType({})
    count_damaged: Callable[[], None] = lambda: None

    # --- states -------------------------------------------------------------------------------------------------------

    def state(self, subject: Subject, now: float) -> SubjectState:
        """The state of one subject; see `states`."""
        return self.states([subject], now)[0][subject]

    def states(self, subjects: Sequence[Subject], now: float) -> tuple[dict[Subject, SubjectState], ChannelStates]:
        """The states of subjects and of the channels, read consistently; one request for up to 99 subjects.

        A damaged item is set aside, and its subject starts again from what can still be read.

        Raises:
            NewerItem: this version is too old to read one of them.
            HistoryUnavailable: nothing is known.
        """
        found = self.table.get([CHANNEL_STATES_KEY, *(state_key(subject) for subject in subjects)], now)
        states = {}
        for subject in subjects:
            item = found.get(state_key(subject))
            states[subject] = (self._state(item, now, subject) if item else None) or SubjectState(subject)
        return states, self._channel_states(found.get(CHANNEL_STATES_KEY), now)

    def channel_states(self, now: float) -> ChannelStates:
        """The states of the channels, read consistently. Raises as `states` does."""
        return self._channel_states(self.table.get([CHANNEL_STATES_KEY], now).get(CHANNEL_STATES_KEY), now)

    def service_poll(self, now: float) -> ServicePoll:
        """How far the poll of all services has come. A damaged item is set aside, and the poll begins anew.

        Raises:
            NewerItem: this version is too old to read it.
            HistoryUnavailable: nothing is known.
        """
        item = self.table.get([SERVICE_POLL_KEY], now).get(SERVICE_POLL_KEY)
        return self._shared(item, now, to_service_poll, ServicePoll, service_poll_item)

    def put_service_poll(self, poll: ServicePoll, now: float) -> None:
        """Raises Conflict if another invocation has polled since it was read, and HistoryUnavailable."""
        self.table.commit([Put(service_poll_item(poll), poll.version)], now)

    def run_poll(self, now: float) -> RunPoll:
        """When each expected run is due next; read as `service_poll`."""
        item = self.table.get([RUN_POLL_KEY], now).get(RUN_POLL_KEY)
        return self._shared(item, now, to_run_poll, RunPoll, run_poll_item)

    def put_run_poll(self, poll: RunPoll, now: float) -> None:
        """Raises as `put_service_poll` does."""
        self.table.commit([Put(run_poll_item(poll), poll.version)], now)

    def due(self, now: float) -> list[SubjectState]:
        """The states for which something must be done now, the longest overdue first; read as `load` does."""
        keys = [
            (item["pk"], item["sk"])
            for shard in range(SHARDS)
            for item in self.table.query(Query("due", f"due#{shard}", (0, now), limit=100), now).items
        ]
        states = self.load(keys, now) if keys else []
        return sorted((state for state in states if is_due(state, now)), key=_due_at)

    def load(self, keys: Sequence[Key], now: float) -> list[SubjectState]:
        """The states with those keys that exist and can be read, read consistently.

        A damaged item is set aside. An item that only a newer version can read is left out, with a warning.
        """
        states = []
        for item in self.table.get(keys, now).values():
            try:
                state = self._state(item, now)
            except HistoryUnavailable as error:
                log.warning("left out: %s", error)
            else:
                states += [state] if state else []
        return states

    def archived(self, subject: Subject, number: int, now: float) -> SubjectState | None:
        """The state of an incident that a later one has replaced."""
        return next(iter(self.load([state_key(subject, number)], now)), None)

    def incident(self, incident_id: str, now: float) -> SubjectState | None:
        """The state with the incident of that id, newest or archived, or None."""
        return self.incidents([incident_id], now).get(incident_id)

    def incidents(self, incident_ids: Iterable[str], now: float) -> dict[str, SubjectState]:
        """The states of those of the incidents that exist, newest or archived, by their ids."""
        ids = {key: incident_id for incident_id in incident_ids for key in _incident_keys(incident_id)}
        wanted = set(ids.values())
        states = self.load(list(ids), now)
        return {state.incident.id: state for state in states if state.incident and state.incident.id in wanted}

    # --- damaged items ------------------------------------------------------------------------------------------------

    def _state(self, item: Item, now: float, subject: Subject | None = None) -> SubjectState | None:
        """The state in an item, or the one with which its subject starts again if the item is damaged.

        Args:
            subject: the item's, where the caller knows it; the item may not tell.

        Returns:
            None for a damaged item of which the subject is not known, or that must not be set aside here.

        Raises:
            NewerItem: this version is too old to read the item.
            HistoryUnavailable: a damaged item could not be set aside.
        """
        try:
            return to_state(item)
        except DamagedItem as error:
            if not self.retention:
                self.report_damaged(item, error)
                return None
            state = restarted_state(item, now, subject)
            ttl = max(_ttl_in(item), self._longest_ttl(now))
            self._set_aside(item, error, state_item(state, ttl) if state else without_index_keys(item), now)
        return state and state._replace(version=state.version + 1)

    def _channel_states(self, item: Item | None, now: float) -> ChannelStates:
        return self._shared(item, now, to_channel_states, ChannelStates, channel_states_item)

    def _shared(
        self,
        item: Item | None,
        now: float,
        read: Callable[[Item | None], _SharedItem],
        make: type[_SharedItem],
        write: Callable[[_SharedItem], Item],
    ) -> _SharedItem:
        """What an item of all invocations holds. A damaged one is set aside, and a fresh one takes its place."""
        try:
            return read(item)
        except DamagedItem as error:
            assert item is not None  # a missing item is not damaged
            fresh = make(version_of(item))
            self._set_aside(item, error, write(fresh), now)
        return fresh._replace(version=fresh.version + 1)

    def _set_aside(self, item: Item, error: DamagedItem, replacement: Item, now: float) -> None:
        """Copies a damaged item to another key, and writes its replacement, together.

        Raises:
            HistoryUnavailable: that was not possible; somebody else may have done it.
        """
        self.report_damaged(item, error)
        if not self.retention:
            return  # the channels start empty here, too
        ttl = max(_ttl_in(item), int(now) + _KEPT_DAMAGED)
        puts = [Put(damaged_item(item, str(error), ttl, now)), Put(replacement, item.get("version") or None)]
        try:
            self.table.commit(puts, now)
        except (Conflict, TypeError, ValueError) as failure:
            raise HistoryUnavailable(f"item {item['pk']} {item['sk']} is damaged: {error}; {failure}") from failure

    def report_damaged(self, item: Item, error: DamagedItem) -> None:
        """Logs and counts an item that cannot be read."""
        log.error("item %s %s is damaged: %s", item["pk"], item["sk"], error)
        self.count_damaged()

    # --- commits ------------------------------------------------------------------------------------------------------

    def commit(
        self,
        now: float,
        rows: Sequence[AlertRecord] = (),
        state: SubjectState | None = None,
        deliveries: Sequence[Delivery] = (),
    ) -> SubjectState | None:
        """Writes about one subject, as `commit_all` does. Returns the state as it is now stored."""
        return self.commit_all(now, [SubjectWrite(rows, state, deliveries)])[0]

    def commit_all(
        self, now: float, changes: Sequence[SubjectWrite], channel_states: ChannelStates | None = None
    ) -> list[SubjectState | None]:
        """Writes everything or nothing: rows and states that nobody has written since they were read, deliveries.

        Args:
            changes: of different subjects; at most `MAX_PUTS` items in all.
            channel_states: None where they do not change.

        Returns:
            The states as they are now stored, for the next commit.

        Raises:
            Conflict: a row exists already (or a delivery of the same millisecond), or a state has been changed by
                another writer; its keys say which.
            HistoryUnavailable: nothing is known.
        """
        puts = [put for change in changes for put in self._puts(change, now)]
        if channel_states:
            puts.append(Put(channel_states_item(channel_states), channel_states.version))
        if puts:
            self.table.commit(puts, now)
        return [change.state and _as_stored(change.state) for change in changes]

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
            Contended: every attempt met another writer, until there were `tries` of them or the deadline came. Nothing
                was written.
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
            current = deadline.current()
            if current and current.left() < _TIME_TO_TRY:
                raise Contended(number + 1)
        raise Contended(tries)

    def _puts(self, change: SubjectWrite, now: float) -> Iterator[Put]:
        state = change.state
        for row in change.rows:
            yield Put(row_item(row, self._ttl(row.alert.severity, now), now), row.version)
        if state:
            yield Put(state_item(state, self._longest_ttl(now)), state.version)
            if state.superseded:  # without a condition: after a state has expired, numbers begin again at 1
                yield Put(state_item(state.superseded, self._ttl_of(state.superseded, now)))
            if deliveries := (*change.deliveries, *state.given_up):
                ttl = self._ttl_of(state, now)
                yield from (Put(item, 0) for item in delivery_items(state, deliveries, ttl, now))

    def _longest_ttl(self, now: float) -> int:
        return int(now + max(self.retention, *self.by_severity.values(), 0.0))

    def _ttl_of(self, state: SubjectState, now: float) -> int:
        return self._ttl(state.incident.severity if state.incident else Severity.INFO, now)

    def _ttl(self, severity: Severity, now: float) -> int:
        return int(now + self.by_severity.get(severity, self.retention))

    # --- rows ---------------------------------------------------------------------------------------------------------

    def row(self, alert_id: str, now: float) -> Item | None:
        """The row of that alert, or None."""
        return self.rows([alert_id], now).get(alert_id)

    def rows(self, alert_ids: Iterable[str], now: float) -> dict[str, Item]:
        """The rows of those alerts that exist, by the alerts' ids."""
        keys = {alert_id: key for alert_id in alert_ids if (key := row_key(alert_id))}
        rows = self.table.get(list(keys.values()), now) if keys else {}
        return {alert_id: readable_row(rows[key]) for alert_id, key in keys.items() if key in rows}

    def by_occurrence(self, occurrence: str, now: float) -> tuple[Item, ...]:
        """Every row about one task (by its id), deployment, alarm change or service action."""
        return tuple(map(readable_row, self.table.query(Query(None, f"alert#{occurrence}"), now).items))

    def deliveries(self, incident_id: str, now: float) -> tuple[Item, ...]:
        """Every attempt to tell a channel about an incident, oldest first."""
        subject_key, _, number = incident_id.rpartition("-")
        prefix = f"delivery#{int(number):06}#"
        items = self.table.query(Query(None, f"subject#{subject_key}", (prefix, prefix + "~")), now).items
        return tuple(delivery for item in items for delivery in each_delivery(item))

    def open_incidents(self, now: float) -> list[Item]:
        """Every open incident, the longest open first."""
        items = [
            item
            for shard in range(SHARDS)
            for item in self.table.query(Query("open_incidents", f"open#{shard}"), now).items
        ]
        return sorted(map(readable_open_incident, items), key=lambda item: str(item["opened_at"]))

    def alerts(self, wanted: AlertQuery, now: float) -> list[Item]:
        """The alerts asked for, newest first."""
        return list(self.each_alert(wanted, now))

    def each_alert(self, wanted: AlertQuery, now: float, map_pages: MapPages = map) -> Iterator[Item]:
        """The alerts asked for, newest first. Reads the narrowest index day by day, and only as far as the caller goes.

        Args:
            map_pages: reads the first pages of a day's partitions, as `map` does; that of a thread pool is faster.
        """
        return islice(self._each_alert(wanted, now, map_pages), wanted.limit)

    def _each_alert(self, wanted: AlertQuery, now: float, map_pages: MapPages) -> Iterator[Item]:
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
            first_pages = map_pages(lambda query: self.table.query(query, now), queries)
            walks = [self._walk(query, page, now) for query, page in zip(queries, first_pages, strict=True)]
            for item in _in_order(merge(*walks, key=_at, reverse=True)):
                if wanted.after is None or (item["at"], item["id"]) < wanted.after:
                    yield item

    def _walk(self, query: Query, page: Page, now: float) -> Iterator[Item]:
        """The rows of a page and of the pages after it, each of which is read when the caller gets there."""
        yield from map(readable_row, page.items)
        while page.cursor is not None:
            query = query._replace(cursor=page.cursor, limit=_PAGE)
            page = self.table.query(query, now)
            yield from map(readable_row, page.items)

    # --- silences -----------------------------------------------------------------------------------------------------

    def silences(self, now: float) -> list[Silence]:
        """The silences that have not ended, the first to end first; read consistently.

        A silence that cannot be read is left out and reported: it silences nothing.
        """
        return self._silences((iso(now), "~"), now)

    def all_silences(self, now: float) -> list[Silence]:
        """The same, with the silences that have ended and are still kept."""
        return self._silences(None, now)

    def put_silence(self, silence: Silence, now: float) -> None:
        """Writes a silence that is new, or now ends earlier. Raises Conflict and HistoryUnavailable."""
        kept = int(max(now, silence.planned_end) + self.retention)
        self.table.commit([Put(silence_item(silence, kept), silence.version)], now)

    def _silences(self, between: tuple[str, str] | None, now: float) -> list[Silence]:
        silences = []
        for item in self.table.query(Query(None, SILENCES, between), now).items:
            try:
                silences.append(to_silence(item))
            except NewerItem as error:
                log.warning("this silence silences nothing: %s", error)
            except DamagedItem as error:
                self.report_damaged(item, error)
        return silences

    # --- what failed --------------------------------------------------------------------------------------------------

    def failed_deliveries(self, since: float, now: float) -> list[Item]:
        """The deliveries that failed for good since a clock time, oldest first."""
        span = (iso(since), iso(now))
        partitions = _sharded([f"failed#{day}" for day in _days(since, now)])
        pages = (self.table.query(Query("failed_deliveries", partition, span), now) for partition in partitions)
        return sorted((item for page in pages for item in page.items), key=lambda item: str(item["at"]))


def _as_stored(state: SubjectState) -> SubjectState:
    """A state after it was written, for the next commit."""
    unknown = to_state(state_item(state, 0)).unknown if state.unknown else state.unknown
    return state._replace(version=state.version + 1, superseded=None, given_up=(), unknown=unknown)


def _ttl_in(item: Item) -> int:
    """Epoch second at which an item expires, or 0 where it does not say so in a way that can be read."""
    ttl = item.get("ttl")
    return ttl if isinstance(ttl, int) and not isinstance(ttl, bool) else 0


def update_in_batches(
    parts: Iterable[_Part],
    puts: Callable[[_Part], int],
    update: Callable[[Sequence[_Part], int], _Result],
    most: int = MAX_PUTS,
) -> Iterator[tuple[Sequence[_Part], _Result | HistoryUnavailable]]:
    """Updates many subjects with as few transactions as possible.

    A batch that fails is repeated subject by subject, so that one subject's failure leaves the others alone: each has
    its share of the time. If DynamoDB did not answer at all, no subject gets an answer, and the time is needed.

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
    outcome = _outcome(batch, update, TRIES if alone else BATCH_TRIES, None)
    if alone or not isinstance(outcome, HistoryUnavailable) or not outcome.answered:
        yield batch, outcome
        return
    for position, part in enumerate(batch):
        current = deadline.current()
        yield [part], _outcome([part], update, TRIES, current and current.share(len(batch) - position))


def _outcome(
    batch: Sequence[_Part],
    update: Callable[[Sequence[_Part], int], _Result],
    tries: int,
    until: deadline.Deadline | None,
) -> _Result | HistoryUnavailable:
    with deadline.applies(until):
        try:
            return update(batch, tries)
        except HistoryUnavailable as error:
            return error


def backoff(attempt: int, chance: float) -> float:
    """Seconds to wait before attempt n + 1 (from 0), so that writers of one subject do not keep colliding.

    Args:
        chance: 0 to 1, another for each writer.
    """
    return chance * min(0.02 * 2.0**attempt, _LONGEST_PAUSE)


def _page_size(limit: int | None, partitions: int) -> int:
    """How many items to read first from each partition.

    From one partition: what is wanted and one more, to see where a millisecond ends. From many: twice the share of
    each, which is likely to be enough.
    """
    if limit is None:
        return _PAGE
    return min(_PAGE, limit + 1 if partitions == 1 else 5 + 2 * limit // partitions)


def _partitions(
    wanted: AlertQuery, until: float
) -> tuple[str, Iterator[list[str]], Mapping[str, str | Collection[str]]]:
    """The index, its partitions day by day (newest first), and the attributes that must be filtered."""
    days = _days(wanted.since, until)
    filters: dict[str, str | Collection[str]] = {"cause": wanted.cause} if wanted.cause else {}
    if not wanted.subject and not wanted.cluster:
        return (
            "alerts_by_severity",
            (_sharded([f"{severity}#{day}" for severity in wanted.severities]) for day in days),
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
    """The items, those of one millisecond by their ids, so that a page always begins where the one before ended."""
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


def is_due(state: SubjectState, now: float) -> bool:
    """Whether something must be done for the subject now."""
    return state.due_at is not None and state.due_at <= now


def _due_at(state: SubjectState) -> float:
    return state.due_at or 0.0
