"""`history forget`: what it deletes, what it keeps, and what it refuses."""

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
    """The latest incident of the only subject."""
    (key,) = [(item["pk"]["S"], "incident") for item in everything() if item["sk"]["S"] == "incident"]
    return world.history.table.get([key], time.time())[key]


def everything() -> list[dict[str, Any]]:
    """All items except the channel states, which are about no subject."""
    items = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    return [item for item in items if item["pk"] != {"S": "channels"}]


def is_over(world: World, service: str = "web") -> None:
    """The service recovers, and every channel has been notified."""
    world.receive(events.service_action(service=service, createdAt=iso(time.time())))
    world.wait(HOUR, step=10 * MINUTE)


def test_without_yes_nothing_is_deleted(world: World) -> None:
    world.receive(died(1, MINUTE), died(2, MINUTE))
    is_over(world)
    before = everything()
    result = run("forget", "--service", "web")
    assert result.exit_code == 0
    assert result.stdout.startswith("Would delete: 3 alerts, 6 deliveries, 1 incidents.")
    assert everything() == before


def test_a_forgotten_service_leaves_nothing_and_other_services_keep_everything(world: World) -> None:
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


def test_another_cluster_account_or_region_is_not_deleted(world: World) -> None:
    world.receive(died(1, MINUTE))
    is_over(world)
    for place in ("--cluster", "--account", "--alert-region"):
        result = run("forget", "--service", "web", place, "elsewhere", "--yes")
        assert (result.exit_code, result.stderr) == (0, "History has nothing about it.\n")
    assert run("forget", "--service", "web", "--account", events.ACCOUNT, "--yes").stdout.startswith("Deleted: ")


def test_a_subject_without_alerts_is_found_by_its_whole_fingerprint(world: World) -> None:
    world.receive(died(1, MINUTE))
    is_over(world)
    for item in everything():
        if item["pk"]["S"].startswith("alert#"):
            boto3.client("dynamodb").delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    place = ("--account", events.ACCOUNT, "--alert-region", events.REGION, "--cluster", "prod")
    assert run("forget", "--service", "web", *place, "--yes").exit_code == 0
    assert everything() == []


def test_an_open_incident_is_not_forgotten_without_even_open(world: World) -> None:
    """The notified channels would never get its end."""
    world.receive(died(1, MINUTE))
    (incident,) = lines("open")
    before = everything()
    error = one_line_error(run("forget", "--service", "web", "--yes"))
    assert incident["id"] in error
    assert "--even-open" in error
    assert everything() == before
    assert run("forget", "--service", "web", "--yes", "--even-open").exit_code == 0
    assert everything() == []


def test_an_incident_whose_end_is_not_announced_is_not_forgotten_either(world: World) -> None:
    world.receive(died(1, MINUTE), events.service_action(createdAt=iso(time.time())))
    assert "its end is not announced yet" in one_line_error(run("forget", "--service", "web", "--yes"))


def test_a_forgotten_task_leaves_nothing_and_its_incident_remains_without_it(world: World) -> None:
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


def test_a_subject_that_changed_in_the_meantime_is_not_deleted(world: World) -> None:
    """The router's write is not lost, because the deletion is conditional on the version that was read."""
    world.receive(died(1, MINUTE))
    (state,) = [item for item in everything() if item["sk"]["S"] == "incident"]
    key = (state["pk"]["S"], "incident")
    world.receive(died(2, 0))
    with pytest.raises(Conflict):
        DynamoTable(boto3.client("dynamodb"), TABLE).delete([key], {key: int(state["version"]["N"]) - 1})
    assert lines("open") != []


def test_forgetting_something_unknown_says_so() -> None:
    result = run("forget", "--task", "nothing", "--yes")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "History has nothing about it.\n")
