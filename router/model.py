"""The domain model of the router, as frozen data (docs/glossary.md). Behaviour is in the steps.

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
CHANNEL_HEALTH = "Channel Health"
"""The detail-type of the events by which it tells itself that a channel fails, or works again."""

SIGTERM = 143
"""The exit code of a container that was asked to stop: 128 + 15."""


class Severity(enum.StrEnum):
    """PagerDuty's four, worst first. Compare with `worse_than` and `at_least`: the strings do not sort by meaning."""

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
    """What was decided about an alert; stands in its row for good."""

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
    """What came of one attempt to deliver one notification to one channel."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"


class Kind(enum.StrEnum):
    """What one channel is asked to say of one incident."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


@lru_cache(maxsize=4096)  # a subject's key is asked for at every turn
def short_hash(*parts: str) -> str:
    """13 characters of a-z2-7 (64 bits of BLAKE2b): short enough to read out on the phone."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return b32encode(digest).decode().rstrip("=").lower()


class Subject(NamedTuple):
    """What can be in trouble and recover: a service, a task family, an alarm, an instance, a daemon and the like.

    Attributes:
        name: `service:web`, `family:nightly`, `alarm:NAME`, `instance:ID`, `daemon:NAME` or
            `deployment-group:APPLICATION/GROUP` (CodeDeploy's).
        cluster: its name; `-` where the event names none.
    """

    account: str
    region: str
    cluster: str
    name: str

    @property
    def fingerprint(self) -> str:
        """Names the subject everywhere: never the task id, never the task definition's revision."""
        return f"{self.account}/{self.region}/{self.cluster}/{self.name}"

    @property
    def key(self) -> str:
        """The fingerprint as a short hash: the first half of an incident's id."""
        return short_hash(self.fingerprint)


class Container(NamedTuple):
    """One container of a task, as far as the event told. `exit_code` is None where none is known.

    Attributes:
        digest: of the image: `sha256:…`, or "".
        memory: MiB at which it is killed: its own hard limit, else the task's; None where the event names neither.
    """

    name: str = ""
    status: str = ""
    exit_code: int | None = None
    reason: str = ""
    image: str = ""
    digest: str = ""
    memory: int | None = None


class Event(NamedTuple):
    """One EventBridge event, normalised: every field is there and has its type, whatever came in.

    Attributes:
        id: EventBridge's id; a hash of the event where it has none.
        at: when it happened by the event's own word: stoppedAt, updatedAt, createdAt, else the envelope's time.
        occurrence: names the thing that happened, the same for all events that ECS sends about it: the task's id,
            else a hash of the deployment, alarm change or service action.
        status: `lastStatus` of a task or container instance, upper case; "" for other events.
        stop_code: the event's, or inferred from the stopped reason; "" where unknown.
        name: `eventName`, upper case, or "".
        type: `eventType`, upper case, or "".
        reason: `stoppedReason` of a task, `reason` of all else.
        started_at: when the task started (else was created), or None.
        deployment: `ecs-svc/…` id: of a deployment event its own, of a task's event the one that started the task.
        details: what else messages tell, by AWS's own field names: `lifecycleStage` of a hook, of an alarm its
            `description`, `metric` and that metric's dimensions.
        detail: what came in, for the history row; treat as read-only.
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
    name: str = ""
    type: str = ""
    deployment: str = ""
    state: str = ""
    details: Mapping[str, str] = MappingProxyType({})
    detail: Mapping[str, Any] = MappingProxyType({})

    def __repr__(self) -> str:
        """Without what came in, which may hold secrets."""
        return f"Event({self.id!r}, {self.detail_type!r}, {self.occurrence!r})"


class Classification(NamedTuple):
    """What the classify step says of an event. `rule` names the table row, plugin or user rule that decided."""

    severity: Severity
    cause: str
    resolves: bool
    rule: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An occurrence with severity, cause, title and subject: what rules, routes and messages speak of.

    Attributes:
        id: its row in history: `ecs-alert-router history show ID`.
        cause: a stable slug such as `out_of_memory` (docs/classification.md).
        resolves: whether it ends trouble of its subject.
        title: one English line; messages have their own, in the reader's language.
        at: event time. started_at: when the task started, or None.
        task: the task's id, "" for what is not about a task. task_definition: `web:42`.
        stopped: whether it says that the task has stopped.
        reason: ECS's own words: the container's that tells most, else the task's or service's.
        deployment: `ecs-svc/…` id: of a deployment event its own, of a task's event the one that started the task.
        runbook_url: of the user's rule that matched, else "".
        details: what else messages tell, by AWS's own field names; see `Event`.
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
    containers: tuple[Container, ...] = ()
    stop_code: str = ""
    reason: str = ""
    task_definition: str = ""
    deployment: str = ""
    runbook_url: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def culprit(self) -> Container | None:
        """The container that tells why: one with a reason, else with a bad exit code, else the first that stopped."""
        stopped = [each for each in self.containers if each.status != "RUNNING"]
        return min(
            stopped,
            key=lambda each: (not each.reason, each.exit_code in {0, None}, each.exit_code == SIGTERM),
            default=None,
        )


class Recurrence(NamedTuple):
    """What is remembered of a subject and a cause before an alert, up to seven days back.

    Attributes:
        day, week: how many others of the same cause there were in the 24 hours (to the hour) and the seven days (to the
            day) before.
        previous: event time of the one before, or None.
        deployed_at: event time at which the deployment began that the alert is about, or None where that is not known.
    """

    last_day: int = 0
    last_week: int = 0
    previous: float | None = None
    deployed_at: float | None = None


_NO_RECURRENCE = Recurrence()


class Enrichment(NamedTuple):
    """What was found out about an alert beyond its event; whatever could not be had in time is empty.

    Attributes:
        facts: label and value, from plugins.
        memory: container name to the MiB at which it is killed, by the task definition.
        essential: container name to whether its end ends the task, by the task definition.
        logs: CloudWatch's log group and log stream of the container that died, or "".
        log_excerpt: its last lines, without secrets.
        past: as the incident has it, or None where messages are not to tell of it.
    """

    facts: Mapping[str, str] = MappingProxyType({})
    memory: Mapping[str, int] = MappingProxyType({})
    essential: Mapping[str, bool] = MappingProxyType({})
    logs: tuple[str, str] = ("", "")
    log_excerpt: str = ""
    recurrence: Recurrence | None = None


@dataclass(frozen=True, slots=True)
class Silenced:
    """Alerts of one subject that silences held back, and that nothing has ended since.

    Attributes:
        since, last_at: event times of the first and the newest.
        by: id to reason of the first silences that held them back.
    """

    since: float
    last_at: float
    count: int
    by: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Incident:
    """The trouble of one subject, from its first announced alert until it is resolved or lapses.

    Attributes:
        number: 1 for the subject's first.
        status: `open`, `recovering` (a resolving event came; it is announced after `resolve_after`), `resolved`,
            `lapsed` (nothing for 24 h) or `closed` (by hand).
        severity: the worst so far.
        causes: alerts counted per cause, in the order of their first.
        tasks: ids of the first ten tasks.
        alert: the one to speak of: the first of the worst severity.
        opened_at, last_at: event times of the first and the newest alert.
        ended_at: event time of the recovery, or when it lapsed or was closed; None while it goes on.
        reopened: how often it came back within an hour of its resolution.
        silenced: what silences held back of this trouble before it was announced, or between announcements; those
            alerts are not in `causes`.
        closed_by, closed_because: who closed it by hand, and why.
        past: what was before `alert`.
    """

    number: int
    status: str
    subject: Subject
    severity: Severity
    causes: Mapping[str, int]
    tasks: tuple[str, ...]
    alert: Alert
    opened_at: float
    last_at: float
    ended_at: float | None = None
    reopened: int = 0
    silenced: Silenced | None = None
    closed_by: str = ""
    closed_because: str = ""
    recurrence: Recurrence = _NO_RECURRENCE

    @property
    def id(self) -> str:
        """For people and for `history show`: the subject's hash and the number, `k3f9x2a7m2c4q-12`."""
        return f"{self.subject.key}-{self.number}"

    @property
    def count(self) -> int:
        return sum(self.causes.values())

    @property
    def over(self) -> bool:
        return self.status not in {"open", "recovering"}

    @property
    def dedup_key(self) -> str:
        """PagerDuty's: of fingerprint and number, so that a late resolve of one incident never closes the next."""
        return short_hash(self.subject.fingerprint, str(self.number))


@dataclass(frozen=True, slots=True)
class Message:
    """The localised text that every channel lays out in its own way.

    Everything in it may hold text from outside: a channel escapes what its format needs escaped.

    Attributes:
        title: the cause in plain words and where, one line.
        text: what happened, why and what to do, a few lines: whole for a channel that shows nothing else.
        facts: (label, value) pairs that tell more about it, the most telling first.
        links: (label, https URL) pairs.
        log_excerpt: the last lines of the container that died, or "".
        reason: ECS's own words, which `text` holds as well; "" where they say nothing new.
        hint: what to do, with which `text` ends; "" where there is nothing to say.
        details: (label, value) pairs that say where it was and how to find it again.
    """

    title: str
    text: str
    facts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    log_excerpt: str = ""
    reason: str = ""
    hint: str = ""
    details: tuple[tuple[str, str], ...] = ()

    @property
    def lead(self) -> str:
        """`text` without the reason and the hint that it ends with: for a channel that sets these apart."""
        return self.text.removesuffix(self.hint).rstrip().removesuffix(self.reason).rstrip()


@dataclass(frozen=True, slots=True)
class Notification:
    """What one channel is asked to say of one incident.

    Attributes:
        mention: whom to call, in the channel's own notation, such as `<!here>` on Slack; it comes from the
            configuration alone, so it is the one text that a channel may pass on as it stands.
        gathered: of a message about many incidents at once, all of them, worst first; `alert` and `incident` are the
            worst's then. Empty for a message about one.
    """

    kind: Kind
    message: Message
    alert: Alert
    incident: Incident
    mention: str = ""
    bundled: tuple[Incident, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """A named destination of one kind, references resolved.

    Attributes:
        options: the keys of its table in alert-router.toml that are the plugin's own. They hold secrets, so they
            are left out of the repr.
        language: `en` or `ja`. time_zone: IANA name. dedup_window: seconds.
    """

    name: str
    kind: str
    options: Mapping[str, str] = field(repr=False)
    language: str = "en"
    time_zone: str = "UTC"
    dedup_window: float = 900.0
