"""The gamer's list of games: asked for, and chosen from, on a WebSocket of its own.

Only who shows the token of the whole controls is told anything: which programs a machine has is
no stranger's business, and starting one even less.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from p2c2g.display import saying

#: A WebSocket close code (RFC 6455, section 7.4.1).
_BAD_MESSAGE = 1008

_NOT_YOURS = "This is for who plays: open the address that the session printed for that."
_NO_WORD = 'One says {"token": TEXT} first, then {"list": true} or {"choose": NAME}.'


class Shelf(Protocol):
    """Games that can be captured in place of this one."""

    def admits(self, token: str) -> bool:
        """Tell whether who shows a token may look and choose; waits for nothing."""
        ...

    def listed(self) -> Mapping[str, Any]:
        """Return what there is, as JSON has it; may take a moment."""
        ...

    def choose(self, name: str) -> str:
        """Have another game captured; return why not, if so.  May take a moment."""
        ...


async def serve_games(websocket: WebSocket, shelf: Shelf, admitted: Callable[[], None]) -> None:
    """Answer one gamer, one question after the other, until either side ends it.

    Args:
        websocket: the connection, accepted.
        shelf: what there is.
        admitted: is called once the gamer has shown that it is one.
    """
    is_in = False
    try:
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            said = saying.said(message.get("text"))
            if not is_in:
                token = said.get("token")
                if not isinstance(token, str) or not shelf.admits(token):
                    await websocket.close(_BAD_MESSAGE, _NOT_YOURS)
                    return
                is_in = True
                admitted()
            elif said.get("list") is True:
                await _tell(websocket, await asyncio.to_thread(shelf.listed))
            elif isinstance(name := said.get("choose"), str):
                why = await asyncio.to_thread(shelf.choose, name)
                await _tell(websocket, {"refused": why} if why else {"chosen": name})
            else:
                await websocket.close(_BAD_MESSAGE, _NO_WORD)
                return
    except WebSocketDisconnect:
        return


async def _tell(websocket: WebSocket, what: Mapping[str, Any]) -> None:
    await websocket.send_text(json.dumps(what, allow_nan=False))
