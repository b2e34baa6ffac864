"""Looks up more about the alerts that are announced. Enrichment never blocks an alert.

Each alert has a thread that runs the enrichers one after the other. The message goes without anything that is not ready
at the time limit, or that an enricher failed to look up.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from router.channels.plugins import Plugins
from router.deadline import Deadline, applies
from router.enrichment.container_logs import stream_of, tail
from router.enrichment.pauses import Pauses, error_code, is_resource_error
from router.enrichment.task_definitions import TaskDefinitions
from router.errors import DeadlineExceeded
from router.model import Alert, Enrichment

log = logging.getLogger("ecs-alert-router.enrichment.enrich")

FACTS_SHOWN = 10
FACT_LENGTH = 500  # characters
TIME_LIMIT = 3.0  # seconds for all alerts of one invocation

_DENIED = frozenset({"AccessDeniedException", "AccessDenied"})  # permissions are given for each log group

Enricher = Callable[[Alert, Enrichment], Enrichment]
"""Adds to the enrichment of an alert. May raise, or exceed the time limit; the message then goes without it."""


def enrich(alerts: Iterable[Alert], seconds: float, enrichers: Sequence[Enricher]) -> Mapping[str, Enrichment]:
    """The enrichment of each alert by its id, as far as it is ready within `seconds`. Never raises."""
    if not enrichers:
        return {}
    results: dict[str, Enrichment] = {}
    deadline = Deadline.after(min(seconds, TIME_LIMIT))
    threads = [
        threading.Thread(
            target=_run, args=(alert, enrichers, results, deadline), name=f"enrich-{alert.id}", daemon=True
        )
        for alert in {alert.id: alert for alert in alerts}.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left())
    return dict(results)  # a copy: a thread that is still running may write to the original


def _run(alert: Alert, enrichers: Sequence[Enricher], results: dict[str, Enrichment], deadline: Deadline) -> None:
    known = Enrichment()
    for enricher in enrichers:
        try:
            with applies(deadline):
                known = enricher(alert, known)
        except Exception as error:  # noqa: BLE001 - after any failure the message goes without this enricher
            log.warning("%s: left out: %s", getattr(enricher, "__name__", "an enricher"), type(error).__name__)
        results[alert.id] = known


# --- the enrichers ----------------------------------------------------------------------------------------------------


def from_task_definition(definitions: TaskDefinitions) -> Enricher:
    """Adds which containers are essential, their memory limits, and the log stream of the container that exited."""

    def ask_task_definition(alert: Alert, known: Enrichment) -> Enrichment:
        if alert.self_reported:  # anyone can send one, so it must not use up AWS's quotas or show a log
            return known
        definition, culprit = definitions.get(alert.subject, alert.task_definition), alert.culprit
        if definition is None:
            return known
        streams = definition.logs.get(culprit.name) if culprit else None
        stream = stream_of(streams, culprit.name, alert.task) if streams and culprit else ""
        logs = (streams.group if streams else "", stream)
        return known._replace(essential=definition.essential, memory=definition.memory, logs=logs)

    return ask_task_definition


def from_logs(
    definitions: TaskDefinitions,
    client: Callable[[str], Any],
    groups: Sequence[str],
    clock: Callable[[], float] = time.monotonic,
) -> Enricher:
    """Adds the last log lines of the container that exited.

    A log group that may not be read is requested once a minute; throttling pauses its region.

    Args:
        groups: globs of the log groups that may be read.
        clock: returns monotonic seconds.
    """
    pauses = Pauses(clock)

    def ask_logs(alert: Alert, known: Enrichment) -> Enrichment:
        if not all(known.logs):
            return known
        definition, culprit = definitions.get(alert.subject, alert.task_definition), alert.culprit
        streams = definition.logs.get(culprit.name) if definition and culprit else None
        if not (streams and any(fnmatchcase(streams.group, glob) for glob in groups)):
            return known
        region, group = (streams.region,), (streams.region, streams.group)
        if pauses.paused(region, group):
            return known
        try:
            lines, logged_at = tail(streams.region, *known.logs, client)
        except DeadlineExceeded:  # says nothing about CloudWatch Logs
            raise
        except Exception as error:
            if not is_resource_error(error):  # such as a missing stream
                pauses.pause(group if error_code(error) in _DENIED else region)
            raise
        return known._replace(log_excerpt=lines, logged_at=logged_at)

    return ask_logs


def from_plugins(plugins: Plugins) -> Enricher:
    """Adds the facts that plugins return from `enrich_alert`."""

    def ask_plugins(alert: Alert, known: Enrichment) -> Enrichment:
        return known._replace(facts=facts_of(alert, plugins))

    return ask_plugins


def facts_of(alert: Alert, plugins: Plugins) -> dict[str, str]:
    """Facts from plugins, label to value. A plugin that fails is logged and left out."""
    facts: dict[str, str] = {}
    for plugin, answer in plugins.ask("enrich_alert", alert=alert):
        if isinstance(answer, Exception):
            log.warning("%s: enrich_alert raised %s", plugin, type(answer).__name__)
        elif isinstance(answer, Mapping):
            texts = {str(label).strip(): str(value).strip()[:FACT_LENGTH] for label, value in answer.items()}
            facts |= {label: value for label, value in texts.items() if label and value}
        elif answer is not None:
            log.warning("%s: enrich_alert returned %s, which is not a mapping", plugin, type(answer).__name__)
    return dict(list(facts.items())[:FACTS_SHOWN])
