"""As much of DynamoDB as the router and the references ask of it, in memory, with the units that AWS would charge."""

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
    """`answer` is the body of the 400."""

    def __init__(self, code: str, **more: Any) -> None:
        self.answer = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **more}
        super().__init__(code)


@dataclass(slots=True)
class Tables:
    """Every table at once: they are told apart by nothing, as each benchmark has one."""

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
        found = self.items.get(_key(request["Key"]))
        self._read(found, consistent=request.get("ConsistentRead", False))
        return {"Item": found} if found else {}

    def batch_get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        responses: dict[str, list[Typed]] = {}
        for name, wanted in request["RequestItems"].items():
            found = [self.items.get(_key(key)) for key in wanted["Keys"]]
            for item in found:
                self._read(item, consistent=wanted.get("ConsistentRead", False))
            responses[name] = [item for item in found if item]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forwards or backwards through one partition, with BETWEEN at most; all of it in one page."""
        keys = INDEXES[request["IndexName"]] if "IndexName" in request else TABLE
        values = request["ExpressionAttributeValues"]
        low, high = (_plain(values[name]) if name in values else None for name in (":low", ":high"))
        found = [
            item
            for item in self.items.values()
            if item.get(keys.partition) == values[":partition"]
            and keys.sort in item
            and (low is None or low <= _plain(item[keys.sort]) <= high)
        ]
        found.sort(key=lambda item: _plain(item[keys.sort]), reverse=not request.get("ScanIndexForward", True))
        found = found[: request.get("Limit", len(found))]
        size = sum(_size(item) for item in found)
        self.read_units += max(1, math.ceil(size / 4096)) * (1.0 if request.get("ConsistentRead") else 0.5)
        return {"Items": found, "Count": len(found)}

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
        puts = [each["Put"] for each in request["TransactItems"]]
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
        """A unit for each KB, two in a transaction; and for each index that shows something else of it now."""
        stored = self.items.get(_key(item), {})
        self.write_units += times * max(1, math.ceil(max(_size(item), _size(stored)) / 1024))
        for index in INDEXES.values():
            before, after = _shown(index, stored), _shown(index, item)
            if before != after:
                moved = any(before.get(name) != after.get(name) for name in index.names)
                self.write_units += (1 + (moved and bool(before and after))) * max(1, math.ceil(_size(after) / 1024))

    def _refusal(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        stored = self.items.get(_key(request["Item"]), {})
        if "ConditionExpression" not in request:
            return None
        names = request.get("ExpressionAttributeNames", {})
        values = {name: _plain(value) for name, value in request.get("ExpressionAttributeValues", {}).items()}
        held = _condition(request["ConditionExpression"])
        if held(lambda name: names.get(name, name) not in stored, lambda name: _value(stored, names, name), values):
            return None
        return {"Item": stored} if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}


_ACTIONS = {
    "GetItem": Tables.get_item,
    "BatchGetItem": Tables.batch_get_item,
    "Query": Tables.query,
    "PutItem": Tables.put_item,
    "TransactWriteItems": Tables.transact_write_items,
}

_Held = Callable[[Callable[[str], bool], Callable[[str], Any], Mapping[str, Any]], bool]
_GRAMMAR = re.compile(r"attribute_not_exists\((#?\w+)\)|(#\w+)|(:\w+)|( AND )|( OR )|( = )|( < | >= )|([()])")


@lru_cache
def _condition(expression: str) -> _Held:
    """A condition of names, values, AND, OR, =, <, >= and attribute_not_exists, as a function."""

    def python(found: re.Match[str]) -> str:
        missing, name, value, conjunction, disjunction, equals, compared, bracket = found.groups()
        if missing:
            return f"missing('{missing}')"
        if name:
            return f"value('{name}')"
        if value:
            return f"values['{value}']"
        return (conjunction and " and ") or (disjunction and " or ") or (equals and " == ") or str(compared or bracket)

    assert not _GRAMMAR.sub("", expression).strip(), expression
    code = _GRAMMAR.sub(python, expression)
    held: _Held = eval(f"lambda missing, value, values: {code}")  # noqa: S307 - made of the grammar alone
    return held


def _value(stored: Typed, names: Mapping[str, str], name: str) -> Any:
    """What is not there is neither less than nor equal to anything."""
    attribute = stored.get(names.get(name, name))
    return math.nan if attribute is None else _plain(attribute)


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    return float(content) if kind == "N" else content


def _key(item: Typed) -> tuple[str, str]:
    if "pk" not in item:  # a reference's own table, with a partition key alone
        return str(item["id"]["S"]), ""
    return str(item["pk"]["S"]), str(item["sk"]["S"])


def _size(item: Typed) -> int:
    """Bytes, near enough to how DynamoDB counts: names and values, three for a map or list and one for each of its."""
    return sum(len(name) + _bytes(value) for name, value in item.items())


def _bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return 3 + sum(1 + len(name) + _bytes(each) for name, each in content.items())
        case "L":
            return 3 + sum(1 + _bytes(each) for each in content)
        case "N":
            return len(content) // 2 + 1
        case "B":
            return len(content) * 3 // 4
        case "S":
            return len(content.encode())
    return 1


def _shown(index: Index, item: Typed) -> Typed:
    """What an index holds of an item: nothing, where the item lacks one of its keys."""
    if not {index.partition, index.sort} <= item.keys():
        return {}
    names = item.keys() if index.projects is None else {*index.names, *index.projects}
    return {name: item[name] for name in names if name in item}
