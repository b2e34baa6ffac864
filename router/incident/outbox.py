"""The one mechanism for all sending, as pure functions. A cell is what one channel should have been told of an incident
(`want`), and what it was told (`told`).

    quiet ──something to say──► due ──a turn, a lease──► being told ──sent──► told; a window begins
                                 ▲                            └──not sent──► due later, or given up
                                 └── end of a window, of a recovery, of a wait for a turn: all only set `due_at`

Windows and leases run on the clock: `now`.
"""

from collections.abc import Collection
from typing import assert_never

from router.incident.state import Delivery, Dispatch, LeaseGrant, OutboxEntry, SendMode, SubjectState
from router.model import Incident, IncidentStatus, Kind, Outcome, Severity

HOUR = 3600.0
WINDOW_STEPS = (1 * HOUR, 4 * HOUR, 24 * HOUR)
"""The windows of an incident after its first (`dedup_window`), in seconds; the last repeats."""
RETRY_SCHEDULE = (30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds until the next attempt where the remote does not say; the last repeats, for `RETRY_FOR`."""
RETRY_FOR = 24 * HOUR
SENT_DURING_OUTAGE = "sent while history was unavailable"
NOT_SENT_DURING_OUTAGE = "not sent: history was unavailable"


# --- something is to be said ------------------------------------------------------------------------------------------


def request_send(entry: OutboxEntry, now: float) -> OutboxEntry:
    """One more revision to say: at once, unless the channel failed lately and its next attempt has its time already."""
    waiting = entry.due_at is not None and (entry.attempt > 0 or entry.is_leased(now))
    return entry._replace(wanted_revision=entry.wanted_revision + 1, due_at=entry.due_at if waiting else now)


def apply_incident_end(entry: OutboxEntry, incident: Incident, now: float) -> OutboxEntry:
    """The cell when its incident is over: who was told of the incident is owed the end of it.

    Who was to be told and was not yet is told once, that it opened and is over; but a stateful remote that was not
    triggered has nothing to resolve. If nobody knows whether it was, it is told: it drops what it has no use for.
    """
    if entry.is_leased(now):
        return entry  # `settle` comes here again
    if entry.last_kind_sent in {None, Kind.RESOLVED}:
        owed = entry.in_doubt or bool(entry.lease_owner) if entry.stateful else entry.is_behind
    else:
        owed = entry.stateful or entry.is_behind or incident.status is not IncidentStatus.LAPSED
    if owed:
        return entry if entry.is_behind else request_send(entry, now)
    return entry._replace(wanted_revision=entry.sent_revision, due_at=None)


def postpone(state: SubjectState, now: float, until: float) -> SubjectState:
    """Puts off to `until` (clock time) what is due of an incident that a silence holds back.

    That it is over is said all the same. A retry that waited begins anew, so that no silence uses up its day.
    """
    if state.incident is None or state.incident.over:
        return state
    entries = dict(state.outbox)
    for name in due_channels(state, now):
        entries[name] = entries[name]._replace(due_at=until, throttled=False, attempt=0, first_attempt_at=None)
    return state._replace(outbox=entries)


# --- somebody speaks --------------------------------------------------------------------------------------------------


def due_channels(state: SubjectState, now: float) -> tuple[str, ...]:
    """The channels that somebody must speak to now, and that nobody is speaking to."""
    if state.incident is None:
        return ()
    entries = state.outbox.items()
    return tuple(
        name for name, entry in entries if entry.due_at is not None and entry.due_at <= now and not entry.is_leased(now)
    )


def take_lease(state: SubjectState, now: float, terms: LeaseGrant) -> tuple[SubjectState, tuple[Dispatch, ...]]:
    """Takes the due cells that have a turn, and says what each of their channels is to be told."""
    entries = dict(state.outbox)
    dispatches = []
    for name in due_channels(state, now):
        if name in terms.grants:
            entries[name] = _with_lease(entries[name], now, terms)
            dispatches.append(_dispatch(state, name, entries[name], terms.grants[name]))
        elif name in terms.retry_at:
            entries[name] = _with_digest_requested(entries[name])._replace(due_at=terms.retry_at[name], throttled=True)
    return state._replace(outbox=entries), tuple(dispatches)


def _with_digest_requested(entry: OutboxEntry) -> OutboxEntry:
    """A due cell that is not behind is at the end of its window: a digest of what was held back is wanted."""
    return entry if entry.is_behind else entry._replace(wanted_revision=entry.wanted_revision + 1)


def _with_lease(entry: OutboxEntry, now: float, terms: LeaseGrant) -> OutboxEntry:
    return _with_digest_requested(entry)._replace(
        lease_owner=terms.owner,
        lease_ends_at=terms.until,
        in_doubt=entry.in_doubt or bool(entry.lease_owner),  # whoever had it before has died, perhaps after sending
        due_at=terms.until,  # should this process die, the due index brings the cell back when the lease has ended
        throttled=False,
        attempt=entry.attempt + 1,
        first_attempt_at=now if entry.first_attempt_at is None else entry.first_attempt_at,
    )


def next_kind(incident: Incident, entry: OutboxEntry) -> Kind:
    """What a channel is told now if it is told anything of this incident."""
    if incident.over:
        return Kind.RESOLVED
    return Kind.OPENED if entry.last_kind_sent in {None, Kind.RESOLVED} else Kind.UPDATED


def _dispatch(state: SubjectState, channel: str, entry: OutboxEntry, turn: SendMode) -> Dispatch:
    incident = state.incident
    assert incident is not None  # else nothing is due
    return Dispatch(
        channel,
        next_kind(incident, entry),
        entry.wanted_revision,
        entry.attempt,
        entry.last_kind_sent is None,
        incident.severity,
        dict(entry.suppressed),
        entry.options,
        turn,
    )


def fail_if_exhausted(state: SubjectState, delivery: Delivery, now: float) -> Delivery:
    """A retry is no retry any more, but failed, once the channel was tried for 24 h."""
    entry = state.outbox.get(delivery.dispatch.channel)
    if (
        delivery.outcome is Outcome.RETRY
        and entry
        and entry.first_attempt_at
        and now - entry.first_attempt_at >= RETRY_FOR
    ):
        return delivery._replace(outcome=Outcome.FAILED)
    return delivery


def apply_delivery(state: SubjectState, delivery: Delivery, owner: str, now: float, jitter: float) -> SubjectState:
    """Writes down what came of an attempt; changes nothing when the lease has passed to somebody else.

    Args:
        jitter: 0 to 1, so that what failed together does not come back together.
    """
    entry = state.outbox.get(delivery.dispatch.channel)
    if entry is None or entry.lease_owner != owner:
        return state
    entry = entry._replace(
        lease_owner="",
        lease_ends_at=0.0,
        in_doubt=entry.in_doubt or delivery.unanswered,
        outcome=delivery.outcome,
        response=delivery.response,
    )
    match delivery.outcome:
        case Outcome.SENT:
            entry = _sent(entry, delivery.dispatch, now)
        case Outcome.RETRY:
            entry = entry._replace(due_at=now + retry_delay(entry.attempt, delivery.retry_after, jitter))
        case Outcome.FAILED:
            entry = _failed(entry)
        case _:
            assert_never(delivery.outcome)
    if state.incident and state.incident.over and delivery.dispatch.kind is not Kind.RESOLVED:
        entry = apply_incident_end(entry, state.incident, now)
    return state._replace(outbox={**state.outbox, delivery.dispatch.channel: entry})


def _sent(entry: OutboxEntry, dispatch: Dispatch, now: float) -> OutboxEntry:
    held = {cause: count - dispatch.suppressed.get(cause, 0) for cause, count in entry.suppressed.items()}
    held = {cause: count for cause, count in held.items() if count > 0}
    over = dispatch.kind is Kind.RESOLVED
    window_ends_at = None if over else now + _window(entry)
    entry = entry._replace(
        sent_revision=dispatch.revision,
        last_kind_sent=dispatch.kind,
        announced_severity=Severity.INFO if over else dispatch.severity,
        suppressed={} if over else held,
        in_doubt=False,
        window_step=entry.window_step if over else entry.window_step + 1,
        window_ends_at=window_ends_at,
        attempt=0,
        first_attempt_at=None,
    )
    return entry._replace(due_at=now if entry.is_behind else window_ends_at if entry.suppressed else None)


def requeue(state: SubjectState, channel: str, now: float) -> tuple[SubjectState, str]:
    """Makes due again what failed for good, so that the channel hears the newest state.

    Returns:
        The standing, and why there is nothing to say; "" where there is.
    """
    entry, incident = state.outbox.get(channel), state.incident
    if entry is None or incident is None or entry.outcome is not Outcome.FAILED:
        return state, "told meanwhile" if entry and entry.outcome is Outcome.SENT else "tried again meanwhile"
    if entry.due_at is not None or entry.is_leased(now):
        return state, "due already"
    knows_of_none = entry.last_kind_sent in {None, Kind.RESOLVED}
    if incident.over and (
        entry.last_kind_sent is Kind.RESOLVED or (entry.stateful and knows_of_none and not entry.in_doubt)
    ):
        return state, "over, and the channel has nothing to resolve"
    return state._replace(outbox={**state.outbox, channel: request_send(entry, now)}), ""


def record_outage_sends(
    state: SubjectState, announced: Collection[str], before: SubjectState, now: float
) -> tuple[SubjectState, tuple[Delivery, ...]]:
    """Writes down what became of it while history was unreachable, so that nothing of it is said again.

    Args:
        standing, before: with an alert absorbed, and as it was before that.
        announced: the channels that were told. The others that would be told now were not, and are not.
    """
    incident, entries, deliveries = state.incident, dict(state.outbox), []
    known = before.outbox if before.incident and incident and before.incident.number == incident.number else {}
    for name, entry in state.outbox.items() if incident else ():
        was = known.get(name, entry._replace(wanted_revision=0, suppressed={}, due_at=None))
        if (
            incident is None
            or entry.is_leased(now)
            or not (entry.wanted_revision > was.wanted_revision or name in announced)
        ):
            entries[name] = entry._replace(suppressed=was.suppressed, due_at=was.due_at)
            continue
        wanted = max(entry.wanted_revision, entry.sent_revision + 1)
        owed = entry._replace(wanted_revision=wanted, suppressed=was.suppressed)
        dispatch = _dispatch(state, name, owed._replace(attempt=1, suppressed={}), SendMode.SINGLE)
        if name in announced:
            entries[name] = _sent(owed, dispatch, now)._replace(outcome=Outcome.SENT, response=SENT_DURING_OUTAGE)
            deliveries.append(Delivery(dispatch, Outcome.SENT, SENT_DURING_OUTAGE))
        else:
            entries[name] = _failed(owed)._replace(response=NOT_SENT_DURING_OUTAGE)
            deliveries.append(Delivery(dispatch, Outcome.FAILED, NOT_SENT_DURING_OUTAGE))
    return state._replace(outbox=entries), tuple(deliveries)


def _window(entry: OutboxEntry) -> float:
    """Seconds of the window that begins: `dedup_window`, then 1 h, 4 h, then daily."""
    if entry.window_step == 0:
        return entry.dedup_window
    return max(entry.dedup_window, WINDOW_STEPS[min(entry.window_step, len(WINDOW_STEPS)) - 1])


def _failed(entry: OutboxEntry) -> OutboxEntry:
    """Nothing more is tried until something new happens; a failed send never opens a window."""
    return entry._replace(
        wanted_revision=entry.sent_revision,
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
