"""The commands in messages name the stage and the region of the router that sent them."""

import tomllib
from dataclasses import replace
from pathlib import Path

from router.channels.plugins import load
from router.config.parse import parse
from router.incident.state import Dispatch, SubjectState
from router.messages.bundle import bundle
from router.messages.render import notification
from router.model import ChannelConfig, Kind, Severity
from tests.doubles.oom import ALERT, INCIDENT

ROOT = Path(__file__).parents[3]
DEPLOYED = {"STAGE": "prod", "AWS_REGION": "eu-west-1"}
OPTIONS = " --stage prod --region eu-west-1"


def channel(**environ: str) -> ChannelConfig:
    """The channel `slack` of the shipped configuration, in a function with that environment."""
    table = tomllib.loads((ROOT / "alert-router.toml").read_text("utf-8"))
    environ |= {"SLACK_WEBHOOK_URL": "ssm:/slack"}
    return parse(table, load(ROOT / "plugins"), environ).channels["slack"].config


def dispatch(kind: Kind = Kind.OPENED) -> Dispatch:
    return Dispatch("slack", kind, 1, 1, is_first=True, severity=Severity.CRITICAL, suppressed={})


def test_the_command_about_an_incident() -> None:
    details = dict(notification(dispatch(), INCIDENT, channel(**DEPLOYED)).message.details)
    assert details["CLI"] == f"ecs-alert-router history show {INCIDENT.id}{OPTIONS}"


def test_the_command_about_many_incidents() -> None:
    facts = dict(
        bundle([(SubjectState(INCIDENT.subject, incident=INCIDENT), dispatch())], channel(**DEPLOYED)).message.facts
    )
    assert facts["CLI"] == f"ecs-alert-router history open{OPTIONS}"


def test_the_command_that_tests_a_failing_channel() -> None:
    incident = replace(INCIDENT, alert=replace(ALERT, cause="channel_failing", containers=()))
    text = notification(dispatch(), incident, channel(**DEPLOYED)).message.text
    assert f"Test it with `ecs-alert-router send-test{OPTIONS}`." in text


def test_outside_a_stage_a_command_names_none() -> None:
    details = dict(notification(dispatch(), INCIDENT, channel(AWS_REGION="eu-west-1")).message.details)
    assert details["CLI"] == f"ecs-alert-router history show {INCIDENT.id}"
