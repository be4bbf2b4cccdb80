"""What this peer has done since it started, and of late."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Any, Final

from celery import signals

from p2c2g.errors import CodecError, WireError
from p2c2g_workers.request import whose

#: Chunks that are remembered one by one; the oldest are dropped.
KEPT: Final = 24
#: Seconds for which somebody counts as served after a chunk.
SERVED: Final = 60.0
#: Of whom it is known at most; who came longest ago is forgotten.
MOST_SERVED: Final = 1024
#: Looks over which the rate is taken.
_LOOKS: Final = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """One that was done.

    Args:
        at: seconds since 1970.
        seconds: that it took.
        size: bytes of what it added.
        whose: gamer or session.
    """

    at: float
    seconds: float
    size: int
    whose: str


class Done:
    """Counts what is done.  Thread-safe.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[Chunk] = deque(maxlen=KEPT)
        self._served: dict[str, float] = {}
        self._looks: deque[tuple[float, int]] = deque([(clock(), 0)], maxlen=_LOOKS)
        self.chunks = 0
        self.failed = 0
        self.worked = 0.0

    def note(self, seconds: float, size: int, whose: str) -> None:
        """Note one chunk."""
        now = self._clock()
        with self._lock:
            self.chunks += 1
            self.worked += seconds
            self._recent.append(Chunk(now, seconds, size, whose))
            self._served.pop(whose, None)
            self._served[whose] = now
            if len(self._served) > MOST_SERVED:
                del self._served[next(iter(self._served))]

    @property
    def last(self) -> float | None:
        """Return when the last one was done."""
        with self._lock:
            return self._recent[-1].at if self._recent else None

    def recent(self) -> list[Chunk]:
        """Return the last ones, the newest first."""
        with self._lock:
            return list(self._recent)[::-1]

    def gamers(self) -> int:
        """Return whom it worked for in the last minute."""
        now = self._clock()
        with self._lock:
            self._served = {who: at for who, at in self._served.items() if now - at < SERVED}
            return len(self._served)

    def look(self) -> float:
        """Return the chunks a second since some looks ago: for one caller, who looks regularly."""
        now = self._clock()
        with self._lock:
            then, before = self._looks[0]
            self._looks.append((now, self.chunks))
            return max(0.0, (self.chunks - before) / max(now - then, 1e-3))


class Counting:
    """Has a worker's chunks counted, from now until :meth:`close`.

    Args:
        done: counts.
    """

    def __init__(self, done: Done) -> None:
        self._done = done
        # Weakly held by the signal.
        signals.task_postrun.connect(self._on_end, dispatch_uid="p2c2g-done")

    def close(self) -> None:
        """Count no more."""
        signals.task_postrun.disconnect(dispatch_uid="p2c2g-done")

    def _on_end(self, task: Any = None, retval: Any = None, **_: Any) -> None:
        result, payload = getattr(retval, "result", None), getattr(retval, "payload", None)
        if result is None or not isinstance(payload, bytes):
            # What was wrong with a chunk is its sender's doing.
            if isinstance(retval, Exception) and not isinstance(retval, (WireError, CodecError)):
                self._done.failed += 1
            return  # It failed, or is none of the pool's.
        request = getattr(task, "request", None)
        self._done.note((result.done_us - result.started_us) / 1e6, len(payload), whose(request))
