"""A signed webhook: each change of an incident as a CloudEvent, for programs of your own.

The body is a CloudEvent 1.0 in structured mode (github.com/cloudevents/spec, `bindings/http-protocol-binding.md`). Its
`data` is what docs/incident.schema.json describes. The signature is that of Standard Webhooks
(https://www.standardwebhooks.com), for which there are libraries in most languages.

A receiver that sees an id again already has the event: the id belongs to the change, not to the attempt.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from router import (
    ChannelConfig,
    Notification,
    Option,
    PayloadRejected,
    PermanentError,
    hookimpl,
    incident_data,
    post_json,
)

_CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_URL = r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:[/?#]|\Z)"  # the router itself refuses plain http
_PREFIX = "whsec_"
_KEY_LENGTH = range(24, 65)  # bytes, as Standard Webhooks asks for
_SCHEMA = "urn:ecs-alert-router:incident:1"
_TOO_LARGE = {413, 422}  # HTTP statuses for data that is too large, or that the receiver's own schema refuses
_GONE = 410


class Webhook:
    """Options: `url`, and `secret`, as `whsec_` and base64; two of them, with a space between, while you rotate it."""

    stateful = True  # each incident separately, and always its end: programs rely on both
    limit = 65_536  # bytes; CloudEvents promises that as much gets through everywhere
    options = (
        Option("url", required=True, secret=True, description="Where the events are posted to."),
        Option("secret", required=True, secret=True, description="whsec_ and 24 to 64 random bytes in base64."),
    )
    secret_options = ("url", "secret")
    budget = (20, 1.0)

    def __init__(self, config: ChannelConfig) -> None:
        self._url = config.options["url"]
        if not re.match(_URL, str(self._url)):
            raise ValueError("url must look like https://host/path, without a user name or password")
        self._keys = [_key(secret) for secret in str(config.options["secret"]).split() or [""]]

    def render(self, notification: Notification) -> dict[str, Any]:
        """The CloudEvent."""
        data = incident_data(notification)
        incident = data["incident"]
        return {
            "specversion": "1.0",
            "id": f"{incident['id']}-{notification.revision}-{notification.kind}",
            "source": f"/ecs-alert-router/{quote(incident['account'])}/{quote(incident['region'])}",
            "type": f"ecs-alert-router.incident.{notification.kind}",
            "subject": incident["id"],
            "time": incident["ended_at"] or data["alert"]["at"],
            "datacontenttype": "application/json",
            "dataschema": _SCHEMA,
            "data": data,
        }

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """The event with only the title of the message: a tenth of the size."""
        event = self.render(notification)
        event["data"]["message"] |= {"text": "", "facts": [], "links": [], "log_excerpt": ""}
        return event

    def send(self, payload: dict[str, Any]) -> None:
        """Posts the event, with a signature of this attempt.

        Raises:
            PayloadRejected: the event is too large for the receiver, or not what it expects.
            PermanentError: the receiver refuses it, or wants no more events (410).
            TransientError: the receiver is overloaded, failed or unreachable.
        """
        sign = partial(self._signed_headers, payload)
        try:
            post_json(self._url, payload, headers={"Content-Type": _CONTENT_TYPE}, sign=sign)
        except PermanentError as error:
            failure = _by_status(error)
        else:
            return
        raise failure  # outside of `except`, so that its context holds no other error

    def _signed_headers(self, event: dict[str, Any], body: bytes) -> dict[str, str]:
        """The headers of Standard Webhooks. The signature covers the id, this attempt's time, and the exact body."""
        identity, at = event["id"], int(time.time())
        content = f"{identity}.{at}.".encode() + body
        digests = (hmac.new(key, content, hashlib.sha256).digest() for key in self._keys)
        signatures = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
        return {"webhook-id": identity, "webhook-timestamp": str(at), "webhook-signature": signatures}


def _key(secret: str) -> bytes:
    """The bytes of a secret. Raises ValueError with the fix, and without the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _KEY_LENGTH:
        raise ValueError('secret must be whsec_ and 24 to 64 bytes in base64: echo "whsec_$(openssl rand -base64 32)"')
    return key


def _by_status(error: PermanentError) -> PermanentError:
    if error.status == _GONE:
        return PermanentError(
            f"{error}: the receiver wants no more events; remove the channel, or give it another url",
            status=error.status,
            answer=error.answer,
        )
    if error.status in _TOO_LARGE:
        return PayloadRejected(str(error), status=error.status, answer=error.answer)
    return error


@hookimpl
def register_channels(register: Callable[[str, type[Webhook]], None]) -> None:
    register("webhook", Webhook)
