"""The router's domain types, as frozen data; docs/glossary.md defines the terms. Behaviour lives in the steps.

Times are POSIX seconds in UTC, as `time.time()` gives them.
"""

import enum
import hashlib
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

OWN_SOURCE = "ecs-alert-router"
"""The `source` of the events that the router sends to itself."""
HEARTBEAT = "Router Heartbeat"
"""The detail-type of the weekly heartbeat."""
SEND_TEST = "Router Test"
"""The detail-type of what `ecs-alert-router send-test` invokes the function with."""
CHECK = "Router Check"
"""The detail-type of what `ecs-alert-router doctor` invokes the function with."""
OWED = "Router Owed"
"""The detail-type of what a deployment invokes the function with."""
CHANNEL_HEALTH = "Channel Health"
"""The detail-type of the events that the router sends itself when a channel starts failing or works again."""
SERVICE_COUNT = "Service Below Count"
"""The detail-type of the events that the router makes when a service runs too few tasks, or enough again."""
RUN_OVERDUE = "Run Overdue"
"""The detail-type of the events that the router makes when an expected run does not start or finish in time."""
OWN_DETAIL_TYPES = frozenset({CHANNEL_HEALTH.lower(), SERVICE_COUNT.lower(), RUN_OVERDUE.lower()})
"""Detail-types, in lower case, of the events that the router only ever makes and handles within one invocation."""


class Severity(enum.StrEnum):
    """PagerDuty's four severities, worst first. Compare with `worse_than` and `at_least`, never as strings."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info up to 3 for critical."""
        return _RANKS[self]

    def at_least(self, other: "Severity") -> bool:
        return self.rank >= other.rank

    def worse_than(self, other: "Severity") -> bool:
        return self.rank > other.rank


_RANKS = {severity: rank for rank, severity in enumerate(reversed(Severity))}


class Decision(enum.StrEnum):
    """What was decided about an alert; stored in its row."""

    ANNOUNCED = "announced"
    HELD_BACK = "held back by window"
    ALREADY_RESOLVED = "already resolved"
    GATHERED = "gathered"
    SILENCED = "silenced"
    NO_ROUTE = "no route"
    BELOW_THRESHOLD = "below threshold"
    RESOLVING = "resolving"
    UNREADABLE = "unreadable"


class Outcome(enum.StrEnum):
    """The result of one attempt to send one notification to one channel."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"


class Kind(enum.StrEnum):
    """The kind of a notification: the incident is new to the channel, has changed, or is over."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Reason(enum.StrEnum):
    """Why a channel is notified now; stored with each delivery.

    Attributes:
        FIRST: the channel has not been notified of the incident before.
        WORSE: it is more severe than the channel was told, or cannot wait: an approval, a failed deployment.
        RETURNED: it failed again after the channel was told that it is resolved.
        DIGEST: a window ended in which alerts were held back.
        REMINDER: a condition continues, and the channel has not been notified for a long time.
        ENDED: the incident is over.
    """

    FIRST = "first"
    WORSE = "worse"
    RETURNED = "returned"
    DIGEST = "digest"
    REMINDER = "reminder"
    ENDED = "ended"


class IncidentStatus(enum.StrEnum):
    """Where an incident is in its life.

    Attributes:
        RECOVERING: everything has ended; the recovery is announced after the quiet time.
        LAPSED: nothing happened for 24 hours, and no condition continues.
        UNCONFIRMED: for too long, no event reported a condition and AWS could not be asked about it.
        CLOSED: a person closed it.
    """

    OPEN = "open"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    LAPSED = "lapsed"
    UNCONFIRMED = "unconfirmed"
    CLOSED = "closed"


_IS_OVER = {
    IncidentStatus.OPEN: False,
    IncidentStatus.RECOVERING: False,
    IncidentStatus.RESOLVED: True,
    IncidentStatus.LAPSED: True,
    IncidentStatus.UNCONFIRMED: True,
    IncidentStatus.CLOSED: True,
}


@lru_cache(maxsize=4096)  # a subject's key is needed many times for each event
def short_hash(*parts: str) -> str:
    """13 characters of a-z and 2-7 (64 bits of BLAKE2b): short enough to read out over the phone."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return b32encode(digest).decode().rstrip("=").lower()


class SubjectKind(enum.StrEnum):
    """What sort of thing a subject is; the value is the first half of the subject's text, as in `service:web`.

    `OTHER` stands for a kind that this version does not know: another ARN resource type, or a kind that a newer version
    stored. Its subject's name is then the whole text.
    """

    SERVICE = "service"
    FAMILY = "family"
    ALARM = "alarm"
    INSTANCE = "instance"
    DAEMON = "daemon"
    DEPLOYMENT_GROUP = "deployment-group"
    CLUSTER = "cluster"
    CAPACITY_PROVIDER = "capacity-provider"
    CHANNEL = "channel"
    ROUTER = "router"
    HEALTH_EVENT = "health-event"
    CALLER = "caller"
    OTHER = ""


_SUBJECT_KINDS = {kind.value: kind for kind in SubjectKind if kind is not SubjectKind.OTHER}


class Subject(NamedTuple):
    """What can fail and recover: a service, a task family, an alarm, an instance, a daemon and the like.

    Attributes:
        cluster: its name; `-` if the event names none.
        name: of a CodeDeploy deployment group, `APPLICATION/GROUP`; `-` if the event names none.
    """

    account: str
    region: str
    cluster: str
    kind: SubjectKind
    name: str

    @classmethod
    def from_text(cls, account: str, region: str, cluster: str, text: str) -> "Subject":
        """The subject with this `text`. An unknown kind becomes `OTHER`, so any text can be read back unchanged."""
        prefix, _, name = text.partition(":")
        kind = _SUBJECT_KINDS.get(prefix)
        if kind is None or ":" not in text:
            return cls(account, region, cluster, SubjectKind.OTHER, text)
        return cls(account, region, cluster, kind, name)

    @property
    def text(self) -> str:
        """`service:web`: how history, rules, silences and the CLI name the subject within its cluster."""
        return self.name if self.kind is SubjectKind.OTHER else f"{self.kind.value}:{self.name}"

    @property
    def fingerprint(self) -> str:
        """Identifies the subject everywhere. It never holds a task id or a task definition's revision."""
        return f"{self.account}/{self.region}/{self.cluster}/{self.text}"

    @property
    def key(self) -> str:
        """The fingerprint as a short hash: the first half of an incident's id."""
        return short_hash(self.fingerprint)


class Container(NamedTuple):
    """One container of a task, as far as the event describes it.

    Attributes:
        status: `lastStatus`, upper case, or "".
        exit_code: None if the event has none.
        digest: of the image: `sha256:…`, or "".
        memory: hard limit in MiB, its own, else the task's; None if the event has neither.
        health: `healthStatus`: "HEALTHY", "UNHEALTHY", "UNKNOWN", or "" if the container has no health check.
    """

    name: str = ""
    status: str = ""
    exit_code: int | None = None
    reason: str = ""
    image: str = ""
    digest: str = ""
    memory: int | None = None
    health: str = ""


class Alarm(NamedTuple):
    """What a CloudWatch alarm's event says about the alarm; "", None or empty where it does not say.

    Attributes:
        state, previous_state: `OK`, `ALARM` or `INSUFFICIENT_DATA`.
        namespace, metric, dimensions, statistic, unit, period: of the metric that it watches; period in seconds.
        expression: of metric math or Metrics Insights; the metric is then the first that it reads. label: its own name.
        missing_tasks: the expression is the number of desired tasks minus that of running ones.
        comparison: `>`, `>=`, `<` or `<=`: how the values compare with the threshold, by the state's reason.
        values: the datapoints that crossed the threshold, else the recent ones.
        breaching, evaluated: how many datapoints crossed the threshold, of how many.
        threshold: of a metric alarm. lower, upper: the band of an anomaly alarm.
        no_data: CloudWatch received no datapoints.
        description: as its owner wrote it, uncut. runbook_url: the first https address in it.
        children: of a composite alarm, name to ARN ("" if unknown) of those that set it off, else of those in its rule.
        triggered: whether `children` are those that set it off.
        composite_rule: of a composite alarm, its `alarmRule`.
        suppressed_by: the mute rule or suppressor alarm because of which CloudWatch suppresses the alarm's actions.
        suppressed_reason: why, in words. suppressed_until: clock time at which a mute window ends.
    """

    state: str = ""
    previous_state: str = ""
    namespace: str = ""
    metric: str = ""
    label: str = ""
    dimensions: Mapping[str, str] = MappingProxyType({})
    statistic: str = ""
    unit: str = ""
    period: float | None = None
    expression: str = ""
    missing_tasks: bool = False
    comparison: str = ""
    values: tuple[float, ...] = ()
    breaching: int = 0
    evaluated: int = 0
    threshold: float | None = None
    lower: float | None = None
    upper: float | None = None
    no_data: bool = False
    description: str = ""
    runbook_url: str = ""
    children: Mapping[str, str] = MappingProxyType({})
    triggered: bool = False
    composite_rule: str = ""
    suppressed_by: str = ""
    suppressed_reason: str = ""
    suppressed_until: float | None = None


class Event(NamedTuple):
    """One normalised EventBridge event: every field is present and has its type, whatever the input was.

    Attributes:
        id: EventBridge's id, else a hash of the event.
        at: event time: stoppedAt, updatedAt, createdAt, else the envelope's time.
        occurrence: the task's id, else a hash of the deployment, alarm change or service action that is the same in
            all events that ECS sends about it.
        status: `lastStatus` of a task or container instance, upper case; "" for other events.
        stop_code: the event's, or inferred from the stopped reason; "" if unknown.
        name: `eventName`, upper case, or "".
        type: `eventType`, upper case, or "".
        reason: `stoppedReason` of a task, `reason` of anything else.
        containers: by name; the order in which ECS lists them has no meaning.
        started_at: when the task reached RUNNING; None if it never did. created_at: when it was created, or
            None. Neither is later than `at`.
        deployment: `ecs-svc/…` id of the deployment that the event is about or that started the task, or "".
        details: more facts for messages, by AWS's own field names, such as `lifecycleStage` of a hook or
            `statusReason` of a task's attachments, such as EBS volumes.
        alarm: what the event of a CloudWatch alarm says about it, else None.
        partition: of the first ARN, such as `aws-cn`, or "".
        detail: the event's own detail, for the history row. Do not change it.
    """

    id: str
    source: str
    detail_type: str
    account: str
    region: str
    at: float
    subject: Subject
    occurrence: str
    task: str = ""
    status: str = ""
    desired_status: str = ""
    stop_code: str = ""
    reason: str = ""
    containers: tuple[Container, ...] = ()
    task_definition: str = ""
    started_at: float | None = None
    created_at: float | None = None
    name: str = ""
    type: str = ""
    deployment: str = ""
    state: str = ""
    details: Mapping[str, str] = MappingProxyType({})
    alarm: Alarm | None = None
    partition: str = ""
    detail: Mapping[str, Any] = MappingProxyType({})

    @property
    def self_reported(self) -> bool:
        """Whether a task reports about itself. Anyone who may call PutEvents can send such an event."""
        return self.source == OWN_SOURCE and bool(self.status)

    def __repr__(self) -> str:
        """Leaves out `detail`, which may hold secrets."""
        return f"Event({self.id!r}, {self.detail_type!r}, {self.occurrence!r})"


class EndedBy(enum.StrEnum):
    """What ended a condition or an occurrence; messages put it into words."""

    STEADY_STATE = "steady_state"
    DEPLOYMENT_COMPLETED = "deployment_completed"
    ROLLBACK_COMPLETED = "rollback_completed"
    RUN_COMPLETED = "run_completed"
    TASK_STOPPED = "task_stopped"
    CONTAINER_RUNNING = "container_running"
    ALARM_OK = "alarm_ok"
    ALARM_DELETED = "alarm_deleted"
    APPROVED = "approved"
    REJECTED = "rejected"
    APPROVAL_TIMED_OUT = "approval_timed_out"
    DEPLOYMENT_ENDED = "deployment_ended"
    INSTANCE_HEALTHY = "instance_healthy"
    INSTANCE_GONE = "instance_gone"
    CHANNEL_WORKS = "channel_works"
    ENOUGH_TASKS = "enough_tasks"
    SERVICE_DELETED = "service_deleted"
    NOT_EXPECTED = "not_expected"
    HEALTH_EVENT_CLOSED = "health_event_closed"
    HEALTH_EVENT_EXPIRED = "health_event_expired"
    VERIFIED = "verified"
    WITHOUT_DATA = "without_data"
    UNCONFIRMED = "unconfirmed"
    OTHER = "other"


class Begun(NamedTuple):
    """A condition that an event says has begun.

    Attributes:
        key: unique among the conditions of a subject (`router.ecs.conditions`).
        arn: of what AWS can be asked about it; "" if the subject and the key tell.
        deadline: clock time at which it ends by itself, or None.
        starts_at: clock time at which it takes effect, if that is announced; until then, it is not given up.
    """

    key: str
    arn: str = ""
    deadline: float | None = None
    starts_at: float | None = None


class Ended(NamedTuple):
    """A condition that an event ends.

    Attributes:
        key: that of the condition; with a slash at its end, it stands for all keys that begin with it.
        until: event time up to which it ends what was reported; None for the event's own.
    """

    key: str
    by: EndedBy
    until: float | None = None


class DeploymentStep(enum.StrEnum):
    """What an event says about a deployment."""

    FAILED = "failed"
    ROLLING_BACK = "rolling back"
    COMPLETED = "completed"


class Effects(NamedTuple):
    """What an event says about conditions and deployments, whatever it is classified as (`router.ecs.conditions`).

    Attributes:
        begins, ends: conditions.
        uncertain: keys of conditions about which nothing is known from now on, such as an alarm without data.
        ends_occurrences: if the event resolves, it ends the subject's occurrences, too.
        recovery: what ends them, for messages; None if only the classification says that the event resolves.
        deployment: what it says about the deployment that it names.
        immediate: no window holds it back: somebody has to decide, or waits for the result.
    """

    begins: tuple[Begun, ...] = ()
    ends: tuple[Ended, ...] = ()
    uncertain: tuple[str, ...] = ()
    ends_occurrences: bool = True
    recovery: EndedBy | None = None
    deployment: DeploymentStep | None = None
    immediate: bool = False


_NO_EFFECTS = Effects()


class Classification(NamedTuple):
    """The classification of an event. `rule` names the table row, plugin or user rule that decided."""

    severity: Severity
    cause: str
    resolves: bool
    rule: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An occurrence with its severity, cause, title and subject. Routes, silences and messages work on it.

    Attributes:
        id: of its row in history: `ecs-alert-router history show ID`.
        cause: a stable slug such as `out_of_memory` (docs/classification.md).
        resolves: it ends active causes of its subject.
        title: one line in English; messages have their own title in the recipient's language.
        at: event time. started_at, created_at: as in `Event`.
        task: the task's id, or "" if the alert is not about a task. task_definition: `web:42`.
        stopped: the task has stopped.
        culprits: names of the containers that caused the alert; empty if the event does not tell.
        ended: names of containers that had ended before, and so have nothing to do with it.
        reason: the most specific reason that ECS gives: a container's, else the task's or service's.
        deployment, details, alarm, partition: as in `Event`.
        runbook_url: of the user rule that matched, else "".
        exited: names of the containers whose exit this is about, if their task keeps running; sorted.
        self_reported: the task itself reported it, not AWS.
        effects: what the event says about conditions; not stored.
        detail_type, event_name: as in `Event`.
        event_reason: the event's own reason, if `reason` is another.
    """

    id: str
    event_id: str
    at: float
    severity: Severity
    cause: str
    resolves: bool
    rule: str
    title: str
    subject: Subject
    task: str = ""
    stopped: bool = False
    started_at: float | None = None
    created_at: float | None = None
    containers: tuple[Container, ...] = ()
    culprits: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    stop_code: str = ""
    reason: str = ""
    task_definition: str = ""
    deployment: str = ""
    runbook_url: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    alarm: Alarm | None = None
    partition: str = ""
    exited: tuple[str, ...] = ()
    self_reported: bool = False
    detail_type: str = ""
    event_name: str = ""
    event_reason: str = ""
    effects: Effects = field(default=_NO_EFFECTS, compare=False)

    @property
    def remaining(self) -> tuple[Container, ...]:
        """The containers that had not ended before, by name."""
        return tuple(container for container in self.containers if container.name not in self.ended)

    @property
    def blamed(self) -> tuple[Container, ...]:
        """The containers that caused the alert, by name."""
        return tuple(
            container
            for container in self.containers
            if container.name in self.culprits and container.status != "RUNNING"
        )

    @property
    def culprit(self) -> Container | None:
        """The container that caused the alert; None if no container or several did."""
        return self.blamed[0] if len(self.blamed) == 1 else None


class Option(NamedTuple):
    """An option that a channel kind or a plugin declares, so that the configuration can be checked.

    Attributes:
        required: without it, the channel is not configured.
        secret: production refuses a literal value.
        description: for people who edit alert-router.toml.
    """

    name: str
    required: bool = False
    secret: bool = False
    description: str = ""


class Recurrence(NamedTuple):
    """How often the cause of an alert occurred on its subject before, up to seven days back.

    Attributes:
        last_day: other alerts of the cause in the 24 hours before, to the hour.
        last_week: other alerts of the cause in the seven days before, to the day.
        previous: event time of the previous one, or None.
        deployed_at: event time at which the alert's deployment began, or None if unknown.
    """

    last_day: int = 0
    last_week: int = 0
    previous: float | None = None
    deployed_at: float | None = None


_NO_RECURRENCE = Recurrence()


class Enrichment(NamedTuple):
    """Facts about an alert that its event does not hold. What could not be fetched in time is empty.

    Attributes:
        facts: label to value, from plugins.
        memory: container name to its hard limit in MiB, from the task definition.
        essential: container name to the `essential` flag, from the task definition.
        logs: CloudWatch log group and log stream of the container that exited, or "".
        log_excerpt: the last lines of that log, with secrets removed. logged_at: when CloudWatch Logs got the last one.
        recurrence: the incident's, or None if messages should not mention it.
        account_name: the name that `[accounts]` gives the alert's account, or "".
    """

    facts: Mapping[str, str] = MappingProxyType({})
    memory: Mapping[str, int] = MappingProxyType({})
    essential: Mapping[str, bool] = MappingProxyType({})
    logs: tuple[str, str] = ("", "")
    log_excerpt: str = ""
    logged_at: float | None = None
    recurrence: Recurrence | None = None
    account_name: str = ""


@dataclass(frozen=True, slots=True)
class Silenced:
    """Alerts of one subject that silences suppressed and that nothing has ended since.

    Attributes:
        since, last_at: event times of the first and the newest.
        by: id to reason of the first silences that suppressed them.
    """

    since: float
    last_at: float
    count: int
    by: Mapping[str, str]


RELAPSES_OF_FLAPPING = 3
FLAPPING_WITHIN = 86_400.0
"""Seconds within which an incident fails again three times, if it is flapping."""


@dataclass(frozen=True, slots=True)
class Incident:
    """The problem of one subject, from its first announced alert until it resolves, lapses or is closed.

    Attributes:
        number: 1 for the subject's first.
        severity: the worst so far.
        causes: number of alerts by cause, in the order in which the causes first occurred.
        tasks: ids of the first ten tasks.
        alert: the first of the worst severity since it last returned.
        latest: the newest alert, which updates describe; None if that is `alert`.
        opened_at, last_at: event times of the first and the newest alert.
        ended_at: event time of the recovery, or clock time at which it lapsed or was closed; None while it is open.
        ended_by: what ended it, if it recovered.
        reopened: how often it returned within four hours after it was announced as resolved.
        relapses: how often it failed again after a recovery, announced or not. relapsed_at: event times of the newest.
        unconfirmed: conditions that may or may not have ended.
        silenced: alerts of this incident that silences suppressed; they are not counted in `causes`.
        closed_by, closed_because: who closed it by hand, and why.
        recurrence: of `alert`.
    """

    number: int
    status: IncidentStatus
    subject: Subject
    severity: Severity
    causes: Mapping[str, int]
    tasks: tuple[str, ...]
    alert: Alert
    opened_at: float
    last_at: float
    ended_at: float | None = None
    ended_by: EndedBy | None = None
    reopened: int = 0
    latest: Alert | None = None
    relapses: int = 0
    relapsed_at: tuple[float, ...] = ()
    unconfirmed: int = 0
    silenced: Silenced | None = None
    closed_by: str = ""
    closed_because: str = ""
    recurrence: Recurrence = _NO_RECURRENCE

    @property
    def id(self) -> str:
        """The subject's key and the number, `k3f9x2a7m2c4q-12`: for messages and `history show`."""
        return f"{self.subject.key}-{self.number}"

    @property
    def count(self) -> int:
        return sum(self.causes.values())

    @property
    def over(self) -> bool:
        return _IS_OVER[self.status]

    @property
    def flapping(self) -> bool:
        """Whether it failed again after a recovery three times within 24 hours."""
        newest = self.relapsed_at[-RELAPSES_OF_FLAPPING:]
        return len(newest) == RELAPSES_OF_FLAPPING and newest[-1] - newest[0] <= FLAPPING_WITHIN

    @property
    def dedup_key(self) -> str:
        """PagerDuty's key. It depends on the number, so a late resolve of one incident never closes the next."""
        return short_hash(self.subject.fingerprint, str(self.number))


class PartLabels(NamedTuple):
    """What a message's parts are called, in the recipient's language."""

    lead: str = "What happened"
    reason: str = "Reason"
    hint: str = "What to do"
    log: str = "Last log lines"


_ENGLISH_LABELS = PartLabels()


@dataclass(frozen=True, slots=True)
class Message:
    """The localised text of a notification. Each channel lays it out in its own format.

    Any field may hold text from outside the router; a channel must escape it for its format.

    Attributes:
        title: one line: the cause in plain words, and the subject.
        text: what happened, why, and what to do, in a few lines; enough for a channel that shows nothing else.
        facts: (label, value) pairs, the most important first.
        links: (label, https URL) pairs.
        log_excerpt: the last lines of the container that exited, or "".
        reason: ECS's own reason, which `text` also holds; "" if it adds nothing.
        hint: what to do; `text` ends with it. "" if there is none.
        details: (label, value) pairs: where it happened and how to find it in history.
        status: severity and status in one phrase: `CRITICAL`, `CRITICAL, ongoing`, `RESOLVED`, `重大・継続中`.
        headline: the title without the status, for a channel that shows `status` beside it; else "".
        labels: what to call the parts, for a channel that labels them.
        incident_title: the incident's first cause, and its subject. Unlike the other titles, it is the same in every
            message about an incident; "" if a message is about several.
    """

    title: str
    text: str
    facts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    log_excerpt: str = ""
    reason: str = ""
    hint: str = ""
    details: tuple[tuple[str, str], ...] = ()
    status: str = ""
    headline: str = ""
    labels: PartLabels = _ENGLISH_LABELS
    incident_title: str = ""

    @property
    def lead(self) -> str:
        """`text` without the reason and hint at its end, for a channel that shows those separately."""
        lead = self.text.rstrip()
        for part in filter(None, (self.hint.strip(), self.reason.strip())):
            if lead == part or lead.endswith(f"\n{part}"):
                lead = lead.removesuffix(part).rstrip()
        return lead


@dataclass(frozen=True, slots=True)
class Notification:
    """What one channel is asked to send about one incident, or about many.

    Attributes:
        mention: who is mentioned, in the channel's own notation, such as `<!here>` on Slack. It comes from the
            configuration alone, so it is the only text that a channel may send without escaping.
        bundled: the incidents of a message about many, worst first; `alert` and `incident` are then the worst one's.
            Empty for a message about one incident.
        alert: the one that the message describes.
        reason: why the channel is notified now.
        remote: the channel's memory of the incident: what `send` returned last, such as a message's id. Empty if there
            is none, and in a message about many incidents.
        revision: numbers the changes that this channel is notified of; all attempts to report one share its number.
        in_doubt: an earlier attempt to notify the channel of the incident may have reached the remote: it got no
            answer, or the process died.
        remembered: in a message about many incidents, the notifications about those of them that have a memory.
    """

    kind: Kind
    message: Message
    alert: Alert
    incident: Incident
    mention: str = ""
    bundled: tuple[Incident, ...] = ()
    reason: Reason = Reason.FIRST
    remote: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0
    in_doubt: bool = False
    remembered: "tuple[Notification, ...]" = ()


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """A named destination of one kind, with its secret references resolved.

    Attributes:
        options: the plugin's own keys of the channel's table in alert-router.toml; texts, or whatever TOML can hold.
            They may hold secrets, so the repr leaves them out.
        language: `en` or `ja`. time_zone: IANA name. dedup_window: seconds.
        stage, region: where the router is deployed, for the commands in a message; "" outside a stage.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(repr=False)
    language: str = "en"
    time_zone: str = "UTC"
    dedup_window: float = 900.0
    stage: str = ""
    region: str = ""
