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
from router.context import Answered, Dependencies, EventResult, Job
from router.errors import Conflict, HistoryUnavailable
from router.history.items import key_of
from router.history.table import Key
from router.incident.state import Delivery, Dispatch, SendMode, SubjectState
from router.messages.bundle import bundle
from router.messages.render import notification
from router.model import ChannelConfig, Enrichment, Kind, Message
from router.settle import TRIES, record_all

log = logging.getLogger("ecs-alert-router.notify")

_NOTHING: Mapping[str, Enrichment] = {}


def notify(claims: Claims, lease: InvocationLease, deps: Dependencies) -> Iterator[tuple[SubjectState, list[Delivery]]]:
    """Sends what was leased, settles it when the answers are there, and sees to it that nobody waits for the tick."""
    states = {key_of(each.state): each.state for each in claims.claims}
    found = _enrichments(claims.claims, lease, deps)
    jobs = [job for each in claims.claims for job in jobs_for(each.state, each.dispatches, deps, found)]
    told: list[Delivery] = []
    ended: dict[str, float] = {}
    for done in deps.deliver(bundle_jobs(jobs), lambda: lease.settle_by - deps.runtime.clock()) if jobs else ():
        told += [delivery for _, delivery in done]
        now = deps.runtime.clock()
        ended |= {job.channel.endpoint: now - delivery.waited for job, delivery in done if job.channel}
        answers = _by_state(done)
        states |= record_all({key: (states[key], answers[key]) for key in answers}, lease.owner, deps.runtime)
        yield from ((states[key], answers[key]) for key in answers)
    _record_channel_states(claims, told, ended, deps)
    for each in claims.claims:
        _schedule_check(each, states[key_of(each.state)], deps)
    for gather_at in sorted({*claims.bundle_at}):
        deps.queues.schedule_tick(gather_at - deps.runtime.clock())


def _enrichments(claims: Sequence[Claim], lease: InvocationLease, deps: Dependencies) -> Mapping[str, Enrichment]:
    """What is known of the alerts that are announced by themselves; never so late that no time is left to send."""
    alerts = [
        each.state.incident.alert for each in claims if each.state.incident and any(map(_is_enriched, each.dispatches))
    ]
    seconds = lease.begin_by - deps.runtime.clock()
    return deps.enrich(alerts, seconds) if alerts and seconds > 0 else {}


def _is_enriched(dispatch: Dispatch) -> bool:
    return dispatch.mode is SendMode.SINGLE and dispatch.kind is not Kind.RESOLVED


def jobs_for(
    state: SubjectState,
    dispatches: Sequence[Dispatch],
    deps: Dependencies,
    found: Mapping[str, Enrichment] = _NOTHING,
) -> Iterable[Job]:
    """What is to be sent, with what was found out about it."""
    incident = state.incident
    if incident is None or not dispatches:
        return
    past = incident.recurrence if deps.config.enrich.history else None
    known = found.get(incident.alert.id, Enrichment())._replace(recurrence=past)
    made: dict[Any, Message] = {}
    for dispatch in dispatches:
        unusable = deps.config.disabled.get(dispatch.channel, "this channel is no longer configured")
        source = deps.config.channels.get(dispatch.channel)
        settings = source.config if source else ChannelConfig(dispatch.channel, "", {})
        notify = partial(notification, dispatch, incident, settings, known, made)
        yield Job(state, dispatch, settings, notify, source, unusable)


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
        for state, dispatch in job.members:
            groups.setdefault(key_of(state), []).append(delivery._replace(dispatch=dispatch))
    return groups


def _record_channel_states(
    claims: Claims, told: Sequence[Delivery], ended: Mapping[str, float], deps: Dependencies
) -> None:
    """Writes down which channels fail, work again, or were slow; most of the time there is nothing new in that."""
    history, now = deps.runtime.history, deps.runtime.clock()

    def moved_on(channel_states: ChannelStates) -> ChannelStates | None:
        after = charge_at_completion(record_outcomes(channel_states, told, now), claims.granted_at, ended)
        return after if after != channel_states else None

    if moved_on(claims.channel_states) is None:
        return
    for attempt in range(TRIES):
        try:
            history.commit_all(now, (), moved_on(history.channel_states(now)))  # what was read before may be long ago
        except Conflict:
            deps.runtime.pause(attempt)
        except HistoryUnavailable as error:
            log.warning("the next attempt will note it: %s", error)
            return
        else:
            return


def _schedule_check(made: Claim, state: SubjectState, deps: Dependencies) -> None:
    """A hint for what is newly due before long; without it, the tick finds it up to a minute late."""
    recall_at, now = state.next_check_at, deps.runtime.clock()
    if recall_at is not None and recall_at != made.checked_at and recall_at - now < MAX_DELAY - 1:
        deps.queues.schedule_check(key_of(state), recall_at - now)


def observe(results: Iterable[EventResult], deps: Dependencies) -> None:
    """Lets plugins know what came of what was announced."""
    for each in results:
        if each.deliveries and each.routed:
            deliveries = [summary(delivery) for delivery in each.deliveries]
            for plugin, answer in deps.plugins.ask("alert_settled", alert=each.routed.alert, deliveries=deliveries):
                if isinstance(answer, Exception):
                    log.warning("%s: alert_settled raised %s", plugin, type(answer).__name__)


def summary(delivery: Delivery) -> dict[str, str | int]:
    """A delivery as the handler's callers and observers see it."""
    dispatch = delivery.dispatch
    return {
        "channel": dispatch.channel,
        "kind": dispatch.kind.value,
        "outcome": delivery.outcome.value,
        "attempt": dispatch.attempt,
    }
