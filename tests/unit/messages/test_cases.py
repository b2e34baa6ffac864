"""Inputs judged by an engineer, with the right answer. They are beside the checkout, not in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from docs.pages import message
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.model import Decision
from tests.doubles.world import World

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES}")

# What a message must name and must not name; the cases say it in prose.
ADVICE = {
    "D1-ecr-token-denied": ("ecr:GetAuthorizationToken", "secretsmanager"),
    "D3-repository-named-platform": ("platform/api:2.4.1 does not exist", "CPU"),
    "D5-image-without-passwd": ("/etc/passwd", "command"),
    "D6-no-users-found": ("user", "file system"),
    "D7-nvidia-library": ("NVIDIA driver", "command"),
    "D8-log-group-network": ("cannot reach CloudWatch Logs", "does not exist"),
    "D11-volume-driver-timeout": ("volume driver", "overloaded"),
    "L3-job-done-log-router-killed": ("stopTimeout", "MemoryUtilized"),
    "L6-health-check-and-oom": ("raise its limit of 512 MiB", "path"),
}
# What its text must say about the containers, and what the message must not contain.
CONTAINERS = {
    "C1-pull-fails-for-the-second-container": ("Container proxy never started.", "app:2.0"),
    "C3-log-router-crashed-app-was-killed": ("app 137 (killed by ECS after log_router exited)", "Memory"),
    "C4-dependency-failed": ("Container migrate exited with code 1", "SIGTERM"),
    "L1-registration-failed": ("Failed to attach trunk network interface", "disconnected"),
    "L2-never-reached-running": ("Container app exited with code 1", "ran for"),
    "L3-job-done-log-router-killed": ("Other containers: migrate 0", "Memory limit"),
    "L6-health-check-and-oom": ("OutOfMemoryError: Container killed due to memory usage", "Memory limit"),
}
ALARMS = {  # the title, and what the text contains
    "F1-too-many-tasks": ("Too many tasks running: service web in prod", "was 45–48 for 3 min; the threshold is 40."),
    "F3-description-with-the-runbook": (
        "Too few tasks running: service web in prod",
        "RUNBOOK https://wiki.example.com/web",
    ),
    "J3-alarm-name-with-slash": (
        "CloudWatch alarm: ecs-prod/web/upscale (service web in prod)",
        "CPUUtilization of service web in prod was 91 %; the threshold is 80 %.",
    ),
}
MEANINGS = {
    "K1-exit-136": "arithmetic error (SIGFPE)",
    "K3-windows-access-violation": "access violation (0xC0000005)",
}


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _cases(kinds: str) -> list[Path]:
    return sorted(path for kind in kinds for path in CASES.glob(f"{kind}[0-9]*.json") if ".expected." not in path.name)


@pytest.mark.parametrize("case", _cases("DEFJK"), ids=lambda path: path.stem)
def test_a_case_is_classified_as_expected(case: Path) -> None:
    expected = _read(case.with_name(f"{case.stem}.expected.json"))
    event = normalise(_read(case))
    result = alert(event, classify(event))
    assert str(result.severity) == expected["severity"]
    assert (result.cause, result.resolves) == (expected["cause"], expected["resolves"])
    assert result.subject.text == expected["subject"]


@pytest.mark.parametrize("name", ADVICE)
def test_the_hint_is_about_the_failure(name: str) -> None:
    right, wrong = ADVICE[name]
    hint = message(_read(CASES / f"{name}.json"), "en").hint
    assert right.lower() in hint.lower()
    assert wrong.lower() not in hint.lower()


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_message_is_about_the_container_that_failed(name: str) -> None:
    expected, event = _read(CASES / f"{name}.expected.json"), normalise(_read(CASES / f"{name}.json"))
    result = classify(event)
    assert (str(result.severity), result.cause, result.resolves) == tuple(
        expected[field] for field in ("severity", "cause", "resolves")
    )
    right, wrong = CONTAINERS[name]
    shown = message(_read(CASES / f"{name}.json"), "en")
    assert right in shown.text
    assert wrong not in f"{shown.title} {shown.text} {shown.facts}"


@pytest.mark.parametrize("name", MEANINGS)
def test_the_exit_code_is_explained(name: str) -> None:
    assert MEANINGS[name] in message(_read(CASES / f"{name}.json"), "en").lead


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarms_message_has_its_measurements(name: str) -> None:
    title, text = ALARMS[name]
    shown = message(_read(CASES / f"{name}.json"), "en")
    assert shown.title == title
    assert text in shown.text


def test_the_first_url_in_an_alarms_description_is_the_runbook() -> None:
    links = dict(message(_read(CASES / "F3-description-with-the-runbook.json"), "en").links)
    assert "https://wiki.example.com/web" in links.values()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("J1-european-sovereign-cloud", "https://eusc-de-east-1.console.amazonaws-eusc.eu/ecs/v2/clusters/prod/"),
        ("J3-alarm-name-with-slash", "#alarmsV2:alarm/ecs-prod$2Fweb$2Fupscale"),
    ],
)
def test_links_open_the_right_console(name: str, address: str) -> None:
    links = message(_read(CASES / f"{name}.json"), "en").links
    assert any(address in url for _, url in links)
    assert not any(".console.aws.amazon.com" in url for _, url in links if name.startswith("J1"))


@pytest.mark.parametrize(
    ("name", "by"), [("E1-composite-suppressed", "ecs-deploying"), ("E3-alarm-mute-rule", "nightly-release")]
)
def test_an_alarm_that_cloudwatch_suppresses_is_silenced(name: str, by: str) -> None:
    world = World()
    raw = _read(CASES / f"{name}.json")
    world.now = normalise(raw, now=2e9).at
    assert world.decisions(raw) == [Decision.SILENCED]
    assert [row["silence"] for row in world.rows("alert#")] == [by]
    assert world.slack.told == []
