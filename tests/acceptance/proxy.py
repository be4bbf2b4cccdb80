"""A reverse proxy as people put in front of a viewer, and a way that can die without a word."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: Changes the head of a request: its first line, and its headers.
Rewrite = Callable[[str, dict[str, str]], str]


class Proxy:
    """Passes each request on to a viewer's port, on a thread of its own; one a connection.

    Args:
        port: the viewer's.
        rewrite: is given a request's first line and its headers, which it may change; returns the
            line that is sent on.
    """

    def __init__(self, port: int, rewrite: Rewrite) -> None:
        self._target = port
        self._rewrite = rewrite
        self._loop: asyncio.AbstractEventLoop
        self._ending = asyncio.Event()
        #: Whether new connections are served, and which of the old ones are.
        self._open = asyncio.Event()
        self._open.set()
        self._ways: set[asyncio.Event] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        #: WebSockets that were asked for.
        self.sockets = 0
        self.port = 0

    def go_silent(self) -> None:
        """Pass nothing on any more, close nothing, and let new connections hang."""

        def silence() -> None:
            self._open.clear()
            for way in self._ways:
                way.clear()

        self._loop.call_soon_threadsafe(silence)

    def come_back(self, port: int | None = None) -> None:
        """Serve what asks from now on, by another's port if given; what was open stays silent."""
        self._target = port or self._target
        self._loop.call_soon_threadsafe(self._open.set)

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Listen on a free port."""
        listening = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._run(listening)))
        thread.start()
        try:
            assert listening.wait(30)
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._ending.set)
            thread.join()

    async def _run(self, listening: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        await self._ending.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        for event in (self._open, *self._ways):
            event.set()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._kept(writer), suppress(OSError, asyncio.IncompleteReadError):
            await self._open.wait()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.rstrip().split("\r\n")
            headers = dict(each.split(": ", 1) for each in lines)
            if "upgrade" in {name.lower() for name in headers}:
                self.sockets += 1
            else:
                headers["Connection"] = "close"
            line = self._rewrite(line, headers)
            text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            up, down = await asyncio.open_connection("127.0.0.1", self._target)
            with self._kept(down):
                down.write(f"{line}\r\n{text}\r\n".encode("latin-1"))
                way = asyncio.Event()
                way.set()
                self._ways.add(way)
                await asyncio.gather(self._pump(reader, down, way), self._pump(up, writer, way))

    @contextmanager
    def _kept(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await way.wait()
                writer.write(data)
                await writer.drain()
        await way.wait()
        writer.close()


def in_folder(line: str) -> str:
    """Take the folder off a request's line, as nginx does by ``location /game/``."""
    assert " /game/" in line, line
    return line.replace(" /game/", " /", 1)
