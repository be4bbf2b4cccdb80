"""What reads a screen's pixels, and small arithmetic with its rectangles."""

from __future__ import annotations

import os
import sys
from typing import Protocol

import mss
import numpy as np
from mss.exception import ScreenShotError

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Pixels, Rect


class Grabber(Protocol):
    """Reads pixels from a screen."""

    def monitors(self) -> list[Rect]:
        """Return the whole screen, and then each monitor, as they are now.

        Raises:
            SourceUnavailableError: the screen is gone.
        """
        ...

    def reopen(self) -> None:
        """Get ready for a screen whose size has changed.

        Raises:
            SourceUnavailableError: the screen is gone.
        """
        ...

    def grab(self, area: Rect) -> Pixels:
        """Return what is on the screen in ``area``: (height, width, 4).

        Raises:
            SourceUnavailableError: the screen is gone, or the area is not within it.
        """
        ...

    def pointer(self) -> tuple[Pixels, Rect]:
        """Return the pointer's picture, premultiplied by its alpha, and where it is on the screen.

        Raises:
            SourceUnavailableError: the screen does not show its pointer.
        """
        ...

    @property
    def notes(self) -> list[str]:
        """Return remarks on how it grabs, after the first grab."""
        ...

    def close(self) -> None:
        """Leave the screen; may be called twice."""
        ...


def open_grabber(display: str | None = None) -> Grabber:
    """Connect to this machine's screen.

    Args:
        display: an X display's name, None for the environment's.

    Raises:
        SourceUnavailableError: there is no screen, or it cannot be grabbed.
    """
    if sys.platform != "linux":
        return _Desktop()
    if display is None and not os.environ.get("DISPLAY"):
        raise SourceUnavailableError(
            "There is no screen to grab: DISPLAY is not set. Run this in a desktop session, "
            "set DISPLAY (such as DISPLAY=:0), or choose another source, such as pattern."
        )
    from p2c2g_capture.sources.xgrabber import XGrabber

    return XGrabber(display)


class _Desktop:
    """The screen of macOS or Windows."""

    def __init__(self) -> None:
        self.reopen()

    def reopen(self) -> None:
        try:
            self._mss = mss.MSS()
        except ScreenShotError as error:
            raise SourceUnavailableError(f"There is no screen to grab: {error}") from error

    def monitors(self) -> list[Rect]:
        # mss looks once; a change is noticed when a grab fails, and then it is opened again.
        return [
            Rect(found["left"], found["top"], found["width"], found["height"])
            for found in self._mss.monitors
        ]

    def grab(self, area: Rect) -> Pixels:
        place = {"left": area.x, "top": area.y, "width": area.width, "height": area.height}
        try:
            shot = self._mss.grab(place)
        except (ScreenShotError, ValueError) as error:
            raise SourceUnavailableError(str(error)) from error
        return np.frombuffer(shot.raw, np.uint8).reshape(area.height, area.width, 4)

    def pointer(self) -> tuple[Pixels, Rect]:
        raise SourceUnavailableError("only an X screen shows its pointer")

    @property
    def notes(self) -> list[str]:
        return list(self._mss.performance_status)

    def close(self) -> None:
        self._mss.close()


def overlap(one: Rect, other: Rect) -> Rect | None:
    """Return the part that two rectangles share, or None."""
    x, y = max(one.x, other.x), max(one.y, other.y)
    width = min(one.right, other.right) - x
    height = min(one.bottom, other.bottom) - y
    return Rect(x, y, width, height) if width > 0 and height > 0 else None


def within(area: Rect, outer: Rect) -> Rect:
    """Return ``area`` with its corner counted from the corner of ``outer``."""
    return Rect(area.x - outer.x, area.y - outer.y, area.width, area.height)


def black(width: int, height: int) -> Pixels:
    """Return a black picture: (height, width, 4)."""
    return np.zeros((height, width, 4), np.uint8)


def draw(pixels: Pixels, area: Rect, image: Pixels, place: Rect) -> None:
    """Paint an image over a picture, in place.

    Args:
        pixels: the picture, (height, width, 4), of what is in ``area`` of the screen.
        area: where that is.
        image: blue, green, red and alpha, the colours multiplied by alpha already.
        place: where on the screen the image belongs.
    """
    seen = overlap(place, area)
    if seen is None:
        return
    below = within(seen, area).of(pixels)
    above = within(seen, place).of(image).astype(np.uint16)
    below[:] = np.minimum(above + below * (255 - above[:, :, 3:]) // 255, 255)
