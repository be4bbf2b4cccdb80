"""What a session counts: the figures of its report and of the viewer's readout."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from p2c2g.media.frame import ChunkKey
from p2c2g.media.picture import FrameState
from p2c2g.session.attempts import Decision
from p2c2g.session.flicker import Flicker
from p2c2g.session.frames import TOLERANCE, Shown
from p2c2g.session.observer import Observer

#: The stages of a frame's way, in order; they add up to its latency.
STAGES = ("capture", "encode", "queue", "decode", "process", "result", "reassemble")
#: Samples kept of each measure, the oldest dropped: some minutes' worth.
_KEEP = 50_000
#: The same of each peer.
_KEEP_OF_PEER = 5_000
#: Sentences kept for the report, the oldest dropped.
_KEEP_NOTICES = 32
#: Chunks of late, of which is told what was run.
_KEEP_RAN = 256
#: Peers and kinds of error told apart.  Strangers name both, so what comes after that many
#: is counted under :data:`OTHERS`.
MAX_PEERS = 1024
MAX_ERRORS = 64
OTHERS = "others"


def percentiles(samples: Sequence[float], *points: int) -> dict[str, float]:
    """Return percentiles of seconds in milliseconds, such as ``{"p50": 8.1}``.

    They are interpolated (numpy's default), and 0.0 where there are no samples.
    """
    if not samples:
        return {f"p{point}": 0.0 for point in points}
    values = np.percentile(np.asarray(samples), points)
    return {
        f"p{point}": round(float(value) * 1e3, 3)
        for point, value in zip(points, values, strict=True)
    }


@dataclass(slots=True)
class PeerTally:
    """One peer's share: chunks accepted, runs failed, seconds from a chunk sent to accepted.

    ``ran`` counts the chunks by the pipeline that was run, where the choice was the peer's.
    """

    chunks: int = 0
    failed: int = 0
    ran: Counter[str] = field(default_factory=Counter)
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_KEEP_OF_PEER))


@dataclass(frozen=True, slots=True)
class _Shown:
    at: float
    latency: float
    state: FrameState
    up: int  # Bytes until then.
    down: int


def _bytes_a_second(shown: Sequence[_Shown]) -> dict[str, int]:
    """Return what was sent and came back a second between the first and the last of some frames."""
    first, last = (shown[0], shown[-1]) if shown else (None, None)
    if first is None or last is None or last.at - first.at < 0.2:
        return {"up": 0, "down": 0}
    span = last.at - first.at
    return {
        "up": round((last.up - first.up) / span),
        "down": round((last.down - first.down) / span),
    }


def _shares(ran: Counter[str]) -> dict[str, float]:
    """Return of which share of the chunks each method was run.

    A pipeline that names no method goes by its text.
    """
    methods: Counter[str] = Counter()
    for text, chunks in ran.items():
        named = [step.split(":")[2] for step in text.split(",") if step.count(":") == 2]
        methods[", ".join(named) or text] += chunks
    total = methods.total()
    return {name: round(chunks / total, 3) for name, chunks in methods.most_common()}


class Tally(Observer):
    """The counters of one session.  Thread-safe.

    Args:
        queue: the capability queue that its peers serve.
        asked: the pipeline that they are asked for.
    """

    def __init__(self, queue: str = "", asked: str = "") -> None:
        self._queue = queue
        self._asked = asked
        #: The pipelines that were run of late.
        self._ran: deque[str] = deque(maxlen=_KEEP_RAN)
        #: Frames that the source was due.
        self.captured = 0
        self.states: Counter[FrameState] = Counter()
        self.order_violations = 0
        #: Frames shown after their deadline, and after the moment that was set for them.
        self.late = 0
        self.off_schedule = 0
        #: Frames that were passed over for a newer one.
        self.passed_over = 0
        #: What there is to say now, and what was said at which second of the clock.
        self._notice = ""
        self._notices: deque[tuple[float, str]] = deque(maxlen=_KEEP_NOTICES)
        self.errors: Counter[str] = Counter()
        self.peers: dict[str, PeerTally] = {}
        #: Bytes of pictures, without what is around them: sent in all runs, and come back.
        self.up = self.down = 0
        #: Those sent of each frame that is not shown yet.
        self._up_of: Counter[int] = Counter()
        self._latencies: deque[float] = deque(maxlen=_KEEP)
        self._playout: deque[float] = deque(maxlen=_KEEP)
        self._stages: dict[str, deque[float]] = {name: deque(maxlen=_KEEP) for name in STAGES}
        self._recent: deque[_Shown] = deque(maxlen=1024)
        #: Changes of chunks between enhanced and base, and how many of all were enhanced.
        self._flicker = Flicker()
        self._enhanced: deque[float] = deque(maxlen=_KEEP)
        self._last_shown = -1
        self._first_at: float | None = None
        self._last_at = 0.0
        self._lock = threading.Lock()

    def frame_submitted(self, number: int, *, sent: bool) -> None:
        """Count the frames until this one as captured."""
        self.captured = number + 1

    def frame_shown(self, shown: Shown[Any, Any]) -> None:
        """Count a frame that is shown.

        One that does not come after all earlier ones is an order violation.  One that comes
        :data:`TOLERANCE` after its moment is off its schedule, and so long after its deadline
        it is late.
        """
        frame = shown.frame
        state = FrameState.COMPLETE if shown.complete else FrameState.DEGRADED
        with self._lock:
            self.order_violations += frame.number <= self._last_shown
            self._last_shown = max(frame.number, self._last_shown)
            self.states[state] += 1
            self._playout.append(shown.shown_at - frame.captured_at)
            self.late += shown.shown_at > frame.deadline + TOLERANCE
            self.off_schedule += shown.shown_at > frame.due + TOLERANCE
            latency = shown.ready_at - frame.captured_at
            # One of which nothing is enhanced, by choice, has waited for nothing.
            if shown.parts or frame.plan.awaited:
                self._latencies.append(latency)
            self._flicker.shown(shown.parts, frame.plan.ways, shown.shown_at)
            self._enhanced.append(len(shown.parts) / len(frame.plan.ways))
            self._up_of.pop(frame.number, None)
            self._recent.append(_Shown(shown.ready_at, latency, state, self.up, self.down))
            if self._first_at is None:
                self._first_at = shown.ready_at
            self._last_at = shown.ready_at
            for name, seconds in zip(STAGES, shown.stages or (), strict=False):
                self._stages[name].append(seconds)

    def frame_passed_over(self, number: int) -> None:
        """Count a frame that was never shown; it is among the dropped."""
        with self._lock:
            self.passed_over += 1
            self._up_of.pop(number, None)

    def noticed(self, sentence: str, now: float) -> None:
        """Keep what there is to say of the session."""
        with self._lock:
            self._notice = sentence
            if sentence:
                self._notices.append((now, sentence))

    def run_sent(self, key: ChunkKey, attempt: int, peer: str, size: int) -> None:
        """Count the bytes of a chunk that is sent."""
        with self._lock:
            self.up += size
            self._up_of[key[0]] += size

    def result_arrived(self, key: ChunkKey, peer: str, size: int) -> None:
        """Count the bytes of a result, whatever comes of it."""
        with self._lock:
            self.down += size

    def chunk_accepted(self, key: ChunkKey, peer: str, seconds: float, ran: str) -> None:
        """Count an accepted chunk of a peer, ``seconds`` after it was sent, made by ``ran``."""
        with self._lock:
            tally = self._peer(peer)
            self._ran.append(ran or self._asked)
            if ran:
                tally.ran[ran] += 1
            tally.chunks += 1
            tally.times.append(seconds)

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        """Count a failed run of a peer by its kind of error: what stands before a colon."""
        with self._lock:
            if peer:
                self._peer(peer).failed += 1
            self._error(error)

    def frame_not_sent(self, number: int, error: str) -> None:
        """Count a frame whose chunks could not be sent, and not their bytes."""
        with self._lock:
            self.up -= self._up_of.pop(number, 0)
            self._error(error)

    def _error(self, error: str) -> None:
        kind = error.partition(":")[0][:80]
        if kind not in self.errors and len(self.errors) >= MAX_ERRORS:
            kind = OTHERS
        self.errors[kind] += 1

    def _peer(self, name: str) -> PeerTally:
        if name not in self.peers and len(self.peers) >= MAX_PEERS:
            name = OTHERS
        return self.peers.setdefault(name, PeerTally())

    def frames(self, in_flight: int = 0) -> dict[str, int]:
        """Return frames by how they ended.

        Args:
            in_flight: frames that are still to be shown; what else was captured and not
                shown was dropped.
        """
        with self._lock:
            return self._frames(in_flight)

    def _frames(self, in_flight: int) -> dict[str, int]:
        return {
            "captured": self.captured,
            "complete": self.states[FrameState.COMPLETE],
            "degraded": self.states[FrameState.DEGRADED],
            "dropped": max(0, self.captured - sum(self.states.values()) - in_flight),
        }

    def live(self, now: float, in_flight: int, window: float = 2.0) -> dict[str, Any]:
        """Return the figures of the last ``window`` seconds before ``now``, for a readout."""
        with self._lock:  # Copied only: the session's threads wait meanwhile.
            shown = list(self._recent)
            first_at = self._first_at
            frames = self._frames(in_flight)
            notice = self._notice
            peers = [(name, tally.chunks) for name, tally in self.peers.items()]
            ran = Counter(self._ran)
            flicker = self._flicker.of_late(now, window)
        shown = [each for each in shown if now - window < each.at <= now]
        latencies = [each.latency for each in shown]
        span = min(window, now - first_at) if first_at is not None else 0.0
        rates = _bytes_a_second(shown)
        return {
            "fps": round(len(latencies) / span, 1) if span > 0.2 else 0.0,
            "latency_ms": percentiles(latencies, 50, 99),
            "bytes_a_second": rates,
            "mbps_up": round(rates["up"] * 8e-6, 2),
            "mbps_down": round(rates["down"] * 8e-6, 2),
            "methods": _shares(ran),
            "flicker": round(flicker, 2),
            "frames": frames,
            "peers": [
                {"id": name, "queue": self._queue, "chunks": chunks}
                for name, chunks in sorted(peers)
            ],
            "notice": notice,
        }

    def summary(self) -> dict[str, Any]:
        """Return the figures of the whole session, for its report."""
        with self._lock:
            shown = sum(self.states.values())
            span = self._last_at - (self._first_at or 0.0)
            fps = (shown - 1) / span if shown > 1 and span > 0 else 0.0
            return {
                "frames": self._frames(0),
                # Rounded down: 1.0 is every single frame.
                "success_rate": self.states[FrameState.COMPLETE] * 100_000 // self.captured / 1e5
                if self.captured
                else 0.0,
                "fps": round(fps, 2),
                "bytes": {
                    name: {
                        "total": total,
                        "a_frame": round(total / max(1, shown)),
                        "a_second": round(total / max(1, shown) * fps),
                    }
                    for name, total in (("up", self.up), ("down", self.down))
                },
                "latency_ms": percentiles(self._latencies, 50, 95, 99),
                "flicker": round(self._flicker.in_all(), 4),
                "enhanced": round(sum(self._enhanced) / max(1, len(self._enhanced)), 4),
                "playout_ms": percentiles(self._playout, 50, 95, 99),
                "shown": {"late": self.late, "off_schedule": self.off_schedule},
                # Of those dropped: the others were never captured.
                "passed_over": self.passed_over,
                "notices": [
                    {"at_s": round(at - (self._first_at or at), 1), "said": said}
                    for at, said in self._notices
                ],
                "stages_ms": {
                    name: percentiles(samples, 50, 99) for name, samples in self._stages.items()
                },
                "order_violations": self.order_violations,
                "ran": dict(sum((tally.ran for tally in self.peers.values()), Counter())),
                "errors": dict(self.errors),
                "peers": [
                    {
                        "id": peer,
                        "queue": self._queue,
                        "chunks": tally.chunks,
                        "failed": tally.failed,
                        "ran": dict(tally.ran),
                        "ms": percentiles(tally.times, 50, 99),
                    }
                    for peer, tally in sorted(self.peers.items())
                ],
            }
