"""Whatever text an event, a log or an account's name has: each channel's message is valid, small enough and plain text.

Every text of an event is drawn, in every kind of message and both languages, on each shipped channel and the examples.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from examples.channels.discord import Discord
from examples.channels.google_chat import GoogleChat
from local_aws.slack import judge
from plugins.eventbridge import EventBridge
from plugins.pagerduty import PagerDuty
from plugins.ses import Ses
from plugins.slack import Slack
from plugins.sns import Sns
from plugins.teams import Teams
from plugins.webhook import Webhook
from router.cli.page import Drawing, Story, page
from router.incident.state import Dispatch, SubjectState
from router.messages.bundle import bundle
from router.messages.console import HOSTS
from router.messages.render import notification
from router.model import Alert, ChannelConfig, Enrichment, IncidentStatus, Kind, Notification
from router.text.characters import clean
from tests.doubles.hostile_events import alerts
from tests.doubles.markup import MAIL_ATTRIBUTES, MAIL_TAGS, Elements
from tests.doubles.oom import INCIDENT
from tests.doubles.text import ANY_TEXT, hidden_characters, texts

RUNBOOK = "https://wiki.example.com/runbooks/web?page=1&x=2"
DOCUMENTATION = {
    "docs.aws.amazon.com",
    "docs.docker.com",
    "health.aws.amazon.com",
    "learn.microsoft.com",
    "man7.org",
    "repost.aws",
}
MARKUP = (
    "<!channel>", "<!here|x>", "<@U012ABC>", "<#C01|x>", "<!subteam^S1>", "@channel @here @everyone",
    "<@&1> <users/all>",
    "<at>Bob</at>", "[click](javascript:alert(1))", "[x](https://evil.example)", "![x](https://evil.example/x.png)",
    "<https://evil.example|Click>", "https://evil.example/a|b>", "http://evil.example", "https://user@evil.example",
    "javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "mailto:a@b.example", "slack://open",
    "*b* _i_ ~s~ `c` **b** ~~s~~ ||x||", "```\nf\n```", "# h\n> q\n- l\n1. x", "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "'><svg/onload=alert(1)>", '" style="x', "&lt;!here&gt; &#60;b&#62;", "</style><b>",
    "{{DATE(2020-01-01T00:00:00Z,SHORT)}}", "\r\nBcc: a@b.example\r\n\r\nx", "=?utf-8?B?QmNj?=", "%s %n {0} ${x} %(a)s",
    "\u202egnp.exe", "\u2066x\u2069", "\x1b]0;t\x07\x1b[31m", "\x9b31m\x00\x7f", "\ud800", "\u2028\u2029",
    '"}],"text":"<!here>"', "\\", "\\*\\", "=HYPERLINK(1)", "|a|b|\n|-|-|", ":fire:",
    "e\u0301" * 40, "👩‍💻👨‍👩‍👧" * 30, "語" * 700, "&" * 700,
)  # fmt: skip
HOSTILE = st.lists(st.sampled_from(MARKUP) | ANY_TEXT, max_size=3).map("".join) | st.builds(
    lambda text, times: text * times, st.sampled_from(MARKUP), st.integers(1, 400)
)


# --- the links of a payload; what else its format would obey fails the test ------------------------------------------

SLACK_LINK = re.compile(r"<(https://[^<>|@\s]+)(?:\|[^<>\n]+)?>")
SLACK_BOLD = re.compile(r"\A\*[^*\n]+\*\n")
SLACK_CODE = re.compile(r"(?:\A|\n)```\n[^`]+\n```\Z|\A`[^`\n]+`\Z")


def slack(payload: dict[str, Any]) -> Iterator[str]:
    message = {name: value for name, value in payload.items() if name not in {"address", "metadata", "parse"}}
    assert judge(f"/services/T00000000/B00000000/{'X' * 24}", json.dumps(message).encode()) == (200, "ok")
    for text, is_formatted in slack_texts(message):
        rest = SLACK_LINK.sub("", text)
        yield from (url.replace("&amp;", "&") for url in SLACK_LINK.findall(text))
        assert not re.search(r"[<>]|&(?!(amp|lt|gt);)|@(channel|everyone|here)", rest, re.IGNORECASE)
        if is_formatted:
            rest = SLACK_CODE.sub("", SLACK_BOLD.sub("", rest))
            assert not re.search(r"[*`~]|(?<!\w)_[^_\s]*_(?!\w)", rest), rest


def slack_texts(value: Any) -> Iterator[tuple[str, bool]]:
    """Every text that Slack shows, and whether it formats it."""
    if isinstance(value, list):
        for member in value:
            yield from slack_texts(member)
    elif isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"], value.get("type") != "plain_text"
        for member in value.values():
            yield from slack_texts(member)


def teams(payload: dict[str, Any]) -> Iterator[str]:
    card = payload["attachments"][0]["content"]
    yield from (action["url"] for action in card.get("actions", ()))
    assert {action["type"] for action in card.get("actions", ())} <= {"Action.OpenUrl"}
    for text in texts(card.get("body")):
        assert not re.search(r"</?[a-z]|[*`~]|\]\(|\{\{|&(?=[#a-z])", text, re.IGNORECASE), text
        assert not re.match(r"\s*([#>+-]|[0-9]+[.)]) ", text), text


def discord(payload: dict[str, Any]) -> Iterator[str]:
    body = payload["body"]
    assert body["allowed_mentions"] == {"parse": []}
    for text in (body["content"], *texts(body["embeds"])):
        shown = re.sub(r"\\[!-/:-@\[-`{-~]", "", re.sub(r"```\n[^`]*\n```\Z", "", text))
        yield from re.findall(r"\[[^\]]*\]\((https://[^()\s]+)\)", shown)
        rest = re.sub(r"\[[^\]]*\]\(https://[^()\s]+\)", "", shown)
        assert not re.search(r"[`*_~|<>\[\]#@]|://", rest), rest
    assert sum(map(len, texts(body["embeds"]))) <= 6000
    assert all(len(embed["title"]) <= 256 and len(embed["description"]) <= 4096 for embed in body["embeds"])


def google_chat(payload: dict[str, Any]) -> Iterator[str]:
    if "cardsV2" not in payload:
        assert not re.search("[*_~`<>|]", payload["text"])
        return
    assert "text" not in payload
    for widget in payload["cardsV2"][0]["card"]["sections"][0]["widgets"]:
        shown = [*widget.get("textParagraph", {}).values(), *widget.get("decoratedText", {}).values()]
        for text in shown:
            tags = Elements(text)
            assert tags.names <= {"b"}
            assert not tags.attributes
            assert len(tags.found) <= 1
        for button in widget.get("buttonList", {}).get("buttons", ()):
            yield button["onClick"]["openLink"]["url"]


def ses(payload: dict[str, Any]) -> Iterator[str]:
    for line in (payload["subject"], *payload["headers"].values()):
        assert line.isprintable()
    if "html" in payload:
        tags = Elements(payload["html"])
        assert tags.names <= MAIL_TAGS
        assert tags.attributes <= MAIL_ATTRIBUTES
        yield from tags.hrefs


def sns(payload: dict[str, Any]) -> Iterator[str]:
    assert payload["Subject"].isprintable()
    assert 0 < len(payload["Subject"].encode("utf-16-le")) // 2 < 100
    for attribute in payload.get("MessageAttributes", {}).values():
        assert attribute["StringValue"]
    yield from ()


def pagerduty(payload: dict[str, Any]) -> Iterator[str]:
    yield from (link["href"] for link in payload.get("links", ()))
    assert not payload.get("images")
    if content := payload.get("payload"):
        assert 0 < len(content["summary"]) <= 1024


def data(payload: dict[str, Any]) -> Iterator[str]:
    content = payload.get("data") or payload["Detail"]
    yield from (link["url"] for link in content["message"]["links"])
    if runbook := content["alert"]["runbook_url"]:
        yield runbook


class Channel(NamedTuple):
    """A channel, the bytes that one of its messages may have, and what finds its links."""

    channel: Any
    limit: int
    links: Callable[[dict[str, Any]], Iterator[str]]


def made(factory: Callable[[ChannelConfig], Any], **options: Any) -> Any:
    return factory(ChannelConfig("chat", "chat", options))


CHANNELS = {
    "slack": Channel(made(Slack, webhook_url="https://hooks.slack.com/services/T0/B0/x"), 100_000, slack),
    "slack with a token": Channel(made(Slack, token="xoxb-1", channel="C1"), 100_000, slack),
    "teams": Channel(made(Teams, webhook_url="https://x.example/workflows/1?sig=x"), 24_000, teams),
    "pagerduty": Channel(made(PagerDuty, routing_key="R" * 32), 512_000, pagerduty),
    "sns": Channel(made(Sns, topic_arn="arn:aws:sns:eu-west-1:111122223333:alerts"), 1_000_000, sns),
    "ses": Channel(made(Ses, **{"from": "a@example.com", "to": ["b@example.com"]}), 300_000, ses),
    "webhook": Channel(made(Webhook, url="https://x.example", secret=f"whsec_{'QUJD' * 8}"), 65_536, data),
    "eventbridge": Channel(
        made(EventBridge, bus_arn="arn:aws:events:eu-west-1:111122223333:event-bus/x"), 262_144, data
    ),
    "discord": Channel(made(Discord, webhook_url="https://discord.com/api/webhooks/1/x"), 100_000, discord),
    "google chat": Channel(made(GoogleChat, webhook_url="https://x.example/?key=1&token=2"), 32_000, google_chat),
}


# --- notifications ----------------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """A notification, and the runbooks that the owners of the router and of the alarm have named."""

    notification: Notification
    runbooks: frozenset[str]


@st.composite
def told(draw: st.DrawFn) -> Told:
    """Of one alert or of several, with hostile texts in the event, the log, and the names of account and log stream."""
    about = [replace(alert, runbook_url=RUNBOOK) for alert in draw(st.lists(alerts(HOSTILE), min_size=1, max_size=3))]
    kind, language = draw(st.sampled_from(Kind)), draw(st.sampled_from(["en", "ja"]))
    config = ChannelConfig("chat", "chat", {}, language=language)
    states = [SubjectState(alert.subject, incident=incident_of(alert, kind)) for alert in about]
    dispatches = [
        Dispatch("chat", kind, 1, 1, is_first=True, severity=alert.severity, suppressed={alert.cause: 2})
        for alert in about
    ]
    if len(states) > 1:
        made_ = bundle(list(zip(states, dispatches, strict=True)), config)
    else:
        name, log, fact = draw(HOSTILE), draw(HOSTILE), draw(HOSTILE)
        found = Enrichment(facts={name: fact}, log_excerpt=log, logs=(clean(name), clean(fact)), account_name=name)
        assert states[0].incident
        made_ = notification(dispatches[0], states[0].incident, config, found)
    alarms = {alert.alarm.runbook_url for alert in about if alert.alarm and alert.alarm.runbook_url}
    return Told(made_, frozenset({RUNBOOK, *alarms}))


def incident_of(about: Alert, kind: Kind) -> Any:
    status, ended_at = (
        (IncidentStatus.RESOLVED, about.at + 60) if kind is Kind.RESOLVED else (IncidentStatus.OPEN, None)
    )
    subject, causes = about.subject, {about.cause: 2}
    return replace(
        INCIDENT, subject=subject, causes=causes, tasks=(about.task,), alert=about, status=status, ended_at=ended_at
    )


def is_known(url: str, runbooks: frozenset[str]) -> bool:
    """Whether a link leads to a console of AWS, to documentation, or to a runbook of the owner's."""
    host = urlsplit(url).hostname or ""
    console = any(re.fullmatch(rf"[a-z0-9-]+\.{re.escape(domain)}", host) for domain in HOSTS.values())
    return url.startswith("https://") and (url in runbooks or host in DOCUMENTATION or console)


def payloads(channel: Any, about: Notification) -> Iterator[dict[str, Any]]:
    yield channel.render(about)
    if hasattr(channel, "render_plain"):
        yield channel.render_plain(about)


# --- the rules --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(told())
def test_text_from_outside_stays_text_on_every_channel(about: Told) -> None:
    """The message is JSON within the limit; it mentions nobody; its links lead to AWS, to documents or to runbooks."""
    for name, (channel, limit, links) in CHANNELS.items():
        for payload in payloads(channel, about.notification):
            assert len(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()) <= limit, name
            wrong = [url for url in links(payload) if not is_known(url, about.runbooks)]
            assert not wrong, name
            for text in texts(payload):
                # Channels insert word joiners.
                assert not hidden_characters(text.replace("\u2060", "")), (name, ascii(text))


PAGE_TAGS = MAIL_TAGS | {"b", "code", "figcaption", "figure", "h2", "iframe", "li", "p", "pre", "script", "section",
    "small", "span", "ul"}  # fmt: skip
PAGE_ATTRIBUTES = MAIL_ATTRIBUTES | {"http-equiv", "sandbox", "srcdoc", "title", "type"}


@settings(max_examples=20, deadline=None)
@given(told(), HOSTILE)
def test_text_from_outside_is_no_html_on_the_page_of_simulate(about: Told, title: str) -> None:
    kinds = ("slack", "teams", "pagerduty", "sns", "ses", "webhook")
    drawings = [Drawing(kind, kind, CHANNELS[kind].channel.render(about.notification)) for kind in kinds]
    tags = Elements(page([Story(title, title, [*drawings, Drawing(title, "x", {}, title)])]))
    assert tags.names <= PAGE_TAGS
    assert tags.attributes <= PAGE_ATTRIBUTES
    assert all(is_known(url, about.runbooks) for url in tags.hrefs)
