"""Notify: enriches what was leased, and turns it into jobs for the deliver step."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from router.channels.plugins import Plugins
from router.config.settings import Config
from router.context import Claim, EventResult, Job
from router.incident.state import Delivery, Dispatch, SendMode, SubjectState
from router.messages.bundle import bundle
from router.messages.render import notification
from router.model import Alert, ChannelConfig, Enrichment, Kind, Message

log = logging.getLogger("ecs-alert-router.notify")

Enrich = Callable[[Sequence[Alert], float], Mapping[str, Enrichment]]
"""What is known of alerts beyond their events, by alert id, found within that many seconds."""

NOT_CONFIGURED = "this channel is no longer configured"
"""The response of a delivery to a channel that was removed from the configuration."""
_NO_ENRICHMENT: Mapping[str, Enrichment] = {}


def build_jobs(claims: Sequence[Claim], config: Config, enrich: Enrich, seconds: float) -> list[Job]:
    """One job for each leased dispatch, or one for all that a channel gets in a bundle.

    Args:
        seconds: for enrichment; none is asked for if no time is left.
    """
    alerts = {
        alert.id: alert
        for claim in claims
        if claim.state.incident
        for dispatch in claim.dispatches
        if dispatch.mode is SendMode.SINGLE and dispatch.kind is not Kind.RESOLVED
        for alert in [dispatch.alert or claim.state.incident.alert]
    }
    enrichments = enrich(list(alerts.values()), seconds) if alerts and seconds > 0 else _NO_ENRICHMENT
    return bundle_jobs(job for claim in claims for job in jobs_for(claim.state, claim.dispatches, config, enrichments))


def jobs_for(
    state: SubjectState,
    dispatches: Sequence[Dispatch],
    config: Config,
    enrichments: Mapping[str, Enrichment] = _NO_ENRICHMENT,
) -> Iterator[Job]:
    """One job for each dispatch of one incident."""
    incident = state.incident
    if incident is None or not dispatches:
        return
    recurrence = incident.recurrence if config.enrich.history else None
    account_name = config.accounts.get(incident.subject.account, "")
    messages: dict[Any, Message] = {}  # shared by channels of one language and time zone
    for dispatch in dispatches:
        unusable = config.disabled.get(dispatch.channel, NOT_CONFIGURED)
        channel = config.channels.get(dispatch.channel)
        enrichment = enrichments.get((dispatch.alert or incident.alert).id, Enrichment())
        enrichment = enrichment._replace(recurrence=None if dispatch.alert else recurrence, account_name=account_name)
        settings = channel.config if channel else ChannelConfig(dispatch.channel, "", {})
        reported = replace(incident, number=0) if dispatch.of_outage else incident
        render = partial(notification, dispatch, reported, settings, enrichment, messages)
        yield Job(state, dispatch, settings, render, channel, unusable)


def bundle_jobs(jobs: Iterable[Job]) -> list[Job]:
    """The same jobs, with one for each bundle in place of those of its members."""
    messages: list[Job] = []  # one each
    bundled: dict[str, list[Job]] = {}
    for job in jobs:
        if job.dispatch.mode is SendMode.BUNDLED:
            bundled.setdefault(job.config.name, []).append(job)
        else:
            messages.append(job)
    for first, *others in bundled.values():
        members = tuple((job.state, job.dispatch) for job in (first, *others))
        singles = [job.notify for job in (first, *others) if job.dispatch.remote]
        render = partial(bundle, members, first.config, singles)
        messages.append(first._replace(bundled_with=members[1:], notify=render))
    return messages


def observe(results: Iterable[EventResult], plugins: Plugins) -> None:
    """Reports the deliveries of each announced alert to the plugins (`alert_settled`)."""
    for result in results:
        if result.deliveries and result.routed:
            deliveries = [summary(delivery) for delivery in result.deliveries]
            for plugin, answer in plugins.ask("alert_settled", alert=result.routed.alert, deliveries=deliveries):
                if isinstance(answer, Exception):
                    log.warning("%s: alert_settled raised %s", plugin, type(answer).__name__)


def summary(delivery: Delivery) -> dict[str, str | int]:
    """A delivery as the handler's callers and plugins see it."""
    dispatch = delivery.dispatch
    return {
        "channel": dispatch.channel,
        "kind": dispatch.kind.value,
        "outcome": delivery.outcome.value,
        "attempt": dispatch.attempt,
    }
