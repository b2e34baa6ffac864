"""Enrich: more facts for the messages about what is announced. Decoration never blocks an alert."""

import logging
from collections.abc import Mapping

from router.model import Alert
from router.plugins import Plugins

log = logging.getLogger("ecs-alert-router.enrich")

FACTS_SHOWN = 10
FACT_LENGTH = 500  # characters


def enrich(alert: Alert, plugins: Plugins) -> dict[str, str]:
    """Label and value of what plugins know about an alert; a plugin that fails is logged and left out."""
    facts: dict[str, str] = {}
    for plugin, answer in plugins.ask("enrich_alert", alert=alert):
        if isinstance(answer, Exception):
            log.warning("%s: enrich_alert raised %s", plugin, type(answer).__name__)
        elif isinstance(answer, Mapping):
            facts |= {str(label): str(value)[:FACT_LENGTH] for label, value in answer.items()}
        elif answer is not None:
            log.warning("%s: enrich_alert gave %s, which is no mapping", plugin, type(answer).__name__)
    return dict(list(facts.items())[:FACTS_SHOWN])
