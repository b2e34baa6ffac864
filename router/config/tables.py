"""The tables of alert-router.toml and their keys, as data. The reader and `ecs-alert-router config schema` use them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from router.config.forms import (
    ANYTHING,
    EXIT_CODES,
    FLAG,
    GLOBS,
    HOURS,
    HTTPS,
    SLUG,
    TEXT,
    TIME_ZONE,
    Form,
    Key,
    Place,
    Schema,
    Table,
    array_of,
    choice,
    duration,
    known,
    list_of,
    matching,
    read_table,
    shown,
    table_of,
    table_schema,
    whole_duration,
)
from router.config.match import FACTS, SILENCE_FACTS
from router.config.settings import Config, EnrichSettings, Poll
from router.model import ChannelConfig, Option, Severity
from router.poll.state import Expectation, Schedule

LANGUAGES = ("en", "ja")
MIN_RETENTION = "7d"
"""History is asked for a week (recurrence), and an incident that is neither seen nor verified ends after a week."""
MAX_RETENTION = "3650d"
MIN_RETENTION_BY_SEVERITY = "2d"
"""Events can be repeated, and incidents lapse, after a day."""
TICK = "1m"
"""What is due is done every minute."""

OptionsByKind = Mapping[str, Sequence[Option] | None]
"""Kind of channel to the options that it declares; None if it declares none, and takes any."""

MATCHES_EVERYTHING = 'matches everything: name what it {does}, or write match = {{ cluster = "*" }}'
_NO_ROUTE = "there is none, so nothing would ever be sent; add a [[routes]] table"
_SHIPPED, _POLL, _ENRICH = Config(), Poll(), EnrichSettings()
_EXPECTED = Expectation("", "", "", Schedule(""))
_CHANNEL = ChannelConfig(name="", kind="", options={})
_SEVERITY = choice(*Severity, make=Severity)
_WINDOW = duration(at_most="7d")
_KEPT = duration(MIN_RETENTION_BY_SEVERITY, MAX_RETENTION)
_LANGUAGE = choice(*LANGUAGES)


def _hint(name: str) -> str:
    """The hint for a fact outside `match`: it belongs inside."""
    singular = {f"{fact}s": fact for fact in FACTS} | {"families": "family", "exit_codes": "exit_code"}
    fact = singular.get(name.lower(), name.lower())
    return f'write match = {{ {fact} = "…" }}' if fact in FACTS else ""


def _match_hint(name: str) -> str:
    return "only silences can match a task" if name == "task" else ""


_MATCH = Table(
    {fact: Key(EXIT_CODES if fact == "exit_code" else GLOBS, text) for fact, text in FACTS.items()}, hint=_match_hint
)
MATCH = table_of(_MATCH)
SILENCE_MATCH = table_of(Table({**_MATCH.keys, "task": Key(GLOBS, SILENCE_FACTS["task"])}))

ROUTE = Table(
    {
        "channels": Key(
            list_of(TEXT, empty=False), "The channels that the alerts go to.", (), 'is missing: name them, as ["slack"]'
        ),
        "severity": Key(_SEVERITY, "The least severity that the route takes.", Severity.INFO),
        "match": Key(MATCH, "Which alerts it takes; all, if there is none.", {}),
        "hours": Key(HOURS, "When it takes them, such as mon-fri 09:00-18:00.", ()),
        "continue": Key(FLAG, "Whether later routes are tried too.", default=False),
        "mention": Key(TEXT, "A mention such as <!here>, for channels that know mentions.", ""),
        "language": Key(_LANGUAGE, "The language of the messages; the channel's, if not given.", ""),
        "time_zone": Key(TIME_ZONE, "The time zone of the messages and of hours; the channel's, if not given.", ""),
        "dedup_window": Key(_WINDOW, "The first window of an incident; the channel's, if not given.", 0.0),
    },
    hint=_hint,
)
RULE = Table(
    {
        "name": Key(TEXT, "Shown as the rule that decided.", ""),
        "match": Key(MATCH, "Which alerts it changes.", {}, MATCHES_EVERYTHING.format(does="changes")),
        "severity": Key(_SEVERITY, "Their new severity."),
        "cause": Key(SLUG, "Their new cause: any slug."),
        "resolves": Key(FLAG, "Whether they end the problems of their subject."),
        "runbook_url": Key(HTTPS, "The page that messages link to.", ""),
    },
    hint=_hint,
)
MAINTENANCE = Table(
    {
        "name": Key(TEXT, "Shown where history names what silenced an alert.", ""),
        "match": Key(MATCH, "Which alerts it silences.", {}, MATCHES_EVERYTHING.format(does="silences")),
        "hours": Key(
            HOURS,
            "When, such as sat 22:00-02:00.",
            (),
            'is missing, so the window would never end; write for example hours = "sat 02:00-04:00"',
        ),
        "time_zone": Key(TIME_ZONE, "The time zone of hours; the file's, if not given.", ""),
        "reason": Key(TEXT, "Why.", ""),
    },
    hint=_hint,
)
SETTINGS: Mapping[str, Key] = {
    "language": Key(_LANGUAGE, "The language of messages."),
    "time_zone": Key(TIME_ZONE, "The time zone of messages and hours."),
    "dedup_window": Key(_WINDOW, "The first window of an incident; the next are 1 h, 4 h, then daily."),
}
"""What the file as a whole, a kind and a channel can each have."""
CHANNEL = Table(
    {**SETTINGS, "kind": Key(TEXT, "The kind of channel, such as slack.", "", "is missing")}, others=ANYTHING
)
ENRICH = Table(
    {
        "history": Key(FLAG, "Earlier occurrences and the preceding deployment.", default=_ENRICH.history),
        "task_definition": Key(
            FLAG, "Memory limits, essential containers, log streams.", default=_ENRICH.task_definition
        ),
        "log_groups": Key(
            list_of(matching("[A-Za-z0-9_/.#*-]{1,512}", "a log group's name, with * for any characters")),
            "The log groups whose last lines messages may show, as /ecs/*.",
            _ENRICH.log_groups,
        ),
    }
)
POLL = Table(
    {
        "verify": Key(FLAG, "Whether AWS is asked hourly if an open state still holds.", default=_POLL.verify),
        "services": Key(FLAG, "Whether services with too few tasks are looked for.", default=_POLL.services),
        "every": Key(duration(TICK, "1d"), "How often the services are looked at.", _POLL.every),
    }
)
_ECS_NAME = "[A-Za-z0-9_-]{1,255}"  # of clusters and task families (API reference of Amazon ECS)
EXPECT = Table(
    {
        "name": Key(
            matching("[A-Za-z0-9_.-]{1,64}", "a name of letters, digits, _, . and -"),
            "The name that messages show.",
            "",
            "is missing",
        ),
        "family": Key(
            matching(_ECS_NAME, "the name of a task family, not its ARN, without revision, * and ?"),
            "The family.",
            "",
            "is missing",
        ),
        "cluster": Key(
            matching(_ECS_NAME, "the name of a cluster, not its ARN, without * and ?"), "Its cluster.", "", "is missing"
        ),
        "every": Key(
            whole_duration("366d"),
            "How often it runs; instead of schedule.",
        ),
        "schedule": Key(TEXT, "When it runs: rate(…), cron(…) or at(…), as in EventBridge; instead of every."),
        "time_zone": Key(TIME_ZONE, "The time zone of schedule.", "UTC"),
        "grace": Key(duration(at_most="7d"), "How late it may start.", _EXPECTED.grace),
        "max_runtime": Key(duration(), "How long it may run; any time, if not given.", 0.0),
    }
)
RETENTION_BY_SEVERITY = Table({severity: Key(_KEPT, f"History of {severity} alerts.") for severity in Severity})
ACCOUNTS = Table({}, others=TEXT, names=("[0-9]{12}", "an account id of 12 digits, in quotes"))
PLUGIN = Table({}, others=ANYTHING)


def alert_router_toml(options: OptionsByKind) -> Table:
    """The whole file."""
    return Table(
        {
            **SETTINGS,
            "resolve_after": Key(
                duration(at_most="1d"), "Quiet time after a recovery before it is announced.", _SHIPPED.resolve_after
            ),
            "remind": Key(
                duration(TICK, off=True),
                'A continuing problem is mentioned again this long after the last message; "0" for never.',
                _SHIPPED.remind,
            ),
            "retention": Key(duration(MIN_RETENTION, MAX_RETENTION), "How long history is kept.", _SHIPPED.retention),
            "retention_by_severity": Key(
                table_of(RETENTION_BY_SEVERITY), "Another retention for the alerts of a severity.", {}
            ),
            "enrich": Key(table_of(ENRICH), "What messages say beyond the event.", {}),
            "poll": Key(table_of(POLL), "What the router asks AWS for, because no event says it.", {}),
            "accounts": Key(table_of(ACCOUNTS), "The names that messages show for accounts.", {}),
            "kinds": Key(
                table_of(Table({}, others=table_of(Table(SETTINGS)))), "Settings of all channels of a kind.", {}
            ),
            "channels": Key(table_of(Table({}, others=channel(options))), "The destinations, by name.", {}),
            "plugins": Key(table_of(Table({}, others=table_of(PLUGIN))), "Options of plugins without a channel.", {}),
            "routes": Key(
                array_of(ROUTE, _NO_ROUTE),
                "Which alerts go where: the first route that matches, and those after it if it says continue.",
                [],
                _NO_ROUTE,
            ),
            "rules": Key(array_of(RULE), "Your own severities and runbooks; the first rule that matches.", []),
            "maintenance": Key(array_of(MAINTENANCE), "Silences by schedule.", []),
            "expect": Key(array_of(EXPECT), "Runs that must start and finish in time.", []),
        }
    )


# --- channels ---------------------------------------------------------------------------------------------------------


def channel(options: OptionsByKind) -> Form:
    """A channel: its settings, and the options that its kind declares."""
    return Form(partial(_read_channel, options), partial(_channel_schema, options))


def _read_channel(options: OptionsByKind, content: Any, place: Place) -> dict[str, Any]:
    if not isinstance(content, Mapping):  # it is disabled, and the routes that name it are right
        place.report(f"must be a table, not {shown(content)}")
        return read_table(CHANNEL, {}, Place("", []))
    values = read_table(CHANNEL, content, place)
    kind = values["kind"]
    if kind and kind not in options:
        place.key("kind").report(f"no plugin provides the kind {kind!r}; {known(options, kind)}")
    declared = options.get(kind)
    if declared is not None:
        names = {option.name for option in declared}
        for name in content.keys() - CHANNEL.keys.keys() - names:
            choices = {*names, *CHANNEL.keys} - content.keys()
            place.key(name).report(f"is no option of the kind {kind!r}; {known(choices, name)}")
        for option in declared:
            if option.required and option.name not in content:
                place.key(option.name).report(f"is missing. {option.description}".strip())
            if option.secret and not isinstance(values.get(option.name, ""), str):
                place.key(option.name).report("must be a text")
    return values


def _channel_schema(options: OptionsByKind) -> Schema:
    """A channel of each kind; an editor then completes the options of that kind."""
    return {
        "type": "object",
        "properties": {"kind": {"enum": sorted(options)}},
        "required": ["kind"],
        "oneOf": [_schema_of_kind(kind, declared) for kind, declared in sorted(options.items())],
    }


_SECRET = Form(ANYTHING.read, lambda: {"type": "string"})


def _schema_of_kind(kind: str, declared: Sequence[Option] | None) -> Schema:
    keys = {option.name: Key(_SECRET if option.secret else ANYTHING, option.description) for option in declared or ()}
    schema = table_schema(Table({**CHANNEL.keys, **keys}, others=ANYTHING if declared is None else None))
    schema["properties"]["kind"] = {"const": kind}
    required = [option.name for option in declared or () if option.required]
    return {**schema, "required": ["kind", *required]}
