"""router_conformance: our own channels pass it, and a channel that breaks a rule fails that rule's test."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent
from typing import ClassVar
from xml.etree import ElementTree as ET

import pytest

from plugins.eventbridge import EventBridge
from plugins.pagerduty import PagerDuty
from plugins.ses import Ses
from plugins.slack import Slack
from plugins.sns import Sns
from plugins.teams import Teams
from plugins.webhook import Webhook
from router import ChannelConfig
from router_conformance import Answer, ChannelConformance, RenderConformance
from router_conformance.channel import NOTIFICATIONS
from tests.doubles.text import hidden_characters, texts

ROOT = Path(__file__).parents[3]


class TestSlack(ChannelConformance):
    factory = Slack
    unaccepted = (Answer(200), Answer(200, "no_service"), Answer(202), Answer(204))
    rejected = (Answer(400, "invalid_blocks"), Answer(200, "invalid_blocks"))
    # Angle brackets are allowed only around links to URLs.
    forbidden = (
        r"\A(?:[^<>]++|<https?://[A-Za-z0-9][^<>|@\s]*(\|[^<>\n]+)?>)*+[<>]",
        r"&(?!(amp|lt|gt);)",
        "@(channel|everyone|here)",
    )

    def options(self, server: str) -> dict[str, str]:
        return {"webhook_url": f"{server}/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"}


class TestSlackWithAToken(ChannelConformance):
    factory = Slack
    memory: ClassVar = {"channel": "C1", "ts": "1760000000.000001", "to": "C0000000001"}
    accepted = (Answer(200, '{"ok":true,"channel":"C1","ts":"1760000000.000001"}'),)
    unaccepted = (Answer(200), Answer(200, '{"ok":false,"error":"not_in_channel"}'), Answer(204))
    rejected = (Answer(200, '{"ok":false,"error":"invalid_blocks"}'),)
    gone = (Answer(200, '{"ok":false,"error":"message_not_found"}'),)
    forbidden = TestSlack.forbidden

    def options(self, server: str) -> dict[str, str]:
        return {"token": "xoxb-0000000000-placeholder", "channel": "C0000000001", "api_url": f"{server}/api/"}


class TestTeams(ChannelConformance):
    factory = Teams
    limit = 20_000
    accepted = (Answer(202), Answer(200, "anything"))
    unaccepted = (Answer(204), Answer(201))
    rejected = (Answer(400, '{"error":{"code":"TriggerInputSchemaMismatch","message":"x"}}'), Answer(413))
    forbidden = ("</?at>", r"\]\(", r"\*\*", r"\*\w", "`", r"\{\{", "</?[a-z]", "~~")

    def options(self, server: str) -> dict[str, str]:
        path = "/powerautomate/automations/direct/workflows/0123456789abcdef/triggers/manual/paths/invoke"
        return {"webhook_url": f"{server}{path}?api-version=1&sv=1.0&sig=a-signature-that-is-secret"}


class TestPagerDuty(ChannelConformance):
    factory = PagerDuty
    limit = 512_000
    accepted = (Answer(202, '{"status":"success","message":"Event processed","dedup_key":"x"}'),)
    unaccepted = (Answer(200, '{"status":"success"}'), Answer(202), Answer(202, '{"status":"queued"}'))
    rejected = (Answer(400, '{"status":"invalid event","errors":["summary"]}'), Answer(413))

    def options(self, server: str) -> dict[str, str]:
        return {"routing_key": "R0UT1NGKEYTHATISSECRET0123456789", "events_url": f"{server}/v2/enqueue"}


class TestSns(RenderConformance):
    """Its `send` uses boto3, not HTTP, and is tested in tests/unit/plugins/test_sns.py."""

    factory = Sns
    limit = 1_000_000  # SNS counts what stands in the JSON, not the JSON: test_sns.py does so, too

    def options(self, server: str) -> dict[str, str]:
        del server  # boto3 finds SNS by itself
        return {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:alerts"}


class TestWebhook(ChannelConformance):
    """It signs what it sends."""

    factory = Webhook
    limit = 65_536
    accepted = (Answer(200), Answer(202, "queued"), Answer(204))
    rejected = (Answer(413), Answer(422, "no such field"))

    def options(self, server: str) -> dict[str, str]:
        return {"url": f"{server}/incidents/a-path-that-is-secret", "secret": f"whsec_{'QUJD' * 8}"}


class TestEventBridge(RenderConformance):
    """Its `send` uses AWS's own client, and is tested in tests/unit/plugins/test_eventbridge.py."""

    factory = EventBridge
    limit = 65_536  # EventBridge counts 64 KiB as one event

    def options(self, server: str) -> dict[str, str]:
        del server
        return {"bus_arn": "arn:aws:events:eu-west-1:123456789012:event-bus/acme-operations"}


class TestSes(RenderConformance):
    """Its `send` uses AWS's own client, and is tested in tests/unit/plugins/test_ses.py, as is its HTML."""

    factory = Ses
    limit = 300_000
    memory: ClassVar = {"message_id": "<0102018f-1@eu-west-1.amazonses.com>"}

    def options(self, server: str) -> dict[str, object]:
        del server
        addresses = ["ops@team.example.com", "second@team.example.com"]
        return {"from": "ECS alerts <alerts@example.com>", "to": addresses, "reply_to": "owner@team.example.com"}


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_the_kit_requires_no_channel_to_remove_hidden_characters(name: str) -> None:
    """Its notifications, including the hostile ones, are as the router passes them to a channel."""
    assert not any(hidden_characters(text) for text in texts(NOTIFICATIONS[name]))


# --- the kit finds what it is there to find ---------------------------------------------------------------------------

GOOD = """
import logging
import time
import requests
from router import PermanentError, TransientError, post_json
from router import ChannelConfig
from router_conformance import Answer, ChannelConformance

class Good:
    def __init__(self, config):
        self.url = config.options["webhook_url"]
    def render(self, notification):
        return {"text": notification.message.title[:100]}
    def send(self, payload):
        post_json(self.url, payload)

class Kit(ChannelConformance):
    factory = Good
    def options(self, server):
        return {"webhook_url": server + "/hooks/a-secret-of-sixteen"}

class TestGood(Kit):
    pass
"""
# A channel that breaks a rule, and the tests that must fail for it.
BAD = {
    "Swallows": (
        """
        def send(self, payload):
            try:
                super().send(payload)
            except Exception:
                pass
        """,
        {"refusals", "trouble"},
    ),
    "Retries": (
        """
        def send(self, payload):
            try:
                super().send(payload)
            except TransientError:
                super().send(payload)
        """,
        {"trouble", "retry_after"},
    ),
    "RaisesOthers": (
        """
        def send(self, payload):
            requests.post(self.url, json=payload, timeout=1).raise_for_status()
        """,
        {"refusals", "trouble", "refused_connection", "unknown_certificate"},
    ),
    "WaitsForEver": (
        """
        def send(self, payload):
            requests.post(self.url, json=payload).raise_for_status()
        """,
        {"broken_connections"},
    ),
    "TellsTheUrl": (
        """
        def send(self, payload):
            try:
                super().send(payload)
            except PermanentError as error:
                raise PermanentError(self.url) from error
        """,
        {"refusals"},
    ),
    "LogsTheUrl": (
        """
        def send(self, payload):
            logging.getLogger("x").debug("posting to %s", self.url)
            super().send(payload)
        """,
        {"refusals"},
    ),
    "ShowsTheUrl": ("def __repr__(self): return f'Bad({self.url})'", {"nothing_shows"}),
    "RendersTheUrl": ("def render(self, _): return {'to': self.url}", {"nothing_shows"}),
    "RendersTheTime": ("def render(self, _): return {'at': time.perf_counter()}", {"pure"}),
    "RendersNoJson": ("def render(self, notification): return {'kinds': {notification.kind}}", {"pure"}),
    "RendersAll": ("def render(self, notification): return {'text': notification.message.text}", {"fits"}),
    "LetsMentionsThrough": ("", {"outside_text"}),
    "ChangesThePayload": (
        """
        def send(self, payload):
            super().send(payload)
            payload.clear()
        """,
        {"every_message"},
    ),
    "AcceptsAnything": ("", {"only_success"}),
    "RemembersTooMuch": (
        """
        def send(self, payload):
            super().send(payload)
            return {"answer": "x" * 2000}
        """,
        {"send_returns"},
    ),
    "RemembersTheUrl": (
        """
        def send(self, payload):
            super().send(payload)
            return {"where": self.url}
        """,
        {"send_returns"},
    ),
    "RemembersNothing": ("", {"send_returns"}),
    "ShowsItsMemoryUnescaped": (
        """
        def render(self, notification):
            return {"text": notification.remote.get("id", "")}
        """,
        {"outside_text"},
    ),
    "EditsAndIgnoresTheFailure": (
        """
        def send(self, payload):
            try:
                super().send(payload)
            except TransientError:
                pass
            super().send(payload)
            return {"id": "1"}
        """,
        {"first_failure"},
    ),
    "KnowsNotWhatIsGone": ("", {"remote_gone"}),
    "HasNoLayout": ("", {"layout"}),
}
# The attributes that such a channel's author sets in the kit.
SAID = {
    "RendersAll": "limit = 60",
    "LetsMentionsThrough": "forbidden = ('@everyone',)",
    "AcceptsAnything": "unaccepted = (Answer(200, 'error'),)",
    "HasNoLayout": "rejected = (Answer(400, 'bad'),)",
    "RemembersNothing": "memory = {'id': '1'}",
    "ShowsItsMemoryUnescaped": "memory = {'id': '<@1>'}; forbidden = ('<@',)",
    "EditsAndIgnoresTheFailure": "memory = {'id': '1'}",
    "KnowsNotWhatIsGone": "memory = {'id': '1'}; gone = (Answer(404, 'unknown message'),)",
}


def written() -> str:
    """One module with all of the channels, and a class of tests for each."""
    parts = [dedent(GOOD)]
    for name, (code, _) in BAD.items():
        parts.append(f"class {name}(Good):\n" + indent(dedent(code) or "pass", "    "))
        parts.append(f"class Test{name}(Kit):\n    factory = {name}\n    {SAID.get(name, '')}")
    return "\n\n".join(parts)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names of the tests that failed, by class."""
    directory = tmp_path_factory.mktemp("kit")
    (directory / "test_bad.py").write_text(written())
    # Runs pytest as an author would, without this repository's settings.
    (directory / "conftest.py").write_text("import router_conformance.channel as kit\nkit._PATIENCE = 3\n")
    # Two messages are enough to break a rule on.
    few = (
        "(not (opened or updated or resolved) or (opened and (critical or mentions or Markdown)))"
        " and (WaitsForEver or not broken_connections)"
    )
    arguments = [
        "-k",
        few,
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        directory,
        "--junitxml",
        directory / "junit.xml",
    ]
    subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, arguments), str(directory)],
        cwd=directory, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
    )  # fmt: skip
    cases = ET.parse(directory / "junit.xml").iter("testcase")
    failures: dict[str, str] = {}
    for case in cases:
        name = case.get("classname", "").rpartition(".")[2].removeprefix("Test")
        failures.setdefault(name, "")
        if case.find("failure") is not None or case.find("error") is not None:
            failures[name] += f" {case.get('name')}"
    return failures


@pytest.mark.check  # the tests above run the kit, too
@pytest.mark.xdist_group("kit")  # the fixture takes its time: once is enough
def test_a_correct_channel_passes(failed: dict[str, str]) -> None:
    """The smallest channel that follows the rules fails no test."""
    assert failed["Good"] == ""


@pytest.mark.check
@pytest.mark.xdist_group("kit")
@pytest.mark.parametrize("name", BAD)
def test_the_kit_finds_each_broken_rule(failed: dict[str, str], name: str) -> None:
    """Each rule that a channel breaks fails the test of that rule."""
    for rule in BAD[name][1]:
        assert re.search(rule, failed[name])


def test_mail_lists_every_incident_of_a_bundled_message() -> None:
    mail = Sns(ChannelConfig("mail", "sns", {"topic_arn": "arn:aws:sns:eu-west-1:111122223333:alerts"}))
    notification = NOTIFICATIONS["opened, many incidents"]
    text = mail.render(notification)["Message"]
    assert len(notification.bundled) > 100
    assert all(incident.subject.text in text for incident in notification.bundled)
