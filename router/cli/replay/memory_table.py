"""A `Table` in memory, for `replay` and for tests; the function is shipped without it.

It has DynamoDB's semantics, no clock and no randomness, and may be used by several threads. Like DynamoDB, it does not
delete an expired item at once: it deletes expired items when `sweep` is called.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from threading import Lock
from typing import Any

from router.errors import Conflict, HistoryUnavailable
from router.history.table import INDEXES, MAX_PUTS, TABLE, Index, Item, Key, Page, Put, Query, expired, plain, typed

_MAX_BYTES = 400 * 1024  # of one item (DynamoDB guide, "Quotas")


_Partition = tuple[str | None, str]
"""The name of an index (None for the table itself), and a partition of it."""


class MemoryTable:
    """See `router.history.table.Table`."""

    def __init__(self) -> None:
        self._stored: dict[Key, Item] = {}
        self._partitions: dict[_Partition, dict[Key, None]] = {}
        self._lock = Lock()

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        with self._lock:
            found = {key: self._stored[key] for key in keys if key in self._stored}
            return {key: _copy(item) for key, item in found.items() if not expired(item, now)}

    def commit(self, puts: Sequence[Put], now: float) -> None:
        copies = [Put(_copy(put.item), put.version) for put in puts]
        _refuse_invalid(copies)
        with self._lock:
            refused = [put.key for put in copies if not self._allows(put, now)]
            if refused:
                raise Conflict(refused, {key: _copy(self._stored[key]) for key in refused if key in self._stored})
            for put in copies:
                self._store(put.item)

    def query(self, query: Query, now: float) -> Page:
        if query.between is not None and query.between[0] > query.between[1]:
            raise HistoryUnavailable("ValidationException: the lower bound is above the upper bound")
        with self._lock:
            keys = self._partitions.get((query.index_name, query.partition), ())
            found = [item for key in keys if _is_asked_for(item := self._stored[key], query)]
            found.sort(key=lambda item: _place(item, query.keys), reverse=query.newest_first)
            project = _projection(query.keys)
            return query.page((project(_copy(item)) for item in found), now)

    def sweep(self, now: float) -> None:
        """Delete what has expired, as DynamoDB's TTL does some day."""
        with self._lock:
            for key in [key for key, item in self._stored.items() if expired(item, now)]:
                self._remove(key)

    def rows(self) -> list[Item]:
        """Everything that is physically there, expired or not, in the order of the keys."""
        with self._lock:
            return [_copy(self._stored[key]) for key in sorted(self._stored)]

    def _store(self, item: Item) -> None:
        key = item["pk"], item["sk"]
        self._remove(key)
        self._stored[key] = item
        for partition in _partitions_of(item):
            self._partitions.setdefault(partition, {})[key] = None

    def _remove(self, key: Key) -> None:
        before = self._stored.pop(key, None)
        for partition in _partitions_of(before) if before else ():
            del self._partitions[partition][key]

    def _allows(self, put: Put, now: float) -> bool:
        stored = self._stored.get(put.key)
        if put.version is None:
            return True
        if stored is None or expired(stored, now):
            return put.version == 0
        return put.version != 0 and stored.get("version") == put.version


def _partitions_of(item: Item) -> Iterator[_Partition]:
    """Where a query finds the item."""
    yield None, item[TABLE.partition]
    for name, index in INDEXES.items():
        if index.partition in item and index.sort in item:
            yield name, item[index.partition]


def _copy(value: Any) -> Any:
    """What DynamoDB would give back: tuples as lists, floats in milliseconds, shared with nobody.

    It has a fast path for the most frequent types; `router.history.table` has the rules for all others.
    """
    kind = type(value)
    if (kind is str and value.isascii()) or value is None or kind is bool or kind is bytes:
        return value
    if isinstance(value, Mapping):
        return {_copy(name): _copy(each) for name, each in value.items()}
    if kind is list or kind is tuple:
        return [_copy(each) for each in value]
    return plain(typed(value))


def _place(item: Mapping[str, Any], index: Index) -> tuple[Any, ...]:
    return item[index.sort], item[TABLE.partition], item[TABLE.sort]


def _projection(index: Index) -> Any:
    """A function that leaves of an item what the index holds."""
    if index.projects is None:
        return lambda item: item
    kept = {*index.names, *index.projects}
    return lambda item: {name: value for name, value in item.items() if name in kept}


def _is_asked_for(item: Item, query: Query) -> bool:
    """Whether an item of the partition is in the range, and in what lies after the cursor."""
    keys = query.keys
    if query.between is not None and not query.between[0] <= item[keys.sort] <= query.between[1]:
        return False
    if query.cursor is None:
        return True
    here, there = _place(item, keys), _place(query.cursor, keys)
    return here < there if query.newest_first else here > there


def _refuse_invalid(puts: Sequence[Put]) -> None:
    """What DynamoDB answers with a ValidationException is an unavailable history to the caller."""
    keys = sorted(put.key for put in puts)
    problems = [f"{key} twice" for key, following in pairwise(keys) if key == following]
    if len(puts) > MAX_PUTS:
        problems.append(f"{len(puts)} puts")
    problems += [problem for put in puts for problem in _problems(put.item)]
    if problems:
        raise HistoryUnavailable(f"ValidationException: {'; '.join(problems)}")


def _problems(item: Item) -> Iterator[str]:
    for index in (TABLE, *INDEXES.values()):
        sort_types = (str,) if index.sort_type == "S" else (int, float)
        for name, types in ((index.partition, (str,)), (index.sort, sort_types)):
            if name in item and not _can_be_key(item[name], types):
                yield f"key {name} is {item[name]!r}"
    if size_of(item) > _MAX_BYTES:
        yield f"an item of {size_of(item)} bytes"


def _can_be_key(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool) and value != ""


def size_of(value: Any) -> int:
    """Bytes. Near enough to DynamoDB's count (DynamoDB guide, "Item sizes and formats") to meet the limit in a test."""
    match value:
        case str():
            return len(value.encode())
        case bytes():
            return len(value)
        case list():
            return 3 + sum(1 + size_of(element) for element in value)
        case dict():
            return 3 + sum(1 + size_of(name) + size_of(element) for name, element in value.items())
    return len(str(value)) // 2 + 2
