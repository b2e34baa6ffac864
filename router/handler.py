"""The Lambda's entry, and the only place that puts real clients together.

Takes (a) an SQS batch whose bodies are EventBridge events or the router's own delayed messages, (b) one bare
EventBridge event, (c) the scheduled tick.
"""

import gc
import logging
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from router.aws import clients
from router.aws.queues import Queues
from router.channels import plugins
from router.channels.secrets import Secrets
from router.coldstart import tls
from router.config.parse import load as load_config
from router.config.settings import EnrichSettings
from router.config.silences import Silences, read_ahead
from router.context import Dependencies, OutageMemory
from router.deliver import deliver
from router.enrichment import enrich
from router.enrichment.task_definitions import TaskDefinitions
from router.history.store import History
from router.history.table import DynamoTable
from router.inbox import handle
from router.runtime import Runtime
from router.selfcheck.logs import LazyLogger
from router.selfcheck.metrics import MetricsRecorder
from router.understand import no_flags

ROOT = Path(__file__).parent.parent
_WITHOUT_CONTEXT = 60.0  # seconds to work in where nobody says how long there is

log = logging.getLogger("ecs-alert-router.handler")
logger = LazyLogger()
meter = MetricsRecorder()


def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Returns `{"batchItemFailures": […]}` for (a), a summary for (b), the number of deliveries for (c).

    Raises:
        ConfigError: the configuration cannot be read, or no channel is usable.
        Exception: for (b), if what must be tried again could not be put on the due queue; for (c), if history is
            unreachable.
    """
    logger.append_keys(function_request_id=getattr(context, "aws_request_id", None))
    try:
        return handle(event, make_router(), _remaining(context), int(os.environ.get("MAX_RECEIVES", "5")))
    finally:
        gc.enable()  # `router/__init__.py` has it pause for a cold start
        meter.write(os.environ.get("STAGE", "dev"))


@cache
def make_router() -> Dependencies:
    """Everything real, made once per process from the environment."""
    environ = os.environ
    tls.load()
    table = DynamoTable(clients.dynamodb(), environ["HISTORY_TABLE"])  # before channels: they share what it sets up
    silences = read_ahead(History(table, retention=0.0).silences, time.time)  # how long rows are kept is for writers
    loaded = plugins.load(ROOT / "plugins")
    secrets = Secrets(clients.ssm, clients.secretsmanager, time.monotonic)
    settings = load_config(ROOT / environ.get("ALERT_ROUTER_CONFIG", "alert-router.toml"), loaded, environ, secrets)
    for problem in settings.problems:
        log.error("configuration: %s", problem)
    history = History(table, settings.retention, settings.retention_by_severity)
    runtime = Runtime(
        history=history,
        clock=time.time,
        jitter=random.random,
        pause=lambda attempt: time.sleep(random.random() * 0.02 * 2**attempt),  # noqa: S311 - spreads writers
        resolve_after=settings.resolve_after,
        silences=Silences(silences, settings.maintenance),
    )
    topics = [topic for name in ("SNS_TOPIC_ARN", "OPERATORS_TOPIC_ARN") if (topic := environ.get(name))]
    definitions = TaskDefinitions(clients.ecs_of, time.monotonic)
    gc.freeze()  # what there is by now stays: it needs not be looked through again
    return Dependencies(
        settings,
        loaded,
        runtime,
        Queues(clients.LazyClient(clients.sqs), environ["DUE_QUEUE_URL"], environ["DLQ_URL"]),
        meter.counting(deliver),
        lambda: uuid.uuid4().hex,
        OutageMemory(),
        count_decision=meter.count_decision,
        count_unusable=meter.count_unusable,
        unconfirmed_subscriptions=partial(_unconfirmed, topics),
        enrich=partial(enrich.enrich, enrichers=enrichers(settings.enrich, definitions, loaded)),
        essential=definitions.essential if settings.enrich.task_definition else no_flags,
    )


def enrichers(on: EnrichSettings, definitions: TaskDefinitions, loaded: plugins.Plugins) -> tuple[enrich.Enricher, ...]:
    """What is switched on, in the order in which it is asked; plugins last, as nobody knows how long they take."""
    parts = {
        enrich.from_task_definition(definitions): on.task_definition,
        enrich.from_logs(definitions, clients.logs_of, on.log_groups): bool(on.log_groups),
        enrich.from_plugins(loaded): loaded.implements("enrich_alert"),
    }
    return tuple(part for part, wanted in parts.items() if wanted)


def _unconfirmed(topics: Sequence[str]) -> Sequence[str]:
    from router.selfcheck.heartbeat import unconfirmed  # noqa: PLC0415 - rare, and a cold start would pay for it

    return unconfirmed(clients.sns(), topics)


if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    # Lambda starts: the one place that does something when it is imported. Whatever a function's memory, it has a whole
    # CPU until its first event, at which it may have a fourteenth of one; and a wrong configuration stops it here.
    make_router()


def _remaining(context: Any) -> Callable[[], float]:
    if hasattr(context, "get_remaining_time_in_millis"):
        return lambda: context.get_remaining_time_in_millis() / 1000
    ends = time.monotonic() + _WITHOUT_CONTEXT
    return lambda: ends - time.monotonic()
