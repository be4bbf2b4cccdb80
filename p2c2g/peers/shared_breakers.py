"""What sessions tell each other about peers, through the broker.

One sorted set: its members are *words*, ``SESSION|PEER``, that a session has opened the breaker of
a peer, their scores the second of the *broker's* clock from which that may be tried.  The broker's
clock is the one that all sessions have in common; each knows the difference to its own.  A peer
that no session speaks of is closed.  The set is gone where there is nothing to tell.

What a word is worth is decided by who hears it (:meth:`p2c2g.peers.breaker.Breakers.share`).  Here
one that no session would write is left out: no breaker stays open for longer than
:data:`~p2c2g.peers.breaker.COOLDOWN_MOST`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from p2c2g.messaging import bounded, names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.labels import is_name
from p2c2g.peers.book import MAX_TOLD
from p2c2g.peers.breaker import COOLDOWN_MOST, Change

#: Seconds after the last change at which it is forgotten, and after which a word is no news.
LIFETIME = 3600
STALE = 600
#: Seconds that clocks may be apart beside what is known of them.
_SLACK = 5.0


class SharedBreakers:
    """One session's view of the set.  Belongs to one thread.

    Args:
        client: a client of the broker.
        clock: seconds, monotonic.
        session: this session's name, whose word is not heard again; empty for who only reads.
    """

    def __init__(
        self, client: Client, clock: Callable[[], float] = monotonic, session: str = ""
    ) -> None:
        self._client = client
        self._clock = clock
        self._session = session
        self._lies = False  # whether there are words that no session would write
        self._ahead: float | None = None  # how far the broker's clock is ahead of ours

    def sync(self, changes: Sequence[Change]) -> dict[str, dict[str, float]]:
        """Tell changes; return the seconds until a peer may be tried, by peer and other session.

        One round trip, and one more the first time.

        Raises:
            BrokerUnavailableError: the broker does not answer; nobody can tell whether the
                changes have arrived.
        """
        key = names.breakers()
        if self._ahead is None:
            with translated():
                self._note(self._client.time())
        now = self._now()
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for change in changes:
                word = f"{self._session}|{change.peer}"
                if change.seconds:
                    pipe.zadd(key, {word: now + change.seconds}, gt=True)
                else:
                    pipe.zrem(key, word)
            if changes or (self._lies and self._session):
                # Of no session: they would only keep others' words from being read.
                pipe.zremrangebyscore(key, now + COOLDOWN_MOST + _SLACK, "+inf")
                pipe.zremrangebyscore(key, "-inf", now - STALE)
            if changes:
                pipe.zremrangebyrank(key, 0, -MAX_TOLD - 1)
                pipe.expire(key, LIFETIME)
            pipe.time()
            bounded.members(pipe, key, MAX_TOLD)
            *_, time, found = pipe.execute()
        self._note(time)
        words: dict[str, dict[str, float]] = {}
        self._lies = False
        for word, score in zip(found[::2], found[1::2], strict=True):
            session, _, peer = word.decode(errors="replace").partition("|")
            left = float(score) - self._now()
            if not is_name(peer) or not -STALE <= left <= COOLDOWN_MOST + _SLACK:
                self._lies = True
            elif session != self._session or not session:
                words.setdefault(peer, {})[session] = min(left, COOLDOWN_MOST)
        return words

    def _note(self, time: Any) -> None:
        seconds, micros = time
        self._ahead = seconds + micros / 1e6 - self._clock()

    def _now(self) -> float:
        return self._clock() + (self._ahead or 0.0)
