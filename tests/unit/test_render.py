"""The message of a notification: what a recipient reads, in their language and time zone."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.classify import alert, classify
from router.incidents import Saying
from router.model import Alert, ChannelConfig, Container, Incident, Kind, Message, Severity, Silenced, Subject
from router.normalise import normalise
from router.render import notification

OPENED_AT = datetime(2024, 8, 8, 17, 19, 2, tzinfo=UTC).timestamp()


def of(raw: events.Raw) -> Alert:
    event = normalise(raw)
    return alert(event, classify(event))


DIED = of(events.task_stopped("EssentialContainerExited", "Essential container", events.container("app", 137)))


def incident_of(made: Alert = DIED, **changes: Any) -> Incident:
    incident = Incident(
        number=3,
        status="open",
        subject=made.subject,
        severity=made.severity,
        causes={made.cause: 1},
        tasks=(made.task,),
        alert=made,
        opened_at=OPENED_AT,
        last_at=OPENED_AT,
    )
    return replace(incident, **changes)


def said(
    incident: Incident | None = None,
    kind: Kind = Kind.OPENED,
    *,
    first: bool = True,
    held: dict[str, int] | None = None,
    enrichment: dict[str, str] | None = None,
    **settings: Any,
) -> Message:
    made = incident or incident_of()
    saying = Saying("chat", kind, 1, 1, first, made.severity, held or {})
    return notification(saying, made, ChannelConfig("chat", "chat", {}, **settings), enrichment).message


# --- title and text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "language", "title"),
    [
        (Kind.OPENED, "en", "Essential container exited: service:web in prod"),
        (Kind.UPDATED, "en", "Still going on: Essential container exited: service:web in prod"),
        (Kind.RESOLVED, "en", "Resolved: Essential container exited: service:web in prod"),
        (Kind.OPENED, "ja", "必須コンテナが終了: service:web (prod)"),
        (Kind.UPDATED, "ja", "継続中: 必須コンテナが終了: service:web (prod)"),
        (Kind.RESOLVED, "ja", "解決: 必須コンテナが終了: service:web (prod)"),
    ],
)
def test_the_title_is_the_cause_and_where(kind: Kind, language: str, title: str) -> None:
    assert said(kind=kind, language=language).title == title


def test_a_title_names_no_cluster_where_there_is_none() -> None:
    alarm = incident_of(of(events.alarm()))
    assert said(alarm).title == "CloudWatch alarm: alarm:web-running-tasks"
    assert said(alarm, language="ja").title == "CloudWatch アラーム: alarm:web-running-tasks"


@pytest.mark.parametrize(
    ("container", "lead"),
    [
        (
            Container("app", "STOPPED", 137),
            "Container app exited with code 137: killed (SIGKILL): out of memory, or it did not stop in time.",
        ),
        (Container("app", "STOPPED", 42), "Container app exited with code 42."),
        (
            Container("app", "STOPPED"),
            "Container app stopped without an exit code: ECS does not know how it ended.",
        ),
        (Container("app", "RUNNING"), ""),
    ],
)
def test_opened_says_which_container_died_and_what_its_code_means(container: Container, lead: str) -> None:
    made = replace(DIED, containers=(container,), reason="")
    assert said(incident_of(made)).text == lead


def test_opened_says_it_in_japanese() -> None:
    lead = "コンテナ app が終了コード 137 で終了しました: 強制終了 (SIGKILL): メモリ不足、または停止タイムアウト。"
    assert said(language="ja").text.splitlines()[0] == lead


@pytest.mark.parametrize(
    ("containers", "named"),
    [
        ((Container("proxy", "STOPPED", 143), Container("app", "STOPPED", 1)), "app"),
        ((Container("proxy", "STOPPED", 0), Container("app", "STOPPED", 2)), "app"),
        ((Container("app", "STOPPED", 1), Container("init", "STOPPED", None, "CannotPull")), "init"),
        ((Container("app", "RUNNING", None, "odd"), Container("sidecar", "STOPPED", 0)), "sidecar"),
        ((Container("a", "STOPPED", 1), Container("b", "STOPPED", 1)), "a"),
    ],
)
def test_the_container_that_tells_most_is_named(containers: tuple[Container, ...], named: str) -> None:
    """One with a reason, else one with a bad exit code, else the first; SIGTERM is what the others get."""
    message = said(incident_of(replace(DIED, containers=containers)))
    assert f"Container {named} " in message.text
    assert ("Container", named) in message.facts


@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.UPDATED])
def test_the_reason_stands_in_the_text_word_for_word(kind: Kind) -> None:
    reason = "CannotPullContainerError: <!channel> *pull* {access} denied"
    assert said(incident_of(replace(DIED, reason=reason)), kind).text.splitlines()[-1] == reason


def test_a_resolved_incident_says_no_reason_any_more() -> None:
    assert "Essential" not in said(kind=Kind.RESOLVED).text.partition(": ")[0]
    assert said(incident_of(replace(DIED, reason="boom"), status="resolved"), Kind.RESOLVED).text.count("boom") == 0


@pytest.mark.parametrize(
    ("length", "shown"), [(1024, "x" * 1024), (1025, "x" * 1023 + "…"), (90_000, "x" * 1023 + "…")]
)
def test_a_long_reason_is_cut(length: int, shown: str) -> None:
    made = replace(DIED, reason="x" * length, containers=())
    assert said(incident_of(made)).text == shown


def test_an_update_counts_what_was_held_back_and_all_since_the_beginning() -> None:
    incident = incident_of(causes={"out_of_memory": 5, "essential_container_exited": 2})
    text = said(incident, Kind.UPDATED, first=False, held={"out_of_memory": 4, "ours": 1}).text
    lead = "4 × Out of memory, 1 × Ours since the last message; 7 in all since 2024-08-08 17:19:02 UTC."
    assert text.splitlines()[0] == lead


@pytest.mark.parametrize(
    ("status", "first", "language", "text"),
    [
        ("resolved", False, "en", "Over after 12 min: 3 × Out of memory."),
        ("closed", False, "en", "Closed by hand by ann (moved) after 12 min: 3 × Out of memory."),
        ("closed", False, "ja", "ann (moved) が手動でクローズしました。継続時間 12 分: 3 × メモリ不足。"),
        (
            "resolved",
            True,
            "en",
            "It began and was over after 12 min, before this channel could be told: 3 × Out of memory.",
        ),
        ("lapsed", False, "en", "No further occurrence in 24 h, so this is taken to be over: 3 × Out of memory."),
        ("resolved", False, "ja", "12 分 で解決しました: 3 × メモリ不足。"),
        (
            "resolved",
            True,
            "ja",
            "このチャネルに通知できる前に発生し、12 分 で解決しました: 3 × メモリ不足。",
        ),
        ("lapsed", False, "ja", "24 時間発生がないため終了とみなします: 3 × メモリ不足。"),
    ],
)
def test_the_end_says_how_long_and_how_many(status: str, *, first: bool, language: str, text: str) -> None:
    over = incident_of(status=status, causes={"out_of_memory": 3}, ended_at=OPENED_AT + 12 * 60)
    over = replace(over, closed_by="ann", closed_because="moved")
    assert said(over, Kind.RESOLVED, first=first, language=language).text == text


def test_what_outlasted_a_silence_says_since_when_and_what_held_it_back() -> None:
    silenced = Silenced(OPENED_AT, OPENED_AT, 37, {"k3f9": "deploying web", "nightly": ""})
    message = said(incident_of(silenced=silenced))
    by = "k3f9 (deploying web), nightly"
    since = "2024-08-08 17:19:02 UTC"
    assert (
        f"It has been going on since {since}: 37 before this one held back by silence {by}."
        in message.text.splitlines()
    )
    assert ("Silenced", f"37: {by}") in message.facts


@pytest.mark.parametrize(
    ("seconds", "span"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3 * 3600 + 5 * 60 + 9, "3 h 5 min"),
        (2 * 86400 + 4 * 3600 + 59 * 60, "2 d 4 h"),
    ],
)
def test_a_span_of_time_has_two_units_at_most(seconds: float, span: str) -> None:
    over = incident_of(status="resolved", ended_at=OPENED_AT + seconds)
    assert said(over, Kind.RESOLVED, first=False).text.startswith(f"Over after {span}: ")


# --- facts ------------------------------------------------------------------------------------------------------------


def test_facts_say_what_where_and_since_when_and_how_to_find_the_rest() -> None:
    incident = incident_of(causes={"essential_container_exited": 2})
    assert said(incident, enrichment={"Owner": "web team"}).facts == (
        ("Severity", "critical"),
        ("What", "service:web"),
        ("Cluster", "prod"),
        ("Account", "123456789012 eu-west-1"),
        ("Container", "app"),
        ("Exit code", "137"),
        ("Image", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1.4.2"),
        ("Task definition", "web:42"),
        ("Task", events.TASK),
        ("Since", "2024-08-08 17:19:02 UTC"),
        ("Alerts", "2"),
        ("Incident", incident.id),
        ("More", f"ecs-alert-router history show {incident.id}"),
        ("Owner", "web team"),
    )


def test_what_is_unknown_is_left_out_of_the_facts() -> None:
    facts = dict(said(incident_of(of(events.alarm()))).facts)
    assert facts.keys() == {"Severity", "What", "Account", "Since", "Incident", "More"}


def test_facts_have_the_severity_of_the_incident() -> None:
    """The worst so far, whatever is spoken of."""
    assert said(incident_of(severity=Severity.WARNING)).facts[0] == ("Severity", "warning")
    assert said(language="ja").facts[0] == ("重要度", "重大 (critical)")


@pytest.mark.parametrize(
    ("zone", "time"),
    [
        ("UTC", "2024-08-08 17:19:02 UTC"),
        ("Asia/Tokyo", "2024-08-09 02:19:02 JST"),
        ("America/New_York", "2024-08-08 13:19:02 EDT"),
    ],
)
def test_times_are_in_the_readers_time_zone_and_name_it(zone: str, time: str) -> None:
    assert ("Since", time) in said(time_zone=zone).facts


def test_a_time_that_has_no_date_in_the_readers_zone_any_more_stops_no_message() -> None:
    """An event may say anything, the last second of the year 9999 too."""
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert dict(said(incident_of(opened_at=last), time_zone="Asia/Tokyo").facts)["Since"].startswith("9999-12-30")


# --- links ------------------------------------------------------------------------------------------------------------


def placed(region: str = "eu-west-1", cluster: str = "prod", name: str = "service:web", task: str = "") -> Message:
    return said(incident_of(replace(DIED, subject=Subject("123456789012", region, cluster, name), task=task)))


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("eu-west-1", "https://eu-west-1.console.aws.amazon.com"),
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_links_lead_to_the_console_of_the_subjects_partition(region: str, console: str) -> None:
    assert placed(region, task="abc").links == (
        ("Open the service", f"{console}/ecs/v2/clusters/prod/services/web/health?region={region}"),
        ("Open the task", f"{console}/ecs/v2/clusters/prod/tasks/abc/configuration?region={region}"),
    )


@pytest.mark.parametrize(
    ("name", "task", "labels"),
    [
        ("service:web", "", ["Open the service"]),
        ("family:nightly", "abc", ["Open the task"]),
        ("family:nightly", "", ["Open the cluster"]),
        ("instance:abc", "", ["Open the cluster"]),
        ("alarm:cpu", "", ["Open the alarm"]),
    ],
)
def test_links_are_those_that_help(name: str, task: str, labels: list[str]) -> None:
    assert [label for label, _ in placed(name=name, task=task).links] == labels


def test_an_alarm_has_a_link_though_it_has_no_cluster() -> None:
    ((_, url),) = placed(cluster="-", name="alarm:web: 5xx/min").links
    start = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#alarmsV2:alarm/"
    assert url == f"{start}web%3A%205xx%2Fmin"


@pytest.mark.parametrize("odd", ["a/../../b", "a b", "x?region=y", "x#y", "web@evil.example", "ウェブ", "%2e"])
def test_odd_names_are_quoted_and_stay_one_part_of_the_path(odd: str) -> None:
    for _, url in placed(cluster=odd, name=f"service:{odd}", task=odd).links:
        parts = urlsplit(url)
        assert (parts.netloc, parts.query, parts.fragment) == (
            "eu-west-1.console.aws.amazon.com",
            "region=eu-west-1",
            "",
        )
        assert parts.path.count("/") == 7
        assert url.isascii()
        assert " " not in url


@pytest.mark.parametrize(
    ("region", "cluster", "name"),
    [
        ("-", "prod", "service:web"),
        ("-", "-", "alarm:cpu"),
        ("eu-west-1", "-", "service:web"),
        ("evil.example/", "prod", "service:web"),
        ("eu-west-1.evil.example#", "prod", "service:web"),
        ("EU", "prod", "service:web"),
    ],
)
def test_there_is_no_link_where_the_place_is_unknown(region: str, cluster: str, name: str) -> None:
    """A region from outside becomes part of a host: what does not look like one leads nowhere."""
    assert placed(region, cluster, name, task="abc").links == ()


# --- whatever comes ---------------------------------------------------------------------------------------------------

texts = st.text(max_size=40)
times = st.floats(min_value=0, max_value=datetime.max.replace(tzinfo=UTC).timestamp())
names = st.sampled_from(["service:", "family:", "alarm:", "instance:", ""]).flatmap(
    lambda kind: texts.map(kind.__add__)
)
subjects = st.builds(Subject, texts, st.sampled_from(["eu-west-1", "cn-north-1", "-"]) | texts, texts, names)
containers = st.builds(
    Container, texts, st.sampled_from(["STOPPED", "RUNNING"]), st.none() | st.integers(), texts, texts
)
alerts = st.builds(
    Alert,
    id=texts,
    event_id=texts,
    at=times,
    severity=st.sampled_from(Severity),
    cause=texts,
    resolves=st.booleans(),
    rule=texts,
    title=texts,
    subject=subjects,
    containers=st.lists(containers, max_size=4).map(tuple),
    reason=st.text(max_size=3000),
)
incidents = st.builds(
    incident_of,
    alerts,
    status=st.sampled_from(["open", "recovering", "resolved", "lapsed", "closed"]),
    causes=st.dictionaries(texts, st.integers(1), max_size=4),
    opened_at=times,
    last_at=times,
    ended_at=st.none() | times,
)


@given(
    incident=incidents,
    kind=st.sampled_from(Kind),
    first=st.booleans(),
    language=st.sampled_from(["en", "ja"]),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
)
def test_every_alert_can_be_rendered(incident: Incident, kind: Kind, language: str, zone: str, *, first: bool) -> None:
    message = said(incident, kind, first=first, language=language, time_zone=zone)
    assert json.loads(json.dumps(asdict(message)))["title"] == message.title != ""
    assert all(label and value for label, value in message.facts)
    assert all(urlsplit(url).scheme == "https" for _, url in message.links)
