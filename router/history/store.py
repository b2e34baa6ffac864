"""What the router reads from the history table, and what it writes there together.

Nothing here decides anything about alerts. `router.history.items` describes the items. An item that cannot be read
affects only itself: see `History.load`.
"""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import groupby, islice
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

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

_DUE_LISTED = 2000  # entries of each shard of the due index
_DUE_LOADED = 1000  # states that are due: as many as an invocation has time for
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
    """What is written about one subject: the state with its deliveries, all of it or nothing; then the rows.

    Attributes:
        is_independent: the state neither takes a lease nor waits for a rate limit, so it need not be written together
            with the channel states. That costs half.
    """

    rows: Sequence[AlertRecord] = ()
    state: SubjectState | None = None
    deliveries: Sequence[Delivery] = ()
    is_independent: bool = False

    @property
    def puts(self) -> int:
        """How many items are written together, at most."""
        state = self.state
        return 1 + bool(state.superseded) + len(self.deliveries) + len(state.given_up) if state else 0


class Snapshot(NamedTuple):
    """What one consistent read found.

    Attributes:
        rows: of the alerts that have one.
    """

    states: Mapping[Subject, SubjectState]
    channel_states: ChannelStates
    rows: Mapping[Key, Item]


class Attempt(NamedTuple):
    """One attempt at an update.

    Attributes:
        now: clock time. number: 0 for the first attempt.
    """

    now: float
    number: int = 0


class Change(NamedTuple, Generic[_Result]):
    """What is written of one part of an update (nothing is allowed), and what that means to the caller."""

    result: _Result
    write: SubjectWrite = SubjectWrite()


class Changes(NamedTuple, Generic[_Result]):
    """What is written of all parts, in their order, and of the channels: None where that does not change."""

    parts: Sequence[Change[_Result]]
    channel_states: ChannelStates | None = None


class Stored(NamedTuple, Generic[_Result]):
    """A part of an update that was written.

    Attributes:
        result: the change's.
        state: as it is now stored; None if it was not written.
        missing_rows: by alert id, why its row could not be written.
    """

    result: _Result
    state: SubjectState | None = None
    missing_rows: Mapping[str, HistoryUnavailable] = MappingProxyType({})


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
            incident's. A subject's state has the longest of all, since the next incident's number follows from it.
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
        """The states of subjects and of the channels; see `snapshot`."""
        snapshot = self.snapshot(subjects, (), now)
        return dict(snapshot.states), snapshot.channel_states

    def snapshot(self, subjects: Sequence[Subject], alert_ids: Iterable[str], now: float) -> Snapshot:
        """The states of subjects and of the channels, and the rows of alerts, in one consistent read.

        Without subjects, the channels' states are not read either. A damaged item is set aside, and its subject starts
        again from what can still be read.

        Raises:
            NewerItem: this version is too old to read one of them.
            HistoryUnavailable: nothing is known.
        """
        keys = [CHANNEL_STATES_KEY, *(state_key(subject) for subject in subjects)] if subjects else []
        row_keys = [key for alert_id in alert_ids if (key := row_key(alert_id))]
        items = self.table.get([*keys, *row_keys], now) if keys or row_keys else {}
        states = {}
        for subject in subjects:
            item = items.get(state_key(subject))
            states[subject] = (self._state(item, now, subject) if item else None) or SubjectState(subject)
        rows = {key: items[key] for key in row_keys if key in items}
        return Snapshot(states, self._channel_states(items.get(CHANNEL_STATES_KEY), now), rows)

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
        """The states that the due index finds now, the longest overdue first; read as `load` does.

        Those for which only pages wait for their rate limit come last, as far as there is room. A state whose window
        has ended without anything held back is not due: it needs another place in the index (`state_item`).
        """
        due = [
            item
            for shard in range(SHARDS)
            for item in self.table.query(Query("due", f"due#{shard}", (0, now), limit=_DUE_LISTED), now).items
        ]
        due.sort(key=lambda item: (item.get("only_pages_until", 0) > now, item["due_at"]))
        keys = [(item["pk"], item["sk"]) for item in due[:_DUE_LOADED]]
        states = self._loaded(keys, now) if keys else ()
        return sorted((state for item, state in states if is_due(state, now) or _is_early(item, now)), key=_due_at)

    def load(self, keys: Sequence[Key], now: float) -> list[SubjectState]:
        """The states with those keys that exist and can be read, read consistently.

        A damaged item is set aside. An item that only a newer version can read is left out, with a warning.
        """
        return [state for _, state in self._loaded(keys, now)]

    def _loaded(self, keys: Sequence[Key], now: float) -> Iterator[tuple[Item, SubjectState]]:
        for item in self.table.get(keys, now).values():
            try:
                state = self._state(item, now)
            except HistoryUnavailable as error:
                log.warning("left out: %s", error)
            else:
                if state:
                    yield item, state

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
        """Writes about one subject: the state as `commit_all` does, then the rows that are missing.

        Returns the state as it is now stored.
        """
        (stored,) = self.commit_all(now, [SubjectWrite((), state, deliveries)])
        for error in self._put_rows(rows, now).values():
            raise error
        return stored

    def commit_all(
        self, now: float, changes: Sequence[SubjectWrite], channel_states: ChannelStates | None = None
    ) -> list[SubjectState | None]:
        """Writes everything or nothing: states that nobody has written since they were read, and deliveries. No rows.

        Args:
            changes: of different subjects; at most `MAX_PUTS` items in all.
            channel_states: None where they do not change.

        Returns:
            The states as they are now stored, for the next commit.

        Raises:
            Conflict: a state has been changed by another writer (or there is a delivery of the same millisecond); its
                keys say which.
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
    ) -> Stored[_Result]:
        """Updates one subject; see `update_all`.

        Raises:
            Contended: every attempt met another writer, until there were `tries` of them or the deadline came.
            HistoryUnavailable: nothing is known about what was written, or a row is missing.
        """

        def change_all(snapshot: _Snapshot, _: Sequence[None], attempt: Attempt) -> Changes[_Result]:
            return Changes([change(snapshot, attempt)])

        (outcome,) = self.update_all([None], lambda _, attempt: read(attempt), change_all, clock, pause, tries)
        if isinstance(outcome, HistoryUnavailable):
            raise outcome
        for error in outcome.missing_rows.values():
            raise error
        return outcome

    def update_all(  # noqa: PLR0913, PLR0917 - a loop is given everything that it does
        self,
        parts: Sequence[_Part],
        read: Callable[[Sequence[_Part], Attempt], _Snapshot],
        change: Callable[[_Snapshot, Sequence[_Part], Attempt], Changes[_Result]],
        clock: Callable[[], float],
        pause: Callable[[int], None],
        tries: int = TRIES,
    ) -> list[Stored[_Result] | HistoryUnavailable]:
        """Reads, applies a change and commits it: the only loop that does. Parts that met another writer start again.

        What fails for several parts together is repeated one by one, so that one part's failure leaves the others
        alone: each has its share of the time. If DynamoDB did not answer at all, no part gets an answer, and the time
        is needed for other things.

        Args:
            parts: what there is to update, one for each subject.
            read, change: are called with the parts that are left. `change` may raise to give up.
            pause: waits before attempt n + 1 (from 0), so that writers of one subject do not keep colliding.

        Returns:
            For each part what was stored, or why nothing is known to be.
        """
        outcomes: dict[int, Stored[_Result] | HistoryUnavailable] = {}
        left = list(range(len(parts)))
        for number in range(tries):
            attempt = Attempt(clock(), number)
            tried = self._try([parts[place] for place in left], read, change, attempt)
            results = dict(zip(left, tried, strict=True))
            contended = [place for place, result in results.items() if isinstance(result, Conflict)]
            alone = [place for place, result in results.items() if len(left) > 1 and _failed_together(result)]
            if len(contended) > 1 and number + 1 >= BATCH_TRIES and not any(map(_met_at_the_channels, tried)):
                alone, contended = alone + contended, []
            outcomes |= {n: result for n, result in results.items() if not isinstance(result, Conflict)}
            for position, place in enumerate(alone):
                until = deadline.current()
                with deadline.applies(until and until.share(len(alone) - position)):
                    (outcomes[place],) = self.update_all([parts[place]], read, change, clock, pause, tries)
            left = contended
            if not left or number + 1 == tries:
                break
            pause(number)
            until = deadline.current()
            if until and until.left() < _TIME_TO_TRY:
                break
        outcomes |= {place: Contended(number + 1) for place in left}
        return [outcomes[place] for place in range(len(parts))]

    def _try(
        self,
        parts: Sequence[_Part],
        read: Callable[[Sequence[_Part], Attempt], _Snapshot],
        change: Callable[[_Snapshot, Sequence[_Part], Attempt], Changes[_Result]],
        attempt: Attempt,
    ) -> list[Stored[_Result] | Conflict | HistoryUnavailable]:
        """One attempt. A part whose state is written has its rows written at once, before other parts are repeated."""
        try:
            changes, channel_states = change(read(parts, attempt), parts, attempt)
        except HistoryUnavailable as error:
            return [error] * len(parts)
        writes = [change.write for change in changes]
        failures = self._commit_states(writes, channel_states, attempt.now)
        rows = [row for place, write in enumerate(writes) if place not in failures for row in write.rows]
        missing = self._put_rows(rows, attempt.now)
        return [
            failures.get(place)
            or Stored(
                result,
                write.state and _as_stored(write.state),
                {row.alert.id: missing[row.alert.id] for row in write.rows if row.alert.id in missing},
            )
            for place, (result, write) in enumerate(changes)
        ]

    def _commit_states(
        self, writes: Sequence[SubjectWrite], channel_states: ChannelStates | None, now: float
    ) -> dict[int, Conflict | HistoryUnavailable]:
        """Writes the states in as few units as possible. Returns why some of them were not written, by their place.

        What takes leases is written together with the channel states; what does not fit into that transaction, after
        it. So no lease is taken without its share of the rate limits.
        """
        failures: dict[int, Conflict | HistoryUnavailable] = {}
        places = list(range(len(writes)))
        independent = [[place] for place in places if writes[place].is_independent and writes[place].puts]
        others = [place for place in places if not writes[place].is_independent]
        batches = [*independent, *_in_transactions(others, writes)] if others else independent
        for number, batch in enumerate(batches):
            is_first = number == len(independent)
            try:
                self.commit_all(now, [writes[place] for place in batch], channel_states if is_first else None)
            except (Conflict, HistoryUnavailable) as error:
                is_over = isinstance(error, HistoryUnavailable) and not error.answered
                needed = is_over or (is_first and channel_states)
                failed = [place for places in (batches[number:] if needed else [batch]) for place in places]
                failures |= dict.fromkeys(failed, error)
                if needed:
                    return failures
        return failures

    def _puts(self, change: SubjectWrite, now: float) -> Iterator[Put]:
        state = change.state
        if state:
            yield Put(state_item(state, self._longest_ttl(now), now), state.version)
            if state.superseded:  # without a condition: after a state has expired, numbers begin again at 1
                yield Put(state_item(state.superseded, self._ttl_of(state.superseded, now), now))
            if deliveries := (*change.deliveries, *state.given_up):
                ttl = self._ttl_of(state, now)
                yield from (Put(item, 0) for item in delivery_items(state, deliveries, ttl, now))

    def _put_rows(self, rows: Sequence[AlertRecord], now: float) -> dict[str, HistoryUnavailable]:
        """Writes the rows that nobody has written since they were read. Returns why others are missing, by alert id."""
        puts = [Put(row_item(row, self._ttl(row.alert.severity, now), now), row.version) for row in rows]
        failures = self.table.put_each(puts, now) if puts else {}
        return {row.alert.id: failures[put.key] for row, put in zip(rows, puts, strict=True) if put.key in failures}

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


def _failed_together(result: object) -> bool:
    """Whether an attempt failed in a way that may concern only some of its parts."""
    return isinstance(result, HistoryUnavailable) and result.answered


def _met_at_the_channels(result: object) -> bool:
    """Whether another writer changed the channel states, which all parts share: one by one they would meet more."""
    return isinstance(result, Conflict) and CHANNEL_STATES_KEY in result.keys


def _in_transactions(places: Sequence[int], writes: Sequence[SubjectWrite]) -> Iterator[list[int]]:
    """The places of the writes of each transaction; at least one, for the channel states may be all there is."""
    batch: list[int] = []
    size = 1  # the channel states
    for place in places:
        if batch and size + writes[place].puts > MAX_PUTS:
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += writes[place].puts
    yield batch


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


def _is_early(item: Item, now: float) -> bool:
    """Whether the index finds the item now, as it is stored: the index may lag behind."""
    return bool(item.get("due_at", math.inf) <= now)


def _due_at(state: SubjectState) -> float:
    return state.due_at or 0.0
