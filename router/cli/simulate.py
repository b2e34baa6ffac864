"""`ecs-alert-router simulate`: the whole way of events without sending, AWS or secrets."""

import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.markup import escape

from router.channels.plugins import Plugins
from router.cli.classify import read_events, verdict, window_of
from router.cli.config import choose, config_option, described, load_plugins
from router.cli.history import console
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
from router.incident.state import Dispatch, LeaseGrant, SendMode, SubjectState
from router.messages.bundle import bundle
from router.messages.render import notification
from router.model import (
    Alert,
    ChannelConfig,
    Decision,
    Enrichment,
    Event,
    Incident,
    Kind,
    Notification,
    Recurrence,
    Subject,
)
from router.route import route
from router.understand import classify_with_rules, targets_of

GATHERED = Decision.GATHERED.value
HELD_BACK = 3
"""How often it happens again, in a simulation, until the digest that `updated` shows."""


@dataclass(frozen=True, slots=True)
class Body:
    """What one channel would be sent, or why it would not.

    Attributes:
        sent: the payload as it is sent: compact JSON in UTF-8.
        limit: bytes that the channel takes, or None where its plugin does not say.
    """

    channel: str
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    sent: bytes = b""
    limit: int | None = None
    error: str = ""

    @property
    def too_large(self) -> bool:
        return self.limit is not None and len(self.sent) > self.limit


@dataclass(frozen=True, slots=True)
class Simulated:
    """What would come of one event that is the first of its subject.

    Attributes:
        routes: the routes that match: their position in the file, and their channels.
        window: the maintenance window that would silence it, if it came in when it happened.
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
    type=click.Choice([*(each.value for each in Kind), GATHERED]),
    default="opened",
    show_default=True,
    help="What to say; gathered is one message about all events, as in a storm.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one for each event and channel.")
@click.option(
    "--html",
    "drawn_to",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="OUT",
    help="Draw the messages side by side, as a page for a browser.",
)
@click.option(
    "--found",
    "known",
    type=click.File("rb"),
    metavar="FILE",
    help="What [enrich] would have found out, as JSON: log_excerpt, memory, essential, logs, past.",
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
    drawn_to: Path | None,
    known: IO[bytes] | None,
) -> None:
    """Show what would be made of events, and the exact body that each channel would be sent.

    FILE holds one event, a JSON array of events, or JSON Lines; - is standard input. Nothing is sent, no AWS is asked
    and no secret is read: placeholders stand for options that are unset or secret. The exit code is 1 if anything is
    wrong: with the configuration, an event, or a body.
    """
    loaded = load_plugins()
    settings = _settings(path, loaded)
    chosen = choose(names, settings)
    problems = [*settings.problems, *(f"channels.{name}: {_refused(settings.unset[name])}" for name in settings.unset)]
    for problem in problems:
        click.echo(problem, err=True)
    failed = bool(problems)
    found = _found(known) if known else Enrichment()
    show = _print_json if as_json else _show
    events: list[Event] = []
    for where, event in read_events(file):
        if isinstance(event, UnreadableEvent):
            click.echo(f"{where}: {event}", err=True)
            failed = True
        else:
            events.append(event)
    if kind == GATHERED:
        results = gathered(events, settings, loaded, chosen)
    else:
        results = [simulate(event, settings, loaded, Kind(kind), chosen, found=found) for event in events]
    stories: list[Story] = []
    for made in results:
        if drawn_to:
            stories.append(_story(made, kind))
        else:
            show(made, kind)
        failed |= any(body.error or body.too_large for body in made.bodies)
    if drawn_to:
        _draw(stories, drawn_to)
    context.exit(1 if failed else 0)


def _found(file: IO[bytes]) -> Enrichment:
    try:
        fields = json.load(file)
        recurrence = {"recurrence": Recurrence(**fields["recurrence"])} if "recurrence" in fields else {}
        return Enrichment(**{**fields, **recurrence})
    except (ValueError, TypeError) as error:
        raise click.BadParameter(f"--found: {error}") from error


def _settings(path: Path, loaded: Plugins) -> Config:
    parse_table = partial(parse, plugins=loaded, environ=os.environ)
    return parse_table(filled(read(path), parse_table))


def _refused(option: str) -> str:
    return f"cannot be simulated: {option} is unset, and its plugin accepts no placeholder"


# --- the way ----------------------------------------------------------------------------------------------------------


def simulate(
    event: Event,
    settings: Config,
    loaded: Plugins,
    kind: Kind,
    chosen: Collection[str],
    *,
    found: Enrichment = Enrichment(),  # noqa: B008 - frozen
) -> Simulated:
    """What the router would do if this were the first event of its subject; the chosen channels' bodies say `kind`."""
    alert = classify_with_rules(event, settings, loaded)
    taken = route(alert, settings.routes, settings.time_zone)
    routes = {at: each.channels for at, each in enumerate(settings.routes, 1) if any(each is one for one in taken)}
    window = window_of(alert, settings)
    by = {window.id: window.reason} if window else {}
    state, decision = apply_alert(
        SubjectState(alert.subject), alert, targets_of(alert, settings), alert.at, settings.resolve_after, by
    )
    terms = LeaseGrant("simulation", alert.at, dict.fromkeys(state.outbox, SendMode.SINGLE))
    state, dispatches = take_lease(state, alert.at, terms)
    if state.incident is None:
        return Simulated(alert, decision, routes, (), window)
    incident = _grown(state.incident, kind, settings.resolve_after)
    found = found._replace(facts={**found.facts, **facts_of(alert, loaded)})
    held = {alert.cause: HELD_BACK} if kind is Kind.UPDATED else {}
    told = [
        dispatch._replace(kind=kind, is_first=False, suppressed=held)
        for dispatch in dispatches
        if dispatch.channel in chosen
    ]
    bodies = (
        _body(dispatch.channel, partial(notification, dispatch, incident, found=found), settings) for dispatch in told
    )
    return Simulated(alert, decision, routes, tuple(bodies), window)


def gathered(events: Iterable[Event], settings: Config, loaded: Plugins, chosen: Collection[str]) -> list[Simulated]:
    """What channels would hear of all these events at once, were they too many; a pager would hear of each alone."""
    states: dict[Subject, SubjectState] = {}
    for event in events:
        alert = classify_with_rules(event, settings, loaded)
        before = states.get(alert.subject, SubjectState(alert.subject))
        states[alert.subject], _ = apply_alert(
            before, alert, targets_of(alert, settings), alert.at, settings.resolve_after
        )
    parts: dict[str, list[tuple[SubjectState, Dispatch]]] = {}
    for state in states.values():
        terms = LeaseGrant("simulation", math.inf, dict.fromkeys(state.outbox, SendMode.BUNDLED))
        for dispatch in take_lease(state, math.inf, terms)[1]:
            if dispatch.channel in chosen and not state.outbox[dispatch.channel].stateful:
                parts.setdefault(dispatch.channel, []).append((state, dispatch))
    incidents = [state.incident for told in parts.values() for state, _ in told if state.incident]
    if not incidents:
        return []
    worst = max(incidents, key=lambda incident: incident.severity.rank)
    bodies = (_body(name, partial(bundle, told), settings) for name, told in parts.items())
    return [Simulated(worst.alert, Decision.GATHERED, {}, tuple(bodies))]


def _grown(incident: Incident, kind: Kind, resolve_after: float) -> Incident:
    """The incident by the time at which a notification of that kind is sent."""
    if kind is Kind.UPDATED:
        return replace(incident, causes={incident.alert.cause: 1 + HELD_BACK})
    if kind is not Kind.RESOLVED:
        return incident
    return replace(incident, status="resolved", ended_at=incident.last_at + resolve_after)


def _body(name: str, notify: Callable[[ChannelConfig], Notification], settings: Config) -> Body:
    source = settings.channels.get(name)
    if source is None:
        return Body(name, "", error=settings.disabled[name])
    kind = source.config.kind
    if source.has_secret_references:
        return Body(name, kind, error="its plugin accepts no placeholder for its secret")
    try:
        configured, channel = source.open()
        payload = channel.render(notify(configured))
        limit = getattr(channel, "limit", None)
        return Body(name, kind, payload, compact(payload), limit if isinstance(limit, int) else None)
    except PermanentError as error:
        return Body(name, kind, error=str(error))
    except Exception as error:  # noqa: BLE001 - what a plugin raises may hold its options: its type must do
        return Body(name, kind, error=f"render raised {type(error).__name__}, or made no JSON")


def compact(payload: Mapping[str, Any]) -> bytes:
    """As `router.post_json` sends it."""
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")


# --- for machines -----------------------------------------------------------------------------------------------------


def _print_json(made: Simulated, kind: str) -> None:
    """One line per channel; one without a channel where none is reached."""
    event = {
        **verdict(made.alert),
        "decision": made.decision,
        **({"silence": made.window.id} if made.window else {}),
        "kind": kind,
        "routes": [{"position": at, "channels": list(channels)} for at, channels in made.routes.items()],
    }
    for body in made.bodies:
        told = {"channel": body.channel, "channel_kind": body.kind, "limit": body.limit}
        said = {"error": body.error} if body.error else {"bytes": len(body.sent), "body": body.payload}
        click.echo(json.dumps({**event, **told, **said}))
    if not made.bodies:
        click.echo(json.dumps({**event, "channel": None}))


# --- for a browser ----------------------------------------------------------------------------------------------------


def _story(made: Simulated, kind: str) -> Story:
    alert = made.alert
    verdict = f"{alert.severity} · {alert.cause} · rule: {alert.rule} · {made.decision} (on a clean history)"
    drawings = [Drawing(_caption(body, kind), body.kind, body.payload, body.error) for body in made.bodies]
    return Story(alert.title, verdict, drawings)


def _caption(body: Body, kind: str) -> str:
    limit = "" if body.limit is None else f" of {body.limit:,}"
    return f"{body.channel} ({body.kind}), {kind}: {len(body.sent):,}{limit} bytes" if body.kind else body.channel


def _draw(stories: Sequence[Story], path: Path) -> None:
    try:
        path.write_text(page(stories), "utf-8", errors="replace")
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from error
    count = sum(len(story.drawings) for story in stories)
    click.echo(f"{path}: {count} messages about {len(stories)} events", err=True)
    if not RENDERER.is_file():
        click.echo("Teams' cards are drawn as text: `npm ci` brings what draws them as Teams does", err=True)


# --- for people -------------------------------------------------------------------------------------------------------


def _show(made: Simulated, kind: str) -> None:
    out, alert = console(), made.alert
    out.rule(escape(printable(alert.title)), align="left")
    rows = {
        "severity": alert.severity,
        "cause": alert.cause,
        "rule": alert.rule,
        "resolves": "yes" if alert.resolves else "",
        "fingerprint": alert.subject.fingerprint,
        "decision": f"{made.decision} (on a clean history)",
        "maintenance": described(made.window) if made.window else "",
    }
    for name, value in rows.items():
        if value:
            out.print(f"[bold]{name:12}[/]{escape(printable(value))}", soft_wrap=True)
    for position, channels in made.routes.items():
        out.print(f"[bold]{f'route {position}':12}[/]{escape(', '.join(channels))}", soft_wrap=True)
    for body in made.bodies:
        _show_body(out, body, kind)
    out.print()


def _show_body(out: Console, body: Body, kind: str) -> None:
    name = f"\n[bold]{escape(body.channel)}[/]" + (f" ({escape(body.kind)})" if body.kind else "")
    if body.error:
        out.print(f"{name}: [bold red]cannot be simulated:[/] {escape(printable(body.error))}", soft_wrap=True)
        return
    limit = "" if body.limit is None else f" of {body.limit:,}"
    over = " [bold red]too large[/]" if body.too_large else ""
    out.print(f"{name}, {kind}: {len(body.sent):,}{limit} bytes{over}", soft_wrap=True)
    click.echo(body.sent)
    out.print(preview(body.kind, body.payload))
