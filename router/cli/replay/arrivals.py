"""The events of a replay and their arrival times: from a file, or from the history of a deployed stage."""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from router.cli.classify import documents as json_documents
from router.ecs.normalise import normalise, parse
from router.errors import UnreadableEvent
from router.history.items import row_key, seconds, unpacked
from router.history.store import AlertQuery, History
from router.history.table import Item
from router.model import CHANNEL_HEALTH, Subject, SubjectKind

LATEST = datetime(9900, 1, 1, tzinfo=UTC).timestamp()
"""The latest arrival time (epoch seconds). It leaves room before the year 9999 for the time after the last event."""
_BATCH = 100  # rows of one BatchGetItem
_RESOURCES = {  # subject kind to the resource part of its ARN in an event's `resources`
    SubjectKind.SERVICE: "service/{cluster}/{name}",
    SubjectKind.INSTANCE: "container-instance/{cluster}/{name}",
    SubjectKind.DAEMON: "daemon/{cluster}/{name}",
}


class Arrival(NamedTuple):
    """One event that the router receives.

    Attributes:
        at: virtual time, in epoch seconds.
        event: as EventBridge delivers it.
    """

    at: float
    event: Any


class Unreadable(NamedTuple):
    """An entry of the input that is not an event, and its place in the input."""

    place: str
    reason: str


class _Document(NamedTuple):
    """An event, and its arrival time if it has one."""

    event: Any
    at: float | None


def from_file(lines: Iterable[bytes]) -> Iterator[Arrival | Unreadable]:
    """Yields the events of JSON Lines, of a JSON array, or a single event, in the order of the file.

    An event arrives at its envelope's `time`, else at its own time, else together with the previous event. The clock
    never goes back: an event with an earlier time arrives late. Events without a time at the start of the file arrive
    together with the first event that has one; if none has one, at the start of 1970.
    """
    return _in_order(_documents(lines))


def _in_order(documents: Iterable[_Document | Unreadable]) -> Iterator[Arrival | Unreadable]:
    clock: float | None = None
    waiting: list[_Document] = []
    for document in documents:
        if isinstance(document, Unreadable):
            yield document
        elif clock is None and document.at is None:
            waiting.append(document)
        else:
            clock = max(clock or 0.0, document.at or 0.0)
            yield from (Arrival(clock, earlier.event) for earlier in waiting)
            waiting.clear()
            yield Arrival(clock, document.event)
    yield from (Arrival(0.0, earlier.event) for earlier in waiting)


def _documents(lines: Iterable[bytes]) -> Iterator[_Document | Unreadable]:
    for place, text in json_documents(lines):
        try:
            document = parse(text)
        except UnreadableEvent as error:
            yield Unreadable(place, str(error))
            continue
        items = document if isinstance(document, list) else [document]
        for number, item in enumerate(items, 1):
            where = f"{place}, item {number}" if items is document else place
            yield _document(item, where)


def _document(event: Any, place: str) -> _Document | Unreadable:
    try:
        own = normalise(event, now=math.inf).at
    except UnreadableEvent as error:
        return Unreadable(place, str(error))
    sent = _moment(event.get("time"))
    at = own if sent is None else sent
    return _Document(event, None if at == math.inf else round(min(at, LATEST), 3))


def _moment(text: object) -> float | None:
    """The envelope's time in epoch seconds (UTC if it has no zone); None if it is missing or invalid."""
    try:
        moment = datetime.fromisoformat(str(text))
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return at if at > 0 else None


# --- from history -----------------------------------------------------------------------------------------------------


def from_history(history: History, since: float, until: float) -> Iterator[Arrival | Unreadable]:
    """The events in history, in the order in which the router recorded them.

    History holds each occurrence once, so ECS's duplicates are missing. Events that were too large to store count as
    unreadable. The router's own events about channel health are left out: in a replay no channel fails.

    Args:
        since, until: event times, in epoch seconds.
    """
    alerts = list(history.each_alert(AlertQuery(since, until, None), until))
    arrivals: list[tuple[tuple[str, str, str], Arrival | Unreadable]] = []
    for start in range(0, len(alerts), _BATCH):
        keys = [key for alert in alerts[start : start + _BATCH] if (key := row_key(alert["id"]))]
        rows = history.table.get(keys, until)
        received = (row for row in rows.values() if row.get("detail_type") != CHANNEL_HEALTH)
        arrivals += [(_order(row), _recorded(row)) for row in received]
    return (arrival for _, arrival in sorted(arrivals, key=lambda pair: pair[0]))


def _order(row: Item) -> tuple[str, str, str]:
    """Rows recorded in one batch have the same time; the router decided them in the order of their event times."""
    return row["recorded_at"], row["at"], row["id"]


def _recorded(row: Item) -> Arrival | Unreadable:
    """The event of a row as EventBridge delivered it, as far as the row holds it."""
    detail = unpacked(row["event"]) if row.get("event") else None
    if detail is None or not row.get("detail_type"):
        return Unreadable(f"history, {row['id']}", "its row does not hold the event")
    envelope = {
        "id": row["event_id"],
        "source": row["source"],
        "detail-type": row["detail_type"],
        "time": row["at"],
        "account": row["account"],
        "region": row["region"],
        "resources": _resources(row),
        "detail": detail,
    }
    return Arrival(seconds(row["recorded_at"]), envelope)


def _resources(row: Mapping[str, Any]) -> list[str]:
    """The ARN of the row's subject: some events name it only in their envelope."""
    subject = Subject.from_text(row["account"], row["region"], row["cluster"], row["subject"])
    form = _RESOURCES.get(subject.kind)
    if form is None:
        return []
    path = form.format(cluster=subject.cluster, name=subject.name)
    return [f"arn:aws:ecs:{subject.region}:{subject.account}:{path}"]
