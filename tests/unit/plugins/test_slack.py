"""plugins.slack: messages that Slack accepts for any input, and the meaning of its answers."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws.slack import SlackDouble, judge
from plugins.slack import Slack
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError, post_json
from router.messages.hygiene import cleaned
from router.model import Kind, Message, PartLabels, Severity
from tests.doubles.oom import ALERT, INCIDENT, SUBJECT

STAR, TILDE, GRAVE = "\N{ASTERISK OPERATOR}", "\N{TILDE OPERATOR}", "\N{MODIFIER LETTER GRAVE ACCENT}"
PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
MESSAGE = Message(
    "Still going on: Out of memory: service web in prod",
    "Container app exited with code 137.\nOutOfMemoryError: Container killed\nRaise its limit, or look for a leak.",
    (("Cluster", "prod"), ("Task definition", "web:42")),
    (("Task", "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/prod/tasks/1?region=eu-west-1&a=b"),),
    "java.lang.OutOfMemoryError: Java heap space",
    reason="OutOfMemoryError: Container killed",
    hint="Raise its limit, or look for a leak.",
    status="CRITICAL",
    headline="Out of memory: service web in prod",
)
SLACK = Slack(ChannelConfig("ops", "slack", {"webhook_url": f"https://hooks.slack.com{PATH}"}))

# Anything at all: control characters, bidi marks, halves of surrogate pairs, emoji, and Slack's own syntax.
NASTY = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=())),
        st.sampled_from(
            ["<!channel>", "<!here>", "<@U1>", "@everyone", "```", "`", "&lt;", "*", "_", "\u202e", "😀", "\n"]
        ),
        st.sampled_from(["https://x.example/a", "https://x|y>", "http://x/(a)", "<https://x|y>", "https://a@here"]),
        st.sampled_from(["x", "&", "<", "😀", "`", "\ud800", "語"]).map(lambda char: char * 1200),
    ),
    max_size=6,
).map("".join)
PAIRS = st.lists(st.tuples(NASTY, NASTY), max_size=12).map(tuple)
LINKS = st.lists(st.tuples(NASTY, NASTY.map(lambda text: f"https://x/{text}")), max_size=5).map(tuple)
MESSAGES = st.builds(Message, NASTY, NASTY, PAIRS, LINKS, NASTY, NASTY, NASTY, PAIRS, NASTY, NASTY)
A_LINK = re.compile(r"<https?://[A-Za-z0-9][^<>|@\s]*(\|[^<>\n]+)?>")


def notification(
    message: Message = MESSAGE, kind: Kind = Kind.OPENED, severity: Severity = Severity.CRITICAL
) -> Notification:
    return cleaned(Notification(kind, message, replace(ALERT, severity=severity), INCIDENT))


def render(**parts: Any) -> dict[str, Any]:
    """A message with these parts; with a different text it has no reason and no hint."""
    if "text" in parts:
        parts = {"reason": "", "hint": "", **parts}
    return SLACK.render(notification(replace(MESSAGE, **parts)))


def blocks(payload: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    everything = payload["blocks"] + payload["attachments"][0]["blocks"]
    return [block for block in everything if block["type"] == kind]


def texts(value: Any) -> Iterator[str]:
    """Every string that Slack shows."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item) if not isinstance(item, str) else [item] if key == "text" else []
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def mrkdwn(value: Any) -> list[str]:
    """Every string in which Slack reads formatting: `mrkdwn` objects, and the message's own text."""
    if isinstance(value, list):
        return [text for item in value for text in mrkdwn(item)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) and value.get("type") != "plain_text" else []
    return own + [text for item in value.values() for text in mrkdwn(item)]


def log_of(payload: dict[str, Any]) -> str:
    (found,) = [text for text in texts(payload) if "```" in text]
    return found


def links_of(payload: dict[str, Any]) -> list[str]:
    """The lines of the section with the links."""
    return next((text.splitlines() for text in texts(payload) if re.match(r"<https://[^>]*\|", text)), [])


# --- layout -----------------------------------------------------------------------------------------------------------


def test_a_notification_shows_sign_cause_and_place() -> None:
    """It is one line with the severity's sign, the title, and what happened."""
    assert render()["text"] == "🔴 CRITICAL · Out of memory: service web in prod – Container app exited with code 137."


def test_every_part_of_the_message_is_shown() -> None:
    """Title, what happened, why, what to do, facts, log and links each have their place."""
    payload = render()
    assert blocks(payload, "header")[0]["text"]["text"] == "🔴 CRITICAL · Out of memory: service web in prod"
    assert [field["text"] for field in blocks(payload, "section")[3]["fields"]] == [
        "*Cluster*\nprod",
        "*Task definition*\nweb:42",
    ]
    assert [block["text"]["text"] for block in blocks(payload, "section")[:3]] == [
        "Container app exited with code 137.",
        "`OutOfMemoryError: Container killed`",
        "👉 Raise its limit, or look for a leak.",
    ]
    assert log_of(payload) == f"*Last log lines*\n```\n{MESSAGE.log_excerpt}\n```"
    label, url = MESSAGE.links[0]
    assert links_of(payload) == [f"<{url.replace('&', '&amp;')}|{label}>"]
    assert INCIDENT.id in blocks(payload, "context")[0]["elements"][0]["text"]


def test_colours_distinguish_severities_and_the_end() -> None:
    """There are five different colours, and the end is always green."""
    looks = {
        (SLACK.render(part)["attachments"][0]["color"], SLACK.render(part)["text"][0])
        for part in [notification(severity=severity) for severity in Severity]
    }
    ends = {
        (SLACK.render(part)["attachments"][0]["color"], SLACK.render(part)["text"][0])
        for part in [notification(kind=Kind.RESOLVED, severity=severity) for severity in Severity]
    }
    assert ends == {("#2eb67d", "✅")}
    assert len({colour for colour, _ in looks | ends}) == len({sign for _, sign in looks | ends}) == 5


def test_empty_parts_are_left_out() -> None:
    """Slack refuses empty text; an empty message still shows the cause."""
    payload = SLACK.render(notification(Message(" \n", "\x00", (("", "x"), ("x", "\u202e")), (), " \n")))
    assert payload["text"] == "🔴 out_of_memory"
    assert [block["type"] for block in payload["attachments"][0]["blocks"]] == ["context"]
    assert judge(PATH, json.dumps(payload).encode()) == (200, "ok")


# --- text from outside is text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> & <@U123>", "&lt;!channel&gt; &amp; &lt;@U123&gt;"),
        ("<https://evil|click>", "&lt;https://evil|click&gt;"),
        ("&lt;", "&amp;lt;"),
        ("@everyone @here @CHANNEL", "@\u2060everyone @\u2060here @\u2060CHANNEL"),
        ("@here_ @here*", f"@\u2060hereˍ @\u2060here{STAR}"),
        ("*a* ~b~ `c`", f"{STAR}a{STAR} {TILDE}b{TILDE} {GRAVE}c{GRAVE}"),
        ("_a_ my_service a__b __init__", "ˍaˍ my_service a__b ˍˍinitˍˍ"),
        ("a" + "_" * 262_144 + "b", "a" + "_" * 2998 + "…"),
        ("a\tb\nc", "a\tb\nc"),
    ],
)
def test_text_from_outside_formats_nothing_and_mentions_no_one(text: str, shown: str) -> None:
    """Slack's syntax is escaped, or replaced if it cannot be escaped."""
    payload = render(text=text)
    assert blocks(payload, "section")[0]["text"]["text"] == shown


def test_slack_does_not_link_names() -> None:
    """`verbatim` keeps names and channels in all mrkdwn from being linked."""
    payload = render()
    objects = re.findall(r'\{"type": "mrkdwn"[^}]*\}', json.dumps(payload))
    assert len(objects) == 8
    assert all('"verbatim": true' in part for part in objects)


def test_log_cannot_leave_its_fence() -> None:
    """Backticks in a log are look-alikes, so the fence opens and closes once."""
    shown = log_of(render(log_excerpt="a ``` <!channel> ```` b"))
    assert shown == f"*Last log lines*\n```\na {GRAVE * 3} &lt;!channel&gt; {GRAVE * 4} b\n```"


def test_links_are_text_with_four_on_a_line() -> None:
    """They are not buttons, because Slack shows a warning at a clicked button of a webhook."""
    payload = render(links=tuple((f"Link {n} <!here> _x_", f"https://a.example/{n}") for n in range(6)))
    assert not blocks(payload, "actions")
    label = "&lt;!here&gt; ˍxˍ"
    assert links_of(payload) == [
        " · ".join(f"<https://a.example/{n}|Link {n} {label}>" for n in range(4)),
        " · ".join(f"<https://a.example/{n}|Link {n} {label}>" for n in range(4, 6)),
    ]


@pytest.mark.parametrize("url", ["javascript:x", "https://a|b", "https://a>b", "https://x@here/", "https://a b", ""])
def test_links_other_than_plain_https_urls_are_omitted(url: str) -> None:
    said = Notification(Kind.OPENED, replace(MESSAGE, links=(("Bad", url),)), ALERT, INCIDENT)
    assert links_of(SLACK.render(said)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Runbook https://wiki.example/a_b_?x=1&y=2.", "Runbook <https://wiki.example/a_b_?x=1&amp;y=2>."),
        ("手順はhttps://wiki.example/注文を参照", "手順は<https://wiki.example/>注文を参照"),
        ("(see https://wiki/a_(b)), <!here>", "(see <https://wiki/a_(b)>), &lt;!here&gt;"),
        ("<https://wiki.example/|*bank*>", f"&lt;<https://wiki.example/>|{STAR}bank{STAR}&gt;"),
        ("https://wiki.example/@here", "<https://wiki.example/>@\u2060here"),
    ],
)
def test_a_url_in_a_text_is_a_link_if_it_is_one_of_the_messages_links(text: str, shown: str) -> None:
    """The runbook in an alarm's description can be opened where it stands, and its target is visible."""
    urls = ("https://wiki.example/a_b_?x=1&y=2", "https://wiki.example/", "https://wiki/a_(b)")
    parts: Any = {"text": text, "links": tuple(("L", url) for url in urls), "facts": (("L", text),)}
    payload = render(**parts)
    assert blocks(payload, "section")[0]["text"]["text"] == shown
    assert blocks(payload, "section")[1]["fields"][0]["text"] == f"*L*\n{shown}"
    assert shown in SLACK.render_plain(notification(replace(MESSAGE, **parts)))["text"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("open https://evil.example/fix at once", "open https://evil.example/fix at once"),
        ("http://evil.example", "http://evil.example"),
        ("https://a.example*b* ftp://a mailto:a", f"https://a.example{STAR}b{STAR} ftp://a mailto:a"),
    ],
)
def test_no_other_url_in_a_text_is_a_link(text: str, shown: str) -> None:
    """Whoever names a service or an alarm could lead readers anywhere."""
    payload = render(text=text, facts=(("L", text),))
    assert blocks(payload, "section")[0]["text"]["text"] == shown
    assert blocks(payload, "section")[1]["fields"][0]["text"] == f"*L*\n{shown}"


@given(st.integers(0, 200))
def test_a_url_is_never_cut(before: int) -> None:
    """Part of a URL would lead elsewhere, so a URL is kept or omitted as a whole."""
    url = "https://wiki.example/" + "p" * 100
    payload = render(text="x" * (2900 + before) + f" {url} " + "y" * 500, links=(("L", url),))
    shown = blocks(payload, "section")[0]["text"]["text"]
    assert len(shown) <= 3000
    assert "<" not in shown.replace(f"<{url}>", "")


def test_the_status_is_text_in_the_readers_language() -> None:
    """Severity is never shown by colour alone; a title without a status still has its sign."""
    payload = render(status="重大・継続中", headline="メモリ不足: サービス web (prod)")
    assert blocks(payload, "header")[0]["text"]["text"] == "🔴 重大・継続中 · メモリ不足: サービス web (prod)"
    assert render(status="", headline="")["text"].startswith("🔴 Still going on: Out of memory")


def test_a_title_that_is_too_long_keeps_cause_and_cluster() -> None:
    payload = render(headline=f"Out of memory: service {'a<b' * 100} in prod")
    header = blocks(payload, "header")[0]["text"]["text"]
    assert 140 < len(header) <= 150
    assert re.fullmatch(r"🔴 CRITICAL · Out of memory: service [^…]*…[^…]* in prod", header)
    assert not re.search("&(?!lt;)", header)


def test_nothing_is_unfurled() -> None:
    """Slack would add a preview of a console's login page for each link."""
    for payload in (render(), SLACK.render_plain(notification())):
        assert (payload["unfurl_links"], payload["unfurl_media"]) == (False, False)


def test_plain_text_keeps_the_configured_mention() -> None:
    """It is the only text that is not escaped."""
    text = SLACK.render_plain(replace(notification(), mention="<!here>"))["text"]
    assert text.startswith("<!here>\n🔴 CRITICAL")


def test_too_long_links_are_left_out() -> None:
    """One bad URL would make Slack reject the whole message, and part of a URL would be useless."""
    bad = ("Bad", "https://a/" + "x" * 3000)
    payload = render(links=(bad, ("Good", "https://a.example/?b=1&c=~d_*(e)#f")))
    assert links_of(payload) == ["<https://a.example/?b=1&amp;c=~d_*(e)#f|Good>"]
    assert "Bad" not in SLACK.render_plain(notification(replace(MESSAGE, links=(bad,))))["text"]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_long_text_is_cut_between_characters() -> None:
    """A cut ends in "…", fills the limit, and never splits an escape."""
    for char, shown in (("x", "x"), ("<", "&lt;"), ("&", "&amp;"), ("語", "語")):
        text = blocks(render(text=char * 5000), "section")[0]["text"]["text"]
        assert 2990 < len(text) <= 3000
        assert re.fullmatch(f"({re.escape(shown)})+…", text)


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        ("_" * 500 + "x", "__"),  # inside a word
        ("_" * 500 + " ", "\N{MODIFIER LETTER LOW MACRON}" * 2),  # at its end
        ("@everyone", "@\N{WORD JOINER}"),
    ],
)
def test_what_stands_where_a_long_text_is_cut_is_shown_as_in_the_whole_text(after: str, shown: str) -> None:
    """Only the beginning of a long text is looked at."""
    payload = render(text="x", reason="x" * 1197 + after + "x" * 5000)
    assert "x" * 1197 + shown + "…" in json.dumps(payload, ensure_ascii=False)


def test_text_that_just_fits_is_whole() -> None:
    """The limit itself is allowed."""
    assert blocks(render(text="x" * 3000), "section")[0]["text"]["text"] == "x" * 3000
    assert blocks(render(text="x" * 3001), "section")[0]["text"]["text"] == "x" * 2999 + "…"


def test_long_log_keeps_its_end() -> None:
    """The last lines explain the crash."""
    shown = log_of(render(log_excerpt="start" + "<" * 9000 + "the end"))
    assert shown.startswith("*Last log lines*\n```\n…&lt;")
    assert shown.endswith("the end\n```")
    assert len(shown) <= 3000


def test_emoji_count_twice() -> None:
    """Slack does not document how it counts, so the strictest way is used."""
    assert len(blocks(render(text="😀" * 3000), "section")[0]["text"]["text"]) == 1500


def test_many_facts_share_the_space() -> None:
    """Ten to a section, twenty at most, each whole as long as there is room."""
    payload = render(facts=tuple((f"L{n}", "v" * 5000) for n in range(30)))
    fields = [block["fields"] for block in blocks(payload, "section") if "fields" in block]
    assert [len(field) for field in fields] == [10, 10]
    assert sum(len(field["text"]) for part in fields for field in part) <= 3000
    (only,) = [block["fields"] for block in blocks(render(facts=(("L", "v" * 1500),)), "section") if "fields" in block]
    assert only[0]["text"] == "*L*\n" + "v" * 1500


def test_the_largest_message_is_within_slacks_limits() -> None:
    """All limits reached at once stay below some 12,000 characters."""
    big = "x" * 262_144
    labels = PartLabels(*[big] * 4)
    links = ((big, "https://a/" + "&" * 20),) * 99
    payload = SLACK.render(
        notification(Message(big, big, ((big, big),) * 99, links, big, status=big, headline=big, labels=labels))
    )
    assert 10_000 < sum(map(len, texts(payload["blocks"] + payload["attachments"]))) <= 12_000
    assert judge(PATH, json.dumps(payload).encode()) == (200, "ok")


@settings(deadline=None)
@given(MESSAGES, st.sampled_from(Kind))
def test_slack_accepts_the_message_for_any_text(message: Message, kind: Kind) -> None:
    """Any text anywhere gives valid JSON in UTF-8, within all limits, without syntax, with balanced fences."""
    for payload in (SLACK.render(notification(message, kind)), SLACK.render_plain(notification(message, kind))):
        body = json.dumps(payload, ensure_ascii=False).encode()
        assert judge(PATH, body) == (200, "ok")
        for text in mrkdwn(payload):
            assert re.fullmatch(r"[^`]+|`[^`\n]+`|\*Last log lines\*\n```\n[^`]+\n```", text)
        for text in texts(payload):
            assert not re.search("[<>]", A_LINK.sub("", text))
            assert not re.search("&(?!amp;|lt;|gt;)", text)
            assert not re.search("@(channel|everyone|here)", text)
            assert len(text.encode("utf-16-le")) // 2 <= 4000


@settings(deadline=None)
@given(NASTY)
def test_a_log_is_inside_exactly_one_fence(log: str) -> None:
    """For any log, the only fences in its block are at its start and end."""
    for text in texts(render(log_excerpt=log)):
        if "```" in text:
            assert re.fullmatch(r"\*Last log lines\*\n```\n[^`]+\n```", text)


# --- plain text -------------------------------------------------------------------------------------------------------


def test_plain_text_says_the_same() -> None:
    """The fallback when Slack refuses the blocks: only text, with title, links, facts and the history id."""
    payload = SLACK.render_plain(notification())
    assert set(payload) == {"text", "unfurl_links", "unfurl_media"}
    for part in (
        "🔴 CRITICAL · Out of memory",
        "exited with code 137",
        "Cluster: prod",
        "region=eu-west-1&amp;a=b",
        INCIDENT.id,
    ):
        assert part in payload["text"]


def test_plain_text_is_short_and_keeps_the_history_id() -> None:
    """It is below 4000 characters for any message, and always has the id with which to find the rest."""
    said = notification(replace(MESSAGE, text="<" * 9000, facts=(("a", "b" * 9000),)))
    far_away = replace(INCIDENT, subject=SUBJECT._replace(region="&" * 400))
    text = SLACK.render_plain(replace(said, incident=far_away))["text"]
    assert 3500 < len(text) < 4000
    assert text.endswith(far_away.id)


# --- sending ----------------------------------------------------------------------------------------------------------


def sent_to(double: SlackDouble) -> None:
    slack = Slack(ChannelConfig("ops", "slack", {"webhook_url": double.webhook_url}))
    slack.send(slack.render(notification()))


def test_message_arrives_as_rendered() -> None:
    """`send` adds nothing and loses nothing."""
    with SlackDouble() as double:
        sent_to(double)
        assert [message.payload for message in double.received] == [render()]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        *((400, word, PayloadRejected) for word in ("invalid_payload", "invalid_blocks", "invalid_blocks_format")),
        *((400, word, PayloadRejected) for word in ("no_text", "too_many_attachments", "msg_blocks_too_long")),
        (400, "missing_text_or_fallback_or_attachments", PayloadRejected),
        (400, "user_not_found", PayloadRejected),
        *((403, word, PermanentError) for word in ("invalid_token", "action_prohibited", "team_disabled")),
        (403, "posting_to_general_channel_denied", PermanentError),
        *((404, word, PermanentError) for word in ("no_service", "no_service_id", "no_team", "no_active_hooks")),
        (404, "channel_not_found", PermanentError),
        (410, "channel_is_archived", PermanentError),
        (418, "never heard of", PermanentError),
        (429, "rate_limited", TransientError),
        (500, "rollup_error", TransientError),
        (503, "<html>busy</html>", TransientError),
        # The text counts more than the status.
        (400, "rollup_error", TransientError),
        (500, "no_service", PermanentError),
        (500, "invalid_blocks", PayloadRejected),
        (404, "invalid_blocks", PayloadRejected),
        (400, "channel_is_archived\n", PermanentError),
        (200, "invalid_blocks", PayloadRejected),
        (200, "no_service", PermanentError),
        (200, '{"ok":false,"error":"rate_limited"}', TransientError),
        (200, "", PermanentError),
        (200, "okay", PermanentError),
        (202, "", PermanentError),
    ],
)
def test_the_answers_text_decides_before_its_status(status: int, body: str, error: type[Exception]) -> None:
    """Only 200 `ok` is success; Slack's error code decides whether to retry, send plain text, or give up."""
    with SlackDouble() as double:
        double.answer_with(status, body)
        with pytest.raises(error) as caught:
            sent_to(double)
    assert type(caught.value) is error
    assert getattr(caught.value, "status", None) == status
    assert PATH not in str(caught.value)


def test_a_rate_limit_error_has_the_delay() -> None:
    """Slack's delay, from the header or the body, reaches the deliver step."""
    limited = '{"retry_after":7,"ok":false,"error":"rate_limited"}'
    with SlackDouble() as double:
        double.answer_with(429, limited, headers={"Retry-After": "30"})
        double.answer_with(429, limited)
        for wait in (30, 7):
            with pytest.raises(TransientError) as caught:
                sent_to(double)
            assert caught.value.retry_after == wait


def test_lost_connection_is_transient() -> None:
    """After a reset the message may have arrived, so it is retried."""
    with SlackDouble() as double:
        double.reset_connection()
        with pytest.raises(TransientError):
            sent_to(double)
        sent_to(double)
        assert [request.status for request in double.requests] == [0, 200]


def test_workflow_urls_are_refused_without_revealing_them() -> None:
    """Workflow Builder's URLs accept variables, not messages; the deployment already reports that."""
    for kind in ("triggers", "workflows"):
        with pytest.raises(ValueError, match="incoming webhook") as caught:
            Slack(ChannelConfig("ops", "slack", {"webhook_url": f"https://hooks.slack.com/{kind}/T1/2/secret"}))
        assert "secret" not in str(caught.value)
    with pytest.raises(KeyError, match="webhook_url"):
        Slack(ChannelConfig("ops", "slack", {}))


@pytest.mark.parametrize(
    "url",
    [
        "hello",
        "https://example.com/s3cret",
        "https://acme.slack.com/archives/s3cret",
        "https://hooks.slack.com/services/T…/B…/…",
        "https://hooks.slack.com/services/T0/B0",
        "hooks.slack.com/services/T0/B0/s3cret",
        "https://prod-1.logic.azure.com/workflows/s3cret?sig=x",
    ],
)
def test_other_urls_than_an_incoming_webhooks_are_refused_without_printing_them(url: str) -> None:
    with pytest.raises(ValueError, match=r"webhook_url (must look like|starts a workflow)") as caught:
        Slack(ChannelConfig("ops", "slack", {"webhook_url": url}))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["hooks.slack.com", "hooks.slack-gov.com", "proxy.example.com:8443"])
def test_a_webhook_of_any_host_is_taken(host: str) -> None:
    assert Slack(ChannelConfig("ops", "slack", {"webhook_url": f"https://{host}/services/T0/B0/x"}))


# --- the double -------------------------------------------------------------------------------------------------------

TEXT = {"type": "mrkdwn", "text": "x"}
PLAIN = {"type": "plain_text", "text": "x"}


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"text": "x"}, "ok"),
        ({}, "no_text"),
        ([], "invalid_payload"),
        ({"attachments": [{"text": "x"}] * 100}, "ok"),
        ({"attachments": [{"text": "x"}] * 101}, "too_many_attachments"),
        ({"blocks": [{"type": "divider"}] * 50}, "ok"),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "unknown"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": PLAIN | {"text": "x" * 150}}]}, "ok"),
        ({"blocks": [{"type": "header", "text": PLAIN | {"text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": TEXT}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": TEXT | {"text": "x" * 3000}}]}, "ok"),
        ({"blocks": [{"type": "section", "text": TEXT | {"text": "x" * 3001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": TEXT | {"text": ""}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [TEXT] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [TEXT | {"text": "x" * 2001}]}]}, "invalid_blocks"),
        ({"attachments": [{"blocks": [{"type": "section"}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": []}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [{"type": "button", "text": TEXT}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": TEXT | {"text": "x" * 3000}}] * 5}, "msg_blocks_too_long"),
    ],
)
def test_the_double_judges_like_slack(payload: Any, answer: str) -> None:
    """Tests against the double are only valid if it refuses what Slack refuses."""
    assert judge(PATH, json.dumps(payload).encode())[1] == answer
    assert judge("/services/elsewhere", json.dumps(payload).encode()) == (404, "no_service")


def test_the_double_follows_its_script_and_leaves_no_thread() -> None:
    """Scripted answers come first and in order, stalls end with the double, and no thread is left."""
    before = threading.active_count()
    with SlackDouble() as double, ThreadPoolExecutor(1) as pool:
        double.answer_with(503, "busy", times=2)
        for _ in range(2):
            with pytest.raises(TransientError):
                sent_to(double)
        pool.submit(sent_to, double)
        assert len(double.wait_for(1)) == 1
        assert [request.status for request in double.requests] == [503, 503, 200]
        double.stall(60)
        with pytest.raises(TransientError, match="in time"):
            post_json(double.webhook_url, {"text": "x"}, timeout=0.2)
    assert threading.active_count() == before
