"""Outage: announces alerts while history is unreachable, and writes them into history afterwards.

    last receive, no history ─► announce_without_history ─► dead-letter queue, with the channels that were notified
                                                                      │ ecs-alert-router redrive
                                history ◄── backfill ◄── events queue ◄┘

During the outage, dedup and rate limits rest on this process's memory alone, and the message says so. The backfill
sends nothing; what comes later (a digest, the recovery) is sent as usual.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from router.channels.rate_limit import allocate
from router.claim import endpoint_limits, send_requests
from router.config.settings import Config
from router.context import Answered, Job, OutageMemory, RoutedAlert, Runtime
from router.history.items import AlertRecord, key_of, row_key
from router.history.store import Attempt, Change, Snapshot, SubjectWrite
from router.incident.lifecycle import advance, apply_alert, apply_late
from router.incident.outbox import record_outage_repeat, record_outage_sends, request_outage_end, take_lease
from router.incident.recent import with_recent
from router.incident.state import Delivery, LeaseGrant, SubjectState
from router.incident.suppression import NOT_SUPPRESSED, suppressed_by
from router.messages.phrases import phrase
from router.model import Decision, Notification, Outcome
from router.notify import bundle_jobs, jobs_for
from router.occurrence import Rows

_REMEMBERED = 1_000  # subjects and channels; the oldest are forgotten first

Send = Callable[[Sequence[Job]], Iterable[Sequence[Answered]]]
"""The deliver step, bound to the time that is left."""


# --- while history is unreachable -------------------------------------------------------------------------------------


def announce_without_history(
    routed: Sequence[RoutedAlert], config: Config, runtime: Runtime, memory: OutageMemory, send: Send
) -> dict[str, list[Delivery]]:
    """Notifies the channels that the alerts' routes reach, unless this process has notified them of the subject lately.

    Returns:
        The deliveries by alert id; none for a channel whose rate limit is exhausted.
    """
    now = runtime.clock()
    states = _states(routed, runtime, memory, now)
    requests = [request for state in states.values() for request in send_requests(state, now)]
    unbundled = memory.channel_states._replace(bundles={})  # nothing can wait here
    allocation = allocate(unbundled, requests, endpoint_limits(config.channels), now, all_due=True)
    memory.channel_states = allocation.channel_states
    jobs: list[Job] = []
    for state in states.values():
        leased, dispatches = take_lease(state, now, LeaseGrant("", now, allocation.grants.get(key_of(state), {})))
        jobs += jobs_for(leased, dispatches, config)
    marked = [job._replace(notify=_marked(job.notify, job.config.language)) for job in bundle_jobs(jobs)]
    deliveries: dict[str, list[Delivery]] = {}
    for job, delivery in (answer for batch in send(marked) for answer in batch):
        for state, dispatch in job.members:
            deliveries.setdefault(state.subject.fingerprint, []).append(delivery._replace(dispatch=dispatch))
    _remember(deliveries, states, memory, now)
    return {alert.id: deliveries.get(alert.subject.fingerprint, []) for _, alert, _ in routed}


def _states(
    routed: Iterable[RoutedAlert], runtime: Runtime, memory: OutageMemory, now: float
) -> dict[str, SubjectState]:
    """By fingerprint, the states that there would be if these were the first alerts of their subjects.

    Silences that this process has read before, and what CloudWatch suppresses, are respected.
    """
    states: dict[str, SubjectState] = {}
    for _, alert, targets in routed:
        if runtime.silences.known(alert, now) or suppressed_by(alert, now):
            continue
        fingerprint = alert.subject.fingerprint
        before = states.get(fingerprint, SubjectState(alert.subject))
        unaware = [
            target for target in targets if memory.announced_until.get((fingerprint, target.channel), 0.0) <= now
        ]
        after, _ = apply_alert(before, alert, unaware, now, runtime.timing)
        if after.incident:
            states[fingerprint] = after._replace(incident=replace(after.incident, number=0))
    return states


def _remember(
    deliveries: Mapping[str, Sequence[Delivery]], states: Mapping[str, SubjectState], memory: OutageMemory, now: float
) -> None:
    announced_until = memory.announced_until
    for fingerprint, state in states.items():
        for dispatch, outcome, *_ in deliveries.get(fingerprint, ()):
            if outcome is Outcome.SENT:
                key = fingerprint, dispatch.channel
                announced_until.pop(key, None)  # the newest go to the end, the oldest are forgotten
                announced_until[key] = now + state.outbox[dispatch.channel].dedup_window
    while len(announced_until) > _REMEMBERED:
        del announced_until[next(iter(announced_until))]


def _marked(notify: Callable[[], Notification], language: str) -> Callable[[], Notification]:
    """The notification with a sentence that history is unreachable."""

    def marked() -> Notification:
        notification = notify()
        text = f"{phrase('history_unavailable', language)}\n{notification.message.text}"
        return replace(notification, message=replace(notification.message, text=text))

    return marked


# --- afterwards -------------------------------------------------------------------------------------------------------


def backfill(routed: RoutedAlert, announced: Collection[str], runtime: Runtime) -> Decision | None:
    """Writes an alert that was announced without history into history. Sends nothing.

    Args:
        announced: the channels that were notified of it then.

    Returns:
        The decision; None if history knew the alert already.

    Raises:
        HistoryUnavailable: to be received again.
    """
    history = runtime.history
    event, alert, targets = routed

    def read(attempt: Attempt) -> Snapshot:
        return history.snapshot([alert.subject], [alert.id], attempt.now)

    def change(snapshot: Snapshot, attempt: Attempt) -> Change[Decision | None]:
        stored = snapshot.states[alert.subject]
        rows = Rows(snapshot.rows, {key for key in [row_key(alert.id)] if key}, {}, set())
        recorded = rows.find(stored, alert.id)
        if recorded is not None:  # it was written after all, though the answer was lost
            rows.restore(routed, recorded)
            known, sent = record_outage_repeat(stored, recorded.incident, announced, attempt.now)
            known = request_outage_end(known, announced, attempt.now)
            return Change(None, SubjectWrite([*rows.new.values()], known if known != stored else None, sent))
        before = advance(stored, attempt.now, runtime.timing)
        suppression = NOT_SUPPRESSED if announced else suppressed_by(alert, attempt.now)
        state, decision = apply_alert(before, alert, targets, attempt.now, runtime.timing, suppression)
        if decision is Decision.ALREADY_RESOLVED and announced:  # so that the channels learn that it is over
            state, decision = apply_late(state, alert, targets, attempt.now, runtime.timing), Decision.ANNOUNCED
        counts = decision in {Decision.ANNOUNCED, Decision.HELD_BACK}
        after, deliveries = record_outage_sends(state, announced, before, attempt.now) if counts else (state, ())
        incident = after.incident if counts else None
        row = AlertRecord(
            alert,
            decision,
            incident.id if incident else "",
            event,
            suppression.by if decision is Decision.SILENCED else {},
        )
        if after == stored:
            return Change(decision, SubjectWrite([row]))
        remembered = with_recent(after, alert, decision, incident.number if incident else 0, row.silenced_by)
        return Change(decision, SubjectWrite([row], remembered, deliveries))

    return history.update(read, change, runtime.clock, runtime.pause).result
