"""What a question reads grows with its answer, not with the table; and no key is too hot.

Here with some days of history; `make scale` does the same with a hundred (docs/history.md has what it found).
"""

from collections.abc import Iterator

import pytest

from local_aws.server import running
from router.history.table import INDEXES
from tests.doubles.dynamodb import create_history_table
from tests.scale.hot_keys import PER_KEY, WRITES, hottest, storm
from tests.scale.questions import OF_A_DAY, Cost, cost_of, export_of
from tests.scale.seeding import A_DAY, SERVICES, Seeded, newest_day, older_day

pytestmark = pytest.mark.xdist_group("scale")
DAYS = 2
Costs = dict[str, tuple[int, Cost]]


@pytest.fixture(scope="module")
def seeded() -> Iterator[tuple[Seeded, Costs, Costs]]:
    """A table, what the questions cost with one day in it, and with two."""
    with running() as aws:
        client = aws.client("dynamodb")
        create_history_table(client, "history")
        made = newest_day(client, "history")
        small = {name: cost_of(question, made) for name, question in OF_A_DAY.items()}
        for day in range(1, DAYS):
            older_day(client, "history", day)
        yield made, small, {name: cost_of(question, made) for name, question in OF_A_DAY.items()}


@pytest.mark.parametrize("question", OF_A_DAY)
def test_what_a_question_reads_does_not_grow_with_the_table(question: str, seeded: tuple[Seeded, Costs, Costs]) -> None:
    _, small, large = seeded
    (before, cost_before), (after, cost_after) = small[question], large[question]
    assert after > 0
    if "whole history" in question:  # there is a page full now
        assert (after, cost_after.items <= 52) == (50, True)
    else:
        assert (after, cost_after.items) == (before, cost_before.items)
        assert cost_after.units <= 1.05 * cost_before.units + 1  # each of up to 80 queries is rounded up to half a unit


def test_what_an_export_reads_grows_with_the_answer(seeded: tuple[Seeded, Costs, Costs]) -> None:
    for days in range(1, DAYS + 1):
        answer, cost = cost_of(export_of(days), seeded[0])
        assert answer == cost.items == days * A_DAY


def test_a_page_of_the_list_reads_little_more_than_it_shows(seeded: tuple[Seeded, Costs, Costs]) -> None:
    """From 40 partitions: 4 severities, 10 shards."""
    answer, cost = seeded[2]["`list` (50 of a day)"]
    assert answer == 50
    assert cost.items <= 8 * answer


def test_no_key_takes_more_writes_than_a_partition_can() -> None:
    """A tenth of the writes, on a tenth of the services."""
    part = 10
    found = hottest(storm(WRITES // part, services=500 // part))
    assert set(found) == {"table", *INDEXES} - {"failed_deliveries"}
    assert {name: key for name, (key, writes, _) in found.items() if writes * part > PER_KEY} == {}


def test_the_seeds_are_what_they_say() -> None:
    assert (len(SERVICES), A_DAY) == (40, 1000)
