"""A token bucket: a rate that is kept on average, and a burst at once."""

from __future__ import annotations


class TokenBucket:
    """Leave for so many of something, filled by what is done or by the time that passes.

    It is full at the start.  Who knows beforehand what something costs takes a token for it;
    who learns it later spends what it was, and the bucket may be overdrawn.

    Args:
        rate: tokens for each unit that is earned, or for each second; 0 or more.
        burst: tokens that it holds at most; 0 or more.
    """

    def __init__(self, rate: float, burst: float) -> None:
        if not (rate >= 0 and burst >= 0):
            raise ValueError(f"rate={rate}, burst={burst} cannot be: give 0 or more of each")
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at: float | None = None
        #: How often a token was asked for and not granted.
        self.refused = 0

    @property
    def tokens(self) -> float:
        """Return what it holds; below 0 where it is overdrawn."""
        return self._tokens

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no token to take."""
        return self._tokens < 1

    def earn(self, units: float = 1) -> None:
        """Note so many units of what fills it, such as chunks that were sent."""
        self._tokens = min(self._burst, self._tokens + self._rate * units)

    def fill(self, now: float) -> None:
        """Note that it is ``now`` seconds: the time since the last call fills it."""
        if self._at is None:
            self._at = now
        elif now > self._at:
            self.earn(now - self._at)
            self._at = now

    def take(self) -> bool:
        """Take a token, if there is one."""
        if self.is_empty:
            self.refused += 1
            return False
        self._tokens -= 1
        return True

    def spend(self, tokens: float) -> None:
        """Take so many tokens, whether they are there or not; below 0 some are given back.

        What is more than it holds then is gone at the next look.
        """
        self._tokens -= tokens
