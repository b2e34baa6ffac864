"""The remotes of the channels: they accept, refuse, stall or do not answer, and record every send."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from router.context import Job
from router.errors import PayloadRejected, PermanentError, TransientError
from router.incident.state import Dispatch, SubjectState
from router.model import Incident, Kind, Notification
from tests.simulation.boundary import Boundary, Invocation
from tests.simulation.workload import SECRET

_TIMEOUT = 10.0  # seconds after which a plugin gives up on its remote
_LATE = 15.0  # seconds; less than the router waits before it tries again

Part = tuple[SubjectState, Dispatch]


@dataclass(frozen=True, slots=True)
class Try:
    """One send that reached a remote.

    Attributes:
        message: numbers the messages of a remote; a bundle is one try for each of its incidents.
        mood: how the remote behaved; `fine` without a fault.
        accepted: whether the remote accepted the message. answered: whether its answer arrived.
        begun: when its request was begun, before anything was written.
    """

    at: float
    message: int
    invocation: Invocation
    dispatch: Dispatch
    incident: str
    dedup_key: str
    count: int
    reopened: int
    kind: Kind
    mood: str
    accepted: bool
    answered: bool
    begun: float = 0.0


class _Request(NamedTuple):
    parts: Sequence[Part]
    mood: str
    invocation: Invocation
    begun: float


@dataclass(slots=True)
class Remote:
    """One channel's remote. As a `Channel` it only provides `stateful`, because a `Line` sends the jobs.

    Attributes:
        tries: every send that arrived, in order.
        openings: how often a stateful remote opened each dedup key. open: the keys that are open.
        prepared: messages that took so long to prepare that they may never have been sent: by which invocation, about
            which incident, and the attempt.
    """

    name: str
    boundary: Boundary
    budget: tuple[int, float]
    stateful: bool
    tries: list[Try] = field(default_factory=list)
    openings: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    messages: int = 0
    prepared: set[tuple[Invocation, str, int]] = field(default_factory=set)

    def mood(self) -> str:
        now = self.boundary.elapsed
        moods = self.boundary.plan.moods.get(self.name, ())
        return next((mood.name for mood in moods if mood.begins <= now < mood.ends), "fine")

    def render(self, notification: Notification) -> dict[str, Any]:
        raise NotImplementedError

    def send(self, payload: dict[str, Any]) -> None:
        raise NotImplementedError

    def prepare(self, parts: Sequence[Part]) -> None:
        """What comes before a request, such as reading a secret: it may last until long after the deadline."""
        if self.mood() == "slow":
            by = self.boundary.caller()
            self.prepared |= {(by, state.incident.id, sent.attempt) for state, sent in parts if state.incident}
            self.boundary.scheduler.sleep(150 * self.boundary.chance.random())

    def receive(self, parts: Sequence[Part], *, plain: bool) -> None:
        """One request, from the connection to the answer or the lack of one."""
        mood = self.mood()
        if mood == "picky" and plain:
            mood = "fine"
        request = _Request(parts, mood, self.boundary.caller(), self.boundary.scheduler.now)
        act = getattr(self, f"_{mood}")
        said = [f"{dispatch.kind} revision {dispatch.revision}" for _, dispatch in parts]
        self.boundary.call(lambda: act(request), f"tell {self.name}", *said, mood)

    def _take(self, request: _Request, *, accepted: bool, answered: bool = True) -> None:
        self.messages += 1
        for state, dispatch in request.parts:
            assert state.incident
            self._note(state.incident, dispatch, request, accepted=accepted, answered=answered)

    def _note(
        self, incident: Incident, dispatch: Dispatch, request: _Request, *, accepted: bool, answered: bool
    ) -> None:
        of = replace(incident, number=0) if dispatch.of_outage else incident  # it was told without history
        self.tries.append(
            Try(
                self.boundary.scheduler.now,
                self.messages,
                request.invocation,
                dispatch,
                incident.id,
                of.dedup_key,
                incident.count,
                incident.reopened,
                dispatch.kind,
                request.mood,
                accepted,
                answered,
                request.begun,
            )
        )
        if accepted and self.stateful:
            self._keep(of.dedup_key, dispatch.kind)

    def _keep(self, key: str, kind: Kind) -> None:
        if kind is Kind.RESOLVED:
            self.open.discard(key)
        elif key not in self.open:
            self.open.add(key)
            self.openings[key] = self.openings.get(key, 0) + 1

    def _fine(self, request: _Request) -> None:
        self._take(request, accepted=True)

    def _slow(self, request: _Request) -> None:
        """The delay comes before the request, so the router may have stopped waiting for the answer."""
        self._take(request, accepted=True, answered=False)

    def _busy(self, request: _Request) -> None:
        self._take(request, accepted=False)
        wait = 1 + 100 * self.boundary.chance.random()
        raise TransientError("429", status=429, retry_after=wait, answer="slow down")

    def _broken(self, request: _Request) -> None:
        self._take(request, accepted=False)
        raise TransientError("500", status=500, answer=f"cannot handle {SECRET}")

    def _gone(self, request: _Request) -> None:
        self._take(request, accepted=False)
        raise PermanentError(f"404 at https://hooks.example/{SECRET}", status=404)

    def _picky(self, request: _Request) -> None:
        self._take(request, accepted=False)
        raise PayloadRejected("400 invalid_blocks", status=400)

    def _mute(self, request: _Request) -> None:
        """It accepts the message, but its answer is lost."""
        self._take(request, accepted=True, answered=False)
        self.boundary.scheduler.sleep(_TIMEOUT * self.boundary.chance.random())
        raise TransientError("connection reset")

    def _deaf(self, request: _Request) -> None:
        self._take(request, accepted=False, answered=False)
        self.boundary.scheduler.sleep(_TIMEOUT)
        raise TransientError("no answer")

    def _stuck(self, request: _Request) -> None:
        """A plugin without a timeout: it hangs until long after the deadline."""
        self._take(request, accepted=self.boundary.chance.random() < 0.5, answered=False)
        self.boundary.scheduler.sleep(60 + 120 * self.boundary.chance.random())
        raise TransientError("no answer at all")

    def _late(self, request: _Request) -> None:
        """It accepts the message after the router has stopped waiting for its answer."""
        late = _TIMEOUT + _LATE * self.boundary.chance.random()
        take = partial(self._take, request, accepted=True, answered=False)
        self.boundary.scheduler.at(self.boundary.scheduler.now + late, take)
        self.boundary.scheduler.sleep(_TIMEOUT)
        raise TransientError("no answer")

    def _buggy(self, request: _Request) -> None:
        self._take(request, accepted=False)
        raise KeyError(SECRET)


@dataclass(frozen=True, slots=True)
class Line:
    """Sends one job to its remote, so that the lease of each send is known there."""

    remote: Remote
    job: Job

    def render(self, notification: Notification) -> dict[str, Any]:
        self.remote.prepare(self.job.members)
        return {"notification": notification, "plain": False}

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        return {"notification": notification, "plain": True}

    def send(self, payload: dict[str, Any]) -> None:
        self.remote.receive(self.job.members, plain=payload["plain"])
