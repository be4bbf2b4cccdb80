"""What a session counts: the figures of its report and of the viewer's readout."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from p2c2g.media.frame import FrameState

#: The stages of a frame's way, in order; they add up to its latency.
STAGES = ("capture", "encode", "queue", "decode", "process", "result", "reassemble")
#: Samples kept of each measure: the latest, some minutes' worth.
_KEEP = 50_000


def percentiles(samples: Sequence[float], *points: int) -> dict[str, float]:
    """Return percentiles of seconds in milliseconds, such as ``{"p50": 8.1}``."""
    if not samples:
        return {f"p{point}": 0.0 for point in points}
    values = np.percentile(np.asarray(samples), points)
    return {
        f"p{point}": round(float(value) * 1e3, 3)
        for point, value in zip(points, values, strict=True)
    }


@dataclass(slots=True)
class PeerTally:
    """One peer's share: chunks accepted, and seconds from sending each to its result."""

    queue: str
    chunks: int = 0
    failed: int = 0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_KEEP))


@dataclass(frozen=True, slots=True)
class _Shown:
    at: float
    latency: float
    state: FrameState


class Tally:
    """The counters of one session.  It belongs to one thread; reading is safe from any."""

    def __init__(self) -> None:
        self.captured = 0
        self.states: Counter[FrameState] = Counter()
        self.order_violations = 0
        self.errors: Counter[str] = Counter()
        self.peers: dict[str, PeerTally] = {}
        self._latencies: deque[float] = deque(maxlen=_KEEP)
        self._stages: dict[str, deque[float]] = {name: deque(maxlen=_KEEP) for name in STAGES}
        self._recent: deque[_Shown] = deque(maxlen=1024)
        self._last_shown = -1
        self._first_at: float | None = None
        self._last_at = 0.0

    def shown(
        self,
        number: int,
        state: FrameState,
        captured_at: float,
        ready_at: float,
        stages: Sequence[float] | None,
    ) -> None:
        """Count a frame that was shown; ``stages`` are seconds, where it was complete."""
        if number <= self._last_shown:
            self.order_violations += 1
        self._last_shown = max(number, self._last_shown)
        self.states[state] += 1
        latency = ready_at - captured_at
        self._latencies.append(latency)
        self._recent.append(_Shown(ready_at, latency, state))
        if self._first_at is None:
            self._first_at = ready_at
        self._last_at = ready_at
        if stages is not None:
            for name, seconds in zip(STAGES, stages, strict=True):
                self._stages[name].append(seconds)

    def chunk(self, peer: str, queue: str, seconds: float) -> None:
        """Count an accepted chunk of a peer."""
        tally = self.peers.setdefault(peer, PeerTally(queue))
        tally.chunks += 1
        tally.times.append(seconds)

    def failure(self, peer: str, error: str) -> None:
        """Count a failed run."""
        if peer:
            self.peers.setdefault(peer, PeerTally("")).failed += 1
        self.errors[error.partition(":")[0]] += 1

    def frames(self, in_flight: int = 0) -> dict[str, int]:
        """Return frames by how they ended; what was due and not shown was dropped."""
        return {
            "captured": self.captured,
            "complete": self.states[FrameState.COMPLETE],
            "degraded": self.states[FrameState.DEGRADED],
            "dropped": max(0, self.captured - sum(self.states.values()) - in_flight),
        }

    def live(self, now: float, in_flight: int, window: float = 2.0) -> dict[str, Any]:
        """Return the figures of the last seconds, for a readout."""
        recent = [shown for shown in list(self._recent) if shown.at > now - window]
        span = min(window, now - (self._first_at if self._first_at is not None else now))
        return {
            "fps": round(len(recent) / span, 1) if span > 0.2 else 0.0,
            "latency_ms": percentiles([shown.latency for shown in recent], 50, 99),
            "frames": self.frames(in_flight),
            "peers": [
                {"id": peer, "queue": tally.queue, "chunks": tally.chunks}
                for peer, tally in sorted(self.peers.items())
            ],
        }

    def summary(self) -> dict[str, Any]:
        """Return the figures of the whole session, for its report."""
        shown = sum(self.states.values())
        span = self._last_at - (self._first_at or 0.0)
        return {
            "frames": self.frames(),
            "success_rate": round(self.states[FrameState.COMPLETE] / self.captured, 5)
            if self.captured
            else 0.0,
            "fps": round((shown - 1) / span, 2) if shown > 1 and span > 0 else 0.0,
            "latency_ms": percentiles(self._latencies, 50, 95, 99),
            "stages_ms": {
                name: percentiles(samples, 50, 99) for name, samples in self._stages.items()
            },
            "order_violations": self.order_violations,
            "errors": dict(self.errors),
            "peers": [
                {
                    "id": peer,
                    "queue": tally.queue,
                    "chunks": tally.chunks,
                    "failed": tally.failed,
                    "ms": percentiles(tally.times, 50, 99),
                }
                for peer, tally in sorted(self.peers.items())
            ],
        }
