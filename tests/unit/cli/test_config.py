"""`ecs-alert-router config check`: the problems of alert-router.toml, before it is deployed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from router.cli import main

SECRET = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX"
RIGHT = """
    [channels.chat]
    kind = "slack"
    webhook_url = "env:SLACK_WEBHOOK_URL"

    [channels.spare]
    kind = "slack"
    webhook_url = "env:SPARE_WEBHOOK_URL"

    [[routes]]
    severity = "error"
    channels = ["chat", "spare"]
"""
WRONG = 'colour = "red"\n' + RIGHT.replace('"error"', '"fatal"')


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", SECRET)
    monkeypatch.delenv("SPARE_WEBHOOK_URL", raising=False)
    return tmp_path / "alert-router.toml"


def check(file: Path, text: str, *options: str) -> Result:
    file.write_text(text)
    return CliRunner().invoke(main, ["config", "check", "--config", str(file), *options])


def test_a_valid_file_prints_its_channels_and_routes(file: Path) -> None:
    result = check(file, RIGHT)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "ok",
        "channel chat (slack)",
        "channel spare: not configured, webhook_url is unset",
        "route 1: error and worse to chat, spare",
    ]


def test_every_problem_is_a_line_on_stderr_with_exit_code_1(file: Path) -> None:
    result = check(file, WRONG)
    assert (result.exit_code, result.stdout) == (1, "")
    places = [line.partition(":")[0] for line in result.stderr.splitlines()]
    assert places == ["colour", "routes[1].severity", "warning"]


def test_a_problem_names_its_line(file: Path) -> None:
    result = check(file, WRONG)
    assert "colour: is not a key of this table" in result.stderr
    assert [line.rpartition(" (")[2] for line in result.stderr.splitlines()[:2]] == ["line 1)", "line 12)"]


def test_routes_are_described_by_what_they_take_when_and_where_they_lead(file: Path) -> None:
    route = '[[routes]]\nmatch = { service = ["web", "!web-test"] }\nhours = "mon-fri 09:00-18:00"\ncontinue = true\n'
    text = RIGHT + route.replace("continue", 'severity = "critical"\nchannels = ["chat"]\ncontinue')
    (last,) = check(file, route_first(text)).stdout.splitlines()[3:4]
    assert last == (
        "route 1: critical, service=web, service=!web-test, at mon-fri 09:00-18:00 to chat, then later routes too"
    )


def route_first(text: str) -> str:
    """The last route before the others, or it would never be reached."""
    head, first, last = text.split("[[routes]]")
    return f"{head}[[routes]]{last}[[routes]]{first}"


def test_the_schema_is_printed() -> None:
    result = CliRunner().invoke(main, ["config", "schema"])
    assert json.loads(result.stdout)["title"] == "alert-router.toml"


def test_a_literal_secret_is_a_warning_on_stderr_with_exit_code_0(file: Path) -> None:
    result = check(file, RIGHT)
    assert (result.exit_code, len(result.stderr.splitlines())) == (0, 1)
    assert result.stderr.startswith("warning: channels.chat.webhook_url: is a literal secret")


def test_json_has_the_same_content(file: Path) -> None:
    right, wrong = check(file, RIGHT, "--json"), check(file, WRONG, "--json")
    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert json.loads(right.stdout).items() >= {"ok": True, "problems": [], "channels": {"chat": "slack"}}.items()
    assert json.loads(wrong.stdout)["ok"] is False
    assert len(json.loads(wrong.stdout)["problems"]) == 2


@pytest.mark.parametrize(
    ("text", "told"), [("language = ", "is not TOML"), ("", "no channel is usable"), (None, "cannot be read")]
)
def test_a_problem_that_stops_the_cold_start_is_reported_without_a_traceback(
    text: str | None, told: str, file: Path
) -> None:
    result = check(file, text or "")
    if text is None:
        file.unlink()
        result = CliRunner().invoke(main, ["config", "check", "--config", str(file)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error: the configuration is invalid:\n")
    assert told in result.stderr


@pytest.mark.parametrize("text", [RIGHT, WRONG, RIGHT.replace('"slack"', '"slakc"')])
def test_no_secret_is_shown(text: str, file: Path) -> None:
    for options in ((), ("--json",)):
        result = check(file, text, *options)
        assert "hooks.slack.com" not in result.stdout + result.stderr
