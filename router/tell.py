"""Tell: enrich, render, deliver and settle what was leased."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from router.claim import Claim, Lease
from router.errors import HistoryUnavailable
from router.incidents import Delivery, Saying, Standing
from router.items import key_of
from router.model import ChannelConfig, Enrichment, Kind
from router.parts import Done, Handled, Job, Router
from router.queues import MAX_DELAY
from router.render import notification
from router.settle import settle

log = logging.getLogger("ecs-alert-router.tell")

_NOTHING: Mapping[str, Enrichment] = {}


def tell(claims: Sequence[Claim], lease: Lease, router: Router) -> Iterable[tuple[Standing, list[Delivery]]]:
    """Sends what was leased and settles it as the answers come; then sees to it that nobody waits for the tick."""
    standings = {key_of(each.standing): each.standing for each in claims}
    found = _found(claims, lease, router)
    jobs = [job for each in claims for job in jobs_of(each.standing, each.sayings, router, found)]
    for done in router.deliver(jobs, lambda: lease.settle_by - router.runtime.clock()) if jobs else ():
        for key, deliveries in _by_standing(done).items():
            try:
                standings[key] = settle(standings[key], deliveries, lease.owner, router.runtime)
            except HistoryUnavailable:
                log.exception("not recorded, so it may be said once more when the lease ends: %s", deliveries)
            yield standings[key], deliveries
    for each in claims:
        _recall(each, standings[key_of(each.standing)], router)


def _found(claims: Sequence[Claim], lease: Lease, router: Router) -> Mapping[str, Enrichment]:
    """What is known of the alerts that are announced; never so late that no time is left to send."""
    alerts = [
        each.standing.incident.alert
        for each in claims
        if each.standing.incident and any(saying.kind is not Kind.RESOLVED for saying in each.sayings)
    ]
    seconds = lease.begin_by - router.runtime.clock()
    return router.enrich(alerts, seconds) if alerts and seconds > 0 else {}


def jobs_of(
    standing: Standing, sayings: Sequence[Saying], router: Router, found: Mapping[str, Enrichment] = _NOTHING
) -> Iterable[Job]:
    """What is to be sent, with what was found out about it."""
    incident = standing.incident
    if incident is None or not sayings:
        return
    known = found.get(incident.alert.id)
    for saying in sayings:
        unusable = router.config.disabled.get(saying.channel, "this channel is no longer configured")
        source = router.config.channels.get(saying.channel)
        settings = source.config if source else ChannelConfig(saying.channel, "", {})
        notify = partial(notification, saying, incident, settings, known)
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


def observe(handled: Iterable[Handled], router: Router) -> None:
    """Lets plugins know what came of what was announced."""
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
