"""What the latest of something took."""

from __future__ import annotations

from collections import deque


class RecentTimes:
    """The seconds that the latest took, the oldest forgotten.

    Args:
        length: how many are kept.
        every: percentiles are computed again after so many more.
    """

    def __init__(self, length: int = 256, every: int = 8) -> None:
        self._times: deque[float] = deque(maxlen=length)
        self._every = every
        self._new = 0
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._times)

    def add(self, seconds: float) -> None:
        """Note how long one took."""
        self._times.append(seconds)
        self._new += 1

    def quantile(self, share: float) -> float | None:
        """Return the time that ``share`` (0 to 1) of them did not exceed; None of none."""
        if not self._times:
            return None
        if self._new >= self._every or len(self._sorted) < self._every:
            self._sorted = sorted(self._times)
            self._new = 0
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]
