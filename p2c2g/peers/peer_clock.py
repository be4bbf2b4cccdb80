"""What a peer's clock says, in the session's time.

A peer's monotonic clock starts anywhere and nobody trusts its wall clock.  But each chunk
gives two bounds of the offset between the clocks: it started after it was sent, and it
arrived after it was done.  The tightest of the latest bounds count, and the middle between
them is taken, as NTP does (RFC 5905, sections 8 and 10), with the least delay sought in
each direction by itself.  The spans that follow are never negative, and add up exactly.
"""

from __future__ import annotations

from collections import deque

from p2c2g.errors import WireError


class PeerClock:
    """The offset of one peer's clock.

    Args:
        window: chunks over which the tightest bounds are sought; older ones are forgotten,
            since clocks drift.
    """

    def __init__(self, window: int = 64) -> None:
        self._forward: deque[float] = deque(maxlen=window)
        self._backward: deque[float] = deque(maxlen=window)

    def spans(
        self, sent: float, started: float, done: float, arrived: float
    ) -> tuple[float, float]:
        """Split a chunk's round trip, without its work, in two.

        Args:
            sent: when it was sent, in seconds of the session's clock.
            started: when the peer started on it, in seconds of the peer's clock.
            done: when the peer was done, in seconds of the peer's clock.
            arrived: when the result arrived, in seconds of the session's clock.

        Returns:
            Seconds from sent to started and from done to arrived.

        Raises:
            WireError: the peer claims to have worked longer than the chunk was away, or to
                have been done before it started.  Nothing is learnt from that.
        """
        if not 0 <= done - started <= arrived - sent:
            raise WireError(
                f"a result claims {done - started:.6f} s of work on a chunk that was away for "
                f"{arrived - sent:.6f} s."
            )
        forward = started - sent
        backward = arrived - done
        self._forward.append(forward)
        self._backward.append(backward)
        if min(self._forward) + min(self._backward) < 0:
            # No one offset fits all of them: the clock has drifted, or begun again.
            self._forward = deque([forward], self._forward.maxlen)
            self._backward = deque([backward], self._backward.maxlen)
        offset = (min(self._forward) - min(self._backward)) / 2
        return max(0.0, forward - offset), max(0.0, backward + offset)
