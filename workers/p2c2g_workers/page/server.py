"""The peer's own page: served to browsers of this machine alone, to who has its token.

It can change what the machine lends, so more is asked than of a viewer: the token always, and of
what changes something a body in JSON, which a page of another site cannot have sent without asking
first, and is not answered then.
"""

from __future__ import annotations

import html
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from p2c2g.display.access import Access, new_token
from p2c2g.display.door import Door, Limits
from p2c2g.display.guard import Guard
from p2c2g.display.page import static as viewers
from p2c2g.display.serving import GuardedConfig, Server, listen
from p2c2g.errors import P2C2GError, UnavailableError, UsageError
from p2c2g.lending.home import Home
from p2c2g.lending.state import State
from p2c2g.system.secrets import write_private
from p2c2g_workers.page.done import Done
from p2c2g_workers.page.machine import Machine
from p2c2g_workers.wishes import TOKEN_VARIABLE, Wishes

#: Where it listens: nothing else can reach it.
HOST: Final = "127.0.0.1"
#: Bytes of what it is told at most.
_MOST: Final = 4096
#: Bytes of a token at most.
_MOST_TOKEN: Final = 200
_LIMITS: Final = Limits(connections=32, of_a_network=32, own=32)
_ASKS: Final = (
    "This page asks for a token: p2c2g peer status prints its address, with all that stands behind "
    "?token= in it."
)
_REFUSAL: Final = "This peer answers only to its own page, at an address of this machine."
_PARTS: Final = {
    "": ("index.html", "text/html"),
    "peer.css": ("peer.css", "text/css"),
    "peer.js": ("peer.js", "text/javascript"),
    "limits.js": ("limits.js", "text/javascript"),
}


class Shown(Protocol):
    """What the page shows, and changes (:class:`p2c2g_workers.lent.LentStep`)."""

    state: State
    machine: Machine
    done: Done
    wishes: Wishes
    slots: int
    cores: int

    @property
    def is_kept(self) -> bool:
        """Tell whether what is changed outlasts the process."""

    @property
    def log(self) -> list[dict[str, Any]]:
        """Return the last lines of the log, the newest first."""


class PageServer:
    """Serves the page from a thread of its own.

    Args:
        shown: what it is about.
        token: who has it is let in.
        port: another free one is taken where it is in use.
    """

    def __init__(self, shown: Shown, token: str, port: int) -> None:
        self._shown = shown
        self._token = token
        self._port = port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Start it, and return its address, which holds the token.

        Raises:
            UsageError: nothing can listen there.
        """
        try:
            listener = listen(HOST, self._port)
        except UsageError:
            listener = listen(HOST, 0)
        port = listener.getsockname()[1]
        application = application_of(self._shown, self._token)
        self._server = Server(GuardedConfig(application, Door(_LIMITS), _LIMITS))
        self._thread = threading.Thread(
            target=self._server.run_on, args=(listener,), name="p2c2g-page", daemon=True
        )
        self._thread.start()
        self._server.ready.wait()
        return f"http://{HOST}:{port}/?token={self._token}"

    def close(self) -> None:
        """Hang up on everybody, and end the thread; a second call does nothing."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(5.0)
        self._server = None


def application_of(shown: Shown, token: str) -> Starlette:
    """Return the page as an ASGI application, with its guards.

    Args:
        shown: what it is about.
        token: who has it is let in.
    """
    parts = {part: (_static(name), kind) for part, (name, kind) in _PARTS.items()}
    parts["favicon.svg"] = (viewers("favicon.svg"), "image/svg+xml")

    async def page(request: Request) -> Response:
        content, kind = parts[request.scope["path"].rpartition("/")[2]]
        return Response(content, media_type=kind)

    async def state(_: Request) -> Response:
        return JSONResponse(_told(shown))

    async def limits(request: Request) -> Response:
        def change(said: Mapping[str, Any]) -> None:
            shown.wishes.change({f"limits.{name}": value for name, value in said.items()})

        return await _answered(request, shown, change)

    async def pause(request: Request) -> Response:
        return await _answered(request, shown, lambda _: shown.wishes.pause())

    async def resume(request: Request) -> Response:
        return await _answered(request, shown, lambda _: shown.wishes.resume())

    locked = _static("locked.html").replace(b"{asks}", html.escape(_ASKS).encode())
    return Starlette(
        routes=[
            *(Route(f"/{part}", page) for part in parts),
            Route("/state", state),
            Route("/limits", limits, methods=["POST"]),
            Route("/pause", pause, methods=["POST"]),
            Route("/resume", resume, methods=["POST"]),
        ],
        middleware=[
            Middleware(Guard, bound=HOST, refusal=_REFUSAL),
            Middleware(
                Access, token=token, page=locked, asks=_ASKS, free={"peer.css", "favicon.svg"}
            ),
        ],
    )


def token_of(home: Home | None) -> str:
    """Return a home's token: a bookmark stays right.  Made where there is none.

    Raises:
        UnavailableError: it cannot be kept.
    """
    if home is None:
        return os.environ.pop(TOKEN_VARIABLE, "") or new_token()
    try:
        with home.page_token.open("rb") as file:
            token = file.read(_MOST_TOKEN).decode("ascii", "ignore").strip()
        if len(token) >= 32 and token.replace("-", "").replace("_", "").isalnum():
            return token
    except OSError:
        pass
    token = new_token()
    try:
        write_private(home.page_token, token + "\n")
    except OSError as error:
        raise UnavailableError(
            f"{home.page_token} cannot be written ({error.strerror})."
        ) from error
    return token


async def _answered(request: Request, shown: Shown, change: Any) -> Response:
    """Do what a page asks for, and answer with how things are then."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return JSONResponse({"detail": "Send application/json."}, 415)
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _MOST:
            return JSONResponse({"detail": f"Send at most {_MOST} bytes."}, 413)
    try:
        said = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return JSONResponse({"detail": "Send an object in JSON."}, 422)
    try:
        change(said)
    except P2C2GError as error:
        return JSONResponse({"detail": str(error)}, 422 if isinstance(error, UsageError) else 503)
    return JSONResponse(_told(shown))


def _told(shown: Shown) -> dict[str, Any]:
    """Return all that the page shows."""
    return {
        "state": shown.state.model_dump(mode="json", exclude={"page", "pid"}),
        "machine": asdict(shown.machine),
        "limits": shown.wishes.part().model_dump(mode="json"),
        "paused": shown.wishes.paused(),
        "slots": shown.slots,
        "cores": shown.cores,
        "kept": shown.is_kept,
        "recent": [asdict(each) for each in shown.done.recent()],
        "log": shown.log,
    }


def _static(name: str) -> bytes:
    return (files("p2c2g_workers.page") / "static" / name).read_bytes()
