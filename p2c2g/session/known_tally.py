"""Counts what was known of the chunks of a session: the hit rates of its report and readout."""

from __future__ import annotations

import threading
from collections import Counter, deque

from p2c2g.media.frame import ChunkKey
from p2c2g.session.frames import Basis, FramePlan, Way
from p2c2g.session.observer import Observer

#: Frames of late, of which the readout tells.
_LATELY = 64


class KnownTally(Observer):
    """The hit rates of one session.  Thread-safe.

    Each chunk of a frame counts once: as *sent*; as *shared*, where it was sent with an earlier
    frame; as *unchanged*, *near* or *cached*, on whose grounds its residual was known; or as *left
    out*.  Of those that were known, *refreshed* counts those that were asked for anew, and
    *trickled* those that were sent for examinations alone.  *by peers* counts the results that a
    peer knew already.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._by_peers = 0
        self._lately: deque[tuple[int, int]] = deque(maxlen=_LATELY)

    def frame_planned(self, number: int, plan: FramePlan) -> None:
        """Count the chunks of a frame."""
        counts = Counter(basis.value for basis in plan.bases.values())
        ways = Counter(plan.ways)
        counts["sent"] = ways[Way.SENT]
        counts["shared"] = ways[Way.SHARED]
        counts["left_out"] = ways[Way.LEFT_OUT]
        counts["refreshed"] = ways[Way.BOTH] - len(plan.trickled)
        counts["trickled"] = len(plan.trickled)
        with self._lock:
            self._counts += counts
            self._lately.append((len(plan.known) + ways[Way.SHARED], len(plan.ways)))

    def peer_knew(self, key: ChunkKey, peer: str) -> None:
        """Count a result that its peer had not to work for."""
        with self._lock:
            self._by_peers += 1

    def figures(self) -> dict[str, int | float]:
        """Return the figures of the whole session, for its report."""
        with self._lock:
            counts, by_peers = self._counts.copy(), self._by_peers
        found: dict[str, int | float] = {basis.value: counts[basis.value] for basis in Basis}
        names = ("shared", "refreshed", "trickled", "sent", "left_out")
        found |= {name: counts[name] for name in names}
        known = sum(counts[basis.value] for basis in Basis) + counts["shared"]
        total = known + counts["sent"] + counts["left_out"]
        return {**found, "by_peers": by_peers, "share": round(known / total, 4) if total else 0.0}

    def lately(self) -> float:
        """Return of which share of the chunks of late the residual was known, from 0 to 1."""
        with self._lock:
            known = sum(each for each, _ in self._lately)
            total = sum(each for _, each in self._lately)
        return round(known / total, 3) if total else 0.0
