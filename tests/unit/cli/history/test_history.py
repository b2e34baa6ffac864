"""`ecs-alert-router history`: recorded alerts and incidents, as tables and as JSON."""

import json
import re
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from click.testing import CliRunner, Result
from rich.text import Text

from local_aws import events
from router.cli import main
from router.errors import PermanentError
from router.history.items import iso
from router_conformance.server import Behaviour, ScriptedServer, answer
from tests.doubles.history_cli import TABLE, TASKS, died, lines, one_line_error, run, writing, zone
from tests.doubles.place import without_place
from tests.doubles.world import DAY, HOUR, MINUTE, World

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def world(recorded: World) -> World:
    return recorded


# --- list -------------------------------------------------------------------------------------------------------------


def test_list_shows_the_alerts_newest_first(world: World) -> None:
    world.receive(died(1, 20 * MINUTE), died(2, 10 * MINUTE, service="api"))
    result = run("list")
    head, newest, older = (line.split() for line in result.stdout.splitlines())
    assert (result.exit_code, result.stderr) == (0, "")
    assert head == ["When", "Severity", "What", "Cluster", "Cause", "Decision", "Incident"]
    assert newest[2:7] == ["critical", "service:api", "prod", "essential_container_exited", "announced"]
    assert older[3] == "service:web"


def test_list_as_json_has_one_line_for_each_alert_without_internal_keys(world: World) -> None:
    world.receive(died(1, MINUTE))
    (line,) = lines("list")
    assert line.items() >= {"task": TASKS[1], "severity": "critical", "decision": "announced"}.items()
    assert not line.keys() & {"pk", "sk", "ttl", "schema", "version", "event"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), [4, 3, 2, 1]),
        (("--service", "web"), [3, 1]),
        (("--service", "api"), [2]),
        (("--family", "web"), [4]),
        (("--cluster", "prod"), [4, 3, 2, 1]),
        (("--cluster", "test"), []),
        (("--severity", "critical"), [4, 2, 1]),
        (("--severity", "warning"), [3]),
        (("--since", "15m"), [4, 3]),
        (("--since", "1h", "--limit", "1"), [4]),
        (("--since", "3d"), [4, 3, 2, 1, 5]),
        (("--at-least", "warning"), [4, 3, 2, 1]),
        (("--at-least", "error", "--cluster", "prod"), [4, 2, 1]),
        (("--cause", "spot_interruption"), [3]),
        (("--cause", "spot_interruption", "--service", "api"), []),
        (("--subject", "service:web", "--cause", "essential_container_exited"), [1]),
    ],
)
def test_list_is_narrowed_by_its_options(options: tuple[str, ...], found: list[int], world: World) -> None:
    spot = {"stop_code": "SpotInterruption", "reason": "Your Spot Task was interrupted."}
    world.receive(
        died(1, 30 * MINUTE),
        died(2, 20 * MINUTE, service="api"),
        died(3, 10 * MINUTE, **spot),
        died(4, 5 * MINUTE, service=None),
        died(5, 2 * DAY),
    )
    assert [int(line["task"], 16) for line in lines("list", *options)] == found


def test_the_next_page_continues_after_the_previous_one(world: World) -> None:
    """Also if many alerts share a millisecond, in any shard."""
    at = iso(time.time() - 5 * MINUTE)
    world.receive(*(events.task_stopped(task=TASKS[number], stoppedAt=at) for number in range(20)))
    world.receive(*(died(number, MINUTE) for number in range(20, 30)))
    pages, more = [], ["--limit", "7"]
    while more:
        result = run("list", "--json", *more)
        pages.append([json.loads(line)["id"] for line in result.stdout.splitlines()])
        more = [*more[:2], *result.stderr.removeprefix("More alerts: ").split()]
        more = more if result.stderr else []
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    assert [entry for page in pages for entry in page] == [line["id"] for line in lines("list")]


def test_from_and_to_are_local_time_unless_they_say_otherwise(world: World) -> None:
    at = datetime.fromtimestamp(time.time() - 3 * DAY, UTC).replace(hour=20, minute=30)
    world.now = at.timestamp() + 1
    world.receive(events.task_stopped(stoppedAt=iso(at.timestamp())))
    day, next_day = at.date(), (at + timedelta(days=1)).date()
    found = {
        ("--from", f"{day}T20:00Z", "--to", f"{day}T21:00Z"): 1,
        ("--from", f"{day}T21:00Z", "--to", f"{next_day}T21:00Z"): 0,
        ("--from", f"{next_day}T05:00", "--to", f"{next_day}T06:00"): 1,  # 20:00 to 21:00 in UTC
        ("--from", f"{next_day}", "--to", f"{next_day}T06:00"): 1,
        ("--since", "1h", "--to", f"{next_day}T06:00"): 1,
        ("--from", f"{day}T20:00", "--to", f"{day}T21:00"): 0,
    }
    with zone("Asia/Tokyo"):
        assert {options: len(lines("list", *options)) for options in found} == found


def test_tables_have_local_time_and_json_has_utc(world: World) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    world.receive(events.task_stopped(stoppedAt=iso(at.timestamp())))
    with zone("Asia/Tokyo"):
        assert run("list").stdout.splitlines()[1].startswith(f"{at + timedelta(hours=9):%Y-%m-%d %H:%M:%S}  ")
        assert lines("list")[0]["at"] == f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def test_list_of_a_task_takes_its_id_or_arn_for_any_period(world: World) -> None:
    world.receive(died(1, 3 * DAY), died(2, 5 * MINUTE))
    arn = events.arn(f"task/prod/{TASKS[1]}")
    assert [line["task"] for line in lines("list", "--task", TASKS[1])] == [TASKS[1]]
    assert [line["task"] for line in lines("list", "--task", arn)] == [TASKS[1]]
    assert lines("list", "--task", arn, "--severity", "info") == []


def test_a_piped_table_has_one_line_of_any_length_for_each_alert(world: World) -> None:
    world.receive(died(1, MINUTE, service="s" * 250))
    head, row = run("list").stdout.splitlines()
    assert "s" * 250 in row
    assert head == head.rstrip()


@pytest.mark.parametrize(("width", "height"), [(80, 6), (120, 3), (200, 3)])
def test_a_table_fits_the_terminal_with_two_lines_for_an_alert_if_necessary(
    width: int, height: int, world: World
) -> None:
    world.receive(died(1, MINUTE), died(2, 2 * MINUTE, service="checkout"))
    env = {"FORCE_COLOR": "1", "COLUMNS": str(width), "TERM": "xterm"}
    shown = Text.from_ansi(run("list", env=env).stdout).plain.splitlines()
    assert max(map(len, shown)) <= width
    assert len(shown) == height
    (incident, _) = (line["incident"] for line in lines("list"))
    words = ("When", "Cluster", "service:checkout", "essential_container_exited", "announced", incident)
    assert all(any(word in line for line in shown) for word in words)


def test_verbose_prints_the_read_units(world: World) -> None:
    world.receive(died(1, MINUTE))
    result = run("list", "--service", "web", "--verbose")
    assert re.fullmatch(r"(?!0 )[0-9.]+ read units in 1 requests, [0-9.]+ s\n", result.stderr)


def test_an_empty_result_is_stated_in_text_and_not_in_json() -> None:
    result = run("list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No alerts.\n")
    assert lines("list") == []


def test_what_has_expired_is_not_shown_though_dynamodb_has_not_yet_deleted_it(world: World) -> None:
    writing(world, retention=HOUR)
    now, world.now = world.now, world.now - 2 * HOUR
    (results,) = world.receive(died(1, 10 * MINUTE))
    world.now = now
    assert results.routed is not None
    assert boto3.client("dynamodb").scan(TableName=TABLE)["Count"] > 0
    assert (lines("list"), len(lines("open"))) == ([], 1)  # an open incident does not expire
    for gone in (results.routed.alert.id, TASKS[1]):
        assert "or it has expired" in one_line_error(run("show", gone))


def test_names_from_outside_are_shown_unchanged(world: World) -> None:
    """Square brackets are not markup."""
    world.receive(died(1, MINUTE, service="[red]web[/]"))
    assert "service:[red]web[/]" in run("list").stdout


# --- open and show ----------------------------------------------------------------------------------------------------


def test_open_shows_the_open_incidents_the_longest_open_first(world: World) -> None:
    world.receive(died(1, 10 * MINUTE), died(2, 20 * MINUTE, service="api"))
    assert [line["subject"] for line in lines("open")] == ["service:api", "service:web"]
    assert [line.split()[3] for line in run("open").stdout.splitlines()[1:]] == ["service:api", "service:web"]
    world.receive(events.service_action(service="api", createdAt=iso(time.time())))
    world.wait(HOUR, step=HOUR)
    assert [line["subject"] for line in lines("open")] == ["service:web"]


def test_no_open_incident_has_exit_code_0() -> None:
    result = run("open")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No incident is open.\n")


def test_show_prints_everything_about_an_incident(world: World) -> None:
    world.pager.failure = lambda: PermanentError("no such service")
    world.receive(died(1, 10 * MINUTE), died(2, 5 * MINUTE))
    (incident,) = lines("open")
    (shown,) = lines("show", incident["id"])
    expected = {"id": incident["id"], "status": "open", "alerts": 2, "tasks": TASKS[1:3]}
    assert shown.items() >= expected.items()
    told = {delivery["channel"]: (delivery["outcome"], delivery["answer"]) for delivery in shown["deliveries"]}
    assert told == {"slack": ("sent", ""), "email": ("sent", ""), "pager": ("failed", "no such service")}
    text = run("show", incident["id"]).stdout
    assert all(word in text for word in (incident["id"], "service:web", *TASKS[1:3], "no such service"))


def test_show_an_incident_has_what_each_channel_remembers_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take = world.slack.send
    monkeypatch.setattr(world.slack, "send", lambda payload: take(payload) or {"ts": "1760000000.000001"})
    world.receive(died(1, MINUTE))
    (incident,) = lines("open")
    (shown,) = lines("show", incident["id"])
    assert shown["remote"] == {"slack": {"ts": "1760000000.000001"}}
    assert "1760000000.000001" in run("show", incident["id"]).stdout


def test_show_prints_everything_about_an_alert_except_secrets(world: World) -> None:
    environment = [{"name": "TOKEN", "value": SECRET}]
    raw = died(1, MINUTE, overrides={"containerOverrides": [{"name": "app", "environment": environment}]})
    (results,) = world.receive(raw)
    assert results.routed is not None
    alert_id = results.routed.alert.id
    (shown,) = lines("show", alert_id)
    assert shown["id"] == alert_id
    assert shown["containers"][0]["exit_code"] == 1
    assert shown["event"]["taskArn"] == raw["detail"]["taskArn"]
    assert SECRET not in json.dumps(shown)
    text = run("show", alert_id).stdout
    assert "exit_code 1" in text
    assert "Essential container in task exited" in text


def test_show_of_a_task_prints_everything_known_about_it(world: World) -> None:
    oom = (events.container("app", 137, "OutOfMemoryError: Container killed due to memory usage"),)
    world.receive(died(1, MINUTE), died(1, MINUTE, containers=oom), died(2, MINUTE))
    assert {line["cause"] for line in lines("show", TASKS[1])} == {"essential_container_exited"}


@pytest.mark.parametrize("name", ["nothing", "abc-1", "abc-x", "a.b.c", "-"])
def test_show_of_an_unknown_id_is_an_error_of_one_line(name: str) -> None:
    assert one_line_error(run("show", name)) == f"Error: there is no incident, alert or task {name} (or it has expired)"


@pytest.mark.parametrize(
    ("options", "services"),
    [
        (["--service", "we*"], ["web", "web-2"]),
        (["--service", "WEB-?"], ["web-2"]),
        (["--cluster", "pr*", "--service", "a*"], ["api"]),
        (["--cause", "essential_*"], ["web", "api", "web-2"]),
        (["--service", "we*", "--limit", "1"], ["web"]),
        (["--service", "w*", "--since", "1w"], ["web", "web-2"]),
        (["--service", "x*"], []),
    ],
)
def test_names_may_be_globs(world: World, options: list[str], services: list[str]) -> None:
    for number, service in enumerate(("web", "api", "web-2")):
        world.receive(died(number, MINUTE * (number + 1), service=service))
    assert [row["subject"].partition(":")[2] for row in lines("list", *options)] == services


# --- which table, and wrong usage -------------------------------------------------------------------------------------


def test_the_environment_can_name_the_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.receive(died(1, MINUTE))
    monkeypatch.setenv("HISTORY_TABLE", TABLE)
    assert len(CliRunner().invoke(main, ["history", "list", "--json"]).stdout.splitlines()) == 1


STACK = f"""
    <DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
      <DescribeStacksResult><Stacks><member><Outputs><member>
        <OutputKey>TableName</OutputKey><OutputValue>{TABLE}</OutputValue>
      </member></Outputs></member></Stacks></DescribeStacksResult>
    </DescribeStacksResponse>
"""
NO_STACK = """
    <ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
      <Error><Code>ValidationError</Code><Message>Stack with id ecs-alert-router-dev does not exist</Message></Error>
    </ErrorResponse>
"""


def without_table(answered: Behaviour, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[Result, str]:
    """Runs `list` without a table's name; also returns what CloudFormation was asked."""
    with ScriptedServer(answered) as cloudformation:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", cloudformation.url())
        result = without_place(CliRunner().invoke(main, ["history", "list", "--json", *arguments]))
        ((_, asked),) = cloudformation.requests
    return result, asked.decode()


def test_the_table_of_a_stage_is_an_output_of_its_stack(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.receive(died(1, MINUTE))
    result, asked = without_table(answer(200, STACK), monkeypatch, "--stage", "blue")
    assert "StackName=ecs-alert-router-blue" in asked
    assert [json.loads(line)["task"] for line in result.stdout.splitlines()] == [TASKS[1]]


def test_a_stage_that_is_not_deployed_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = without_table(answer(400, NO_STACK), monkeypatch)
    error = one_line_error(result)
    assert error == "Error: stage dev is not deployed in this region: pass --stage and --region"


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("open",),
        ("show", "abc-1"),
        ("why", "abc"),
        ("timeline", "web"),
        ("top",),
        ("export",),
        ("report", "--json"),
        ("forget", "--service", "web"),
    ],
)
def test_a_missing_table_is_an_error_of_one_line(command: tuple[str, ...]) -> None:
    result = without_place(CliRunner().invoke(main, ["history", *command, "--table", "nowhere"]))
    assert "not found: check --stage and --region" in one_line_error(result)


def test_a_missing_region_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "region" in one_line_error(run("list"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--since", "yesterday"),
        ("list", "--since", "24"),
        ("list", "--since", "99999d"),
        ("list", "--severity", "fatal"),
        ("list", "--limit", "0"),
        ("list", "--service", "web", "--family", "web"),
        ("list", "--service", "web", "--subject", "alarm:cpu"),
        ("list", "--severity", "info", "--at-least", "error"),
        ("list", "--from", "yesterday"),
        ("list", "--from", "2026-11-02", "--to", "2026-11-01"),
        ("list", "--from", "2026-11-02", "--since", "2h"),
        ("list", "--after", "the-last-one"),
        ("top", "--by", "colour"),
        ("export", "--format", "xml"),
        ("report",),
        ("report", "--out", "x.html", "--time-zone", "Mars/Olympus"),
        ("forget",),
        ("forget", "--task", "x", "--service", "web"),
        ("list", "web"),
        ("show",),
        ("shwo", "abc"),
    ],
)
def test_wrong_usage_has_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
