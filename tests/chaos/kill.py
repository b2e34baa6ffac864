"""The function's process is killed after a channel has accepted a message, and before that is recorded.

Twice for each channel with a double that can withhold its answer: as soon as it has the message, when no channel's
answer is recorded, and after those of the other channels are recorded.
"""

from local_aws.stories import died
from tests.chaos.result import Result, dead_letters, misses_and_repeats, told_of
from tests.chaos.stage import CHANNELS, Report, Stage, deployed

_VISIBILITY = 70  # seconds instead of 360: a little more than the function's timeout
_WITHHOLDING = ("teams", "pagerduty", "slack")  # Teams first, whose rate limit is 4 in 60 s


def run(report: Report) -> Result:
    with deployed(report) as stage:
        stage.set_visibility_timeout(_VISIBILITY)
        killed = {
            _service(channel, recorded=recorded): _kill(stage, channel, recorded=recorded)
            for channel in _WITHHOLDING
            for recorded in (False, True)
        }
        services = [*killed]
        stage.until("the leases end, the next tick sends again, SQS delivers again", stage.is_settled)
        broken = [
            f"nothing was running when {service} was to be killed" for service, count in killed.items() if not count
        ]
        broken += [*misses_and_repeats(stage.told, services, _allowed), *dead_letters(stage)]
        triggers = sum(event.payload["event_action"] == "trigger" for event in stage.pagerduty.received)
        counts = f"{sum(killed.values())} processes killed, {told_of(stage, services)} ({triggers} triggers)"
        return Result("kill", counts, tuple(broken))


def _service(channel: str, *, recorded: bool) -> str:
    return f"{channel}-{'late' if recorded else 'early'}"


def _allowed(channel: str, service: str) -> int:
    """How often a channel may be told of a service: once more if its answer was not recorded. A pager never."""
    is_recorded = service.endswith("-late") and not service.startswith(channel)
    return 1 if channel == "pagerduty" or is_recorded else 2


def _kill(stage: Stage, channel: str, *, recorded: bool) -> int:
    """Returns how many processes were killed."""
    service = _service(channel, recorded=recorded)
    stage.double(channel).withhold_answer()
    stage.happen(died(service))
    stage.until(f"{channel} accepts a message of {service}", lambda: stage.told(channel, service).announced)
    if recorded:
        stage.until("the answers of the others are recorded", lambda: _others_are_recorded(stage, channel, service))
    return stage.kill_function()


def _others_are_recorded(stage: Stage, channel: str, service: str) -> bool:
    (row,) = stage.history("list", "--service", service)
    (incident,) = stage.history("show", row["incident"])
    recorded = {delivery["channel"] for delivery in incident["deliveries"]}
    others = {each for each in CHANNELS if each != channel and stage.told(each, service).announced}
    return bool(recorded) and others <= recorded
