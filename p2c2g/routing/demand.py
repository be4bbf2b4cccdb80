"""How much a session sends: what its pool of peers has to be able to do.

Pure.  A moving picture needs all that was planned for, a still one next to nothing; and one that
begins to move must find its peers there.  So the need rises within a few frames and falls slowly.
"""

from __future__ import annotations

from collections import deque
from math import exp

#: Frames over which what is sent is averaged: one chunk alone is no need.
FRAMES = 8
#: Seconds in which the need falls to a third, where less is sent.
FALL = 5.0
#: Part of the most that it never falls below.
LEAST = 0.05
#: By so many times it has to rise before the pool is chosen anew at once.
RISE = 1.25


class Demand:
    """The need of one session.

    Args:
        most: megapixels a second, with which it begins.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._frames: deque[float] = deque([most], maxlen=FRAMES)
        self._at: float | None = None
        self._told = most
        #: Megapixels a second that are wanted.
        self.need = most

    def note(self, rate: float, now: float) -> bool:
        """Note a frame, by what would be sent a second if all were like it.

        Args:
            rate: megapixels a second.
            now: seconds of the caller's clock.

        Returns:
            Whether much more is wanted than before.
        """
        self._frames.append(rate)
        mean = sum(self._frames) / len(self._frames)
        elapsed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        fallen = self.need * exp(-elapsed / FALL)
        self.need = min(max(mean, fallen, LEAST * self._most), self._most)
        rises = self.need > RISE * self._told
        if rises or self.need < self._told:
            self._told = self.need
        return rises
