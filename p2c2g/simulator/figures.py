"""What came of one simulated session, as an observer of its decisions."""

from __future__ import annotations

from collections import Counter
from typing import Any

from p2c2g.media.frame import ChunkKey
from p2c2g.media.picture import FrameState
from p2c2g.session.flicker import Flicker
from p2c2g.session.frames import Shown, Way
from p2c2g.session.observer import Observer
from p2c2g.simulator.peers import GOOD


class Figures(Observer):
    """The counters of one simulated session."""

    def __init__(self) -> None:
        #: Frames by how they ended, and chunks: enhanced, late, or never sent.
        self.states: Counter[FrameState] = Counter()
        self.chunks: Counter[str] = Counter()
        #: Runs sent of each chunk in flight, and chunks by how many runs they had.
        self._sent: Counter[ChunkKey] = Counter()
        self.runs_of_chunks: Counter[int] = Counter()
        #: Seconds from capture to complete, or to the deadline.
        self.latencies: list[float] = []
        #: Complete and other frames by the second of their capture.
        self.timeline: Counter[tuple[int, FrameState]] = Counter()
        #: Changes of chunks between enhanced and base.
        self.flicker = Flicker()
        self.lies_found = 0
        self.lies_shown = 0
        self.order_violations = 0
        self._last_shown = -1

    def run_sent(self, key: ChunkKey, attempt: int, peer: str, size: int) -> None:
        """Count the runs of a chunk."""
        self._sent[key] += 1

    def frame_shown(self, shown: Shown[Any, Any]) -> None:
        """Count a frame and its chunks."""
        frame = shown.frame
        for index, way in enumerate(frame.plan.ways):
            part = shown.parts.get(index)
            if part is not None:
                self.chunks["enhanced"] += 1
                self.lies_shown += not part.payload.startswith(GOOD)
            else:
                self.chunks["late" if frame.was_sent and way is Way.SENT else "unsent"] += 1
            self.runs_of_chunks[self._sent.pop((frame.number, index), 0)] += 1
        state = FrameState.COMPLETE if shown.complete else FrameState.DEGRADED
        self.states[state] += 1
        self.timeline[int(frame.captured_at), state] += 1
        self.flicker.shown(shown.parts, frame.plan.ways, shown.shown_at)
        if frame.plan.awaited or not frame.plan.known:
            done = shown.shown_at if frame.completed_at is None else frame.completed_at
            self.latencies.append(done - frame.captured_at)
        self.order_violations += frame.number <= self._last_shown
        self._last_shown = frame.number
