"""One connected viewer: what it is sent, and how its answers pace that.

A viewer answers for each picture with ``{"shown": number}``, or with ``{"failed": number}``
where it could not decode it; an answer counts for all pictures before it, too.  At most
:data:`WINDOW` pictures are out without an answer.  Meanwhile newer pictures replace each other
in a queue of one: a viewer that stops reading costs a few hundred kilobytes, and sees the
newest picture when it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from p2c2g.display.hub import Hub
from p2c2g.display.message import PackedPicture
from p2c2g.media.picture import Picture

#: Pictures sent to a viewer and not yet answered for: one that it shows, one on its way.
WINDOW = 2
#: Seconds between two messages of statistics.
STATS_INTERVAL = 0.5

# WebSocket close codes (RFC 6455, section 7.4.1).
_GOING_AWAY, _BAD_MESSAGE = 1001, 1008

Stats = Callable[[], Mapping[str, object]]


class ViewerConnection:
    """Sends a hub's pictures and the session's statistics to one WebSocket.

    Args:
        websocket: the connection, accepted.
        hub: where the pictures come from.
        pack_picture: lays a picture out for sending.
        stats: gives the statistics, as JSON-able values without NaN.
        clock: the session's monotonic clock, in seconds.
    """

    def __init__(
        self,
        websocket: WebSocket,
        hub: Hub,
        pack_picture: Callable[[Picture], PackedPicture],
        stats: Stats,
        clock: Callable[[], float],
    ) -> None:
        self._websocket = websocket
        self._hub = hub
        self._pack = pack_picture
        self._stats = stats
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._unanswered: deque[int] = deque()
        self._subscription = hub.subscribe(1, "drop-oldest", self._wake_from_any_thread)

    @property
    def dropped(self) -> int:
        """Return how many pictures were not sent because the viewer was behind."""
        return self._subscription.dropped

    async def run(self) -> None:
        """Send and listen until either side ends it."""
        halves = {asyncio.create_task(self._send()), asyncio.create_task(self._listen())}
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._subscription.close()
            for half in halves:
                half.cancel()
            await asyncio.wait(halves)
        for half in done:
            half.result()

    async def _send(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            latest = self._hub.latest
            if latest is not None:
                await self._send_picture(latest)
            stats_due = self._loop.time()
            while True:
                self._wake.clear()
                if self._loop.time() >= stats_due:
                    stats_due = self._loop.time() + STATS_INTERVAL
                    await self._websocket.send_text(json.dumps(self._stats(), allow_nan=False))
                while len(self._unanswered) < WINDOW and (picture := self._subscription.take()):
                    # The newest at the start may wait in the queue as well.
                    if latest is None or picture.number > latest.number:
                        await self._send_picture(picture)
                if self._is_over():
                    await self._websocket.close(_GOING_AWAY, "The session has ended.")
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(stats_due):
                        await self._wake.wait()

    def _is_over(self) -> bool:
        return self._subscription.closed and not self._subscription.waiting

    async def _send_picture(self, picture: Picture) -> None:
        self._unanswered.append(picture.number)
        await self._websocket.send_bytes(self._pack(picture).message(self._clock()))

    async def _listen(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            number = _answered(message.get("text"))
            if number is None:
                await self._websocket.close(
                    _BAD_MESSAGE, 'A viewer says {"shown": NUMBER} or {"failed": NUMBER}.'
                )
                return
            while self._unanswered and self._unanswered[0] <= number:
                self._unanswered.popleft()
            self._wake.set()

    def _wake_from_any_thread(self) -> None:
        # The loop may have ended a moment before the session's last picture.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)


def _answered(text: str | None) -> int | None:
    """Return the number of an answer, or None where it is not one."""
    try:
        answer = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    number = None
    if isinstance(answer, dict):
        number = answer.get("shown", answer.get("failed"))
    return number if type(number) is int else None
