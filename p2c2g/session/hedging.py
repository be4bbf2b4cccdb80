"""When a chunk that is not back is sent once more, and how often that may be.

Pure; every call is told what time it is.  A *hedge* goes out beside the first run, once that
has taken longer than the 95th percentile of recent ones (Dean and Barroso, "The Tail at
Scale", 2013); a *rerun* replaces a run that has been silent for much longer.  A peer that is late
gets no chunk twice: that would stand behind the first one.  Only one that has answered what was
sent later has lost it (:class:`Overtaken`).  Both draw on
token buckets that are filled by chunks sent, not by time: where everything is slow, the
buckets run dry and the overload is not fed.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

from p2c2g.media.frame import ChunkKey
from p2c2g.timing.bucket import TokenBucket
from p2c2g.timing.recent import RecentTimes

#: Of recent chunks' times: beyond this share of them a run is slow.
SLOW = 0.95
#: Fewer recent times than this say nothing about the slow ones.
ENOUGH = 20
#: A run is given up after so many times what is slow.
SILENCE_FACTOR = 2.0
#: Bounds of the time after which a run is given up: seconds, and a part of the deadline.
SILENCE_LEAST = 0.015
SILENCE_MOST = 0.6
#: Seconds until a run is looked at again that is silent, and of which nobody knows that it is lost.
LOOK_AGAIN = 0.015
#: Peers of whom it is kept what they answered; the one who did so longest ago goes.
_PEERS = 256
#: A hedge goes out so many medians before the deadline at the latest.
LAST_CHANCE = 1.25


class Hedging:
    """The policy of one session.

    Args:
        deadline: seconds from capture to the latest showing.
        hedge_share: hedges as a share of chunks.
        rerun_share: the same of silent chunks' reruns.
        burst: of either at once.
    """

    def __init__(
        self,
        deadline: float,
        hedge_share: float = 0.05,
        rerun_share: float = 0.25,
        burst: float = 8.0,
    ) -> None:
        self._deadline = deadline
        self._times = RecentTimes()
        self.hedges = TokenBucket(hedge_share, burst)
        self.reruns = TokenBucket(rerun_share, burst)

    def sent(self, chunks: int) -> None:
        """Note chunks that were sent for the first time."""
        self.hedges.earn(chunks)
        self.reruns.earn(chunks)

    def took(self, seconds: float) -> None:
        """Note how long a run took, from sent to accepted."""
        self._times.add(seconds)

    @property
    def hedge_after(self) -> float | None:
        """Return the seconds after which a run is slow; None while too little is known."""
        return self._times.quantile(SLOW) if len(self._times) >= ENOUGH else None

    def hedge_at(self, now: float, deadline: float) -> float | None:
        """Return when a run that is sent now is slow; None while too little is known.

        Where that would be too late for another one to be back by ``deadline``, it is so early
        that it can be, but not before most are back.
        """
        slow = self.hedge_after
        if slow is None:
            return None
        usual = self._times.quantile(0.5) or 0.0
        return min(now + slow, max(now + usual, deadline - LAST_CHANCE * usual))

    @property
    def silent_after(self) -> float:
        """Return the seconds after which a run is given up."""
        most = SILENCE_MOST * self._deadline
        slow = self.hedge_after
        return most if slow is None else min(max(SILENCE_FACTOR * slow, SILENCE_LEAST), most)

    def in_time(self, now: float, deadline: float) -> bool:
        """Tell whether a run that is sent now would, as a rule, be back by ``deadline``."""
        return now + (self._times.quantile(0.5) or 0.0) < deadline


class Overtaken:
    """What peers have answered that was sent last: what was sent to them before is lost."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, float] = OrderedDict()

    def answered(self, peer: str, sent_at: float) -> None:
        """Note that a peer has answered a run that was sent at ``sent_at``."""
        self._latest[peer] = max(self._latest.pop(peer, sent_at), sent_at)
        if len(self._latest) > _PEERS:
            self._latest.popitem(last=False)

    def is_lost(self, peer: str, sent_at: float) -> bool:
        """Tell whether a peer has answered what was sent later; anyone, for an empty name."""
        if not peer:
            return any(latest > sent_at for latest in self._latest.values())
        return self._latest.get(peer, sent_at) > sent_at


class Moment(Enum):
    """What a run's silence has come to."""

    WAITING = "waiting"  # longer than predicted of its peer: another may take it
    SLOW = "slow"  # longer than most: a hedge may help
    SILENT = "silent"  # much longer: it is given up


Entry = tuple[float, int, Moment, ChunkKey, int]


class Watch:
    """When to look at which run again.

    A heap: what is over is thrown away when it comes up, so it holds at most three moments
    of each run of the chunks in flight.
    """

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, when: float, moment: Moment, key: ChunkKey, attempt: int) -> None:
        """Look at a run at ``when``."""
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, moment, key, attempt))

    def next(self, over: Callable[[ChunkKey], bool]) -> float | None:
        """Return when the next look is due; chunks that are ``over`` need none."""
        while self._heap and over(self._heap[0][3]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[tuple[Moment, ChunkKey, int]]:
        """Take what is due at ``now``, in order."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            _, _, moment, key, attempt = heapq.heappop(self._heap)
            taken.append((moment, key, attempt))
        return taken
