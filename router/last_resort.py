"""Last resort: history is unreachable and the events will not come again, so they are announced without history.

Dedup and budgets are then this process's memory alone, and the message says so. A copy of each event goes to the
dead-letter queue, marked with the channels that were told, so that whoever puts it into history later sends nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from router.channels.rate_limit import allocate
from router.claim import SETTLE_MARGIN, endpoint_limits, send_requests
from router.context import Dependencies, Job, OutageMemory, RoutedAlert
from router.history.items import key_of
from router.incident.lifecycle import apply_alert
from router.incident.outbox import take_lease
from router.incident.state import Delivery, LeaseGrant, SubjectState
from router.messages.phrases import phrase
from router.model import Notification, Outcome
from router.notify import bundle_jobs, jobs_for

_REMEMBERED = 1_000  # subjects; the oldest are forgotten first


def announce_without_history(
    routed: Sequence[RoutedAlert], deps: Dependencies, remaining: Callable[[], float]
) -> dict[str, list[Delivery]]:
    """Tells the channels that the alerts' routes reach, unless this process has told them of the subject lately.

    Returns:
        What came of it, by the alerts' ids. A channel whose budget is spent is not among it.
    """
    now = deps.runtime.clock()
    states = _states(routed, deps, now)
    asked = [want for state in states.values() for want in send_requests(state, now)]
    calm = deps.memory.channel_states._replace(bundles={})  # nobody can wait here
    allocation = allocate(calm, asked, endpoint_limits(deps), now, all_due=True)
    deps.memory.channel_states = allocation.channel_states
    jobs: list[Job] = []
    for state in states.values():
        leased, dispatches = take_lease(state, now, LeaseGrant("", now, allocation.grants.get(key_of(state), {})))
        jobs += jobs_for(leased, dispatches, deps)
    margin = min(SETTLE_MARGIN, remaining() / 4)  # in which the copies are put on the dead-letter queue
    marked = [job._replace(notify=_marked(job.notify, job.config.language)) for job in bundle_jobs(jobs)]
    done = [each for batch in deps.deliver(marked, lambda: remaining() - margin) for each in batch]
    told: dict[str, list[Delivery]] = {}
    for job, delivery in done:
        for state, dispatch in job.members:
            told.setdefault(state.subject.fingerprint, []).append(delivery._replace(dispatch=dispatch))
    _remember(told, states.values(), deps.memory, now)
    return {each.alert.id: told.get(each.alert.subject.fingerprint, []) for each in routed}


def _states(routed: Iterable[RoutedAlert], deps: Dependencies, now: float) -> dict[str, SubjectState]:
    """By fingerprint: what there would be to tell, were these the first alerts of their subjects.

    The silences that this process has read hold.
    """
    states: dict[str, SubjectState] = {}
    for each in routed:
        if deps.runtime.silences.known(each.alert, now):
            continue
        fingerprint = each.alert.subject.fingerprint
        before = states.get(fingerprint, SubjectState(each.alert.subject))
        targets = [
            one for one in each.targets if deps.memory.announced_until.get((fingerprint, one.channel), 0.0) <= now
        ]
        after, _ = apply_alert(before, each.alert, targets, now, deps.runtime.resolve_after)
        if after.incident:
            states[fingerprint] = after._replace(incident=replace(after.incident, number=0))
    return states


def _remember(
    told: dict[str, list[Delivery]], states: Iterable[SubjectState], memory: OutageMemory, now: float
) -> None:
    for state in states:
        fingerprint = state.subject.fingerprint
        for delivery in told.get(fingerprint, ()):
            if delivery.outcome is Outcome.SENT:
                channel = delivery.dispatch.channel
                memory.announced_until.pop(
                    (fingerprint, channel), None
                )  # to the end of the order in which they are forgotten
                memory.announced_until[fingerprint, channel] = now + state.outbox[channel].dedup_window
    while len(memory.announced_until) > _REMEMBERED:
        del memory.announced_until[next(iter(memory.announced_until))]


def _marked(notify: Callable[[], Notification], language: str) -> Callable[[], Notification]:
    def marked() -> Notification:
        notification = notify()
        message = notification.message
        text = f"{phrase('history_unavailable', language)}\n{message.text}"
        return replace(notification, message=replace(message, text=text))

    return marked
