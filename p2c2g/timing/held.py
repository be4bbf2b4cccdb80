"""A rate that holds in every span of two seconds, and not only on average.

Two rules, which both have to agree.  The *span*: what went within the last :data:`SPAN` seconds,
what may still come of what was asked for, and what is asked for now are together hardly more than
the rate gives in a span.  So no span has more, whenever what was asked for comes.  Where it takes
a while at least to come, what went so long ago will have left the span by then and does not count:
else of what is asked for from afar, a part would count twice.  The *bucket* spreads that evenly:
without it a span's bytes would leave at once, and nothing for the rest of it.
"""

from __future__ import annotations

from collections import deque
from math import ceil

from p2c2g.timing.bucket import TokenBucket

#: Seconds in any of which the rate holds.
SPAN = 2.0
#: How much more than the rate a span may have: of the 5 % that are promised the rest is for clocks.
LEEWAY = 0.02
#: The part of the rate that fills the bucket: with a burst at most the rate itself in a span.
FILL = 0.95
#: Seconds of the rate that the bucket holds: the other part of a span.
BURST = SPAN * (1 - FILL)
#: Seconds until what was asked for comes that count at most: the more is on its way, the more it
#: matters where it has other sizes than were expected.
FARTHEST = 0.5
#: Seconds to which the times of what went are told apart.
_GRAIN = 0.01


class HeldRate:
    """Bytes by one direction of a line, held to a rate.  Times do not go back.

    What is known to be asked for is *promised* first, and *kept* when it has come; what comes or
    goes unasked is only noted.  Something large is let pass where the bucket is half full, and what
    it took is made up for: that bucket would else run over while it waits.

    Args:
        rate: bytes a second, above 0.
        burst: seconds of it that may go at once.
    """

    def __init__(self, rate: float, burst: float = BURST) -> None:
        if not (rate > 0 and burst > 0):
            raise ValueError(f"rate={rate}, burst={burst} cannot be: give more than 0 of each")
        self.rate = rate
        self._full = rate * burst
        self._most = rate * SPAN * (1 + LEEWAY)
        self._bucket = TokenBucket(rate * FILL, self._full)
        self._went: deque[tuple[int, float]] = deque()
        self._in_span = 0.0
        #: Bytes that were asked for and have not come.
        self.promised = 0.0
        #: All that went, and the largest share of a span.
        self.total = self.fullest = 0.0

    def fits(self, size: float, now: float, after: float = 0.0) -> bool:
        """Tell whether so many bytes may be asked for.

        Args:
            size: bytes.
            now: seconds.
            after: seconds that they take to come at least, and all that is asked for later.
        """
        self._pass(now)
        room = self._most - self._in_span - self.promised
        if after > 0 and size > room:
            room += self._left_by(now + min(after, FARTHEST))
        return size <= room and self._bucket.tokens >= min(size, self._full / 2)

    def is_full(self, now: float) -> bool:
        """Tell whether so little has gone of late that even something large may be asked for."""
        self._pass(now)
        return self._bucket.tokens >= self._full and not self.promised

    def debt(self, now: float) -> float:
        """Return the seconds until what was too much is made up for; 0 where nothing was."""
        self._pass(now)
        return max(0.0, -self._bucket.tokens) / (self.rate * FILL)

    def promise(self, size: float, now: float) -> None:
        """Note that so many bytes were asked for."""
        self._pass(now)
        self.promised += size
        self._bucket.spend(size)

    def keep(self, promised: float, size: float, now: float) -> None:
        """Note that of so many promised bytes ``size`` came, or that none will (0)."""
        self._pass(now)
        self.promised = max(0.0, self.promised - promised)
        self._bucket.spend(size - promised)
        self._note(size, now)

    def note(self, size: float, now: float) -> None:
        """Note bytes that were not promised; below 0 where fewer went than was noted."""
        self._pass(now)
        self._bucket.spend(size)
        self._note(size, now)

    def balance(self, promised: float, size: float, now: float) -> None:
        """Note that ``size`` bytes came, and that so many are promised now, in all."""
        self._pass(now)
        self._bucket.spend(size + promised - self.promised)
        self.promised = promised
        self._note(size, now)

    def share(self, now: float) -> float:
        """Return how much of the rate was used in the last span, 1 for all of it."""
        self._pass(now)
        return max(0.0, self._in_span) / (self.rate * SPAN)

    def _note(self, size: float, now: float) -> None:
        # Never earlier than it was: it must not leave the span too soon.
        grain = ceil(now / _GRAIN)
        if self._went and self._went[-1][0] >= grain:
            grain, before = self._went.pop()
            self._went.append((grain, before + size))
        else:
            self._went.append((grain, size))
        self._in_span += size
        self.total += size
        self.fullest = max(self.fullest, self._in_span / (self.rate * SPAN))

    def _left_by(self, moment: float) -> float:
        """Return how many bytes of the span will have left it by then."""
        oldest, left = (moment - SPAN) / _GRAIN, 0.0
        for grain, size in self._went:
            if grain >= oldest:
                break
            left += size
        return left

    def _pass(self, now: float) -> None:
        self._bucket.fill(now)
        oldest = (now - SPAN) / _GRAIN
        while self._went and self._went[0][0] < oldest:
            self._in_span -= self._went.popleft()[1]
        if not self._went:
            self._in_span = 0.0
