"""The remotes of the channels: they accept, refuse, stall or do not answer, and record every send."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from router.context import Job
from router.errors import PayloadRejected, PermanentError, TransientError
from router.incident.state import Dispatch, SubjectState
from router.model import Incident, Kind, Notification
from tests.simulation.boundary import Boundary, Invocation
from tests.simulation.workload import SECRET

_TIMEOUT = 10.0  # seconds after which a plugin gives up on its remote

Part = tuple[SubjectState, Dispatch]


@dataclass(frozen=True, slots=True)
class Try:
    """One send that reached a remote.

    Attributes:
        message: numbers the messages of a remote; a bundle is one try for each of its incidents.
        mood: how the remote behaved; `fine` without a fault.
        accepted: whether the remote accepted the message. answered: whether its answer arrived.
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


@dataclass(slots=True)
class Remote:
    """One channel's remote. As a `Channel` it only provides `stateful`, because a `Line` sends the jobs.

    Attributes:
        tries: every send that arrived, in order.
        openings: how often a stateful remote opened each dedup key. open: the keys that are open.
    """

    name: str
    boundary: Boundary
    budget: tuple[int, float]
    stateful: bool
    tries: list[Try] = field(default_factory=list)
    openings: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    messages: int = 0

    def mood(self) -> str:
        now = self.boundary.elapsed
        moods = self.boundary.plan.moods.get(self.name, ())
        return next((mood.name for mood in moods if mood.begins <= now < mood.ends), "fine")

    def render(self, notification: Notification) -> dict[str, Any]:
        raise NotImplementedError

    def send(self, payload: dict[str, Any]) -> None:
        raise NotImplementedError

    def receive(self, parts: Sequence[Part], *, plain: bool) -> None:
        """One request, from the connection to the answer or the lack of one."""
        mood = self.mood()
        if mood == "picky" and plain:
            mood = "fine"
        act = getattr(self, f"_{mood}")
        said = [f"{dispatch.kind} revision {dispatch.revision}" for _, dispatch in parts]
        self.boundary.call(lambda: act((parts, mood)), f"tell {self.name}", *said, mood)

    def _take(self, said: tuple[Sequence[Part], str], *, accepted: bool, answered: bool = True) -> None:
        parts, mood = said
        self.messages += 1
        for state, dispatch in parts:
            assert state.incident
            self._note(state.incident, dispatch, mood, accepted=accepted, answered=answered)

    def _note(self, incident: Incident, dispatch: Dispatch, mood: str, *, accepted: bool, answered: bool) -> None:
        process = self.boundary.scheduler.current
        assert process
        assert isinstance(process.process, Invocation)
        self.tries.append(
            Try(
                self.boundary.scheduler.now,
                self.messages,
                process.process,
                dispatch,
                incident.id,
                incident.dedup_key,
                incident.count,
                incident.reopened,
                dispatch.kind,
                mood,
                accepted,
                answered,
            )
        )
        if accepted and self.stateful:
            self._keep(incident.dedup_key, dispatch.kind)

    def _keep(self, key: str, kind: Kind) -> None:
        if kind is Kind.RESOLVED:
            self.open.discard(key)
        elif key not in self.open:
            self.open.add(key)
            self.openings[key] = self.openings.get(key, 0) + 1

    def _fine(self, said: Any) -> None:
        self._take(said, accepted=True)

    def _busy(self, said: Any) -> None:
        self._take(said, accepted=False)
        wait = 1 + 100 * self.boundary.chance.random()
        raise TransientError("429", status=429, retry_after=wait, answer="slow down")

    def _broken(self, said: Any) -> None:
        self._take(said, accepted=False)
        raise TransientError("500", status=500, answer=f"cannot handle {SECRET}")

    def _gone(self, said: Any) -> None:
        self._take(said, accepted=False)
        raise PermanentError(f"404 at https://hooks.example/{SECRET}", status=404)

    def _picky(self, said: Any) -> None:
        self._take(said, accepted=False)
        raise PayloadRejected("400 invalid_blocks", status=400)

    def _mute(self, said: Any) -> None:
        """It accepts the message, but its answer is lost."""
        self._take(said, accepted=True, answered=False)
        self.boundary.scheduler.sleep(_TIMEOUT * self.boundary.chance.random())
        raise TransientError("connection reset")

    def _deaf(self, said: Any) -> None:
        self._take(said, accepted=False, answered=False)
        self.boundary.scheduler.sleep(_TIMEOUT)
        raise TransientError("no answer")

    def _stuck(self, said: Any) -> None:
        """A plugin without a timeout: it hangs until long after the deadline."""
        self._take(said, accepted=self.boundary.chance.random() < 0.5, answered=False)
        self.boundary.scheduler.sleep(60 + 120 * self.boundary.chance.random())
        raise TransientError("no answer at all")

    def _buggy(self, said: Any) -> None:
        self._take(said, accepted=False)
        raise KeyError(SECRET)


@dataclass(frozen=True, slots=True)
class Line:
    """Sends one job to its remote, so that the lease of each send is known there."""

    remote: Remote
    job: Job

    def render(self, notification: Notification) -> dict[str, Any]:
        return {"notification": notification, "plain": False}

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        return {"notification": notification, "plain": True}

    def send(self, payload: dict[str, Any]) -> None:
        self.remote.receive(self.job.members, plain=payload["plain"])
