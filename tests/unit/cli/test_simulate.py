"""`ecs-alert-router simulate`: how events would be handled, without AWS, network or secrets."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from docs.examples import EXAMPLES
from local_aws import events
from local_aws.pagerduty import PagerDutyDouble
from local_aws.pagerduty import judge as pagerduty_judge
from local_aws.slack import SlackDouble
from local_aws.slack import judge as slack_judge
from local_aws.teams import unpostable
from router.cli import main

STOPPED = events.task_stopped()
VARIABLES = (
    "SNS_TOPIC_ARN",
    "SLACK_WEBHOOK_URL",
    "TEAMS_WEBHOOK_URL",
    "PAGERDUTY_ROUTING_KEY",
    "PAGERDUTY_EVENTS_URL",
)
SECRET = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX"
ONE = """
    [channels.chat]
    kind = "slack"
    webhook_url = "env:SLACK_WEBHOOK_URL"

    [[routes]]
    match = { cluster = "elsewhere" }
    channels = ["chat"]

    [[routes]]
    severity = "error"
    channels = ["chat"]
"""
OUTWARD = """
    [channels.mail]
    kind = "ses"
    from = "env:ALERT_SENDER"
    to = ["ops@example.com"]

    [channels.programs]
    kind = "webhook"
    url = "env:INCIDENTS_URL"
    secret = "env:INCIDENTS_SECRET"

    [channels.bus]
    kind = "eventbridge"
    bus_arn = "env:INCIDENTS_BUS"

    [[routes]]
    channels = ["mail", "programs", "bus"]
"""
RULE = """
    [[rules]]
    name = "web may fail"
    match = { service = "web" }
    severity = "info"
"""


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is configured, and AWS cannot be reached."""
    for name in (*VARIABLES, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def run(*arguments: str | Path, event: Any = STOPPED) -> Result:
    return CliRunner().invoke(main, ["simulate", "-", *map(str, arguments)], input=json.dumps(event))


def told(*arguments: str | Path, event: Any = STOPPED) -> list[dict[str, Any]]:
    result = run(*arguments, "--json", event=event)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def written(directory: Path, text: str) -> Path:
    file = directory / "alert-router.toml"
    file.write_text(text)
    return file


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of plugins that a test fills itself."""
    monkeypatch.setattr("router.cli.checkout.ROOT", tmp_path)
    (tmp_path / "plugins").mkdir()
    return tmp_path / "plugins"


# --- what is said of an event -----------------------------------------------------------------------------------------


def test_every_shipped_channel_is_simulated_although_no_value_is_set() -> None:
    lines = told()
    assert [(line["channel"], line["channel_kind"], line["limit"]) for line in lines] == [
        ("email", "sns", 262_144),
        ("slack", "slack", None),
        ("teams", "teams", 24_000),
        ("pagerduty", "pagerduty", 512_000),
    ]


def test_mail_webhooks_and_buses_are_simulated_although_no_value_is_set(tmp_path: Path) -> None:
    lines = told("--config", written(tmp_path, OUTWARD))
    bodies = {line["channel_kind"]: line["body"] for line in lines}
    assert {*bodies} == {"ses", "webhook", "eventbridge"}
    assert bodies["ses"]["subject"].startswith("Essential container exited: service web in prod (#1)")
    assert bodies["webhook"]["data"] == bodies["eventbridge"]["Detail"]
    assert bodies["webhook"]["data"]["incident"]["subject"] == {"kind": "service", "name": "web"}


def test_each_line_has_the_decision_about_the_event() -> None:
    line = told("--channel", "slack")[0]
    expected = {
        "cause": "essential_container_exited",
        "rule": "exited badly",
        "fingerprint": "123456789012/eu-west-1/prod/service:web",
        "decision": "announced",
        "kind": "opened",
        "routes": [{"position": 1, "channels": ["email", "slack", "teams", "pagerduty"]}],
    }
    assert line.items() >= expected.items()


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        (STOPPED, "service:web"),
        (events.task_stopped(service=None, family="nightly"), "family:nightly"),
        (events.alarm(name="web-running-tasks"), "alarm:web-running-tasks"),
    ],
)
def test_each_line_has_the_fields_that_scripts_rely_on(event: Any, subject: str) -> None:
    (line,) = told("--channel", "slack", event=event)
    of_event = {"severity", "cause", "resolves", "decision", "subject", "routes"}
    assert line.keys() >= of_event | {"channel", "channel_kind", "limit", "bytes", "body"}
    assert line["subject"] == subject


@pytest.mark.parametrize(
    ("event", "decision"),
    [
        (events.alarm("OK"), "resolving"),
        (events.task_event("RUNNING"), "below threshold"),
        (events.task_event("RUNNING", containers=[events.container("sidecar", 1)]), "no route"),
    ],
)
def test_an_event_that_notifies_no_one_is_one_line_without_a_channel(event: Any, decision: str, tmp_path: Path) -> None:
    (line,) = told("--config", written(tmp_path, ONE), event=event)
    assert (line["decision"], line["channel"]) == (decision, None)


@pytest.mark.parametrize("rule", ["no tasks running", "too few tasks", "run overdue"])
def test_what_a_poll_finds_is_simulated_like_any_other_event(rule: str) -> None:
    (example,) = (candidate for candidate in EXAMPLES if candidate.rule == rule)
    (line,) = told("--channel", "slack", event=example.event)
    assert (line["rule"], line["decision"], line["kind"]) == (rule, "announced", "opened")


def test_a_route_is_named_by_its_position_in_the_file(tmp_path: Path) -> None:
    (line,) = told("--config", written(tmp_path, ONE))
    assert line["routes"] == [{"position": 2, "channels": ["chat"]}]


def test_the_users_rules_apply(tmp_path: Path) -> None:
    (line,) = told("--config", written(tmp_path, ONE + RULE))
    assert (line["severity"], line["rule"]) == ("info", "exited badly, then web may fail")


def test_channel_selects_what_is_shown() -> None:
    assert [line["channel"] for line in told("--channel", "teams", "--channel", "slack")] == ["slack", "teams"]


@pytest.mark.parametrize("kind", ["opened", "updated", "resolved"])
def test_the_remotes_would_accept_the_bodies(kind: str) -> None:
    bodies = {line["channel"]: line["body"] for line in told("--kind", kind)}
    pagerduty = {"routing_key": PagerDutyDouble.routing_key, **bodies["pagerduty"]}
    with SlackDouble() as slack:
        path = slack.webhook_url.removeprefix(slack.host)
    assert slack_judge(path, json.dumps(bodies["slack"]).encode()) == (200, "ok")
    assert pagerduty_judge("/v2/enqueue", json.dumps(pagerduty).encode())[0] == 202
    assert unpostable(bodies["teams"]) == ""
    assert bodies["email"]["MessageAttributes"]["kind"]["StringValue"] == kind


def test_a_resolved_message_says_what_may_have_ended_the_incident() -> None:
    (line,) = told("--kind", "resolved", "--channel", "teams")
    assert "The service reached a steady state." in json.dumps(line["body"])


def test_bytes_is_the_size_of_the_body_as_it_is_sent() -> None:
    event = events.alarm("ALARM", name="メモリ")
    for line in told(event=event):
        compact = json.dumps(line["body"], ensure_ascii=False, separators=(",", ":"))
        assert line["bytes"] == len(compact.encode())


def test_by_default_the_exact_body_its_size_and_a_preview_are_printed() -> None:
    shown = run("--channel", "teams").stdout
    (line,) = told("--channel", "teams")
    assert json.dumps(line["body"], ensure_ascii=False, separators=(",", ":")) in shown.splitlines()
    assert f"teams (teams), opened: {line['bytes']:,} of 24,000 bytes" in shown
    assert "title: Task definition" in shown
    assert "│ Image" in run("--channel", "slack").stdout


def test_no_event_can_send_control_sequences_to_the_terminal() -> None:
    event = events.task_stopped(
        "\x1b[2J", "\x1b]0;title\x07", events.container("\x1b[31m\u202e", 1), group="service:\x1b[1m"
    )
    result = run(event=event)
    assert result.exit_code == 0
    assert not {"\x1b", "\x07"} & {*result.stdout}


# --- no secret --------------------------------------------------------------------------------------------------------


def test_no_secret_is_read_or_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", SECRET)
    monkeypatch.setenv("TEAMS_WEBHOOK_URL", "ssm:/teams")
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "secretsmanager:pagerduty#key")
    monkeypatch.setenv("PAGERDUTY_EVENTS_URL", "secretsmanager:pagerduty#url")
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(f"({kind})" in result.stdout for kind in ("sns", "slack", "teams", "pagerduty"))
    assert "XXXXXXXX" not in result.stdout


def test_a_channel_that_refuses_placeholders_is_reported_and_the_others_are_shown(plugins: Path) -> None:
    (plugins / "picky.py").write_text(PICKY)
    config = written(plugins.parent, TAKES_NO_PLACEHOLDER)
    result = run("--config", config, "--json")
    lines = {line["channel"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert result.exit_code == 1
    assert result.stderr == "channels.picky: cannot be simulated: key is unset, and its plugin accepts no placeholder\n"
    assert lines["kept"]["error"] == "its plugin accepts no placeholder for its secret"
    assert lines["fine"]["body"] == {"text": "hello"}


PICKY = """
from router import hookimpl

class Fine:
    limit = 20
    def __init__(self, config): pass
    def render(self, notification): return {"text": "hello"}
    def send(self, payload): raise AssertionError("nothing is sent")

class Large(Fine):
    limit = 10

class Counted(Fine):
    limit, limit_unit = 3, "characters"

class Picky(Fine):
    def __init__(self, config):
        if config.options["key"] != "the one":
            raise ValueError("another key")

class Broken(Fine):
    def __init__(self, config): self.url = config.options["url"]
    def render(self, notification): raise RuntimeError(self.url)

class Odd(Fine):
    def render(self, notification): return {"kinds": {notification.kind}}

@hookimpl
def register_channels(register):
    for kind in (Fine, Large, Counted, Picky, Broken, Odd):
        register(kind.__name__.lower(), kind)
"""


TAKES_NO_PLACEHOLDER = """
    [channels.picky]
    kind = "picky"
    key = "env:UNSET"

    [channels.kept]
    kind = "picky"
    key = "ssm:/key"

    [channels.fine]
    kind = "fine"

    [[routes]]
    channels = ["picky", "kept", "fine"]
"""


@pytest.mark.parametrize(("kind", "error"), [("broken", "RuntimeError"), ("odd", "TypeError")])
def test_a_body_that_cannot_be_rendered_is_a_finding_without_the_plugins_error_text(
    kind: str, error: str, plugins: Path
) -> None:
    (plugins / "picky.py").write_text(PICKY)
    text = f'[channels.it]\nkind = "{kind}"\nurl = "{SECRET}"\n[[routes]]\nchannels = ["it"]'
    result = run("--config", written(plugins.parent, text))
    assert result.exit_code == 1
    assert f"it ({kind}): cannot be simulated: render raised {error}" in result.stdout
    assert SECRET not in result.output


@pytest.mark.parametrize(("kind", "size"), [("large", "16 of 10 bytes"), ("counted", "5 of 3 characters")])
def test_a_body_over_the_limit_is_a_finding(kind: str, size: str, plugins: Path) -> None:
    """A channel's limit counts the bytes of the JSON, or the characters of its texts."""
    (plugins / "picky.py").write_text(PICKY)
    result = run("--config", written(plugins.parent, f'[channels.it]\nkind = "{kind}"\n[[routes]]\nchannels = ["it"]'))
    assert result.exit_code == 1
    assert f"it ({kind}), opened: {size} too large" in result.stdout


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_an_unreadable_event_is_reported_and_the_others_are_simulated() -> None:
    result = run("--json", "--channel", "slack", event=[5, STOPPED])
    assert (result.exit_code, result.stderr) == (1, "line 1, item 1: not an object\n")
    assert len(result.stdout.splitlines()) == 1


def test_problems_of_the_configuration_are_reported_and_the_rest_is_simulated(tmp_path: Path) -> None:
    wrong = 'colour = "red"\n' + ONE.replace('"elsewhere" }', '"elsewhere" }\n    severity = "fatal"')
    wrong += '[channels.odd]\nkind = "odd"\n[[routes]]\nchannels = ["odd"]\n'
    result = run("--config", written(tmp_path, wrong), "--json")
    assert result.exit_code == 1
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
        "colour",
        "channels.odd.kind",
        "routes[1].severity",
    ]
    assert [json.loads(line)["channel"] for line in result.stdout.splitlines()] == ["chat"]


@pytest.mark.parametrize("arguments", [["--channel", "nope"], ["--kind", "closed"], ["--no-such-option"]])
def test_wrong_usage_has_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_file_that_is_not_toml_is_one_error(tmp_path: Path) -> None:
    result = run("--config", written(tmp_path, "language = "))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: the configuration is invalid:\n")


# --- many at once -----------------------------------------------------------------------------------------------------


def test_gathered_is_one_body_per_channel_except_pagers_with_every_subject() -> None:
    many = [events.task_stopped(service=name, task=name) for name in ("web", "api", "cart")]
    bodies = told("--kind", "gathered", event=many)
    assert {body["channel"]: body["decision"] for body in bodies} == dict.fromkeys(
        ("email", "slack", "teams"), "gathered"
    )
    for body in bodies:
        assert all(name in json.dumps(body["body"]) for name in ("3 incidents in prod", "web", "api", "cart"))


def test_gathered_shows_nothing_if_nothing_would_be_announced() -> None:
    assert told("--kind", "gathered", event=events.service_action()) == []
