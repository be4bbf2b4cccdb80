"""How often anyone may ask: by key, by address, and for wrong keys.

Counts are kept at the pool's broker, so that several coordinators share them, and in this process
while that does not answer: it is better to count a little too kindly than to turn all away.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from time import monotonic, time

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from p2c2g.display.door import network_of
from p2c2g.errors import P2C2GError
from p2c2g.messaging import names
from p2c2g.messaging.client import Client

logger = logging.getLogger(__name__)

#: Seconds for which a broker that did not answer is not asked again.
_PAUSE = 5.0


class TooOftenError(P2C2GError):
    """Somebody asks too often."""

    retryable = True

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too often: come again in {seconds} s.")
        self.seconds = seconds


class Limiter:
    """Counts who asks, over the last minute.

    Args:
        client: of the broker; all is counted in this process where None.
        clock: monotonic, in seconds.
    """

    def __init__(
        self, client: Callable[[], Client] | None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared: SlidingWindowCounterRateLimiter | None = None
        self._again_at = -math.inf

    def count(self, what: str, per_minute: int, who: str) -> None:
        """Count one more.

        Args:
            what: is counted, such as ``key``.
            per_minute: how many there may be.
            who: of whom.

        Raises:
            TooOftenError: it is one too many.
        """
        self._ask(what, per_minute, who, is_one_more=True)

    def check(self, what: str, per_minute: int, who: str) -> None:
        """Count nothing, and raise as :meth:`count` would."""
        self._ask(what, per_minute, who, is_one_more=False)

    def _ask(self, what: str, per_minute: int, who: str, *, is_one_more: bool) -> None:
        item = RateLimitItemPerMinute(per_minute)
        for strategy in self._strategies():
            ask = strategy.hit if is_one_more else strategy.test
            try:
                if ask(item, what, who):
                    return
                reset = strategy.get_window_stats(item, what, who).reset_time
            except StorageError:
                logger.warning("The broker does not count requests: this process does alone.")
                self._again_at = self._clock() + _PAUSE
            else:
                raise TooOftenError(min(60, max(1, math.ceil(reset - time()))))

    def _strategies(self) -> tuple[SlidingWindowCounterRateLimiter, ...]:
        """Return who is to be asked, the first that answers."""
        if self._client is None or self._clock() < self._again_at:
            return (self._own,)
        with self._lock:
            if self._shared is None:
                self._shared = SlidingWindowCounterRateLimiter(_at_broker(self._client()))
        return (self._shared, self._own)


def who_asks(address: str) -> str:
    """Return what counts as one asker: an IPv4 address, or 64 bits of an IPv6 address."""
    return network_of(address)


def _at_broker(client: Client) -> Storage:
    # It borrows the connections that the coordinator has; the address is not used then.
    return RedisStorage(
        "redis://",
        connection_pool=client.connection_pool,
        key_prefix=f"{names.celerys()}o:limits",
        wrap_exceptions=True,
    )
