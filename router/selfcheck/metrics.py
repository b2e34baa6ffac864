"""CloudWatch metrics of an invocation: one line in the embedded metric format per channel, and one for alerts.

CloudWatch charges for each metric, so there are few, and a count of zero is not written. History has the same facts in
detail; these metrics are for graphs and alarms.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics

from router.context import Answered, Deliver, Job
from router.deadline import Deadline
from router.incident.state import Delivery
from router.model import Decision, Outcome
from router.version import VERSION

_OUTCOMES = {Outcome.SENT: "Sent", Outcome.RETRY: "Retry", Outcome.FAILED: "Failed"}
_DECISIONS = {
    Decision.ANNOUNCED: "Announced",
    Decision.GATHERED: "Gathered",
    Decision.HELD_BACK: "HeldBack",
    Decision.SILENCED: "Silenced",
}
_Deliveries = dict[str, list[Delivery]]  # by channel


class MetricsRecorder:
    """Counts deliveries and decisions until `write` prints them."""

    def __init__(self) -> None:
        self._deliveries: _Deliveries = {}
        self._decisions: Counter[Decision] = Counter()
        self._unusable = 0
        self._damaged = 0

    def counting(self, deliver: Deliver) -> Deliver:
        """The deliver step, with its deliveries counted."""

        def counted(jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
            for answers in deliver(jobs, deadline):
                for job, delivery in answers:
                    self._deliveries.setdefault(job.config.name, []).append(delivery)
                yield answers

        return counted

    def count_decision(self, decision: Decision) -> None:
        self._decisions[decision] += 1

    def count_unusable(self, channels: int) -> None:
        """Sets the number of channels that the tick found unable to send."""
        self._unusable = max(self._unusable, channels)

    def count_damaged(self) -> None:
        """An item of the history table that could not be read."""
        self._damaged += 1

    def write(self, stage: str) -> None:
        """Prints what was counted since the last call; nothing if that is nothing."""
        deliveries, decisions = self._deliveries, self._decisions
        unusable, damaged = self._unusable, self._damaged
        self._deliveries, self._decisions, self._unusable, self._damaged = {}, Counter(), 0, 0
        for channel, sends in deliveries.items():
            latencies = [delivery.seconds * 1000 for delivery in sends if delivery.seconds is not None]
            counts = Counter(_OUTCOMES[delivery.outcome] for delivery in sends)
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
    for latency in latencies:  # first, because Powertools prints a line by itself at a hundred values
        line.add_metric("Latency", "Milliseconds", latency)
    for name, count in counts.items():
        line.add_metric(name, "Count", count)
    line.add_metadata(
        "version", VERSION
    )  # a property of the line, not a dimension: each dimension would make another metric
    line.flush_metrics()
    line.clear_metrics()  # Powertools keeps the values if POWERTOOLS_METRICS_DISABLED is set


@cache
def _line(namespace: str, service: str, *dimensions: tuple[str, str]) -> Any:
    """An object that prints a line. It is reused, because making one takes longer than filling it.

    It is no `Metrics`, because all instances of that class share one set of dimensions.
    """
    line = EphemeralMetrics(namespace=namespace, service=service)
    line.set_default_dimensions(**dict(dimensions))
    return line
