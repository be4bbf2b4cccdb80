"""A region of the screen stays with its peer, where that costs next to nothing.

What a peer has seen of a region a moment ago can be of use for the next frame: processors that
look back, and caches that are warm.  So a region stays where it was as long as another peer
would be sooner by no more than a stated gain.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.policy import Job, Policy

#: Seconds that a region's own peer may be later than the best.
GAIN = 0.005
#: Regions of all sessions remembered; one more drops the one that was placed least lately.
MAX_REGIONS = 4096


class Affinity:
    """Asks another policy, and keeps a region's peer where it is nearly as good.

    The region's peer keeps the chunk while its predicted finish is at most ``gain`` seconds
    after that of the other policy's choice, and not after the deadline.  A further run of a
    chunk goes elsewhere and moves no region.

    When all are full the other policy's answer counts: where it sends to the capability queue,
    so does this, and the region's peer is not forgotten.

    Args:
        best: the policy that is asked.
        gain: seconds.
        most: regions remembered.
    """

    def __init__(self, best: Policy, *, gain: float = GAIN, most: int = MAX_REGIONS) -> None:
        self._best = best
        self._gain = gain
        self._most = most
        self._homes: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._pool: Sequence[Candidate] = ()
        self._by_id: dict[str, Candidate] = {}

    def __len__(self) -> int:
        return len(self._homes)

    def choose(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        """Return who gets the job, or None for the capability queue."""
        best = self._best.choose(job, pool, now)
        if best is None or job.used:
            return best
        if pool is not self._pool or len(pool) != len(self._by_id):
            self._pool, self._by_id = pool, {each.id: each for each in pool}
        region = job.session, job.chunk
        home = self._by_id.get(self._homes.get(region, ""))
        if home is not None and home is not best:
            finish = home.finish(job.megapixels)
            if finish <= min(best.finish(job.megapixels) + self._gain, job.deadline - now):
                best = home
        self._homes[region] = best.id
        self._homes.move_to_end(region)
        if len(self._homes) > self._most:
            self._homes.popitem(last=False)
        return best
