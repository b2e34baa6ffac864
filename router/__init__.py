"""The public interface for channel plugins, which import nothing else of the router (docs/architecture.md)."""

from router.coldstart import garbage_collection, precompiled  # noqa: F401 - first: they speed up all imports

# isort: split
from router.channels.http import post_json
from router.channels.plugins import hookimpl
from router.errors import PayloadRejected, PermanentError, RemoteGone, TransientError
from router.messages.data import incident_data
from router.model import Alert, ChannelConfig, Event, Incident, Message, Notification, Option, Severity

__all__ = [
    "Alert",
    "ChannelConfig",
    "Event",
    "Incident",
    "Message",
    "Notification",
    "Option",
    "PayloadRejected",
    "PermanentError",
    "RemoteGone",
    "Severity",
    "TransientError",
    "hookimpl",
    "incident_data",
    "post_json",
]
