"""Understand: normalise, classify and route an event.

Pure but for two questions: to plugins, and, of the few events whose exit codes contradict each other, which containers
the task definition calls essential.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from router.channels.plugins import Plugins
from router.config.rules import apply
from router.config.settings import Config, Route
from router.context import Dependencies, EventResult, RoutedAlert
from router.ecs.classify import alert, classify, depends_on_essential, from_plugin_answer
from router.ecs.normalise import normalise
from router.errors import UnreadableEvent
from router.incident.state import MessageOptions, RouteTarget
from router.model import Alert, ChannelConfig, Classification, Decision, Event
from router.route import route

log = logging.getLogger("ecs-alert-router.understand")

Essential = Callable[[Event], Mapping[str, bool]]
"""Container name to the task definition's `essential` flag; empty where it cannot be had."""


def no_flags(_event: Event) -> Mapping[str, bool]:
    """Where nobody may be asked, nothing is known."""
    return {}


def understand_safely(raw: object, deps: Dependencies) -> EventResult:
    """The event understood, or why it cannot be."""
    try:
        return EventResult(understand(raw, deps))
    except UnreadableEvent as error:
        return EventResult(reason=str(error), decision=Decision.UNREADABLE)
    except Exception as error:  # a plugin's answer of the wrong type, say: the other events must not suffer for it
        log.exception("an event cannot be understood")
        return EventResult(reason=f"cannot be understood: {type(error).__name__}", decision=Decision.UNREADABLE)


def understand(raw: object, deps: Dependencies) -> RoutedAlert:
    """Raises UnreadableEvent."""
    event = normalise(raw, now=deps.runtime.clock())
    made = classify_with_rules(event, deps.config, deps.plugins, deps.essential)
    return RoutedAlert(event, made, targets_of(made, deps.config))


def classify_with_rules(event: Event, config: Config, plugins: Plugins, essential: Essential = no_flags) -> Alert:
    """The alert that a plugin, else the core's table, and then the user's own rules make of an event."""
    classification, rule = apply(config.rules, event, _classification(event, plugins, essential))
    made = alert(event, classification)
    return replace(made, runbook_url=rule.runbook_url) if rule else made


def _classification(event: Event, plugins: Plugins, essential: Essential) -> Classification:
    """The first plugin that has an answer; else the core's table."""
    for plugin, answer in plugins.ask("classify_event", event=event):
        if isinstance(answer, Mapping) and (given := from_plugin_answer(answer, plugin)):
            return given
        if answer is not None:
            log.warning("%s: classify_event gave no classification: %s", plugin, type(answer).__name__)
    return classify(event, essential(event) if depends_on_essential(event) else None)


def targets_of(made: Alert, config: Config) -> tuple[RouteTarget, ...]:
    """The channels that the alert's routes reach: each once, as the first route that names it says.

    Channels that are not configured are left out; one that is disabled is reached, and fails with its reason.
    """
    kind, _, name = made.subject.name.partition(":")
    if kind == "channel":
        return _all_but(name, config)
    targets: dict[str, RouteTarget] = {}
    for each in route(made, config.routes, config.time_zone):
        for name in each.channels:
            if name not in targets and (name in config.channels or name in config.disabled):
                targets[name] = _target(name, each, config)
    return tuple(targets.values())


def _all_but(name: str, config: Config) -> tuple[RouteTarget, ...]:
    """Of a channel that fails, every other one hears that does not speak to the same endpoint."""
    failing = config.channels.get(name)
    endpoint = failing.endpoint if failing else ""
    others = (other for other, source in config.channels.items() if other != name and source.endpoint != endpoint)
    return tuple(_target(other, Route(), config) for other in others)


def _target(name: str, by: Route, config: Config) -> RouteTarget:
    source = config.channels.get(name)
    settings = source.config if source else ChannelConfig(name, "", {})
    options = MessageOptions(by.mention, by.language, by.time_zone)
    return RouteTarget(name, by.dedup_window or settings.dedup_window, bool(source and source.stateful), options)
