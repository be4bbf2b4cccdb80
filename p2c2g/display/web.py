"""The browser's viewer: a page and its WebSockets, served from a thread of the session.

``serving`` runs the server, ``door`` says how many may connect, ``guard`` and ``access`` say who,
``connection`` what a connected viewer is sent, ``message`` in which form, and ``packer`` has it
made.  ``controls_socket`` takes what players do, ``games_socket`` lists games for them.
"""

from __future__ import annotations

import html
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from p2c2g.display.door import MAX_VIEWERS, Door, Limits, Seats
from p2c2g.display.hub import Hub
from p2c2g.display.packer import Packer
from p2c2g.display.page import PARTS, static
from p2c2g.errors import UsageError
from p2c2g.media.sound import SoundPacket
from p2c2g.settings.addresses import is_loopback

try:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    from p2c2g.display.access import ASKS, Access, new_token
    from p2c2g.display.connection import Stats, ViewerConnection
    from p2c2g.display.controls_socket import ControlsConnection, Playable
    from p2c2g.display.games_socket import Shelf, serve_games
    from p2c2g.display.guard import (
        Guard,
        allowed_name,
        is_near,
        network_behind,
        proxy_address,
    )
    from p2c2g.display.microphone_socket import Microphone, serve_microphone
    from p2c2g.display.serving import GuardedConfig, Server, limits_of_process, listen
    from p2c2g.display.sound_socket import SoundConnection
except ModuleNotFoundError as error:
    raise UsageError(
        f"The viewer's web server needs {error.name}, which is not installed: "
        'pip install "p2c2g[capture]".'
    ) from error

__all__ = ["MAX_VIEWERS", "ViewerServer"]

#: The WebSocket close code for it, from the registry of RFC 6455.
_TRY_LATER = 1013

#: And for what is not allowed.
_NOT_HERE = 1008

_FOLDERS = ("", "/{folder:path}")


class ViewerServer:
    """The web server that shows a hub's pictures in browsers.

    Args:
        hub: where the pictures come from.
        stats: gives what the readout shows, as JSON-able values without NaN: ``fps``,
            ``latency_ms`` (``p50`` and ``p99``, None while unknown), ``frames``
            (``complete``, ``degraded`` and ``dropped``) and ``peers`` (each with ``id``,
            ``queue`` and ``chunks``).  It is called in the server's thread.
        host: the address or name to listen on; anything but loopback opens it to others, who
            are asked for a token.
        port: the TCP port, 0 for any free one.
        clock: the session's monotonic clock, in seconds.
        allowed: names and addresses that it may be asked by, besides its own: a proxy's.
        proxies: addresses of proxies that say truly for whom they ask (``X-Forwarded-For``).
        game: what can be played there; None where nothing can.
        asks: whether a token is asked for on a loopback address, too.
        limits: what strangers may take; else as it suits this process.
        sound: where the sound comes from; None where there is none.
        microphone: where a viewer's voice goes; None where none may speak.
        games: what can be captured in place of this; None where nothing is offered.
        token: the one that is asked for, where one is; else a new one.

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
        proxies: Sequence[str] = (),
        *,
        game: Playable | None = None,
        asks: bool = False,
        limits: Limits | None = None,
        sound: Hub[SoundPacket] | None = None,
        microphone: Microphone | None = None,
        games: Shelf | None = None,
        token: str | None = None,
    ) -> None:
        self._allowed = frozenset(map(allowed_name, allowed))
        self._proxies = frozenset(map(proxy_address, proxies))
        self._token = None if is_loopback(host) and not asks else token or new_token()
        self._limits = limits or limits_of_process()
        self._door = Door(self._limits, self._proxies)
        self._seats, self._listeners = Seats(), Seats()
        self._speakers = Seats(1, 0, "Somebody else speaks.")
        self._hub = hub
        self._sound = sound
        self._microphone = microphone
        self._game = game
        self._games = games
        self._stats = stats
        self._host = host
        self._port = port
        self._clock = clock
        self._connections: set[ViewerConnection] = set()
        self._dropped = 0
        self._packer: Packer | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Say whether other machines can reach it."""
        return not is_loopback(self._host)

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

        Where a token is asked for, it stands in the address.

        Raises:
            UsageError: it cannot listen there; the sentence says why.
        """
        listener = listen(self._host, self._port)
        address, port = listener.getsockname()[:2]
        layers = [Middleware(Guard, bound=self._host, allowed=self._allowed)]
        if self._token is not None:
            layers.append(Middleware(Access, token=self._token, page=_locked_page()))
        application = Starlette(routes=self._routes(), middleware=layers)
        # Behind a proxy it could not know where to.
        application.router.redirect_slashes = False
        self._server = Server(GuardedConfig(application, self._door, self._limits))
        self._thread = threading.Thread(
            target=self._server.run_on, args=(listener,), name="viewer", daemon=True
        )
        self._thread.start()
        self._server.ready.wait()
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
        page = f"http://[{local}]:{port}/" if ":" in local else f"http://{local}:{port}/"
        return page if self._token is None else f"{page}?token={self._token}"

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
        parts = {part: (static(name), media_type) for part, (name, media_type) in PARTS.items()}

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
            *(WebSocketRoute(f"{folder}/sound", self._listen) for folder in _FOLDERS),
            *(WebSocketRoute(f"{folder}/microphone", self._speak) for folder in _FOLDERS),
            *(WebSocketRoute(f"{folder}/input", self._play) for folder in _FOLDERS),
            *(WebSocketRoute(f"{folder}/games", self._offer) for folder in _FOLDERS),
        ]

    async def _watch(self, websocket: WebSocket) -> None:
        await websocket.accept()
        async with self._place(websocket, self._seats) as is_seated:
            if not is_seated:
                return
            if self._packer is None:
                self._packer = Packer(self._hub)
            near = is_near(websocket.scope)
            connection = ViewerConnection(
                websocket, self._hub, self._packer, self._stats, self._clock, near=near
            )
            self._connections.add(connection)
            try:
                await connection.run()
            finally:
                self._connections.remove(connection)
                self._dropped += connection.dropped

    async def _listen(self, websocket: WebSocket) -> None:
        await websocket.accept()
        if self._sound is None:
            await websocket.close(_TRY_LATER, "This session has no sound.")
            return
        async with self._place(websocket, self._listeners) as is_seated:
            if is_seated:
                await SoundConnection(websocket, self._sound, self._clock).run()

    async def _speak(self, websocket: WebSocket) -> None:
        await websocket.accept()
        if self._microphone is None:
            await websocket.close(_TRY_LATER, "This session has no microphone.")
            return
        async with self._place(websocket, self._speakers) as is_seated:
            if is_seated:
                await serve_microphone(websocket, self._microphone, self._clock)

    @asynccontextmanager
    async def _place(self, websocket: WebSocket, seats: Seats) -> AsyncIterator[bool]:
        """Give an accepted connection a place for a while; where there is none, it is told why."""
        near = is_near(websocket.scope)
        network = network_behind(websocket.scope, self._proxies)
        if refusal := seats.refusal(network, near=near):
            await websocket.close(_TRY_LATER, refusal)
            yield False
            return
        self._door.watches(websocket.scope["client"])
        seats.take(network, near=near)
        try:
            yield True
        finally:
            seats.give_back(network, near=near)

    async def _play(self, websocket: WebSocket) -> None:
        await websocket.accept()
        if self._game is None:
            await websocket.close(_NOT_HERE, "This session cannot be played from here.")
            return
        # From then on it does not go for another; until then it has as long as a request has.
        admitted = partial(self._door.watches, websocket.scope["client"])
        near = is_near(websocket.scope)
        await ControlsConnection(websocket, self._game, admitted, near=near).run()

    async def _offer(self, websocket: WebSocket) -> None:
        await websocket.accept()
        if self._games is None:
            await websocket.close(_NOT_HERE, "This session offers no games.")
            return
        admitted = partial(self._door.watches, websocket.scope["client"])
        await serve_games(websocket, self._games, admitted)


def _locked_page() -> bytes:
    return static("locked.html").replace(b"{asks}", html.escape(ASKS).encode())
