"""`ecs-alert-router silence`: mutes matching alerts until a given time, and records who did so and why."""

import getpass
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

import click

from router.cli.config import known_names, matchers
from router.cli.groups import CommandGroup
from router.cli.history import show_rows
from router.cli.history.options import Moment, Span
from router.cli.output import echo, echo_json
from router.cli.stack import Stack, reaches_stack
from router.config.match import SILENCE_FACTS
from router.config.silences import Matcher, Silence
from router.config.unmatchable import unmatchable
from router.errors import HistoryError
from router.history.items import iso
from router.history.store import History
from router.model import Incident, short_hash

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d\d)")
_ID_LENGTH = 7  # characters; 35 bits are enough for the silences of one team in three months
# The alert's own reason and region: --reason is why the silence was added, --region where the stage is.
_OPTION_OF = {"reason": "--stopped-reason", "region": "--alert-region"}
_STATUSES = ("active", "pending", "expired")
_COLUMNS = {
    "Silence": "id",
    "Status": "status",
    "From": "from",
    "Until": "until",
    "Matches": "matches",
    "Reason": "reason",
    "Author": "author",
}
_MATCHED = {"Incident": "id", "Severity": "severity", "What": "subject", "Cluster": "cluster", "Cause": "cause"}


class FutureMoment(Moment):
    """`22:30` (the next one), `2026-11-22T22:30` or `2026-11-22T22:30Z`, in seconds; local time unless it ends in Z."""

    forms = "22:30, 2026-11-22T22:30 or 2026-11-22T22:30:00Z"

    def read(self, text: str) -> float:
        match = _TIME_OF_DAY.fullmatch(text)
        return _next(int(match[1]), int(match[2])) if match else super().read(text)


def _next(hour: int, minute: int) -> float:
    now = datetime.now().astimezone()
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (then if then > now else then + timedelta(days=1)).timestamp()


@click.group("silence", cls=CommandGroup)
def silence_group() -> None:
    """Mute matching alerts for a while. History records them; an incident still open afterwards is announced."""


def _matching(command: Callable[..., None]) -> Callable[..., None]:
    """Adds an option for each fact that a silence can match, and passes them as `match`."""

    @wraps(command)
    def with_match(*arguments: Any, **options: Any) -> None:
        match = {fact: globs for fact in SILENCE_FACTS if (globs := options.pop(f"match_{fact}"))}
        command(*arguments, match=match, **options)

    for fact, what in reversed(tuple(SILENCE_FACTS.items())):
        with_match = click.option(_option(fact), f"match_{fact}", multiple=True, metavar="GLOB", help=what)(with_match)
    return with_match


def _option(fact: str) -> str:
    return _OPTION_OF.get(fact, f"--{fact.replace('_', '-')}")


@silence_group.command("add")
@_matching
@click.option("--for", "span", type=Span(), help="How long: 30m, 2h, 3d, 1w.")
@click.option("--until", "end", type=FutureMoment(), help="End: 22:30, or 2026-11-22T22:30 (local time unless …Z).")
@click.option("--from", "begin", type=FutureMoment(), help="Start; default: now.")
@click.option("--reason", required=True, help="Why; shown in `silence list`.")
@click.option("--author", default=None, help="Who; default: the user of this machine.")
@click.option("--all", "everything", is_flag=True, help="Confirm that everything is to be silenced.")
@click.option("--dry-run", is_flag=True, help="Only show which open incidents it would match.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@reaches_stack
def add_command(
    *,
    stack: Stack,
    match: Mapping[str, tuple[str, ...]],
    span: float | None,
    end: float | None,
    begin: float | None,
    reason: str,
    author: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Silence the alerts that match all given options; an option given more than once matches any of its globs.

    A glob that begins with ! excludes: --service '!web' is every service but web.

    \b
    ecs-alert-router silence add --service web --cluster 'prod-*' --for 2h --reason "moving the database"
    ecs-alert-router silence add --subject 'alarm:*' --until 06:00 --reason "night of the load test"

    It takes effect within a minute. It holds back alerts of every severity unless --severity narrows it.
    """
    now = time.time()
    starts_at = now if begin is None else begin
    silence = Silence(
        id=short_hash(uuid.uuid4().hex)[:_ID_LENGTH],
        match=match,
        reason=reason,
        author=author or user(),
        created_at=now,
        starts_at=starts_at,
        ends_at=_end(span, end, starts_at, now),
    )
    _refuse(silence, everything=everything)
    silence = silence._replace(planned_end=silence.ends_at)
    matched = _matched(silence, stack.history, now)
    if not as_json:
        echo(f"matches {len(matched)} of the incidents that are open now", err=True)
        if matched:
            show_rows([_incident(incident) for incident in matched], _MATCHED, "", as_json=False)
    if not dry_run:
        stack.history.put_silence(silence, now)
    if as_json:
        echo_json({**_row(silence, now), "incidents": [incident.id for incident in matched], "added": not dry_run})
    else:
        prefix = "would be silenced" if dry_run else f"silence {silence.id}"
        echo(f"{prefix} until {_local(silence.ends_at)}: {matchers(silence.match)}")


def _end(span: float | None, end: float | None, starts_at: float, now: float) -> float:
    if (span is None) == (end is None):
        raise click.UsageError("pass either --for 2h or --until 22:30")
    ends_at = end if end is not None else starts_at + (span or 0.0)
    if ends_at <= max(starts_at, now):
        raise click.UsageError(f"the silence would end before it starts, or has already ended: {_local(ends_at)}")
    return ends_at


def _refuse(silence: Silence, *, everything: bool) -> None:
    problems = [(_option(fact) if fact else "", problem) for fact, problem in unmatchable(silence.match, known_names())]
    if problems:
        raise click.UsageError("\n".join(f"{option}: {problem}".removeprefix(": ") for option, problem in problems))
    if silence.everything and not everything:
        raise click.UsageError("this matches everything and would mute all alerts; pass --all to confirm")


def _matched(silence: Silence, history: History, now: float) -> list[Incident]:
    keys = [(item["pk"], item["sk"]) for item in history.open_incidents(now)]
    incidents = [state.incident for state in history.load(keys, now) if state.incident]
    matcher = Matcher([silence])
    return [incident for incident in incidents if not incident.over and any(matcher.matching(incident.alert))]


@silence_group.command("list")
@click.option("--since", type=Span(), default="7d", show_default=True, help="How far back to list expired ones.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines instead of a table; times in UTC.")
@reaches_stack
def list_command(*, stack: Stack, since: float, as_json: bool) -> None:
    """List silences: active, then pending, then expired."""
    now = time.time()
    silences = [silence for silence in stack.history.all_silences(now) if silence.ends_at >= now - since]
    silences.sort(key=lambda silence: (_STATUSES.index(silence.status(now)), silence.ends_at))
    show_rows(
        [_row(silence, now, readable=not as_json) for silence in silences], _COLUMNS, "No silences.", as_json=as_json
    )


@silence_group.command("end")
@click.argument("id_", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@reaches_stack
def end_command(*, stack: Stack, id_: str, as_json: bool) -> None:
    """End a silence early. An incident that is still open is announced with its next alert."""
    now = time.time()
    silence = next((silence for silence in stack.history.all_silences(now) if silence.id == id_), None)
    if silence is None:
        raise HistoryError(f"there is no silence {id_} (or it expired long ago): ecs-alert-router silence list")
    if silence.status(now) == "expired":
        raise HistoryError(f"silence {id_} already ended at {_local(silence.ends_at)}")
    ended = silence._replace(ends_at=now)
    stack.history.put_silence(ended, now)
    if as_json:
        echo_json(_row(ended, now))
    else:
        echo(f"silence {id_} has ended; matching alerts are announced again within a minute")


# --- output -----------------------------------------------------------------------------------------------------------


def _row(silence: Silence, now: float, *, readable: bool = False) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": silence.id,
        "status": silence.status(now),
        "match": {fact: list(globs) for fact, globs in silence.match.items()},
        "reason": silence.reason,
        "author": silence.author,
        "created_at": iso(silence.created_at),
        "starts_at": iso(silence.starts_at),
        "ends_at": iso(silence.ends_at),
    }
    if readable:
        row |= {"from": _local(silence.starts_at), "until": _local(silence.ends_at), "matches": matchers(silence.match)}
    return row


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "severity": incident.severity.value,
        "subject": incident.subject.text,
        "cluster": incident.subject.cluster,
        "cause": incident.alert.cause,
    }


def _local(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def user() -> str:
    """The name of the user who runs the command, or "somebody" if it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "somebody"
