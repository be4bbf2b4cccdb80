"""One connected viewer: what it is sent, and how its answers pace that.

A viewer first says what it wants, and again whenever that changes: ``{"draws": BOOL, "base":
BOOL}``, whether it makes its pictures by itself, and else whether it shows any of the base.  It
answers for each picture with ``{"shown": number}``, or with ``{"failed": number}`` where it could
not decode it; an answer counts for all pictures before it, too.  At most :data:`WINDOW` pictures
are out without an answer.  Meanwhile newer pictures replace each other in a queue of one: a viewer
that stops reading costs some megabytes at most, and sees the newest picture when it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from p2c2g.display.hub import Hub
from p2c2g.display.message import PackedPicture, Wish, can_be_drawn, terms_of
from p2c2g.display.packer import Packer
from p2c2g.media.picture import Picture
from p2c2g.text import all_plain

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
        packer: lays them out.
        stats: gives the statistics, as JSON-able values without NaN.
        clock: the session's monotonic clock, in seconds.
        near: whether the viewer is on this machine, so that bytes cost little.
    """

    def __init__(
        self,
        websocket: WebSocket,
        hub: Hub,
        packer: Packer,
        stats: Stats,
        clock: Callable[[], float],
        *,
        near: bool,
    ) -> None:
        self._websocket = websocket
        self._hub = hub
        self._packer = packer
        self._stats = stats
        self._clock = clock
        self._near = near
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._unanswered: deque[int] = deque()
        self._wish: Wish | None = None
        #: Whether the newest picture is to be sent even where it was sent before.
        self._anew = False
        self._newest = -1
        self._terms: object = None
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
            stats_due = self._loop.time()
            while True:
                self._wake.clear()
                if self._loop.time() >= stats_due:
                    stats_due = self._loop.time() + STATS_INTERVAL
                    stats = json.dumps(all_plain(self._stats()), allow_nan=False)
                    await self._websocket.send_text(stats)
                while (wish := self._wish) and (picture := self._next()):
                    await self._send_picture(picture, wish)
                if self._is_over():
                    await self._websocket.close(_GOING_AWAY, "The session has ended.")
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(stats_due):
                        await self._wake.wait()

    def _is_over(self) -> bool:
        return self._subscription.closed and not self._subscription.waiting

    def _next(self) -> Picture | None:
        """Return the picture to send now, if there is one and the viewer is not behind."""
        if len(self._unanswered) >= WINDOW:
            return None
        if self._anew:
            self._anew = False
            waiting = None
            while picture := self._subscription.take():
                waiting = picture
            # What is sent by this must not wait any longer, and count as dropped in the end.
            if newest := waiting or self._hub.latest:
                return newest
        while picture := self._subscription.take():
            # The newest may have been sent already, while it waited in the queue.
            if picture.number > self._newest:
                return picture
        return None

    async def _send_picture(self, asked: Picture, wish: Wish) -> None:
        packed: PackedPicture
        if wish.draws and can_be_drawn(asked):
            picture, packed = await self._packer.drawn(asked, exact=self._near)
            needed = (picture.source, picture.output, picture.scale, picture.form.gain)
            if needed != self._terms:
                self._terms = needed
                await self._websocket.send_text(json.dumps({"terms": terms_of(picture)}))
        else:
            picture, packed = await self._packer.composed(asked, base=wish.base)
        self._newest = picture.number
        self._unanswered.append(picture.number)
        await self._websocket.send_bytes(packed.message(self._clock()))

    async def _listen(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            said = _said(message.get("text"))
            if isinstance(said, Wish):
                before, self._wish = self._wish, said
                more = said.base and not said.draws
                self._anew |= (
                    before is None or before.draws != said.draws or (more and not before.base)
                )
            elif said is not None:
                while self._unanswered and self._unanswered[0] <= said:
                    self._unanswered.popleft()
            else:
                await self._websocket.close(
                    _BAD_MESSAGE,
                    'A viewer says {"draws": BOOL, "base": BOOL}, {"shown": NUMBER} or '
                    '{"failed": NUMBER}.',
                )
                return
            self._wake.set()

    def _wake_from_any_thread(self) -> None:
        # The loop may have ended a moment before the session's last picture.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)


def _said(text: str | None) -> Wish | int | None:
    """Return what a viewer wants, or for which picture it answers; None where it is neither."""
    try:
        said = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    draws, base = said.get("draws"), said.get("base")
    if isinstance(draws, bool) and isinstance(base, bool):
        return Wish(draws, base)
    number = said.get("shown", said.get("failed"))
    return number if type(number) is int else None
