"""A loopback server that misbehaves on demand, in each way in which a webhook's host can."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Behaviour = Callable[[socket.socket, threading.Event], None]
"""Answers one request, which has been read completely. The event is set when the test is over."""


def answer(status: int, body: str | bytes = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    """A complete response with a Content-Length."""
    content = body.encode() if isinstance(body, str) else body
    fields = {"Content-Length": str(len(content)), **(headers or {})}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return lambda connection, _: connection.sendall(head.encode() + content)


def send(raw: bytes) -> Behaviour:
    """Sends these bytes, then closes the connection."""

    def behave(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_RDWR)

    return behave


def stall() -> Behaviour:
    """Never answers."""

    def behave(_: socket.socket, over: threading.Event) -> None:
        over.wait(60)

    return behave


def drip(head: bytes, every: float) -> Behaviour:
    """Sends `head`, then one byte every `every` seconds until the client gives up."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(every):
            connection.sendall(b"x")

    return behave


def reset(after: bytes = b"") -> Behaviour:
    """Sends `after`, then a TCP reset."""

    def behave(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(after)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        socket.close(connection.detach())

    return behave


class ScriptedServer:
    """Answers each request with the next behaviour of `script`, and repeats the last one.

    Attributes:
        requests: the head and the body of each request, as they were received.
        connections: how many connections were opened.
    """

    def __init__(self, *script: Behaviour, certificate: Path | None = None) -> None:
        self.script = list(script)
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0
        self.over = threading.Event()
        self._scheme = "https" if certificate else "http"
        self._server = _Server(self, certificate)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def next_behaviour(self) -> Behaviour:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64  # the default of 5 makes the sixth client at once wait a second

    def __init__(self, owner: ScriptedServer, certificate: Path | None) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Does nothing: clients that give up are expected."""


class _Handler(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        owner = self.server.owner
        owner.connections += 1
        while (request := self._read()) is not None:
            owner.requests.append(request)
            owner.next_behaviour()(self.request, owner.over)

    def _read(self) -> tuple[str, bytes] | None:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = self.request.recv(65536)
            if not chunk:
                return None
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += self.request.recv(65536)
        return head.decode("latin-1"), body


def self_signed(directory: Path, name: str = "localhost") -> Path:
    """A PEM file with a key and a self-signed certificate for `name`; for "localhost" it also names 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / f"{name}.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
