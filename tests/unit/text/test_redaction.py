"""router.text.redaction: what looks like a secret is taken out, ordinary lines stay, and no text takes long."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import router.text.redaction
from router.text.redaction import REDACTED, known_parts, redacted, redacted_value, without_known
from tests.doubles.secret_shapes import Sample, samples
from tests.doubles.text import ANY_TEXT

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
def test_what_looks_like_a_secret_is_taken_out(line: str, secret: str) -> None:
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
        "パスワードは8文字以上で入力してください",
        "トークンは有効期限切れです",
        "2024-08-08T17:19:02.670Z level=error msg=failed",
    ],
)
def test_ordinary_lines_are_left_alone(line: str) -> None:
    assert redacted(line) == line


@pytest.mark.parametrize("repository", ["authorization", "proxy-authorization", "cookie", "password", "db-passwd"])
@pytest.mark.parametrize("tag", ["1.2", "401", "latest", "sha-9f8e7d6c5b4a3f2e1d0c"])
@pytest.mark.parametrize(
    "reason",
    [
        "CannotPullContainerError: failed to resolve ref 1.dkr.ecr.eu-west-1.amazonaws.com/{image}: not found",
        'Get "registry.internal:5000/team/{image}": denied',
        "failed to resolve container ordering dependency [app({image}) (STOPPED->RUNNING) - Exit: 1] for target",
    ],
)
def test_the_name_and_tag_of_an_image_are_no_header_and_no_password(reason: str, repository: str, tag: str) -> None:
    line = reason.format(image=f"{repository}:{tag}")
    assert redacted(line) == line


@pytest.mark.parametrize(
    "line",
    [
        "Authorization:abc123",
        "app(password:hunter2)",
        "postgres://db.example/password:hunter2",
        "config.yml/password: hunter2",
        "GET host.example/password:hunter2?x",
    ],
)
def test_what_only_resembles_an_image_is_taken_out(line: str) -> None:
    assert "hunter2" not in redacted(line)
    assert "abc123" not in redacted(line)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        # Japanese around it
        (f"エラー{KEY_ID}です", KEY_ID),
        (f"トークン{'ghp_' + 'a1' * 18}を更新", "a1a1"),
        ("接続失敗:password=hunter2pass、再試行", "hunter2pass"),
        ("パスワード\uff1ahunter2pass", "hunter2pass"),
        ("パスワード: hunter2pass", "hunter2pass"),
        ("APIキー=ab12cd34ef", "ab12cd34ef"),
        ("パスワード「hunter2pass」が違います", "hunter2pass"),
        ("パスワードはhunter2passです", "hunter2pass"),
        # JSON inside JSON, escaped quotes, and what other languages print
        ('{"msg":"{\\"password\\":\\"hunter2pass\\"}"}', "hunter2pass"),
        ('{"a":"{\\\\\\"password\\\\\\":\\\\\\"hunter2pass\\\\\\"}"}', "hunter2pass"),
        ('{"password":"hun\\"ter2pass"}', "ter2pass"),
        ("'password' => 'hunter2pass'", "hunter2pass"),
        ("<Password>hunter2pass</Password>", "hunter2pass"),
        ('{"name": "DB_PASSWORD", "value": "hunter2pass"}', "hunter2pass"),
        ('"name": "DB_PASSWORD",\n  "value": "hunter2pass"', "hunter2pass"),
        ("- name: DB_PASSWORD\n  value: hunter2pass", "hunter2pass"),
        # names as people write them
        ("PassWord=hunter2pass", "hunter2pass"),
        ("dbPassWord: hunter2pass", "hunter2pass"),
        ("pw=hunter2pass", "hunter2pass"),
        ('{"config.ini": "X_TOKEN=ab12cd34\\nBACKUP=true"}', "ab12cd34"),
        # headers of any scheme
        ("Authorization: Negotiate YIIGhgYGKwYBBQUC", "YIIGhg"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=deadbeef", "deadbeef"),
        ("Authorization: Custom-Scheme 9f8e7d6c5b", "9f8e7d6c5b"),
        ("Proxy-Authorization: Digest username=app, response=6629fae49393a05397450978507c4ef1", "6629fae4"),
        ('{"Authorization": "GenieKey ab12-cd34"}', "ab12-cd34"),
        ("Cookie: session=abcdefgh12345678; theme=dark", "abcdefgh12345678"),
        ("Set-Cookie: sid=abcdefgh12345678; HttpOnly", "abcdefgh12345678"),
        # URLs
        ("postgres://app:hunt/er2@p@ss@db:5432/x", "er2@p@ss"),
        ("https://x/?url=https%3A%2F%2Fapp%3Ahunter2pass%40db", "hunter2pass"),
        (f"https://api.telegram.org/bot123456789:A{'aB3' * 11}x/sendMessage", "aB3aB3"),
        ("redis://:hunter2pass@cache:6379/0", "hunter2pass"),
        ("https://0123456789abcdef0123@o1.ingest.sentry.io/1", "0123456789abcdef0123"),
        ("GET /x?X-Amz-Security-Token=IQoJb3JpZ2luX2VjEJr&X-Amz-Expires=60", "IQoJb3"),
        ("GET /x?X-Amz-Signature=deadbeefdeadbeef&X=1", "deadbeef"),
        ("https://x.logic.azure.com/workflows/a/triggers/manual/paths/invoke?sig=abcdefGHIJKLmnop", "abcdefGHIJ"),
        # options of commands
        ("app --db-password=hunter2cmd --verbose", "hunter2cmd"),
        ("app --password hunter2cmd --verbose", "hunter2cmd"),
        ('["app","--password","hunter2cmd"]', "hunter2cmd"),
        ("curl -u app:hunter2cmd https://example.com", "hunter2cmd"),
        # the end of a private key whose beginning was cut off
        ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwgg\nabcdefgh\n-----END PRIVATE KEY-----", "MIIEvQIB"),
        (
            "2026-01-01 I -----BEGIN PRIVATE KEY-----\n2026-01-01 I MIIEvQ\n2026-01-01 I -----END PRIVATE KEY-----",
            "MIIEvQ",
        ),
    ],
)
def test_secrets_are_found_in_every_wrapping(line: str, secret: str) -> None:
    assert secret in line
    assert secret not in redacted(line)


def test_what_stays_tells_what_was_taken_out() -> None:
    assert redacted("postgres://app:s3cr3t@db/x") == f"postgres://app:{REDACTED}@db/x"
    assert redacted("password=hunter2 user=app") == f"password={REDACTED} user=app"


# --- how much is found, and how much is taken for a secret that is none -----------------------------------------------

WRAPPINGS = ("{}", "2026-11-30T05:17:29Z ERROR {}", "認証エラー {} です")
ORDINARY = (Path(__file__).parent / "ordinary_lines.txt").read_text("utf-8").splitlines()


def shapes() -> dict[str, list[Sample]]:
    by_rule = defaultdict(list)
    for sample in samples():
        by_rule[sample.rule].append(sample)
    return by_rule


def is_shown(sample: Sample, line: str) -> bool:
    """Whether the longest word of the secret is still there; a short secret may occur by chance."""
    words = re.findall(r"[A-Za-z0-9+/_=.~-]{8,}", sample.secret)
    after = redacted(line)
    return max(words, key=len) in after if words else REDACTED not in after


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_at_least_95_percent_of_the_published_shapes_are_redacted(wrapping: str) -> None:
    by_rule = shapes()
    missed = {
        rule
        for rule, of_rule in by_rule.items()
        if any(is_shown(sample, wrapping.format(sample.line)) for sample in of_rule)
    }
    assert len(by_rule) > 270
    assert len(missed) <= 0.05 * len(by_rule), sorted(missed)


def test_docs_name_every_published_shape_that_is_missed() -> None:
    page = (Path(__file__).parents[3] / "docs" / "redaction.md").read_text("utf-8")
    missed = {rule for rule, of_rule in shapes().items() if any(is_shown(sample, sample.line) for sample in of_rule)}
    table = page[page.index("| rule | why |") :]
    for rule in missed:
        assert all(word in table for word in rule.split() if not word.isdigit()), rule


def test_at_most_1_percent_of_ordinary_lines_are_altered() -> None:
    altered = [line for line in ORDINARY if redacted(line) != line]
    assert len(ORDINARY) > 200
    assert len(altered) <= 0.01 * len(ORDINARY), altered


def test_ordinary_lines_stay_when_they_are_one_text() -> None:
    text = "\n".join(line for line in ORDINARY)
    assert redacted(text) == text


# --- time -------------------------------------------------------------------------------------------------------------


def repetitions(tree: Any) -> Iterator[tuple[int, bool]]:
    """The most that each repetition of a pattern may take, and whether another is within it."""
    for operation, argument in tree:
        if str(operation) in {"MAX_REPEAT", "MIN_REPEAT"}:
            inner = list(repetitions(argument[2]))
            yield int(argument[1]), any(most > 1 for most, _ in inner) and int(argument[1]) > 1
            yield from inner
        elif str(operation) == "SUBPATTERN":
            yield from repetitions(argument[3])
        elif str(operation) == "BRANCH":
            for branch in argument[1]:
                yield from repetitions(branch)
        elif str(operation) in {"ASSERT", "ASSERT_NOT"}:
            yield from repetitions(argument[1])


def patterns() -> list[str]:
    module = vars(router.text.redaction)
    constants = [module[name] for name in module if re.fullmatch("_[A-Z_]+", name)]
    texts = [text for text in constants if isinstance(text, str)]
    compiled = [text for text in constants if isinstance(text, re.Pattern)]
    compiled += [pattern for _, pattern in module["_SHAPES"]]
    return [*texts, *module["_TOKENS"].values(), *(pattern.pattern for pattern in compiled)]


@pytest.mark.parametrize("pattern", patterns())
def test_no_repetition_of_a_pattern_is_unbounded(pattern: str) -> None:
    """So a match costs no more than a fixed number of steps; what it takes out is not looked at again."""
    assert all(most <= 8000 for most, _ in repetitions(re._parser.parse(pattern)))  # type: ignore[attr-defined]  # noqa: SLF001


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "password", "password=", "password='", 'password="', "://", "://a:", "token=", "eyJaaaaaaaa.", "secret"),
        *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "sk-", "key: ", '\\"', "Authorization: "),
        *("bearer ", "--key ", "curl -u ", "kind: ", "AKIA", "あ", "İ"),
    ],
)
@pytest.mark.parametrize("longest", [32_768, pytest.param(262_144, marks=pytest.mark.check)])
def test_the_work_grows_no_faster_than_the_text(unit: str, longest: int) -> None:
    """Counts calls, whose cost is bounded by the rule above, of texts up to 256 KB."""
    small, large = (calls_for(unit * (size // len(unit))) for size in (longest // 8, longest))
    assert large <= 9 * small + 5000


def calls_for(text: str) -> int:
    """How many calls of functions redacting the text takes, those of C included."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        redacted(text)
    finally:
        sys.setprofile(None)
    return count


def test_no_pattern_is_compiled_for_a_text_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold start with an ordinary reason pays for no pattern."""
    compiled: list[str] = []
    monkeypatch.setattr(re, "compile", lambda pattern, *_: compiled.append(pattern))
    redacted("Essential container in task exited")
    redacted("Task failed ELB health checks in (target-group web)")
    assert compiled == []


@given(ANY_TEXT)
def test_redacting_again_changes_nothing_that_is_not_secret(text: str) -> None:
    assert redacted(redacted(text)).replace(REDACTED, "").strip() in redacted(text).replace(REDACTED, "").strip() + " "


# --- values of JSON, and known secrets --------------------------------------------------------------------------------


def test_what_follows_the_option_of_a_command_is_redacted() -> None:
    command = ["app", "--db-password", "hunter2", "--token=ab12cd34", "--verbose", "yes", "sh -c 'DB_PASSWORD=x9 run'"]
    after = redacted_value({"containerOverrides": [{"command": command}]})["containerOverrides"][0]["command"]
    assert after[:3] == ["app", "--db-password", REDACTED]
    assert after[3:6] == [f"--token={REDACTED}", "--verbose", "yes"]
    assert "x9" not in after[6]


def test_a_value_without_secrets_stays_equal() -> None:
    value = {"a": [1, None, True, "x", {"b": 0.5}], "taskArn": "arn:aws:ecs:eu-west-1:1:task/prod/3f2a1b4c5d6e7f80"}
    assert redacted_value(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "https://chat.example.com/hooks/AbCdEfGhIjKl?key=QqWwEeRrTt",
        "/hooks/AbCdEfGhIjKl",
        "no such path: /HOOKS/ABCDEFGHIJKL",
        "abcdefghijkl",
        "https:\\/\\/chat.example.com\\/hooks\\/AbCdEfGhIjKl",
        b"AbCdEfGhIjKl".hex(),
        "qqwweerrtt",
    ],
)
def test_a_known_secret_is_found_in_any_case_part_and_spelling(text: str) -> None:
    parts = known_parts("https://chat.example.com/hooks/AbCdEfGhIjKl?key=QqWwEeRrTt")
    after = without_known(f"answer: {text}!", parts, "…").lower()
    assert not any(secret in after for secret in ("abcdefghijkl", "qqwweerrtt", "416243644566"))
    assert after.startswith("answer: ")


def test_short_words_and_the_host_of_a_known_url_stay() -> None:
    parts = known_parts("https://hooks.example.com/services/T0/B0/AbCdEfGhIjKl", "#ops")
    text = "hooks.example.com says: no such services, see #ops"
    assert without_known(text, parts) == text


def test_a_secret_that_is_not_utf_8_is_known_as_well() -> None:
    """Python reads each such byte of an environment variable as half a surrogate pair."""
    secret = "https://chat.example.com/hooks/AbCdEfGhIjKl\udcff"
    assert without_known(f"to {secret}", known_parts(secret), "…") == "to …"


@given(st.text(min_size=9, max_size=40), ANY_TEXT)
def test_no_known_secret_is_left_in_any_case(secret: str, text: str) -> None:
    assert secret not in without_known(f"{text}{secret}{text}", known_parts(secret), "\ue000")
