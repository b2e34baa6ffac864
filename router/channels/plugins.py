"""The only module that uses pluggy: finds plugins, calls their hooks, and isolates each plugin from the others.

In pluggy, an implementation that raises stops all others and discards the results so far. So this module calls each
implementation by itself. Sending to channels is not a hook, but a loop of the deliver step.

A plugin is a file in plugins/, or a module that an installed distribution names under the entry-point group `GROUP`.
Reading the entry points of all distributions takes about 20 ms of each cold start, so layer/build.py reads them once
and writes the result into the layer, as the file `INDEX`.
"""

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, Protocol

import pluggy

from router.errors import PluginError
from router.model import Alert, ChannelConfig, Event, Notification, Option

GROUP = "ecs_alert_router"
INDEX = "ecs_alert_router_plugins.json"

_PROJECT = "ecs_alert_router"
_CORE, *_ = __name__.partition(".")
_FILES = "plugins" if _CORE == "router" else f"{_CORE}.plugins"  # never a name that another distribution may have
_hookspec = pluggy.HookspecMarker(_PROJECT)
hookimpl = pluggy.HookimplMarker(_PROJECT)


class Channel(Protocol):
    """A channel, which the factory of its kind makes from its configuration.

    Attributes (all optional; a factory that is a class may have all but `render_plain` as class attributes):
        render_plain: `render_plain(notification)` returns a payload of plain text. The router sends it once if `send`
            raises PayloadRejected.
        stateful: True if the remote keeps an alert open until it is resolved, as PagerDuty does. Such a channel also
            gets `resolved` when an incident lapses, and gets nothing about an incident that it was not sent before it
            ended. Default: False.
        limit: int, the size that the remote accepts; `simulate` shows it. Default: no limit.
        limit_unit: what `limit` counts: "bytes" of compact JSON in UTF-8, or "characters" of all texts in the payload.
            Default: "bytes".
        options: tuple of `router.Option`, the options that the kind has. `config check` then refuses every other key of
            the channel. Default: any option is accepted.
        secret_options: tuple of the names of options that are secrets. Production refuses literals for them, other
            stages warn. Two channels of one kind with the same secrets share an endpoint. Default: all options
            identify the endpoint, and every URL and token among them counts as a secret.
        endpoint_options: tuple of the names of the options that identify the endpoint, if those are not its secrets: a
            token, for example, and the room that it posts to.
        route_option: the name of an option that a route may set, by naming the channel as `CHANNEL#VALUE`; "" for none.
        budget: (messages, seconds), the rate limit of an endpoint: (4, 60.0) is 4 messages within 60 seconds. Messages
            above it are bundled into one, or sent later if the channel is stateful. Default: (1, 1.0).
        threads: True if later messages about an incident edit the first or reply to it; or the name of the option with
            which they do. `replay` shows it. Default: False.
    """

    def render(self, notification: Notification) -> dict[str, Any]:
        """Returns the payload, which must be serialisable as JSON and hold no secret. Pure.

        No text of the notification contains control, bidirectional or other hidden characters
        (`router.text.characters`), so only the markup of the channel's own format needs to be escaped.
        """

    def send(self, payload: dict[str, Any]) -> Mapping[str, str] | None:
        """Sends once; never sleeps, retries or ignores an error.

        Returns:
            What to remember of the incident, such as a message's id, at most 1 KB as JSON and without secrets: the next
            notification about it has this as its `remote`. None keeps what is remembered already. Of a message about
            many incidents, only what has the name `bundle` is remembered.

        Raises:
            TransientError: the same payload may be accepted later.
            PermanentError: it will never be accepted. PayloadRejected, a subclass: another layout may be. RemoteGone,
                a subclass: what `remote` names is gone, so a payload that was rendered without it may be.
        """


ChannelFactory = Callable[[ChannelConfig], Channel]


def payload_size(payload: Mapping[str, Any], unit: str = "bytes") -> int:
    """The size of a payload, in the unit of a channel's `limit_unit`. Raises ValueError if it is not JSON."""
    if unit == "characters":
        return _characters(payload)
    return len(compact(payload))


def compact(payload: Mapping[str, Any]) -> bytes:
    """The bytes that `router.post_json` sends. Raises ValueError if it is not JSON."""
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return sum(map(_characters, inner))


class Hooks:
    """All hooks that a plugin can implement."""

    @_hookspec
    def register_channels(self, register: Callable[[str, ChannelFactory], None]) -> None:
        """Calls `register(kind, factory)` for each kind of channel that the plugin provides."""

    @_hookspec
    def configure_plugin(self, options: Mapping[str, Any]) -> None:
        """Gets the options in the plugin's own table, `[plugins.NAME]` of alert-router.toml, with references resolved.

        Called before all other hooks but `register_channels`; not called if there is no such table. NAME is the file's
        name without `.py`, or the name of the entry point. A KeyError means that an option is missing, a ValueError
        that a value is wrong. The module may declare its options as `options`, a tuple of `router.Option`.
        """

    @_hookspec
    def classify_event(self, event: Event) -> Mapping[str, Any] | None:
        """Classifies an event before the core does: `{"severity": "error", "cause": "slug", "resolves": False}`.

        The first answer wins; None leaves it to the next plugin, and finally to the core. `event.detail` is as it came:
        unlike all other texts, it may contain control and other hidden characters.
        """

    @_hookspec
    def enrich_alert(self, alert: Alert) -> Mapping[str, str] | None:
        """Returns more facts for an alert's messages, as label and value. Called for announced alerts only."""

    @_hookspec
    def alert_settled(self, alert: Alert, deliveries: Sequence[Mapping[str, Any]]) -> None:
        """Observes the deliveries of an announced alert, each as `{channel, kind, outcome, attempt}`."""


class Plugins(NamedTuple):
    """The plugins that were found.

    Attributes:
        kinds: the factory of each kind of channel.
        problems: why plugins cannot be used; each names the file or the distribution.
        configurable: name to module of each plugin that implements `configure_plugin`.
    """

    manager: pluggy.PluginManager
    kinds: Mapping[str, ChannelFactory]
    problems: tuple[str, ...]
    configurable: Mapping[str, object] = MappingProxyType({})

    def configure(self, name: str, options: Mapping[str, Any]) -> None:
        """Gives a plugin its options. Raises what its hook raises."""
        for implementation in self.manager.hook.configure_plugin.get_hookimpls():
            if implementation.plugin is self.configurable[name]:
                implementation.function(**dict.fromkeys(implementation.argnames, options))

    def ask(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Calls each implementation by itself; yields the plugin's name with its answer or the exception it raised."""
        return _ask(self.manager, hook, arguments)

    def implements(self, hook: str) -> bool:
        """Whether any plugin implements the hook."""
        return bool(getattr(self.manager.hook, hook).get_hookimpls())


def _ask(manager: pluggy.PluginManager, hook: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for implementation in reversed(getattr(manager.hook, hook).get_hookimpls()):
        wanted = {name: arguments[name] for name in implementation.argnames}
        try:
            yield implementation.plugin_name, implementation.function(**wanted)
        except Exception as error:  # noqa: BLE001 - an error of one plugin must not affect the others
            yield implementation.plugin_name, error


def declared_options(factory: object) -> tuple[Option, ...] | None:
    """The options that a kind's factory, or a plugin's module, declares; None if it declares none, and takes any."""
    options = getattr(factory, "options", None)
    is_declaration = isinstance(options, tuple | list) and all(isinstance(option, Option) for option in options)
    return tuple(options) if options is not None and is_declaration else None


class Installed(NamedTuple):
    """A plugin of an installed distribution: one line of its `entry_points.txt`, or one object of the index."""

    distribution: str
    name: str
    module: str


def load(directory: Path) -> Plugins:
    """Registers every plugin file in `directory` and every installed plugin. Never raises for a broken plugin.

    Files take precedence over installed plugins, in the order of their names, when hooks are called and when two
    plugins provide the same kind: files belong to the team that deploys the router.
    """
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(Hooks)
    problems = []
    for place, find in reversed([*_in(directory), *_of(installed())]):  # pluggy calls the last registered first
        try:
            _register(manager, place, find)
        except PluginError as error:
            problems.append(str(error))
    kinds, clashes = _collect_kinds(manager)
    return Plugins(manager, kinds, (*reversed(problems), *clashes), _configurable(manager))


def _configurable(manager: pluggy.PluginManager) -> dict[str, object]:
    """Plugins by the names that `[plugins.NAME]` gives them; a file wins over an installed plugin of its name."""
    modules = [hook.plugin for hook in reversed(manager.hook.configure_plugin.get_hookimpls())]
    entry_names = {plugin.module: plugin.name for plugin in installed()} if modules else {}
    named = ((getattr(module, "__name__", ""), module) for module in reversed(modules))
    return {entry_names.get(name) or name.rpartition(".")[2]: module for name, module in named}


_Candidate = tuple[str, Callable[[], ModuleType]]
"""A plugin's file or distribution, for messages, and a function that imports it."""


def _in(directory: Path) -> Iterator[_Candidate]:
    files = directory.iterdir() if directory.is_dir() else ()
    for path in sorted(path for path in files if path.suffix == ".py" and path.name[0] != "_"):
        yield f"{path.parent.name}/{path.name}", partial(_import, path)


def _of(plugins: Iterable[Installed]) -> Iterator[_Candidate]:
    for plugin in sorted(plugins):
        yield f"{plugin.distribution} ({plugin.module})", partial(importlib.import_module, plugin.module)


def installed() -> list[Installed]:
    """The plugins that the index lists, as in the function; without an index, those of all distributions."""
    for index in (Path(entry, INDEX) for entry in sys.path):
        if index.is_file():
            return [Installed(**plugin) for plugin in json.loads(index.read_text("utf-8"))]
    points = entry_points(group=GROUP)
    return [Installed(point.dist.name if point.dist else "", point.name, point.value) for point in points]


def _register(manager: pluggy.PluginManager, place: str, find: Callable[[], ModuleType]) -> None:
    try:
        module = find()
    except (Exception, SystemExit) as error:  # one plugin must not end the function
        raise PluginError(f"{place}: cannot be imported: {type(error).__name__}: {error}") from error
    if manager.is_registered(module):
        raise PluginError(f"{place}: its module is a plugin already; announce it once")
    try:
        manager.register(module, name=place)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        if manager.is_registered(module):  # not if `register` itself raised
            manager.unregister(module)
        raise PluginError(f"{place}: not a hook of the router (is it misspelt?): {error}") from error


def _import(path: Path) -> ModuleType:
    name = f"{_FILES}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # like `import`, since dataclasses and pickle look their module up there
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
