"""`history export`: for spreadsheets and programs."""

import csv
import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.cli.history.export import COLUMNS, WHOLE_COLUMNS, entry
from router.history.items import iso
from router.history.table import Put
from router.text.characters import visible
from tests.doubles.history_cli import TASKS, died, run
from tests.doubles.world import MINUTE, World

LATELY = ("--since", "2h")  # the default of 30 days is 1,240 queries, and seconds of moto's time


@pytest.fixture(autouse=True)
def world(recorded: World) -> World:
    return recorded


def test_csv_has_a_row_for_each_alert_newest_first(world: World) -> None:
    world.receive(*(died(number, number * MINUTE) for number in range(1, 5)))
    head, *rows = csv.reader(io.StringIO(run("export").stdout))
    assert head == list(COLUMNS)
    assert [row[COLUMNS.index("task")] for row in rows] == TASKS[1:5]


def test_jsonl_has_a_line_for_each_alert_and_whole_rows_have_every_attribute(world: World) -> None:
    world.receive(died(1, MINUTE), died(2, 2 * MINUTE))
    brief = [json.loads(line) for line in run("export", *LATELY, "--format", "jsonl").stdout.splitlines()]
    whole = [json.loads(line) for line in run("export", *LATELY, "--format", "jsonl", "--whole").stdout.splitlines()]
    assert [line["task"] for line in brief] == [line["task"] for line in whole] == TASKS[1:3]
    assert "reason" not in brief[0]
    assert whole[0]["containers"][0]["exit_code"] == 1
    assert whole[0]["event"]["stopCode"] == "EssentialContainerExited"


def test_more_than_one_batch_of_whole_rows_is_in_order(world: World) -> None:
    at = time.time() - 60
    quick = World()  # in memory: moto would take seconds for so many transactions
    quick.now = time.time()
    for start in range(0, 120, 10):
        quick.receive(
            *(
                events.task_stopped(task=f"t{number:03}", stoppedAt=iso(at - number))
                for number in range(start, start + 10)
            )
        )
    world.history.table.put_each([Put(row) for row in quick.rows("")], world.now)
    rows = list(csv.DictReader(io.StringIO(run("export", *LATELY, "--whole").stdout)))
    assert [row["task"] for row in rows] == [f"t{number:03}" for number in range(120)]
    assert list(rows[0]) == list(WHOLE_COLUMNS)
    assert rows[0]["stop_code"] == "EssentialContainerExited"


def test_it_takes_the_filters_of_list_and_can_write_a_file(world: World, tmp_path: Path) -> None:
    world.receive(died(1, MINUTE), died(2, MINUTE, service="api"))
    out = tmp_path / "alerts.csv"
    result = run("export", *LATELY, "--service", "api", "--out", str(out))
    assert (result.exit_code, result.stdout) == (0, "")
    assert [row["subject"] for row in csv.DictReader(out.open(encoding="utf-8"))] == ["service:api"]


def test_without_alerts_there_are_only_headings() -> None:
    result = run("export", *LATELY)
    assert (result.stdout.count("\n"), result.stderr) == (1, "No alerts.\n")


def test_a_service_named_like_a_formula_is_text_to_a_spreadsheet(world: World) -> None:
    world.receive(died(1, MINUTE, stop_code="TaskFailedToStart", reason='=HYPERLINK("http://evil")'))
    (row,) = csv.DictReader(io.StringIO(run("export", *LATELY, "--whole").stdout))
    assert row["reason"] == '\'=HYPERLINK("http://evil")'


@given(st.text(min_size=1))
def test_no_cell_is_a_formula_and_no_text_is_lost(text: str) -> None:
    shown = entry({"title": text}, "title")
    assert visible(text) in {shown, shown.removeprefix("'")}
    assert not shown.lstrip(" ").startswith(
        ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
    )
