"""How many chunks may be with the peers at once.

Pure.  What is in flight beyond the rate times the shortest round trip waits, whoever does the
work: no more of it comes back, only later (Kleinrock; Cardwell et al., "BBR", 2016).  So the
session keeps no more out than that, and the burst of one frame.  What finds no room is left out: it
is the base layer, and what is sent comes back as soon as from an idle pool.

The rate is not the largest of late, as in BBR, whose queue stands at twice the round trip for that:

* while no queue stands, it is what the frames ask for, and what may wait is what would still be in
  time.  A pool that stood still for a moment is used again at once, and a busy moment leaves
  nothing out;
* where a queue stands (:mod:`p2c2g.session.delivery`), it is what comes back, and next to nothing
  may wait.

Where a queue stands all the while, nobody knows any more how short the way is: it may have become
longer, as where a line falls.  So for a moment nothing is sent, until all is back, and what comes
then is the way (BBR's ProbeRTT).

Work that is lost takes up room for a moment only, so that a dead peer does not cost the others
their chunks; while nothing comes back at all, the moments get longer, and what is sent is one frame
each time to see whether somebody is there again.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2c2g.media.frame import ChunkKey
from p2c2g.session.beginning import Beginning
from p2c2g.session.delivery import Delivery

#: Seconds of a round trip while none is known.
UNKNOWN = 0.1
#: Seconds that chunks may wait while no queue stands, at most; and where one stands, at least, or
#: this part of the shortest round trip.
MAY_WAIT = 0.1
TIGHT, TIGHT_PART = 0.005, 0.25
#: Times what comes back that may go where a queue has just gone.
PROBE = 1.25
#: Seconds for which little may wait after a queue was seen, or something found no room then; and
#: for which a chunk stays out.
HOLD, STAYS_OUT = 0.5, 0.25
#: Seconds after a queue was seen for which what finds no room is a sign of it: later it finds none
#: only since so little may wait.
FOLLOWS = 1.0
#: Where one that was taken for lost comes after all, the others are waited for so many times as
#: long as it took, up to so many seconds, for so many seconds.
STUCK, STUCK_MOST, STUCK_FOR = 1.25, 1.0, 2.0
#: Seconds for which a queue stands until it is drained, seconds that this takes at most, and from
#: one time to the next, at first and at most; twice as many where it stands again.
STANDS, DRAIN_MOST, DRAIN_EVERY, DRAIN_EVERY_MOST = 1.0, 0.2, 4.0, 32.0


class Admission:
    """The bound of one session.

    Args:
        fps: frames a second that it is asked for.
        deadline: seconds after which a result is of no use.
        short: whether queues are kept short; else whatever may be in time may be out.
        lost_after: seconds after which a chunk that never came back takes up no room; twice
            as many after each such time, until one comes back.
        lost_most: seconds that this grows to at most.
        beginning: how it begins; with all chunks where None.
    """

    def __init__(
        self, fps: float, deadline: float, lost_after: float = 0.2, lost_most: float = 0.5,
        *, short: bool = True, beginning: Beginning | None = None,
    ) -> None:  # fmt: skip
        self._fps = fps
        self._deadline = deadline
        self._short = short
        self._lost_after = lost_after
        self._lost_most = max(lost_most, lost_after)
        self._patience = lost_after
        self._is_lost = False
        self._tight_until = self._came_at = self._stuck_until = float("-inf")
        self._stuck = 0.0
        #: Since when a queue stands, and since when it is drained.
        self._standing_since: float | None = None
        self._draining_since: float | None = None
        self._drained_at, self._drain_every = float("-inf"), DRAIN_EVERY
        self._risen_at = float("-inf")
        #: Until when chunks stay out, by index.
        self._out_until: dict[int, float] = {}
        #: Whether anything is known yet.
        self.beginning = beginning or Beginning(fps, deadline)
        #: What comes back.
        self.delivery = Delivery(fps)
        #: Chunks that found no room, of those that were asked for.
        self.refused = self.asked = 0
        #: Chunks that may be out, as of the latest frame.
        self.bound = 0

    @property
    def is_lost(self) -> bool:
        """Tell whether nothing has come back since chunks were given up."""
        return self._is_lost

    def admit(self, wanted: Sequence[int], now: float) -> frozenset[int]:
        """Return which chunks of a frame may leave: as many as there is room for.

        What finds no room while a queue stands stays out for a moment, so that it does not come and
        go with every frame; but for what matters most.

        Args:
            wanted: their indices, what matters most first.
            now: seconds of the session's clock.
        """
        self._lose(now)
        if self._drains(now):
            return frozenset()
        wanted = wanted[: self.beginning.most(len(wanted))]
        self.bound = round(self._bound(len(wanted), now))
        room = max(self.bound - self.delivery.out, 0)
        free = [index for index in wanted if self._out_until.get(index, now) <= now]
        kept = frozenset(free[:room])
        if now < self._tight_until and len(kept) < len(wanted):
            if now - self._risen_at < FOLLOWS and room < len(free):
                self._tight_until = now + HOLD
            rest = free[max(room, 1) :]
            # Where that is many, the controller asks for fewer at once.
            if len(rest) <= max(1, len(wanted) // 4):
                self._out_until |= dict.fromkeys(rest, now + STAYS_OUT)
        self.asked += len(wanted)
        self.refused += len(wanted) - len(kept)
        return kept

    def sent(self, key: ChunkKey, now: float) -> None:
        """Note a chunk that leaves."""
        self.delivery.sent(key, now)
        self.beginning.sent(key, now)

    def came(
        self, key: ChunkKey, peer: str, work: float, now: float, *, straight: bool = True
    ) -> None:
        """Note a result, in time or not; see :meth:`Delivery.came`."""
        self.beginning.came(key, peer, work, now)
        took = self.delivery.came(key, peer, work, now, straight=straight)
        if took is not None:
            # Not lost, but stuck: it still took up room.
            self._stuck, self._stuck_until = min(STUCK * took, STUCK_MOST), now + STUCK_FOR
        self._somebody_is_there(now)

    def failed(self, key: ChunkKey, now: float) -> None:
        """Note that a chunk's task has ended without a result."""
        self._somebody_is_there(now)
        self.beginning.failed()
        self.delivery.ended(key)

    def forget(self, key: ChunkKey) -> None:
        """Note that a chunk was not sent after all."""
        self.delivery.ended(key)

    def _somebody_is_there(self, now: float) -> None:
        usual, self._is_lost = self._lost_after, False
        self._patience = max(self._stuck, usual) if now < self._stuck_until else usual
        self._came_at = now

    def _bound(self, burst: int, now: float) -> float:
        if self.is_lost:
            return burst
        delivery, wanted = self.delivery, self._fps * burst
        least = delivery.least
        if not self._short:
            return wanted * self._deadline + burst
        if least is None:
            unknown = wanted * min(UNKNOWN, self._deadline) + burst
            return min(unknown, self.beginning.bound(burst))
        risen = delivery.risen(now)
        if risen:
            self._risen_at, self._tight_until = now, now + HOLD
        if now < self._tight_until:
            waits = max(TIGHT, TIGHT_PART * least)
            if risen:
                return min(wanted, delivery.rate(now)) * (least + waits) + burst
            # What is borne may be the way, which has become longer.
            way = least + max(waits, delivery.rise(now))
            # What comes back is also what was let go: try more, one chunk more at least.
            some = delivery.rate(now) * way
            return min(wanted * way, max(PROBE * some, some + 1)) + burst
        may_wait = min(max(self._deadline - least, TIGHT), MAY_WAIT)
        return wanted * (least + may_wait) + burst

    def _drains(self, now: float) -> bool:
        """Tell whether nothing is to be sent for a moment, so that the way is seen again."""
        delivery = self.delivery
        if self._draining_since is not None:
            if delivery.out and now - self._draining_since < DRAIN_MOST:
                return True
            self._draining_since, self._drained_at = None, now
            delivery.learn_again()
            return False
        if not self._short or not delivery.risen(now) or self.is_lost:
            self._standing_since = None
            if now - self._drained_at > 2 * self._drain_every:
                self._drain_every = DRAIN_EVERY
            return False
        if self._standing_since is None:
            self._standing_since = now
        stands = now - self._standing_since >= STANDS
        if not stands or now - self._drained_at < self._drain_every:
            return False
        if now - self._drained_at < 2 * self._drain_every:
            self._drain_every = min(2 * self._drain_every, DRAIN_EVERY_MOST)
        self._draining_since, self._standing_since = now, None
        return True

    def _lose(self, now: float) -> None:
        lost = self.delivery.lose(now - self._patience)
        if lost and now - self._came_at > self._lost_after:
            self._patience = max(min(2 * self._patience, self._lost_most), self._patience)
            self._is_lost = True
            self.beginning.lost()
