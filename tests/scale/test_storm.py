"""benchmarks.storm: a storm in memory keeps every promise that it checks."""

import io

import pytest
from rich.console import Console

from benchmarks.storm import BUDGETS, simulated


@pytest.mark.check  # ten seconds
def test_a_simulated_storm_is_recorded_and_every_channel_names_every_subject_within_its_rate_limit() -> None:
    figures = simulated(1_500, Console(file=io.StringIO()))
    assert [*figures.problems] == []
    assert (figures.rows, figures.buried) == (1_500, 0)
    assert figures.named == dict.fromkeys(BUDGETS.keys() - {"pagerduty"}, figures.incidents)
