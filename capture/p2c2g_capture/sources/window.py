"""One window of an X screen as a source: its own picture, whatever lies over or beneath it.

The server keeps a window's picture apart from the screen's where it is asked to (the extension
Composite).  So nothing that covers the window, and nothing that is seen at its place while it is
hidden, can ever be in the picture.
"""

from __future__ import annotations

import logging
from typing import Any

from Xlib import X
from Xlib.ext import composite

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g_capture.input.target import XTarget
from p2c2g_capture.sources import Source, scaled
from p2c2g_capture.sources.grabber import black, draw
from p2c2g_capture.sources.titles import typed
from p2c2g_capture.sources.windows import Windows
from p2c2g_capture.sources.xconnect import GONE, LOST
from p2c2g_capture.sources.xgrabber import DEPTHS, XGrabber

_log = logging.getLogger(__name__)

#: Composite's version that gives a window's picture a name.
_COMPOSITE = (0, 2)


class WindowSource(Source):
    """A window's own picture, black while the window is hidden, scaled to ``size``."""

    def __init__(
        self,
        title: str,
        size: Size | None = None,
        display: str | None = None,
        *,
        cursor: bool = False,
    ) -> None:
        """Find the window whose title is ``title`` or, failing that, contains it.

        Raises:
            SourceUnavailableError: there is no such window or display, or the server cannot
                give a window's own picture.
        """
        self.name = f"screen:window={typed(title)}"
        self._closed = False
        self._cursor = cursor
        self._hidden: str | None = None
        self._display = display
        self._told = False
        self._grabber = XGrabber(display)
        try:
            self._windows = Windows(display)
        except BaseException:
            self._grabber.close()
            raise
        try:
            self._check_composite()
            self._window, self.title = self._windows.find(title)
            self.pid = self._windows.pid_of(self._window)
            geometry = self._window.get_geometry()
            self._check_depth(geometry.depth)
            self._extent = (geometry.width, geometry.height)
            self.size = size or Size(*self._extent)
            self._begin()
            self.grab(0)
        except GONE as gone:
            self.close()
            raise SourceUnavailableError(f"{self.name} was closed.") from gone
        except LOST as lost:
            self.close()
            raise SourceUnavailableError("The screen's display was closed.") from lost
        except BaseException:
            self.close()
            raise

    @property
    def notes(self) -> list[str]:
        """Return remarks on how it grabs, after the first grab."""
        return self._grabber.notes

    def notice(self) -> str:
        """Say why the picture is black while the window is hidden."""
        hidden = self._hidden
        return f"The window is {hidden}, and black until it is shown again" if hidden else ""

    def grab(self, number: int) -> Pixels:
        """Return the window's picture, whatever ``number``: (height, width, 4).

        Raises:
            SourceUnavailableError: the window was closed, or the screen is gone.
        """
        if self._closed:
            raise SourceUnavailableError(f"{self.name} is closed.")
        try:
            try:
                pixels = self._picture()
            except GONE as gone:
                if not self._windows.exists(self._window):
                    raise SourceUnavailableError(f"The window {self.title!r} was closed.") from gone
                # Its window manager's frame went, as when that ends.
                self._changed = self._fresh = True
                pixels = None
        except LOST as lost:
            raise SourceUnavailableError("The screen's display was closed.") from lost
        if pixels is None:
            return black(self.size.width, self.size.height)
        return scaled(pixels, self.size)

    def target(self) -> XTarget:
        """Return the window."""
        return XTarget(self._display, window=self._window.id)

    def close(self) -> None:
        """Leave the screen; may be called twice."""
        self._closed = True
        self._grabber.close()
        self._windows.close()

    def _begin(self) -> None:
        """Have the server keep the window's picture apart, and tell what becomes of the window."""
        self._changed = self._fresh = True
        self._watched = self._windows.watched()
        self._windows.root.change_attributes(event_mask=X.PropertyChangeMask)
        self._follow_ancestors()
        # Automatic: the screen looks as before.  The server ends it when we disconnect.
        self._window.composite_redirect_window(composite.RedirectAutomatic)

    def _follow_ancestors(self) -> None:
        self._chain = self._windows.ancestors(self._window)
        for window in self._chain:
            window.change_attributes(event_mask=X.StructureNotifyMask | X.PropertyChangeMask)

    def _picture(self) -> Pixels | None:
        """Return the window's picture in its own size, or None while it is hidden."""
        own = self._window.get_geometry()
        # All events from before the answer have come.
        self._read_events()
        fresh, self._fresh = self._fresh, False
        # Named each time: the server takes another pixmap whenever the window is resized or mapped.
        pixmap = self._window.composite_name_window_pixmap()
        try:
            try:
                whole = pixmap.get_geometry()
            except GONE:
                whole = None
            self._read_events()
            # A change between the two answers: this pixmap may be the one before it, or after.
            fresh = fresh or self._fresh
            if whole is None:
                # Or it was shown between the two answers; the next grab has its picture.
                if not self._windows.is_mapped(self._window):
                    self._hide("minimised or on another workspace")
                self._changed = self._fresh = True
                return None
            if self._changed:
                self._changed = False
                self._follow_ancestors()
                self._hide(self._windows.why_hidden(self._chain))
            if self._hidden is not None:
                self._fresh = fresh
                return None
            if fresh:
                self._blacken(pixmap, whole)
            edge = own.border_width
            # Of both sizes the smaller, if it was resized between the two answers.
            inner = Rect(
                edge,
                edge,
                max(1, min(own.width, whole.width - edge)),
                max(1, min(own.height, whole.height - edge)),
            )
            try:
                pixels = self._grabber.grab_pixmap(pixmap.id, whole.depth, inner)
            except SourceUnavailableError as why:
                raise SourceUnavailableError(f"{self.name} cannot be grabbed: {why}.") from why
        finally:
            pixmap.free()
        if self._cursor:
            corner = self._windows.root.translate_coords(self._window, 0, 0)
            image, place = self._pointer()
            draw(pixels, Rect(corner.x, corner.y, inner.width, inner.height), image, place)
        return pixels

    def _pointer(self) -> tuple[Pixels, Rect]:
        try:
            return self._grabber.pointer()
        except SourceUnavailableError as why:
            raise SourceUnavailableError(f"The pointer cannot be captured: {why}.") from why

    def _read_events(self) -> None:
        display = self._windows.display
        while display.pending_events():
            event = display.next_event()
            if event.type == X.PropertyNotify:
                self._changed = self._changed or event.atom in self._watched
            elif event.type in (X.MapNotify, X.UnmapNotify, X.ReparentNotify):
                self._changed = self._fresh = True
            elif event.type == X.ConfigureNotify and event.window == self._window:
                extent = (event.width, event.height)
                self._fresh = self._fresh or extent != self._extent
                self._extent = extent

    def _blacken(self, pixmap: Any, whole: Any) -> None:
        """Paint a new pixmap black, and have the window's owner paint all of it.

        The server begins a window's pixmap with what was on the screen at its place, and that
        would stay wherever the owner has not painted yet.
        """
        gc = pixmap.create_gc(foreground=0)
        pixmap.fill_rectangle(gc, 0, 0, whole.width, whole.height)
        gc.free()
        self._expose(self._window)
        self._windows.display.sync()

    def _expose(self, window: Any) -> None:
        window.clear_area(0, 0, 0, 0, exposures=True)
        for child in window.query_tree().children:
            try:
                self._expose(child)
            except GONE:
                continue

    def _hide(self, why: str | None) -> None:
        self._hidden = why
        if why is not None and not self._told:
            self._told = True
            _log.warning(
                "The window %r is %s: the picture is black until it is shown again.",
                self.title,
                why,
            )

    def _check_composite(self) -> None:
        display = self._windows.display
        version = (0, 0)
        if display.has_extension(composite.extname):
            known = display.composite_query_version()
            version = (known.major_version, known.minor_version)
        if version < _COMPOSITE:
            raise SourceUnavailableError(
                "This X server cannot give a window's own picture (it has no Composite extension), "
                "and what lies over the window would be filmed instead. Capture the screen, or a "
                "part such as screen:0,0,1280x720."
            )

    def _check_depth(self, depth: int) -> None:
        if depth not in DEPTHS:
            raise SourceUnavailableError(
                f"The window {self.title!r} cannot be grabbed: it has {depth} bits of colour; "
                f"{' or '.join(map(str, DEPTHS))} can be."
            )
