"""How often chunks change between enhanced and base: what the eye sees of too little of anything.

Pure.  A chunk that is enhanced in every other frame is worse than one that never is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

#: Frames of which is remembered what changed: some seconds' worth.
_KEEP = 1024


class Flicker:
    """The changes of one session's chunks."""

    def __init__(self) -> None:
        self._enhanced: frozenset[int] | None = None
        self._recent: deque[tuple[float, int]] = deque(maxlen=_KEEP)
        self._chunks = 1
        self._began: float | None = None
        self._last = 0.0
        #: Changes of all chunks.
        self.changes = 0

    def shown(self, enhanced: Iterable[int], chunks: Collection[object], at: float) -> None:
        """Note a frame that is shown at ``at``: the indices of its chunks that are enhanced.

        What was passed over nobody has seen.
        """
        now = frozenset(enhanced)
        changed = 0 if self._enhanced is None else len(now ^ self._enhanced)
        self._enhanced, self._chunks = now, max(len(chunks), 1)
        self._began = at if self._began is None else self._began
        self._last = at
        self.changes += changed
        self._recent.append((at, changed))

    def of_late(self, now: float, window: float) -> float:
        """Return the changes a chunk and second in the ``window`` seconds before ``now``."""
        if self._began is None:
            return 0.0
        span = min(window, now - self._began)
        changes = sum(changed for at, changed in self._recent if now - window < at <= now)
        return changes / self._chunks / span if span > 0 else 0.0

    def in_all(self) -> float:
        """Return the changes a chunk and second of the whole session."""
        span = self._last - (self._began if self._began is not None else self._last)
        return self.changes / self._chunks / span if span > 0 else 0.0
