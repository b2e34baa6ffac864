"""An in-memory `Table` for `replay` and for tests. It is not shipped in the function.

It has DynamoDB's semantics, no clock and no randomness, and is safe to use from several threads. Like DynamoDB, it does
not delete expired items at once; `sweep` deletes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from threading import Lock
from typing import Any

from router.errors import Conflict, HistoryUnavailable
from router.history.table import (
    INDEXES,
    MAX_PUTS,
    TABLE,
    Index,
    Item,
    Key,
    Page,
    Put,
    Query,
    expired,
    plain,
    put_alone,
    typed,
)

_MAX_BYTES = 400 * 1024  # of one item (DynamoDB guide, "Quotas")
_UNCHANGEABLE = frozenset({str, int, float, bool, bytes, type(None)})
_EXACT = 10**12  # a smaller number has thousandths as a float, and is the same when it has been a text


_Partition = tuple[str | None, str]
"""The name of an index (None for the table itself) and a partition key."""


class MemoryTable:
    """Implements `router.history.table.Table`."""

    def __init__(self) -> None:
        self._stored: dict[Key, Item] = {}
        self._partitions: dict[_Partition, dict[Key, None]] = {}
        self._lock = Lock()

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        with self._lock:
            stored = {key: self._stored[key] for key in keys if key in self._stored}
            return {key: _copy_of_stored(item) for key, item in stored.items() if not expired(item, now)}

    def commit(self, puts: Sequence[Put], now: float) -> None:
        copies = [Put(_copy(put.item), put.version) for put in puts]
        _refuse_invalid(copies)
        with self._lock:
            refused = [put.key for put in copies if not self._allows(put, now)]
            if refused:
                raise Conflict(
                    refused, {key: _copy_of_stored(self._stored[key]) for key in refused if key in self._stored}
                )
            for put in copies:
                self._store(put.item)

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        return put_alone(self.commit, puts, now)

    def query(self, query: Query, now: float) -> Page:
        if query.between is not None and query.between[0] > query.between[1]:
            raise HistoryUnavailable("ValidationException: the lower bound is above the upper bound")
        with self._lock:
            keys = self._partitions.get((query.index_name, query.partition))
            if not keys:  # as most are that a tick asks for
                return Page(())
            items = [item for key in keys if _matches(item := self._stored[key], query)]
            items.sort(key=lambda item: _sort_key(item, query.keys), reverse=query.newest_first)
            project = _projection(query.keys)
            return query.page((_copy_of_stored(project(item)) for item in items), now)

    def sweep(self, now: float) -> None:
        """Deletes expired items, as DynamoDB's TTL eventually does."""
        with self._lock:
            for key in [key for key, item in self._stored.items() if expired(item, now)]:
                self._remove(key)

    def rows(self, prefix: str = "") -> list[Item]:
        """The items whose partition key has this prefix, expired or not, in the order of their keys."""
        with self._lock:
            return [_copy_of_stored(self._stored[key]) for key in sorted(self._stored) if key[0].startswith(prefix)]

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
    """The partitions in which a query finds the item."""
    yield None, item[TABLE.partition]
    for name, index in INDEXES.items():
        if index.partition in item and index.sort in item:
            yield name, item[index.partition]


def _copy_of_stored(value: Any) -> Any:
    """A copy of what is stored, in which nothing that can be changed is shared."""
    kind = type(value)
    if kind is dict:
        return {
            name: member if type(member) in _UNCHANGEABLE else _copy_of_stored(member) for name, member in value.items()
        }
    if kind is list:
        return [element if type(element) in _UNCHANGEABLE else _copy_of_stored(element) for element in value]
    return value if kind in _UNCHANGEABLE else _copy(value)


def _copy(value: Any) -> Any:
    """A copy as DynamoDB would return it: tuples as lists, floats rounded to milliseconds.

    The most frequent types take a fast path; `router.history.table` has the rules for all others.
    """
    kind = type(value)
    if (kind is str and value.isascii()) or value is None or kind is bool or kind is bytes:
        return value
    if kind is int and -_EXACT < value < _EXACT:
        return value
    if kind is float and -_EXACT < value < _EXACT:
        value = round(value, 3)
        return int(value) if value.is_integer() else value
    if kind is dict or isinstance(value, Mapping):
        return {_copy(name): _copy(member) for name, member in value.items()}
    if kind is list or kind is tuple:
        return [_copy(element) for element in value]
    return plain(typed(value))


def _sort_key(item: Mapping[str, Any], index: Index) -> tuple[Any, ...]:
    return item[index.sort], item[TABLE.partition], item[TABLE.sort]


def _projection(index: Index) -> Any:
    """A function that reduces an item to the attributes that the index projects."""
    if index.projects is None:
        return lambda item: item
    kept = {*index.names, *index.projects}
    return lambda item: {name: value for name, value in item.items() if name in kept}


def _matches(item: Item, query: Query) -> bool:
    """Whether an item of the partition is in the query's range and after its cursor."""
    keys = query.keys
    if query.between is not None and not query.between[0] <= item[keys.sort] <= query.between[1]:
        return False
    if query.cursor is None:
        return True
    position, cursor = _sort_key(item, keys), _sort_key(query.cursor, keys)
    return position < cursor if query.newest_first else position > cursor


def _refuse_invalid(puts: Sequence[Put]) -> None:
    """Raises HistoryUnavailable for puts that DynamoDB rejects with a ValidationException."""
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
    """Size in bytes, close enough to DynamoDB's count (DynamoDB guide, "Item sizes and formats") to test the limit."""
    match value:
        case str():
            return len(value) if value.isascii() else len(value.encode())
        case bytes():
            return len(value)
        case list():
            return 3 + sum(1 + size_of(element) for element in value)
        case dict():
            return 3 + sum(1 + size_of(name) + size_of(element) for name, element in value.items())
    return len(str(value)) // 2 + 2
