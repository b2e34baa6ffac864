"""Understand: normalise, classify and route an event.

Pure, with two exceptions: it asks plugins for a classification, and for the few events with contradictory exit codes it
asks which containers the task definition calls essential.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from router.channels.plugins import Plugins
from router.config.rules import apply
from router.config.settings import Config, Route
from router.context import RoutedAlert
from router.ecs.classify import alert as to_alert
from router.ecs.classify import classify, depends_on_essential, from_plugin_answer, limited, remaining
from router.ecs.normalise import normalise
from router.errors import UnreadableEvent
from router.incident.state import MessageOptions, RouteTarget
from router.model import Alert, ChannelConfig, Classification, Event, Severity, SubjectKind
from router.route import route

log = logging.getLogger("ecs-alert-router.understand")

Essential = Callable[[Event], Mapping[str, bool]]
"""Container name to the task definition's `essential` flag; empty if it cannot be read."""


def no_flags(_event: Event) -> Mapping[str, bool]:
    """No flag is known, since the task definition must not be asked for."""
    return {}


def understand_safely(
    raw: object, config: Config, plugins: Plugins, essential: Essential, now: float
) -> RoutedAlert | UnreadableEvent:
    """The event understood, or why it cannot be. Never raises."""
    try:
        return understand(raw, config, plugins, essential, now)
    except UnreadableEvent as error:
        return error
    except Exception as error:  # such as a plugin's answer of the wrong type: the other events must not fail with it
        log.exception("an event cannot be understood")
        return UnreadableEvent(f"cannot be understood: {type(error).__name__}")


def understand(raw: object, config: Config, plugins: Plugins, essential: Essential, now: float) -> RoutedAlert:
    """The alert that an event becomes, and the channels that it goes to.

    Args:
        now: clock time, for events that do not say when they happened.

    Raises:
        UnreadableEvent: the router does not read such events.
    """
    event = normalise(raw, now=now)
    alert = classify_with_rules(event, config, plugins, essential)
    return RoutedAlert(event, alert, targets_of(alert, config))


def reclassify(
    routed: RoutedAlert, ended: Collection[str], config: Config, plugins: Plugins, essential: Essential
) -> RoutedAlert:
    """The alert once it is known which containers of the task have ended before."""
    alert = classify_with_rules(routed.event, config, plugins, essential, ended)
    return RoutedAlert(routed.event, alert, targets_of(alert, config))


def classify_with_rules(
    event: Event,
    config: Config,
    plugins: Plugins,
    essential: Essential = no_flags,
    ended: Collection[str] = frozenset(),
) -> Alert:
    """Classifies an event: a plugin or the core's table first, then the user's own rules.

    A task's own report is at most a warning. A rule may raise its severity; neither makes it anything else.

    Args:
        ended: names of containers that are known to have ended before. Neither the table nor plugins nor rules see
            them; the alert lists them as such.
    """
    seen = event._replace(containers=remaining(event, ended)) if ended else event
    answer = _answer_of(plugins, seen)
    flags = essential(event) if answer is None and depends_on_essential(event, ended) else None
    table = classify(event, flags, ended)
    before = limited(answer or table, event, table, Severity.WARNING)
    alert = to_alert(event, before, ended, essential=flags, table=table)
    changed, rule = apply(config.rules, alert, before)
    if rule is None:
        return alert
    alert = to_alert(event, limited(changed, event, table), ended, essential=flags, table=table)
    return replace(alert, runbook_url=rule.runbook_url)


def _answer_of(plugins: Plugins, event: Event) -> Classification | None:
    """The classification of the first plugin that has one."""
    for plugin, answer in plugins.ask("classify_event", event=event):
        if isinstance(answer, Mapping) and (classification := from_plugin_answer(answer, plugin)):
            return classification
        if answer is not None:
            log.warning("%s: classify_event gave no classification: %s", plugin, type(answer).__name__)
    return None


def targets_of(alert: Alert, config: Config) -> tuple[RouteTarget, ...]:
    """The channels that the alert's routes reach: each once, with the options of the first route that names it.

    Channels that are not configured are left out; a disabled channel is kept, and its delivery fails with the reason.
    """
    if alert.subject.kind is SubjectKind.CHANNEL:
        return _all_but(alert.subject.name, config)
    targets: dict[str, RouteTarget] = {}
    for taken in route(alert, config.routes, config.time_zone):
        for name in taken.channels:
            if name not in targets and (name in config.channels or name in config.disabled):
                targets[name] = _target(name, taken, config)
    return tuple(targets.values())


def _all_but(failing: str, config: Config) -> tuple[RouteTarget, ...]:
    """Reports a failing channel on every channel that uses another endpoint."""
    endpoint = config.channels[failing].endpoint if failing in config.channels else ""
    working = (name for name, channel in config.channels.items() if name != failing and channel.endpoint != endpoint)
    return tuple(_target(name, Route(), config) for name in working)


def _target(name: str, by: Route, config: Config) -> RouteTarget:
    channel = config.channels.get(name)
    settings = channel.config if channel else ChannelConfig(name, "", {})
    options = MessageOptions(by.mention, by.language, by.time_zone)
    stateful = bool(channel and channel.stateful)
    return RouteTarget(name, by.dedup_window or settings.dedup_window, stateful, options, config.remind)
