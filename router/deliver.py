"""Deliver: one thread per channel, so that a channel that fails, hangs or breaks delays no other.

A channel only reports how it failed; `router.incident.outbox` decides what follows. Nothing is retried here.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from router.channels.configured import ConfiguredChannel
from router.channels.memory import memory_of
from router.channels.plugins import Channel
from router.context import LONGEST_SEND, Answered, Job
from router.deadline import Deadline, applies, time_left
from router.errors import ChannelError, DeadlineExceeded, PayloadRejected, RemoteGone, TransientError
from router.incident.state import Delivery
from router.model import Notification, Outcome

log = logging.getLogger("ecs-alert-router.deliver")

COALESCE_FOR = 1.0
"""Seconds that an answer waits to be recorded together with those of the other channels, since one write for all costs
as much as one for each. If this process dies meanwhile, each of them sends once more."""

_Answer = tuple[Job, Delivery, float]  # with the time at which it arrived
_UNAUTHORISED = {401, 403, 404}  # the answer to a secret that was rotated


def deliver(
    jobs: Sequence[Job],
    deadline: Deadline,
    clock: Callable[[], float] = time.monotonic,
    last_seconds: dict[str, float] | None = None,
) -> Iterator[list[Answered]]:
    """Sends every job, and yields the answers: all together, or those that are there a second after the first.

    Args:
        deadline: a job without an answer by then counts as a retry. Its thread is left behind, and sends nothing more.
        clock: monotonic seconds; measures how long a channel takes.
        last_seconds: by channel, how long its last send took; kept up to date here. The slowest channel starts first,
            because threads start one after the other and all of them wait for the slowest.
    """
    last_seconds = {} if last_seconds is None else last_seconds
    done: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    begun: dict[int, Job] = {}
    begin_by = deadline.leaving(min(LONGEST_SEND, deadline.left() / 2))  # even a short invocation sends what it can
    by_channel: dict[str, list[Job]] = {}
    for job in jobs:
        by_channel.setdefault(job.config.name, []).append(job)
    for name in sorted(by_channel, key=lambda name: last_seconds.get(name, 0.0), reverse=True):
        arguments = (by_channel[name], begun, done, deadline, begin_by, clock)
        threading.Thread(target=_send_all, args=arguments, name=f"channel-{name}", daemon=True).start()
    waiting = {id(job): job for job in jobs}
    while waiting:
        ready = _next_answers(done, len(waiting), deadline.left(), clock)
        for job, delivery, _ in ready:
            del waiting[id(job)]
            if delivery.seconds is not None:
                last_seconds[job.config.name] = delivery.seconds
        if not ready:
            last_seconds |= {job.config.name: LONGEST_SEND for key, job in waiting.items() if key in begun}
            yield [(job, _unfinished(job, begun=key in begun)) for key, job in waiting.items()]
            return
        yield [(job, delivery._replace(waited=clock() - at)) for job, delivery, at in ready]


def _send_all(  # noqa: PLR0913, PLR0917 - a thread is given everything when it starts
    jobs: Sequence[Job],
    begun: dict[int, Job],
    done: "queue.SimpleQueue[_Answer]",
    deadline: Deadline,
    begin_by: Deadline,
    clock: Callable[[], float],
) -> None:
    wait_requested: float | None = None
    for job in jobs:
        if not begin_by.left():
            delivery = _unfinished(job, begun=False)
        elif wait_requested is not None:  # a request before that would be refused too, and count against us
            delivery = _retry(job, "not tried: the channel asked to wait", wait_requested, unanswered=False)
        else:
            begun[id(job)] = job
            with applies(deadline):
                delivery = attempt(job, clock)
            wait_requested = delivery.retry_after
        done.put((job, delivery, clock()))


def _unfinished(job: Job, *, begun: bool) -> Delivery:
    if begun:
        return _retry(job, "no answer before the deadline", unanswered=True)
    return _retry(job, "no time was left to send it", unanswered=False)


def _next_answers(
    done: "queue.SimpleQueue[_Answer]", missing: int, timeout: float, clock: Callable[[], float]
) -> list[_Answer]:
    """Waits up to `timeout` seconds for the first answer, and then up to `COALESCE_FOR` for the others."""
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
    """Sends one notification once. Never raises.

    It is sent once more, as plain text, if the layout was rejected, and without the channel's memory if that is gone.
    """
    if job.channel is None:
        return Delivery(job.dispatch, Outcome.FAILED, job.unusable)
    try:
        job.channel.open()
    except TransientError as error:  # its secret cannot be read: nothing was sent
        return _retry(job, _error_text(error, job.channel), error.retry_after, unanswered=False)
    except ChannelError as error:
        return Delivery(job.dispatch, Outcome.FAILED, _error_text(error, job.channel))
    began = clock()
    return _attempt(job, job.channel)._replace(seconds=clock() - began)


def _attempt(job: Job, channel: ConfiguredChannel) -> Delivery:
    try:
        answer = _send_with_fresh_secret(channel, job.notify())
    except DeadlineExceeded:
        return _unfinished(job, begun=False)
    except TransientError as error:
        unanswered = error.status is None and not error.unsent
        return _retry(job, _error_text(error, channel), error.retry_after, unanswered=unanswered)
    except ChannelError as error:
        rejected = isinstance(error, PayloadRejected)
        return Delivery(job.dispatch, Outcome.FAILED, _error_text(error, channel), rejected=rejected)
    except Exception as error:  # noqa: BLE001 - it must not affect the other channels
        # The exception of a broken plugin may hold its secrets, so only its type is logged.
        log.error("channel %s: its plugin raised %s", job.config.name, type(error).__name__)  # noqa: TRY400
        return Delivery(job.dispatch, Outcome.FAILED, f"the plugin raised {type(error).__name__}")
    return Delivery(job.dispatch, Outcome.SENT, remote=memory_of(answer, channel))


def _send_with_fresh_secret(channel: ConfiguredChannel, notification: Notification) -> object:
    """Sends, and once more if the remote refused the secret and it was rotated meanwhile."""
    try:
        return _send(channel.open()[1], notification)
    except ChannelError as error:
        if error.status not in _UNAUTHORISED or not channel.reload_secrets():
            raise
        return _send(channel.open()[1], notification)


def _send(channel: Channel, notification: Notification) -> object:
    """What the plugin returned. Sends once more, without the channel's memory, if what it remembers is gone."""
    try:
        return _send_in_a_layout(channel, notification)
    except RemoteGone:
        if not notification.remote:
            raise
        return _send_in_a_layout(channel, replace(notification, remote={}))


def _send_in_a_layout(channel: Channel, notification: Notification) -> object:
    try:
        return _write(channel, channel.render(notification))
    except PayloadRejected:
        plain: Callable[[Notification], dict[str, Any]] | None = getattr(channel, "render_plain", None)
        if plain is None:
            raise
        return _write(channel, plain(notification))


def _write(channel: Channel, payload: dict[str, Any]) -> object:
    """Raises the channel's error, or DeadlineExceeded: a thread may come here long after its invocation ended."""
    time_left(0.0)
    return channel.send(payload)


def _retry(job: Job, why: str, retry_after: float | None = None, *, unanswered: bool) -> Delivery:
    return Delivery(job.dispatch, Outcome.RETRY, why, retry_after, unanswered)


def _error_text(error: ChannelError, channel: ConfiguredChannel) -> str:
    """The channel's error for history, without the values of its options, some of which are secrets."""
    text = f"{error} ({error.answer})" if error.answer and error.answer not in str(error) else str(error)
    return channel.without_secrets(text)[:300]
