"""The tests. Those of a channel that sends over HTTP inherit ChannelConformance, all others RenderConformance."""

import copy
import json
import logging
import queue
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from router import (
    ChannelConfig,
    Notification,
    PayloadRejected,
    PermanentError,
    RemoteGone,
    TransientError,
    post_json,
)
from router.channels.configured import ConfiguredChannel
from router.channels.memory import memory_of
from router.channels.plugins import Channel, payload_size
from router.model import Reason
from router_conformance.notifications import notifications
from router_conformance.server import Behaviour, ScriptedServer, answer, drip, reset, self_signed, send, stall

NOTIFICATIONS = notifications()
_ORDINARY = NOTIFICATIONS["opened, critical"]
_SHORTEST_SECRET = 9  # characters; a shorter part of a URL is a word such as `services`
_TIMEOUT = 1.0  # seconds; the default timeout of `post_json` in these tests
_PATIENCE = 20  # seconds; twice the real default of `post_json`

every_notification = pytest.mark.parametrize("name", list(NOTIFICATIONS))


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the remote.

    Attributes:
        status: the HTTP status.
        headers: besides Content-Length.
    """

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def behave(self) -> Behaviour:
        """The behaviour of a `ScriptedServer` that sends this response."""
        return answer(self.status, self.body, self.headers)


class RenderConformance:
    """Holds for every channel: `render` is pure, returns bounded JSON, and shows no secret.

    Attributes:
        factory: the class that the plugin registers. If it registers a function, override `channel` instead.
        limit, limit_unit: the size that the remote accepts, in "bytes" of compact JSON in UTF-8 or in "characters" of
            all texts; None if there is no limit.
        forbidden: regular expressions for the remote's mentions and formatting, which must not match any text of the
            payload.
        memory: for a channel whose `send` returns what to remember, an example of it; empty for all others. Every
            notification is then also rendered with it, and in doubt.
    """

    factory: ClassVar[type[Any]]
    limit: ClassVar[int | None] = None
    limit_unit: ClassVar[str] = "bytes"
    forbidden: ClassVar[tuple[str, ...]] = ()
    memory: ClassVar[Mapping[str, str]] = {}

    def options(self, server: str) -> Mapping[str, Any]:
        """The options of a channel that sends to `server`, such as `http://127.0.0.1:8000`."""
        raise NotImplementedError

    def channel(self, server: str = "https://conformance.example") -> Channel:
        """A channel that sends to `server`."""
        channel: Channel = self.factory(ChannelConfig("conformance", "conformance", dict(self.options(server))))
        return channel

    def _told(self, name: str) -> list[Notification]:
        """The notification as the first one about its incident, and as a later one if the channel has a memory."""
        first = NOTIFICATIONS[name]
        return [first, *self._later(first)]

    def _later(self, first: Notification) -> list[Notification]:
        """Later ones: with the memory, and in doubt. A message about many incidents has `remembered` instead."""
        if not self.memory:
            return []
        later = replace(first, bundled=(), remote=self.memory, revision=2, reason=Reason.WORSE)
        if first.bundled:
            return [replace(first, remembered=(later, later))]
        return [later, replace(later, in_doubt=True), replace(first, in_doubt=True)]

    @every_notification
    def test_render_is_pure_and_json(self, name: str) -> None:
        """The payload is the same each time and JSON without NaN; the notification is not changed."""
        for notification in self._told(name):
            before = copy.deepcopy(notification)
            for render in _renders(self.channel()):
                payload = render(notification)
                assert isinstance(payload, dict)
                assert payload == render(notification)
                assert json.loads(json.dumps(payload, allow_nan=False)) == payload
            assert notification == before

    @every_notification
    def test_render_fits(self, name: str) -> None:
        """No payload is larger than the remote accepts."""
        for notification in self._told(name):
            for render in _renders(self.channel()):
                size = payload_size(render(notification), self.limit_unit)
                assert size <= (self.limit or size)

    @every_notification
    def test_outside_text_is_text(self, name: str) -> None:
        """Text from outside becomes neither a mention nor formatting."""
        for notification in self._told(name):
            for render in _renders(self.channel()):
                for text in _texts(render(notification)):
                    assert not any(re.search(pattern, text) for pattern in self.forbidden), text[:200]

    def test_nothing_shows_a_secret(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        """Payloads are shown in logs, previews and history, and a channel's repr in tracebacks."""
        caplog.set_level(logging.DEBUG)
        channel = self.channel()
        shown = [repr(channel), str(channel), *(json.dumps(render(_ORDINARY)) for render in _renders(channel))]
        output = capfd.readouterr()
        _assert_no_secret(
            "\n".join([*shown, caplog.text, output.out, output.err]), self.options("https://conformance.example")
        )


_BROKEN_CONNECTIONS: Mapping[str, Behaviour] = {
    "silence": stall(),
    "a body that drips in": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", every=0.05),
    "a reset instead of an answer": reset(),
    "a reset half-way through the head": reset(b"HTTP/1.1 20"),
    "a reset half-way through the body": reset(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nok"),
    "the end instead of an answer": send(b""),
    "the end half-way through the body": send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nok"),
    "another protocol": send(b"SSH-2.0-OpenSSH_9.2\r\n"),
}


class ChannelConformance(RenderConformance):
    """Holds for a channel that sends over HTTP: it sends once, and raises the right error when that fails.

    Attributes:
        accepted: responses that mean success.
        unaccepted: responses of status 2xx that do not mean success, such as one with an error in its body.
        rejected: responses that mean that the remote rejects the layout.
        gone: for a channel with a memory, responses that mean that what it remembers is gone.
    """

    accepted: ClassVar[tuple[Answer, ...]] = (Answer(200, "ok"),)
    unaccepted: ClassVar[tuple[Answer, ...]] = ()
    rejected: ClassVar[tuple[Answer, ...]] = ()
    gone: ClassVar[tuple[Answer, ...]] = ()

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Shortens the timeout of `post_json`, and keeps requests to loopback away from proxies."""
        defaults = {**(post_json.__kwdefaults__ or {}), "timeout": _TIMEOUT}
        monkeypatch.setattr(post_json, "__kwdefaults__", defaults)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")

    @pytest.fixture
    def attempt(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> "Attempt":
        """Sends one message to a server with this behaviour and returns the error; nothing may show a secret."""
        caplog.set_level(logging.DEBUG)

        def attempt(
            behaviour: Behaviour, certificate: Path | None = None, notification: Notification = _ORDINARY
        ) -> Exception | None:
            with ScriptedServer(behaviour, certificate=certificate) as server:
                error = self._send(server.url(""), notification)
                assert len(server.requests) <= 1, "send must post once: only the router retries"
                output = capfd.readouterr()
                shown = "\n".join([_everything(error), caplog.text, output.out, output.err])
                _assert_no_secret(shown, self.options(server.url("")))
            return error

        return attempt

    def _send(self, server: str, notification: Notification = _ORDINARY) -> Exception | None:
        channel = self.channel(server)
        payload = channel.render(notification)
        before = copy.deepcopy(payload)
        error = _in_time(lambda: channel.send(payload))
        assert payload == before, "send must not change the payload: it may be sent again"
        return error

    def _sent_secrets(self) -> set[str]:
        """The secrets that the remote learns from a request, and can echo. A key that only signs is not among them."""
        with ScriptedServer(self.accepted[0].behave()) as server:
            self._send(server.url(""))
            ((head, body),) = server.requests
            sent = head + body.decode(errors="replace")
            return {secret for secret in _secrets(self.options(server.url(""))) if secret in sent}

    @every_notification
    def test_every_message_arrives(self, name: str) -> None:
        """The channel sends one POST of JSON in UTF-8, and raises nothing if the remote accepts it."""
        for accepted in self.accepted:
            with ScriptedServer(accepted.behave()) as server:
                assert self._send(server.url(""), NOTIFICATIONS[name]) is None
                ((head, body),) = server.requests
            assert head.startswith("POST ")
            assert isinstance(json.loads(body.decode()), dict)

    def test_what_send_returns_can_be_kept(self) -> None:
        """`send` returns None or a mapping of texts, at most 1 KB and without secrets; with a memory, never None."""
        for accepted in self.accepted:
            with ScriptedServer(accepted.behave()) as server:
                channel = self.channel(server.url(""))
                answer: object = channel.send(channel.render(_ORDINARY))
                config = ChannelConfig("conformance", "conformance", dict(self.options(server.url(""))))
                kept = memory_of(answer, ConfiguredChannel.of(config, channel))
            assert kept == answer, "the router would not keep this; its log says why"
            assert kept or not self.memory, "`memory` is set, and send returns nothing to remember"

    @every_notification
    def test_later_messages_arrive(self, name: str) -> None:
        """With a memory, the channel sends POSTs of JSON, and raises nothing if the remote accepts all of them."""
        for later in self._later(NOTIFICATIONS[name]):
            for accepted in self.accepted:
                with ScriptedServer(accepted.behave()) as server:
                    assert self._send(server.url(""), later) is None
                    assert server.requests
                assert all(head.startswith("POST ") for head, _ in server.requests)
                assert all(isinstance(json.loads(body.decode()), dict) for _, body in server.requests)

    def test_a_later_message_stops_at_the_first_failure(self) -> None:
        """With a memory, a failed request ends the send. What came before is repeated later, so edits come first."""
        for later in self._later(_ORDINARY):
            for accepted in self.accepted:
                for before in range(len(self._requests(later, accepted))):
                    script = [*[accepted.behave()] * before, answer(503, "busy")]
                    with ScriptedServer(*script) as server:
                        assert isinstance(self._send(server.url(""), later), TransientError)
                        assert len(server.requests) == before + 1

    def _requests(self, notification: Notification, accepted: Answer) -> list[tuple[str, bytes]]:
        with ScriptedServer(accepted.behave()) as server:
            self._send(server.url(""), notification)
            return server.requests

    def test_what_is_gone_is_remote_gone(self, attempt: "Attempt") -> None:
        """The error is RemoteGone, so that the router sends the message once more, without the memory."""
        for gone in self.gone:
            later, *_ = self._later(_ORDINARY)
            assert isinstance(attempt(gone.behave(), notification=later), RemoteGone), gone
            with ScriptedServer(self.accepted[0].behave()) as server:
                assert self._send(server.url(""), replace(later, remote={})) is None

    def test_only_success_is_success(self, attempt: "Attempt") -> None:
        """A response of status 2xx that does not mean success is an error."""
        for unaccepted in self.unaccepted:
            assert isinstance(attempt(unaccepted.behave()), TransientError | PermanentError), unaccepted

    def test_layout_is_rejected(self, attempt: "Attempt") -> None:
        """If the remote rejects the layout, the error is PayloadRejected, and there is a `render_plain`."""
        for rejected in self.rejected:
            assert isinstance(attempt(rejected.behave()), PayloadRejected), rejected
            assert callable(getattr(self.channel(), "render_plain", None))

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422])
    def test_refusals_are_permanent(self, attempt: "Attempt", status: int) -> None:
        """A refused request would be refused again. What the remote echoes of the secrets is not shown."""
        echo = " ".join(sorted(self._sent_secrets()))
        assert isinstance(attempt(answer(status, f"refused: {echo}")), PermanentError)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, attempt: "Attempt", status: int) -> None:
        """A redirect could send a secret to another host."""
        with ScriptedServer(self.accepted[0].behave()) as elsewhere:
            assert isinstance(attempt(answer(status, "", {"Location": elsewhere.url()})), PermanentError)
            assert elsewhere.connections == 0

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_trouble_is_transient(self, attempt: "Attempt", status: int) -> None:
        """Overload and failures of the remote are temporary."""
        error = attempt(answer(status, "busy"))
        assert isinstance(error, TransientError)
        assert error.retry_after is None

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_honoured(self, attempt: "Attempt", status: int) -> None:
        """The error holds the wait that the remote asked for; the router waits in a queue."""
        error = attempt(answer(status, "busy", {"Retry-After": "7"}))
        assert isinstance(error, TransientError)
        assert error.retry_after == 7  # noqa: PLR2004 - the value of the header

    @pytest.mark.parametrize("what", list(_BROKEN_CONNECTIONS))
    def test_broken_connections_are_transient(self, attempt: "Attempt", what: str) -> None:
        """The message may not have arrived, so it is sent again; and `send` returns soon."""
        assert isinstance(attempt(_BROKEN_CONNECTIONS[what]), TransientError)

    def test_refused_connection_is_transient(self) -> None:
        """A host that is down may come back."""
        with socket.socket() as unused:  # bound but not listening, so that no other process gets the port
            unused.bind(("127.0.0.1", 0))
            server = f"http://127.0.0.1:{unused.getsockname()[1]}"
            error = self._send(server)
        assert isinstance(error, TransientError)
        _assert_no_secret(_everything(error), self.options(server))

    def test_unknown_certificate_is_permanent(self, attempt: "Attempt", tmp_path: Path) -> None:
        """Nothing is sent to a host that cannot prove its identity."""
        assert isinstance(attempt(self.accepted[0].behave(), self_signed(tmp_path)), PermanentError)


Attempt = Callable[..., Exception | None]


def _renders(channel: Channel) -> list[Callable[[Notification], dict[str, Any]]]:
    """`render`, and `render_plain` if the channel has one."""
    plain = getattr(channel, "render_plain", None)
    return [channel.render, plain] if plain else [channel.render]


def _in_time(send: Callable[[], object]) -> Exception | None:
    """The exception that `send` raised. It runs in a thread, as in the router, so that it can be abandoned."""
    done: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            send()
        except Exception as error:  # noqa: BLE001 - the tests check its type
            done.put(error)
        else:
            done.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        return done.get(timeout=_PATIENCE)
    except queue.Empty:
        pytest.fail(f"send did not return within {_PATIENCE} s: it needs a timeout")


def _everything(error: Exception | None) -> str:
    """All that a log could show of an error: its text, its attributes, and the errors it was raised from."""
    if error is None:
        return ""
    return "".join([repr(error), repr(vars(error)), *traceback.format_exception(error)])


def _secrets(options: Mapping[str, Any]) -> set[str]:
    """The texts in the options, and the parts of the URLs among them. The host is no secret."""
    values = set(_texts(options))
    pieces = {piece for value in values for piece in (value, *re.split("[/?&=#]", value))}
    hosts = {host for value in values for host in (urlsplit(value).netloc, urlsplit(value).hostname)}
    return {piece for piece in pieces - hosts if len(piece) >= _SHORTEST_SECRET}


def _assert_no_secret(text: str, options: Mapping[str, Any]) -> None:
    shown = {secret for secret in _secrets(options) if secret in text}
    assert not shown, f"shows {len(shown)} secret(s), one beginning with {min(shown)[:3]!r}: {text[:2000]}"


def _texts(value: Any) -> Iterator[str]:
    """Every string in a payload or in options."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
