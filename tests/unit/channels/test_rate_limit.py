"""Rate limits of endpoints (docs/reliability.md): the allocation itself, then the whole router."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.events import Raw, container, service_action, task_stopped
from router.channels.rate_limit import (
    BUNDLE_INTERVALS,
    BURST,
    STALE_BUNDLE,
    EndpointLimit,
    RateLimit,
    SendRequest,
    allocate,
    charge_at_completion,
)
from router.channels.state import BundleState, ChannelStates
from router.config.settings import Route
from router.context import Answered, Job
from router.deadline import Deadline
from router.errors import TransientError
from router.history.items import iso
from router.history.store import History
from router.incident.state import SendMode, SubjectState
from router.model import Decision, Kind, Severity
from tests.doubles.world import HOUR, START, Recorder, World, serially

NOW = 1000.0
ALONE, GATHERED = SendMode.SINGLE, SendMode.BUNDLED
CHAT, PAGER = EndpointLimit("a", RateLimit(1, 1.0)), EndpointLimit("b", RateLimit(2, 10.0), stateful=True)


def wanting(number: int, channel: str = "chat", first: int = 0) -> list[SendRequest]:
    return [SendRequest((f"subject#{place}", "incident"), channel, (place,)) for place in range(first, first + number)]


def ask(
    channel_states: ChannelStates,
    wants: Sequence[SendRequest],
    now: float = NOW,
    *,
    all_due: bool = False,
    **lines: EndpointLimit,
) -> Any:
    return allocate(channel_states, wants, lines or {"chat": CHAT, "pager": PAGER}, now, all_due=all_due)


def turns(allocation: Any) -> list[tuple[str, SendMode]]:
    return [(key[0], turn) for key, mine in allocation.grants.items() for turn in mine.values()]


# --- the allotment ----------------------------------------------------------------------------------------------------


def test_messages_within_the_rate_limit_are_sent_singly() -> None:
    allocation = ask(ChannelStates(), wanting(1))
    assert turns(allocation) == [("subject#0", ALONE)]
    assert allocation.channel_states.sent_at == {"a": (NOW,)}
    assert not allocation.channel_states.bundles


def test_messages_above_the_rate_limit_become_one_bundle_that_uses_one_grant() -> None:
    allocation = ask(ChannelStates(), wanting(5))
    assert {turn for _, turn in turns(allocation)} == {GATHERED}
    assert len(turns(allocation)) == 5
    assert allocation.channel_states.sent_at == {"a": (NOW,)}
    assert allocation.channel_states.bundles["chat"] == BundleState(NOW + BUNDLE_INTERVALS[0], 1)


def test_a_burst_does_not_start_a_bundle() -> None:
    allocation = ask(ChannelStates(), wanting(BURST))
    assert {turn for _, turn in turns(allocation)} == {GATHERED}
    assert allocation.channel_states.bundles["chat"] == BundleState(NOW + 1.5)
    assert turns(ask(allocation.channel_states, wanting(1), NOW + 1.5, all_due=True)) == [("subject#0", ALONE)]


def test_without_a_grant_everything_waits_for_the_next() -> None:
    allocation = ask(ChannelStates(sent_at={"a": (NOW - 0.4,)}), wanting(2))
    assert not turns(allocation)
    assert allocation.retry_at == {"chat": pytest.approx(NOW + 0.6)}


def test_a_new_request_joins_those_that_wait() -> None:
    gathering = ChannelStates(bundles={"chat": BundleState(NOW + 10, 1)})
    allocation = ask(gathering, wanting(1))
    assert not turns(allocation)
    assert allocation.retry_at == {"chat": NOW + 10}


def test_a_bundle_is_sent_only_with_everything_that_is_due() -> None:
    """A batch that arrives then must not bundle its own few requests and make all others wait for the next bundle."""
    gathering = ChannelStates(bundles={"chat": BundleState(NOW, 1)})
    assert not turns(ask(gathering, wanting(3)))
    assert len(turns(ask(gathering, wanting(3), all_due=True))) == 3


def test_a_bundle_that_was_never_sent_stops_blocking() -> None:
    gathering = ChannelStates(bundles={"chat": BundleState(NOW, 1)})
    assert turns(ask(gathering, wanting(1), NOW + STALE_BUNDLE)) == [("subject#0", ALONE)]


def test_bundles_become_less_frequent_down_to_one_a_minute() -> None:
    channel_states, now, waits = ChannelStates(), NOW, []
    for _ in range(4):
        channel_states = ask(channel_states, wanting(5), now, all_due=True).channel_states
        waits.append(channel_states.bundles["chat"].at - now)
        now = channel_states.bundles["chat"].at
    assert waits == [15.0, 30.0, 60.0, 60.0]


def test_bundling_ends_when_the_waiting_requests_fit_the_rate_limit() -> None:
    gathering = ChannelStates(bundles={"chat": BundleState(NOW, 3)})
    assert not ask(gathering, wanting(1), all_due=True).channel_states.bundles
    assert not ask(gathering, [], all_due=True).channel_states.bundles


def test_a_pager_gets_single_messages_worst_first_within_its_rate_limit() -> None:
    allocation = ask(ChannelStates(), [*reversed(wanting(5, "pager"))])
    assert turns(allocation) == [("subject#0", ALONE), ("subject#1", ALONE)]
    assert allocation.retry_at == {"pager": NOW + 10}


def test_channels_on_one_endpoint_share_its_rate_limit_and_neither_starves() -> None:
    lines = {"chat": CHAT, "chat-ja": CHAT}
    channel_states, now, heard = ChannelStates(), NOW, Counter[str]()
    for _ in range(6):
        allocation = ask(channel_states, [*wanting(3), *wanting(3, "chat-ja")], now, all_due=True, **lines)
        heard.update({channel for mine in allocation.grants.values() for channel in mine})
        assert len(allocation.channel_states.sent_at["a"]) == 1
        channel_states, now = (
            allocation.channel_states,
            min(bundle.at for bundle in allocation.channel_states.bundles.values()),
        )
    assert heard["chat"] >= 2
    assert heard["chat-ja"] >= 2


def test_an_unconfigured_channel_uses_no_grant() -> None:
    allocation = ask(ChannelStates(), wanting(3, "gone"))
    assert {turn for _, turn in turns(allocation)} == {ALONE}
    assert allocation.channel_states == ChannelStates()


def test_a_period_starts_when_a_slow_send_ends() -> None:
    granted = ask(ChannelStates(sent_at={"a": (NOW - 5.0,)}), wanting(1))
    late = charge_at_completion(granted.channel_states, granted.granted_at, {"a": NOW + 3.0})
    assert late.sent_at == {"a": (NOW + 3.0,)}
    assert not turns(ask(late, wanting(1), NOW + 3.5))
    assert charge_at_completion(granted.channel_states, granted.granted_at, {"a": NOW + 0.2}) == granted.channel_states


def test_a_slow_channel_does_not_reduce_the_rate_limits_of_others() -> None:
    """Their answers are recorded with its own, but count from when they arrived."""
    world = World()

    def together(jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
        done = [answer for batch in serially(jobs, deadline) for answer in batch]
        world.now += 0.9
        yield [(job, answer._replace(waited=0.0 if job.config.name == "email" else 0.9)) for job, answer in done]

    world.router = world.router._replace(deliver=together)
    world.receive(task_stopped())
    spoken = world.history.channel_states(world.now).sent_at
    assert {name: spoken[source.endpoint] for name, source in world.config.channels.items()} == {
        "slack": (START,),
        "email": (START + 0.9,),
        "pager": (START,),
    }


@given(
    limit=st.integers(1, 5),
    period=st.sampled_from([1.0, 10.0, 60.0]),
    stateful=st.booleans(),
    calls=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 8), st.booleans()), max_size=30),
)
def test_no_endpoint_ever_gets_more_grants_than_its_rate_limit(
    limit: int, period: float, calls: list[tuple[float, int, bool]], *, stateful: bool
) -> None:
    line = EndpointLimit("x", RateLimit(limit, period), stateful)
    channel_states, now, messages = ChannelStates(), NOW, list[float]()
    for pause, number, all_due in calls:
        now += pause
        allocation = ask(channel_states, wanting(number), now, all_due=all_due, chat=line)
        spoken = turns(allocation)
        messages += [now] * (len(spoken) if ALONE in {turn for _, turn in spoken} else bool(spoken))
        channel_states = allocation.channel_states
        assert sum(time > now - period for time in messages) <= limit
        assert len(spoken) in {0, number} or stateful
        assert len(spoken) == number or allocation.retry_at["chat"] >= now - STALE_BUNDLE


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 6)), max_size=20), st.booleans())
def test_every_waiting_request_is_sent_in_the_end(calls: list[tuple[float, int]], stateful: bool) -> None:  # noqa: FBT001
    line = EndpointLimit("x", RateLimit(2, 10.0), stateful)
    channel_states, now, names = ChannelStates(), NOW, count()
    waiting: list[SendRequest] = []
    for pause, number in [*calls, *[(60.0, 0)] * 80]:
        now += pause
        waiting += [SendRequest((f"subject#{next(names)}", "incident"), "chat", (0,)) for _ in range(number)]
        allocation = ask(channel_states, waiting, now, all_due=not number, chat=line)
        channel_states = allocation.channel_states
        waiting = [want for want in waiting if want.key not in allocation.grants]
    assert not waiting


# --- through the router -----------------------------------------------------------------------------------------------


def died(service: str, at: float = START, code: int = 1) -> Raw:
    task = f"{service}-{at}"
    fields = {"service": service, "task": task, "stoppedAt": iso(at), "event_id": task}
    return task_stopped(
        "EssentialContainerExited", "Essential container in task exited", container(exit_code=code), **fields
    )


@pytest.fixture
def world() -> World:
    """Every channel with its real rate limit."""
    world = World()
    world.slack.budget, world.email.budget, world.pager.budget = (1, 1.0), (5, 1.0), (2, 10.0)
    return world


def say(channel: Recorder) -> list[tuple[Kind, int]]:
    """The kind of each message, and the number of its incidents."""
    return [(notification.kind, len(notification.bundled) or 1) for notification in channel.told]


def test_openings_above_the_rate_limit_are_bundled_except_for_the_pager(world: World) -> None:
    decisions = world.decisions(*(died(f"web-{number}") for number in range(8)))
    assert decisions[2:] == [Decision.GATHERED] * 6
    assert say(world.slack) == [(Kind.OPENED, 8)]
    assert say(world.email) == [(Kind.OPENED, 8)]
    assert say(world.pager) == [(Kind.OPENED, 1)] * 2
    world.wait(60, step=10)
    assert say(world.pager) == [(Kind.OPENED, 1)] * 8


def test_an_alert_sent_singly_by_one_channel_is_announced_and_otherwise_gathered(world: World) -> None:
    world.pager.budget, world.email.budget = (100, 1.0), (1, 1.0)
    assert world.decisions(*(died(f"web-{number}") for number in range(3))) == [Decision.ANNOUNCED] * 3
    world.now += 1
    quiet = [died(f"api-{number}", START + 1, code=0) for number in range(3)]  # warnings, which no pager gets
    assert world.decisions(*quiet) == [Decision.GATHERED] * 3


def test_alerts_that_arrive_during_bundling_are_in_the_next_bundle(world: World) -> None:
    world.receive(*(died(f"web-{number}") for number in range(8)))
    for number in range(20):
        world.now += 0.5
        world.receive(died(f"api-{number}", world.now))
    assert say(world.slack) == [(Kind.OPENED, 8)]
    world.wait(5, step=1)
    assert say(world.slack) == [(Kind.OPENED, 8), (Kind.OPENED, 20)]
    world.now += HOUR
    world.tick()
    world.receive(died("last", world.now))
    assert say(world.slack)[-1] == (Kind.OPENED, 1)


def test_a_bundle_schedules_one_tick_and_no_checks_of_its_subjects(world: World) -> None:
    world.receive(*(died(f"web-{number}", code=0) for number in range(8)))
    world.receive(*(died(f"api-{number}", code=0) for number in range(8)))
    hints = [message for message in world.sqs.on("due") if '"Router Due"' in message["MessageBody"]]
    ticks = [message["DelaySeconds"] for message in world.sqs.on("due") if '"Router Tick"' in message["MessageBody"]]
    assert hints == []
    assert ticks == [15]


def test_an_incident_that_ends_before_its_bundle_is_reported_once_and_never_paged(world: World) -> None:
    world.receive(*(died(f"web-{number}") for number in range(8)))
    world.now += 1
    world.receive(died("api", START + 1), service_action(service="api", createdAt=iso(START + 2)))
    world.now += 400  # no tick has come; the recovery is announced by now
    world.tick()
    assert [dispatch for dispatch in say(world.slack) if dispatch[0] is Kind.RESOLVED] == [(Kind.RESOLVED, 1)]
    assert not any("api" in notification.incident.subject.text for notification in world.pager.told)


def test_a_batch_without_anything_to_send_uses_no_grant_and_writes_no_channel_states(world: World) -> None:
    world.receive(died("web"))
    (before,) = world.rows("channels")
    world.receive(died("web", START + 1))
    assert world.rows("channels") == [before]


def test_concurrent_lambdas_share_one_rate_limit() -> None:
    """Each reads the channel states before the others have written them; the late one reads them again and waits."""
    world = World([Route(Severity.WARNING, channels=("slack",))])
    world.slack.budget = (1, 60.0)
    others = [died(f"api-{number}") for number in range(4)]

    class Interleaved(History):
        def commit_all(self, *arguments: Any) -> list[SubjectState | None]:
            if others:
                world.receive(others.pop())  # another Lambda comes in between the read and the write
            return super().commit_all(*arguments)

    world.keep_in(Interleaved(*world.history))
    world.receive(died("web"))
    assert len(world.slack.told) == 1
    world.wait(HOUR)
    told = {
        incident.subject.text for message in world.slack.told for incident in message.bundled or (message.incident,)
    }
    assert told == {"service:web", *(f"service:api-{number}" for number in range(4))}
    assert len(world.slack.told) == 2


def test_a_slow_pager_gets_no_more_per_period_than_its_rate_limit(world: World) -> None:
    heard: list[float] = []

    def slowly() -> None:
        world.now += 2.0
        heard.append(world.now)

    world.pager.failure = slowly
    world.receive(*(died(f"web-{number}") for number in range(8)))
    world.wait(120, step=10)
    assert len(heard) == 8
    assert all(later - earlier > 9 for earlier, later in zip(heard, heard[2:], strict=False))


def test_a_failed_bundle_is_retried_as_one_message_about_each_incident(world: World) -> None:
    world.slack.failure = lambda: TransientError("busy", retry_after=None)
    world.receive(*(died(f"web-{number}") for number in range(8)))
    assert world.slack.tried == 1
    world.slack.failure = lambda: None
    world.wait(HOUR)
    assert say(world.slack) == [(Kind.OPENED, 8)]
    ledger = [delivery for delivery in world.ledger("slack") if delivery["outcome"] == "sent"]
    assert len(ledger) == 8
    assert all(item["gathered"] for item in ledger)


# --- turns of accounts and clusters -----------------------------------------------------------------------------------


def request_of(number: int, account: str, cluster: str, rank: tuple[float, ...]) -> SendRequest:
    return SendRequest((f"subject#{number}", "incident"), "pager", rank, account, cluster)


def paged_first(requests: list[SendRequest], messages: int) -> set[str]:
    limits = {"pager": EndpointLimit("pager", RateLimit(messages, 10.0), stateful=True)}
    return {key[0] for key in allocate(ChannelStates(), requests, limits, 1000.0, all_due=True).grants}


def test_a_flood_of_one_account_or_cluster_does_not_keep_the_pager_from_the_others() -> None:
    flood = [request_of(number, "1", "a", (0.0, -3.0, float(number))) for number in range(1500)]
    other_cluster = request_of(9001, "1", "b", (0.0, -2.0, 9001.0))
    other_account = request_of(9002, "2", "a", (0.0, -2.0, 9002.0))
    assert {"subject#9001", "subject#9002"} <= paged_first([*flood, other_cluster, other_account], 4)


def test_the_worst_of_a_cluster_is_paged_first_and_a_resolve_last() -> None:
    errors = [request_of(number, "1", "a", (0.0, -2.0, float(number))) for number in range(1500)]
    critical = request_of(9001, "1", "a", (0.0, -3.0, 9001.0))
    resolved = request_of(9002, "2", "b", (1.0, -3.0, 1.0))
    first = paged_first([*errors, resolved, critical], 4)
    assert "subject#9001" in first
    assert "subject#9002" not in first
