"""Belated: writes into history what was announced while history was unreachable, and sends nothing.

Such events lie in the dead-letter queue with the channels that were told (`router.last_resort`), until `redrive` puts
them back on the events queue. What follows them, a digest or the recovery, is then told as ever.
"""

from collections.abc import Collection

from router.context import EventResult, RoutedAlert, Dependencies
from router.errors import Conflict, HistoryUnavailable
from router.history.items import AlertRecord, row_key
from router.incident.lifecycle import apply_alert, advance
from router.incident.outbox import record_outage_sends
from router.model import Decision
from router.runtime import Runtime
from router.understand import understand_safely

TRIES = 6
"""Reads again this often when others are writing to the same subject; then the record is received again."""


def backfill(raw: object, announced: Collection[str], router: Dependencies) -> EventResult:
    """Takes an event in without telling anybody.

    Args:
        announced: the channels that were told of it at the time.

    Returns:
        With `error` where history is unreachable still, and without a decision where it was written before.
    """
    handled = understand_safely(raw, router)
    if handled.routed is not None:
        try:
            handled.decision = _write(handled.routed, announced, router.runtime)
        except HistoryUnavailable as error:
            handled.error = error
        if handled.decision:
            router.count_decision(handled.decision)
    return handled


def _write(routed: RoutedAlert, announced: Collection[str], runtime: Runtime) -> Decision | None:
    alert = routed.alert
    for attempt in range(TRIES):
        now = runtime.clock()
        stored = runtime.history.state(alert.subject, now)
        before = advance(stored, now)
        standing, decision = apply_alert(before, alert, routed.targets, now, runtime.resolve_after)
        counts = decision in {Decision.ANNOUNCED, Decision.HELD_BACK}
        after, deliveries = record_outage_sends(standing, announced, before, now) if counts else (standing, ())
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
