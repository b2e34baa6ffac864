"""Occurrence: tells what is new from what is known already, and applies it to its subject's state. Pure functions.

    alert ─► containers that ended before are left out ─┬─ none is left, or its row is there ─┬─ more severe ─► worse
                                                        │                                     └─ repeat: ends states
                                                        └─ new ─► `router.incident.lifecycle.apply_alert`

A task ends once, and each of its containers may end before it. Several events report each of these endings.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

from router.context import RoutedAlert
from router.history.items import AlertRecord, Recorded, recorded_alert, row_key
from router.history.table import Item, Key
from router.incident.known_tasks import exits_of, replaced_report, restarted_at, stopped_at
from router.incident.lifecycle import apply_alert, apply_repeat
from router.incident.state import Replaced, SubjectState, Timing, container_key
from router.incident.suppression import Suppression
from router.model import Alert, Decision, Severity, short_hash

Reclassify = Callable[[RoutedAlert, Collection[str]], RoutedAlert]
"""Classifies and routes an alert again, without these containers of its task, which ended before."""

_COUNTED = {Decision.ANNOUNCED, Decision.HELD_BACK, Decision.GATHERED}


class Rows(NamedTuple):
    """The rows of alerts that are known: in the table, and of this very transaction."""

    existing: Mapping[Key, Item | None]
    new: dict[Key, AlertRecord]

    def find(self, alert_id: str) -> Recorded | None:
        """What is recorded of that alert, or None if no row is known."""
        key = row_key(alert_id)
        if key is None:
            return None
        if key in self.new:
            alert, decision, incident, *_ = row = self.new[key]
            return Recorded(alert.severity, alert.cause, decision, incident, row.version)
        return recorded_alert(self.existing[key]) if key in self.existing else None

    def add(self, row: AlertRecord) -> None:
        """Adds a row to the transaction, or replaces one."""
        key = row_key(row.alert.id)
        assert key is not None  # an alert's own id
        self.new[key] = row


class Moment(NamedTuple):
    """When and how an alert is applied.

    Attributes:
        now: clock time.
        suppression: what silences an alert.
    """

    now: float
    timing: Timing
    suppression: Callable[[RoutedAlert], Suppression]
    reclassify: Reclassify


def apply_routed(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment
) -> tuple[SubjectState, RoutedAlert]:
    """Applies an alert, and adds its row to `rows` if that must be written.

    Returns:
        The next state, and the alert as it is now classified.
    """
    new = _about_what_is_new(state, routed, moment.reclassify)
    if new is None:
        return _apply_known(state, routed, rows, moment)
    new = new._replace(alert=_of_this_run(state, new.alert))
    alert = new.alert
    recorded = rows.find(alert.id)
    if recorded is None:
        return _apply(state, new, rows, moment, replaced_report(state, alert)), new
    if alert.severity.worse_than(recorded.severity):
        return _apply_worse(state, new, rows, moment, recorded), new
    return apply_repeat(state, alert, moment.now, moment.timing), new


def _about_what_is_new(state: SubjectState, routed: RoutedAlert, reclassify: Reclassify) -> RoutedAlert | None:
    """The alert about the containers that have not ended before; None if there are none."""
    alert = routed.alert
    if not alert.task or not (alert.exited or alert.stopped):
        return routed
    if alert.self_reported and stopped_at(state, alert.task) is not None:
        return None
    known = exits_of(state, alert.task)
    names = set(alert.exited) if alert.exited else {container.name for container in alert.containers}
    if known and names <= known.keys():
        return None
    if alert.exited and alert.at <= (restarted_at(state, alert.task, alert.exited) or 0.0):
        return None  # an old report of a container that has been restarted since
    ended = known.keys() & {container.name for container in alert.containers}
    return reclassify(routed, ended) if ended else routed


def _of_this_run(state: SubjectState, alert: Alert) -> Alert:
    """The alert with an id of its own, if the container had exited before and its restart policy restarted it."""
    restarted = restarted_at(state, alert.task, alert.exited) if alert.exited and not alert.self_reported else None
    if restarted is None:
        return alert
    occurrence, what, subject = alert.id.rsplit(".", 2)
    return replace(alert, id=f"{occurrence}.{what}-{short_hash(str(int(restarted)))}.{subject}")


def _apply_known(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment
) -> tuple[SubjectState, RoutedAlert]:
    """Applies an alert about containers that are all known to have ended."""
    event, alert, _ = routed
    recorded = rows.find(alert.id)
    if alert.self_reported:
        if recorded is None:
            rows.add(AlertRecord(alert, Decision.HELD_BACK, "", event))
        return state, routed
    known = exits_of(state, alert.task)
    named = [known[container.name] for container in alert.containers if container.name in known]
    before = min((severity for severity in named), key=lambda severity: severity.rank, default=Severity.INFO)
    if recorded is not None:
        if alert.severity.worse_than(recorded.severity):
            return _apply_worse(state, routed, rows, moment, recorded), routed
    elif alert.severity.worse_than(before):
        return _apply(state, routed, rows, moment, _replaced_exit(state, alert)), routed
    elif alert.stopped:
        quiet = Decision.BELOW_THRESHOLD if alert.severity is Severity.INFO else Decision.HELD_BACK
        rows.add(AlertRecord(alert, Decision.RESOLVING if alert.resolves else quiet, "", event))
    return apply_repeat(state, alert, moment.now, moment.timing), routed


def _replaced_exit(state: SubjectState, alert: Alert) -> Replaced | None:
    """The alert about the exits that this one reports again, as something worse; None if none of them continues."""
    keys = (container_key(alert.task, container.name) for container in alert.containers)
    causes = (state.conditions[key].cause for key in keys if key in state.conditions)
    return next(map(Replaced, causes), None) if state.is_open else None


def _apply(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment, replaces: Replaced | None
) -> SubjectState:
    event, alert, targets = routed
    suppression = moment.suppression(routed)
    after, decision = apply_alert(state, alert, targets, moment.now, moment.timing, suppression, replaces)
    counts = decision in _COUNTED | {Decision.RESOLVING}
    incident = after.incident.id if counts and after.incident else ""
    rows.add(AlertRecord(alert, decision, incident, event, suppression.by if decision is Decision.SILENCED else {}))
    return after


def _apply_worse(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment, recorded: Recorded
) -> SubjectState:
    """A repeat that turns out to be more severe: its row is updated, and it is announced, but not counted again."""
    incident = state.incident
    counted = (
        recorded.decision in _COUNTED
        and incident is not None
        and not incident.over
        and recorded.incident == incident.id
    )
    after = _apply(state, routed, rows, moment, Replaced(recorded.cause) if counted else None)
    key = row_key(routed.alert.id)
    assert key is not None  # it has a row
    row = rows.new[key]._replace(version=recorded.version)
    if counted and row.decision is not Decision.ANNOUNCED:
        row = row._replace(decision=recorded.decision, incident=recorded.incident, silenced_by={})
    rows.add(row)
    return after
