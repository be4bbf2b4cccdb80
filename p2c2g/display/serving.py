"""The viewer's web server as uvicorn runs it, with what uvicorn leaves out against strangers.

uvicorn has no time limit for a request's headers, keeps a socket that nobody reads for as long as
its bytes are not taken, and answers everybody with 503 where there are too many connections.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from p2c2g.display.door import Door, Limits
from p2c2g.errors import UsageError

#: Connections that the kernel may keep until they are taken; they cost no descriptor.
_QUEUE = 1024


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration for a server whose connections go through a door.

    Args:
        application: the ASGI application.
        door: where its connections are counted.
        limits: what each may take.
    """

    def __init__(self, application: Any, door: Door, limits: Limits) -> None:
        self.door = door
        self.limits = limits
        interval, timeout = limits.ping_seconds
        super().__init__(
            application,
            http=_Http,
            loop="asyncio",
            ws=_Socket,
            ws_max_size=4096,  # viewers send nothing but small answers
            ws_per_message_deflate=False,  # pictures are packed already
            ws_ping_interval=interval,
            ws_ping_timeout=timeout,
            lifespan="off",
            log_config=None,
            log_level="error",  # strangers' requests are no news
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=limits.at_once,
        )


class _Http(H11Protocol):
    """A connection that has to say what it wants, and to take the answer, in time."""

    config: GuardedConfig

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is None or not self.config.door.came(self.client, transport.abort):
            transport.abort()
            return
        self._begin_anew()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.client is not None:
            self.config.door.left(self.client)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._begin_anew()

    def _begin_anew(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self.config.limits.request_seconds, self._too_late)

    def _too_late(self) -> None:
        # This connection may have become a WebSocket meanwhile, and that a viewer's.
        if self.client is not None and not self.config.door.is_viewer(self.client):
            self.transport.abort()


class _Socket(WebSocketsSansIOProtocol):
    """A WebSocket that is hung up on where it does not answer, though its bytes still wait."""

    config: GuardedConfig

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client is not None:
            self.config.door.left(self.client)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        # What it is still owed must not wait for ever for one that does not read.
        self.loop.call_later(self.config.limits.request_seconds, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


class Server(uvicorn.Server):
    """uvicorn, with an event for having started (or failed to)."""

    def __init__(self, config: GuardedConfig) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    def run_on(self, listener: socket.socket) -> None:
        """Serve until ``should_exit`` is set."""
        try:
            self.run(sockets=[listener])
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        # uvicorn's backlog is also how many asyncio takes at once; more may wait than that.
        for listener in sockets or ():
            listener.listen(_QUEUE)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hang up on everybody."""
        await super().shutdown(sockets)
        # A viewer that does not read leaves bytes that asyncio would keep for it for ever.
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()


def limits_of_process() -> Limits:
    """Return the limits that suit the number of files that this process may open."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit.
        return Limits()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits() if most == resource.RLIM_INFINITY else Limits.of_files(most)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UsageError: it cannot listen there; the sentence says why.
    """
    if not 0 <= port <= 65_535:
        raise UsageError(f"{port} is not a port: give 1 to 65535, or 0 for any free one.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"Port {port} is in use: choose another for the viewer, or 0 for any free one."
            ) from error
        if error.errno == errno.EACCES:
            raise UsageError(
                f"Port {port} is not open to this user: choose one above 1023, or 0 for any "
                "free one."
            ) from error
        raise UsageError(
            f"The viewer cannot listen on {host!r}: give an address of this machine, such as "
            "127.0.0.1 or 0.0.0.0."
        ) from error
