"""Notices the viewer in the picture that it shows: a mirror in a mirror.

On one monitor the viewer's window lies in front of the game, and what the screen shows there is
the viewer.  X has the windows' titles; a thread of its own asks for them, since a frame must
not wait for that.
"""

from __future__ import annotations

import logging
import sys
import threading

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Rect
from p2c2g_capture.sources.grabber import overlap

_log = logging.getLogger(__name__)

#: What the title of a browser's window with the viewer begins with.
VIEWER_TITLE = "P2C2G viewer"

#: Seconds between two looks.
_EVERY = 2.0
#: Seconds that a look may take when the source is closed: the server may have hung.
_PATIENCE = 1.0

_ADVICE = (
    "The viewer is on the screen that it shows, and so shows itself: move it to another monitor "
    "or machine, or capture only the game's window with --source screen:window=TITLE"
)


class ViewerWatch:
    """Looks for the viewer's window on an X display from the first question on."""

    def __init__(self, display: str | None = None) -> None:
        self._display = display
        self._area: Rect | None = None
        self._seen = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def notice(self, area: Rect) -> str:
        """Return the advice while the viewer is in ``area`` of the screen, else nothing."""
        self._area = area
        if self._thread is None and sys.platform == "linux" and not self._ended.is_set():
            self._thread = threading.Thread(target=self._watch, name="p2c2g-mirror", daemon=True)
            self._thread.start()
        return _ADVICE if self._seen else ""

    def close(self) -> None:
        """Stop looking; may be called twice."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _watch(self) -> None:
        try:
            from p2c2g_capture.sources.windows import Windows
            from p2c2g_capture.sources.xconnect import LOST

            windows = Windows(self._display)
        except (ImportError, SourceUnavailableError):
            # It can be grabbed, and its windows cannot be listed: nothing is known then.
            return
        try:
            told = False
            while not self._ended.is_set():
                area = self._area
                self._seen = area is not None and any(
                    overlap(area, place) for place in windows.places(VIEWER_TITLE)
                )
                if self._seen and not told:
                    told = True
                    _log.warning("%s.", _ADVICE)
                self._ended.wait(_EVERY)
        except LOST:
            self._seen = False
        finally:
            windows.close()
