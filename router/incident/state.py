"""How things stand with a subject: its newest incident, and what each channel was told of it. Words only.

`router.incident.lifecycle` and `router.incident.outbox` say how it moves on; `router.history.items` how it is stored.
"""

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from router.model import Incident, Kind, Outcome, Severity, Silenced, Subject


class MessageOptions(NamedTuple):
    """How a route wants its channels to be spoken to; "" where it leaves that to the channel.

    Attributes:
        mention: whom to call, in the channel's own notation; from the configuration alone.
    """

    mention: str = ""
    language: str = ""
    time_zone: str = ""


_AS_CONFIGURED = MessageOptions()


class RouteTarget(NamedTuple):
    """A channel that an alert's routes reach.

    Attributes:
        dedup_window: seconds of the first window. stateful: see `router.channels.plugins.Channel`.
    """

    channel: str
    dedup_window: float
    stateful: bool = False
    options: MessageOptions = MessageOptions()


class SendMode(enum.StrEnum):
    """How a due entry is sent: in a message of its own, or bundled with others of its channel (rate limits)."""

    SINGLE = "alone"
    BUNDLED = "gathered"


class OutboxEntry(NamedTuple):
    """What one channel should have been told of one incident, and what it was told.

    Attributes:
        dedup_window, stateful, manner: of the route that reached it last; see `Reach`.
        want, told: revisions of what there is to say; the channel is behind while want > told.
        heard: the kind of the last notification that it took; None before the first.
        severity: the worst that it was told of.
        held: alerts per cause that it was not told of yet.
        rung: windows begun so far. window_ends_at: clock time, None outside of a window.
        attempt: attempts at what is wanted now. trying_since: clock time of the first of them.
        due_at: clock time at which somebody must work on this cell; None when there is nothing to do.
        waiting: whether it waits for its channel to have a turn for it, and not for a time of its own.
        lease: who works on it, until lease_ends_at (clock time).
        unsure: whether there was an attempt since the last success of which nobody knows if the remote took it.
        outcome, answer: of the last attempt.
    """

    dedup_window: float
    stateful: bool = False
    options: MessageOptions = _AS_CONFIGURED
    wanted_revision: int = 0
    sent_revision: int = 0
    last_kind_sent: Kind | None = None
    announced_severity: Severity = Severity.INFO
    suppressed: Mapping[str, int] = MappingProxyType({})
    window_step: int = 0
    window_ends_at: float | None = None
    attempt: int = 0
    first_attempt_at: float | None = None
    due_at: float | None = None
    throttled: bool = False
    lease_owner: str = ""
    lease_ends_at: float = 0.0
    in_doubt: bool = False
    outcome: Outcome | None = None
    response: str = ""

    @property
    def is_behind(self) -> bool:
        return self.wanted_revision > self.sent_revision

    def is_leased(self, now: float) -> bool:
        return bool(self.lease_owner) and self.lease_ends_at > now


class SubjectState(NamedTuple):
    """How things stand with one subject: one item of the table, so that one conditional write moves it on.

    Attributes:
        version: of the stored item; 0 when there is none yet.
        quiet_from: event time of the latest resolving event: an older alert wakes nobody.
        deployed_from: the same for `deployment_failed`, which a rollback's success does not end.
        rollbacks: ids of the deployments that roll a failed one back.
        going_on: what has not ended yet, with the event time of its newest alert; a container that exited in a task
            that runs on stands for itself, since it ends with that task alone.
        resolve_at: clock time at which a recovery is announced. lapse_at: when the incident lapses.
        silenced: what silences held back and nothing has ended yet.
        seen: by cause, how often it came in the last week; see `router.incident.recurrence`.
        deployments: when they began, by id.
        archived: whether a later incident has taken this one's place; what is still to be said of it is said.
        replaced: the standing with the incident before, to be archived in the same write; not stored.
        unknown: what a newer version stored of this subject, to be written back; only `router.history.items` reads it.
    """

    subject: Subject
    version: int = 0
    quiet_from: float = 0.0
    deployment_resolved_at: float = 0.0
    rollbacks: tuple[str, ...] = ()
    incident: Incident | None = None
    active_causes: Mapping[str, float] = MappingProxyType({})
    outbox: Mapping[str, OutboxEntry] = MappingProxyType({})
    resolve_at: float | None = None
    lapse_at: float | None = None
    silenced: Silenced | None = None
    occurrences: Mapping[str, tuple[tuple[float, int], ...]] = MappingProxyType({})
    deployments: Mapping[str, float] = MappingProxyType({})
    archived: bool = False
    superseded: "SubjectState | None" = None
    unknown: Mapping[str, Any] = MappingProxyType({})

    @property
    def due_at(self) -> float | None:
        """Clock time at which somebody must look at this subject, or None."""
        return self._earliest(entry.due_at for entry in self.outbox.values())

    @property
    def next_check_at(self) -> float | None:
        """The same without the cells that wait for a turn: for those, their channel's next gathering is enough."""
        return self._earliest(entry.due_at for entry in self.outbox.values() if not entry.throttled)

    def _earliest(self, due: Iterable[float | None]) -> float | None:
        return min((time for time in (self.resolve_at, self.lapse_at, *due) if time is not None), default=None)


class LeaseGrant(NamedTuple):
    """On which somebody takes due cells.

    Attributes:
        owner, until: of the lease, until a clock time.
        turns: by channel. A due cell that has none stays due.
        waits: by channel, the clock time at which due cells without a turn are to be looked at again.
    """

    owner: str
    until: float
    grants: Mapping[str, SendMode]
    retry_at: Mapping[str, float] = MappingProxyType({})


class Dispatch(NamedTuple):
    """What is to be said to a channel under a lease: fixed when the lease is taken, noted down when it was said.

    Attributes:
        first: whether the channel has heard nothing of this incident yet.
        turn: whether it is said by itself, or in a gathering message.
    """

    channel: str
    kind: Kind
    revision: int
    attempt: int
    is_first: bool
    severity: Severity
    suppressed: Mapping[str, int]
    options: MessageOptions = MessageOptions()
    mode: SendMode = SendMode.SINGLE


class Delivery(NamedTuple):
    """What came of one attempt.

    Attributes:
        retry_after: seconds that the remote asked for, or None.
        unanswered: whether the remote may have taken it all the same.
        rejected: whether the remote refused this very message, which says nothing about how the channel does.
        seconds: that the channel took to render and send; None where it did not come to that, or not back.
        waited: seconds since then, for the answers of the other channels.
    """

    dispatch: Dispatch
    outcome: Outcome
    response: str = ""
    retry_after: float | None = None
    unanswered: bool = False
    rejected: bool = False
    seconds: float | None = None
    waited: float = 0.0
