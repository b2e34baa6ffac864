"""The life of an incident, as pure functions from how things stand, and something that happened, to how they stand now.

    absent ──alert──► open ──resolving event──► recovering ──resolve_after──► resolved ──alert within 1 h──► open
                      │ ◄────────alert─────────────┘                             └───────alert later──► the next one
                      └──nothing new for 24 h──► lapsed

What came before what is decided by the events' own times, never by arrival; windows and leases run on the clock: `now`.

There is one mechanism for all sending, the cell: what one channel should have been told of one incident (`want`) and
what it was told (`told`). First announcement, retry, end of a window and end of a recovery all only set `due_at`.
"""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from router.model import Alert, Decision, Incident, Kind, Outcome, Severity, Silenced, Subject

HOUR = 3600.0
LADDER = (1 * HOUR, 4 * HOUR, 24 * HOUR)
"""The windows of an incident after its first (`dedup_window`), in seconds; the last repeats."""
LAPSE_AFTER = 24 * HOUR
REOPEN_WITHIN = 1 * HOUR
RETRY_SCHEDULE = (30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds until the next attempt where the remote does not say; the last repeats, for `RETRY_FOR`."""
RETRY_FOR = 24 * HOUR
TASKS_SHOWN = 10
EXITS_REMEMBERED = 50
SILENCES_NAMED = 3
UNRECORDED = "sent while history was unavailable"
UNTOLD = "not sent: history was unavailable"

RUN_COMPLETED = "task_completed"
CONTAINER_EXITED = "container_exited"
DEPLOYMENT_FAILED = "deployment_failed"
DEPLOYMENT_COMPLETED = "deployment_completed"
ROLLING_BACK = "deployment_rolling_back"


class Manner(NamedTuple):
    """How a route wants its channels to be spoken to; "" where it leaves that to the channel.

    Attributes:
        mention: whom to call, in the channel's own notation; from the configuration alone.
    """

    mention: str = ""
    language: str = ""
    time_zone: str = ""


_AS_CONFIGURED = Manner()
_NOBODY: Mapping[str, str] = MappingProxyType({})


class Reach(NamedTuple):
    """A channel that an alert's routes reach.

    Attributes:
        dedup_window: seconds of the first window. stateful: see `router.plugins.Channel`.
    """

    channel: str
    dedup_window: float
    stateful: bool = False
    manner: Manner = Manner()


class Turn(enum.StrEnum):
    """How a due cell may speak now (`router.budgets`): by itself, or in one message with the others of its channel."""

    ALONE = "alone"
    GATHERED = "gathered"


@dataclass(frozen=True, slots=True)
class Cell:
    """What one channel should have been told of one incident, and what it was told.

    Attributes:
        dedup_window, stateful, manner: of the route that reached it last; see `Reach`.
        want, told: revisions of what there is to say; the channel is behind while want > told.
        heard: the kind of the last notification that it took; None before the first.
        severity: the worst that it was told of.
        held: alerts per cause that it was not told of yet.
        rung: windows begun so far. window_ends_at: clock time, None outside of a window.
        attempt: attempts at what is wanted now. trying_since: clock time of the first of them.
        due_at: clock time at which somebody must work on this cell; None when there is nothing to do.
        waiting: whether it waits for its channel to have a turn for it, and not for a time of its own.
        lease: who works on it, until lease_ends_at (clock time).
        unsure: whether there was an attempt since the last success of which nobody knows if the remote took it.
        outcome, answer: of the last attempt.
    """

    dedup_window: float
    stateful: bool = False
    manner: Manner = _AS_CONFIGURED
    want: int = 0
    told: int = 0
    heard: Kind | None = None
    severity: Severity = Severity.INFO
    held: Mapping[str, int] = field(default_factory=dict)
    rung: int = 0
    window_ends_at: float | None = None
    attempt: int = 0
    trying_since: float | None = None
    due_at: float | None = None
    waiting: bool = False
    lease: str = ""
    lease_ends_at: float = 0.0
    unsure: bool = False
    outcome: Outcome | None = None
    answer: str = ""

    @property
    def behind(self) -> bool:
        return self.want > self.told

    def leased(self, now: float) -> bool:
        return bool(self.lease) and self.lease_ends_at > now


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with one subject: one item of the table, so that one conditional write moves it on.

    Attributes:
        version: of the stored item; 0 when there is none yet.
        quiet_from: event time of the latest resolving event: an older alert wakes nobody.
        deployed_from: the same for `deployment_failed`, which a rollback's success does not end.
        rollbacks: ids of the deployments that roll a failed one back.
        going_on: what has not ended yet, with the event time of its newest alert; a container that exited in a task
            that runs on stands for itself, since it ends with that task alone.
        resolve_at: clock time at which a recovery is announced. lapse_at: when the incident lapses.
        silenced: what silences held back and nothing has ended yet.
        archived: whether a later incident has taken this one's place; what is still to be said of it is said.
        replaced: the standing with the incident before, to be archived in the same write; not stored.
    """

    subject: Subject
    version: int = 0
    quiet_from: float = 0.0
    deployed_from: float = 0.0
    rollbacks: tuple[str, ...] = ()
    incident: Incident | None = None
    going_on: Mapping[str, float] = field(default_factory=dict)
    cells: Mapping[str, Cell] = field(default_factory=dict)
    resolve_at: float | None = None
    lapse_at: float | None = None
    silenced: Silenced | None = None
    archived: bool = False
    replaced: "Standing | None" = None

    @property
    def due_at(self) -> float | None:
        """Clock time at which somebody must look at this subject, or None."""
        return self._earliest(cell.due_at for cell in self.cells.values())

    @property
    def recall_at(self) -> float | None:
        """The same without the cells that wait for a turn: for those, their channel's next gathering is enough."""
        return self._earliest(cell.due_at for cell in self.cells.values() if not cell.waiting)

    def _earliest(self, due: Iterable[float | None]) -> float | None:
        return min((time for time in (self.resolve_at, self.lapse_at, *due) if time is not None), default=None)


class Terms(NamedTuple):
    """On which somebody takes due cells.

    Attributes:
        owner, until: of the lease, until a clock time.
        turns: by channel. A due cell that has none stays due.
        waits: by channel, the clock time at which due cells without a turn are to be looked at again.
    """

    owner: str
    until: float
    turns: Mapping[str, Turn]
    waits: Mapping[str, float] = MappingProxyType({})


class Saying(NamedTuple):
    """What is to be said to a channel under a lease: fixed when the lease is taken, noted down when it was said.

    Attributes:
        first: whether the channel has heard nothing of this incident yet.
        turn: whether it is said by itself, or in a gathering message.
    """

    channel: str
    kind: Kind
    revision: int
    attempt: int
    first: bool
    severity: Severity
    held: Mapping[str, int]
    manner: Manner = Manner()
    turn: Turn = Turn.ALONE


class Delivery(NamedTuple):
    """What came of one attempt.

    Attributes:
        retry_after: seconds that the remote asked for, or None.
        unanswered: whether the remote may have taken it all the same.
        rejected: whether the remote refused this very message, which says nothing about how the channel does.
        seconds: that the channel took to render and send; None where it did not come to that, or not back.
    """

    saying: Saying
    outcome: Outcome
    answer: str = ""
    retry_after: float | None = None
    unanswered: bool = False
    rejected: bool = False
    seconds: float | None = None


# --- an alert comes ---------------------------------------------------------------------------------------------------


def absorb(  # noqa: PLR0913, PLR0917 - all that the decision hangs on
    standing: Standing,
    alert: Alert,
    reached: Sequence[Reach],
    now: float,
    resolve_after: float,
    silenced_by: Mapping[str, str] = _NOBODY,
) -> tuple[Standing, Decision]:
    """Takes an alert in, once: the caller sees to it that the same occurrence never comes twice.

    Args:
        silenced_by: id and reason of the silence that holds it back; empty where none does.
    """
    standing = _note_rollback(standing, alert)
    if alert.stopped:
        standing = _end(standing, {_exit_of(alert)}, alert.at, now, resolve_after)
    if alert.resolves:
        return _recover(standing, alert, now, resolve_after), Decision.RESOLVING
    if not alert.severity.at_least(Severity.WARNING):
        return standing, Decision.BELOW_THRESHOLD
    if not reached:
        return standing, Decision.NO_ROUTE
    if alert.at < _quiet_from(standing, alert.cause):
        return standing, Decision.ALREADY_RESOLVED
    if silenced_by:
        return _silence(standing, alert, silenced_by, now), Decision.SILENCED
    after = _count(standing, alert, now)
    return _announce(after, alert, reached, now, news=_is_news(standing.incident, alert))


def _is_news(incident: Incident | None, alert: Alert) -> bool:
    """Whether this changes what a message that is under way says: the incident gets worse, or is not over after all."""
    return incident is None or incident.over or alert.severity.worse_than(incident.severity)


def _count(standing: Standing, alert: Alert, now: float) -> Standing:
    """The incident with this alert in it: the open one, the last one come back, or a new one."""
    incident = standing.incident
    if incident is None or (incident.over and not _comes_back(incident, alert)):
        return _open(standing, alert, now)
    worse = alert.severity.worse_than(incident.severity)
    incident = replace(
        incident,
        status="open",
        ended_at=None,
        reopened=incident.reopened + incident.over,
        severity=alert.severity if worse else incident.severity,
        alert=alert if worse else incident.alert,
        causes=_plus(incident.causes, {alert.cause: 1}),
        tasks=_with_task(incident.tasks, alert.task),
        opened_at=min(incident.opened_at, alert.at),
        last_at=max(incident.last_at, alert.at),
        silenced=_both(incident.silenced, standing.silenced),
    )
    return replace(
        standing,
        incident=incident,
        going_on=_still(standing.going_on, alert),
        resolve_at=None,
        lapse_at=now + LAPSE_AFTER,
        silenced=None,
    )


def _open(standing: Standing, alert: Alert, now: float) -> Standing:
    previous, silenced = standing.incident, _lasting(standing.silenced, alert)
    incident = Incident(
        number=previous.number + 1 if previous else 1,
        status="open",
        subject=standing.subject,
        severity=alert.severity,
        causes={alert.cause: 1},
        tasks=_with_task((), alert.task),
        alert=alert,
        opened_at=min(alert.at, silenced.since) if silenced else alert.at,
        last_at=alert.at,
        silenced=silenced,
    )
    return replace(
        standing,
        incident=incident,
        going_on=_still(standing.going_on if silenced else {}, alert),
        cells={},
        resolve_at=None,
        lapse_at=now + LAPSE_AFTER,
        silenced=None,
        replaced=replace(standing, version=0, archived=True, silenced=None, going_on={}) if previous else None,
    )


def _comes_back(incident: Incident, alert: Alert) -> bool:
    return incident.status == "resolved" and alert.at <= (incident.ended_at or 0.0) + REOPEN_WITHIN


# --- a silence holds it back ------------------------------------------------------------------------------------------


def _silence(standing: Standing, alert: Alert, by: Mapping[str, str], now: float) -> Standing:
    """Nobody is told and nothing is counted; but the trouble goes on, and may outlast the silence."""
    silenced = _both(_lasting(standing.silenced, alert), Silenced(alert.at, alert.at, 1, by))
    standing = replace(standing, silenced=silenced, going_on=_still(standing.going_on, alert))
    incident = standing.incident
    if incident is None or incident.over:
        return standing
    incident = replace(incident, status="open", ended_at=None)
    return replace(standing, incident=incident, resolve_at=None, lapse_at=now + LAPSE_AFTER)


def _lasting(silenced: Silenced | None, alert: Alert) -> Silenced | None:
    """What was held back, if it is the same trouble: like an incident, it lapses when nothing comes for a day."""
    return silenced if silenced and alert.at - silenced.last_at <= LAPSE_AFTER else None


def _both(one: Silenced | None, other: Silenced | None) -> Silenced | None:
    if one is None or other is None:
        return one or other
    by = dict(list({**one.by, **other.by}.items())[:SILENCES_NAMED])
    return Silenced(min(one.since, other.since), max(one.last_at, other.last_at), one.count + other.count, by)


def hold(standing: Standing, now: float, until: float) -> Standing:
    """Puts off to `until` (clock time) what is due of an incident that a silence holds back.

    That it is over is said all the same. A retry that waited begins anew, so that no silence uses up its day.
    """
    if standing.incident is None or standing.incident.over:
        return standing
    cells = dict(standing.cells)
    for name in due_cells(standing, now):
        cells[name] = replace(cells[name], due_at=until, waiting=False, attempt=0, trying_since=None)
    return replace(standing, cells=cells)


# --- and is announced -------------------------------------------------------------------------------------------------


def _announce(
    standing: Standing, alert: Alert, reached: Sequence[Reach], now: float, *, news: bool
) -> tuple[Standing, Decision]:
    """Moves the cell of each channel that is reached; announced when one of them shall speak because of this alert."""
    cells = dict(standing.cells)
    decision = Decision.HELD_BACK
    for reach in reached:
        before = cells.get(reach.channel) or Cell(reach.dedup_window)
        held = _plus(before.held, {alert.cause: 1})
        cell = replace(before, held=held, dedup_window=reach.dedup_window, stateful=reach.stateful, manner=reach.manner)
        if news if before.leased(now) else _speaks_now(before, alert, now):
            decision = Decision.ANNOUNCED
            cell = _wanting(cell, now)
        elif not cell.behind:
            cell = replace(cell, due_at=cell.window_ends_at)
        cells[reach.channel] = cell
    return replace(standing, cells=cells), decision


def _speaks_now(cell: Cell, alert: Alert, now: float) -> bool:
    """Whether a channel is told of an alert at once: it knows nothing, it thinks all is well, or it gets worse."""
    if cell.behind:
        return False  # something is waiting to be said already, and the newest is what will be said
    if cell.heard in {None, Kind.RESOLVED}:
        return True
    return alert.severity.worse_than(cell.severity) or cell.window_ends_at is None or cell.window_ends_at <= now


def _wanting(cell: Cell, now: float) -> Cell:
    """One more revision to say: at once, unless the channel failed lately and its next attempt has its time already."""
    waiting = cell.due_at is not None and (cell.attempt > 0 or cell.leased(now))
    return replace(cell, want=cell.want + 1, due_at=cell.due_at if waiting else now)


# --- trouble ends -----------------------------------------------------------------------------------------------------


def _note_rollback(standing: Standing, alert: Alert) -> Standing:
    if alert.cause != ROLLING_BACK or not alert.deployment or alert.deployment in standing.rollbacks:
        return standing
    return replace(standing, rollbacks=(*standing.rollbacks, alert.deployment)[-EXITS_REMEMBERED:])


def _recover(standing: Standing, alert: Alert, now: float, resolve_after: float) -> Standing:
    """A resolving event: notes since when the subject is quiet, and ends what it can end.

    A completed standalone run ends only what failed before it started. While a rollback is what made the service well,
    the deployment that failed is still failed.
    """
    quiet_from = alert.at
    if alert.cause == RUN_COMPLETED and alert.started_at is not None:
        quiet_from = alert.started_at
    rollbacks = standing.rollbacks
    if alert.cause == DEPLOYMENT_COMPLETED and alert.deployment not in rollbacks:
        rollbacks = ()
    standing = replace(
        standing,
        rollbacks=rollbacks,
        quiet_from=max(standing.quiet_from, quiet_from),
        deployed_from=standing.deployed_from if rollbacks else max(standing.deployed_from, quiet_from),
    )
    ended = {what for what, newest in standing.going_on.items() if newest <= _quiet_from(standing, what)}
    return _end(standing, ended, alert.at, now, resolve_after)


def _quiet_from(standing: Standing, what: str) -> float:
    """Event time up to which `what` (a cause, or a container's exit) is over."""
    if what.startswith(CONTAINER_EXITED):
        return 0.0  # the task runs on without its container: it ends when that task stops
    return standing.deployed_from if what == DEPLOYMENT_FAILED else standing.quiet_from


def _end(standing: Standing, ended: Iterable[str], at: float, now: float, resolve_after: float) -> Standing:
    """Takes `ended` out of what goes on; when nothing is left, the recovery is announced after `resolve_after`."""
    left = {what: newest for what, newest in standing.going_on.items() if what not in ended}
    incident = standing.incident
    if len(left) == len(standing.going_on):
        return standing
    if not left:
        standing = replace(standing, silenced=None)
    if left or incident is None or incident.status != "open":
        return replace(standing, going_on=left)
    incident = replace(incident, status="recovering", ended_at=at)
    return replace(standing, incident=incident, going_on=left, resolve_at=now + resolve_after)


def _still(going_on: Mapping[str, float], alert: Alert) -> dict[str, float]:
    what = _exit_of(alert) if alert.cause == CONTAINER_EXITED else alert.cause
    newest = max(alert.at, going_on.get(what, alert.at))
    others = [(key, time) for key, time in going_on.items() if key != what]
    return dict([*others[-EXITS_REMEMBERED:], (what, newest)])


def _exit_of(alert: Alert) -> str:
    return f"{CONTAINER_EXITED}/{alert.task}"


# --- time passes ------------------------------------------------------------------------------------------------------


def advance(standing: Standing, now: float) -> Standing:
    """What the clock alone brings about: the end of a recovery, and the lapse of what nothing resolves."""
    incident = standing.incident
    if incident is None:
        return standing
    if standing.resolve_at is not None and standing.resolve_at <= now:
        return _close(standing, replace(incident, status="resolved"), now)
    if standing.lapse_at is not None and standing.lapse_at <= now:
        if any(cell.due_at is not None and not cell.attempt for cell in standing.cells.values()):
            return replace(standing, lapse_at=now + HOUR)  # not before a last digest; but no channel waits for another
        return _close(standing, replace(incident, status="lapsed", ended_at=now), now)
    return standing


def close(standing: Standing, author: str, reason: str, now: float) -> Standing:
    """Ends by hand what nothing will resolve; what came before wakes nobody any more."""
    if standing.incident is None or standing.incident.over:
        return standing
    incident = replace(standing.incident, status="closed", ended_at=now, closed_by=author, closed_because=reason)
    quiet = replace(standing, quiet_from=max(standing.quiet_from, now), deployed_from=max(standing.deployed_from, now))
    return _close(quiet, incident, now)


def _close(standing: Standing, incident: Incident, now: float) -> Standing:
    cells = {name: _at_the_end(cell, incident, now) for name, cell in standing.cells.items()}
    return replace(standing, incident=incident, cells=cells, going_on={}, resolve_at=None, lapse_at=None, silenced=None)


def _at_the_end(cell: Cell, incident: Incident, now: float) -> Cell:
    """The cell when its incident is over: who was told of the incident is owed the end of it.

    Who was to be told and was not yet is told once, that it opened and is over; but a stateful remote that was not
    triggered has nothing to resolve. If nobody knows whether it was, it is told: it drops what it has no use for.
    """
    if cell.leased(now):
        return cell  # `settle` comes here again
    if cell.heard in {None, Kind.RESOLVED}:
        owed = cell.unsure or bool(cell.lease) if cell.stateful else cell.behind
    else:
        owed = cell.stateful or cell.behind or incident.status != "lapsed"
    if owed:
        return cell if cell.behind else _wanting(cell, now)
    return replace(cell, want=cell.told, due_at=None)


# --- somebody speaks --------------------------------------------------------------------------------------------------


def due_cells(standing: Standing, now: float) -> tuple[str, ...]:
    """The channels that somebody must speak to now, and that nobody is speaking to."""
    if standing.incident is None:
        return ()
    cells = standing.cells.items()
    return tuple(
        name for name, cell in cells if cell.due_at is not None and cell.due_at <= now and not cell.leased(now)
    )


def lease(standing: Standing, now: float, terms: Terms) -> tuple[Standing, tuple[Saying, ...]]:
    """Takes the due cells that have a turn, and says what each of their channels is to be told."""
    cells = dict(standing.cells)
    sayings = []
    for name in due_cells(standing, now):
        if name in terms.turns:
            cells[name] = _leased(cells[name], now, terms)
            sayings.append(_saying(standing, name, cells[name], terms.turns[name]))
        elif name in terms.waits:
            cells[name] = replace(_asked(cells[name]), due_at=terms.waits[name], waiting=True)
    return replace(standing, cells=cells), tuple(sayings)


def _asked(cell: Cell) -> Cell:
    """A due cell that is not behind is at the end of its window: a digest of what was held back is wanted."""
    return cell if cell.behind else replace(cell, want=cell.want + 1)


def _leased(cell: Cell, now: float, terms: Terms) -> Cell:
    return replace(
        _asked(cell),
        lease=terms.owner,
        lease_ends_at=terms.until,
        unsure=cell.unsure or bool(cell.lease),  # whoever had it before has died, perhaps after sending
        due_at=terms.until,  # should this process die, the due index brings the cell back when the lease has ended
        waiting=False,
        attempt=cell.attempt + 1,
        trying_since=now if cell.trying_since is None else cell.trying_since,
    )


def kind_of(incident: Incident, cell: Cell) -> Kind:
    """What a channel is told now if it is told anything of this incident."""
    if incident.over:
        return Kind.RESOLVED
    return Kind.OPENED if cell.heard in {None, Kind.RESOLVED} else Kind.UPDATED


def _saying(standing: Standing, channel: str, cell: Cell, turn: Turn) -> Saying:
    incident = standing.incident
    assert incident is not None  # else nothing is due
    return Saying(
        channel,
        kind_of(incident, cell),
        cell.want,
        cell.attempt,
        cell.heard is None,
        incident.severity,
        dict(cell.held),
        cell.manner,
        turn,
    )


def judge(standing: Standing, delivery: Delivery, now: float) -> Delivery:
    """A retry is no retry any more, but failed, once the channel was tried for 24 h."""
    cell = standing.cells.get(delivery.saying.channel)
    if delivery.outcome is Outcome.RETRY and cell and cell.trying_since and now - cell.trying_since >= RETRY_FOR:
        return delivery._replace(outcome=Outcome.FAILED)
    return delivery


def settle(standing: Standing, delivery: Delivery, owner: str, now: float, jitter: float) -> Standing:
    """Writes down what came of an attempt; changes nothing when the lease has passed to somebody else.

    Args:
        jitter: 0 to 1, so that what failed together does not come back together.
    """
    cell = standing.cells.get(delivery.saying.channel)
    if cell is None or cell.lease != owner:
        return standing
    cell = replace(
        cell,
        lease="",
        lease_ends_at=0.0,
        unsure=cell.unsure or delivery.unanswered,
        outcome=delivery.outcome,
        answer=delivery.answer,
    )
    if delivery.outcome is Outcome.SENT:
        cell = _sent(cell, delivery.saying, now)
    elif delivery.outcome is Outcome.RETRY:
        cell = replace(cell, due_at=now + retry_delay(cell.attempt, delivery.retry_after, jitter))
    else:
        cell = _gave_up(cell)
    if standing.incident and standing.incident.over and delivery.saying.kind is not Kind.RESOLVED:
        cell = _at_the_end(cell, standing.incident, now)
    return replace(standing, cells={**standing.cells, delivery.saying.channel: cell})


def _sent(cell: Cell, saying: Saying, now: float) -> Cell:
    held = {cause: count - saying.held.get(cause, 0) for cause, count in cell.held.items()}
    held = {cause: count for cause, count in held.items() if count > 0}
    over = saying.kind is Kind.RESOLVED
    window_ends_at = None if over else now + _window(cell)
    cell = replace(
        cell,
        told=saying.revision,
        heard=saying.kind,
        severity=Severity.INFO if over else saying.severity,
        held={} if over else held,
        unsure=False,
        rung=cell.rung if over else cell.rung + 1,
        window_ends_at=window_ends_at,
        attempt=0,
        trying_since=None,
    )
    return replace(cell, due_at=now if cell.behind else window_ends_at if cell.held else None)


def revive(standing: Standing, channel: str, now: float) -> tuple[Standing, str]:
    """Makes due again what failed for good, so that the channel hears the newest state.

    Returns:
        The standing, and why there is nothing to say; "" where there is.
    """
    cell, incident = standing.cells.get(channel), standing.incident
    if cell is None or incident is None or cell.outcome is not Outcome.FAILED:
        return standing, "told meanwhile" if cell and cell.outcome is Outcome.SENT else "tried again meanwhile"
    if cell.due_at is not None or cell.leased(now):
        return standing, "due already"
    knows_of_none = cell.heard in {None, Kind.RESOLVED}
    if incident.over and (cell.heard is Kind.RESOLVED or (cell.stateful and knows_of_none and not cell.unsure)):
        return standing, "over, and the channel has nothing to resolve"
    return replace(standing, cells={**standing.cells, channel: _wanting(cell, now)}), ""


def told_without_history(
    standing: Standing, announced: Collection[str], before: Standing, now: float
) -> tuple[Standing, tuple[Delivery, ...]]:
    """Writes down what became of it while history was unreachable, so that nothing of it is said again.

    Args:
        standing, before: with an alert absorbed, and as it was before that.
        announced: the channels that were told. The others that would be told now were not, and are not.
    """
    incident, cells, deliveries = standing.incident, dict(standing.cells), []
    known = before.cells if before.incident and incident and before.incident.number == incident.number else {}
    for name, cell in standing.cells.items() if incident else ():
        was = known.get(name, replace(cell, want=0, held={}, due_at=None))
        if incident is None or cell.leased(now) or not (cell.want > was.want or name in announced):
            cells[name] = replace(cell, held=was.held, due_at=was.due_at)
            continue
        cell = replace(cell, want=max(cell.want, cell.told + 1), held=was.held)  # noqa: PLW2901 - the cell moves on
        saying = _saying(standing, name, replace(cell, attempt=1, held={}), Turn.ALONE)
        if name in announced:
            cells[name] = replace(_sent(cell, saying, now), outcome=Outcome.SENT, answer=UNRECORDED)
            deliveries.append(Delivery(saying, Outcome.SENT, UNRECORDED))
        else:
            cells[name] = replace(_gave_up(cell), answer=UNTOLD)
            deliveries.append(Delivery(saying, Outcome.FAILED, UNTOLD))
    return replace(standing, cells=cells), tuple(deliveries)


def _window(cell: Cell) -> float:
    """Seconds of the window that begins: `dedup_window`, then 1 h, 4 h, then daily."""
    if cell.rung == 0:
        return cell.dedup_window
    return max(cell.dedup_window, LADDER[min(cell.rung, len(LADDER)) - 1])


def _gave_up(cell: Cell) -> Cell:
    """Nothing more is tried until something new happens; a failed send never opens a window."""
    return replace(
        cell, want=cell.told, attempt=0, trying_since=None, due_at=None, window_ends_at=None, outcome=Outcome.FAILED
    )


def retry_delay(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds until the next attempt: what the remote asked for, else the schedule, up to a fifth longer."""
    if retry_after is not None:
        return retry_after * (1 + 0.05 * jitter)
    return RETRY_SCHEDULE[min(max(attempt, 1), len(RETRY_SCHEDULE)) - 1] * (1 + 0.2 * jitter)


# --- counting ---------------------------------------------------------------------------------------------------------


def _plus(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {**counts, **{cause: counts.get(cause, 0) + count for cause, count in more.items()}}


def _with_task(tasks: tuple[str, ...], task: str) -> tuple[str, ...]:
    if not task or task in tasks or len(tasks) >= TASKS_SHOWN:
        return tasks
    return (*tasks, task)
