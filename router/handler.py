"""The Lambda's entry, and the only place that puts real clients together.

Takes (a) an SQS batch whose bodies are EventBridge events or the router's own delayed messages, (b) one bare
EventBridge event, (c) the scheduled tick.
"""

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from router import clients, config, plugins
from router.deliver import deliver
from router.errors import HistoryUnavailable, UnreadableEvent
from router.history import History
from router.normalise import parse
from router.pipeline import Handled, Router, process, summary, work_on
from router.queues import DUE, SOURCE, Queues
from router.runtime import Runtime
from router.table import DynamoTable

TICK = "Router Tick"
ROOT = Path(__file__).parent.parent
RETRY_BARE_AFTER = 30.0  # seconds until a bare event whose state could not be written is tried again
_WITHOUT_CONTEXT = 60.0  # seconds to work in where nobody says how long there is
_DUE_AT_ONCE = 20  # standings worked on side by side; the rest while there is time
_TIME_FOR_MORE = 20.0  # seconds that must be left to begin another lot

logger = Logger(service="ecs-alert-router")


def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Returns `{"batchItemFailures": […]}` for (a), a summary for (b), the number of deliveries for (c).

    Raises:
        ConfigError: the configuration cannot be read, or no channel is usable.
        Exception: for (b), if what must be tried again could not be put on the due queue; for (c), if history is
            unreachable.
    """
    router = make_router()
    remaining = _remaining(context)
    if isinstance(event, Mapping) and isinstance(event.get("Records"), list):
        return {"batchItemFailures": [{"itemIdentifier": each} for each in _batch(event["Records"], router, remaining)]}
    if _is_own(event, TICK):
        return {"deliveries": _tick(router, remaining)}
    return _bare(event, router, remaining)


@cache
def make_router() -> Router:
    """Everything real, made once per process from the environment."""
    environ = os.environ
    loaded = plugins.load(ROOT / "plugins")
    settings = config.load(ROOT / environ.get("ALERT_ROUTER_CONFIG", "alert-router.toml"), loaded, environ)
    for problem in settings.problems:
        logger.error("configuration: %s", problem)
    table = DynamoTable(clients.dynamodb(), environ["HISTORY_TABLE"])
    runtime = Runtime(
        history=History(table, settings.retention),
        clock=time.time,
        jitter=random.random,
        pause=lambda attempt: time.sleep(random.random() * 0.02 * 2**attempt),  # noqa: S311 - spreads writers
        resolve_after=settings.resolve_after,
    )
    queues = Queues(clients.sqs(), environ["DUE_QUEUE_URL"], environ["DLQ_URL"])
    return Router(settings, loaded, runtime, queues, deliver, lambda: uuid.uuid4().hex)


def _remaining(context: Any) -> Callable[[], float]:
    if hasattr(context, "get_remaining_time_in_millis"):
        return lambda: context.get_remaining_time_in_millis() / 1000
    ends = time.monotonic() + _WITHOUT_CONTEXT
    return lambda: ends - time.monotonic()


def _is_own(event: Any, detail_type: str) -> bool:
    return isinstance(event, Mapping) and event.get("source") == SOURCE and event.get("detail-type") == detail_type


# --- (a) a batch ------------------------------------------------------------------------------------------------------


def _batch(records: Sequence[Mapping[str, Any]], router: Router, remaining: Callable[[], float]) -> list[str]:
    """Ids of the records to receive again: those whose state could not be written, and no others."""
    bodies = {str(record["messageId"]): str(record.get("body", "")) for record in records}
    events, failures = {}, []
    for message_id, body in bodies.items():
        try:
            events[message_id] = parse(body)
        except UnreadableEvent as error:
            failures += _bury(message_id, body, str(error), router)
    own = {key: each for key, each in events.items() if _is_own(each, DUE) or _is_own(each, TICK)}
    others = {key: each for key, each in events.items() if key not in own}
    for message_id, handled in zip(others, process(list(others.values()), router, remaining), strict=True):
        if handled.decision and handled.reason:
            failures += _bury(message_id, bodies[message_id], handled.reason, router)
        elif handled.error:
            logger.warning("to be received again: %s", handled.error)
            failures.append(message_id)
    return failures + _own_messages(own, router, remaining)


def _bury(message_id: str, body: str, reason: str, router: Router) -> list[str]:
    """Puts what cannot be read aside; it fails only if that fails."""
    try:
        router.queues.bury(body, reason)
    except Exception:
        logger.exception("unreadable, and the dead-letter queue did not take it: %s", reason)
        return [message_id]
    logger.warning("unreadable, put on the dead-letter queue: %s", reason)
    return []


def _own_messages(own: Mapping[str, Any], router: Router, remaining: Callable[[], float]) -> list[str]:
    failures = []
    for message_id, message in own.items():
        try:
            if _is_own(message, TICK):
                _tick(router, remaining)
            else:
                _recalled(message, router, remaining)
        except HistoryUnavailable as error:
            logger.warning("to be received again: %s", error)
            failures.append(message_id)
    return failures


def _recalled(message: Mapping[str, Any], router: Router, remaining: Callable[[], float]) -> None:
    """A hint that one subject is due. One that names nothing is of no use, and none is needed."""
    detail = message.get("detail")
    key = (str(detail.get("pk", "")), str(detail.get("sk", ""))) if isinstance(detail, Mapping) else ("", "")
    standing = router.runtime.history.load(key, router.runtime.clock()) if all(key) else None
    if standing:
        work_on([standing], router, remaining)


# --- (b) a bare event -------------------------------------------------------------------------------------------------


def _bare(event: Any, router: Router, remaining: Callable[[], float]) -> dict[str, Any]:
    (handled,) = process([event], router, remaining)
    if handled.routed is None:
        router.queues.bury(json.dumps(event, default=str), handled.reason)
    elif handled.error:
        logger.warning("to be tried again: %s", handled.error)
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
    """Works on what is due, as far as the time goes; the next tick finds the rest."""
    due = router.runtime.history.due(router.runtime.clock())
    sent = 0
    for start in range(0, len(due), _DUE_AT_ONCE):
        if start and remaining() < _TIME_FOR_MORE:
            logger.warning("out of time with %s subjects still due", len(due) - start)
            break
        sent += len(work_on(due[start : start + _DUE_AT_ONCE], router, remaining))
    return sent
