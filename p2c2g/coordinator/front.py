"""What every request passes before it is looked at, and every answer after it: ASGI middleware.

A stranger's body is taken whole, within a size and a time, before anything parses it.  One line is
logged a request, which holds nothing of what was sent: the route and not the path, the key's id and
not the key.
"""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p2c2g.coordinator import problems
from p2c2g.coordinator.limiter import TooOftenError, who_asks
from p2c2g.coordinator.services import Services
from p2c2g.settings.addresses import is_loopback
from p2c2g.settings.coordinator import CoordinatorSettings

logger = logging.getLogger(__name__)

#: Seconds in which a body has to be here: fewer than a connection has for all of a request
#: (:class:`p2c2g.display.door.Limits`), so that this can still be said.
BODY_SECONDS = 8.0
#: What is logged where nobody waits for an answer any more.
_GONE = 499

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TLS_HEADERS: Final = {"Strict-Transport-Security": "max-age=31536000"}
#: What a proxy asks without TLS to see whether we live.
_WITHOUT_KEY: Final = ("/healthz", "/readyz")


class Front:
    """Counts, bounds and logs requests.

    Args:
        app: what is behind it.
        settings: the bounds.
    """

    def __init__(self, app: ASGIApp, settings: CoordinatorSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        _put_into(scope, self._settings.root_path)
        if scope["type"] == "websocket":
            await self._open(scope, receive, send)
            return
        began, status = perf_counter(), 500
        headers = HEADERS | (_TLS_HEADERS if scope["scheme"] == "https" else {})

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                told = MutableHeaders(scope=message)
                for name, value in headers.items():
                    told.setdefault(name, value)  # Flower's pages have a policy of their own.
            await send(message)

        try:
            refusal, body = await self._look(scope, receive)
            if refusal is not None:
                await refusal(scope, receive, send_and_note)
            elif body is not None:
                await self._app(scope, _once(body, receive), send_and_note)
            else:
                status = _GONE
        finally:
            _log(scope, status, perf_counter() - began)

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a WebSocket on, or refuse it; it is logged when it ends."""
        began, refusal = perf_counter(), await self._come(scope)
        try:
            await (refusal or self._app)(scope, receive, send)
        finally:
            _log(scope, refusal.status_code if refusal else 101, perf_counter() - began)

    async def _come(self, scope: Scope) -> Response | None:
        """Count one who asks, and return why it is refused; None where it is not."""
        services: Services = scope["app"].state.services
        address = scope["client"][0] if scope["client"] else ""
        if not self._is_private(scope, address):
            return problems.answer(403, "This coordinator is asked by https:// alone.")
        try:
            await run_in_threadpool(
                services.limiter.count,
                "address",
                self._settings.requests_per_minute,
                who_asks(address),
            )
        except TooOftenError as error:
            return problems.answer_to(error)
        return None

    async def _look(self, scope: Scope, receive: Receive) -> tuple[Response | None, bytes | None]:
        """Return why a request is refused, or its body; neither where its client has gone."""
        if (refusal := await self._come(scope)) is not None:
            return refusal, None
        too_long = problems.answer(
            413, f"The body is too long: {self._settings.max_body} bytes are the most.",
            {"Connection": "close"},
        )  # fmt: skip
        sent = Headers(scope=scope)
        told = sent.get("content-length", "0")
        if "transfer-encoding" in sent and "content-length" in sent:
            # A proxy in front may have believed the other.
            refused = "Give Content-Length or Transfer-Encoding, and not both."
            return problems.answer(400, refused, {"Connection": "close"}), None
        if not told.isdecimal() or len(told) > 18 or int(told) > self._settings.max_body:
            return too_long, None
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _whole(receive, self._settings.max_body)
        except TimeoutError:
            return problems.answer(408, "The body did not come.", {"Connection": "close"}), None
        except _TooLongError:
            return too_long, None
        return None, body

    def _is_private(self, scope: Scope, address: str) -> bool:
        """Tell whether nobody on the way can have read a request, or nothing secret was in it."""
        return (
            scope["scheme"] in ("https", "wss")
            or self._settings.development
            or is_loopback(address)
            or scope["path"].removeprefix(self._settings.root_path) in _WITHOUT_KEY
        )


def _put_into(scope: Scope, folder: str) -> None:
    """Have a request be in the folder of a proxy, which passes that on or takes it off."""
    if folder:
        scope["root_path"] = folder
        if not f"{scope['path']}/".startswith(f"{folder}/"):
            scope["path"] = folder + scope["path"]


class _TooLongError(Exception):
    pass


async def _whole(receive: Receive, most: int) -> bytes | None:
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        length += len(part)
        if length > most:
            raise _TooLongError
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a way to receive a body that is here already, and then whatever else comes."""
    is_given = False

    async def received() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


def _log(scope: Scope, status: int, seconds: float) -> None:
    identity: Any = scope.get("state", {}).get("identity")
    logger.info(
        "%s %s %d in %.1f ms, key %s, from %s",
        scope.get("method", "WebSocket")[:10],
        getattr(scope.get("route"), "path", "-"),
        status,
        seconds * 1e3,
        identity.key_id if identity is not None else "-",
        scope["client"][0] if scope["client"] else "-",
    )
