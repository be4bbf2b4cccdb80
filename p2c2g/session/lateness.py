"""Whether chunks are late again and again, or were once.

Pure.  A peer that dies and a moment of standing still make frames late that no setting would have
saved.  It is a habit where half of a second's frames lack something, or some in each of three
seconds.
"""

from __future__ import annotations

from collections import deque

#: Seconds, and frames of each at least; share of these that lack something: in one, in each.
SPAN, ENOUGH = 3, 4
AT_ONCE, EACH = 0.5, 0.1
#: Frames that are kept: more than there are in that time.
_KEEP = 1024


class Lateness:
    """The late chunks of one session."""

    def __init__(self) -> None:
        self._frames: deque[tuple[float, float]] = deque(maxlen=_KEEP)

    def shown(self, awaited: int, missing: int, now: float) -> None:
        """Note a frame that waited for so many chunks, of which some were not there in time."""
        self._frames.append((now, missing / awaited))

    def forget(self) -> None:
        """Forget what was: it says nothing of what is."""
        self._frames.clear()

    def share(self, now: float) -> float:
        """Return the share of chunks that are late, where that is a habit; else 0."""
        seconds: list[list[float]] = [[] for _ in range(SPAN)]
        for at, missing in reversed(self._frames):
            if now - at >= SPAN:
                break
            if at <= now:
                seconds[int(now - at)].append(missing)
        if _lacking(seconds[0]) >= AT_ONCE:
            return sum(seconds[0]) / len(seconds[0])
        if all(_lacking(each) >= EACH for each in seconds):
            return sum(map(sum, seconds)) / sum(map(len, seconds))
        return 0.0


def _lacking(frames: list[float]) -> float:
    return sum(each > 0 for each in frames) / len(frames) if len(frames) >= ENOUGH else 0.0
