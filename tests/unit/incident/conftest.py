"""Tells the tests of single functions from those that run the whole router in memory."""

import inspect
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that use `World`, so that `make mutation` can leave them out: they are a hundred times slower."""
    for item in items:
        test = item.function if item.path.parent == HERE and isinstance(item, pytest.Function) else None
        if test and "world" in inspect.getsource(test).lower():
            item.add_marker("whole_router")
