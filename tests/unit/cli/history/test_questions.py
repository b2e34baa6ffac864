"""`history timeline`, `top` and `why`: answers compared with what was sent."""

import time
from collections import Counter
from typing import Any

import pytest
from rich.text import Text

from local_aws import events
from local_aws.stories import OOM
from router.cli.history.timeline import lane_of
from router.cli.history.why import REASONS
from router.config.settings import Route
from router.errors import PermanentError, TransientError
from router.history.items import iso
from router.model import Decision, Severity
from tests.doubles.history_cli import TASKS, died, lines, one_line_error, recording, run, writing
from tests.doubles.world import DAY, HOUR, MINUTE, World

SPOT = {"stop_code": "SpotInterruption", "reason": "Your Spot Task was interrupted."}
KILLED: dict[str, Any] = {"containers": (events.container("app", 137, OOM),)}


@pytest.fixture(autouse=True)
def world(recorded: World) -> World:
    return recorded


def steady(before: float, service: str = "web") -> events.Raw:
    return events.service_action(service=service, createdAt=iso(time.time() - before))


def deployed(name: str, before: float, deployment: str = "ecs-svc/1") -> events.Raw:
    at = iso(time.time() - before)
    return events.deployment(name, deploymentId=deployment, updatedAt=at)


def a_bad_hour(world: World) -> None:
    """Half an hour ago web was deployed, crashed three times and recovered; api is unrelated."""
    now = world.now
    for event in (
        deployed("SERVICE_DEPLOYMENT_IN_PROGRESS", 30 * MINUTE),
        died(1, 28 * MINUTE),
        died(2, 27 * MINUTE),
        died(3, 26 * MINUTE, **KILLED),
        died(4, 26 * MINUTE, service="api"),
        died(5, 25 * MINUTE, stop_code="ServiceSchedulerInitiated", reason="Scaling activity initiated by (x)"),
        steady(20 * MINUTE),
    ):
        world.now = now - 20 * MINUTE
        world.receive(event)
    world.wait(10 * MINUTE)


# --- timeline ---------------------------------------------------------------------------------------------------------


def test_a_timeline_has_the_deployments_crashes_and_recoveries_of_one_service_in_their_order(world: World) -> None:
    a_bad_hour(world)
    story = [(line["lane"], line["what"].split(" after ")[0]) for line in lines("timeline", "web")]
    (incident,) = {line["incident"] for line in lines("list", "--service", "web")} - {""}
    assert story == [
        ("deploy", "Deployment in progress"),
        ("trouble", "Essential container exited"),
        ("incident", f"incident {incident} opened"),
        ("trouble", "Essential container exited"),
        ("trouble", "Out of memory"),
        ("recovery", "Service reached a steady state"),
        ("incident", f"incident {incident} resolved"),
    ]
    assert ("other", "Stopped by the service scheduler") in {
        (line["lane"], line["what"]) for line in lines("timeline", "web", "--all")
    }


def test_a_timeline_is_drawn_on_one_axis_as_wide_as_the_terminal(world: World) -> None:
    a_bad_hour(world)
    env = {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}
    shown = Text.from_ansi(run("timeline", "web", "--since", "1h", env=env).stdout).plain.splitlines()
    lanes = {line.split()[0]: line[11:] for line in shown[1:4]}
    assert set(lanes) == {"deploys", "trouble", "recoveries"}
    firsts = [next(place for place, mark in enumerate(lane) if mark != "·") for lane in lanes.values()]
    assert firsts == sorted(firsts)
    assert 33 <= firsts[0] <= 36  # half an hour ago, in 69 columns
    assert max(map(len, shown)) <= 80


def test_equal_entries_in_a_row_are_one_line_with_their_number(world: World) -> None:
    world.receive(*(died(number, (20 - number) * MINUTE) for number in range(1, 6)))
    assert "Essential container exited × 4 until" in run("timeline", "web").stdout


def test_a_timeline_can_be_of_any_subject_and_of_one_cluster(world: World) -> None:
    world.receive(died(1, MINUTE, service=None))
    assert [line["task"] for line in lines("timeline", "family:web")] == [TASKS[1], ""]
    assert lines("timeline", "family:web", "--cluster", "test") == []
    result = run("timeline", "web")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing happened to service:web.\n")


@pytest.mark.parametrize(
    ("cause", "severity", "resolves", "lane"),
    [
        ("deployment_failed", "critical", False, "deploy"),
        ("deployment_completed", "info", True, "deploy"),
        ("hook_failed", "error", False, "deploy"),
        ("service_steady_state", "info", True, "recovery"),
        ("out_of_memory", "critical", False, "trouble"),
        ("spot_interruption", "warning", False, "trouble"),
        ("stopped_by_scheduler", "info", False, "other"),
    ],
)
def test_each_alert_has_its_lane(cause: str, severity: str, *, resolves: bool, lane: str) -> None:
    assert lane_of({"cause": cause, "severity": severity, "resolves": resolves}) == lane


# --- top --------------------------------------------------------------------------------------------------------------


def test_top_counts_what_was_sent_by_service_and_by_cause(world: World) -> None:
    world.receive(*(died(number, number * MINUTE) for number in range(1, 6)))
    world.receive(died(6, MINUTE, **SPOT), died(7, MINUTE, service="api", **SPOT), steady(0), died(8, 8 * DAY))
    ranked = lines("top")
    assert [(row["subject"], row["alerts"]) for row in ranked if row["by"] == "service"] == [
        ("service:web", 6),
        ("service:api", 1),
    ]
    assert [(row["cause"], row["alerts"]) for row in ranked if row["by"] == "cause"] == [
        ("essential_container_exited", 5),
        ("spot_interruption", 2),
    ]
    assert (ranked[0]["critical"], ranked[0]["warning"], ranked[0]["incidents"]) == (5, 1, 1)
    assert [row["alerts"] for row in lines("top", "--by", "cause", "--severity", "info")] == [1]
    assert len(lines("top", "--by", "service", "--limit", "1")) == 1


def test_the_loudest_has_the_longest_bar(world: World) -> None:
    world.receive(*(died(number, number * MINUTE) for number in range(1, 9)), died(9, MINUTE, service="api"))
    bars = {
        line.split()[0]: line.count("█") for line in run("top", "--by", "service").stdout.splitlines() if "█" in line
    }
    assert bars["service:web"] == 8 * bars["service:api"]


def test_no_alerts_is_stated_in_text_and_not_in_json() -> None:
    result = run("top")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No alerts.\n")
    assert lines("top") == []


# --- why --------------------------------------------------------------------------------------------------------------


def told(answer: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    return {channel["channel"]: (channel["notified"], channel["why"]) for channel in answer["channels"]}


def test_why_explains_what_happened_what_was_decided_and_who_was_notified(world: World) -> None:
    world.receive(died(1, 2 * MINUTE, **KILLED))
    (answer,) = lines("why", TASKS[1])
    assert answer.items() >= {"cause": "out_of_memory", "rule": "out of memory", "decision": "announced"}.items()
    assert answer["explanation"] == REASONS[Decision.ANNOUNCED]
    assert answer["incident"]["status"] == "open"
    assert told(answer) == dict.fromkeys(("slack", "email", "pager"), (True, "it opened the incident"))
    text = run("why", TASKS[1]).stdout
    assert all(word in text for word in ("exit code 137", OOM, "announced", "slack: notified", "incident "))
    assert [line["id"] for line in lines("why", answer["id"])] == [answer["id"]]


def test_why_explains_a_window_and_the_digest_after_it(world: World) -> None:
    world.receive(died(1, 2 * MINUTE))
    world.now += 1
    world.receive(died(2, MINUTE))
    (held,) = lines("why", TASKS[2])
    assert held["decision"] == "held back by window"
    assert told(held)["slack"][0] is False
    assert told(held)["slack"][1].startswith("held back until the window ends at ")
    world.wait(20 * MINUTE)
    (counted,) = lines("why", TASKS[2])
    assert told(counted)["slack"] == (True, "counted in a digest")


def test_why_explains_a_failing_channel(world: World) -> None:
    world.slack.failure = lambda: TransientError("busy", status=503, answer="upstream timed out")
    world.pager.failure = lambda: PermanentError("no such service")
    world.receive(died(1, MINUTE))
    (answer,) = lines("why", TASKS[1])
    heard = told(answer)
    assert heard["email"] == (True, "it opened the incident")
    assert heard["pager"] == (False, "failed for good after 1 attempt: no such service")
    assert heard["slack"][1].startswith("1 attempt failed, next at ")
    assert heard["slack"][1].endswith("upstream timed out)")
    world.slack.failure = lambda: None
    world.wait(5 * MINUTE)
    (later,) = lines("why", TASKS[1])
    assert told(later)["slack"] == (True, "it opened the incident, at attempt 2")


def test_why_explains_that_no_one_was_notified(world: World) -> None:
    world.receive(died(1, MINUTE, stop_code="UserInitiated", reason="Task stopped by user"))
    world.receive(steady(0))
    world.receive(died(2, HOUR))
    (stopped,) = lines("why", TASKS[1])
    (late,) = lines("why", TASKS[2])
    assert (stopped["decision"], stopped["channels"]) == ("below threshold", [])
    assert (late["decision"], late["channels"]) == ("already resolved", [])
    assert "no channel; see the decision above" in run("why", TASKS[2]).stdout


def test_why_explains_a_missing_route() -> None:
    unrouted = World([Route(Severity.CRITICAL, {"cluster": ("elsewhere",)}, channels=("slack",))])
    unrouted.now = recording().now
    writing(unrouted, 90 * DAY).receive(died(1, MINUTE))
    (answer,) = lines("why", TASKS[1])
    assert (answer["decision"], answer["channels"]) == ("no route", [])
    assert "alert-router.toml" in answer["explanation"]


def test_every_decision_is_explained() -> None:
    assert set(REASONS) == set(Decision)


def test_why_takes_an_arn_and_reports_an_unknown_task(world: World) -> None:
    world.receive(died(1, MINUTE))
    assert len(lines("why", events.arn(f"task/prod/{TASKS[1]}"))) == 1
    assert "no incident, alert or task nothing" in one_line_error(run("why", "nothing"))


def test_why_shows_text_from_outside_unchanged(world: World) -> None:
    world.receive(died(1, MINUTE, containers=(events.container("app", 1, "[red]x[/] [bold"),)))
    assert "[red]x[/] [bold" in run("why", TASKS[1]).stdout


def test_history_has_the_decisions_that_were_made(world: World) -> None:
    a_bad_hour(world)
    (counts,) = [Counter(line["decision"] for line in lines("list", "--limit", "100"))]
    assert counts == {"announced": 2, "held back by window": 2, "below threshold": 2, "resolving": 1}
