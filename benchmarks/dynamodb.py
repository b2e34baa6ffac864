"""The part of DynamoDB that the router and the references use, in memory, with the request units that AWS charges."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from router.history.table import INDEXES, TABLE, Index

Typed = dict[str, dict[str, Any]]


class Refused(Exception):
    """A response with status 400. `answer` is its body."""

    def __init__(self, code: str, **more: Any) -> None:
        self.answer = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **more}
        super().__init__(code)


@dataclass(slots=True)
class Tables:
    """All tables as one, because each benchmark uses only one table."""

    items: dict[tuple[str, str], Typed] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    read_units: float = 0.0
    write_units: float = 0.0

    def call(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls[action] += 1
        answer: dict[str, Any] = _ACTIONS[action](self, request)
        return answer

    # --- reads ---

    def get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self.items.get(_key(request["Key"]))
        self._read(item, consistent=request.get("ConsistentRead", False))
        return {"Item": item} if item else {}

    def batch_get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        responses: dict[str, list[Typed]] = {}
        for name, table in request["RequestItems"].items():
            items = [self.items.get(_key(key)) for key in table["Keys"]]
            for item in items:
                self._read(item, consistent=table.get("ConsistentRead", False))
            responses[name] = [item for item in items if item]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        """One partition in ascending or descending order, with an optional BETWEEN, as one page."""
        keys = INDEXES[request["IndexName"]] if "IndexName" in request else TABLE
        values = request["ExpressionAttributeValues"]
        low, high = (_plain(values[name]) if name in values else None for name in (":low", ":high"))
        items = [
            item
            for item in self.items.values()
            if item.get(keys.partition) == values[":partition"]
            and keys.sort in item
            and (low is None or low <= _plain(item[keys.sort]) <= high)
        ]
        items.sort(key=lambda item: _plain(item[keys.sort]), reverse=not request.get("ScanIndexForward", True))
        items = items[: request.get("Limit", len(items))]
        size = sum(_size(item) for item in items)
        self.read_units += max(1, math.ceil(size / 4096)) * (1.0 if request.get("ConsistentRead") else 0.5)
        return {"Items": items, "Count": len(items)}

    def _read(self, item: Typed | None, *, consistent: bool) -> None:
        self.read_units += math.ceil(_size(item or {}) / 4096 or 1) * (1.0 if consistent else 0.5)

    # --- writes ---

    def put_item(self, request: dict[str, Any]) -> dict[str, Any]:
        self._write(request["Item"], 1)
        refused = self._refusal(request)
        if refused:
            raise Refused("ConditionalCheckFailedException", **refused)
        self.items[_key(request["Item"])] = request["Item"]
        return {}

    def transact_write_items(self, request: dict[str, Any]) -> dict[str, Any]:
        puts = [action["Put"] for action in request["TransactItems"]]
        reasons = []
        for put in puts:
            self._write(put["Item"], 2)
            refused = self._refusal(put)
            reasons.append({"Code": "None"} if refused is None else {"Code": "ConditionalCheckFailed", **refused})
        if any(reason["Code"] != "None" for reason in reasons):
            raise Refused("TransactionCanceledException", CancellationReasons=reasons)
        for put in puts:
            self.items[_key(put["Item"])] = put["Item"]
        return {}

    def _write(self, item: Typed, times: int) -> None:
        """Charges one unit per KB, two in a transaction, and units for each index whose entry changes."""
        stored = self.items.get(_key(item), {})
        self.write_units += times * max(1, math.ceil(max(_size(item), _size(stored)) / 1024))
        for index in INDEXES.values():
            before, after = _projected(index, stored), _projected(index, item)
            if before != after:
                moved = any(before.get(name) != after.get(name) for name in index.names)
                self.write_units += (1 + (moved and bool(before and after))) * max(1, math.ceil(_size(after) / 1024))

    def _refusal(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        stored = self.items.get(_key(request["Item"]), {})
        if "ConditionExpression" not in request:
            return None
        names = request.get("ExpressionAttributeNames", {})
        values = {name: _plain(value) for name, value in request.get("ExpressionAttributeValues", {}).items()}
        holds = _condition(request["ConditionExpression"])
        if holds(lambda name: names.get(name, name) not in stored, lambda name: _value(stored, names, name), values):
            return None
        return {"Item": stored} if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}


_ACTIONS = {
    "GetItem": Tables.get_item,
    "BatchGetItem": Tables.batch_get_item,
    "Query": Tables.query,
    "PutItem": Tables.put_item,
    "TransactWriteItems": Tables.transact_write_items,
}

_Condition = Callable[[Callable[[str], bool], Callable[[str], Any], Mapping[str, Any]], bool]
_GRAMMAR = re.compile(r"attribute_not_exists\((#?\w+)\)|(#\w+)|(:\w+)|( AND )|( OR )|( = )|( < | >= )|([()])")


@lru_cache
def _condition(expression: str) -> _Condition:
    """Compiles a condition expression of names, values, AND, OR, =, <, >= and attribute_not_exists."""

    def python(token: re.Match[str]) -> str:
        missing, name, value, conjunction, disjunction, equals, compared, bracket = token.groups()
        if missing:
            return f"missing('{missing}')"
        if name:
            return f"value('{name}')"
        if value:
            return f"values['{value}']"
        return (conjunction and " and ") or (disjunction and " or ") or (equals and " == ") or str(compared or bracket)

    assert not _GRAMMAR.sub("", expression).strip(), expression
    code = _GRAMMAR.sub(python, expression)
    condition: _Condition = eval(f"lambda missing, value, values: {code}")  # noqa: S307 - only tokens of the grammar
    return condition


def _value(stored: Typed, names: Mapping[str, str], name: str) -> Any:
    """The value of an attribute; NaN, which no comparison matches, if the item lacks it."""
    attribute = stored.get(names.get(name, name))
    return math.nan if attribute is None else _plain(attribute)


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    return float(content) if kind == "N" else content


def _key(item: Typed) -> tuple[str, str]:
    if "pk" not in item:  # the tables of the references have only a partition key
        return str(item["id"]["S"]), ""
    return str(item["pk"]["S"]), str(item["sk"]["S"])


def _size(item: Typed) -> int:
    """Bytes, approximately as DynamoDB counts them: names and values, 3 for a map or list and 1 for each element."""
    return sum(len(name) + _bytes(value) for name, value in item.items())


def _bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return 3 + sum(1 + len(name) + _bytes(element) for name, element in content.items())
        case "L":
            return 3 + sum(1 + _bytes(element) for element in content)
        case "N":
            return len(content) // 2 + 1
        case "B":
            return len(content) if isinstance(content, bytes) else len(content) * 3 // 4
        case "S":
            return len(content.encode())
    return 1


def _projected(index: Index, item: Typed) -> Typed:
    """The attributes of an item in an index; empty if the item lacks a key of the index."""
    if not {index.partition, index.sort} <= item.keys():
        return {}
    names = item.keys() if index.projects is None else {*index.names, *index.projects}
    return {name: item[name] for name in names if name in item}
