"""Inbox: takes an SQS batch, one bare event, or the tick, and makes sure that no event is lost.

Each event ends in history, or on the dead-letter queue with the reason. One whose state could not be written is
received again.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from router.aws.queues import DUE, GIVE_BACK_AFTER, TICK, WITHOUT_HISTORY, Record
from router.context import SETTLE_MARGIN, Answered, Dependencies, EventResult, Job, RoutedAlert
from router.deadline import Deadline, applies
from router.ecs.normalise import parse
from router.errors import Contended, HistoryUnavailable, UnreadableEvent
from router.history.items import is_state_key
from router.history.table import Key
from router.incident.state import Delivery
from router.model import CHECK, HEARTBEAT, OWED, OWN_DETAIL_TYPES, OWN_SOURCE, SEND_TEST, Decision, Outcome
from router.notify import summary
from router.outage import announce_without_history, backfill
from router.pipeline import process, process_due
from router.selfcheck.heartbeat import heartbeat_jobs, report
from router.tick import tick
from router.understand import understand_safely

log = logging.getLogger("ecs-alert-router.inbox")

_FORGED = "such an event is never accepted from outside: only the router itself creates it"
_NOT_INVOKED = "only someone who may invoke the function may ask for this; it is never accepted from a queue"
RETRY_BARE_AFTER = 30.0  # seconds; for an event whose state could not be written


def handle(event: Any, deps: Dependencies, deadline: Deadline, max_receives: int) -> dict[str, Any]:
    """What the Lambda function does (`router.handler.lambda_handler`), with everything passed in.

    Args:
        deadline: when the invocation must have ended.
        max_receives: after so many receives SQS moves a record to the dead-letter queue.
    """
    with applies(deadline):
        if isinstance(event, Mapping) and isinstance(event.get("Records"), list):
            failed = _batch(event["Records"], deps, deadline, max_receives)
            return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
        if _is_own(event, TICK):
            return {"deliveries": tick(deps, deadline)}
        if _is_own(event, HEARTBEAT):
            return {"deliveries": _heartbeat(event, deps, deadline)}
        answer = next((answer for detail_type, answer in _INVOKED.items() if _is_own(event, detail_type)), _bare)
        return answer(event, deps, deadline)


def _is_own(event: Any, detail_type: str) -> bool:
    return isinstance(event, Mapping) and event.get("source") == OWN_SOURCE and event.get("detail-type") == detail_type


def _is_forged(event: Any) -> bool:
    """Whether it claims to be an event that only the router creates, and that never leaves an invocation."""
    return _own_type(event) in OWN_DETAIL_TYPES


def _own_type(event: Any) -> str:
    """The detail-type of an event that claims to be the router's own, in lower case; "" for any other."""
    if not isinstance(event, Mapping) or event.get("source") != OWN_SOURCE:
        return ""
    return str(event.get("detail-type")).strip().lower()


# --- (a) a batch ------------------------------------------------------------------------------------------------------


def _batch(records: Sequence[Record], deps: Dependencies, deadline: Deadline, max_receives: int) -> list[str]:
    """Ids of the records to receive again: those whose state could not be written, and no others."""
    received = {str(record["messageId"]): record for record in records}
    bodies, refused = _read(received)
    own: list[Mapping[str, Any]] = []
    heartbeats, backfills, events = {}, {}, {}
    for message_id, body in bodies.items():
        if _is_forged(body):
            refused[message_id] = _FORGED
        elif _own_type(body) in _BY_INVOCATION:
            refused[message_id] = _NOT_INVOKED
        elif _is_own(body, DUE) or _is_own(body, TICK):
            own.append(body)
        elif _is_own(body, HEARTBEAT):
            heartbeats[message_id] = body
        elif _message_attribute(received[message_id], "reason") == WITHOUT_HISTORY:
            backfills[message_id] = body
        else:
            events[message_id] = body
    again = _events(events, received, deps, deadline, max_receives)  # first: what is new must not wait for the rest
    for message_id, reason in refused.items():
        again += _dead_letter(message_id, received[message_id], reason, deps)
    for message_id, body in backfills.items():
        again += _backfill(received[message_id], body, deps, deadline, max_receives)
    _own_messages(own, deps, deadline)
    return again + [key for key, body in heartbeats.items() if not _heartbeat_succeeded(body, deps, deadline)]


def _read(received: Mapping[str, Record]) -> tuple[dict[str, Any], dict[str, str]]:
    """The bodies that are JSON, and why the others are not."""
    bodies: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for message_id, record in received.items():
        try:
            bodies[message_id] = parse(record.get("body", ""))
        except UnreadableEvent as error:
            refused[message_id] = str(error)
    return bodies, refused


def _events(
    events: Mapping[str, Any],
    received: Mapping[str, Record],
    deps: Dependencies,
    deadline: Deadline,
    max_receives: int,
) -> list[str]:
    results = dict(zip(events, process(list(events.values()), deps, deadline), strict=True))
    final = {key for key in events if _receives(received[key]) >= max_receives}
    contended = {key for key, result in results.items() if isinstance(result.error, Contended)}
    last = [key for key, result in results.items() if result.error and key in final - contended]
    # An alert that the state already counts is announced as usual; only its row is missing.
    lost = [routed for key in last if (routed := results[key].routed) and results[key].decision is None]
    deliveries = _without_history(lost, deps, deadline) if lost else {}
    again: list[str] = []
    for message_id, result in results.items():
        if result.routed is None:
            again += _dead_letter(message_id, received[message_id], result.reason, deps)
        elif message_id in last:
            attempts = deliveries.get(result.routed.alert.id, result.deliveries)
            announced = [attempt.dispatch.channel for attempt in attempts if attempt.outcome is Outcome.SENT]
            again += _dead_letter(message_id, received[message_id], WITHOUT_HISTORY, deps, announced)
        elif message_id in contended:
            again += _give_back(message_id, received[message_id], deps, is_final=message_id in final)
        elif result.error:
            log.warning("to be received again: %s", result.error)
            again.append(message_id)
    return again


def _give_back(message_id: str, record: Record, deps: Dependencies, *, is_final: bool = False) -> list[str]:
    """Gives back a record because other writers were faster until the deadline; it is received again within seconds.

    That is not an outage, so nothing is announced without history. On the last receive SQS would move the record to the
    dead-letter queue, so a copy takes its place, which counts as never received.
    """
    soonest, latest = GIVE_BACK_AFTER
    delay = soonest + (latest - soonest) * deps.runtime.jitter()
    try:
        if is_final:
            deps.queues.send_again(record, delay)
            return []
        deps.queues.give_back(record, delay)
    except Exception as error:  # noqa: BLE001 - it is then received again after the visibility timeout
        log.warning("not given back early: %s", type(error).__name__)
    return [message_id]


def _without_history(
    routed: Sequence[RoutedAlert], deps: Dependencies, deadline: Deadline
) -> Mapping[str, Sequence[Delivery]]:
    """Announces alerts on their last receive although history is unreachable."""

    def send(jobs: Sequence[Job]) -> Iterator[list[Answered]]:
        margin = min(SETTLE_MARGIN, deadline.left() / 4)  # for putting the copies on the dead-letter queue
        return deps.deliver(jobs, deadline.leaving(margin))

    return announce_without_history(routed, deps.config, deps.runtime, deps.memory, send)


def _backfill(record: Record, event: Any, deps: Dependencies, deadline: Deadline, max_receives: int) -> list[str]:
    """Records an event that was announced without history and then redriven. It is never announced again."""
    message_id = str(record["messageId"])
    understood = understand_safely(event, deps.config, deps.plugins, deps.essential, deps.runtime.clock())
    if isinstance(understood, UnreadableEvent):
        return _dead_letter(message_id, record, str(understood), deps)
    announced = _message_attribute(record, "announced").split(",")
    try:
        with applies(deadline.leaving(min(SETTLE_MARGIN, deadline.left() / 4))):  # for the dead-letter queue
            decision = backfill(understood, announced, deps.runtime)
    except HistoryUnavailable as error:
        if _receives(record) >= max_receives:
            return _dead_letter(message_id, record, WITHOUT_HISTORY, deps, announced)
        log.warning("to be received again: %s", error)
        return _give_back(message_id, record, deps) if isinstance(error, Contended) else [message_id]
    if decision:
        deps.count_decision(decision)
    return []


def _message_attribute(record: Record, name: str) -> str:
    """A note on a message that was on the dead-letter queue (`router.aws.queues.Queues.dead_letter`), or ""."""
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
    """Puts a record on the dead-letter queue; it is received again only if that fails."""
    try:
        deps.queues.dead_letter(str(record.get("body", "")), reason, announced)
    except Exception:
        log.exception("the dead-letter queue did not take it: %s", reason)
        return [message_id]
    log.warning("put on the dead-letter queue: %s", reason)
    return []


def _own_messages(own: Sequence[Mapping[str, Any]], deps: Dependencies, deadline: Deadline) -> None:
    """Handles scheduled checks and ticks, which only shorten the wait: if one fails, the next tick finds the work."""
    try:
        if any(_is_own(message, TICK) for message in own):
            tick(deps, deadline)
        keys = dict.fromkeys(key for message in own if (key := _scheduled_key(message)))
        if keys:
            due = deps.runtime.history.load(list(keys), deps.runtime.clock())
            process_due(due, deps, deadline, all_due=False)
    except HistoryUnavailable as error:
        log.warning("left to the next tick: %s", error)


def _scheduled_key(message: Mapping[str, Any]) -> Key | None:
    """The key of the state that a scheduled check is about; None if the message is no check or names no state."""
    detail = message.get("detail")
    if not _is_own(message, DUE) or not isinstance(detail, Mapping):
        return None
    key = str(detail.get("pk", "")), str(detail.get("sk", ""))
    return key if is_state_key(key) else None


def _heartbeat(event: Mapping[str, Any], deps: Dependencies, deadline: Deadline) -> int:
    """The number of channels that the heartbeat was sent to. Raises HistoryUnavailable."""
    history, now = deps.runtime.history, deps.runtime.clock()
    jobs = heartbeat_jobs(event, deps.config.channels, history, deps.unconfirmed_subscriptions, now)
    deliveries = [delivery for batch in deps.deliver(jobs, deadline) for _, delivery in batch] if jobs else []
    report(deliveries)
    return len(deliveries)


def _heartbeat_succeeded(event: Mapping[str, Any], deps: Dependencies, deadline: Deadline) -> bool:
    try:
        _heartbeat(event, deps, deadline)
    except HistoryUnavailable as error:
        log.warning("the heartbeat is to be received again: %s", error)
        return False
    return True


# --- what a command asks for by invoking the function ----------------------------------------------------------------


def _send_test(event: Mapping[str, Any], deps: Dependencies, deadline: Deadline) -> dict[str, Any]:
    from router.selfcheck.send_test import send_test  # noqa: PLC0415 - no other invocation needs it

    return send_test(event, deps.config, deps.deliver, deadline, deps.runtime.clock())


def _check(_event: Mapping[str, Any], deps: Dependencies, deadline: Deadline) -> dict[str, Any]:
    from router.selfcheck.doctor import check  # noqa: PLC0415 - as above

    return check(deps, deadline)


def _owed(_event: Mapping[str, Any], deps: Dependencies, _deadline: Deadline) -> dict[str, Any]:
    """What each channel has yet to be sent. Raises HistoryUnavailable."""
    from router.selfcheck.owed import owed, totals  # noqa: PLC0415 - as above

    return {"owed": totals(owed(deps.runtime.history, deps.runtime.clock()))}


_INVOKED: Final[Mapping[str, Callable[[Mapping[str, Any], Dependencies, Deadline], dict[str, Any]]]] = MappingProxyType(
    {SEND_TEST: _send_test, CHECK: _check, OWED: _owed}
)
_BY_INVOCATION = frozenset(detail_type.lower() for detail_type in _INVOKED)


# --- (b) a bare event -------------------------------------------------------------------------------------------------


def _bare(event: Any, deps: Dependencies, deadline: Deadline) -> dict[str, Any]:
    if _is_forged(event):
        deps.queues.dead_letter(json.dumps(event, default=str), _FORGED)
        return _summary(EventResult(None, Decision.UNREADABLE, _FORGED))
    (result,) = process([event], deps, deadline)
    if result.routed is None:
        deps.queues.dead_letter(json.dumps(event, default=str), result.reason)
    elif result.error:
        log.warning("to be tried again: %s", result.error)
        deps.queues.send_delayed(json.dumps(event), RETRY_BARE_AFTER)
    return _summary(result)


def _summary(result: EventResult) -> dict[str, Any]:
    alert = result.routed.alert if result.routed else None
    return {
        "severity": alert.severity.value if alert else None,
        "cause": alert.cause if alert else None,
        "decision": result.decision.value if result.decision else "to be tried again",
        "deliveries": [summary(delivery) for delivery in result.deliveries],
        **({"reason": result.reason} if result.reason else {}),
    }
