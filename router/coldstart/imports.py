"""Imports without ballast: without what a library's package brings along by itself, and the function has no use for."""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType, ModuleType

_NOTHING: Mapping[str, ModuleType] = MappingProxyType({})


def import_without_package(name: str, *, empty: str, instead: Mapping[str, ModuleType] = _NOTHING) -> ModuleType:
    """Imports a module while a package is empty: its modules are there, and what its own `__init__` imports is not.

    Whoever imports the package later gets it whole; but modules that are there by now are no attributes of it, and have
    to be imported by name. Where the module has come to need more of the package, it gets it, at the price of a longer
    start; tests keep what is left out. Another thread must not import the package meanwhile.

    Args:
        name: of the module. empty: of the package.
        instead: modules in the place of others, by name.
    """
    if empty in sys.modules or (spec := find_spec(empty)) is None:  # somebody has it already, or it is no more
        return import_module(name)
    package = ModuleType(empty)
    package.__path__ = list(spec.submodule_search_locations or ())
    stand_ins = {empty: package, **instead}
    sys.modules.update(stand_ins)
    try:
        return import_module(name)
    except Exception:  # noqa: BLE001 - whatever another version of the library does with what stands in
        _remove(stand_ins)
        return import_module(name)
    finally:
        _remove(stand_ins)


def _remove(stand_ins: Mapping[str, ModuleType]) -> None:
    for name, module in stand_ins.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
