"""A stand-in for events.pagerduty.com on loopback: validates as the Events API v2 does, and keeps the alerts.

Rules: https://developer.pagerduty.com/docs/send-alert-event.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from local_aws.webhook import Received, WebhookDouble

_PATH = "/v2/enqueue"
_KEY_LENGTH = 32
_BODY = 512 * 1024  # bytes
_SUMMARY, _DEDUP_KEY = 1024, 255  # characters
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(slots=True)
class PagedAlert:
    """One alert, as a responder sees it.

    Attributes:
        status: `triggered`, `acknowledged` or `resolved`.
        events: what joined it, in the order of arrival.
    """

    routing_key: str
    dedup_key: str
    status: str = "triggered"
    events: list[Mapping[str, Any]] = field(default_factory=list)


class PagerDutyDouble(WebhookDouble):
    """`received`: all valid events. `alerts`: the alerts they created. `dropped`: events that matched no open alert."""

    routing_key = "0123456789abcdef0123456789abcdef"  # a dummy secret

    def __init__(self) -> None:
        super().__init__()
        self._alerts: list[PagedAlert] = []
        self._dropped: list[Mapping[str, Any]] = []

    @property
    def events_url(self) -> str:
        return f"{self.host}{_PATH}"

    @property
    def alerts(self) -> list[PagedAlert]:
        """The alerts in the order in which they were opened."""
        with self._changed:
            return list(self._alerts)

    @property
    def dropped(self) -> list[Mapping[str, Any]]:
        """Accepted events that resolved or acknowledged no alert."""
        with self._changed:
            return list(self._dropped)

    def judge(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        del headers
        return judge(path, body)

    def accepts(self, status: int, body: str) -> bool:
        del body
        return status == 202  # noqa: PLR2004 - "Accepted"

    def arrive(self, message: Received) -> None:
        super().arrive(message)
        event = message.payload
        names = str(event["routing_key"]), str(event.get("dedup_key") or uuid4().hex)
        alert = next(
            (alert for alert in self._alerts if _is_open(alert) and (alert.routing_key, alert.dedup_key) == names), None
        )
        if alert is None and event["event_action"] != "trigger":
            self._dropped.append(event)
            return
        if alert is None:
            alert = PagedAlert(*names)
            self._alerts.append(alert)
        alert.events.append(event)
        alert.status = {"resolve": "resolved", "acknowledge": "acknowledged"}.get(event["event_action"], alert.status)


def _is_open(alert: PagedAlert) -> bool:
    return alert.status != "resolved"


def judge(path: str, body: bytes) -> tuple[int, str]:
    """Status and body of PagerDuty's answer to a post."""
    if path != _PATH:
        return 404, json.dumps({"status": "not found"})
    if len(body) > _BODY:
        return 413, json.dumps({"status": "payload too large"})
    try:
        event = json.loads(body)
    except ValueError:
        return _invalid(["JSON is invalid"])
    errors = _errors(event) if isinstance(event, dict) else ["event is not an object"]
    if errors:
        return _invalid(errors)
    answer = {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key") or uuid4().hex}
    return 202, json.dumps(answer)


def _invalid(errors: list[str]) -> tuple[int, str]:
    return 400, json.dumps({"status": "invalid event", "message": "Event object is invalid", "errors": errors})


def _errors(event: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with an event."""
    problems = [problem for field, valid, problem in _EVENT if not valid(event.get(field))]
    if event.get("event_action") == "trigger":
        payload = event.get("payload")
        if not isinstance(payload, dict):
            return [*problems, "'payload' is missing or blank"]
        return problems + [problem for field, valid, problem in _PAYLOAD if not valid(payload.get(field))]
    return problems if event.get("dedup_key") else [*problems, "'dedup_key' is missing or blank"]


def _text(limit: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and 0 < len(value) <= limit


def _maybe(valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or valid(value)


def _links(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(link, dict) and link.get("href") for link in value)


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


_Rule = tuple[str, Callable[[Any], bool], str]
_EVENT: tuple[_Rule, ...] = (
    ("routing_key", lambda value: _text(_KEY_LENGTH)(value) and len(value) == _KEY_LENGTH, "'routing_key' is invalid"),
    ("event_action", _ACTIONS.__contains__, "'event_action' must be trigger, acknowledge or resolve"),
    ("dedup_key", _maybe(_text(_DEDUP_KEY)), f"'dedup_key' must have at most {_DEDUP_KEY} characters"),
    ("links", _maybe(_links), "'links' must be a list of objects with an href"),
)
_PAYLOAD: tuple[_Rule, ...] = (
    ("summary", _text(_SUMMARY), f"'payload.summary' is missing, blank or longer than {_SUMMARY} characters"),
    ("source", _text(_BODY), "'payload.source' is missing or blank"),
    ("severity", _SEVERITIES.__contains__, "'payload.severity' must be critical, error, warning or info"),
    ("timestamp", _maybe(_is_time), "'payload.timestamp' must be an ISO 8601 time"),
    ("custom_details", _maybe(lambda value: isinstance(value, dict)), "'payload.custom_details' must be an object"),
)
