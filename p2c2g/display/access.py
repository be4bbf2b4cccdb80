"""The token that a viewer is asked for wherever others can reach the server.

It stands in the address that the session prints.  Who opens that gets it as a cookie, which no
script can read and no other site has sent along, and is sent on to the address without it, so that
it stays in no history and on no screen.  A program may give it in each address.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Container
from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

#: What a page shows, and its script hears, without the right one.
ASKS = (
    "This viewer asks for a token: open the address that the session printed when it began, "
    "with all that stands behind ?token= in it."
)
#: Parts of the page that the refusal needs, too.
_FREE = {"viewer.css", "favicon.svg"}


def new_token() -> str:
    """Return a new token, of 192 random bits."""
    return secrets.token_urlsafe(24)


class Access:
    """ASGI middleware: lets those in who have the token.

    Args:
        app: what is guarded.
        token: the right one.
        page: the page for those who have not, HTML.
        asks: the same in a sentence, for programs.
        free: parts of the page that it needs, too.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        page: bytes,
        asks: str = ASKS,
        free: Container[str] = frozenset(_FREE),
    ) -> None:
        self._app = app
        self._token = token
        self._page = page
        self._asks = asks
        self._free = free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, send it on to the address without the token, or refuse it."""
        asked = HTTPConnection(scope)
        given = asked.query_params.get("token")
        name = cookie_name(scope)
        part = scope["path"].rpartition("/")[2]
        answer: Response | None = None
        if given is not None and self._is_right(given):
            if scope["type"] == "http" and scope["method"] == "GET" and not part:
                answer = without_token(scope)
                # Not "strict": the first click often is in a chat or a mail.
                answer.set_cookie(name, self._token, httponly=True, samesite="lax")
        elif not (self._is_right(asked.cookies.get(name, "")) or self._is_free(scope, part)):
            answer = (
                PlainTextResponse(self._asks + "\n", 401)
                if part or scope["type"] != "http"
                else Response(self._page, 401, media_type="text/html")
            )
        await (answer or self._app)(scope, receive, send)

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def _is_free(self, scope: Scope, part: str) -> bool:
        return scope["type"] == "http" and part in self._free


def cookie_name(scope: Scope) -> str:
    """Return the cookie's name: browsers give the cookies of a machine to all of its ports."""
    server = scope.get("server")
    return f"p2c2g_viewer_{server[1] if server else 0}"


def without_token(scope: Scope) -> Response:
    """Return an answer that sends a browser to the page that it asked for, without the token."""
    rest = [
        (name, value)
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"))
        if name != "token"
    ]
    # As seen from the page, wherever a proxy has put it.
    return RedirectResponse(f"./?{urlencode(rest)}" if rest else "./", 303)
