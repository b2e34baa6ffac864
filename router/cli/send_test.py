"""`ecs-alert-router send-test`: sends a test alert through the channels, the way the router sends alerts."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from router.aws import clients
from router.channels.secrets import Secrets
from router.cli.config import choose, config_option, load_plugins
from router.cli.deployed import STAGE_VARIABLE, find, names_stage
from router.cli.invoke import invoke
from router.cli.output import echo, to_json
from router.cli.preview import printable
from router.config.parse import load
from router.context import Job
from router.deadline import Deadline
from router.deliver import deliver
from router.incident.state import Delivery
from router.model import SEND_TEST, Outcome, Severity
from router.selfcheck.send_test import delivery_row, jobs_for_test

TIME_LIMIT = 60.0  # seconds; each channel's own timeouts are shorter


@click.command("send-test")
@config_option
@click.option("--channel", "names", multiple=True, metavar="NAME", help="Only this channel; may be repeated.")
@click.option("--severity", type=click.Choice([*map(str, Severity)]), default="info", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one per delivery.")
@names_stage(default=None)
@click.pass_context
def send_test_command(
    context: click.Context, path: Path, names: tuple[str, ...], severity: str, stage: str | None, *, as_json: bool
) -> None:
    """Send an alert marked as a test through each channel, and show the outcome.

    With a stage, the function of that stage sends it, with its own configuration, network and secrets. Without one, it
    is sent from this machine: env: values come from this environment, secrets from AWS. History is not changed. If a
    channel keeps alerts open until they are resolved, as PagerDuty does, the test is resolved at once. The exit code is
    1 if a channel failed.
    """
    if stage is None:
        echo(f"from this machine; with --stage or {STAGE_VARIABLE}, the function of that stage sends it", err=True)
        rows, unset = _from_here(path, names, Severity(severity))
    elif context.get_parameter_source("path") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--config and --stage exclude each other: the function has its own configuration")
    else:
        rows, unset = _from_stage(stage, names, severity)
    failed = any(name in unset for name in names)
    sent = False
    for row in rows:
        echo(to_json(row) if as_json else _line(row))
        sent, failed = True, failed or row["outcome"] != Outcome.SENT
    if not sent:
        raise click.ClickException("no channel is configured")
    context.exit(1 if failed else 0)


Rows = tuple[Iterator[Mapping[str, Any]], Mapping[str, str]]
"""The deliveries, and the option that each unset channel lacks."""


def _from_stage(stage: str, names: Sequence[str], severity: str) -> Rows:
    deployed = find(stage)
    answer = invoke(deployed, SEND_TEST, {"channels": names, "severity": severity}, expected="problems")
    if "error" in answer:
        raise click.UsageError(answer["error"])
    _warn(answer["problems"], answer["unset"])
    return iter(answer["deliveries"]), answer["unset"]


def _from_here(path: Path, names: tuple[str, ...], severity: Severity) -> Rows:
    secrets = Secrets(clients.ssm, clients.secretsmanager, time.monotonic)
    settings = load(path, load_plugins(), os.environ, secrets)
    chosen = choose(names, settings)
    unset = {name: option for name, option in settings.unset.items() if name in chosen}
    _warn(settings.problems, unset)
    return map(delivery_row, _sent(jobs_for_test(settings, names, severity, time.time()))), unset


def _warn(problems: Sequence[str], unset: Mapping[str, str]) -> None:
    """Reports problems of the configuration and unset channels on stderr."""
    for problem in problems:
        echo(problem, err=True)
    for name, option in sorted(unset.items()):
        echo(f"channels.{name}: not configured, {option} is unset", err=True)


def _sent(jobs: Sequence[Job]) -> Iterator[Delivery]:
    """Yields each delivery as it completes."""
    for done in deliver(jobs, Deadline.after(TIME_LIMIT)) if jobs else ():
        for _, delivery in done:
            yield delivery


def _line(row: Mapping[str, str]) -> str:
    if row["outcome"] == Outcome.SENT:
        return f"{row['channel']}: {row['kind']} sent"
    return f"{row['channel']}: {row['kind']} failed: {printable(row.get('reason', ''))}"
