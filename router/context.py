"""What the steps hand on to each other, and what all of them need."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from router.aws.queues import Queues
from router.channels.configured import ConfiguredChannel
from router.channels.plugins import Plugins
from router.channels.state import ChannelStates
from router.config.settings import Config
from router.errors import HistoryUnavailable
from router.incident.state import Delivery, Dispatch, RouteTarget, SubjectState
from router.model import Alert, ChannelConfig, Decision, Enrichment, Event, Notification
from router.runtime import Runtime

LONGEST_SEND = 10.0
"""Seconds within which a channel's own time-outs end a send; with less time left, none is begun. So a thread that
comes back after the end does not go on sending."""


class RoutedAlert(NamedTuple):
    """An alert that was classified and routed, with the event it came from."""

    event: Event
    alert: Alert
    targets: tuple[RouteTarget, ...]


class Job(NamedTuple):
    """One notification for one channel.

    Attributes:
        standing: as it was when the lease was taken.
        notify: renders the notification; called in the channel's thread.
        source: None where the channel cannot be used; `unusable` says why.
        others: what else is in a gathering message.
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
Deliver = Callable[[Sequence[Job], Callable[[], float]], Iterator[list[Answered]]]


class EventResult:
    """What came of one event.

    Attributes:
        routed: None where the event is unreadable; `reason` says why.
        error: why its state could not be written; None once it is safe.
    """

    error: HistoryUnavailable | None = None

    def __init__(self, routed: RoutedAlert | None = None, reason: str = "", decision: Decision | None = None) -> None:
        self.routed = routed
        self.reason = reason
        self.decision = decision
        self.deliveries: list[Delivery] = []


class OutageMemory:
    """What this process told while history was unreachable (`router.last_resort`).

    Attributes:
        told: (fingerprint, channel) to the clock time until which that suffices.
        condition: of the channels, as far as this process knows.
    """

    def __init__(self) -> None:
        self.announced_until: dict[tuple[str, str], float] = {}
        self.channel_states = ChannelStates()


class Dependencies(NamedTuple):
    """Everything that the steps need, put together once per process (`router.handler`).

    Attributes:
        decided: hears each decision once it is in history.
        unusable: hears at each tick how many channels could not send (`router.selfcheck.probe`).
        unconfirmed: the e-mail addresses that have yet to confirm their subscription; asks AWS.
        enrich: what is known of alerts beyond their events, by the alert's id, within that many seconds.
        essential: container name to the task definition's `essential` flag; empty where it cannot be had.
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
    enrich: Callable[[Sequence[Alert], float], Mapping[str, Enrichment]] = lambda _alerts, _seconds: {}
    essential: Callable[[Event], Mapping[str, bool]] = lambda _event: {}
