"""The last lines of a log: bounded, without colours, without what looks like a secret."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.enrichment.container_logs import LINE, LINES, TEXT, excerpt
from router.text.redaction import REDACTED


def test_the_last_lines_are_shown() -> None:
    shown = excerpt([f"line {number}\n" for number in range(40)]).splitlines()
    assert shown == [f"line {number}" for number in range(40 - LINES, 40)]


def test_empty_lines_and_a_terminals_colours_are_left_out() -> None:
    assert excerpt(["\x1b[31mred\x1b[0m\n\n", "   \n", "\x1b[1;32mgreen\x1b[0m"]) == "red\ngreen"


def test_an_event_may_hold_many_lines() -> None:
    assert excerpt(["a\nb", "c"]) == "a\nb\nc"


@given(st.lists(st.text(max_size=6000), max_size=40))
def test_an_excerpt_is_bounded(messages: list[str]) -> None:
    shown = excerpt(messages)
    assert len(shown) <= TEXT
    assert len(shown.splitlines()) <= LINES + 1  # a cut may begin within a line
    assert all(len(line) <= LINE for line in shown.splitlines())


@pytest.mark.parametrize(
    "text", ["a", "password", "://", "token=", "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaa.", "secret"]
)
def test_no_log_takes_long(text: str) -> None:
    begin = time.process_time()
    excerpt([text * (262_144 // len(text))] * 30)
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize("line", ["pass\u200bword=hunter2", "pass\x1b[31mword=hunter2\x1b[0m", "pass\x9bword=hunter2"])
def test_hidden_characters_hide_no_secret(line: str) -> None:
    assert "hunter2" not in excerpt([line])


def test_a_long_line_is_not_cut_within_a_secret() -> None:
    """Half a secret has nothing to be known by: what is cut off begins with a word."""
    line = "x" * 10_000 + " password=" + "s3cr3t" * 665 + " end"
    assert "s3cr3t" not in excerpt([line])


def test_an_excerpt_holds_no_secret_even_one_that_spans_several_events() -> None:
    messages = ["password=hunter2\n", "-----BEGIN PRIVATE KEY-----\n", "MIIEow\n", "-----END PRIVATE KEY-----\n", "end"]
    assert excerpt(messages) == f"password={REDACTED}\n{REDACTED}\nend"
