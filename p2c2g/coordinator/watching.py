"""The page of a session that can be watched from elsewhere, and its viewers.

Watching is for the account that plays, for operators, whose watching is written down, and for who
has the session's token.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from p2c2g.coordinator import pages, problems
from p2c2g.coordinator.accounts import ForbiddenError, NotAdmittedError, NotFoundError
from p2c2g.coordinator.keys import Scope
from p2c2g.coordinator.logins import Logins, Visit
from p2c2g.coordinator.relaying import Seat, Show, Shows
from p2c2g.coordinator.services import Services
from p2c2g.coordinator.sockets import (
    BAD_MESSAGE,
    GOING_AWAY,
    TRY_LATER,
    HangUpError,
    ask_again,
    first_of,
    text_of,
    welcome,
)
from p2c2g.display.access import without_token
from p2c2g.display.message import Wish
from p2c2g.display.page import PARTS, static
from p2c2g.errors import P2C2GError
from p2c2g.joining import watching
from p2c2g.settings.principal import Role, is_principal_id

_ASKS: Final = (
    "This viewer asks for a token: open the address that the session printed when it began, with "
    "all that stands behind ?token= in it; or sign in as the account that plays."
)
_NOT_HERE: Final = "No picture comes: the session has ended, or began without --watchable."

router = APIRouter(include_in_schema=False)


def _state(connection: HTTPConnection) -> tuple[Services, Logins, Shows]:
    state = connection.app.state
    return state.services, state.logins, state.shows


@dataclass(frozen=True, slots=True)
class _Watcher:
    """Who watches: by a token, or by having signed in."""

    visit: Visit | None
    token: str | None


def _watcher(connection: HTTPConnection, id_: str) -> _Watcher:
    """Return who asks to watch a session, from a thread.

    Raises:
        NotAdmittedError: it may not.
    """
    services, logins, shows = _state(connection)
    if not is_principal_id(id_):
        raise NotAdmittedError(_ASKS)
    given = connection.query_params.get("token")
    for token in (given, connection.cookies.get(_cookie(connection), "")):
        if token and shows.opens(id_, token):
            return _Watcher(None, token)
    try:
        visit = logins.visit(connection.cookies.get(pages.cookie_name(connection), ""))
        row = services.pool.principal(id_)
    except (NotAdmittedError, NotFoundError) as error:
        raise NotAdmittedError(_ASKS) from error
    identity = visit.identity
    is_own = Scope.OWN in identity.scopes and row.account_id == identity.account_id
    if row.role != Role.GAMER.value or not (is_own or Scope.POOL_READ in identity.scopes):
        raise NotAdmittedError(_ASKS)
    return _Watcher(visit, None)


def _cookie(connection: HTTPConnection) -> str:
    return "__Secure-p2c2g-watch" if connection.url.scheme in ("https", "wss") else "p2c2g-watch"


@router.get("/s/{id_}")
def without_slash(request: Request, id_: str) -> Response:
    """Go to the page: everything beside it has an address below."""
    query = f"?{request.url.query}" if request.url.query else ""
    place = id_ if is_principal_id(id_) else "x"
    return RedirectResponse(f"{request.scope.get('root_path', '')}/s/{place}/{query}", 303)


@router.get("/s/{id_}/{part:path}")
async def page(request: Request, id_: str, part: str) -> Response:
    """Give the page, to who may watch, and what it is made of, to all."""
    if part not in PARTS:
        return PlainTextResponse("There is no such file.\n", 404)
    if not part:
        try:
            watcher = await run_in_threadpool(_watcher, request, id_)
        except NotAdmittedError:
            locked = static("locked.html").replace(b"{asks}", html.escape(_ASKS).encode())
            return Response(locked, 401, media_type="text/html")
        except P2C2GError as error:
            return problems.answer_to(error)
        if watcher.token is not None and request.query_params.get("token") is not None:
            answer = without_token(request.scope)
            # Not "strict": the first click often is in a chat or a mail.
            answer.set_cookie(
                _cookie(request),
                watcher.token,
                path=f"{request.scope.get('root_path', '')}/s/{id_}/",
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="lax",
            )
            return answer
    name, media_type = PARTS[part]
    return Response(static(name), media_type=media_type)


@router.post("/s/{id_}/check")
async def check(request: Request, id_: str) -> Response:
    """Say what a page is told whose socket did not come through."""
    try:
        await run_in_threadpool(_watcher, request, id_)
    except P2C2GError as error:
        return PlainTextResponse(f"{error}\n", problems.status_of(error))
    return PlainTextResponse("Welcome.\n")


@router.websocket("/s/{id_}/ws")
async def watch(websocket: WebSocket, id_: str) -> None:
    """Show a session to a viewer."""
    services, _, shows = _state(websocket)
    try:
        _check_origin(websocket, services)
        watcher = await run_in_threadpool(_watcher, websocket, id_)
        if watcher.visit is not None:
            websocket.state.identity = watcher.visit.identity
            await run_in_threadpool(_note, services, watcher.visit, id_, websocket)
    except P2C2GError as error:
        await websocket.send_denial_response(problems.answer_to(error))
        return
    show = shows.find(id_)
    by_token = watcher.visit is None
    refusal = _NOT_HERE if show is None else shows.refusal(show, by_token=by_token)
    if show is None or refusal:
        await websocket.accept()
        await websocket.close(GOING_AWAY if show is None else TRY_LATER, refusal)
        return
    await welcome(websocket)
    wake = asyncio.Event()
    seat = show.sit(wake.set)
    try:
        parts = [_show(websocket, show, seat, wake), _listen(websocket, seat)]
        if watcher.visit is not None:
            parts.append(ask_again(lambda: _watcher(websocket, id_)))
        await first_of(*parts)
    except WebSocketDisconnect:
        pass
    except HangUpError as end:
        await websocket.close(end.code, end.why)
    except P2C2GError as error:
        await websocket.close(BAD_MESSAGE, str(error)[:120])
    finally:
        show.leave(seat)


def _check_origin(websocket: WebSocket, services: Services) -> None:
    """Refuse pages of other sites: a browser sends our cookies with what they open, too.

    Ports are not compared, since a proxy may drop them.

    Raises:
        ForbiddenError: it is one.
    """
    origin = websocket.headers.get("origin")
    if origin is None:
        return
    public = urlsplit(services.settings.coordinator.public_url).hostname
    try:
        page, ours = urlsplit(origin).hostname, {websocket.url.hostname, public} - {None}
    except ValueError:
        page, ours = None, set()
    if page not in ours:
        raise ForbiddenError(
            "This viewer answers only to its own page: name its address as "
            "P2C2G_COORDINATOR_PUBLIC_URL if a proxy has it under another name."
        )


def _note(services: Services, visit: Visit, id_: str, websocket: WebSocket) -> None:
    """Write down that an operator watches somebody else's session."""
    if services.pool.principal(id_).account_id == visit.identity.account_id:
        return
    actor = visit.identity.actor(websocket.client.host if websocket.client else "")
    with services.database.writing() as session:
        services.audit.record(session, actor, "gamer.watch", id_)


async def _show(websocket: WebSocket, show: Show, seat: Seat, wake: asyncio.Event) -> None:
    """Send a viewer what there is for it, until the session has ended."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    terms = stats = None
    while True:
        wake.clear()
        if show.stats is not stats:
            stats = show.stats
            await websocket.send_text(stats or "{}")
        if loop.time() >= due:
            due = loop.time() + watching.FIGURES_INTERVAL
            await websocket.send_text(json.dumps({"watching": seat.figures(show.way)}))
        while picture := seat.take(loop.time()):
            if picture.terms is not None and picture.terms is not terms:
                terms = picture.terms
                await websocket.send_text(terms)
            await websocket.send_bytes(picture.data)
        if show.over is not None:
            said, why = show.over
            raise HangUpError(GOING_AWAY if said else TRY_LATER, why)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await wake.wait()


async def _listen(websocket: WebSocket, seat: Seat) -> None:
    """Hear what a viewer wants, and which pictures it has shown."""
    loop = asyncio.get_running_loop()
    while True:
        said = _said(await text_of(websocket))
        if isinstance(said, Wish):
            seat.wants(said)
        elif said is not None:
            number, after, shown = said
            seat.answered(number, loop.time(), after, shown=shown)
        else:
            raise HangUpError(
                BAD_MESSAGE,
                'A viewer says {"draws": BOOL, "base": BOOL}, {"shown": NUMBER} or '
                '{"failed": NUMBER}.',
            )


def _said(text: str) -> Wish | tuple[int, float, bool] | None:
    """Return what a viewer wants, or for which picture it answers; None where it is neither."""
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    draws, base = said.get("draws"), said.get("base")
    if isinstance(draws, bool) and isinstance(base, bool):
        return Wish(draws, base)
    number, after = said.get("shown", said.get("failed")), said.get("after_ms", 0)
    if type(number) is not int or type(after) not in (int, float) or not 0 <= after <= 60_000:
        return None
    return number, after / 1e3, "shown" in said
