"""Virtual time, and threads that take turns: exactly one runs, and only virtual time decides which one is next.

The code under test is ordinary blocking code, so each of its threads is a greenlet, which has a stack and context
variables of its own. It gives up its turn only where it would wait for another system. So there are no races, nothing
waits for a real clock, and a run depends only on its seed. (Real threads do the same, and need twice the time.)
"""

import heapq
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

Action = Callable[[], None]


class Crashed(BaseException):
    """The process of this thread has died. Not an `Exception`, so that the code under test does not catch it."""


class Process:
    """An invocation, its threads and the memory that they share, which all die together.

    Attributes:
        frozen: its threads get no turn, as those that a Lambda invocation has left behind.
        left: earlier processes whose threads it has thawed, and which die with it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self.left: list[Process] = []


class Thread:
    """A simulated thread. `pause` numbers its waits, so that each wait ends only once."""

    def __init__(self, name: str, process: Process, stack: greenlet) -> None:
        self.name = name
        self.process = process
        self.stack = stack
        self.pause = 0
        self.missed = False  # its turn came while it was frozen


class Scheduler:
    """The loop.

    Attributes:
        now: virtual time. current: the running thread; None while an outside action runs.
    """

    def __init__(self, start: float) -> None:
        self.now = start
        self.current: Thread | None = None
        self._threads: dict[Thread, None] = {}
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Thread | Action, int]] = []
        self._failure: BaseException | None = None
        self._loop = getcurrent()

    def at(self, when: float, action: Action) -> None:
        """Schedules an outside action."""
        heapq.heappush(self._agenda, (max(when, self.now), next(self._order), action, 0))

    def spawn(self, name: str, process: Process, function: Action) -> None:
        """Starts a thread, whose turn comes after those that are already waiting for theirs."""
        thread = Thread(name, process, greenlet(partial(self._serve, function), self._loop))
        self._threads[thread] = None
        self.wake(thread)

    def sleep(self, seconds: float) -> None:
        """Lets virtual time pass for the running thread, while the others get their turns."""
        me = self.current
        if me is None:
            raise RuntimeError("only a simulated thread can sleep")
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), me, me.pause))
        self._loop.switch()
        if me.process.dead:
            raise Crashed

    def wake(self, thread: Thread) -> None:
        heapq.heappush(self._agenda, (self.now, next(self._order), thread, thread.pause))

    def kill(self, process: Process) -> None:
        """Ends every thread of a process by raising `Crashed` from its wait."""
        process.dead = True
        for thread in self.threads(process):
            if thread is not self.current:
                self.wake(thread)
        for other in process.left:
            self.kill(other)

    def freeze(self, process: Process) -> None:
        """From now on the threads of a process get no turn, until it is thawed."""
        process.frozen = True

    def thaw(self, process: Process) -> None:
        """Wakes the threads of a process whose waits have ended meanwhile."""
        process.frozen = False
        for thread in self.threads(process):
            if thread.missed:
                thread.missed = False
                self.wake(thread)

    def run(self) -> None:
        """Runs until nothing is scheduled. If an action or thread raised, ends every thread and raises that error."""
        self._run()
        failure, self._failure = self._failure, None
        if failure:
            self._agenda.clear()
        for thread in self._threads:  # those that failed to end, or are frozen for ever
            thread.process.dead = True
            self.wake(thread)
        self._run()
        if failure:
            raise failure

    def threads(self, process: Process) -> list[Thread]:
        """Those that have not ended."""
        return [thread for thread in self._threads if thread.process is process]

    def _run(self) -> None:
        while self._agenda and not self._failure:
            when, _, what, pause = heapq.heappop(self._agenda)
            self.now = max(self.now, when)
            if not isinstance(what, Thread):
                self.current = None
                try:
                    what()
                except BaseException as error:  # noqa: BLE001 - `run` raises it
                    self._failure = error
            elif what.process.frozen and not what.process.dead:
                what.missed = what.missed or what.pause == pause
            elif what.pause == pause:
                what.pause += 1
                self.current = what
                what.stack.switch()

    def _serve(self, function: Action) -> None:
        thread = self.current
        assert thread
        try:
            if not thread.process.dead:
                function()
        except Crashed:
            pass
        except BaseException as error:  # noqa: BLE001 - as above
            self._failure = self._failure or error
        del self._threads[thread]


class ThreadingDouble:
    """Replaces `threading`: threads of the same process, on the scheduler."""

    Event = threading.Event

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def Thread(self, target: Callable[..., None], args: Sequence[Any], name: str, daemon: bool) -> "_Start":  # noqa: ARG002, FBT001, N802 - the name and signature are `threading`'s
        return _Start(self._scheduler, target, args, name)


class _Start:
    def __init__(self, scheduler: Scheduler, target: Callable[..., None], args: Sequence[Any], name: str) -> None:
        self._scheduler, self._name = scheduler, name
        self._function = lambda: target(*args)

    def start(self) -> None:
        me = self._scheduler.current
        assert me
        self._scheduler.spawn(f"{me.name}/{self._name}", me.process, self._function)


class QueueDouble:
    """Replaces `queue` in `router.deliver`."""

    Empty = queue.Empty

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def SimpleQueue(self) -> "_Queue":  # noqa: N802 - the name is `queue`'s
        return _Queue(self._scheduler)


class _Queue:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[Any] = deque()
        self._reader: Thread | None = None

    def put(self, item: Any) -> None:
        self._items.append(item)
        if self._reader:
            self._scheduler.wake(self._reader)

    def get(self, timeout: float) -> Any:
        if not self._items:
            self._reader = self._scheduler.current
            self._scheduler.sleep(timeout)
            self._reader = None
        if not self._items:
            raise queue.Empty
        return self._items.popleft()
