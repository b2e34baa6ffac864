"""Channel memory: what `send` returns is kept for each incident and channel, and given back with its notifications."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from local_aws import events
from router.channels.configured import ConfiguredChannel
from router.channels.memory import LIMIT, memory_of
from router.errors import PermanentError, RemoteGone, TransientError
from router.history.items import iso, state_item, to_state
from router.model import ChannelConfig, Kind, Outcome
from tests.doubles.service_events import crash, steady
from tests.doubles.world import DAY, MINUTE, START, Recorder, World

OPENED, UPDATED, RESOLVED = Kind.OPENED, Kind.UPDATED, Kind.RESOLVED
SECRET = "https://chat.example.com/hooks/0123456789abcdef"


class Chat(Recorder):
    """A channel that remembers: `answer` makes what its `send` returns, of the number of the message."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.answer: Callable[[int], object] = lambda number: {"id": f"message-{number}"}
        self.gone: set[str] = set()

    def send(self, payload: dict[str, Any]) -> Any:
        remote = payload["notification"].remote
        if remote.get("id") in self.gone:
            raise RemoteGone("deleted")
        super().send(payload)
        return self.answer(len(self.told))

    @property
    def remembered(self) -> list[Mapping[str, str]]:
        """What each notification said of the channel's memory."""
        return [dict(told.remote) for told in self.told]


class MemoryWorld(World):
    def make_channels(self) -> dict[str, Recorder]:
        return {**super().make_channels(), "slack": Chat("slack")}

    @property
    def chat(self) -> Chat:
        chat = self.channels["slack"]
        assert isinstance(chat, Chat)
        return chat


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


# --- what is given back -----------------------------------------------------------------------------------------------


def test_the_next_notification_has_what_send_returned_last(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    world.receive(crash("t2", world.now))
    world.wait(20 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.chat.kinds == [OPENED, UPDATED, RESOLVED]
    assert world.chat.remembered == [{}, {"id": "message-1"}, {"id": "message-2"}]


def test_other_channels_remember_nothing_of_it(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert [told.remote for told in world.email.told] == [{}, {}]


def test_none_keeps_what_is_remembered(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    world.chat.answer = lambda _: None
    world.receive(crash("t2", world.now))
    world.wait(20 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.chat.remembered == [{}, {"id": "message-1"}, {"id": "message-1"}]


def test_an_empty_mapping_forgets(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    world.chat.answer = lambda _: {}
    world.receive(crash("t2", world.now))
    world.wait(20 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.chat.remembered == [{}, {"id": "message-1"}, {}]


def test_a_returning_incident_keeps_its_memory_and_the_next_incident_starts_without_one(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    world.receive(crash("t2", world.now))
    world.receive(steady(world.now))
    world.wait(DAY)
    world.receive(crash("t3", world.now))
    assert world.chat.kinds == [OPENED, RESOLVED, OPENED, RESOLVED, OPENED]
    numbers = [told.incident.number for told in world.chat.told]
    assert numbers == [1, 1, 1, 1, 2]
    assert world.chat.remembered[2:] == [{"id": "message-2"}, {"id": "message-3"}, {}]


def test_a_failed_attempt_changes_no_memory(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    world.chat.failure = lambda: TransientError("503", status=503)
    world.receive(steady(world.now))
    world.wait(10 * MINUTE)
    world.chat.failure = lambda: None
    world.wait(20 * MINUTE)
    assert world.chat.remembered == [{}, {"id": "message-1"}]


def test_memory_is_stored_with_the_incident(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    stored = world.history.state(world.chat.told[0].incident.subject, world.now)
    assert stored.outbox["slack"].remote == {"id": "message-1"}
    assert stored.outbox["email"].remote == {}
    assert to_state(state_item(stored, 0)).outbox == stored.outbox


# --- what cannot be kept ----------------------------------------------------------------------------------------------


class Odd(Mapping[str, str]):
    """A mapping that cannot be read."""

    def __getitem__(self, name: str) -> str:
        raise RuntimeError(name)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        return 1


REFUSED = {
    "a text": "message-1",
    "a list": ["message-1"],
    "a number in it": {"id": 1},
    "a name that is no text": {1: "message-1"},
    "a mapping in it": {"message": {"id": "1"}},
    "too much": {"text": "x" * LIMIT},
    "too much in UTF-8": {"text": "語" * (LIMIT // 3)},
    "a secret": {"id": SECRET},
    "a part of a secret": {"id": "see 0123456789abcdef"},
    "a secret as a name": {SECRET: "1"},
    "what cannot be read": Odd(),
}


def channel(**attributes: Any) -> ConfiguredChannel:
    """A channel whose options are a secret, and a room that is none."""
    factory = type("Plugin", (Recorder,), {"__init__": lambda self, _: Recorder.__init__(self, "chat"), **attributes})
    config = ChannelConfig("chat", "chat", {"webhook_url": SECRET, "room": "operations-room"})
    configured = ConfiguredChannel.of(config, factory(config))
    configured.factory = factory
    return configured


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_anything_but_a_small_mapping_of_texts_without_secrets_is_logged_and_counts_as_sent(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    world = MemoryWorld(options={"slack": {"webhook_url": SECRET}})
    world.chat.answer = lambda _: answer
    world.receive(crash("t1", START))
    (delivery,) = world.ledger("slack")
    assert delivery["outcome"] == Outcome.SENT
    assert "slack: what its plugin's send returned is not kept" in caplog.text
    assert "0123456789abcdef" not in caplog.text
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.chat.remembered == [{}, {}]


def test_memory_of_up_to_a_kilobyte_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    memory = {"id": "x" * (LIMIT - len('{"id":""}'))}
    assert len(json.dumps(memory, separators=(",", ":"))) == LIMIT
    assert memory_of(memory, channel()) == memory
    assert caplog.records == []


def test_what_is_remembered_is_a_copy() -> None:
    """The plugin may change its own mapping later."""
    answer = {"id": "1"}
    memory = memory_of(answer, channel())
    answer["id"] = "2"
    assert memory == {"id": "1"}
    assert memory_of(MappingProxyType(answer), channel()) == {"id": "2"}


def test_options_that_the_plugin_does_not_call_secret_can_be_remembered() -> None:
    declared = channel(secret_options=("webhook_url",))
    assert memory_of({"room": "operations-room"}, declared) == {"room": "operations-room"}
    assert memory_of({"room": "operations-room"}, channel()) is None
    assert memory_of({"url": SECRET}, declared) is None


def test_a_link_to_the_host_of_a_secret_url_is_no_secret() -> None:
    assert memory_of({"link": "https://chat.example.com/1"}, channel()) == {"link": "https://chat.example.com/1"}


# --- what is gone -----------------------------------------------------------------------------------------------------


def test_what_is_gone_is_replaced_by_a_new_message(world: MemoryWorld) -> None:
    world.receive(crash("t1", START))
    world.chat.gone = {"message-1"}
    world.receive(crash("t2", world.now))
    world.wait(20 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.chat.kinds == [OPENED, UPDATED, RESOLVED]
    assert world.chat.remembered == [{}, {}, {"id": "message-2"}]
    assert [delivery["outcome"] for delivery in world.ledger("slack")] == [Outcome.SENT] * 3


def test_a_new_message_that_is_gone_too_has_failed(world: MemoryWorld) -> None:
    world.chat.failure = lambda: RemoteGone("deleted")
    world.receive(crash("t1", START))
    assert [delivery["outcome"] for delivery in world.ledger("slack")] == [Outcome.FAILED]
    assert world.chat.tried == 1  # without a memory there is nothing to leave out
    assert issubclass(RemoteGone, PermanentError)


# --- what may have arrived --------------------------------------------------------------------------------------------


def test_a_notification_says_that_an_earlier_attempt_may_have_arrived(world: MemoryWorld) -> None:
    world.chat.failure = lambda: TransientError("no answer")
    world.receive(crash("t1", START))
    world.chat.failure = lambda: TransientError("503", status=503)
    world.wait(MINUTE)
    world.chat.failure = lambda: None
    world.wait(5 * MINUTE)
    world.receive(crash("t2", world.now))
    world.wait(20 * MINUTE)
    assert [told.in_doubt for told in world.chat.told] == [True, False]
    assert [told.revision for told in world.chat.told] == [1, 2]


def test_an_attempt_that_was_answered_or_not_written_leaves_no_doubt(world: MemoryWorld) -> None:
    failures = [TransientError("no connection", unsent=True), TransientError("503", status=503)]
    world.chat.failure = lambda: failures.pop() if failures else None
    world.receive(crash("t1", START))
    world.wait(10 * MINUTE)
    assert (failures, [told.in_doubt for told in world.chat.told]) == ([], [False])


# --- messages about many incidents ------------------------------------------------------------------------------------


def stormy() -> MemoryWorld:
    """The channel takes one message in a minute."""
    world = MemoryWorld()
    world.chat.budget = (1, 60.0)
    return world


def failed(service: str, at: float) -> events.Raw:
    return crash(f"task-of-{service}", at, group=f"service:{service}")


def recovered(service: str, at: float) -> events.Raw:
    return events.service_action(service=service, createdAt=iso(at)) | {"id": f"steady-{service}-{at}"}


@pytest.mark.parametrize("bundle", [{"bundle": "yes"}, {}])
def test_incidents_without_a_memory_remember_a_bundle_that_says_it_is_one(bundle: dict[str, str]) -> None:
    """A channel that does not know bundles would edit it as if it were about one incident."""
    world = stormy()
    world.chat.answer = lambda number: {"id": f"message-{number}", **bundle}
    world.receive(failed("a", START), failed("b", START))
    world.tick()
    world.receive(recovered("a", world.now))
    world.wait(20 * MINUTE)
    (opened, resolved) = world.chat.told
    assert (len(opened.bundled), opened.remote, opened.remembered) == (2, {}, ())
    remembered = {"id": "message-1", **bundle} if bundle else {}
    assert (resolved.incident.subject.name, resolved.remote) == ("a", remembered)


def test_a_bundle_has_the_notifications_of_incidents_with_a_memory_and_replaces_none() -> None:
    world = stormy()
    for service in ("a", "b"):
        world.receive(failed(service, world.now))
        world.wait(2 * MINUTE)
    world.receive(recovered("a", world.now), recovered("b", world.now))
    world.wait(20 * MINUTE)
    bundle = next(told for told in world.chat.told if told.bundled)
    remembered = sorted(bundle.remembered, key=lambda notification: notification.incident.subject.name)
    assert [
        (notification.incident.subject.name, dict(notification.remote), notification.kind)
        for notification in remembered
    ] == [
        ("a", {"id": "message-1"}, RESOLVED),
        ("b", {"id": "message-2"}, RESOLVED),
    ]
    for notification in bundle.remembered:
        stored = world.history.state(notification.incident.subject, world.now)
        assert stored.outbox["slack"].remote == notification.remote
