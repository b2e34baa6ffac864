"""Enrich: what can be found out beyond the event about what is announced. Decoration never blocks an alert.

Each alert has a thread, in which one part after the other adds what it finds. What is not there when the time is up is
left out, and so is what a part that fails would have found: the message is sent without it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from router.channels.plugins import Plugins
from router.enrichment.container_logs import stream_of, tail
from router.enrichment.task_definitions import TaskDefinitions
from router.model import Alert, Enrichment

log = logging.getLogger("ecs-alert-router.enrichment.enrich")

FACTS_SHOWN = 10
FACT_LENGTH = 500  # characters
TIME_LIMIT = 3.0  # seconds for all that is announced in one invocation

Enricher = Callable[[Alert, Enrichment], Enrichment]
"""Adds to what is known of an alert. May raise, and take its time: it is left behind."""


def enrich(alerts: Iterable[Alert], seconds: float, enrichers: Sequence[Enricher]) -> Mapping[str, Enrichment]:
    """What could be found out about each alert within `seconds`, by its id. Never raises."""
    if not enrichers:
        return {}
    found: dict[str, Enrichment] = {}
    ends = time.monotonic() + min(seconds, TIME_LIMIT)
    threads = [_begun(alert, enrichers, found) for alert in {alert.id: alert for alert in alerts}.values()]
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return dict(found)  # a copy: what is left behind may still add to the other


def _begun(alert: Alert, parts: Sequence[Enricher], found: dict[str, Enrichment]) -> threading.Thread:
    thread = threading.Thread(target=_find, args=(alert, parts, found), name=f"enrich-{alert.id}", daemon=True)
    thread.start()
    return thread


def _find(alert: Alert, parts: Sequence[Enricher], found: dict[str, Enrichment]) -> None:
    known = Enrichment()
    for part in parts:
        try:
            known = part(alert, known)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message goes without it
            log.warning("%s: left out: %s", getattr(part, "__name__", "a part"), type(error).__name__)
        found[alert.id] = known


# --- the parts --------------------------------------------------------------------------------------------------------


def from_task_definition(definitions: TaskDefinitions) -> Enricher:
    """Which containers are essential, their memory limits, and where the one that died has its log."""

    def ask_task_definition(alert: Alert, known: Enrichment) -> Enrichment:
        found, dead = definitions.get(alert.subject, alert.task_definition), alert.culprit
        if found is None:
            return known
        streams = found.logs.get(dead.name) if dead else None
        stream = stream_of(streams, dead.name, alert.task) if streams and dead else ""
        logs = (streams.group if streams else "", stream)
        return known._replace(essential=found.essential, memory=found.memory, logs=logs)

    return ask_task_definition


def from_logs(definitions: TaskDefinitions, client: Callable[[str], Any], groups: Sequence[str]) -> Enricher:
    """The last lines of the container that died.

    Args:
        groups: globs of log groups that may be read.
    """

    def ask_logs(alert: Alert, known: Enrichment) -> Enrichment:
        found, dead = definitions.get(alert.subject, alert.task_definition), alert.culprit
        streams = found.logs.get(dead.name) if found and dead else None
        if not (streams and all(known.logs) and any(fnmatchcase(streams.group, glob) for glob in groups)):
            return known
        return known._replace(log_excerpt=tail(streams.region, *known.logs, client))

    return ask_logs


def from_plugins(plugins: Plugins) -> Enricher:
    """Label and value of what plugins know; a plugin that fails is logged and left out."""

    def ask_plugins(alert: Alert, known: Enrichment) -> Enrichment:
        return known._replace(facts=facts_of(alert, plugins))

    return ask_plugins


def facts_of(alert: Alert, plugins: Plugins) -> dict[str, str]:
    facts: dict[str, str] = {}
    for plugin, answer in plugins.ask("enrich_alert", alert=alert):
        if isinstance(answer, Exception):
            log.warning("%s: enrich_alert raised %s", plugin, type(answer).__name__)
        elif isinstance(answer, Mapping):
            found = {str(label).strip(): str(value).strip()[:FACT_LENGTH] for label, value in answer.items()}
            facts |= {label: value for label, value in found.items() if label and value}
        elif answer is not None:
            log.warning("%s: enrich_alert gave %s, which is no mapping", plugin, type(answer).__name__)
    return dict(list(facts.items())[:FACTS_SHOWN])
