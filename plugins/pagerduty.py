"""PagerDuty, through the Events API v2. Each incident becomes one PagerDuty alert: triggered once, resolved once.

Fields, limits and responses: https://developer.pagerduty.com/docs/send-alert-event. An event joins the open alert with
the same `dedup_key` and routing key. PagerDuty silently ignores a resolve event if there is no open alert.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from router import ChannelConfig, Message, Notification, Option, PayloadRejected, PermanentError, hookimpl, post_json

_EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"
_ENQUEUE = "/v2/enqueue"
_EVENTS_HOST = re.compile(r"events\.(?:[a-z]+\.)?pagerduty\.com")
_KEY_LENGTH = 32
# In characters. PagerDuty itself limits the summary. At four bytes per character, all of them together fit in the
# 512 KB that an event may have.
_SUMMARY, _NAME, _TEXT, _LOG = 1024, 255, 16_000, 16_000
_FACT_COUNT, _LABEL, _VALUE = 40, 100, 1500
_WORD = 60  # a word that is longer than this is cut
_SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=\s|$)|。|(?=\n)|$)")
_LINK_COUNT, _LINK_LABEL, _LINK_URL = 10, 200, 3000

_ACTIONS = {"opened": "trigger", "updated": "trigger", "resolved": "resolve"}
_INVALID_EVENT = {400, 413}  # HTTP statuses for an invalid event and for one that is too large


class PagerDuty:
    """Options: `routing_key` and, optionally, `events_url`.

    `routing_key` is the integration key of an "Events API v2" integration. `events_url` is needed outside the US
    service region; for the EU it is https://events.eu.pagerduty.com.
    """

    stateful = True  # an alert stays open and keeps notifying until it is resolved
    limit = 512_000  # bytes
    options = (
        Option(
            "routing_key", required=True, secret=True, description='Integration key of an "Events API v2" integration.'
        ),
        Option("events_url", description="Events API outside the US, such as https://events.eu.pagerduty.com."),
    )
    secret_options = ("routing_key",)
    budget = (16, 10.0)  # PagerDuty accepts about 120 events a minute per integration key

    def __init__(self, config: ChannelConfig) -> None:
        self._key = config.options["routing_key"]
        if len(self._key) != _KEY_LENGTH or not re.fullmatch("[A-Za-z0-9]+", self._key):
            raise ValueError(
                f"routing_key must have {_KEY_LENGTH} letters and digits, and this has {len(self._key)}: copy the "
                'integration key of an "Events API v2" integration'
            )
        self._url = _endpoint(config.options.get("events_url", _EVENTS_URL))

    def render(self, notification: Notification) -> dict[str, Any]:
        """The event without the routing key, which is a secret; `send` adds it."""
        event = self.render_plain(notification)
        if event["event_action"] == "trigger":
            event["payload"] |= _optional_fields(notification)
            event |= {"client": "ecs-alert-router", "links": _links(notification.message.links)}
        return event

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """An event with only the fields that PagerDuty requires."""
        alert, incident = notification.alert, notification.incident
        event: dict[str, Any] = {"event_action": _ACTIONS[notification.kind], "dedup_key": incident.dedup_key}
        if event["event_action"] == "trigger":
            event["payload"] = {
                "summary": _summary(notification),
                "source": _cut(alert.subject.fingerprint, _NAME),
                "severity": alert.severity.value,
            }
        return event

    def send(self, payload: dict[str, Any]) -> None:
        """Posts the event.

        Raises:
            PayloadRejected: PagerDuty finds the event invalid or too large, so a smaller one may be accepted.
            PermanentError: the routing key is wrong, or the response is not a success.
            TransientError: PagerDuty is overloaded, failed or unreachable.
        """
        try:
            response = post_json(self._url, {"routing_key": self._key, **payload})
        except PermanentError as error:
            failure = _rejection(error)
        else:
            if response.status == 202 and _is_success(response.text):  # noqa: PLR2004 - "Accepted"
                return
            failure = PermanentError("PagerDuty did not answer success", status=response.status, answer=response.text)
        raise failure  # outside of `except`, so that its context holds no other error


def _endpoint(url: str) -> str:
    """The URL to post to. `url` may have no path. That plain http is refused is the router's own rule."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"https", "http"} or re.search(r"\s", url):
        raise ValueError(f"events_url must look like {_EVENTS_URL}")
    if host.endswith("pagerduty.com") and not (
        _EVENTS_HOST.fullmatch(host) and parts.path.rstrip("/") in {"", _ENQUEUE}
    ):
        raise ValueError(f"events_url is no address of the Events API: write {_EVENTS_URL}, or that of your region")
    return url if parts.path.strip("/") else parts._replace(path=_ENQUEUE).geturl()


def _rejection(error: PermanentError) -> PermanentError:
    """PayloadRejected if a smaller event may be accepted; not if PagerDuty objects to the routing key."""
    if error.status not in _INVALID_EVENT or re.search("routing.?key", error.answer, re.IGNORECASE):
        return error
    return PayloadRejected(str(error), status=error.status, answer=error.answer)


def _is_success(text: str) -> bool:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and body.get("status") == "success"


def _summary(notification: Notification) -> str:
    """The title and the first sentence: on a lock screen, in an SMS and in a phone call, people learn nothing else."""
    message = notification.message
    title = message.title.strip() or notification.alert.cause
    sentence = _SENTENCE.match(message.lead.strip())
    text = f"{title} \N{EN DASH} {sentence[0]}" if sentence else title
    if len(text) <= _SUMMARY:
        return text
    cut = text[: _SUMMARY - 1]
    at_word, space, _ = cut.rpartition(" ")
    return (at_word if space and len(at_word) > _SUMMARY - _WORD else cut) + "…"


def _optional_fields(notification: Notification) -> dict[str, Any]:
    """The fields of the payload that PagerDuty does not require, without the empty ones."""
    alert = notification.alert
    fields: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(alert.at, UTC).isoformat(timespec="milliseconds"),
        "component": _cut(alert.subject.name or alert.subject.kind, _NAME),
        "group": _cut(alert.subject.cluster.removeprefix("-"), _NAME),
        "class": _cut(alert.cause, _NAME),
        "custom_details": _details(notification.message),
    }
    return {field: value for field, value in fields.items() if value}


def _details(message: Message) -> dict[str, str]:
    """A table of labels and values, in the reader's language. Values with the same label share an entry."""
    facts = [*message.facts, *message.details][:_FACT_COUNT]
    labels = message.labels
    entries = [
        (labels.lead, _cut(message.lead.strip(), _TEXT)),
        (labels.reason, _cut(message.reason.strip(), _TEXT)),
        (labels.hint, _cut(message.hint.strip(), _TEXT)),
        *((label, _cut(value.strip(), _VALUE)) for label, value in facts),
        (labels.log, _cut(message.log_excerpt.strip(), _LOG, keep_end=True)),
    ]
    details: dict[str, str] = {}
    for label, value in ((_cut(label, _LABEL), value) for label, value in entries):
        if label and value:
            details[label] = f"{details[label]}\n{value}" if label in details else value
    return details


def _links(links: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Links as PagerDuty takes them. A URL that is too long is left out, since a part of it would lead nowhere."""
    shown = [{"href": url, "text": _cut(label, _LINK_LABEL) or url} for label, url in links if len(url) <= _LINK_URL]
    return shown[:_LINK_COUNT]


def _cut(text: str, limit: int, *, keep_end: bool = False) -> str:
    """At most `limit` characters. Of a log, keep the end: the last lines usually show the error."""
    if len(text) <= limit:
        return text
    return "…" + text[1 - limit :] if keep_end else text[: limit - 1] + "…"


@hookimpl
def register_channels(register: Callable[[str, type[PagerDuty]], None]) -> None:
    register("pagerduty", PagerDuty)
