"""The whole way of an event, on one page.

    normalise ─► classify ─► route ─► claim ─► enrich ─► render ─► deliver ─► settle
    └──── understand: pure ───────┘   │        └─── per channel, side by side ──┘ │
                                      └───────────── history: DynamoDB ───────────┘

What is due (a retry, the end of a window or of a recovery) goes the same way from `wake` on.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from router.claim import Claim, Lease, Routed, claim, concerns_subject, wake
from router.classify import alert, classify, given_by
from router.config import Config, Route
from router.deliver import LONGEST_SEND, Deliver, Done, Job
from router.enrich import enrich
from router.errors import HistoryUnavailable, UnreadableEvent
from router.incidents import Delivery, Manner, Reach, Saying, Standing
from router.items import key_of
from router.model import Alert, ChannelConfig, Classification, Decision, Event, Subject
from router.normalise import normalise
from router.plugins import Plugins
from router.queues import MAX_DELAY, Queues
from router.render import notification
from router.route import route
from router.rules import apply
from router.runtime import Runtime
from router.settle import settle

log = logging.getLogger("ecs-alert-router")

LEASE_MARGIN = 5.0  # seconds that a lease outlives its invocation; far below the queue's visibility timeout
SETTLE_MARGIN = 5.0  # seconds at the end of an invocation in which nothing is waited for but history


@dataclass(frozen=True, slots=True)
class Router:
    """Everything that the steps need, put together once per process (`router.handler`).

    Attributes:
        decided: hears each decision once it is in history.
        memory: what this process told while history was unreachable (`router.last_resort`); all else never changes.
    """

    config: Config
    plugins: Plugins
    runtime: Runtime
    queues: Queues
    deliver: Deliver
    new_id: Callable[[], str]
    decided: Callable[[Decision], None] = lambda _: None
    memory: dict[tuple[str, str], float] = field(default_factory=dict)


@dataclass(slots=True)
class Handled:
    """What came of one event.

    Attributes:
        routed: None where the event is unreadable; `reason` says why.
        error: why its state could not be written; None once it is safe.
    """

    routed: Routed | None = None
    reason: str = ""
    decision: Decision | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    error: HistoryUnavailable | None = None


def process(raws: Sequence[object], router: Router, remaining: Callable[[], float]) -> list[Handled]:
    """Takes events in and tells whoever is to be told. Events of one subject are put together.

    Args:
        raws: EventBridge events, or whatever else came in their place.
        remaining: seconds until the invocation must come to its end.

    Returns:
        One answer per event, in their order.
    """
    handled = [_understood(raw, router) for raw in raws]
    lease = _lease(router, remaining)
    claims = list(_claim_all([each for each in handled if each.routed], lease, router))
    for standing, deliveries in _tell(claims, lease, router):
        for each in _announced(handled, standing):
            each.deliveries += deliveries
    _observe(handled, router)
    return handled


def work_on(due: Iterable[Standing], router: Router, remaining: Callable[[], float]) -> list[Delivery]:
    """Says what has become due, with nothing new having happened. What cannot be leased is left to the next tick."""
    lease = _lease(router, remaining)
    claims = list(_wake_all(due, lease, router))  # whoever is first sends, the others do not
    return [delivery for _, deliveries in _tell(claims, lease, router) for delivery in deliveries]


# --- normalise, classify, route: pure ---------------------------------------------------------------------------------


def _understood(raw: object, router: Router) -> Handled:
    try:
        return Handled(understand(raw, router))
    except UnreadableEvent as error:
        return Handled(reason=str(error), decision=Decision.UNREADABLE)
    except Exception as error:  # a plugin's answer of the wrong type, say: the other events must not suffer for it
        log.exception("an event cannot be understood")
        return Handled(reason=f"cannot be understood: {type(error).__name__}", decision=Decision.UNREADABLE)


def understand(raw: object, router: Router) -> Routed:
    """Raises UnreadableEvent."""
    event = normalise(raw, now=router.runtime.clock())
    made = judged(event, router.config, router.plugins)
    return Routed(event, made, reach(made, router.config))


def judged(event: Event, config: Config, plugins: Plugins) -> Alert:
    """The alert that a plugin, else the core's table, and then the user's own rules make of an event."""
    classification, rule = apply(config.rules, event, _classification(event, plugins))
    made = alert(event, classification)
    return replace(made, runbook_url=rule.runbook_url) if rule else made


def _classification(event: Event, plugins: Plugins) -> Classification:
    """The first plugin that has an answer; else the core's table."""
    for plugin, answer in plugins.ask("classify_event", event=event):
        if isinstance(answer, Mapping) and (given := given_by(answer, plugin)):
            return given
        if answer is not None:
            log.warning("%s: classify_event gave no classification: %s", plugin, type(answer).__name__)
    return classify(event)


def reach(made: Alert, config: Config) -> tuple[Reach, ...]:
    """The channels that the alert's routes reach: each once, as the first route that names it says.

    Channels that are not configured are left out; one that is disabled is reached, and fails with its reason.
    """
    reached: dict[str, Reach] = {}
    for each in route(made, config.routes, config.time_zone):
        for name in each.channels:
            if name not in reached and (name in config.channels or name in config.disabled):
                reached[name] = _reached(name, each, config)
    return tuple(reached.values())


def _reached(name: str, by: Route, config: Config) -> Reach:
    source = config.channels.get(name)
    settings = source.config if source else ChannelConfig(name, "", {})
    manner = Manner(by.mention, by.language, by.time_zone)
    return Reach(name, by.dedup_window or settings.dedup_window, bool(source and source.stateful), manner)


# --- claim ------------------------------------------------------------------------------------------------------------


def _lease(router: Router, remaining: Callable[[], float]) -> Lease:
    """Margins shrink where little time is left from the start: a short invocation still does what it can."""
    left = remaining()
    ends = router.runtime.clock() + left
    settle_by = ends - min(SETTLE_MARGIN, left / 4)
    return Lease(router.new_id(), ends + LEASE_MARGIN, settle_by - min(LONGEST_SEND, left / 2), settle_by)


def _wake_all(due: Iterable[Standing], lease: Lease, router: Router) -> Iterable[Claim]:
    """One claim per subject; one that fails leaves its neighbours alone."""
    for standing in due:
        try:
            yield wake(standing, lease, router.runtime)
        except HistoryUnavailable as error:
            log.warning("%s stays due: %s", standing.subject.fingerprint, error)


def _claim_all(handled: Sequence[Handled], lease: Lease, router: Router) -> Iterable[Claim]:
    """One claim per subject; one that fails leaves its neighbours alone."""
    groups: dict[Subject, list[Handled]] = {}
    for each in handled:
        groups.setdefault(_alert(each).subject, []).append(each)
    concerned = [subject for subject, mine in groups.items() if any(concerns_subject(_alert(each)) for each in mine)]
    try:
        standings = router.runtime.history.standings(concerned, router.runtime.clock()) if concerned else {}
    except HistoryUnavailable as error:
        _failed(handled, error)
        return
    for subject, mine in groups.items():
        standing = standings.get(subject, Standing(subject))
        try:
            made = claim([each.routed for each in mine if each.routed], standing, lease, router.runtime)
        except HistoryUnavailable as error:
            _failed(mine, error)
        else:
            for row in made.rows:
                router.decided(row.decision)
            _note_decisions(mine, made, router)
            yield made


def _note_decisions(handled: Iterable[Handled], made: Claim, router: Router) -> None:
    """An alert that was there before has the decision that its row holds; unknown if the row cannot be read now."""
    decided = {row.alert.id: row.decision for row in made.rows}
    for each in handled:
        alert_id = _alert(each).id
        each.decision = decided.get(alert_id)
        if each.decision is None:
            with suppress(HistoryUnavailable):  # the claim is made: this must not fail it
                row = router.runtime.history.row(alert_id, router.runtime.clock())
                each.decision = Decision(row["decision"]) if row else None


def _alert(handled: Handled) -> Alert:
    assert handled.routed is not None
    return handled.routed.alert


def _announced(handled: Iterable[Handled], standing: Standing) -> Iterable[Handled]:
    """The alerts of a subject because of which something was said now."""
    for each in handled:
        if each.routed and each.routed.alert.subject == standing.subject and each.decision is Decision.ANNOUNCED:
            yield each


def _failed(handled: Iterable[Handled], error: HistoryUnavailable) -> None:
    for each in handled:
        each.error = error


# --- enrich, render, deliver, settle ----------------------------------------------------------------------------------


def _tell(claims: Sequence[Claim], lease: Lease, router: Router) -> Iterable[tuple[Standing, list[Delivery]]]:
    """Sends what was leased and settles it as the answers come; then sees to it that nobody waits for the tick."""
    standings = {key_of(each.standing): each.standing for each in claims}
    jobs = [job for each in claims for job in jobs_of(each.standing, each.sayings, router)]
    for done in router.deliver(jobs, lambda: lease.settle_by - router.runtime.clock()) if jobs else ():
        for key, deliveries in _by_standing(done).items():
            try:
                standings[key] = settle(standings[key], deliveries, lease.owner, router.runtime)
            except HistoryUnavailable:
                log.exception("not recorded, so it may be said once more when the lease ends: %s", deliveries)
            yield standings[key], deliveries
    for each in claims:
        _recall(each, standings[key_of(each.standing)], router)


def jobs_of(standing: Standing, sayings: Sequence[Saying], router: Router) -> Iterable[Job]:
    """What is to be sent, with the plugins' facts in it."""
    incident = standing.incident
    if incident is None or not sayings:
        return
    facts = enrich(incident.alert, router.plugins)
    for saying in sayings:
        unusable = router.config.disabled.get(saying.channel, "this channel is no longer configured")
        source = router.config.channels.get(saying.channel)
        settings = source.config if source else ChannelConfig(saying.channel, "", {})
        notify = partial(notification, saying, incident, settings, facts)
        yield Job(standing, saying, settings, notify, source, unusable)


def _by_standing(done: Iterable[Done]) -> dict[tuple[str, str], list[Delivery]]:
    groups: dict[tuple[str, str], list[Delivery]] = {}
    for job, delivery in done:
        groups.setdefault(key_of(job.standing), []).append(delivery)
    return groups


def _recall(made: Claim, standing: Standing, router: Router) -> None:
    """A hint for what is newly due before long; without it, the tick finds it up to a minute late."""
    due_at, now = standing.due_at, router.runtime.clock()
    if due_at is not None and due_at != made.due_before and due_at - now < MAX_DELAY - 1:
        router.queues.recall(key_of(standing), due_at - now)


def _observe(handled: Iterable[Handled], router: Router) -> None:
    for each in handled:
        if each.deliveries and each.routed:
            deliveries = [summary(delivery) for delivery in each.deliveries]
            for plugin, answer in router.plugins.ask("alert_settled", alert=each.routed.alert, deliveries=deliveries):
                if isinstance(answer, Exception):
                    log.warning("%s: alert_settled raised %s", plugin, type(answer).__name__)


def summary(delivery: Delivery) -> dict[str, str | int]:
    """A delivery as the handler's callers and observers see it."""
    saying = delivery.saying
    return {
        "channel": saying.channel,
        "kind": saying.kind.value,
        "outcome": delivery.outcome.value,
        "attempt": saying.attempt,
    }
