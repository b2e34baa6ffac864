"""The world outside, passed in: the table, the clock, chance and waiting. Tests and simulations pass their own."""

from collections.abc import Callable
from typing import NamedTuple

from router.config.silences import Silences
from router.history.store import History


class Runtime(NamedTuple):
    """What the steps that touch the outside need.

    Attributes:
        clock: seconds since the epoch, as `time.time`.
        jitter: 0 to 1, as `random.random`.
        pause: waits before try n + 1 (from 0), so that writers to one subject do not keep colliding.
        resolve_after: seconds between a recovery and its announcement.
        silences: what is silenced now.
    """

    history: History
    clock: Callable[[], float]
    jitter: Callable[[], float]
    pause: Callable[[int], None]
    resolve_after: float
    silences: Silences
