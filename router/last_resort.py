"""Last resort: history is unreachable and the events will not come again, so they are announced without history.

Dedup and budgets are then this process's memory alone, and the message says so. A copy of each event goes to the
dead-letter queue, marked with the channels that were told, so that whoever puts it into history later sends nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from router.channels.rate_limit import allocate
from router.claim import SETTLE_MARGIN, endpoint_limits, send_requests
from router.context import Job, OutageMemory, RoutedAlert, Dependencies
from router.history.items import key_of
from router.incident.lifecycle import apply_alert
from router.incident.outbox import take_lease
from router.incident.state import Delivery, SubjectState, LeaseGrant
from router.messages.phrases import phrase
from router.model import Notification, Outcome
from router.notify import bundle_jobs, jobs_for

_REMEMBERED = 1_000  # subjects; the oldest are forgotten first


def announce_without_history(
    routed: Sequence[RoutedAlert], router: Dependencies, remaining: Callable[[], float]
) -> dict[str, list[Delivery]]:
    """Tells the channels that the alerts' routes reach, unless this process has told them of the subject lately.

    Returns:
        What came of it, by the alerts' ids. A channel whose budget is spent is not among it.
    """
    now = router.runtime.clock()
    standings = _states(routed, router, now)
    asked = [want for standing in standings.values() for want in send_requests(standing, now)]
    calm = router.memory.channel_states._replace(bundles={})  # nobody can wait here
    allotted = allocate(calm, asked, endpoint_limits(router), now, all_due=True)
    router.memory.channel_states = allotted.channel_states
    jobs: list[Job] = []
    for standing in standings.values():
        leased, sayings = take_lease(standing, now, LeaseGrant("", now, allotted.grants.get(key_of(standing), {})))
        jobs += jobs_for(leased, sayings, router)
    margin = min(SETTLE_MARGIN, remaining() / 4)  # in which the copies are put on the dead-letter queue
    marked = [job._replace(notify=_marked(job.notify, job.config.language)) for job in bundle_jobs(jobs)]
    done = [each for lot in router.deliver(marked, lambda: remaining() - margin) for each in lot]
    told: dict[str, list[Delivery]] = {}
    for job, delivery in done:
        for standing, saying in job.members:
            told.setdefault(standing.subject.fingerprint, []).append(delivery._replace(dispatch=saying))
    _remember(told, standings.values(), router.memory, now)
    return {each.alert.id: told.get(each.alert.subject.fingerprint, []) for each in routed}


def _states(routed: Iterable[RoutedAlert], router: Dependencies, now: float) -> dict[str, SubjectState]:
    """By fingerprint: what there would be to tell, were these the first alerts of their subjects.

    The silences that this process has read hold.
    """
    standings: dict[str, SubjectState] = {}
    for each in routed:
        if router.runtime.silences.known(each.alert, now):
            continue
        fingerprint = each.alert.subject.fingerprint
        before = standings.get(fingerprint, SubjectState(each.alert.subject))
        reached = [
            one for one in each.targets if router.memory.announced_until.get((fingerprint, one.channel), 0.0) <= now
        ]
        after, _ = apply_alert(before, each.alert, reached, now, router.runtime.resolve_after)
        if after.incident:
            standings[fingerprint] = after._replace(incident=replace(after.incident, number=0))
    return standings


def _remember(
    told: dict[str, list[Delivery]], standings: Iterable[SubjectState], memory: OutageMemory, now: float
) -> None:
    for standing in standings:
        fingerprint = standing.subject.fingerprint
        for delivery in told.get(fingerprint, ()):
            if delivery.outcome is Outcome.SENT:
                channel = delivery.dispatch.channel
                memory.announced_until.pop(
                    (fingerprint, channel), None
                )  # to the end of the order in which they are forgotten
                memory.announced_until[fingerprint, channel] = now + standing.outbox[channel].dedup_window
    while len(memory.announced_until) > _REMEMBERED:
        del memory.announced_until[next(iter(memory.announced_until))]


def _marked(notify: Callable[[], Notification], language: str) -> Callable[[], Notification]:
    def marked() -> Notification:
        notification = notify()
        message = notification.message
        text = f"{phrase('history_unavailable', language)}\n{message.text}"
        return replace(notification, message=replace(message, text=text))

    return marked
