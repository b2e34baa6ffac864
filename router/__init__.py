"""The public facade: all that a channel plugin may know of the router (docs/architecture.md)."""

import gc
import os

if os.environ.get("_HANDLER", "").startswith("router.handler."):
    gc.disable()  # nearly all that a cold start makes stays: to look through it again and again is a tenth of the time

from router.channels.http import post_json
from router.channels.plugins import hookimpl
from router.errors import PayloadRejected, PermanentError, TransientError
from router.model import Alert, ChannelConfig, Incident, Message, Notification, Severity

__all__ = [
    "Alert",
    "ChannelConfig",
    "Incident",
    "Message",
    "Notification",
    "PayloadRejected",
    "PermanentError",
    "Severity",
    "TransientError",
    "hookimpl",
    "post_json",
]
