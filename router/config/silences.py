"""Silences: what operators do not want to hear of for a while, and the maintenance windows of alert-router.toml.

A silence runs on the clock: it holds back what is taken in while it lasts. What it held back is in history, and trouble
that outlasts it is announced with its first alert after the end (`router.incident.lifecycle`).
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

from router.config.globs import WILDCARDS, compiled
from router.config.hours import Hours
from router.config.rules import lowered, matches
from router.errors import HistoryUnavailable
from router.model import Alert, Severity, SubjectKind

log = logging.getLogger("ecs-alert-router.config.silences")

READ_EVERY = 60.0
"""Seconds: a silence that is added or ended has its effect within a minute."""
READ_AHEAD = 2.0
"""Seconds for which what was read while the function started is as good as what is read now."""
READ_AGAIN = 10.0
"""Seconds until the next try after history could not be read; the silences that are known hold meanwhile."""

FACTS = (  # the most telling first: a silence is looked up by the first of its facts that says how a name begins
    "task",
    "subject",
    "service",
    "family",
    "task_definition",
    "container",
    "image",
    "stop_code",
    "cause",
    "cluster",
    "account",
    "region",
    "severity",
    "rule",
    "reason",
)
"""What a silence can match by globs: what a rule can, as far as an alert still knows it, and the task."""


class Silence(NamedTuple):
    """A silence, or a maintenance window.

    Attributes:
        id: short enough to say on the phone; a window's is its name.
        match: fact to globs, as in a rule: all facts must match, of each any glob, without regard to case.
        reason, author: why and who, for everybody who wonders.
        starts_at, ends_at: clock time; a window has neither.
        planned_end: `ends_at` as it was when the silence was added; it stands in the key.
        hours: of a window, in `time_zone`; empty for a silence.
        version: of the stored item; 0 when there is none yet.
        unknown: what a newer version stored, to be written back; only `router.history.items` reads it.
    """

    id: str
    match: Mapping[str, tuple[str, ...]] = MappingProxyType({})
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
        """`pending`, `active` or `expired`; a window outside of its hours is pending."""
        if now >= self.ends_at:
            return "expired"
        in_hours = not self.hours or any(hours.contain(now, self.time_zone) for hours in self.hours)
        return "active" if self.starts_at <= now and in_hours else "pending"

    def recheck_at(self, now: float) -> float:
        """Clock time at which what is held back may be said, or must be looked at again: it may end early."""
        return min(self.ends_at, now + READ_EVERY)

    @property
    def everything(self) -> bool:
        """Whether it matches whatever happens."""
        return all(any(not glob.strip("*") for glob in globs) for globs in self.match.values())


def facts_of(alert: Alert) -> dict[str, list[str]]:
    """The values that a silence's globs are compared with, in lower case."""
    subject = alert.subject
    kind, name = subject.kind, subject.name
    facts: dict[str, Sequence[str]] = {
        "task": (alert.task,),
        "subject": (subject.text,),
        "service": (name,) if kind is SubjectKind.SERVICE else (),
        "family": (name,) if kind is SubjectKind.FAMILY else (),
        "task_definition": (alert.task_definition,),
        "container": [container.name for container in alert.containers],
        "image": [container.image for container in alert.containers],
        "stop_code": (alert.stop_code,),
        "cause": (alert.cause,),
        "cluster": (subject.cluster,),
        "account": (subject.account,),
        "region": (subject.region,),
        "severity": (alert.severity.value,),
        "rule": (alert.rule,),
        "reason": (alert.reason, *(container.reason for container in alert.containers)),
    }
    return lowered(facts)


def wrong_severities(match: Mapping[str, Iterable[str]]) -> list[str]:
    """Globs for the severity that match none."""
    return [glob for glob in match.get("severity", ()) if not any(compiled((glob,))(each.value) for each in Severity)]


class Matcher:
    """Silences laid out so that those which cannot match cost nothing, however many there are.

    Each is found by how the names begin that it looks for: `prod-*` by `prod-`. Only what is found so is compared.
    """

    def __init__(self, silences: Iterable[Silence]) -> None:
        self._places: dict[tuple[str, str], list[Silence]] = {}
        lengths: dict[str, set[int]] = {}
        for silence in silences:
            fact, beginnings = _place(silence)
            for beginning in beginnings:
                self._places.setdefault((fact, beginning), []).append(silence)
                lengths.setdefault(fact, set()).add(len(beginning))
        self._lengths = {fact: sorted(each) for fact, each in lengths.items()}

    def matching(self, alert: Alert) -> Iterator[Silence]:
        """Those that match the alert, whether they are active or not; one may come twice."""
        if not self._places:
            return
        facts = facts_of(alert)
        for fact, lengths in self._lengths.items():
            for value in facts[fact]:
                for length in lengths:
                    for silence in self._places.get((fact, value[:length]), ()):
                        if matches(silence.match, facts):
                            yield silence


def _place(silence: Silence) -> tuple[str, frozenset[str]]:
    """The fact to find it by, and how each of that fact's globs begins."""
    for fact in FACTS:
        beginnings = frozenset(_beginning(glob) for glob in silence.match.get(fact, ()))
        if beginnings and "" not in beginnings:
            return fact, beginnings
    return "account", frozenset({""})  # every alert has one, and it begins with nothing


def _beginning(glob: str) -> str:
    """What stands before the first wildcard."""
    end = next((at for at, character in enumerate(glob) if character in WILDCARDS), len(glob))
    return glob[:end].lower()


_Read = Callable[[float], Iterable[Silence]]


class Silences:
    """What is silenced now: the windows of the configuration, and what operators wrote, read once a minute at most."""

    def __init__(self, read: _Read = lambda _: (), windows: Iterable[Silence] = ()) -> None:
        """`read` gives, for a clock time, the silences that have not ended then; it raises HistoryUnavailable."""
        self._read = read
        self._windows = tuple(windows)
        self._matcher = Matcher(self._windows)
        self._read_once = False
        self._next_read = -math.inf

    def active(self, alert: Alert, now: float) -> Silence | None:
        """The silence that holds the alert back at clock time `now`; of several, the one that ends last.

        Raises:
            HistoryUnavailable: none was ever read, so nobody knows. Later the last known ones hold.
        """
        if now >= self._next_read:
            self._refresh(now)
        return self.known(alert, now)

    def known(self, alert: Alert, now: float) -> Silence | None:
        """The same as far as it is known already, without a look into history."""
        active = (silence for silence in self._matcher.matching(alert) if silence.status(now) == "active")
        return max(active, key=lambda silence: silence.ends_at, default=None)

    def _refresh(self, now: float) -> None:
        try:
            self._matcher = Matcher((*self._windows, *self._read(now)))
        except HistoryUnavailable as error:
            if not self._read_once:
                raise
            log.warning("the silences known so far hold: %s", error)
            self._next_read = now + READ_AGAIN
        else:
            self._read_once, self._next_read = True, now + READ_EVERY


def read_ahead(read: _Read, clock: Callable[[], float]) -> _Read:
    """The same, but that the first answer is asked for now, in a thread, while a function is still starting; its first
    connection to history is made so, too.
    """
    asked_at = clock()
    first = [ThreadPoolExecutor(1).submit(read, asked_at)]

    def read_on(now: float) -> Iterable[Silence]:
        answer = first.pop() if first else None
        if answer and now - asked_at < READ_AHEAD and not answer.exception():
            return answer.result()
        return read(now)

    return read_on
