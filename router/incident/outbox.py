"""The one mechanism for all sending, as pure functions. A cell is what one channel should have been told of an incident
(`want`), and what it was told (`told`).

    quiet ──something to say──► due ──a turn, a lease──► being told ──sent──► told; a window begins
                                 ▲                            └──not sent──► due later, or given up
                                 └── end of a window, of a recovery, of a wait for a turn: all only set `due_at`

Windows and leases run on the clock: `now`.
"""

from collections.abc import Collection

from router.incident.state import OutboxEntry, Delivery, Dispatch, SubjectState, LeaseGrant, SendMode
from router.model import Incident, Kind, Outcome, Severity

HOUR = 3600.0
WINDOW_STEPS = (1 * HOUR, 4 * HOUR, 24 * HOUR)
"""The windows of an incident after its first (`dedup_window`), in seconds; the last repeats."""
RETRY_SCHEDULE = (30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds until the next attempt where the remote does not say; the last repeats, for `RETRY_FOR`."""
RETRY_FOR = 24 * HOUR
SENT_DURING_OUTAGE = "sent while history was unavailable"
NOT_SENT_DURING_OUTAGE = "not sent: history was unavailable"


# --- something is to be said ------------------------------------------------------------------------------------------


def request_send(cell: OutboxEntry, now: float) -> OutboxEntry:
    """One more revision to say: at once, unless the channel failed lately and its next attempt has its time already."""
    waiting = cell.due_at is not None and (cell.attempt > 0 or cell.is_leased(now))
    return cell._replace(wanted_revision=cell.wanted_revision + 1, due_at=cell.due_at if waiting else now)


def apply_incident_end(cell: OutboxEntry, incident: Incident, now: float) -> OutboxEntry:
    """The cell when its incident is over: who was told of the incident is owed the end of it.

    Who was to be told and was not yet is told once, that it opened and is over; but a stateful remote that was not
    triggered has nothing to resolve. If nobody knows whether it was, it is told: it drops what it has no use for.
    """
    if cell.is_leased(now):
        return cell  # `settle` comes here again
    if cell.last_kind_sent in {None, Kind.RESOLVED}:
        owed = cell.in_doubt or bool(cell.lease_owner) if cell.stateful else cell.is_behind
    else:
        owed = cell.stateful or cell.is_behind or incident.status != "lapsed"
    if owed:
        return cell if cell.is_behind else request_send(cell, now)
    return cell._replace(wanted_revision=cell.sent_revision, due_at=None)


def postpone(standing: SubjectState, now: float, until: float) -> SubjectState:
    """Puts off to `until` (clock time) what is due of an incident that a silence holds back.

    That it is over is said all the same. A retry that waited begins anew, so that no silence uses up its day.
    """
    if standing.incident is None or standing.incident.over:
        return standing
    cells = dict(standing.outbox)
    for name in due_channels(standing, now):
        cells[name] = cells[name]._replace(due_at=until, throttled=False, attempt=0, first_attempt_at=None)
    return standing._replace(outbox=cells)


# --- somebody speaks --------------------------------------------------------------------------------------------------


def due_channels(standing: SubjectState, now: float) -> tuple[str, ...]:
    """The channels that somebody must speak to now, and that nobody is speaking to."""
    if standing.incident is None:
        return ()
    cells = standing.outbox.items()
    return tuple(
        name for name, cell in cells if cell.due_at is not None and cell.due_at <= now and not cell.is_leased(now)
    )


def take_lease(standing: SubjectState, now: float, terms: LeaseGrant) -> tuple[SubjectState, tuple[Dispatch, ...]]:
    """Takes the due cells that have a turn, and says what each of their channels is to be told."""
    cells = dict(standing.outbox)
    sayings = []
    for name in due_channels(standing, now):
        if name in terms.grants:
            cells[name] = _with_lease(cells[name], now, terms)
            sayings.append(_dispatch(standing, name, cells[name], terms.grants[name]))
        elif name in terms.retry_at:
            cells[name] = _with_digest_requested(cells[name])._replace(due_at=terms.retry_at[name], throttled=True)
    return standing._replace(outbox=cells), tuple(sayings)


def _with_digest_requested(cell: OutboxEntry) -> OutboxEntry:
    """A due cell that is not behind is at the end of its window: a digest of what was held back is wanted."""
    return cell if cell.is_behind else cell._replace(wanted_revision=cell.wanted_revision + 1)


def _with_lease(cell: OutboxEntry, now: float, terms: LeaseGrant) -> OutboxEntry:
    return _with_digest_requested(cell)._replace(
        lease_owner=terms.owner,
        lease_ends_at=terms.until,
        in_doubt=cell.in_doubt or bool(cell.lease_owner),  # whoever had it before has died, perhaps after sending
        due_at=terms.until,  # should this process die, the due index brings the cell back when the lease has ended
        throttled=False,
        attempt=cell.attempt + 1,
        first_attempt_at=now if cell.first_attempt_at is None else cell.first_attempt_at,
    )


def next_kind(incident: Incident, cell: OutboxEntry) -> Kind:
    """What a channel is told now if it is told anything of this incident."""
    if incident.over:
        return Kind.RESOLVED
    return Kind.OPENED if cell.last_kind_sent in {None, Kind.RESOLVED} else Kind.UPDATED


def _dispatch(standing: SubjectState, channel: str, cell: OutboxEntry, turn: SendMode) -> Dispatch:
    incident = standing.incident
    assert incident is not None  # else nothing is due
    return Dispatch(
        channel,
        next_kind(incident, cell),
        cell.wanted_revision,
        cell.attempt,
        cell.last_kind_sent is None,
        incident.severity,
        dict(cell.suppressed),
        cell.options,
        turn,
    )


def fail_if_exhausted(standing: SubjectState, delivery: Delivery, now: float) -> Delivery:
    """A retry is no retry any more, but failed, once the channel was tried for 24 h."""
    cell = standing.outbox.get(delivery.dispatch.channel)
    if (
        delivery.outcome is Outcome.RETRY
        and cell
        and cell.first_attempt_at
        and now - cell.first_attempt_at >= RETRY_FOR
    ):
        return delivery._replace(outcome=Outcome.FAILED)
    return delivery


def apply_delivery(standing: SubjectState, delivery: Delivery, owner: str, now: float, jitter: float) -> SubjectState:
    """Writes down what came of an attempt; changes nothing when the lease has passed to somebody else.

    Args:
        jitter: 0 to 1, so that what failed together does not come back together.
    """
    cell = standing.outbox.get(delivery.dispatch.channel)
    if cell is None or cell.lease_owner != owner:
        return standing
    cell = cell._replace(
        lease_owner="",
        lease_ends_at=0.0,
        in_doubt=cell.in_doubt or delivery.unanswered,
        outcome=delivery.outcome,
        response=delivery.response,
    )
    if delivery.outcome is Outcome.SENT:
        cell = _sent(cell, delivery.dispatch, now)
    elif delivery.outcome is Outcome.RETRY:
        cell = cell._replace(due_at=now + retry_delay(cell.attempt, delivery.retry_after, jitter))
    else:
        cell = _failed(cell)
    if standing.incident and standing.incident.over and delivery.dispatch.kind is not Kind.RESOLVED:
        cell = apply_incident_end(cell, standing.incident, now)
    return standing._replace(outbox={**standing.outbox, delivery.dispatch.channel: cell})


def _sent(cell: OutboxEntry, saying: Dispatch, now: float) -> OutboxEntry:
    held = {cause: count - saying.suppressed.get(cause, 0) for cause, count in cell.suppressed.items()}
    held = {cause: count for cause, count in held.items() if count > 0}
    over = saying.kind is Kind.RESOLVED
    window_ends_at = None if over else now + _window(cell)
    cell = cell._replace(
        sent_revision=saying.revision,
        last_kind_sent=saying.kind,
        announced_severity=Severity.INFO if over else saying.severity,
        suppressed={} if over else held,
        in_doubt=False,
        window_step=cell.window_step if over else cell.window_step + 1,
        window_ends_at=window_ends_at,
        attempt=0,
        first_attempt_at=None,
    )
    return cell._replace(due_at=now if cell.is_behind else window_ends_at if cell.suppressed else None)


def requeue(standing: SubjectState, channel: str, now: float) -> tuple[SubjectState, str]:
    """Makes due again what failed for good, so that the channel hears the newest state.

    Returns:
        The standing, and why there is nothing to say; "" where there is.
    """
    cell, incident = standing.outbox.get(channel), standing.incident
    if cell is None or incident is None or cell.outcome is not Outcome.FAILED:
        return standing, "told meanwhile" if cell and cell.outcome is Outcome.SENT else "tried again meanwhile"
    if cell.due_at is not None or cell.is_leased(now):
        return standing, "due already"
    knows_of_none = cell.last_kind_sent in {None, Kind.RESOLVED}
    if incident.over and (
        cell.last_kind_sent is Kind.RESOLVED or (cell.stateful and knows_of_none and not cell.in_doubt)
    ):
        return standing, "over, and the channel has nothing to resolve"
    return standing._replace(outbox={**standing.outbox, channel: request_send(cell, now)}), ""


def record_outage_sends(
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
        was = known.get(name, cell._replace(wanted_revision=0, suppressed={}, due_at=None))
        if (
            incident is None
            or cell.is_leased(now)
            or not (cell.wanted_revision > was.wanted_revision or name in announced)
        ):
            cells[name] = cell._replace(suppressed=was.suppressed, due_at=was.due_at)
            continue
        cell = cell._replace(
            wanted_revision=max(cell.wanted_revision, cell.sent_revision + 1), suppressed=was.suppressed
        )  # noqa: PLW2901 - the cell moves on
        saying = _dispatch(standing, name, cell._replace(attempt=1, suppressed={}), SendMode.SINGLE)
        if name in announced:
            cells[name] = _sent(cell, saying, now)._replace(outcome=Outcome.SENT, response=SENT_DURING_OUTAGE)
            deliveries.append(Delivery(saying, Outcome.SENT, SENT_DURING_OUTAGE))
        else:
            cells[name] = _failed(cell)._replace(response=NOT_SENT_DURING_OUTAGE)
            deliveries.append(Delivery(saying, Outcome.FAILED, NOT_SENT_DURING_OUTAGE))
    return standing._replace(outbox=cells), tuple(deliveries)


def _window(cell: OutboxEntry) -> float:
    """Seconds of the window that begins: `dedup_window`, then 1 h, 4 h, then daily."""
    if cell.window_step == 0:
        return cell.dedup_window
    return max(cell.dedup_window, WINDOW_STEPS[min(cell.window_step, len(WINDOW_STEPS)) - 1])


def _failed(cell: OutboxEntry) -> OutboxEntry:
    """Nothing more is tried until something new happens; a failed send never opens a window."""
    return cell._replace(
        wanted_revision=cell.sent_revision,
        attempt=0,
        first_attempt_at=None,
        due_at=None,
        window_ends_at=None,
        outcome=Outcome.FAILED,
    )


def retry_delay(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds until the next attempt: what the remote asked for, else the schedule, up to a fifth longer."""
    if retry_after is not None:
        return retry_after * (1 + 0.05 * jitter)
    return RETRY_SCHEDULE[min(max(attempt, 1), len(RETRY_SCHEDULE)) - 1] * (1 + 0.2 * jitter)
