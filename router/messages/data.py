"""A notification as data for programs: what `docs/incident.schema.json` describes.

Version 1. Fields may be added; none is removed, and none changes its meaning, without a new version. Every field is
always there: a text that is unknown is "", a time that is unknown is null. Texts are shortened, so that all of it stays
below 64 KiB, which is what CloudEvents promises to get through everywhere.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from router.model import Alert, Container, Incident, Message, Notification

SCHEMA_VERSION = 1

# Characters. A character has at most four bytes in JSON, as there are no control characters.
_TITLE, _TEXT, _REASON, _LOG = 300, 2500, 1000, 1500
_FACT_COUNT, _LABEL, _VALUE = 15, 60, 150
_LINK_COUNT, _URL = 4, 2000
_NAME = 255
_CONTAINER_COUNT, _CONTAINER_NAME, _CONTAINER_TEXT = 5, 100, 200
_CAUSE_COUNT, _CAUSE = 20, 60


def incident_data(notification: Notification) -> dict[str, Any]:
    """The notification as JSON. Pure, and without secrets. Of a message about several incidents, it is the worst one.

    `message` is for people, in the channel's language; all else is the same in every language.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": notification.kind.value,
        "reason": notification.reason.value,
        "revision": notification.revision,
        "incident": _incident(notification.incident),
        "alert": _alert(notification.alert),
        "message": _message(notification.message),
    }


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, such as `2026-11-30T06:15:00.000Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _incident(incident: Incident) -> dict[str, Any]:
    subject = incident.subject
    return {
        "id": incident.id,
        "number": incident.number,
        "status": incident.status.value,
        "severity": incident.severity.value,
        "subject": {"kind": subject.kind.value, "name": _known(subject.name)},
        "account": _known(subject.account),
        "region": _known(subject.region),
        "cluster": _known(subject.cluster),
        "opened_at": timestamp(incident.opened_at),
        "last_at": timestamp(incident.last_at),
        "ended_at": None if incident.ended_at is None else timestamp(incident.ended_at),
        "ended_by": incident.ended_by.value if incident.ended_by else "",
        "alerts": incident.count,
        "causes": {cause[:_CAUSE]: count for cause, count in islice(incident.causes.items(), _CAUSE_COUNT)},
        "tasks": [*incident.tasks],
        "reopened": incident.reopened,
        "flapping": incident.flapping,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "event_id": alert.event_id,
        "at": timestamp(alert.at),
        "severity": alert.severity.value,
        "cause": alert.cause[:_CAUSE],
        "reason": alert.reason[:_REASON],
        "stop_code": alert.stop_code[:_NAME],
        "task": alert.task,
        "task_definition": alert.task_definition[:_NAME],
        "containers": [_container(container) for container in alert.blamed[:_CONTAINER_COUNT]],
        "runbook_url": alert.runbook_url[:_URL],
        "self_reported": alert.self_reported,
    }


def _container(container: Container) -> dict[str, Any]:
    return {
        "name": container.name[:_CONTAINER_NAME],
        "exit_code": container.exit_code,
        "reason": container.reason[:_CONTAINER_TEXT],
        "image": container.image[:_CONTAINER_TEXT],
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "status": message.status[:_LABEL],
        "title": message.title[:_TITLE],
        "text": message.text[:_TEXT],
        "facts": _pairs(message.facts[:_FACT_COUNT], "value", _VALUE),
        "links": _pairs((link for link in message.links[:_LINK_COUNT] if len(link[1]) <= _URL), "url", _URL),
        "log_excerpt": message.log_excerpt[-_LOG:],  # the last lines tell why it ended
    }


def _pairs(pairs: Iterable[tuple[str, str]], name: str, limit: int) -> list[dict[str, str]]:
    return [{"label": label[:_LABEL], name: value[:limit]} for label, value in pairs]


def _known(name: str) -> str:
    """The name, or "" for what an event does not name, for which a subject has `-`."""
    return "" if name == "-" else name[:_NAME]
