"""The proxy fails as a network does, and works again afterwards."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from local_aws.slack import SlackDouble
from tests.doubles.proxy import Proxy

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with SlackDouble() as behind, Proxy() as forwarding:
        forwarding.forward_to(behind.host)
        yield forwarding


def connect(proxy: Proxy) -> closing[socket.socket]:
    client = socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])))
    client.settimeout(10)
    return closing(client)


def is_answered(client: socket.socket) -> bool:
    client.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"no_service"):
        answer += client.recv(1024)
    return answer.startswith(b"HTTP/1.1 404")


def test_what_hangs_answers_no_one_and_is_cut_when_it_is_back(proxy: Proxy) -> None:
    with connect(proxy) as known:
        assert is_answered(known)
        proxy.hang()
        with connect(proxy) as new:
            for client in (known, new):
                client.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    is_answered(client)
                client.settimeout(10)
            proxy.restore()
            assert (closed(known), closed(new)) == (True, True)
    with connect(proxy) as client:
        assert is_answered(client)


def test_the_answer_to_the_last_request_before_it_hangs_is_lost() -> None:
    with SlackDouble() as behind, Proxy() as proxy:
        proxy.forward_to(behind.host)
        proxy.hang_after(b"X-Last: yes")
        with connect(proxy) as client:
            assert is_answered(client)
            client.settimeout(0.2)
            client.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Last: yes\r\n\r\n"))
            with pytest.raises(TimeoutError):
                client.recv(1)
        assert [request.headers.get("X-Last") for request in behind.requests] == [None, "yes"]


def closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_what_refuses_cuts_its_connections_and_accepts_none_until_it_is_back(proxy: Proxy) -> None:
    with connect(proxy) as known:
        assert is_answered(known)
        proxy.refuse()
        assert closed(known)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.restore()
    with connect(proxy) as client:
        assert is_answered(client)
