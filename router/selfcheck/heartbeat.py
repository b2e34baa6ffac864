"""Heartbeat: a weekly message on every channel, whose arrival proves that the whole path works.

It takes the path of an event, from EventBridge through the events queue, and is not retried: its absence is the signal.
Stateful channels such as PagerDuty are left out, since they would page. It summarises the week, and lists the e-mail
addresses that have not confirmed their subscription and therefore receive nothing.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from router.channels.configured import ConfiguredChannel
from router.context import Job
from router.errors import Conflict
from router.history.items import DECISION, STAMP, iso
from router.history.store import AlertQuery, History
from router.history.table import Put
from router.incident.state import Delivery, Dispatch, SubjectState
from router.messages.hygiene import cleaned
from router.messages.phrases import part_labels, phrase, status
from router.model import (
    Alert,
    ChannelConfig,
    Decision,
    Incident,
    IncidentStatus,
    Kind,
    Message,
    Notification,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
)

log = logging.getLogger("ecs-alert-router.selfcheck.heartbeat")

CAUSE = "heartbeat"
WEEK = 7 * 86400.0  # seconds
_COUNTED = 1_000  # alerts of a severity; a count that reaches it is shown as "1000+"
_NOTIFIED = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)


class WeeklySummary(NamedTuple):
    """The last seven days, from history.

    Attributes:
        alerts: of warning and worse, by decision.
        full: whether there were more than were counted.
        open: incidents that are open now. failed: deliveries that failed for good.
    """

    alerts: Mapping[Decision, int]
    full: bool
    open: int
    failed: int

    @property
    def total(self) -> str:
        return f"{sum(self.alerts.values())}{'+' if self.full else ''}"


def heartbeat_jobs(
    event: Mapping[str, Any],
    channels: Mapping[str, ConfiguredChannel],
    history: History,
    unconfirmed_subscriptions: Callable[[], Iterable[str]],
    now: float,
) -> list[Job]:
    """One job for each channel; none if this heartbeat was sent before.

    Args:
        unconfirmed_subscriptions: lists e-mail addresses; if it raises, the message says that they are unknown.

    Raises:
        HistoryUnavailable: the week cannot be summarised; to be received again.
    """
    week = last_week(history, now)
    if not _is_first(str(event.get("id", "")), history, now):
        return []
    waiting = _waiting(unconfirmed_subscriptions)
    return [_job(channel, week, waiting, event, now) for channel in channels.values() if not channel.stateful]


def report(deliveries: Iterable[Delivery]) -> None:
    """Logs the channels that did not accept the heartbeat; it is not sent again."""
    for delivery in deliveries:
        if delivery.outcome is not Outcome.SENT:
            log.error("channel %s did not take the heartbeat: %s", delivery.dispatch.channel, delivery.response)


def last_week(history: History, now: float) -> WeeklySummary:
    """Raises HistoryUnavailable."""
    since = now - WEEK
    alerts = [history.alerts(AlertQuery(since, now, _COUNTED, severity=severity), now) for severity in _NOTIFIED]
    return WeeklySummary(
        alerts=Counter(Decision(DECISION.or_default(row["decision"])) for rows in alerts for row in rows),
        full=any(len(rows) >= _COUNTED for rows in alerts),
        open=len(history.open_incidents(now)),
        failed=len(history.failed_deliveries(since, now)),
    )


def _is_first(event_id: str, history: History, now: float) -> bool:
    """Recorded before sending: if the process dies in between, the missing heartbeat is itself the signal."""
    ttl = int(now + history.retention)
    item = {"pk": f"heartbeat#{event_id}", "sk": "-", **STAMP, "version": 1, "ttl": ttl, "at": iso(now)}
    try:
        history.table.commit([Put(item, 0)], now)
    except Conflict:
        return False
    return True


def _waiting(unconfirmed_subscriptions: Callable[[], Iterable[str]]) -> tuple[str, ...] | None:
    """The addresses that have yet to confirm; None if they cannot be listed, which must not stop the heartbeat."""
    try:
        return tuple(unconfirmed_subscriptions())
    except Exception as error:  # noqa: BLE001 - whatever the client raises
        log.warning("the subscriptions could not be listed: %s", type(error).__name__)
        return None


def unconfirmed(client: Any, topics: Iterable[str]) -> list[str]:
    """The e-mail addresses that are subscribed to any of the topics and have yet to confirm.

    Args:
        client: a low-level boto3 SNS client; raises what it raises.
    """
    pages = (
        page
        for topic in topics
        for page in client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    )
    subscriptions = (subscription for page in pages for subscription in page["Subscriptions"])
    return sorted(
        {
            subscription["Endpoint"]
            for subscription in subscriptions
            if subscription["Protocol"] == "email" and subscription["SubscriptionArn"] == "PendingConfirmation"
        }
    )


# --- the message ------------------------------------------------------------------------------------------------------


def _job(
    channel: ConfiguredChannel,
    week: WeeklySummary,
    waiting: tuple[str, ...] | None,
    event: Mapping[str, Any],
    now: float,
) -> Job:
    config = channel.config
    incident = _incident(event, now)
    dispatch = Dispatch(config.name, Kind.OPENED, 1, 1, is_first=False, severity=Severity.INFO, suppressed={})
    notify = partial(_notification, incident, config, week, waiting)
    return Job(SubjectState(incident.subject), dispatch, config, notify, channel)


def _incident(event: Mapping[str, Any], now: float) -> Incident:
    """A notification must have an incident. This one is not in history."""
    subject = Subject(
        str(event.get("account", "-")), str(event.get("region", "-")), "-", SubjectKind.ROUTER, "heartbeat"
    )
    title = phrase("heartbeat_title", "en")
    alert = Alert(CAUSE, "", now, Severity.INFO, CAUSE, resolves=False, rule=CAUSE, title=title, subject=subject)
    number = int(datetime.fromtimestamp(now, UTC).strftime("%G%V"))  # 202648: the week
    return Incident(number, IncidentStatus.OPEN, subject, Severity.INFO, {CAUSE: 1}, (), alert, now, now)


def _notification(
    incident: Incident, config: ChannelConfig, week: WeeklySummary, waiting: tuple[str, ...] | None
) -> Notification:
    language = config.language
    lines = [phrase("heartbeat_text", language), *_complaints(week, waiting, language)]
    counts = {
        "heartbeat_alerts": week.total,
        "heartbeat_announced": str(week.alerts.get(Decision.ANNOUNCED, 0)),
        "heartbeat_held_back": str(week.alerts.get(Decision.HELD_BACK, 0)),
        "heartbeat_failed": str(week.failed),
        "heartbeat_open": str(week.open),
    }
    facts = tuple((phrase(key, language), count) for key, count in counts.items())
    message = Message(
        phrase("heartbeat_title", language),
        "\n".join(lines),
        facts,
        status=status(Kind.OPENED, incident, language),
        labels=part_labels(language),
    )
    return cleaned(Notification(Kind.OPENED, message, incident.alert, incident))


def _complaints(week: WeeklySummary, waiting: tuple[str, ...] | None, language: str) -> Iterable[str]:
    if week.failed:
        yield phrase("heartbeat_look_failed", language)
    if waiting is None:
        yield phrase("heartbeat_unknown", language)
    elif waiting:
        yield phrase("heartbeat_unconfirmed", language, addresses=", ".join(waiting))
