"""plugins.ses: mail that SES takes, clients put into one thread, and no text can forge."""

import base64
import email
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore import exceptions
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.ses.models import ses_backends

from plugins.ses import Ses
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError
from router.incident.state import Dispatch
from router.messages.hygiene import cleaned
from router.messages.render import notification as rendered
from router.model import Incident, Kind, Message, Reason, Severity
from router_conformance.channel import NOTIFICATIONS
from tests.doubles.delegate import WorldWith
from tests.doubles.markup import MAIL_ATTRIBUTES, MAIL_TAGS, Elements
from tests.doubles.oom import ALERT, INCIDENT
from tests.doubles.quick_moto import hurry
from tests.doubles.service_events import crash, steady
from tests.doubles.world import MINUTE, START

REGION = "eu-west-1"
OPTIONS = {"from": "ECS alerts <alerts@example.com>", "to": ["ops@example.org", "lead@example.net"]}
ROOT = f"<{INCIDENT.id}@example.com>"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    hurry()
    with mock_aws():
        for region in (REGION, "us-east-1"):
            boto3.client("ses", region).verify_email_identity(EmailAddress="alerts@example.com")
        yield


def ses(language: str = "en", **options: Any) -> Ses:
    return Ses(ChannelConfig("mail", "ses", {**OPTIONS, **options}, language))


def told(
    kind: Kind = Kind.OPENED,
    reason: Reason = Reason.FIRST,
    *,
    incident: Incident = INCIDENT,
    language: str = "en",
    revision: int = 1,
    **changes: Any,
) -> Notification:
    """As the router renders it."""
    dispatch = Dispatch(
        "mail", kind, revision, 1, is_first=False, severity=incident.severity, suppressed={}, reason=reason
    )
    return replace(rendered(dispatch, incident, ChannelConfig("mail", "ses", {}, language)), **changes)


def mails() -> list[EmailMessage]:
    """What SES was given, read by the standard library as a mail client does."""
    sent = ses_backends["123456789012"][REGION].sent_messages
    return [
        email.message_from_string(notification.raw_data, EmailMessage, policy=policy.default) for notification in sent
    ]


def mail(notification: Notification, channel: Ses | None = None, *, plain: bool = False) -> EmailMessage:
    channel = channel or ses()
    channel.send((channel.render_plain if plain else channel.render)(notification))
    return mails()[-1]


def body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    assert part is not None
    return str(part.get_content())


def visible(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", html))


# --- the mail ---------------------------------------------------------------------------------------------------------


def test_the_mail_is_from_and_to_the_configured_addresses() -> None:
    message = mail(told())
    assert str(message["From"]) == '"ECS alerts" <alerts@example.com>' or str(message["From"]) == OPTIONS["from"]
    assert [str(address) for address in message["To"].addresses] == OPTIONS["to"]
    (sent,) = ses_backends["123456789012"][REGION].sent_messages
    assert (sent.source, {*sent.destinations}) == ("alerts@example.com", {*OPTIONS["to"]})


@pytest.mark.parametrize("language", ["en", "ja"])
def test_html_and_text_say_the_same(language: str) -> None:
    """Each has what happened, why, what to do, and the facts."""
    notification = told(language=language)
    message = mail(notification, ses(language))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]  # best comes last
    text, html = body(message, "plain"), visible(body(message, "html"))
    words = notification.message
    for said in (words.status, words.headline, words.lead, words.hint, *(value for _, value in words.facts)):
        assert said in text
        assert re.sub(r"\s+", " ", said.replace("'", "&#39;").replace('"', "&quot;")) in html
    assert f"<html lang='{language}'>" in body(message, "html")


def test_the_first_line_says_how_bad_it_is_and_what_it_is_about() -> None:
    """The subject cannot say the severity, since it must not change; inboxes show the first line beside it."""
    message = mail(told())
    first = "CRITICAL: Out of memory: service web in prod"
    assert body(message, "plain").splitlines()[0] == first
    assert first in visible(body(message, "html"))
    assert body(message, "html").index(first) < body(message, "html").index("<table")


def test_every_line_is_short_enough_and_ascii() -> None:
    """SMTP allows 998 characters; SES, 1,000."""
    channel = ses(to=[f"{'x' * 60}{number}@{'y' * 60}.example.com" for number in range(50)])
    for name in NOTIFICATIONS:
        lines = channel._mime(channel.render(NOTIFICATIONS[name])).split(b"\r\n")  # noqa: SLF001 - the bytes themselves
        assert max(map(len, lines)) <= 998
        assert all(line.isascii() and b"\n" not in line and b"\r" not in line for line in lines)


def test_a_mail_is_the_same_at_each_attempt() -> None:
    channel = ses()
    assert channel._mime(channel.render(told())) == channel._mime(channel.render(told()))  # noqa: SLF001 - as above


def test_a_plain_mail_has_no_html() -> None:
    message = mail(told(), plain=True)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain"]


# --- threads ----------------------------------------------------------------------------------------------------------


def life(language: str = "en") -> list[Notification]:
    """An incident that opens, gets another cause and another alert to describe, and ends."""
    worse = replace(ALERT, id="2", cause="essential_container_exited", severity=Severity.CRITICAL)
    escalated = replace(INCIDENT, causes={**INCIDENT.causes, worse.cause: 3}, alert=worse)
    over = replace(escalated, ended_at=INCIDENT.opened_at + 900)
    return [
        told(language=language),
        told(Kind.UPDATED, Reason.WORSE, incident=escalated, revision=2, language=language),
        told(Kind.RESOLVED, Reason.ENDED, incident=over, revision=3, language=language),
    ]


@pytest.mark.parametrize(
    ("language", "subject"),
    [("en", "Out of memory: service web in prod (#3)"), ("ja", "メモリ不足 - サービス web (prod) (#3)")],
)
def test_the_subject_of_an_incident_never_changes(language: str, subject: str) -> None:
    """But for `Re:`, which Apple Mail wants and Gmail ignores."""
    third = [
        replace(notification, incident=replace(notification.incident, number=3)) for notification in life(language)
    ]
    subjects = [str(mail(notification)["Subject"]) for notification in third]
    assert subjects == [subject, f"Re: {subject}", f"Re: {subject}"]


def test_all_mails_of_an_incident_refer_to_one_id() -> None:
    """Also the first one, and without any memory."""
    for notification in life():
        message = mail(notification)
        assert message["References"] == ROOT
        assert message["In-Reply-To"] == ROOT


def test_later_mails_reply_to_the_id_that_ses_gave_to_the_first() -> None:
    """SES replaces the Message-ID, so this is the only id that a client has seen."""
    channel, (first, *later) = ses(), life()
    remembered = channel.send(channel.render(first))
    assert remembered is not None
    given = remembered["message_id"]
    assert re.fullmatch(rf"<[^<>@\s]+@{REGION}\.amazonses\.com>", given)
    for notification in later:
        payload = channel.render(replace(notification, remote=remembered))
        assert channel.send(payload) is None  # what is remembered stays
        assert mails()[-1]["In-Reply-To"] == given
        assert str(mails()[-1]["References"]).split() == [ROOT, given]


def test_the_router_remembers_the_first_mail_of_an_incident() -> None:
    world = WorldWith(ses())
    world.receive(crash("t1", START))
    world.receive(crash("t2", world.now))
    world.wait(20 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    first = ses_backends["123456789012"][REGION].sent_messages[0]
    given = f"<{first.id}@{REGION}.amazonses.com>"
    opened, updated, resolved = mails()
    assert given not in str(opened["References"])
    assert [updated["In-Reply-To"], resolved["In-Reply-To"]] == [given, given]
    assert updated["Subject"] == resolved["Subject"] == f"Re: {opened['Subject']}"


def test_the_id_that_ses_gives_in_virginia_has_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    channel = ses()
    assert (channel.send(channel.render(told())) or {})["message_id"].endswith("@email.amazonses.com>")


def test_outlooks_thread_is_the_same_in_all_mails_and_another_in_the_next_incident() -> None:
    indexes = {str(mail(notification)["Thread-Index"]) for notification in life()}
    assert len(indexes) == 1
    raw = base64.b64decode(indexes.pop())
    assert (len(raw), raw[0]) == (22, 1)
    assert str(mail(told(incident=replace(INCIDENT, number=INCIDENT.number + 1)))["Thread-Index"]) not in indexes


def test_each_mail_has_a_message_id_of_its_own_and_its_attempts_share_it() -> None:
    """SES replaces it; a relay that does not would find repetitions by it."""
    identities = [str(mail(notification)["Message-ID"]) for notification in (*life(), told())]
    assert len({*identities}) == 3
    assert identities[0] == identities[3]


def test_a_mail_about_several_incidents_is_in_no_thread() -> None:
    notification = NOTIFICATIONS["opened, many incidents"]
    channel = ses()
    assert channel.send(channel.render(notification)) is None
    (message,) = mails()
    assert message["Subject"] == "[CRITICAL] 200 incidents in prod, worst first"
    assert (message["References"], message["In-Reply-To"], message["Thread-Index"]) == (None, None, None)


def test_nobody_is_out_of_office() -> None:
    assert mail(told())["Auto-Submitted"] == "auto-generated"


def test_who_wants_no_more_mails_is_told_whom_to_ask() -> None:
    """By mail to a person: the recipients are those of the configuration. No link that a scanner could follow."""
    message = mail(told(), ses(reply_to="owner@example.com"))
    assert message["Reply-To"] == "owner@example.com"
    assert message["List-Unsubscribe"] == "<mailto:owner@example.com?subject=unsubscribe>"
    assert message["List-Unsubscribe-Post"] is None
    assert mail(told())["List-Unsubscribe"] is None


# --- text from outside ------------------------------------------------------------------------------------------------

ALLOWED = {
    "Auto-Submitted", "Content-Type", "From", "In-Reply-To", "MIME-Version", "Message-ID",
    "References", "Subject", "Thread-Index", "Thread-Topic", "To",
}  # fmt: skip


def forged(text: str) -> Notification:
    """Text in every place of a message, as an author could call `render`: not even cleaned."""
    pairs = ((text, text),)
    message = Message(text, f"{text}\n{text}", pairs, pairs, text, text, text, pairs, text, text, incident_title=text)
    return Notification(Kind.OPENED, message, replace(ALERT, cause=text), INCIDENT)


PIECES = ["\r\nBcc: x@y", "\n", "\r", "\0", "=?utf-8?q?a?=", "\u2028", "é", "\ud800", "x" * 300]
FORGED = st.lists(st.one_of(st.text(st.characters(exclude_categories=())), st.sampled_from(PIECES)), max_size=6)


@given(FORGED.map("".join))
def test_no_text_adds_a_header_or_a_part(text: str) -> None:
    channel = ses()
    raw = channel._mime(channel.render(forged(text)))  # noqa: SLF001 - the bytes themselves
    message = email.message_from_bytes(raw, EmailMessage, policy=policy.default)
    assert set(message.keys()) == ALLOWED
    assert len(message.keys()) == len(ALLOWED)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert [str(address) for address in message["To"].addresses] == OPTIONS["to"]


def test_an_encoded_word_in_a_subject_is_shown_as_it_is() -> None:
    """Else text from outside could be shown as another."""
    assert "=?utf-8?q?a?=" in str(mail(cleaned(forged("=?utf-8?q?a?=")))["Subject"])


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_text_from_outside_is_no_html(name: str) -> None:
    """The page has our tags only; its links are those of the message; nothing is loaded or run."""
    page = ses().render(NOTIFICATIONS[name])["html"]
    elements = Elements(page)
    assert elements.names <= MAIL_TAGS
    assert elements.attributes <= MAIL_ATTRIBUTES
    assert {*elements.hrefs} <= {url for _, url in NOTIFICATIONS[name].message.links}


# --- what clients need ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_gmail_shows_all_of_it(name: str) -> None:
    """It cuts a mail off above about 102 KB."""
    assert len(ses().render(NOTIFICATIONS[name])["html"].encode()) <= 100_000


def test_the_page_knows_dark_mode_and_needs_no_stylesheet() -> None:
    """Apple Mail asks for both forms; Outlook ignores the style element, so every colour is also inline."""
    page = ses().render(told())["html"]
    assert "<meta name='color-scheme' content='light dark'>" in page
    assert ":root{color-scheme:light dark" in page
    styled = [attributes["style"] or "" for _, attributes in Elements(page).found if "style" in attributes]
    for style in styled:
        if re.search(r"(?<!-)color:#ffffff", style):
            assert "background:#" in style


@pytest.mark.parametrize(("kind", "colour"), [(Kind.OPENED, "#b3001b"), (Kind.RESOLVED, "#18794e")])
def test_colour_is_never_all_that_tells_the_state(kind: Kind, colour: str) -> None:
    notification = told(kind)
    page = ses().render(notification)["html"]
    assert f"bgcolor='{colour}'" in page
    assert notification.message.status in visible(page)


# --- errors -----------------------------------------------------------------------------------------------------------


def refused(code: str, text: str, status: int = 400) -> Exception:
    answer = {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}
    channel = ses()
    channel._client = Mock(send_email=Mock(side_effect=exceptions.ClientError(answer, "SendEmail")))  # noqa: SLF001
    with pytest.raises((TransientError, PermanentError)) as caught:
        channel.send(channel.render(told()))
    return caught.value


UNVERIFIED = "Email address is not verified. The following identities failed the check in region EU-WEST-1: x"


@pytest.mark.parametrize(
    ("code", "text", "expected", "says"),
    [
        ("TooManyRequestsException", "Maximum sending rate exceeded.", TransientError, "Maximum sending rate"),
        ("MessageRejected", UNVERIFIED, PermanentError, "verify the address or its domain in SES"),
        ("MessageRejected", "Local address contains control or whitespace", PayloadRejected, "Local address"),
        ("BadRequestException", "Invalid MIME", PayloadRejected, "Invalid MIME"),
        ("NotFoundException", "no such identity", PermanentError, "SES does not know the identity"),
        ("AccessDeniedException", "is not authorized to perform: ses:SendEmail", PermanentError, "deploy again"),
        ("SendingPausedException", "paused", PermanentError, "resume it in SES"),
        ("AccountSuspendedException", "suspended", PermanentError, "reputation dashboard"),
        ("MailFromDomainNotVerifiedException", "x", PermanentError, "repair the MX record"),
        ("LimitExceededException", "x", PermanentError, "ask AWS for more"),
        ("SomethingNew", "x", PermanentError, "SomethingNew"),
    ],
)  # fmt: skip
def test_the_code_decides_and_the_error_names_the_fix(code: str, text: str, expected: type, says: str) -> None:
    error = refused(code, text)
    assert type(error) is expected
    assert says in str(error)


def test_the_next_attempt_after_a_used_up_day_is_an_hour_later() -> None:
    """The quota is that of the last 24 hours, so it comes back bit by bit."""
    error = refused("TooManyRequestsException", "Daily message quota exceeded.", 429)
    assert isinstance(error, TransientError)
    assert error.retry_after == 3600


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("from", "alerts", "from must be an address"),
        ("from", "A <a@example.com>\r\nBcc: x@example.com", "from must be an address"),
        ("from", ["a@example.com"], "from must be an address"),
        ("to", [], "to must be a list of 1 to 50"),
        ("to", ["a@example.com"] * 51, "to must be a list of 1 to 50"),
        ("to", {"a": "b"}, "to must be a list of 1 to 50"),
        ("to", ["a@example.com", "b"], "to must be an address"),
        ("to", ["a@example.com, b@example.com"], "to must be an address"),
        ("to", [3], "to must be an address"),
        ("reply_to", "a@example.com>", "reply_to must be an address"),
        ("reply_to", "a@例え.jp", "in its ASCII form"),
    ],
)
def test_what_is_no_address_is_refused(option: str, value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        ses(**{option: value})


def test_a_variable_may_hold_several_addresses() -> None:
    message = mail(told(), ses(to="ops@example.org, lead@example.net"))
    assert [str(address) for address in message["To"].addresses] == ["ops@example.org", "lead@example.net"]


@pytest.mark.parametrize(
    "sender", ["alerts@example.com", "ECS, prod <alerts@example.com>", "アラート <alerts@example.com>"]
)
def test_a_sender_may_have_a_name_in_any_language(sender: str) -> None:
    (address,) = mail(told(), ses(**{"from": sender}))["From"].addresses
    assert address.addr_spec == "alerts@example.com"
    assert address.display_name == sender.partition("<")[0].strip().replace("alerts@example.com", "")


def test_the_payload_is_json_without_the_addresses() -> None:
    """Previews and logs show it."""
    payload = json.dumps(ses(reply_to="owner@example.com").render(told()))
    assert not any(address in payload for address in ("alerts@", "ops@example.org", "owner@"))
