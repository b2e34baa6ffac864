"""What a reader makes of stored items, as plain JSON, and what it writes back.

`reader.zip` of a release has this module as its program, with the release's own code of the storage. So both readers
answer in the same form: `reader.zip < items.json` reads a list of items in DynamoDB's typed JSON from stdin, and prints
a list of `{"meaning": …, "written_back": …}`.
"""

import base64
import enum
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from router.history import items
from router.history.table import Item, plain_item, typed_item

_OF_THE_FORMAT = {"pk", "sk", "schema", "min_reader", "ttl", "version"}
_LEFT_OUT = {"version", "unknown", "effects"}  # how often it was written; a newer version's; not stored
_EMPTY: tuple[Any, ...] = (None, "", False, [], {})


def meaning(item: Item) -> Any:
    """What the item says to this version, without what is empty.

    Raises:
        NewerItem, DamagedItem: this version cannot read it.
    """
    read: Callable[[Item], Any] = _READERS.get(kind_of(item), _attributes)
    return _plain(read(item))


def written_back(item: Item) -> Item | None:
    """The item as this version writes it after it has read it; None for an item that is never written again."""
    match kind_of(item):
        case "state":
            return items.state_item(items.to_state(item), ttl=item.get("ttl", 0))
        case "silence":
            return items.silence_item(items.to_silence(item), ttl=item["ttl"])
        case "channels":
            return items.channel_states_item(items.to_channel_states(item))
        case "services":
            return items.service_poll_item(items.to_service_poll(item))
        case "runs":
            return items.run_poll_item(items.to_run_poll(item))
    return None


def _row(item: Item) -> Any:
    row = _attributes(items.readable_row(item))
    return {**row, "event": items.unpacked(item["event"]), "recorded": items.recorded_alert(item)}


def _state(item: Item) -> Any:
    """The state, and what the indexes of due subjects and of open incidents say of it."""
    row = items.readable_open_incident(item) if "open_shard" in item else {}
    due, listed = ({name: of.get(name) for name in names} for names, of in ((_DUE, item), (_LISTED, row)))
    return {"state": items.to_state(item), "due": due, "listed": listed}


def _deliveries(item: Item) -> Any:
    return [_attributes(delivery) for delivery in items.each_delivery(item)]


def _damaged(item: Item) -> Any:
    """What people read; the router does not."""
    return {"at": item["at"], "reason": item["reason"], "of": item["item"]["sk"]}


_DUE = ("due_shard", "due_at", "only_pages_until")
_LISTED = ("id", "opened_at", "status", "severity", "cause", "title", "subject", "cluster", "account", "region")
_READERS: Mapping[str, Callable[[Item], Any]] = {
    "alert": _row,
    "state": _state,
    "delivery": _deliveries,
    "silence": items.to_silence,
    "channels": items.to_channel_states,
    "services": items.to_service_poll,
    "runs": items.to_run_poll,
    "damaged": _damaged,
}


def kind_of(item: Item) -> str:
    """What kind of item it is; "other" for one that this version does not know."""
    key = (item["pk"], item["sk"])
    if item["sk"].startswith("damaged#"):
        return "damaged"
    if items.is_row_key(key):
        return "alert"
    if items.is_state_key(key):
        return "state"
    if items.is_delivery_key(key):
        return "delivery"
    shared = {items.CHANNEL_STATES_KEY: "channels", items.SERVICE_POLL_KEY: "services", items.RUN_POLL_KEY: "runs"}
    if key in shared:
        return shared[key]
    return {items.SILENCES: "silence", "heartbeat": "heartbeat"}.get(item["pk"].partition("#")[0], "other")


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _OF_THE_FORMAT}


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)})
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        plain = {str(name): _plain(member) for name, member in value.items() if name not in _LEFT_OUT}
        return {name: member for name, member in plain.items() if not any(member is e or member == e for e in _EMPTY)}
    return [_plain(member) for member in value] if isinstance(value, (list, tuple)) else value


def to_json(value: Any, **options: Any) -> str:
    """Items in typed JSON, or anything else, as text. Bytes are base64, as the AWS CLI shows them."""
    return json.dumps(value, default=lambda member: base64.b64encode(member).decode(), ensure_ascii=False, **options)


def from_json(text: str) -> Any:
    """The inverse of `to_json` for items in typed JSON."""
    return json.loads(text, object_hook=_with_bytes)


def _with_bytes(typed: dict[str, Any]) -> dict[str, Any]:
    """A binary value of typed JSON; a mapping of a mapping may have the key B, too, but then it holds no text."""
    binary = typed.get("B")
    return {"B": base64.b64decode(binary)} if isinstance(binary, str) else typed


def _answer(item: Item) -> dict[str, Any]:
    back = written_back(item)
    return {"meaning": meaning(item), "written_back": back and typed_item(back)}


if __name__ == "__main__":
    sys.stdout.write(to_json([_answer(plain_item(item)) for item in from_json(sys.stdin.read())]))
