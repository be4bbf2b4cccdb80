"""When the samples of a stream were captured; pure.

Samples come in lumps, some late and none early.  So the stream's beginning, by the clock, is the
earliest that any lump of late speaks for: the time at which it came less what has come before it.
A sound card's own clock runs a little faster or slower than the session's, so old lumps are
forgotten.
"""

from __future__ import annotations

from collections import deque

#: Seconds for which a lump counts.
WINDOW = 4.0


class SampleClock:
    """The times of a stream's samples.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._count = 0
        # (when it came, the beginning that it speaks for): rising in both, as of a sliding minimum.
        self._least: deque[tuple[float, float]] = deque()

    def came(self, samples: int, now: float) -> float:
        """Return when the first of so many samples was captured.

        Args:
            samples: that came now, after all earlier ones.
            now: in seconds of the session's clock.
        """
        first = self._count
        self._count += samples
        beginning = now - self._count / self._rate
        least = self._least
        while least and least[-1][1] >= beginning:
            least.pop()
        least.append((now, beginning))
        while now - least[0][0] > WINDOW:
            least.popleft()
        return least[0][1] + first / self._rate

    def begin_anew(self) -> None:
        """Forget the stream: the next samples are another's."""
        self._count = 0
        self._least.clear()
