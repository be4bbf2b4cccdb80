"""A test picture that flashes and beeps once a second: what synchrony is measured by."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.sound.beeps import Beeps
from p2c2g_capture.sources.pattern import PatternSource

#: Seconds from one flash to the next, and how long it lasts.
INTERVAL, FLASH_SECONDS = 1.0, 0.1


class FlashingPattern(PatternSource):
    """The pattern, all white for a tenth of a second once a second, with a beep at that moment.

    Flashes come by the clock, and not by the number: at any rate of pictures, with any gap.
    """

    def __init__(
        self, size: Size | None = None, fps: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """Raise UsageError where the size is too small, as the pattern's."""
        super().__init__(size)
        self.name = "pattern:beep"
        self.sound: Beeps = Beeps(clock)
        self._clock = clock
        # A flash of less than two pictures may be missed.
        self._lasts = max(FLASH_SECONDS, 2 / fps)
        self._next_at: float | None = None
        self._until = 0.0

    def grab(self, number: int) -> Pixels:
        """Draw the picture of ``number``, or the flash: (height, width, 3)."""
        now = self._clock()
        if self._next_at is None:
            self._next_at = now + INTERVAL
        if now >= self._next_at:
            self.sound.beep(now)
            self._until = now + self._lasts
            self._next_at = max(self._next_at + INTERVAL, now + INTERVAL / 2)
        if now < self._until:
            return np.full((self.size.height, self.size.width, 3), 255, np.uint8)
        return super().grab(number)
