"""`ecs-alert-router classify`: what the built-in table says of events, without AWS."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import IO

import click

from router.classify import alert, classify
from router.errors import UnreadableEvent
from router.normalise import normalise, parse


@click.command("classify")
@click.argument("file", type=click.File("rb"), default="-")
@click.pass_context
def classify_command(context: click.Context, file: IO[bytes]) -> None:
    """Say what events mean: severity, cause and the rule that decided.

    FILE holds one event, a JSON array of events, or JSON Lines; without it, standard input is read. One JSON line per
    event comes out.
    """
    failed = False
    for place, text in _documents(file):
        for where, outcome in _verdicts(place, text):
            failed = failed or isinstance(outcome, UnreadableEvent)
            if isinstance(outcome, UnreadableEvent):
                click.echo(f"{where}: {outcome}", err=True)
            else:
                click.echo(outcome)
    context.exit(1 if failed else 0)


def _documents(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
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


def _verdicts(place: str, text: bytes) -> Iterator[tuple[str, str | UnreadableEvent]]:
    """The verdict on each event of a JSON text, or why there is none, with its place."""
    try:
        document = parse(text)
    except UnreadableEvent as error:
        yield place, error
        return
    items = document if isinstance(document, list) else [document]
    places = (f"{place}, item {number}" for number in itertools.count(1)) if items is document else [place]
    for where, item in zip(places, items, strict=False):
        try:
            yield where, _verdict(item)
        except UnreadableEvent as error:
            yield where, error


def _verdict(item: object) -> str:
    event = normalise(item)
    told = alert(event, classify(event))
    return json.dumps(
        {
            "event_id": told.event_id,
            "severity": told.severity,
            "cause": told.cause,
            "resolves": told.resolves,
            "rule": told.rule,
            "title": told.title,
            "fingerprint": told.subject.fingerprint,
        }
    )
