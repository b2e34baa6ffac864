"""`ecs-alert-router classify`: how the built-in table classifies events. Needs no AWS."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import click

from router.cli.config import load_plugins
from router.cli.output import echo, echo_json
from router.config.parse import parse as parse_config
from router.config.parse import read
from router.config.settings import Config
from router.config.silences import Silence, Silences
from router.ecs.classify import alert as alert_of
from router.ecs.classify import classify
from router.ecs.normalise import normalise, parse
from router.errors import UnreadableEvent
from router.model import Alert, Event
from router.understand import classify_with_rules

Classifier = Callable[[Event], Alert]
WindowOf = Callable[[Alert], Silence | None]


@click.command("classify")
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="Also ask the plugins and apply this file's [[rules]]; default: only the built-in table.",
)
@click.pass_context
def classify_command(context: click.Context, file: IO[bytes], path: Path | None) -> None:
    """Classify events: severity, cause and the rule that decided.

    FILE holds one event, a JSON array of events, or JSON Lines; default: standard input. Prints one JSON line per
    event. With --config, `silence` names the maintenance window that would silence the event, if any.
    """
    classifier, window, problems = _configured(path) if path else (_built_in, lambda _: None, [])
    failed = bool(problems)
    for problem in problems:
        echo(problem, err=True)
    for where, event in read_events(file):
        if isinstance(event, UnreadableEvent):
            echo(f"{where}: {event}", err=True)
            failed = True
        else:
            alert = classifier(event)
            silence = window(alert)
            echo_json(classification_row(alert) | ({"silence": silence.id} if silence else {}))
    context.exit(1 if failed else 0)


def classification_row(alert: Alert) -> dict[str, str | bool]:
    """The documented keys, in the documented order."""
    return {
        "event_id": alert.event_id,
        "severity": alert.severity,
        "cause": alert.cause,
        "resolves": alert.resolves,
        "rule": alert.rule,
        "title": alert.title,
        "fingerprint": alert.subject.fingerprint,
    }


def _built_in(event: Event) -> Alert:
    return alert_of(event, classify(event))


def window_of(alert: Alert, config: Config) -> Silence | None:
    """The maintenance window that would silence the alert, if the router received it when it happened."""
    return Silences(windows=config.maintenance).known(alert, alert.at)


def _configured(path: Path) -> tuple[Classifier, WindowOf, list[str]]:
    """Classification with this file, its maintenance windows, and the problems that affect either.

    Problems of channels and routes do not matter here.
    """
    plugins = load_plugins()
    config = parse_config(read(path), plugins, {})
    sections = ("rules", "maintenance")
    problems = [problem for problem in config.problems if problem.startswith(sections) or problem in plugins.problems]
    return partial(classify_with_rules, config=config, plugins=plugins), partial(window_of, config=config), problems


# --- reading ----------------------------------------------------------------------------------------------------------


def read_events(lines: Iterable[bytes]) -> Iterator[tuple[str, Event | UnreadableEvent]]:
    """Reads one event, a JSON array, or JSON Lines. Yields each event, or the reason it is not one, with its place."""
    for place, text in documents(lines):
        yield from _events(place, text)


def documents(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yields each JSON text with its place: one per line, or the whole file if the first line is incomplete JSON.

    Lines are passed on as they arrive, so input of any length works.
    """
    numbered = ((f"line {number}", line) for number, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        return
    if not _is_cut_off(first[1]):
        yield first
        yield from numbered
        return
    rest = list(numbered)
    if rest and _is_readable(rest[0][1]):  # JSON Lines with a broken first line
        yield from [first, *rest]
    else:
        yield first[0], b"".join(line for _, line in [first, *rest])


def _is_cut_off(line: bytes) -> bool:
    try:
        parse(line)
    except UnreadableEvent as error:
        cause = error.__cause__
        return isinstance(cause, json.JSONDecodeError) and cause.pos >= len(cause.doc.rstrip())
    return False


def _is_readable(line: bytes) -> bool:
    try:
        return isinstance(parse(line), dict)
    except UnreadableEvent:
        return False


def _events(place: str, text: bytes) -> Iterator[tuple[str, Event | UnreadableEvent]]:
    """Yields each event of a JSON text, or the reason it is not one, with its place."""
    try:
        document = parse(text)
    except UnreadableEvent as error:
        yield place, error
        return
    items = document if isinstance(document, list) else [document]
    places = (f"{place}, item {number}" for number in itertools.count(1)) if items is document else [place]
    for where, item in zip(places, items, strict=False):
        try:
            yield where, normalise(item)
        except UnreadableEvent as error:
            yield where, error
