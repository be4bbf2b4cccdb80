"""Who may talk to the viewer's web server: its own page, and no other site.

The server listens on this machine, but every page that its browser has open can send requests
there too.  Two attacks matter.  A page of another site may open a WebSocket to us: browsers send
its ``Origin``, which must be ours.  Or the other site's name may be pointed at our address (DNS
rebinding): then ``Host`` carries that name, so only addresses and this machine's own names are
accepted.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """ASGI middleware: refuses foreign requests with 403, and sets the security headers.

    Args:
        app: what is guarded.
        bound: the address or name that the server listens on.
    """

    def __init__(self, app: ASGIApp, bound: str) -> None:
        self._app = app
        self._bound = bound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with one sentence."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        refusal = why_refused(self._bound, host, headers.get("origin"))
        if refusal:
            await PlainTextResponse(refusal + "\n", 403)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(_HEADERS)
                answer["Content-Security-Policy"] = (
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                    # Older browsers do not count a WebSocket as 'self'.
                    f"connect-src 'self' ws://{host} wss://{host}; "
                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
                )
            await send(message)

        await self._app(scope, receive, send_with_headers)


def why_refused(bound: str, host: str, origin: str | None) -> str | None:
    """Say why a request is refused, or return None where it is welcome.

    Args:
        bound: what the server listens on.
        host: the request's ``Host``; its port is not looked at, so that a tunnel works.
        origin: the request's ``Origin``; None from programs that are not browsers.
    """
    host = host.lower()
    name = _hostname(f"//{host}")
    if name is None or not _is_ours(bound, name):
        return "This viewer answers only to this machine's own names and addresses."
    if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
        return "This viewer answers only to its own page, not to pages of other sites."
    return None


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach what listens on an address or name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_ours(bound: str, name: str) -> bool:
    if name == bound.lower() or is_loopback(name):
        return True
    if is_loopback(bound):
        return False
    try:
        ip_address(name)
    except ValueError:
        return name == socket.gethostname().lower()
    return True


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
