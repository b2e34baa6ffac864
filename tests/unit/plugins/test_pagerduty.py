"""plugins.pagerduty: one alert per incident, valid for any input, and the meaning of PagerDuty's answers."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws.pagerduty import PagerDutyDouble, judge
from plugins.pagerduty import PagerDuty
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError
from router.channels.configured import ConfiguredChannel
from router.context import Job
from router.deliver import attempt
from router.incident.state import Dispatch, SubjectState
from router.messages.hygiene import cleaned
from router.model import Incident, Kind, Message, Outcome, PartLabels, Severity, SubjectKind
from router.text.characters import single_line
from tests.doubles.examples import share
from tests.doubles.oom import ALERT, INCIDENT, SUBJECT

KEY = "R0UT1NGKEYTHATISSECRET0123456789"
PATH = "/v2/enqueue"
MESSAGE = Message(
    "Out of memory: service web in prod",
    "Container app exited with code 137.\nOutOfMemoryError: Container killed due to memory usage",
    (("Cluster", "prod"), ("終了コード", "137")),
    (("Open the task", "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/prod/tasks/1?region=eu-west-1&a=b"),),
    "java.lang.OutOfMemoryError: Java heap space",
)
NASTY = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=())),
        st.sampled_from(["x", '"', "\\", "😀", "語", "\n", "\ud800", "\x00", "\u202e"]).map(lambda char: char * 1500),
    ),
    max_size=5,
).map("".join)
PAIRS = st.lists(st.tuples(NASTY, NASTY), max_size=12).map(tuple)
LABELS = st.builds(PartLabels, NASTY, NASTY, NASTY, NASTY)
MESSAGES = st.builds(Message, NASTY, NASTY, PAIRS, PAIRS, NASTY, NASTY, NASTY, PAIRS, NASTY, NASTY, LABELS)


def pagerduty(**options: str) -> PagerDuty:
    return PagerDuty(ChannelConfig("oncall", "pagerduty", {"routing_key": KEY, **options}))


def notification(kind: Kind = Kind.OPENED, *, message: Message = MESSAGE, **alert: Any) -> Notification:
    return cleaned(Notification(kind, message, replace(ALERT, **alert), INCIDENT))


def valid(event: dict[str, Any]) -> bool:
    body = json.dumps({"routing_key": KEY, **event}, ensure_ascii=False).encode()
    return judge(PATH, body)[0] == 202


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.UPDATED])
def test_opened_and_updated_trigger(kind: Kind) -> None:
    """The first message opens an alert, and later ones join it by the incident's key."""
    event = pagerduty().render(notification(kind))
    assert (event["event_action"], event["dedup_key"]) == ("trigger", INCIDENT.dedup_key)
    assert event["client"] == "ecs-alert-router"
    assert event["links"] == [{"href": MESSAGE.links[0][1], "text": "Open the task"}]
    assert event["payload"] == {
        "summary": "Out of memory: service web in prod – Container app exited with code 137.",
        "source": "123456789012/eu-west-1/prod/service:web",
        "severity": "critical",
        "timestamp": "2024-08-08T17:19:02.670+00:00",
        "component": "web",
        "group": "prod",
        "class": "out_of_memory",
        "custom_details": {
            "What happened": MESSAGE.text,
            "Cluster": "prod",
            "終了コード": "137",
            "Last log lines": MESSAGE.log_excerpt,
        },
    }


def test_resolved_resolves() -> None:
    """A resolve has the trigger's key and nothing else."""
    resolve = {"event_action": "resolve", "dedup_key": INCIDENT.dedup_key}
    assert pagerduty().render(notification(Kind.RESOLVED)) == resolve
    assert pagerduty().render_plain(notification(Kind.RESOLVED)) == resolve


@pytest.mark.parametrize("severity", Severity)
def test_severities_are_those_of_pagerduty(severity: Severity) -> None:
    """The router's four are PagerDuty's four."""
    assert pagerduty().render(notification(severity=severity))["payload"]["severity"] == str(severity)


def test_the_plain_event_has_the_required_fields() -> None:
    """The fallback for an invalid event: summary, source, severity, and the same key."""
    event = pagerduty().render_plain(notification())
    assert set(event) == {"event_action", "dedup_key", "payload"}
    assert set(event["payload"]) == {"summary", "source", "severity"}
    assert event["dedup_key"] == INCIDENT.dedup_key
    assert valid(event)


def test_no_payload_contains_the_routing_key() -> None:
    """Previews and history show the payload; `send` adds the key."""
    for kind in Kind:
        assert KEY not in json.dumps([pagerduty().render(notification(kind))])
        assert KEY not in json.dumps([pagerduty().render_plain(notification(kind))])


def test_it_is_stateful() -> None:
    """PagerDuty pages until the alert is resolved, so it is also notified when an incident lapses."""
    assert PagerDuty.stateful is True


def test_an_empty_message_shows_the_cause() -> None:
    """PagerDuty refuses an empty summary; other empty fields are omitted."""
    nowhere = SUBJECT._replace(cluster="-", kind=SubjectKind.ALARM, name="cpu")
    event = pagerduty().render(notification(message=Message(" \n", "\x00", (("", "x"), ("x", ""))), subject=nowhere))
    assert event["payload"]["summary"] == "out_of_memory"
    assert event["payload"]["component"] == "cpu"
    assert not {"group", "custom_details"} & set(event["payload"])


def test_facts_with_the_same_label_are_all_kept() -> None:
    """A plugin can add a fact whose label exists already."""
    facts = (("Team", "a"), ("Team", "b"), ("What happened", "c"))
    details = pagerduty().render(notification(message=replace(MESSAGE, facts=facts)))["payload"]["custom_details"]
    assert details["Team"] == "a\nb"
    assert details["What happened"] == f"{MESSAGE.text}\nc"


def test_too_long_links_are_left_out() -> None:
    """A part of a URL would lead nowhere."""
    message = replace(MESSAGE, links=(("Bad", "https://a/" + "x" * 3000), ("Good", "https://a.example/?b=1#f")))
    assert [link["text"] for link in pagerduty().render(notification(message=message))["links"]] == ["Good"]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_summary_is_cut_at_the_limit() -> None:
    """1024 characters are allowed, and a cut is marked."""
    for length, expected in ((1024, "x" * 1024), (1025, "x" * 1023 + "…")):
        event = pagerduty().render(notification(message=Message("x" * length, "")))
        assert event["payload"]["summary"] == expected


@pytest.mark.parametrize(
    ("lead", "sentence"),
    [
        ("Container app was killed. It ran for 7 min 10 s.", "Container app was killed."),
        ("Container app:1.2 exited", "Container app:1.2 exited"),
        ("one\ntwo", "one"),
        ("コンテナ app が終了しました。タスクは停止しました。", "コンテナ app が終了しました。"),
        ("Why? Because.", "Why?"),
    ],
)
def test_the_summary_is_one_sentence_about_what_happened(lead: str, sentence: str) -> None:
    """Lock screens, SMS and voice calls use only the summary."""
    event = pagerduty().render(notification(message=Message("Out of memory: service web", lead)))
    assert event["payload"]["summary"] == f"Out of memory: service web – {sentence}"


def test_a_long_summary_is_cut_at_a_word() -> None:
    event = pagerduty().render(notification(message=Message("title", "word " * 400)))
    assert re.fullmatch("title – (word )+word…", event["payload"]["summary"])
    assert 1000 < len(event["payload"]["summary"]) <= 1024


def test_custom_details_are_in_the_readers_language() -> None:
    """This includes all keys; separate fields are for programs."""
    labels = PartLabels("概要", "理由", "対処", "ログ")
    message = Message("t", "a\nb\nc", (("イメージ", "x"),), (), "log", "b", "c", (("タスク", "y"),), labels=labels)
    payload = pagerduty().render(notification(message=message))["payload"]
    assert list(payload["custom_details"]) == ["概要", "理由", "対処", "イメージ", "タスク", "ログ"]
    assert (payload["severity"], payload["class"], payload["component"], payload["group"]) == (
        "critical",
        "out_of_memory",
        "web",
        "prod",
    )


def test_long_log_keeps_its_end() -> None:
    """The last lines explain the crash."""
    message = replace(MESSAGE, log_excerpt="start" + "x" * 99_999 + "the end", text="start" + "x" * 99_999 + "the end")
    details = pagerduty().render(notification(message=message))["payload"]["custom_details"]
    assert re.fullmatch("…x+the end", details["Last log lines"])
    assert re.fullmatch("startx+…", details["What happened"])


@pytest.mark.parametrize("char", ["x", "語", "😀", '"', "\\", "x\n"])
def test_the_largest_event_is_within_pagerdutys_limit(char: str) -> None:
    """512 KB, everything at once."""
    big = char * (262_144 // len(char))
    message = Message(
        big, big, ((big, big), *(("What happened", big),) * 98), ((big, "https://a/" + "x" * 2900),) * 99, big
    )
    subject = SUBJECT._replace(cluster=big, name=f"service:{big}")
    event = pagerduty().render(notification(message=message, subject=subject, cause=big))
    assert valid(event)
    assert len(json.dumps({"routing_key": KEY, **event}, ensure_ascii=False).encode()) < 512_000


@settings(deadline=None, max_examples=share(50))
@given(MESSAGES, NASTY, st.sampled_from(Kind))
def test_pagerduty_accepts_the_event_for_any_text(message: Message, text: str, kind: Kind) -> None:
    """Any text anywhere gives a valid event in UTF-8."""
    name = single_line(text)[:255]
    said = notification(kind, message=message, subject=SUBJECT._replace(cluster=name), cause=name or "x")
    for event in (pagerduty().render(said), pagerduty().render_plain(said)):
        assert valid(event)


# --- sending ----------------------------------------------------------------------------------------------------------


def send(double: PagerDutyDouble, kind: Kind = Kind.OPENED, *, incident: Incident = INCIDENT) -> None:
    channel = pagerduty(events_url=double.events_url)
    channel.send(channel.render(replace(notification(kind), incident=incident)))


def test_event_arrives_with_the_routing_key() -> None:
    """`send` adds the key, and nothing else."""
    with PagerDutyDouble() as double:
        send(double)
        (message,) = double.received
    assert message.payload == {"routing_key": KEY, **pagerduty().render(notification())}


def test_an_incident_is_one_alert() -> None:
    """All messages of an incident belong to one alert; the subject's next incident is a new alert."""
    with PagerDutyDouble() as double:
        for kind in (Kind.OPENED, Kind.UPDATED, Kind.RESOLVED, Kind.RESOLVED):
            send(double, kind)
        send(double, incident=replace(INCIDENT, number=4))
        assert [(alert.status, len(alert.events)) for alert in double.alerts] == [("resolved", 3), ("triggered", 1)]
        assert len(double.dropped) == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, '{"status":"invalid event","message":"x","errors":["summary is too long"]}', PayloadRejected),
        (400, '{"status":"invalid event","message":"x","errors":["\'routing_key\' is invalid"]}', PermanentError),
        (400, "Invalid Routing Key", PermanentError),
        (413, "", PayloadRejected),
        (401, "", PermanentError),
        (403, "", PermanentError),
        (404, "", PermanentError),
        (302, "", PermanentError),
        (200, '{"status":"success"}', PermanentError),
        (202, "", PermanentError),
        (202, "[]", PermanentError),
        (202, '{"status":"queued"}', PermanentError),
        (202, "[" * 50_000, PermanentError),
        (429, "", TransientError),
        (500, "", TransientError),
        (503, "busy", TransientError),
    ],
)
def test_answers(status: int, body: str, error: type[Exception]) -> None:
    """Only 202 with `success` is success. An invalid event is worth a plain attempt, unless its key is invalid."""
    with PagerDutyDouble() as double:
        double.answer_with(status, body)
        with pytest.raises(error) as caught:
            send(double)
    assert type(caught.value) is error
    assert getattr(caught.value, "status", None) == status
    assert KEY not in repr(caught.value)


def test_a_rate_limit_error_has_the_delay() -> None:
    """PagerDuty's delay reaches the deliver step."""
    with PagerDutyDouble() as double:
        double.answer_with(429, "", headers={"Retry-After": "30"})
        with pytest.raises(TransientError) as caught:
            send(double)
    assert caught.value.retry_after == 30


def test_an_echoed_key_is_removed_from_the_error() -> None:
    """History stores errors, so a key that PagerDuty repeats is removed."""
    with PagerDutyDouble() as double:
        double.answer_with(403, f"no such key: {KEY}")
        with pytest.raises(PermanentError) as caught:
            send(double)
    assert KEY not in f"{caught.value}{caught.value.answer}"


def test_a_rejected_event_is_sent_once_more_in_plain_form() -> None:
    """The deliver step falls back to the required fields, and the alert is still opened."""
    with PagerDutyDouble() as double:
        double.answer_with(400, '{"status":"invalid event","errors":["custom_details"]}')
        channel = pagerduty(events_url=double.events_url)
        config = ChannelConfig("oncall", "pagerduty", {"routing_key": KEY})
        dispatch = Dispatch("oncall", Kind.OPENED, 1, 1, is_first=True, severity=Severity.CRITICAL, suppressed={})
        job = Job(SubjectState(SUBJECT), dispatch, config, notification, ConfiguredChannel.of(config, channel))
        assert attempt(job).outcome is Outcome.SENT
        assert [set(alert.events[0]["payload"]) for alert in double.alerts] == [{"summary", "source", "severity"}]


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k3y", "k3y" * 11, f"{KEY} ", "k3y-" * 8])
def test_wrong_keys_are_refused_without_revealing_them(key: str) -> None:
    """The error comes when the channel is created, not at the first alert."""
    with pytest.raises(ValueError, match="routing_key must have 32 letters and digits") as caught:
        pagerduty(routing_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "posted_to"),
    [
        ("https://events.eu.pagerduty.com/v2/enqueue", "https://events.eu.pagerduty.com/v2/enqueue"),
        ("https://events.eu.pagerduty.com", "https://events.eu.pagerduty.com/v2/enqueue"),
        ("https://events.eu.pagerduty.com/", "https://events.eu.pagerduty.com/v2/enqueue"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ("http://localhost:8080", "http://localhost:8080/v2/enqueue"),
        (None, "https://events.pagerduty.com/v2/enqueue"),
    ],
)
def test_events_go_to_the_configured_host(url: str | None, posted_to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is the United States; a host name is enough."""
    asked: list[str] = []

    def post(url: str, _: object) -> None:
        asked.append(url)
        raise TransientError("not today")

    monkeypatch.setitem(PagerDuty.send.__globals__, "post_json", post)
    with pytest.raises(TransientError):
        pagerduty(**({"events_url": url} if url else {})).send({})
    assert asked == [posted_to]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("events.eu.pagerduty.com", "must look like"),
        ("ftp://events.pagerduty.com", "must look like"),
        ("https://[x", "must look like"),
        ("https:///v2/enqueue", "must look like"),
        ("https://events.pagerduty.com /v2/enqueue", "must look like"),
        ("https://acme.pagerduty.com", "no address of the Events API"),
        ("https://events.pagerduty.com/v1/enqueue", "no address of the Events API"),
    ],
)
def test_wrong_urls_are_refused(url: str, why: str) -> None:
    """The router itself refuses plain http: tests/unit/channels/test_configured.py."""
    with pytest.raises(ValueError, match=f"events_url .*{why}"):
        pagerduty(events_url=url)


def test_key_is_required() -> None:
    """A KeyError means that the channel is not configured."""
    with pytest.raises(KeyError, match="routing_key"):
        PagerDuty(ChannelConfig("oncall", "pagerduty", {}))


# --- the double -------------------------------------------------------------------------------------------------------

PAYLOAD = {"summary": "x", "source": "x", "severity": "info"}
TRIGGER = {"routing_key": KEY, "event_action": "trigger", "payload": PAYLOAD}


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (TRIGGER, ""),
        (TRIGGER | {"dedup_key": "x" * 255}, ""),
        (TRIGGER | {"dedup_key": "x" * 256}, "dedup_key"),
        (TRIGGER | {"routing_key": KEY[1:]}, "routing_key"),
        (TRIGGER | {"event_action": "open"}, "event_action"),
        (TRIGGER | {"payload": None}, "payload"),
        *((TRIGGER | {"payload": PAYLOAD | {field: ""}}, field) for field in PAYLOAD),
        (TRIGGER | {"payload": PAYLOAD | {"summary": "x" * 1024}}, ""),
        (TRIGGER | {"payload": PAYLOAD | {"summary": "x" * 1025}}, "summary"),
        (TRIGGER | {"payload": PAYLOAD | {"severity": "fatal"}}, "severity"),
        (TRIGGER | {"payload": PAYLOAD | {"timestamp": "yesterday"}}, "timestamp"),
        (TRIGGER | {"payload": PAYLOAD | {"custom_details": []}}, "custom_details"),
        (TRIGGER | {"links": [{"text": "x"}]}, "links"),
        ({"routing_key": KEY, "event_action": "resolve", "dedup_key": "x"}, ""),
        ({"routing_key": KEY, "event_action": "resolve"}, "dedup_key"),
        ([], "not an object"),
    ],
)
def test_the_double_judges_like_pagerduty(event: Any, problem: str) -> None:
    """Tests against the double are only valid if it refuses what PagerDuty refuses."""
    status, answer = judge(PATH, json.dumps(event).encode())
    assert status == (400 if problem else 202)
    assert problem in str(json.loads(answer).get("errors", ""))
    assert judge("/v2/change/enqueue", b"{}")[0] == 404
    assert judge(PATH, b"x" * 524_289)[0] == 413
