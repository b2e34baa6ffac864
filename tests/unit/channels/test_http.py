"""router.channels.http: one POST, whose status decides the error, and which reveals no secret."""

import json
import logging
import socket
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.http import Connections, Response, post_json, retry_after
from router.deadline import Deadline, applies
from router.errors import ChannelError, PermanentError, TransientError
from router_conformance.server import Behaviour, ScriptedServer, answer, drip, reset, self_signed, send, stall
from tests.doubles.hang import deaf

SECRET = "Xq7secretTokenZz91"
PATH = f"/services/T0AAAAAAAA/B0BBBBBBBB/{SECRET}?sig={SECRET}%2Fplus"
PAYLOAD = {"text": "hello", "routing_key": "R0123456789abcdefSecretRoutingKey"}
HEADERS = {"Authorization": "Bearer HeaderSecret12345"}
SECRETS = (SECRET, "/services/", "T0AAAAAAAA", "R0123456789abcdef", "HeaderSecret12345", "sig=")


@pytest.fixture(autouse=True)
def _fresh_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts like a cold Lambda, and uses no proxy for loopback."""
    monkeypatch.setattr("router.channels.http._connections", Connections())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def post(*behaviours: Behaviour, timeout: float = 5) -> Response:
    with ScriptedServer(*behaviours) as server:
        return post_json(server.url(PATH), PAYLOAD, headers=HEADERS, timeout=timeout)


def failure(*behaviours: Behaviour, timeout: float = 5) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        post(*behaviours, timeout=timeout)
    return caught.value


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_payload_arrives_as_utf8_json() -> None:
    """The body is compact UTF-8: Teams counts bytes, and \\u escapes would double Japanese."""
    with ScriptedServer(answer(200, "ok")) as server:
        post_json(server.url(), {"text": "メモリ不足", "n": [1, None]}, headers={"X-One": "1"})
        head, body = server.requests[0]
    assert body.decode() == '{"text":"メモリ不足","n":[1,null]}'
    assert head.startswith("POST / HTTP/1.1")
    assert "Content-Type: application/json" in head
    assert "X-One: 1" in head


def test_a_message_can_be_edited_with_patch() -> None:
    """The same URL may take both methods."""
    with ScriptedServer(answer(200)) as server:
        post_json(server.url(), {})
        post_json(server.url(), {}, method="PATCH")
        assert [head.split(" ")[0] for head, _ in server.requests] == ["POST", "PATCH"]


def test_half_a_surrogate_pair_is_sent_as_a_question_mark() -> None:
    """Text that UTF-8 cannot encode does not stop a message."""
    with ScriptedServer(answer(200)) as server:
        post_json(server.url(), {"text": "a\ud800b"})
        assert json.loads(server.requests[0][1]) == {"text": "a?b"}


def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere in requests, NO_PROXY included."""
    with ScriptedServer(answer(200, "by proxy")) as proxy, ScriptedServer(answer(200, "directly")) as server:
        monkeypatch.setenv("http_proxy", proxy.url())
        assert post_json("http://hooks.example/x", PAYLOAD).text == "by proxy"
        assert post_json(server.url(), PAYLOAD).text == "directly"


def test_netrc_and_cookies_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Posts differ only in the payload and the given headers."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedServer(answer(200, "ok", {"Set-Cookie": "a=b; Path=/"})) as server:
        post_json(server.url(), {})
        post_json(server.url(), {})
        heads = "".join(head for head, _ in server.requests)
    assert "Cookie" not in heads
    assert "Authorization" not in heads


# --- signing ----------------------------------------------------------------------------------------------------------


def test_what_is_signed_is_what_is_sent() -> None:
    """`sign` gets the exact bytes of the body, and its headers are sent beside the others."""
    signed: list[bytes] = []

    def sign(body: bytes) -> dict[str, str]:
        signed.append(body)
        return {"X-Signature": "s1gnature"}

    with ScriptedServer(answer(200)) as server:
        post_json(server.url(), {"text": "メモリ不足 a\ud800b"}, headers={"X-One": "1"}, sign=sign)
        ((head, body),) = server.requests
    assert signed == [body]
    assert "X-Signature: s1gnature" in head
    assert "X-One: 1" in head
    assert "Content-Type: application/json" in head


def test_each_post_is_signed_anew() -> None:
    """A signature of one post is never sent with the next, although they share what was prepared for their URL."""
    signatures = iter("ab")
    with ScriptedServer(answer(200)) as server:
        for _ in "ab":
            post_json(server.url(), {}, sign=lambda _: {"X-Signature": next(signatures)})
        post_json(server.url(), {})
        heads = [head for head, _ in server.requests]
    assert ["X-Signature: a" in heads[0], "X-Signature: b" in heads[1]] == [True, True]
    assert [head.count("X-Signature") for head in heads] == [1, 1, 0]


def test_an_echoed_signature_is_not_shown() -> None:
    """With a signature, and the body that belongs to it, anyone could send the message again."""
    with ScriptedServer(answer(400, "refused: s1gnature-of-it")) as server, pytest.raises(PermanentError) as caught:
        post_json(server.url(), {}, sign=lambda _: {"X-Signature": "s1gnature-of-it"})
    assert "s1gnature" not in f"{caught.value} {caught.value.answer}"


def test_an_error_of_sign_is_raised_before_anything_is_sent() -> None:
    """A bug of the plugin is no malformed header."""
    with ScriptedServer(answer(200)) as server:
        with pytest.raises(ZeroDivisionError):
            post_json(server.url(), {}, sign=lambda body: {"X": str(len(body) // 0)})
        assert server.requests == []


def test_a_signature_that_is_no_header_is_refused() -> None:
    with ScriptedServer(answer(200)) as server:
        with pytest.raises(PermanentError, match="malformed"):
            post_json(server.url(), {}, sign=lambda _: {"X-Signature": "a\r\nB: c"})
        assert server.requests == []


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_is_a_reply(status: int) -> None:
    """Any 2xx is returned to the caller, who knows what its body means."""
    body = "" if status == 204 else "fine"
    assert post(answer(status, body)) == Response(status, body)


def test_chunked_answer_is_read() -> None:
    """An answer without a Content-Length is read like any other."""
    assert (
        post(answer(200, "2\r\nok\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked", "Content-Length": "99"})).text == "ok"
    )


def test_body_is_bounded() -> None:
    """No more than 64 KiB of an answer is read."""
    assert len(post(answer(200, "y" * 1_000_000)).text) == 65_536


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
def test_4xx_is_permanent(status: int) -> None:
    """A refusal is permanent; the error has the host, the status and the answer."""
    error = failure(answer(status, "no_service\r\n\x1b[31m"))
    assert isinstance(error, PermanentError)
    assert (error.status, error.answer) == (status, "no_service [31m")
    assert str(error) == f"127.0.0.1 answered {status}: no_service [31m"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_retryable_statuses_are_transient(status: int) -> None:
    """Without a Retry-After the error has no delay, and the deliver step chooses one."""
    error = failure(answer(status, "busy"))
    assert isinstance(error, TransientError)
    assert (error.status, error.answer, error.retry_after) == (status, "busy", None)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 304])
def test_redirects_are_not_followed(status: int) -> None:
    """A redirect means a wrong configuration; following it could post the alert to anyone."""
    with ScriptedServer(answer(200, "ok")) as elsewhere:
        error = failure(answer(status, headers={"Location": elsewhere.url("/")}))
        assert elsewhere.requests == []
    assert isinstance(error, PermanentError)
    assert "redirects are not followed" in str(error)


def test_a_slow_redirect_ends_in_time() -> None:
    """The deadline includes the body of a redirect."""
    error = failure(drip(b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\n\r\n", 0.02), timeout=0.3)
    assert isinstance(error, TransientError)


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("30", "", 30),
        ("1.5", "", 1.5),
        (" 7\x1f", "", 7),
        ("0", "", 1),
        ("9" * 400, "", 3600),
        ("-5", "", None),
        ("soon", "", None),
        ("inf", "", None),
        ("nan", "", None),
        ("٣", "", None),
        ("", "", None),
        ("", '{"retry_after":7,"ok":false,"error":"rate_limited"}', 7),
        ("soon", '{"retry_after": 2.5}', 2.5),
        ("20", '{"retry_after": 7}', 20),
        ("", '{"retry_after": 1e9}', 3600),
        ("", '{"retry_after": NaN}', None),
        ("", '{"retry_after": true}', None),
        ("", '{"retry_after": "7"}', None),
        ("", '{"retry_after": -1}', None),
        ("", "[7]", None),
        ("", "[" * 100_000, None),
        (formatdate(1_000_060, usegmt=True), "", 60),
        (formatdate(999_000, usegmt=True), "", 1),
        (formatdate(9_999_999, usegmt=True), "", 3600),
        ("Wed, 99 Foo 2026 07:28:00 GMT", "", None),
    ],
)
def test_retry_after(header: str, body: str, expected: float | None) -> None:
    """Seconds, a date, or Slack's JSON, between a second and an hour; anything else counts as absent."""
    assert retry_after(header, body, now=1_000_000) == expected


@given(st.text(), st.text())
def test_any_retry_after_is_harmless(header: str, body: str) -> None:
    """For any value, the delay is unknown or between a second and an hour."""
    wait = retry_after(header, body, now=1_000_000)
    assert wait is None or 1 <= wait <= 3600


def test_retry_after_header_reaches_the_error() -> None:
    """So the deliver step can wait for that time."""
    error = failure(answer(429, "", {"Retry-After": "17"}))
    assert isinstance(error, TransientError)
    assert error.retry_after == 17


# --- no answer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour",
    [
        stall(),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 0.02),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", 0.02),
        drip(b"HTTP/1.1 404 X\r\n\r\n", 0.02),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 0.4),
    ],
)
def test_slow_answers_end_in_time(behaviour: Behaviour) -> None:
    """Neither silence nor an endless slow body delays the caller beyond twice the timeout."""
    start = time.monotonic()
    error = failure(behaviour, timeout=0.3)
    assert isinstance(error, TransientError)
    assert str(error) == "127.0.0.1 did not answer in time"
    assert 0.25 < time.monotonic() - start < 0.9


@pytest.mark.parametrize(
    "behaviour",
    [
        reset(),
        reset(after=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
        send(b""),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        send(b"SSH-2.0-OpenSSH_9.2\r\n"),
    ],
)
def test_broken_connections_are_transient(behaviour: Behaviour) -> None:
    """A connection that breaks before, within or after the answer's headers is transient."""
    error = failure(behaviour)
    assert isinstance(error, TransientError)
    assert error.status is None


def test_refused_connection_is_transient() -> None:
    """The host may recover."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}{PATH}"
        with pytest.raises(TransientError, match=r"no connection to 127\.0\.0\.1: ConnectionRefusedError") as caught:
            post_json(url, PAYLOAD)
    assert caught.value.unsent


def test_a_post_is_never_retried() -> None:
    """One call is one request, whatever its result; only the deliver step retries."""
    for behaviour in (answer(503), answer(429, "", {"Retry-After": "0"}), reset(), send(b"")):
        with ScriptedServer(behaviour) as server:
            with pytest.raises(TransientError):
                post_json(server.url(), {})
            assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        f"hooks.slack.com{PATH}",
        f"https://{PATH}",
        f"ftp://host{PATH}",
        f"file://{PATH}",
        f"https://[::1{PATH}",
        f"http://a b{PATH}",
        f"https://host:port{PATH}",
        f"https://{'a' * 300}.com{PATH}",
        f"https://.example.com{PATH}",
    ],
)
def test_malformed_url_is_permanent(url: str) -> None:
    """An unusable URL is a wrong configuration, and the error does not contain it."""
    with pytest.raises(PermanentError, match="malformed") as caught:
        post_json(url, PAYLOAD)
    assert_no_secret(caught.value)


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_payload_that_is_not_json_is_permanent(value: Any) -> None:
    """A plugin's mistake is not retried."""
    with pytest.raises(PermanentError, match="not JSON"):
        post_json("http://127.0.0.1:9/", {"text": value})


def test_header_that_cannot_be_sent_is_permanent() -> None:
    """A header with a line break is refused, and the error does not contain it."""
    with ScriptedServer(answer(200)) as server, pytest.raises(PermanentError, match="malformed") as caught:
        post_json(server.url(PATH), {}, headers={"Authorization": f"{HEADERS['Authorization']}\r\nX: y"})
    assert_no_secret(caught.value)


# --- the deadline, and addresses that hang ----------------------------------------------------------------------------


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes every host have these ports of loopback as its addresses, in this order."""
    known = socket.getaddrinfo

    def resolve(*ports: int) -> None:
        monkeypatch.setattr(
            "socket.getaddrinfo",
            lambda *_args, **_options: [
                entry for port in ports for entry in known("127.0.0.1", port, 0, socket.SOCK_STREAM)
            ],
        )

    return resolve


def test_a_dead_address_leaves_the_time_for_the_next_one(
    resolve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once used up the whole time: the second address accepted the message, and nobody waited for its answer."""
    monkeypatch.setattr("router.channels.http._CONNECT_LIMIT", 0.1)
    with deaf() as dead, ScriptedServer(answer(200, "ok")) as server:
        resolve(dead.port, server.port)
        assert post_json(server.url(), {}, timeout=2).text == "ok"


def test_a_request_is_not_written_with_too_little_time_for_its_answer(
    resolve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the first address takes 0.9 of a second. The remote is known not to have the message."""
    monkeypatch.setattr("router.channels.http._CONNECT_LIMIT", 0.9)
    with deaf() as dead, ScriptedServer(answer(200, "ok")) as server:
        resolve(dead.port, server.port)
        with pytest.raises(TransientError, match="no time was left") as caught:
            post_json(server.url(), {}, timeout=1)
        assert server.requests == []
    assert caught.value.unsent


def test_a_host_that_lets_nobody_connect_has_not_received_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.channels.http._CONNECT_LIMIT", 0.1)
    with deaf() as dead, pytest.raises(TransientError, match=r"no connection to 127\.0\.0\.1 in time") as caught:
        post_json(dead.url, {}, timeout=2)
    assert caught.value.unsent


def test_a_host_that_does_not_answer_may_have_received_it() -> None:
    error = failure(stall(), timeout=0.2)
    assert isinstance(error, TransientError)
    assert not error.unsent


def test_an_answer_is_waited_for_no_longer_than_the_deadline() -> None:
    began = time.monotonic()
    with applies(Deadline.after(0.3)):
        failure(stall(), timeout=1.25)
    assert time.monotonic() - began < 0.9


@pytest.mark.parametrize("connected", [False, True], ids=["new connection", "kept connection"])
def test_nothing_is_written_after_the_deadline(*, connected: bool) -> None:
    """Nor by a thread that was frozen while it connected: the clock has jumped when it goes on."""
    now = 1000.0
    with ScriptedServer(answer(200, "ok")) as server:
        if connected:
            post_json(server.url(), {})

        def jumps() -> float:
            nonlocal now
            now += 30  # whenever somebody looks at it
            return now

        with applies(Deadline(1095.0, jumps)), pytest.raises(TransientError) as caught:
            post_json(server.url(), {})
        assert len(server.requests) == connected
    assert caught.value.unsent


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_an_unknown_certificate_is_permanent_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    """If the certificate cannot be verified, nothing is sent."""
    with ScriptedServer(answer(200, "ok"), certificate=self_signed(tmp_path)) as server:
        with pytest.raises(PermanentError, match=r"127\.0\.0\.1 has a TLS certificate.*REQUESTS_CA_BUNDLE") as caught:
            post_json(server.url(PATH), PAYLOAD)
        assert server.requests == []
    assert_no_secret(caught.value)


def test_known_certificate_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """REQUESTS_CA_BUNDLE names a company's own CA."""
    pem = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with ScriptedServer(answer(200, "ok"), certificate=pem) as server:
        assert post_json(server.url(), {}).text == "ok"


def test_certificate_of_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of a known CA is valid only for its own names."""
    pem = self_signed(tmp_path, "other.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with ScriptedServer(answer(200), certificate=pem) as server, pytest.raises(PermanentError, match="certificate"):
        post_json(server.url(), {})


def test_a_server_without_tls_is_transient() -> None:
    """Only a certificate error is permanent; a broken handshake is an outage of the remote."""
    with ScriptedServer(answer(200)) as server, pytest.raises(TransientError):
        post_json(server.url().replace("http:", "https:"), {}, timeout=1)


def test_certificates_are_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a CA bundle costs 16 ms of CPU: once per process, not once per host or connection."""
    pem = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    load = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr("ssl.create_default_context", load)
    monkeypatch.setattr("router.channels.http._connections", Connections())
    assert load.call_count == 0
    with ScriptedServer(answer(200), certificate=pem) as one, ScriptedServer(answer(200), certificate=pem) as two:
        post_json(one.url(), {})
        pem.unlink()  # reading it again would fail
        post_json(one.url(host="localhost"), {})
        post_json(two.url(), {})
    assert load.call_count == 1


# --- connections ------------------------------------------------------------------------------------------------------


def test_connections_are_kept_for_the_next_post() -> None:
    """Several posts to one host use one connection."""
    with ScriptedServer(answer(200, "ok")) as server:
        for _ in range(3):
            post_json(server.url(), {})
        assert (server.connections, len(server.requests)) == (1, 3)


def test_idle_connections_are_not_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote may have dropped an idle connection, and then a post on it may or may not have arrived."""
    with ScriptedServer(answer(200, "ok")) as server:
        post_json(server.url(), {})
        later = time.time() + 31
        monkeypatch.setattr("time.time", lambda: later)
        post_json(server.url(), {})
        assert server.connections == 2


def test_threads_may_post_at_once() -> None:
    """Several channels post from several threads, through one session."""
    with ScriptedServer(answer(200, "ok")) as server, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: post_json(server.url(), {"n": n}), range(40)))
        bodies = sorted(json.loads(body)["n"] for _, body in server.requests)
    assert replies == [Response(200, "ok")] * 40
    assert bodies == list(range(40))


# --- secrets ----------------------------------------------------------------------------------------------------------


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from chain(error.__cause__)
        error = error.__context__


def assert_no_secret(error: BaseException, *more: str) -> None:
    texts = [f"{link!s} {link!r} {link.args} {vars(link)}" for link in chain(error)]
    texts += ["".join(traceback.format_exception(link)) for link in chain(error)]
    shown = "\n".join([*texts, *more])
    assert [secret for secret in SECRETS if secret in shown] == []


ECHO = f"Not found: {PATH} {PATH.replace('/', chr(92) + '/')} {json.dumps(PAYLOAD)} {HEADERS}"


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(404, ECHO),
        answer(503, ECHO),
        answer(302, headers={"Location": PATH}),
        stall(),
        reset(),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        send(f"HTTP/1.1 500 {SECRET}\r\nBad header {SECRET}\r\n\r\n".encode()),
    ],
)
def test_errors_and_logs_contain_no_secret(behaviour: Behaviour, caplog: pytest.LogCaptureFixture) -> None:
    """Neither URL, path, query, header nor key is in an error, its chain, its traceback or any log, DEBUG included."""
    caplog.set_level(logging.DEBUG)
    assert_no_secret(failure(behaviour, timeout=0.5), caplog.text)


def test_an_error_has_no_context() -> None:
    """`from None` only hides requests' error, which contains the URL, so there must be no such error."""
    for behaviour in (reset(), answer(500), answer(404)):
        error = failure(behaviour)
        assert (error.__cause__, error.__context__) == (None, None)


def test_success_logs_and_returns_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 writes each request's path at DEBUG, and a WARNING with the URL when headers do not parse."""
    caplog.set_level(logging.DEBUG)
    reply = post(send(f"HTTP/1.1 200 OK\r\nNo colon here\r\nX: y\r\n\r\n{ECHO}".encode()))
    assert [secret for secret in SECRETS if secret in caplog.text] == []
    assert [secret for secret in SECRETS if secret in reply.text] == []
    assert "…" in reply.text


def test_a_header_without_a_value_is_omitted_and_a_non_text_header_is_an_error() -> None:
    with ScriptedServer(answer(200, "ok"), answer(200, "ok")) as server:
        post_json(server.url(), {}, headers={"X-None": None, "X-One": "1"})  # type: ignore[dict-item]
        assert "X-None" not in server.requests[0][0]
        with pytest.raises(PermanentError, match="malformed"):
            post_json(server.url(), {}, headers={"X-List": ["a"]})  # type: ignore[dict-item]
