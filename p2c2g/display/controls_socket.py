"""``/input``: what a player does, on a connection of its own that no picture can delay.

A player first shows its token, ``{"token": TEXT}``: it stands behind ``#play=`` in the address that
the session printed, and so in no request.  It then asks for the controls, ``{"take": true}``, or
gives them back, ``{"take": false}``; binary messages are events, which the session alone reads.

It is told, as JSON: who plays and what the game takes (``plays``, ``role``, ``held``, ``can``,
``by``, ``says``), why it does not get the controls (``refused``), of each message that is in the
game (``ack``, with ``got`` and ``done`` in milliseconds of the session's clock), and where all was
let go since nothing came from it (``let_go``).

What is told waits in a queue of :data:`_MOST_TOLD`; who does not read so much is hung up on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from p2c2g.display import saying

#: A WebSocket close code (RFC 6455, section 7.4.1).
_BAD_MESSAGE = 1008

_MOST_TOLD = 256
_NO_PLAYER = "This does not let anybody play: open the address that the session printed for that."
_NO_WORD = 'A player says {"token": TEXT} first, then {"take": BOOL}, and events.'


class Seat(Protocol):
    """A player's way into the game; its methods wait for nothing."""

    def take(self) -> None:
        """Ask for the controls."""
        ...

    def give(self) -> None:
        """Give them back."""
        ...

    def heard(self, data: bytes) -> str:
        """Take a message of events; return why the connection ends, if it does."""
        ...

    def leave(self) -> None:
        """Let go of everything, and leave."""
        ...


class Playable(Protocol):
    """A game that can be played."""

    def admit(
        self, token: str, tell: Callable[[Mapping[str, Any]], None], *, near: bool
    ) -> Seat | None:
        """Let a player in by its token; None where it has no right one, or there is no place.

        Args:
            token: what it shows.
            tell: is called from any thread with what it is to know.
            near: whether its browser is on this machine.
        """
        ...


class ControlsConnection:
    """One player's connection.

    Args:
        websocket: the connection, accepted.
        game: what is played.
        admitted: is called once the player has shown that it may play.
        near: whether its browser is on this machine.
    """

    def __init__(
        self, websocket: WebSocket, game: Playable, admitted: Callable[[], None], *, near: bool
    ) -> None:
        self._websocket = websocket
        self._game = game
        self._admitted = admitted
        self._near = near
        self._loop = asyncio.get_running_loop()
        self._told: deque[Mapping[str, Any]] = deque()
        self._wake, self._full = asyncio.Event(), asyncio.Event()
        self._seat: Seat | None = None

    async def run(self) -> None:
        """Listen and tell until either side ends it; then all is let go."""
        parts = (self._tell(), self._listen(), self._full.wait())
        halves = {asyncio.create_task(part) for part in parts}
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._seat is not None:
                self._seat.leave()
            for half in halves:
                half.cancel()
            await asyncio.wait(halves)
        for half in done:
            half.result()

    async def _listen(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if why := self._heard(message.get("bytes"), message.get("text")):
                await self._websocket.close(_BAD_MESSAGE, why)
                return

    def _heard(self, data: bytes | None, text: str | None) -> str:
        """Act upon a message; return why the connection ends, if it does."""
        seat = self._seat
        if data is not None:
            return _NO_WORD if seat is None else seat.heard(data)
        said = saying.said(text)
        if seat is None:
            token = said.get("token")
            if not isinstance(token, str):
                return _NO_WORD
            self._seat = self._game.admit(token, self._tell_from_any_thread, near=self._near)
            if self._seat is None:
                return _NO_PLAYER
            self._admitted()
            return ""
        takes = said.get("take")
        if not isinstance(takes, bool):
            return _NO_WORD
        (seat.take if takes else seat.give)()
        return ""

    async def _tell(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._told:
                    await self._websocket.send_text(
                        json.dumps(self._told.popleft(), allow_nan=False)
                    )

    def _tell_from_any_thread(self, what: Mapping[str, Any]) -> None:
        # The loop may have ended a moment before the hand.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._note, what)

    def _note(self, what: Mapping[str, Any]) -> None:
        self._told.append(what)
        self._wake.set()
        if len(self._told) > _MOST_TOLD:
            self._full.set()
