"""For all tests: how much of them runs, and what no test must notice of the others or of a busy machine.

The variable TESTS says how much: `make test` leaves it unset, `make check` and `make thorough` set it to their names.
"""

import functools
import gc
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore import hooks
from botocore.hooks import BaseEventHooks, EventAliaser
from botocore.loaders import JSONFileLoader, Loader
from hypothesis import settings

from router.aws import clients

EXAMPLES = {"test": 20, "check": 100, "thorough": 100}
"""By extent, the smallest first: hypothesis's examples of each property. The tests marked with its name begin there."""
EXTENT = os.environ.get("TESTS", "test")
UNIT = Path(__file__).parent / "unit"

for _extent, _examples in EXAMPLES.items():
    settings.register_profile(_extent, deadline=None, max_examples=_examples)  # however busy the machine is
settings.load_profile(EXTENT)

_SHIPPED = str(Path(botocore.__file__).parent)
_load_file = JSONFileLoader.load_file
_list_services = Loader.list_available_services
_accepts_keywords = hooks.accepts_kwargs
_alias = EventAliaser._alias_event_name  # noqa: SLF001 - there is no public way


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for `-n auto`: deployments and timeouts wait half of the time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Leaves tests to `make check` and `make thorough`, and lets a worker keep what belongs together.

    Otherwise every worker would deploy a stack, package the templates and seed a table for itself. Of the unit tests, a
    worker gets a file at a time: 10,000 single tests would cost pytest-xdist more than some of them take.

    pytest-xdist 3.8 writes the group where pytest 9.2 no longer looks (pytest-xdist issue 1386).
    """
    larger = [*EXAMPLES][[*EXAMPLES].index(EXTENT) + 1 :]
    left = [item for item in items if any(map(item.get_closest_marker, larger))]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    for item in items:
        if (group := _group(item.path)) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(group))
    yield  # to pytest-xdist
    for item in items:
        if grouped := vars(item).get("_nodeid"):
            item._id = type(item._id).parse(grouped)  # noqa: SLF001 - there is no public way


@functools.cache
def _group(path: Path) -> str:
    return str(path.relative_to(UNIT)) if path.is_relative_to(UNIT) else ""


def pytest_collection_finish() -> None:
    """Lets the garbage collector pass over thousands of tests, which it would otherwise look through each time."""
    gc.freeze()


@functools.cache
def _load_once(path: str) -> Any:
    return _load_file(JSONFileLoader(), path)


@functools.cache
def _list_once(places: tuple[str, ...], type_name: str) -> list[str]:
    loader = Loader(extra_search_paths=list(places), include_default_search_paths=False)
    services: list[str] = _list_services(loader, type_name)
    return services


@functools.cache
def _alias_once(event_name: str) -> str:
    alias: str = _alias(EventAliaser(BaseEventHooks()), event_name)
    return alias


@pytest.fixture(scope="session", autouse=True)
def _sessions_begin_quickly() -> Iterator[None]:
    """Every session reads botocore's own files again, and nearly every test that calls AWS has its own session.

    It even looks into each of some 400 directories for the names of the services. And it looks up the current name of
    each event that a handler is for, and whether the handler takes keyword arguments.
    """

    def load_file(self: JSONFileLoader, path: str) -> Any:
        return _load_once(path) if path.startswith(_SHIPPED) else _load_file(self, path)

    def list_available_services(self: Loader, type_name: str) -> list[str]:
        return [*_list_once(tuple(self.search_paths), type_name)]

    def alias_event_name(_: EventAliaser, event_name: str) -> str:
        return _alias_once(event_name)

    def accepts_keywords(handler: Any) -> bool:
        code = getattr(handler, "__code__", None)
        return bool(code.co_flags & inspect.CO_VARKEYWORDS if code else _accepts_keywords(handler))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventAliaser, "_alias_event_name", alias_event_name)
        patch.setattr(hooks, "accepts_kwargs", accepts_keywords)
        patch.setattr(JSONFileLoader, "load_file", load_file)
        patch.setattr(Loader, "list_available_services", list_available_services)
        yield


@pytest.fixture(autouse=True)
def _own_session() -> None:
    """The session of a process keeps its credentials; tests play many processes."""
    clients._session.cache_clear()  # noqa: SLF001 - nobody else has a reason to
