"""What an invocation did, as CloudWatch metrics: a line of the embedded metric format for each channel and for alerts.

Few on purpose, and none of what did not happen: CloudWatch charges for each. What is counted here is also in history,
to the row; these are for graphs and alarms.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from router.coldstart.imports import import_without_package
from router.context import Answered, Deliver, Job
from router.incident.state import Delivery
from router.model import Decision, Outcome

# Powertools' metrics by themselves: with its Logger, Tracer and the rest they take three times as long to import.
# Not its `Metrics`, all instances of which share one set of dimensions: each channel needs its own.
_EphemeralMetrics: Any = import_without_package(
    "aws_lambda_powertools.metrics", empty="aws_lambda_powertools"
).EphemeralMetrics

_OUTCOMES = {Outcome.SENT: "Sent", Outcome.RETRY: "Retry", Outcome.FAILED: "Failed"}
_DECISIONS = {
    Decision.ANNOUNCED: "Announced",
    Decision.GATHERED: "Gathered",
    Decision.HELD_BACK: "HeldBack",
    Decision.SILENCED: "Silenced",
}
_Heard = dict[str, list[Delivery]]  # by channel


class MetricsRecorder:
    """Listens to the deliver step and to decisions until it is told to write what it heard."""

    def __init__(self) -> None:
        self._deliveries: _Heard = {}
        self._decisions: Counter[Decision] = Counter()
        self._unusable = 0
        self._damaged = 0

    def counting(self, deliver: Deliver) -> Deliver:
        """The same deliver step, listened to."""

        def counted(jobs: Sequence[Job], remaining: Callable[[], float]) -> Iterator[list[Answered]]:
            for done in deliver(jobs, remaining):
                for job, delivery in done:
                    self._deliveries.setdefault(job.config.name, []).append(delivery)
                yield done

        return counted

    def count_decision(self, decision: Decision) -> None:
        self._decisions[decision] += 1

    def count_unusable(self, channels: int) -> None:
        """Channels that could not send, as the tick found."""
        self._unusable = max(self._unusable, channels)

    def count_damaged(self) -> None:
        """An item of the history table that could not be read."""
        self._damaged += 1

    def write(self, stage: str) -> None:
        """Prints what was heard since the last time; nothing, where nothing was."""
        deliveries, decisions = self._deliveries, self._decisions
        unusable, damaged = self._unusable, self._damaged
        self._deliveries, self._decisions, self._unusable, self._damaged = {}, Counter(), 0, 0
        for channel, mine in deliveries.items():
            latencies = [each.seconds * 1000 for each in mine if each.seconds is not None]
            counts = Counter(_OUTCOMES[each.outcome] for each in mine)
            _print({"channel": channel, "stage": stage}, counts, latencies)
        alerts = {name: decisions[decision] for decision, name in _DECISIONS.items() if decision in decisions}
        alerts |= {"Unusable": unusable} if unusable else {}
        alerts |= {"DamagedItems": damaged} if damaged else {}
        if alerts:
            _print({"stage": stage}, alerts)


def _print(dimensions: dict[str, str], counts: Mapping[str, int], latencies: Iterable[float] = ()) -> None:
    line = _line(
        os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "EcsAlertRouter"),
        os.environ.get("POWERTOOLS_SERVICE_NAME", "ecs-alert-router"),
        *dimensions.items(),
    )
    for latency in latencies:  # before the counts: a hundred values make a line of their own
        line.add_metric("Latency", "Milliseconds", latency)
    for name, count in counts.items():
        line.add_metric(name, "Count", count)
    line.flush_metrics()
    line.clear_metrics()  # Powertools keeps what it was told not to print (POWERTOOLS_METRICS_DISABLED)


@cache
def _line(namespace: str, service: str, *dimensions: tuple[str, str]) -> Any:
    """Kept, as to make one takes longer than to fill it."""
    line = _EphemeralMetrics(namespace=namespace, service=service)
    line.set_default_dimensions(**dict(dimensions))
    return line
