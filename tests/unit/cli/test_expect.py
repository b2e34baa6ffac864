"""`ecs-alert-router expect`: what is due next, and tables for the account's schedules."""

import json
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local_aws.events import ACCOUNT, REGION
from router.cli import main
from router.cli.expect import Learned, from_rules, from_schedules
from router.poll.state import RunPoll, RunWatch
from tests.doubles.account import Account

CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/prod"
FAMILY = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/report"


def test_the_list_says_when_each_run_started_last_and_is_due_next(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "alert-router.toml"
    file.write_text('[[expect]]\nname = "nightly"\nfamily = "report"\ncluster = "prod"\nevery = "24h"\n')
    watch = RunWatch("24h UTC", 1_760_000_000.0, 1_760_086_400.0, 1_760_000_100.0)
    account.world.history.put_run_poll(RunPoll(watches={"nightly": watch}), time.time())
    result = CliRunner().invoke(main, ["expect", "list", "--config", str(file), "--json", *account.options])
    assert json.loads(result.stdout) == {
        "name": "nightly",
        "family": "report",
        "cluster": "prod",
        "schedule": "24h",
        "last": "2025-10-09T08:55:00.000Z",
        "due": "2025-10-10T08:53:20.000Z",
    }
    result = CliRunner().invoke(main, ["expect", "list", "--config", str(file), *account.options])
    assert result.stdout.startswith("nightly (report in prod, 24h): last 2025-10-09T08:55:00.000Z, due 2025-10-10T08")


def schedule(**fields: Any) -> dict[str, Any]:
    return {"Name": "nightly", "ScheduleExpression": "cron(0 3 * * ? *)", **fields}


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ({"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": FAMILY}}, True),
        ({"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": f"{FAMILY}:7"}}, True),
        (
            {
                "Arn": "arn:aws:scheduler:::aws-sdk:ecs:runTask",
                "Input": json.dumps({"Cluster": CLUSTER, "TaskDefinition": "report:7"}),
            },
            True,
        ),
        ({"Arn": "arn:aws:scheduler:::aws-sdk:ecs:runTask", "Input": "no JSON"}, True),
        ({"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f"}, False),
    ],
)
def test_templated_and_universal_targets_are_found(target: dict[str, Any], *, found: bool) -> None:
    learned = list(from_schedules([schedule(Target=target)]))
    assert bool(learned) == found
    if found and "no JSON" not in str(target):
        assert learned == [Learned("nightly", "report", "prod", "cron(0 3 * * ? *)")]


def test_the_flexible_window_and_the_time_zone_are_kept() -> None:
    (learned,) = from_schedules(
        [
            schedule(
                Target={"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": FAMILY}},
                FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30},
                ScheduleExpressionTimezone="Asia/Tokyo",
            )
        ]
    )
    assert (learned.flexible, learned.time_zone) == (30, "Asia/Tokyo")


class Pages:
    """EventBridge Scheduler and EventBridge, two pages of schedules and one rule."""

    def list_schedules(self, NextToken: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803 - as AWS does
        number = 2 if NextToken else 1
        return {"Schedules": [{"Name": f"s{number}", "GroupName": "g"}], "NextToken": "" if NextToken else "more"}

    def get_schedule(self, Name: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        target = {"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": FAMILY}}
        return schedule(Name=Name, Target=target, FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5})

    def list_rules(self, **_: Any) -> dict[str, Any]:
        return {"Rules": [{"Name": "s1", "ScheduleExpression": "rate(1 hour)", "State": "ENABLED"}]}

    def list_targets_by_rule(self, **_: Any) -> dict[str, Any]:
        return {"Targets": [{"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": FAMILY}}]}


def test_learn_prints_tables_that_the_configuration_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.aws.clients.scheduler_of", lambda _: Pages())
    monkeypatch.setattr("router.aws.clients.events_of", lambda _: Pages())
    result = CliRunner().invoke(main, ["expect", "learn"])
    tables = tomllib.loads(result.stdout)["expect"]
    assert [table["name"] for table in tables] == ["s1", "s2", "s1-2"]
    assert tables[0] == {
        "name": "s1",
        "family": "report",
        "cluster": "prod",
        "schedule": "cron(0 3 * * ? *)",
        "grace": "20m",
    }


CALL = "arn:aws:scheduler:::aws-sdk:ecs:runTask"
TARGET = {"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": FAMILY}}


@pytest.mark.parametrize(
    ("fields", "comment"),
    [
        ({"Target": {"Arn": CALL, "Input": "no JSON"}}, "# s1: its target does not say which task family it runs"),
        ({"Target": {"Arn": CALL, "Input": "{}"}}, "# s1: its target does not say which task family it runs"),
        ({"EndDate": datetime(2025, 1, 1, tzinfo=UTC)}, "# remove this table: it is never due again"),
        ({"ScheduleExpression": "at(2025-01-01T00:00:00)"}, "# remove this table: it is never due again"),
        (
            {"ScheduleExpression": "cron(0 3 ? * 3#1,6#3 *)"},
            "# remove this table: the schedule must have one expression",
        ),
        ({"EndDate": datetime(2100, 1, 1, tzinfo=UTC)}, "# due next 20"),
    ],
)
def test_what_will_not_run_is_not_to_be_expected(
    fields: dict[str, Any], comment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Others(Pages):
        def get_schedule(self, Name: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - as AWS does
            return schedule(Name=Name, **{"Target": TARGET, **fields})

    pages = Others()
    monkeypatch.setattr("router.aws.clients.scheduler_of", lambda _: pages)
    monkeypatch.setattr("router.aws.clients.events_of", lambda _: pages)
    result = CliRunner().invoke(main, ["expect", "learn"])
    assert comment in result.stdout
    tomllib.loads(result.stdout)


def test_a_rule_has_each_of_its_ecs_targets() -> None:
    target = {"Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": FAMILY}}
    rule = {"Name": "hourly", "ScheduleExpression": "rate(1 hour)"}
    assert list(from_rules([(rule, [target, {"Arn": "arn:aws:sqs:::q"}])])) == [
        Learned("hourly", "report", "prod", "rate(1 hour)")
    ]
