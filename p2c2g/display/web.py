"""The browser's viewer: one page and one WebSocket, served from a thread of the session.

``guard`` says who may connect, ``connection`` what a connected viewer is sent, ``message`` in which
form, and ``packer`` has it made.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Sequence
from importlib.resources import files

from p2c2g.display.hub import Hub
from p2c2g.display.packer import Packer
from p2c2g.errors import UsageError

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    from p2c2g.display.connection import Stats, ViewerConnection
    from p2c2g.display.guard import Guard, allowed_name, is_near
except ModuleNotFoundError as error:
    raise UsageError(
        f"The viewer's web server needs {error.name}, which is not installed: "
        'pip install "p2c2g[capture]".'
    ) from error

#: Viewers at a time; each costs the session's machine the bytes of every picture.
MAX_VIEWERS = 16

#: The WebSocket close code for it, from the registry of RFC 6455.
_TRY_LATER = 1013
#: Seconds from one question whether a viewer is still there to the next, and for the answer:
#: one whose network changed must not keep a place for long.
_PING_INTERVAL, _PING_TIMEOUT = 5.0, 10.0

#: By the last part of its address: a proxy may have the page in a folder, and pass that on.
_PAGE = {
    "": ("index.html", "text/html"),
    "viewer.css": ("viewer.css", "text/css"),
    "favicon.svg": ("favicon.svg", "image/svg+xml"),
    **{
        f"{name}.js": (f"{name}.js", "text/javascript")
        for name in (
            "viewer",
            "check",
            "comparison",
            "composer",
            "frames",
            "link",
            "readout",
            "shaders",
            "stage",
        )
    },
}
_FOLDERS = ("", "/{folder:path}")


class ViewerServer:
    """The web server that shows a hub's pictures in browsers.

    Args:
        hub: where the pictures come from.
        stats: gives what the readout shows, as JSON-able values without NaN: ``fps``,
            ``latency_ms`` (``p50`` and ``p99``, None while unknown), ``frames``
            (``complete``, ``degraded`` and ``dropped``) and ``peers`` (each with ``id``,
            ``queue`` and ``chunks``).  It is called in the server's thread.
        host: the address or name to listen on; anything but loopback opens it to others.
        port: the TCP port, 0 for any free one.
        clock: the session's monotonic clock, in seconds.
        allowed: names and addresses that it may be asked by, besides its own: a proxy's.

    Raises:
        UsageError: one of those is none.
    """

    def __init__(
        self,
        hub: Hub,
        stats: Stats,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
        allowed: Sequence[str] = (),
    ) -> None:
        self._allowed = frozenset(map(allowed_name, allowed))
        self._hub = hub
        self._stats = stats
        self._host = host
        self._port = port
        self._clock = clock
        self._connections: set[ViewerConnection] = set()
        self._dropped = 0
        self._packer: Packer | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> int:
        """Return how many viewers are connected."""
        return len(self._connections)

    @property
    def dropped(self) -> int:
        """Return how many pictures were not sent because their viewer was behind."""
        return self._dropped + sum(connection.dropped for connection in tuple(self._connections))

    def start(self) -> str:
        """Start the server and return its address, such as ``http://127.0.0.1:8000/``.

        Raises:
            UsageError: it cannot listen there; the sentence says why.
        """
        listener = _listen(self._host, self._port)
        address, port = listener.getsockname()[:2]
        guard = Middleware(Guard, bound=self._host, allowed=self._allowed)
        application = Starlette(routes=self._routes(), middleware=[guard])
        # Behind a proxy it could not know where to.
        application.router.redirect_slashes = False
        self._server = _Server(
            uvicorn.Config(
                application,
                http="h11",
                loop="asyncio",
                ws="websockets-sansio",
                ws_max_size=4096,  # viewers send nothing but small answers
                ws_per_message_deflate=False,  # pictures are packed already
                ws_ping_interval=_PING_INTERVAL,
                ws_ping_timeout=_PING_TIMEOUT,
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run_on, args=(listener,), name="viewer", daemon=True
        )
        self._thread.start()
        self._server.ready.wait()
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
        return f"http://[{local}]:{port}/" if ":" in local else f"http://{local}:{port}/"

    def close(self) -> None:
        """Hang up on every viewer and end the thread; a second call does nothing."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        # Do not wait for viewers that no longer read.
        self._server.force_exit = True
        self._thread.join()
        if self._packer is not None:
            self._packer.close()

    def __enter__(self) -> ViewerServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _routes(self) -> list[Route | WebSocketRoute]:
        static = files("p2c2g.display") / "static"
        parts = {
            part: (static.joinpath(name).read_bytes(), media_type)
            for part, (name, media_type) in _PAGE.items()
        }

        async def page(request: Request) -> Response:
            content, media_type = parts[request.scope["path"].rpartition("/")[2]]
            return Response(content, media_type=media_type)

        async def check(_: Request) -> Response:
            # The guard has let it in: what a page is told whose socket did not come through.
            return PlainTextResponse("Welcome.\n")

        return [
            *(Route(f"{folder}/{part}", page) for folder in _FOLDERS for part in parts),
            *(Route(f"{folder}/check", check, methods=["POST"]) for folder in _FOLDERS),
            *(WebSocketRoute(f"{folder}/ws", self._watch) for folder in _FOLDERS),
        ]

    async def _watch(self, websocket: WebSocket) -> None:
        await websocket.accept()
        if len(self._connections) >= MAX_VIEWERS:
            await websocket.close(_TRY_LATER, f"{MAX_VIEWERS} viewers are connected already.")
            return
        if self._packer is None:
            self._packer = Packer(self._hub)
        connection = ViewerConnection(
            websocket, self._hub, self._packer, self._stats, self._clock,
            near=is_near(websocket.scope),
        )  # fmt: skip
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.remove(connection)
            self._dropped += connection.dropped


class _Server(uvicorn.Server):
    """uvicorn, with an event for having started (or failed to)."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    def run_on(self, listener: socket.socket) -> None:
        try:
            self.run(sockets=[listener])
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # A viewer that does not read leaves bytes that asyncio would keep for it for ever.
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()


def _listen(host: str, port: int) -> socket.socket:
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
