"""What stored items show: which kinds of items, which of their attributes, and which values of closed sets."""

from collections.abc import Iterator
from dataclasses import fields
from unittest.mock import patch

from router.history import items
from router.history.codec import Choice, Record
from router.history.table import Item
from router.model import Alert, Decision, EndedBy, IncidentStatus, Kind, Outcome, Reason, Severity
from tests.golden.meaning import kind_of, written_back

STORED_CHOICES = {name for name, value in vars(items).items() if isinstance(value, Choice)}
_NAMES = {id(value): name for name, value in vars(items).items() if isinstance(value, (Choice, Record))}
_RECORDS = {name: value for name, value in vars(items).items() if isinstance(value, Record)}
_READ_FROM_ATTRIBUTES = {"SUBJECT_ITEM": "state", "SILENCE": "silence"}
"""Records that are the attributes of an item of this kind, and are not written as records."""
CHOICES = {
    "SEVERITY": Severity,
    "ANNOUNCED_SEVERITY": Severity,
    "STATUS": IncidentStatus,
    "KIND": Kind,
    "OUTCOME": Outcome,
    "ENDED_BY": EndedBy,
    "REASON": Reason,
    "DECISION": Decision,
}
_ROW = {"source", "event", "silence", "silence_reason", "incident", *(field.name for field in fields(Alert))}
_KINDS = {
    *(f"kind {kind}" for kind in ("alert", "state", "silence", "channels", "services", "runs", "damaged", "heartbeat")),
    *("a state with an earlier incident", "a state that is due", "an open incident", "a state that expires"),
    "a page that waits for its rate limit",
    *("deliveries recorded together", "a delivery that failed for good", "gathered=True", "gathered=False"),
}
_OF_STATE = {
    "a state that is due": "due_shard",
    "an open incident": "open_shard",
    "a state that expires": "ttl",
    "a page that waits for its rate limit": "only_pages_until",
}
NEVER_STORED = {
    "DECISION=unreadable",  # such an event goes to the dead-letter queue, and history has no row of it
    "alert.alarm",  # the row holds the whole event
    "alert.effects",
}


def wanted() -> set[str]:
    """Everything that frozen items must show, one of them at least."""
    stored = {f"{name}.{field}" for name, record in _RECORDS.items() for field in record.fields}
    values = {f"{name}={value}" for name, members in CHOICES.items() for value in members}
    return (_KINDS | stored | values | {f"alert.{name}" for name in _ROW}) - NEVER_STORED


def shown(item: Item) -> set[str]:
    """What one item shows."""
    return {f"kind {kind_of(item)}", *_attributes(item), *_records(item)}


def _attributes(item: Item) -> Iterator[str]:
    match kind_of(item):
        case "alert":
            yield from (f"alert.{name}" for name, value in item.items() if value not in ("", (), [], {}, None, False))
            yield from (f"DECISION={item['decision']}", f"SEVERITY={item['severity']}")
        case "delivery":
            for delivery in items.each_delivery(item):
                yield from (
                    f"KIND={delivery['kind']}",
                    f"REASON={delivery['reason']}",
                    f"OUTCOME={delivery['outcome']}",
                )
                yield f"gathered={delivery['gathered']}"
            yield "deliveries recorded together" if "deliveries" in item else "a delivery that failed for good"
        case kind:
            if kind == "state":
                yield from (name for name, attribute in _OF_STATE.items() if attribute in item)
                yield from ["a state with an earlier incident"] * (item["sk"] != "incident")
            for name, of in _READ_FROM_ATTRIBUTES.items():
                yield from (f"{name}.{attribute}" for attribute in item if kind == of)


def _records(item: Item) -> set[str]:
    """What is in the records that the item is written from: fields with another value than the default, and choices."""
    seen: set[str] = set()
    write_record, write_choice = Record.write, Choice.write

    def record(self: Record, value: object, unknown: object) -> dict[str, object]:
        stored = write_record(self, value, unknown)
        seen.update(f"{_NAMES[id(self)]}.{name}" for name in stored)
        return stored

    def choice(self: Choice, value: object, unknown: object) -> object:
        stored = write_choice(self, value, unknown)
        seen.add(f"{_NAMES[id(self)]}={stored}")
        return stored

    with patch.object(Record, "write", record), patch.object(Choice, "write", choice):
        written_back(item)
    return seen
