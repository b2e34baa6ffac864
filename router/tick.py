"""The tick, every minute: says what is due, tells of channels that fail or are back, looks whether all could send.

It also comes as a delayed message, for a gathering that is not to wait for the next minute.
"""

from collections.abc import Callable
from contextlib import suppress

from router.channels.health import health_events
from router.context import Dependencies
from router.errors import Conflict
from router.pipeline import process, process_due
from router.selfcheck.probe import probe

_TIME_TO_PROBE = 20.0  # seconds that must be left


def tick(deps: Dependencies, remaining: Callable[[], float]) -> int:
    """Goes as far as time and budgets do; the next tick goes on. Returns the attempts to deliver.

    Raises:
        HistoryUnavailable: so that the alarm on errors sees it.
    """
    due = deps.runtime.history.due(deps.runtime.clock())
    made = len(process_due(due, deps, remaining, all_due=True)) + _tell_health(deps, remaining)
    if remaining() >= _TIME_TO_PROBE:
        deps.count_unusable(probe(deps))
    return made


def _tell_health(deps: Dependencies, remaining: Callable[[], float]) -> int:
    """Tells the other channels of one that has been failing for long, or works again."""
    history, now = deps.runtime.history, deps.runtime.clock()
    events, _ = health_events(history.channel_states(now), deps.config.channels, now)
    if not events:
        return 0
    results = process(events, deps, remaining)
    if not any(each.error for each in results):
        with suppress(Conflict):  # then it is told once more at the next tick, where history knows it already
            history.commit_all(now, (), health_events(history.channel_states(now), deps.config.channels, now)[1])
    return sum(len(each.deliveries) for each in results)
