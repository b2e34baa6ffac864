"""alert-router.toml, checked whole: every problem is found and named with its place before anything runs.

A value is a literal or a reference, `env:NAME`. Empty is the same as unset: an option that is unset is absent, and a
channel that lacks an option which it requires is simply not configured.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.errors import ConfigError
from router.model import ChannelConfig, Severity
from router.plugins import Channel, Plugins

LANGUAGES = ("en", "ja")
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SECRET_LENGTH = 8  # characters; shorter options (`#ops`, `eu`) are words, not secrets
_GLOBS = ("clusters", "services", "families", "causes", "accounts", "regions")


@dataclass(frozen=True, slots=True)
class Route:
    """Which alerts go to which channels. Globs match without regard to case; an empty tuple matches everything.

    Attributes:
        severity: at least this.
        services, families: names of subjects; where both are given, either may match.
        proceed: whether later routes are looked at, too (`continue = true`).
    """

    severity: Severity = Severity.INFO
    clusters: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    proceed: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """What alert-router.toml says, references resolved. Durations are in seconds.

    Attributes:
        channels: made by their plugins, by name, with their configuration.
        unset: channels that are not configured because a required option is unset, and which option that is.
        disabled: channels that cannot work, and why. Their deliveries fail with that reason; the others go on.
        problems: everything that `config check` and a deployment refuse.
    """

    resolve_after: float = 300.0
    retention: float = 90 * 86400.0
    channels: Mapping[str, tuple[ChannelConfig, Channel]] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    unset: Mapping[str, str] = field(default_factory=dict)
    disabled: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load(path: Path, plugins: Plugins, environ: Mapping[str, str]) -> Config:
    """Reads the file. Raises ConfigError where it cannot be read or no channel is usable; all else is in `problems`."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from error
    config = parse(table, plugins, environ)
    if not config.channels:
        lacking = [f"channels.{name}: {option} is unset" for name, option in config.unset.items()]
        raise ConfigError([f"{path}: no channel is usable: set the option of one of them", *lacking, *config.problems])
    return config


def parse(table: Mapping[str, Any], plugins: Plugins, environ: Mapping[str, str]) -> Config:
    """Turns the parsed TOML into a Config. Never raises: what is wrong is in `problems`."""
    reader = _Reader(list(plugins.problems))
    top = reader.table("", table)
    defaults = ChannelConfig(
        name="",
        kind="",
        options={},
        language=top.choice("language", LANGUAGES, "en"),
        time_zone=top.time_zone("time_zone", "UTC"),
        dedup_window=top.duration("dedup_window", 900.0),
    )
    config = Config(
        resolve_after=top.duration("resolve_after", 300.0), retention=top.duration("retention", 90 * 86400.0)
    )
    channels = _channels(reader, top.tables("channels"), defaults, plugins, environ)
    declared = {*channels.made, *channels.unset, *channels.disabled}
    routes = tuple(
        _route(reader.table(f"routes[{position}]", route), declared)
        for position, route in enumerate(top.array("routes"), start=1)
    )
    top.done()
    for position, route in enumerate(routes, start=1):
        if route.channels and not {*channels.made, *channels.disabled} & {*route.channels}:
            reader.problems.append(f"routes[{position}]: none of its channels is configured: {list(route.channels)}")
    if not routes:
        reader.problems.append("routes: there is none, so nothing would ever be sent; add a [[routes]] table")
    return replace(
        config,
        channels=channels.made,
        routes=routes,
        unset=channels.unset,
        disabled=channels.disabled,
        problems=tuple(reader.problems),
    )


# --- channels ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Channels:
    made: dict[str, tuple[ChannelConfig, Channel]] = field(default_factory=dict)
    unset: dict[str, str] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)


def _channels(
    reader: "_Reader", tables: Mapping[str, Any], defaults: ChannelConfig, plugins: Plugins, environ: Mapping[str, str]
) -> _Channels:
    channels = _Channels()
    for name, content in tables.items():
        place = f"channels.{name}"
        table = reader.table(place, content)
        config = replace(
            defaults,
            name=name,
            kind=table.text("kind"),
            language=table.choice("language", LANGUAGES, defaults.language),
            time_zone=table.time_zone("time_zone", defaults.time_zone),
            dedup_window=table.duration("dedup_window", defaults.dedup_window),
        )
        options, unset = _options(table.rest(), environ)
        if config.kind not in plugins.kinds:
            reader.problems.append(f"{place}: no plugin provides the kind {config.kind!r}; {_known(plugins.kinds)}")
            channels.disabled[name] = f"no plugin provides the kind {config.kind!r}"
            continue
        _make(channels, reader, replace(config, options=options), unset, plugins)
    return channels


def _make(
    channels: _Channels, reader: "_Reader", config: ChannelConfig, unset: frozenset[str], plugins: Plugins
) -> None:
    """A plugin says that it requires an option by looking it up; that it is wrong, by raising ValueError."""
    try:
        channel = plugins.kinds[config.kind](config)
    except KeyError as error:
        option = str(error.args[0]) if error.args else ""
        if option in unset:
            channels.unset[config.name] = option
            return
        problem = f"{option!r} is missing"
    except ValueError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - a plugin that breaks disables its channel alone; it may hold a secret
        problem = f"its plugin raised {type(error).__name__}"
    else:
        channels.made[config.name] = config, channel
        return
    problem = _without_values(problem, config.options)
    reader.problems.append(f"channels.{config.name}: {problem}")
    channels.disabled[config.name] = problem


def _without_values(text: str, options: Mapping[str, Any]) -> str:
    """Options hold secrets, which have no place in a problem: it names the option instead."""
    for name, value in sorted(options.items(), key=lambda each: len(str(each[1])), reverse=True):
        if len(str(value)) >= _SECRET_LENGTH:
            text = text.replace(str(value), f"[{name}]")
    return text


def _options(values: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], frozenset[str]]:
    """The options that are set, references resolved, and the names of those that are not."""
    resolved = {name: _resolve(value, environ) for name, value in values.items()}
    unset = frozenset(name for name, value in resolved.items() if value == "")
    return {name: value for name, value in resolved.items() if name not in unset}, unset


def _resolve(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("env:"):
        return environ.get(value.removeprefix("env:"), "").strip()
    return value


# --- routes -----------------------------------------------------------------------------------------------------------


def _route(table: "_Table", declared: set[str]) -> Route:
    route = Route(
        severity=Severity(table.choice("severity", tuple(Severity), Severity.INFO)),
        channels=table.texts("channels"),
        proceed=table.flag("continue"),
        **{name: table.texts(name) for name in _GLOBS},
    )
    if not route.channels:
        table.problem("channels", "names no channel")
    for channel in route.channels:
        if channel not in declared:
            table.problem("channels", f"there is no channel {channel!r}; {_known(declared)}")
    table.done()
    return route


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    problems: list[str]

    def table(self, place: str, content: Any) -> "_Table":
        if not isinstance(content, dict):
            self.problems.append(f"{place}: must be a table")
            content = {}
        return _Table(place, dict(content), self.problems)


@dataclass(slots=True)
class _Table:
    """One TOML table; what is read is taken out of it, so that what is left is unknown."""

    place: str
    content: dict[str, Any]
    problems: list[str]
    known: list[str] = field(default_factory=list)

    def problem(self, key: str, what: str) -> None:
        self.problems.append(f"{self.place}.{key}: {what}".lstrip("."))

    def take(self, key: str, kind: type, default: Any, what: str) -> Any:
        self.known.append(key)
        value = self.content.pop(key, default)
        if isinstance(value, kind):
            return value
        self.problem(key, f"must be {what}, not {value!r}")
        return default

    def text(self, key: str) -> str:
        return str(self.take(key, str, "", "a string"))

    def flag(self, key: str) -> bool:
        return bool(self.take(key, bool, False, "true or false"))  # noqa: FBT003 - the default

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, [], "a list of strings")
        if all(isinstance(value, str) for value in values):
            return tuple(values)
        self.problem(key, "must be a list of strings")
        return ()

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = str(self.take(key, str, default, "a string"))
        if value in choices:
            return value
        self.problem(key, f"must be one of {', '.join(choices)}, not {value!r}")
        return default

    def duration(self, key: str, default: float) -> float:
        value = self.take(key, str, None, "a duration such as 15m") if key in self.content else None
        self.known.append(key)
        if value is None:
            return default
        match = _DURATION.fullmatch(value)
        if match and int(match[1]) > 0:
            return int(match[1]) * _SECONDS[match[2]]
        self.problem(key, f"must be a duration such as 30s, 15m, 4h or 90d, not {value!r}")
        return default

    def time_zone(self, key: str, default: str) -> str:
        value = str(self.take(key, str, default, "a time zone such as Asia/Tokyo"))
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.problem(key, f"must be a time zone such as Asia/Tokyo, not {value!r}")
            return default
        return value

    def tables(self, key: str) -> Mapping[str, Any]:
        return dict(self.take(key, dict, {}, "a table of tables"))

    def array(self, key: str) -> list[Any]:
        return list(self.take(key, list, [], "an array of tables"))

    def rest(self) -> dict[str, Any]:
        """Everything that was not read; nothing is left."""
        rest, self.content = self.content, {}
        return rest

    def done(self) -> None:
        for key in self.content:
            self.problem(key, f"is not a key of this table; {_known(self.known)}")


def _known(names: Iterable[str]) -> str:
    return f"there are {', '.join(sorted(names)) or 'none'}"
