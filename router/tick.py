"""The tick, every minute: sends what is due, reports failing channels, asks AWS, and probes the channels.

A delayed message can also start a tick, for a bundle that is due before the next minute.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress

from router.channels.health import health_events
from router.context import Dependencies
from router.deadline import Deadline, applies
from router.errors import Conflict, NewerItem
from router.history.items import key_of
from router.incident.recovery import Findings
from router.incident.state import SubjectState
from router.pipeline import process, process_due
from router.selfcheck.probe import probe

log = logging.getLogger("ecs-alert-router.tick")

_TIME_TO_PROBE = 10.0  # seconds
_TIME_TO_VERIFY = 15.0  # seconds
_TIME_TO_POLL = 10.0  # seconds
_TIME_LEFT = 20.0  # seconds that must be left before AWS is asked, and before the channels are probed
NO_FINDINGS: Findings = {}


def tick(deps: Dependencies, deadline: Deadline) -> int:
    """Runs as far as time and rate limits allow; the next tick continues. Returns the number of attempts to send.

    Raises:
        HistoryUnavailable: so that the alarm on the function's errors fires.
    """
    due = deps.runtime.history.due(deps.runtime.clock())
    attempts = len(process_due(due, deps, deadline, all_due=True)) + _report_health(deps, deadline)
    if deadline.left() >= _TIME_LEFT:
        attempts += _verify(due, deps, deadline)
    if deadline.left() >= _TIME_LEFT:
        attempts += _poll(deps, deadline)
    if deadline.left() >= _TIME_LEFT:
        until = Deadline.after(_TIME_TO_PROBE, deadline.clock)
        deps.count_unusable(probe(deps.config, deps.runtime.clock(), until))
    return attempts


def _verify(due: Sequence[SubjectState], deps: Dependencies, deadline: Deadline) -> int:
    """Asks AWS about the conditions that have not been checked for an hour, and applies the answers.

    Alerts come first: this happens after everything that is due has been sent.
    """
    now = deps.runtime.clock()
    keys = [key_of(state) for state in due if state.verify_at is not None and state.verify_at <= now]
    if not keys:
        return 0
    unchecked = deps.runtime.history.load(keys, now)  # as they are after the sends
    with applies(Deadline.after(_TIME_TO_VERIFY, deadline.clock)):
        answers = deps.verify(unchecked)
    findings = {**{key_of(state): NO_FINDINGS for state in unchecked}, **answers}
    return len(process_due(unchecked, deps, deadline, findings, all_due=False))


def _poll(deps: Dependencies, deadline: Deadline) -> int:
    """Polls AWS for what no event reports, if that is switched on; after everything that is due has been sent."""
    home, config = deps.home, deps.config
    if home is None or not (config.poll.services or config.expect):
        return 0
    from router.polling import poll_runs, poll_services  # noqa: PLC0415 - most stacks do not poll, and start without it

    until = Deadline.after(_TIME_TO_POLL, deadline.clock)
    polls = {poll_runs: bool(config.expect), poll_services: config.poll.services}
    attempts = 0
    for poll in (poll for poll, is_on in polls.items() if is_on):
        try:
            attempts += poll(deps, home, until, deadline)
        except NewerItem as error:  # the other poll and the probe of the channels do not need it
            log.warning("not polled: %s", error)
    return attempts


def _report_health(deps: Dependencies, deadline: Deadline) -> int:
    """Reports a channel that has been failing for long, or works again, on the other channels."""
    history, channels, now = deps.runtime.history, deps.config.channels, deps.runtime.clock()
    events, _ = health_events(history.channel_states(now), channels, now)
    if not events:
        return 0
    results = process(events, deps, deadline)
    if not any(result.error for result in results):
        with suppress(Conflict):  # the next tick then reports it again, and history finds that it knows the event
            history.commit_all(now, (), health_events(history.channel_states(now), channels, now)[1])
    return sum(len(result.deliveries) for result in results)
