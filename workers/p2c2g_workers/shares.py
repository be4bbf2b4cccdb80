"""Whose chunks hold up everybody else's: what a gamer of an open pool may take of a peer.

Chunks come from the gamers in turn, one of each.  That is fair where they take about as long, and
a chunk may take seconds (:mod:`p2c2g_workers.effort`): one gamer could keep every peer of a pool
busy by itself.  So whose chunk took longer than any that is of use in a game owes the others that
time, several times over, and is refused meanwhile; where nobody else is there, nobody is owed.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final

from p2c2g.errors import ProcessorError

#: Seconds that a chunk may take and owe nothing: more than a frame has.
FREE: Final = 0.25
#: For each second more, so many in which nothing else of that gamer's is begun.
OWED: Final = 8.0
#: Seconds for which a gamer counts as there after a chunk.
HERE: Final = 5.0
#: Gamers beyond which those who are not there, and owe nothing, are forgotten.
MANY: Final = 256


class Shares:
    """What the gamers of each account have taken of late.  Thread-safe.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._seen: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def check(self, gamer: str) -> None:
        """Note a chunk that comes, and refuse it where others are owed time.

        Raises:
            ProcessorError: they are; another peer may do it.
        """
        now = self._clock()
        with self._lock:
            if len(self._seen) >= MANY:
                self._forget(now)
            self._seen[gamer] = now
            owes = self._until.get(gamer, now) - now
            if owes > 0 and self._others(gamer, now):
                raise ProcessorError(
                    f"this gamer's chunks took so long that others come first for {owes:.1f} s: "
                    "send smaller ones."
                )

    def took(self, gamer: str, seconds: float) -> None:
        """Note how long a chunk took."""
        if seconds <= FREE:
            return
        now = self._clock()
        with self._lock:
            self._until[gamer] = max(now, self._until.get(gamer, now)) + OWED * (seconds - FREE)

    def _others(self, gamer: str, now: float) -> bool:
        return any(each != gamer and now - at < HERE for each, at in self._seen.items())

    def _forget(self, now: float) -> None:
        self._until = {each: until for each, until in self._until.items() if until > now}
        self._seen = {
            each: at for each, at in self._seen.items() if now - at < HERE or each in self._until
        }
