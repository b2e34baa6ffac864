"""The quickest scenario of `make chaos`, with fewer crashes."""

from pathlib import Path

import pytest

from tests.chaos import hot_service
from tests.chaos.chaos import SCENARIOS

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")


@pytest.mark.end_to_end
@pytest.mark.thorough
@pytest.mark.xdist_group("end_to_end_chaos")
def test_a_hot_service_is_announced_once_with_history() -> None:
    result = hot_service.run(print, crashes=200)
    assert not result.broken, result.line


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_documented(scenario: str) -> None:
    assert f"\n| `{scenario}` | " in PAGE
