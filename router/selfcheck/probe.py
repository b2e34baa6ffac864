"""Probe: the tick checks, without sending, that each channel's secrets can be read, that it can be made, and that it
renders a message. Otherwise a revoked permission would show only with the next alert."""

import logging
import threading

from router.channels.configured import ConfiguredChannel
from router.config.settings import Config
from router.deadline import Deadline, applies
from router.errors import ChannelError, TransientError
from router.incident.state import Dispatch
from router.messages.render import notification
from router.model import Alert, Incident, IncidentStatus, Kind, Severity, Subject, SubjectKind

log = logging.getLogger("ecs-alert-router.selfcheck.probe")

_CAUSE = "test_alert"
_SUBJECT = Subject("-", "-", "-", SubjectKind.ROUTER, "probe")


def probe(config: Config, now: float, deadline: Deadline) -> int:
    """The number of channels that could not send now; each is logged with the reason, and none of them stops the tick.

    The channels are probed side by side, because a secret that hangs takes seconds. One that is not done by the
    deadline is left to the next tick.

    Args:
        now: clock time of the incident that is rendered.
    """
    incident, problems = probe_incident(now), dict(config.disabled)
    threads = [
        threading.Thread(target=_probe, args=(source, incident, problems, deadline), name=f"probe-{name}", daemon=True)
        for name, source in config.channels.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left())
        if thread.is_alive():
            log.warning("channel %s: not probed in time", thread.name.removeprefix("probe-"))
    unusable = dict(problems)  # a copy: a thread that is left behind may write to the original
    for channel, reason in unusable.items():
        log.error("channel %s cannot be used: %s", channel, reason)
    return len(unusable)


def _probe(source: ConfiguredChannel, incident: Incident, problems: dict[str, str], deadline: Deadline) -> None:
    name = source.config.name
    with applies(deadline):
        try:
            rendered(source, incident)
        except TransientError as error:  # AWS asks to retry later: the next tick does
            log.warning("channel %s: %s", name, source.without_secrets(str(error)))
        except ChannelError as error:
            problems[name] = source.without_secrets(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises may hold its secrets
            problems[name] = f"its plugin raised {type(error).__name__}"


def rendered(source: ConfiguredChannel, incident: Incident) -> None:
    """Reads the channel's secrets, makes it, and renders a message. Raises what these raise."""
    config, channel = source.open()
    dispatch = Dispatch(config.name, Kind.OPENED, 1, 1, is_first=True, severity=Severity.INFO, suppressed={})
    channel.render(notification(dispatch, incident, config))


def probe_incident(now: float) -> Incident:
    """The incident that is rendered and never sent."""
    title = "Probe, never sent"
    alert = Alert(_CAUSE, "", now, Severity.INFO, _CAUSE, resolves=False, rule="probe", title=title, subject=_SUBJECT)
    return Incident(1, IncidentStatus.OPEN, _SUBJECT, Severity.INFO, {_CAUSE: 1}, (), alert, now, now)
