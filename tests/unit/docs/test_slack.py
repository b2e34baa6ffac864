"""docs/slack.md: its manifest and its tables do what the page says."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local_aws import events
from local_aws.slack_api import BOT_TOKEN, SlackApiDouble, SlackChannel
from plugins import _slack_api
from router.channels.plugins import load
from router.channels.secrets import Secrets
from router.cli import main
from router.config.parse import parse
from router.config.settings import Config
from router.ecs.normalise import normalise
from router.understand import targets_of
from router_conformance.channel import NOTIFICATIONS
from tests.doubles.alerts import alert_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/slack.md").read_text("utf-8")
(MANIFEST,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(TABLES,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
CHANNELS = {"slack": "C0123456789", "slack#C0PAYMENTS1": "C0PAYMENTS1"}


class Ssm:
    """Has the token, under the name that the page gives it."""

    def get_parameter(self, *, Name: str, **_: Any) -> Any:  # noqa: N803 - AWS's name
        assert Name == "/ecs-alert-router/slack-token"
        return {"Parameter": {"Value": BOT_TOKEN}}


@pytest.fixture
def slack() -> Iterator[SlackApiDouble]:
    with SlackApiDouble() as double:
        double.workspace.apps[BOT_TOKEN].scopes = set(json.loads(MANIFEST)["oauth_config"]["scopes"]["bot"])
        for id_ in CHANNELS.values():
            double.workspace.channels[id_] = SlackChannel(id_, id_.lower(), members={"A0000000001"})
        yield double


def configured(slack: SlackApiDouble) -> Config:
    """The page's tables, with the double in place of Slack."""
    table = tomllib.loads(TABLES)
    table["channels"]["slack"]["api_url"] = slack.api_url
    secrets = Secrets(Ssm, Ssm, lambda: 0.0)
    return parse(table, load(ROOT / "plugins"), {"STAGE": "test"}, secrets)


def test_the_tables_send_to_two_channels_with_one_token(slack: SlackApiDouble) -> None:
    config = configured(slack)
    assert config.problems == ()
    for name in CHANNELS:
        _, channel = config.channels[name].open()
        channel.send(channel.render(NOTIFICATIONS["opened, critical"]))
    assert [len(slack.workspace.roots(id_)) for id_ in CHANNELS.values()] == [1, 1]


def test_production_takes_the_tables_and_no_literal_token() -> None:
    def problems(text: str) -> tuple[str, ...]:
        return parse(tomllib.loads(text), load(ROOT / "plugins"), {"PRODUCTION": "true"}).problems

    assert problems(TABLES) == ()
    assert any(
        ".token: " in problem for problem in problems(TABLES.replace("ssm:/ecs-alert-router/slack-token", BOT_TOKEN))
    )


def test_each_channel_has_its_own_rate_limit(slack: SlackApiDouble) -> None:
    config = configured(slack)
    assert len({config.channels[name].endpoint for name in CHANNELS}) == 2


def test_a_route_names_the_channel(slack: SlackApiDouble) -> None:
    config = configured(slack)
    routed = {
        service: [target.channel for target in targets_of(alert_of(events.task_stopped(service=service)), config)]
        for service in ("web", "payments-api")
    }
    assert routed == {"web": ["slack"], "payments-api": ["slack#C0PAYMENTS1"]}


def test_the_scopes_of_the_manifest_let_a_lost_message_be_found(slack: SlackApiDouble) -> None:
    """In a private channel too."""
    slack.workspace.channels["C0123456789"].private = True
    _, channel = configured(slack).channels["slack"].open()
    payload = channel.render(NOTIFICATIONS["opened, critical"])
    channel.send(payload)
    address = {**payload["address"], "since": "0.000000"}
    channel.send({**payload, "address": address})
    assert len(slack.workspace.roots("C0123456789")) == 1


def test_the_manifest_keeps_to_slacks_limits() -> None:
    """https://docs.slack.dev/reference/app-manifest"""
    manifest = json.loads(MANIFEST)
    information, bot = manifest["display_information"], manifest["features"]["bot_user"]
    assert len(information["name"]) <= 35
    assert len(information["description"]) <= 140
    assert re.fullmatch("[a-z0-9._-]{1,80}", bot["display_name"])
    assert manifest["settings"]["token_rotation_enabled"] is False


def test_the_page_quotes_the_log_and_the_number_of_edits() -> None:
    assert "cannot look for a message that may have arrived" in PAGE
    assert f"up to {_slack_api._UPDATED_OF_A_BUNDLE};" in PAGE  # noqa: SLF001 - what the page says


def test_the_set_up_has_ten_lines() -> None:
    section = PAGE.partition("## Set up a bot\n")[2].partition("```")[0]
    assert re.findall(r"^(\d+)\. ", section, re.MULTILINE) == [str(number) for number in range(1, 11)]


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The page's tables, as they are: no secret is read."""
    path = tmp_path / "alert-router.toml"
    path.write_text(TABLES, "utf-8")
    return path


def run(*arguments: str, text: str = "") -> str:
    result = CliRunner().invoke(main, arguments, input=text)
    assert (result.exit_code, result.exception) == (0, None), result.output
    return result.stdout


EVENT = json.dumps(events.task_stopped(service="payments-api"))


def test_config_check_accepts_the_tables(file: Path) -> None:
    assert "slack#C0PAYMENTS1" in run("config", "check", "--config", str(file))


def test_simulate_shows_the_message_and_its_metadata(file: Path) -> None:
    (line,) = map(json.loads, run("simulate", "-", "--config", str(file), "--json", text=EVENT).splitlines())
    assert (line["channel"], line["channel_kind"]) == ("slack#C0PAYMENTS1", "slack")
    payload = line["body"]["metadata"]["event_payload"]
    assert payload == {"incident": line["body"]["address"]["incident"], "revision": 1}
    assert "Container crashed: service payments-api" in run("simulate", "-", "--config", str(file), text=EVENT)


def test_replay_has_the_channels_of_the_routes(file: Path) -> None:
    *messages, last = map(json.loads, run("replay", "-", "--config", str(file), "--json", text=EVENT).splitlines())
    assert {message["channel"] for message in messages} == {"slack#C0PAYMENTS1"}
    assert set(last["summary"]["messages"]) == set(CHANNELS)


def test_send_test_posts_to_each_channel(
    slack: SlackApiDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TABLES.replace('"ssm:/ecs-alert-router/slack-token"', '"env:TOKEN"')
    (tmp_path / "alert-router.toml").write_text(
        text.replace('kind = "slack"', f'kind = "slack"\napi_url = "{slack.api_url}"'), "utf-8"
    )
    monkeypatch.setenv("TOKEN", BOT_TOKEN)
    told = run("send-test", "--config", str(tmp_path / "alert-router.toml"))
    assert sorted(told.splitlines()) == ["slack#C0PAYMENTS1: opened sent", "slack: opened sent"]
    assert "TEST" in slack.workspace.roots("C0123456789")[0].text


def test_an_event_of_the_page_is_an_event() -> None:
    assert normalise(json.loads(EVENT)).source == "aws.ecs"
