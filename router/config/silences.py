"""Silences that operators add, and the maintenance windows of alert-router.toml.

A silence holds back the alerts that the router receives while it is active. History records them. An incident that is
still open when the silence ends is announced with its first alert after that (`router.incident.lifecycle`).
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

from router.config.globs import WILDCARDS
from router.config.hours import Hours
from router.config.match import Match, everything, facts_of, matches, split
from router.deadline import time_left
from router.errors import DeadlineExceeded, HistoryUnavailable
from router.model import Alert

log = logging.getLogger("ecs-alert-router.config.silences")

READ_EVERY = 60.0
"""Seconds between reads: a silence that is added or ended takes effect within a minute."""
READ_AHEAD = 2.0
"""Seconds for which the silences read during the cold start may be used instead of reading them again."""
READ_AGAIN = 10.0
"""Seconds until the next attempt after history could not be read. Until then the last known silences apply."""

_SELECTIVE = (
    "task",
    "subject",
    "service",
    "alarm",
    "family",
    "task_definition",
    "container",
    "image",
    "exit_code",
    "stop_code",
    "event_name",
    "cause",
    "cluster",
    "account",
    "region",
    "detail_type",
    "severity",
    "rule",
    "reason",
)
"""The facts, the most selective first: a silence is indexed by its first fact whose globs all begin with a literal."""


class Silence(NamedTuple):
    """A silence, or a maintenance window.

    Attributes:
        id: short enough to read out on the phone; a window's id is its name.
        match: see `router.config.match`.
        reason, author: why, and who added it.
        starts_at, ends_at: clock time in seconds; a window has neither.
        planned_end: `ends_at` when the silence was added. It is part of the item's key, so it never changes.
        hours: when a window is active, in `time_zone`; empty for a silence.
        version: version of the stored item; 0 if it is not stored yet.
        unknown: what a newer version stored, to be written back; only `router.history` reads it.
    """

    id: str
    match: Match = MappingProxyType({})
    reason: str = ""
    author: str = ""
    created_at: float = 0.0
    starts_at: float = 0.0
    ends_at: float = math.inf
    planned_end: float = math.inf
    hours: tuple[Hours, ...] = ()
    time_zone: str = "UTC"
    version: int = 0
    unknown: Mapping[str, Any] = MappingProxyType({})

    def status(self, now: float) -> str:
        """`pending`, `active` or `expired`. A window outside its hours is pending."""
        if now >= self.ends_at:
            return "expired"
        in_hours = not self.hours or any(hours.contain(now, self.time_zone) for hours in self.hours)
        return "active" if self.starts_at <= now and in_hours else "pending"

    def recheck_at(self, now: float) -> float:
        """Clock time at which to check this silence again. That is at most a minute away, since it may end early."""
        return min(self.ends_at, now + READ_EVERY)

    @property
    def everything(self) -> bool:
        """Whether it matches every alert."""
        return everything(self.match)


class Matcher:
    """An index of silences, so that silences which cannot match cost nothing, however many there are.

    Each silence is indexed by the literal prefix of its globs: `prod-*` by `prod-`. An alert is compared only with the
    silences whose prefix it has.
    """

    def __init__(self, silences: Iterable[Silence]) -> None:
        self._index: dict[tuple[str, str], list[Silence]] = {}
        lengths: dict[str, set[int]] = {}
        for silence in silences:
            fact, prefixes = _index_key(silence)
            for prefix in prefixes:
                self._index.setdefault((fact, prefix), []).append(silence)
                lengths.setdefault(fact, set()).add(len(prefix))
        self._lengths = {fact: sorted(sizes) for fact, sizes in lengths.items()}

    def matching(self, alert: Alert) -> Iterator[Silence]:
        """Yields the silences that match the alert, active or not. The same silence may come twice."""
        if not self._index:
            return
        facts = facts_of(alert)
        for fact, lengths in self._lengths.items():
            for value in facts[fact]:
                for length in lengths:
                    for silence in self._index.get((fact, value[:length]), ()):
                        if matches(silence.match, facts):
                            yield silence


def _index_key(silence: Silence) -> tuple[str, frozenset[str]]:
    """The fact to index it by, and the literal prefixes of that fact's globs."""
    for fact in _SELECTIVE:
        prefixes = frozenset(_literal_prefix(glob) for glob in split(silence.match.get(fact, ()))[0])
        if prefixes and "" not in prefixes:
            return fact, prefixes
    return "severity", frozenset({""})  # every alert has a severity, and every severity has the empty prefix


def _literal_prefix(glob: str) -> str:
    """The part before the first wildcard, in lower case."""
    end = next((at for at, character in enumerate(glob) if character in WILDCARDS), len(glob))
    return glob[:end].lower()


_Read = Callable[[float], Iterable[Silence]]


class Silences:
    """Maintenance windows and stored silences together. Stored silences are read at most once a minute."""

    def __init__(self, read: _Read = lambda _: (), windows: Iterable[Silence] = ()) -> None:
        """`read` takes a clock time and returns the silences not yet ended then; it may raise HistoryUnavailable."""
        self._read = read
        self._windows = tuple(windows)
        self._matcher = Matcher(self._windows)
        self._read_once = False
        self._next_read = -math.inf

    def active(self, alert: Alert, now: float) -> Silence | None:
        """The active silence that matches the alert at clock time `now`; of several, the one that ends last.

        Raises:
            HistoryUnavailable: the silences could not be read, and no earlier read succeeded. After one success, the
                last known silences apply instead.
        """
        if now >= self._next_read:
            self._refresh(now)
        return self.known(alert, now)

    def known(self, alert: Alert, now: float) -> Silence | None:
        """Like `active`, but uses only the silences that are already known and does not read history."""
        active = (silence for silence in self._matcher.matching(alert) if silence.status(now) == "active")
        return max(active, key=lambda silence: silence.ends_at, default=None)

    def _refresh(self, now: float) -> None:
        try:
            self._matcher = Matcher((*self._windows, *self._read(now)))
        except HistoryUnavailable as error:
            if not self._read_once:
                raise
            log.warning("using the last known silences: %s", error)
            self._next_read = now + READ_AGAIN
        else:
            self._read_once, self._next_read = True, now + READ_EVERY


def read_ahead(read: _Read, clock: Callable[[], float]) -> _Read:
    """Wraps `read` so that its first call starts now, in a thread, during the cold start.

    This also opens the function's first connection to history early.
    """
    asked_at = clock()
    first = [ThreadPoolExecutor(1).submit(read, asked_at)]

    def read_on(now: float) -> Iterable[Silence]:
        answer = first.pop() if first else None
        if answer and now - asked_at < READ_AHEAD and _succeeded(answer):
            return answer.result()
        return read(now)

    return read_on


def _succeeded(answer: Future[Iterable[Silence]]) -> bool:
    """Waits for the thread, but no longer than the deadline, because the thread itself has none."""
    try:
        return not answer.exception(timeout=time_left(READ_AHEAD))
    except (TimeoutError, DeadlineExceeded):
        return False
