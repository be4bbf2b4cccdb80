"""For how many sessions a peer works, so that each knows what its part would be.

Pure.  What counts is the time that each took of late.  Sessions that take alike count as they are,
one that takes little counts little: that is the inverse of Simpson's index, the square of the sum
over the sum of the squares.
"""

from __future__ import annotations

from collections import deque

#: Seconds of one part of what is remembered, and how many parts.
PART, PARTS = 1.0, 3
#: Sessions of a part that are told apart; the others count as one.
MANY = 256


class Sharing:
    """Who took a peer's time of late.  Not thread-safe."""

    def __init__(self) -> None:
        self._parts: deque[tuple[float, dict[str, float]]] = deque(maxlen=PARTS)

    def took(self, session: str, seconds: float, now: float) -> None:
        """Note how long a session's chunk was worked on."""
        if not self._parts or now - self._parts[-1][0] >= PART:
            self._parts.append((now, {}))
        part = self._parts[-1][1]
        name = session if session in part or len(part) < MANY else ""
        part[name] = part.get(name, 0.0) + seconds

    def sessions(self, now: float) -> float:
        """Return for how many sessions it works; 0 where nothing came of late."""
        taken: dict[str, float] = {}
        for began, part in self._parts:
            if now - began <= PART * PARTS:
                for session, seconds in part.items():
                    taken[session] = taken.get(session, 0.0) + seconds
        squares = sum(seconds * seconds for seconds in taken.values())
        return sum(taken.values()) ** 2 / squares if squares > 0 else 0.0
