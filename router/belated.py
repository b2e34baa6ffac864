"""Belated: writes into history what was announced while history was unreachable, and sends nothing.

Such events lie in the dead-letter queue with the channels that were told (`router.last_resort`), until `redrive` puts
them back on the events queue. What follows them, a digest or the recovery, is then told as ever.
"""

from collections.abc import Collection

from router.context import Dependencies, EventResult, RoutedAlert
from router.errors import Conflict, HistoryUnavailable
from router.history.items import AlertRecord, row_key
from router.incident.lifecycle import advance, apply_alert
from router.incident.outbox import record_outage_sends
from router.model import Decision
from router.runtime import Runtime
from router.understand import understand_safely

TRIES = 6
"""Reads again this often when others are writing to the same subject; then the record is received again."""


def backfill(raw: object, announced: Collection[str], deps: Dependencies) -> EventResult:
    """Takes an event in without telling anybody.

    Args:
        announced: the channels that were told of it at the time.

    Returns:
        With `error` where history is unreachable still, and without a decision where it was written before.
    """
    results = understand_safely(raw, deps)
    if results.routed is not None:
        try:
            results.decision = _write(results.routed, announced, deps.runtime)
        except HistoryUnavailable as error:
            results.error = error
        if results.decision:
            deps.count_decision(results.decision)
    return results


def _write(routed: RoutedAlert, announced: Collection[str], runtime: Runtime) -> Decision | None:
    alert = routed.alert
    for attempt in range(TRIES):
        now = runtime.clock()
        stored = runtime.history.state(alert.subject, now)
        before = advance(stored, now)
        state, decision = apply_alert(before, alert, routed.targets, now, runtime.resolve_after)
        counts = decision in {Decision.ANNOUNCED, Decision.HELD_BACK}
        after, deliveries = record_outage_sends(state, announced, before, now) if counts else (state, ())
        incident = after.incident.id if counts and after.incident else ""
        row = AlertRecord(alert, decision, incident, routed.event)
        try:
            runtime.history.commit(now, [row], after if after != stored else None, deliveries)
        except Conflict as conflict:
            if row_key(alert.id) in conflict.keys:
                return None
            runtime.pause(attempt)
        else:
            return decision
    raise HistoryUnavailable(f"{alert.subject.fingerprint} was written to by others {TRIES} times in a row")
