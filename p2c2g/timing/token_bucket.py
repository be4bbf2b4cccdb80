"""Leave to do something now and then."""

from __future__ import annotations


class TokenBucket:
    """Leave for a share of what is done, and for a burst of some at once.

    Args:
        share: tokens that each chunk earns, from 0 to 1.
        burst: tokens kept at most, and at the start.
    """

    def __init__(self, share: float, burst: float) -> None:
        if not 0 <= share <= 1 or burst < 0:
            raise ValueError(f"share={share}, burst={burst} cannot be: give 0 to 1, and 0 or more")
        self._share = share
        self._burst = burst
        self._tokens = burst
        #: What was asked for and not granted.
        self.refused = 0

    def earn(self, chunks: int = 1) -> None:
        """Note chunks that were sent for the first time."""
        self._tokens = min(self._burst, self._tokens + self._share * chunks)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no token to take."""
        return self._tokens < 1

    def take(self) -> bool:
        """Take a token, if there is one."""
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        return True
