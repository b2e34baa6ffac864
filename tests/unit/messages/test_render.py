"""The message of a notification, in the reader's language and time zone."""

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.causes import CAUSES
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
    EndedBy,
    Enrichment,
    Incident,
    IncidentStatus,
    Kind,
    Message,
    Reason,
    Recurrence,
    Severity,
    Silenced,
    Subject,
    SubjectKind,
)
from router.text.characters import single_line

OPENED_AT = datetime(2024, 8, 8, 17, 19, 2, tzinfo=UTC).timestamp()


def of(raw: events.Raw) -> Alert:
    event = normalise(raw)
    return alert(event, classify(event))


CHAT = ChannelConfig("chat", "chat", {})
DIED = of(events.task_stopped("EssentialContainerExited", "Essential container", events.container("app", 137)))
OOM = of(
    events.task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        events.container("app", 137, "OutOfMemoryError: Container killed due to memory usage", memory="512"),
        memory="1024",
    )
)


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
    enrichment: Enrichment | None = None,
    **settings: Any,
) -> Message:
    made = incident or incident_of()
    dispatch = Dispatch("chat", kind, 1, 1, first, made.severity, held or {})
    return notification(dispatch, made, ChannelConfig("chat", "chat", {}, **settings), enrichment).message


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
def test_channels_with_the_same_message_share_it(
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


def test_the_end_reads_differently_for_a_channel_that_missed_the_incident() -> None:
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


def test_a_reminder_of_an_alarm_without_data_does_not_say_that_it_continues() -> None:
    of_alarm = Dispatch("chat", Kind.UPDATED, 2, 1, is_first=False, severity=Severity.ERROR, suppressed={})
    reminder = of_alarm._replace(
        reason=Reason.REMINDER, continuing={"cloudwatch_alarm": 1}, without_data_since=OPENED_AT + 3600
    )
    text = notification(reminder, incident_of(of(events.alarm())), CHAT).message.text
    assert "the alarm has had no data since 2024-08-08 18:19:02 UTC, so it is not known whether this has ended" in text
    assert "has not ended." not in text


def test_a_reminder_does_not_describe_what_has_ended() -> None:
    """The incident's alert is a crash, and the service has recovered from it; a sidecar is still dead."""
    of_crash = Dispatch("chat", Kind.UPDATED, 2, 1, is_first=False, severity=DIED.severity, suppressed={})
    reminder = of_crash._replace(reason=Reason.REMINDER, continuing={"container_exited": 1})
    message = notification(reminder, incident_of(), CHAT).message
    assert message.title == "Still failing: service web in prod (container exited in a running task)"
    assert message.text.endswith("Still continuing: container exited in a running task.")
    assert (message.hint, message.reason, message.facts) == ("", "", ())
    crash = notification(reminder._replace(continuing={DIED.cause: 1}), incident_of(), CHAT).message
    assert "container app exited with code 137" in crash.text
    assert crash.hint


@pytest.mark.parametrize(
    ("kind", "language", "title"),
    [
        (Kind.OPENED, "en", "Container killed: service web in prod"),
        (Kind.UPDATED, "en", "Still failing: service web in prod (container killed)"),
        (Kind.RESOLVED, "en", "Resolved: service web in prod (container killed)"),
        (Kind.OPENED, "ja", "必須コンテナが強制終了 - サービス web (prod)"),
        (Kind.UPDATED, "ja", "[継続中] 必須コンテナが強制終了 - サービス web (prod)"),
        (Kind.RESOLVED, "ja", "[解決済み] 必須コンテナが強制終了 - サービス web (prod)"),
    ],
)
def test_the_title_is_cause_and_place(kind: Kind, language: str, title: str) -> None:
    assert said(kind=kind, language=language).title == title


def test_a_title_without_a_cluster_names_none() -> None:
    alarm = incident_of(of(events.alarm()))
    assert said(alarm).title == "CloudWatch alarm: web-running-tasks"
    assert said(alarm, language="ja").title == "CloudWatch アラーム - web-running-tasks"


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
            "Container app stopped, and ECS reported no exit code.",
        ),
        (Container("app", "RUNNING"), ""),
    ],
)
def test_opened_names_the_container_that_died_and_explains_its_exit_code(container: Container, lead: str) -> None:
    made = replace(DIED, containers=(container,), reason="", started_at=None)
    assert said(incident_of(made)).lead == lead


def test_opened_is_available_in_japanese() -> None:
    lead = "コンテナ app が終了コード 137 で終了しました: 強制終了 (SIGKILL)。"
    assert said(language="ja").lead == f"{lead}タスクの実行時間は 7 分 42 秒でした。"


@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.UPDATED])
def test_the_text_quotes_the_reason(kind: Kind) -> None:
    reason = "CannotPullContainerError: <!channel> *pull* {access} denied"
    message = said(incident_of(replace(DIED, reason=reason)), kind)
    assert message.text.splitlines() == [message.lead, reason, message.hint]
    assert message.reason == reason


def test_a_reason_is_one_paragraph() -> None:
    """ECS passes on Docker's text, including line breaks."""
    assert said(incident_of(replace(DIED, reason=" no log group.\n\tstatus code: 400 "))).reason == (
        "no log group. status code: 400"
    )


def test_a_resolved_message_has_no_reason() -> None:
    over = incident_of(replace(DIED, reason="boom"), status=IncidentStatus.RESOLVED)
    assert "boom" not in said(over, Kind.RESOLVED).text


@pytest.mark.parametrize(
    ("length", "shown"), [(1024, "x" * 1024), (1025, "x" * 1023 + "…"), (90_000, "x" * 1023 + "…")]
)
def test_a_long_reason_is_cut(length: int, shown: str) -> None:
    made = replace(DIED, reason="x" * length, containers=())
    assert said(incident_of(made)).reason == shown


def test_an_update_counts_suppressed_alerts_and_the_total() -> None:
    incident = incident_of(causes={"out_of_memory": 5, "essential_container_exited": 2})
    lead = said(incident, Kind.UPDATED, first=False, held={"out_of_memory": 4, "ours": 1}).lead
    assert lead.startswith(
        "Out of memory 4 more times, ours once since the last message; 7 in total since 17:19:02 UTC. "
    )


@pytest.mark.parametrize(
    ("status", "first", "language", "text"),
    [
        (IncidentStatus.RESOLVED, False, "en", "The incident lasted 12 min (out of memory 3 times)."),
        (IncidentStatus.CLOSED, False, "en", "Closed manually by ann (moved) after 12 min (out of memory 3 times)."),
        (
            IncidentStatus.CLOSED,
            False,
            "ja",
            "ann (moved) が発生から 12 分後に手動でクローズしました (メモリ不足 3 件)。",
        ),
        (
            IncidentStatus.RESOLVED,
            True,
            "en",
            "It started and ended within 12 min, before this channel could be notified (out of memory 3 times).",
        ),
        (
            IncidentStatus.LAPSED,
            False,
            "en",
            "No further occurrence in 24 h, so the incident is considered over (out of memory 3 times).",
        ),
        (IncidentStatus.RESOLVED, False, "ja", "継続時間は 12 分でした (メモリ不足 3 件)。"),
        (
            IncidentStatus.RESOLVED,
            True,
            "ja",
            "このチャネルに通知する前に発生し、12 分後に解決しました (メモリ不足 3 件)。",
        ),
        (IncidentStatus.LAPSED, False, "ja", "24 時間発生がないため、終了とみなします (メモリ不足 3 件)。"),
    ],
)
def test_the_end_has_duration_and_number(status: IncidentStatus, *, first: bool, language: str, text: str) -> None:
    over = incident_of(status=status, causes={"out_of_memory": 3}, ended_at=OPENED_AT + 12 * 60)
    over = replace(over, closed_by="ann", closed_because="moved")
    assert said(over, Kind.RESOLVED, first=first, language=language).text == text


def test_an_incident_after_a_silence_names_its_start_and_the_silence() -> None:
    silenced = Silenced(OPENED_AT, OPENED_AT, 37, {"k3f9": "deploying web", "nightly": ""})
    message = said(incident_of(silenced=silenced))
    by = "k3f9 (deploying web), nightly"
    since = "2024-08-08 17:19:02 UTC"
    assert f"Ongoing since {since}. Silence {by} held back 37 earlier alerts." in message.text
    assert "Since" not in dict(message.facts)
    over = incident_of(silenced=replace(silenced, count=1), status=IncidentStatus.RESOLVED, ended_at=OPENED_AT)
    assert ("Silenced", f"1 ({by})") in said(over, Kind.RESOLVED).facts


def test_a_single_silenced_alert_is_in_the_singular() -> None:
    message = said(incident_of(silenced=Silenced(OPENED_AT, OPENED_AT, 1, {"k3f9": ""})))
    assert "Silence k3f9 held back 1 earlier alert." in message.text


@pytest.mark.parametrize(
    ("seconds", "span"),
    [
        (0.6, "1 s"),
        (59, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3 * 3600 + 5 * 60 + 9, "3 h 5 min"),
        (2 * 86400 + 4 * 3600 + 59 * 60, "2 d 4 h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, span: str) -> None:
    over = incident_of(status=IncidentStatus.RESOLVED, ended_at=OPENED_AT + seconds)
    assert said(over, Kind.RESOLVED, first=False).text.startswith(f"The incident lasted {span} (")


@pytest.mark.parametrize("seconds", [-5, 0, 0.4])
def test_what_was_over_at_once_did_not_last_zero_seconds(seconds: float) -> None:
    over = incident_of(status=IncidentStatus.RESOLVED, ended_at=OPENED_AT + seconds)
    assert said(over, Kind.RESOLVED, first=False).text == "It is over (1 alert)."
    assert said(over, Kind.RESOLVED).text == "It was over before this channel could be notified (1 alert)."


def test_what_the_title_names_is_counted_without_a_name() -> None:
    """Else a crash would be called a container that crashed in the title, and one that exited below it."""
    made, ended = crash(1), {"status": IncidentStatus.RESOLVED, "ended_at": OPENED_AT + 60}
    one, several = {made.cause: 3}, {made.cause: 3, "image_pull_failed": 1}
    message = said(incident_of(made, causes=one, **ended), Kind.RESOLVED, first=False)
    assert (message.headline, message.text) == (
        "Container crashed: service web in prod",
        "The incident lasted 1 min (3 alerts).",
    )
    lead = said(incident_of(made, causes=one), Kind.UPDATED, first=False, held={made.cause: 2}).lead
    assert lead.startswith("2 more alerts since the last message; 3 in total since ")
    both = said(incident_of(made, causes=several, **ended), Kind.RESOLVED, first=False).text
    assert both == "The incident lasted 1 min (essential container exited 3 times, image pull failed once)."


# --- titles -----------------------------------------------------------------------------------------------------------


def crash(code: int | None) -> Alert:
    return replace(DIED, containers=(Container("app", "STOPPED", code),))


@pytest.mark.parametrize(
    ("code", "english", "japanese"),
    [
        (1, "Container crashed", "必須コンテナが異常終了"),
        (137, "Container killed", "必須コンテナが強制終了"),
        (0, "Essential container exited", "必須コンテナが終了"),
        (143, "Essential container exited", "必須コンテナが終了"),
        (None, "Essential container exited", "必須コンテナが終了"),
    ],
)
def test_the_exit_code_decides_whether_a_container_crashed(code: int | None, english: str, japanese: str) -> None:
    assert said(incident_of(crash(code))).title == f"{english}: service web in prod"
    assert said(incident_of(crash(code)), language="ja").title == f"{japanese} - サービス web (prod)"


@pytest.mark.parametrize(
    ("severity", "title"),
    [
        (Severity.CRITICAL, "Still failing: service web in prod (spot interruption)"),
        (Severity.ERROR, "Still failing: service web in prod (spot interruption)"),
        (Severity.WARNING, "Ongoing: service web in prod (spot interruption)"),
    ],
)
def test_an_ongoing_warning_is_not_called_a_failure(severity: Severity, title: str) -> None:
    made = replace(DIED, cause="spot_interruption")
    assert said(incident_of(made, severity=severity), Kind.UPDATED).title.casefold() == title.casefold()


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("cluster", ["prod", "Stack-" + "Cluster" * 30 + "-1Q2W"])
def test_a_long_title_omits_the_middle_of_the_name(cluster: str, language: str, kind: Kind) -> None:
    """Cause and cluster fit into the 150 characters of Slack's header."""
    subject = DIED.subject._replace(name="Checkout-" + "Service" * 30 + "-9Z8Y", cluster=cluster)
    title = said(incident_of(replace(OOM, subject=subject)), kind, language=language).title
    assert len(title) <= 130
    assert "out of memory" in title.lower() or "メモリ不足" in title
    assert "Checkout" in title
    assert "-9Z8Y" in title
    assert cluster[:5].rstrip("…") in title
    assert cluster[-4:] in title


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", Kind)
def test_no_text_uses_a_subjects_machine_name_and_a_title_has_one_colon(kind: Kind, language: str) -> None:
    for cause, subject_kind in product([*CAUSES, "a_cause_of_tomorrow"], SubjectKind):
        made = replace(OOM, cause=cause, subject=OOM.subject._replace(kind=subject_kind, name="web"))
        message = said(incident_of(made), kind, language=language, held={cause: 1})
        assert message.title.count(":") <= 1
        texts_of_facts = (value for _, value in (*message.facts, *message.details))
        for text in (message.title, message.lead, *texts_of_facts):
            assert not re.search(r"\b(service|family|alarm|instance|daemon|cluster|channel):\S", text)
            assert not re.search(": ?:", text)


def test_a_users_cause_is_never_used_as_a_phrase_name() -> None:
    alarm = replace(of(events.alarm()), details={}, alarm=None)
    assert said(incident_of(replace(alarm, cause="going_on"))).lead == ""


# --- updates ----------------------------------------------------------------------------------------------------------


def test_an_update_names_the_container_and_repeats_no_fact() -> None:
    incident = incident_of(replace(OOM, at=OPENED_AT, started_at=None), causes={"out_of_memory": 4}, last_at=OPENED_AT)
    message = said(incident, Kind.UPDATED, held={"out_of_memory": 3}, time_zone="Asia/Tokyo")
    assert message.lead == (
        "3 more alerts since the last message; 4 in total since 02:19:02 JST. "
        "Last time, container app was killed for exceeding its 512 MiB memory limit."
    )
    assert {"Since", "Alerts"}.isdisjoint(dict(message.facts))
    japanese = said(incident, Kind.UPDATED, held={"out_of_memory": 3}, language="ja").lead
    assert japanese == (
        "前回の通知以降にアラート 3 件が発生しました (17:19:02 UTC から合計 4 件)。"
        "直近の発生: コンテナ app はメモリ上限 512 MiB を超えたため強制終了されました。"
    )


def test_an_update_dates_what_it_describes_if_something_came_after_it() -> None:
    """The incident keeps its worst alert, which can be an older one."""
    incident = incident_of(replace(crash(1), at=OPENED_AT, started_at=None), last_at=OPENED_AT + 100)
    lead = said(incident, Kind.UPDATED, held={"essential_container_exited": 1}).lead
    assert "At 17:19:02 UTC, container app exited with code 1" in lead
    assert "Last time" not in lead
    next_day = replace(incident, last_at=OPENED_AT + 86400)
    assert "since 2024-08-08 17:19:02 UTC" in said(next_day, Kind.UPDATED).lead


@pytest.mark.parametrize(
    ("causes", "held", "counts"),
    [
        ({"out_of_memory": 1}, {"out_of_memory": 1}, "Out of memory once since"),
        ({"out_of_memory": 2}, {"out_of_memory": 1}, "Out of memory once more since"),
        ({"out_of_memory": 3}, {"out_of_memory": 3}, "Out of memory 3 times since"),
        ({"cloudwatch_alarm": 1, "ours": 2}, {"ours": 1, "cloudwatch_alarm": 1}, "Ours once more, CloudWatch alarm "),
        ({"out_of_memory": 3}, {}, "3 alerts since 17:19:02 UTC."),
    ],
)
def test_an_update_says_more_times_only_for_a_cause_that_occurred_before(
    causes: dict[str, int], held: dict[str, int], counts: str
) -> None:
    assert said(incident_of(causes=causes), Kind.UPDATED, held=held).lead.startswith(counts)


def test_a_resolved_alarm_names_its_ok() -> None:
    over = incident_of(
        of(events.alarm()), status=IncidentStatus.RESOLVED, ended_at=OPENED_AT + 60, ended_by=EndedBy.ALARM_OK
    )
    assert said(over, Kind.RESOLVED, first=False).lead == (
        "The alarm is OK again. The incident lasted 1 min (1 alert)."
    )
    closed = replace(over, status=IncidentStatus.CLOSED, closed_by="ann")
    assert "OK" not in said(closed, Kind.RESOLVED, first=False).lead
    assert dict(said(closed, Kind.RESOLVED).facts).keys() == {"Since", "Ended"}


# --- facts ------------------------------------------------------------------------------------------------------------


def test_the_message_says_that_log_times_are_the_applications() -> None:
    enrichment = Enrichment({"Owner": "web"}, log_excerpt="17:19:02 boom")
    assert said(enrichment=enrichment).facts[-1] == ("Log lines", "times as the application wrote them")
    assert "Log lines" not in dict(said().facts)
    assert "Log lines" not in dict(said(kind=Kind.RESOLVED, enrichment=enrichment).facts)


def test_the_last_log_line_has_a_time_on_the_readers_clock() -> None:
    enrichment = Enrichment(log_excerpt="17:19:02 boom", logged_at=OPENED_AT)
    here, there = said(enrichment=enrichment), said(enrichment=enrichment, time_zone="Asia/Tokyo")
    assert here.facts[-1][1].endswith("; last line logged at 2024-08-08 17:19:02 UTC")
    assert there.facts[-1][1].endswith("; last line logged at 2024-08-09 02:19:02 JST")


def test_facts_add_to_the_text_and_include_those_of_plugins() -> None:
    incident = incident_of(causes={"essential_container_exited": 2})
    assert said(incident, enrichment=Enrichment({"Owner": "web team"})).facts == (
        ("Image", "app:1.4.2"),
        ("Task definition", "web:42"),
        ("Since", "2024-08-08 17:19:02 UTC"),
        ("Alerts", "2"),
        ("Owner", "web team"),
    )


def test_details_have_the_place_and_how_to_find_the_rest() -> None:
    incident = incident_of()
    assert said(incident).details == (
        ("Severity", "critical"),
        ("Resource", "service web in prod"),
        ("Account / Region", "123456789012 eu-west-1"),
        ("Container", "app"),
        ("Exit code", "137"),
        ("Task", events.TASK),
        ("Launch type", "FARGATE"),
        ("CLI", f"ecs-alert-router history show {incident.id}"),
    )


def test_the_account_has_its_name_from_the_configuration() -> None:
    enrichment = Enrichment(account_name="production")
    assert (
        dict(said(incident_of(), enrichment=enrichment).details)["Account / Region"]
        == "production (123456789012) eu-west-1"
    )


@pytest.mark.parametrize(
    ("started_by", "shown"),
    [
        ("events-rule/nightly", "EventBridge rule nightly"),
        ("chronos-schedule/nightly", "EventBridge Scheduler nightly"),
        ("AWS Step Functions", "AWS Step Functions"),
        ("ecs-svc/0123456789", None),
    ],
)
def test_details_have_where_a_task_ran_and_what_started_it(started_by: str, shown: str | None) -> None:
    raw = events.task_stopped(
        startedBy=started_by, availabilityZone="eu-west-1a", capacityProviderName="FARGATE_SPOT", launchType="FARGATE"
    )
    details = dict(said(incident_of(of(raw))).details)
    assert (details["Availability Zone"], details["Capacity provider"]) == ("eu-west-1a", "FARGATE_SPOT")
    assert "Launch type" not in details  # known from the capacity provider
    assert details.get("Started by") == shown


def test_unknown_details_are_omitted() -> None:
    raw = events.alarm(reason="")
    del raw["detail"]["previousState"]
    message = said(incident_of(of(raw)))
    assert dict(message.facts).keys() == {"State", "Since"}
    assert dict(message.details).keys() == {"Severity", "Resource", "Account / Region", "CLI"}


def test_details_have_the_severity_of_the_incident() -> None:
    """It is the worst so far, whichever alert the message describes."""
    assert said(incident_of(severity=Severity.WARNING)).details[0] == ("Severity", "warning")
    assert said(language="ja").details[0] == ("重要度", "重大")


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


def test_a_time_beyond_the_readers_calendar_stops_no_message() -> None:
    """An event can have any time, such as the last second of the year 9999."""
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert dict(said(incident_of(opened_at=last), time_zone="Asia/Tokyo").facts)["Since"].startswith("9999-12-30")


# --- links ------------------------------------------------------------------------------------------------------------


def placed(region: str = "eu-west-1", cluster: str = "prod", name: str = "service:web", task: str = "") -> Message:
    """An alert whose cause has no hint, since a hint's source would be one more link."""
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
def test_links_open_the_console_of_the_subjects_partition(region: str, console: str) -> None:
    assert placed(region, task="abc").links == (
        ("View logs", f"{console}/ecs/v2/clusters/prod/tasks/abc/logs?region={region}"),
        ("View task", f"{console}/ecs/v2/clusters/prod/tasks/abc/configuration?region={region}"),
        ("View service", f"{console}/ecs/v2/clusters/prod/services/web/health?region={region}"),
    )


@pytest.mark.parametrize(
    ("name", "task", "labels"),
    [
        ("service:web", "", ["View service"]),
        ("service:web", "abc", ["View logs", "View task", "View service"]),
        ("family:nightly", "abc", ["View logs", "View task"]),
        ("family:nightly", "", ["View cluster"]),
        ("instance:abc", "", ["View cluster"]),
        ("alarm:cpu", "", ["View alarm"]),
    ],
)
def test_links_depend_on_the_cause(name: str, task: str, labels: list[str]) -> None:
    assert [label for label, _ in placed(name=name, task=task).links] == labels


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        (events.service_action("SERVICE_TASK_START_IMPAIRED"), ["View stopped tasks", "View service"]),
        (events.deployment(), ["View stopped tasks", "View deployments"]),
        (events.hook(), ["View deployments"]),
        (events.service_action("SERVICE_TASK_PLACEMENT_FAILURE"), ["View service"]),
        (
            events.task_stopped("TaskFailedToStart", "CannotPullContainerError: x", events.container("app")),
            ["View task", "View stopped tasks", "View service"],
        ),
        (
            events.task_stopped("EssentialContainerExited", "Essential", events.container("app", 1)),
            ["View logs", "View task", "View service"],
        ),
    ],
)
def test_links_open_the_evidence_and_the_guide_is_last(raw: events.Raw, labels: list[str]) -> None:
    """A task that never started has no log, and a service's page does not list stopped tasks."""
    links = said(incident_of(of(raw))).links
    assert [label for label, _ in links] in (labels, [*labels, "AWS guide"])


def test_stopped_tasks_are_listed_by_the_service() -> None:
    links = dict(said(incident_of(of(events.service_action("SERVICE_TASK_START_IMPAIRED")))).links)
    start = "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/prod/services/web/tasks"
    assert links["View stopped tasks"] == f"{start}?status=STOPPED&region=eu-west-1"


def test_there_are_at_most_four_links_and_the_runbook_is_first() -> None:
    made = replace(OOM, runbook_url="https://wiki.example.com/oom")
    labels = [label for label, _ in said(incident_of(made)).links]
    assert labels == ["View runbook", "View logs", "View task", "View service"]


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
def test_there_is_no_link_if_the_place_is_unknown(region: str, cluster: str, name: str) -> None:
    """A region from outside becomes part of a host name, so text that does not look like a region gives no link."""
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
    logged_at=st.none() | times,
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
    enrichment=enrichments,
    kind=st.sampled_from(Kind),
    first=st.booleans(),
    language=st.sampled_from(["en", "ja"]),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
)
def test_every_alert_can_be_rendered(
    incident: Incident, enrichment: Enrichment | None, kind: Kind, language: str, zone: str, *, first: bool
) -> None:
    message = said(incident, kind, first=first, enrichment=enrichment, language=language, time_zone=zone)
    assert json.loads(json.dumps(asdict(message)))["title"] == message.title != ""
    assert all(label and value for label, value in message.facts)
    assert all(urlsplit(url).scheme == "https" for _, url in message.links)


# --- what died, since when, what changed ------------------------------------------------------------------------------


def test_out_of_memory_names_the_limit_that_was_too_low() -> None:
    """It is the container's, else the task's; the task definition's limit has priority over the event's."""
    assert said(incident_of(OOM)).lead == (
        "Container app was killed for exceeding its 512 MiB memory limit. The task ran for 7 min 42 s."
    )
    assert "1,024 MiB" in said(incident_of(OOM), enrichment=Enrichment(memory={"app": 1024})).lead
    unknown = replace(OOM, containers=(OOM.containers[0]._replace(memory=None),))
    assert said(incident_of(unknown)).lead.startswith("Container app was killed for exceeding its memory limit.")


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
        (events.task_stopped("TaskFailedToStart", "x", events.container("app")), "Container app never started."),
    ],
)
def test_exit_codes_are_omitted_if_ecs_stopped_the_task(raw: events.Raw, lead: str) -> None:
    assert said(incident_of(of(raw))).lead == lead


@pytest.mark.parametrize(
    ("recurrence", "sentence"),
    [
        (Recurrence(), ""),
        (Recurrence(deployed_at=OPENED_AT - 240), "First seen 4 min after web:42 was deployed."),
        (Recurrence(deployed_at=OPENED_AT + 240), ""),
        (
            Recurrence(2, 11, previous=OPENED_AT - 7300),
            "3rd time in 24 h, 12th in 7 days; last seen 2 h before.",
        ),
        (
            Recurrence(0, 1, previous=OPENED_AT - 90_000, deployed_at=OPENED_AT - 240),
            "1st time in 24 h, 2nd in 7 days; last seen 1 d before. web:42 was deployed 4 min earlier.",
        ),
        (
            Recurrence(1, 1, previous=OPENED_AT - 60, deployed_at=OPENED_AT - 240),
            "2nd time in 24 h, 2nd in 7 days; last seen 1 min before.",
        ),
    ],
)
def test_recurrence_and_the_preceding_deployment_come_from_history(recurrence: Recurrence, sentence: str) -> None:
    made = replace(DIED, at=OPENED_AT, started_at=None)
    lead = said(incident_of(made), enrichment=Enrichment(recurrence=recurrence)).lead
    assert lead.removeprefix("Container app exited with code 137: killed (SIGKILL).").strip() == sentence


def test_a_failure_that_started_with_a_deployment_suggests_a_rollback() -> None:
    crash = replace(DIED, containers=(Container("app", "STOPPED", 1),), at=OPENED_AT)
    new = Enrichment(recurrence=Recurrence(deployed_at=OPENED_AT - 240))
    old = Enrichment(recurrence=Recurrence(deployed_at=OPENED_AT - 7200))
    assert "roll back to the previous revision" in said(incident_of(crash), enrichment=new).hint
    assert said(incident_of(crash), enrichment=old).hint == said(incident_of(crash)).hint


def test_an_alarm_on_task_counts_is_about_the_service() -> None:
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
    assert [label for label, _ in message.links] == [
        "View stopped tasks",
        "View service",
        "View alarm",
        "AWS guide",
    ]
    assert "services/checkout/tasks?status=STOPPED" in message.links[0][1]


def test_any_alarms_description_is_shown() -> None:
    raw = events.alarm(reason="")
    raw["detail"]["configuration"] = {"description": "Checkout answers with too many errors", "metrics": []}
    assert said(incident_of(of(raw))).lead == "Checkout answers with too many errors"


def test_the_end_has_no_reason_hint_or_log() -> None:
    """The problem is over, so they would not help."""
    over = incident_of(OOM, status=IncidentStatus.RESOLVED, ended_at=OPENED_AT + 60)
    enrichment = Enrichment(log_excerpt="boom", logs=("/ecs/web", "web/app/1"))
    message = said(over, Kind.RESOLVED, first=False, enrichment=enrichment)
    assert (message.reason, message.hint, message.log_excerpt) == ("", "", "")
    assert dict(message.facts).keys() == {"Since", "Recovered"}
    assert [label for label, _ in message.links] == ["View logs", "View task", "View service"]


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
def test_images_have_the_shortest_name_that_identifies_them(image: str, digest: str, shown: str) -> None:
    made = replace(DIED, containers=(DIED.containers[0]._replace(image=image, digest=digest),))
    assert dict(said(incident_of(made)).facts)["Image"] == shown


def test_the_log_is_linked_if_it_is_known() -> None:
    """CloudWatch encodes names twice, with `$` instead of `%`."""
    links = dict(said(enrichment=Enrichment(logs=("/ecs/web", "web/app/1"))).links)
    assert links["View logs"].endswith("#logsV2:log-groups/log-group/$252Fecs$252Fweb/log-events/web$252Fapp$252F1")
    assert dict(said(enrichment=Enrichment(logs=("/ecs/web", ""))).links)["View logs"].endswith(
        "/logs?region=eu-west-1"
    )


def test_a_task_without_a_name_is_named_by_its_id() -> None:
    made = replace(DIED, subject=DIED.subject._replace(kind=SubjectKind.FAMILY, name="-"))
    assert said(incident_of(made)).title == f"Container killed: task {events.TASK[:8]} in prod"


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("cause", HINTS)
def test_the_text_consists_of_its_parts(cause: str, kind: Kind, language: str) -> None:
    """It is complete for a channel that shows nothing else: what happened, the reason, and the hint."""
    message = said(incident_of(replace(OOM, cause=cause)), kind, language=language)
    assert message.text.splitlines() == [part for part in (message.lead, message.reason, message.hint) if part]


def test_the_containers_reason_is_shown_if_the_tasks_adds_nothing() -> None:
    raw = events.task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        events.container("app", 1, "shut down by admin"),
    )
    assert said(incident_of(of(raw))).reason == "shut down by admin"


def test_a_container_that_never_started_has_no_run_time() -> None:
    raw = events.task_stopped(
        "TaskFailedToStart", "x", events.container("app", None, "CannotStartContainerError: OOM-killed", memory="6")
    )
    assert said(incident_of(of(raw))).lead == "Container app was killed for exceeding its 6 MiB memory limit."
