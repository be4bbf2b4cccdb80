"""What comes back from the peers: how much a second, how soon, and how much of that is waiting.

Pure.  The first chunk of a frame that a peer answers found there what earlier frames had left: if
it was away for longer than the shortest of late, less the work on it, a queue stands.  The others
of its frame wait for each other in any case, so they say nothing of that.  (BBR and GCC look at
packets; here a frame's chunks are a burst.)

The shortest is sought over some seconds, peer by peer, since a way may become longer.  Where a
queue stands all the while, that would be taken for the way (a known fault of BBR's, too), so what
is known of a peer grows by little at a time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from p2c2g.media.frame import ChunkKey

#: Seconds over which arrivals are counted, and waits are judged together.
RATE_WINDOW = 0.5
RISE_WINDOW = 0.4
#: Frames that these hold at least.
FRAMES = 4
#: Results come all the while where none of so many seconds, and frames, passed without any.
GAP, GAP_FRAMES = 0.2, 2.5
#: First answers that are needed to judge.
ENOUGH = 4
#: Seconds after which the shortest wait of a peer may grow, by this part and these seconds.
EPOCH = 5.0
GROWS, GROWS_BY = 0.25, 0.002
#: After a queue was drained it may be so many times as long.
LEARNS = 2.0
#: A queue stands where chunks wait so many seconds longer than they must, or for this part of the
#: shortest round trip if that is more.
RISEN, RISEN_PART = 0.012, 0.5
#: Weight of an answer in what is usual.
_WEIGHT = 1 / 16
#: Bounds of what is kept: arrivals, waits, peers, and lost chunks; the oldest goes.
_ARRIVALS, _WAITS, _PEERS, _LOST = 4096, 256, 256, 1024


@dataclass(slots=True)
class _Way:
    """The shortest wait of one peer: of this epoch, and as it is taken to be."""

    least: float
    newest: float
    since: float
    frame: int = -1
    is_over: bool = False


class Delivery:
    """What comes back of one session's chunks.

    Args:
        fps: frames a second: where they are few, windows are longer.
    """

    def __init__(self, fps: float = 30.0) -> None:
        #: Seconds over which arrivals are counted, and waits judged.
        self.window = max(RATE_WINDOW, FRAMES / fps)
        self._rise_window = max(RISE_WINDOW, FRAMES / fps)
        self._gap = max(GAP, GAP_FRAMES / fps)
        #: When each chunk was sent that is out, the oldest first.
        self._out: OrderedDict[ChunkKey, float] = OrderedDict()
        #: The same of those that are taken for lost.
        self._lost: OrderedDict[ChunkKey, float] = OrderedDict()
        self._arrivals: deque[float] = deque(maxlen=_ARRIVALS)
        self._waits: deque[tuple[float, float]] = deque(maxlen=_WAITS)
        self._ways: OrderedDict[str, _Way] = OrderedDict()
        self._wait: float | None = None
        self._work = 0.0

    # -- what happens ------------------------------------------------------------------------------

    def sent(self, key: ChunkKey, now: float) -> None:
        """Note a chunk that leaves."""
        self._out[key] = now

    def came(
        self, key: ChunkKey, peer: str, work: float, now: float, *, straight: bool = True
    ) -> float | None:
        """Note a result, in time or not; return how late it was, where it was taken for lost.

        Args:
            key: the chunk.
            peer: whose.
            work: seconds that it says it worked on it.
            now: seconds of the session's clock.
            straight: whether it was this peer's from the first: else it has waited elsewhere.
        """
        sent, lost = self._out.pop(key, None), None
        if sent is None:
            sent = lost = self._lost.pop(key, None)
        if sent is None:
            return None
        self._arrivals.append(now)
        took = max(now - sent, 0.0)
        work = min(max(work, 0.0), took)
        wait = took - work
        way = self._way(peer, wait, now)
        if straight and key[0] > way.frame:
            way.frame = key[0]
            self._waits.append((now, wait - way.least))
        if self._wait is None:
            self._wait, self._work = way.least, work
        self._wait += _WEIGHT * (way.least - self._wait)
        self._work += _WEIGHT * (work - self._work)
        return None if lost is None else took

    def ended(self, key: ChunkKey) -> None:
        """Note that a chunk is not out any more, without a result."""
        self._out.pop(key, None)

    def lose(self, before: float) -> int:
        """Count chunks no longer that were sent before a moment; return how many there were."""
        lost = 0
        while self._out and next(iter(self._out.values())) < before:
            key, sent = self._out.popitem(last=False)
            self._lost[key] = sent
            if len(self._lost) > _LOST:
                self._lost.popitem(last=False)
            lost += 1
        return lost

    def learn_again(self) -> None:
        """Take for the way what comes next, up to twice as long: whatever stood there is gone."""
        for way in self._ways.values():
            way.is_over = True
        self._waits.clear()

    # -- what is known -----------------------------------------------------------------------------

    @property
    def out(self) -> int:
        """Return how many chunks are out."""
        return len(self._out)

    @property
    def least(self) -> float | None:
        """Return the seconds of the shortest round trip, its work included; None while unknown."""
        return None if self._wait is None else self._wait + self._work

    def rate(self, now: float) -> float:
        """Return the chunks a second that came back of late."""
        self._forget(now)
        return len(self._arrivals) / self.window

    def flows(self, now: float) -> bool:
        """Tell whether results have come all the while of late, so that they say something."""
        self._forget(now)
        began = now - self.window
        moments = (began, *self._arrivals, now)
        return all(after - before <= self._gap for before, after in pairwise(moments))

    def rise(self, now: float) -> float:
        """Return the seconds that a frame's chunks wait of late beyond what they must."""
        waits = [wait for at, wait in self._waits if at > now - self._rise_window]
        return max(median(waits), 0.0) if len(waits) >= ENOUGH else 0.0

    def risen(self, now: float) -> bool:
        """Tell whether a queue stands."""
        return self.rise(now) > self.bearable

    @property
    def bearable(self) -> float:
        """Return the seconds of waiting up to which no queue stands."""
        return max(RISEN, RISEN_PART * (self.least or 0.0))

    # -- inside ------------------------------------------------------------------------------------

    def _way(self, peer: str, wait: float, now: float) -> _Way:
        way = self._ways.pop(peer, None)
        if way is None:
            way = _Way(wait, wait, now)
            if len(self._ways) >= _PEERS:
                self._ways.popitem(last=False)
        elif way.is_over:
            way.least = min(wait, LEARNS * way.least + GROWS_BY)
            way.newest, way.since, way.is_over = wait, now, False
        elif now - way.since > EPOCH:
            way.least = min(way.newest, way.least * (1 + GROWS) + GROWS_BY)
            way.newest, way.since = wait, now
        way.newest = min(way.newest, wait)
        way.least = min(way.least, wait)
        self._ways[peer] = way
        return way

    def _forget(self, now: float) -> None:
        while self._arrivals and self._arrivals[0] <= now - self.window:
            self._arrivals.popleft()
