"""Occurrence: decides whether an alert is new, a repeat or worse, and applies it to its subject's state. Pure.

    alert ─► containers that ended before are left out ─┬─ none is left, or it is known ─┬─ more severe ─► worse
                                                        │  (by the state or its row)     └─ repeat: ends states
                                                        └─ new ─► `router.incident.lifecycle.apply_alert`

A task ends once, and each of its containers may end before it. Several events report each of these endings.
AWS Health sends several messages about one event. Each says something else, so each has a row of its own.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

from router.context import RoutedAlert
from router.ecs.health_events import SOURCE as HEALTH
from router.history.items import AlertRecord, Recorded, recorded_alert, row_key
from router.history.table import Item, Key
from router.incident.known_tasks import exits_of, replaced_report, restarted_at, stopped_at
from router.incident.lifecycle import apply_alert, apply_repeat
from router.incident.recent import find_recent, with_changed_id, with_recent
from router.incident.state import Replaced, SubjectState, Timing, container_key
from router.incident.suppression import Suppression
from router.model import Alert, Decision, Severity, short_hash

Reclassify = Callable[[RoutedAlert, Collection[str]], RoutedAlert]
"""Classifies and routes an alert again, without these containers of its task, which ended before."""

_COUNTED = {Decision.ANNOUNCED, Decision.HELD_BACK, Decision.GATHERED}


class Rows(NamedTuple):
    """The rows of alerts that are known, and those to be written.

    Attributes:
        existing: those in the table, of the keys that were read.
        read: the keys that were read.
        new: those to be written.
        unread: keys that turned out to be needed: the alert's id depends on the state.
    """

    existing: Mapping[Key, Item]
    read: Collection[Key]
    new: dict[Key, AlertRecord]
    unread: set[Key]

    def find(self, state: SubjectState, alert_id: str) -> Recorded | None:
        """What is known of that alert, or None if it is new. The state may know more than the row, which follows it."""
        key = row_key(alert_id)
        if key is None:
            return None
        if key in self.new:
            alert, decision, incident, *_ = row = self.new[key]
            return Recorded(alert.severity, alert.cause, decision, incident, row.version)
        if key not in self.read:
            self.unread.add(key)
        recorded = recorded_alert(self.existing[key]) if key in self.existing else None
        recent = find_recent(state, alert_id)
        if recent is None or (recorded and not recent.severity.worse_than(recorded.severity)):
            return recorded
        incident = f"{state.subject.key}-{recent.incident}" if recent.incident else ""
        version = recorded.version if recorded else 0
        return Recorded(
            recent.severity,
            recent.cause,
            recent.decision,
            incident,
            version,
            is_written=False,
            silenced_by=recent.silenced_by,
        )

    def event_of(self, alert_id: str) -> str | None:
        """The id of the event that the alert's row was written for; None if it is not known."""
        key = row_key(alert_id)
        row = self.new.get(key) if key else None
        if row:
            return row.event.id if row.event else None
        return (self.existing.get(key) or {}).get("event_id") if key else None

    def add(self, row: AlertRecord) -> None:
        """Adds a row to be written, or replaces one."""
        key = row_key(row.alert.id)
        assert key is not None  # an alert's own id
        self.new[key] = row

    def restore(self, routed: RoutedAlert, recorded: Recorded) -> None:
        """Adds the row of an alert that the state knows, if the process that applied it died before writing the row.

        An older row is replaced only by the alert that made it out of date.
        """
        if recorded.is_written or (recorded.version and routed.alert.severity is not recorded.severity):
            return
        self.add(
            AlertRecord(
                routed.alert,
                recorded.decision,
                recorded.incident,
                routed.event,
                recorded.silenced_by,
                recorded.version,
                is_repeat=True,
            )
        )


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
    recent = find_recent(state, routed.event.id)
    is_remembered = recent is not None and recent.alert_id  # the state may know of another restart by now
    new = None if is_remembered else _about_what_is_new(state, routed, moment.reclassify)
    if new is None:
        return _apply_known(state, routed, rows, moment)
    new = new._replace(alert=_of_this_run(state, new.alert))
    alert = new.alert
    recorded = rows.find(state, alert.id)
    if recorded is None:
        after = _apply(state, new, rows, moment, replaced_report(state, alert))
        return with_changed_id(after, routed.event.id, alert) if alert.id != routed.alert.id else after, new
    if new.event.source == HEALTH and rows.event_of(alert.id) not in {None, new.event.id}:
        return _apply_message(state, new, rows, moment, recorded)
    if alert.severity.worse_than(recorded.severity):
        return _apply_worse(state, new, rows, moment, recorded), new
    rows.restore(new, recorded)
    return apply_repeat(state, alert, moment.now, moment.timing), new


def _apply_message(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment, first: Recorded
) -> tuple[SubjectState, RoutedAlert]:
    """Applies another page or a copy of a known AWS Health message. It gets a row of its own.

    It counts, and is announced, only if it is worse than all pages before it.
    """
    own = routed._replace(alert=_with_own_id(routed.alert, routed.event.id))
    known, incident = rows.find(state, own.alert.id), state.incident
    worst = incident.severity if incident and not incident.over else first.severity
    if known is not None:
        rows.restore(own, known)
    elif own.alert.severity.worse_than(first.severity) and own.alert.severity.worse_than(worst):
        return _apply(state, own, rows, moment, None), own
    else:
        rows.add(AlertRecord(own.alert, Decision.HELD_BACK, "", own.event))
    return apply_repeat(state, own.alert, moment.now, moment.timing), own


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
    return _with_own_id(alert, str(int(restarted)))


def _with_own_id(alert: Alert, distinction: str) -> Alert:
    """The alert with another id, by what distinguishes it from others of its occurrence."""
    occurrence, what, subject = alert.id.rsplit(".", 2)
    return replace(alert, id=f"{occurrence}.{what}-{short_hash(distinction)}.{subject}")


def _apply_known(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment
) -> tuple[SubjectState, RoutedAlert]:
    """Applies an alert about containers that are all known to have ended."""
    recent = find_recent(state, routed.event.id)
    if recent and recent.alert_id:
        again = moment.reclassify(routed, recent.ended) if recent.ended else routed
        routed = again._replace(alert=replace(again.alert, id=recent.alert_id))
    event, alert, _ = routed
    recorded = rows.find(state, alert.id)
    if alert.self_reported:
        if recorded is None:
            rows.add(AlertRecord(alert, Decision.HELD_BACK, "", event))
        else:
            rows.restore(routed, recorded)
        return state, routed
    known = exits_of(state, alert.task)
    named = [known[container.name] for container in alert.containers if container.name in known]
    before = min((severity for severity in named), key=lambda severity: severity.rank, default=Severity.INFO)
    if recorded is not None:
        if alert.severity.worse_than(recorded.severity):
            return _apply_worse(state, routed, rows, moment, recorded), routed
        rows.restore(routed, recorded)
    elif alert.severity.worse_than(before):
        return _apply(state, routed, rows, moment, _replaced_exit(state, alert)), routed
    elif alert.stopped:
        quiet = Decision.BELOW_THRESHOLD if alert.severity is Severity.INFO else Decision.HELD_BACK
        rows.add(AlertRecord(alert, Decision.RESOLVING if alert.resolves else quiet, "", event))
    return apply_repeat(state, alert, moment.now, moment.timing), routed


def _replaced_exit(state: SubjectState, alert: Alert) -> Replaced | None:
    """The earlier alert about the same exits, which this one reports as worse; None if none of them continues."""
    keys = (container_key(alert.task, container.name) for container in alert.containers)
    causes = (state.conditions[key].cause for key in keys if key in state.conditions)
    return next(map(Replaced, causes), None) if state.is_open else None


def _apply(
    state: SubjectState, routed: RoutedAlert, rows: Rows, moment: Moment, replaces: Replaced | None
) -> SubjectState:
    after, row = _applied(state, routed, moment, replaces)
    rows.add(row)
    return _remembered(state, after, row)


def _applied(
    state: SubjectState, routed: RoutedAlert, moment: Moment, replaces: Replaced | None
) -> tuple[SubjectState, AlertRecord]:
    event, alert, targets = routed
    suppression = moment.suppression(routed)
    after, decision = apply_alert(state, alert, targets, moment.now, moment.timing, suppression, replaces)
    counts = decision in _COUNTED | {Decision.RESOLVING}
    incident = after.incident.id if counts and after.incident else ""
    return after, AlertRecord(alert, decision, incident, event, suppression.by if decision is Decision.SILENCED else {})


def _remembered(before: SubjectState, after: SubjectState, row: AlertRecord) -> SubjectState:
    """The state that knows the alert. One that the alert has not changed need not be written, and stays as it is."""
    if after == before:
        return before
    number = after.incident.number if row.incident and after.incident else 0
    return with_recent(after, row.alert, row.decision, number, row.silenced_by)


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
    after, row = _applied(state, routed, moment, Replaced(recorded.cause) if counted else None)
    row = row._replace(version=recorded.version)
    if counted and row.decision is not Decision.ANNOUNCED:
        row = row._replace(decision=recorded.decision, incident=recorded.incident, silenced_by={})
    rows.add(row)
    return _remembered(state, after, row)
