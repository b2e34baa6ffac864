"""`ecs-alert-router classify`: events in, one JSON line per event out."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local_aws import events
from router.cli.classify import classify_command, documents

KEYS = ["event_id", "severity", "cause", "resolves", "rule", "title", "fingerprint"]
STOPPED = events.task_stopped()
ALARM = events.alarm("OK")


def run(text: str | bytes, *arguments: str) -> Result:
    return CliRunner().invoke(classify_command, list(arguments), input=text)


def causes(result: Result) -> list[str]:
    return [json.loads(line)["cause"] for line in result.stdout.splitlines()]


def test_a_line_has_the_documented_keys_in_order() -> None:
    result = run(json.dumps(STOPPED))
    assert result.exit_code == 0
    assert result.stderr == ""
    assert list(json.loads(result.stdout).items()) == [
        ("event_id", STOPPED["id"]),
        ("severity", "critical"),
        ("cause", "essential_container_exited"),
        ("resolves", False),
        ("rule", "exited badly"),
        ("title", "Essential container exited: service web in prod"),
        ("fingerprint", "123456789012/eu-west-1/prod/service:web"),
    ]


BOTH = ["essential_container_exited", "cloudwatch_alarm"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(STOPPED, indent=2), BOTH[:1]),
        (json.dumps([STOPPED, ALARM]), BOTH),
        (json.dumps([STOPPED, ALARM], indent=2), BOTH),
        (f"{json.dumps(STOPPED)}\n{json.dumps(ALARM)}\n", BOTH),
        (f"\n\n{json.dumps(STOPPED)}\r\n\r\n{json.dumps(ALARM)}", BOTH),
        (f"[{json.dumps(STOPPED)},\n{json.dumps(ALARM)}]", BOTH),
        ("\ufeff" + json.dumps(STOPPED), BOTH[:1]),
        ("[]", []),
        ("", []),
    ],
)
def test_one_event_an_array_and_json_lines_are_accepted(text: str, expected: list[str]) -> None:
    result = run(text)
    assert (result.exit_code, causes(result)) == (0, expected)


def test_a_file_and_standard_input_give_the_same_output(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(STOPPED))
    assert run("", str(file)).stdout == run(json.dumps(STOPPED), "-").stdout == run(json.dumps(STOPPED)).stdout != ""


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("nonsense", "not JSON"),
        ('{"source": "aws.ecs", ', "not JSON"),
        ('{"source": "aws.ec2"}', "unknown source 'aws.ec2'"),
        ("7", "not an object"),
        ("NaN", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_an_unreadable_line_is_reported_and_the_others_are_classified(broken: str, reason: str, place: int) -> None:
    lines = [json.dumps(STOPPED), json.dumps(ALARM)]
    lines.insert(place - 1, broken)
    result = run("\n".join(lines))
    assert (result.exit_code, causes(result)) == (1, BOTH)
    assert result.stderr.startswith(f"line {place}: {reason}")
    assert len(result.stderr.splitlines()) == 1


def test_an_unreadable_item_of_an_array_is_reported() -> None:
    result = run(json.dumps([STOPPED, 5, ALARM]))
    assert (result.exit_code, causes(result)) == (1, BOTH)
    assert result.stderr == "line 1, item 2: not an object\n"


def test_a_truncated_document_is_one_error() -> None:
    result = run(json.dumps(STOPPED, indent=2)[:-20])
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["no-such-file.json"], ["a", "b"], ["--no-such-option"], ["/"]])
def test_wrong_usage_has_exit_code_2(arguments: list[str]) -> None:
    result = run("", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_binary_input_is_an_error_without_a_traceback() -> None:
    result = run(b"\xff\xfe\xff\n" + json.dumps(STOPPED).encode())
    assert (result.exit_code, causes(result)) == (1, BOTH[:1])
    assert "Traceback" not in result.output


def test_text_that_no_terminal_can_encode_is_printed() -> None:
    result = run(json.dumps(events.alarm(name="メモリ \ud800")))
    assert result.exit_code == 0
    assert "メモリ" in json.loads(result.stdout)["title"]


def test_json_lines_are_processed_one_by_one() -> None:
    read = []

    def lines() -> Iterator[bytes]:
        for number in range(100):
            read.append(number)
            yield json.dumps(STOPPED).encode() + b"\n"

    found = documents(lines())
    assert [next(found)[0] for _ in range(3)] == ["line 1", "line 2", "line 3"]
    assert len(read) == 3


def test_keys_are_the_contract() -> None:
    lines = io.StringIO(run(json.dumps([STOPPED, ALARM])).stdout)
    assert all(list(json.loads(line)) == KEYS for line in lines)


# --- --config ---------------------------------------------------------------------------------------------------------

RULE = """
    [channels.chat]
    kind = "slack"
    webhook_url = "env:NOT_SET"

    [[routes]]
    channels = ["chat"]

    [[rules]]
    name = "web may fail"
    match = { service = "web" }
    severity = "warning"
    cause = "web_again"
"""
PLUGIN = """
from router import hookimpl

@hookimpl
def classify_event(event):
    return {"severity": "error", "cause": "ours"} if event.source == "aws.cloudwatch" else None
"""


def written(directory: Path, text: str) -> str:
    file = directory / "alert-router.toml"
    file.write_text(text)
    return str(file)


def test_a_configurations_rules_apply_whether_or_not_its_channels_are_set(tmp_path: Path) -> None:
    result = run(json.dumps(STOPPED), "--config", written(tmp_path, RULE))
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert list(told) == KEYS
    assert (told["severity"], told["cause"], told["rule"]) == (
        "warning",
        "web_again",
        "exited badly, then web may fail",
    )


def test_plugins_are_asked_first_with_a_configuration_and_not_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.cli.checkout.ROOT", tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "ours.py").write_text(PLUGIN)
    text = json.dumps([STOPPED, ALARM])
    assert causes(run(text, "--config", written(tmp_path, ""))) == ["essential_container_exited", "ours"]
    assert causes(run(text)) == BOTH


def test_an_invalid_rule_is_reported_with_exit_code_1(tmp_path: Path) -> None:
    result = run(json.dumps(STOPPED), "--config", written(tmp_path, RULE.replace('"warning"', '"fatal"')))
    assert (result.exit_code, causes(result)) == (1, ["web_again"])
    assert result.stderr.startswith("rules[1].severity: ")
    assert len(result.stderr.splitlines()) == 1
