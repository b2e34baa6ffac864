"""What comes in: an SQS batch, one bare event, or the tick. Sees to it that nothing which comes in is lost.

An event ends in history, or on the dead-letter queue with the reason beside it; what could not be written comes again.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router.aws.queues import DUE, TICK, WITHOUT_HISTORY
from router.belated import backfill
from router.context import Dependencies, EventResult
from router.ecs.normalise import parse
from router.errors import HistoryUnavailable, UnreadableEvent
from router.history.items import is_state_key
from router.history.table import Key
from router.last_resort import announce_without_history
from router.model import HEARTBEAT, OWN_SOURCE, Outcome
from router.notify import summary
from router.pipeline import process, process_due
from router.selfcheck.heartbeat import send_heartbeat
from router.tick import tick

log = logging.getLogger("ecs-alert-router.inbox")

Record = Mapping[str, Any]
"""One message, as SQS hands it to a function."""

RETRY_BARE_AFTER = 30.0  # seconds until a bare event whose state could not be written is tried again


def handle(event: Any, deps: Dependencies, remaining: Callable[[], float], max_receives: int) -> dict[str, Any]:
    """What the Lambda does (`router.handler.lambda_handler`), with everything passed in.

    Args:
        remaining: seconds until the invocation must come to its end.
        max_receives: after so many receives SQS moves a record to the dead-letter queue.
    """
    if isinstance(event, Mapping) and isinstance(event.get("Records"), list):
        return {
            "batchItemFailures": [
                {"itemIdentifier": each} for each in _batch(event["Records"], deps, remaining, max_receives)
            ]
        }
    if _is_own(event, TICK):
        return {"deliveries": tick(deps, remaining)}
    if _is_own(event, HEARTBEAT):
        return {"deliveries": _heartbeat(event, deps, remaining)}
    return _bare(event, deps, remaining)


def _is_own(event: Any, detail_type: str) -> bool:
    return isinstance(event, Mapping) and event.get("source") == OWN_SOURCE and event.get("detail-type") == detail_type


# --- (a) a batch ------------------------------------------------------------------------------------------------------


def _batch(
    records: Sequence[Record], deps: Dependencies, remaining: Callable[[], float], max_receives: int
) -> list[str]:
    """Ids of the records to receive again: those whose state could not be written, and no others."""
    received = {str(record["messageId"]): record for record in records}
    read, again = _read(received, deps)
    own = {key: event for key, event in read.items() if _is_own(event, DUE) or _is_own(event, TICK)}
    beats = {key: event for key, event in read.items() if _is_own(event, HEARTBEAT)}
    backfilled = {
        key: event for key, event in read.items() if _message_attribute(received[key], "reason") == WITHOUT_HISTORY
    }
    others = {key: event for key, event in read.items() if key not in {*own, *beats, *backfilled}}
    for key, event in backfilled.items():
        again += _backfill(key, received[key], event, deps, max_receives)
    again += _events(others, received, deps, remaining, max_receives)
    _own_messages(list(own.values()), deps, remaining)
    return again + [key for key, event in beats.items() if not _heartbeat_succeeded(event, deps, remaining)]


def _read(received: Mapping[str, Record], deps: Dependencies) -> tuple[dict[str, Any], list[str]]:
    """The bodies that are JSON, and the ids of those that are not and could not be put aside."""
    read: dict[str, Any] = {}
    again: list[str] = []
    for key, record in received.items():
        try:
            read[key] = parse(record.get("body", ""))
        except UnreadableEvent as error:
            again += _dead_letter(key, record, str(error), deps)
    return read, again


def _events(
    events: Mapping[str, Any],
    received: Mapping[str, Record],
    deps: Dependencies,
    remaining: Callable[[], float],
    max_receives: int,
) -> list[str]:
    done = dict(zip(events, process(list(events.values()), deps, remaining), strict=True))
    last = {key: each.routed for key, each in done.items() if each.error and _receives(received[key]) >= max_receives}
    told = announce_without_history([each for each in last.values() if each], deps, remaining) if last else {}
    again: list[str] = []
    for key, results in done.items():
        if results.routed is None:
            again += _dead_letter(key, received[key], results.reason, deps)
        elif key in last:
            announced = [
                each.dispatch.channel for each in told[results.routed.alert.id] if each.outcome is Outcome.SENT
            ]
            again += _dead_letter(key, received[key], WITHOUT_HISTORY, deps, announced)
        elif results.error:
            log.warning("to be received again: %s", results.error)
            again.append(key)
    return again


def _backfill(message_id: str, record: Record, event: Any, deps: Dependencies, max_receives: int) -> list[str]:
    """Back from the dead-letter queue: it was announced without history, and is never announced again."""
    announced = _message_attribute(record, "announced").split(",")
    results = backfill(event, announced, deps)
    if results.routed is None:
        return _dead_letter(message_id, record, results.reason, deps)
    if results.error and _receives(record) >= max_receives:
        return _dead_letter(message_id, record, WITHOUT_HISTORY, deps, announced)
    if results.error:
        log.warning("to be received again: %s", results.error)
        return [message_id]
    return []


def _message_attribute(record: Record, name: str) -> str:
    """What stands beside a message that was on the dead-letter queue (`router.aws.queues.Queues.bury`)."""
    notes = record.get("messageAttributes")
    note = notes.get(name) if isinstance(notes, Mapping) else None
    return str(note.get("stringValue", "")) if isinstance(note, Mapping) else ""


def _receives(record: Record) -> int:
    attributes = record.get("attributes")
    count = attributes.get("ApproximateReceiveCount", "1") if isinstance(attributes, Mapping) else "1"
    return int(count) if str(count).isdecimal() else 1


def _dead_letter(
    message_id: str, record: Record, reason: str, deps: Dependencies, announced: Sequence[str] = ()
) -> list[str]:
    """Puts aside what cannot be taken in; it fails only if that fails."""
    try:
        deps.queues.dead_letter(str(record.get("body", "")), reason, announced)
    except Exception:
        log.exception("the dead-letter queue did not take it: %s", reason)
        return [message_id]
    log.warning("put on the dead-letter queue: %s", reason)
    return []


def _own_messages(own: Sequence[Mapping[str, Any]], deps: Dependencies, remaining: Callable[[], float]) -> None:
    """Hints and ticks only save waiting: none of them needs to come again, since the next tick finds what is due."""
    try:
        if any(_is_own(message, TICK) for message in own):
            tick(deps, remaining)
        keys = dict.fromkeys(key for message in own if (key := _scheduled_key(message)))
        if keys:
            due = deps.runtime.history.load(list(keys), deps.runtime.clock())
            process_due(due, deps, remaining, all_due=False)
    except HistoryUnavailable as error:
        log.warning("left to the next tick: %s", error)


def _heartbeat(event: Mapping[str, Any], deps: Dependencies, remaining: Callable[[], float]) -> int:
    """How many channels were told."""
    return len(send_heartbeat(event, deps, remaining))


def _heartbeat_succeeded(event: Mapping[str, Any], deps: Dependencies, remaining: Callable[[], float]) -> bool:
    """Whether the heartbeat is done with."""
    try:
        _heartbeat(event, deps, remaining)
    except HistoryUnavailable as error:
        log.warning("the heartbeat is to be received again: %s", error)
        return False
    return True


def _scheduled_key(message: Mapping[str, Any]) -> Key | None:
    """The subject that a hint says is due; None for what is no hint, or names nothing."""
    detail = message.get("detail")
    if not _is_own(message, DUE) or not isinstance(detail, Mapping):
        return None
    key = str(detail.get("pk", "")), str(detail.get("sk", ""))
    return key if is_state_key(key) else None


# --- (b) a bare event -------------------------------------------------------------------------------------------------


def _bare(event: Any, deps: Dependencies, remaining: Callable[[], float]) -> dict[str, Any]:
    (results,) = process([event], deps, remaining)
    if results.routed is None:
        deps.queues.dead_letter(json.dumps(event, default=str), results.reason)
    elif results.error:
        log.warning("to be tried again: %s", results.error)
        deps.queues.send_delayed(json.dumps(event), RETRY_BARE_AFTER)
    return _summary(results)


def _summary(results: EventResult) -> dict[str, Any]:
    alert = results.routed.alert if results.routed else None
    return {
        "severity": alert.severity.value if alert else None,
        "cause": alert.cause if alert else None,
        "decision": results.decision.value if results.decision else "to be tried again",
        "deliveries": [summary(delivery) for delivery in results.deliveries],
        **({"reason": results.reason} if results.reason else {}),
    }
