"""Virtual time, and threads that take turns: exactly one runs, and only virtual time decides which one is next.

The code under test is ordinary blocking code, so each invocation has a real thread. A thread gives up its turn only
where it would wait for another system, and the thread that gives it up runs the loop. So there are no races, no thread
waits for a real clock, and a run depends only on its seed.
"""

import heapq
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

Action = Callable[[], None]


class Crashed(BaseException):
    """The process of this thread has died. Not an `Exception`, so that the code under test does not catch it."""


class Process:
    """An invocation, its threads and the memory that they share, which all die together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False


class _Worker:
    """A real thread that runs one function after the other, since starting one takes longer than an invocation."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.turn.acquire()
        self.work: Action = lambda: None

    def serve(self) -> None:
        while True:
            self.turn.acquire()
            self.work()


class Thread:
    """A simulated thread. `pause` numbers its waits, so that each wait ends only once."""

    def __init__(self, name: str, process: Process, turn: threading.Lock) -> None:
        self.name = name
        self.process = process
        self.turn = turn
        self.pause = 0


_idle: list[_Worker] = []


class Scheduler:
    """The loop.

    Attributes:
        now: virtual time. current: the running thread; None while an outside action runs.
    """

    def __init__(self, start: float) -> None:
        self.now = start
        self.current: Thread | None = None
        self._main = Thread("main", Process("main"), threading.Lock())
        self._main.turn.acquire()
        self._threads: dict[Thread, None] = {}
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Thread | Action, int]] = []
        self._failure: BaseException | None = None

    def at(self, when: float, action: Action) -> None:
        """Schedules an outside action."""
        heapq.heappush(self._agenda, (max(when, self.now), next(self._order), action, 0))

    def spawn(self, name: str, process: Process, function: Action) -> None:
        """Starts a thread, whose turn comes after those that are already waiting for theirs."""
        worker = _idle.pop() if _idle else _started()
        thread = Thread(name, process, worker.turn)
        self._threads[thread] = None
        worker.work = lambda: self._serve(worker, thread, function)
        self.wake(thread)

    def sleep(self, seconds: float) -> None:
        """Lets virtual time pass for the running thread, while the others get their turns."""
        me = self.current
        if me is None:
            raise RuntimeError("only a simulated thread can sleep")
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), me, me.pause))
        self._next(me)
        if me.process.dead:
            raise Crashed

    def wake(self, thread: Thread) -> None:
        heapq.heappush(self._agenda, (self.now, next(self._order), thread, thread.pause))

    def kill(self, process: Process) -> None:
        """Ends every thread of a process by raising `Crashed` from its wait."""
        process.dead = True
        for thread in self._threads:
            if thread.process is process and thread is not self.current:
                self.wake(thread)

    def run(self) -> None:
        """Runs until nothing is scheduled. If an action or thread raised, ends every thread and raises that error."""
        self._next(self._main)
        if self._failure:
            failure, self._failure = self._failure, None
            self._agenda.clear()
            for thread in self._threads:
                thread.process.dead = True
                self.wake(thread)
            self._next(self._main)
            raise failure

    def _next(self, me: Thread | None) -> None:
        """Runs the agenda until a thread has its turn; returns when it is `me`'s turn again (never for None)."""
        thread = self._choose()
        thread.pause += 1
        self.current = thread
        if thread is me:
            return
        thread.turn.release()
        if me:
            me.turn.acquire()

    def _choose(self) -> Thread:
        while self._agenda and not self._failure:
            when, _, what, pause = heapq.heappop(self._agenda)
            self.now = max(self.now, when)
            if isinstance(what, Thread):
                if what.pause == pause:
                    return what
                continue
            self.current = None
            try:
                what()
            except BaseException as error:  # noqa: BLE001 - `run` raises it, whichever thread this is
                self._failure = error
        return self._main

    def _serve(self, worker: _Worker, thread: Thread, function: Action) -> None:
        try:
            if not thread.process.dead:
                function()
        except Crashed:
            pass
        except BaseException as error:  # noqa: BLE001 - as above
            self._failure = self._failure or error
        del self._threads[thread]
        _idle.append(worker)
        self._next(None)


def _started() -> _Worker:
    worker = _Worker()
    threading.Thread(target=worker.serve, daemon=True).start()
    return worker


class ThreadingDouble:
    """Replaces `threading` in `router.deliver`: threads of the same process, on the scheduler."""

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
