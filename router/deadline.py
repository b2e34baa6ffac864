"""The deadline of an invocation: no call waits past it, and nothing is written to a remote after it.

A deadline is a value. The entry of an invocation creates it, the steps pass it on, and a step that must leave time for
another one creates an earlier deadline. `applies` sets it for the calls of one thread, because a channel's `send` and
botocore have no argument for it: AWS clients, HTTP and locks find it there. A new thread has none until it is given
one.

Lambda freezes the threads that an invocation leaves behind, and thaws them in a later one. Such a thread still has the
deadline of its own invocation, so it can do nothing more. Therefore the clock is `time.time`, which jumps when the
process thaws; `time.monotonic` may have stood still.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Self

from router.errors import DeadlineExceeded


class Deadline(NamedTuple):
    """A clock time, and the clock that it is compared with."""

    at: float
    clock: Callable[[], float] = time.time

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.time) -> Self:
        """The deadline in that many seconds."""
        return cls(clock() + seconds, clock)

    def left(self) -> float:
        """Seconds; 0 once it has passed."""
        return max(0.0, self.at - self.clock())

    def share(self, parts: int) -> "Deadline":
        """An earlier deadline, for the first of `parts` that share the time left equally."""
        return self._replace(at=self.clock() + self.left() / parts)

    def leaving(self, seconds: float) -> "Deadline":
        """An earlier deadline, which leaves that many seconds for what comes afterwards."""
        return self._replace(at=self.at - seconds)


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current() -> Deadline | None:
    """The deadline of this thread's calls, to pass to the threads that it starts; None if there is no limit."""
    return _current.get()


@contextmanager
def applies(deadline: Deadline | None) -> Iterator[None]:
    """This thread's calls keep to the deadline, or to the one that applies already if that is earlier."""
    outer = _current.get()
    both = [limit for limit in (outer, deadline) if limit]
    token = _current.set(min(both, key=Deadline.left) if both else None)
    try:
        yield
    finally:
        _current.reset(token)


def time_left(limit: float, *, enough: float = 0.0) -> float:
    """Seconds that a call may wait: its own limit, or the time left before the deadline if that is less.

    Args:
        enough: with less time left, the call is not worth starting.

    Raises:
        DeadlineExceeded: the deadline has passed, or less than `enough` is left.
    """
    deadline = _current.get()
    if deadline is None:
        return limit
    left = deadline.left()
    if left <= enough:
        raise DeadlineExceeded
    return min(limit, left)
