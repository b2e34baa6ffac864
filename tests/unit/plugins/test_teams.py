"""plugins.teams: a card that Teams can post for any input, and the meaning of the workflow's answers."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws.teams import TeamsDouble, judge, unpostable
from plugins.teams import Teams
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError, post_json
from router.messages.hygiene import cleaned
from router.model import Kind, Message, PartLabels, Severity
from tests.doubles.examples import share
from tests.doubles.oom import ALERT, INCIDENT, SUBJECT

JOINER, NBSP = "\N{WORD JOINER}", "\N{NO-BREAK SPACE}"
STAR, TILDE, GRAVE = "\N{ASTERISK OPERATOR}", "\N{TILDE OPERATOR}", "\N{MODIFIER LETTER GRAVE ACCENT}"
LOW = "\N{MODIFIER LETTER LOW MACRON}"
URL = "https://prod-12.westeurope.logic.azure.com:443/workflows/0123/triggers/manual/paths/invoke?sv=1.0&sig=S3cretSig"
MESSAGE = Message(
    "Still going on: Out of memory: service web in prod",
    "Container app exited with code 137.\nOutOfMemoryError: Container killed due to memory usage",
    (("Cluster", "prod"), ("Task definition", "web:42")),
    (("Open the task", "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/prod/tasks/1?region=eu-west-1&a=b"),),
    "java.lang.OutOfMemoryError: Java heap space\n    at Main.main",
    status="CRITICAL",
    headline="Out of memory: service web in prod",
)
TEAMS = Teams(ChannelConfig("ops", "teams", {"webhook_url": URL}))

# Anything at all: control characters, bidi marks, halves of surrogate pairs, emoji, and the syntax of cards.
NASTY = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=())),
        st.sampled_from(
            ["<at>All</at>", "[x](https://e)", "**b**", "_i_", "{{DATE(2024)}}", "&lt;", "\\*", "\n- ", "\r"]
        ),
        st.sampled_from(["x", '"', "\\", "<a", "😀", "語", "\n", "\ud800", "\x00", "\u202e"]).map(
            lambda char: char * 700
        ),
    ),
    max_size=6,
).map("".join)
PAIRS = st.lists(st.tuples(NASTY, NASTY), max_size=12).map(tuple)
LINKS = st.lists(st.tuples(NASTY, NASTY.map(lambda text: f"https://x/{text}")), max_size=9).map(tuple)
LABELS = st.builds(PartLabels, NASTY, NASTY, NASTY, NASTY)
MESSAGES = st.builds(Message, NASTY, NASTY, PAIRS, LINKS, NASTY, NASTY, NASTY, PAIRS, NASTY, NASTY, LABELS)


def notification(
    message: Message = MESSAGE, kind: Kind = Kind.OPENED, severity: Severity = Severity.CRITICAL
) -> Notification:
    return cleaned(Notification(kind, message, replace(ALERT, severity=severity), INCIDENT))


def card(payload: dict[str, Any]) -> dict[str, Any]:
    (attachment,) = payload["attachments"]
    content: dict[str, Any] = attachment["content"]
    return content


def render(**parts: Any) -> dict[str, Any]:
    return card(TEAMS.render(notification(replace(MESSAGE, **parts))))


def elements(value: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Every element of a type, at any depth, in reading order."""
    if isinstance(value, list):
        for item in value:
            yield from elements(item, kind)
    elif isinstance(value, dict):
        if value.get("type") == kind:
            yield value
        for item in value.values():
            yield from elements(item, kind)


def lines(content: dict[str, Any], *, log: bool = False) -> list[str]:
    """The text of the blocks with the message's text, or with its log."""
    blocks = elements(content["body"], "TextBlock")
    return [block["text"] for block in blocks if "spacing" in block and ("fontType" in block) == log]


def shown(content: dict[str, Any]) -> list[str]:
    """Every string in which a client reads formatting."""
    facts = [text for element in elements(content, "FactSet") for fact in element["facts"] for text in fact.values()]
    return [element["text"] for element in elements(content, "TextBlock")] + facts


def size(payload: dict[str, Any]) -> int:
    return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())


# --- layout -----------------------------------------------------------------------------------------------------------


def test_every_part_of_the_message_is_shown() -> None:
    """Severity and title in the coloured box, then text, facts, log, place and id; a button for each link."""
    content = render()
    head, *_ = elements(content, "Container")
    assert [item["text"] for item in head["items"]] == ["🔴 CRITICAL", MESSAGE.headline]
    assert lines(content) == MESSAGE.text.splitlines()
    assert [
        (fact["title"], fact["value"]) for element in elements(content, "FactSet") for fact in element["facts"]
    ] == [*MESSAGE.facts]
    assert lines(content, log=True) == ["java.lang.OutOfMemoryError: Java heap space", f"{NBSP * 4}at Main.main"]
    assert [block["text"] for block in elements(content, "TextBlock")][-4] == "Last log lines"
    assert content["body"][-1]["text"] == f"123456789012 · eu-west-1 · {INCIDENT.id}"
    assert [(action["title"], action["url"]) for action in content["actions"]] == [*MESSAGE.links]
    assert content["fallbackText"] == f"🔴 CRITICAL: {MESSAGE.headline}"


def test_the_card_has_the_format_of_the_workflow() -> None:
    """It has one attachment, in the documented format."""
    payload = TEAMS.render(notification())
    assert payload["type"] == "message"
    (attachment,) = payload["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["contentUrl"] is None
    assert (card(payload)["type"], card(payload)["version"]) == ("AdaptiveCard", "1.2")


def test_severities_and_the_end_are_distinguishable() -> None:
    """Each has a sign of a different shape, for people who do not see the colour; the end is always green."""
    heads = {
        (severity, kind): next(elements(card(TEAMS.render(notification(MESSAGE, kind, severity))), "Container"))
        for severity in Severity
        for kind in (Kind.OPENED, Kind.RESOLVED)
    }
    assert [heads[severity, Kind.OPENED]["style"] for severity in Severity] == [
        "attention",
        "attention",
        "warning",
        "accent",
    ]
    assert {heads[severity, Kind.RESOLVED]["style"] for severity in Severity} == {"good"}
    assert len({head["items"][0]["text"] for head in heads.values()}) == 5


def test_a_card_is_in_the_readers_language() -> None:
    """Severity, status and the log's heading come from the message."""
    content = render(status="重大・継続中", headline="メモリ不足", labels=PartLabels("概要", "理由", "対処", "ログ"))
    head, *_ = elements(content, "Container")
    assert [item["text"] for item in head["items"]] == ["🔴 重大・継続中", "メモリ不足"]
    assert "ログ" in [block["text"] for block in elements(content, "TextBlock")]
    assert not re.search("CRITICAL|log", json.dumps(content["body"]))


def test_every_line_wraps() -> None:
    """Without `wrap`, a phone shows only the first words of each line."""
    assert all(block["wrap"] for block in elements(render(), "TextBlock"))


def test_empty_parts_are_left_out() -> None:
    """An empty message shows the cause."""
    content = card(TEAMS.render(notification(Message(" \n", "\x00", (("", "x"), ("x", "\u202e")), (), " \n"))))
    assert [element["text"] for element in elements(content, "TextBlock")][:2] == ["🔴", "out_of_memory"]
    assert len(content["body"]) == 2
    assert "actions" not in content


def test_plain_card_is_the_smallest() -> None:
    """The fallback for a refused layout: one line with severity, title and the history id."""
    (block,) = card(TEAMS.render_plain(notification()))["body"]
    assert block["text"] == f"🔴 CRITICAL: {MESSAGE.headline} 123456789012 · eu-west-1 · {INCIDENT.id}"


# --- text from outside is text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<at>Everyone</at>", f"<{JOINER}at>Everyone<{JOINER}/at>"),
        ("&lt;at&gt; &#60; a & b", f"&{JOINER}lt;at&{JOINER}gt; &{JOINER}#60; a & b"),
        ("[x](https://evil)", f"[x]{JOINER}(https://evil)"),
        ("[x][y] [x]: y arr[0]", f"[x]{JOINER}[y] [x]{JOINER}: y arr[0]"),
        ("*a* ~~b~~ `c`", f"{STAR}a{STAR} {TILDE * 2}b{TILDE * 2} {GRAVE}c{GRAVE}"),
        ("_a_ my_service __init__", f"{LOW}a{LOW} my_service {LOW * 2}init{LOW * 2}"),
        ("{{DATE(2024-08-08T17:19:02Z)}}", f"{{{JOINER}{{DATE(2024-08-08T17:19:02Z)}}}}"),
        (r"C:\.net \d", rf"C:\{JOINER}.net \d"),
        ("# a", f"{JOINER}# a"),
        ("- a", f"{JOINER}- a"),
        ("1. a", f"{JOINER}1. a"),
        ("2024 a", "2024 a"),
        ("a" + "_" * 262_144 + "b", None),
    ],
)
def test_text_from_outside_stays_text(text: str, expected: str | None) -> None:
    """Mentions, links, dates and Markdown are broken up or replaced by look-alikes."""
    content = render(headline=text, text=text, facts=((text, text),), log_excerpt=text)
    if expected is not None:
        assert lines(content) == lines(content, log=True) == [expected]
        assert [text for text in shown(content) if text == expected] == [expected] * 5


def test_tabs_are_spaces() -> None:
    """At the start of a line they are indentation, which is kept."""
    assert lines(render(text="\ta\tb")) == ["\u00a0a b"]


def test_each_line_is_a_block() -> None:
    """Clients disagree about what a newline within a block means."""
    assert lines(render(text="a\nb\r\nc\rd\u2028e\n\nf")) == ["a", "b", "c", "d", "e", "f"]


def test_too_long_links_are_left_out() -> None:
    """The workflow refuses a bad URL after it has answered, and part of a URL would be useless."""
    content = render(links=(("Bad", "https://a/" + "x" * 2500), ("Good", "https://a.example/?b=1&c=~d_*(e)#f")))
    assert [button["title"] for button in content["actions"]] == ["Good"]


@given(NASTY)
def test_no_text_formats_or_mentions(text: str) -> None:
    """For any input, no string of a card starts a mention, a link, an entity, a date or an emphasis."""
    labels = PartLabels(text, text, text, text)
    parts: dict[str, Any] = {"title": text, "headline": text, "text": text, "log_excerpt": text}
    for text_part in shown(render(**parts, facts=((text, text),), status=f"x {text}", labels=labels)):
        assert not re.search(r"</?[A-Za-z!?]|&[#A-Za-z]|\][(\[:]|\{\{|[*~`]|\\[!-/:-@\[-`{-~]", text_part)
        assert not re.search(r"(?<!\w)_|_(?!\w|_|…)", text_part)
        assert not re.match(r"[#>+=|-]|\d+[.)]|\s*$", text_part)


# --- limits -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=share(50))
@given(MESSAGES, st.sampled_from(Kind))
def test_teams_can_post_the_card_for_any_text(message: Message, kind: Kind) -> None:
    """Any text anywhere gives a valid card of at most 20,000 bytes with the title and the history id."""
    said = notification(message, kind)
    for payload in (TEAMS.render(said), TEAMS.render_plain(said)):
        assert size(payload) <= 20_000
        assert unpostable(payload) == ""
        assert INCIDENT.id in json.dumps(payload)


@pytest.mark.parametrize("char", ["x", '"', "\\", "語", "😀", "<a", "x\n", "[]("])
def test_the_largest_message_is_within_teams_limits(char: str) -> None:
    """All limits reached at once stay below 20,000 bytes."""
    big = char * (262_144 // len(char))
    links = tuple((big, "https://a/" + "x" * length) for length in range(2480, 2492))
    subject = SUBJECT._replace(account=big, region=big)
    labels = PartLabels(*[big] * 4)
    said = notification(Message(big, big, ((big, big),) * 99, links, big, status=big, headline=big, labels=labels))
    payload = TEAMS.render(replace(said, incident=replace(INCIDENT, subject=subject)))
    assert 10_000 < size(payload) <= 20_000
    assert unpostable(payload) == ""


def test_only_text_facts_and_log_are_shortened() -> None:
    """A title and links of ordinary length are never shortened."""
    big = "語" * 262_144
    links = tuple((f"Link {n}", f"https://a.example/{n}/" + "x" * 400) for n in range(6))
    content = render(text=big, facts=((big, big),) * 99, links=links, log_excerpt=big)
    assert next(elements(content, "Container"))["items"][1]["text"] == MESSAGE.headline
    assert [(action["title"], action["url"]) for action in content["actions"]] == [*links]
    assert re.fullmatch("語+…", lines(content)[0])
    assert re.fullmatch("…語+", lines(content, log=True)[0])


def test_long_log_keeps_its_end() -> None:
    """The last lines explain the crash."""
    last = lines(render(log_excerpt="\n".join(f"line {n}" for n in range(9000))), log=True)
    assert last[-1] == "line 8999"
    assert 20 < len(last) < 100


def test_text_that_just_fits_is_whole() -> None:
    """Text is shortened only if necessary, and never within a character."""
    (longest,) = lines(render(text="x" * 9000))
    fits = len(longest) - 1 + len("…".encode())
    assert lines(render(text="x" * fits)) == ["x" * fits]
    assert lines(render(text="x" * (fits + 1))) == [longest]
    (emoji,) = lines(render(text="😀" * 9000))
    assert emoji.strip("😀") == "…"


def test_no_more_buttons_than_teams_shows() -> None:
    """Teams shows six."""
    content = render(links=tuple((f"L{n}", f"https://a.example/{n}") for n in range(9)))
    assert [action["title"] for action in content["actions"]] == [f"L{n}" for n in range(6)]


# --- sending ----------------------------------------------------------------------------------------------------------


def sent_to(double: TeamsDouble) -> None:
    teams = Teams(ChannelConfig("ops", "teams", {"webhook_url": double.webhook_url}))
    teams.send(teams.render(notification()))


def error_body(code: str) -> str:
    return json.dumps({"error": {"code": code, "message": "why"}})


def test_card_arrives_as_rendered() -> None:
    """`send` adds nothing and loses nothing, and what it sends can be posted."""
    with TeamsDouble() as double:
        sent_to(double)
        assert [message.payload for message in double.received] == [TEAMS.render(notification())]
        assert double.failed_runs == []


@pytest.mark.parametrize("status", [200, 202])
def test_accepted_is_success(status: int) -> None:
    """Teams answers 202; a workflow with a Response action answers 200."""
    with TeamsDouble() as double:
        double.answer_with(status, "whatever")
        sent_to(double)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, error_body("WorkflowTriggerIsNotEnabled"), PermanentError),
        (400, error_body("TriggerInputSchemaMismatch"), PayloadRejected),
        (400, "never heard of", PayloadRejected),
        (413, "", PayloadRejected),
        (401, error_body("DirectApiAuthorizationRequired"), PermanentError),
        (403, "", PermanentError),
        (404, error_body("WorkflowNotFound"), PermanentError),
        (410, "", PermanentError),
        (204, "", PermanentError),
        (302, "", PermanentError),
        (429, "", TransientError),
        (500, "", TransientError),
        (502, error_body("NoResponse"), TransientError),
        (503, "<html>busy</html>", TransientError),
    ],
)
def test_answers(status: int, body: str, error: type[Exception]) -> None:
    """The error code decides, otherwise the status; only 200 and 202 are success."""
    with TeamsDouble() as double:
        double.answer_with(status, body)
        with pytest.raises(error) as caught:
            sent_to(double)
    assert type(caught.value) is error
    assert getattr(caught.value, "status", None) == status
    assert "sig=" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("WorkflowTriggerIsNotEnabled", "turn it on"),
        ("DirectApiAuthorizationRequired", "copy the whole URL"),
        ("WorkflowNotFound", "make a new one"),
    ],
)
def test_errors_name_the_fix(code: str, fix: str) -> None:
    """Only its owner can fix a workflow, so the error explains how."""
    with TeamsDouble() as double:
        double.answer_with(400, error_body(code))
        with pytest.raises(PermanentError, match=f"{code}.*{fix}"):
            sent_to(double)


def test_a_throttling_error_has_the_delay() -> None:
    """Teams' delay reaches the deliver step."""
    with TeamsDouble() as double:
        double.answer_with(429, "", headers={"Retry-After": "60"})
        with pytest.raises(TransientError) as caught:
            sent_to(double)
    assert caught.value.retry_after == 60


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://contoso.webhook.office.com/webhookb2/k3y@x/IncomingWebhook/k3y", "retired"),
        ("https://webhook.office.com/k3y", "retired"),
        ("https://outlook.office.com/webhook/k3y", "retired"),
        ("https://CONTOSO.WEBHOOK.OFFICE.COM/k3y", "retired"),
        ("http://contoso.webhook.office.com/k3y", "retired"),
        ("ftp://prod-12.logic.azure.com/k3y", "must look like"),
        ("k3y", "must look like"),
        ("https:///k3y", "must look like"),
        ("https://x/workflows/k3y?sig=a b", "must look like"),
        ("https://teams.microsoft.com/l/channel/k3y", "is not that of a workflow"),
        ("https://prod-12.logic.azure.com/workflows/k3y/triggers/manual/paths/invoke?api-version=1", "has no sig"),
        ("https://prod-12.logic.azure.com/workflows/k3y/triggers/manual/paths/invoke?sig=", "has no sig"),
        ("https://[k3y", "malformed"),
        ("https://k3y℀/", "malformed"),
    ],
)
def test_wrong_urls_are_refused_without_revealing_them(url: str, why: str) -> None:
    """The error comes when the channel is created; even a wrong URL is a secret."""
    with pytest.raises(ValueError, match=f"webhook_url .*{why}") as caught:
        Teams(ChannelConfig("ops", "teams", {"webhook_url": url}))
    assert not re.search("k3y|office.com|azure|evil", str(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://env.12.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/x?sig=y",
        "http://127.0.0.1:8080/x",
        "http://localhost/x",
        "http://[::1]:8080/x",
    ],
)
def test_other_urls_are_accepted(url: str) -> None:
    """Workflow URLs have had several formats. The router itself refuses plain http except on loopback."""
    assert Teams(ChannelConfig("ops", "teams", {"webhook_url": url}))


def test_url_is_required() -> None:
    """A KeyError means that the channel is not configured."""
    with pytest.raises(KeyError, match="webhook_url"):
        Teams(ChannelConfig("ops", "teams", {}))


# --- the double -------------------------------------------------------------------------------------------------------

TEXT = {"type": "TextBlock", "text": "x"}


def posted(*body: Any, **content: Any) -> dict[str, Any]:
    whole = {"type": "AdaptiveCard", "version": "1.2", "body": list(body), **content}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": whole}
    return {"type": "message", "attachments": [attachment]}


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (posted(TEXT), ""),
        (posted(TEXT | {"text": "x" * 24_000}), ""),
        (posted(TEXT | {"text": "x" * 24_228}), "MessageSizeExceeded"),
        (posted(TEXT | {"text": "語" * 8_100}), "MessageSizeExceeded"),
        (posted(), "without a body"),
        (posted(TEXT, version="1.9"), "version"),
        (posted(TEXT | {"text": ""}), "TextBlock without text"),
        (posted({"type": "Unknown"}), "not an element"),
        (posted({"type": "Container", "style": "red", "items": [TEXT]}), "no such style"),
        (posted({"type": "Container", "items": []}), "container without"),
        (posted({"type": "FactSet", "facts": [{"title": "x"}]}), "FactSet"),
        (posted(TEXT, actions=[{"type": "Action.Submit", "title": "x"}]), "not an element"),
        (posted(TEXT, actions=[{"type": "Action.OpenUrl", "title": "x", "url": "/x"}]), "absolute URL"),
        (posted(TEXT, actions=[{"type": "Action.OpenUrl", "title": "x", "url": "https://x"}] * 7), "actions"),
        ({"type": "message", "attachments": [{"contentType": "application/json"}]}, "not an"),
        ({"type": "message", "attachments": []}, "not an"),
    ],
)
def test_the_double_posts_what_teams_posts(payload: Any, problem: str) -> None:
    """A post that the workflow accepts but cannot make fails its run, and the sender does not learn of it."""
    with TeamsDouble() as double:
        assert post_json(double.webhook_url, payload).status == 202
        assert (len(double.received), len(double.failed_runs)) == ((0, 1) if problem else (1, 0))
        assert all(problem in run for run in double.failed_runs)


@pytest.mark.parametrize(
    ("query", "headers", "body", "status", "code"),
    [
        ("?sig=x", {}, b'{"type":"message","attachments":[]}', 202, ""),
        ("", {}, b"{}", 401, "DirectApiAuthorizationRequired"),
        ("?sig=x", {"authorization": "Bearer x"}, b"{}", 401, "DirectApiAuthorizationRequired"),
        ("?sig=x", {}, b"{", 400, "InvalidRequestContent"),
        ("?sig=x", {}, b"[]", 400, "TriggerInputSchemaMismatch"),
        ("?sig=x", {}, b'{"@type":"MessageCard","text":"x"}', 400, "TriggerInputSchemaMismatch"),
        ("/elsewhere?sig=x", {}, b"{}", 404, "WorkflowNotFound"),
    ],
)
def test_the_double_answers_like_the_trigger(
    query: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    """The trigger immediately refuses what is visibly wrong."""
    path = TeamsDouble.path + query
    assert judge(path, headers, body)[0] == status
    assert code in judge(path, headers, body)[1]
