"""The items of the history table, and back: keys, attributes, redaction (docs/history.md).

    pk                 sk                               item
    alert#OCCURRENCE   CAUSE.SUBJECT                    an alert: one row for each occurrence; of a task, all its rows
    subject#SUBJECT    incident                         how things stand with a subject: its newest incident and cells
    subject#SUBJECT    incident#NNNNNN                  an incident before the newest
    subject#SUBJECT    delivery#NNNNNN#TIME#CHANNEL     an attempt to tell a channel of incident NNNNNN, and others that
                                                     were noted together with it
    channels           condition                        what the channels were told lately, and which of them fail
    silences           TIME#ID                          a silence; TIME is the end that it was given when it was added

OCCURRENCE is the task's id (a hash for what is not about a task), SUBJECT the hash of the fingerprint. Days and shards
stand in the index keys under which a whole account's writes would else meet.
"""

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from router.channels.state import BundleState, ChannelFailure, ChannelStates
from router.config.silences import Silence
from router.history.table import Item, Key
from router.incident.state import Delivery, MessageOptions, OutboxEntry, SendMode, SubjectState
from router.model import (
    Alert,
    Container,
    Decision,
    Event,
    Incident,
    IncidentStatus,
    Kind,
    Outcome,
    Recurrence,
    Severity,
    Silenced,
    Subject,
)

SCHEMA = 1
SHARDS = 10
"""Index keys that would gather a whole account's writes end in one of these: ten times 1,000 writes a second."""
EVENT_LIMIT = 32_768
"""Bytes of a compressed event in its row; a larger one is left out, its classification and containers are not."""
CHANNEL_STATES_KEY: Key = ("channels", "condition")
_REDACTED = "[redacted]"
_SILENCED_BY = ("silence", "silence_reason")  # of a row


class AlertRecord(NamedTuple):
    """An alert, what was decided about it, and the incident that it counts in (`""` for none).

    Attributes:
        silenced_by: id and reason of the silence that held it back, if one did.
    """

    alert: Alert
    decision: Decision
    incident: str
    event: Event | None = None
    silenced_by: Mapping[str, str] = MappingProxyType({})


# --- keys -------------------------------------------------------------------------------------------------------------


def row_key(alert_id: str) -> Key | None:
    """`OCCURRENCE.CAUSE.SUBJECT` is the id; neither a cause nor a hash holds a dot."""
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
    """Sorts as text: UTC, always with milliseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def shard(text: str) -> int:
    """0 to `SHARDS` - 1, evenly spread and always the same for one text."""
    return zlib.crc32(text.encode()) % SHARDS


# --- items ------------------------------------------------------------------------------------------------------------


def row_item(row: AlertRecord, ttl: int, now: float) -> Item:
    """An alert's row."""
    alert, subject = row.alert, row.alert.subject
    pk, sk = row_key(alert.id) or (f"alert#{alert.id}", "-")
    at = iso(alert.at)
    day = f"{at[:10]}#{shard(alert.id)}"
    return {
        "pk": pk,
        "sk": sk,
        "schema": SCHEMA,
        "version": 1,
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
        **{name: value for each in row.silenced_by.items() for name, value in zip(_SILENCED_BY, each, strict=True)},
    }


def state_item(state: SubjectState, ttl: int) -> Item:
    """A subject's item: what people query on top, the state that the router works on below `state`."""
    pk, sk = key_of(state)
    incident = state.incident
    item: Item = {
        "pk": pk,
        "sk": sk,
        "schema": SCHEMA,
        "version": state.version + 1,
        "ttl": ttl,
        **_subject_item(state.subject),
        "state": _packed(_working_state(state)),
    }
    if incident:
        item |= {
            "id": incident.id,
            "number": incident.number,
            "status": incident.status.value,
            "severity": incident.severity.value,
            "cause": incident.alert.cause,
            "title": incident.alert.title,
            "opened_at": iso(incident.opened_at),
        }
        if not incident.over:
            item["open_shard"] = f"open#{shard(pk)}"
    if state.due_at is not None:
        item |= {"due_shard": f"due#{shard(pk)}", "due_at": state.due_at}
    return item


def delivery_items(state: SubjectState, deliveries: Sequence[Delivery], ttl: int, now: float) -> Iterator[Item]:
    """What came of attempts, as the ledger keeps it: in one item, but for what is looked for by that it failed."""
    incident = state.incident
    if incident is None:
        raise ValueError("a delivery is always of an incident")
    at = iso(now)
    sk = f"delivery#{incident.number:06}#{at}#"
    shared = {"pk": state_key(state.subject)[0], "schema": SCHEMA, "ttl": ttl, "at": at, "incident": incident.id}
    together = []
    for delivery in deliveries:
        attempt = _attempt_item(delivery)
        if delivery.outcome is Outcome.FAILED:
            alone = sk + delivery.dispatch.channel
            yield {**shared, "sk": alone, **attempt, "failed_day": f"failed#{at[:10]}#{shard(alone)}"}
        else:
            together.append(attempt)
    if together:
        yield {**shared, "sk": sk + together[0]["channel"], "deliveries": together}


def _attempt_item(delivery: Delivery) -> Item:
    dispatch = delivery.dispatch
    return {
        "channel": dispatch.channel,
        "kind": dispatch.kind.value,
        "outcome": delivery.outcome.value,
        "attempt": dispatch.attempt,
        "answer": delivery.response,
        "gathered": dispatch.mode is SendMode.BUNDLED,
    }


def is_delivery_key(key: Key) -> bool:
    return key[0].startswith("subject#") and key[1].startswith("delivery#")


def each_delivery(item: Item) -> Iterator[Item]:
    """The attempts of an item of the ledger, each with what they share."""
    shared = {name: value for name, value in item.items() if name != "deliveries"}
    yield from ({**shared, **each} for each in item.get("deliveries", [{}]))


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
    del item["subject"]
    return {**item, "severity": alert.severity.value, "containers": [each._asdict() for each in alert.containers]}


def _fields(data: Alert | Silenced) -> Item:
    """As `dataclasses.asdict`, but one level deep: what lies below is plain already, and every event comes by here."""
    return {field.name: getattr(data, field.name) for field in fields(data)}


def _working_state(state: SubjectState) -> Item:
    """What the router alone works on. It is stored packed: as a map of maps it would be most of what a write costs."""
    incident = state.incident
    working_state: Item = {
        "quiet_from": state.quiet_from,
        "deployment_resolved_at": state.deployment_resolved_at,
        "rollbacks": state.rollbacks,
        "active_causes": state.active_causes,
        "resolve_at": state.resolve_at,
        "lapse_at": state.lapse_at,
        "silenced": state.silenced and _fields(state.silenced),
        "occurrences": state.occurrences,
        "deployments": state.deployments,
        "archived": state.archived,
        "outbox": {name: _entry_item(entry) for name, entry in state.outbox.items()},
    }
    if incident:
        working_state["incident"] = {
            "causes": incident.causes,
            "tasks": incident.tasks,
            "alert": _alert_item(incident.alert),
            "opened_at": incident.opened_at,
            "last_at": incident.last_at,
            "ended_at": incident.ended_at,
            "reopened": incident.reopened,
            "silenced": incident.silenced and _fields(incident.silenced),
            "closed_by": incident.closed_by,
            "closed_because": incident.closed_because,
            "recurrence": incident.recurrence,
        }
    return working_state


def _entry_item(entry: OutboxEntry) -> Item:
    """What is not as it is in a new cell."""
    return {name: value for name, value in entry._asdict().items() if value != _NEW_ENTRY[name]}


def _to_silenced(item: Mapping[str, Any] | None) -> Silenced | None:
    return Silenced(**item) if item else None


def to_state(item: Mapping[str, Any]) -> SubjectState:
    """The inverse of `standing_item`."""
    working_state = _unpacked(item["state"])
    subject = Subject.from_text(item["account"], item["region"], item["cluster"], item["subject"])
    return SubjectState(
        subject=subject,
        version=item["version"],
        quiet_from=working_state["quiet_from"],
        deployment_resolved_at=working_state["deployment_resolved_at"],
        rollbacks=tuple(working_state["rollbacks"]),
        incident=_to_incident(item, working_state["incident"], subject) if "number" in item else None,
        active_causes=working_state["active_causes"],
        outbox={name: _to_entry(entry) for name, entry in working_state["outbox"].items()},
        resolve_at=working_state["resolve_at"],
        lapse_at=working_state["lapse_at"],
        silenced=_to_silenced(working_state["silenced"]),
        occurrences={
            cause: tuple((at, count) for at, count in times)
            for cause, times in working_state.get("occurrences", {}).items()
        },
        deployments=working_state.get("deployments", {}),
        archived=working_state["archived"],
    )


def _to_incident(item: Mapping[str, Any], kept: Mapping[str, Any], subject: Subject) -> Incident:
    return Incident(
        **{
            **kept,
            "number": item["number"],
            "status": _status(item),
            "subject": subject,
            "severity": Severity(item["severity"]),
            "tasks": tuple(kept["tasks"]),
            "alert": _to_alert(kept["alert"], subject),
            "silenced": _to_silenced(kept["silenced"]),
            "recurrence": Recurrence(*kept.get("recurrence", ())),
        }
    )


def _status(item: Mapping[str, Any]) -> IncidentStatus:
    """A status that only a newer version knows counts as open if the item is in the index of open incidents."""
    try:
        return IncidentStatus(item["status"])
    except ValueError:
        return IncidentStatus.OPEN if "open_shard" in item else IncidentStatus.RESOLVED


def _to_alert(item: Mapping[str, Any], subject: Subject) -> Alert:
    containers = tuple(Container(**each) for each in item["containers"])
    return Alert(**{**item, "subject": subject, "severity": Severity(item["severity"]), "containers": containers})


def _to_entry(item: Mapping[str, Any]) -> OutboxEntry:
    return OutboxEntry(
        **{name: _ENTRY_PARSERS[name](value) if name in _ENTRY_PARSERS else value for name, value in item.items()}
    )


_NEW_ENTRY = OutboxEntry(dedup_window=math.nan)._asdict()  # which equals nothing: that is always stored
_ENTRY_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "announced_severity": Severity,
    "last_kind_sent": Kind,
    "options": lambda texts: MessageOptions(*texts),
    "outcome": Outcome,
}


# --- the channels -----------------------------------------------------------------------------------------------------


def channel_states_item(channel_states: ChannelStates) -> Item:
    pk, sk = CHANNEL_STATES_KEY
    return {
        "pk": pk,
        "sk": sk,
        "schema": SCHEMA,
        "version": channel_states.version + 1,
        "sent_at": {endpoint: list(times) for endpoint, times in channel_states.sent_at.items()},
        "bundles": {channel: [each.at, each.step] for channel, each in channel_states.bundles.items()},
        "failures": {channel: each._asdict() for channel, each in channel_states.failures.items()},
    }


def to_channel_states(item: Mapping[str, Any] | None) -> ChannelStates:
    """The inverse of `condition_item`; where there is no item yet, every channel is calm and well."""
    if item is None:
        return ChannelStates()
    return ChannelStates(
        version=item["version"],
        sent_at={endpoint: tuple(times) for endpoint, times in item["sent_at"].items()},
        bundles={channel: BundleState(*each) for channel, each in item["bundles"].items()},
        failures={channel: ChannelFailure(**each) for channel, each in item["failures"].items()},
    )


# --- silences ---------------------------------------------------------------------------------------------------------

SILENCES = "silences"


def silence_item(silence: Silence, ttl: int) -> Item:
    return {
        "pk": SILENCES,
        "sk": f"{iso(silence.planned_end)}#{silence.id}",
        "schema": SCHEMA,
        "version": silence.version + 1,
        "ttl": ttl,
        "id": silence.id,
        "match": {fact: list(globs) for fact, globs in silence.match.items()},
        "reason": silence.reason,
        "author": silence.author,
        "created_at": iso(silence.created_at),
        "starts_at": iso(silence.starts_at),
        "ends_at": iso(silence.ends_at),
    }


def to_silence(item: Mapping[str, Any]) -> Silence:
    """The inverse of `silence_item`."""
    return Silence(
        id=item["id"],
        match={fact: tuple(globs) for fact, globs in item["match"].items()},
        reason=item["reason"],
        author=item["author"],
        created_at=seconds(item["created_at"]),
        starts_at=seconds(item["starts_at"]),
        ends_at=seconds(item["ends_at"]),
        planned_end=seconds(item["sk"].partition("#")[0]),
        version=item["version"],
    )


# --- what is stored packed --------------------------------------------------------------------------------------------

# What a standing's state is likely to say, last what is likeliest: half of it need not be stored. Never to be changed:
# what is stored was packed with it.
_USUAL = (
    b'"closed_because":"","closed_by":"","reopened":0,"ended_at":null,"last_at":17,"opened_at":17,"details":{},'
    b'"runbook_url":"","deployment":"ecs-svc/","task_definition":"","stop_code":"TaskFailedToStart",'
    b'"stop_code":"EssentialContainerExited","memory":null,"digest":"sha256:","image":".dkr.ecr..amazonaws.com/",'
    b'"reason":"","exit_code":1,"status":"STOPPED","containers":[{"name":"","started_at":17,"stopped":true,"task":"",'
    b'"title":" in ","rule":"","resolves":false,"severity":"critical","cause":"","at":17,"event_id":"",'
    b'"alert":{"id":"","tasks":["","causes":{"","incident":{"response":"","outcome":"sent","announced_severity":"critical",'
    b'"window_ends_at":17,"last_kind_sent":"opened","sent_revision":1,"window_step":1,"lease_ends_at":17,"lease_owner":"","due_at":17,'
    b'"first_attempt_at":17,"attempt":1,"suppressed":{"","wanted_revision":1,"dedup_window":900.0,"stateful":true,"email":{"slack":{'
    b'"teams":{"pagerduty":{"outbox":{"archived":false,"silenced":null,"lapse_at":17,"resolve_at":null,"active_causes":{'
    b'"rollbacks":[],"deployment_resolved_at":0.0,"quiet_from":0.0,'
)


def _packed(value: Any) -> bytes:
    """Compressed JSON. Half a surrogate pair becomes `?`; floats are as the table keeps them, to the millisecond, so
    that what is due is due in the index too.
    """
    text = json.dumps(_to_the_millisecond(value), ensure_ascii=False, separators=(",", ":"))
    compressor = zlib.compressobj(zdict=_USUAL)
    return compressor.compress(text.encode("utf-8", "replace")) + compressor.flush()


def _unpacked(packed: bytes) -> Any:
    return json.loads(zlib.decompressobj(zdict=_USUAL).decompress(packed))


def _to_the_millisecond(value: Any) -> Any:
    match value:
        case str() | int() | None:  # nearly all of it
            return value
        case float():
            return round(value, 3)
        case Mapping():
            return {name: _to_the_millisecond(each) for name, each in value.items()}
        case list() | tuple():
            return [_to_the_millisecond(each) for each in value]
    return value


# --- the event itself -------------------------------------------------------------------------------------------------


def _event_item(event: Event) -> Item:
    """What `replay --from-history` makes the event of again, together with the alert's own attributes."""
    return {"source": event.source, "detail_type": event.detail_type, "event": _event(event)}


def _event(event: Event) -> bytes | None:
    packed = zlib.compress(json.dumps(redacted(event.detail), ensure_ascii=False).encode("utf-8", "replace"))
    return packed if len(packed) <= EVENT_LIMIT else None


def unpacked(packed: bytes) -> Any:
    """The event's `detail` as its row keeps it."""
    return json.loads(zlib.decompress(packed))


def redacted(value: Any) -> Any:
    """A copy without the values of environment variables: the `overrides` of a task may hold secrets there."""
    if value is None or isinstance(value, str | int | float):  # nearly all of it
        return value
    if isinstance(value, Mapping):
        return {key: _names_alone(each) if key == "environment" else redacted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


def _names_alone(variables: Any) -> Any:
    if not isinstance(variables, list):
        return _REDACTED
    return [
        {"name": each.get("name"), "value": _REDACTED} if isinstance(each, Mapping) else _REDACTED for each in variables
    ]
