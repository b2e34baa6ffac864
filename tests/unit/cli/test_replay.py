"""`ecs-alert-router replay`: who would have been notified of what, and when."""

import json
import re
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_aws import events
from router.cli import main
from router.cli.checkout import ROOT
from router.cli.config import load_plugins
from router.cli.replay.settings import settings_of
from router.cli.replay.virtual import Line, VirtualRouter
from router.history.items import iso
from router.history.store import AlertQuery
from tests.doubles.examples import share
from tests.doubles.history_cli import TABLE
from tests.doubles.place import without_place
from tests.doubles.world import HOUR, MINUTE, World

START = datetime(2026, 11, 24, 1, 0, tzinfo=UTC).timestamp()
CHANNELS = ["email", "slack", "teams", "pagerduty"]
FIELDS: dict[str, type | tuple[type, ...]] = {
    "at": str,
    "after": (int, float),
    "channel": str,
    "channel_kind": str,
    "kind": str,
    "reason": str,
    "incident": str,
    "subject": str,
    "severity": str,
    "cause": str,
    "title": str,
    "text": str,
    "bundled": list,
    "continues": bool,
}
SLACK = """
    [channels.chat]
    kind = "slack"
    webhook_url = "env:SLACK_WEBHOOK_URL"

    [[routes]]
    severity = "error"
    channels = ["chat"]
"""


OUTWARD = """
    [channels.mail]
    kind = "ses"
    from = "alerts@example.com"
    to = "env:OPERATORS"

    [channels.programs]
    kind = "webhook"
    url = "ssm:/incidents/url"
    secret = "ssm:/incidents/secret"

    [channels.bus]
    kind = "eventbridge"
    bus_arn = "env:INCIDENTS_BUS"

    [[routes]]
    channels = ["mail", "programs", "bus"]
"""


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is configured, and AWS cannot be reached."""
    for name in ("SNS_TOPIC_ARN", "SLACK_WEBHOOK_URL", "TEAMS_WEBHOOK_URL", "PAGERDUTY_ROUTING_KEY", "HISTORY_TABLE"):
        monkeypatch.delenv(name, raising=False)


def timed(event: events.Raw, after: float | None) -> events.Raw:
    """An event that EventBridge sent this many seconds after the start; None for an envelope without a time."""
    envelope = {name: value for name, value in event.items() if name != "time"}
    return envelope if after is None else {**envelope, "time": iso(START + after)}


def crash(after: float, *, task: int | None = None, service: str = "web", sent: float | None = None) -> events.Raw:
    """A task that died this many seconds after the start; its event arrives at `sent`, or at once."""
    number = int(after) if task is None else task
    happened = iso(START + after)
    times = {"stoppedAt": happened, "updatedAt": happened, "createdAt": iso(START - HOUR)}
    raw = events.task_stopped(service=service, task=f"{number:032x}", **times)
    return timed({**raw, "id": f"crash-{number}-{after}"}, after if sent is None else sent)


def steady(after: float, *, service: str = "web") -> events.Raw:
    return timed(events.service_action(service=service, createdAt=iso(START + after)), after)


def json_lines(found: Iterable[Any]) -> str:
    return "".join(json.dumps(event) + "\n" for event in found)


def run(*arguments: str | Path, text: str) -> Result:
    return without_place(CliRunner().invoke(main, ["replay", "-", *map(str, arguments)], input=text))


def replayed(*found: Any, options: Sequence[str | Path] = ()) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The messages, and the summary."""
    result = run("--json", *options, text=json_lines(found))
    assert (result.exit_code, result.stderr) == (0, "")
    *messages, last = map(json.loads, result.stdout.splitlines())
    return messages, last["summary"]


def of(channel: str, messages: Iterable[dict[str, Any]]) -> list[tuple[float, str, str]]:
    return [
        (message["after"], message["kind"], message["reason"]) for message in messages if message["channel"] == channel
    ]


def file(directory: Path, text: str, name: str = "alert-router.toml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_each_message_is_a_line_with_the_documented_fields() -> None:
    messages, _ = replayed(crash(0))
    assert messages
    for message in messages:
        assert {name for name, kind in FIELDS.items() if isinstance(message.get(name), kind)} == FIELDS.keys()


def test_what_a_poll_found_is_replayed_and_resolved() -> None:
    def count(value: str, after: float) -> events.Raw:
        detail = {"state": {"value": value}, "runningCount": "0", "desiredCount": "2"}
        raw = events.event(
            "Service Below Count", detail, source="ecs-alert-router", resources=[events.arn("service/prod/web")]
        )
        return timed({**raw, "id": f"{value}-{after}"}, after)

    messages, _ = replayed(count("NONE_RUNNING", 0), count("ENOUGH", 1800))
    assert [(message["kind"], message["after"]) for message in messages if message["channel"] == "slack"] == [
        ("opened", 0.0),
        ("resolved", 2100.0),
    ]


def test_a_line_has_channel_message_and_time() -> None:
    messages, _ = replayed(crash(0), options=["--for", "1h"])
    assert [message["channel"] for message in messages] == CHANNELS
    expected = {
        "at": "2026-11-24T01:00:00.000Z",
        "after": 0,
        "channel_kind": "sns",
        "kind": "opened",
        "reason": "first",
        "subject": "service:web",
        "severity": "critical",
        "cause": "essential_container_exited",
        "title": "Container crashed: service web in prod",
        "bundled": [],
    }
    assert messages[0].items() >= expected.items()


def test_the_last_line_counts_messages_rows_decisions_and_unreadable_lines() -> None:
    _, summary = replayed(crash(0), crash(MINUTE), steady(20 * MINUTE), options=["--for", "1h"])
    assert summary == {
        "messages": {"email": 3, "slack": 3, "teams": 3, "pagerduty": 3},
        "rows": 3,
        "decisions": {"announced": 1, "held back by window": 1, "resolving": 1},
        "unreadable": 0,
    }


def test_names_of_the_configuration_may_have_any_white_space(tmp_path: Path) -> None:
    """Messages show them on one line, so the incident of a message is not the one that is stored."""
    rule = '[[rules]]\nname = "two  spaces"\nmatch = { cluster = "*" }\nseverity = "critical"\n'
    messages, _ = replayed(events.task_stopped(), options=("--config", file(tmp_path, SLACK + rule)))
    assert [message["reason"] for message in messages] == ["first", "ended"]


def test_a_copy_of_an_event_adds_no_row() -> None:
    _, summary = replayed(crash(0), crash(0), options=["--for", "1m"])
    assert (summary["rows"], summary["messages"]["slack"]) == (1, 1)


def test_a_channel_that_is_sent_nothing_counts_as_zero() -> None:
    _, summary = replayed(events.task_event("RUNNING"))
    assert summary["messages"] == dict.fromkeys(CHANNELS, 0)


def test_a_worse_incident_has_the_reason_worse() -> None:
    reclaimed = {"task": "a" * 32, "stoppedAt": iso(START), "createdAt": iso(START - HOUR)}
    warning = timed(events.task_stopped("SpotInterruption", "Your Spot Task was interrupted.", **reclaimed), 0)
    messages, _ = replayed(warning, crash(60), options=["--for", "5m"])
    assert of("slack", messages) == [(0, "opened", "first"), (60, "updated", "worse")]
    assert of("pagerduty", messages) == [(60, "opened", "first")]


def test_suppressed_alerts_are_sent_as_a_digest_when_the_window_ends() -> None:
    messages, _ = replayed(crash(0), crash(200), options=["--for", "20m"])
    assert of("slack", messages) == [(0, "opened", "first"), (900, "updated", "digest")]


def test_a_reopened_incident_has_the_reason_returned() -> None:
    messages, _ = replayed(crash(0), steady(60), crash(900), options=["--for", "1m"])
    assert of("slack", messages) == [(0, "opened", "first"), (360, "resolved", "ended"), (900, "opened", "returned")]


def test_by_default_a_table_and_the_counts_are_printed() -> None:
    result = run("--for", "1h", text=json_lines([crash(0), steady(60)]))
    assert result.exit_code == 0
    head, opened, resolved, empty, messages, rows = result.stdout.splitlines()
    assert head.split() == ["When", "(UTC)", "After", "Channels", "Message", "Severity", "Subject", "Title"]
    assert re.split("  +", opened)[:4] == [
        "2026-11-24 01:00:00",
        "+0 s",
        "email, slack, teams, pagerduty",
        "opened (first)",
    ]
    assert re.split("  +", resolved)[1:4] == ["+6 min", "email, slack, teams, pagerduty", "resolved (ended)"]
    assert (empty, messages) == ("", "Messages: email 2, pagerduty 2, slack 2, teams 2")
    assert rows == "2 alerts in history: announced 1, resolving 1"


# --- what goes in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read_like_json_lines(indent: int | None) -> None:
    found = [crash(0), steady(60)]
    assert run("--json", text=json.dumps(found, indent=indent)).stdout == run("--json", text=json_lines(found)).stdout


@pytest.mark.parametrize("indent", [None, 2])
def test_a_single_event_is_accepted(indent: int | None) -> None:
    assert (
        run("--json", text=json.dumps(crash(0), indent=indent)).stdout
        == run("--json", text=json_lines([crash(0)])).stdout
    )


def test_a_file_is_read_like_standard_input(tmp_path: Path) -> None:
    path = file(tmp_path, json_lines([crash(0)]), "night.jsonl")
    result = without_place(CliRunner().invoke(main, ["replay", str(path), "--json"]))
    assert result.stdout == run("--json", text=json_lines([crash(0)])).stdout


def test_empty_input_gives_a_summary_of_zeros() -> None:
    messages, summary = replayed()
    assert (messages, summary["rows"], summary["messages"]["email"]) == ([], 0, 0)


@pytest.mark.parametrize("broken", [b"{", b"[1]", b"7", b'{"source": "aws.s3"}', b"null", b"\xe9"])
def test_an_unreadable_line_is_counted_and_reported_with_exit_code_1(broken: bytes) -> None:
    lines = [json.dumps(crash(0)).encode(), broken, json.dumps(steady(60)).encode()]
    result = without_place(CliRunner().invoke(main, ["replay", "-", "--json"], input=b"\n".join(lines)))
    summary = json.loads(result.stdout.splitlines()[-1])["summary"]
    assert (result.exit_code, summary["unreadable"], summary["rows"]) == (1, 1, 2)
    assert result.stderr.startswith("line 2")
    assert len(result.stderr.splitlines()) == 1


def test_an_unreadable_item_of_an_array_does_not_affect_the_others() -> None:
    result = run("--json", text=json.dumps([crash(0), 5, steady(60)]))
    assert json.loads(result.stdout.splitlines()[-1])["summary"].items() >= {"unreadable": 1, "rows": 2}.items()
    assert result.stderr.startswith("line 1, item 2: ")


def test_the_same_input_gives_the_same_bytes() -> None:
    text = json_lines([crash(0), crash(10, service="api"), steady(60)])
    assert run("--json", text=text).stdout_bytes == run("--json", text=text).stdout_bytes


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-", "--from-history"),
        ("-", "--since", "7d"),
        ("-", "--for", "soon"),
        ("-", "--compare", "absent.toml"),
        ("absent.jsonl",),
    ],
)
def test_wrong_usage_has_exit_code_2(arguments: Sequence[str]) -> None:
    assert CliRunner().invoke(main, ["replay", *arguments]).exit_code == 2


# --- virtual time -----------------------------------------------------------------------------------------------------


def test_an_event_arrives_at_its_envelopes_time() -> None:
    messages, _ = replayed(timed(events.task_event(), 0), crash(100, sent=160), options=["--for", "1m"])
    assert of("slack", messages) == [(160, "opened", "first")]


def test_without_an_envelope_time_an_event_arrives_at_its_own_time() -> None:
    first, second = crash(0), crash(100, service="api")
    del second["time"]
    messages, _ = replayed(first, second, options=["--for", "1m"])
    assert [after for after, _, _ in of("slack", messages)] == [0, 100]


def test_without_any_time_an_event_arrives_with_the_one_before() -> None:
    undated = timed(events.event("ECS Something New", {"eventType": "ERROR", "eventName": "ODD"}), None)
    messages, _ = replayed(crash(0), crash(50, service="api"), undated, crash(90, service="x"), options=["--for", "1m"])
    assert [(message["after"], message["cause"]) for message in messages if message["channel"] == "pagerduty"][2] == (
        50,
        "odd",
    )


def test_events_without_any_time_at_the_beginning_arrive_with_the_first_that_has_one() -> None:
    undated = timed(events.event("ECS Something New", {"eventType": "ERROR", "eventName": "ODD"}), None)
    messages, _ = replayed(undated, crash(50), options=["--for", "1m"])
    assert {message["at"] for message in messages if message["channel"] == "email"} == {iso(START + 50)}


def test_a_file_of_events_without_any_time_still_has_an_outcome() -> None:
    undated = timed(events.event("ECS Something New", {"eventType": "ERROR", "eventName": "ODD"}), None)
    messages, _ = replayed(undated, options=["--for", "1m"])
    assert [message["at"] for message in messages] == ["1970-01-01T00:00:00.000Z"] * 4


def test_the_clock_never_goes_back_so_an_earlier_event_arrives_late() -> None:
    messages, _ = replayed(crash(600), crash(0, service="late"), options=["--for", "1m"])
    assert [message["subject"] for message in messages if message["channel"] == "email"] == [
        "service:web",
        "service:late",
    ]
    assert of("email", messages) == [(0, "opened", "first")] * 2


def test_a_failure_that_arrives_after_its_recovery_notifies_no_one() -> None:
    messages, summary = replayed(steady(600), crash(0), options=["--for", "1m"])
    assert (messages, summary["decisions"]) == ([], {"already resolved": 1, "resolving": 1})


def test_a_recovery_is_announced_to_the_second_by_a_delayed_message() -> None:
    messages, _ = replayed(crash(0), steady(77), options=["--for", "1h"])
    assert of("slack", messages)[-1] == (77 + 300, "resolved", "ended")


def test_the_tick_sends_what_is_due_later_than_sqs_can_delay() -> None:
    """SQS can delay by 15 minutes only, and the window of 1 h starts with the first digest."""
    messages, _ = replayed(crash(7), crash(207), crash(1307), options=["--for", "2h"])
    assert of("slack", messages)[-1] == (900 + HOUR, "updated", "digest")


@pytest.mark.parametrize(("span", "messages"), [("1439m", 1), ("24h", 2), ("1441m", 2)])
def test_time_goes_on_after_the_last_event_as_long_as_asked(span: str, messages: int) -> None:
    """A day after its only failure an incident lapses, and the pager is notified."""
    assert len(of("pagerduty", replayed(crash(0), options=["--for", span])[0])) == messages


def test_time_goes_on_for_a_day_if_not_asked() -> None:
    messages, _ = replayed(crash(0))
    assert of("pagerduty", messages)[-1] == (24 * HOUR, "resolved", "ended")


def test_years_without_an_event_take_no_time() -> None:
    far = {**crash(0, service="api"), "time": "9999-12-31T23:59:59Z"}
    began = time.monotonic()
    messages, _ = replayed(crash(0), far)
    assert messages
    assert time.monotonic() - began < 30


# --- storms -----------------------------------------------------------------------------------------------------------

BUDGETS = {"email": (5, 1.0), "slack": (1, 1.0), "teams": (4, 60.0), "pagerduty": (16, 10.0)}


@pytest.fixture(scope="module", params=[200, pytest.param(1000, marks=pytest.mark.check)])
def services(request: pytest.FixtureRequest) -> int:
    """How many fail at once."""
    return int(request.param)


@pytest.fixture(scope="module")
def storm(services: int) -> list[dict[str, Any]]:
    found = [crash(0, task=number, service=f"s{number}") for number in range(services)]
    result = without_place(CliRunner().invoke(main, ["replay", "-", "--json", "--for", "30m"], input=json_lines(found)))
    return [json.loads(line) for line in result.stdout.splitlines()[:-1]]


@pytest.mark.xdist_group("storm")  # what they share is made once
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_storm_keeps_within_the_rate_limits(channel: str, storm: list[dict[str, Any]]) -> None:
    limit, period = BUDGETS[channel]
    times = [line["after"] for line in storm if line["channel"] == channel]
    assert all(later - earlier >= period for earlier, later in zip(times, times[limit:], strict=False))


@pytest.mark.xdist_group("storm")
@pytest.mark.parametrize("channel", CHANNELS)
def test_in_a_storm_each_channel_is_notified_of_each_service_once(
    channel: str, services: int, storm: list[dict[str, Any]]
) -> None:
    mine = [line for line in storm if line["channel"] == channel]
    told = Counter(subject for line in mine for subject in line["bundled"] or [line["subject"]])
    assert told == {f"service:s{number}": 1 for number in range(services)}


@pytest.mark.xdist_group("storm")
def test_a_storm_is_bundled_except_for_the_pager(services: int, storm: list[dict[str, Any]]) -> None:
    counts = Counter(line["channel"] for line in storm)
    assert counts["pagerduty"] == services
    assert max(counts[name] for name in ("email", "slack", "teams")) < 20
    assert not any(line["bundled"] for line in storm if line["channel"] == "pagerduty")
    assert max(len(line["bundled"]) for line in storm if line["channel"] == "slack") > 0.9 * services


# --- jumping over idle minutes ----------------------------------------------------------------------------------------

PLUGINS = load_plugins()
CONFIG, _ = settings_of(ROOT / "alert-router.toml", PLUGINS)


def messages_of(found: Sequence[tuple[float, events.Raw]], *, every_minute: bool) -> list[Line]:
    told: list[Line] = []
    deps = VirtualRouter(CONFIG, PLUGINS, told.append, every_minute=every_minute)
    for at, event in found:
        deps.receive(event, START + at)
    deps.advance(deps.now + 25 * HOUR)
    return told


@st.composite
def nights(draw: st.DrawFn) -> list[tuple[float, events.Raw]]:
    """Bursts of crashes and recoveries of a few services, seconds to hours apart."""
    at, found = 0.0, []
    for number in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from([0, 1, 7.5, 59, 60, 300, 900, 3600, 14400, 1234.567]))
        for service in range(draw(st.sampled_from([1, 1, 2, 9]))):
            name = f"s{service}"
            back = draw(st.integers(0, 2)) == 0
            found.append(
                (at, steady(at, service=name) if back else crash(at, task=100 * number + service, service=name))
            )
    return found


@settings(max_examples=share(12), suppress_health_check=[HealthCheck.too_slow])
@given(nights())
def test_skipping_idle_minutes_changes_nothing(found: list[tuple[float, events.Raw]]) -> None:
    assert messages_of(found, every_minute=False) == messages_of(found, every_minute=True)


# --- the configuration ------------------------------------------------------------------------------------------------


def test_mail_webhooks_and_buses_take_part(tmp_path: Path) -> None:
    messages, _ = replayed(crash(0), options=["--config", file(tmp_path, OUTWARD), "--for", "1m"])
    told = {(message["channel"], message["channel_kind"], message["kind"]) for message in messages}
    assert told == {("mail", "ses", "opened"), ("programs", "webhook", "opened"), ("bus", "eventbridge", "opened")}


LIVING = """
    [channels.bot]
    kind = "slack"
    token = "env:SLACK_TOKEN"
    channel = "C0123456789"

    [channels.hook]
    kind = "slack"
    webhook_url = "env:SLACK_WEBHOOK_URL"

    [channels.mail]
    kind = "ses"
    from = "alerts@example.com"
    to = "env:OPERATORS"

    [[routes]]
    channels = ["bot", "hook", "mail"]
"""


def test_messages_that_edit_or_reply_to_an_earlier_one_of_their_incident_continue_it(tmp_path: Path) -> None:
    messages, _ = replayed(crash(0), steady(300), options=["--config", file(tmp_path, LIVING), "--for", "30m"])
    assert {(message["channel"], message["kind"], message["continues"]) for message in messages} == {
        ("bot", "opened", False),
        ("bot", "resolved", True),
        ("hook", "opened", False),
        ("hook", "resolved", False),
        ("mail", "opened", False),
        ("mail", "resolved", True),
    }


def test_an_incident_that_was_only_in_a_bundle_has_no_message_to_continue(tmp_path: Path) -> None:
    crashes = [crash(0, service=f"web-{number}") for number in range(5)]
    messages, _ = replayed(*crashes, options=["--config", file(tmp_path, LIVING), "--for", "5m"])
    assert any(message["bundled"] for message in messages)
    assert not any(message["continues"] for message in messages)


def test_the_table_marks_messages_that_continue_an_earlier_one(tmp_path: Path) -> None:
    arguments = ("--config", file(tmp_path, LIVING), "--for", "30m")
    result = run(*arguments, text=json_lines([crash(0), steady(300)]))
    resolved = [line for line in result.output.splitlines() if "resolved (ended)" in line]
    assert [
        (channel in line, "same thread" in line)
        for channel, line in zip(("bot", "hook", "mail"), resolved, strict=True)
    ] == [
        (True, True),
        (True, False),
        (True, True),
    ]


def test_every_channel_of_a_configuration_takes_part_under_its_own_name(tmp_path: Path) -> None:
    messages, summary = replayed(crash(0), options=["--config", file(tmp_path, SLACK), "--for", "1m"])
    assert [(message["channel"], message["channel_kind"]) for message in messages] == [("chat", "slack")]
    assert summary["messages"] == {"chat": 1}


def test_channels_that_are_unset_share_no_rate_limit_unless_they_name_the_same_variable(tmp_path: Path) -> None:
    def times(variable: str) -> list[float]:
        other = SLACK.replace("chat", "other").replace("SLACK_WEBHOOK_URL", variable).partition("[[routes]]")[0]
        both = SLACK.replace('["chat"]', '["chat", "other"]') + other
        return [
            notification["after"]
            for notification in replayed(crash(0), options=["--config", file(tmp_path, both), "--for", "5m"])[0]
        ]

    assert times("OTHER_WEBHOOK_URL") == [0, 0]
    assert times("SLACK_WEBHOOK_URL") != [0, 0]


def test_a_secret_is_not_read(tmp_path: Path) -> None:
    secret = file(tmp_path, SLACK.replace("env:SLACK_WEBHOOK_URL", "ssm:/alerts/slack"))
    assert replayed(crash(0), options=["--config", secret, "--for", "1m"])[1]["messages"] == {"chat": 1}


def test_an_invalid_configuration_is_reported_with_exit_code_1(tmp_path: Path) -> None:
    result = run("--json", "--config", file(tmp_path, SLACK + "colour = 1\n"), text=json_lines([crash(0)]))
    assert result.exit_code == 1
    assert "colour" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["summary"]["messages"]["chat"]


def test_plugins_that_observe_deliveries_are_not_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("router.cli.checkout.ROOT", tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "slack.py").write_text((ROOT / "plugins" / "slack.py").read_text())
    (tmp_path / "plugins" / "observer.py").write_text(
        "from pathlib import Path\nfrom router import hookimpl\n\n"
        f"@hookimpl\ndef alert_settled(alert, deliveries):\n    Path({str(tmp_path / 'told')!r}).touch()\n"
    )
    replayed(crash(0), options=["--config", file(tmp_path, SLACK), "--for", "1m"])
    assert not (tmp_path / "told").exists()


# --- --compare --------------------------------------------------------------------------------------------------------


def test_compare_keeps_the_messages_and_adds_the_differences(tmp_path: Path) -> None:
    found = [crash(0), steady(60)]
    plain, summary = replayed(*found, options=["--for", "1h"])
    messages, compared = replayed(*found, options=["--for", "1h", "--compare", file(tmp_path, SLACK)])
    comparison = compared.pop("compare")
    assert (messages, compared) == (plain, summary)
    assert comparison["messages"] == {"chat": 2}
    assert [notification["channel"] for notification in comparison["added"]] == ["chat", "chat"]
    assert Counter(notification["channel"] for notification in comparison["removed"]) == dict.fromkeys(CHANNELS, 2)


def test_compare_with_itself_changes_nothing() -> None:
    _, summary = replayed(crash(0), options=["--compare", ROOT / "alert-router.toml"])
    assert (summary["compare"]["added"], summary["compare"]["removed"], summary["compare"]["reworded"]) == ([], [], 0)


def test_compare_counts_messages_that_differ_only_in_text(tmp_path: Path) -> None:
    text = (ROOT / "alert-router.toml").read_text().replace('language = "en"', 'language = "ja"', 1)
    _, summary = replayed(crash(0), options=["--for", "1h", "--compare", file(tmp_path, text)])
    assert (summary["compare"]["added"], summary["compare"]["removed"], summary["compare"]["reworded"]) == ([], [], 4)


def test_compare_lists_each_message_that_only_one_configuration_sends(tmp_path: Path) -> None:
    shown = run("--for", "1h", "--compare", file(tmp_path, SLACK), text=json_lines([crash(0)])).stdout
    changes = shown.partition("instead:")[2].splitlines()
    assert [line[0] for line in changes if line[:1] in {"+", "-"}] == ["-", "+"]
    assert [line.split() for line in changes if line.startswith(("slack", "chat"))] == [
        ["slack", "1", "0"],
        ["chat", "0", "1"],
    ]


# --- --from-history ---------------------------------------------------------------------------------------------------


def rows_of(world: World) -> list[dict[str, Any]]:
    now = world.now
    return world.history.alerts(AlertQuery(now - 3 * HOUR, now, None), now)


def test_history_is_replayed_in_the_order_of_arrival(recorded: World) -> None:
    began = time.time() - 2 * HOUR
    found = [
        events.task_stopped(task="1" * 32, stoppedAt=iso(began)),
        events.deployment(updatedAt=iso(began + 60)),
        events.service_action(createdAt=iso(began + 120)),
        events.alarm(),
    ]
    recorded.now = began + 300
    for event in found:
        recorded.receive(event)
        recorded.now += 1
    result = without_place(
        CliRunner().invoke(main, ["replay", "--from-history", "--since", "1d", "--table", TABLE, "--json"])
    )
    assert (result.exit_code, result.stderr) == (0, "")
    *messages, last = map(json.loads, result.stdout.splitlines())
    assert last["summary"]["decisions"] == Counter(row["decision"] for row in rows_of(recorded))
    assert {message["cause"] for message in messages} >= {"essential_container_exited"}
    assert messages[0]["at"] == iso(began + 300)


# --- the documentation ------------------------------------------------------------------------------------------------


def test_the_documented_example_shows_the_real_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "operate.md").read_text("utf-8")
    section = page.partition("## Before a configuration is deployed")[2].partition("\n## ")[0]
    command = re.findall(r"^ecs-alert-router (replay .*)$", section, re.MULTILINE)[0]
    (shown,) = re.findall(r"^```text\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert CliRunner().invoke(main, shlex.split(command, comments=True)).stdout == shown
