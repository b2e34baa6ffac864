"""PagerDuty, through the Events API v2: an incident here is an alert there, triggered once and resolved once.

Fields, limits and answers: https://developer.pagerduty.com/docs/send-alert-event. An event with a `dedup_key` joins the
open alert of the same key and routing key; a resolve that finds no open alert is dropped without a word.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from router import ChannelConfig, Message, Notification, PayloadRejected, PermanentError, hookimpl, post_json

_EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"
_ENQUEUE = "/v2/enqueue"
_KEY_LENGTH = 32
# Characters. The first is PagerDuty's own limit; all together, four bytes each, stay below its 512 KB.
_SUMMARY, _NAME, _TEXT, _LOG = 1024, 255, 16_000, 16_000
_FACT_COUNT, _LABEL, _VALUE = 40, 100, 1500
_LINK_COUNT, _LINK_LABEL, _LINK_URL = 10, 200, 3000
_LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()

_ACTIONS = {"opened": "trigger", "updated": "trigger", "resolved": "resolve"}
_LAYOUT = {400, 413}  # an invalid or too large event: a smaller one may do

_LOOPBACK = re.compile(r"localhost|::1|127(\.[0-9]{1,3}){3}")
# Control characters but tab and newline, halves of surrogate pairs, and marks that make text run backwards.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What nobody takes for anything but an address: no @ (a host in disguise).
_ADDRESS = re.compile(r"https://[!#-;=?A-[\]^_a-{}~]+")


class PagerDuty:
    """Options: `routing_key`, an integration key of type "Events API v2", and `events_url`, where it is not the US's.

    https://events.eu.pagerduty.com is Europe's.
    """

    stateful = True  # an alert stays open, and rings again, until it is resolved
    limit = 512_000  # bytes
    secret_options = ("routing_key",)
    budget = (16, 10.0)  # an integration key takes about 120 events a minute

    def __init__(self, config: ChannelConfig) -> None:
        self._key = config.options["routing_key"]
        if len(self._key) != _KEY_LENGTH:
            raise ValueError(
                f"routing_key must have {_KEY_LENGTH} characters, and this has {len(self._key)}: copy the integration "
                'key of an "Events API v2" integration'
            )
        self._url = _endpoint(config.options.get("events_url", _EVENTS_URL))

    def render(self, notification: Notification) -> dict[str, Any]:
        """The event but for the routing key, which is a secret: `send` adds it."""
        event = self.render_plain(notification)
        if event["event_action"] == "trigger":
            event["payload"] |= _more(notification)
            event |= {"client": "ecs-alert-router", "links": _links(notification.message.links)}
        return event

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """What PagerDuty requires, and nothing else."""
        alert, incident = notification.alert, notification.incident
        event: dict[str, Any] = {"event_action": _ACTIONS[notification.kind], "dedup_key": incident.dedup_key}
        if event["event_action"] == "trigger":
            event["payload"] = {
                "summary": _line(notification.message.title, _SUMMARY) or _line(alert.cause, _SUMMARY) or incident.id,
                "source": _line(alert.subject.fingerprint, _NAME) or incident.id,
                "severity": alert.severity.value,
            }
        return event

    def send(self, payload: dict[str, Any]) -> None:
        """Raises PayloadRejected where a smaller event may do, PermanentError where the routing key is wrong."""
        try:
            reply = post_json(self._url, {"routing_key": self._key, **payload})
        except PermanentError as error:
            failure = _judge(error)
        else:
            if reply.status == 202 and _succeeded(reply.text):  # noqa: PLR2004 - "Accepted"
                return
            failure = PermanentError("PagerDuty did not answer success", status=reply.status, answer=reply.text)
        raise failure


def _endpoint(url: str) -> str:
    """The URL to post to; a host alone is enough."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"https", "http"}:
        raise ValueError(f"events_url must look like {_EVENTS_URL}")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise ValueError("events_url is plain http, which shows the routing key to everybody on the way: use https")
    return url if parts.path.strip("/") else parts._replace(path=_ENQUEUE).geturl()


def _judge(error: PermanentError) -> PermanentError:
    """Of an invalid event a smaller one may do, unless it is the routing key that is invalid."""
    if error.status not in _LAYOUT or re.search("routing.?key", error.answer, re.IGNORECASE):
        return error
    return PayloadRejected(str(error), status=error.status, answer=error.answer)


def _succeeded(text: str) -> bool:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("status") == "success"


def _more(notification: Notification) -> dict[str, Any]:
    """What helps but is not required; what is empty is left out."""
    alert = notification.alert
    fields: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(min(max(alert.at, 0.0), _LATEST), UTC).isoformat(timespec="milliseconds"),
        "component": _line(alert.subject.name or alert.subject.kind, _NAME),
        "group": _line(alert.subject.cluster.removeprefix("-"), _NAME),
        "class": _line(alert.cause, _NAME),
        "custom_details": _details(notification.message),
    }
    return {field: value for field, value in fields.items() if value}


def _details(message: Message) -> dict[str, str]:
    """A table of label and value; what has the same label as something before it is put below that."""
    pairs = [*message.facts, *message.details][:_FACT_COUNT]
    facts = [(_line(label, _LABEL), _cut(_clean(value), _VALUE)) for label, value in pairs]
    said = {"text": message.lead, "reason": message.reason, "what_to_do": message.hint}
    texts = [(name, _cut(_clean(text), _TEXT)) for name, text in said.items()]
    log = _cut(_clean(message.log_excerpt), _LOG, keep_end=True)
    details: dict[str, str] = {}
    for label, value in [*texts, *facts, ("log_excerpt", log)]:
        if label and value:
            details[label] = f"{details[label]}\n{value}" if label in details else value
    return details


def _links(links: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Half of a URL leads nowhere, so one that is too long or odd is left out."""
    shown = [
        {"href": url, "text": _line(label, _LINK_LABEL) or url}
        for label, url in links
        if len(url) <= _LINK_URL and _ADDRESS.fullmatch(url)
    ]
    return shown[:_LINK_COUNT]


def _clean(text: str) -> str:
    return _UNWANTED.sub("", text).strip()


def _line(text: str, limit: int) -> str:
    return _cut(" ".join(_clean(text).split()), limit)


def _cut(text: str, limit: int, *, keep_end: bool = False) -> str:
    """At most `limit` characters. The end of a log tells why it died."""
    if len(text) <= limit:
        return text
    return "…" + text[1 - limit :] if keep_end else text[: limit - 1] + "…"


@hookimpl
def register_channels(register: Callable[[str, type[PagerDuty]], None]) -> None:
    register("pagerduty", PagerDuty)
