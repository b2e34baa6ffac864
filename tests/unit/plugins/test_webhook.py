"""plugins.webhook: CloudEvents that the official packages accept, signed as Standard Webhooks says."""

import time
from dataclasses import replace
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks import Webhook as Receiver
from standardwebhooks import WebhookVerificationError

from plugins.webhook import Webhook
from router import ChannelConfig, Notification, PayloadRejected, PermanentError
from router.messages.hygiene import cleaned
from router.model import EndedBy, Kind, Message
from router_conformance.channel import NOTIFICATIONS
from router_conformance.server import ScriptedServer, answer
from tests.doubles.oom import ALERT, INCIDENT

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of the specification
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PATH = "/incidents/a-path-that-is-secret"
MESSAGE = Message("Out of memory: service web in prod", "メモリ不足")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def webhook(url: str = "https://receiver.example/incidents", secret: str = SECRET) -> Webhook:
    return Webhook(ChannelConfig("tickets", "webhook", {"url": url, "secret": secret}))


def notification(kind: Kind = Kind.OPENED, revision: int = 1, **incident: Any) -> Notification:
    return cleaned(Notification(kind, MESSAGE, ALERT, replace(INCIDENT, **incident), revision=revision))


def sent(secret: str = SECRET, told: Notification | None = None) -> HTTPMessage:
    """What arrives."""
    with ScriptedServer(answer(204)) as server:
        channel = webhook(server.url(PATH), secret)
        channel.send(channel.render(told or notification()))
        ((head, body),) = server.requests
    lines = (line.partition(": ") for line in head.split("\r\n")[1:])
    return HTTPMessage({name.lower(): value for name, _, value in lines}, body)


def failure(status: int, body: str = "") -> PermanentError:
    with ScriptedServer(answer(status, body)) as server:
        channel = webhook(server.url(PATH))
        payload = channel.render(notification())
        with pytest.raises(PermanentError) as caught:
            channel.send(payload)
    return caught.value


# --- the event --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["opened, critical", "updated, warning", "resolved, info", "opened, mentions"])
def test_the_official_package_reads_it_as_a_structured_cloudevent(name: str) -> None:
    message = sent(told=NOTIFICATIONS[name])
    event = from_structured_event(message)
    incident = NOTIFICATIONS[name].incident
    assert message.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert event.get_specversion() == "1.0"
    assert event.get_subject() == incident.id
    assert event.get_type() == f"ecs-alert-router.incident.{NOTIFICATIONS[name].kind}"
    assert event.get_dataschema() == "urn:ecs-alert-router:incident:1"
    assert event.get_data()["incident"]["id"] == incident.id  # type: ignore[call-overload,index]


def test_its_time_is_that_of_the_alert_and_of_the_end() -> None:
    over = notification(Kind.RESOLVED, ended_at=1_700_000_000.0, ended_by=EndedBy.STEADY_STATE)
    assert webhook().render(over)["time"] == "2023-11-14T22:13:20.000Z"
    assert webhook().render(notification())["time"] == webhook().render(notification())["data"]["alert"]["at"]


def test_each_piece_of_news_has_an_id_of_its_own_and_its_attempts_share_it() -> None:
    """A receiver may drop what it has; an id has no dot, since the signature separates by dots."""
    news = [
        notification(),
        notification(revision=2),
        notification(Kind.UPDATED, revision=2),
        notification(Kind.RESOLVED, revision=2),
        notification(number=INCIDENT.number + 1),
    ]
    ids = [webhook().render(new)["id"] for new in news]
    assert len({*ids}) == len(news)
    assert not any("." in id_ for id_ in ids)
    reworded = replace(news[0], message=Message("x", "3 minutes later"))
    assert webhook().render(reworded)["id"] == ids[0]


def test_the_event_names_account_and_region_as_its_source() -> None:
    subject = INCIDENT.subject._replace(account="123456789012", region="eu-west-1")
    assert webhook().render(notification(subject=subject))["source"] == "/ecs-alert-router/123456789012/eu-west-1"


def test_a_plain_event_has_no_more_of_the_message_than_its_title() -> None:
    event = webhook().render_plain(notification())
    assert event["data"]["message"]["title"] == MESSAGE.title
    assert event["data"]["message"]["text"] == ""
    assert event["data"]["incident"] == webhook().render(notification())["data"]["incident"]


# --- the signature ----------------------------------------------------------------------------------------------------


def test_the_official_package_verifies_what_arrives() -> None:
    message = sent()
    event = Receiver(SECRET).verify(message.body, dict(message.headers))
    assert message.headers["webhook-id"] == event["id"]
    assert event["data"]["message"]["text"] == "メモリ不足"


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp"])
def test_whatever_is_changed_on_the_way_is_found(part: str) -> None:
    message = sent()
    headers, body = dict(message.headers), message.body
    if part == "body":
        body = body.replace(b"critical", b"harmless")
    else:
        headers[part] = str(int(headers[part]) - 1) if part == "webhook-timestamp" else "x"
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Receiver(SECRET).verify(body, headers)


def test_during_a_rotation_either_secret_verifies() -> None:
    message = sent(secret=f"{OTHER} {SECRET}")
    for secret in (SECRET, OTHER):
        Receiver(secret).verify(message.body, dict(message.headers))


def test_each_attempt_is_signed_with_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver refuses what was signed more than five minutes ago, and retries go on for a day."""
    now = iter([1_700_000_000.0, 1_700_003_600.0])
    monkeypatch.setattr(time, "time", lambda: next(now))
    payload, channel = webhook().render(notification()), webhook()
    first, second = (channel._signed_headers(payload, b"{}") for _ in "ab")  # noqa: SLF001 - no second is waited for
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1700000000", "1700003600")
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]


# --- responses --------------------------------------------------------------------------------------------------------


def test_a_receiver_that_is_gone_is_named() -> None:
    error = failure(410)
    assert "the receiver wants no more events; remove the channel" in str(error)
    assert not isinstance(error, PayloadRejected)


@pytest.mark.parametrize("status", [413, 422])
def test_an_event_that_the_receiver_cannot_take_is_sent_again_in_plain(status: int) -> None:
    assert isinstance(failure(status), PayloadRejected)


def test_a_bad_signature_says_so_in_the_receivers_words() -> None:
    error = failure(401, "bad signature")
    assert (error.status, error.answer) == (401, "bad signature")


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret", ["", "hunter2", "whsec_", "whsec_aHVudGVyMg==", f"whsec_{'A' * 128}", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
)
def test_a_weak_or_malformed_secret_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(ValueError, match="secret must be whsec_ and 24 to 64 bytes in base64") as caught:
        webhook(secret=secret)
    assert not secret or secret not in str(caught.value).replace("whsec_ and", "").replace('"whsec_$', "")


def test_an_option_that_is_missing_leaves_the_channel_unconfigured() -> None:
    for options in ({"url": "https://x.example"}, {"secret": SECRET}):
        with pytest.raises(KeyError):
            Webhook(ChannelConfig("tickets", "webhook", options))


@pytest.mark.parametrize(
    "url",
    [
        "receiver.example/incidents",
        "https:///incidents",
        "ftp://receiver.example/",
        "https://me:pass@receiver.example/",
    ],
)
def test_a_url_without_a_plain_host_is_refused(url: str) -> None:
    """The router sends no user name and no password, so the receiver would refuse each post."""
    with pytest.raises(ValueError, match="url must look like"):
        webhook(url)


def test_the_example_of_the_specification_has_its_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """https://www.standardwebhooks.com: id msg_p5jXN8AQM9LWM0D4loKWxJek at 1614265330."""
    monkeypatch.setattr(time, "time", lambda: 1_614_265_330.0)
    headers = webhook()._signed_headers({"id": "msg_p5jXN8AQM9LWM0D4loKWxJek"}, b'{"test": 2432232314}')  # noqa: SLF001
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
