"""One subject and its channels: the pure functions of `router.incident` in the order in which the router calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from router.incident.lifecycle import advance, apply_alert, close
from router.incident.outbox import apply_delivery, due_channels, take_lease
from router.incident.state import (
    Delivery,
    Dispatch,
    LeaseGrant,
    OutboxEntry,
    RouteTarget,
    SendMode,
    SubjectState,
    Timing,
)
from router.incident.suppression import NOT_SUPPRESSED, Suppression
from router.model import (
    Alert,
    Begun,
    Decision,
    Effects,
    Ended,
    EndedBy,
    Incident,
    IncidentStatus,
    Outcome,
    Severity,
    Subject,
    SubjectKind,
)
from tests.doubles.world import DAY, MINUTE, START

SUBJECT = Subject("123456789012", "eu-west-1", "prod", SubjectKind.SERVICE, "web")
WINDOW = 15 * MINUTE
SLACK = RouteTarget("slack", WINDOW, remind=DAY)
EMAIL = RouteTarget("email", WINDOW)
PAGER = RouteTarget("pager", WINDOW, stateful=True)
TIMING = Timing()


def an_alert(
    cause: str = "out_of_memory", at: float = START, severity: Severity = Severity.CRITICAL, **fields: Any
) -> Alert:
    return Alert(
        **{
            "id": f"{cause} {at}",
            "event_id": f"{cause} {at}",
            "at": at,
            "severity": severity,
            "cause": cause,
            "resolves": False,
            "rule": cause,
            "title": cause,
            "subject": SUBJECT,
            **fields,
        }
    )


def a_recovery(at: float = START, **effects: Any) -> Alert:
    """A steady state, say."""
    return an_alert("recovery", at, Severity.INFO, resolves=True, effects=Effects(**effects))


def a_beginning(key: str = "alarm", at: float = START, *, deadline: float | None = None, **fields: Any) -> Alert:
    """The report of a condition."""
    begun = Begun(key, fields.pop("arn", ""), deadline)
    return an_alert(f"cause of {key}", at, **{"effects": Effects(begins=(begun,)), **fields})


def an_end(key: str = "alarm", at: float = START, by: EndedBy = EndedBy.ALARM_OK, **fields: Any) -> Alert:
    """The end of a condition."""
    effects = Effects(ends=(Ended(key, by),), ends_occurrences=False)
    return an_alert("end", at, Severity.INFO, **{"effects": effects, **fields})


@dataclass
class Life:
    """A subject through time."""

    state: SubjectState = field(default_factory=lambda: SubjectState(SUBJECT))
    now: float = START

    @property
    def incident(self) -> Incident:
        assert self.state.incident is not None
        return self.state.incident

    def incident_is(self, status: IncidentStatus) -> bool:
        return self.incident.status is status

    def entry(self, channel: str = "slack") -> OutboxEntry:
        return self.state.outbox[channel]

    def gets(
        self, alert: Alert, *targets: RouteTarget, suppression: Suppression = NOT_SUPPRESSED, **replaces: Any
    ) -> Decision:
        """An alert arrives; without targets, its routes name Slack."""
        self.state, decision = apply_alert(
            self.state, alert, targets or (SLACK,), self.now, TIMING, suppression, **replaces
        )
        return decision

    def waits(self, seconds: float) -> None:
        """A tick comes after so many seconds."""
        self.now += seconds
        self.state = advance(self.state, self.now, TIMING)

    def closes(self) -> None:
        """A person closes the incident."""
        self.state = close(self.state, "ann", "known", self.now)

    def leases(self, *channels: str, owner: str = "one", seconds: float = MINUTE) -> dict[str, Dispatch]:
        """An invocation begins to send what is due, of these channels or of all."""
        grants = dict.fromkeys(channels or due_channels(self.state, self.now), SendMode.SINGLE)
        self.state, dispatches = take_lease(self.state, self.now, LeaseGrant(owner, self.now + seconds, grants))
        return {dispatch.channel: dispatch for dispatch in dispatches}

    def answers(
        self, dispatch: Dispatch, outcome: Outcome = Outcome.SENT, *, owner: str = "one", **fields: Any
    ) -> None:
        """A channel has answered."""
        self.state = apply_delivery(self.state, Delivery(dispatch, outcome, **fields), owner, self.now, 0.0)

    def sends(self, outcome: Outcome = Outcome.SENT, **fields: Any) -> Mapping[str, Dispatch]:
        """What is due is sent, and every channel answers alike."""
        dispatches = self.leases()
        for dispatch in dispatches.values():
            self.answers(dispatch, outcome, **fields)
        return dispatches
