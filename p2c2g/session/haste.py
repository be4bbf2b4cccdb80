"""Whether frames take so long that bytes are to be saved for their time's sake.

Pure.  A line that carries all that is sent still takes its time for each byte: at 5 Mbit/s a frame
of 20 KiB stands in it for 33 ms.  Where frames take most of what they may, one or two rungs less
of quality buy more time than they cost of the picture.  Given back they are where all frames of a
while would be in time without, and the next time that waits for longer, if it was too soon.
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: Parts of the deadline: frames that take more are slow; where none takes more, there is time.
SLOW, EASY = 0.75, 0.6
#: Share of the frames of so many seconds that are slow, and frames at least.
SHARE: Final = 0.1
SPAN, ENOUGH = 1.0, 8
#: Rungs that are given up at most, and seconds after one until another is.
MOST, SETTLES = 2, 1.0
#: Seconds for which there was time, before a rung is given back: at first, and at most; twice as
#: many where it was given up again within so many seconds.
PATIENCE, PATIENCE_MOST, PROOF = 10.0, 60.0, 6.0
#: Part of the deadline that a frame's bytes have to take on a line, for less of them to be a gain;
#: and the rungs that are given up where nobody knows.
GAIN: Final = 0.05
UNKNOWN: Final = 1
#: Frames that are kept: more than there are in that time.
_KEEP = 256


class Haste:
    """The haste of one session.

    Args:
        deadline: seconds that a frame may take.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._frames: deque[tuple[float, float]] = deque(maxlen=_KEEP)
        self._patience = PATIENCE
        self._changed_at = self._gave_back_at = float("-inf")
        #: Since when there was time.
        self._easy_since: float | None = None
        #: Rungs that are given up.
        self.rungs = 0

    def took(self, seconds: float, now: float) -> None:
        """Note what a frame took from its capture until it was complete; inf if it never was."""
        self._frames.append((now, seconds))
        if seconds > EASY * self._deadline or self._easy_since is None:
            self._easy_since = now
        if self._is_slow(now) and now - self._changed_at >= SETTLES:
            self._give_up(now)
        elif self.rungs and now - max(self._easy_since, self._changed_at) >= self._patience:
            self.rungs -= 1
            self._changed_at = self._gave_back_at = now

    def forget(self) -> None:
        """Forget what frames took: it says nothing of what they will."""
        self._frames.clear()
        self._easy_since = None

    def saves(self, size: float, rate: float | None) -> int:
        """Return the rungs that are given up on one line.

        Args:
            size: bytes of a frame there.
            rate: bytes a second that it carries in a burst; None where nobody knows.
        """
        if not rate:
            return min(self.rungs, UNKNOWN)
        return self.rungs if size / rate >= GAIN * self._deadline else 0

    def _is_slow(self, now: float) -> bool:
        frames = list(self._frames)
        recent = [took for at, took in frames if now - at < SPAN]
        if len(recent) < ENOUGH:
            recent = [took for _, took in frames[-ENOUGH:]]
        slow = sum(took > SLOW * self._deadline for took in recent)
        return len(recent) >= ENOUGH and slow >= SHARE * len(recent)

    def _give_up(self, now: float) -> None:
        if now - self._gave_back_at < PROOF:
            self._patience = min(2 * self._patience, PATIENCE_MOST)
            self._gave_back_at = float("-inf")
        if self.rungs < MOST:
            self.rungs += 1
            self._changed_at = now
