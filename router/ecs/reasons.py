"""Reads the reasons that ECS gives: the error that they name, and why a task was stopped.

Texts are matched without regard to case; they may be prefixed, cut short, and free. Sources: "Stopped task error
messages" in the Amazon ECS Developer Guide, the ECS agent's error names, and reasons found in real events.
"""

import re

from router.ecs.stop_reason import parse

STOP_CODES = {
    code.lower(): code
    for code in (
        "TaskFailedToStart",
        "EssentialContainerExited",
        "UserInitiated",
        "ServiceSchedulerInitiated",
        "SpotInterruption",
        "TerminationNotice",
        "InfrastructureHealth",
    )
}

# The stop code that a reason implies, if the event has none (before 2018) or an unknown one. The first match wins.
_STOP_CODE_OF_REASON = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"essential container", "EssentialContainerExited"),
        (r"task ?failed ?to ?start|timeout wait|network interface", "TaskFailedToStart"),
        (
            r"scaling activity|rebalancing|failed .*health check|health check.* failed|maintenance|draining",
            "ServiceSchedulerInitiated",
        ),
        (r"your spot task was interrupted", "SpotInterruption"),
        (r"host ec2 \(instance|instance deregistration", "TerminationNotice"),
        (r"task stopped by user", "UserInitiated"),
    )
)
_START_ERROR = re.compile(
    r"cannot(pull|start|create)|resourceinitializationerror|dockertimeouterror|containerruntime\w*error"
)


def wording(text: str) -> str:
    """A reason as rules match it: lower case, single spaces, a box for every name; see `router.ecs.stop_reason`.

    Names are free text: a service called `maintenance` is not under maintenance.
    """
    return parse(text).wording


def error_name(reason: str) -> str:
    """The `…Error` that a reason begins with, in lower case, or ""; the first one if it names two."""
    return parse(reason).error


def stop_code(stated: str, reason: str) -> str:
    """The event's stop code as AWS spells it; inferred from the reason where it is absent or not known here."""
    known = STOP_CODES.get(stated.lower())
    if known:
        return known
    text = wording(reason)
    inferred = next((code for pattern, code in _STOP_CODE_OF_REASON if pattern.search(text)), "")
    if _START_ERROR.match(error_name(reason)):  # before the phrases: an error's text may hold any of them
        inferred = "TaskFailedToStart"
    return inferred or stated
