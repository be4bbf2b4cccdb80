"""The clock that jumps: events in the order of their time, and nothing in between.

Events of one moment come in the order in which they were asked for, so that a run depends on
its seed and on nothing else.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

_Event = tuple[float, int, Callable[..., object], tuple[Any, ...]]


class Engine:
    """A heap of what is to happen; what has happened is forgotten."""

    def __init__(self) -> None:
        self._heap: list[_Event] = []
        self._count = 0
        #: Seconds since the beginning.
        self.now = 0.0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def events(self) -> int:
        """Return how many events were asked for until now."""
        return self._count

    def clock(self) -> float:
        """Return the seconds since the beginning."""
        return self.now

    def at(self, when: float, call: Callable[..., object], *arguments: Any) -> None:
        """Have ``call(*arguments)`` happen at ``when``; at once where that has passed."""
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, call, arguments))

    def after(self, seconds: float, call: Callable[..., object], *arguments: Any) -> None:
        """Have ``call(*arguments)`` happen ``seconds`` from now."""
        self.at(self.now + seconds, call, *arguments)

    def run(self, until: float = float("inf")) -> None:
        """Let everything happen that is due by ``until``, in order."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(heap)
            call(*arguments)
