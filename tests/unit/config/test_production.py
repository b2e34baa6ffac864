"""What production rejects: literal secrets anywhere, and URLs that are plain http or link-local."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels import plugins
from router.config.production import Problems, check, is_production
from router.model import ChannelConfig, Notification

ROOT = Path(__file__).resolve().parents[3]
HOOK = "https://hooks.slack.com/services/T00000000/B00000000/confidential"
SHIPPED = plugins.load(ROOT / "plugins")
PROD = {"STAGE": "prod"}


class Undeclared:
    """A channel kind that declares nothing about its options, like the README's example."""

    def __init__(self, config: ChannelConfig) -> None: ...

    def render(self, notification: Notification) -> dict[str, Any]:
        return {"text": notification.message.text}

    def send(self, payload: dict[str, Any]) -> None: ...


class WithoutSecrets(Undeclared):
    secret_options = ()


class Declared(Undeclared):
    secret_options = ("webhook_url",)


class Option:
    def __init__(self, name: str, *, secret: bool) -> None:
        self.name = name
        self.secret = secret


class DeclaredByOptions(Undeclared):
    options = (Option("webhook_url", secret=True), Option("room", secret=False))


OWN = SHIPPED._replace(
    kinds={
        "undeclared": Undeclared,
        "without": WithoutSecrets,
        "declared": Declared,
        "by_options": DeclaredByOptions,
    }
)


def channel(kind: str, **options: Any) -> dict[str, Any]:
    return {"channels": {"chat": {"kind": kind, **options}}}


def refused(table: dict[str, Any], **environ: str) -> list[str]:
    """The places that production rejects, for any reason."""
    found = check(table, OWN, PROD | environ)
    assert found.warnings == ()
    return [problem.partition(": ")[0] for problem in found.problems]


# --- what is production -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["prod", "production", "prod-eu", "staging", "live"])
def test_other_stages_are_production(stage: str) -> None:
    assert is_production({"STAGE": stage})


@pytest.mark.parametrize("stage", ["dev", "test", "local"])
def test_three_stages_and_no_stage_are_not_production(stage: str) -> None:
    assert not is_production({"STAGE": stage})
    assert not is_production({})


@pytest.mark.parametrize(("stated", "expected"), [("true", True), ("on", True), ("false", False), ("OFF", False)])
def test_the_setting_overrides_the_stage(stated: str, *, expected: bool) -> None:
    assert is_production({"STAGE": "prod", "PRODUCTION": stated}) is expected
    assert is_production({"STAGE": "dev", "PRODUCTION": stated}) is expected


def test_an_unknown_word_means_production() -> None:
    assert is_production({"STAGE": "dev", "PRODUCTION": "perhaps"})


def test_other_stages_warn_of_what_production_refuses() -> None:
    table = channel("declared", webhook_url=HOOK)
    assert check(table, OWN, {"STAGE": "dev"}) == Problems((), check(table, OWN, PROD).problems)


def test_a_finding_names_the_fix_and_contains_no_secret() -> None:
    (problem,) = check(channel("declared", webhook_url=HOOK), OWN, PROD).problems
    assert problem == "channels.chat.webhook_url: is a literal secret: refer to it by ssm:/path or secretsmanager:name"


# --- literal secrets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["declared", "by_options", "undeclared"])
@pytest.mark.parametrize("value", [HOOK, "env:CHAT_URL"])
def test_a_literal_secret_is_refused_in_the_file_and_in_the_variable(kind: str, value: str) -> None:
    assert refused(channel(kind, webhook_url=value), CHAT_URL=HOOK) == ["channels.chat.webhook_url"]


@pytest.mark.parametrize("reference", ["ssm:/router/slack", "secretsmanager:router#slack"])
@pytest.mark.parametrize("kind", ["declared", "by_options", "undeclared", "no such kind"])
def test_a_reference_is_never_a_literal_secret(kind: str, reference: str) -> None:
    assert refused(channel(kind, webhook_url=reference)) == []
    assert refused(channel(kind, webhook_url="env:CHAT_URL"), CHAT_URL=reference) == []
    assert refused(channel(kind, headers={"Authorization": reference})) == []


def test_an_unset_value_is_not_a_secret() -> None:
    assert refused(channel("declared", webhook_url="env:CHAT_URL")) == []
    assert refused(channel("declared", webhook_url="")) == []


@pytest.mark.parametrize("variable", ["SLACK_WEBHOOK_URL", "TEAMS_WEBHOOK_URL", "PAGERDUTY_ROUTING_KEY"])
def test_a_literal_secret_in_a_variable_is_refused_even_if_no_channel_refers_to_it(variable: str) -> None:
    """It could still be read in the template and in the function's settings."""
    table = channel("declared", webhook_url="ssm:/router/slack")
    assert refused(table, **{variable: HOOK}) == [variable]
    assert refused(table, **{variable: "ssm:/router/slack"}) == []


def test_every_variable_of_the_function_that_contains_a_secret_is_refused() -> None:
    """The deployment names them."""
    table = channel("declared", webhook_url="ssm:/router/slack")
    values = {"CHAT_URL": HOOK, "OTHER_URL": "ssm:/other", "PAGERDUTY_EVENTS_URL": "https://events.eu.pagerduty.com/"}
    assert refused(table, **values, FUNCTION_VARIABLES="CHAT_URL OTHER_URL PAGERDUTY_EVENTS_URL STAGE") == ["CHAT_URL"]
    assert refused(table, **values) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "https://chat.example.com/hooks/abc"),
        ("target", "https://chat.example.com/hooks/abc"),
        ("bot_token", "short"),
        ("api_key", "abc"),
        ("password", "hunter2"),
        ("key", "abc"),
        ("bot", "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"),
        ("integration", "0123456789abcdef0123456789abcdef"),
        ("id", "123e4567-e89b-12d3-a456-426614174000"),
        ("node", "LITERALSECRETLITERAL"),
    ],
)
def test_if_a_kind_declares_no_options_every_url_and_token_is_a_secret(name: str, value: str) -> None:
    for kind in ("undeclared", "no such kind"):
        assert refused(channel(kind, **{name: value})) == [f"channels.chat.{name}"]
        assert refused(channel(kind, team={name: [value]})) == [f"channels.chat.team.{name}"]
    assert refused({"plugins": {"chat": {name: value}}}) == [f"plugins.chat.{name}"]


@pytest.mark.parametrize(
    "value",
    [
        "#prod-alerts-eu-west-1",
        "payments-oncall@example.com",
        "arn:aws:sns:us-east-1:000000000000:ecs-alert-router-production-AlertsTopic-1AB2C3D4E5F6G7H8I9J0",
        "eu",
        "America/Argentina/Buenos_Aires",
        "123456789012345678901234",
        "Platform team, on call",
    ],
)
def test_ordinary_values_are_not_secrets(value: str) -> None:
    assert refused(channel("undeclared", room=value, rooms=[value], more={"room": value})) == []


def test_a_kind_can_declare_that_it_has_no_secrets() -> None:
    assert refused(channel("without", url=HOOK)) == []


def test_an_option_that_is_declared_not_secret_can_be_a_literal() -> None:
    assert refused(channel("by_options", room=HOOK)) == []


@pytest.mark.parametrize("kind", ["declared", "by_options", "without"])
def test_a_nested_secret_is_refused_by_its_name_whatever_the_kind_declares(kind: str) -> None:
    assert refused(channel(kind, headers={"Authorization": "Bearer abc"})) == ["channels.chat.headers.Authorization"]


def test_a_secret_option_can_be_a_table_or_a_list() -> None:
    assert refused(channel("declared", webhook_url={"a": HOOK})) == ["channels.chat.webhook_url.a"]
    assert refused(channel("declared", webhook_url=["ssm:/a", HOOK])) == ["channels.chat.webhook_url"]


def test_a_password_in_a_url_is_a_secret() -> None:
    assert refused(channel("without", url="https://user:pass@chat.example.com/")) == ["channels.chat.url"]


def test_the_shipped_configuration_with_references_is_not_refused() -> None:
    table = tomllib.loads((ROOT / "alert-router.toml").read_text("utf-8"))
    environ = {
        "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:ecs-alert-router-prod-AlertsTopic-1AB2C3D4E5F6",
        "SLACK_WEBHOOK_URL": "ssm:/slack",
        "PAGERDUTY_ROUTING_KEY": "secretsmanager:pagerduty#key",
        "PAGERDUTY_EVENTS_URL": "https://events.eu.pagerduty.com/v2/enqueue",
    }
    assert check(table, SHIPPED, PROD | environ) == Problems((), ())


# --- URLs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://chat.example.com/",
        "HTTP://chat.example.com/",
        "http://127.0.0.1:9001/2018-06-01/runtime",
        "http://localhost/",
        "https://169.254.169.254/latest/",
        "https://2852039166/",
        "https://0xA9.254.169.254/",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.170.2]/",
        "https://[fd00:ec2::254]/",
    ],
)
def test_plain_http_and_link_local_urls_are_refused(url: str) -> None:
    assert refused(channel("without", url=url)) == ["channels.chat.url"]
    assert refused(channel("without", url="env:CHAT_URL"), CHAT_URL=url) == ["channels.chat.url"]


@pytest.mark.parametrize(
    "url",
    ["https://chat.example.com/", "https://10.0.0.8/", "https://[2001:db8::1]/", "https://[", "https://", "x://y"],
)
def test_other_urls_are_not_refused(url: str) -> None:
    assert refused(channel("without", url=url)) == []


@pytest.mark.parametrize("stage", ["prod", "dev"])
@pytest.mark.parametrize("url", ["file:///etc/passwd", "FILE:/etc/passwd"])
def test_a_file_url_is_a_problem_in_every_stage(url: str, stage: str) -> None:
    (problem,) = check(channel("without", url=url), OWN, {"STAGE": stage}).problems
    assert problem == "channels.chat.url: is a file URL, to which nothing can be sent: use https"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([HOOK, "env:X", "ssm:/x"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["kind", "channels", "plugins", "a"]), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["channels", "plugins", "routes"]), ANYTHING), st.text())
def test_no_toml_document_raises(table: dict[str, Any], value: str) -> None:
    check(table, OWN, {"STAGE": "prod", "X": value})
