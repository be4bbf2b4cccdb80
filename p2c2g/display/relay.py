"""Lets others watch from elsewhere: sends a hub's pictures to the pool's coordinator.

One connection, which this side opens.  While nobody watches, the hub is not even subscribed to.
The coordinator is a viewer like a browser here: it is sent what its viewers ask for, each picture
once however many they are, and answers for each; where the way is narrow, the newest are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from p2c2g.display.connection import Stats
from p2c2g.display.hub import Hub, Subscription
from p2c2g.display.message import PackedPicture, can_be_drawn, terms_of
from p2c2g.display.pace import Pace
from p2c2g.display.packer import Packer
from p2c2g.joining import watching
from p2c2g.joining.client import PATIENCE, trust
from p2c2g.joining.watching import Coming, Got, Hello, Wanted
from p2c2g.media.picture import Picture
from p2c2g.settings.membership import Membership
from p2c2g.system.threads import SupervisedThread
from p2c2g.text import all_plain
from p2c2g.timing.pauses import Pauses

logger = logging.getLogger(__name__)

#: Seconds of the first pause after a connection that failed, and of the longest.
_FIRST, _LONGEST = 1.0, 30.0
#: Seconds that the end of a session waits for the coordinator.
_PATIENCE = 3.0
#: How often it is asked whether the other side is still there, and how long waited, in seconds.
_PING = 5.0
#: What a coordinator says to who may not.
_REFUSED: Final = (401, 403, 404)
_NOBODY: Final = Wanted(viewers=0, kinds=frozenset())


class Relay:
    """A session's way to those who watch from elsewhere.

    Args:
        hub: where the pictures come from.
        stats: gives what their readout shows; called in this object's thread.
        membership: of the pool where they watch.
        token: by which they are let in.
        say: is told in a sentence where nobody can watch, and where they can again.
        clock: the session's monotonic clock, in seconds.
    """

    def __init__(
        self,
        hub: Hub,
        stats: Stats,
        membership: Membership,
        token: str,
        say: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._hub = hub
        self._stats = stats
        self._membership = membership
        self._token = token
        self._say = say
        self._clock = clock
        #: Set while the coordinator knows of this session.
        self.known = threading.Event()
        self._wanted = _NOBODY
        self._most = self._sent = self._bytes = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake, self._ending = asyncio.Event(), asyncio.Event()
        self._thread = SupervisedThread("p2c2g-relay", lambda: asyncio.run(self._run()))

    @property
    def url(self) -> str:
        """Return the address of the page, with the token."""
        page = watching.PAGE.format(session=self._membership.id)
        return f"{self._membership.pool}{page}?token={self._token}"

    def figures(self) -> dict[str, Any]:
        """Return who watches and what they were shown, for readout and report."""
        told = self._wanted.figures
        return {
            "connected": self.known.is_set(),
            "viewers": self._wanted.viewers,
            "most": self._most,
            "sent": self._sent,
            "megabytes": round(self._bytes / 1e6, 1),
            **told.model_dump(),
        }

    def start(self) -> None:
        """Begin to connect; a coordinator that is not there is waited for."""
        self._thread.start()

    def close(self) -> None:
        """Say that the session has ended, and end the thread."""
        if self._loop is not None:
            self._soon(self._ending)
            self._soon(self._wake)
        self._thread.join(_PATIENCE)

    # -- in its thread ----------------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        pauses, told = Pauses(_FIRST, _LONGEST), False
        with contextlib.closing(Packer(self._hub)) as packer:
            while not self._ending.is_set():
                why = "It has ended the connection"
                try:
                    async with self._connected() as socket:
                        if told:
                            self._say("Others can watch again.")
                        pauses, told = Pauses(_FIRST, _LONGEST), False
                        await _Upstream(self, socket, packer).run()
                        why = socket.close_reason or why
                except InvalidStatus as error:
                    why = f"Its answer is {error.response.status_code}"
                    if error.response.status_code in _REFUSED:
                        self._say(f"Nobody can watch: the pool refuses. {why}.")
                        return
                except (OSError, TimeoutError, WebSocketException) as error:
                    why = str(error)[:200] or type(error).__name__
                self.known.clear()
                self._wanted = self._wanted.model_copy(update={"viewers": 0, "kinds": frozenset()})
                if self._ending.is_set():
                    return
                if not told:
                    self._say(f"Nobody can watch just now; it is tried again. {why.rstrip('.')}.")
                told = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pauses.failed(0.0)):
                        await self._ending.wait()

    def _connected(self) -> connect:
        pool = self._membership.pool
        has_tls = pool.startswith("https:")
        return _Connect(
            f"ws{pool.removeprefix('http')}{watching.UPSTREAM}",
            additional_headers={
                "Authorization": f"Bearer {self._membership.token.get_secret_value()}"
            },
            ssl=trust() if has_tls else None,
            # Without TLS a proxy would read the token; then it is this machine, and needs none.
            proxy=True if has_tls else None,
            compression=None,
            open_timeout=PATIENCE,
            close_timeout=_PATIENCE,
            ping_interval=_PING,
            ping_timeout=2 * _PING,
            max_size=watching.MAX_TEXT,
            write_limit=watching.PART,
        )

    def _soon(self, event: asyncio.Event) -> None:
        # The loop may have ended a moment before the session's last picture.
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(event.set)


class _Connect(connect):
    """Follows no redirect: the next one would be shown the token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Upstream:
    """One connection of a relay's."""

    def __init__(self, relay: Relay, socket: ClientConnection, packer: Packer) -> None:
        self._relay = relay
        self._socket = socket
        self._packer = packer
        self._pace = Pace()
        self._now = asyncio.get_running_loop().time
        self._subscription: Subscription | None = None
        #: Whether the newest picture is to be sent even where it was sent before.
        self._anew = False
        self._terms: Any = None
        self._newest = -1

    async def run(self) -> None:
        """Send and listen until either side ends it."""
        relay = self._relay
        hello = Hello(v=1, digest=watching.digest_of(relay._token))
        await self._socket.send(hello.model_dump_json())
        halves = {asyncio.create_task(self._send()), asyncio.create_task(self._listen())}
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._follow(())
            for half in halves:
                half.cancel()
            await asyncio.wait(halves)
        for half in done:
            half.result()

    async def _listen(self) -> None:
        relay = self._relay
        async for message in self._socket:
            try:
                said = watching.OfCoordinator.validate_json(message)
            except ValidationError:
                await self._socket.close(1008, "That is no word of a coordinator.")
                return
            if isinstance(said, Got):
                self._pace.answered(said.got, self._now())
            else:
                self._anew |= bool(said.kinds - relay._wanted.kinds)
                relay._wanted = said
                relay.known.set()
                relay._most = max(relay._most, said.viewers)
            relay._wake.set()

    async def _send(self) -> None:
        relay = self._relay
        stats_due = self._now()
        while not (relay._ending.is_set() or self._is_over()):
            relay._wake.clear()
            self._follow(relay._wanted.kinds)
            if relay._wanted.viewers and self._now() >= stats_due:
                stats_due = self._now() + watching.STATS_INTERVAL
                stats = all_plain(relay._stats())
                # Viewers get these from the coordinator, each its own.
                stats.pop("watching", None)
                # One plays at the session alone.
                stats.pop("input", None)
                await self._say({"stats": stats})
            while picture := self._next():
                await self._send_picture(picture)
            wait = stats_due - self._now() if relay._wanted.viewers else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait is None else max(0.0, wait)):
                    await relay._wake.wait()
        await self._socket.close(1000, "The session has ended.")

    def _is_over(self) -> bool:
        subscription = self._subscription
        return subscription is not None and subscription.closed and not subscription.waiting

    def _follow(self, kinds: Any) -> None:
        """Have pictures come while any are wanted."""
        relay = self._relay
        if kinds and self._subscription is None:
            wake = lambda: relay._soon(relay._wake)  # noqa: E731 - it has no better name
            self._subscription = relay._hub.subscribe(1, "drop-oldest", wake)
        elif not kinds and self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _next(self) -> Picture | None:
        """Return the picture to send now, if there is one and the way is free."""
        if self._subscription is None or not self._pace.is_free:
            return None
        waiting = self._subscription.take()
        if self._anew:
            self._anew = False
            return waiting or self._relay._hub.latest
        return waiting if waiting and waiting.number > self._newest else None

    async def _send_picture(self, asked: Picture) -> None:
        kinds = self._relay._wanted.kinds
        terms = self._terms_of(asked) if "drawn" in kinds else None
        if terms is not None:
            picture, packed = await self._packer.drawn(asked, exact=False)
            if terms != self._terms:
                await self._say({"terms": terms})
                self._terms = terms
            await self._send_packed(picture, packed, ("drawn",))
        if kinds - {"drawn"} or ("drawn" in kinds and terms is None):
            picture, packed = await self._packer.composed(asked, base="base" in kinds)
            # Who would draw cannot here.
            to = ("composed",) if terms is not None else ("composed", "drawn")
            await self._send_packed(picture, packed, to)

    def _terms_of(self, picture: Picture) -> Any:
        """Return the terms of a picture that a browser can make; None where it cannot."""
        if not can_be_drawn(picture):
            return None
        terms = terms_of(picture)
        return terms if len(json.dumps({"terms": terms})) <= watching.MAX_TEXT else None

    async def _send_packed(
        self, picture: Picture, packed: PackedPicture, to: tuple[Any, ...]
    ) -> None:
        relay = self._relay
        data = packed.message(relay._clock())
        self._newest = max(self._newest, picture.number)
        if len(data) > watching.MAX_PICTURE:
            logger.debug("Picture %d is too large to be watched", picture.number)
            return
        shortest = self._pace.shortest
        way = None if shortest is None else round(min(shortest * 1e3, 60_000.0), 1)
        await self._say(Coming(number=picture.number, size=len(data), to=to, way_ms=way))
        self._pace.sent(picture.number, self._now())
        for at in range(0, len(data), watching.PART):
            await self._socket.send(data[at : at + watching.PART])
        relay._sent += 1
        relay._bytes += len(data)

    async def _say(self, what: BaseModel | dict[str, Any]) -> None:
        text = (
            what.model_dump_json()
            if isinstance(what, BaseModel)
            else json.dumps(what, allow_nan=False)
        )
        if len(text) <= watching.MAX_TEXT:
            await self._socket.send(text)
