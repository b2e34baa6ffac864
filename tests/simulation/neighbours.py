"""The two AWS services that the router calls, with their faults: the history table, and SQS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn, TypeVar

from router.cli.replay.memory_table import MemoryTable
from router.errors import Conflict, DeadlineExceeded, HistoryUnavailable
from router.history.items import CHANNEL_STATES_KEY, is_state_key
from router.history.table import Item, Key, Page, Put, Query, expired, put_alone
from tests.simulation.boundary import Boundary, Unanswered
from tests.simulation.plan import Contention
from tests.simulation.scheduler import Process

T = TypeVar("T")
_STALE = 2.0  # seconds that an index may lag behind


@dataclass(frozen=True, slots=True)
class Write:
    """One committed item, when it was committed, and by which invocation."""

    at: float
    by: Process
    item: Item


class _SharedTable(MemoryTable):
    """`MemoryTable` without defensive copies, which the router's frozen items do not need.

    They would take a third of a run. Floats still lose the precision that they lose in DynamoDB.
    """

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        found = {key: self._stored[key] for key in keys if key in self._stored}
        return {key: item for key, item in found.items() if not expired(item, now)}

    def commit(self, puts: Sequence[Put], now: float) -> None:
        refused = [put.key for put in puts if not self._allows(put, now)]
        if refused:
            raise Conflict(refused, {key: self._stored[key] for key in refused if key in self._stored})
        for put in puts:
            self._store(_stored(put.item))


def _stored(value: Any) -> Any:
    match value:
        case dict():
            return {name: _stored(member) for name, member in value.items()}
        case list() | tuple():
            return [_stored(member) for member in value]
        case float():
            value = round(value, 3)
            return int(value) if value.is_integer() else value
        case str():
            return str(value)
    return value


class SimulatedTable:
    """`MemoryTable` behind a boundary. The due index lags behind the table, as in DynamoDB.

    Attributes:
        writes: every item ever committed, in order, including expired ones.
        watch: called with each subject state that is written.
    """

    def __init__(self, boundary: Boundary, watch: Callable[[Item], None]) -> None:
        self._boundary = boundary
        self._table = _SharedTable()
        self._watch = watch
        self._due: dict[Key, tuple[Item, float]] = {}
        self.writes: list[Write] = []

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        return self._call(lambda: self._table.get(keys, now), "get", *(key[1] for key in keys))

    def commit(self, puts: Sequence[Put], now: float) -> None:
        self._call(lambda: self._commit(puts, now), "commit", *(put.key[1] for put in puts))

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        """One call after the other, so that the process can die between any two of them."""
        return put_alone(self.commit, puts, now)

    def query(self, query: Query, now: float) -> Page:
        if query.index_name != "due":
            return self._call(lambda: self._table.query(query, now), "query", query.partition)
        return self._call(lambda: self._query_due(query), "query", query.partition)

    def put(self, put: Put, now: float) -> None:
        """Commits for another writer, without faults."""
        self._table.commit([put], now)

    def stored(self, now: float) -> dict[Key, Item]:
        """What another reader finds, without faults."""
        return self._table.get([(item["pk"], item["sk"]) for item in self._table.rows()], now)

    def rows(self) -> list[Item]:
        return self._table.rows()

    def sweep(self, now: float) -> None:
        self._table.sweep(now)

    def next_due(self) -> float | None:
        """When a subject is due next."""
        return min((item["due_at"] for item, _ in self._due.values()), default=None)

    def _call(self, do: Callable[[], T], *what: object) -> T:
        boundary = self._boundary
        fault = boundary.fault()
        if any(begins <= boundary.elapsed < ends for begins, ends in boundary.plan.outages):
            fault = "hangs" if boundary.plan.hangs else "refused"
        if fault == "collision":
            fault = ""
            if what[0] == "commit":
                boundary.trouble()
                do = _collide
        try:
            return boundary.call(do, *what, fault=fault or "none")
        except Unanswered as error:
            raise HistoryUnavailable(f"DynamoDB: {error}", answered=fault != "hangs") from error
        except DeadlineExceeded as error:
            raise HistoryUnavailable(f"DynamoDB: {error}", answered=False) from error

    def _commit(self, puts: Sequence[Put], now: float) -> None:
        if any(self._is_contended(period) for period in self._boundary.plan.contention):
            self._boundary.trouble()  # the result of a send may not be recorded in time
            self._let_another_write(puts, now)
        self._table.commit(puts, now)
        at, thread = self._boundary.scheduler.now, self._boundary.scheduler.current
        assert thread
        for put in puts:
            item = put.item
            self.writes.append(Write(at, thread.process, item))
            if "state" in item:
                self._note_due(put.key, item, at)
                self._watch(item)

    def _is_contended(self, contention: Contention) -> bool:
        is_now = contention.begins <= self._boundary.elapsed < contention.ends
        return is_now and self._boundary.chance.random() < contention.chance

    def _let_another_write(self, puts: Sequence[Put], now: float) -> None:
        """Another writer changes the shared items that are about to be written; if there are none, it creates one."""
        shared = [put.key for put in puts if is_state_key(put.key) or put.key == CHANNEL_STATES_KEY]
        stored = self._table.get(shared, now)
        self._boundary.log.note("another writer is faster")
        for item in stored.values():
            self._table.commit([Put({**item, "version": item["version"] + 1}, item["version"])], now)
        if shared and not stored:
            raise Conflict

    def _note_due(self, key: Key, item: Item, at: float) -> None:
        if "due_at" in item:
            self._due[key] = (item, at)
        else:
            self._due.pop(key, None)

    def _query_due(self, query: Query) -> Page:
        """The current content of the index, as far as one page shows it."""
        found = [(item, at) for item, at in self._due.values() if item["due_shard"] == query.partition]
        found.sort(key=lambda item: (item[0]["due_at"], item[0]["pk"], item[0]["sk"]))
        shown = (item for item, written in found if self._shows(item["due_at"], written))
        page = tuple(islice(shown, self._boundary.plan.due_page))
        if next(shown, None):
            self._boundary.log.note("the due index has more than a page")
        return Page(page)

    def _shows(self, due: float, written: float) -> bool:
        now = self._boundary.scheduler.now
        lags = self._boundary.stormy and not self._boundary.plan.steady and now - written < _STALE
        return due <= now and not (lags and self._boundary.chance.random() < 0.5)


def _collide() -> NoReturn:
    raise Conflict


class SqsClient:
    """What `router.aws.queues.Queues` calls."""

    def __init__(
        self,
        boundary: Boundary,
        accept: Callable[[str, str, float, dict[str, Any]], None],
        give_back: Callable[[str, float], None],
    ) -> None:
        self._boundary, self._accept, self._give_back = boundary, accept, give_back

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - SQS's own names
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> None:
        self._boundary.call(
            lambda: self._give_back(ReceiptHandle, VisibilityTimeout), "visibility", QueueUrl, ReceiptHandle
        )

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - SQS's own names
        MessageBody: str,  # noqa: N803
        DelaySeconds: float = 0,  # noqa: N803
        MessageAttributes: dict[str, Any] | None = None,  # noqa: N803
    ) -> None:
        self._boundary.call(
            lambda: self._accept(QueueUrl, MessageBody, DelaySeconds, MessageAttributes or {}), "send", QueueUrl
        )
