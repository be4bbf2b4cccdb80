"""What a peer's clock says, in the session's time.

A peer's monotonic clock starts anywhere and nobody trusts its wall clock.  But each chunk
gives two bounds of the offset between the clocks: it started after it was sent, and it
arrived after it was done.  The tightest bounds of late, and the middle between them, are
what NTP uses (RFC 5905, clock filter); the spans that follow are never negative and add up
exactly.
"""

from __future__ import annotations

from collections import deque


class PeerClock:
    """The offset of one peer's clock.

    Args:
        window: chunks over which the tightest bounds are sought.
    """

    def __init__(self, window: int = 64) -> None:
        self._forward: deque[float] = deque(maxlen=window)
        self._backward: deque[float] = deque(maxlen=window)

    def spans(
        self, sent: float, started: float, done: float, arrived: float
    ) -> tuple[float, float]:
        """Split a chunk's travel in two.

        Args:
            sent: when it was sent, in seconds of the session's clock.
            started: when the peer started on it, in seconds of the peer's clock.
            done: when the peer was done, in seconds of the peer's clock.
            arrived: when the result arrived, in seconds of the session's clock.

        Returns:
            Seconds from sent to started and from done to arrived.
        """
        forward = started - sent
        backward = arrived - done
        self._forward.append(forward)
        self._backward.append(backward)
        offset = (min(self._forward) - min(self._backward)) / 2
        return forward - offset, backward + offset
