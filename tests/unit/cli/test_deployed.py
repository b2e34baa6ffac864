"""Which stage, region and account a command asks, and how its answer says so."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local_aws import events
from router.aws import clients
from router.cli import main
from tests.doubles.account import TABLE, Account
from tests.doubles.stage import Stage

PLACE = "stage blue in eu-west-1, account 111122223333"


@pytest.fixture
def stage(account: Account, monkeypatch: pytest.MonkeyPatch) -> Stage:
    for name in ("AWS_REGION", "ECS_ALERT_ROUTER_STAGE"):
        monkeypatch.delenv(name, raising=False)
    deployed = Stage(account)
    deployed.install(monkeypatch)
    return deployed


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, words, env=environ)


COMMANDS = (
    ["history", "list"],
    ["history", "open"],
    ["history", "top"],
    ["history", "timeline", "web"],
    pytest.param(["history", "report", "--json"], marks=pytest.mark.check),
    ["history", "forget", "--service", "web"],
    ["silence", "list"],
    ["silence", "add", "--service", "web", "--for", "1w", "--reason", "x", "--json"],
    ["redrive"],
    ["redrive", "--due"],
    ["replay", "--from-history"],
    ["config", "check", "--deployed"],
    ["stack"],
    ["send-test"],
    ["doctor"],
)


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_answer_says_which_stage_and_region_it_is_about(words: list[str]) -> None:
    for result in (run(*words, "--stage", "blue"), run(*words, ECS_ALERT_ROUTER_STAGE="blue")):
        assert PLACE in result.stderr.splitlines(), result.output
        assert PLACE not in result.stdout


@pytest.mark.usefixtures("stage")
def test_the_region_of_the_command_line_counts() -> None:
    assert "stage blue in us-east-1" in run("stack", "--stage", "blue", "--region", "us-east-1", AWS_REGION="x").stderr


def test_a_table_that_is_named_is_said_too(stage: Stage) -> None:
    assert run("history", "list", "--table", TABLE).stderr.startswith(f"table {TABLE} in eu-west-1\n")


def test_a_stage_of_the_command_line_counts_more_than_variables_of_another(stage: Stage) -> None:
    """Otherwise `eval "$(ecs-alert-router stack)"` of one stage would make all other stages show its history."""
    stage.account.decisions(events.task_stopped())
    result = run("history", "open", "--stage", "blue", HISTORY_TABLE="another", QUEUE_URL="another")
    assert (result.exit_code, result.stderr) == (0, f"{PLACE}\n")
    assert run("history", "open", HISTORY_TABLE=TABLE).stderr == f"table {TABLE} in eu-west-1\n"


@pytest.mark.usefixtures("stage")
def test_a_stage_that_is_not_deployed_is_named() -> None:
    result = run("history", "list", "--stage", "green")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: stage green is not deployed in this region: pass --stage and --region\n",
    )


@pytest.mark.usefixtures("stage")
def test_a_profile_that_does_not_exist_says_how_to_list_them() -> None:
    result = run("history", "list", "--stage", "blue", "--profile", "nobody")
    assert result.exit_code == 1
    assert "nobody" in result.stderr
    assert "aws configure list-profiles" in result.stderr


def test_a_named_profile_counts_more_than_credentials_in_variables(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[ops]\naws_access_key_id = OPS\naws_secret_access_key = x\n")
    seen: list[str | None] = []
    outputs = stage.outputs

    def asked(name: str) -> dict[str, str]:
        seen.append(clients.sqs()._request_signer._credentials.access_key)  # noqa: SLF001 - who would sign
        return outputs(name)

    monkeypatch.setattr(clients, "stack_outputs", asked)
    before = dict(os.environ)
    run("stack", "--stage", "blue", "--profile", "ops", AWS_SHARED_CREDENTIALS_FILE=str(file))
    assert seen == ["OPS"]
    assert os.environ == before
