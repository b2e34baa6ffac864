"""docs/channels.md: its configurations are valid, and its examples work on what the channels send."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from ministack.services import eventbridge
from standardwebhooks import WebhookVerificationError

from plugins.eventbridge import EventBridge
from plugins.webhook import Webhook
from router import ChannelConfig
from router.channels.plugins import load
from router.cli.placeholders import filled
from router.config.parse import parse
from router_conformance.channel import NOTIFICATIONS
from router_conformance.server import ScriptedServer, answer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/channels.md").read_text("utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plugins/`, with the examples copied into it."""
    directory = tmp_path_factory.mktemp("plugins")
    for file in (*ROOT.glob("plugins/*.py"), *ROOT.glob("examples/channels/*.py")):
        shutil.copy(file, directory)
    return directory


@pytest.mark.parametrize("block", blocks("toml"))
def test_each_configuration_is_a_working_one(block: str, plugins: Path) -> None:
    """With the secrets that it refers to."""
    table, loaded = tomllib.loads(block), load(plugins)
    assert parse(table, loaded, {}).problems == ()
    set_up = parse(filled(table, lambda reference: parse(reference, loaded, {})), loaded, {})
    assert {*set_up.channels} == {*table["channels"]}


def receive(body: bytes, headers: dict[str, str], known: set[str]) -> str:
    namespace: dict[str, object] = {}
    (code,) = blocks("python")
    exec(code, namespace)
    return str(namespace["receive"](body, headers, SECRET, known))  # type: ignore[operator]


def test_the_receiver_takes_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told, known = NOTIFICATIONS["opened, critical"], set[str]()
    with ScriptedServer(answer(204)) as server:
        channel = Webhook(ChannelConfig("x", "webhook", {"url": server.url("/x"), "secret": SECRET}))
        for _ in "ab":
            channel.send(channel.render(told))
        (head, body), again = server.requests
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    assert receive(body, headers, known) == told.incident.id
    assert receive(again[1], headers, known) == ""
    with pytest.raises(WebhookVerificationError):
        receive(body + b" ", headers, known)


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("opened, critical", {"Result": True}),
        ("opened, warning", {"Result": False}),
        ("resolved, critical", {"Result": False}),
    ],
)
def test_the_pattern_matches_what_the_page_says(name: str, answered: dict[str, bool]) -> None:
    (pattern,) = blocks("json")
    bus = "arn:aws:events:eu-west-1:123456789012:event-bus/incidents"
    entry = EventBridge(ChannelConfig("x", "eventbridge", {"bus_arn": bus})).render(NOTIFICATIONS[name])
    event = {
        "id": "1",
        "account": "123456789012",
        "region": "eu-west-1",
        "time": entry["Time"],
        "resources": [],
        "source": entry["Source"],
        "detail-type": entry["DetailType"],
        "detail": entry["Detail"],
    }
    request = {"EventPattern": pattern, "Event": json.dumps(event)}
    _, _, body = eventbridge._test_event_pattern(request)  # noqa: SLF001 - calling it in process is fast
    assert json.loads(body) == answered
