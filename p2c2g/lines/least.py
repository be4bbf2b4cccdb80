"""The least delay of late: what a line takes when nothing waits in it."""

from __future__ import annotations

from collections import deque

#: Seconds after which a delay that never came back is forgotten: routes change.
WINDOW = 30.0
_PARTS = 6
#: Seconds a second by which the least may creep up meanwhile: two clocks of 100 ppm each.
CREEP = 2e-4


class Least:
    """The least of the delays between two clocks.

    It is a window's least, which follows a route that became longer, or where that is higher the
    least that creeps up, which follows two clocks that drift apart.  Neither is above any delay
    that it is asked about.
    """

    def __init__(self) -> None:
        #: The least of late, in seconds; inf where there was none.
        self.value = float("inf")
        #: When each part of the window before the latest began, and its least.
        self._earlier: deque[tuple[float, float]] = deque(maxlen=_PARTS)
        self._least_earlier = float("inf")
        self._began, self._least = 0.0, float("inf")
        self._creeping = float("inf")
        self._at = 0.0

    @property
    def is_known(self) -> bool:
        """Tell whether there was any."""
        return self.value < float("inf")

    def add(self, delay: float, now: float) -> float:
        """Take a delay in seconds and return the least of late."""
        if not self.is_known:
            self._began = self._at = now
        self._creeping += CREEP * max(0.0, now - self._at)
        self._at = max(self._at, now)
        if delay < self._creeping:
            self._creeping = delay
        if now - self._began >= WINDOW / _PARTS:
            self._turn(now)
        if delay < self._least:
            self._least = delay
        self.value = max(min(self._least, self._least_earlier), self._creeping)
        return self.value

    def _turn(self, now: float) -> None:
        """Begin another part of the window."""
        earlier = self._earlier
        earlier.append((self._began, self._least))
        while earlier and now - earlier[0][0] >= WINDOW:
            earlier.popleft()
        self._least_earlier = min((least for _, least in earlier), default=float("inf"))
        self._began, self._least = now, float("inf")
