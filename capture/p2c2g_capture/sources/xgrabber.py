"""Pixels of an X server: of its screen, or of any one drawable of it, and the pointer's picture.

mss's own connection does the work, over shared memory where the server is on this machine.  What
mss or the server says of a failure is translated here, and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np
from mss.exception import ScreenShotError
from mss.linux import xcb, xcbgen
from mss.linux.xcbhelpers import LIB, Connection, XError, XProtoError
from mss.linux.xshmgetimage import MSSImplXShmGetImage

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Pixels, Rect

#: Depths whose pixels are four bytes: blue, green, red, and noise or alpha.
DEPTHS = (24, 32)

#: RandR's version that knows monitors.
_MONITORS_SINCE = (1, 5)


class XGrabber:
    """Reads pixels from an X display."""

    def __init__(self, display: str | None = None) -> None:
        """Connect to ``display``, or to the environment's.

        Raises:
            SourceUnavailableError: nothing answers there, or what does cannot be grabbed.
        """
        self._display = display
        self._mss = _connect(display)
        self._learn()

    def reopen(self) -> None:
        """Connect again: mss has room for the screen as it was when it connected.

        Raises:
            SourceUnavailableError: as the constructor.
        """
        fresh = _connect(self._display)
        self.close()
        self._mss = fresh
        self._learn()

    def _learn(self) -> None:
        with _translated():
            self._depth, self._visual = self._mss.drawable_depth, self._mss.drawable_visual_id
            whole = self._whole()
            #: Pixels that fit into the memory that is shared with the server.
            self._room = whole.width * whole.height
            version = (0, 0)
            if xcb.get_extension_data(self._connection, LIB.randr_id).present:
                reply = xcbgen.randr_query_version(
                    self._connection, xcbgen.RANDR_MAJOR_VERSION, xcbgen.RANDR_MINOR_VERSION
                )
                version = (reply.major_version, reply.minor_version)
            self._knows_monitors = version >= _MONITORS_SINCE

    @property
    def notes(self) -> list[str]:
        """Return mss's remarks on how it grabs, after the first grab."""
        return list(self._mss.performance_status)

    def monitors(self) -> list[Rect]:
        """Return the whole screen, and then each monitor, as they are now.

        Raises:
            SourceUnavailableError: the server is gone.
        """
        with _translated():
            if not self._knows_monitors:
                found = self._mss.monitors()
                return [Rect(m["left"], m["top"], m["width"], m["height"]) for m in found]
            reply = xcbgen.randr_get_monitors(self._connection, self._mss.root, 1)
            monitors = xcbgen.randr_get_monitors_monitors(reply)
            return [self._whole(), *(Rect(m.x, m.y, m.width, m.height) for m in monitors)]

    @property
    def _connection(self) -> Connection:
        connection: Connection | None = self._mss.conn
        if connection is None:
            raise SourceUnavailableError("it is closed")
        return connection

    def _whole(self) -> Rect:
        root = xcbgen.get_geometry(self._connection, self._mss.root)
        return Rect(0, 0, root.width, root.height)

    def grab(self, area: Rect) -> Pixels:
        """Return what is on the screen in ``area``: (height, width, 4).

        Raises:
            SourceUnavailableError: the server is gone, or the area is not within the screen.
        """
        with _translated():
            mss = self._mss
            mss.drawable, mss.drawable_depth = mss.root, self._depth
            mss.drawable_visual_id = self._visual
            return self._shoot(area)

    def grab_pixmap(self, pixmap: int, depth: int, area: Rect) -> Pixels:
        """Return the pixels of a pixmap of this server, no matter who made it: (height, width, 4).

        Args:
            pixmap: its identity.
            depth: its own, one of :data:`DEPTHS`.
            area: within it.

        Raises:
            SourceUnavailableError: the server is gone, or there is no such pixmap or area.
        """
        with _translated():
            mss = self._mss
            mss.drawable, mss.drawable_depth = xcbgen.Drawable(pixmap), depth
            mss.drawable_visual_id = xcbgen.Visualid(0)  # a pixmap has none
            if area.width * area.height <= self._room:
                return self._shoot(area)
            # A window may be larger than the screen, for which there is room.
            rows = max(1, self._room // area.width)
            return np.concatenate(
                [
                    self._shoot(Rect(area.x, y, area.width, min(rows, area.bottom - y)))
                    for y in range(area.y, area.bottom, rows)
                ]
            )

    def pointer(self) -> tuple[Pixels, Rect]:
        """Return the pointer's picture, premultiplied by its alpha, and where it is on the screen.

        Raises:
            SourceUnavailableError: the server is gone, or does not show its pointer.
        """
        with _translated():
            shot = self._mss.cursor()
            here = Rect(shot.left, shot.top, shot.width, shot.height)
            return np.frombuffer(shot.raw, np.uint8).reshape(here.height, here.width, 4), here

    def close(self) -> None:
        """Leave the display; may be called twice."""
        # mss raises where the server is gone already; there is nothing left to close.
        with contextlib.suppress(ScreenShotError):
            self._mss.close()

    def _shoot(self, area: Rect) -> Pixels:
        place = {"left": area.x, "top": area.y, "width": area.width, "height": area.height}
        # mss makes a new buffer for each shot, so a view of it is ours.
        return np.frombuffer(self._mss.grab(place), np.uint8).reshape(area.height, area.width, 4)


def _connect(display: str | None) -> MSSImplXShmGetImage:
    where = display or os.environ.get("DISPLAY", "")
    try:
        return MSSImplXShmGetImage(display=display)
    except XError as error:
        raise SourceUnavailableError(
            f"There is no screen to grab: {where} does not answer. "
            "Check DISPLAY, or choose another source, such as pattern."
        ) from error
    except ScreenShotError as error:
        # It answers, and has colours that mss does not read: the depth, most often.
        raise SourceUnavailableError(
            f"The screen {where} cannot be grabbed: {_reason(error)}. Set it to 24 bits of "
            "colour, or choose another source, such as pattern."
        ) from error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ScreenShotError, AssertionError, ValueError) as error:
        # mss reports a vanished server as an AssertionError, or a null pointer under -O.
        raise SourceUnavailableError(_reason(error) or "the screen does not answer") from error


def _reason(error: Exception) -> str:
    """Return what failed in part of a line: an X error of mss has five."""
    if isinstance(error, XProtoError):
        known = error.details.get("error") or f"error {error.details['error_code']}"
        return f"the X server refuses it ({known})"
    return next(iter(str(error).splitlines()), "").strip(" .:")
