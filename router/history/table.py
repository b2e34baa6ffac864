"""The narrow port to DynamoDB and its one adapter. Knows keys, versions and expiry; knows nothing about alerts.

Three rules hold for every reader and writer:

- An expired item is absent. DynamoDB's TTL deletes late ("within a few days", DynamoDB guide, "Time to Live"), so
  nothing here trusts deletion: expiry is compared in each condition and on each read.
- A commit is written whole or not at all, and only if every one of its conditions holds. `put_each` writes items that
  do not belong together, for half of what a transaction costs.
- `HistoryUnavailable` means that nothing is known; `Conflict` means that someone else was faster.

Values are plain Python: str, int, float, bool, None, bytes, list and dict. A float keeps milliseconds.
"""

import math
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from router import deadline
from router.errors import Conflict, DeadlineExceeded, HistoryUnavailable

Item = dict[str, Any]
Key = tuple[str, str]

MAX_PUTS = 100  # of one TransactWriteItems
_MAX_KEYS = 100  # of one BatchGetItem
_AT_ONCE = 10  # puts; as many connections as botocore keeps by default
_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.4)  # seconds before each try of a batch: DynamoDB may leave keys for later
_WRITE_ID = "write_id"
_FAILURES = (BotoCoreError, ClientError, DeadlineExceeded)


class Index(NamedTuple):
    """The key of a table or index.

    Attributes:
        partition: name of the partition key, always a string. An item without it, or without `sort`, is not in the
            index, which is how an index stays sparse.
        sort: name of the sort key. sort_type: `S` for a string, `N` for a number.
        projects: the attributes that the index holds besides the keys, or None for all. It must name `ttl`, else
            expired items show, and every attribute that is filtered by.
    """

    partition: str
    sort: str
    sort_type: Literal["S", "N"] = "S"
    projects: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes that name one place in the index: its own keys and the table's."""
        return tuple(dict.fromkeys((self.partition, self.sort, TABLE.partition, TABLE.sort)))


TABLE = Index("pk", "sk")

_ALERT = (
    "id",
    "severity",
    "cause",
    "title",
    "decision",
    "incident",
    "cluster",
    "account",
    "region",
    "task",
    "resolves",
)
_OPEN = ("id", "severity", "cause", "title", "subject", "cluster", "account", "region", "status", "ttl")
_FAILED = ("incident", "channel", "kind", "attempt", "answer", "ttl")

# The same as in deploy/table.yml; a test holds the two together.
INDEXES: Mapping[str, Index] = {
    "alerts_by_subject": Index("subject", "at", projects=(*_ALERT, "ttl")),
    "alerts_by_cluster": Index("cluster_day", "at", projects=(*_ALERT, "subject", "ttl")),
    "alerts_by_severity": Index("severity_day", "at", projects=(*_ALERT, "subject", "ttl")),
    "open_incidents": Index("open_shard", "opened_at", projects=_OPEN),
    "due": Index("due_shard", "due_at", "N", projects=("only_pages_until", "ttl")),
    "failed_deliveries": Index("failed_day", "at", projects=_FAILED),
}


class Put(NamedTuple):
    """One item to write whole, and what must be true for it.

    Attributes:
        item: has `pk` and `sk`; `ttl`, where it has one, in epoch seconds. The name `write_id` is the adapter's.
        version: None: whatever is stored. 0: only if nothing is stored, or it has expired. n: only if what is stored
            has not expired and its attribute `version` is n. The writer sets the new `version` in `item`.
    """

    item: Item
    version: int | None = None

    @property
    def key(self) -> Key:
        return self.item["pk"], self.item["sk"]


class Query(NamedTuple):
    """Which items of one partition to read, in the order of the sort key.

    Attributes:
        index_name: one of `INDEXES`, or None for the table itself, which alone is read consistently.
        between: lowest and highest sort key, both included.
        limit: at most this many items, at least 1; None for all there are.
        cursor: `Page.cursor` of the page before.
        filters: attribute to the one value, or the values, that it may have. What does not match is read and paid
            for all the same: make the partition narrow first.
    """

    index_name: str | None
    partition: str
    between: tuple[Any, Any] | None = None
    newest_first: bool = False
    limit: int | None = None
    cursor: Item | None = None
    filters: Mapping[str, str | Collection[str]] = MappingProxyType({})

    @property
    def keys(self) -> Index:
        return TABLE if self.index_name is None else INDEXES[self.index_name]

    def matches(self, item: Item) -> bool:
        return all(
            item.get(name) == allowed if isinstance(allowed, str) else item.get(name) in allowed
            for name, allowed in self.filters.items()
        )

    def page(self, items: Iterable[Item], now: float) -> "Page":
        """The page of those `items`, in order from the cursor on, that are live and match; reads one past the limit."""
        wanted = (item for item in items if not expired(item, now) and self.matches(item))
        items = tuple(islice(wanted, None if self.limit is None else self.limit + 1))
        if self.limit is None or len(items) <= self.limit:
            return Page(items)
        last = items[self.limit - 1]
        return Page(items[: self.limit], {name: last[name] for name in self.keys.names})


class Page(NamedTuple):
    """What a query found. `cursor` is None exactly when there was no more."""

    items: tuple[Item, ...]
    cursor: Item | None = None


class Table(Protocol):
    """What the router asks of its table. `now` is in epoch seconds and is compared with `ttl`, in milliseconds.

    Every method raises `HistoryUnavailable` if DynamoDB refused (throttling and invalid requests included) or did not
    answer before the deadline that applies (`router.deadline`), and ValueError or TypeError for a value that DynamoDB
    has no type for.
    """

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        """The items that are there and have not expired, read consistently; any number of keys."""

    def commit(self, puts: Sequence[Put], now: float) -> None:
        """Write all of at most `MAX_PUTS` items with different keys, or nothing.

        Raises:
            Conflict: a condition failed (its `keys` say whose), or another transaction held an item (no `keys`).
        """

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        """Write each item whose condition holds, whatever becomes of the others. The keys differ.

        An item whose condition fails stays as another writer left it. Returns why the others were not written.
        """

    def query(self, query: Query, now: float) -> Page:
        """The items of one partition that have not expired. Reads on until the limit is reached or nothing is left."""


def put_alone(
    commit: Callable[[Sequence[Put], float], None], puts: Sequence[Put], now: float
) -> dict[Key, HistoryUnavailable]:
    """`Table.put_each`, one commit after the other."""
    failures: dict[Key, HistoryUnavailable] = {}
    for put in puts:
        try:
            commit([put], now)
        except Conflict as conflict:
            if not conflict.keys:
                failures[put.key] = HistoryUnavailable("a transaction held the item; try again later")
        except HistoryUnavailable as error:
            failures[put.key] = error
    return failures


class DynamoTable:
    """`Table` on Amazon DynamoDB.

    botocore repeats a request whose answer was lost, and the repeat of a put that did arrive fails its own condition.
    So each commit stamps its items with a `write_id`, and a refusal by an item that bears it is a success. Readers
    never see the stamp.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        new_write_id: Callable[[], str] = lambda: secrets.token_urlsafe(9),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`client` is a low-level boto3 client; its timeouts and retries are its maker's. `name` may be an ARN."""
        self._client = client
        self._name = name
        self._new_write_id = new_write_id
        self._sleep = sleep

    def __str__(self) -> str:
        """Its name."""
        return self._name

    def get(self, keys: Sequence[Key], now: float) -> dict[Key, Item]:
        wanted = list(dict.fromkeys(keys))  # DynamoDB refuses a batch that names a key twice
        batches = (wanted[start : start + _MAX_KEYS] for start in range(0, len(wanted), _MAX_KEYS))
        items = (item for batch in batches for item in self._read(batch))
        return {(item["pk"], item["sk"]): item for item in items if not expired(item, now)}

    def commit(self, puts: Sequence[Put], now: float) -> None:
        write_id = self._new_write_id()
        requests = [self._put_request(put, write_id, now) for put in puts]
        try:
            if len(requests) == 1:
                self._client.put_item(**requests[0])
            elif requests:
                self._client.transact_write_items(TransactItems=[{"Put": request} for request in requests])
        except _FAILURES as error:
            _raise_for_commit_failure(error, puts, write_id)

    def put_each(self, puts: Sequence[Put], now: float) -> dict[Key, HistoryUnavailable]:
        """Single puts, because BatchWriteItem has no conditions, and permission to call it includes deleting items."""
        if len(puts) == 1:
            return put_alone(self.commit, puts, now)
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most invocations write one item

        until = deadline.current()  # which a new thread does not have

        def put_one(put: Put) -> dict[Key, HistoryUnavailable]:
            with deadline.applies(until):
                return put_alone(self.commit, [put], now)

        with ThreadPoolExecutor(min(len(puts), _AT_ONCE) or 1) as pool:
            return {key: error for failed in pool.map(put_one, puts) for key, error in failed.items()}

    def query(self, query: Query, now: float) -> Page:
        return query.page(self._walk(self._query_request(query)), now)

    def delete(self, keys: Iterable[Key], versions: Mapping[Key, int]) -> None:
        """Removes items one by one, for `history forget` alone: the function may not, nor has it any need to.

        Args:
            versions: of the items that are removed only if nobody has moved them on since.

        Raises:
            Conflict: an item has another version by now. Those before it are gone.
            HistoryUnavailable: DynamoDB refused or did not answer. Some may be gone.
        """
        for key in keys:
            request = {"TableName": self._name, "Key": typed_item({"pk": key[0], "sk": key[1]})}
            if key in versions:
                request |= _condition(versions[key], now=0.0)
            try:
                self._client.delete_item(**request)
            except _FAILURES as error:
                if any(reason["Code"] == "ConditionalCheckFailed" for reason in _reasons(error)):
                    raise Conflict([key]) from error
                raise _unavailable(error) from error

    def _read(self, keys: Sequence[Key]) -> Iterator[Item]:
        """One batch, asked again for the keys that DynamoDB left unprocessed, for 0.75 s in all."""
        left = {self._name: {"Keys": [typed_item({"pk": pk, "sk": sk}) for pk, sk in keys], "ConsistentRead": True}}
        for pause in _PAUSES:
            self._sleep(pause)
            answer = _ask(self._client.batch_get_item, RequestItems=left)
            for items in answer["Responses"].values():
                yield from map(plain_item, items)
            left = answer.get("UnprocessedKeys", {})
            if not left:
                return
        raise HistoryUnavailable(f"DynamoDB left keys unprocessed {len(_PAUSES)} times; try again later")

    def _put_request(self, put: Put, write_id: str, now: float) -> dict[str, Any]:
        request = {"TableName": self._name, "Item": typed_item({**put.item, _WRITE_ID: write_id})}
        if put.version is None:
            return request
        return {**request, **_condition(put.version, now), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    def _query_request(self, query: Query) -> dict[str, Any]:
        request: dict[str, Any] = {
            "TableName": self._name,
            "ScanIndexForward": not query.newest_first,
            **_key_condition(query),
        }
        if query.index_name is None:
            request["ConsistentRead"] = True
        else:
            request["IndexName"] = query.index_name  # an index cannot be read consistently
        if query.limit is not None and not query.filters:  # DynamoDB counts before filtering
            request["Limit"] = query.limit + 1
        if query.cursor is not None:
            request["ExclusiveStartKey"] = typed_item(query.cursor)
        return request

    def _walk(self, request: dict[str, Any]) -> Iterator[Item]:
        """Every item in order; each page (at most 1 MB) is asked for only when the reader gets there."""
        while True:
            answer = _ask(self._client.query, **request)
            yield from map(plain_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def expired(item: Item, now: float) -> bool:
    """Whether the item is to be treated as deleted. `now` is rounded as in a condition, so that both agree."""
    return bool(item.get("ttl", math.inf) < round(now, 3))


def typed(value: Any) -> dict[str, Any]:  # noqa: PLR0911 - a table of types, one return each
    """A plain value in DynamoDB's typed JSON. A character that UTF-8 cannot hold (half a surrogate pair) becomes `?`.

    Raises:
        TypeError: DynamoDB, or this router, has no such type.
        ValueError: a number that is not finite or has more than 38 digits (DynamoDB guide, "Data types").
    """
    match value:
        case str():  # most of them
            return {"S": _text(value)}
        case None:
            return {"NULL": True}
        case bool():  # before int, which it is too
            return {"BOOL": value}
        case int() | float():
            return {"N": _number(value)}
        case bytes():
            return {"B": value}
        case list() | tuple():
            return {"L": [typed(element) for element in value]}
        case Mapping():
            return {"M": typed_item(value)}
    raise TypeError(f"history holds no {type(value).__name__}; make it a plain value first")


def typed_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """A whole item in typed JSON."""
    return {_text(name): typed(value) for name, value in item.items()}


def plain(value: Mapping[str, Any]) -> Any:
    """A value of DynamoDB's typed JSON as plain Python. A number without a fraction is an int."""
    ((kind, content),) = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return _plain_number(content)
        case "L":
            return [plain(element) for element in content]
        case "M":
            return {name: plain(element) for name, element in content.items()}
    return content


def plain_item(item: Mapping[str, Any]) -> Item:
    """A whole item as plain Python, without the adapter's stamp."""
    return {name: plain(value) for name, value in item.items() if name != _WRITE_ID}


def _number(value: float) -> str:
    if isinstance(value, float):
        value = round(value, 3)
        value = int(value) if value.is_integer() else value
    if not -(10**38) < value < 10**38:  # false for a NaN, too
        raise ValueError(f"DynamoDB holds no number like {value}")
    return str(value)


def _plain_number(text: str) -> float:
    try:
        return int(text)  # not by way of float, which has only 15 digits
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else number


def _text(value: str) -> str:
    return value if value.isascii() else value.encode(errors="replace").decode()


def _condition(version: int, now: float) -> dict[str, Any]:
    """What must be true of the stored item. Names begin with `#`, since DynamoDB reserves many, such as `ttl`."""
    if version == 0:
        return {
            "ConditionExpression": "attribute_not_exists(#pk) OR #ttl < :now",
            "ExpressionAttributeNames": {"#pk": TABLE.partition, "#ttl": "ttl"},
            "ExpressionAttributeValues": {":now": typed(now)},
        }
    return {
        "ConditionExpression": "#version = :version AND (attribute_not_exists(#ttl) OR #ttl >= :now)",
        "ExpressionAttributeNames": {"#version": "version", "#ttl": "ttl"},
        "ExpressionAttributeValues": {":version": typed(version), ":now": typed(now)},
    }


def _key_condition(query: Query) -> dict[str, Any]:
    names = {"#partition": query.keys.partition}
    values = {":partition": query.partition}
    expression = "#partition = :partition"
    if query.between is not None:
        expression += " AND #sort BETWEEN :low AND :high"
        names["#sort"] = query.keys.sort
        values[":low"], values[":high"] = query.between
    return {
        "KeyConditionExpression": expression,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": typed_item(values),
    }


def _ask(call: Callable[..., Any], **request: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = call(**request)
    except _FAILURES as error:
        raise _unavailable(error) from error
    return answer


def _raise_for_commit_failure(error: Exception, puts: Sequence[Put], write_id: str) -> None:
    """Say what the failure of a commit means; returns if it was the repeat of a commit that had succeeded.

    One item that bears our `write_id` is proof enough: a commit is whole, so the others were written too, even if
    another writer has been at them since.
    """
    reasons = _reasons(error)
    codes = {reason["Code"] for reason in reasons}
    refused = {
        put.key: reason.get("Item", {})
        for put, reason in zip(puts, reasons, strict=False)
        if reason["Code"] == "ConditionalCheckFailed"
    }
    if any(item.get(_WRITE_ID) == {"S": write_id} for item in refused.values()):
        return
    if refused or "TransactionConflict" in codes:
        raise Conflict(refused, {key: plain_item(item) for key, item in refused.items() if item}) from error
    raise _unavailable(error) from error


def _reasons(error: Exception) -> list[dict[str, Any]]:
    """Why each put was refused, in their order, in the words of a transaction's `CancellationReasons`."""
    if not isinstance(error, ClientError):
        return []
    answer: dict[str, Any] = error.response
    if "CancellationReasons" in answer:
        return list(answer["CancellationReasons"])
    return [{**answer, "Code": answer["Error"]["Code"].removesuffix("Exception")}]


def _unavailable(error: Exception) -> HistoryUnavailable:
    message = f"DynamoDB did not do it; try again later: {type(error).__name__}: {error}"
    return HistoryUnavailable(message, answered=isinstance(error, ClientError))
