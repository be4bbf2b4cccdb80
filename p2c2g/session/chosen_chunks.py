"""Which chunks are enhanced where not all can be: the middle and where there is detail, first.

Pure.  The same ones frame after frame: what changes between enhanced and base flickers, and that
is worse than the base.  So detail is a matter of seconds, and one chunk at a time gives its place
to one that is clearly better worth it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from p2c2g.media.frame import Chunk, Pixels, Size

#: Seconds between two looks at the detail, and between two exchanges.
LOOK_EVERY = 1.0
EXCHANGE_EVERY = 4.0
#: A chunk is clearly better worth it from so many times the worth on.
BETTER = 1.3
#: Worth of a chunk without detail, in parts of one with as much as the average.
FLAT = 0.25
#: Half-widths of the picture from its middle at which a chunk is worth half.
HALF_WORTH = 0.7
#: Weight of the newest look.
_WEIGHT = 0.3
#: Of so many rows one is looked at.
_ROWS = 4


class ChosenChunks:
    """The order in which the chunks of a session's frames are enhanced.

    Args:
        chunks: of every frame.
        size: of the frames.
    """

    def __init__(self, chunks: Sequence[Chunk], size: Size) -> None:
        self._middle = [_middleness(chunk, size) for chunk in chunks]
        self._detail = [1.0] * len(chunks)
        self._count = len(chunks)
        self._looked_at = self._exchanged_at = float("-inf")
        self.order: tuple[int, ...] = tuple(self._sorted(range(len(chunks))))

    def choose(self, count: int) -> frozenset[int]:
        """Return the indices of the chunks that are enhanced from now on, where it is ``count``."""
        self._count = count
        return frozenset(self.order[:count])

    def is_due(self, now: float) -> bool:
        """Tell whether it is time for a look at the detail."""
        return now - self._looked_at >= LOOK_EVERY

    def look(self, details: Sequence[float], now: float) -> None:
        """Take how much detail each chunk has (:func:`detail_of`), in any unit."""
        self._looked_at = now
        mean = sum(details) / len(details)
        if not mean > 0:
            return
        for index, detail in enumerate(details):
            self._detail[index] += _WEIGHT * (detail / mean - self._detail[index])
        inside, outside = self.order[: self._count], self.order[self._count :]
        if inside and outside and now - self._exchanged_at >= EXCHANGE_EVERY:
            worst, best = min(inside, key=self._worth), max(outside, key=self._worth)
            if self._worth(best) > BETTER * self._worth(worst):
                self._exchanged_at = now
                inside = tuple(best if each == worst else each for each in inside)
                outside = tuple(worst if each == best else each for each in outside)
        self.order = (*self._sorted(inside), *self._sorted(outside))

    def _worth(self, index: int) -> float:
        return self._middle[index] * (FLAT + self._detail[index])

    def _sorted(self, indices: Sequence[int]) -> list[int]:
        return sorted(indices, key=lambda index: (-self._worth(index), index))


def detail_of(pixels: Pixels, chunks: Sequence[Chunk]) -> list[float]:
    """Return how much detail each chunk has: the mean step from one pixel to the next.

    Args:
        pixels: a frame's, ``(height, width, 3 or more)``.
        chunks: of it.
    """
    green = pixels[::_ROWS, :, 1].astype(np.int16)
    steps = np.abs(np.diff(green, axis=1))
    found = []
    for chunk in chunks:
        rect = chunk.rect
        part = steps[rect.y // _ROWS : -(-rect.bottom // _ROWS), rect.x : rect.right - 1]
        found.append(float(part.mean()) if part.size else 0.0)
    return found


def _middleness(chunk: Chunk, size: Size) -> float:
    """Return what a chunk's place is worth: 1 in the middle, less towards the edges."""
    across = (2 * chunk.rect.x + chunk.rect.width) / size.width - 1
    down = (2 * chunk.rect.y + chunk.rect.height) / size.height - 1
    return 1 / (1 + (across**2 + down**2) / HALF_WORTH**2)
