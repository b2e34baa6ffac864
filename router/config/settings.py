"""What alert-router.toml says, once it is parsed: frozen data. `router.config.parse` builds it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from router.channels.configured import ConfiguredChannel
from router.config.hours import Hours
from router.config.match import Match
from router.config.rules import UserRule
from router.config.silences import Silence
from router.model import Severity
from router.poll.state import Expectation


class Route(NamedTuple):
    """Which alerts go to which channels.

    Attributes:
        severity: the least severity that it takes.
        hours: the alert's time must be in one of these, in `time_zone`; empty means always.
        mention: a text such as `<!here>`. Only the configuration can put a mention into a message.
        language, time_zone, dedup_window: override the channel's; "" or 0 keeps the channel's.
        continues: later routes are tried too (`continue = true`).
    """

    severity: Severity = Severity.INFO
    match: Match = MappingProxyType({})
    channels: tuple[str, ...] = ()
    hours: tuple[Hours, ...] = ()
    mention: str = ""
    language: str = ""
    time_zone: str = ""
    dedup_window: float = 0.0
    continues: bool = False


class EnrichSettings(NamedTuple):
    """`[enrich]`: what messages show beyond the event. The function's role is allowed only what is switched on.

    Attributes:
        history: earlier occurrences and the preceding deployment, from the router's own table.
        task_definition: memory limits, essential containers, log groups (ecs:DescribeTaskDefinition).
        log_groups: globs of the log groups whose last lines messages may show (logs:GetLogEvents); empty for none.
    """

    history: bool = True
    task_definition: bool = False
    log_groups: tuple[str, ...] = ()


class Poll(NamedTuple):
    """`[poll]`: what the tick asks AWS for. The function's role is allowed only what is switched on.

    Attributes:
        verify: ask hourly whether an open condition, such as an alarm in ALARM, continues; only while one is open.
        services: look for services that run fewer tasks than desired.
        every: seconds between two polls of the services.
    """

    verify: bool = True
    services: bool = False
    every: float = 300.0


class Config(NamedTuple):
    """The whole file. Durations are in seconds.

    Attributes:
        remind: a condition that continues is mentioned again this long after the last message; 0 for never.
        retention_by_severity: the severities whose rows are kept for another time than `retention`.
        time_zone: the default time zone for `hours` in routes.
        accounts: account id to the name that messages show for it.
        channels: usable channels by name.
        rules: the user's rules, applied after the built-in classification.
        maintenance: windows; alerts that match one are silenced while it is active.
        expect: the runs that are expected.
        unset: channel name to the required option that is unset, which is why the channel is not configured.
        disabled: channel name to the reason it cannot work. Its deliveries fail with that reason; other channels work.
        problems: everything that `config check` and a deployment reject.
        warnings: what they accept but report, such as a literal secret outside production.
    """

    enrich: EnrichSettings = EnrichSettings()
    poll: Poll = Poll()
    resolve_after: float = 300.0
    remind: float = 86400.0
    retention: float = 90 * 86400.0
    retention_by_severity: Mapping[str, float] = MappingProxyType({})
    time_zone: str = "UTC"
    accounts: Mapping[str, str] = MappingProxyType({})
    channels: Mapping[str, ConfiguredChannel] = MappingProxyType({})
    rules: tuple[UserRule, ...] = ()
    routes: tuple[Route, ...] = ()
    maintenance: tuple[Silence, ...] = ()
    expect: tuple[Expectation, ...] = ()
    unset: Mapping[str, str] = MappingProxyType({})
    disabled: Mapping[str, str] = MappingProxyType({})
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
