"""alert-router.toml: what it may say, and that all that is wrong with it is named with its place."""

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
from router.config.settings import Config, EnrichSettings, Route
from router.errors import ConfigError
from router.model import ChannelConfig, Notification, Severity
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


def broken(config: ChannelConfig) -> Chat:
    raise RuntimeError(f"cannot be, with {config.options['url']}")


def leaking(config: ChannelConfig) -> Chat:
    raise KeyError(config.options["url"])


PLUGINS = Plugins(no_plugins().manager, {"chat": Chat, "broken": broken, "leaking": leaking}, ())
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
def test_as_shipped_every_channel_whose_value_is_set_is_used(
    environ: dict[str, str], used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty is the same as unset, and a channel that is not configured is no problem."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = load(ROOT / "alert-router.toml", plugins.load(ROOT / "plugins"), environ)
    assert (list(config.channels), config.disabled, config.problems) == (used, {}, ())
    assert sorted([*config.channels, *config.unset]) == ["email", "pagerduty", "slack", "teams"]


def test_what_is_not_said_has_its_documented_default() -> None:
    config = parsed()
    assert (config.resolve_after, config.retention) == (300.0, 90 * 86400.0)
    settings, _ = config.channels["chat"].open()
    assert (settings.language, settings.time_zone, settings.dedup_window) == ("en", "UTC", 900.0)
    assert config.routes == (Route(severity=Severity.INFO, channels=("chat",)),)
    assert config.problems == ()


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("4h", 14400), ("90d", 7_776_000), ("999999d", 86_399_913_600)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    config = parsed({"dedup_window": text, "resolve_after": text, "retention": text})
    assert config.problems == ()
    settings, _ = config.channels["chat"].open()
    assert settings.dedup_window == config.resolve_after == config.retention == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "m", "0m", "-5m", "1.5h", "15 m", "15min", "\u0661\u0665m", "9" * 5000 + "s"]
)
def test_what_is_no_duration_is_a_problem(text: str) -> None:
    (problem,) = parsed({"resolve_after": text}).problems
    assert problem.startswith("resolve_after: must be a duration such as")


def test_a_channel_overrides_language_time_zone_and_window() -> None:
    own = {"language": "ja", "time_zone": "Asia/Tokyo", "dedup_window": "1h"}
    config = parsed({"dedup_window": "5m", "time_zone": "Europe/Berlin"}, channels={"tokyo": {**CHAT, **own}})
    tokyo, chat = config.channels["tokyo"].config, config.channels["chat"].config
    assert (tokyo.language, tokyo.time_zone, tokyo.dedup_window) == ("ja", "Asia/Tokyo", 3600)
    assert (chat.language, chat.time_zone, chat.dedup_window) == ("en", "Europe/Berlin", 300)
    assert config.problems == ()


def test_a_plugin_gets_its_own_options_alone_with_references_resolved() -> None:
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


def test_a_required_option_that_is_unset_leaves_its_channel_out() -> None:
    config = parsed(channels={"spare": {"kind": "chat", "url": "env:NOT_SET"}})
    assert (list(config.channels), config.unset, config.problems) == (["chat"], {"spare": "url"}, ())


def test_a_route_says_which_alerts_go_where() -> None:
    (route,) = parsed(
        routes=[
            {
                "severity": "error",
                "clusters": ["prod-*"],
                "services": ["web"],
                "families": ["nightly"],
                "causes": ["out_of_memory"],
                "accounts": ["1*"],
                "regions": ["eu-*"],
                "channels": ["chat"],
                "continue": True,
            }
        ]
    ).routes
    globs = (route.clusters, route.services, route.families, route.causes, route.accounts, route.regions)
    assert globs == (("prod-*",), ("web",), ("nightly",), ("out_of_memory",), ("1*",), ("eu-*",))
    assert (route.severity, route.channels, route.continues) == (Severity.ERROR, ("chat",), True)


# --- problems ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "place", "fix"),
    [
        ({"langauge": "en"}, "langauge", "language"),
        ({"language": "fr"}, "language", "en, ja"),
        ({"language": 5}, "language", "a string"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "Asia/Tokyo"),
        ({"time_zone": "../etc/passwd"}, "time_zone", "Asia/Tokyo"),
        ({"dedup_window": "soon"}, "dedup_window", "15m"),
        ({"retention": 90}, "retention", "15m"),
        ({"retention_by_severity": "90d"}, "retention_by_severity", "a table"),
        ({"retention_by_severity": {"fatal": "90d"}}, "retention_by_severity.fatal", "critical, error"),
        ({"retention_by_severity": {"info": 7}}, "retention_by_severity.info", "15m"),
        ({"retention_by_severity": {"info": "1d"}}, "retention_by_severity.info", "2d"),
        ({"channels": []}, "channels", "a table"),
        ({"channels": {"chat": "slack"}}, "channels.chat", "a table"),
        ({"channels": {"chat": {"url": SECRET}}}, "channels.chat", "broken, chat"),
        ({"channels": {"chat": {"kind": "chatt", "url": SECRET}}}, "channels.chat", "broken, chat"),
        ({"channels": {"chat": {"kind": "chat"}}}, "channels.chat", "'url' is missing"),
        ({"channels": {"chat": {**CHAT, "language": "fr"}}}, "channels.chat.language", "en, ja"),
        ({"channels": {"chat": {**CHAT, "time_zone": 1}}}, "channels.chat.time_zone", "Asia/Tokyo"),
        ({"channels": {"chat": {**CHAT, "dedup_window": "x"}}}, "channels.chat.dedup_window", "15m"),
        ({"channels": {"chat": {**CHAT, "url": 5}}}, "channels.chat", "AttributeError"),
        ({"routes": []}, "routes", "[[routes]]"),
        ({"routes": {}}, "routes", "an array"),
        ({"routes": ["chat"]}, "routes[1]", "a table"),
        ({"routes": [TO_CHAT, {**TO_CHAT, "severity": "fatal"}]}, "routes[2].severity", "critical, error, warning"),
        ({"routes": [{**TO_CHAT, "cluster": ["a"]}]}, "routes[1].cluster", "clusters"),
        ({"routes": [{**TO_CHAT, "clusters": "prod"}]}, "routes[1].clusters", "a list of strings"),
        ({"routes": [{**TO_CHAT, "clusters": [1]}]}, "routes[1].clusters", "a list of strings"),
        ({"routes": [{**TO_CHAT, "continue": "yes"}]}, "routes[1].continue", "true or false"),
        ({"routes": [{}]}, "routes[1].channels", "names no channel"),
        ({"routes": [{"channels": ["chat", "chta"]}]}, "routes[1].channels", "there are chat"),
        (
            {"channels": {"chat": CHAT, "off": {"kind": "chat", "url": ""}}, "routes": [{"channels": ["off"]}]},
            "routes[1]",
            "configured",
        ),
    ],
)
def test_a_problem_names_its_place_and_what_would_be_right(table: dict[str, Any], place: str, fix: str) -> None:
    whole = {"channels": {"chat": CHAT}, "routes": [TO_CHAT], **table}
    problems = parse(whole, PLUGINS, {}).problems
    assert any(problem.startswith(f"{place}: ") and fix in problem for problem in problems), problems


def test_all_problems_are_named_at_once() -> None:
    table = {
        "language": "fr",
        "resolve_after": "soon",
        "colour": "red",
        "channels": {"chat": {"kind": "chatt"}, "log": {**CHAT, "time_zone": "Nowhere"}},
        "routes": [{"severity": "fatal", "channels": ["log"]}, {"channels": ["nobody"]}],
    }
    places = {problem.partition(": ")[0] for problem in parse(table, PLUGINS, {}).problems}
    top = {"language", "resolve_after", "colour"}
    channels = {"channels.chat", "channels.log.time_zone"}
    assert places == top | channels | {"routes[1].severity", "routes[2].channels", "routes[2]"}


def test_what_is_wrong_with_plugins_is_a_problem_too() -> None:
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
def test_a_wrong_channel_disables_itself_alone(channel: dict[str, Any], reason: str) -> None:
    config = parsed(channels={"wrong": channel})
    assert (list(config.channels), config.disabled) == (["chat"], {"wrong": reason})
    assert [problem for problem in config.problems if problem.startswith(f"channels.wrong: {reason}")]


def test_a_channel_that_is_disabled_still_counts_as_a_recipient() -> None:
    """Its deliveries fail with the reason: the route is not the mistake."""
    config = parsed(channels={"wrong": {"kind": "chat"}}, routes=[{"channels": ["wrong"]}])
    assert [problem.partition(":")[0] for problem in config.problems] == ["channels.wrong"]


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["chat", "broken", "leaking", "unknown"])
def test_a_secret_is_in_no_problem_reason_or_repr(kind: str) -> None:
    """Not even where a plugin puts it into what it raises."""
    secret = SECRET.replace("https:", "http:")
    config = parsed(channels={"wrong": {"kind": kind, "url": "env:CHAT_URL"}}, environ={"CHAT_URL": secret})
    assert config.disabled.keys() == {"wrong"}
    assert "hooks.example.com" not in repr(config)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", PLUGINS, {})


@pytest.mark.parametrize("content", [b"language = ", b"[channels", b"\xff\xfe", b'a = "1"\na = "2"'])
def test_a_file_that_is_not_toml_stops_everything(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "alert-router.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: is not TOML: ")):
        load(path, PLUGINS, {})


def test_no_usable_channel_stops_everything_and_says_which_option_to_set(tmp_path: Path) -> None:
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
    assert "channels.chat: url is unset" in told
    assert "channels.odd: its plugin raised RuntimeError" in told
    assert "color: is not a key" in told


def test_every_other_problem_stops_nothing(tmp_path: Path) -> None:
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
    route=st.dictionaries(st.sampled_from([*KEYS, "clusters"]), tables),
)
def test_nothing_that_toml_can_say_raises(top: dict[str, Any], channel: dict[str, Any], route: dict[str, Any]) -> None:
    """What is wrong is a problem, and every channel is in exactly one of three states."""
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
    assert [each.split(": ")[:2] for each in reported] == [["channels.slack.webhook_url", "is a literal secret"]]
    assert silent == ()
    assert list(config.channels) == ["slack"]  # at run time it works all the same


# --- [enrich] ---------------------------------------------------------------------------------------------------------


def test_as_shipped_only_the_routers_own_history_is_asked() -> None:
    shipped = load(ROOT / "alert-router.toml", plugins.load(ROOT / "plugins"), {"SLACK_WEBHOOK_URL": SECRET})
    assert shipped.enrich == EnrichSettings(history=True, task_definition=False, log_groups=())
    assert parse({}, PLUGINS, {}).enrich == EnrichSettings()


def test_what_messages_tell_beyond_the_event_is_configured() -> None:
    on = {"history": False, "task_definition": True, "log_groups": ["/ecs/*", "web"]}
    found = parse({"channels": {"chat": CHAT}, "routes": [TO_CHAT], "enrich": on}, PLUGINS, {})
    assert found.problems == ()
    assert found.enrich == EnrichSettings(history=False, task_definition=True, log_groups=("/ecs/*", "web"))


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"log_groups": ["/ecs/*"]}, "enrich.log_groups: needs task_definition = true"),
        ({"task_definition": True, "log_groups": ["a b"]}, "enrich.log_groups: must be log group names"),
        ({"task_definition": True, "log_groups": ["${AWS::Region}"]}, "enrich.log_groups: must be log group names"),
        ({"history": "yes"}, "enrich.history: must be true or false"),
        ({"logs": True}, "enrich.logs: is not a key"),
    ],
)
def test_what_is_wrong_with_enrich_is_named(wrong: dict[str, Any], problem: str) -> None:
    found = parse({"channels": {"chat": CHAT}, "routes": [TO_CHAT], "enrich": wrong}, PLUGINS, {})
    assert [each.startswith(problem) for each in found.problems] == [True]


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_accounts_have_the_names_that_messages_show() -> None:
    config = parsed({"accounts": {"111122223333": " production ", "444455556666": "staging"}})
    assert config.accounts == {"111122223333": "production", "444455556666": "staging"}
    assert config.problems == ()


@pytest.mark.parametrize(("account", "name"), [("1234", "a"), ("production", "111122223333"), ("111122223333", 5)])
def test_a_wrong_account_or_name_is_a_problem_and_the_others_are_used(account: str, name: object) -> None:
    config = parsed({"accounts": {account: name, "444455556666": "staging"}})
    assert config.accounts == {"444455556666": "staging"}
    assert [problem.partition(":")[0] for problem in config.problems] == [f"accounts.{account}"]
