"""When nothing is asked for: where even one chunk of each frame comes and goes.

Pure.  What comes and goes flickers, which is worse than the base layer alone.  After a while
without anything it is tried again, and after twice that where it was in vain.
"""

from __future__ import annotations

from math import inf
from typing import Final

#: Seconds for which one chunk of each frame is too much for the peers now and then, after which
#: none is asked for.
FLICKERS_FOR: Final = 1.0
#: For so many seconds at first, and at most.
REST, REST_MOST = 6.0, 60.0
#: Seconds that one look counts for at most, and those without that make up for as many with it.
LOOK_MOST, EASES = 0.5, 0.25


class Resting:
    """The rests of one session."""

    def __init__(self) -> None:
        #: Seconds of the session's clock until which nothing is asked for.
        self.until = -inf
        #: For how long it flickered of late, and for how long the next rest is.
        self._flickered, self._next = 0.0, REST
        self._looked_at = -inf

    def look(self, now: float, *, flickers: bool) -> None:
        """Take note of whether the one chunk that is asked for is too much just now."""
        passed = min(now - self._looked_at, LOOK_MOST)
        self._looked_at = now
        self._flickered = max(self._flickered + (passed if flickers else -EASES * passed), 0.0)
        if self._flickered >= FLICKERS_FOR:
            if now - self.until > self._next:
                self._next = REST
            self.until = now + self._next
            self._next = min(2 * self._next, REST_MOST)
            self._flickered = 0.0

    def forget(self) -> None:
        """Take note that more than one is asked for: what flickered is no matter any more."""
        self._flickered = 0.0
