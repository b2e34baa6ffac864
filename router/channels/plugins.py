"""The one typed place that knows pluggy: finds plugins, asks their hooks, isolates each from the others.

Hooks collect, plain loops act: in pluggy one raising implementation stops all the others and throws away what was
collected, so every implementation is called by itself here, and the fan-out to channels is the deliver step's loop.

A plugin is a file in plugins/, or a module that an installed distribution names under the entry-point group of
`GROUP`. Asking every distribution for its entry points takes some 20 ms of each cold start, so layer/build.py asks them
once and writes what it found into the layer, as the file `INDEX`.
"""

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import pluggy

from router.errors import PluginError
from router.model import Alert, ChannelConfig, Event, Notification

GROUP = "ecs_alert_router"
INDEX = "ecs_alert_router_plugins.json"

_PROJECT = "ecs_alert_router"
_hookspec = pluggy.HookspecMarker(_PROJECT)
hookimpl = pluggy.HookimplMarker(_PROJECT)


class Channel(Protocol):
    """What a kind's factory makes of one channel's configuration.

    Five attributes are optional. `render_plain(notification)` makes a payload of plain text, sent once when the remote
    rejected the layout. `stateful = True` says that the remote keeps an alert open until it is told otherwise, as
    PagerDuty does: it is also told when an incident lapses, and nothing of an incident that was over before it heard.
    `limit` is how many bytes of compact JSON in UTF-8 the remote takes: `simulate` compares. `secret_options` names the
    options that are secrets: stage `prod` refuses them as literals, other stages warn; two channels of one kind that
    have the same secrets share an endpoint. `budget = (4, 60.0)` says that an endpoint takes 4 messages in 60 seconds,
    (1, 1.0) where there is none: what is more is gathered into one message, or comes later where it is stateful.
    """

    def render(self, notification: Notification) -> dict[str, Any]:
        """The JSON-able payload; pure."""

    def send(self, payload: dict[str, Any]) -> None:
        """Delivers once. Raises TransientError or PermanentError; never sleeps, retries or swallows."""


ChannelFactory = Callable[[ChannelConfig], Channel]


class Hooks:
    """The whole extension surface."""

    @_hookspec
    def register_channels(self, register: Callable[[str, ChannelFactory], None]) -> None:
        """Calls `register(kind, factory)` for each kind of channel that the plugin provides."""

    @_hookspec
    def classify_event(self, event: Event) -> Mapping[str, Any] | None:
        """Classifies an event before the core does: `{"severity": "error", "cause": "slug", "resolves": False}`.

        The first answer wins; None leaves it to the next plugin, and at last to the core.
        """

    @_hookspec
    def enrich_alert(self, alert: Alert) -> Mapping[str, str] | None:
        """More facts for the messages about this alert, as label and value. Asked only of what is announced."""

    @_hookspec
    def alert_settled(self, alert: Alert, deliveries: Sequence[Mapping[str, Any]]) -> None:
        """Observes what came of an alert that was announced: `{channel, kind, outcome, attempt}` for each delivery."""


class Plugins(NamedTuple):
    """What was found.

    Attributes:
        kinds: the factory of each kind of channel.
        problems: what is wrong with plugins that cannot be used; each names its file or its distribution.
    """

    manager: pluggy.PluginManager
    kinds: Mapping[str, ChannelFactory]
    problems: tuple[str, ...]

    def ask(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Calls each implementation by itself; yields (plugin, its answer, or the exception that it raised)."""
        return _ask(self.manager, hook, arguments)

    def implements(self, hook: str) -> bool:
        """Whether anybody implements it."""
        return bool(getattr(self.manager.hook, hook).get_hookimpls())


def _ask(manager: pluggy.PluginManager, hook: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for implementation in reversed(getattr(manager.hook, hook).get_hookimpls()):
        wanted = {name: arguments[name] for name in implementation.argnames}
        try:
            yield implementation.plugin_name, implementation.function(**wanted)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is that plugin's alone
            yield implementation.plugin_name, error


class Installed(NamedTuple):
    """What a distribution announces: one line of its `entry_points.txt`, or one object of the index."""

    distribution: str
    name: str
    module: str


def load(directory: Path) -> Plugins:
    """Registers every plugin file in `directory`, and what is installed.

    Files come first, in the order of their names, wherever plugins are asked or claim the same kind: whoever deploys
    the router has written them. Never raises for a broken plugin.
    """
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(Hooks)
    problems = []
    for place, find in reversed([*_in(directory), *_of(installed())]):  # pluggy asks first whoever registered last
        try:
            _register(manager, place, find)
        except PluginError as error:
            problems.append(str(error))
    kinds, clashes = _collect_kinds(manager)
    return Plugins(manager, kinds, (*reversed(problems), *clashes))


_Candidate = tuple[str, Callable[[], ModuleType]]
"""Where a plugin is, in words, and what imports it."""


def _in(directory: Path) -> Iterator[_Candidate]:
    files = directory.iterdir() if directory.is_dir() else ()
    for path in sorted(each for each in files if each.suffix == ".py" and each.name[0] != "_"):
        yield f"{path.parent.name}/{path.name}", partial(_import, path)


def _of(found: Iterable[Installed]) -> Iterator[_Candidate]:
    for each in sorted(found):
        yield f"{each.distribution} ({each.module})", partial(importlib.import_module, each.module)


def installed() -> list[Installed]:
    """What the index on the path lists, as in the function; what every distribution says, where there is none."""
    for index in (Path(entry, INDEX) for entry in sys.path):
        if index.is_file():
            return [Installed(**each) for each in json.loads(index.read_text("utf-8"))]
    return [Installed(each.dist.name if each.dist else "", each.name, each.value) for each in entry_points(group=GROUP)]


def _register(manager: pluggy.PluginManager, place: str, find: Callable[[], ModuleType]) -> None:
    try:
        module = find()
    except Exception as error:
        raise PluginError(f"{place}: cannot be imported: {type(error).__name__}: {error}") from error
    if manager.is_registered(module):
        raise PluginError(f"{place}: its module is a plugin already; announce it once")
    try:
        manager.register(module, name=place)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        if manager.is_registered(module):  # it is not where `register` itself refused it
            manager.unregister(module)
        raise PluginError(f"{place}: not a hook of the router (is it misspelt?): {error}") from error


def _import(path: Path) -> ModuleType:
    name = f"plugins.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as `import` does: dataclasses and pickling look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _collect_kinds(manager: pluggy.PluginManager) -> tuple[dict[str, ChannelFactory], list[str]]:
    kinds: dict[str, ChannelFactory] = {}
    owners: dict[str, str] = {}
    problems: list[str] = []
    offered: list[tuple[str, ChannelFactory]] = []

    def register(kind: str, factory: ChannelFactory) -> None:
        offered.append((kind, factory))

    for plugin, answer in _ask(manager, "register_channels", {"register": register}):
        if isinstance(answer, Exception):
            problems.append(f"{plugin}: register_channels raised {type(answer).__name__}: {answer}")
        for kind, factory in offered:
            if kind in owners:
                problems.append(f"{plugin}: kind {kind!r} is already provided by {owners[kind]}; rename one of them")
            else:
                kinds[kind], owners[kind] = factory, plugin
        offered.clear()
    return kinds, problems
