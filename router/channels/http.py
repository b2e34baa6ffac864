"""Posts JSON to a webhook once, and raises by the status. No part of the URL, the headers or the payload is exposed.

An error names only the host and its response, because the path and the query of a webhook's URL are secret.
"""

import json
import logging
import math
import os
import re
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

with warnings.catch_warnings():  # the layer leaves out what requests would guess encodings with (`layer/build.py`)
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
    import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from router.channels.plugins import compact
from router.coldstart import tls
from router.deadline import Deadline, applies, time_left
from router.errors import ChannelError, DeadlineExceeded, PermanentError, TransientError
from router.text.redaction import SHORTEST_KNOWN, known_parts, without_known

# Seconds. A Lambda may be frozen for hours between two posts. By then the remote has closed the connections, and a post
# on one of them ends in a reset, after which it is unknown whether the message arrived.
_IDLE_LIMIT = 30
_CONNECT_LIMIT = 3.0  # seconds for each address of a host, so that a dead one leaves time for the next
# Seconds. With less time left for the answer, a request is not written: it might be accepted, and sent again later.
_TIME_TO_ANSWER = 2.0
_BODY_LIMIT = 65_536  # bytes
_TRY_AGAIN = frozenset({408, 425, 429})
_SHORTEST_WAIT, _LONGEST_WAIT = 1.0, 3600.0  # seconds; bounds of the wait that a remote may ask for
_HEADERS = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",  # 64 KiB of compressed data could expand to a gigabyte
    "User-Agent": "ecs-alert-router",
}
# These two log the whole URL: at DEBUG for each request, and in a WARNING if the headers of a response are malformed.
_URL_LOGGERS = ("urllib3.connection", "urllib3.connectionpool")


class Response(NamedTuple):
    """A response with a status of 200 to 299.

    Attributes:
        text: the body, at most `answer_limit` bytes of it, with "…" in place of any part of the URL, headers or payload
            that it echoes.
    """

    status: int
    text: str


Sign = Callable[[bytes], Mapping[str, str]]
"""Returns the headers that sign a body, the exact bytes of which it gets."""


def post_json(  # noqa: PLR0913 - what a post may need, each by its name
    url: str,
    payload: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10,
    sign: Sign | None = None,
    method: str = "POST",
    answer_limit: int = _BODY_LIMIT,
) -> Response:
    """Posts once, without retries, redirects and cookies. Safe to call from several threads.

    Args:
        url: https, or http.
        payload: sent as compact JSON in UTF-8.
        headers: added to the request, in place of default ones of the same name.
        sign: gets the exact bytes that are sent, and returns headers, which are added to the request. What it raises is
            raised here.
        method: such as PATCH, for a remote whose messages are edited that way.
        timeout: seconds for the whole exchange, or the time left before the invocation's deadline if that is less. It
            takes at most twice as long if the body arrives byte by byte. For headers that arrive byte by byte it limits
            the wait for each byte only; the deliver step abandons such a thread.
        answer_limit: bytes of the response's body that are read; the rest is left out.

    Raises:
        TransientError: status 408, 425, 429 or 5xx; no response in time; no connection; no time left. `retry_after` is
            the wait in seconds that the remote asked for, or None. `unsent` says that nothing was written.
        PermanentError: any other status, including redirects; a malformed URL; a certificate that does not verify; a
            payload that is not JSON.
    """
    outcome = _exchange(_Post(method, url, payload, headers or {}, timeout, sign, answer_limit))
    if isinstance(outcome, ChannelError):
        raise outcome
    return outcome


class _Post(NamedTuple):
    """What `post_json` is to do; see there."""

    method: str
    url: str
    payload: Mapping[str, Any]
    headers: Mapping[str, str]
    timeout: float
    sign: Sign | None
    answer_limit: int


def _exchange(post: _Post) -> Response | ChannelError:
    """The response or the error. An error raised here would keep requests' own error, which holds the URL, as its
    `__context__`; so it is returned.
    """
    host = _host(post.url)
    if not host:
        return PermanentError("the webhook's URL is malformed: it must look like https://host/path")
    try:
        body = compact(post.payload)
    except (TypeError, ValueError, RecursionError) as error:
        return PermanentError(f"the payload for {host} is not JSON: {type(error).__name__}")
    signed = post.sign(body) if post.sign else {}
    try:
        deadline = Deadline.after(time_left(post.timeout))
        with applies(deadline.leaving(min(_TIME_TO_ANSWER, post.timeout / 5))):
            response = _connections.send(_request(post, body, signed), timeout=deadline.left())
        with response:
            text = _read(response, deadline, post.answer_limit).decode(errors="replace")
    except DeadlineExceeded:
        return TransientError(f"no time was left to send it to {host}", unsent=True)
    except (OSError, HTTPError, ValueError, TypeError) as error:
        return _transport_error(host, error)
    if len(text) >= SHORTEST_KNOWN:
        texts = (value for value in post.payload.values() if isinstance(value, str))
        tokens = (word for value in post.headers.values() for word in value.split())  # the one after "Bearer"
        known = known_parts(post.url, *post.headers.values(), *tokens, *signed.values(), *texts)
        text = without_known(text, known, "…")
    return _by_status(host, response, text)


def _request(post: _Post, body: bytes, signed: Mapping[str, str]) -> requests.PreparedRequest:
    """The request. Raises the errors of requests.

    Args:
        signed: headers that differ from post to post.
    """
    headers = tuple((name, value) for name, value in post.headers.items() if value is not None)
    request = _prepared(post.method, post.url, headers).copy()
    if signed:
        request.prepare_headers({**request.headers, **signed})
    request.prepare_body(body, None)
    return request


def _host(url: str) -> str:
    """The URL's host name; "" if it has none, or is not an http or https URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in {"http", "https"} else ""


def _read(response: requests.Response, deadline: Deadline, limit: int) -> bytes:
    """The first `limit` bytes of the body.

    `read1` returns what has arrived, so that the deadline can be checked; `response.content` would wait for all of it.
    """
    body = b""
    while len(body) < limit and (chunk := response.raw.read1(limit - len(body))):
        body += chunk
        if not deadline.left():
            raise requests.ReadTimeout
    return body


def _transport_error(host: str, error: Exception) -> ChannelError:
    causes = list(_contexts(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PermanentError(
                f"{host} has a TLS certificate that does not verify ({cause.verify_message}): correct the host's name "
                "in the URL, or put the CA that signed it into a file and name that in REQUESTS_CA_BUNDLE"
            )
        if isinstance(cause, NewConnectionError):
            return TransientError(f"no connection to {host}: {type(causes[-1]).__name__}", unsent=True)
        if isinstance(cause, ConnectTimeoutError):
            return TransientError(f"no connection to {host} in time", unsent=True)
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return TransientError(f"{host} did not answer in time")
    if isinstance(error, ValueError | TypeError):  # requests raises these for a URL or header that cannot be sent
        return PermanentError(f"the URL or a header for {host} is malformed: {type(error).__name__}")
    return TransientError(f"no answer from {host}: {type(causes[-1]).__name__}")


def _contexts(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


def _by_status(host: str, response: requests.Response, text: str) -> Response | ChannelError:
    status = response.status_code
    if 200 <= status < 300:  # noqa: PLR2004 - the ranges of HTTP's own classes
        return Response(status, text)
    answer = " ".join("".join(char if char.isprintable() else " " for char in text[:1000]).split())[:200]
    message = f"{host} answered {status}: {answer}" if answer else f"{host} answered {status}"
    if status in _TRY_AGAIN or status >= 500:  # noqa: PLR2004
        wait = retry_after(response.headers.get("Retry-After", ""), text, time.time())
        return TransientError(message, retry_after=wait, status=status, answer=answer)
    if 300 <= status < 400:  # noqa: PLR2004
        message = f"{host} answered {status}, and redirects are not followed: configure the URL that it leads to"
    return PermanentError(message, status=status, answer=answer)


def retry_after(header: str, body: str, now: float) -> float | None:
    """The wait in seconds, at least 1 and at most 3,600, that a remote asks for; None if it does not.

    Args:
        header: Retry-After, as seconds or a date (RFC 9110, section 10.2.3); "" if there is none.
        body: may be JSON with `retry_after` in seconds, as Slack and Discord send it.
        now: clock time.
    """
    number = header.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", number):
        wait = float(number)
    else:
        try:
            wait = parsedate_to_datetime(header).timestamp() - now
        except (ValueError, OverflowError):
            wait = _wait_in_body(body)
    return None if math.isnan(wait) else min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)


def _wait_in_body(body: str) -> float:
    """`retry_after` in a JSON body; NaN if there is none."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return math.nan
    wait: Any = fields.get("retry_after") if isinstance(fields, dict) else None
    return float(min(wait, _LONGEST_WAIT)) if type(wait) in {int, float} and wait >= 0 else math.nan


class Connections:
    """The adapter of requests that all posts of the process share. It is made when it is first needed, so importing
    this module loads no certificates.

    There is no Session: its features (redirects, cookies, ~/.netrc) are not wanted, and double the time of a post.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adapter: HTTPAdapter | None = None
        self._proxied = False

    def send(self, request: requests.PreparedRequest, *, timeout: float) -> requests.Response:
        """The response, with its body unread. Raises the errors of requests, and DeadlineExceeded."""
        adapter = self._ready()
        proxies = get_environ_proxies(str(request.url)) if self._proxied else None
        # requests accepts urllib3's class, but its type stubs do not say so.
        limits: Any = Timeout(connect=_CONNECT_LIMIT, total=timeout)
        return adapter.send(request, stream=True, timeout=limits, proxies=proxies)

    def _ready(self) -> HTTPAdapter:
        with self._lock:
            if self._adapter is None:
                for name in _URL_LOGGERS:
                    logging.getLogger(name).addFilter(lambda _: False)
                self._adapter = _SharedContextAdapter()
                self._proxied = bool(getproxies())  # the environment does not change later
            return self._adapter


_connections = Connections()


@lru_cache(maxsize=64)
def _prepared(method: str, url: str, headers: tuple[tuple[str, str], ...]) -> requests.PreparedRequest:
    """The request without its body. Parsing the URL takes a third of a post's time, so it is done once per URL.

    Raises the errors of requests.
    """
    return requests.Request(method, url, {**_HEADERS, **dict(headers)}, auth=_no_credentials).prepare()


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stops requests from making an Authorization header of a user name in the URL; Teams refuses such a post."""
    return request


class _PunctualConnection(HTTPConnection):
    """Writes a request only if the deadline that applies has not passed, and never on a connection that idled long."""

    _used_at = 0.0

    def request(self, *arguments: Any, **options: Any) -> None:
        """Writes a request. Raises DeadlineExceeded if the deadline has passed; then nothing was written."""
        if self.sock is None:  # else it would be made after the check
            self.connect()
        time_left(0.0)
        self._used_at = time.time()  # not monotonic(), which may stand still while the Lambda is frozen
        super().request(*arguments, **options)

    @property
    def is_connected(self) -> bool:
        """urllib3 asks before it uses a connection again."""
        return super().is_connected and time.time() - self._used_at <= _IDLE_LIMIT


class _PunctualTlsConnection(_PunctualConnection, HTTPSConnection):
    """A `_PunctualConnection` for https."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _PunctualConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PunctualTlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _SharedContextAdapter(HTTPAdapter):
    """Uses one TLS context for all hosts. requests itself would load the CA bundle again for each connection.

    REQUESTS_CA_BUNDLE, a file or a directory, replaces certifi's certificates, as requests documents it.
    """

    def __init__(self) -> None:
        self._context = tls.context(os.environ.get("REQUESTS_CA_BUNDLE", ""))
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Like the method of requests, but without extracting cookies, which is slow."""
        response = requests.Response()
        response.status_code, response.headers, response.raw, response.request = resp.status, resp.headers, resp, req
        return response

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Does nothing: requests would load the CA bundle again, and the context already verifies the host."""
