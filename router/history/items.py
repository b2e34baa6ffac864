"""The items of the history table: their keys, their attributes, their stored defaults, and redaction (docs/history.md).

    pk                 sk                               item
    alert#OCCURRENCE   WHAT.SUBJECT                     an alert: one row for each occurrence; of a task, all its rows
    subject#SUBJECT    incident                         the state of a subject: its newest incident and its outbox
    subject#SUBJECT    incident#NNNNNN                  an incident before the newest
    subject#SUBJECT    delivery#NNNNNN#TIME#ATTEMPT     an attempt to tell a channel of incident NNNNNN, and others that
                                                        were recorded together with it
    channels           condition                        what was sent to the channels lately, and which of them fail
    poll               services                         how far the poll of all services has come
    poll               runs                             when each expected run is due next
    silences           TIME#ID                          a silence; TIME is the end that it was given when it was added
    PK                 damaged#TIME#SK                  a copy of an item (PK, SK) that could not be read

OCCURRENCE is the task's id (a hash where the alert is not about a task), SUBJECT the hash of the fingerprint. WHAT is
what ended (`task-ended`, `exited-HASH` for the containers of that hash, `reported-HASH` for those whose exit the task
itself reported), else the cause. Index keys contain the day and a shard where all writes of an account would otherwise
share one partition.

Versions that run side by side read each other's items by these rules:

- Each item says with `schema` which version of the format its writer used, and with `min_reader` the oldest schema that
  can read it. A version whose `SCHEMA` is lower raises NewerItem and leaves the item alone.
- A reader keeps what it does not know, and writes it back: see `router.history.codec`. It stays in the field `unknown`
  of SubjectState, ChannelStates and Silence, which no other module reads.
- The records below state the default of each stored field. A field that has its default need not be stored. A default
  is never changed: items without the field were stored with it in mind.
- An item that cannot be read raises DamagedItem; `router.history.store` sets it aside.
"""

import json
import logging
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from itertools import groupby
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, NamedTuple, TypeVar

from router.channels.state import BundleState, ChannelFailure, ChannelStates
from router.config.match import SILENCE_FACTS
from router.config.silences import Silence
from router.errors import DamagedItem, NewerItem
from router.history.codec import (
    COUNT,
    EMPTY,
    FLAG,
    FLOAT,
    INTEGER,
    NUMBER,
    OCCURRENCES,
    TEXT,
    VERSION,
    Choice,
    Field,
    MapOf,
    Optional,
    Record,
    TupleOf,
)
from router.history.table import Item, Key
from router.incident.state import (
    Condition,
    Delivery,
    Dispatch,
    KnownTask,
    MessageOptions,
    MutedAlert,
    OutboxEntry,
    RecentAlert,
    RouteTarget,
    SelfReport,
    SendMode,
    SubjectState,
)
from router.model import (
    Alarm,
    Alert,
    Container,
    Decision,
    EndedBy,
    Event,
    Incident,
    IncidentStatus,
    Kind,
    Outcome,
    Reason,
    Recurrence,
    Severity,
    Silenced,
    Subject,
)
from router.poll.state import RunPoll, RunWatch, ServicePoll, Shortfall
from router.text.redaction import REDACTED, redacted_value
from router.text.redaction import redacted as redacted_text

log = logging.getLogger("ecs-alert-router.history.items")

SCHEMA = 1
"""The version of the format that this code writes, and the newest that it knows completely."""
MIN_READER = 1
"""The oldest schema whose readers can read what this code writes."""
STAMP: Final[Mapping[str, int]] = MappingProxyType({"schema": SCHEMA, "min_reader": MIN_READER})
"""What every item says of its format."""
SHARDS = 10
"""How many partitions share the writes of an account in an index: each takes 1,000 writes a second."""
EVENT_LIMIT = 32_768
"""Bytes of a compressed event in its row. A larger event is left out; its classification and containers are stored."""
CHANNEL_STATES_KEY: Key = ("channels", "condition")
SERVICE_POLL_KEY: Key = ("poll", "services")
RUN_POLL_KEY: Key = ("poll", "runs")
_NEVER = 253_402_300_799  # the year 9999
_SILENCED_BY = ("silence", "silence_reason")  # of a row


class AlertRecord(NamedTuple):
    """An alert, what was decided about it, and the id of the incident that counts it (`""` for none).

    Attributes:
        event: the event that the alert was made from, or None where it is not known.
        silenced_by: id and reason of the silence that held the alert back, if one did.
        version: of the row that it replaces; 0 if there is none.
        is_repeat: the state knew the alert before; only its row was missing.
    """

    alert: Alert
    decision: Decision
    incident: str
    event: Event | None = None
    silenced_by: Mapping[str, str] = MappingProxyType({})
    version: int = 0
    is_repeat: bool = False


class Recorded(NamedTuple):
    """What is known of an alert that decides whether a repeat of it is news.

    Attributes:
        incident: the id of the incident that counts it, or "".
        version: of its row; 0 if there is none.
        is_written: its row says all of this.
        silenced_by: see `AlertRecord`; known only of a row that is not written.
    """

    severity: Severity
    cause: str
    decision: Decision
    incident: str
    version: int
    is_written: bool = True
    silenced_by: Mapping[str, str] = MappingProxyType({})


# --- keys -------------------------------------------------------------------------------------------------------------


def row_key(alert_id: str) -> Key | None:
    """`OCCURRENCE.WHAT.SUBJECT` is the id; neither what ended, nor a cause, nor a hash holds a dot."""
    parts = alert_id.rsplit(".", 2)
    return (f"alert#{parts[0]}", f"{parts[1]}.{parts[2]}") if len(parts) == 3 else None  # noqa: PLR2004


def state_key(subject: Subject, archived_number: int | None = None) -> Key:
    return f"subject#{subject.key}", "incident" if archived_number is None else f"incident#{archived_number:06}"


def is_row_key(key: Key) -> bool:
    return key[0].startswith("alert#")


def is_state_key(key: Key) -> bool:
    return key[0].startswith("subject#") and key[1].startswith("incident")


def key_of(state: SubjectState) -> Key:
    archived = state.incident.number if state.archived and state.incident else None
    return state_key(state.subject, archived)


def iso(time: float) -> str:
    """A time that sorts as text: UTC, always with milliseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def shard(text: str) -> int:
    """0 to `SHARDS` - 1, evenly spread and always the same for one text."""
    return zlib.crc32(text.encode()) % SHARDS


# --- what is stored of each record, with its stored defaults ----------------------------------------------------------

# What counts where a newer version has stored a text that this version does not know. Each errs towards telling people.
SEVERITY = Choice(Severity, Severity.CRITICAL)
ANNOUNCED_SEVERITY = Choice(Severity, Severity.INFO)  # so that the next alert is not held back as nothing worse
STATUS = Choice(IncidentStatus, IncidentStatus.OPEN)  # so that its end is still announced
KIND = Choice(Kind, Kind.UPDATED)  # the channel knows of the incident, so it is told of the end
OUTCOME = Choice(Outcome, Outcome.RETRY)
REASON = Choice(Reason, Reason.DIGEST)
ENDED_BY = Choice(EndedBy, EndedBy.OTHER)
DECISION = Choice(Decision, Decision.HELD_BACK)  # in history, and not known to have been announced

CONTAINER = Record(
    Container,
    {
        "name": Field(TEXT, ""),
        "status": Field(TEXT, ""),
        "exit_code": Field(Optional(INTEGER), None),
        "reason": Field(TEXT, ""),
        "image": Field(TEXT, ""),
        "digest": Field(TEXT, ""),
        "memory": Field(Optional(INTEGER), None),
        "health": Field(TEXT, ""),
    },
    identity="name",
)
ALARM = Record(
    Alarm,
    {
        **dict.fromkeys(("state", "previous_state", "namespace", "metric", "label"), Field(TEXT, "")),
        "dimensions": Field(MapOf(TEXT), EMPTY),
        **dict.fromkeys(("statistic", "unit", "expression", "comparison"), Field(TEXT, "")),
        "period": Field(Optional(FLOAT), None),
        "missing_tasks": Field(FLAG, default=False),
        "values": Field(TupleOf(FLOAT), ()),
        "breaching": Field(COUNT, 0),
        "evaluated": Field(COUNT, 0),
        **dict.fromkeys(("threshold", "lower", "upper"), Field(Optional(FLOAT), None)),
        "no_data": Field(FLAG, default=False),
        "description": Field(TEXT, ""),
        "runbook_url": Field(TEXT, ""),
        "children": Field(MapOf(TEXT), EMPTY),
        "triggered": Field(FLAG, default=False),
        "composite_rule": Field(TEXT, ""),
        "suppressed_by": Field(TEXT, ""),
        "suppressed_reason": Field(TEXT, ""),
        "suppressed_until": Field(Optional(NUMBER), None),
    },
)
ALERT = Record(  # without its subject, which the item names once
    dict,
    {
        "id": Field(TEXT),
        "event_id": Field(TEXT),
        "at": Field(NUMBER),
        "severity": Field(SEVERITY),
        "cause": Field(TEXT),
        "resolves": Field(FLAG),
        "rule": Field(TEXT),
        "title": Field(TEXT),
        "task": Field(TEXT, ""),
        "stopped": Field(FLAG, default=False),
        "started_at": Field(Optional(NUMBER), None),
        "created_at": Field(Optional(NUMBER), None),
        "containers": Field(TupleOf(CONTAINER), ()),
        "culprits": Field(TupleOf(TEXT), ()),
        "ended": Field(TupleOf(TEXT), ()),
        "stop_code": Field(TEXT, ""),
        "reason": Field(TEXT, ""),
        "task_definition": Field(TEXT, ""),
        "deployment": Field(TEXT, ""),
        "runbook_url": Field(TEXT, ""),
        "details": Field(MapOf(TEXT), EMPTY),
        "alarm": Field(Optional(ALARM), None),
        "partition": Field(TEXT, ""),
        "exited": Field(TupleOf(TEXT), ()),
        "self_reported": Field(FLAG, default=False),
        "detail_type": Field(TEXT, ""),
        "event_name": Field(TEXT, ""),
        "event_reason": Field(TEXT, ""),
    },
    identity="id",
)
RECURRENCE = Record(
    Recurrence,
    {
        "last_day": Field(COUNT, 0),
        "last_week": Field(COUNT, 0),
        "previous": Field(Optional(NUMBER), None),
        "deployed_at": Field(Optional(NUMBER), None),
    },
)
SILENCED = Record(
    Silenced,
    {"since": Field(NUMBER), "last_at": Field(NUMBER), "count": Field(COUNT), "by": Field(MapOf(TEXT))},
    identity="since",
)
INCIDENT = Record(  # without `subject`, `number`, `status` and `severity`, which are attributes of the item
    dict,
    {
        "causes": Field(MapOf(COUNT)),
        "tasks": Field(TupleOf(TEXT), ()),
        "alert": Field(ALERT),
        "opened_at": Field(NUMBER),
        "last_at": Field(NUMBER),
        "ended_at": Field(Optional(NUMBER), None),
        "ended_by": Field(Optional(ENDED_BY), None),
        "reopened": Field(COUNT, 0),
        "latest": Field(Optional(ALERT), None),
        "relapses": Field(COUNT, 0),
        "relapsed_at": Field(TupleOf(NUMBER), ()),
        "unconfirmed": Field(COUNT, 0),
        "silenced": Field(Optional(SILENCED), None),
        "closed_by": Field(TEXT, ""),
        "closed_because": Field(TEXT, ""),
        "recurrence": Field(RECURRENCE, Recurrence(0, 0, None, None)),
    },
)
OPTIONS = Record(
    MessageOptions, {"mention": Field(TEXT, ""), "language": Field(TEXT, ""), "time_zone": Field(TEXT, "")}
)
OUTBOX_ENTRY = Record(
    OutboxEntry,
    {
        "dedup_window": Field(NUMBER),
        "stateful": Field(FLAG, default=False),
        "options": Field(OPTIONS, MessageOptions("", "", "")),
        "remind": Field(NUMBER, 0.0),
        "wanted_revision": Field(COUNT, 0),
        "sent_revision": Field(COUNT, 0),
        "last_kind_sent": Field(Optional(KIND), None),
        "announced_severity": Field(ANNOUNCED_SEVERITY, Severity.INFO),
        "suppressed": Field(MapOf(COUNT), EMPTY),
        "only_self_reports": Field(FLAG, default=False),
        "immediate": Field(FLAG, default=False),
        "sent_at": Field(Optional(NUMBER), None),
        "reminded_at": Field(Optional(NUMBER), None),
        "window_step": Field(COUNT, 0),
        "window_ends_at": Field(Optional(NUMBER), None),
        "attempt": Field(COUNT, 0),
        "first_attempt_at": Field(Optional(NUMBER), None),
        "due_at": Field(Optional(NUMBER), None),
        "throttled": Field(FLAG, default=False),
        "lease_owner": Field(TEXT, ""),
        "lease_ends_at": Field(NUMBER, 0.0),
        "outage_alert": Field(FLAG, default=False),
        "in_doubt": Field(FLAG, default=False),
        "outcome": Field(Optional(OUTCOME), None),
        "response": Field(TEXT, ""),
        "remote": Field(MapOf(TEXT), EMPTY),
    },
)
ROUTE_TARGET = Record(
    RouteTarget,
    {
        "channel": Field(TEXT),
        "dedup_window": Field(NUMBER),
        "stateful": Field(FLAG, default=False),
        "options": Field(OPTIONS, MessageOptions("", "", "")),
        "remind": Field(NUMBER, 0.0),
    },
    identity="channel",
)
MUTED = Record(  # its alert without the subject, too
    dict,
    {
        "until": Field(NUMBER),
        "alert": Field(ALERT),
        "targets": Field(TupleOf(ROUTE_TARGET), ()),
        "recurrence": Field(RECURRENCE, Recurrence(0, 0, None, None)),
        "conditions": Field(TupleOf(TEXT), ()),
    },
    identity="until",
)
SELF_REPORT = Record(
    SelfReport,
    {
        "incident": Field(COUNT),
        "cause": Field(TEXT),
        "severity": Field(ANNOUNCED_SEVERITY),  # so that AWS's own report is announced
        "revisions": Field(MapOf(COUNT), EMPTY),
    },
)
KNOWN_TASK = Record(
    KnownTask,
    {
        "exits": Field(MapOf(ANNOUNCED_SEVERITY), EMPTY),
        "restarted": Field(MapOf(NUMBER), EMPTY),
        "self_reports": Field(MapOf(SELF_REPORT), EMPTY),
        "stopped_at": Field(Optional(NUMBER), None),
    },
)
CONDITION = Record(
    Condition,
    {
        "cause": Field(TEXT),
        "reported_at": Field(NUMBER),
        "seen_at": Field(NUMBER),
        "arn": Field(TEXT, ""),
        "deadline": Field(Optional(NUMBER), None),
        "uncertain_since": Field(Optional(NUMBER), None),
    },
    identity="reported_at",
)
RECENT_ALERTS = Record(  # those that follow each other and have the same
    dict,
    {
        "decision": Field(DECISION),
        "severity": Field(ANNOUNCED_SEVERITY),  # so that a repeat is announced rather than held back
        "cause": Field(TEXT),
        "incident": Field(COUNT, 0),
        "alert_id": Field(TEXT, ""),
        "ended": Field(TupleOf(TEXT), ()),
        "silenced_by": Field(MapOf(TEXT), EMPTY),
        "ids": Field(TEXT),
    },
    identity="ids",
)
_ID_LENGTH = 8  # characters of `router.incident.recent.recent_id`


class _Recent:
    """The most recent alerts, with the ids of those that are alike in one text: ids cannot be compressed."""

    accepts = None
    _codec = TupleOf(RECENT_ALERTS)

    def read(self, stored: Any) -> tuple[Any, Any]:
        groups, unknown = self._codec.read(stored)
        recent: dict[str, RecentAlert] = {}
        for group in groups:
            ids = group.pop("ids")
            if len(ids) % _ID_LENGTH:
                raise DamagedItem(f"{ids[-40:]!r} is not a list of ids")
            entry = RecentAlert(**group)
            recent |= {ids[start : start + _ID_LENGTH]: entry for start in range(0, len(ids), _ID_LENGTH)}
        return recent, unknown

    def write(self, value: Any, unknown: Any) -> Any:
        groups = [
            SimpleNamespace(**entry._asdict(), ids="".join(key for key, _ in alike))
            for entry, alike in groupby(value.items(), lambda known: known[1])
        ]
        return self._codec.write(groups, unknown)


STATE = Record(  # without `subject` and `version`, which are attributes of the item
    dict,
    {
        "quiet_from": Field(NUMBER, 0.0),
        "deployment_resolved_at": Field(NUMBER, 0.0),
        "rollbacks": Field(TupleOf(TEXT), ()),
        "completions": Field(MapOf(NUMBER), EMPTY),
        "cause_times": Field(MapOf(NUMBER), EMPTY),
        "conditions": Field(MapOf(CONDITION), EMPTY),
        "ended": Field(MapOf(NUMBER), EMPTY),
        "latest_sent": Field(FLAG, default=False),
        "verify_at": Field(Optional(NUMBER), None),
        "resolve_at": Field(Optional(NUMBER), None),
        "lapse_at": Field(Optional(NUMBER), None),
        "silenced": Field(Optional(SILENCED), None),
        "occurrences": Field(MapOf(TupleOf(OCCURRENCES, tuple)), EMPTY),
        "deployments": Field(MapOf(NUMBER), EMPTY),
        "muted": Field(Optional(MUTED), None),
        "tasks": Field(MapOf(KNOWN_TASK), EMPTY),
        "recent": Field(_Recent(), EMPTY),
        "archived": Field(FLAG, default=False),
        "outbox": Field(MapOf(OUTBOX_ENTRY), EMPTY),
        "incident": Field(Optional(INCIDENT), None),
    },
)
SUBJECT_ITEM = Record(  # the attributes of a subject's item from which its state is read
    dict,
    {
        "version": Field(VERSION),
        "account": Field(TEXT),
        "region": Field(TEXT),
        "cluster": Field(TEXT),
        "subject": Field(TEXT),
        "number": Field(Optional(COUNT), None),
        "status": Field(STATUS, IncidentStatus.OPEN),
        "severity": Field(SEVERITY, Severity.CRITICAL),
    },
)
BUNDLE = Record(BundleState, {"at": Field(NUMBER), "step": Field(COUNT, 0)})
FAILURE = Record(
    ChannelFailure,
    {
        "since": Field(NUMBER),
        "response": Field(TEXT, ""),
        "failed_at": Field(NUMBER, 0.0),
        "reported_at": Field(Optional(NUMBER), None),
        "recovered_at": Field(Optional(NUMBER), None),
    },
    identity="since",
)
CHANNEL_STATES = Record(  # without `version`, which is increased when it is written
    dict,
    {
        "sent_at": Field(MapOf(TupleOf(NUMBER)), EMPTY),
        "bundles": Field(MapOf(BUNDLE), EMPTY),
        "failures": Field(MapOf(FAILURE), EMPTY),
    },
)
SHORTFALL = Record(
    Shortfall,
    {
        "cluster": Field(TEXT),
        "since": Field(NUMBER),
        "reported": Field(TEXT, ""),
        "reported_at": Field(NUMBER, 0.0),
    },
    identity="since",
)
SERVICE_POLL = Record(  # without `version`, which is increased when it is written
    dict,
    {
        "started_at": Field(NUMBER, 0.0),
        "clusters": Field(TupleOf(TEXT), ()),
        "token": Field(Optional(TEXT), ""),
        "services": Field(TupleOf(TEXT), ()),
        "unseen": Field(TupleOf(TEXT), ()),
        "complete": Field(FLAG, default=True),
        "shortfalls": Field(MapOf(SHORTFALL), EMPTY),
    },
)
RUN_WATCH = Record(
    RunWatch,
    {
        "schedule": Field(TEXT),
        "since": Field(NUMBER),
        "due_at": Field(Optional(NUMBER), None),
        "started_at": Field(NUMBER, 0.0),
        "wait_until": Field(NUMBER, 0.0),
        "running": Field(MapOf(NUMBER), EMPTY),
        "late": Field(TupleOf(TEXT), ()),
    },
    identity="since",
)
RUN_POLL = Record(dict, {"watches": Field(MapOf(RUN_WATCH), EMPTY)})  # without `version`, as above
SILENCE = Record(  # times are stored as text; `planned_end` is in the key
    dict,
    {
        "version": Field(VERSION),
        "id": Field(TEXT),
        "match": Field(MapOf(TupleOf(TEXT))),
        "reason": Field(TEXT, ""),
        "author": Field(TEXT, ""),
        "created_at": Field(TEXT),
        "starts_at": Field(TEXT),
        "ends_at": Field(TEXT),
    },
)

_OF_INDEXES = {"due_shard", "due_at", "only_pages_until", "open_shard"}
# Attributes that are made from others each time an item is written, so that none of them is unknown.
_KEYS_AND_STAMP = {"pk", "sk", "schema", "min_reader", "ttl"}
_MADE_FOR_QUERIES = {
    "fingerprint",
    "state",
    "id",
    "cause",
    "title",
    "opened_at",
    "open_shard",
    "due_shard",
    "due_at",
    "only_pages_until",
}

_ALERT_ROW: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "id": "",
        "at": "1970-01-01T00:00:00.000Z",
        "severity": "info",
        "cause": "unknown",
        "title": "",
        "decision": Decision.HELD_BACK.value,
        "incident": "",
        "cluster": "-",
        "account": "-",
        "region": "-",
        "task": "",
        "resolves": False,
    }
)
"""What is shown in place of a damaged attribute of an alert's row."""


_OPEN_INCIDENT: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "id": "",
        "opened_at": "1970-01-01T00:00:00.000Z",
        "status": "open",
        "severity": "critical",
        "cause": "unknown",
        "title": "",
        "subject": "-",
        "cluster": "-",
        "account": "-",
        "region": "-",
    }
)
"""The same for an open incident."""


def readable_row(item: Item) -> Item:
    """An alert's row, with the default of `_ALERT_ROW` for each of these attributes that cannot be read."""
    shown = _readable(item, _ALERT_ROW, "at")
    return shown if shown["id"] else {**shown, "id": f"{item['pk'].partition('#')[2]}.{item['sk']}"}


def readable_open_incident(item: Item) -> Item:
    """An item of the index of open incidents, with the default for each attribute that cannot be read."""
    return _readable(item, _OPEN_INCIDENT, "opened_at")


def recorded_alert(item: Item | None) -> Recorded:
    """What a row says. If that cannot be read, no repeat of the alert is news."""
    row = item or {}
    severity, cause, incident = SEVERITY.or_default(row.get("severity")), row.get("cause"), row.get("incident")
    return Recorded(
        Severity(severity),
        cause if isinstance(cause, str) else "unknown",
        Decision(DECISION.or_default(row.get("decision"))),
        incident if isinstance(incident, str) else "",
        version_of(row),
    )


def _readable(item: Item, defaults: Mapping[str, Any], time: str) -> Item:
    damaged = {name: default for name, default in defaults.items() if not isinstance(item.get(name), type(default))}
    if time not in damaged and not _is_time(item[time]):
        damaged[time] = defaults[time]
    if not damaged:
        return item
    log.warning("item %s %s is damaged: %s cannot be read", item["pk"], item["sk"], ", ".join(damaged))
    return {**item, **damaged}


def _is_time(text: str) -> bool:
    try:
        seconds(text)
    except ValueError:
        return False
    return True


# --- items ------------------------------------------------------------------------------------------------------------


def row_item(row: AlertRecord, ttl: int, now: float) -> Item:
    """The row of an alert that is recorded at clock time `now` and expires at epoch second `ttl`."""
    alert, subject = row.alert, row.alert.subject
    pk, sk = row_key(alert.id) or (f"alert#{alert.id}", "-")
    at = iso(alert.at)
    day = f"{at[:10]}#{shard(alert.id)}"
    return {
        "pk": pk,
        "sk": sk,
        **STAMP,
        "version": row.version + 1,
        "ttl": ttl,
        "recorded_at": iso(now),
        "decision": row.decision.value,
        "incident": row.incident,
        "cluster_day": f"{subject.cluster}#{day}",
        "severity_day": f"{alert.severity}#{day}",
        **_alert_item(alert),
        "at": at,
        **_subject_item(subject),
        **(_event_item(row.event) if row.event else {}),
        **{name: value for texts in row.silenced_by.items() for name, value in zip(_SILENCED_BY, texts, strict=True)},
    }


def state_item(state: SubjectState, ttl: int, now: float = math.inf) -> Item:
    """A subject's item: attributes that people query, and the router's own state, packed, as `state`.

    While an incident is open, the item does not expire: its channels are still to be told of the end.

    Args:
        now: clock time. The due index also finds the subject when a window ends that is open then, though nothing may
            have been held back: so an alert that is held back need not move it there, which costs two write units.
    """
    pk, sk = key_of(state)
    incident, unknown = state.incident, _unknown_of(state)
    item: Item = {
        **unknown["item"],
        "pk": pk,
        "sk": sk,
        **STAMP,
        "version": state.version + 1,
        **_subject_item(state.subject),
        "state": packed_state(STATE.write(state, unknown["state"])),
    }
    if incident:
        item |= {
            "id": incident.id,
            "number": incident.number,
            "status": STATUS.write(incident.status, unknown["status"]),
            "severity": SEVERITY.write(incident.severity, unknown["severity"]),
            "cause": incident.alert.cause,
            "title": incident.alert.title,
            "opened_at": iso(incident.opened_at),
        }
    if incident and not incident.over:
        item["open_shard"] = f"open#{shard(pk)}"
    else:
        item["ttl"] = ttl
    due_at = min((time for time in (state.due_at, *_windows(state, now)) if time is not None), default=None)
    if due_at is not None:
        item |= {"due_shard": f"due#{shard(pk)}", "due_at": due_at}
    if (until := _only_pages_until(state)) is not None:
        item["only_pages_until"] = until
    return item


def _windows(state: SubjectState, now: float) -> Iterator[float]:
    """When the windows end that are open now."""
    for entry in state.outbox.values() if state.is_open else ():
        if entry.window_ends_at is not None and entry.window_ends_at > now:
            yield entry.window_ends_at


def _only_pages_until(state: SubjectState) -> float | None:
    """When something else is due than pages that wait for their rate limit; None if no page waits.

    Thousands of them may wait for many minutes. They must not hide from the tick what is due on other channels.
    """
    waiting = {name for name, entry in state.outbox.items() if entry.throttled and entry.stateful}
    if not waiting:
        return None
    others = {name: entry for name, entry in state.outbox.items() if name not in waiting}
    return state._replace(outbox=others, lapse_at=None).due_at or _NEVER


_NOTHING_UNKNOWN: Final[Mapping[str, Any]] = MappingProxyType(
    {"number": None, "item": EMPTY, "status": None, "severity": None, "state": EMPTY}
)


def _unknown_of(state: SubjectState) -> Mapping[str, Any]:
    """What is to be written back. Nothing that belonged to an earlier incident is written into a later one."""
    unknown = state.unknown
    if not unknown:
        return _NOTHING_UNKNOWN
    if state.incident and state.incident.number == unknown["number"]:
        return unknown
    of_subject = {name: content for name, content in unknown["state"].items() if name not in {"incident", "outbox"}}
    return {**_NOTHING_UNKNOWN, "item": unknown["item"], "state": of_subject}


def delivery_items(state: SubjectState, deliveries: Sequence[Delivery], ttl: int, now: float) -> Iterator[Item]:
    """Attempts to tell channels, recorded at clock time `now`: one item for all, but one for each that failed for good.

    Those that failed are in an index of their own. Raises ValueError where the state has no incident.
    """
    incident = state.incident
    if incident is None:
        raise ValueError("a delivery is always of an incident")
    at = iso(now)
    sk = f"delivery#{incident.number:06}#{at}#"
    shared = {"pk": state_key(state.subject)[0], **STAMP, "ttl": ttl, "at": at, "incident": incident.id}
    together = []
    for delivery in deliveries:
        attempt = _attempt_item(delivery)
        if delivery.outcome is Outcome.FAILED:
            alone = f"{sk}{_attempt_key(delivery.dispatch)}"
            yield {**shared, "sk": alone, **attempt, "failed_day": f"failed#{at[:10]}#{shard(alone)}"}
        else:
            together.append(attempt)
    if together:
        first = next(delivery.dispatch for delivery in deliveries if delivery.outcome is not Outcome.FAILED)
        yield {**shared, "sk": f"{sk}{_attempt_key(first)}", "deliveries": together}


def _attempt_key(dispatch: Dispatch) -> str:
    """Unique within a millisecond: a channel may be told within it that an incident is over, and that it is back."""
    return f"{dispatch.channel}#{dispatch.revision}.{dispatch.attempt}"


def _attempt_item(delivery: Delivery) -> Item:
    dispatch = delivery.dispatch
    return {
        "channel": dispatch.channel,
        "kind": dispatch.kind.value,
        "reason": dispatch.reason.value,
        "outcome": delivery.outcome.value,
        "attempt": dispatch.attempt,
        "answer": delivery.response,
        "gathered": dispatch.mode is SendMode.BUNDLED,
    }


def is_delivery_key(key: Key) -> bool:
    return key[0].startswith("subject#") and key[1].startswith("delivery#")


def each_delivery(item: Item) -> Iterator[Item]:
    """The attempts that an item records, each with the attributes that they share. What cannot be read is left out."""
    shared = {name: value for name, value in item.items() if name != "deliveries"}
    deliveries = item.get("deliveries", [{}])
    for delivery in deliveries if isinstance(deliveries, list) else []:
        attempt = {**shared, **delivery} if isinstance(delivery, Mapping) else {}
        if all(isinstance(attempt.get(name), kind) for name, kind in _ATTEMPT.items()):
            yield attempt
        else:
            log.warning("item %s %s is damaged: an attempt in it cannot be read", item["pk"], item["sk"])


_ATTEMPT = {"channel": str, "kind": str, "outcome": str, "answer": str, "attempt": int, "at": str, "incident": str}


def _subject_item(subject: Subject) -> Item:
    return {
        "fingerprint": subject.fingerprint,
        "account": subject.account,
        "region": subject.region,
        "cluster": subject.cluster,
        "subject": subject.text,
    }


def _alert_item(alert: Alert) -> Item:
    item = _fields(alert)
    del item["subject"], item["alarm"], item["effects"]  # the row holds the whole event
    return {
        **item,
        "severity": alert.severity.value,
        "containers": [container._asdict() for container in alert.containers],
    }


def _fields(data: Alert) -> Item:
    """As `dataclasses.asdict`, but one level deep, which is faster: the values are plain already."""
    return {field.name: getattr(data, field.name) for field in fields(data)}


def to_state(item: Mapping[str, Any]) -> SubjectState:
    """The inverse of `state_item`.

    Raises:
        NewerItem: this version is too old to read the item.
        DamagedItem: a part of it cannot be read.
    """
    refuse_newer(item)
    outer, outer_unknown = SUBJECT_ITEM.read(_without_derived(item, _MADE_FOR_QUERIES))
    values, unknown = STATE.read(unpacked_state(item))
    subject = Subject.from_text(outer["account"], outer["region"], outer["cluster"], outer["subject"])
    if state_key(subject)[0] != item["pk"]:
        raise DamagedItem(f"it names {subject.fingerprint}, whose key is another")
    muted = values.pop("muted")
    if muted is not None:
        muted = MutedAlert(**{**muted, "alert": Alert(subject=subject, **muted["alert"])})
    incident = values.pop("incident")
    if (incident is None) != (outer["number"] is None):
        raise DamagedItem("half of its incident is missing")
    if incident is not None:
        incident["alert"] = Alert(subject=subject, **incident["alert"])
        if incident["latest"] is not None:
            incident["latest"] = Alert(subject=subject, **incident["latest"])
        attributes = {name: outer[name] for name in ("number", "status", "severity")}
        incident = Incident(subject=subject, **attributes, **incident)
    return SubjectState(
        subject=subject,
        version=outer["version"],
        incident=incident,
        muted=muted,
        unknown=_unknown_tree(outer["number"], outer_unknown, unknown),
        **values,
    )


def _unknown_tree(number: int | None, outer: Mapping[str, Any] | None, state: Mapping[str, Any] | None) -> Any:
    if not outer and not state:
        return EMPTY
    others = {name: content for name, content in (outer or EMPTY).items() if name not in SUBJECT_ITEM.fields}
    choices = {name: (outer or EMPTY).get(name) for name in ("status", "severity")}
    return {"number": number, "item": others, **choices, "state": state or EMPTY}


def refuse_newer(item: Mapping[str, Any]) -> None:
    """Raises NewerItem where this version is too old to read the item."""
    oldest, _ = COUNT.read(item.get("min_reader", MIN_READER))
    if oldest > SCHEMA:
        raise NewerItem((item["pk"], item["sk"]), f"needs schema {oldest}, and this version has {SCHEMA}")


def _without_derived(item: Mapping[str, Any], derived: set[str]) -> Item:
    return {name: value for name, value in item.items() if name not in derived and name not in _KEYS_AND_STAMP}


# --- damaged items ----------------------------------------------------------------------------------------------------


def damaged_item(item: Item, reason: str, ttl: int, now: float) -> Item:
    """The copy of an item that could not be read at clock time `now`. No index holds it."""
    sk = f"damaged#{iso(now)}#{item['sk']}"
    return {"pk": item["pk"], "sk": sk, **STAMP, "ttl": ttl, "at": iso(now), "reason": reason, "item": dict(item)}


def without_index_keys(item: Item) -> Item:
    """The same item, one version on, where no query for due subjects or open incidents finds it."""
    kept = {name: value for name, value in item.items() if name not in _OF_INDEXES}
    return {**kept, "version": version_of(item) + 1}


def version_of(item: Mapping[str, Any]) -> int:
    """The item's version, or 0 where that cannot be read."""
    version = item.get("version")
    return version if isinstance(version, int) and not isinstance(version, bool) and version > 0 else 0


def restarted_state(item: Item, now: float, subject: Subject | None = None) -> SubjectState | None:
    """What can still be read of a subject's damaged item; None where even its subject is not known.

    Its incident is closed, so that the next alert opens an incident with the next number. What was to be sent is not
    known, so nothing is due.
    """
    subject = subject or _subject_of(item)
    if subject is None:
        return None
    try:
        packed = unpacked_state(item)
    except DamagedItem:
        packed = EMPTY
    lasting = (
        "quiet_from",
        "deployment_resolved_at",
        "rollbacks",
        "completions",
        "ended",
        "occurrences",
        "deployments",
        "tasks",
        "recent",
    )
    number = _number_of(item)
    return SubjectState(
        subject=subject,
        version=version_of(item),
        incident=_closed_incident(item, subject, number, now) if number else None,
        archived=item["sk"] != "incident",
        **STATE.readable(packed, lasting),
    )


def _subject_of(item: Item) -> Subject | None:
    subject = Subject.from_text(*(str(item.get(name)) for name in ("account", "region", "cluster", "subject")))
    return subject if state_key(subject)[0] == item["pk"] else None  # its key is a hash of all four


def _number_of(item: Item) -> int:
    """The incident's number, from the first attribute that can be read; 0 if none can, or if there is no incident."""
    candidates = item["sk"].partition("#")[2], str(item.get("number")), str(item.get("id")).rpartition("-")[2]
    return next((int(text) for text in candidates if text.isdecimal()), 0)


def _closed_incident(item: Item, subject: Subject, number: int, now: float) -> Incident:
    opened_at = item.get("opened_at")
    began = seconds(opened_at) if isinstance(opened_at, str) and _is_time(opened_at) else now
    severity, cause, title = SEVERITY.or_default(item.get("severity")), item.get("cause"), item.get("title")
    alert = Alert(
        id="",
        event_id="",
        at=began,
        severity=Severity(severity),
        cause=cause if isinstance(cause, str) else "unknown",
        resolves=False,
        rule="",
        title=title if isinstance(title, str) else subject.name,
        subject=subject,
    )
    return Incident(
        number=number,
        status=IncidentStatus.CLOSED,
        subject=subject,
        severity=alert.severity,
        causes={alert.cause: 1},
        tasks=(),
        alert=alert,
        opened_at=began,
        last_at=began,
        ended_at=now,
        closed_by="ecs-alert-router",
        closed_because="its stored state was damaged",
    )


# --- the channels -----------------------------------------------------------------------------------------------------


def channel_states_item(channel_states: ChannelStates) -> Item:
    """The one item that all invocations share."""
    return _shared_item(CHANNEL_STATES_KEY, CHANNEL_STATES, channel_states)


def to_channel_states(item: Mapping[str, Any] | None) -> ChannelStates:
    """The inverse of `channel_states_item`. Without an item, no channel fails and none has sent anything lately.

    Raises:
        NewerItem: this version is too old to read the item.
        DamagedItem: a part of it cannot be read.
    """
    return _from_shared_item(ChannelStates, CHANNEL_STATES, item)


# --- what is polled ---------------------------------------------------------------------------------------------------


def service_poll_item(poll: ServicePoll) -> Item:
    return _shared_item(SERVICE_POLL_KEY, SERVICE_POLL, poll)


def to_service_poll(item: Mapping[str, Any] | None) -> ServicePoll:
    """The inverse of `service_poll_item`; raises as `to_channel_states` does."""
    return _from_shared_item(ServicePoll, SERVICE_POLL, item)


def run_poll_item(poll: RunPoll) -> Item:
    return _shared_item(RUN_POLL_KEY, RUN_POLL, poll)


def to_run_poll(item: Mapping[str, Any] | None) -> RunPoll:
    """The inverse of `run_poll_item`; raises as `to_channel_states` does."""
    return _from_shared_item(RunPoll, RUN_POLL, item)


_Shared = TypeVar("_Shared", ChannelStates, ServicePoll, RunPoll)


def _shared_item(key: Key, record: Record, value: ChannelStates | ServicePoll | RunPoll) -> Item:
    pk, sk = key
    return {**record.write(value, value.unknown), "pk": pk, "sk": sk, **STAMP, "version": value.version + 1}


def _from_shared_item(make: type[_Shared], record: Record, item: Mapping[str, Any] | None) -> _Shared:
    if item is None:
        return make()
    refuse_newer(item)
    values, unknown = record.read(_without_derived(item, {"version"}))
    return make(version=VERSION.read(item.get("version"))[0], unknown=unknown or EMPTY, **values)


# --- silences ---------------------------------------------------------------------------------------------------------

SILENCES = "silences"


def silence_item(silence: Silence, ttl: int) -> Item:
    """A silence. Its times are text, for people; its key has the end that was planned when it was added."""
    times = {name: iso(getattr(silence, name)) for name in _SILENCE_TIMES}
    return {
        **silence.unknown,
        "pk": SILENCES,
        "sk": f"{iso(silence.planned_end)}#{silence.id}",
        **STAMP,
        "version": silence.version + 1,
        "ttl": ttl,
        "id": silence.id,
        "match": {fact: list(globs) for fact, globs in silence.match.items()},
        "reason": silence.reason,
        "author": silence.author,
        **times,
    }


_SILENCE_TIMES = ("created_at", "starts_at", "ends_at")


def to_silence(item: Mapping[str, Any]) -> Silence:
    """The inverse of `silence_item`.

    Raises:
        NewerItem: this version is too old to read the item, or does not know a fact that the silence matches.
        DamagedItem: a part of it cannot be read.
    """
    refuse_newer(item)
    values, unknown = SILENCE.read(_without_derived(item, set()))
    if facts := values["match"].keys() - SILENCE_FACTS.keys():
        raise NewerItem((item["pk"], item["sk"]), f"matches {', '.join(sorted(facts))}")
    try:
        values |= {name: seconds(values[name]) for name in _SILENCE_TIMES}
        planned_end = seconds(item["sk"].partition("#")[0])
    except ValueError as error:
        raise DamagedItem(str(error)) from error
    return Silence(planned_end=planned_end, unknown=unknown or EMPTY, **values)


# --- what is stored packed --------------------------------------------------------------------------------------------

# By schema: what a subject's state is likely to say, the likeliest last, so that it need not be stored. A dictionary is
# never changed, since what was packed with it cannot be read without it. A schema without a dictionary of its own uses
# the one before it. An item that is packed with a new dictionary needs readers that have it: raise MIN_READER with it.
DICTIONARIES: Final[Mapping[int, bytes]] = MappingProxyType(
    {
        1: (
            b'"closed_because":"its stored state was damaged","closed_by":"ecs-alert-router","reopened":1,'
            b'"ended_at":17,"recurrence":{"last_day":1,"last_week":1,"previous":17,"deployed_at":17},"details":{"runbook_url":"",'
            b'"silenced":{"since":17,"last_at":17,"count":1,"by":{"rollbacks":["ecs-svc/","deployments":{"ecs-svc/":17,'
            b'"deployment_resolved_at":17,"quiet_from":17,"lease_owner":"","lease_ends_at":17,"in_doubt":true,'
            b'"throttled":true,"first_attempt_at":17,"attempt":1,"response":"","outcome":"retry",'
            b'"options":{"mention":"","language":"ja","time_zone":"Asia/Tokyo"},"last_at":17,"opened_at":17,'
            b'"self_reported":true,"exited":["exits":{"restarted":{"conditions":{"container/"reported_at":17,"seen_at":17,'
            b'"event_name":"SERVICE_DEPLOYMENT_FAILED","detail_type":"ECS Deployment State Change",'
            b'"event_reason":"Scaling activity initiated by (deployment ecs-svc/","rule":"health checks failed",'
            b'"cause":"task_failed_to_start","cause":"image_pull_failed","cause":"health_check_failed",'
            b'"cause":"cloudwatch_alarm","cause":"essential_container_exited","cause":"out_of_memory",'
            b'"reason":"CannotPullContainerError: ","reason":"OutOfMemoryError: Container killed due to memory usage",'
            b'"stop_code":"TaskFailedToStart","recent":[{"decision":"already resolved","decision":"resolving",'
            b'"decision":"announced","severity":"critical","cause":"essential_container_exited","incident":1,"ids":"'
            b'"},{"decision":"held back by window","tasks":{"":{"stopped_at":17},"latest_sent":true,'
            b'"event_reason":"Essential container in task exited","detail_type":"ECS Task State Change",'
            b'"partition":"aws",'
            b'"details":{"launchType":"FARGATE","startedBy":"ecs-svc/"},"deployment":"ecs-svc/","task_definition":":1",'
            b'"stop_code":"EssentialContainerExited","reason":"","culprits":["app"],"memory":512,"digest":"sha256:",'
            b'"image":".dkr.ecr..amazonaws.com/","exit_code":1,"status":"STOPPED","containers":[{"name":"app",'
            b'"created_at":17,"started_at":17,"stopped":true,"task":"","title":" in ",'
            b'"rule":"essential container exited",'
            b'"resolves":false,"severity":"critical","cause":"","at":17,"event_id":"",".task-ended.","alert":{"id":"",'
            b'"tasks":["incident":{"causes":{"suppressed":{"cause_times":{"","lapse_at":17,'
            b'"resolve_at":17,"occurrences":{"":[[17,1]]},"outbox":{"teams":{"pagerduty":{"stateful":true,"email":{'
            b'"slack":{"dedup_window":900.0,"remind":86400.0,"wanted_revision":1,"sent_revision":1,'
            b'"last_kind_sent":"opened","announced_severity":"critical","sent_at":17,"window_step":1,'
            b'"window_ends_at":17,"due_at":17,"outcome":"sent"},'
        )
    }
)


def packed_state(value: Any) -> bytes:
    """Compressed JSON. Half a surrogate pair becomes `?`.

    Floats are rounded to the millisecond as the table does, so that the state and the due index name the same time.
    """
    text = json.dumps(_to_the_millisecond(value), ensure_ascii=False, separators=(",", ":"))
    compressor = zlib.compressobj(level=9, zdict=_dictionary(SCHEMA))
    return compressor.compress(text.encode("utf-8", "replace")) + compressor.flush()


def unpacked_state(item: Mapping[str, Any]) -> Any:
    """The `state` of a subject's item. Raises DamagedItem."""
    packed, schema = item.get("state"), item.get("schema")
    if not isinstance(packed, bytes) or not isinstance(schema, int) or schema < 1:
        raise DamagedItem("state or schema is missing or of the wrong type")
    try:
        return json.loads(zlib.decompressobj(zdict=_dictionary(schema)).decompress(packed))
    except (zlib.error, ValueError, RecursionError) as error:
        raise DamagedItem(f"state: {type(error).__name__}: {error}") from error


def _dictionary(schema: int) -> bytes:
    return DICTIONARIES[max(known for known in DICTIONARIES if known <= schema)]


def _to_the_millisecond(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return round(value, 3)
    if kind is dict or isinstance(value, Mapping):
        return {
            n: member if type(member) in _WITHOUT_FLOATS else _to_the_millisecond(member) for n, member in value.items()
        }
    if kind is list or kind is tuple:
        return [element if type(element) in _WITHOUT_FLOATS else _to_the_millisecond(element) for element in value]
    return value


_WITHOUT_FLOATS = frozenset({str, int, bool, type(None)})  # nearly all of it: each call costs more than the question


# --- the event itself -------------------------------------------------------------------------------------------------


def _event_item(event: Event) -> Item:
    """What `replay --from-history` makes the event of again, together with the alert's own attributes."""
    return {"source": event.source, "detail_type": event.detail_type, "event": _event(event)}


def _event(event: Event) -> bytes | None:
    detail = redacted(event.detail)
    text = json.dumps(detail, ensure_ascii=False)
    if redacted_text(text) != text:  # rare, and looking at each text by itself takes ten times as long
        text = json.dumps(redacted_value(detail), ensure_ascii=False)
    packed = zlib.compress(text.encode("utf-8", "replace"))
    return packed if len(packed) <= EVENT_LIMIT else None


def unpacked(packed: Any) -> Any:
    """The event's `detail` as its row keeps it; None, with a warning, where it is damaged."""
    try:
        return json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError, TypeError, RecursionError) as error:
        log.warning("the event in a row is damaged: %s: %s", type(error).__name__, error)
        return None


def redacted(value: Any) -> Any:
    """A copy without the values of environment variables, and without the overrides of an API call.

    The `overrides` of a task may hold secrets in its environment. Whether CloudTrail masks those of a recorded call is
    not documented, so nothing of them is kept.
    """
    if value is None or isinstance(value, str | int | float):  # nearly all of it
        return value
    if isinstance(value, Mapping):
        return {key: _REDACTIONS.get(key, redacted)(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(element) for element in value]
    return value


def _names_alone(variables: Any) -> Any:
    if not isinstance(variables, list):
        return REDACTED
    return [
        {"name": variable.get("name"), "value": REDACTED} if isinstance(variable, Mapping) else REDACTED
        for variable in variables
    ]


def _without_overrides(value: Any) -> Any:
    """The parameters or the answer of an API call."""
    if isinstance(value, Mapping):
        return {key: _IN_CALLS.get(key, _without_overrides)(member) for key, member in value.items()}
    return [_without_overrides(element) for element in value] if isinstance(value, list | tuple) else value


_IN_CALLS: Mapping[str, Callable[[Any], Any]] = {"overrides": lambda _: REDACTED, "environment": _names_alone}
_REDACTIONS: Mapping[str, Callable[[Any], Any]] = {
    "environment": _names_alone,
    "requestParameters": _without_overrides,
    "responseElements": _without_overrides,
}
