"""Packs pictures for all viewers: each at most once, off the web server's loop, the newest first.

While one picture is made, all who wait for another wait together, and get the newest there is by
then.  So however many viewers there are, and however slow the machine, none gets an old picture and
none waits for more than two makings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from p2c2g.display import message
from p2c2g.display.hub import Hub
from p2c2g.display.message import PackedPicture
from p2c2g.media.picture import Picture

#: What can be made of a picture, each of it in a thread.
_MAKERS: Mapping[str, Callable[[Picture], Any]] = {
    "own_pixels": message.own_pixels,
    "own_jpeg": message.own_jpeg,
    "residuals": message.residuals,
    "composed": message.composed,
    "base": message.base,
}


class Packer:
    """Makes messages of a hub's pictures; belongs to one event loop.

    Args:
        hub: where the newest picture is.
    """

    def __init__(self, hub: Hub) -> None:
        self._threads = ThreadPoolExecutor(2, "viewer-packer")
        # Apart, so that those who draw by themselves never wait for a composition.
        self._drawn = _Line(hub, self._threads)
        self._composed = _Line(hub, self._threads)

    async def drawn(self, asked: Picture, *, exact: bool) -> tuple[Picture, PackedPicture]:
        """Return what a browser makes a picture of: of the one asked for, or of a newer one.

        Args:
            asked: must be one that can be drawn, as must all of its session.
            exact: the frame's own pixels as they are, which takes a near line.
        """
        own, kind = ("own_pixels", message.RGBA) if exact else ("own_jpeg", "image/jpeg")
        picture, parts = await self._drawn.made(asked, own, "residuals")
        return picture, message.drawn_message(picture, parts[own], kind, parts["residuals"])

    async def composed(self, asked: Picture, *, base: bool) -> tuple[Picture, PackedPicture]:
        """Return the picture asked for, or a newer one, composed, and its base where wanted."""
        names = ("composed", "base") if base else ("composed",)
        picture, parts = await self._composed.made(asked, *names)
        return picture, message.composed_message(
            picture, parts["composed"], parts["base"] if base else None
        )

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)


class _Line:
    """Those who wait for one kind of picture, and the last one that was made."""

    def __init__(self, hub: Hub, threads: ThreadPoolExecutor) -> None:
        self._hub = hub
        self._threads = threads
        self._turn = asyncio.Lock()
        self._picture: Picture | None = None
        self._made: dict[str, Any] = {}

    async def made(self, asked: Picture, *names: str) -> tuple[Picture, dict[str, Any]]:
        async with self._turn:
            if self._picture is None or self._picture.number < asked.number:
                latest = self._hub.latest
                self._picture = latest if latest and latest.number > asked.number else asked
                self._made = {}
            picture, made = self._picture, self._made
            loop = asyncio.get_running_loop()
            for name in names:
                if name not in made:
                    made[name] = await loop.run_in_executor(self._threads, _MAKERS[name], picture)
            return picture, made
