"""Reads and checks alert-router.toml. It reports every problem with its place, instead of stopping at the first.

A value is a literal or a reference: `env:NAME`, `ssm:/path`, `secretsmanager:name` or `secretsmanager:name#key`. An
environment variable may itself hold a reference to a secret. Empty means unset: an unset option is absent, and a
channel without an option that it requires is not configured.
"""

import re
import time
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from router.channels.configured import ConfiguredChannel, OptionMissing, no_secret_client
from router.channels.plugins import Plugins
from router.channels.secrets import Secrets
from router.config import production
from router.config.hours import parse_hours
from router.config.rules import FACTS, UserRule
from router.config.settings import Config, EnrichSettings, Route
from router.config.silences import FACTS as SILENCE_FACTS
from router.config.silences import Silence, wrong_severities
from router.config.toml_reader import Reader, TomlTable, known
from router.errors import ConfigError, PermanentError
from router.model import ChannelConfig, Severity

LANGUAGES = ("en", "ja")
MIN_RETENTION = 2 * 86400.0  # seconds
_ACCOUNT = re.compile(r"[0-9]{12}")
_SLUG = re.compile(r"[a-z0-9_]+")
_LOG_GROUP = re.compile(r"[A-Za-z0-9_/.#*-]{1,512}")
_GLOBS = ("clusters", "services", "families", "causes", "accounts", "regions")


def load(path: Path, plugins: Plugins, environ: Mapping[str, str], secrets: Secrets | None = None) -> Config:
    """Reads and checks the file. All problems but the two below are in `problems` of the result.

    Args:
        secrets: reads secret references when a channel is first used; None if nothing will be sent.

    Raises:
        ConfigError: the file cannot be read, or no channel is usable.
    """
    config = parse(read(path), plugins, environ, secrets)
    if not config.channels:
        lacking = [f"channels.{name}: {option} is unset" for name, option in config.unset.items()]
        raise ConfigError([f"{path}: no channel is usable: set the option of one of them", *lacking, *config.problems])
    return config


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
    """Turns parsed TOML into a Config. Never raises: `problems` lists everything that is wrong."""
    reader = Reader(list(plugins.problems))
    top = reader.table("", table)
    defaults = _channel_settings(top, ChannelConfig(name="", kind="", options={}))
    shipped = Config()
    config = Config(
        resolve_after=top.duration("resolve_after", shipped.resolve_after),
        retention=top.duration("retention", shipped.retention),
        retention_by_severity=_retention(reader.table("retention_by_severity", top.tables("retention_by_severity"))),
        enrich=_enrich(reader.table("enrich", top.tables("enrich"))),
        time_zone=defaults.time_zone,
        accounts=_accounts(reader.table("accounts", top.tables("accounts"))),
    )
    by_kind: dict[str, ChannelConfig] = {}
    for kind, content in top.tables("kinds").items():
        table_of_kind = reader.table(f"kinds.{kind}", content)
        by_kind[kind] = _channel_settings(table_of_kind, defaults)
        table_of_kind.done()
    channels = _Channels(
        reader, plugins, environ, secrets or Secrets(no_secret_client, no_secret_client, time.monotonic)
    )
    for name, content in top.tables("channels").items():
        channels.add(reader.table(f"channels.{name}", content), name, by_kind, defaults)
    routes = tuple(
        _route(reader.table(f"routes[{position}]", route), channels)
        for position, route in enumerate(top.array("routes"), start=1)
    )
    rules = tuple(
        _rule(reader.table(f"rules[{position}]", rule)) for position, rule in enumerate(top.array("rules"), start=1)
    )
    maintenance = [
        _maintenance(reader.table(f"maintenance[{position}]", window), defaults.time_zone)
        for position, window in enumerate(top.array("maintenance"), start=1)
    ]
    top.done()
    if not routes:
        reader.problems.append("routes: there is none, so nothing would ever be sent; add a [[routes]] table")
    exposed = production.check(table, plugins, environ)
    return config._replace(
        channels=channels.usable,
        routes=routes,
        rules=rules,
        maintenance=tuple(window for window in maintenance if window),
        unset=channels.unset,
        disabled=channels.disabled,
        problems=(*reader.problems, *exposed.problems),
        warnings=exposed.warnings,
    )


def _retention(table: TomlTable) -> dict[str, float]:
    """Seconds by severity. The minimum is longer than an incident can stay silent, or its number would be lost."""
    durations = {str(severity): table.duration(severity, 0.0) for severity in Severity}
    table.done()
    for severity, seconds in durations.items():
        if 0 < seconds < MIN_RETENTION:
            table.problem(severity, "must be at least 2d: events can be repeated, and incidents lapse, after a day")
    return {severity: seconds for severity, seconds in durations.items() if seconds}


def _accounts(table: TomlTable) -> dict[str, str]:
    """Names by account id. An id or name that is wrong is left out, and the account is shown by its id alone."""
    names = {}
    for account, name in table.rest().items():
        if not _ACCOUNT.fullmatch(account):
            table.problem(account, "must be an account id of 12 digits, in quotes")
        elif not isinstance(name, str) or not name.strip():
            table.problem(account, f"must be the account's name, not {name!r}")
        else:
            names[account] = name.strip()
    return names


def _enrich(table: TomlTable) -> EnrichSettings:
    shipped = EnrichSettings()
    settings = EnrichSettings(
        history=table.flag("history", default=shipped.history),
        task_definition=table.flag("task_definition"),
        log_groups=table.texts("log_groups"),
    )
    if settings.log_groups and not settings.task_definition:
        table.problem("log_groups", "needs task_definition = true: the task definition says where a container logs")
    for group in settings.log_groups:
        if not _LOG_GROUP.fullmatch(group):
            table.problem("log_groups", f"must be log group names, with * for any characters, not {group!r}")
    table.done()
    return settings


def _channel_settings(table: TomlTable, defaults: ChannelConfig) -> ChannelConfig:
    """The settings that the file as a whole, a kind and a channel can each have."""
    return replace(
        defaults,
        language=table.choice("language", LANGUAGES, defaults.language),
        time_zone=table.time_zone("time_zone", defaults.time_zone),
        dedup_window=table.duration("dedup_window", defaults.dedup_window),
    )


# --- channels ---------------------------------------------------------------------------------------------------------


class _Channels:
    """The channels of the file, sorted into usable, unset and disabled as they are added."""

    def __init__(self, reader: Reader, plugins: Plugins, environ: Mapping[str, str], secrets: Secrets) -> None:
        self.reader = reader
        self.plugins = plugins
        self.environ = environ
        self.secrets = secrets
        self.usable: dict[str, ConfiguredChannel] = {}
        self.unset: dict[str, str] = {}
        self.disabled: dict[str, str] = {}

    def add(self, table: TomlTable, name: str, by_kind: Mapping[str, ChannelConfig], defaults: ChannelConfig) -> None:
        kind = table.text("kind")
        config = replace(_channel_settings(table, by_kind.get(kind, defaults)), name=name, kind=kind)
        options = {option: _resolved(value, self.environ) for option, value in table.rest().items()}
        unset = {option for option, value in options.items() if value == ""}
        config = replace(config, options={key: value for key, value in options.items() if key not in unset})
        if kind not in self.plugins.kinds:
            self._disable(name, f"no plugin provides the kind {kind!r}", f"; {known(self.plugins.kinds)}")
            return
        channel = ConfiguredChannel(config, self.plugins.kinds[kind], self.secrets)
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

    def _disable(self, name: str, problem: str, hint: str = "") -> None:
        self.reader.problems.append(f"channels.{name}: {problem}{hint}")
        self.disabled[name] = problem


def _resolved(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("env:"):
        return environ.get(value.removeprefix("env:"), "").strip()
    return value


# --- routes, rules, maintenance ---------------------------------------------------------------------------------------


def _route(table: TomlTable, channels: _Channels) -> Route:
    route = Route(
        severity=Severity(table.choice("severity", tuple(Severity), Severity.INFO)),
        channels=table.texts("channels"),
        hours=table.parsed("hours", parse_hours),
        mention=table.text("mention"),
        language=table.choice("language", ("", *LANGUAGES), ""),
        time_zone=table.time_zone("time_zone", ""),
        dedup_window=table.duration("dedup_window", 0.0),
        continues=table.flag("continue"),
        **{name: table.texts(name) for name in _GLOBS},
    )
    declared = {*channels.usable, *channels.unset, *channels.disabled}
    if not route.channels:
        table.problem("channels", "names no channel")
    for channel in route.channels:
        if channel not in declared:
            table.problem("channels", f"there is no channel {channel!r}; {known(declared)}")
    if route.channels and not {*channels.usable, *channels.disabled} & {*route.channels}:
        table.problems.append(f"{table.place}: none of its channels is configured: {list(route.channels)}")
    table.done()
    return route


def _rule(table: TomlTable) -> UserRule:
    match = TomlTable(f"{table.place}.match", dict(table.take("match", dict, {}, "a table")), table.problems)
    severity = table.optional("severity", str, "a severity")
    if severity is not None and severity not in tuple(Severity):
        table.problem("severity", f"must be one of {', '.join(Severity)}, not {severity!r}")
        severity = None
    cause = table.optional("cause", str, "a slug such as nightly_batch_failed")
    if cause is not None and not _SLUG.fullmatch(cause):
        table.problem("cause", f"must be a slug such as nightly_batch_failed, not {cause!r}")
        cause = None
    rule = UserRule(
        name=table.text("name") or table.place,
        match={fact: globs for fact in FACTS if (globs := match.one_or_more(fact))},
        exit_codes=_exit_codes(match),
        severity=Severity(severity) if severity else None,
        cause=cause,
        resolves=table.optional("resolves", bool, "true or false"),
        runbook_url=table.text("runbook_url"),
    )
    if rule.runbook_url and not rule.runbook_url.startswith("https://"):
        table.problem("runbook_url", "must begin with https://")
    match.done()
    table.done()
    return rule


def _maintenance(table: TomlTable, time_zone: str) -> Silence | None:
    """The window, or None if anything is wrong with it: a window read in part could silence too much."""
    problems_before = len(table.problems)
    match = TomlTable(f"{table.place}.match", dict(table.take("match", dict, {}, "a table")), table.problems)
    window = Silence(
        id=table.text("name") or table.place,
        match={fact: globs for fact in SILENCE_FACTS if (globs := match.one_or_more(fact))},
        reason=table.text("reason"),
        hours=table.parsed("hours", parse_hours),
        time_zone=table.time_zone("time_zone", time_zone),
    )
    if not (window.match or match.content or match.problems[problems_before:]):
        table.problem(
            "match",
            'matches everything: name what it silences, or write match = { cluster = "*" }',
        )
    if not window.hours and len(table.problems) == problems_before:
        table.problem("hours", 'is missing, so the window would never end; write for example hours = "sat 02:00-04:00"')
    for severity in wrong_severities(window.match):
        match.problem("severity", f"must be one of {', '.join(Severity)}, not {severity!r}")
    match.done()
    table.done()
    return window if len(table.problems) == problems_before else None


def _exit_codes(match: TomlTable) -> frozenset[int]:
    value = match.content.get("exit_code")
    codes = [value] if isinstance(value, int) else match.take("exit_code", list, [], "a number or a list of numbers")
    match.content.pop("exit_code", None)
    if all(isinstance(code, int) and not isinstance(code, bool) for code in codes):
        return frozenset(codes)
    match.problem("exit_code", "must be a number or a list of numbers")
    return frozenset()
