"""Percentiles of a stream of positive numbers, in little room, that can be added together.

Pure.  A histogram whose buckets grow by a constant factor: DDSketch (Masson, Rim and Lee,
"DDSketch: A fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB
2019).  Any percentile is off by at most 5 % of itself, and adding two sketches gives the very
sketch of both streams.  Two things are ours: weights are halved now and then, so that old numbers
fade; and the bucket of the one percentile that is asked for is followed from number to number,
so that neither adding nor asking looks at all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log, sqrt

#: Each bucket ends at so many times the end of the one before it.
GROWTH = 1.1
#: The end of the first bucket, and of the last, in seconds.
LEAST, MOST = 1e-5, 1e3
_LOG = log(GROWTH)
BUCKETS = ceil(log(MOST / LEAST) / _LOG) + 1
#: Weight at which all weights are halved: the latest few hundred numbers count.
FULL = 400.0


class Sketch:
    """The distribution of the latest numbers.  Not thread-safe.

    Args:
        share: the percentile that is followed, as a share above 0 and below 1.
    """

    __slots__ = ("_at", "_below", "_share", "_weights", "total")

    def __init__(self, share: float = 0.95) -> None:
        self._share = share
        self._weights = [0.0] * BUCKETS
        self.total = 0.0
        # The followed bucket, and the weight of all below it.
        self._at = 0
        self._below = 0.0

    def add(self, value: float) -> None:
        """Count one number; what is out of bounds counts as the bound."""
        bucket = ceil(log(value / LEAST) / _LOG) if LEAST < value < MOST else 0
        if value >= MOST:
            bucket = BUCKETS - 1
        self._weights[bucket] += 1.0
        self.total += 1.0
        if bucket < self._at:
            self._below += 1.0
        if self.total >= FULL:
            self._halve()
        self._follow()

    def merge(self, weights: Mapping[int, float]) -> None:
        """Add another sketch's weights, by bucket; buckets that there are none of do not count."""
        for bucket, weight in weights.items():
            if 0 <= bucket < BUCKETS:
                self._weights[bucket] += weight
                self.total += weight
        while self.total >= FULL:
            self._halve()
        self._at, self._below = 0, 0.0
        self._follow()

    def weights(self) -> dict[int, float]:
        """Return the weights that are worth telling, by bucket."""
        found = enumerate(self._weights)
        return {bucket: round(weight, 1) for bucket, weight in found if weight >= 0.05}

    @property
    def value(self) -> float:
        """Return the percentile, or 0 where nothing was counted."""
        # The middle of a bucket by its factor, off by sqrt(GROWTH) at most.
        return LEAST * GROWTH**self._at / sqrt(GROWTH) if self.total else 0.0

    def _follow(self) -> None:
        wanted = self._share * self.total
        weights = self._weights
        while self._below > wanted and self._at > 0:
            self._at -= 1
            self._below -= weights[self._at]
        while self._below + weights[self._at] < wanted and self._at < BUCKETS - 1:
            self._below += weights[self._at]
            self._at += 1

    def _halve(self) -> None:
        self._weights = [weight / 2 for weight in self._weights]
        # Summed again, so that no error of rounding grows.
        self.total = sum(self._weights)
        self._below = sum(self._weights[: self._at])
