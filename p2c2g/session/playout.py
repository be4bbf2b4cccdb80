"""How long after its capture a frame is shown: on a schedule, never by its own arrival.

Pure.  A frame that was shown the moment it was complete would carry the network's jitter to
the eye.  So each waits until its capture plus the *playout delay*, which follows a high
percentile of recent latencies: it rises at once, since frames come late until it has risen,
and falls at a rate that nobody sees.  It is what a jitter buffer does for sound (Ramjee et
al., 1994), and what Moonlight does for games.
"""

from __future__ import annotations

from p2c2g.timing.recent import RecentTimes

#: Share of recent frames that are complete by the time they are shown.
ON_TIME = 0.98
#: Seconds of delay that may be lost in a second: 2 % faster, 0.7 ms of a frame at 30 a second.
FALL = 0.02


class Playout:
    """The playout delay of one session.

    Args:
        budget: seconds that it never exceeds, above 0.  It begins there: what is not known is
            taken to be slow.
        window: frames that it looks back on.

    Raises:
        ValueError: a budget that is not above 0.
    """

    def __init__(self, budget: float, window: int = 120) -> None:
        if not budget > 0:
            raise ValueError(f"budget={budget} cannot be: give seconds above 0")
        self._budget = budget
        self._latencies = RecentTimes(window, every=1)
        self._delay = budget
        self._at: float | None = None

    @property
    def delay(self) -> float:
        """Return the seconds from a frame's capture to its showing."""
        return self._delay

    def took(self, latency: float, now: float) -> None:
        """Note how long a frame took from its capture until it was complete.

        One that never was counts as the budget.
        """
        self._latencies.add(min(latency, self._budget))
        wanted = self._latencies.quantile(ON_TIME) or self._budget
        elapsed = max(0.0, now - self._at) if self._at is not None else 0.0
        self._at = now
        self._delay = max(wanted, self._delay - FALL * elapsed)
