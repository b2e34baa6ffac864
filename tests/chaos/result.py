"""What a scenario found, in one line."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from local_aws.events import service_action
from tests.chaos.stage import CHANNELS, Stage, Told


class Result(NamedTuple):
    """`broken`: the promises that did not hold."""

    scenario: str
    counts: str
    broken: tuple[str, ...]

    @property
    def line(self) -> str:
        verdict = f"BROKEN: {'; '.join(self.broken)}" if self.broken else "kept"
        return f"{self.scenario}: {self.counts}: {verdict}"


def misses_and_repeats(
    told: Callable[[str, str], Told],
    services: Sequence[str],
    allowed: Callable[[str, str], int] = lambda _channel, _service: 1,
) -> Iterator[str]:
    """The channels that were not told of a service, or too often.

    Args:
        told: `Stage.told`.
        allowed: how often a channel may be told of a service.
    """
    for channel, service in product(CHANNELS, services):
        count = told(channel, service).announced
        if not 1 <= count <= allowed(channel, service):
            yield f"{channel} was told of {service} {count} times"


def dead_letters(stage: Stage) -> Iterator[str]:
    """A problem if the dead-letter queue holds anything."""
    if count := stage.dead_letters():
        yield f"{count} dead letters"


def told_of(stage: Stage, services: Sequence[str]) -> str:
    """How many of the services each channel was told of, and how many of them more than once."""
    parts = []
    for channel in CHANNELS:
        counts = [stage.told(channel, service).announced for service in services]
        again = sum(count > 1 for count in counts)
        parts.append(f"{channel} {sum(map(bool, counts))}/{len(services)}{f' ({again} repeated)' if again else ''}")
    return ", ".join(parts)


def recover(stage: Stage, services: Sequence[str]) -> Iterator[str]:
    """Lets the services recover, of which every channel must be told once."""
    with stage.waiting_events():
        stage.happen_together([service_action("SERVICE_STEADY_STATE", service=service) for service in services])
    stage.until(
        "every service recovers", lambda: all(stage.told(*service).resolved for service in product(CHANNELS, services))
    )
    stage.until("nothing is left to do", stage.is_settled)
    for channel, service in product(CHANNELS, services):
        announced, resolved, _ = stage.told(channel, service)
        if resolved != (announced if channel == "pagerduty" else 1):
            yield f"{channel} was told {resolved} times that {service} is over"
    if still_open := sum(alert.status != "resolved" for alert in stage.pagerduty.alerts):
        yield f"{still_open} pages are still open"
