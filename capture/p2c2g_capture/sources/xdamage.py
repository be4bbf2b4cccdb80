"""When something is drawn on an X display, by its DAMAGE extension."""

from __future__ import annotations

import select
import time
from typing import Any

from Xlib.error import XError
from Xlib.ext import damage
from Xlib.protocol import rq

from p2c2g.errors import SourceUnavailableError
from p2c2g_capture.sources.xconnect import GONE, LOST, connect, disconnect

# python-xlib has no types: its objects are Any.


class _QueryVersion(rq.ReplyRequest):  # type: ignore[misc]
    """Says which version is spoken; python-xlib's own request has a field too many."""

    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(0), rq.RequestLength(),
        rq.Card32("major_version"), rq.Card32("minor_version"),
    )  # fmt: skip
    _reply = rq.Struct(
        rq.ReplyCode(), rq.Pad(1), rq.Card16("sequence_number"), rq.ReplyLength(),
        rq.Card32("major_version"), rq.Card32("minor_version"), rq.Pad(16),
    )  # fmt: skip


class Drawn:
    """Waits until something is drawn anywhere on a display.

    Args:
        display: its name; None for the environment's.

    Raises:
        SourceUnavailableError: it does not answer, or does not tell.
    """

    def __init__(self, display: str | None = None) -> None:
        self._x: Any = connect(display)
        try:
            if not self._x.has_extension(damage.extname):
                raise SourceUnavailableError("It does not tell what is drawn.")
            opcode = self._x.display.get_extension_major(damage.extname)
            _QueryVersion(display=self._x.display, opcode=opcode, major_version=1, minor_version=1)
            root = self._x.screen().root
            self._region = root.damage_create(damage.DamageReportNonEmpty)
            self._x.sync()
        except (*GONE, *LOST, XError) as error:
            self.close()
            raise SourceUnavailableError(f"It does not tell what is drawn: {error}.") from error
        except SourceUnavailableError:
            self.close()
            raise

    def wait(self, seconds: float) -> bool:
        """Wait until something has been drawn since the last time; tell whether it was.

        Args:
            seconds: that it waits at most.

        Raises:
            SourceUnavailableError: the display is gone.
        """
        end = time.monotonic() + seconds
        try:
            while not self._x.pending_events():
                left = end - time.monotonic()
                if left <= 0 or not select.select([self._x], [], [], left)[0]:
                    return False
            while self._x.pending_events():
                self._x.next_event()
            # From here on it tells again.
            self._x.damage_subtract(self._region)
            self._x.flush()
        except (*LOST, ValueError) as error:
            raise SourceUnavailableError("The display is gone.") from error
        return True

    def close(self) -> None:
        """Leave the display; may be called twice."""
        disconnect(self._x)
