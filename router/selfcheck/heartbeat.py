"""The weekly heartbeat: a message on every channel that says, by coming, that the whole way works.

It comes as events do, from EventBridge by the events queue, and is not tried again: one that does not come is the news.
A channel that would page somebody (`stateful`, as PagerDuty) is left out. It says what the week was like, and who has
yet to confirm an e-mail subscription: until then that address hears nothing at all.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from router.channels.configured import ConfiguredChannel
from router.context import Dependencies, Job
from router.errors import Conflict
from router.history.items import SCHEMA, iso
from router.history.store import AlertQuery, History
from router.history.table import Put
from router.incident.state import Delivery, Dispatch, SubjectState
from router.messages.phrases import phrase
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
_COUNTED = 1_000  # alerts of a severity; a count that reaches it is told as "1000+"
_SPOKEN = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)


class WeeklySummary(NamedTuple):
    """What history says of the last seven days.

    Attributes:
        alerts: of warning and worse, by what was decided about them.
        full: whether there were more than are counted.
        open: incidents that are open now. failed: deliveries that failed for good.
    """

    alerts: Mapping[Decision, int]
    full: bool
    open: int
    failed: int

    @property
    def total(self) -> str:
        return f"{sum(self.alerts.values())}{'+' if self.full else ''}"


def send_heartbeat(event: Mapping[str, Any], deps: Dependencies, remaining: Callable[[], float]) -> list[Delivery]:
    """Tells each channel once; nothing where this heartbeat has been told already.

    Raises:
        HistoryUnavailable: the week is not known; to be received again.
    """
    now = deps.runtime.clock()
    week = last_week(deps.runtime.history, now)
    if not _is_first(str(event.get("id", "")), deps.runtime.history, now):
        return []
    waiting = _unconfirmed(deps)
    sources = [source for source in deps.config.channels.values() if not source.stateful]
    jobs = [_job(source, week, waiting, event, now) for source in sources]
    told = [delivery for done in deps.deliver(jobs, remaining) for _, delivery in done]
    for delivery in told:
        if delivery.outcome is not Outcome.SENT:
            log.error("channel %s did not take the heartbeat: %s", delivery.dispatch.channel, delivery.response)
    return told


def last_week(history: History, now: float) -> WeeklySummary:
    """Raises HistoryUnavailable."""
    since = now - WEEK
    found = [history.alerts(AlertQuery(since, now, _COUNTED, severity=each), now) for each in _SPOKEN]
    return WeeklySummary(
        alerts=Counter(Decision(row["decision"]) for rows in found for row in rows),
        full=any(len(rows) >= _COUNTED for rows in found),
        open=len(history.open_incidents(now)),
        failed=len(history.failed_deliveries(since, now)),
    )


def _is_first(event_id: str, history: History, now: float) -> bool:
    """Notes it down before it is told: of a crash in between, its absence is the news."""
    ttl = int(now + history.retention)
    item = {"pk": f"heartbeat#{event_id}", "sk": "-", "schema": SCHEMA, "version": 1, "ttl": ttl, "at": iso(now)}
    try:
        history.table.commit([Put(item, 0)], now)
    except Conflict:
        return False
    return True


def _unconfirmed(deps: Dependencies) -> tuple[str, ...] | None:
    """Who has yet to confirm; None where it cannot be known. Never in the way of the heartbeat."""
    try:
        return tuple(deps.unconfirmed_subscriptions())
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
    found = (each for page in pages for each in page["Subscriptions"] if each["Protocol"] == "email")
    return sorted({each["Endpoint"] for each in found if each["SubscriptionArn"] == "PendingConfirmation"})


# --- what is said -----------------------------------------------------------------------------------------------------


def _job(
    source: ConfiguredChannel,
    week: WeeklySummary,
    waiting: tuple[str, ...] | None,
    event: Mapping[str, Any],
    now: float,
) -> Job:
    config = source.config
    incident = _incident(event, now)
    dispatch = Dispatch(config.name, Kind.OPENED, 1, 1, is_first=False, severity=Severity.INFO, suppressed={})
    notify = partial(_notification, incident, config, week, waiting)
    return Job(SubjectState(incident.subject), dispatch, config, notify, source)


def _incident(event: Mapping[str, Any], now: float) -> Incident:
    """What channels that want an incident get; it is in no history."""
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
    message = Message(phrase("heartbeat_title", language), "\n".join(lines), facts)
    return Notification(Kind.OPENED, message, incident.alert, incident)


def _complaints(week: WeeklySummary, waiting: tuple[str, ...] | None, language: str) -> Iterable[str]:
    if week.failed:
        yield phrase("heartbeat_look_failed", language)
    if waiting is None:
        yield phrase("heartbeat_unknown", language)
    elif waiting:
        yield phrase("heartbeat_unconfirmed", language, addresses=", ".join(waiting))
