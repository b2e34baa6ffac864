"""The events of a replay and when each arrives: from a file, or from the history of a deployed stage."""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from router.cli.classify import documents
from router.ecs.normalise import normalise, parse
from router.errors import UnreadableEvent
from router.history.items import row_key, seconds, unpacked
from router.history.store import AlertQuery, History
from router.history.table import Item
from router.model import CHANNEL_HEALTH, Subject, SubjectKind

LATEST = datetime(9900, 1, 1, tzinfo=UTC).timestamp()
"""No event arrives later, so that there is a calendar left for what follows."""
_BATCH = 100  # rows of one BatchGetItem
_RESOURCES = {  # of a subject's kind, as an event's `resources` name it
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
    """Something in the input that is no event; `place` says where it stands."""

    place: str
    reason: str


class _Document(NamedTuple):
    """An event, and its time of arrival if it has one."""

    event: Any
    at: float | None


def from_file(lines: Iterable[bytes]) -> Iterator[Arrival | Unreadable]:
    """The events of JSON Lines, of a JSON array, or one event, in the order of the file.

    An event arrives at its envelope's `time`, else at its own time, else together with the event before. The clock
    never goes back: an event with an earlier time arrives late. Events without any time at the beginning of the file
    arrive together with the first event that has one; if none has one, at the beginning of 1970.
    """
    return _in_order(_documents(lines))


def _in_order(found: Iterable[_Document | Unreadable]) -> Iterator[Arrival | Unreadable]:
    clock: float | None = None
    waiting: list[_Document] = []
    for each in found:
        if isinstance(each, Unreadable):
            yield each
        elif clock is None and each.at is None:
            waiting.append(each)
        else:
            clock = max(clock or 0.0, each.at or 0.0)
            yield from (Arrival(clock, earlier.event) for earlier in waiting)
            waiting.clear()
            yield Arrival(clock, each.event)
    yield from (Arrival(0.0, earlier.event) for earlier in waiting)


def _documents(lines: Iterable[bytes]) -> Iterator[_Document | Unreadable]:
    for place, text in documents(lines):
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
    """An envelope's time, in epoch seconds; UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(str(text))
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return at if at > 0 else None


# --- from history -----------------------------------------------------------------------------------------------------


def from_history(history: History, since: float, until: float) -> Iterator[Arrival | Unreadable]:
    """The events that are in history, in the order in which the router recorded them.

    History holds each occurrence once, so the copies that ECS sent of it are missing; so are events that were too large
    to be kept, which count as unreadable. What the router said of its own channels is left out: in a replay no channel
    fails.

    Args:
        since, until: event times, in epoch seconds.
    """
    alerts = list(history.each_alert(AlertQuery(since, until, None), until))
    found: list[tuple[tuple[str, str, str], Arrival | Unreadable]] = []
    for start in range(0, len(alerts), _BATCH):
        keys = [key for each in alerts[start : start + _BATCH] if (key := row_key(each["id"]))]
        rows = history.table.get(keys, until)
        found += [(_order(row), _recorded(row)) for row in rows.values() if _came_in(row)]
    return (each for _, each in sorted(found, key=lambda each: each[0]))


def _order(row: Item) -> tuple[str, str, str]:
    """What was recorded together, in one batch, was decided in the order of the events' own times."""
    return row["recorded_at"], row["at"], row["id"]


def _came_in(row: Item) -> bool:
    return row.get("detail_type") != CHANNEL_HEALTH


def _recorded(row: Item) -> Arrival | Unreadable:
    """The event of a row as EventBridge delivered it, as far as the row keeps it."""
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
    """The ARN of the row's subject, which some events name in their envelope alone."""
    subject = Subject.from_text(row["account"], row["region"], row["cluster"], row["subject"])
    form = _RESOURCES.get(subject.kind)
    if form is None:
        return []
    path = form.format(cluster=subject.cluster, name=subject.name)
    return [f"arn:aws:ecs:{subject.region}:{subject.account}:{path}"]
