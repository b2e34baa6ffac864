"""What the steps pass to each other, and the clients, clock and queues that are passed in to them.

Tests and simulations pass in their own table, clock and queues.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from router.aws.home import Home
from router.aws.queues import Queues
from router.channels.configured import ConfiguredChannel
from router.channels.plugins import Plugins
from router.channels.state import ChannelStates
from router.config.settings import Config
from router.config.silences import Silences
from router.deadline import Deadline
from router.errors import HistoryUnavailable
from router.history.items import AlertRecord
from router.history.store import History
from router.history.table import Key
from router.incident.recovery import Findings
from router.incident.state import Delivery, Dispatch, RouteTarget, SubjectState, Timing
from router.model import Alert, ChannelConfig, Decision, Enrichment, Event, Notification

LONGEST_SEND = 10.0
"""Upper bound on one send, in seconds; the channels' own timeouts enforce it. No send starts with less time left, so no
thread is still sending after the deadline."""
LEASE_MARGIN = 5.0
"""Seconds that a lease outlives its invocation; far below the visibility timeout of the events queue."""
SETTLE_MARGIN = 5.0
"""Seconds at the end of an invocation that are kept free for recording results."""

# --- what the steps pass on -------------------------------------------------------------------------------------------


class RoutedAlert(NamedTuple):
    """An alert that was classified and routed, with the event it came from."""

    event: Event
    alert: Alert
    targets: tuple[RouteTarget, ...]


class InvocationLease(NamedTuple):
    """Who may send the leased dispatches, and until when (clock time).

    Attributes:
        begin_by: no send starts later, since its result could no longer be recorded.
        settle_by: from then on the invocation waits for no channel, only for history.
    """

    owner: str
    until: float
    begin_by: float
    settle_by: float


class Claim(NamedTuple):
    """What was committed for one subject.

    Attributes:
        rows: the alerts whose rows were missing. dispatches: what this invocation has leased and must send.
        checked_at: when the subject was due to be checked before (clock time).
    """

    state: SubjectState
    rows: tuple[AlertRecord, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()
    checked_at: float | None = None


class Claims(NamedTuple):
    """What was committed for a batch.

    Attributes:
        channel_states: as far as they are known.
        bundle_at: clock times of the bundles that this batch scheduled.
        granted_at: by endpoint, when rate limits granted a send.
        decisions: by alert id, of those whose state was written.
        reclassified: by the ids of event and alert, the alerts as they were classified once the state was known.
        errors: by alert id, why its state or its row could not be written. With a decision, only its row is missing.
    """

    claims: tuple[Claim, ...] = ()
    channel_states: ChannelStates = ChannelStates()
    bundle_at: tuple[float, ...] = ()
    granted_at: Mapping[str, float] = MappingProxyType({})
    decisions: Mapping[str, Decision] = MappingProxyType({})
    errors: Mapping[str, HistoryUnavailable] = MappingProxyType({})
    reclassified: Mapping[tuple[str, str], RoutedAlert] = MappingProxyType({})

    def joined(self, other: "Claims") -> "Claims":
        return Claims(
            (*self.claims, *other.claims),
            other.channel_states if other.claims else self.channel_states,
            (*self.bundle_at, *other.bundle_at),
            {**self.granted_at, **other.granted_at},
            {**self.decisions, **other.decisions},
            {**self.errors, **other.errors},
            {**self.reclassified, **other.reclassified},
        )


class Job(NamedTuple):
    """One notification for one channel.

    Attributes:
        state: as it was when the lease was taken.
        notify: renders the notification; called in the channel's thread.
        channel: None if the channel cannot be used; `unusable` says why.
        bundled_with: the other members of a bundle.
    """

    state: SubjectState
    dispatch: Dispatch
    config: ChannelConfig
    notify: Callable[[], Notification]
    channel: ConfiguredChannel | None = None
    unusable: str = ""
    bundled_with: tuple[tuple[SubjectState, Dispatch], ...] = ()

    @property
    def members(self) -> tuple[tuple[SubjectState, Dispatch], ...]:
        """Everything that is in the message."""
        return (self.state, self.dispatch), *self.bundled_with


Answered = tuple[Job, Delivery]
Deliver = Callable[[Sequence[Job], Deadline], Iterator[list[Answered]]]
"""`router.deliver.deliver`, or a test's own: sends jobs before a deadline."""


class EventResult(NamedTuple):
    """The result of one event.

    Attributes:
        routed: None if the event is unreadable; `reason` says why.
        decision: None if the state could not be written.
        error: why the state or the row could not be written; None once both are safe.
        deliveries: the attempts to announce the alert.
    """

    routed: RoutedAlert | None = None
    decision: Decision | None = None
    reason: str = ""
    error: HistoryUnavailable | None = None
    deliveries: tuple[Delivery, ...] = ()


# --- what is passed in ------------------------------------------------------------------------------------------------


class Runtime(NamedTuple):
    """Clock, random numbers and the table, for the steps that do I/O.

    Attributes:
        clock: seconds since the epoch, as `time.time`.
        jitter: 0 to 1, as `random.random`.
        pause: waits before try n + 1 (from 0), so that writers of one subject do not keep colliding.
        silences: the silences that are active now.
    """

    history: History
    clock: Callable[[], float]
    jitter: Callable[[], float]
    pause: Callable[[int], None]
    timing: Timing
    silences: Silences


class OutageMemory:
    """What this process announced while history was unreachable (`router.outage`).

    Attributes:
        announced_until: dedup expiry (clock time) by fingerprint and channel.
        channel_states: as far as this process knows them.
    """

    def __init__(self) -> None:
        self.announced_until: dict[tuple[str, str], float] = {}
        self.channel_states = ChannelStates()


class Dependencies(NamedTuple):
    """Everything that the steps need, put together once per process (`router.handler`).

    The entry points and the pipeline hold it; a step is given only what it uses.

    Attributes:
        count_decision: called with each decision that was recorded.
        count_unusable: called at each tick with the number of channels that cannot send (`router.selfcheck.probe`).
        unconfirmed_subscriptions: asks AWS for the e-mail addresses that have yet to confirm their subscription.
        verify: what AWS says about the conditions of these states (`router.verify`).
        home: where AWS can be polled; None if it cannot be.
        enrich: what is known of alerts beyond their events, by alert id, within that many seconds.
        configuration: the name of the packaged alert-router.toml.
        essential: container name to the task definition's `essential` flag; empty if it cannot be read.
    """

    config: Config
    plugins: Plugins
    runtime: Runtime
    queues: Queues
    deliver: Deliver
    new_id: Callable[[], str]
    memory: OutageMemory
    count_decision: Callable[[Decision], None] = lambda _: None
    count_unusable: Callable[[int], None] = lambda _: None
    unconfirmed_subscriptions: Callable[[], Sequence[str]] = lambda: ()
    verify: Callable[[Sequence[SubjectState]], Mapping[Key, Findings]] = lambda _states: {}
    home: Home | None = None
    enrich: Callable[[Sequence[Alert], float], Mapping[str, Enrichment]] = lambda _alerts, _seconds: {}
    essential: Callable[[Event], Mapping[str, bool]] = lambda _event: {}
    configuration: str = "alert-router.toml"
