"""What comes in: an SQS batch, one bare event, or the tick. Sees to it that nothing which comes in is lost.

An event ends in history, or on the dead-letter queue with the reason beside it; what could not be written comes again.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router.errors import HistoryUnavailable, UnreadableEvent
from router.heartbeat import HEARTBEAT, beat
from router.items import is_standing_key
from router.last_resort import REASON, announce
from router.model import OWN_SOURCE, Outcome
from router.normalise import parse
from router.parts import Handled, Router
from router.pipeline import process, work_on
from router.probe import probe
from router.queues import DUE
from router.table import Key
from router.tell import summary

log = logging.getLogger("ecs-alert-router.inbox")

TICK = "Router Tick"
RETRY_BARE_AFTER = 30.0  # seconds until a bare event whose state could not be written is tried again
_DUE_AT_ONCE = 20  # standings worked on side by side; the rest while there is time
_TIME_FOR_MORE = 20.0  # seconds that must be left to begin another lot


def handle(event: Any, router: Router, remaining: Callable[[], float], max_receives: int) -> dict[str, Any]:
    """What the Lambda does (`router.handler.lambda_handler`), with everything passed in.

    Args:
        remaining: seconds until the invocation must come to its end.
        max_receives: after so many receives SQS moves a record to the dead-letter queue.
    """
    if isinstance(event, Mapping) and isinstance(event.get("Records"), list):
        return {
            "batchItemFailures": [
                {"itemIdentifier": each} for each in _batch(event["Records"], router, remaining, max_receives)
            ]
        }
    if _is_own(event, TICK):
        return {"deliveries": _tick(router, remaining)}
    if _is_own(event, HEARTBEAT):
        return {"deliveries": len(beat(event, router, remaining))}
    return _bare(event, router, remaining)


def _is_own(event: Any, detail_type: str) -> bool:
    return isinstance(event, Mapping) and event.get("source") == OWN_SOURCE and event.get("detail-type") == detail_type


# --- (a) a batch ------------------------------------------------------------------------------------------------------


def _batch(
    records: Sequence[Mapping[str, Any]], router: Router, remaining: Callable[[], float], max_receives: int
) -> list[str]:
    """Ids of the records to receive again: those whose state could not be written, and no others."""
    received = {str(record["messageId"]): record for record in records}
    events: dict[str, Any] = {}
    failures: list[str] = []
    for message_id, record in received.items():
        try:
            events[message_id] = parse(record.get("body", ""))
        except UnreadableEvent as error:
            failures += _bury(message_id, record, str(error), router)
    own = {key: each for key, each in events.items() if _is_own(each, DUE) or _is_own(each, TICK)}
    beats = {key: each for key, each in events.items() if _is_own(each, HEARTBEAT)}
    others = {key: each for key, each in events.items() if key not in own and key not in beats}
    for message_id, handled in zip(others, process(list(others.values()), router, remaining), strict=True):
        record = received[message_id]
        if handled.routed is None:
            failures += _bury(message_id, record, handled.reason, router)
        elif handled.error and _receives(record) >= max_receives:
            told = announce(handled.routed, router, remaining, router.memory)
            announced = [each.saying.channel for each in told if each.outcome is Outcome.SENT]
            failures += _bury(message_id, record, REASON, router, announced)
        elif handled.error:
            log.warning("to be received again: %s", handled.error)
            failures.append(message_id)
    _own_messages(list(own.values()), router, remaining)
    return failures + [message_id for message_id, each in beats.items() if not _beat(each, router, remaining)]


def _receives(record: Mapping[str, Any]) -> int:
    attributes = record.get("attributes")
    count = attributes.get("ApproximateReceiveCount", "1") if isinstance(attributes, Mapping) else "1"
    return int(count) if str(count).isdecimal() else 1


def _bury(
    message_id: str, record: Mapping[str, Any], reason: str, router: Router, announced: Sequence[str] = ()
) -> list[str]:
    """Puts aside what cannot be taken in; it fails only if that fails."""
    try:
        router.queues.bury(str(record.get("body", "")), reason, announced)
    except Exception:
        log.exception("the dead-letter queue did not take it: %s", reason)
        return [message_id]
    log.warning("put on the dead-letter queue: %s", reason)
    return []


def _own_messages(own: Sequence[Mapping[str, Any]], router: Router, remaining: Callable[[], float]) -> None:
    """Hints and ticks only save waiting: none of them needs to come again, since the next tick finds what is due."""
    try:
        if any(_is_own(message, TICK) for message in own):
            _tick(router, remaining)
        keys = dict.fromkeys(key for message in own if (key := _recalled(message)))
        if keys:
            work_on(router.runtime.history.load(list(keys), router.runtime.clock()), router, remaining)
    except HistoryUnavailable as error:
        log.warning("left to the next tick: %s", error)


def _beat(event: Mapping[str, Any], router: Router, remaining: Callable[[], float]) -> bool:
    """Whether the heartbeat is done with."""
    try:
        beat(event, router, remaining)
    except HistoryUnavailable as error:
        log.warning("the heartbeat is to be received again: %s", error)
        return False
    return True


def _recalled(message: Mapping[str, Any]) -> Key | None:
    """The subject that a hint says is due; None for what is no hint, or names nothing."""
    detail = message.get("detail")
    if not _is_own(message, DUE) or not isinstance(detail, Mapping):
        return None
    key = str(detail.get("pk", "")), str(detail.get("sk", ""))
    return key if is_standing_key(key) else None


# --- (b) a bare event -------------------------------------------------------------------------------------------------


def _bare(event: Any, router: Router, remaining: Callable[[], float]) -> dict[str, Any]:
    (handled,) = process([event], router, remaining)
    if handled.routed is None:
        router.queues.bury(json.dumps(event, default=str), handled.reason)
    elif handled.error:
        log.warning("to be tried again: %s", handled.error)
        router.queues.later(json.dumps(event), RETRY_BARE_AFTER)
    return _summary(handled)


def _summary(handled: Handled) -> dict[str, Any]:
    alert = handled.routed.alert if handled.routed else None
    return {
        "severity": alert.severity.value if alert else None,
        "cause": alert.cause if alert else None,
        "decision": handled.decision.value if handled.decision else "to be tried again",
        "deliveries": [summary(delivery) for delivery in handled.deliveries],
        **({"reason": handled.reason} if handled.reason else {}),
    }


# --- (c) the tick -----------------------------------------------------------------------------------------------------


def _tick(router: Router, remaining: Callable[[], float]) -> int:
    """Works on what is due, as far as the time goes; the next tick finds the rest. Then looks whether channels work."""
    due = router.runtime.history.due(router.runtime.clock())
    sent = 0
    for start in range(0, len(due), _DUE_AT_ONCE):
        if start and remaining() < _TIME_FOR_MORE:
            log.warning("out of time with %s subjects still due", len(due) - start)
            break
        sent += len(work_on(due[start : start + _DUE_AT_ONCE], router, remaining))
    if remaining() >= _TIME_FOR_MORE:
        router.unusable(probe(router))
    return sent
