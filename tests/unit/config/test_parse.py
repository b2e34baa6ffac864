"""alert-router.toml: its settings, and problems with their place."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels import plugins
from router.channels.plugins import Plugins
from router.config.parse import load, parse
from router.config.settings import Config, EnrichSettings, Poll, Route
from router.errors import ConfigError
from router.model import ChannelConfig, Notification, Option, Severity
from tests.doubles.world import no_plugins

ROOT = Path(__file__).parents[3]
SECRET = "https://hooks.example.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX"
TEAMS = "https://prod-1.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=x"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alerts"


class Chat:
    """Requires `url`; `room` is optional."""

    def __init__(self, config: ChannelConfig) -> None:
        if not config.options["url"].startswith("https://"):
            raise ValueError(f"url is not https: {config.options['url']}")
        self.room = config.options.get("room", "the default")

    def render(self, notification: Notification) -> dict[str, Any]:
        return {"title": notification.message.title}

    def send(self, payload: dict[str, Any]) -> None:
        """Nothing is sent here."""


class Rooms(Chat):
    """A route may name the room."""

    route_option = "room"


def broken(config: ChannelConfig) -> Chat:
    raise RuntimeError(f"cannot be, with {config.options['url']}")


def leaking(config: ChannelConfig) -> Chat:
    raise KeyError(config.options["url"])


PLUGINS = Plugins(no_plugins().manager, {"chat": Chat, "rooms": Rooms, "broken": broken, "leaking": leaking}, ())
CHAT = {"kind": "chat", "url": SECRET}
TO_CHAT = {"channels": ["chat"]}


def parsed(
    table: Mapping[str, Any] | None = None,
    *,
    channels: Mapping[str, Any] | None = None,
    routes: object = (TO_CHAT,),
    environ: Mapping[str, str] | None = None,
) -> Config:
    whole = {**(table or {}), "channels": {"chat": CHAT, **(channels or {})}, "routes": list(routes)}  # type: ignore[call-overload]
    return parse(whole, PLUGINS, environ or {})


def write(directory: Path, text: str) -> Path:
    path = directory / "alert-router.toml"
    path.write_text(text, "utf-8")
    return path


# --- as shipped -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        ({"SNS_TOPIC_ARN": TOPIC, "SLACK_WEBHOOK_URL": SECRET}, ["email", "slack"]),
        ({"SNS_TOPIC_ARN": TOPIC, "SLACK_WEBHOOK_URL": ""}, ["email"]),
        ({"SNS_TOPIC_ARN": TOPIC, "SLACK_WEBHOOK_URL": " \n"}, ["email"]),
        ({"SLACK_WEBHOOK_URL": SECRET}, ["slack"]),
        ({"TEAMS_WEBHOOK_URL": TEAMS, "PAGERDUTY_ROUTING_KEY": "k" * 32}, ["teams", "pagerduty"]),
    ],
)
def test_the_shipped_file_uses_every_channel_whose_value_is_set(
    environ: dict[str, str], used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty value counts as unset, and a channel that is not configured is not a problem."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = load(ROOT / "alert-router.toml", plugins.load(ROOT / "plugins"), environ)
    assert (list(config.channels), config.disabled, config.problems) == (used, {}, ())
    assert sorted([*config.channels, *config.unset]) == ["email", "pagerduty", "slack", "teams"]


def test_omitted_settings_have_their_documented_defaults() -> None:
    config = parsed()
    assert (config.resolve_after, config.retention) == (300.0, 90 * 86400.0)
    settings, _ = config.channels["chat"].open()
    assert (settings.language, settings.time_zone, settings.dedup_window) == ("en", "UTC", 900.0)
    assert config.routes == (Route(severity=Severity.INFO, channels=("chat",)),)
    assert config.problems == ()


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("4h", 14400), ("1d", 86_400), ("86400s", 86_400)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    config = parsed({"dedup_window": text, "resolve_after": text})
    assert config.problems == ()
    settings, _ = config.channels["chat"].open()
    assert settings.dedup_window == config.resolve_after == seconds


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"dedup_window": "15d"}, "dedup_window: must be at most 7d, not '15d'"),
        ({"resolve_after": "5d"}, "resolve_after: must be at most 1d, not '5d'"),
        ({"remind": "24d"}, ""),
        ({"remind": "31d"}, "remind: must be at most 30d, not '31d'; \"0\" means never"),
        ({"retention": "36500d"}, "retention: must be at most 3650d, not '36500d'"),
        ({"retention_by_severity": {"info": "9999d"}}, "retention_by_severity.info: must be at most 3650d"),
        ({"poll": {"every": "5d"}}, "poll.every: must be at most 1d"),
    ],
)
def test_a_duration_that_is_too_long_to_be_meant_is_a_problem(table: dict[str, Any], problem: str) -> None:
    """Such as 15d for 15m: nobody would be told for two weeks."""
    found = parsed(table).problems
    assert [reported for reported in found if reported.startswith(problem)] if problem else found == ()


def test_history_is_kept_for_a_week_at_least() -> None:
    config = parsed({"retention": "7d"})
    assert (config.retention, config.problems) == (7 * 86400.0, ())


@pytest.mark.parametrize(
    "text", ["", "15", "m", "0m", "015m", "-5m", "1.5h", "15 m", "15min", "\u0661\u0665m", "9" * 5000 + "s"]
)
def test_an_invalid_duration_is_a_problem(text: str) -> None:
    (problem,) = parsed({"resolve_after": text}).problems
    assert problem.startswith("resolve_after: must be a duration such as")


def test_a_channel_overrides_language_time_zone_and_window() -> None:
    own = {"language": "ja", "time_zone": "Asia/Tokyo", "dedup_window": "1h"}
    config = parsed({"dedup_window": "5m", "time_zone": "Europe/Berlin"}, channels={"tokyo": {**CHAT, **own}})
    tokyo, chat = config.channels["tokyo"].config, config.channels["chat"].config
    assert (tokyo.language, tokyo.time_zone, tokyo.dedup_window) == ("ja", "Asia/Tokyo", 3600)
    assert (chat.language, chat.time_zone, chat.dedup_window) == ("en", "Europe/Berlin", 300)
    assert config.problems == ()


def test_a_plugin_gets_only_its_own_options_with_references_resolved() -> None:
    channel = {"kind": "chat", "url": "env:CHAT_URL", "room": "ops", "language": "ja"}
    settings, made = parsed(channels={"chat": channel}, environ={"CHAT_URL": f" {SECRET}\n"}).channels["chat"].open()
    assert settings.options == {"url": SECRET, "room": "ops"}
    assert isinstance(made, Chat)


@pytest.mark.parametrize("room", ["env:ROOM", ""])
def test_an_optional_option_that_is_unset_is_absent(room: str) -> None:
    settings, made = parsed(channels={"chat": {**CHAT, "room": room}}).channels["chat"].open()
    assert "room" not in settings.options
    assert isinstance(made, Chat)
    assert made.room == "the default"


def test_a_channel_whose_required_option_is_unset_is_not_configured() -> None:
    config = parsed(channels={"spare": {"kind": "chat", "url": "env:NOT_SET"}})
    assert (list(config.channels), config.unset, config.problems) == (["chat"], {"spare": "url"}, ())


def test_a_route_has_its_severity_match_and_channels() -> None:
    match = {"cluster": "prod-*", "service": ["web", "!web-test"], "exit_code": [1, "13?"]}
    (route,) = parsed(
        routes=[{"severity": "error", "match": match, "channels": ["chat"], "continue": True}],
    ).routes
    assert route.match == {"cluster": ("prod-*",), "service": ("web", "!web-test"), "exit_code": ("1", "13?")}
    assert (route.severity, route.channels, route.continues) == (Severity.ERROR, ("chat",), True)


# --- problems ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "place", "fix"),
    [
        ({"langauge": "en"}, "langauge", "language"),
        ({"language": "fr"}, "language", "en, ja"),
        ({"language": 5}, "language", "en, ja"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "Asia/Tokyo"),
        ({"time_zone": "../etc/passwd"}, "time_zone", "Asia/Tokyo"),
        ({"dedup_window": "soon"}, "dedup_window", "15m"),
        ({"retention": 90}, "retention", "15m"),
        ({"retention": "12h"}, "retention", "7d"),
        ({"retention": "6d"}, "retention", "7d"),
        ({"retention_by_severity": "90d"}, "retention_by_severity", "a table"),
        ({"retention_by_severity": {"fatal": "90d"}}, "retention_by_severity.fatal", "critical, error"),
        ({"kinds": {"chatt": {"language": "ja"}}}, "kinds.chatt", "chat"),
        ({"kinds": {"chat": {"mention": "@all"}}}, "kinds.chat.mention", "dedup_window, language, time_zone"),
        ({"retention_by_severity": {"info": 7}}, "retention_by_severity.info", "15m"),
        ({"retention_by_severity": {"info": "1d"}}, "retention_by_severity.info", "2d"),
        ({"channels": []}, "channels", "a table"),
        ({"channels": {"chat": "slack"}}, "channels.chat", "a table"),
        ({"channels": {"chat": {"url": SECRET}}}, "channels.chat.kind", "is missing"),
        ({"channels": {"chat": {"kind": "chatt", "url": SECRET}}}, "channels.chat.kind", "did you mean chat?"),
        ({"channels": {"chat": {"kind": "xmpp", "url": SECRET}}}, "channels.chat.kind", "broken, chat"),
        ({"channels": {"chat": {"kind": "chat"}}}, "channels.chat", "'url' is missing"),
        ({"channels": {"chat": {**CHAT, "language": "fr"}}}, "channels.chat.language", "en, ja"),
        ({"channels": {"chat": {**CHAT, "time_zone": 1}}}, "channels.chat.time_zone", "Asia/Tokyo"),
        ({"channels": {"chat": {**CHAT, "dedup_window": "x"}}}, "channels.chat.dedup_window", "15m"),
        ({"channels": {"chat": {**CHAT, "url": 5}}}, "channels.chat", "AttributeError"),
        ({"routes": []}, "routes", "[[routes]]"),
        ({"routes": {}}, "routes", "an array"),
        ({"routes": ["chat"]}, "routes[1]", "a table"),
        ({"routes": [TO_CHAT, {**TO_CHAT, "severity": "fatal"}]}, "routes[2].severity", "critical, error, warning"),
        ({"routes": [{**TO_CHAT, "cluster": ["a"]}]}, "routes[1].cluster", "write match = { cluster = "),
        ({"routes": [{**TO_CHAT, "families": ["a"]}]}, "routes[1].families", "write match = { family = "),
        ({"routes": [{**TO_CHAT, "match": "prod"}]}, "routes[1].match", "a table"),
        ({"routes": [{**TO_CHAT, "match": {"cluster": [1]}}]}, "routes[1].match.cluster", "a glob such as"),
        ({"routes": [{**TO_CHAT, "match": {"cluster": []}}]}, "routes[1].match.cluster", "an empty list"),
        ({"routes": [{**TO_CHAT, "match": {"clusters": "a"}}]}, "routes[1].match.clusters", "did you mean cluster?"),
        ({"routes": [{"channels": ["chat", "chat"]}]}, "routes[1].channels", "more than once"),
        ({"routes": [{**TO_CHAT, "continue": "yes"}]}, "routes[1].continue", "true or false"),
        ({"routes": [{}]}, "routes[1].channels", "is missing"),
        ({"routes": [{"channels": []}]}, "routes[1].channels", "at least one"),
        ({"routes": [{"channels": ["chat", "chta"]}]}, "routes[1].channels", "did you mean chat?"),
        (
            {"channels": {"chat": CHAT, "off": {"kind": "chat", "url": ""}}, "routes": [{"channels": ["off"]}]},
            "routes[1]",
            "configured",
        ),
    ],
)
def test_a_problem_names_its_place_and_the_fix(table: dict[str, Any], place: str, fix: str) -> None:
    whole = {"channels": {"chat": CHAT}, "routes": [TO_CHAT], **table}
    problems = parse(whole, PLUGINS, {}).problems
    assert any(problem.startswith(f"{place}: ") and fix in problem for problem in problems), problems


def test_all_problems_are_reported_together() -> None:
    table = {
        "language": "fr",
        "resolve_after": "soon",
        "colour": "red",
        "channels": {"chat": {"kind": "chatt"}, "log": {**CHAT, "time_zone": "Nowhere"}},
        "routes": [{"severity": "fatal", "channels": ["log"]}, {"channels": ["nobody"]}],
    }
    places = {problem.partition(": ")[0] for problem in parse(table, PLUGINS, {}).problems}
    top = {"language", "resolve_after", "colour"}
    channels = {"channels.chat.kind", "channels.log.time_zone"}
    assert places == top | channels | {"routes[1].severity", "routes[2].channels", "routes[2]"}


def test_problems_of_plugins_are_reported_too() -> None:
    with_problem = Plugins(PLUGINS.manager, PLUGINS.kinds, ("plugins/odd.py: cannot be imported",))
    config = parse({"channels": {"chat": CHAT}, "routes": [TO_CHAT]}, with_problem, {})
    assert config.problems == ("plugins/odd.py: cannot be imported",)
    assert list(config.channels) == ["chat"]


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ({"kind": "smoke-signals"}, "no plugin provides the kind 'smoke-signals'"),
        ({"kind": "chat"}, "'url' is missing"),
        ({"kind": "chat", "url": "gopher"}, "url is not https: gopher"),
        ({"kind": "broken", "url": SECRET}, "its plugin raised RuntimeError"),
    ],
)
def test_an_invalid_channel_disables_only_itself(channel: dict[str, Any], reason: str) -> None:
    config = parsed(channels={"wrong": channel})
    assert (list(config.channels), config.disabled) == (["chat"], {"wrong": reason})
    assert [problem for problem in config.problems if problem.startswith("channels.wrong") and reason in problem]


def test_a_disabled_channel_still_counts_as_a_recipient() -> None:
    """Its deliveries fail with the reason, because the route is correct."""
    config = parsed(channels={"wrong": {"kind": "chat"}}, routes=[{"channels": ["wrong"]}])
    assert [problem.partition(":")[0] for problem in config.problems] == ["channels.wrong"]


# --- declared options -------------------------------------------------------------------------------------------------


class Declaring(Chat):
    options = (Option("url", required=True, secret=True, description="The webhook's URL."), Option("room"))


REST = "there are dedup_window, language, time_zone"
DECLARING = Plugins(no_plugins().manager, {"chat": Declaring}, ())


@pytest.mark.parametrize(
    ("channel", "problems"),
    [
        (CHAT, []),
        ({**CHAT, "room": "ops", "language": "ja"}, []),
        ({**CHAT, "romm": "ops"}, ["channels.chat.romm: is no option of the kind 'chat'; did you mean room?"]),
        (
            {**CHAT, "dedup_windw": "1h"},
            ["channels.chat.dedup_windw: is no option of the kind 'chat'; did you mean dedup_window?"],
        ),
        ({**CHAT, "colour": "red", "room": "ops"}, [f"channels.chat.colour: is no option of the kind 'chat'; {REST}"]),
        ({"kind": "chat"}, ["channels.chat.url: is missing. The webhook's URL."]),
        ({"kind": "chat", "url": 5}, ["channels.chat.url: must be a text"]),
    ],
)
def test_a_kind_that_declares_its_options_takes_no_others(channel: dict[str, Any], problems: list[str]) -> None:
    config = parse({"channels": {"chat": channel}, "routes": [TO_CHAT]}, DECLARING, {})
    assert list(config.problems) == problems


def test_a_kind_that_declares_none_takes_any() -> None:
    assert parsed(channels={"chat": {**CHAT, "colour": "red", "nested": {"a": [1]}}}).problems == ()


def test_a_declared_secret_counts_as_one() -> None:
    config = parse({"channels": {"chat": CHAT}, "routes": [TO_CHAT]}, DECLARING, {})
    assert [warning.partition(": ")[0] for warning in config.warnings] == ["channels.chat.url"]


def test_references_inside_of_an_options_table_are_resolved() -> None:
    channel = {**CHAT, "queues": {"critical": "env:QUEUE", "rest": "ssm:/queue"}}
    configured = parsed(channels={"chat": channel}, environ={"QUEUE": "q1"}).channels["chat"]
    assert configured.config.options["queues"] == {"critical": "q1", "rest": "ssm:/queue"}
    assert configured.has_secret_references


def test_a_malformed_reference_disables_its_channel_alone() -> None:
    config = parsed(channels={"wrong": {"kind": "chat", "url": "ssm:slack"}})
    assert (list(config.channels), list(config.disabled)) == (["chat"], ["wrong"])
    (problem,) = (problem for problem in config.problems if problem.startswith("channels.wrong"))
    assert problem.startswith("channels.wrong.url: must be ssm: and the whole name of a parameter")


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["chat", "broken", "leaking", "unknown"])
def test_a_secret_is_in_no_problem_reason_or_repr(kind: str) -> None:
    """Even if a plugin puts it into the error that it raises."""
    secret = SECRET.replace("https:", "http:")
    config = parsed(channels={"wrong": {"kind": kind, "url": "env:CHAT_URL"}}, environ={"CHAT_URL": secret})
    assert config.disabled.keys() == {"wrong"}
    assert "hooks.example.com" not in repr(config)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_missing_file_stops_the_cold_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", PLUGINS, {})


@pytest.mark.parametrize("content", [b"language = ", b"[channels", b"\xff\xfe", b'a = "1"\na = "2"'])
def test_a_file_that_is_not_toml_stops_the_cold_start(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "alert-router.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: is not TOML: ")):
        load(path, PLUGINS, {})


def test_no_usable_channel_stops_the_cold_start_and_names_the_options_to_set(tmp_path: Path) -> None:
    text = """
        color = "red"
        [channels.chat]
        kind = "chat"
        url = "env:CHAT_URL"
        [channels.odd]
        kind = "broken"
        url = "x"
        [[routes]]
        channels = ["chat"]
    """
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), PLUGINS, {})
    told = "\n".join(caught.value.problems)
    assert "no channel is usable" in told
    assert "channels.chat: url is unset: set the environment variable " in told
    assert "channels.odd: its plugin raised RuntimeError" in told
    assert "color: is not a key" in told


def test_no_other_problem_stops_the_cold_start(tmp_path: Path) -> None:
    text = 'color = "red"\n[channels.chat]\nkind = "chat"\nurl = "env:CHAT_URL"\n'
    config = load(write(tmp_path, text), PLUGINS, {"CHAT_URL": SECRET})
    assert list(config.channels) == ["chat"]
    assert {problem.partition(":")[0] for problem in config.problems} == {"color", "routes"}


# --- whatever is in it ------------------------------------------------------------------------------------------------

KEYS = ["language", "time_zone", "dedup_window", "channels", "routes", "kind", "url", "severity", "continue", "chat"]
VALUES = ["en", "chat", "15m", "UTC", "error", "env:HOME", "", "9" * 5000 + "d", "America", "a/../b", "\x00"]
scalars = st.one_of(st.sampled_from(VALUES), st.text(), st.integers(), st.floats(), st.booleans(), st.datetimes())
tables = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(
    top=st.dictionaries(st.sampled_from(KEYS), tables),
    channel=st.dictionaries(st.sampled_from(KEYS), tables),
    route=st.dictionaries(st.sampled_from([*KEYS, "match"]), tables),
)
def test_no_toml_document_raises(top: dict[str, Any], channel: dict[str, Any], route: dict[str, Any]) -> None:
    """Everything invalid is a problem, and every channel is in exactly one of three states."""
    table = {"channels": {"chat": channel}, "routes": [route], **top}
    config = parse(table, PLUGINS, {"HOME": "/"})
    states = [*config.channels, *config.unset, *config.disabled]
    assert len(states) == len(set(states))
    if isinstance(table["channels"], dict):
        assert set(states) == set(table["channels"])


# --- production -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "refused"), [("prod", True), ("dev", False)])
def test_production_refuses_a_literal_secret_and_other_stages_warn(stage: str, *, refused: bool) -> None:
    environ = {"SLACK_WEBHOOK_URL": SECRET, "STAGE": stage}
    table = {
        "channels": {"slack": {"kind": "slack", "webhook_url": "env:SLACK_WEBHOOK_URL"}},
        "routes": [{"channels": ["slack"]}],
    }
    config = parse(table, plugins.load(ROOT / "plugins"), environ)
    reported, silent = (config.problems, config.warnings) if refused else (config.warnings, config.problems)
    assert [problem.split(": ")[:2] for problem in reported] == [["channels.slack.webhook_url", "is a literal secret"]]
    assert silent == ()
    assert list(config.channels) == ["slack"]  # it still works at run time


# --- [enrich] ---------------------------------------------------------------------------------------------------------


def test_the_shipped_file_enriches_only_from_the_routers_own_history() -> None:
    shipped = load(ROOT / "alert-router.toml", plugins.load(ROOT / "plugins"), {"SLACK_WEBHOOK_URL": SECRET})
    assert shipped.enrich == EnrichSettings(history=True, task_definition=False, log_groups=())
    assert parse({}, PLUGINS, {}).enrich == EnrichSettings()


def test_enrichment_is_configurable() -> None:
    on = {"history": False, "task_definition": True, "log_groups": ["/ecs/*", "web"]}
    found = parse({"channels": {"chat": CHAT}, "routes": [TO_CHAT], "enrich": on}, PLUGINS, {})
    assert found.problems == ()
    assert found.enrich == EnrichSettings(history=False, task_definition=True, log_groups=("/ecs/*", "web"))


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"log_groups": ["/ecs/*"]}, "enrich.log_groups: needs task_definition = true"),
        ({"task_definition": True, "log_groups": ["a b"]}, "enrich.log_groups: must be a log group's name"),
        ({"task_definition": True, "log_groups": ["${AWS::Region}"]}, "enrich.log_groups: must be a log group's name"),
        ({"history": "yes"}, "enrich.history: must be true or false"),
        ({"logs": True}, "enrich.logs: is not a key"),
    ],
)
def test_problems_of_enrich_are_reported(wrong: dict[str, Any], problem: str) -> None:
    found = parse({"channels": {"chat": CHAT}, "routes": [TO_CHAT], "enrich": wrong}, PLUGINS, {})
    assert [reported.startswith(problem) for reported in found.problems] == [True]


# --- remind, [poll] ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "seconds"), [("24h", 86400.0), ("1m", 60.0), ("0", 0.0)])
def test_a_continuing_problem_is_mentioned_again_unless_reminders_are_off(value: str, seconds: float) -> None:
    config = parsed({"remind": value})
    assert (config.remind, config.problems) == (seconds, ())
    assert parsed().remind == 86400.0


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("never", "remind: must be a duration such as 30s, 15m, 4h or 90d, not 'never'; \"0\" means never"),
        ("0h", "remind: must be a duration such as 30s, 15m, 4h or 90d, not '0h'; \"0\" means never"),
        ("59s", "remind: must be at least 1m, not '59s'; \"0\" means never"),
        (0, 'remind: must be a duration such as 30s, 15m, 4h or 90d, not 0; "0" means never'),
    ],
)
def test_what_is_wrong_with_remind_is_named(value: object, problem: str) -> None:
    config = parsed({"remind": value})
    assert (config.remind, config.problems) == (86400.0, (problem,))


def test_open_states_are_verified_unless_that_is_off_and_services_are_polled_only_if_that_is_on() -> None:
    assert parsed().poll == Poll(verify=True, services=False, every=300.0)
    config = parsed({"poll": {"verify": False, "services": True, "every": "10m"}})
    assert (config.poll, config.problems) == (Poll(verify=False, services=True, every=600.0), ())


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"verify": "yes"}, "poll.verify: must be true or false"),
        ({"every": "5"}, "poll.every: must be a duration"),
        ({"every": "30s"}, "poll.every: must be at least 1m, not '30s'"),
        ({"service": True}, "poll.service: is not a key of this table; did you mean services?"),
    ],
)
def test_what_is_wrong_with_poll_is_named(wrong: dict[str, Any], problem: str) -> None:
    (found,) = parsed({"poll": wrong}).problems
    assert found.startswith(problem)


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_accounts_can_have_names_for_messages() -> None:
    config = parsed({"accounts": {"111122223333": " production ", "444455556666": "staging"}})
    assert config.accounts == {"111122223333": "production", "444455556666": "staging"}
    assert config.problems == ()


@pytest.mark.parametrize(("account", "name"), [("1234", "a"), ("production", "111122223333"), ("111122223333", 5)])
def test_an_invalid_account_or_name_is_a_problem_and_the_others_are_used(account: str, name: object) -> None:
    config = parsed({"accounts": {account: name, "444455556666": "staging"}})
    assert config.accounts == {"444455556666": "staging"}
    assert [problem.partition(":")[0] for problem in config.problems] == [f"accounts.{account}"]


# --- expected runs ----------------------------------------------------------------------------------------------------

NIGHTLY = {"name": "nightly", "family": "report", "cluster": "prod"}


def test_an_expected_run_has_an_interval_or_a_schedule() -> None:
    config = parsed(
        {
            "expect": [
                {**NIGHTLY, "schedule": "cron(0 3 * * ? *)", "time_zone": "Asia/Tokyo", "max_runtime": "2h"},
                {**NIGHTLY, "name": "hourly", "every": "1h", "grace": "5m"},
            ]
        }
    )
    nightly, hourly = config.expect
    assert config.problems == ()
    assert (nightly.schedule.cron, nightly.schedule.time_zone, nightly.grace) == ("0 3 * * ? *", "Asia/Tokyo", 900.0)
    assert (hourly.schedule.period, hourly.grace, hourly.max_runtime) == (3600.0, 300.0, 0.0)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, 'expect[1]: must have either every, such as "24h", or schedule'),
        ({"every": "1h", "schedule": "rate(1 hour)"}, 'expect[1]: must have either every, such as "24h", or schedule'),
        ({"every": "0h"}, "expect[1].every: must be a duration such as 15m, 24h or 7d, at most 366d, not '0h'"),
        ({"schedule": "cron(0 3 * * * *)"}, "expect[1].schedule: must have ? as exactly one of day-of-month and"),
        (
            {"every": "1h", "family": "nightly-*"},
            "expect[1].family: must be the name of a task family, not its ARN, without revision, *",
        ),
        ({"every": "1h", "family": "report:7"}, "expect[1].family: must be the name of a task family"),
        (
            {"every": "1h", "cluster": "arn:aws:ecs:eu-west-1:1:cluster/prod"},
            "expect[1].cluster: must be the name of a",
        ),
        ({"every": "1h", "name": "a/b"}, "expect[1].name: must be a name of letters, digits, _, . and -, not 'a/b'"),
        ({"every": "1h", "zone": "UTC"}, "expect[1].zone: is not a key of this table"),
    ],
)
def test_a_wrong_expected_run_is_a_problem_and_expects_nothing(fields: dict[str, str], problem: str) -> None:
    config = parsed({"expect": [{**NIGHTLY, **fields}]})
    assert [reported[: len(problem)] for reported in config.problems] == [problem]
    assert config.expect == ()


def test_two_expected_runs_of_one_name_are_a_problem() -> None:
    config = parsed({"expect": [{**NIGHTLY, "every": "1h"}] * 2})
    assert config.problems == ("expect[2].name: is another table's name, too: nightly",)


# --- a route names a place of a channel -------------------------------------------------------------------------------

ROOMS = {"kind": "rooms", "url": SECRET, "room": "general", "language": "ja"}


def test_a_route_may_set_one_option_of_a_channel_whose_kind_allows_it() -> None:
    config = parsed(channels={"ops": ROOMS}, routes=[{"channels": ["ops#payments", "ops"]}])
    assert config.problems == ()
    assert config.routes[0].channels == ("ops#payments", "ops")
    settings = config.channels["ops#payments"].config
    assert (settings.options, settings.language) == ({"url": SECRET, "room": "payments"}, "ja")
    assert config.channels["ops"].config.options["room"] == "general"


def test_two_routes_that_name_the_same_place_share_the_channel() -> None:
    routes = [{"channels": ["ops#a"], "continue": True}, {"channels": ["ops#a"]}]
    assert list(parsed(channels={"ops": ROOMS}, routes=[*routes, TO_CHAT]).channels) == ["chat", "ops", "ops#a"]


@pytest.mark.parametrize("name", ["chat#room", "nobody#room", "ops#", "#room"])
def test_other_channels_have_no_places(name: str) -> None:
    config = parsed(channels={"ops": ROOMS}, routes=[{"channels": [name]}])
    assert any(f"there is no channel {name!r}" in problem for problem in config.problems)


def test_a_place_of_an_unset_channel_is_unset() -> None:
    config = parsed(channels={"ops": {**ROOMS, "url": "env:NOT_SET"}}, routes=[{"channels": ["ops#a", "chat"]}])
    assert (config.unset, config.problems) == ({"ops": "url", "ops#a": "url"}, ())
