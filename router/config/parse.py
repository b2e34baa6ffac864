"""Reads and checks alert-router.toml. It reports every problem with its place, instead of stopping at the first.

`router.config.tables` says what the file may hold. This module makes the settings of it, and checks what one value
alone does not show. A value is a literal or a reference (`router.config.references`). Empty means unset: an unset
option is absent, and a channel without an option that it requires is not configured.
"""

import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from router.channels.configured import (
    ConfiguredChannel,
    NoSecretRead,
    OptionMissing,
    call_plugin,
    no_secret_client,
    with_secrets,
)
from router.channels.plugins import Plugins, declared_options
from router.channels.secrets import Secrets
from router.config import production
from router.config.forms import Place, known, read_table
from router.config.lines import with_lines
from router.config.match import accepts_all, everything
from router.config.references import from_environment, problems_of, variable_of
from router.config.rules import UserRule
from router.config.settings import Config, EnrichSettings, Poll, Route
from router.config.silences import Silence
from router.config.tables import CHANNEL, MATCHES_EVERYTHING, SETTINGS, alert_router_toml
from router.errors import ChannelError, ConfigError, PermanentError
from router.model import ChannelConfig
from router.poll.state import Expectation


def load(path: Path, plugins: Plugins, environ: Mapping[str, str], secrets: Secrets | None = None) -> Config:
    """Reads and checks the file. All problems but the two below are in `problems` of the result, with their lines.

    Args:
        secrets: as for `parse`.

    Raises:
        ConfigError: the file cannot be read, or no channel is usable.
    """
    content = read(path)
    config = parse(content, plugins, environ, secrets)
    if config.problems:
        config = config._replace(problems=with_lines(config.problems, path.read_text("utf-8")))
    if not config.channels:
        channels = content.get("channels", {})
        lacking = [
            f"channels.{name}: {option} is unset{_remedy(channels.get(name, {}).get(option))}"
            for name, option in config.unset.items()
        ]
        raise ConfigError([f"{path}: no channel is usable: set the option of one of them", *lacking, *config.problems])
    return config


def _remedy(value: object) -> str:
    variable = variable_of(value)
    return f": set the environment variable {variable}" if variable is not None else ""


def _deployed(environ: Mapping[str, str]) -> ChannelConfig:
    """The settings of a channel before the file is read. Lambda sets the region, serverless.yml the stage."""
    stage = environ.get("STAGE", "")
    region = environ.get("AWS_REGION", "") if stage else ""
    return ChannelConfig(name="", kind="", options={}, stage=stage, region=region)


def read(path: Path) -> dict[str, Any]:
    """The file's TOML, unchecked. Raises ConfigError if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from error


def parse(
    table: Mapping[str, Any], plugins: Plugins, environ: Mapping[str, str], secrets: Secrets | None = None
) -> Config:
    """Turns parsed TOML into a Config. Never raises: `problems` lists everything that is wrong.

    Args:
        secrets: reads secret references when a channel is first used; None if nothing will be sent. Then what can never
            match is looked for too, for which the function has no time when it starts.
    """
    file = Place("", list(plugins.problems))
    kinds = {kind: declared_options(factory) for kind, factory in plugins.kinds.items()}
    values = read_table(alert_router_toml(kinds), table, file)
    defaults = _settings(values, _deployed(environ))
    channels = _Channels(
        file.key("channels"), plugins, environ, secrets or Secrets(no_secret_client, no_secret_client, time.monotonic)
    )
    by_kind = _kinds(values["kinds"], plugins, defaults, file.key("kinds"))
    for name, content in values["channels"].items():
        channels.add(name, content, by_kind.get(content["kind"], defaults))
    for name, options in values["plugins"].items():
        _configure(name, options, plugins, channels, file.key("plugins"))
    routes = [_route(table, channels, file.key("routes").item(at)) for at, table in enumerate(values["routes"], 1)]
    rules = [_rule(table, file.key("rules").item(at)) for at, table in enumerate(values["rules"], 1)]
    windows = [
        _window(table, defaults.time_zone, file.key("maintenance").item(at))
        for at, table in enumerate(values["maintenance"], 1)
    ]
    config = Config(
        resolve_after=values["resolve_after"],
        remind=values["remind"],
        retention=values["retention"],
        retention_by_severity={name: kept for name, kept in values["retention_by_severity"].items() if kept},
        enrich=_enrich(EnrichSettings(**values["enrich"]), file.key("enrich")),
        poll=Poll(**values["poll"]),
        time_zone=defaults.time_zone,
        accounts=values["accounts"],
        channels=channels.usable,
        routes=tuple(routes),
        rules=tuple(rules),
        maintenance=tuple(window for window in windows if window),
        expect=_expectations(values["expect"], file.key("expect")),
        unset=channels.unset,
        disabled=channels.disabled,
    )
    # A rule that was read in part could change too much.
    applied = tuple(rule for at, rule in enumerate(rules, 1) if not file.key("rules").item(at).key("match").is_wrong)
    exposed = production.check(table, plugins, environ)
    warnings = [*exposed.warnings]
    if secrets is None:
        from router.config.check import check  # noqa: PLC0415 - not when the function starts

        warnings += check(config, windows, plugins, file)
    return config._replace(rules=applied, problems=(*file.problems, *exposed.problems), warnings=tuple(warnings))


def _settings(values: Mapping[str, Any], defaults: ChannelConfig) -> ChannelConfig:
    """The settings that the file as a whole, a kind and a channel can each have."""
    return replace(defaults, **{name: values[name] for name in SETTINGS if values[name] is not None})


def _kinds(
    kinds: Mapping[str, Any], plugins: Plugins, defaults: ChannelConfig, place: Place
) -> Mapping[str, ChannelConfig]:
    for kind in kinds.keys() - plugins.kinds.keys():
        place.key(kind).report(f"no plugin provides this kind; {known(plugins.kinds, kind)}")
    return {kind: _settings(values, defaults) for kind, values in kinds.items()}


def _enrich(settings: EnrichSettings, place: Place) -> EnrichSettings:
    if settings.log_groups and not settings.task_definition:
        place.key("log_groups").report("needs task_definition = true: the task definition says where a container logs")
    return settings


# --- channels ---------------------------------------------------------------------------------------------------------


class _Channels:
    """The channels of the file, sorted into usable, unset and disabled as they are added."""

    def __init__(self, place: Place, plugins: Plugins, environ: Mapping[str, str], secrets: Secrets) -> None:
        self.place = place
        self.plugins = plugins
        self.environ = environ
        self.secrets = secrets
        self.usable: dict[str, ConfiguredChannel] = {}
        self.unset: dict[str, str] = {}
        self.disabled: dict[str, str] = {}
        self._added: dict[str, tuple[Mapping[str, Any], ChannelConfig]] = {}

    def add(self, name: str, content: Mapping[str, Any], defaults: ChannelConfig) -> None:
        self._added[name] = content, defaults
        kind = content["kind"]
        written = {option: value for option, value in content.items() if option not in CHANNEL.keys}
        options = from_environment(written, self.environ)
        unset = {option for option, value in options.items() if value == ""}
        config = replace(
            _settings(content, defaults),
            name=name,
            kind=kind,
            options={option: value for option, value in options.items() if option not in unset},
        )
        if kind not in self.plugins.kinds:
            self.disabled[name] = f"no plugin provides the kind {kind!r}"
        elif not self._has_malformed_reference(name, written):
            self._make(ConfiguredChannel(config, self.plugins.kinds[kind], self.secrets), unset)

    def add_for_route(self, name: str) -> None:
        """Adds `CHANNEL#PLACE`: the channel of that name, with another value of its kind's `route_option`."""
        base, mark, place = name.partition("#")
        if name in self._added or base not in self._added or not (mark and place):
            return
        content, defaults = self._added[base]
        option = getattr(self.plugins.kinds.get(content["kind"]), "route_option", "")
        if option:
            self.add(name, {**content, option: place}, defaults)

    def _has_malformed_reference(self, name: str, written: Mapping[str, Any]) -> bool:
        problems_by_option = {option: problems_of(value, self.environ) for option, value in written.items()}
        for option, problems in problems_by_option.items():
            for problem in problems:
                self.place.key(name).key(option).report(problem)
                self.disabled[name] = f"{option}: {problem}"
        return name in self.disabled

    def _make(self, channel: ConfiguredChannel, unset: set[str]) -> None:
        name = channel.config.name
        try:
            if not channel.has_secret_references:
                channel.open()
            self.usable[name] = channel
        except OptionMissing as error:
            if error.option in unset:
                self.unset[name] = error.option
            else:
                self._disable(name, str(error))
        except PermanentError as error:
            self._disable(name, str(error))

    def _disable(self, name: str, problem: str) -> None:
        if not self.place.key(name).is_wrong:  # an option that is missing is reported already
            self.place.key(name).report(problem)
        self.disabled[name] = problem


def _configure(name: str, written: Mapping[str, Any], plugins: Plugins, channels: _Channels, tables: Place) -> None:
    """Gives a plugin the options of its table."""
    place = tables.key(name)
    if name not in plugins.configurable:
        place.report(f"is no plugin with the hook configure_plugin; {known(plugins.configurable, name)}")
        return
    declared = {option.name for option in declared_options(plugins.configurable[name]) or ()}
    for option in written.keys() - declared if declared else ():
        place.key(option).report(f"is no option of this plugin; {known(declared, option)}")
    malformed = {option: problems_of(value, channels.environ) for option, value in written.items()}
    for option, problems in malformed.items():
        for problem in problems:
            place.key(option).report(problem)
    options = from_environment(written, channels.environ)
    given = {option: value for option, value in options.items() if value != "" and not malformed[option]}
    try:
        complete = with_secrets(given, channels.secrets.read)
        call_plugin(lambda: plugins.configure(name, complete), complete)
    except OptionMissing as error:
        if error.option not in options.keys() - given.keys():
            place.report(str(error))
    except NoSecretRead:
        pass  # only the function reads them
    except ChannelError as error:
        place.report(str(error))


# --- expected runs ----------------------------------------------------------------------------------------------------


def _expectations(tables: Sequence[Mapping[str, Any]], place: Place) -> tuple[Expectation, ...]:
    """The expected runs that are valid; the others are problems."""
    names = [table["name"].lower() for table in tables]
    for at, name in enumerate(names, 1):
        if name and name in names[: at - 1]:
            place.item(at).key("name").report(f"is another table's name, too: {name}")
    expected = [_expectation(table, place.item(at)) for at, table in enumerate(tables, 1)]
    return tuple(expectation for expectation in expected if expectation)


def _expectation(values: Mapping[str, Any], place: Place) -> Expectation | None:
    from router.poll.schedule import every, parse_schedule  # noqa: PLC0415 - most files expect no runs

    fields = {name: values[name] for name in ("name", "family", "cluster", "grace", "max_runtime")}
    if (values["every"] is None) == (values["schedule"] is None):
        if not place.is_wrong:
            place.report('must have either every, such as "24h", or schedule')
        return None
    try:
        schedule = (
            every(values["every"]) if values["every"] else parse_schedule(values["schedule"], values["time_zone"])
        )
    except ValueError as error:
        place.key("schedule").report(str(error))
        return None
    return None if place.is_wrong else Expectation(schedule=schedule, **fields)


# --- routes, rules, maintenance ---------------------------------------------------------------------------------------


def _route(values: Mapping[str, Any], channels: _Channels, place: Place) -> Route:
    fields = {name: value for name, value in values.items() if name in Route._fields}
    route = Route(**{**fields, "match": _given(values["match"])}, continues=values["continue"])
    for channel in route.channels:
        channels.add_for_route(channel)
    declared = {*channels.usable, *channels.unset, *channels.disabled}
    for channel in route.channels:
        if channel not in declared:
            place.key("channels").report(f"there is no channel {channel!r}; {known(declared, channel)}")
    if route.channels and not {*channels.usable, *channels.disabled} & {*route.channels}:
        place.report(f"none of its channels is configured: {list(route.channels)}")
    return route


def _rule(values: Mapping[str, Any], place: Place) -> UserRule:
    fields = {name: value for name, value in values.items() if name in UserRule._fields}
    rule = UserRule(**{**fields, "name": values["name"] or place.path, "match": _given(values["match"])})
    _refuse_everything(rule.match, place, "changes")
    if (rule.severity, rule.cause, rule.resolves, rule.runbook_url) == (None, None, None, "") and not place.is_wrong:
        place.report("changes nothing: give it a severity, cause, resolves or runbook_url")
    return rule


def _window(values: Mapping[str, Any], time_zone: str, place: Place) -> Silence | None:
    """The window, or None if anything is wrong with it: a window read in part could silence too much."""
    window = Silence(
        id=values["name"] or place.path,
        match=_given(values["match"]),
        reason=values["reason"],
        hours=values["hours"],
        time_zone=values["time_zone"] or time_zone,
    )
    _refuse_everything(window.match, place, "silences")
    return None if place.is_wrong else window


def _given(match: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {fact: globs for fact, globs in match.items() if globs}


def _refuse_everything(match: Mapping[str, tuple[str, ...]], place: Place, does: str) -> None:
    """Reports a table that matches everything without saying so. If its `match` is wrong, that is reported instead."""
    if everything(match) and not accepts_all(match.get("cluster", ())) and not place.is_wrong:
        place.key("match").report(MATCHES_EVERYTHING.format(does=does))
