"""The boundary to other systems: a call across it takes virtual time, may fail, and may kill the process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from router.deadline import time_left
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Crashed, Process, Scheduler

T = TypeVar("T")
_STEADY_LATENCY = 0.01
_TWO_ATTEMPTS, _ENOUGH = 7.0, 0.2  # seconds; of a call to AWS that gets no answer


class Unanswered(Exception):
    """The call failed; it may or may not have taken effect."""


class Invocation(Process):
    """One run of the function's handler, and what went wrong in it.

    Attributes:
        troubles: when a call to history failed or was slow, or the process died.
        done: when the handler returned; None until then.
    """

    def __init__(self, name: str, ends: float) -> None:
        super().__init__(name)
        self.ends = ends
        self.troubles: list[float] = []
        self.done: float | None = None

    def troubled_since(self, moment: float) -> bool:
        return any(trouble >= moment for trouble in self.troubles)


@dataclass(slots=True)
class Log:
    """What happened, in order: (virtual time, thread, what). It is formatted only when it is read."""

    scheduler: Scheduler
    lines: list[tuple[float, str, tuple[object, ...]]] = field(default_factory=list)

    def note(self, *what: object) -> None:
        current = self.scheduler.current
        self.lines.append((self.scheduler.now, current.name if current else "outside", what))


class Boundary:
    """Calls to one neighbour.

    Args:
        rates: how often each fault affects a call.
        stream: the name of the random stream that decides, so that one neighbour's faults do not shift another's.
    """

    def __init__(self, scheduler: Scheduler, plan: Plan, log: Log, stream: str, rates: Mapping[str, float]) -> None:
        self.scheduler, self.plan, self.log = scheduler, plan, log
        self.chance = Random(f"{stream} {plan.seed}")
        self._rates = tuple(rates.items())
        self._start = scheduler.now

    @property
    def elapsed(self) -> float:
        return self.scheduler.now - self._start

    @property
    def stormy(self) -> bool:
        return self.elapsed < self.plan.storm

    def call(self, do: Callable[[], T], *what: object, fault: str = "") -> T:
        """Runs `do` in virtual time, or fails as the fault says. Raises Unanswered."""
        fault = fault or self.fault()
        if fault == "hangs":
            self._hang(*what)
        if fault in {"refused", "crash before"}:
            self._pass(fault, *what)
            self._fail(fault)
        self._pass("late and lost" if fault == "late and lost" else "slow" if fault == "slow" else "", *what)
        answer = do()
        if fault in {"answer lost", "late and lost", "crash after"}:
            self._fail(fault)
        self._wait(self.latency())
        return answer

    def _hang(self, *what: object) -> None:
        """As `router.aws.clients` waits: for two attempts, but not past the deadline. Raises DeadlineExceeded."""
        self.log.note(*what, "<hangs>")
        self.trouble()
        self._wait(time_left(_TWO_ATTEMPTS, enough=_ENOUGH))
        self._fail("hangs")

    def fault(self) -> str:
        if self._rates and self.stormy:
            draw = self.chance.random()
            for name, rate in self._rates:
                draw -= rate
                if draw < 0:
                    return name
        return ""

    def latency(self) -> float:
        if self.plan.steady:
            return _STEADY_LATENCY
        draw = self.chance.random()
        return 0.002 + 0.02 * draw if draw < 0.95 else draw * 0.8

    def crash(self) -> None:
        """Kills the calling process."""
        process = self.caller()
        self.log.note("CRASH")
        process.troubles.append(self.scheduler.now)
        self.scheduler.kill(process)
        raise Crashed

    def trouble(self) -> None:
        self.caller().troubles.append(self.scheduler.now)

    def caller(self) -> Invocation:
        """The invocation whose thread is running."""
        current = self.scheduler.current
        assert current
        assert isinstance(current.process, Invocation)
        return current.process

    def _pass(self, fault: str, *what: object) -> None:
        if fault:
            self.log.note(*what, f"<{fault}>")
        else:
            self.log.note(*what)
        long = {"slow": 0.5 + 6 * self.chance.random(), "late and lost": 21.0 * self.chance.random()} if fault else {}
        self._wait(long.get(fault, 0.0) or self.latency())
        if fault:
            self.trouble()

    def _fail(self, fault: str) -> None:
        if fault.startswith("crash"):
            self.crash()
        self.trouble()
        self.log.note(f"<{fault}>")
        raise Unanswered(fault)

    def _wait(self, seconds: float) -> None:
        self.scheduler.sleep(seconds)
