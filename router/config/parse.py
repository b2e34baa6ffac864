"""alert-router.toml, checked whole: every problem is found and named with its place before anything runs.

A value is a literal or a reference: `env:NAME`, `ssm:/path`, `secretsmanager:name` or `secretsmanager:name#key`; a
variable may itself hold a reference to a secret. Empty is the same as unset: an option that is unset is absent, and a
channel that lacks an option which it requires is simply not configured.
"""

import re
import time
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from router.channels.configured import ConfiguredChannel, OptionMissing, no_secret_client
from router.channels.plugins import Plugins
from router.channels.secrets import Secrets
from router.config.hours import Hours, parse_hours
from router.config.rules import FACTS, UserRule
from router.config.silences import FACTS as SILENCE_FACTS
from router.config.silences import Silence, wrong_severities
from router.config.toml_reader import Reader, TomlTable, known
from router.errors import ConfigError, PermanentError
from router.model import ChannelConfig, Severity

LANGUAGES = ("en", "ja")
PRODUCTION = "prod"  # the stage that refuses literal secrets; others warn
SHORTEST_RETENTION = 2 * 86400.0  # seconds
_SLUG = re.compile(r"[a-z0-9_]+")
_LOG_GROUP = re.compile(r"[A-Za-z0-9_/.#*-]{1,512}")
_GLOBS = ("clusters", "services", "families", "causes", "accounts", "regions")


class Route(NamedTuple):
    """Which alerts go to which channels. Globs match without regard to case; an empty tuple matches everything.

    Attributes:
        severity: at least this.
        services, families: names of subjects; where both are given, either may match.
        hours: the alert's time is in one of these, in `time_zone`; empty for always.
        mention: a text that the configuration, and nobody else, may put into a message, such as `<!here>`.
        language, time_zone, dedup_window: in place of the channel's; "" or 0 leaves it.
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
    hours: tuple[Hours, ...] = ()
    mention: str = ""
    language: str = ""
    time_zone: str = ""
    dedup_window: float = 0.0
    continues: bool = False


class EnrichSettings(NamedTuple):
    """`[enrich]`: what messages tell beyond the event. The function is permitted only what is on.

    Attributes:
        history: how often it was before, and what was deployed: from the router's own table.
        task_definition: memory limits, essential containers, log groups: ecs:DescribeTaskDefinition.
        log_groups: globs of the log groups whose last lines messages show: logs:GetLogEvents; empty for none.
    """

    history: bool = True
    task_definition: bool = False
    log_groups: tuple[str, ...] = ()


class Config(NamedTuple):
    """What alert-router.toml says, references resolved. Durations are in seconds.

    Attributes:
        retention_by_severity: of the severities whose rows are kept for another time than `retention`.
        time_zone: of hours in routes.
        channels: by name.
        rules: the user's own word on classifications.
        maintenance: windows in which what they match is silenced.
        unset: channels that are not configured because a required option is unset, and which option that is.
        disabled: channels that cannot work, and why. Their deliveries fail with that reason; the others go on.
        problems: everything that `config check` and a deployment refuse.
        warnings: what they let pass with a word: a secret that stands where others can read it.
    """

    enrich: EnrichSettings = EnrichSettings()
    resolve_after: float = 300.0
    retention: float = 90 * 86400.0
    retention_by_severity: Mapping[str, float] = MappingProxyType({})
    time_zone: str = "UTC"
    channels: Mapping[str, ConfiguredChannel] = MappingProxyType({})
    rules: tuple[UserRule, ...] = ()
    routes: tuple[Route, ...] = ()
    maintenance: tuple[Silence, ...] = ()
    unset: Mapping[str, str] = MappingProxyType({})
    disabled: Mapping[str, str] = MappingProxyType({})
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def load(path: Path, plugins: Plugins, environ: Mapping[str, str], secrets: Secrets | None = None) -> Config:
    """Reads the file. Raises ConfigError where it cannot be read or no channel is usable; all else is in `problems`.

    Args:
        secrets: reads references when a channel is needed; None where nothing will be sent.
    """
    config = parse(read(path), plugins, environ, secrets)
    if not config.channels:
        lacking = [f"channels.{name}: {option} is unset" for name, option in config.unset.items()]
        raise ConfigError([f"{path}: no channel is usable: set the option of one of them", *lacking, *config.problems])
    return config


def read(path: Path) -> dict[str, Any]:
    """The file as it stands. Raises ConfigError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from error


def parse(
    table: Mapping[str, Any], plugins: Plugins, environ: Mapping[str, str], secrets: Secrets | None = None
) -> Config:
    """Turns the parsed TOML into a Config. Never raises: what is wrong is in `problems`."""
    reader = Reader(list(plugins.problems))
    top = reader.table("", table)
    defaults = _settings(top, ChannelConfig(name="", kind="", options={}))
    shipped = Config()
    config = Config(
        resolve_after=top.duration("resolve_after", shipped.resolve_after),
        retention=top.duration("retention", shipped.retention),
        retention_by_severity=_retention(reader.table("retention_by_severity", top.tables("retention_by_severity"))),
        enrich=_enrich(reader.table("enrich", top.tables("enrich"))),
        time_zone=defaults.time_zone,
    )
    kinds = top.tables("kinds")
    of_kind = {kind: _of_kind(reader.table(f"kinds.{kind}", content), defaults) for kind, content in kinds.items()}
    channels = _Channels(
        reader, plugins, environ, secrets or Secrets(no_secret_client, no_secret_client, time.monotonic)
    )
    for name, content in top.tables("channels").items():
        channels.add(reader.table(f"channels.{name}", content), name, of_kind, defaults)
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
    return config._replace(
        channels=channels.made,
        routes=routes,
        rules=rules,
        maintenance=tuple(window for window in maintenance if window),
        unset=channels.unset,
        disabled=channels.disabled,
        problems=tuple(reader.problems),
        warnings=tuple(channels.warnings),
    )


def _retention(table: TomlTable) -> dict[str, float]:
    """Seconds, by severity. No shorter than an incident may go on without a word: its number would be forgotten."""
    found = {str(each): table.duration(each, 0.0) for each in Severity}
    table.done()
    for severity, seconds in found.items():
        if 0 < seconds < SHORTEST_RETENTION:
            table.problem(severity, "must be at least 2d: an event may come again, and an incident lapse, after a day")
    return {severity: seconds for severity, seconds in found.items() if seconds}


def _enrich(table: TomlTable) -> EnrichSettings:
    shipped = EnrichSettings()
    settings = EnrichSettings(
        history=table.flag("history", default=shipped.history),
        task_definition=table.flag("task_definition"),
        log_groups=table.texts("log_groups"),
    )
    if settings.log_groups and not settings.task_definition:
        table.problem("log_groups", "needs task_definition = true, which tells where a container's log is")
    for group in settings.log_groups:
        if not _LOG_GROUP.fullmatch(group):
            table.problem("log_groups", f"must be names of log groups, in which * stands for anything, not {group!r}")
    table.done()
    return settings


def _settings(table: TomlTable, defaults: ChannelConfig) -> ChannelConfig:
    """What the file as a whole, a kind and a channel may each say."""
    return replace(
        defaults,
        language=table.choice("language", LANGUAGES, defaults.language),
        time_zone=table.time_zone("time_zone", defaults.time_zone),
        dedup_window=table.duration("dedup_window", defaults.dedup_window),
    )


def _of_kind(table: TomlTable, defaults: ChannelConfig) -> ChannelConfig:
    settings = _settings(table, defaults)
    table.done()
    return settings


# --- channels ---------------------------------------------------------------------------------------------------------


class _Channels:
    def __init__(self, reader: Reader, plugins: Plugins, environ: Mapping[str, str], secrets: Secrets) -> None:
        self.reader = reader
        self.plugins = plugins
        self.environ = environ
        self.secrets = secrets
        self.made: dict[str, ConfiguredChannel] = {}
        self.unset: dict[str, str] = {}
        self.disabled: dict[str, str] = {}
        self.warnings: list[str] = []

    def add(self, table: TomlTable, name: str, of_kind: Mapping[str, ChannelConfig], defaults: ChannelConfig) -> None:
        kind = table.text("kind")
        config = replace(_settings(table, of_kind.get(kind, defaults)), name=name, kind=kind)
        options = {option: _resolved(value, self.environ) for option, value in table.rest().items()}
        unset = {option for option, value in options.items() if value == ""}
        config = replace(config, options={key: value for key, value in options.items() if key not in unset})
        if kind not in self.plugins.kinds:
            self._disable(name, f"no plugin provides the kind {kind!r}", f"; {known(self.plugins.kinds)}")
            return
        source = ConfiguredChannel(config, self.plugins.kinds[kind], self.secrets)
        self._judge_literals(source)
        try:
            if not source.has_secret_references:
                source.open()
            self.made[name] = source
        except OptionMissing as error:
            if error.option in unset:
                self.unset[name] = error.option
            else:
                self._disable(name, str(error))
        except PermanentError as error:
            self._disable(name, str(error))

    def _judge_literals(self, source: ConfiguredChannel) -> None:
        """A secret in the file or in a variable can be read by whoever sees the repository or the function."""
        said = self.reader.problems if self.environ.get("STAGE") == PRODUCTION else self.warnings
        for option in source.literal_secrets:
            place = f"channels.{source.config.name}.{option}"
            said.append(f"{place}: is a literal secret: refer to it by ssm:/path or secretsmanager:name")

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
    declared = {*channels.made, *channels.unset, *channels.disabled}
    if not route.channels:
        table.problem("channels", "names no channel")
    for channel in route.channels:
        if channel not in declared:
            table.problem("channels", f"there is no channel {channel!r}; {known(declared)}")
    if route.channels and not {*channels.made, *channels.disabled} & {*route.channels}:
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
    """The window, or None where anything is wrong with it: half understood, it would silence what it should not."""
    already = len(table.problems)
    match = TomlTable(f"{table.place}.match", dict(table.take("match", dict, {}, "a table")), table.problems)
    window = Silence(
        id=table.text("name") or table.place,
        match={fact: globs for fact in SILENCE_FACTS if (globs := match.one_or_more(fact))},
        reason=table.text("reason"),
        hours=table.parsed("hours", parse_hours),
        time_zone=table.time_zone("time_zone", time_zone),
    )
    if not (window.match or match.content or match.problems[already:]):
        table.problem("match", 'matches everything: say so with match = { cluster = "*" }, or name what it silences')
    if not window.hours and len(table.problems) == already:
        table.problem("hours", "names none such as sat 02:00-04:00, so it would never end")
    for severity in wrong_severities(window.match):
        match.problem("severity", f"must be one of {', '.join(Severity)}, not {severity!r}")
    match.done()
    table.done()
    return window if len(table.problems) == already else None


def _exit_codes(match: TomlTable) -> frozenset[int]:
    value = match.content.get("exit_code")
    codes = [value] if isinstance(value, int) else match.take("exit_code", list, [], "a number or a list of numbers")
    match.content.pop("exit_code", None)
    if all(isinstance(code, int) and not isinstance(code, bool) for code in codes):
        return frozenset(codes)
    match.problem("exit_code", "must be a number or a list of numbers")
    return frozenset()
