"""Who may talk to the viewer's web server: its own page, and no other site.

The server listens on this machine, but every page that its browser has open can send requests
there too.  Two attacks matter.  A page of another site may open a WebSocket to us: browsers send
its ``Origin``, which must be ours.  Or the other site's name may be pointed at our address (DNS
rebinding): then ``Host`` carries that name, so only addresses, this machine's own names and
those that the gamer allowed are accepted.

Behind a proxy ``Host`` is what the proxy makes of it: without the port, or the proxy's own
address for us.  So ports are not compared, and names that the gamer allowed are welcome in
``Origin`` whatever ``Host`` says.  That lets pages of other ports of one machine in; who
serves them there could connect without a browser just as well.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Container, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p2c2g.display.door import is_own, network_of
from p2c2g.errors import UsageError
from p2c2g.settings.addresses import is_loopback

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: A name of the DNS, or ``localhost``; 253 characters at most.
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_-]{1,63})*")


class Guard:
    """ASGI middleware: refuses foreign requests with 403, and sets the security headers.

    Args:
        app: what is guarded.
        bound: the address or name that the server listens on.
        allowed: further names that it may be asked by, as :func:`allowed_name` gives them.
        refusal: what is told instead of the viewer's own sentences.
    """

    def __init__(
        self,
        app: ASGIApp,
        bound: str,
        allowed: frozenset[str] = frozenset(),
        refusal: str = "",
    ) -> None:
        self._app = app
        self._refusal = refusal
        self._bound = bound
        self._allowed = allowed
        self._policy = _policy(bound, allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with one sentence."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        refusal = why_refused(self._bound, host, headers.get("origin"), self._allowed)
        if refusal:
            told = self._refusal or refusal
            await PlainTextResponse(told + "\n", 403, _HEADERS)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(_HEADERS)
                answer["Content-Security-Policy"] = self._policy
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _policy(bound: str, allowed: Iterable[str]) -> str:
    """Return the page's Content-Security-Policy: by what was set, never by what a request says."""
    # Older browsers do not count a WebSocket as 'self'; a policy cannot name an IPv6 address.
    own = ("127.0.0.1", "localhost") if is_loopback(bound) else (bound.lower(),)
    names = {*allowed, *own} - {"0.0.0.0"}  # noqa: S104
    sockets = " ".join(
        f"ws://{name}:* wss://{name}:*" for name in sorted(names) if _NAME.fullmatch(name)
    )
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {sockets}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def allowed_name(text: str) -> str:
    """Read a name or address that a viewer may be asked by, for ``--allow-host``.

    Raises:
        UsageError: it is neither, such as a whole address of a page.
    """
    name = text.strip().lower().rstrip(".").removeprefix("[").removesuffix("]")
    if not _is_address(name) and not _NAME.fullmatch(name):
        raise UsageError(
            f"{text!r} is no name that a viewer can allow: give the name alone, as it stands in "
            "the browser between // and the next : or /, such as play.example.org."
        )
    return name


def proxy_address(text: str) -> str:
    """Read a proxy's address, for ``--trust-proxy``, as :func:`network_of` gives it.

    Raises:
        UsageError: it is none.
    """
    address = text.strip().removeprefix("[").removesuffix("]")
    if not _is_address(address):
        raise UsageError(
            f"{text!r} is no address of a proxy: give the address that it connects from, such as "
            "127.0.0.1."
        )
    return network_of(address)


def why_refused(
    bound: str, host: str, origin: str | None, allowed: Iterable[str] = ()
) -> str | None:
    """Say why a request is refused, or return None where it is welcome.

    Args:
        bound: what the server listens on.
        host: the request's ``Host``; its port is not looked at, so that tunnels and proxies work.
        origin: the request's ``Origin``; None from programs that are not browsers.
        allowed: names that are welcome in both.
    """
    name = _name_of(f"//{host}")
    if name is None or not (name in allowed or _is_ours(bound, name)):
        return (
            f"This viewer does not answer to {_shown(name or host)}, only to names of its own "
            f"machine.{_advice(name)}"
        )
    if origin is None:
        return None
    page = _name_of(origin) if origin.lower().startswith(("http://", "https://")) else None
    if page is None or not (page == name or page in allowed or _are_loopback(page, name)):
        return (
            f"This viewer answers only to its own page, and this one is of "
            f"{_shown(page or origin)}.{_advice(page)}"
        )
    return None


def network_behind(scope: Scope, proxies: Container[str] = ()) -> str | None:
    """Return the network of who asks, as :func:`network_of` gives it.

    What proxies say of that (``X-Forwarded-For``) counts where they are trusted; the last one that
    is not is who asks.  None where nobody knows: this machine, which a proxy or a tunnel may be
    asking from in the name of many.
    """
    client = scope.get("client")
    if not client:
        return None
    network = network_of(client[0])
    told = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    while network in proxies and told:
        address = told.pop().strip()
        if not _is_address(address):
            break
        network = network_of(address)
    return None if network in proxies or is_own(network) else network


def is_near(scope: Scope) -> bool:
    """Tell whether a browser that asks is on this machine, as far as one can see.

    A proxy or a tunnel on this machine asks in the name of one that is elsewhere.  It has another
    name, or at least another port at its end.
    """
    client, server = scope.get("client"), scope.get("server")
    headers = Headers(scope=scope)
    pages = [f"//{headers.get('host', '')}", *headers.getlist("origin")]
    if not (client and server and is_loopback(client[0])):
        return False
    return all(is_loopback(_name_of(page) or "") and _port_of(page) == server[1] for page in pages)


def _advice(name: str | None) -> str:
    if name is None or not (_is_address(name) or _NAME.fullmatch(name)):
        return ""
    return f" If that is your own proxy or name, start the session with --allow-host {name}."


def _shown(text: str) -> str:
    """Return what a stranger said, fit for a sentence."""
    return repr(text[:100]) if text else "a request without a name"


def _are_loopback(page: str, name: str) -> bool:
    return is_loopback(page) and is_loopback(name)


def _is_ours(bound: str, name: str) -> bool:
    if name == bound.lower() or is_loopback(name):
        return True
    if is_loopback(bound):
        return False
    return _is_address(name) or name == socket.gethostname().lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return "%" not in name  # A zone is another machine's business.


def _name_of(url: str) -> str | None:
    """Return the name or address in a URL, in small letters and without the root's dot."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".") or None
    except ValueError:
        return None


def _port_of(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None
