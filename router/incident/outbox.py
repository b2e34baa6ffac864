"""The one mechanism for all sending, as pure functions. A cell is what one channel should have been told of an incident
(`want`), and what it was told (`told`).

    quiet ──something to say──► due ──a turn, a lease──► being told ──sent──► told; a window begins
                                 ▲                            └──not sent──► due later, or given up
                                 └── end of a window, of a recovery, of a wait for a turn: all only set `due_at`

Windows and leases run on the clock: `now`.
"""

from collections.abc import Collection

from router.incident.state import Cell, Delivery, Saying, SubjectState, Terms, Turn
from router.model import Incident, Kind, Outcome, Severity

HOUR = 3600.0
LADDER = (1 * HOUR, 4 * HOUR, 24 * HOUR)
"""The windows of an incident after its first (`dedup_window`), in seconds; the last repeats."""
RETRY_SCHEDULE = (30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds until the next attempt where the remote does not say; the last repeats, for `RETRY_FOR`."""
RETRY_FOR = 24 * HOUR
UNRECORDED = "sent while history was unavailable"
UNTOLD = "not sent: history was unavailable"


# --- something is to be said ------------------------------------------------------------------------------------------


def wanting(cell: Cell, now: float) -> Cell:
    """One more revision to say: at once, unless the channel failed lately and its next attempt has its time already."""
    waiting = cell.due_at is not None and (cell.attempt > 0 or cell.leased(now))
    return cell._replace(want=cell.want + 1, due_at=cell.due_at if waiting else now)


def at_the_end(cell: Cell, incident: Incident, now: float) -> Cell:
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
        return cell if cell.behind else wanting(cell, now)
    return cell._replace(want=cell.told, due_at=None)


def hold(standing: SubjectState, now: float, until: float) -> SubjectState:
    """Puts off to `until` (clock time) what is due of an incident that a silence holds back.

    That it is over is said all the same. A retry that waited begins anew, so that no silence uses up its day.
    """
    if standing.incident is None or standing.incident.over:
        return standing
    cells = dict(standing.outbox)
    for name in due_cells(standing, now):
        cells[name] = cells[name]._replace(due_at=until, waiting=False, attempt=0, trying_since=None)
    return standing._replace(outbox=cells)


# --- somebody speaks --------------------------------------------------------------------------------------------------


def due_cells(standing: SubjectState, now: float) -> tuple[str, ...]:
    """The channels that somebody must speak to now, and that nobody is speaking to."""
    if standing.incident is None:
        return ()
    cells = standing.outbox.items()
    return tuple(
        name for name, cell in cells if cell.due_at is not None and cell.due_at <= now and not cell.leased(now)
    )


def lease(standing: SubjectState, now: float, terms: Terms) -> tuple[SubjectState, tuple[Saying, ...]]:
    """Takes the due cells that have a turn, and says what each of their channels is to be told."""
    cells = dict(standing.outbox)
    sayings = []
    for name in due_cells(standing, now):
        if name in terms.turns:
            cells[name] = _leased(cells[name], now, terms)
            sayings.append(_saying(standing, name, cells[name], terms.turns[name]))
        elif name in terms.waits:
            cells[name] = _asked(cells[name])._replace(due_at=terms.waits[name], waiting=True)
    return standing._replace(outbox=cells), tuple(sayings)


def _asked(cell: Cell) -> Cell:
    """A due cell that is not behind is at the end of its window: a digest of what was held back is wanted."""
    return cell if cell.behind else cell._replace(want=cell.want + 1)


def _leased(cell: Cell, now: float, terms: Terms) -> Cell:
    return _asked(cell)._replace(
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


def _saying(standing: SubjectState, channel: str, cell: Cell, turn: Turn) -> Saying:
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


def judge(standing: SubjectState, delivery: Delivery, now: float) -> Delivery:
    """A retry is no retry any more, but failed, once the channel was tried for 24 h."""
    cell = standing.outbox.get(delivery.saying.channel)
    if delivery.outcome is Outcome.RETRY and cell and cell.trying_since and now - cell.trying_since >= RETRY_FOR:
        return delivery._replace(outcome=Outcome.FAILED)
    return delivery


def settle(standing: SubjectState, delivery: Delivery, owner: str, now: float, jitter: float) -> SubjectState:
    """Writes down what came of an attempt; changes nothing when the lease has passed to somebody else.

    Args:
        jitter: 0 to 1, so that what failed together does not come back together.
    """
    cell = standing.outbox.get(delivery.saying.channel)
    if cell is None or cell.lease != owner:
        return standing
    cell = cell._replace(
        lease="",
        lease_ends_at=0.0,
        unsure=cell.unsure or delivery.unanswered,
        outcome=delivery.outcome,
        answer=delivery.answer,
    )
    if delivery.outcome is Outcome.SENT:
        cell = _sent(cell, delivery.saying, now)
    elif delivery.outcome is Outcome.RETRY:
        cell = cell._replace(due_at=now + retry_delay(cell.attempt, delivery.retry_after, jitter))
    else:
        cell = _gave_up(cell)
    if standing.incident and standing.incident.over and delivery.saying.kind is not Kind.RESOLVED:
        cell = at_the_end(cell, standing.incident, now)
    return standing._replace(outbox={**standing.outbox, delivery.saying.channel: cell})


def _sent(cell: Cell, saying: Saying, now: float) -> Cell:
    held = {cause: count - saying.held.get(cause, 0) for cause, count in cell.held.items()}
    held = {cause: count for cause, count in held.items() if count > 0}
    over = saying.kind is Kind.RESOLVED
    window_ends_at = None if over else now + _window(cell)
    cell = cell._replace(
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
    return cell._replace(due_at=now if cell.behind else window_ends_at if cell.held else None)


def revive(standing: SubjectState, channel: str, now: float) -> tuple[SubjectState, str]:
    """Makes due again what failed for good, so that the channel hears the newest state.

    Returns:
        The standing, and why there is nothing to say; "" where there is.
    """
    cell, incident = standing.outbox.get(channel), standing.incident
    if cell is None or incident is None or cell.outcome is not Outcome.FAILED:
        return standing, "told meanwhile" if cell and cell.outcome is Outcome.SENT else "tried again meanwhile"
    if cell.due_at is not None or cell.leased(now):
        return standing, "due already"
    knows_of_none = cell.heard in {None, Kind.RESOLVED}
    if incident.over and (cell.heard is Kind.RESOLVED or (cell.stateful and knows_of_none and not cell.unsure)):
        return standing, "over, and the channel has nothing to resolve"
    return standing._replace(outbox={**standing.outbox, channel: wanting(cell, now)}), ""


def told_without_history(
    standing: SubjectState, announced: Collection[str], before: SubjectState, now: float
) -> tuple[SubjectState, tuple[Delivery, ...]]:
    """Writes down what became of it while history was unreachable, so that nothing of it is said again.

    Args:
        standing, before: with an alert absorbed, and as it was before that.
        announced: the channels that were told. The others that would be told now were not, and are not.
    """
    incident, cells, deliveries = standing.incident, dict(standing.outbox), []
    known = before.outbox if before.incident and incident and before.incident.number == incident.number else {}
    for name, cell in standing.outbox.items() if incident else ():
        was = known.get(name, cell._replace(want=0, held={}, due_at=None))
        if incident is None or cell.leased(now) or not (cell.want > was.want or name in announced):
            cells[name] = cell._replace(held=was.held, due_at=was.due_at)
            continue
        cell = cell._replace(want=max(cell.want, cell.told + 1), held=was.held)  # noqa: PLW2901 - the cell moves on
        saying = _saying(standing, name, cell._replace(attempt=1, held={}), Turn.ALONE)
        if name in announced:
            cells[name] = _sent(cell, saying, now)._replace(outcome=Outcome.SENT, answer=UNRECORDED)
            deliveries.append(Delivery(saying, Outcome.SENT, UNRECORDED))
        else:
            cells[name] = _gave_up(cell)._replace(answer=UNTOLD)
            deliveries.append(Delivery(saying, Outcome.FAILED, UNTOLD))
    return standing._replace(outbox=cells), tuple(deliveries)


def _window(cell: Cell) -> float:
    """Seconds of the window that begins: `dedup_window`, then 1 h, 4 h, then daily."""
    if cell.rung == 0:
        return cell.dedup_window
    return max(cell.dedup_window, LADDER[min(cell.rung, len(LADDER)) - 1])


def _gave_up(cell: Cell) -> Cell:
    """Nothing more is tried until something new happens; a failed send never opens a window."""
    return cell._replace(
        want=cell.told, attempt=0, trying_since=None, due_at=None, window_ends_at=None, outcome=Outcome.FAILED
    )


def retry_delay(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds until the next attempt: what the remote asked for, else the schedule, up to a fifth longer."""
    if retry_after is not None:
        return retry_after * (1 + 0.05 * jitter)
    return RETRY_SCHEDULE[min(max(attempt, 1), len(RETRY_SCHEDULE)) - 1] * (1 + 0.2 * jitter)
