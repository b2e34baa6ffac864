"""A `Table` in memory: DynamoDB's semantics, no clock, no chance, safe for threads.

Like DynamoDB it deletes expired items only when it gets round to it: when a test calls `sweep`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from threading import Lock
from typing import Any

from router.errors import Conflict, HistoryUnavailable
from router.table import INDEXES, MAX_PUTS, TABLE, Index, Item, Key, Page, Put, Query, expired, plain_item, typed_item

_MAX_BYTES = 400 * 1024  # of one item (DynamoDB guide, "Quotas")


class MemoryTable:
    def __init__(self) -> None:
        self._stored: dict[Key, Item] = {}
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
            self._stored.update((put.key, put.item) for put in copies)

    def query(self, query: Query, now: float) -> Page:
        if query.between is not None and query.between[0] > query.between[1]:
            raise HistoryUnavailable("ValidationException: the lower bound is above the upper bound")
        with self._lock:
            found = [_copy(item) for item in self._stored.values() if _is_asked_for(item, query)]
        found.sort(key=lambda item: _place(item, query.keys), reverse=query.newest_first)
        return query.page(map(_projection(query.keys), found), now)

    def sweep(self, now: float) -> None:
        """Delete what has expired, as DynamoDB's TTL does some day."""
        with self._lock:
            self._stored = {key: item for key, item in self._stored.items() if not expired(item, now)}

    def rows(self) -> list[Item]:
        """Everything that is physically there, expired or not, in the order of the keys."""
        with self._lock:
            return [_copy(self._stored[key]) for key in sorted(self._stored)]

    def _allows(self, put: Put, now: float) -> bool:
        stored = self._stored.get(put.key)
        if put.version is None:
            return True
        if stored is None or expired(stored, now):
            return put.version == 0
        return put.version != 0 and stored.get("version") == put.version


def _copy(item: Item) -> Item:
    """What DynamoDB would give back: tuples as lists, floats in milliseconds, shared with nobody."""
    return plain_item(typed_item(item))


def _place(item: Mapping[str, Any], index: Index) -> tuple[Any, ...]:
    return item[index.sort], item[TABLE.partition], item[TABLE.sort]


def _projection(index: Index) -> Any:
    """A function that leaves of an item what the index holds."""
    if index.projects is None:
        return lambda item: item
    kept = {*index.names, *index.projects}
    return lambda item: {name: value for name, value in item.items() if name in kept}


def _is_asked_for(item: Item, query: Query) -> bool:
    """Whether the item is in the partition, the range and what lies after the cursor."""
    keys = query.keys
    if item.get(keys.partition) != query.partition or keys.sort not in item:
        return False
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
