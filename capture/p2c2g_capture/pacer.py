"""The session's pace: asks a source for a picture at even intervals.

Ticks lie at ``k / fps`` seconds after the start.  A tick that was missed, because the grab or
the consumer took too long, is never made up for: the newest due tick wins and the numbers
keep a gap, from which everything downstream knows what was lost.  A machine that cannot keep up
takes every second tick, or fewer (:attr:`Pacer.every`): they stay even, and the others are a gap
too.

A source that knows when it has another picture is waited for within its tick: a game that draws
35 pictures a second is grabbed when it has drawn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from p2c2g.errors import UsageError
from p2c2g.media.frame import Frame
from p2c2g_capture.sources import Source

#: Longest single sleep, in seconds: how late ``stop`` may be noticed.
_NAP = 0.05


class Pacer:
    """Iterate the frames of a source at ``fps`` pictures a second.

    Each frame's ``number`` is the index of the tick that it was grabbed for, from 0.  The
    iteration ends after the ticks of ``seconds`` (never, if None) or on ``stop``.  It buffers
    no frame.

    ``clock`` returns seconds, ``sleep`` waits for a number of them.
    """

    def __init__(
        self,
        source: Source,
        fps: float,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Raise UsageError where fps or seconds is not a number above 0."""
        for name, value in (("fps", fps), ("seconds", seconds)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} cannot be {value:g}: give a number above 0.")
        self._source = source
        self._fps = fps
        self._clock = clock
        self._sleep = sleep
        # Ticks with k / fps < seconds: half a second at 60 a second is ticks 0 to 29.  The
        # rounding is for 0.1 s at 30 a second, which floats make 3.0000000000000004.
        self._total = math.inf if seconds is None else math.ceil(round(seconds * fps, 6))
        #: Of so many ticks one is asked for; to be set while it runs, 1 or more.
        self.every = 1
        self._start: float | None = None
        self._ended_at: float | None = None
        self._has_all = False
        # A plain attribute, not an Event: it is looked at often enough.
        self._stopped = False

    @property
    def due(self) -> int:
        """Return how many frames have been due so far, grabbed or missed."""
        if self._start is None:
            return 0
        if self._has_all:
            return int(self._total)  # It does not wait for ticks that it leaves out at the end.
        now = self._clock() if self._ended_at is None else self._ended_at
        return int(min(self._tick(self._start, now) + 1, self._total))

    def stop(self) -> None:
        """End the iteration soon, from any thread or a signal's handler."""
        self._stopped = True

    def __iter__(self) -> Iterator[Frame]:
        start = self._start = self._clock()
        self._ended_at, self._has_all = None, False
        number = 0
        try:
            while self._wait_until(start + number / self._fps):
                due = self._tick(start, self._clock())
                if due <= number:
                    # It has until the next tick: what is drawn meanwhile is taken at once.  Who
                    # has missed ticks has no time for that.
                    left = start + (number + 1) / self._fps - self._clock()
                    self._source.wait(max(0.0, min(left, _NAP)))
                number = max(number, due)
                if number >= self._total:
                    return
                captured_at = self._clock()
                pixels = self._source.grab(number)
                grabbed_at = self._clock()
                yield Frame(number, pixels, captured_at, grabbed_at)
                number += self.every
                if number >= self._total:
                    return
        finally:
            self._ended_at, self._has_all = self._clock(), number >= self._total

    def _tick(self, start: float, now: float) -> int:
        """Return the index of the newest tick that is due, exact in spite of rounding."""
        index = int((now - start) * self._fps)
        while start + (index + 1) / self._fps <= now:
            index += 1
        while index > 0 and start + index / self._fps > now:
            index -= 1
        return index

    def _wait_until(self, moment: float) -> bool:
        """Sleep until the moment; False as soon as ``stop`` was called."""
        while not self._stopped:
            left = moment - self._clock()
            if left <= 0:
                return True
            self._sleep(min(left, _NAP))
        return False
