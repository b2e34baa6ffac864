"""Occurrence: tells what is new from what is known already, and applies it to its subject's state. Pure functions.

    alert ─► containers that ended before are left out ─┬─ none is left, or its row is there ─┬─ more severe ─► worse
                                                        │                                     └─ repeat: ends states
                                                        └─ new ─► `router.incident.lifecycle.apply_alert`

A task ends once, and each of its containers may end before it. Several events report each of these endings.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from router.context import RoutedAlert
from router.history.items import AlertRecord, Recorded, recorded_alert, row_key
from router.history.table import Item, Key
from router.incident.known_tasks import exits_of, replaced_report, stopped_at
from router.incident.lifecycle import CONTAINER_EXITED, apply_alert, apply_repeat
from router.incident.state import Replaced, SubjectState
from router.model import Decision, Severity

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
        silenced_by: id and reason of the silence that matches an alert; empty if none does.
    """

    now: float
    resolve_after: float
    silenced_by: Callable[[RoutedAlert], Mapping[str, str]]
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
    alert = new.alert
    recorded = rows.find(alert.id)
    if recorded is None:
        return _apply(state, new, rows, moment, replaced_report(state, alert)), new
    if alert.severity.worse_than(recorded.severity):
        return _apply_worse(state, new, rows, moment, recorded), new
    return apply_repeat(state, alert, moment.now, moment.resolve_after), new


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
    ended = known.keys() & {container.name for container in alert.containers}
    return reclassify(routed, ended) if ended else routed


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
        replaces = Replaced(CONTAINER_EXITED) if alert.exited else None
        return _apply(state, routed, rows, moment, replaces), routed
    elif alert.stopped:
        quiet = Decision.BELOW_THRESHOLD if alert.severity is Severity.INFO else Decision.HELD_BACK
        rows.add(AlertRecord(alert, Decision.RESOLVING if alert.resolves else quiet, "", event))
    return apply_repeat(state, alert, moment.now, moment.resolve_after), routed


def _apply(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment, replaces: Replaced | None
) -> SubjectState:
    event, alert, targets = routed
    by = moment.silenced_by(routed)
    after, decision = apply_alert(state, alert, targets, moment.now, moment.resolve_after, by, replaces)
    counts = decision in _COUNTED | {Decision.RESOLVING}
    incident = after.incident.id if counts and after.incident else ""
    rows.add(AlertRecord(alert, decision, incident, event, by if decision is Decision.SILENCED else {}))
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
