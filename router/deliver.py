"""Deliver: one thread per channel, so that a channel that fails, hangs or breaks costs only itself.

A channel only reports how it failed; `router.incident.outbox` decides what follows. Nothing waits here.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from router.channels.configured import ConfiguredChannel
from router.channels.plugins import Channel
from router.context import LONGEST_SEND, Answered, Job
from router.errors import ChannelError, PayloadRejected, TransientError
from router.incident.state import Delivery
from router.model import Notification, Outcome

log = logging.getLogger("ecs-alert-router.deliver")

COALESCE_FOR = 1.0
"""Seconds that an answer waits to be written down with those of the other channels. Each record of its own costs as
much as all in one; should this process die meanwhile, what was said is said once more by each of them."""

_Answer = tuple[Job, Delivery, float]  # with the time at which it was there
_UNAUTHORISED = {401, 403, 404}  # what a remote says to a secret that was changed


def deliver(
    jobs: Sequence[Job], remaining: Callable[[], float], clock: Callable[[], float] = time.monotonic
) -> Iterator[list[Answered]]:
    """Sends every job, and yields what came of them: all together, or what is known a second after the first answer.

    Args:
        remaining: seconds until the invocation must come to its end. What has not answered by then is left behind
            and counts as a retry.
        clock: seconds, from whenever: what a channel took is measured by it.
    """
    done: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    begun: dict[int, Job] = {}
    enough = min(LONGEST_SEND, max(1.0, remaining()) / 2)  # a short invocation still does what it can
    for name, mine in sorted(_by_channel(jobs).items(), key=_last_send_seconds, reverse=True):
        arguments = (mine, begun, done, lambda: remaining() < enough, clock)
        threading.Thread(target=_send_all, args=arguments, name=f"channel-{name}", daemon=True).start()
    waiting = {id(job): job for job in jobs}
    while waiting:
        ready = _next_answers(done, len(waiting), max(0.0, remaining()), clock)
        for job, _, _ in ready:
            del waiting[id(job)]
        if not ready:
            yield [(job, _unfinished(job, begun=key in begun)) for key, job in waiting.items()]
            return
        yield [(job, delivery._replace(waited=clock() - at)) for job, delivery, at in ready]


def _last_send_seconds(channel: tuple[str, Sequence[Job]]) -> float:
    """Who was slow begins first: threads get going one after the other, and all wait for the slowest."""
    source = channel[1][0].channel
    return source.last_send_seconds if source else 0.0


def _by_channel(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    channels: dict[str, list[Job]] = {}
    for job in jobs:
        channels.setdefault(job.config.name, []).append(job)
    return channels


def _send_all(
    jobs: Sequence[Job],
    begun: dict[int, Job],
    done: "queue.SimpleQueue[_Answer]",
    too_late: Callable[[], bool],
    clock: Callable[[], float],
) -> None:
    told_to_wait: float | None = None
    for job in jobs:
        if too_late():
            delivery = _unfinished(job, begun=False)
        elif told_to_wait is not None:  # what comes before that is refused too, and counts against us
            delivery = _retry(job, "not tried: the channel asked to wait", told_to_wait, unanswered=False)
        else:
            begun[id(job)] = job
            delivery = attempt(job, clock)
            told_to_wait = delivery.retry_after
        done.put((job, delivery, clock()))


def _unfinished(job: Job, *, begun: bool) -> Delivery:
    if begun:
        return _retry(job, "no answer before the deadline", unanswered=True)
    return _retry(job, "no time was left to send it", unanswered=False)


def _next_answers(
    done: "queue.SimpleQueue[_Answer]", missing: int, timeout: float, clock: Callable[[], float]
) -> list[_Answer]:
    """What is done: waits up to `timeout` seconds for the first, and then up to `TOGETHER` for the others."""
    ready: list[_Answer] = []
    ends = clock() + timeout
    try:
        while len(ready) < missing:
            ready.append(done.get(timeout=max(0.0, ends - clock())))
            if len(ready) == 1:
                ends = min(ends, clock() + COALESCE_FOR)
    except queue.Empty:
        pass
    return ready


def attempt(job: Job, clock: Callable[[], float] = time.monotonic) -> Delivery:
    """Sends one notification once (twice where the layout was rejected: then as plain text). Never raises."""
    if job.channel is None:
        return Delivery(job.dispatch, Outcome.FAILED, job.unusable)
    try:
        job.channel.open()
    except TransientError as error:  # its secret cannot be read: nothing was sent
        return _retry(job, _error_text(error, job.channel), error.retry_after, unanswered=False)
    except ChannelError as error:
        return Delivery(job.dispatch, Outcome.FAILED, _error_text(error, job.channel))
    began = clock()
    delivery = _attempt(job, job.channel)
    job.channel.last_send_seconds = clock() - began
    return delivery._replace(seconds=job.channel.last_send_seconds)


def _attempt(job: Job, source: ConfiguredChannel) -> Delivery:
    try:
        _send_with_fresh_secret(source, job.notify())
    except TransientError as error:
        return _retry(job, _error_text(error, source), error.retry_after, unanswered=error.status is None)
    except ChannelError as error:
        rejected = isinstance(error, PayloadRejected)
        return Delivery(job.dispatch, Outcome.FAILED, _error_text(error, source), rejected=rejected)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this channel's alone
        # What a broken plugin raises may hold its secrets: its type must do.
        log.error("channel %s: its plugin raised %s", job.config.name, type(error).__name__)  # noqa: TRY400
        return Delivery(job.dispatch, Outcome.FAILED, f"the plugin raised {type(error).__name__}")
    return Delivery(job.dispatch, Outcome.SENT)


def _send_with_fresh_secret(source: ConfiguredChannel, notification: Notification) -> None:
    """Once; once more with another secret, where the remote refused this one and there is another by now."""
    try:
        _send(source.open()[1], notification)
    except ChannelError as error:
        if error.status not in _UNAUTHORISED or not source.reload_secrets():
            raise
        _send(source.open()[1], notification)


def _send(channel: Channel, notification: Notification) -> None:
    try:
        channel.send(channel.render(notification))
    except PayloadRejected:
        plain: Callable[[Notification], dict[str, Any]] | None = getattr(channel, "render_plain", None)
        if plain is None:
            raise
        channel.send(plain(notification))


def _retry(job: Job, why: str, retry_after: float | None = None, *, unanswered: bool) -> Delivery:
    return Delivery(job.dispatch, Outcome.RETRY, why, retry_after, unanswered)


def _error_text(error: ChannelError, source: ConfiguredChannel) -> str:
    """What the channel said, for history: without its options, some of which are secrets."""
    text = f"{error} ({error.answer})" if error.answer and error.answer not in str(error) else str(error)
    return source.without_secrets(text)[:300]
