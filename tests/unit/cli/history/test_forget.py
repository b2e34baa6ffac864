"""`history forget`: what it takes away, what it leaves, and what it refuses."""

import json
import time
from typing import Any

import boto3
import pytest

from local_aws import events
from router.errors import Conflict
from router.history.items import damaged_item, iso
from router.history.table import DynamoTable, Item, Put
from tests.doubles.history_cli import TABLE, TASKS, died, lines, one_line_error, run
from tests.doubles.world import HOUR, MINUTE, World


@pytest.fixture(autouse=True)
def world(recorded: World) -> World:
    return recorded


def stored_incident(world: World) -> Item:
    """The subject's newest, where there is only one subject."""
    (key,) = [(item["pk"]["S"], "incident") for item in everything() if item["sk"]["S"] == "incident"]
    return world.history.table.get([key], time.time())[key]


def everything() -> list[dict[str, Any]]:
    """All items but how things stand with the channels, which tells of nobody."""
    items = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    return [item for item in items if item["pk"] != {"S": "channels"}]


def is_over(world: World, service: str = "web") -> None:
    """The service recovers, and everybody has heard of it."""
    world.receive(events.service_action(service=service, createdAt=iso(time.time())))
    world.wait(HOUR, step=10 * MINUTE)


def test_without_yes_it_is_only_said_what_there_is(world: World) -> None:
    world.receive(died(1, MINUTE), died(2, MINUTE))
    is_over(world)
    before = everything()
    result = run("forget", "--service", "web")
    assert result.exit_code == 0
    assert result.stdout.startswith("Would delete: 3 alerts, 6 deliveries, 1 incidents.")
    assert everything() == before


def test_of_a_service_nothing_is_left_and_of_the_others_all(world: World) -> None:
    world.receive(died(1, MINUTE), died(2, MINUTE, service="api"))
    is_over(world)
    kept = [item for item in everything() if "api" in json.dumps(item, default=str)]
    assert lines("forget", "--service", "web", "--yes")[0] == {
        "alerts": 2,
        "deliveries": 6,
        "incidents": 1,
        "incidents_without_the_task": 0,
        "deleted": True,
    }
    assert "web" not in json.dumps(everything(), default=str).replace("web:42", "")
    assert [item for item in everything() if "api" in json.dumps(item, default=str)] == kept


def test_another_cluster_account_or_region_is_left_alone(world: World) -> None:
    world.receive(died(1, MINUTE))
    is_over(world)
    for place in ("--cluster", "--account", "--region"):
        result = run("forget", "--service", "web", place, "elsewhere", "--yes")
        assert (result.exit_code, result.stderr) == (0, "History has nothing about it.\n")
    assert run("forget", "--service", "web", "--account", events.ACCOUNT, "--yes").stdout.startswith("Deleted: ")


def test_what_outlived_its_alerts_is_found_by_the_whole_fingerprint(world: World) -> None:
    world.receive(died(1, MINUTE))
    is_over(world)
    for item in everything():
        if item["pk"]["S"].startswith("alert#"):
            boto3.client("dynamodb").delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    place = ("--account", events.ACCOUNT, "--region", events.REGION, "--cluster", "prod")
    assert run("forget", "--service", "web", *place, "--yes").exit_code == 0
    assert everything() == []


def test_an_open_incident_is_not_forgotten_unless_one_insists(world: World) -> None:
    """Whoever was told of it would never hear its end."""
    world.receive(died(1, MINUTE))
    (incident,) = lines("open")
    before = everything()
    error = one_line_error(run("forget", "--service", "web", "--yes"))
    assert incident["id"] in error
    assert "--even-open" in error
    assert everything() == before
    assert run("forget", "--service", "web", "--yes", "--even-open").exit_code == 0
    assert everything() == []


def test_what_is_over_but_not_yet_told_is_not_forgotten_either(world: World) -> None:
    world.receive(died(1, MINUTE), events.service_action(createdAt=iso(time.time())))
    assert "its end is not announced yet" in one_line_error(run("forget", "--service", "web", "--yes"))


def test_of_a_task_nothing_is_left_and_its_incident_stays_without_it(world: World) -> None:
    secret = "CannotStartContainerError: customer 4711"
    world.receive(died(1, 2 * MINUTE, containers=(events.container("app", 1, secret),)), died(2, MINUTE))
    is_over(world)
    (incident,) = {line["incident"] for line in lines("list", "--task", TASKS[2])}
    before = next(item for item in everything() if item["sk"]["S"] == "incident")
    assert run("forget", "--task", TASKS[1], "--yes").stdout == "Deleted: 1 alerts, 1 incidents without the task.\n"
    left = json.dumps(everything(), default=str)
    assert TASKS[1] not in left
    assert "4711" not in left
    (shown,) = lines("show", incident)
    assert (shown["tasks"], shown["alerts"], len(shown["deliveries"])) == ([TASKS[2]], 2, 6)
    after = next(item for item in everything() if item["sk"]["S"] == "incident")
    assert after["ttl"] == before["ttl"]


@pytest.mark.parametrize("whose", [("--service", "web"), ("--task", TASKS[1])])
def test_copies_of_damaged_items_are_deleted_too(world: World, whose: tuple[str, str]) -> None:
    world.receive(died(1, MINUTE))
    is_over(world)
    item = stored_incident(world)
    copy = damaged_item(item, "its state is damaged", item["ttl"], time.time())
    world.history.table.commit([Put(copy)], time.time())
    assert run("forget", *whose, "--yes").exit_code == 0
    assert not any(item["sk"]["S"].startswith("damaged#") for item in everything())


def test_a_task_is_not_forgotten_while_a_damaged_incident_may_name_it(world: World) -> None:
    world.receive(died(1, MINUTE))
    is_over(world)
    item = stored_incident(world)
    world.history.table.commit([Put({**item, "state": b"?"})], time.time())
    before = everything()
    assert "forget its whole subject" in one_line_error(run("forget", "--task", TASKS[1], "--yes"))
    assert everything() == before
    assert run("forget", "--service", "web", "--yes").exit_code == 0
    assert everything() == []


def test_who_is_moved_on_meanwhile_is_left(world: World) -> None:
    """The router's own write is not lost: the deletion has the version that was seen as its condition."""
    world.receive(died(1, MINUTE))
    (state,) = [item for item in everything() if item["sk"]["S"] == "incident"]
    key = (state["pk"]["S"], "incident")
    world.receive(died(2, 0))
    with pytest.raises(Conflict):
        DynamoTable(boto3.client("dynamodb"), TABLE).delete([key], {key: int(state["version"]["N"]) - 1})
    assert lines("open") != []


def test_history_knows_nothing_of_what_was_never_there() -> None:
    result = run("forget", "--task", "nothing", "--yes")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "History has nothing about it.\n")
