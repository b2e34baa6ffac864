"""A channel's failure must not change what the others get. Another order of simultaneous events is no such change."""

import pytest

from router.incident.state import Dispatch
from router.model import Kind, Reason, Severity
from tests.simulation.boundary import Invocation
from tests.simulation.remotes import Try
from tests.simulation.verdict import alike

OPENED, UPDATED, RESOLVED = Kind.OPENED, Kind.UPDATED, Kind.RESOLVED
_ANSWERED = {"accepted": True, "answered": True}
KEPT_OPEN = ((0, OPENED, 1), (1000, UPDATED, 2), (9000, RESOLVED, 2))


def told(*messages: tuple[float, Kind, int]) -> list[Try]:
    """What a channel accepted about one incident: when, what, and with which count."""
    return [
        Try(
            at,
            number,
            Invocation("tick", at),
            dispatch(kind, number),
            "i-1",
            "key",
            count,
            0,
            kind,
            "fine",
            **_ANSWERED,
        )
        for number, (at, kind, count) in enumerate(messages)
    ]


def dispatch(kind: Kind, number: int) -> Dispatch:
    reason = Reason.RETURNED if kind is OPENED and number else Reason.FIRST
    return Dispatch("slack", kind, number, 1, is_first=False, severity=Severity.ERROR, suppressed={}, reason=reason)


def ended_before_the_return(seconds: float, count: int = 2) -> list[Try]:
    return told((0, OPENED, 1), (700, RESOLVED, 1), (700 + seconds, OPENED, 2), (9000, RESOLVED, count))


def test_an_end_that_an_alert_of_the_same_moment_withdraws_may_be_told_or_not() -> None:
    assert alike(ended_before_the_return(1.5), told(*KEPT_OPEN))
    assert alike(told(*KEPT_OPEN), ended_before_the_return(1.5))


def test_an_end_that_stood_for_a_while_must_be_told_in_both_runs() -> None:
    assert not alike(ended_before_the_return(10), told(*KEPT_OPEN))


def test_an_alert_that_is_not_counted_is_never_excused() -> None:
    assert not alike(ended_before_the_return(1.5, count=1), told(*KEPT_OPEN))


@pytest.mark.parametrize("missing", [0, 2])
def test_what_opens_and_what_ends_an_incident_is_told_in_both_runs(missing: int) -> None:
    assert not alike(told(*KEPT_OPEN), told(*KEPT_OPEN[:missing], *KEPT_OPEN[missing + 1 :]))
