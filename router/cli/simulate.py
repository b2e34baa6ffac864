"""`ecs-alert-router simulate`: the whole pipeline for some events, without sending, AWS or secrets."""

import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, assert_never

import click
from rich.markup import escape

from router.channels.plugins import Plugins, compact, payload_size
from router.cli.classify import classification_row, read_events, window_of
from router.cli.config import choose, config_option, described, load_plugins
from router.cli.output import TextConsole, console, echo, echo_json
from router.cli.page import RENDERER, Drawing, Story, page
from router.cli.placeholders import filled
from router.cli.preview import preview, printable
from router.config.parse import parse, read
from router.config.settings import Config
from router.config.silences import Silence
from router.enrichment.enrich import facts_of
from router.errors import PermanentError, UnreadableEvent
from router.incident.lifecycle import apply_alert
from router.incident.outbox import take_lease
from router.incident.state import Dispatch, LeaseGrant, SendMode, SubjectState, Timing
from router.incident.suppression import Suppression, suppressed_by
from router.messages.bundle import bundle
from router.messages.render import notification
from router.model import (
    Alert,
    ChannelConfig,
    Decision,
    EndedBy,
    Enrichment,
    Event,
    Incident,
    IncidentStatus,
    Kind,
    Notification,
    Reason,
    Recurrence,
    Subject,
    SubjectKind,
)
from router.route import route
from router.understand import classify_with_rules, targets_of

GATHERED = Decision.GATHERED.value
HELD_BACK = 3
"""Further occurrences that a simulated `updated` message reports as held back."""
RECOVERED_AFTER = 300.0
"""Seconds between the failure and the recovery that a simulated `resolved` message reports."""

_ENDED_BY = {
    SubjectKind.SERVICE: EndedBy.STEADY_STATE,
    SubjectKind.FAMILY: EndedBy.RUN_COMPLETED,
    SubjectKind.ALARM: EndedBy.ALARM_OK,
}
"""What has ended the incident in a simulated `resolved` message; for other subjects, the message does not say."""

_REASONS = {Kind.OPENED: Reason.FIRST, Kind.UPDATED: Reason.DIGEST, Kind.RESOLVED: Reason.ENDED}


@dataclass(frozen=True, slots=True)
class Body:
    """The body that one channel would be sent, or the error that prevents it.

    Attributes:
        sent: the payload as sent: compact JSON in UTF-8.
        limit, limit_unit: the largest size that the channel accepts; None if its plugin does not say.
    """

    channel: str
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    sent: bytes = b""
    limit: int | None = None
    limit_unit: str = "bytes"
    error: str = ""

    @property
    def size(self) -> int:
        return payload_size(self.payload, self.limit_unit)

    @property
    def too_large(self) -> bool:
        return self.limit is not None and self.size > self.limit

    @property
    def size_in_words(self) -> str:
        limit = "" if self.limit is None else f" of {self.limit:,}"
        return f"{self.size:,}{limit} {self.limit_unit}"


@dataclass(frozen=True, slots=True)
class Simulated:
    """The result for one event, handled as the first of its subject.

    Attributes:
        routes: the routes that match: position in the file to the route's channels.
        window: the maintenance window that would silence the event, if the router received it when it happened.
    """

    alert: Alert
    decision: Decision
    routes: Mapping[int, tuple[str, ...]]
    bodies: tuple[Body, ...]
    window: Silence | None = None


@click.command("simulate")
@click.argument("file", type=click.File("rb"))
@config_option
@click.option("--channel", "names", multiple=True, metavar="NAME", help="Only this channel; may be repeated.")
@click.option(
    "--kind",
    type=click.Choice([*(kind.value for kind in Kind), GATHERED]),
    default="opened",
    show_default=True,
    help="Kind of message; gathered: one message about all events, as when a rate limit is reached.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one per event and channel.")
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="OUT",
    help="Write an HTML page with the messages side by side.",
)
@click.option(
    "--enrichment",
    "enrichment_file",
    type=click.File("rb"),
    metavar="FILE",
    help="The enrichment to show, as JSON: log_excerpt, memory, essential, logs, recurrence, facts.",
)
@click.pass_context
def simulate_command(
    context: click.Context,
    file: IO[bytes],
    *,
    path: Path,
    names: tuple[str, ...],
    kind: str,
    as_json: bool,
    html_path: Path | None,
    enrichment_file: IO[bytes] | None,
) -> None:
    """Show how the router would handle events, and the exact body that each channel would be sent.

    FILE holds one event, a JSON array of events, or JSON Lines; - is standard input. Nothing is sent, AWS is not called
    and no secret is read: unset and secret options get placeholders. The exit code is 1 if the configuration, an event
    or a body has a problem.
    """
    plugins = load_plugins()
    parse_table = partial(parse, plugins=plugins, environ=os.environ)
    config = parse_table(filled(read(path), parse_table))
    chosen = choose(names, config)
    problems = [
        *config.problems,
        *(
            f"channels.{name}: cannot be simulated: {option} is unset, and its plugin accepts no placeholder"
            for name, option in config.unset.items()
        ),
    ]
    for problem in problems:
        echo(problem, err=True)
    failed = bool(problems)
    enrichment = _read_enrichment(enrichment_file) if enrichment_file else Enrichment()
    show = _print_json if as_json else _show
    events: list[Event] = []
    for where, event in read_events(file):
        if isinstance(event, UnreadableEvent):
            echo(f"{where}: {event}", err=True)
            failed = True
        else:
            events.append(event)
    if kind == GATHERED:
        results = gathered(events, config, plugins, chosen)
    else:
        results = [simulate(event, config, plugins, Kind(kind), chosen, enrichment=enrichment) for event in events]
    stories: list[Story] = []
    for result in results:
        if html_path:
            stories.append(_story(result, kind))
        else:
            show(result, kind)
        failed |= any(body.error or body.too_large for body in result.bodies)
    if html_path:
        _write_page(stories, html_path)
    context.exit(1 if failed else 0)


def _read_enrichment(file: IO[bytes]) -> Enrichment:
    try:
        fields = json.load(file)
        recurrence = {"recurrence": Recurrence(**fields["recurrence"])} if "recurrence" in fields else {}
        return Enrichment(**{**fields, **recurrence})
    except (ValueError, TypeError) as error:
        raise click.BadParameter(f"--enrichment: {error}") from error


# --- the pipeline -----------------------------------------------------------------------------------------------------


def simulate(
    event: Event,
    config: Config,
    plugins: Plugins,
    kind: Kind,
    chosen: Collection[str],
    *,
    enrichment: Enrichment = Enrichment(),  # noqa: B008 - frozen
) -> Simulated:
    """Handles the event as the first of its subject, and renders a message of this kind for each chosen channel."""
    alert = classify_with_rules(event, config, plugins)
    matching = route(alert, config.routes, config.time_zone)
    routes = {
        position: candidate.channels
        for position, candidate in enumerate(config.routes, 1)
        if any(candidate is match for match in matching)
    }
    window = window_of(alert, config)
    suppression = Suppression({window.id: window.reason}) if window else suppressed_by(alert, alert.at)
    timing = Timing(config.resolve_after)
    before = SubjectState(alert.subject)
    state, decision = apply_alert(before, alert, targets_of(alert, config), alert.at, timing, suppression)
    grant = LeaseGrant("simulation", alert.at, dict.fromkeys(state.outbox, SendMode.SINGLE))
    state, dispatches = take_lease(state, alert.at, grant)
    if state.incident is None:
        return Simulated(alert, decision, routes, (), window)
    incident = _at_kind(state.incident, kind)
    enrichment = enrichment._replace(
        facts={**enrichment.facts, **facts_of(alert, plugins)},
        account_name=config.accounts.get(alert.subject.account, ""),
    )
    suppressed = {alert.cause: HELD_BACK} if kind is Kind.UPDATED else {}
    bodies = []
    for dispatch in dispatches:
        if dispatch.channel in chosen:
            shown = dispatch._replace(kind=kind, is_first=False, suppressed=suppressed, reason=_REASONS[kind])
            bodies.append(_body(shown.channel, partial(notification, shown, incident, enrichment=enrichment), config))
    return Simulated(alert, decision, routes, tuple(bodies), window)


def gathered(events: Iterable[Event], config: Config, plugins: Plugins, chosen: Collection[str]) -> list[Simulated]:
    """One bundled message per channel about all events, as when its rate limit is reached.

    Stateful channels such as PagerDuty are left out: they always get one message per incident.
    """
    states: dict[Subject, SubjectState] = {}
    for event in events:
        alert = classify_with_rules(event, config, plugins)
        before = states.get(alert.subject, SubjectState(alert.subject))
        timing = Timing(config.resolve_after)
        states[alert.subject], _ = apply_alert(before, alert, targets_of(alert, config), alert.at, timing)
    members: dict[str, list[tuple[SubjectState, Dispatch]]] = {}
    for state in states.values():
        grant = LeaseGrant("simulation", math.inf, dict.fromkeys(state.outbox, SendMode.BUNDLED))
        for dispatch in take_lease(state, math.inf, grant)[1]:
            if dispatch.channel in chosen and not state.outbox[dispatch.channel].stateful:
                members.setdefault(dispatch.channel, []).append((state, dispatch))
    incidents = [state.incident for pairs in members.values() for state, _ in pairs if state.incident]
    if not incidents:
        return []
    worst = max(incidents, key=lambda incident: incident.severity.rank)
    bodies = (_body(name, partial(bundle, pairs), config) for name, pairs in members.items())
    return [Simulated(worst.alert, Decision.GATHERED, {}, tuple(bodies))]


def _at_kind(incident: Incident, kind: Kind) -> Incident:
    """The incident as it is when a notification of that kind is sent."""
    match kind:
        case Kind.OPENED:
            return incident
        case Kind.UPDATED:
            return replace(incident, causes={incident.alert.cause: 1 + HELD_BACK})
        case Kind.RESOLVED:
            ended_at, ended_by = incident.last_at + RECOVERED_AFTER, _ENDED_BY.get(incident.subject.kind)
            return replace(incident, status=IncidentStatus.RESOLVED, ended_at=ended_at, ended_by=ended_by)
        case _:
            assert_never(kind)


def _body(name: str, notify: Callable[[ChannelConfig], Notification], config: Config) -> Body:
    configured = config.channels.get(name)
    if configured is None:
        return Body(name, "", error=config.disabled[name])
    kind = configured.config.kind
    if configured.has_secret_references:
        return Body(name, kind, error="its plugin accepts no placeholder for its secret")
    try:
        channel_config, channel = configured.open()
        payload = channel.render(notify(channel_config))
        limit = getattr(channel, "limit", None)
        unit = str(getattr(channel, "limit_unit", "bytes"))
        return Body(name, kind, payload, compact(payload), limit if isinstance(limit, int) else None, unit)
    except PermanentError as error:
        return Body(name, kind, error=str(error))
    except Exception as error:  # noqa: BLE001 - only its type is shown: its text may contain the channel's options
        return Body(name, kind, error=f"render raised {type(error).__name__}, or returned what is not JSON")


# --- JSON output ------------------------------------------------------------------------------------------------------


def _print_json(result: Simulated, kind: str) -> None:
    """Prints one line per channel, or one line with `"channel": null` if no channel gets a message."""
    event = {
        **classification_row(result.alert),
        "subject": result.alert.subject.text,
        "decision": result.decision,
        **({"silence": result.window.id} if result.window else {}),
        "kind": kind,
        "routes": [{"position": position, "channels": list(channels)} for position, channels in result.routes.items()],
    }
    for body in result.bodies:
        limit = {"limit": body.limit, "limit_unit": body.limit_unit}
        channel = {"channel": body.channel, "channel_kind": body.kind, **limit}
        content = {"error": body.error} if body.error else {"bytes": len(body.sent), "body": body.payload}
        echo_json({**event, **channel, **content})
    if not result.bodies:
        echo_json({**event, "channel": None})


# --- HTML output ------------------------------------------------------------------------------------------------------


def _story(result: Simulated, kind: str) -> Story:
    alert = result.alert
    summary = f"{alert.severity} · {alert.cause} · rule: {alert.rule} · {result.decision} (with an empty history)"
    drawings = [Drawing(_caption(body, kind), body.kind, body.payload, body.error) for body in result.bodies]
    return Story(alert.title, summary, drawings)


def _caption(body: Body, kind: str) -> str:
    return f"{body.channel} ({body.kind}), {kind}: {body.size_in_words}" if body.kind else body.channel


def _write_page(stories: Sequence[Story], path: Path) -> None:
    try:
        path.write_text(page(stories), "utf-8", errors="replace")
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from error
    count = sum(len(story.drawings) for story in stories)
    echo(f"{path}: {count} messages about {len(stories)} events", err=True)
    if not RENDERER.is_file():
        echo("Teams cards are shown as text: run `npm ci` to draw them as Teams does", err=True)


# --- text output ------------------------------------------------------------------------------------------------------


def _show(result: Simulated, kind: str) -> None:
    out, alert = console(), result.alert
    out.rule(escape(printable(alert.title)), align="left")
    rows = {
        "severity": alert.severity,
        "cause": alert.cause,
        "rule": alert.rule,
        "resolves": "yes" if alert.resolves else "",
        "fingerprint": alert.subject.fingerprint,
        "decision": f"{result.decision} (with an empty history)",
        "maintenance": described(result.window) if result.window else "",
    }
    for name, value in rows.items():
        if value:
            out.print(f"[bold]{name:12}[/]{escape(printable(value))}", soft_wrap=True)
    for position, channels in result.routes.items():
        out.print(f"[bold]{f'route {position}':12}[/]{escape(', '.join(channels))}", soft_wrap=True)
    for body in result.bodies:
        _show_body(out, body, kind)
    out.print()


def _show_body(out: TextConsole, body: Body, kind: str) -> None:
    name = f"\n[bold]{escape(body.channel)}[/]" + (f" ({escape(body.kind)})" if body.kind else "")
    if body.error:
        out.print(f"{name}: [bold red]cannot be simulated:[/] {escape(printable(body.error))}", soft_wrap=True)
        return
    over = " [bold red]too large[/]" if body.too_large else ""
    out.print(f"{name}, {kind}: {body.size_in_words}{over}", soft_wrap=True)
    echo(body.sent.decode(errors="replace"))
    out.print(preview(body.kind, body.payload))
