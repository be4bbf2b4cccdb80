"""Sessions that can be watched from elsewhere: what each sends for its viewers, and is told.

Pictures are not sealed here: who runs this can see them, and a session has to say that it wants
that (``--watchable``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from fastapi import APIRouter, WebSocket
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from p2c2g.coordinator import problems
from p2c2g.coordinator.accounts import ForbiddenError
from p2c2g.coordinator.broker_rights import why_out
from p2c2g.coordinator.enrolment import Enrolment
from p2c2g.coordinator.enrolment_api import known_member
from p2c2g.coordinator.relaying import Relayed, Show, Shows
from p2c2g.coordinator.services import Services
from p2c2g.coordinator.sockets import (
    BAD_MESSAGE,
    DONE,
    TRY_LATER,
    HangUpError,
    ask_again,
    code_of,
    first_of,
    received,
    text_of,
    welcome,
)
from p2c2g.errors import P2C2GError, UnavailableError
from p2c2g.joining import watching
from p2c2g.joining.watching import Coming, Got, Hello, OfSession, Stats, Terms
from p2c2g.settings.principal import Role

#: Seconds that a session has for its first word.
_FIRST_WORD: Final = 10.0

router = APIRouter(include_in_schema=False)


@router.websocket(watching.UPSTREAM)
async def session(websocket: WebSocket) -> None:
    """Take a session's pictures."""
    services: Services = websocket.app.state.services
    enrolment: Enrolment = websocket.app.state.enrolment
    shows: Shows = websocket.app.state.shows
    kind, _, token = websocket.headers.get("authorization", "").partition(" ")
    token = token.strip() if kind.lower() == "bearer" else ""
    address = websocket.client.host if websocket.client else ""

    def still() -> str:
        member = known_member(services, enrolment, token, address)
        row = services.pool.principal(member)
        if row.role != Role.GAMER.value:
            raise ForbiddenError("Only a gamer's session can be watched.")
        if reason := why_out(row):
            raise ForbiddenError(f"This pool will not have this gamer: {reason}")
        return member

    try:
        member = await run_in_threadpool(still)
        if refusal := shows.refusal():
            raise UnavailableError(refusal)
    except P2C2GError as error:
        await websocket.send_denial_response(problems.answer_to(error))
        return
    await welcome(websocket)
    try:
        async with asyncio.timeout(_FIRST_WORD):
            hello = Hello.model_validate_json(await text_of(websocket))
    except (ValidationError, TimeoutError):
        await websocket.close(BAD_MESSAGE, "The first word has to be the token's digest.")
        return
    except WebSocketDisconnect:
        return
    changed = asyncio.Event()
    show = Show(member, hello.digest, changed.set)
    shows.begin(show)
    most = services.settings.coordinator.watched_megabits * 1e6 / 8
    said, why = False, "The way to the session is lost."
    try:
        await first_of(
            _hear(websocket, show, most), _tell(websocket, show, changed), ask_again(still)
        )
    except WebSocketDisconnect as end:
        said = await code_of(websocket, end) == DONE
        why = "The session has ended." if said else why
    except HangUpError as end:
        await websocket.close(end.code, end.why)
    except P2C2GError as error:
        await websocket.close(BAD_MESSAGE, str(error)[:120])
    finally:
        shows.end(show, said=said, why=why)


async def _hear(websocket: WebSocket, show: Show, most: float) -> None:
    """Hand on what a session says.

    Args:
        websocket: the session's.
        show: it.
        most: bytes a second that it may send.
    """
    loop = asyncio.get_running_loop()
    ahead = loop.time()
    while True:
        text = await text_of(websocket)
        try:
            said = OfSession.validate_json(text)
        except ValidationError as error:
            raise HangUpError(BAD_MESSAGE, "That is no word of a session.") from error
        if isinstance(said, Terms):
            show.terms = text
        elif isinstance(said, Stats):
            show.told(json.dumps(said.stats))
        else:
            data = await _parts(websocket, said)
            show.way = None if said.way_ms is None else said.way_ms / 1e3
            terms = show.terms if "drawn" in said.to else None
            show.picture(Relayed(said.number, frozenset(said.to), data, loop.time(), terms))
            await websocket.send_text(Got(got=said.number).model_dump_json())
        # Who sends more than it may is read more slowly, and so sends less.
        size = said.size if isinstance(said, Coming) else len(text)
        ahead = max(ahead, loop.time() - 1.0) + size / most
        if ahead > loop.time():
            await asyncio.sleep(ahead - loop.time())


async def _parts(websocket: WebSocket, coming: Coming) -> bytes:
    """Return a picture whose parts come."""
    data = bytearray()
    while len(data) < coming.size:
        part = (await received(websocket)).get("bytes")
        if not part or len(data) + len(part) > coming.size:
            raise HangUpError(BAD_MESSAGE, "A picture has to have the bytes that were named.")
        data += part
    return bytes(data)


async def _tell(websocket: WebSocket, show: Show, changed: asyncio.Event) -> None:
    """Tell a session what is wanted: at once where that changes, and now and then in any case."""
    while show.over is None:
        changed.clear()
        await websocket.send_text(show.wanted().model_dump_json())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(watching.FIGURES_INTERVAL):
                await changed.wait()
    raise HangUpError(TRY_LATER, show.over[1])
