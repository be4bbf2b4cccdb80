"""Drawing peers at random, each as often as it is fast.

Drawn by inversion: a uniform number is looked up among the running sums of the weights
(Devroye, "Non-Uniform Random Variate Generation", 1986, chapter III.2), which takes
O(log n) a draw and O(n) when the sums are made again.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.prediction import speed

#: Decisions after which the speeds are read again: they drift, and a pool's table is dear.
REBUILD_AFTER = 256


class Wheel:
    """The peers of a pool, each with a sector as wide as its speed (slots ÷ seconds_per_megapixel).

    Args:
        random: where chance comes from.
        rebuild_after: decisions after which the sectors are measured again.
    """

    def __init__(self, random: Random, rebuild_after: int = REBUILD_AFTER) -> None:
        self._random = random.random
        self._rebuild_after = rebuild_after
        self._pool: Sequence[Candidate] = ()
        self._sums: list[float] = []
        self._left = 0

    def turn_to(self, pool: Sequence[Candidate]) -> None:
        """Draw from this pool, which is not empty; called once a decision.

        The sectors are made where the pool is another object or of another length, and every
        so many decisions.
        """
        self._left -= 1
        if self._left < 0 or pool is not self._pool or len(pool) != len(self._sums):
            self._pool = pool
            self._sums = list(accumulate(map(speed, pool)))
            self._left = self._rebuild_after

    def draw(self) -> Candidate:
        """Return one peer; the same may come again."""
        sums = self._sums
        at = bisect(sums, self._random() * sums[-1])
        return self._pool[min(at, len(sums) - 1)]  # rounding may reach the end
