"""Last resort: history is unreachable and the event will not come again, so it is announced without history.

Dedup is then this process's memory alone, and the message says so. A copy of the event goes to the dead-letter queue,
marked with the channels that were told, so that whoever puts it into history later sends nothing.
"""

from collections.abc import Callable
from dataclasses import replace

from router.claim import SETTLE_MARGIN
from router.incidents import Delivery, Standing, absorb, lease
from router.model import Decision, Notification, Outcome
from router.parts import Routed, Router
from router.phrases import phrase
from router.table import Key
from router.tell import jobs_of

REASON = "history unavailable"
_REMEMBERED = 1_000  # subjects; the oldest are forgotten first

Memory = dict[Key, float]


def announce(routed: Routed, router: Router, remaining: Callable[[], float], memory: Memory) -> list[Delivery]:
    """Tells the channels that the alert's routes reach, unless this process has told them of its subject lately.

    The silences that this process has read hold.

    Args:
        memory: what this process has told: (fingerprint, channel) to the clock time until which that suffices.
    """
    now = router.runtime.clock()
    fingerprint = routed.alert.subject.fingerprint
    if router.runtime.silences.known(routed.alert, now):
        return []
    reached = [each for each in routed.reached if memory.get((fingerprint, each.channel), 0.0) <= now]
    standing, decision = absorb(
        Standing(routed.alert.subject), routed.alert, reached, now, router.runtime.resolve_after
    )
    if decision is not Decision.ANNOUNCED or standing.incident is None:
        return []
    standing = replace(standing, incident=replace(standing.incident, number=0))
    standing, sayings = lease(standing, now, "", now)
    jobs = [replace(job, notify=_marked(job.notify, job.config.language)) for job in jobs_of(standing, sayings, router)]
    margin = min(SETTLE_MARGIN, remaining() / 4)  # in which the copy is put on the dead-letter queue
    told = [delivery for done in router.deliver(jobs, lambda: remaining() - margin) for _, delivery in done]
    windows = {each.channel: each.dedup_window for each in reached}
    for delivery in told:
        if delivery.outcome is Outcome.SENT:
            channel = delivery.saying.channel
            memory.pop((fingerprint, channel), None)  # to the end of the order in which subjects are forgotten
            memory[fingerprint, channel] = now + windows[channel]
    while len(memory) > _REMEMBERED:
        del memory[next(iter(memory))]
    return told


def _marked(notify: Callable[[], Notification], language: str) -> Callable[[], Notification]:
    def marked() -> Notification:
        notification = notify()
        message = notification.message
        text = f"{phrase('history_unavailable', language)}\n{message.text}"
        return replace(notification, message=replace(message, text=text))

    return marked
