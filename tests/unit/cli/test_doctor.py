"""`ecs-alert-router doctor`, `stack`, and the commands that ask the function of a stage."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_aws import events
from router.cli import main
from router.errors import PermanentError
from tests.doubles.account import Account
from tests.doubles.stage import Stage

IN_BLUE = ("--stage", "blue", "--region", "eu-west-1")
PLACE = "stage blue in eu-west-1, account 111122223333\n"


@pytest.fixture
def stage(account: Account, monkeypatch: pytest.MonkeyPatch) -> Stage:
    for name in ("AWS_REGION", "ECS_ALERT_ROUTER_STAGE"):
        monkeypatch.delenv(name, raising=False)
    deployed = Stage(account)
    deployed.install(monkeypatch)
    return deployed


def run(*words: str) -> Result:
    return CliRunner().invoke(main, [*words, *IN_BLUE])


def checks() -> dict[str, dict[str, Any]]:
    return {(finding := json.loads(line))["check"]: finding for line in run("doctor", "--json").stdout.splitlines()}


@pytest.mark.usefixtures("stage")
def test_a_sound_stage_has_no_finding() -> None:
    """The function under test runs in this checkout, with the configuration of the tests."""
    found = checks()
    assert [name for name, finding in found.items() if not finding["ok"]] == []
    assert all(set(finding) == {"check", "ok", "detail", "command"} for finding in found.values())
    assert run("doctor").stderr == PLACE


def a_disabled_rule(stage: Stage) -> None:
    stage.rules["tick"] = "DISABLED"


def a_queue_that_is_not_read(stage: Stage) -> None:
    stage.mappings[0] = "Disabled"


def a_dead_letter(stage: Stage) -> None:
    stage.account.sqs.send_message(QueueUrl=stage.account.dead_letter_url, MessageBody="{}")


def a_failed_update(stage: Stage) -> None:
    stage.status = "UPDATE_ROLLBACK_FAILED"


def no_ticks(stage: Stage) -> None:
    stage.invocations = 0


def an_unconfirmed_address(stage: Stage) -> None:
    world = stage.account.world
    world.router = world.router._replace(unconfirmed_subscriptions=lambda: ["a@example.com"])


def a_failing_channel(stage: Stage) -> None:
    stage.account.world.slack.failure = lambda: PermanentError("gone")
    stage.account.decisions(events.task_stopped())


def a_failing_function(stage: Stage) -> None:
    stage.failure = "no channel is usable"


def another_version(stage: Stage) -> None:
    stage.answer = {
        "release": {"code": "0", "plugins": "0", "configuration": "0"},
        "configuration": "alert-router.toml",
        "problems": [],
        "channels": {"slack": ""},
        "hosts": {},
        "failing": {},
        "unconfirmed": [],
    }


@pytest.mark.parametrize(
    ("broken", "check", "command"),
    [
        (a_disabled_rule, "rules", "aws events enable-rule --name tick --region eu-west-1"),
        (a_queue_that_is_not_read, "queues", "aws lambda update-event-source-mapping --uuid u-1 --enabled"),
        (a_dead_letter, "dead letters", "ecs-alert-router redrive --dry-run --stage blue --region eu-west-1"),
        (a_failed_update, "stack", "npx osls deploy --stage blue --region eu-west-1"),
        (no_ticks, "ticks", "aws events describe-rule --name ecs-alert-router-blue-tick --region eu-west-1"),
        (an_unconfirmed_address, "subscriptions", "aws sns subscribe --topic-arn arn:aws:sns:eu-west-1:"),
        (
            a_failing_channel,
            "channel slack",
            "ecs-alert-router send-test --channel slack --stage blue --region eu-west-1",
        ),
        (a_failing_function, "function", "npx osls logs -f router --stage blue --region eu-west-1"),
        (another_version, "version", "npx osls deploy --stage blue --region eu-west-1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_finding_says_what_to_type(
    broken: Callable[[Stage], None], check: str, command: str, stage: Stage
) -> None:
    broken(stage)
    found = checks()
    assert not found[check]["ok"]
    assert found[check]["command"].startswith(command)
    assert run("doctor").exit_code == 1


def test_a_check_that_cannot_be_made_is_a_finding_and_stops_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.aws.clients.cloudwatch", lambda: 1 / 0)
    found = checks()
    assert found["ticks"]["detail"].startswith("could not be checked: ZeroDivisionError")
    assert found["dead letters"]["ok"]


# --- the function of the stage ----------------------------------------------------------------------------------------


def test_send_test_is_sent_by_the_function(stage: Stage) -> None:
    result = run("send-test", "--channel", "slack")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "slack: opened sent\n", PLACE)
    assert len(stage.account.world.slack.told) == 1


def test_a_channel_that_the_function_does_not_have_is_wrong_usage(stage: Stage) -> None:
    result = run("send-test", "--channel", "slakc")
    assert (result.exit_code, stage.account.world.slack.told) == (2, [])
    assert "there is no channel 'slakc'; known channels: email, pager, slack" in result.stderr


def test_a_function_that_fails_is_reported_in_one_line(stage: Stage) -> None:
    stage.failure = "no channel\nis usable"
    result = run("send-test")
    assert (result.exit_code, result.stderr) == (1, f"{PLACE}Error: the function failed: no channel is usable\n")


def test_an_older_function_does_not_know_the_command(stage: Stage) -> None:
    stage.answer = {"severity": None, "decision": "unreadable"}
    assert "deploy this version" in run("send-test").stderr


@pytest.mark.usefixtures("stage")
def test_the_functions_own_configuration_is_used() -> None:
    assert run("send-test", "--config", "alert-router.toml").exit_code == 2


def test_stack_prints_what_a_shell_can_evaluate(stage: Stage) -> None:
    stage.variables["SLACK_WEBHOOK_URL"] = "it's $HOME"
    script = f'{run("stack").stdout}\nprintf "%s|%s" "$STAGE" "$SLACK_WEBHOOK_URL"'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == "blue|it's $HOME"
    assert json.loads(run("stack", "--json").stdout) == stage.variables


def test_config_check_uses_the_values_of_the_deployed_function(stage: Stage) -> None:
    stage.variables["TEAMS_WEBHOOK_URL"] = "http://example.com/hook"
    result = run("config", "check", "--deployed")
    assert result.exit_code == 1
    assert "teams" in result.stderr
