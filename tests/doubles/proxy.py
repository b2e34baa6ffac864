"""A TCP proxy on loopback, whose network fails: what is behind it hangs, or refuses every connection."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

_CHUNK = 65_536  # bytes


class Proxy:
    """Forwards connections within a `with` block, once `forward_to` has said where to."""

    def __init__(self) -> None:
        self._reserved = _bound(0)  # does not listen, and keeps the port while nobody does
        self._address = self._reserved.getsockname()
        self._target = ("", 0)
        self._hangs = False
        self._last_request = b""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def forward_to(self, url: str) -> None:
        address = urlsplit(url)
        self._target = (str(address.hostname), int(address.port or 0))

    def hang(self) -> None:
        """From now on everybody can connect, and nothing that is sent arrives, in neither direction."""
        self._hangs = True

    def hang_after(self, request: bytes) -> None:
        """Hangs as soon as a request that contains this is answered: the request arrives, and its answer is lost."""
        self._last_request = request

    def refuse(self) -> None:
        """From now on nobody can connect. Connections that are open are cut."""
        self._run(self._close())

    def restore(self) -> None:
        """From now on new connections work. Those that hung are cut."""
        self._run(self._close())
        self._hangs, self._last_request = False, b""
        self._run(self._listen())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=_bound(self._address[1]))

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Becomes the task of its connection: ends it, whatever happens."""
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        writers = [writer]
        try:
            await self._pass()
            upstream, to_upstream = await asyncio.open_connection(*self._target)
            writers.append(to_upstream)
            await asyncio.gather(*self._both_ways(reader, to_upstream, upstream, writer))
        except (OSError, asyncio.CancelledError):
            for connection in writers:
                connection.transport.abort()
        finally:
            self._connections.discard(task)

    def _both_ways(
        self,
        reader: asyncio.StreamReader,
        to_upstream: asyncio.StreamWriter,
        upstream: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Iterator[Coroutine[Any, Any, None]]:
        is_last = asyncio.Event()

        def request(data: bytes) -> None:
            if self._last_request and self._last_request in data:
                is_last.set()

        def answer(_data: bytes) -> None:
            if is_last.is_set():
                self.hang()

        yield self._forward(reader, to_upstream, request)
        yield self._forward(upstream, writer, answer)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]
    ) -> None:
        while data := await reader.read(_CHUNK):
            note(data)
            await self._pass()
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.close()

    async def _pass(self) -> None:
        """Returns at once, or never if the network hangs: what was read is lost then."""
        if self._hangs:
            await asyncio.Event().wait()


def _bound(port: int) -> socket.socket:
    """A socket that shares its port with others of this process."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
