"""For all tests: a property holds however busy the machine is; no test speaks to AWS with the session of another."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.loaders import JSONFileLoader, Loader
from hypothesis import settings

from router.aws import clients

settings.register_profile("whole", deadline=None)
settings.load_profile("whole")

_SHIPPED = str(Path(botocore.__file__).parent)
_load_file = JSONFileLoader.load_file
_list_services = Loader.list_available_services


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for `-n auto`: deployments and time-outs wait as long as they work."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)  # after pytest-xdist's own
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the thorough tests to `make thorough`, and lets `xdist_group` hold.

    Otherwise every worker would deploy a stack, package the templates and seed a table for itself.

    pytest-xdist 3.8 writes the group where pytest 9.2 no longer looks (pytest-xdist issue 1386).
    """
    left = [item for item in items if "THOROUGH" not in os.environ and item.get_closest_marker("thorough")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    for item in items:
        if grouped := vars(item).get("_nodeid"):
            item._id = type(item._id).parse(grouped)  # noqa: SLF001 - there is no public way


@functools.cache
def _load_once(path: str) -> Any:
    return _load_file(JSONFileLoader(), path)


@functools.cache
def _list_once(places: tuple[str, ...], type_name: str) -> list[str]:
    loader = Loader(extra_search_paths=list(places), include_default_search_paths=False)
    services: list[str] = _list_services(loader, type_name)
    return services


@pytest.fixture(scope="session", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    """Every session reads botocore's own files again, and nearly every test that calls AWS has its own session.

    It even looks into each of some 400 directories for the names of the services.
    """

    def load_file(self: JSONFileLoader, path: str) -> Any:
        return _load_once(path) if path.startswith(_SHIPPED) else _load_file(self, path)

    def list_available_services(self: Loader, type_name: str) -> list[str]:
        return [*_list_once(tuple(self.search_paths), type_name)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", load_file)
        patch.setattr(Loader, "list_available_services", list_available_services)
        yield


@pytest.fixture(autouse=True)
def _own_session() -> None:
    """The session of a process keeps its credentials; tests play many processes."""
    clients._session.cache_clear()  # noqa: SLF001 - nobody else has a reason to
