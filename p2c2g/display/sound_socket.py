"""One listener: the sound's packets on a WebSocket of its own, which no picture can hold up.

A listener says nothing.  One that does not read loses its oldest packets, and goes on with the
newest when it reads again; each packet says when it was captured.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from p2c2g.display.hub import Hub
from p2c2g.media.sound import SoundPacket

#: Packets that wait for a listener: two tenths of a second.
QUEUE = 10

#: The WebSocket close code of RFC 6455, section 7.4.1.
_GOING_AWAY = 1001


class SoundConnection:
    """Sends a hub's packets to one WebSocket.

    Args:
        websocket: the connection, accepted.
        hub: where the packets come from.
        clock: the session's monotonic clock, in seconds.
    """

    def __init__(
        self, websocket: WebSocket, hub: Hub[SoundPacket], clock: Callable[[], float]
    ) -> None:
        self._websocket = websocket
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._subscription = hub.subscribe(QUEUE, "drop-oldest", self._wake_from_any_thread)

    async def run(self) -> None:
        """Send until either side ends it."""
        halves = {asyncio.create_task(self._send()), asyncio.create_task(self._listen())}
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._subscription.close()
            for half in halves:
                half.cancel()
            await asyncio.wait(halves)

    async def _send(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                self._wake.clear()
                while packet := self._subscription.take():
                    await self._websocket.send_bytes(packet.message(self._clock()))
                if self._subscription.closed and not self._subscription.waiting:
                    await self._websocket.close(_GOING_AWAY, "The session has ended.")
                    return
                await self._wake.wait()

    async def _listen(self) -> None:
        while (await self._websocket.receive())["type"] != "websocket.disconnect":
            pass

    def _wake_from_any_thread(self) -> None:
        # The loop may have ended a moment before the session's last packet.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)
