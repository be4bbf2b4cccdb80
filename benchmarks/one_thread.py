"""How long a step takes one thread, whatever else the machine does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

#: Runs that count, and those before them that only warm up.
RUNS, WARM = 30, 3


def milliseconds(step: Callable[[], object]) -> float:
    """Return the median of some runs."""
    taken = []
    for _ in range(WARM + RUNS):
        began = time.thread_time()
        step()
        taken.append(time.thread_time() - began)
    return statistics.median(taken[WARM:]) * 1e3
