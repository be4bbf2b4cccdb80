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

A time that fits one chunk need not fit all that come.  So a better net is taken only where a slot
would have time to spare with it: else chunks wait, at last at the broker, where no peer sees for
how long.

The first chunks on a cold machine are no measure of it: their weights come from a busy disk.  So
where nothing but the base layer is left, the cheapest net is tried again after a moment, and after
twice that where it was as slow as before.

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
#: Seconds in which what is known of a method that is not run shrinks to 1/e; and of the cheapest
#: net at first, where nothing but the base layer is left.
FORGOTTEN, FORGOTTEN_FIRST = 15.0, 0.5
#: The same where it has become faster: it may be again.
FORGOTTEN_FASTER = 0.125
#: A method that comes back is as slow as before where it takes more than this part of that.
AS_SLOW = 0.7
#: Runs one after another after which a method is no newcomer any more; and the part of those
#: seconds without a run that ends such a row.
_SETTLED, _AWAY = 32, 0.25
#: Of a slot's time this part may be taken by a better net than the cheapest.
BUSY = 0.75
#: Chunks over which it is counted how many come, and seconds from which on it is a pause.
_COUNTED, _PAUSE = 16, 0.25
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
    #: Seconds in which it is forgotten where nothing but the base layer is left, and runs in a row.
    memory: float = FORGOTTEN_FIRST
    runs: int = 1

    def expected(self, now: float, memory: float = FORGOTTEN) -> float:
        return (self.mean + _FEARED * self.deviation) * self._shrunk(now, memory)

    def usual(self, now: float) -> float:
        return self.mean * self._shrunk(now, FORGOTTEN)

    def add(self, sample: float, seconds: float, now: float) -> None:
        was_away = now - seconds - self.at > _AWAY * self.memory
        if was_away and sample < AS_SLOW * self.mean:
            # What made it slow has gone, or goes.
            self.mean, self.deviation = sample, sample / 4
            self.memory, self.runs = FORGOTTEN_FASTER, 0
        elif was_away:
            self.memory, self.runs = min(2 * self.memory, FORGOTTEN), 0
        off = sample - self.mean
        self.mean += _MEAN * off
        self.deviation += _DEVIATION * (abs(off) - self.deviation)
        self.at = now
        self.runs += 1
        if self.runs >= _SETTLED:
            self.memory = FORGOTTEN_FIRST

    def _shrunk(self, now: float, memory: float) -> float:
        return math.exp(-max(0.0, now - self.at) / memory)


class MethodChooser:
    """What each method takes on this peer.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}
        #: When a method's first run ended.  Whatever began before that was cold, too: with several
        #: slots several first runs wait for the same weights.
        self._warm: dict[str, float] = {}
        #: Megapixels that came to a slot of late, and the seconds in which they did.
        self._came = self._within = 0.0

    def begins(self, megapixels: float, since: float) -> None:
        """Note a chunk, ``since`` seconds after its slot began the one before.

        The first after a pause says nothing of how many come.
        """
        if not 0 <= since <= _PAUSE:
            return
        kept = 1 - 1 / _COUNTED
        with self._lock:
            self._came = kept * self._came + megapixels
            self._within = kept * self._within + since

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
                near = self._nearest(rung)
                if near is None:
                    # Nothing was ever measured: begin with what is cheapest of those above the
                    # foot, and climb from there.
                    return rungs[-2] if afford > 0 else rungs[-1]
                pace, times = near
                is_cheapest = rung is rungs[-2]
                if not (is_cheapest or self._has_time(times * pace.usual(now))):
                    continue
                memory = pace.memory if is_cheapest else FORGOTTEN
                if times * pace.expected(now, memory) * megapixels <= afford:
                    return rung
        return rungs[-1]

    def note(self, rung: Rung, megapixels: float, seconds: float) -> None:
        """Note what a method took for a picture of so many megapixels, and that it has just ended.

        Runs that began before the method's first one had ended say nothing: the first loads
        weights and warms caches.
        """
        if megapixels <= 0 or seconds < 0:
            return
        sample, now = seconds / megapixels, self._clock()
        with self._lock:
            warm = self._warm.pop(rung.name, None)
            self._warm[rung.name] = now if warm is None else warm  # the latest last
            if len(self._warm) > MAX_METHODS:
                del self._warm[next(iter(self._warm))]
            if warm is None or now - seconds < warm:
                return
            pace = self._paces.pop(rung.name, None)
            if pace is None:
                pace = _Pace(rung.products, sample, sample / 4, now)
            else:
                pace.add(sample, seconds, now)
            self._paces[rung.name] = pace  # the latest last
            if len(self._paces) > MAX_METHODS:
                del self._paces[next(iter(self._paces))]

    def _has_time(self, pace: float) -> bool:
        """Tell whether all that comes to a slot leaves it time, at so many seconds a megapixel."""
        return pace * self._came <= BUSY * self._within or not self._within

    def _nearest(self, rung: Rung) -> tuple[_Pace, float] | None:
        """Return a pace by which to judge a method, and how many times as long that one takes.

        None where nothing at all is known.
        """
        own = self._paces.get(rung.name)
        if own is not None:
            return own, 1.0
        known = [pace for pace in self._paces.values() if pace.products > 0]
        if not known:
            return None
        # The nearest in products is the best guide.
        near = min(known, key=lambda pace: abs(pace.products - rung.products))
        return near, max(rung.products / near.products, 0.1)
