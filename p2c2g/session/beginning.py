"""How a session begins: with two frames, and then with as many chunks as came back of these.

Pure.  Nobody knows at first what the peers can do and what their lines carry.  Who begins with
everything makes a queue in which all that follows stands, and where a line is narrow it stands for
good.  So the first frames go whole, a few of them by how much time a frame has, and the next ones
wait for them.  Their answers say how much there is: how far apart a peer's chunks come back is how
long it, or its line, takes for one (a packet train: Dovrolis et al., "Packet-dispersion
techniques", 2004).  As many chunks of a frame follow as fit into the time from one frame to the
next, always the same ones; and as soon as answers come faster, more.  What is slow once, since a
peer loads its nets, counts no longer then: the least is believed.

While a session is *cold*, and few chunks were in time yet, nothing else follows from anything:
neither peers nor lines are too slow, they are unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from p2c2g.media.frame import ChunkKey

#: Results in time before anything is concluded, and seconds after which it is in any case.
WARM, COLD = 8, 5.0
#: Part of the time from one frame to the next that its chunks may take.
FILL = 0.9
#: Before the first answer one frame may be out for each so many seconds of the deadline.
EACH = 0.05
#: Frames of which answers are put together, and peers whose times are kept; the oldest goes.
_FRAMES, _PEERS = 64, 256
#: Seconds that a chunk takes at least.
_LEAST = 1e-4


@dataclass(slots=True)
class _Train:
    """What one peer has answered of one frame: when first and last, its first work, how much."""

    first: float
    last: float
    work: float
    count: int = 1


@dataclass(slots=True)
class _Burst:
    """The chunks of one frame that are still out, and what has come of it."""

    out: int = 0
    trains: dict[str, _Train] = field(default_factory=dict)


class Beginning:
    """The beginning of one session, and each time that nothing came for a while.

    Args:
        fps: frames a second.
        deadline: seconds that a frame has.
        peers: tells how many peers there are; those that were asked may be a few of them.
        slots: tells how many chunks a peer works on at once: of fewer it answers not so fast.
        gently: whether it begins with few chunks; else with all of them.
    """

    def __init__(
        self, fps: float, deadline: float = 0.1, peers: Callable[[], int] = lambda: 0,
        slots: Callable[[str], int] = lambda _peer: 1, *, gently: bool = False,
    ) -> None:  # fmt: skip
        self._interval = 1 / fps
        self._frames_out = max(1, round(deadline / EACH))
        self._peers, self._slots = peers, slots
        self._since: float | None = None
        self._in_time = 0
        #: Whether it still begins with few chunks.
        self.is_gentle = gently
        self._heard = False
        #: Chunks of a frame; None while all may be sent.
        self._limit: int | None = None
        self._bursts: OrderedDict[int, _Burst] = OrderedDict()
        self._seconds: OrderedDict[str, float] = OrderedDict()

    # -- what happens ------------------------------------------------------------------------------

    def sent(self, key: ChunkKey, now: float) -> None:
        """Note a chunk that leaves."""
        if self._since is None:
            self._since = now
        if self.is_gentle:
            self._bursts.setdefault(key[0], _Burst()).out += 1
            if len(self._bursts) > _FRAMES:
                self._bursts.popitem(last=False)

    def came(self, key: ChunkKey, peer: str, work: float, now: float) -> None:
        """Note a result, in time or not.

        Args:
            key: the chunk.
            peer: whose.
            work: seconds that it was worked on.
            now: seconds of the session's clock.
        """
        burst = self._bursts.get(key[0]) if self.is_gentle else None
        if burst is None:
            return
        if not self._heard:
            self._heard, self._limit = True, 1
        train = burst.trains.get(peer)
        if train is None:
            burst.trains[peer] = _Train(now, now, work)
        else:
            train.last, train.count = now, train.count + 1
        burst.out -= 1
        if burst.out <= 0:
            del self._bursts[key[0]]
            self._learn(burst)

    def failed(self) -> None:
        """Note a task that ended without a result: somebody is there, and there is no hurry."""
        self._heard = True

    def lost(self) -> None:
        """Note that nothing has come for a while: one chunk is enough to see whether anybody is."""
        if self.is_gentle and not self._heard:
            self._limit = 1

    def was_in_time(self) -> None:
        """Note a chunk that came in time."""
        self._in_time += 1

    def again(self, now: float) -> None:
        """Be cold again: nothing comes any more."""
        self._in_time, self._since = 0, now

    def end(self) -> int | None:
        """End the gentle part of it; return how many chunks of a frame there was time for.

        None where that were all, or it had ended before.
        """
        limit, self._limit = self._limit, None
        self.is_gentle = False
        self._bursts.clear()
        self._seconds.clear()
        return limit

    # -- what follows ------------------------------------------------------------------------------

    def is_cold(self, now: float) -> bool:
        """Tell whether too little was in time yet, and there was not much time for it."""
        if self._in_time >= WARM:
            return False
        return self._since is None or now - self._since < COLD

    def most(self, count: int) -> int:
        """Return how many chunks of a frame may be sent, of ``count``."""
        return count if self._limit is None else min(count, self._limit)

    def bound(self, burst: int) -> float:
        """Return how many chunks may be out while nobody has answered yet."""
        return self._frames_out * burst if self.is_gentle and not self._heard else inf

    def _learn(self, burst: _Burst) -> None:
        for peer, train in burst.trains.items():
            # From the first answer on it took so long, and for that one itself as it says.
            work = max(train.work, 0.0)
            took = (train.last - train.first + work) / train.count
            slots = self._slots(peer)
            if train.count < slots:
                took = min(took, work / slots)
            took = min(max(took, _LEAST), self._seconds.pop(peer, inf))
            self._seconds[peer] = took
            if len(self._seconds) > _PEERS:
                self._seconds.popitem(last=False)
        others = max(self._peers() / len(self._seconds), 1.0)
        rate = others * sum(1 / took for took in self._seconds.values())
        self._limit = max(int(FILL * self._interval * rate), self._limit or 1, 1)
