"""`ecs-alert-router classify`: what the built-in table says of events, without AWS."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import click

from router.cli.config import load_plugins
from router.config import parse as config
from router.config.silences import Silence, Silences
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise, parse
from router.errors import UnreadableEvent
from router.model import Alert, Event
from router.understand import classify_with_rules

Judge = Callable[[Event], Alert]
WindowOf = Callable[[Alert], Silence | None]


@click.command("classify")
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="Ask the plugins first, and apply the [[rules]] of this file; the built-in table alone if not given.",
)
@click.pass_context
def classify_command(context: click.Context, file: IO[bytes], path: Path | None) -> None:
    """Say what events mean: severity, cause and the rule that decided.

    FILE holds one event, a JSON array of events, or JSON Lines; without it, standard input is read. One JSON line per
    event comes out; with --config, `silence` names the maintenance window that the event happened in, if any.
    """
    judge, window, problems = _configured(path) if path else (_built_in, lambda _: None, [])
    failed = bool(problems)
    for problem in problems:
        click.echo(problem, err=True)
    for where, event in read_events(file):
        if isinstance(event, UnreadableEvent):
            click.echo(f"{where}: {event}", err=True)
            failed = True
        else:
            told = judge(event)
            silence = window(told)
            click.echo(json.dumps(verdict(told) | ({"silence": silence.id} if silence else {})))
    context.exit(1 if failed else 0)


def verdict(told: Alert) -> dict[str, str | bool]:
    """The documented keys, in their order."""
    return {
        "event_id": told.event_id,
        "severity": told.severity,
        "cause": told.cause,
        "resolves": told.resolves,
        "rule": told.rule,
        "title": told.title,
        "fingerprint": told.subject.fingerprint,
    }


def _built_in(event: Event) -> Alert:
    return alert(event, classify(event))


def window_of(told: Alert, settings: config.Config) -> Silence | None:
    """The maintenance window that would silence an alert which comes in when it happens."""
    return Silences(windows=settings.maintenance).known(told, told.at)


def _configured(path: Path) -> tuple[Judge, WindowOf, list[str]]:
    """What the router would say with that file, and what is wrong with its rules. Channels and routes do not matter."""
    loaded = load_plugins()
    settings = config.parse(config.read(path), loaded, {})
    ours = ("rules", "maintenance")
    problems = [problem for problem in settings.problems if problem.startswith(ours) or problem in loaded.problems]
    return (
        partial(classify_with_rules, config=settings, plugins=loaded),
        partial(window_of, settings=settings),
        problems,
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def read_events(lines: Iterable[bytes]) -> Iterator[tuple[str, Event | UnreadableEvent]]:
    """Each event of a file, or why it is none, with its place: one event, a JSON array, or JSON Lines."""
    for place, text in documents(lines):
        yield from _events(place, text)


def documents(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Each JSON text with its place: every line, or all of them where the first is only the beginning of one.

    Lines are passed on as they come, so that any number of them can be read.
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
    if rest and _is_readable(rest[0][1]):  # JSON Lines after all, whose first line is broken
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
    """Each event of a JSON text, or why it is none, with its place."""
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
