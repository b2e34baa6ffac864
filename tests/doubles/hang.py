"""Servers on loopback that hang, as a network does that drops packets: nobody is refused, and nobody gets an answer."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple


class Hanging(NamedTuple):
    listener: socket.socket

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connections(self) -> int:
        """How many clients have connected since this was last asked."""
        self.listener.settimeout(0)
        count = 0
        with suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
                count += 1
        return count


@contextmanager
def silent() -> Iterator[Hanging]:
    """Lets everybody connect, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield Hanging(listener)


@contextmanager
def deaf() -> Iterator[Hanging]:
    """Lets nobody connect: its backlog is full, so Linux drops every further SYN."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        filler = stack.enter_context(socket.create_connection(listener.getsockname()))
        assert filler.getpeername() == listener.getsockname()
        yield Hanging(listener)
