"""Cleans a finished notification, so that a channel only has to escape the markup of its own format.

The event's texts are clean already (`router.ecs.normalise`). The message also holds facts of plugins, lines of logs,
reasons of silences and names of the configuration; the alert and the incident hold what operators typed.
"""

from collections.abc import Iterable
from dataclasses import replace

from router.model import Alert, Incident, Message, Notification, PartLabels, Silenced
from router.text.characters import clean, link, single_line


def cleaned(notification: Notification) -> Notification:
    """The notification without what `router.text.characters` removes; the same objects where there is none of it.

    Title, labels, names and the mention are single lines; all other texts may have several. A link that is not an
    https URL of a plain host is left out, and so is a fact without a label or a value.
    """
    incident = _incident(notification.incident)
    return replace(
        notification,
        message=_message(notification.message),
        alert=_alert(notification.alert),
        incident=incident,
        mention=single_line(notification.mention),
        bundled=tuple(map(_incident, notification.bundled)),
    )


def _message(message: Message) -> Message:
    links = ((single_line(label), link(url)) for label, url in message.links)
    after = replace(
        message,
        title=single_line(message.title),
        text=clean(message.text),
        facts=_pairs(message.facts),
        links=tuple((label, url) for label, url in links if url),
        log_excerpt=clean(message.log_excerpt),
        reason=clean(message.reason),
        hint=clean(message.hint),
        details=_pairs(message.details),
        status=single_line(message.status),
        headline=single_line(message.headline),
        labels=PartLabels(*map(single_line, message.labels)),
        incident_title=single_line(message.incident_title),
    )
    return message if after == message else after  # channels share one message


def _pairs(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Labels and values, without the pairs that have nothing to show."""
    after = ((single_line(label), clean(value)) for label, value in pairs)
    return tuple((label, value) for label, value in after if label and value.strip())


def _incident(incident: Incident) -> Incident:
    after = replace(
        incident,
        alert=_alert(incident.alert),
        silenced=_silenced(incident.silenced),
        closed_by=single_line(incident.closed_by),
        closed_because=clean(incident.closed_because),
    )
    return incident if after == incident else after


def _alert(alert: Alert) -> Alert:
    rule, runbook_url = single_line(alert.rule), link(alert.runbook_url)
    same = (rule, runbook_url) == (alert.rule, alert.runbook_url)
    return alert if same else replace(alert, rule=rule, runbook_url=runbook_url)


def _silenced(silenced: Silenced | None) -> Silenced | None:
    if silenced is None:
        return None
    return replace(silenced, by={single_line(name): clean(reason) for name, reason in silenced.by.items()})
