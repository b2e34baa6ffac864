"""`ecs-alert-router send-test`: a marked alert through the channels, really sent to stand-ins on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws
from moto.sns.models import Topic, sns_backends

from local_aws.pagerduty import PagerDutyDouble
from local_aws.slack import SlackDouble
from local_aws.teams import TeamsDouble
from router.cli import main
from router_conformance.server import ScriptedServer, answer
from tests.doubles.place import without_place

ONE = """
    language = "ja"
    [channels.chat]
    kind = "slack"
    webhook_url = "env:SLACK_WEBHOOK_URL"
    [[routes]]
    channels = ["chat"]
"""

OUTWARD = """
    [channels.mail]
    kind = "ses"
    from = "alerts@example.com"
    to = ["ops@example.com"]

    [channels.programs]
    kind = "webhook"
    url = "URL"
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    [channels.bus]
    kind = "eventbridge"
    bus_arn = "arn:aws:events:eu-west-1:123456789012:event-bus/incidents"

    [[routes]]
    channels = ["mail", "programs", "bus"]
"""


@pytest.fixture
def slack() -> Iterator[SlackDouble]:
    with SlackDouble() as double:
        yield double


@pytest.fixture
def teams() -> Iterator[TeamsDouble]:
    with TeamsDouble() as double:
        yield double


@pytest.fixture
def pagerduty() -> Iterator[PagerDutyDouble]:
    with PagerDutyDouble() as double:
        yield double


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topic]:
    """A topic in an AWS that has nothing else, not even a history table."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_ENDPOINT_URL", "HISTORY_TABLE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        arn = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
        monkeypatch.setenv("SNS_TOPIC_ARN", arn)
        yield sns_backends["123456789012"]["eu-west-1"].topics[arn]


@pytest.fixture(autouse=True)
def environment(
    slack: SlackDouble, teams: TeamsDouble, pagerduty: PagerDutyDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every channel of the shipped configuration is set."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", slack.webhook_url)
    monkeypatch.setenv("TEAMS_WEBHOOK_URL", teams.webhook_url)
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", pagerduty.routing_key)
    monkeypatch.setenv("PAGERDUTY_EVENTS_URL", pagerduty.events_url)


def run(*arguments: str | Path) -> Result:
    return without_place(CliRunner().invoke(main, ["send-test", *map(str, arguments)]))


def written(directory: Path, text: str) -> Path:
    file = directory / "alert-router.toml"
    file.write_text(text)
    return file


def test_every_configured_channel_gets_the_test_and_its_outcome_is_printed(
    slack: SlackDouble, teams: TeamsDouble
) -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(result.stdout.splitlines()) == [
        "email: opened sent",
        "pagerduty: opened sent",
        "pagerduty: resolved sent",
        "slack: opened sent",
        "teams: opened sent",
    ]
    assert (len(slack.received), len(teams.received), teams.failed_runs) == (1, 1, [])


def test_json_has_the_same_content(slack: SlackDouble) -> None:
    slack.answer_with(404, "no_service", times=2)
    lines = sorted(run("--json").stdout.splitlines())
    assert [json.loads(line) for line in lines] == [
        {"channel": "email", "kind": "opened", "outcome": "sent"},
        {"channel": "pagerduty", "kind": "opened", "outcome": "sent"},
        {"channel": "pagerduty", "kind": "resolved", "outcome": "sent"},
        {"channel": "slack", "kind": "opened", "outcome": "failed", "reason": "127.0.0.1 answered 404: no_service"},
        {"channel": "teams", "kind": "opened", "outcome": "sent"},
    ]


def test_mail_webhooks_and_buses_get_the_test(tmp_path: Path) -> None:
    """Programs get its end as well, so that nothing stays open at their side."""
    boto3.client("ses").verify_email_identity(EmailAddress="alerts@example.com")
    boto3.client("events").create_event_bus(Name="incidents")
    with ScriptedServer(answer(204)) as server:
        result = run("--config", written(tmp_path, OUTWARD.replace("URL", server.url("/incidents"))))
        bodies = [json.loads(body) for _, body in server.requests]
    assert sorted(result.stdout.splitlines()) == [
        "bus: opened sent",
        "bus: resolved sent",
        "mail: opened sent",
        "programs: opened sent",
        "programs: resolved sent",
    ]
    assert [body["data"]["kind"] for body in bodies] == ["opened", "resolved"]
    assert len({body["id"] for body in bodies}) == 2
    assert all("TEST" in body["data"]["message"]["title"] or body["data"]["message"]["text"] for body in bodies)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_message_says_that_it_is_a_test_and_names_no_history_command(
    language: str, slack: SlackDouble, tmp_path: Path
) -> None:
    assert run("--config", written(tmp_path, ONE.replace("ja", language))).exit_code == 0
    (message,) = slack.received
    assert "TEST" in message.payload["text"]
    assert ("テスト通知です" in str(message.payload)) is (language == "ja")
    assert "history show" not in str(message.payload)


def test_a_mail_is_marked_as_a_test_and_can_be_filtered(topic: Topic) -> None:
    run("--channel", "email", "--severity", "critical")
    ((_, body, subject, attributes, _),) = topic.sent_notifications
    assert subject == "[CRITICAL] TEST alert, nothing is wrong: email"
    assert body.startswith("[CRITICAL] TEST alert, nothing is wrong")
    assert attributes is not None
    assert attributes["severity"]["Value"] == "critical"


def test_the_test_page_is_resolved_at_once(pagerduty: PagerDutyDouble) -> None:
    run("--channel", "pagerduty", "--severity", "critical")
    (page,) = pagerduty.alerts
    assert [event["event_action"] for event in page.events] == ["trigger", "resolve"]
    assert page.status == "resolved"
    assert page.events[0]["payload"]["severity"] == "critical"


def test_the_severity_is_info_unless_given(pagerduty: PagerDutyDouble) -> None:
    run("--channel", "pagerduty")
    assert pagerduty.alerts[0].events[0]["payload"]["severity"] == "info"


def test_a_failing_channel_is_reported_without_its_secret_and_affects_only_itself(
    slack: SlackDouble, teams: TeamsDouble
) -> None:
    teams.answer_with(429, "slow down", headers={"Retry-After": "30"})
    slack.reset_connection()
    result = run()
    assert result.exit_code == 1
    failed = {line.partition(":")[0] for line in result.stdout.splitlines() if " failed: " in line}
    assert failed == {"slack", "teams"}
    assert "XXXX" not in result.output
    assert len(result.stdout.splitlines()) == 5


def test_a_refused_layout_is_sent_as_plain_text(slack: SlackDouble) -> None:
    slack.answer_with(400, "invalid_blocks")
    assert run("--channel", "slack").stdout == "slack: opened sent\n"


def test_a_secret_is_read_from_aws(slack: SlackDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("ssm").put_parameter(Name="/slack", Value=slack.webhook_url, Type="SecureString")
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "ssm:/slack")
    assert run("--channel", "slack").exit_code == 0
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "ssm:/missing")
    result = run("--channel", "slack")
    assert (result.exit_code, len(slack.received)) == (1, 1)
    assert "slack: opened failed: ssm:/missing: there is no such parameter" in result.stdout


def test_a_disabled_channel_fails_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "short")
    result = run()
    assert result.exit_code == 1
    assert "pagerduty: opened failed: routing_key must have 32 letters and digits" in result.stdout
    assert result.stderr.startswith("channels.pagerduty: routing_key must have 32 letters and digits")


def test_an_unset_channel_is_a_failure_only_if_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMS_WEBHOOK_URL", "")
    unset = "channels.teams: not configured, webhook_url is unset\n"
    assert (run().exit_code, run().stderr) == (0, unset)
    both = run("--channel", "teams", "--channel", "email")
    assert (both.exit_code, both.stdout, both.stderr) == (1, "email: opened sent\n", unset)
    alone = run("--channel", "teams")
    assert (alone.exit_code, alone.stdout, alone.stderr) == (1, "", f"{unset}Error: no channel is configured\n")


def test_no_channel_has_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLACK_WEBHOOK_URL")
    result = run("--config", written(tmp_path, ONE))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no channel is usable" in result.stderr


@pytest.mark.parametrize("arguments", [["--channel", "nope"], ["--severity", "fatal"], ["and", "more"]])
def test_wrong_usage_has_exit_code_2(arguments: list[str], slack: SlackDouble) -> None:
    assert run(*arguments).exit_code == 2
    assert slack.requests == []
