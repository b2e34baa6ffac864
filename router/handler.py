"""The Lambda function's entry point, and the only place that makes real clients.

An event is (a) an SQS batch whose bodies are EventBridge events or the router's own delayed messages, (b) one bare
EventBridge event, (c) the scheduled tick.
"""

import json
import logging
import os
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from router.aws import clients
from router.aws.home import ExpectedRun, Home
from router.aws.queues import Queues
from router.channels import plugins
from router.channels.secrets import Secrets
from router.coldstart import garbage_collection
from router.coldstart.lazy_client import LazyClient
from router.config.parse import load as load_config
from router.config.settings import Config, EnrichSettings
from router.config.silences import Silences, read_ahead
from router.context import Dependencies, OutageMemory, Runtime
from router.deadline import Deadline
from router.deliver import deliver
from router.enrichment import enrich
from router.enrichment.task_definitions import TaskDefinitions
from router.history.store import History, backoff
from router.history.table import DynamoTable
from router.inbox import handle
from router.incident.state import Timing
from router.selfcheck.heartbeat import unconfirmed
from router.selfcheck.metrics import MetricsRecorder
from router.text.characters import visible
from router.understand import no_flags
from router.verify import verify
from router.version import VERSION

ROOT = Path(__file__).parent.parent
_WITHOUT_CONTEXT = 60.0  # seconds for an invocation without a Lambda context
_TIME_TO_RETURN = 1.0  # seconds before Lambda ends the process, for what comes after the last call


def log_line(record: Mapping[str, Any]) -> str:
    """A line of the log as JSON in which nothing is hidden, whatever text of an event it quotes."""
    return visible(json.dumps(record, default=str, ensure_ascii=False))


log = logging.getLogger("ecs-alert-router.handler")
# It formats the lines of all loggers below this name.
logger = Logger(service="ecs-alert-router", json_serializer=log_line, version=VERSION)
meter = MetricsRecorder()


def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Returns `{"batchItemFailures": […]}` for (a), a summary for (b), the number of deliveries for (c).

    Raises:
        ConfigError: the configuration cannot be read, or no channel is usable.
        Exception: for (b), if an event that must be retried could not be put on the due queue; for (c), if history is
            unreachable.
    """
    logger.append_keys(function_request_id=getattr(context, "aws_request_id", None))
    try:
        deadline = _deadline(context)  # before the router is made, which takes time too
        return handle(event, make_router(), deadline, int(os.environ.get("MAX_RECEIVES", "5")))
    finally:
        meter.write(os.environ.get("STAGE", "dev"))


@cache
def make_router() -> Dependencies:
    """The real dependencies, made once per process from the environment."""
    environ = os.environ
    table = DynamoTable(clients.dynamodb(), environ["HISTORY_TABLE"])  # before the channels, which share its session
    reader = History(table, retention=0.0, count_damaged=meter.count_damaged)  # retention is for writers
    silences = read_ahead(reader.silences, time.time)
    loaded = plugins.load(ROOT / "plugins")
    secrets = Secrets(clients.ssm, clients.secretsmanager, time.time)
    configuration = environ.get("ALERT_ROUTER_CONFIG", "alert-router.toml")
    settings = load_config(ROOT / configuration, loaded, environ, secrets)
    for problem in settings.problems:
        log.error("configuration: %s", problem)
    history = History(table, settings.retention, settings.retention_by_severity, meter.count_damaged)
    home = _home(environ["DUE_QUEUE_URL"], settings)
    runtime = Runtime(
        history=history,
        clock=time.time,
        jitter=random.random,
        pause=lambda attempt: time.sleep(backoff(attempt, random.random())),  # noqa: S311 - spreads writers
        timing=Timing(
            settings.resolve_after, verify=settings.poll.verify or settings.poll.services or bool(settings.expect)
        ),
        silences=Silences(silences, settings.maintenance),
    )
    topics = [topic for name in ("SNS_TOPIC_ARN", "OPERATORS_TOPIC_ARN") if (topic := environ.get(name))]
    definitions = TaskDefinitions(clients.ecs_of, time.monotonic)
    return Dependencies(
        settings,
        loaded,
        runtime,
        Queues(LazyClient(clients.sqs), environ["DUE_QUEUE_URL"], environ["DLQ_URL"]),
        meter.counting(partial(deliver, last_seconds={})),
        lambda: uuid.uuid4().hex,
        OutageMemory(),
        count_decision=meter.count_decision,
        count_unusable=meter.count_unusable,
        unconfirmed_subscriptions=partial(_unconfirmed, topics),
        verify=partial(verify, home=home),
        home=home,
        enrich=partial(enrich.enrich, enrichers=enrichers(settings.enrich, definitions, loaded)),
        essential=definitions.essential if settings.enrich.task_definition else no_flags,
        configuration=configuration,
    )


def enrichers(on: EnrichSettings, definitions: TaskDefinitions, loaded: plugins.Plugins) -> tuple[enrich.Enricher, ...]:
    """The enrichers that are switched on, in the order in which they run; plugins last, as they may take any time."""
    switches = {
        enrich.from_task_definition(definitions): on.task_definition,
        enrich.from_logs(definitions, clients.logs_of, on.log_groups): bool(on.log_groups),
        enrich.from_plugins(loaded): loaded.implements("enrich_alert"),
    }
    return tuple(enricher for enricher, is_on in switches.items() if is_on)


def _home(queue_url: str, settings: Config) -> Home:
    """The function's own account and region; the URL of a queue ends with `ACCOUNT/NAME`."""
    account = queue_url.rstrip("/").split("/")[-2]
    region = os.environ.get("AWS_REGION", "")
    ecs = partial(clients.ecs_of, region)
    expected = frozenset(ExpectedRun(run.name, run.family, run.cluster) for run in settings.expect)
    poll = settings.poll
    return Home(account, region, ecs, clients.cloudwatch, poll.services, expected, poll.verify)


def _unconfirmed(topics: Sequence[str]) -> Sequence[str]:
    return unconfirmed(clients.sns(), topics)


if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    # While Lambda starts the function, it has a whole CPU; with 128 MB of memory it has a fourteenth of one afterwards.
    # A wrong configuration also stops it here.
    make_router()
    garbage_collection.resume()


def _deadline(context: Any) -> Deadline:
    """The deadline by the clock of the calls. Lambda's clock runs alike, and both jump while the process is frozen."""
    seconds = _WITHOUT_CONTEXT
    if hasattr(context, "get_remaining_time_in_millis"):
        seconds = context.get_remaining_time_in_millis() / 1000
    return Deadline.after(seconds - min(_TIME_TO_RETURN, seconds / 20))
