"""`ecs-alert-router send-test`: sends a test alert through the channels, the way the router sends alerts."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from router.aws import clients
from router.channels.configured import ConfiguredChannel
from router.channels.secrets import Secrets
from router.cli.config import choose, config_option, load_plugins
from router.cli.output import echo, to_json
from router.cli.preview import printable
from router.config.parse import load
from router.config.settings import Config
from router.context import Job
from router.deadline import Deadline
from router.deliver import deliver
from router.incident.state import Delivery, Dispatch, SubjectState
from router.messages.phrases import phrase
from router.messages.render import notification
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
from router.subject_names import subject_name

TIME_LIMIT = 60.0  # seconds; each channel's own timeouts are shorter
CAUSE = "test_alert"


@click.command("send-test")
@config_option
@click.option("--channel", "names", multiple=True, metavar="NAME", help="Only this channel; may be repeated.")
@click.option("--severity", type=click.Choice([*map(str, Severity)]), default="info", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one per delivery.")
@click.pass_context
def send_test_command(
    context: click.Context, path: Path, names: tuple[str, ...], severity: str, *, as_json: bool
) -> None:
    """Send an alert marked as a test through each channel, and show the outcome.

    env: values come from this environment, secrets from AWS. History is not changed. If a channel keeps alerts open
    until they are resolved, as PagerDuty does, the test is resolved at once. The exit code is 1 if a channel failed.
    """
    secrets = Secrets(clients.ssm, clients.secretsmanager, time.monotonic)
    settings = load(path, load_plugins(), os.environ, secrets)
    chosen = choose(names, settings)
    _warn(settings, chosen)
    usable = [name for name in (*settings.channels, *settings.disabled) if name in chosen]
    if not usable:
        raise click.ClickException("no channel is configured")
    failed = any(name in settings.unset for name in names)
    for delivery in _sent([job for name in usable for job in _jobs(name, settings, Severity(severity))]):
        echo(_json(delivery) if as_json else _line(delivery))
        failed = failed or delivery.outcome is not Outcome.SENT
    context.exit(1 if failed else 0)


def _warn(settings: Config, chosen: set[str]) -> None:
    """Reports problems of the configuration and unset channels on stderr."""
    for problem in settings.problems:
        echo(problem, err=True)
    for name in sorted(chosen & settings.unset.keys()):
        echo(f"channels.{name}: not configured, {settings.unset[name]} is unset", err=True)


# --- the test ---------------------------------------------------------------------------------------------------------


def _jobs(name: str, settings: Config, severity: Severity) -> Iterator[Job]:
    """A job that opens the test incident, and one that resolves it if the channel is stateful."""
    source = settings.channels.get(name)
    incident = _incident(name, severity, time.time())
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
    notify = partial(_marked, partial(notification, dispatch, incident, channel_config), channel_config.language)
    return Job(
        SubjectState(incident.subject), dispatch, channel_config, notify, source, settings.disabled.get(name, "")
    )


def _marked(notify: Callable[[], Notification], language: str) -> Notification:
    """The notification with a text that marks it as a test, without the command that looks it up in history."""
    told = notify()
    details = tuple(pair for pair in told.message.details if pair[0] != phrase("label_more", language))
    return replace(told, message=replace(told.message, text=phrase("test_sent", language), details=details))


def _sent(jobs: Sequence[Job]) -> Iterator[Delivery]:
    """Yields each delivery as it completes."""
    for done in deliver(jobs, Deadline.after(TIME_LIMIT)):
        for _, delivery in done:
            yield delivery


# --- output -----------------------------------------------------------------------------------------------------------


def _line(delivery: Delivery) -> str:
    dispatch = delivery.dispatch
    if delivery.outcome is Outcome.SENT:
        return f"{dispatch.channel}: {dispatch.kind} sent"
    return f"{dispatch.channel}: {dispatch.kind} failed: {printable(delivery.response)}"


def _json(delivery: Delivery) -> str:
    """One delivery as JSON. This command does not retry, so a `retry` outcome counts as failed."""
    outcome = Outcome.SENT if delivery.outcome is Outcome.SENT else Outcome.FAILED
    row = {"channel": delivery.dispatch.channel, "kind": delivery.dispatch.kind, "outcome": outcome}
    return to_json({**row, "reason": delivery.response} if delivery.response else row)
