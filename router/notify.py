"""Tell: enrich, render, deliver and settle what was leased."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from router.aws.queues import MAX_DELAY
from router.channels.health import record_outcomes
from router.channels.rate_limit import charge_at_completion
from router.channels.state import ChannelStates
from router.claim import Claim, Claims, InvocationLease
from router.context import Answered, EventResult, Job, Dependencies
from router.errors import Conflict, HistoryUnavailable
from router.history.items import key_of
from router.history.table import Key
from router.incident.state import Delivery, Dispatch, SubjectState, SendMode
from router.messages.bundle import bundle
from router.messages.render import notification
from router.model import ChannelConfig, Enrichment, Kind, Message
from router.settle import TRIES, record_all

log = logging.getLogger("ecs-alert-router.notify")

_NOTHING: Mapping[str, Enrichment] = {}


def notify(
    claims: Claims, lease: InvocationLease, router: Dependencies
) -> Iterator[tuple[SubjectState, list[Delivery]]]:
    """Sends what was leased, settles it when the answers are there, and sees to it that nobody waits for the tick."""
    standings = {key_of(each.state): each.state for each in claims.claims}
    found = _enrichments(claims.claims, lease, router)
    jobs = [job for each in claims.claims for job in jobs_for(each.state, each.dispatches, router, found)]
    told: list[Delivery] = []
    ended: dict[str, float] = {}
    for done in router.deliver(bundle_jobs(jobs), lambda: lease.settle_by - router.runtime.clock()) if jobs else ():
        told += [delivery for _, delivery in done]
        now = router.runtime.clock()
        ended |= {job.channel.endpoint: now - delivery.waited for job, delivery in done if job.channel}
        answers = _by_state(done)
        standings |= record_all({key: (standings[key], answers[key]) for key in answers}, lease.owner, router.runtime)
        yield from ((standings[key], answers[key]) for key in answers)
    _record_channel_states(claims, told, ended, router)
    for each in claims.claims:
        _schedule_check(each, standings[key_of(each.state)], router)
    for gather_at in sorted({*claims.bundle_at}):
        router.queues.schedule_tick(gather_at - router.runtime.clock())


def _enrichments(claims: Sequence[Claim], lease: InvocationLease, router: Dependencies) -> Mapping[str, Enrichment]:
    """What is known of the alerts that are announced by themselves; never so late that no time is left to send."""
    alerts = [
        each.state.incident.alert for each in claims if each.state.incident and any(map(_is_enriched, each.dispatches))
    ]
    seconds = lease.begin_by - router.runtime.clock()
    return router.enrich(alerts, seconds) if alerts and seconds > 0 else {}


def _is_enriched(saying: Dispatch) -> bool:
    return saying.mode is SendMode.SINGLE and saying.kind is not Kind.RESOLVED


def jobs_for(
    standing: SubjectState,
    sayings: Sequence[Dispatch],
    router: Dependencies,
    found: Mapping[str, Enrichment] = _NOTHING,
) -> Iterable[Job]:
    """What is to be sent, with what was found out about it."""
    incident = standing.incident
    if incident is None or not sayings:
        return
    past = incident.recurrence if router.config.enrich.history else None
    known = found.get(incident.alert.id, Enrichment())._replace(recurrence=past)
    made: dict[Any, Message] = {}
    for saying in sayings:
        unusable = router.config.disabled.get(saying.channel, "this channel is no longer configured")
        source = router.config.channels.get(saying.channel)
        settings = source.config if source else ChannelConfig(saying.channel, "", {})
        notify = partial(notification, saying, incident, settings, known, made)
        yield Job(standing, saying, settings, notify, source, unusable)


def bundle_jobs(jobs: Iterable[Job]) -> list[Job]:
    """The same with one job for all that a channel is told in one message."""
    alone: list[Job] = []
    together: dict[str, list[Job]] = {}
    for job in jobs:
        if job.dispatch.mode is SendMode.BUNDLED:
            together.setdefault(job.config.name, []).append(job)
        else:
            alone.append(job)
    return [*alone, *(_bundle_job(parts) for parts in together.values())]


def _bundle_job(jobs: Sequence[Job]) -> Job:
    parts = tuple((job.state, job.dispatch) for job in jobs)
    return jobs[0]._replace(bundled_with=parts[1:], notify=partial(bundle, parts, jobs[0].config))


def _by_state(done: Iterable[Answered]) -> dict[Key, list[Delivery]]:
    """What came of each incident; a gathering message has come, or not, of all that are in it."""
    groups: dict[Key, list[Delivery]] = {}
    for job, delivery in done:
        for standing, saying in job.members:
            groups.setdefault(key_of(standing), []).append(delivery._replace(dispatch=saying))
    return groups


def _record_channel_states(
    claims: Claims, told: Sequence[Delivery], ended: Mapping[str, float], router: Dependencies
) -> None:
    """Writes down which channels fail, work again, or were slow; most of the time there is nothing new in that."""
    history, now = router.runtime.history, router.runtime.clock()

    def moved_on(condition: ChannelStates) -> ChannelStates | None:
        after = charge_at_completion(record_outcomes(condition, told, now), claims.granted_at, ended)
        return after if after != condition else None

    if moved_on(claims.channel_states) is None:
        return
    for attempt in range(TRIES):
        try:
            history.commit_all(now, (), moved_on(history.channel_states(now)))  # what was read before may be long ago
        except Conflict:
            router.runtime.pause(attempt)
        except HistoryUnavailable as error:
            log.warning("the next attempt will note it: %s", error)
            return
        else:
            return


def _schedule_check(made: Claim, standing: SubjectState, router: Dependencies) -> None:
    """A hint for what is newly due before long; without it, the tick finds it up to a minute late."""
    recall_at, now = standing.next_check_at, router.runtime.clock()
    if recall_at is not None and recall_at != made.checked_at and recall_at - now < MAX_DELAY - 1:
        router.queues.schedule_check(key_of(standing), recall_at - now)


def observe(handled: Iterable[EventResult], router: Dependencies) -> None:
    """Lets plugins know what came of what was announced."""
    for each in handled:
        if each.deliveries and each.routed:
            deliveries = [summary(delivery) for delivery in each.deliveries]
            for plugin, answer in router.plugins.ask("alert_settled", alert=each.routed.alert, deliveries=deliveries):
                if isinstance(answer, Exception):
                    log.warning("%s: alert_settled raised %s", plugin, type(answer).__name__)


def summary(delivery: Delivery) -> dict[str, str | int]:
    """A delivery as the handler's callers and observers see it."""
    saying = delivery.dispatch
    return {
        "channel": saying.channel,
        "kind": saying.kind.value,
        "outcome": delivery.outcome.value,
        "attempt": saying.attempt,
    }
