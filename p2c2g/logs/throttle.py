"""Equal events reported once, with a count: a thousand errors a second are one line.

Pure: it keeps keys and numbers, and is given the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Run:
    began: float
    held: int = 0


class Throttle(Generic[Key]):
    """Lets the first of equal events pass and holds the others back for a window.

    The first event of a key passes at once.  Those within ``window`` seconds of it are held
    and counted; the first one after it passes with that count and begins the next window.
    Where none comes, :meth:`due` gives the count.  Between two calls of it, at most ``most``
    keys are kept: those that began last.

    Args:
        window: seconds.
        most: keys that are kept at once, 1 or more.
    """

    def __init__(self, window: float = 1.0, most: int = 256) -> None:
        self._window = window
        self._most = most
        self._runs: OrderedDict[Key, _Run] = OrderedDict()

    def __len__(self) -> int:
        return len(self._runs)

    def offer(self, key: Key, now: float) -> int | None:
        """Return how many were held before this one passes, or None where it is held too."""
        run = self._runs.get(key)
        if run is not None and now - run.began < self._window:
            run.held += 1
            return None
        held = 0 if run is None else run.held
        self._runs[key] = _Run(now)
        self._runs.move_to_end(key)
        return held

    def due(self, now: float) -> Iterator[tuple[Key, int]]:
        """Yield and forget the keys whose window is over, and the oldest ones beyond ``most``.

        With each key goes how many it held: 0 where its first event was the only one.
        """
        while self._runs:
            key, run = next(iter(self._runs.items()))
            if now - run.began < self._window and len(self._runs) <= self._most:
                return
            del self._runs[key]
            yield key, run.held

    def rest(self) -> Iterator[tuple[Key, int]]:
        """Yield and forget every key, as :meth:`due` does."""
        yield from self.due(float("inf"))
