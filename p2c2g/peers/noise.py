"""Who fills a line with what nobody asked for, and is not listened to for a while.

In an open pool each peer has a stream of its own for each session, and each gamer a queue at each
peer.  They can write there what they like, as fast as they like: what is no result and no chunk
costs the reader's line and its time, though none of it is believed.  So both sides stop reading
what comes from somebody who is loud.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final

from p2c2g.timing.bucket import TokenBucket

#: Bytes of it that one may send at once, and each second: honest ones send a failure now and
#: then, and what was on its way when something ended.
BURST: Final = 4 << 20
RATE: Final = 64 << 10
#: Bytes that an entry counts for beside its own: what it costs to read it at all.
ENTRY: Final = 4096


class Noise:
    """What came of each sender that was of no use.  Thread-safe.

    It remembers them only for as long as they have something to be forgiven.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._heard: dict[str, TokenBucket] = {}
        self._loud: set[str] = set()

    def heard(self, sender: str, size: int) -> None:
        """Note an entry of so many bytes that was of no use."""
        now = self._clock()
        with self._lock:
            bucket = self._heard.setdefault(sender, TokenBucket(RATE, BURST))
            bucket.fill(now)
            bucket.spend(ENTRY + size)
            if bucket.tokens < 0:
                self._loud.add(sender)

    def loud(self) -> frozenset[str]:
        """Return who is not to be listened to: each until all that it sent is forgiven."""
        now = self._clock()
        with self._lock:
            for sender, bucket in tuple(self._heard.items()):
                bucket.fill(now)
                if bucket.tokens >= BURST:
                    del self._heard[sender]
                    self._loud.discard(sender)
            return frozenset(self._loud)
