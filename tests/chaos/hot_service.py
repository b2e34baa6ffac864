"""Many crashes of one service at once, which as many invocations as there may be write to the same item of history."""

import time
from collections.abc import Iterator

from local_aws.stories import died
from tests.chaos.result import Result, dead_letters, misses_and_repeats, told_of
from tests.chaos.stage import CHANNELS, Report, Stage, deployed

CRASHES = 1000
_CONCURRENCY = 10  # invocations; the maximumConcurrency of serverless.yml
_PATIENCE = 180.0  # seconds: what has to wait must not wait for the visibility timeout, which is 360 s here
_HOT, _OTHER = "hot", "bystander"


def run(report: Report, crashes: int = CRASHES) -> Result:
    with deployed(report) as stage:
        with stage.waiting_events():
            report(f"{crashes} tasks of one service crash, and one of another")
            stage.happen_together([died(_HOT) for _ in range(crashes)])
            stage.happen(died(_OTHER))
        processes, seconds = _drain(stage)
        stage.until("nothing is left to do", stage.is_settled)
        broken = [*_judge(stage, crashes), *misses_and_repeats(stage.told, [_HOT, _OTHER]), *dead_letters(stage)]
        if processes < _CONCURRENCY:
            broken.append(f"only {processes} invocations ran at once")
        counts = f"{crashes} crashes, handled within {seconds:.0f} s by {processes} processes"
        return Result("hot", f"{counts}, {told_of(stage, [_HOT, _OTHER])}", tuple(broken))


def _drain(stage: Stage) -> tuple[int, float]:
    """Waits until every event was handled. Returns the most processes that there were, and how many seconds it took."""
    began, most = time.monotonic(), 0

    def is_drained() -> bool:
        nonlocal most
        most = max(most, len(stage.processes()))
        return stage.is_drained()

    stage.until(f"{_CONCURRENCY} invocations at once handle them", is_drained, _PATIENCE)
    return most, time.monotonic() - began


def _judge(stage: Stage, crashes: int) -> Iterator[str]:
    if (rows := len(stage.decisions(_HOT))) != crashes:
        yield f"history has {rows} of {crashes} crashes"
    for channel in CHANNELS:
        if count := sum(stage.told(channel, service).without_history for service in (_HOT, _OTHER)):
            yield f"{channel} got {count} messages without history"
