"""What several test files stand on."""

from collections.abc import Iterator

import pytest

from tests.doubles.history_cli import account, recording
from tests.doubles.world import World


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A router that writes its history to the table that the command line reads."""
    for _ in account(monkeypatch):
        yield recording()
