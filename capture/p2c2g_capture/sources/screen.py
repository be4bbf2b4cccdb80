"""A screen as a source: a monitor or a rectangle of it, and whatever is to be seen there.

A screen may change under a session: a game sets another mode, a monitor is unplugged.  The
source goes on with pictures of the size that it began with, black where nothing is.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TYPE_CHECKING

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g_capture.input.target import ScreenTarget, XTarget
from p2c2g_capture.sources import Source, scaled
from p2c2g_capture.sources.grabber import black, draw, open_grabber, overlap, within
from p2c2g_capture.sources.mirror import ViewerWatch

if TYPE_CHECKING:
    from p2c2g_capture.sources.xdamage import Drawn

_log = logging.getLogger(__name__)

_SYNTAX = (
    "give screen, screen:MONITOR, screen:X,Y,WxH such as screen:0,0,1280x720, "
    "or screen:window=TITLE"
)


def _drawn_on(display: str | None) -> Drawn | None:
    """Return what tells when a screen is drawn on; None where nothing does."""
    if sys.platform != "linux":
        return None
    from p2c2g_capture.sources.xdamage import Drawn

    try:
        return Drawn(display)
    except SourceUnavailableError as why:
        _log.debug("Pictures are taken at even times. %s", why)
        return None


class ScreenSource(Source):
    """What is on a screen, scaled to ``size`` where that differs from the region's own.

    Either ``monitor`` (from 1; 0 is all of them) or ``region`` says where to look.
    ``display`` is an X display's name, None for the environment's; ``cursor`` draws the pointer
    too.  ``notes`` are remarks on how it grabs, after the first grab.
    """

    def __init__(
        self,
        *,
        monitor: int = 1,
        region: Rect | None = None,
        size: Size | None = None,
        display: str | None = None,
        cursor: bool = False,
    ) -> None:
        """Connect to the screen and find the region.

        Raises:
            SourceUnavailableError: there is no such screen or monitor, the region reaches
                outside the screen, or there is no pointer to draw.
        """
        self._closed = False
        self._cursor = cursor
        self._monitor, self._region = monitor, region
        self._display = display
        self._viewer = ViewerWatch(display)
        self._grabber = open_grabber(display)
        self._drawn = _drawn_on(display)
        try:
            self._monitors = self._grabber.monitors()
            if region is not None:
                self.name = f"screen:{region.x},{region.y},{region.size}"
                self._check_inside(region)
            else:
                self.name = f"screen:{monitor}"
                self._check_there(monitor)
            here = self._area()
            if here is None:
                raise SourceUnavailableError(f"{self.name} shows nothing.")
            self._own = here.size
            self.size = size or here.size
            # Now rather than at the first frame: a screen that refuses should say so at once.
            pixels = self.grab(0)
            if display is None and os.environ.get("WAYLAND_DISPLAY") and not pixels[..., :3].any():
                raise SourceUnavailableError(
                    "The screen shows nothing: this is a Wayland session, where X has no desktop, "
                    "only windows. Capture one of an X program with screen:window=TITLE, or log in "
                    "to a session with Xorg."
                )
        except BaseException:
            self.close()
            raise
        slow = [note for note in self.notes if "working correctly" not in note]
        if slow:
            _log.warning("The screen is grabbed by a slow method: %s", "; ".join(slow))

    @classmethod
    def open(
        cls,
        text: str,
        size: Size | None = None,
        display: str | None = None,
        *,
        cursor: bool = False,
    ) -> Source:
        """Open what follows ``screen:`` in a source's name; empty is the first monitor.

        Raises:
            UsageError: it is not a monitor, a region or a window.
            SourceUnavailableError: as the constructor.
        """
        if not text:
            return cls(size=size, display=display, cursor=cursor)
        if re.fullmatch(r"\d{1,3}", text):
            return cls(monitor=int(text), size=size, display=display, cursor=cursor)
        kind, _, title = text.partition("=")
        if kind == "window" and title:
            from p2c2g_capture.sources.window import WindowSource

            return WindowSource(title, size, display, cursor=cursor)
        found = re.fullmatch(r"(-?\d{1,5}),(-?\d{1,5}),(\d+[xX×]\d+)", text)
        if found is None:
            raise UsageError(f"'screen:{text}' names no part of a screen: {_SYNTAX}.")
        area = Size.parse(found[3])
        region = Rect(int(found[1]), int(found[2]), area.width, area.height)
        return cls(region=region, size=size, display=display, cursor=cursor)

    @property
    def notes(self) -> list[str]:
        """Return remarks on how it grabs."""
        return self._grabber.notes

    def notice(self) -> str:
        """Say so while the monitor is unplugged, or the viewer in the picture that it shows."""
        here = self._area()
        if here is None:
            return f"{self.name} is unplugged, and black until it is back"
        return self._viewer.notice(here)

    def grab(self, number: int) -> Pixels:
        """Return what is there now, whatever ``number``: (height, width, 4).

        What lies beyond the screen is black.  A monitor that has become smaller is shown in the
        scale that it had, one that has become larger as large as it fits.

        Raises:
            SourceUnavailableError: the screen is gone.
        """
        if self._closed:
            raise SourceUnavailableError(f"{self.name} is closed.")
        try:
            monitors = self._grabber.monitors()
            if monitors != self._monitors:
                self._follow(monitors)
            try:
                return self._picture()
            except SourceUnavailableError:
                # The mode may have changed since the look at it: once more.
                monitors = self._grabber.monitors()
                if monitors == self._monitors:
                    raise
                self._follow(monitors)
                return self._picture()
        except SourceUnavailableError as error:
            raise SourceUnavailableError(f"{self.name} cannot be grabbed: {error}.") from error

    def wait(self, seconds: float) -> bool:
        """Wait until something is drawn on the screen, or so long; tell whether it was."""
        if self._drawn is None:
            return False
        try:
            return self._drawn.wait(seconds)
        except SourceUnavailableError:
            # The next grab says so, if the screen is gone.
            self._drawn.close()
            self._drawn = None
            return False

    def target(self) -> XTarget | ScreenTarget:
        """Return the part of the screen that is captured now."""
        area = self._area()
        return XTarget(self._display, area=area) if sys.platform == "linux" else ScreenTarget(area)

    def close(self) -> None:
        """Leave the screen; may be called twice."""
        self._closed = True
        if self._drawn is not None:
            self._drawn.close()
            self._drawn = None
        self._viewer.close()
        self._grabber.close()

    def _picture(self) -> Pixels:
        here = self._area()
        if here is None:
            return black(self.size.width, self.size.height)
        pixels = self._shoot(here)
        if here.size == self._own:
            return scaled(pixels, self.size)
        wide, high = self.size.width / self._own.width, self.size.height / self._own.height
        fit = min(
            1.0, self.size.width / (here.width * wide), self.size.height / (here.height * high)
        )
        shown = Size(
            max(1, min(round(here.width * wide * fit), self.size.width)),
            max(1, min(round(here.height * high * fit), self.size.height)),
        )
        whole = black(self.size.width, self.size.height)
        Rect(0, 0, shown.width, shown.height).of(whole)[:] = scaled(pixels, shown)
        return whole

    def _shoot(self, area: Rect) -> Pixels:
        """Grab an area, black where the screen does not reach."""
        seen = overlap(area, self._monitors[0])
        if seen == area:
            pixels = self._grabber.grab(area)
        else:
            pixels = black(area.width, area.height)
            if seen is not None:
                within(seen, area).of(pixels)[:] = self._grabber.grab(seen)
        if self._cursor:
            image, place = self._grabber.pointer()
            draw(pixels, area, image, place)
        return pixels

    def _area(self) -> Rect | None:
        """Return where to look now; None where the monitor is unplugged."""
        if self._region is not None:
            return self._region
        return self._monitors[self._monitor] if self._monitor < len(self._monitors) else None

    def _follow(self, monitors: list[Rect]) -> None:
        if monitors[0] != self._monitors[0]:
            self._grabber.reopen()
        self._monitors = monitors
        here = self._area()
        if here is None:
            _log.warning("%s is unplugged: the picture is black until it is back.", self.name)
        else:
            _log.info("%s is %s now; pictures stay %s.", self.name, here.size, self.size)

    def _check_there(self, number: int) -> None:
        if number < len(self._monitors):
            return
        known = ", ".join(
            f"{index} ({rect.size})" for index, rect in enumerate(self._monitors) if index > 0
        )
        raise SourceUnavailableError(
            f"There is no monitor {number}; this screen has {known or 'none'}."
        )

    def _check_inside(self, region: Rect) -> None:
        bounds = self._monitors[0]
        if overlap(region, bounds) != region:
            raise SourceUnavailableError(
                f"The region {region.x},{region.y},{region.size} reaches outside the screen, "
                f"which is {bounds.x},{bounds.y},{bounds.size}."
            )
