"""Where the command line finds the configuration and the plugins: in the checkout, or in what is installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from router.cli.output import echo

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parent
INSTALLED = PACKAGE.name != "router"  # setup.py gives the wheel's package another name
CONFIGURATION = "alert-router.toml"


def root() -> Path:
    """The directory that holds alert-router.toml and plugins/.

    That is this checkout. If the command line is installed from a wheel, it is the current directory if that is a
    checkout, because only a checkout's plugins/ holds files that are meant to be run; otherwise the wheel's package.
    """
    if not INSTALLED:
        return ROOT
    here = Path.cwd()
    return here if is_checkout(here) else PACKAGE


def is_checkout(directory: Path) -> bool:
    """Whether the router is deployed from this directory."""
    return all((directory / name).is_file() for name in ("serverless.yml", "router/handler.py"))


def configuration(name: str = CONFIGURATION) -> Path:
    """The configuration of this name: that of the current directory, if there is one."""
    here = Path(name)
    return here if here.is_file() else root() / name


def stated_configuration() -> Path:
    """As `configuration`, but reports if the file is neither the user's nor the checkout's."""
    path = configuration()
    if path.is_relative_to(PACKAGE):
        echo(f"no {CONFIGURATION} in this directory: using the one that the router is shipped with", err=True)
    return path


@contextmanager
def router_importable() -> Iterator[None]:
    """Lets the plugin files of a checkout `import router` while they are loaded, also by an installed command line.

    Another distribution's `router` is put back afterwards.
    """
    package, *_ = __name__.partition(".")
    if not INSTALLED or root() == PACKAGE:
        yield
        return
    others = _taken_out("router")
    sys.modules["router"] = sys.modules[package]
    try:
        yield
    finally:
        _taken_out("router")
        sys.modules.update(others)


def _taken_out(name: str) -> dict[str, ModuleType]:
    names = [loaded for loaded in sys.modules if loaded == name or loaded.startswith(f"{name}.")]
    return {loaded: sys.modules.pop(loaded) for loaded in names}
