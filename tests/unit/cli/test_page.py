"""`simulate --html`: the messages as recipients see them, with text from outside as plain text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_aws import events
from router.cli import main
from router.cli.page import RENDERER, Drawing, Story, page
from router_conformance.notifications import HOSTILE

DIED = events.task_stopped()


def simulate(tmp_path: Path, raw: Any, *arguments: str) -> tuple[Result, str]:
    event, out = tmp_path / "event.json", tmp_path / "page.html"
    event.write_text(json.dumps(raw), "utf-8")
    result = CliRunner().invoke(main, ["simulate", str(event), "--html", str(out), *arguments])
    return result, out.read_text("utf-8") if out.is_file() else ""


class Seen(HTMLParser):
    """The texts and elements of a page as a browser reads them, without scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - as HTMLParser calls it
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in {"script", "style"}:
            self.texts.append(data)


def test_the_page_shows_the_messages_of_all_channels(tmp_path: Path) -> None:
    result, drawn = simulate(tmp_path, DIED)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "page.html: 4 messages about 1 events" in result.stderr
    text = "\n".join(Seen(drawn).texts)
    assert drawn.count("<figure>") == 4
    assert re.findall(r"^(\w+) \(\w+\), opened: [\d,]+", text, re.MULTILINE) == ["slack", "teams", "email", "pagerduty"]
    assert text.count("Container crashed: service web in prod") >= 4


def test_mail_in_html_is_shown_in_a_frame_without_scripts() -> None:
    mail = {"subject": "x", "headers": {}, "text": "y", "html": "<p onclick='z'>\"Out of memory\"</p>"}
    drawn = page([Story("title", "", [Drawing("mail", "ses", mail), Drawing("mail", "ses", {**mail, "html": ""})])])
    frames = [attributes for tag, attributes in Seen(drawn).elements if tag == "iframe"]
    assert [(frame["sandbox"], frame["srcdoc"]) for frame in frames] == [("", mail["html"]), ("", "<pre>y</pre>")]


def test_slacks_links_and_severity_are_shown(tmp_path: Path) -> None:
    _, drawn = simulate(tmp_path, DIED, "--channel", "slack")
    seen = Seen(drawn)
    assert any(text.startswith("🔴 CRITICAL · Container crashed") for text in seen.texts)
    assert "View task" in seen.texts
    hrefs = [attributes["href"] or "" for tag, attributes in seen.elements if tag == "a"]
    assert any("/ecs/v2/clusters/prod/tasks/" in href for href in hrefs)
    assert not any("|" in text for text in seen.texts)


def test_a_page_without_messages_says_so(tmp_path: Path) -> None:
    _, drawn = simulate(tmp_path, [events.task_event(), DIED])
    assert drawn.count("No message is sent.") == 1
    assert drawn.count("<section>") == 2


@pytest.mark.parametrize("kind", ["opened", "updated", "resolved"])
def test_every_notification_kind_can_be_shown(kind: str, tmp_path: Path) -> None:
    result, drawn = simulate(tmp_path, DIED, "--kind", kind)
    assert result.exit_code == 0
    assert f", {kind}: " in drawn


def test_a_digest_counts_the_suppressed_alerts(tmp_path: Path) -> None:
    _, drawn = simulate(tmp_path, DIED, "--kind", "updated")
    assert "3 more alerts since the last message; 4 in total since" in drawn


def test_enrichment_can_be_given_on_the_command_line(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    found.write_text(
        json.dumps(
            {"log_excerpt": "the last line", "recurrence": {"last_day": 2, "last_week": 5, "previous": 1723130000}}
        )
    )
    _, drawn = simulate(tmp_path, DIED, "--enrichment", str(found))
    assert "the last line" in drawn
    assert "3rd time in 24 h, 6th in 7 days; last seen 2 h before." in drawn


@pytest.mark.parametrize("content", ["{", "5", '{"nothing": 1}', '{"recurrence": {"x": 1}}', '{"recurrence": 5}'])
def test_impossible_enrichment_is_wrong_usage(content: str, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    found.write_text(content)
    result, _ = simulate(tmp_path, DIED, "--enrichment", str(found))
    assert result.exit_code == 2
    assert "--enrichment: " in result.stderr


def test_a_page_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps(DIED))
    result = CliRunner().invoke(main, ["simulate", str(event), "--html", str(tmp_path / "no" / "page.html")])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize("name", HOSTILE)
def test_text_from_outside_creates_no_element_and_no_script(name: str, tmp_path: Path) -> None:
    """For any event, the page has the same elements, except for line breaks and code in its text."""
    text = HOSTILE[name][:2000]
    raw = events.task_stopped(
        "EssentialContainerExited", text, events.container("app", 1, text), service="web", stoppedAt=events.AT
    )

    _, drawn = simulate(tmp_path, raw)
    elements = Seen(drawn).elements
    plain = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "section",
        "h1",
        "h2",
        "p",
        "div",
        "figure",
        "figcaption",
    }
    plain |= {"small", "span", "b", "code", "pre", "br", "a", "table", "tr", "td", "ul", "li", "script"}
    assert {tag for tag, _ in elements} <= plain
    assert not any(name.startswith("on") for _, attributes in elements for name in attributes)
    hrefs = [attributes.get("href") or "" for tag, attributes in elements if tag == "a"]
    assert all(href.startswith("https://") for href in hrefs)


def test_a_page_fetches_nothing_and_runs_only_its_own_scripts(tmp_path: Path) -> None:
    _, drawn = simulate(tmp_path, DIED)
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Seen(drawn).elements
        if tag == "meta" and "content" in attributes
    )
    assert policy.startswith("default-src 'none'; ")
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]
    assert not re.search(r"<(link|img|iframe)\b|\bsrc=", drawn.partition("<script>")[0])


def test_a_link_other_than_https_is_not_clickable() -> None:
    event = {"payload": {"summary": "x", "severity": "critical"}, "links": [{"href": "javascript:x", "text": "t"}]}
    drawn = page([Story("t", "v", [Drawing("pd", "pagerduty", event)])])
    assert "javascript" not in drawn


def test_an_unknown_channel_kind_is_shown_as_plain_fields() -> None:
    drawn = page([Story("t", "v", [Drawing("chat", "mattermost", {"text": "<b>hello</b>"})])])
    assert "text: &lt;b&gt;hello&lt;/b&gt;" in drawn


def test_a_message_that_cannot_be_rendered_shows_the_reason() -> None:
    drawn = page([Story("t", "v", [Drawing("chat", "", {}, "its plugin <broke>")])])
    assert '<p class="wrong">its plugin &lt;broke&gt;</p>' in drawn


@pytest.mark.skipif(not RENDERER.is_file(), reason="npm ci brings the renderer")
def test_cards_are_rendered_by_the_official_renderer(tmp_path: Path) -> None:
    _, drawn = simulate(tmp_path, DIED)
    assert "AdaptiveCards=" in drawn
    (card,) = re.findall(r'<script type="application/json">(.*?)</script>', drawn)
    assert json.loads(card)["type"] == "AdaptiveCard"
