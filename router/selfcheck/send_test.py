"""The test alert: an alert marked as a test through each channel, for `ecs-alert-router send-test`.

The command invokes the function with the event `Router Test`, so that what arrives has come from the function, with its
network, its permissions and its secrets. Such an event is never accepted from a queue. History is not touched.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from router.channels.configured import ConfiguredChannel
from router.config.settings import Config
from router.context import Deliver, Job
from router.deadline import Deadline
from router.incident.state import Delivery, Dispatch, SubjectState
from router.messages.phrases import phrase
from router.messages.render import command, notification
from router.model import (
    Alert,
    ChannelConfig,
    Incident,
    IncidentStatus,
    Kind,
    Notification,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
)
from router.text.subject_names import subject_name

CAUSE = "test_alert"


def send_test(
    event: Mapping[str, Any], settings: Config, deliver: Deliver, deadline: Deadline, now: float
) -> dict[str, Any]:
    """Sends the test alert that the event asks for. Returns the deliveries, or why there is none as `error`.

    Args:
        event: `detail` may name `channels` and a `severity`.
        now: clock time.
    """
    detail = event.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    names, severity = [str(name) for name in detail.get("channels") or ()], str(detail.get("severity") or Severity.INFO)
    error = unknown_channels(names, settings)
    if severity not in {*map(str, Severity)}:
        error = f"there is no severity {severity!r}"
    if error:
        return {"error": error}
    jobs = jobs_for_test(settings, names, Severity(severity), now)
    deliveries = [delivery for batch in deliver(jobs, deadline) for _, delivery in batch] if jobs else []
    return {
        "deliveries": [delivery_row(delivery) for delivery in deliveries],
        "unset": {name: option for name, option in settings.unset.items() if not names or name in names},
        "problems": list(settings.problems),
    }


def unknown_channels(names: Iterable[str], settings: Config) -> str:
    """Which of the names belongs to no channel of the configuration; "" if all do."""
    known = {*settings.channels, *settings.unset, *settings.disabled}
    wrong = next((name for name in names if name not in known), None)
    return "" if wrong is None else f"there is no channel {wrong!r}; known channels: {', '.join(sorted(known))}"


def jobs_for_test(settings: Config, names: Sequence[str], severity: Severity, now: float) -> list[Job]:
    """The jobs that send the test alert to these channels, or to all of them, as far as they are configured."""
    usable = [name for name in (*settings.channels, *settings.disabled) if not names or name in names]
    return [job for name in usable for job in _jobs(name, settings, severity, now)]


def delivery_row(delivery: Delivery) -> dict[str, str]:
    """One delivery, for people and scripts. Nothing retries a test, so a `retry` outcome counts as failed."""
    outcome = Outcome.SENT if delivery.outcome is Outcome.SENT else Outcome.FAILED
    dispatch = delivery.dispatch
    row = {"channel": dispatch.channel, "kind": dispatch.kind.value, "outcome": outcome.value}
    return {**row, "reason": delivery.response} if delivery.response else row


def _jobs(name: str, settings: Config, severity: Severity, now: float) -> Iterator[Job]:
    """A job that opens the test incident, and one that resolves it if the channel is stateful."""
    source = settings.channels.get(name)
    incident = _incident(name, severity, now)
    yield _job(name, Kind.OPENED, incident, source, settings)
    if source and source.stateful:
        over = replace(incident, status=IncidentStatus.RESOLVED, ended_at=incident.last_at)
        yield _job(name, Kind.RESOLVED, over, source, settings)


def _incident(channel: str, severity: Severity, at: float) -> Incident:
    """A test incident. Its subject and number differ per channel and second, so tests cannot resolve each other."""
    subject = Subject("-", "-", "-", SubjectKind.CHANNEL, channel)
    title = f"TEST alert, nothing is wrong: {subject_name(subject, 'en')}"
    alert = Alert(
        f"{CAUSE}.{int(at)}", "", at, severity, CAUSE, resolves=False, rule="send-test", title=title, subject=subject
    )
    return Incident(int(at), IncidentStatus.OPEN, subject, severity, {CAUSE: 1}, (), alert, at, at)


def _job(name: str, kind: Kind, incident: Incident, source: ConfiguredChannel | None, settings: Config) -> Job:
    channel_config = source.config if source else ChannelConfig(name, "", {})
    dispatch = Dispatch(name, kind, 1, 1, is_first=False, severity=incident.severity, suppressed={})
    notify = partial(_marked, partial(notification, dispatch, incident, channel_config), channel_config)
    return Job(
        SubjectState(incident.subject), dispatch, channel_config, notify, source, settings.disabled.get(name, "")
    )


def _marked(notify: Callable[[], Notification], config: ChannelConfig) -> Notification:
    """The notification with a text that marks it as a test, without the command that looks it up in history."""
    rendered, language = notify(), config.language
    message = rendered.message
    details = tuple(pair for pair in message.details if pair[0] != phrase("label_more", language))
    return replace(
        rendered,
        message=replace(
            message, text=phrase("test_sent", language, command=command("send-test", config)), details=details
        ),
    )
