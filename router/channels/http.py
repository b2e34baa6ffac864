"""One POST of JSON to a webhook, judged by its status; nothing of the URL, headers or payload ever gets out of here.

An error from here names the host and what it answered, no more: in a webhook the path and the query are the secret.
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
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.request import getproxies

with warnings.catch_warnings():  # the layer leaves out what requests would guess encodings with (`layer/build.py`)
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
    import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import Timeout
from urllib3.exceptions import HTTPError, ReadTimeoutError

from router.coldstart import tls
from router.errors import ChannelError, PermanentError, TransientError

# Seconds. A Lambda may be frozen for hours between two posts, and wakes up with connections that the other side has
# long forgotten: a post on one of those ends in a reset, of which nobody can tell whether the message was said.
_IDLE_LIMIT = 30
_BODY_LIMIT = 65_536
_TRY_AGAIN = frozenset({408, 425, 429})
# Seconds: a remote may ask for neither a busy loop nor for ever.
_SHORTEST_WAIT, _LONGEST_WAIT = 1.0, 3600.0
# A shorter piece of a URL is a word such as `services`; Slack's ids have nine characters and more.
_SHORTEST_SECRET = 9
_HEADERS = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",  # an answer is a few words, and 64 KiB of zip could be a gigabyte
    "User-Agent": "ecs-alert-router",
}
# These two write the whole URL: each request at DEBUG, and with a WARNING when the headers of an answer do not parse.
_TALKATIVE = ("urllib3.connection", "urllib3.connectionpool")


class Response(NamedTuple):
    """An answer with a status of 200 to 299.

    Attributes:
        text: the body, its first 64 KiB; a piece of the URL, the headers or the payload that it echoes reads "…".
    """

    status: int
    text: str


def post_json(
    url: str, payload: Mapping[str, Any], *, headers: Mapping[str, str] | None = None, timeout: float = 10
) -> Response:
    """Posts once: no retries, no redirects, no cookies. Safe to call from several threads.

    Args:
        timeout: seconds for the whole exchange. It ends in less than twice that even when the body drips in byte by
            byte. Headers that drip are bounded per byte only: the deliver step leaves such a thread behind.

    Raises:
        TransientError: 408, 425, 429, 5xx (with what the remote asked us to wait), no answer in time, no connection.
        PermanentError: any other status, redirects included; a malformed URL; a certificate that does not verify; a
            payload that is not JSON.
    """
    outcome = _exchange(url, payload, headers or {}, timeout)
    if isinstance(outcome, ChannelError):
        raise outcome
    return outcome


def _exchange(
    url: str, payload: Mapping[str, Any], headers: Mapping[str, str], timeout: float
) -> Response | ChannelError:
    """What came of it. Errors are returned: one raised while requests' own is handled would keep that as its
    `__context__`, and requests' errors hold the URL.
    """
    host = _host(url)
    if not host:
        return PermanentError("the webhook's URL is malformed: it must look like https://host/path")
    try:
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")
    except (TypeError, ValueError, RecursionError) as error:
        return PermanentError(f"the payload for {host} is not JSON: {type(error).__name__}")
    deadline = time.monotonic() + timeout
    limit: Any = Timeout(total=timeout)  # requests takes urllib3's, though its type stubs do not say so
    try:
        with _connections.post(url, body, headers, limit) as response:
            text = _read(response, deadline).decode(errors="replace")
    except (OSError, HTTPError, ValueError, TypeError) as error:
        return _transport_error(host, error)
    if len(text) >= _SHORTEST_SECRET:
        text = _redact(text, _secrets(url, headers, payload))
    return _by_status(host, response, text)


def _host(url: str) -> str:
    """The host's name alone; "" where the URL has none, or is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in {"http", "https"} else ""


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body's first 64 KiB. `read1` returns what is there; `response.content` would wait for all of it."""
    body = b""
    while len(body) < _BODY_LIMIT and (chunk := response.raw.read1(_BODY_LIMIT - len(body))):
        body += chunk
        if time.monotonic() > deadline:
            raise requests.ReadTimeout
    return body


def _transport_error(host: str, error: Exception) -> ChannelError:
    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PermanentError(
                f"{host} has a TLS certificate that does not verify ({cause.verify_message}): correct the host's name "
                "in the URL, or put the CA that signed it into a file and name that in REQUESTS_CA_BUNDLE"
            )
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return TransientError(f"{host} did not answer in time")
    if isinstance(
        error, ValueError | TypeError
    ):  # requests' errors for a URL or a header that cannot be sent are ValueErrors
        return PermanentError(f"the URL or a header for {host} is malformed: {type(error).__name__}")
    return TransientError(f"no answer from {host}: {type(causes[-1]).__name__}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
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
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: seconds or a date) or Slack's `{"retry_after": 30}`."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", header.strip()):
        wait = float(header)
    else:
        try:
            wait = parsedate_to_datetime(header).timestamp() - now
        except (ValueError, OverflowError):
            wait = _wait_in_body(body)
    return None if math.isnan(wait) else min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)


def _wait_in_body(body: str) -> float:
    """NaN where it does not say."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return math.nan
    wait: Any = answer.get("retry_after") if isinstance(answer, dict) else None
    return float(min(wait, _LONGEST_WAIT)) if type(wait) in {int, float} and wait >= 0 else math.nan


def _secrets(url: str, headers: Mapping[str, str], payload: Mapping[str, Any]) -> set[str]:
    """Every piece that an answer could echo: error pages like to print the path that was not found."""
    parts = urlsplit(url)
    pieces = {url, parts.path, parts.query, *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))}
    pieces |= {*re.split("[&=]", parts.query), parts.username or "", parts.password or ""}
    pieces |= {*headers.values(), *(value for value in payload.values() if isinstance(value, str))}
    pieces |= {unquote(piece) for piece in pieces}
    return {piece for piece in pieces if len(piece) >= _SHORTEST_SECRET}


def _redact(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


class Connections:
    """The process's one adapter of requests, made when it is first needed: importing this module loads no certificates.

    An adapter alone, without a Session: none of what that brings is wanted here (redirects, cookies, ~/.netrc), and it
    takes twice the time of a post.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adapter: HTTPAdapter | None = None
        self._proxied = False
        self._used_at = 0.0

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: Any) -> requests.Response:
        """The answer, its body unread. Raises what requests raises."""
        request = _prepared(url, tuple(each for each in headers.items() if each[1] is not None)).copy()
        request.prepare_body(body, None)
        adapter = self._ready()
        proxies = get_environ_proxies(url) if self._proxied else None
        return adapter.send(request, stream=True, timeout=timeout, proxies=proxies)

    def _ready(self) -> HTTPAdapter:
        with self._lock:
            now = time.time()  # not monotonic(): that clock may stand still while the Lambda is frozen
            if self._adapter is None:
                for name in _TALKATIVE:
                    logging.getLogger(name).addFilter(_keep_quiet)
                self._adapter = _SharedContextAdapter()
                self._proxied = bool(getproxies())  # where there is no proxy now, there will be none
            elif now - self._used_at > _IDLE_LIMIT:
                self._adapter.close()  # drops its idle connections; it goes on working
            self._used_at = now
            return self._adapter


_connections = Connections()


@lru_cache(maxsize=64)
def _prepared(url: str, headers: tuple[tuple[str, str], ...]) -> requests.PreparedRequest:
    """All but the body: a URL is looked at once, as it takes a third of a post's time. Raises what requests raises."""
    return requests.Request("POST", url, {**_HEADERS, **dict(headers)}, auth=_no_credentials).prepare()


def _keep_quiet(_: logging.LogRecord) -> bool:
    return False


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without this, requests would make an Authorization header of a user in the URL; Teams refuses a post with one."""
    return request


class _SharedContextAdapter(HTTPAdapter):
    """One TLS context for all hosts; requests itself would load the CA bundle anew for each connection.

    REQUESTS_CA_BUNDLE (a file or a directory) replaces certifi's certificates, as everywhere in requests.
    """

    def __init__(self) -> None:
        self._context = tls.context(os.environ.get("REQUESTS_CA_BUNDLE", ""))
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """As requests' own, but for the cookies, which it is at pains to find."""
        response = requests.Response()
        response.status_code, response.headers, response.raw, response.request = resp.status, resp.headers, resp, req
        return response

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: requests would have the pool load the bundle again. The context verifies the host as it is."""
