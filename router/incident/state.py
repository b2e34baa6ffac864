"""State of one subject: its latest incident and an outbox entry for each channel. Data only, no decisions.

`router.incident.lifecycle` and `router.incident.outbox` compute the next state; `router.history.items` stores it.
"""

import enum
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, assert_never

from router.model import Alert, Decision, Incident, Kind, Outcome, Reason, Recurrence, Severity, Silenced, Subject


class MessageOptions(NamedTuple):
    """How a route wants its messages; "" leaves the choice to the channel's own settings.

    Attributes:
        mention: who is mentioned, in the channel's own notation. It comes from the configuration alone.
        language: `en` or `ja`.
        time_zone: IANA name.
    """

    mention: str = ""
    language: str = ""
    time_zone: str = ""


_AS_CONFIGURED = MessageOptions()


class RouteTarget(NamedTuple):
    """A channel that an alert's routes name.

    Attributes:
        dedup_window: seconds; the length of the first window.
        stateful: see `router.channels.plugins.Channel`.
        remind: seconds after its last message until the channel is reminded of what continues; 0.0 for never.
    """

    channel: str
    dedup_window: float
    stateful: bool = False
    options: MessageOptions = MessageOptions()
    remind: float = 0.0


class SendMode(enum.StrEnum):
    """How a due entry is sent: in a message of its own, or bundled with others because of the channel's rate limit."""

    SINGLE = "alone"
    BUNDLED = "gathered"


HOUR = 3600.0
UNSEEN_FOR = 7 * 24 * HOUR
"""Seconds after which a condition without a deadline that was neither seen nor checked is given up."""
UNCERTAIN_FOR = 24 * HOUR
"""The same for an alarm without data."""
DEADLINE_GRACE = 900.0
"""Seconds after a deadline, in which AWS may still report what became of it."""
HEALTH_GRACE = 24 * HOUR
"""Seconds after the end time of a Health event in which AWS may still move or close it; its deadline includes them."""


class OutboxEntry(NamedTuple):
    """What one channel should have been told about one incident, and what it was told.

    These rules hold in every stored entry:
    - `sent_revision <= wanted_revision`; the entry is behind while they differ.
    - `last_kind_sent` is None exactly while `sent_revision` is 0.
    - `window_ends_at` is set only after a successful send that was not `resolved`.
    - `attempt` and `first_attempt_at` start with the lease of a first attempt and are cleared together.
    - While the lease lasts, the entry is behind and due at `lease_ends_at`: if the process dies, it is sent again.
    - `throttled` means something only while the entry is due and not leased.

    Attributes:
        dedup_window, stateful, options, remind: of the route that named the channel last; see `RouteTarget`.
        wanted_revision: counts the changes to report. sent_revision: the last of these that the channel accepted.
        last_kind_sent: kind of the last notification that the channel accepted; None before the first.
        announced_severity: the worst severity that the channel was told since the last `resolved`.
        suppressed: alerts by cause that the channel has not been told about yet.
        only_self_reports: all that the channel has not been told yet are reports of tasks about themselves.
        immediate: something that no window holds back is among what the channel has not been told yet.
        sent_at: clock time at which the channel accepted the last notification; None before the first.
        reminded_at: clock time of the last reminder, whether or not the channel accepted it; None before the first.
        window_step: windows begun so far. window_ends_at: clock time, or None outside a window.
        attempt: attempts to send the wanted revision. first_attempt_at: clock time of the first of them.
        due_at: clock time at which this entry needs work; None if nothing is left to do.
        throttled: the entry waits for its channel's rate limit, not for a time of its own.
        lease_owner: the invocation that is sending. lease_ends_at: clock time.
        outage_alert: the channel was notified without history, of incident number 0, and keeps an alert open for it.
        in_doubt: an attempt since the last success may have reached the remote (it timed out or its process died).
        outcome, response: of the last attempt.
        remote: the channel's memory: what its `send` returned last; see `router.model.Notification`.
    """

    # route target
    dedup_window: float
    stateful: bool = False
    options: MessageOptions = _AS_CONFIGURED
    remind: float = 0.0
    # wanted and sent
    wanted_revision: int = 0
    sent_revision: int = 0
    last_kind_sent: Kind | None = None
    announced_severity: Severity = Severity.INFO
    suppressed: Mapping[str, int] = MappingProxyType({})
    only_self_reports: bool = False
    immediate: bool = False
    sent_at: float | None = None
    reminded_at: float | None = None
    # window
    window_step: int = 0
    window_ends_at: float | None = None
    # next attempt
    attempt: int = 0
    first_attempt_at: float | None = None
    due_at: float | None = None
    throttled: bool = False
    # lease
    lease_owner: str = ""
    lease_ends_at: float = 0.0
    # last attempt
    outage_alert: bool = False
    in_doubt: bool = False
    outcome: Outcome | None = None
    response: str = ""
    # channel memory
    remote: Mapping[str, str] = MappingProxyType({})

    @property
    def is_behind(self) -> bool:
        return self.wanted_revision > self.sent_revision

    @property
    def knows_incident(self) -> bool:
        """Whether the channel was told of the incident, and not yet that it is over."""
        match self.last_kind_sent:
            case Kind.OPENED | Kind.UPDATED:
                return True
            case Kind.RESOLVED | None:
                return False
            case _:
                assert_never(self.last_kind_sent)

    @property
    def remind_at(self) -> float | None:
        """Clock time at which the channel is reminded, if a condition of the incident continues until then."""
        if not self.remind or self.stateful or self.sent_at is None or self.is_behind or not self.knows_incident:
            return None
        return max(self.sent_at, self.reminded_at or self.sent_at) + self.remind

    def is_leased(self, now: float) -> bool:
        return bool(self.lease_owner) and self.lease_ends_at > now


CONTAINER = "container/"
"""Prefix of the keys of conditions `container/TASK/NAME`; `router.ecs.conditions` has those of the others."""
HEALTH_EVENT = "health/"
"""Prefix of `health/ARN`."""


def container_key(task: str, name: str) -> str:
    """The key of the condition that a container has exited while its task keeps running."""
    return f"{CONTAINER}{task}/{name}"


class Condition(NamedTuple):
    """A state of the subject that lasts until an event ends it, or until it can be neither seen nor checked.

    Attributes:
        cause: of the alert that reported it.
        reported_at: event time of the newest event that reported it. What is older is not its end.
        seen_at: clock time at which an event reported it, or AWS was asked, for the last time; of what is announced, no
            earlier than it takes effect.
        arn: of what AWS can be asked about it; "" if the subject and the condition's key tell.
        deadline: clock time at which it ends by itself, or None.
        uncertain_since: clock time at which AWS stopped knowing, such as an alarm without data, or None.
    """

    cause: str
    reported_at: float
    seen_at: float
    arn: str = ""
    deadline: float | None = None
    uncertain_since: float | None = None

    def continues_at(self, time: float) -> bool:
        """Whether it may continue then: its deadline is later, if it has one."""
        return self.deadline is None or time < self.deadline

    @property
    def ends_at(self) -> float:
        """Clock time at which it ends without an event."""
        times = (
            self.seen_at + UNSEEN_FOR if self.deadline is None else self.deadline + DEADLINE_GRACE,
            math.inf if self.uncertain_since is None else self.uncertain_since + UNCERTAIN_FOR,
        )
        return min(times)


class MutedAlert(NamedTuple):
    """An alert that is silenced, to be announced if its condition continues when the silence ends.

    Attributes:
        until: clock time at which to check whether it is still silenced.
        targets: the channels that the alert's routes named.
        recurrence: of the alert, when it came.
        conditions: keys of the conditions that it and earlier silenced alerts report.
    """

    until: float
    alert: Alert
    targets: tuple[RouteTarget, ...] = ()
    recurrence: Recurrence = Recurrence()
    conditions: tuple[str, ...] = ()


class SelfReport(NamedTuple):
    """What a task reported of itself, and AWS has not confirmed yet.

    Attributes:
        incident: number of the incident that counts it; 0 for none.
        cause, severity: of its alert.
        revisions: by channel, the revision that tells of it.
    """

    incident: int
    cause: str
    severity: Severity
    revisions: Mapping[str, int] = MappingProxyType({})


class KnownTask(NamedTuple):
    """What is remembered of a task.

    Attributes:
        exits: the containers whose exits AWS has reported while the task ran, with the severity of that alert.
        restarted: containers that run again after such an exit, with the event time at which that was reported last.
        self_reports: by container, what the task reported of itself and AWS has not.
        stopped_at: event time of its stop; None while it runs, or if nothing had to be remembered of that.
    """

    exits: Mapping[str, Severity] = MappingProxyType({})
    restarted: Mapping[str, float] = MappingProxyType({})
    self_reports: Mapping[str, SelfReport] = MappingProxyType({})
    stopped_at: float | None = None


class RecentAlert(NamedTuple):
    """What was decided about an alert. Its row is written after the state, so it may be missing.

    Attributes:
        decision: the final one.
        severity, cause: of the alert; a repeat may turn out to be more severe.
        incident: number of the incident that its row names; 0 for none.
        alert_id: the id of its row, if the state has changed the one that the event alone gives it; else "".
        ended: the containers that were left out then, since they had ended before.
        silenced_by: id and reason of the silence that held it back, if one did.
    """

    decision: Decision
    severity: Severity
    cause: str
    incident: int = 0
    alert_id: str = ""
    ended: tuple[str, ...] = ()
    silenced_by: Mapping[str, str] = MappingProxyType({})


class Replaced(NamedTuple):
    """An alert of the open incident whose place another alert about the same ending takes.

    Attributes:
        cause: under which the incident counts it.
        announced_to: the channels that need not be told of the other one.
    """

    cause: str
    announced_to: frozenset[str] = frozenset()


class SubjectState(NamedTuple):
    """The state of one subject. It is one item of the table, so one conditional write replaces it.

    Attributes:
        version: of the stored item; 0 if none is stored yet.
        quiet_from: event time of the latest resolving event; alerts older than that are not announced.
        deployment_resolved_at: the same for failed deployments, as far as a person closed their incident.
        rollbacks: ids of the deployments that roll back a failed one.
        completions: event time at which each deployment completed, by id.
        cause_times: event time of the newest occurrence of each cause since the incident opened, or since a silence
            held it back. `router.incident.recovery` tells which of them are over.
        conditions: those that continue, by key (`router.ecs.conditions`).
        ended: event times at which conditions ended, by key, so that a late report of one is recognised.
        latest_sent: a message has described the incident's newest alert.
        verify_at: clock time at which AWS is asked whether the conditions continue.
        resolve_at: clock time at which a recovery is announced. lapse_at: clock time at which the incident lapses.
        silenced: what silences have held back since the last announcement, and nothing has ended yet.
        occurrences: by cause, how often it occurred in the last week; see `router.incident.recurrence`.
        deployments: event time at which each began, by id.
        muted: the alert that opens an incident when its silence ends, or None.
        tasks: what is known of the most recent tasks, by id; see `router.incident.known_tasks`.
        recent: the alerts that changed the state most recently, the newest last; see `router.incident.recent`.
        archived: a later incident has replaced this one; its open sends are still completed.
        superseded: the state with the previous incident, to be archived in the same write; not stored.
        given_up: sends that were tried and became pointless, to be recorded in the same write; not stored.
        unknown: what a newer version stored about this subject, to be written back; only `router.history` reads it.
    """

    subject: Subject
    version: int = 0
    quiet_from: float = 0.0
    deployment_resolved_at: float = 0.0
    rollbacks: tuple[str, ...] = ()
    incident: Incident | None = None
    completions: Mapping[str, float] = MappingProxyType({})
    cause_times: Mapping[str, float] = MappingProxyType({})
    conditions: Mapping[str, Condition] = MappingProxyType({})
    ended: Mapping[str, float] = MappingProxyType({})
    latest_sent: bool = False
    outbox: Mapping[str, OutboxEntry] = MappingProxyType({})
    verify_at: float | None = None
    resolve_at: float | None = None
    lapse_at: float | None = None
    silenced: Silenced | None = None
    occurrences: Mapping[str, tuple[tuple[float, int], ...]] = MappingProxyType({})
    deployments: Mapping[str, float] = MappingProxyType({})
    muted: MutedAlert | None = None
    tasks: Mapping[str, KnownTask] = MappingProxyType({})
    recent: Mapping[str, RecentAlert] = MappingProxyType({})
    archived: bool = False
    superseded: "SubjectState | None" = None
    given_up: "tuple[Delivery, ...]" = ()
    unknown: Mapping[str, Any] = MappingProxyType({})

    @property
    def due_at(self) -> float | None:
        """Clock time at which this subject needs work, or None."""
        return self._earliest(entry.due_at for entry in self.outbox.values())

    @property
    def next_check_at(self) -> float | None:
        """As `due_at`, but without throttled entries, which their channel's next bundle covers."""
        return self._earliest(entry.due_at for entry in self.outbox.values() if not entry.throttled)

    def _earliest(self, due: Iterable[float | None]) -> float | None:
        timers = (self.resolve_at, self.lapse_at, self.muted.until if self.muted else None, *self._condition_timers())
        return min((time for time in (*timers, *due) if time is not None), default=None)

    def _condition_timers(self) -> Iterable[float | None]:
        if not self.conditions or self.archived:
            return ()
        reminders = map(self.remind_at, self.outbox.values()) if self.is_open else ()
        return self.verify_at, *(condition.ends_at for condition in self.conditions.values()), *reminders

    def remind_at(self, entry: OutboxEntry) -> float | None:
        """Clock time at which a channel is reminded of what may continue then, or None."""
        at = entry.remind_at
        continues = at is not None and any(condition.continues_at(at) for condition in self.conditions.values())
        return at if continues else None

    @property
    def is_open(self) -> bool:
        """Whether it has an incident that is not over."""
        return self.incident is not None and not self.incident.over


class LeaseGrant(NamedTuple):
    """What an invocation may send of one subject's due entries.

    Attributes:
        owner: of the lease. until: clock time at which the lease ends.
        grants: by channel, how it may send. A due entry whose channel has no grant stays due.
        retry_at: by channel, the clock time at which its due entries without a grant are checked again.
    """

    owner: str
    until: float
    grants: Mapping[str, SendMode]
    retry_at: Mapping[str, float] = MappingProxyType({})


class Dispatch(NamedTuple):
    """One notification that is being sent under a lease. It is fixed when the lease is taken.

    Attributes:
        revision, attempt, suppressed: of the outbox entry at that time.
        is_first: the channel does not know of the incident: it was told nothing yet, or that it is over.
        severity: the incident's.
        reason: why the channel is notified now.
        alert: the one that the message describes; None for the incident's worst.
        continuing: by cause, how many conditions and causes continue.
        without_data_since: clock time since which AWS has had no data about any of that; None if it has.
        of_outage: it resolves what the channel was sent without history, as incident number 0.
        remote, in_doubt: of the outbox entry at that time.
        opens_window: a window begins once it is sent; not if it is only about what tasks report of themselves.
    """

    channel: str
    kind: Kind
    revision: int
    attempt: int
    is_first: bool
    severity: Severity
    suppressed: Mapping[str, int]
    options: MessageOptions = MessageOptions()
    mode: SendMode = SendMode.SINGLE
    opens_window: bool = True
    reason: Reason = Reason.FIRST
    alert: Alert | None = None
    continuing: Mapping[str, int] = MappingProxyType({})
    without_data_since: float | None = None
    of_outage: bool = False
    remote: Mapping[str, str] = MappingProxyType({})
    in_doubt: bool = False


class Timing(NamedTuple):
    """The settings that decide when something happens to an incident.

    Attributes:
        resolve_after: seconds between a recovery and its announcement, unless the incident returns.
        verify: whether AWS is asked whether conditions continue.
    """

    resolve_after: float = 300.0
    verify: bool = True


class Delivery(NamedTuple):
    """The result of one attempt to send a dispatch.

    Attributes:
        response: the remote's or the router's own words about it.
        retry_after: seconds that the remote asked us to wait, or None.
        unanswered: the remote did not answer, so it may have accepted the notification.
        rejected: the remote refused the content of this message, which says nothing about the channel's health.
        seconds: how long rendering and sending took; None if the channel was not called or did not return.
        waited: seconds since then, spent waiting for other channels.
        remote: what the channel is to remember of the incident from now on; None if that does not change.
    """

    dispatch: Dispatch
    outcome: Outcome
    response: str = ""
    retry_after: float | None = None
    unanswered: bool = False
    rejected: bool = False
    seconds: float | None = None
    waited: float = 0.0
    remote: Mapping[str, str] | None = None
