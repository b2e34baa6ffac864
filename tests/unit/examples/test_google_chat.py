"""examples/channels/google_chat.py: what Google Chat accepts, and one thread per incident."""

from dataclasses import replace

import pytest

from examples.channels.google_chat import GoogleChat
from router import ChannelConfig, PermanentError
from router.channels.plugins import payload_size
from router_conformance import Answer, ChannelConformance
from router_conformance.channel import NOTIFICATIONS
from tests.doubles.google_chat import PATH, QUERY, invalid
from tests.doubles.google_chat import GoogleChat as Double

OPENED, UPDATED, RESOLVED = (NOTIFICATIONS[f"{kind}, critical"] for kind in ("opened", "updated", "resolved"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class TestGoogleChat(ChannelConformance):
    factory = GoogleChat
    limit = 32_000
    accepted = (Answer(200, '{"name": "spaces/AAAA/messages/1"}'),)
    unaccepted = (Answer(200, "ok"), Answer(200, "{}"), Answer(204))
    rejected = (Answer(400, '{"error": {"status": "INVALID_ARGUMENT"}}'),)

    def options(self, server: str) -> dict[str, str]:
        return {"webhook_url": f"{server}{PATH}?{QUERY}"}


def channel(url: str = f"https://chat.googleapis.com{PATH}?{QUERY}") -> GoogleChat:
    return GoogleChat(ChannelConfig("x", "google-chat", {"webhook_url": url}))


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_google_chat_accepts_every_message(name: str) -> None:
    for render in (channel().render, channel().render_plain):
        body = render(NOTIFICATIONS[name])
        assert invalid(body, payload_size(body)) == ""


def test_an_incident_is_one_thread_although_nothing_is_remembered() -> None:
    with Double() as space:
        chat = channel(space.url)
        for notification in (OPENED, UPDATED, RESOLVED):
            assert chat.send(chat.render(notification)) is None  # type: ignore[func-returns-value]
        chat.send(chat.render(replace(OPENED, incident=replace(OPENED.incident, number=99))))
        assert [len(thread) for thread in space.threads.values()] == [3, 1]
        assert next(iter(space.threads)) == OPENED.incident.id


def test_a_webhook_that_is_gone_is_a_permanent_error() -> None:
    with Double() as space:
        chat = channel(space.url.replace("AAAA", "BBBB"))
        payload = chat.render(OPENED)
        with pytest.raises(PermanentError, match="404"):
            chat.send(payload)


@pytest.mark.parametrize("name", [name for name in NOTIFICATIONS if name.startswith("opened")])
def test_text_from_outside_is_only_where_google_chat_does_not_read_its_own_markup(name: str) -> None:
    """`text` is marked up and mentions people, and has no escape; a card's texts are HTML, which has."""
    body = channel().render(NOTIFICATIONS[name])
    assert "text" not in body
    (card,) = body["cardsV2"]
    texts = [
        text
        for widget in card["card"]["sections"][0]["widgets"]
        for kind in ("textParagraph", "decoratedText")
        for text in widget.get(kind, {}).values()
    ]
    assert not any("<" in text.replace("<b>", "").replace("</b>", "") for text in texts)
    plain = channel().render_plain(NOTIFICATIONS[name])["text"]
    assert not set(plain) & set("*_~`<>|")


def test_the_mention_of_the_configuration_is_the_text() -> None:
    assert channel().render(replace(OPENED, mention="<users/all>"))["text"] == "<users/all>"


def test_a_url_without_its_token_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="webhook_url must be the whole URL") as caught:
        channel("https://chat.googleapis.com/v1/spaces/AAAA/messages?key=s3cret")
    assert "s3cret" not in str(caught.value)
