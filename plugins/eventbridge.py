"""Amazon EventBridge: each change of an incident as an event on a bus, for rules and targets of your own.

`detail` is what docs/incident.schema.json describes. Limits and error codes:
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html.

No bus can cause a loop: the rules of the stack do not match `_SOURCE`. If such an event reached the router anyway, the
router could not read it and would alert no one. EventBridge does not deduplicate events. If it does not answer a
request, the router repeats the request, and the event may be on the bus twice. Both copies then have the same incident
id and revision in their `detail`.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from router import (
    ChannelConfig,
    Notification,
    Option,
    PayloadRejected,
    PermanentError,
    TransientError,
    hookimpl,
    incident_data,
)
from router.aws.calls import answered, call
from router.aws.clients import aws_client

_ARN = r"arn:aws[a-z-]*:events:([a-z0-9-]+):[0-9]{12}:event-bus/[A-Za-z0-9._/-]{1,256}"
_SOURCE = "ecs-alert-router.incidents"  # not the source of the router's own events, which its rules admit
_DETAIL_TYPES = {"opened": "Incident Opened", "updated": "Incident Updated", "resolved": "Incident Resolved"}

_ERRORS: dict[str, type[TransientError | PermanentError]] = {
    **dict.fromkeys(("MalformedDetail", "RedactionFailure", "ValidationException"), PayloadRejected),
    **dict.fromkeys(("InvalidArgument", "InvalidAccountIdException", "ResourceNotFoundException"), PermanentError),
    **dict.fromkeys(("NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException"), PermanentError),
}


class EventBridge:
    """Options: `bus_arn`, of a custom or the default event bus, in any region and account."""

    stateful = True  # each incident separately, and always its end: programs rely on both
    limit = 262_144  # bytes; what EventBridge takes has grown since, but not everywhere
    options = (Option("bus_arn", required=True, description="ARN of an event bus, arn:aws:events:…:event-bus/NAME."),)
    budget = (50, 1.0)

    def __init__(self, config: ChannelConfig) -> None:
        self._bus = str(config.options["bus_arn"])
        arn = re.fullmatch(_ARN, self._bus)
        if ":event-busv2/" in self._bus:
            raise ValueError(
                "bus_arn names a bus of the newer kind (event-busv2), which takes no PutEvents: "
                "name one whose ARN has event-bus/"
            )
        if arn is None:
            raise ValueError("bus_arn must be the ARN of an event bus, as arn:aws:events:REGION:ACCOUNT:event-bus/NAME")
        self._region = arn[1]

    @cached_property
    def _client(self) -> Any:
        """The client of the bus's region. It makes one attempt, because only the deliver step retries."""
        return aws_client("events", self._region, connect_timeout=3, read_timeout=8, attempts=1)

    def render(self, notification: Notification) -> dict[str, Any]:
        """The entry for `PutEvents`, without the bus, and with `Detail` as an object."""
        detail = incident_data(notification)
        return {
            "Source": _SOURCE,
            "DetailType": _DETAIL_TYPES[notification.kind],
            "Time": detail["incident"]["ended_at"] or detail["alert"]["at"],
            "Detail": detail,
        }

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """The event with only the title of the message: a tenth of the size."""
        entry = self.render(notification)
        entry["Detail"]["message"] |= {"text": "", "facts": [], "links": [], "log_excerpt": ""}
        return entry

    def send(self, payload: dict[str, Any]) -> None:
        """Puts the event on the bus.

        Raises:
            PayloadRejected: EventBridge finds the event invalid, so a smaller one may be accepted.
            PermanentError: the function may not put events on the bus, or the bus refuses them.
            TransientError: EventBridge throttles, failed or is unreachable.
        """
        entry = {
            **payload,
            "Time": datetime.fromisoformat(payload["Time"]),
            "Detail": json.dumps(payload["Detail"], ensure_ascii=False, separators=(",", ":")),
            "EventBusName": self._bus,
        }
        response = call("EventBridge", self._client.put_events, _ERRORS, Entries=[entry])
        if response.get("FailedEntryCount"):  # with the status 200
            (failed, *_) = response.get("Entries") or [{}]
            code, text = str(failed.get("ErrorCode", "")), str(failed.get("ErrorMessage", ""))
            raise answered("EventBridge", code, text, _ERRORS, status=200)


@hookimpl
def register_channels(register: Callable[[str, type[EventBridge]], None]) -> None:
    register("eventbridge", EventBridge)
