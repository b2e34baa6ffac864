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
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.ecs.reasons import STOP_CODES
from router.incident.state import Dispatch
from router.messages.hints import HINTS
from router.messages.render import notification
from router.model import (
    Alarm,
    Alert,
    ChannelConfig,
    Container,
    Enrichment,
    Incident,
    IncidentStatus,
    Kind,
    Message,
    Recurrence,
    Severity,
    Silenced,
    Subject,
    SubjectKind,
)
from router.text import single_line

OPENED_AT = datetime(2024, 8, 8, 17, 19, 2, tzinfo=UTC).timestamp()


def of(raw: events.Raw) -> Alert:
    event = normalise(raw)
    return alert(event, classify(event))


CHAT = ChannelConfig("chat", "chat", {})
DIED = of(events.task_stopped("EssentialContainerExited", "Essential container", events.container("app", 137)))


def incident_of(made: Alert = DIED, **changes: Any) -> Incident:
    incident = Incident(
        number=3,
        status=IncidentStatus.OPEN,
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
    found: Enrichment | None = None,
    **settings: Any,
) -> Message:
    made = incident or incident_of()
    dispatch = Dispatch("chat", kind, 1, 1, first, made.severity, held or {})
    return notification(dispatch, made, ChannelConfig("chat", "chat", {}, **settings), found).message


@pytest.mark.parametrize(
    ("kind", "held", "settings", "shared"),
    [
        (Kind.OPENED, {}, {}, True),
        (Kind.UPDATED, {}, {}, False),
        (Kind.OPENED, {"out_of_memory": 2}, {}, False),
        (Kind.OPENED, {}, {"language": "ja"}, False),
        (Kind.OPENED, {}, {"time_zone": "Asia/Tokyo"}, False),
        (Kind.RESOLVED, {}, {}, False),
    ],
)
def test_channels_share_the_message_that_says_the_same_in_the_same_words(
    kind: Kind, held: dict[str, int], settings: dict[str, Any], *, shared: bool
) -> None:
    incident = incident_of()
    made: dict[Any, Message] = {}
    first = Dispatch("chat", Kind.OPENED, 1, 1, is_first=True, severity=incident.severity, suppressed={})
    one = notification(first, incident, ChannelConfig("chat", "chat", {}), None, made).message
    other = first._replace(channel="mail", kind=kind, suppressed=held)
    config = ChannelConfig("mail", "mail", {}, **settings)
    two = notification(other, incident, config, None, made).message
    assert (two is one) is shared
    assert two == notification(other, incident, config).message


def test_the_end_is_not_told_in_the_same_words_to_whom_has_heard_of_it_and_to_whom_has_not() -> None:
    incident = incident_of(status=IncidentStatus.RESOLVED, ended_at=OPENED_AT + 60.0)
    made: dict[Any, Message] = {}
    texts = {
        first: notification(
            Dispatch("chat", Kind.RESOLVED, 1, 1, first, incident.severity, {}), incident, CHAT, None, made
        ).message.text
        for first in (False, True)
    }
    assert texts[True] != texts[False]


# --- title and text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "language", "title"),
    [
        (Kind.OPENED, "en", "Essential container exited: service web in prod"),
        (Kind.UPDATED, "en", "Still going on: Essential container exited: service web in prod"),
        (Kind.RESOLVED, "en", "Resolved: Essential container exited: service web in prod"),
        (Kind.OPENED, "ja", "必須コンテナが終了: サービス web (prod)"),
        (Kind.UPDATED, "ja", "継続中: 必須コンテナが終了: サービス web (prod)"),
        (Kind.RESOLVED, "ja", "解決: 必須コンテナが終了: サービス web (prod)"),
    ],
)
def test_the_title_is_the_cause_and_where(kind: Kind, language: str, title: str) -> None:
    assert said(kind=kind, language=language).title == title


def test_a_title_names_no_cluster_where_there_is_none() -> None:
    alarm = incident_of(of(events.alarm()))
    assert said(alarm).title == "CloudWatch alarm: web-running-tasks"
    assert said(alarm, language="ja").title == "CloudWatch アラーム: web-running-tasks"


@pytest.mark.parametrize(
    ("container", "lead"),
    [
        (
            Container("app", "STOPPED", 137),
            "Container app exited with code 137: killed (SIGKILL).",
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
    made = replace(DIED, containers=(container,), reason="", started_at=None)
    assert said(incident_of(made)).lead == lead


def test_opened_says_it_in_japanese() -> None:
    lead = "コンテナ app が終了コード 137 で終了しました: 強制終了 (SIGKILL)。"
    assert said(language="ja").lead == f"{lead}タスクの実行時間は 7 分 42 秒でした。"


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
    assert ("Container", named) in message.details


@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.UPDATED])
def test_the_reason_stands_in_the_text_word_for_word(kind: Kind) -> None:
    reason = "CannotPullContainerError: <!channel> *pull* {access} denied"
    message = said(incident_of(replace(DIED, reason=reason)), kind)
    assert message.text.splitlines() == [message.lead, reason, message.hint]
    assert message.reason == reason


def test_a_reason_is_one_paragraph() -> None:
    """ECS passes on what Docker says, line breaks and all."""
    assert said(incident_of(replace(DIED, reason=" no log group.\n\tstatus code: 400 "))).reason == (
        "no log group. status code: 400"
    )


def test_a_resolved_incident_says_no_reason_any_more() -> None:
    assert "Essential" not in said(kind=Kind.RESOLVED).text.partition(": ")[0]
    over = incident_of(replace(DIED, reason="boom"), status=IncidentStatus.RESOLVED)
    assert "boom" not in said(over, Kind.RESOLVED).text


@pytest.mark.parametrize(
    ("length", "shown"), [(1024, "x" * 1024), (1025, "x" * 1023 + "…"), (90_000, "x" * 1023 + "…")]
)
def test_a_long_reason_is_cut(length: int, shown: str) -> None:
    made = replace(DIED, reason="x" * length, containers=())
    assert said(incident_of(made)).reason == shown


def test_an_update_counts_what_was_held_back_and_all_since_the_beginning() -> None:
    incident = incident_of(causes={"out_of_memory": 5, "essential_container_exited": 2})
    text = said(incident, Kind.UPDATED, first=False, held={"out_of_memory": 4, "ours": 1}).text
    lead = "4 × Out of memory, 1 × Ours since the last message; 7 in all since 2024-08-08 17:19:02 UTC."
    assert text.splitlines()[0] == lead


@pytest.mark.parametrize(
    ("status", "first", "language", "text"),
    [
        (IncidentStatus.RESOLVED, False, "en", "Over after 12 min: 3 × Out of memory."),
        (IncidentStatus.CLOSED, False, "en", "Closed by hand by ann (moved) after 12 min: 3 × Out of memory."),
        (IncidentStatus.CLOSED, False, "ja", "ann (moved) が手動でクローズしました。継続時間 12 分: 3 × メモリ不足。"),
        (
            IncidentStatus.RESOLVED,
            True,
            "en",
            "It began and was over after 12 min, before this channel could be told: 3 × Out of memory.",
        ),
        (
            IncidentStatus.LAPSED,
            False,
            "en",
            "No further occurrence in 24 h, so this is taken to be over: 3 × Out of memory.",
        ),
        (IncidentStatus.RESOLVED, False, "ja", "12 分で解決しました: 3 × メモリ不足。"),
        (
            IncidentStatus.RESOLVED,
            True,
            "ja",
            "このチャネルに通知できる前に発生し、12 分で解決しました: 3 × メモリ不足。",
        ),
        (IncidentStatus.LAPSED, False, "ja", "24 時間発生がないため終了とみなします: 3 × メモリ不足。"),
    ],
)
def test_the_end_says_how_long_and_how_many(status: IncidentStatus, *, first: bool, language: str, text: str) -> None:
    over = incident_of(status=status, causes={"out_of_memory": 3}, ended_at=OPENED_AT + 12 * 60)
    over = replace(over, closed_by="ann", closed_because="moved")
    assert said(over, Kind.RESOLVED, first=first, language=language).text == text


def test_what_outlasted_a_silence_says_since_when_and_what_held_it_back() -> None:
    silenced = Silenced(OPENED_AT, OPENED_AT, 37, {"k3f9": "deploying web", "nightly": ""})
    message = said(incident_of(silenced=silenced))
    by = "k3f9 (deploying web), nightly"
    since = "2024-08-08 17:19:02 UTC"
    assert f"It has been going on since {since}: 37 before this one held back by silence {by}." in message.text
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
    over = incident_of(status=IncidentStatus.RESOLVED, ended_at=OPENED_AT + seconds)
    assert said(over, Kind.RESOLVED, first=False).text.startswith(f"Over after {span}: ")


# --- facts ------------------------------------------------------------------------------------------------------------


def test_facts_tell_what_the_text_does_not_and_those_of_plugins() -> None:
    incident = incident_of(causes={"essential_container_exited": 2})
    assert said(incident, found=Enrichment({"Owner": "web team"})).facts == (
        ("Image", "app:1.4.2"),
        ("Task definition", "web:42"),
        ("Since", "2024-08-08 17:19:02 UTC"),
        ("Alerts", "2"),
        ("Owner", "web team"),
    )


def test_details_say_where_it_was_and_how_to_find_the_rest() -> None:
    incident = incident_of()
    assert said(incident).details == (
        ("Severity", "critical"),
        ("What", "service:web"),
        ("Cluster", "prod"),
        ("Account", "123456789012 eu-west-1"),
        ("Container", "app"),
        ("Exit code", "137"),
        ("Task", events.TASK),
        ("Launch type", "FARGATE"),
        ("Incident", incident.id),
        ("More", f"ecs-alert-router history show {incident.id}"),
    )


def test_the_account_has_its_name_from_the_configuration() -> None:
    found = Enrichment(account_name="production")
    assert dict(said(incident_of(), found=found).details)["Account"] == "production (123456789012) eu-west-1"


@pytest.mark.parametrize(
    ("started_by", "shown"),
    [
        ("events-rule/nightly", "EventBridge rule nightly"),
        ("chronos-schedule/nightly", "EventBridge Scheduler nightly"),
        ("AWS Step Functions", "AWS Step Functions"),
        ("ecs-svc/0123456789", None),
    ],
)
def test_details_say_where_a_task_ran_and_what_started_it(started_by: str, shown: str | None) -> None:
    raw = events.task_stopped(
        startedBy=started_by, availabilityZone="eu-west-1a", capacityProviderName="FARGATE_SPOT", launchType="FARGATE"
    )
    details = dict(said(incident_of(of(raw))).details)
    assert (details["Availability Zone"], details["Capacity provider"]) == ("eu-west-1a", "FARGATE_SPOT")
    assert "Launch type" not in details  # the capacity provider says it
    assert details.get("Started by") == shown


def test_what_is_unknown_is_left_out() -> None:
    raw = events.alarm(reason="")
    del raw["detail"]["previousState"]
    message = said(incident_of(of(raw)))
    assert dict(message.facts).keys() == {"State", "Since"}
    assert dict(message.details).keys() == {"Severity", "What", "Account", "Incident", "More"}


def test_details_have_the_severity_of_the_incident() -> None:
    """The worst so far, whatever is spoken of."""
    assert said(incident_of(severity=Severity.WARNING)).details[0] == ("Severity", "warning")
    assert said(language="ja").details[0] == ("重要度", "重大 (critical)")


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
    """Of a cause without a hint, whose source would be one more link."""
    made = replace(
        DIED, subject=Subject.from_text("123456789012", region, cluster, name), task=task, cause="ours", partition=""
    )
    return said(incident_of(made))


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
        ("Open the task", f"{console}/ecs/v2/clusters/prod/tasks/abc/configuration?region={region}"),
        ("Open the service", f"{console}/ecs/v2/clusters/prod/services/web/health?region={region}"),
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
    assert url == f"{start}web$3A$205xx$2Fmin"


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
subjects = st.builds(
    Subject,
    texts,
    st.sampled_from(["eu-west-1", "cn-north-1", "-"]) | texts,
    texts,
    st.sampled_from(SubjectKind),
    texts,
)
containers = st.builds(
    Container, texts, st.sampled_from(["STOPPED", "RUNNING"]), st.none() | st.integers(), texts, texts
)
finite = st.none() | st.floats(allow_nan=False, allow_infinity=False)
lines = texts.map(single_line)  # as `router.ecs.alarms` reads them
alarms = st.builds(
    Alarm,
    state=lines,
    previous_state=lines,
    namespace=lines,
    metric=lines | st.just("RunningTaskCount"),
    label=lines,
    dimensions=st.dictionaries(st.sampled_from(["ClusterName", "ServiceName", "TargetGroup"]) | lines, lines),
    statistic=lines,
    unit=lines | st.just("Percent"),
    period=st.none() | st.floats(1, 86400),
    expression=lines,
    missing_tasks=st.booleans(),
    comparison=st.sampled_from(["", ">", ">=", "<", "<="]),
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
    breaching=st.integers(0, 5),
    evaluated=st.integers(0, 5),
    threshold=finite,
    lower=finite,
    upper=finite,
    no_data=st.booleans(),
    description=texts,
    runbook_url=texts,
    children=st.dictionaries(lines, lines, max_size=12),
    triggered=st.booleans(),
    composite_rule=lines,
    suppressed_by=lines,
    suppressed_until=st.none() | times,
)
alerts = st.builds(
    Alert,
    id=texts,
    event_id=texts,
    at=times,
    severity=st.sampled_from(Severity),
    cause=texts | st.sampled_from([*HINTS]),
    resolves=st.booleans(),
    rule=texts,
    title=texts,
    subject=subjects,
    containers=st.lists(containers, max_size=4).map(tuple),
    reason=st.text(max_size=3000),
    stopped=st.booleans(),
    started_at=st.none() | times,
    stop_code=texts | st.sampled_from([*STOP_CODES.values()]),
    task_definition=texts,
    details=st.dictionaries(st.sampled_from(["expiresAt", "startedBy", "launchType"]), texts),
    alarm=st.none() | alarms,
    partition=st.sampled_from(["", "aws", "aws-cn"]) | texts,
)
pasts = st.builds(Recurrence, st.integers(0), st.integers(0), st.none() | times, st.none() | times)
enrichments = st.none() | st.builds(
    Enrichment,
    facts=st.dictionaries(texts.filter(str.strip), texts.filter(str.strip), max_size=2),
    memory=st.dictionaries(texts, st.integers(1), max_size=2),
    essential=st.dictionaries(texts, st.booleans(), max_size=2),
    logs=st.tuples(texts, texts),
    log_excerpt=texts,
    recurrence=st.none() | pasts,
)
incidents = st.builds(
    incident_of,
    alerts,
    status=st.sampled_from(IncidentStatus),
    causes=st.dictionaries(texts, st.integers(1), max_size=4),
    opened_at=times,
    last_at=times,
    ended_at=st.none() | times,
)


@given(
    incident=incidents,
    found=enrichments,
    kind=st.sampled_from(Kind),
    first=st.booleans(),
    language=st.sampled_from(["en", "ja"]),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
)
def test_every_alert_can_be_rendered(
    incident: Incident, found: Enrichment | None, kind: Kind, language: str, zone: str, *, first: bool
) -> None:
    message = said(incident, kind, first=first, found=found, language=language, time_zone=zone)
    assert json.loads(json.dumps(asdict(message)))["title"] == message.title != ""
    assert all(label and value for label, value in message.facts)
    assert all(urlsplit(url).scheme == "https" for _, url in message.links)


# --- what died, since when, what changed ------------------------------------------------------------------------------

OOM = of(
    events.task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        events.container("app", 137, "OutOfMemoryError: Container killed due to memory usage", memory="512"),
        memory="1024",
    )
)


def test_out_of_memory_tells_the_limit_that_was_too_low() -> None:
    """The container's own, else the task's; the task definition's, where it was asked, before the event's."""
    assert said(incident_of(OOM)).lead == (
        "Container app was killed: it wanted more than its 512 MiB of memory. The task ran for 7 min 42 s."
    )
    assert "1,024 MiB" in said(incident_of(OOM), found=Enrichment(memory={"app": 1024})).lead
    unknown = replace(OOM, containers=(OOM.containers[0]._replace(memory=None),))
    assert said(incident_of(unknown)).lead.startswith(
        "Container app was killed: it wanted more memory than it may have."
    )


@pytest.mark.parametrize(
    ("raw", "lead"),
    [
        (
            events.task_stopped(
                "ServiceSchedulerInitiated", "Task failed ELB health checks", events.container("app", 143)
            ),
            "ECS stopped the task after 7 min 42 s.",
        ),
        (
            events.task_event(desiredStatus="STOPPED", stopCode="SpotInterruption", stoppedReason="Your Spot Task was"),
            "ECS will stop the task within two minutes.",
        ),
        (events.task_stopped("TaskFailedToStart", "x", events.container("app")), "Container app never ran."),
    ],
)
def test_where_ecs_stopped_the_task_its_exit_codes_are_no_news(raw: events.Raw, lead: str) -> None:
    assert said(incident_of(of(raw))).lead == lead


@pytest.mark.parametrize(
    ("recurrence", "sentence"),
    [
        (Recurrence(), ""),
        (Recurrence(deployed_at=OPENED_AT - 240), "First seen 4 min after web:42 was deployed."),
        (Recurrence(deployed_at=OPENED_AT + 240), ""),
        (
            Recurrence(2, 11, previous=OPENED_AT - 7300),
            "3 × in 24 h, 12 × in 7 d; the last one was 2 h earlier.",
        ),
        (
            Recurrence(0, 1, previous=OPENED_AT - 90_000, deployed_at=OPENED_AT - 240),
            "1 × in 24 h, 2 × in 7 d; the last one was 1 d earlier. web:42 had been deployed 4 min before.",
        ),
        (
            Recurrence(1, 1, previous=OPENED_AT - 60, deployed_at=OPENED_AT - 240),
            "2 × in 24 h, 2 × in 7 d; the last one was 1 min earlier.",
        ),
    ],
)
def test_history_tells_how_often_and_what_was_deployed_before(recurrence: Recurrence, sentence: str) -> None:
    made = replace(DIED, at=OPENED_AT, started_at=None)
    lead = said(incident_of(made), found=Enrichment(recurrence=recurrence)).lead
    assert lead.removeprefix("Container app exited with code 137: killed (SIGKILL).").strip() == sentence


def test_what_began_with_a_deployment_is_to_be_rolled_back() -> None:
    crash = replace(DIED, containers=(Container("app", "STOPPED", 1),), at=OPENED_AT)
    new = Enrichment(recurrence=Recurrence(deployed_at=OPENED_AT - 240))
    old = Enrichment(recurrence=Recurrence(deployed_at=OPENED_AT - 7200))
    assert "roll back to the previous revision" in said(incident_of(crash), found=new).hint
    assert said(incident_of(crash), found=old).hint == said(incident_of(crash)).hint


def test_an_alarm_on_task_counts_speaks_of_the_service() -> None:
    dimensions = {"ClusterName": "prod", "ServiceName": "checkout"}
    raw = events.alarm(
        reason="Threshold Crossed: 5 out of the last 5 datapoints [2.0, 2.0, 2.0, 2.0, 2.0] were greater than "
        "the threshold (0.0).",
        metrics=[("running", "RunningTaskCount", dimensions), ("desired", "DesiredTaskCount", dimensions)],
        expression="desired - FILL(running, 0)",
    )
    message = said(incident_of(of(raw)))
    assert message.title == "Too few tasks running: service checkout in prod"
    assert message.lead == "Service checkout in prod is running fewer tasks than desired (2 missing for 5 min)."
    assert [label for label, _ in message.links] == ["Open the service", "Open the alarm", "What AWS says"]
    assert "services/checkout/health" in message.links[0][1]


def test_any_alarm_tells_its_description() -> None:
    raw = events.alarm(reason="")
    raw["detail"]["configuration"] = {"description": "Checkout answers with too many errors", "metrics": []}
    assert said(incident_of(of(raw))).lead == "Checkout answers with too many errors"


def test_the_end_is_short() -> None:
    """No reason, no hint, no log: what was wrong is over."""
    over = incident_of(OOM, status=IncidentStatus.RESOLVED, ended_at=OPENED_AT + 60)
    found = Enrichment(log_excerpt="boom", logs=("/ecs/web", "web/app/1"))
    message = said(over, Kind.RESOLVED, first=False, found=found)
    assert (message.reason, message.hint, message.log_excerpt) == ("", "", "")
    assert dict(message.facts).keys() == {"Since", "Until"}
    assert [label for label, _ in message.links] == ["Open the service"]


def test_a_digest_names_the_first_tasks() -> None:
    tasks = tuple(f"{number:032x}"[::-1] for number in range(10, 22))
    facts = dict(said(incident_of(tasks=tasks[:10]), Kind.UPDATED).facts)
    assert facts["Tasks"].count(",") == 9
    assert all(len(task) == 8 for task in facts["Tasks"].split(", "))
    assert "Tasks" not in dict(said(incident_of(tasks=tasks[:10])).facts)


@pytest.mark.parametrize(
    ("image", "digest", "shown"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/api:1.4.2", "", "team/api:1.4.2"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/api", "", "api"),
        ("docker.io/library/nginx:1", "", "docker.io/library/nginx:1"),
        ("api:1", "sha256:" + "ab" * 32, "api:1 (sha256:abababababab)"),
        ("api@sha256:" + "ab" * 32, "sha256:" + "ab" * 32, "api@sha256:abababababab"),
        ("api:" + "ab" * 20, "", "api:abababababab…"),
    ],
)
def test_images_are_named_as_short_as_they_can_be_found(image: str, digest: str, shown: str) -> None:
    made = replace(DIED, containers=(DIED.containers[0]._replace(image=image, digest=digest),))
    assert dict(said(incident_of(made)).facts)["Image"] == shown


def test_the_log_has_a_link_where_it_is_known() -> None:
    """CloudWatch encodes names twice, and writes `$` for `%`."""
    links = dict(said(found=Enrichment(logs=("/ecs/web", "web/app/1"))).links)
    assert links["Open the log"].endswith("#logsV2:log-groups/log-group/$252Fecs$252Fweb/log-events/web$252Fapp$252F1")
    assert "Open the log" not in dict(said(found=Enrichment(logs=("/ecs/web", ""))).links)


def test_a_task_without_a_name_is_named_by_its_id() -> None:
    made = replace(DIED, subject=DIED.subject._replace(kind=SubjectKind.FAMILY, name="-"))
    assert said(incident_of(made)).title == f"Essential container exited: task {events.TASK[:8]} in prod"


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("cause", HINTS)
def test_text_is_what_its_parts_say(cause: str, kind: Kind, language: str) -> None:
    """Whole for a channel that shows nothing else: what happened, then the reason, then the hint."""
    message = said(incident_of(replace(OOM, cause=cause)), kind, language=language)
    assert message.text.splitlines() == [part for part in (message.lead, message.reason, message.hint) if part]


def test_where_the_tasks_reason_is_no_news_the_containers_is_told() -> None:
    raw = events.task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        events.container("app", 1, "shut down by admin"),
    )
    assert said(incident_of(of(raw))).reason == "shut down by admin"


def test_what_never_started_did_not_run() -> None:
    raw = events.task_stopped(
        "TaskFailedToStart", "x", events.container("app", None, "CannotStartContainerError: OOM-killed", memory="6")
    )
    assert said(incident_of(of(raw))).lead == "Container app was killed: it wanted more than its 6 MiB of memory."
