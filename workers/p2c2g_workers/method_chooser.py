"""The choice of a net by the time that is left: the best one that a chunk can still afford.

A pipeline may leave the net to the peer (``upscale:2:ml``).  Then there is a ladder of methods,
best first, and the base layer at its foot.  For each chunk the peer takes the best one whose
expected time fits what is left of the chunk's budget: so a peer that is too slow, or busy for a
moment, makes a plainer picture before it makes a late one.

What a method takes is measured on the chunks themselves, under the present load: a mean and a
mean deviation, as TCP keeps them of its round trips (Jacobson, "Congestion avoidance and
control", SIGCOMM 1988).  One that was never run is estimated from one that was, by the products
that each needs.  The figures of one that was too slow fade with time, so that it is tried again
when it would nearly fit.

Pure; thread-safe.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

#: Where the worker notes on a request when it received it: seconds, monotonic.
RECEIVED = "p2c2g_received"
#: The share of the time left that a chunk's work may take: the rest is for encoding, a busy line
#: back and surprises.
SHARE = 0.6
#: Weights of a new sample in the mean and in the mean deviation, and deviations that are added.
_MEAN, _DEVIATION, _FEARED = 1 / 8, 1 / 4, 3.0
#: Seconds in which what is known of a method that is not run shrinks to 1/e.
FORGOTTEN = 15.0
#: Samples of a method that are thrown away: the first loads weights and warms caches.
COLD = 1
#: Methods that are kept apart; one more drops the one whose last run is longest ago.
MAX_METHODS = 32


@dataclass(frozen=True, slots=True)
class Rung:
    """A method that could be chosen, and the products that a pixel costs; 0 for next to none."""

    name: str
    products: float


@dataclass(slots=True)
class _Pace:
    """Seconds a megapixel of one method."""

    products: float
    mean: float
    deviation: float
    at: float

    def expected(self, now: float) -> float:
        shrunk = math.exp(-max(0.0, now - self.at) / FORGOTTEN)
        return (self.mean + _FEARED * self.deviation) * shrunk


class MethodChooser:
    """What each method takes on this peer.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}
        self._cold: dict[str, int] = {}

    def choose(self, rungs: Sequence[Rung], megapixels: float, left: float, turns: int = 1) -> Rung:
        """Return the best rung that fits; the last one where none does.

        Args:
            rungs: best first, not empty.
            megapixels: of the picture that goes in.
            left: seconds after which the result is of no use; may be negative.
            turns: how often work of this length has to fit one after another, with this chunk
                and those that wait beside it.
        """
        afford = SHARE * left / max(turns, 1)
        now = self._clock()
        with self._lock:
            for rung in rungs[:-1]:
                pace = self._expected(rung, now)
                if pace is None:
                    # Nothing was ever measured: begin with what is cheapest of those above the
                    # foot, and climb from there.
                    return rungs[-2] if afford > 0 else rungs[-1]
                if pace * megapixels <= afford:
                    return rung
        return rungs[-1]

    def note(self, rung: Rung, megapixels: float, seconds: float) -> None:
        """Note what a method took for a picture of so many megapixels."""
        if megapixels <= 0 or seconds < 0:
            return
        sample, now = seconds / megapixels, self._clock()
        with self._lock:
            pace = self._paces.pop(rung.name, None)
            if pace is None and self._cold.get(rung.name, 0) < COLD:
                self._cold[rung.name] = self._cold.pop(rung.name, 0) + 1
                if len(self._cold) > MAX_METHODS:
                    del self._cold[next(iter(self._cold))]
                return
            if pace is None:
                pace = _Pace(rung.products, sample, sample / 4, now)
            else:
                off = sample - pace.mean
                pace.mean += _MEAN * off
                pace.deviation += _DEVIATION * (abs(off) - pace.deviation)
                pace.at = now
            self._paces[rung.name] = pace  # the latest last
            if len(self._paces) > MAX_METHODS:
                del self._paces[next(iter(self._paces))]

    def _expected(self, rung: Rung, now: float) -> float | None:
        """Return seconds a megapixel; None where nothing at all is known."""
        own = self._paces.get(rung.name)
        if own is not None:
            return own.expected(now)
        known = [pace for pace in self._paces.values() if pace.products > 0]
        if not known:
            return None
        # The nearest in products is the best guide.
        near = min(known, key=lambda pace: abs(pace.products - rung.products))
        return near.expected(now) * max(rung.products / near.products, 0.1)
