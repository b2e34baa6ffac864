"""The last lines of a log: limited in size, without colours, and without anything that looks like a secret."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.enrichment.container_logs import LINE, LINES, REDACTED, TEXT, excerpt, redacted

KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"
TOKEN = "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("password=hunter2-and-more", "hunter2-and-more"),
        ('{"password": "hunter2", "user": "app"}', "hunter2"),
        ("DB_PASSWORD: 'two words'", "two words"),
        ("api_key=abc123def", "abc123def"),
        ("X-Api-Key: abc123def", "abc123def"),
        ("client_secret=s3cr3t&x=1", "s3cr3t"),
        ("access_token=ya29.a0Af", "ya29.a0Af"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("sent header bearer abcdefghijkl", "abcdefghijkl"),
        ("postgres://app:s3cr3t@db.internal/checkout", "s3cr3t"),
        (f"using key {KEY_ID}", KEY_ID),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
        (f"token {TOKEN} is expired", TOKEN),
        ("ghp_" + "a" * 36, "a" * 36),
        ("xoxb-" + "1" * 20, "1" * 20),
        ("posting to https://hooks.slack.com/services/T0/B0/abcdef", "T0/B0/abcdef"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEow", "MIIEow"),
    ],
)
def test_text_that_looks_like_a_secret_is_redacted(line: str, secret: str) -> None:
    assert secret not in redacted(line)
    assert REDACTED in redacted(line)


@pytest.mark.parametrize(
    "line",
    [
        "java.lang.OutOfMemoryError: Java heap space",
        "    at com.example.Main.main(Main.java:42)",
        "GET https://example.com/health 500 in 12 ms",
        "psycopg.errors.UndefinedColumn: column orders.currency does not exist",
        "the password was wrong",
        "2024-08-08T17:19:02.670Z level=error msg=failed",
    ],
)
def test_ordinary_lines_are_left_alone(line: str) -> None:
    assert redacted(line) == line


def test_redaction_keeps_the_name_of_the_secret() -> None:
    assert redacted("postgres://app:s3cr3t@db/x") == f"postgres://app:{REDACTED}@db/x"
    assert redacted("password=hunter2 user=app") == f"password={REDACTED} user=app"


def test_the_last_lines_are_shown() -> None:
    shown = excerpt([f"line {number}\n" for number in range(40)]).splitlines()
    assert shown == [f"line {number}" for number in range(40 - LINES, 40)]


def test_empty_lines_and_a_terminals_colours_are_left_out() -> None:
    assert excerpt(["\x1b[31mred\x1b[0m\n\n", "   \n", "\x1b[1;32mgreen\x1b[0m"]) == "red\ngreen"


def test_a_log_event_can_have_many_lines() -> None:
    assert excerpt(["a\nb", "c"]) == "a\nb\nc"


@given(st.lists(st.text(max_size=6000), max_size=40))
def test_an_excerpt_is_limited_in_size(messages: list[str]) -> None:
    shown = excerpt(messages)
    assert len(shown) <= TEXT
    assert len(shown.splitlines()) <= LINES + 1  # a cut can start within a line
    assert all(len(line) <= LINE for line in shown.splitlines())


@pytest.mark.parametrize(
    "text", ["a", "password", "://", "token=", "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaa.", "secret"]
)
def test_any_log_is_redacted_quickly(text: str) -> None:
    begin = time.process_time()
    excerpt([text * (262_144 // len(text))] * 30)
    assert time.process_time() - begin < 2.0


def test_a_long_line_is_not_cut_inside_a_secret() -> None:
    """Half a secret could not be recognised, so the part that is kept starts with a word."""
    line = "x" * 10_000 + " password=" + "s3cr3t" * 665 + " end"
    assert "s3cr3t" not in excerpt([line])


def test_an_excerpt_contains_no_secret_even_across_log_events() -> None:
    messages = ["password=hunter2\n", "-----BEGIN PRIVATE KEY-----\n", "MIIEow\n", "-----END PRIVATE KEY-----\n", "end"]
    assert excerpt(messages) == f"password={REDACTED}\n{REDACTED}\nend"
