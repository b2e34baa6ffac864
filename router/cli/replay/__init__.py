"""`ecs-alert-router replay`: events through the real pipeline, in memory and in virtual time.

`arrivals.py` reads the events and their arrival times, `settings.py` fills in unset options, `virtual.py` runs the
router, and `report.py` formats the outcome as text. Nothing is sent, and AWS is called only for `--from-history`.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import click
from click.core import ParameterSource

from router.channels.plugins import Plugins
from router.cli.config import config_option, load_plugins
from router.cli.deployed import DEFAULT_STAGE, names_stage
from router.cli.history.options import Span
from router.cli.history.source import find_table, table_option
from router.cli.output import echo, echo_json, overwrite_line, stderr_is_terminal
from router.cli.replay.arrivals import LATEST, Arrival, Unreadable, from_file, from_history
from router.cli.replay.report import Comparison, compare, show
from router.cli.replay.settings import settings_of
from router.cli.replay.virtual import Line, VirtualRouter
from router.config.settings import Config
from router.history.items import iso
from router.history.store import History

_DEFAULT_SINCE = 7 * 86400.0
_PROGRESS_AFTER = 2.0  # seconds until a terminal shows progress
_PROGRESS_LINE_EVERY = 10.0  # seconds between lines if stderr is not a terminal


@click.command("replay")
@click.argument("file", type=click.File("rb"), required=False)
@config_option
@click.option(
    "--for",
    "run_on",
    type=Span(),
    default="24h",
    show_default=True,
    help="How long virtual time continues after the last event: 30m, 24h, 7d.",
)
@click.option(
    "--compare",
    "compare_path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Another alert-router.toml: show which messages it would add or remove.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: one per message, then a summary.")
@click.option("--from-history", is_flag=True, help="Replay the history of a deployed stage instead of a file.")
@click.option("--since", type=Span(), help="With --from-history, how far back: 24h, 7d.  [default: 7d]")
@names_stage(default=None)
@table_option
@click.pass_context
def replay_command(
    context: click.Context,
    file: IO[bytes] | None,
    *,
    path: Path,
    run_on: float,
    compare_path: Path | None,
    as_json: bool,
    from_history: bool,
    since: float | None,
    stage: str | None,
) -> None:
    """Show who would have been notified of what, and when, if these events came in.

    FILE holds JSON Lines, a JSON array of events, or one event; - is standard input. The events go through the real
    pipeline, in memory and in virtual time: an event arrives at its envelope's time, the router's tick runs every
    minute, every send succeeds at once, and rate limits apply. Nothing is sent and no secret is read. The exit code is
    1 if a line is not an event, or if the configuration is invalid.
    """
    if from_history is (file is not None):
        raise click.UsageError("pass either a FILE (- is standard input) or --from-history")
    stage_is_given = context.get_parameter_source("stage") is ParameterSource.COMMANDLINE
    if not from_history and (since is not None or stage_is_given):
        raise click.UsageError("--since and --stage need --from-history")
    loaded = load_plugins()
    arrivals = _recorded(since or _DEFAULT_SINCE, stage or DEFAULT_STAGE) if file is None else from_file(file)
    outcome = Replay(loaded, _checked(path, loaded), print_lines=as_json)
    compared_with = Replay(loaded, _checked(compare_path, loaded), print_lines=False) if compare_path else None
    replays = [replay for replay in (outcome, compared_with) if replay]
    unreadable = _run(arrivals, replays, run_on)
    comparison = compare(str(compare_path), outcome, compared_with) if compared_with else None
    if as_json:
        echo_json({"summary": _summary(outcome, unreadable, comparison)})
    else:
        show(outcome, unreadable, comparison)
    problems = [problem for replay in replays for problem in replay.problems]
    failures = list(dict.fromkeys(failure for replay in replays for failure in replay.router.failures))
    for failure in failures:
        echo(failure, err=True)
    context.exit(1 if unreadable or problems or failures else 0)


class Replay:
    """The replay of one configuration, and its outcome.

    Attributes:
        lines: the messages in order of sending.
    """

    def __init__(self, loaded: Plugins, checked: tuple[Config, tuple[str, ...]], *, print_lines: bool) -> None:
        config, self.problems = checked
        self.lines: list[Line] = []
        self._print_lines = print_lines
        self.router = VirtualRouter(config, loaded, self._add_line)

    def _add_line(self, line: Line) -> None:
        self.lines.append(line)
        if self._print_lines:
            echo_json(line)


def _checked(path: Path, loaded: Plugins) -> tuple[Config, tuple[str, ...]]:
    """The configuration and its problems, which are printed on stderr."""
    config, problems = settings_of(path, loaded)
    for problem in problems:
        echo(f"{path}: {problem}", err=True)
    return config, problems


def _recorded(since: float, stage: str) -> Iterator[Arrival | Unreadable]:
    source, _ = find_table(stage)
    now = time.time()
    return from_history(History(source, retention=0.0), now - since, now)


def _run(arrivals: Iterable[Arrival | Unreadable], replays: Iterable[Replay], run_on: float) -> int:
    """Runs all replays side by side, so that the input is read once. Returns the number of unreadable entries."""
    progress, unreadable = _Progress(), 0
    for arrival in arrivals:
        if isinstance(arrival, Unreadable):
            unreadable += 1
            progress.clear()
            echo(f"{arrival.place}: {arrival.reason}", err=True)
            continue
        for replay in replays:
            replay.router.receive(arrival.event, arrival.at)
        progress.note(arrival.at)
    for replay in replays:
        replay.router.advance(min(replay.router.now + run_on, LATEST + run_on))
    progress.clear()
    return unreadable


class _Progress:
    """Progress through a long input, on stderr: one updated line on a terminal, otherwise a line every ten seconds."""

    def __init__(self) -> None:
        self._terminal = stderr_is_terminal()
        self._next = time.monotonic() + (_PROGRESS_AFTER if self._terminal else _PROGRESS_LINE_EVERY)
        self._events = 0
        self._shown = False

    def note(self, at: float) -> None:
        self._events += 1
        now = time.monotonic()
        if now < self._next:
            return
        text = f"{self._events:,} events, virtual time {iso(at)[:16]}Z"
        if self._terminal:
            overwrite_line(text)
        else:
            echo(text, err=True)
        self._shown = self._terminal
        self._next = now + (0.2 if self._terminal else _PROGRESS_LINE_EVERY)

    def clear(self) -> None:
        if self._shown:
            overwrite_line("")
            self._shown = False


def _summary(outcome: Replay, unreadable: int, comparison: Comparison | None) -> dict[str, Any]:
    virtual = outcome.router
    summary: dict[str, Any] = {
        "messages": dict(virtual.messages),
        "rows": virtual.rows,
        "decisions": dict(sorted(virtual.decisions.items())),
        "unreadable": unreadable + virtual.unreadable,
    }
    return summary | ({"compare": comparison.as_json()} if comparison else {})
