"""The function's process is killed after a channel has accepted a message, and before that is recorded."""

import time
from typing import NamedTuple

from local_aws.stories import died
from tests.chaos.result import Result, dead_letters, misses_and_repeats, told_of
from tests.chaos.stage import CHANNELS, Report, Stage, deployed

_VISIBILITY = 70  # seconds instead of 360: a little more than the function's timeout
_SLACKS_PERIOD = 1.5  # seconds: a little more than the one in which Slack takes one message
_BEFORE_TIME_OUT = 10.0  # seconds; of a webhook, after which the answer that never comes is recorded as a retry


class _Kill(NamedTuple):
    """`withholding`: the channel that accepts the message about the service, and never answers.

    `recorded`: the answers of the other channels are recorded before the kill.
    """

    service: str
    withholding: str
    recorded: bool = False


_KILLS = (  # no more than Teams accepts in a minute
    _Kill("one", "teams"),
    _Kill("two", "pagerduty"),
    _Kill("three", "slack"),
    _Kill("four", "slack", recorded=True),
)


def run(report: Report) -> Result:
    with deployed(report) as stage:
        stage.set_visibility_timeout(_VISIBILITY)
        killed = {kill.service: _kill(stage, kill) for kill in _KILLS}
        stage.until("the leases end, the next tick sends again, SQS delivers again", stage.is_settled)
        broken = [f"nothing was running when {service} was announced" for service, count in killed.items() if not count]
        broken += [*misses_and_repeats(stage.told, [*killed], _allowed), *dead_letters(stage)]
        triggers = sum(event.payload["event_action"] == "trigger" for event in stage.pagerduty.received)
        counts = f"{sum(killed.values())} processes killed, {told_of(stage, [*killed])} ({triggers} triggers)"
        return Result("kill", counts, tuple(broken))


def _kill(stage: Stage, kill: _Kill) -> int:
    """Returns how many processes were killed.

    A message that waits for Slack's rate limit when the process dies is sent by the next tick. By then the leases of
    the services before have ended, and the next kill would also end the process that sends those again.
    """
    free_at = time.monotonic() + _SLACKS_PERIOD
    stage.until("slack takes another message", lambda: time.monotonic() >= free_at)
    stage.double(kill.withholding).withhold_answer()
    stage.happen(died(kill.service))
    accepted = f"{kill.withholding} accepts a message about {kill.service}"
    stage.until(accepted, lambda: stage.told(kill.withholding, kill.service).announced)
    if kill.recorded:
        stage.until("the others' answers are recorded", lambda: _others_are_recorded(stage, kill), _BEFORE_TIME_OUT)
    return stage.kill_function()


def _others_are_recorded(stage: Stage, kill: _Kill) -> bool:
    (row,) = stage.history("list", "--service", kill.service)
    (incident,) = stage.history("show", row["incident"])
    return {delivery["channel"] for delivery in incident["deliveries"]} == {*CHANNELS} - {kill.withholding}


def _allowed(channel: str, service: str) -> int:
    """How often a channel may be told of a service: once more if its answer was not recorded. A pager never."""
    (kill,) = (candidate for candidate in _KILLS if candidate.service == service)
    is_recorded = kill.recorded and channel != kill.withholding
    return 1 if channel == "pagerduty" or is_recorded else 2
