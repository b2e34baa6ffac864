"""All sending goes through the outbox, one entry for each incident and channel. These are its pure functions.

An entry holds the revision that the channel should have been told (`wanted_revision`) and the one that it was told
(`sent_revision`).

    idle ──something to say──► due ──grant and lease──► sending ──sent──► idle, and a window begins
                                ▲                          └──not sent──► due later, or failed
                                └── the end of a window, of a recovery or of throttling only sets `due_at`

Windows and leases use clock time: `now`.
"""

from collections.abc import Collection, Mapping
from typing import assert_never

from router.incident.recovery import continues, continuing, without_data_since
from router.incident.state import HOUR, Delivery, Dispatch, LeaseGrant, OutboxEntry, SendMode, SubjectState
from router.model import Alert, Incident, Kind, Outcome, Reason, Severity

WINDOW_STEPS = (1 * HOUR, 4 * HOUR, 24 * HOUR)
"""Seconds of each window after the first, which lasts `dedup_window`; the last one repeats."""
RETRY_SCHEDULE = (30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds until the next attempt if the remote does not say; the last one repeats for `RETRY_FOR`."""
RETRY_FOR = 24 * HOUR
SENT_DURING_OUTAGE = "sent while history was unavailable"
NOT_SENT_DURING_OUTAGE = "not sent: history was unavailable"
_UNTOLD = OutboxEntry(dedup_window=0.0)
"""What a channel that has no entry was told, and should be told: nothing."""


# --- what should be sent ----------------------------------------------------------------------------------------------


def request_send(entry: OutboxEntry, now: float) -> OutboxEntry:
    """Adds a revision to send: now, or with the attempt that is in progress or already scheduled."""
    scheduled = entry.due_at is not None and (entry.attempt > 0 or entry.is_leased(now))
    return entry._replace(wanted_revision=entry.wanted_revision + 1, due_at=entry.due_at if scheduled else now)


def apply_incident_end(entry: OutboxEntry, now: float) -> OutboxEntry:
    """The entry once its incident is over: a channel that was told of the incident is told that it is over.

    A channel that missed the opening gets one "opened and over" message. A stateful channel that was never triggered
    gets nothing. If we cannot tell whether it was triggered, it gets `resolved`: it ignores unknown keys.
    """
    if entry.is_leased(now):
        return entry  # `apply_delivery` calls this again
    # A lease that ended without a result: its owner died, perhaps after sending.
    if _is_owed_the_end(entry, in_doubt=entry.in_doubt or bool(entry.lease_owner)):
        return entry if entry.is_behind else request_send(entry, now)
    return entry._replace(wanted_revision=entry.sent_revision, due_at=None)


def _is_owed_the_end(entry: OutboxEntry, *, in_doubt: bool) -> bool:
    """Whether a channel is told that the incident is over; `in_doubt` as in `OutboxEntry`."""
    knows = entry.knows_incident or entry.outage_alert
    return knows or (in_doubt if entry.stateful else entry.is_behind)


def withdraw_end(entry: OutboxEntry, severity: Severity) -> OutboxEntry:
    """The entry of an incident that is open again: an end that nobody has begun to send is withdrawn.

    Args:
        severity: that of the incident before the alert that opens it again. Anything else to be sent stays due.
    """
    untried = entry.is_behind and entry.knows_incident and not entry.attempt and not entry.lease_owner
    if not untried or entry.immediate or severity.worse_than(entry.announced_severity):
        return entry
    due_at = entry.window_ends_at if entry.suppressed else None
    return entry._replace(wanted_revision=entry.sent_revision, due_at=due_at, throttled=False)


def close_outbox(state: SubjectState, now: float) -> SubjectState:
    """The state of an incident that is over: see `apply_incident_end`.

    A send that was tried and is no longer owed has failed: history must say so, and `redrive` must find it.
    """
    entries, given_up = {}, list(state.given_up)
    for name, before in state.outbox.items():
        entry = apply_incident_end(before, now)
        tried = before.attempt or before.outcome is Outcome.RETRY  # a silence has begun the attempts anew
        if tried and before.is_behind and not entry.is_behind:
            entry = _failed(before)
            dispatch = _dispatch(state, name, before, SendMode.SINGLE)
            given_up.append(Delivery(dispatch, Outcome.FAILED, before.response))
        entries[name] = entry
    return state._replace(outbox=entries, given_up=tuple(given_up))


def postpone(state: SubjectState, now: float, until: float) -> SubjectState:
    """Postpones the due entries of a silenced incident to `until` (clock time).

    Resolutions are still sent. Pending retries restart, so time spent silenced does not count towards `RETRY_FOR`.
    """
    if state.incident is None or state.incident.over:
        return state
    entries = dict(state.outbox)
    for name in due_channels(state, now):
        entries[name] = entries[name]._replace(due_at=until, throttled=False, attempt=0, first_attempt_at=None)
    return state._replace(outbox=entries)


# --- sending ----------------------------------------------------------------------------------------------------------


def due_channels(state: SubjectState, now: float) -> tuple[str, ...]:
    """The channels whose entries are due and not leased."""
    if state.incident is None:
        return ()
    return tuple(
        name
        for name, entry in state.outbox.items()
        if entry.due_at is not None and entry.due_at <= now and not entry.is_leased(now)
    )


def take_lease(state: SubjectState, now: float, terms: LeaseGrant) -> tuple[SubjectState, tuple[Dispatch, ...]]:
    """Leases the due entries whose channels have a grant; returns a dispatch for each."""
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
    """An entry that is due and not behind is at the end of its window: it wants a digest of what was suppressed."""
    return entry if entry.is_behind else entry._replace(wanted_revision=entry.wanted_revision + 1)


def _with_lease(entry: OutboxEntry, now: float, terms: LeaseGrant) -> OutboxEntry:
    return _with_digest_requested(entry)._replace(
        lease_owner=terms.owner,
        lease_ends_at=terms.until,
        in_doubt=entry.in_doubt or bool(entry.lease_owner),  # the previous owner died, perhaps after sending
        due_at=terms.until,  # if this process dies, the due index returns the entry once the lease has expired
        throttled=False,
        attempt=entry.attempt + 1,
        first_attempt_at=now if entry.first_attempt_at is None else entry.first_attempt_at,
    )


def next_kind(incident: Incident, entry: OutboxEntry) -> Kind:
    """The kind of the next notification about this incident."""
    if incident.over:
        return Kind.RESOLVED
    return Kind.UPDATED if entry.knows_incident else Kind.OPENED


def next_reason(incident: Incident, entry: OutboxEntry) -> Reason:
    """Why the channel is notified next."""
    if incident.over:
        return Reason.ENDED
    if not entry.knows_incident:
        return Reason.FIRST if entry.last_kind_sent is None else Reason.RETURNED
    if entry.immediate or incident.severity.worse_than(entry.announced_severity):
        return Reason.WORSE
    return Reason.DIGEST if any(entry.suppressed.values()) else Reason.REMINDER


def _dispatch(state: SubjectState, channel: str, entry: OutboxEntry, mode: SendMode) -> Dispatch:
    incident = state.incident
    assert incident is not None  # else nothing is due
    reason = next_reason(incident, entry)
    return Dispatch(
        channel=channel,
        kind=next_kind(incident, entry),
        revision=entry.wanted_revision,
        attempt=entry.attempt,
        is_first=not entry.knows_incident,
        severity=incident.severity,
        suppressed=dict(entry.suppressed),
        options=entry.options,
        mode=mode,
        opens_window=not entry.only_self_reports,
        reason=reason,
        alert=_described(state, incident, reason),
        continuing=continuing(state),
        without_data_since=without_data_since(state),
        of_outage=entry.outage_alert and incident.over and entry.last_kind_sent is Kind.RESOLVED,
        remote=entry.remote,
        in_doubt=entry.in_doubt,
    )


def _described(state: SubjectState, incident: Incident, reason: Reason) -> Alert | None:
    """The alert that a message describes: an update describes what is new, or what continues. None: the worst one."""
    if reason in {Reason.FIRST, Reason.ENDED} or incident.latest is None:
        return None
    if reason is Reason.REMINDER and not continues(state, incident.latest) and continues(state, incident.alert):
        return None
    return incident.latest


def fail_if_exhausted(state: SubjectState, delivery: Delivery, now: float) -> Delivery:
    """The delivery, with `retry` turned into `failed` if it will not be tried again.

    That is so if the first attempt was `RETRY_FOR` seconds ago, or if the channel is owed nothing any more.
    """
    entry = state.outbox.get(delivery.dispatch.channel)
    if delivery.outcome is not Outcome.RETRY or entry is None:
        return delivery
    exhausted = entry.first_attempt_at is not None and now - entry.first_attempt_at >= RETRY_FOR
    return delivery._replace(outcome=Outcome.FAILED) if exhausted or _is_pointless(state, delivery, entry) else delivery


def _is_pointless(state: SubjectState, delivery: Delivery, entry: OutboxEntry) -> bool:
    """Whether the incident has ended during the attempt, and the channel no longer needs to be told of it."""
    if state.incident is None or not state.incident.over or delivery.dispatch.kind is Kind.RESOLVED:
        return False
    return not _is_owed_the_end(entry, in_doubt=entry.in_doubt or delivery.unanswered)


def apply_delivery(state: SubjectState, delivery: Delivery, owner: str, now: float, jitter: float) -> SubjectState:
    """Records the result of an attempt. Does nothing if `owner` has lost the lease.

    Args:
        jitter: 0 to 1; spreads the retries of sends that failed together.
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
            entry = _sent(_with_memory(entry, delivery), delivery.dispatch, now)
        case Outcome.RETRY:
            entry = entry._replace(due_at=now + retry_delay(entry.attempt, delivery.retry_after, jitter))
        case Outcome.FAILED:
            entry = _failed(entry)
        case _:
            assert_never(delivery.outcome)
    if state.incident and state.incident.over and delivery.dispatch.kind is not Kind.RESOLVED:
        entry = apply_incident_end(entry, now)
    sent = delivery.outcome is Outcome.SENT and delivery.dispatch.kind is not Kind.RESOLVED
    return state._replace(
        outbox={**state.outbox, delivery.dispatch.channel: entry}, latest_sent=state.latest_sent or sent
    )


def _with_memory(entry: OutboxEntry, delivery: Delivery) -> OutboxEntry:
    """The entry with what the channel is to remember. A bundle never takes the place of an incident's own message.

    A bundle is remembered only if its memory says `bundle`: any other would be edited as if it were about one incident.
    """
    if delivery.remote is None:
        return entry
    if delivery.dispatch.mode is SendMode.BUNDLED and (entry.remote or "bundle" not in delivery.remote):
        return entry
    return entry._replace(remote=delivery.remote)


def _sent(entry: OutboxEntry, dispatch: Dispatch, now: float) -> OutboxEntry:
    untold = {cause: count - dispatch.suppressed.get(cause, 0) for cause, count in entry.suppressed.items()}
    over = dispatch.kind is Kind.RESOLVED
    if not over and not dispatch.opens_window:
        return _sent_self_report(entry, dispatch, untold, now)
    window_ends_at = None if over else now + _window_length(entry)
    entry = entry._replace(
        sent_revision=dispatch.revision,
        last_kind_sent=dispatch.kind,
        announced_severity=Severity.INFO if over else dispatch.severity,
        suppressed={cause: count for cause, count in untold.items() if count > 0},
        only_self_reports=False,
        immediate=entry.immediate and entry.wanted_revision > dispatch.revision,  # came while this was being sent
        sent_at=now,
        in_doubt=False,
        window_step=entry.window_step if over else entry.window_step + 1,
        window_ends_at=window_ends_at,
        attempt=0,
        first_attempt_at=None,
    )
    if over and entry.outage_alert:  # the incident's own alert is resolved; the one without history follows
        left = not dispatch.of_outage
        entry = entry._replace(outage_alert=left, wanted_revision=entry.wanted_revision + left)
    return entry._replace(due_at=now if entry.is_behind else window_ends_at if entry.suppressed else None)


def _sent_self_report(entry: OutboxEntry, dispatch: Dispatch, untold: Mapping[str, int], now: float) -> OutboxEntry:
    """A message about self-reports alone holds nothing back that follows it, neither by a window nor by severity."""
    entry = entry._replace(
        sent_revision=dispatch.revision,
        last_kind_sent=dispatch.kind,
        suppressed={cause: count for cause, count in untold.items() if count > 0},
        sent_at=now,
        in_doubt=False,
        attempt=0,
        first_attempt_at=None,
    )
    left = now if entry.window_ends_at is None else max(now, entry.window_ends_at)
    return entry._replace(due_at=now if entry.is_behind else left if entry.suppressed else None)


def requeue(state: SubjectState, channel: str, now: float) -> tuple[SubjectState, str]:
    """Makes a failed entry due again, so that the channel gets the newest state.

    Returns:
        The subject state, and why there is nothing to send; "" if there is.
    """
    entry, incident = state.outbox.get(channel), state.incident
    if entry is None or incident is None or entry.outcome is not Outcome.FAILED:
        return state, "told meanwhile" if entry and entry.outcome is Outcome.SENT else "tried again meanwhile"
    if entry.due_at is not None or entry.is_leased(now):
        return state, "due already"
    never_triggered = entry.stateful and not entry.knows_incident and not entry.in_doubt
    if incident.over and (entry.last_kind_sent is Kind.RESOLVED or never_triggered):
        return state, "over, and the channel has nothing to resolve"
    return state._replace(outbox={**state.outbox, channel: request_send(entry, now)}), ""


def drop(state: SubjectState, channel: str, now: float) -> tuple[SubjectState, str]:
    """Forgets what a channel has yet to be sent, and that it was notified of the incident at all.

    Returns:
        The subject state, and why nothing was dropped; "" if it was.
    """
    entry = state.outbox.get(channel)
    if entry and entry.is_leased(now):
        return state, "it is being sent now"
    return state._replace(outbox={name: entry for name, entry in state.outbox.items() if name != channel}), ""


def record_outage_sends(
    state: SubjectState, announced: Collection[str], before: SubjectState, now: float
) -> tuple[SubjectState, tuple[Delivery, ...]]:
    """Records what was sent while history was unreachable, so that it is not sent again.

    Args:
        state: with the alert applied.
        announced: the channels that were notified. The other channels that are owed it get `failed`, and no message;
            if they are tried again, that message tells what they have missed. To those whose window is open, the alert
            is one that the window holds back. Without any channel, the alert was no news then, and is none now.
        before: the state without the alert.
    """
    incident, entries, deliveries = state.incident, {}, []
    if incident is None:
        return state, ()
    known = before.outbox if before.incident and before.incident.number == incident.number else {}
    for name, entry in state.outbox.items():
        previous = known.get(name, _UNTOLD)
        is_owed = entry.wanted_revision > previous.wanted_revision
        if announced and name not in announced and not is_owed:
            entries[name] = entry  # its message failed, but its window is open: the next digest tells of the alert
            continue
        if entry.is_leased(now) or not (is_owed or name in announced):
            keeps_alert = entry.outage_alert or (entry.stateful and name in announced)
            entries[name] = entry._replace(
                suppressed=previous.suppressed, due_at=previous.due_at, outage_alert=keeps_alert
            )
            continue
        wanted = max(entry.wanted_revision, entry.sent_revision + 1)
        owed = entry._replace(wanted_revision=wanted, suppressed=_left_untold(previous))
        after_send, sent = _told_during_outage(state, name, owed, now)
        if name in announced:
            entries[name] = after_send
            deliveries.append(sent)
        else:
            entries[name] = _failed(entry)._replace(response=NOT_SENT_DURING_OUTAGE)
            deliveries.append(Delivery(sent.dispatch, Outcome.FAILED, NOT_SENT_DURING_OUTAGE))
    return state._replace(outbox=entries), tuple(deliveries)


def _told_during_outage(
    state: SubjectState, channel: str, owed: OutboxEntry, now: float
) -> tuple[OutboxEntry, Delivery]:
    dispatch = _dispatch(state, channel, owed._replace(attempt=1, suppressed={}), SendMode.SINGLE)
    entry = _sent(owed, dispatch, now)._replace(
        outcome=Outcome.SENT, response=SENT_DURING_OUTAGE, outage_alert=owed.stateful
    )
    return entry, Delivery(dispatch, Outcome.SENT, SENT_DURING_OUTAGE)


def record_outage_repeat(
    state: SubjectState, incident: str, announced: Collection[str], now: float
) -> tuple[SubjectState, tuple[Delivery, ...]]:
    """Records that a repeat of an alert that history knows was announced without history, too.

    Args:
        incident: id of the incident that counts the alert; "" for none.
        announced: the channels that were notified of the repeat. Those that had failed, and knew nothing, know it now.
    """
    entries, deliveries = dict(state.outbox), []
    is_current = state.incident is not None and state.incident.id == incident and state.is_open
    for name in announced if is_current else ():
        entry = entries.get(name)
        if entry and entry.response == NOT_SENT_DURING_OUTAGE and not entry.knows_incident and entry.due_at is None:
            owed = entry._replace(wanted_revision=entry.sent_revision + 1, suppressed={})
            entries[name], sent = _told_during_outage(state, name, owed, now)
            deliveries.append(sent)
    return state._replace(outbox=entries), tuple(deliveries)


def _left_untold(entry: OutboxEntry) -> Mapping[str, int]:
    """What the channel still has to be told after it was notified without history. One message may report many."""
    return {} if entry.response == NOT_SENT_DURING_OUTAGE else entry.suppressed


def request_outage_end(state: SubjectState, announced: Collection[str], now: float) -> SubjectState:
    """The state of an alert that was counted, and announced without history as well: each such alert has an end.

    Args:
        announced: the channels that were notified without history. Those that are stateful show an alert of their own.
    """
    entries = dict(state.outbox)
    for name in announced:
        entry = entries.get(name)
        if entry and entry.stateful and not entry.outage_alert:
            entry = entry._replace(outage_alert=True)
            is_told = entry.last_kind_sent is Kind.RESOLVED and not entry.is_behind
            entries[name] = request_send(entry, now) if is_told and not state.is_open else entry
    return state._replace(outbox=entries)


def _window_length(entry: OutboxEntry) -> float:
    """Seconds of the window that begins now: `dedup_window`, then `WINDOW_STEPS`, but never below `dedup_window`."""
    if entry.window_step == 0:
        return entry.dedup_window
    return max(entry.dedup_window, WINDOW_STEPS[min(entry.window_step, len(WINDOW_STEPS)) - 1])


def _failed(entry: OutboxEntry) -> OutboxEntry:
    """Gives up until something new happens. A failed send never opens a window."""
    return entry._replace(
        wanted_revision=entry.sent_revision,
        attempt=0,
        first_attempt_at=None,
        due_at=None,
        window_ends_at=None,
        outcome=Outcome.FAILED,
    )


def retry_delay(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds until the next attempt: what the remote asked for plus up to 5 %, else the schedule plus up to 20 %.

    Args:
        attempt: the one that failed, from 1.
        retry_after: seconds that the remote asked for, or None.
        jitter: 0 to 1.
    """
    if retry_after is not None:
        return retry_after * (1 + 0.05 * jitter)
    return RETRY_SCHEDULE[min(max(attempt, 1), len(RETRY_SCHEDULE)) - 1] * (1 + 0.2 * jitter)
