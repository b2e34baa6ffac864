"""examples/channels/discord.py: what Discord accepts, and one message per incident."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import pytest

from examples.channels.discord import Discord
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, RemoteGone
from router_conformance import Answer, ChannelConformance
from router_conformance.channel import NOTIFICATIONS
from tests.doubles.delegate import WorldWith
from tests.doubles.discord import PATH, invalid
from tests.doubles.discord import Discord as Double
from tests.doubles.service_events import crash, steady
from tests.doubles.world import MINUTE, START

OPENED, UPDATED, RESOLVED = (NOTIFICATIONS[f"{kind}, critical"] for kind in ("opened", "updated", "resolved"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class TestDiscord(ChannelConformance):
    factory = Discord
    limit = Discord.limit
    limit_unit = Discord.limit_unit
    accepted = (Answer(200, '{"id": "112233445566778899"}'),)
    unaccepted = (Answer(204), Answer(200, "ok"), Answer(200, "{}"))
    memory: ClassVar[Mapping[str, str]] = {"message_id": "112233445566778899"}
    gone = (Answer(404, '{"message": "Unknown Message", "code": 10008}'),)
    rejected = (Answer(400, '{"message": "Invalid Form Body", "code": 50035}'),)
    # What Discord reads as a mention, a link or markup is escaped; or in the block of code, where it is read as text.
    forbidden = tuple(
        rf"(?s)\A(?:(?!```).)*?(?<!\\){markup}"
        for markup in ("<[@#:!/a-zA-Z]", "@everyone", r"\]\(https://evil", r"\*\w")
    )

    def options(self, server: str) -> dict[str, str]:
        return {"webhook_url": f"{server}{PATH}"}


def channel(url: str = f"https://discord.com{PATH}") -> Discord:
    return Discord(ChannelConfig("x", "discord", {"webhook_url": url}))


def mentioned(notification: Notification) -> object:
    return channel().render(notification)["body"]["allowed_mentions"]


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_discord_accepts_every_message(name: str) -> None:
    for render in (channel().render, channel().render_plain):
        assert invalid(render(NOTIFICATIONS[name])["body"]) == ""


def test_an_incident_is_one_message_that_shows_its_newest_state() -> None:
    with Double() as discord:
        chat = channel(discord.url)
        remote = chat.send(chat.render(OPENED)) or {}
        for notification in (UPDATED, RESOLVED):
            payload = chat.render(replace(notification, remote=remote, reason="digest"))  # type: ignore[arg-type]
            assert chat.send(payload) is None
        assert discord.posted == 1
        (message,) = discord.messages.values()
    assert message["embeds"][0]["color"] == 0x2EB67D
    assert message["embeds"][0]["footer"]["text"].endswith(OPENED.incident.id)


@pytest.mark.parametrize("reason", ["worse", "returned"])
def test_what_people_must_hear_of_is_a_new_message(reason: str) -> None:
    """Discord notifies nobody of an edit."""
    with Double() as discord:
        chat = channel(discord.url)
        remote = chat.send(chat.render(OPENED)) or {}
        worse = chat.send(chat.render(replace(UPDATED, remote=remote, reason=reason))) or {}  # type: ignore[arg-type]
        assert discord.posted == 2
        assert worse["message_id"] != remote["message_id"]


def test_a_message_that_somebody_deleted_is_gone() -> None:
    with Double() as discord:
        chat = channel(discord.url)
        remote = chat.send(chat.render(OPENED)) or {}
        discord.messages.clear()
        edit = chat.render(replace(RESOLVED, remote=remote))
        with pytest.raises(RemoteGone):
            chat.send(edit)
        chat.send(chat.render(RESOLVED))  # as the router does then
        assert len(discord.messages) == 1


def test_the_router_edits_one_message_and_posts_anew_if_somebody_deleted_it() -> None:
    with Double() as discord:
        world = WorldWith(channel(discord.url))
        world.receive(crash("t1", START))
        world.receive(crash("t2", world.now))
        world.wait(20 * MINUTE)
        assert discord.posted == 1
        discord.messages.clear()
        world.receive(steady(world.now))
        world.wait(20 * MINUTE)
        (message,) = discord.messages.values()
    assert discord.posted == 2
    assert message["embeds"][0]["color"] == 0x2EB67D


def test_a_webhook_that_is_gone_is_no_message_that_is_gone() -> None:
    with Double() as discord:
        chat = channel(discord.url + "x")
        payload = chat.render(OPENED)
        with pytest.raises(PermanentError, match="Unknown Webhook") as caught:
            chat.send(payload)
    assert not isinstance(caught.value, RemoteGone | PayloadRejected)


def test_a_message_goes_into_the_thread_of_the_url() -> None:
    with Double() as discord:
        chat = channel(f"{discord.url}?thread_id=1")
        remote = chat.send(chat.render(OPENED)) or {}
        chat.send(chat.render(replace(RESOLVED, remote=remote)))
        targets = [head.split(" ")[1] for head, _ in discord._server.requests]  # noqa: SLF001
    assert targets == [f"{PATH}?thread_id=1&wait=true", f"{PATH}/messages/{remote['message_id']}?thread_id=1"]


def test_only_the_mention_of_the_configuration_notifies() -> None:
    assert mentioned(NOTIFICATIONS["opened, mentions"]) == {"parse": []}
    assert mentioned(replace(OPENED, mention="@here")) == {"parse": ["everyone", "roles", "users"]}


@pytest.mark.parametrize("url", ["https://discord.com/channels/1/2", "hello", "https://discord.com/api/webhooks/1"])
def test_what_is_no_webhook_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="webhook_url must look like") as caught:
        channel(url)
    assert url not in str(caught.value)
