"""What sessions tell each other about peers, through the broker.

One sorted set: its members are the peers whose breaker some session has opened, their scores
the second of the *broker's* clock from which they may be tried.  The broker's clock is the
one that all sessions have in common; each knows the difference to its own.  A peer that is
not in it is closed.  The set is gone where there is nothing to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.peers.book import MAX_TOLD
from p2c2g.peers.breaker import Change

#: Seconds after the last change at which it is forgotten.
LIFETIME = 3600


class SharedBreakers:
    """One session's view of the set.  Belongs to one thread.

    Args:
        client: a client of the broker.
        clock: seconds, monotonic.
    """

    def __init__(self, client: Client, clock: Callable[[], float] = monotonic) -> None:
        self._client = client
        self._clock = clock
        self._ahead: float | None = None  # how far the broker's clock is ahead of ours

    def sync(self, changes: Sequence[Change]) -> dict[str, float]:
        """Tell changes; return the seconds until each open peer may be tried.

        One round trip, and one more the first time.

        Raises:
            BrokerUnavailableError: the broker does not answer; nobody can tell whether the
                changes have arrived.
        """
        key = names.breakers()
        if self._ahead is None and changes:
            with translated():
                self._note(self._client.time())
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for change in changes:
                if change.seconds:
                    pipe.zadd(key, {change.peer: self._now() + change.seconds}, gt=True)
                else:
                    pipe.zrem(key, change.peer)
            if changes:
                pipe.zremrangebyrank(key, 0, -MAX_TOLD - 1)
                pipe.expire(key, LIFETIME)
            pipe.time()
            pipe.zrange(key, 0, -1, withscores=True)
            *_, time, entries = pipe.execute()
        self._note(time)
        return {
            peer.decode(errors="replace"): float(score) - self._now() for peer, score in entries
        }

    def _note(self, time: Any) -> None:
        seconds, micros = time
        self._ahead = seconds + micros / 1e6 - self._clock()

    def _now(self) -> float:
        return self._clock() + (self._ahead or 0.0)
