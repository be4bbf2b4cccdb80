"""A screen as a source: a monitor, a rectangle of it, or one window wherever it moves.

Pixels come through mss, on Linux over shared memory with the X server.  What is grabbed is
what is *on the screen* at that place: anything that covers a window is in its picture too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from typing import Self

import mss
import numpy as np
from mss.exception import ScreenShotError

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g_capture.sources import Source, scaled
from p2c2g_capture.sources.windows import WindowFinder

_log = logging.getLogger(__name__)

_SYNTAX = (
    "give screen, screen:MONITOR, screen:X,Y,WxH such as screen:0,0,1280x720, "
    "or screen:window=TITLE"
)


class ScreenSource(Source):
    """What is on a screen, scaled to ``size`` where that differs from the region's own.

    Exactly one of ``monitor`` (from 1; 0 is all of them), ``region`` and ``window`` (a title)
    says where to look.  ``display`` is an X display's name, None for the environment's.
    ``notes`` are mss's remarks on how it grabs, after the first grab.
    """

    def __init__(
        self,
        *,
        monitor: int | None = None,
        region: Rect | None = None,
        window: str | None = None,
        size: Size | None = None,
        display: str | None = None,
    ) -> None:
        """Connect to the screen and find the region.

        Raises:
            SourceUnavailableError: there is no such screen, monitor or window, or the region
                reaches outside the screen.
        """
        self._window: WindowFinder | None = None
        self._closed = False
        self._mss = _connect(display)
        try:
            everything = self._mss.monitors[0]
            self._bounds = _rect(everything)
            if window is not None:
                self.name = f"screen:window={window}"
                self._window = WindowFinder(window, display)
                here = self._window.rect() or self._bounds
            elif region is not None:
                self.name = f"screen:{region.x},{region.y},{region.size}"
                here = self._inside(region)
            else:
                number = 1 if monitor is None else monitor
                self.name = f"screen:{number}"
                here = self._monitor(number)
            self._region = here
            self.size = size or here.size
            # Now rather than at the first frame: a screen that refuses should say so at once.
            self.grab(0)
        except BaseException:
            self.close()
            raise
        slow = [note for note in self.notes if "working correctly" not in note]
        if slow:
            _log.warning("The screen is grabbed by a slow method: %s", "; ".join(slow))

    @classmethod
    def open(cls, text: str, size: Size | None = None, display: str | None = None) -> Self:
        """Open what follows ``screen:`` in a source's name; empty is the first monitor.

        Raises:
            UsageError: it is not a monitor, a region or a window.
            SourceUnavailableError: as the constructor.
        """
        if not text:
            return cls(monitor=1, size=size, display=display)
        if re.fullmatch(r"\d{1,3}", text):
            return cls(monitor=int(text), size=size, display=display)
        kind, _, title = text.partition("=")
        if kind == "window" and title:
            return cls(window=title, size=size, display=display)
        found = re.fullmatch(r"(-?\d{1,5}),(-?\d{1,5}),(\d+[xX×]\d+)", text)
        if found is None:
            raise UsageError(f"'screen:{text}' names no part of a screen: {_SYNTAX}.")
        area = Size.parse(found[3])
        region = Rect(int(found[1]), int(found[2]), area.width, area.height)
        return cls(region=region, size=size, display=display)

    @property
    def notes(self) -> list[str]:
        """Return mss's remarks on how it grabs."""
        return list(self._mss.performance_status)

    def grab(self, number: int) -> Pixels:
        """Return what is there now, whatever ``number``: (height, width, 4).

        A hidden window is black, and so is the part of a window beyond the screen's edge.

        Raises:
            SourceUnavailableError: the window or the screen is gone.
        """
        if self._closed:
            raise SourceUnavailableError(f"{self.name} is closed.")
        if self._window is None:
            return scaled(self._shoot(self._region), self.size)
        here = self._window.rect()
        seen = None if here is None else _overlap(here, self._bounds)
        if here is None or seen is None:
            return np.zeros((self.size.height, self.size.width, 4), np.uint8)
        pixels = self._shoot(seen)
        if seen != here:
            whole = np.zeros((here.height, here.width, 4), np.uint8)
            Rect(seen.x - here.x, seen.y - here.y, seen.width, seen.height).of(whole)[:] = pixels
            pixels = whole
        return scaled(pixels, self.size)

    def close(self) -> None:
        """Leave the screen; may be called twice."""
        self._closed = True
        # mss raises where the screen is gone already; there is nothing left to close.
        with contextlib.suppress(ScreenShotError):
            self._mss.close()
        if self._window is not None:
            self._window.close()
            self._window = None

    def _shoot(self, region: Rect) -> Pixels:
        place = {
            "left": region.x,
            "top": region.y,
            "width": region.width,
            "height": region.height,
        }
        try:
            shot = self._mss.grab(place)
        except (ScreenShotError, AssertionError, ValueError) as error:
            # mss reports a vanished server as an AssertionError, or a null pointer under -O.
            why = str(error) or "the screen does not answer."
            raise SourceUnavailableError(f"{self.name} cannot be grabbed: {why}") from error
        # mss makes a new buffer for each shot, so a view of it is ours.
        return np.frombuffer(shot.raw, np.uint8).reshape(region.height, region.width, 4)

    def _monitor(self, number: int) -> Rect:
        monitors = [_rect(monitor) for monitor in self._mss.monitors]
        if number < len(monitors):
            return monitors[number]
        known = ", ".join(
            f"{index} ({rect.size})" for index, rect in enumerate(monitors) if index > 0
        )
        raise SourceUnavailableError(
            f"There is no monitor {number}; this screen has {known or 'none'}."
        )

    def _inside(self, region: Rect) -> Rect:
        if _overlap(region, self._bounds) != region:
            raise SourceUnavailableError(
                f"The region {region.x},{region.y},{region.size} reaches outside the screen, "
                f"which is {self._bounds.x},{self._bounds.y},{self._bounds.size}."
            )
        return region


def _connect(display: str | None) -> mss.MSS:
    if sys.platform == "linux" and display is None and not os.environ.get("DISPLAY"):
        raise SourceUnavailableError(
            "There is no screen to grab: DISPLAY is not set. Run this in a desktop session, "
            "set DISPLAY (such as DISPLAY=:0), or choose another source, such as pattern."
        )
    try:
        return mss.MSS(display=display) if sys.platform == "linux" else mss.MSS()
    except ScreenShotError as error:
        where = display or os.environ.get("DISPLAY", "the screen")
        raise SourceUnavailableError(
            f"There is no screen to grab: {where} does not answer. "
            "Check DISPLAY, or choose another source, such as pattern."
        ) from error


def _rect(monitor: mss.models.Monitor) -> Rect:
    return Rect(monitor["left"], monitor["top"], monitor["width"], monitor["height"])


def _overlap(one: Rect, other: Rect) -> Rect | None:
    """Return the part that two rectangles share, or None."""
    x, y = max(one.x, other.x), max(one.y, other.y)
    width = min(one.right, other.right) - x
    height = min(one.bottom, other.bottom) - y
    return Rect(x, y, width, height) if width > 0 and height > 0 else None
