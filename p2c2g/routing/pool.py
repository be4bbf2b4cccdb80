"""Which of all peers one session sends to: as many as it needs, and the best of them.

Pure.  A pool that is as small as it may be keeps the session's knowledge of its peers fresh,
and leaves the others to other sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.prediction import speed

#: Members at least, where there are so many: each of a chunk's three runs has a peer of its own.
LEAST = 4
MOST = 32
#: Capacity that is wanted, as a multiple of the need: queues grow steeply beyond two thirds.
SPARE = 2.5
#: Share of that beyond which members are not needed.
SURPLUS = 0.25
#: Seconds that a member stays at least, that a surplus lasts before one leaves, and that who
#: could not make the deadline is not asked back.
STAY = 3.0
#: Seconds for which one out of reach is tried again: what is known of it is old by then.
TRY = 1.0
#: Points of rank by which another peer has to be better to take a member's place.
BETTER = 15.0
#: Points of rank that are no difference: the faster one comes first.
EQUAL = 5.0
#: Share of the deadline within which a peer's 95th percentile should be when it joins.
COMFORT = 0.9

#: Megapixels of a chunk where nobody says: a quarter of 1280x720.
QUARTER = 0.2304


class SessionPool:
    """The peers of one session.

    A peer *joins* while what the members can do is below ``spare`` times the need, or while
    there are fewer than ``least``: highest rank first, and of those that differ by less than
    ``EQUAL`` points the fastest.  Where ``most`` members are still too slow together, faster
    peers take the places of the slowest.

    A member *leaves* at once when it is no longer among the ranked, or when its round trip and the
    95th percentile of its work exceed the deadline.  It leaves after ``stay`` seconds or more

    * when its rank has fallen: somebody outside has ``BETTER`` points more and the pool stays
      as able, or a quarter more able than is wanted; one such exchange an update;
    * when it is not needed: the others alone can do a quarter more than is wanted, and have
      been able to for ``stay`` seconds; the last in rank go first.

    Who is out of reach gets nothing, so nothing new is known of it either, such as that it was only
    cold.  Where a chunk has no other way than by a member, and there are fewer than ``least``, who
    has been out for ``stay`` seconds is *tried*: it is a member for ``TRY`` seconds.

    What other sessions keep waiting at a peer is theirs: a peer counts with the share of its
    speed that an equal division leaves.

    Args:
        megapixels: of a chunk's result: the largest, where they differ.
        least: members at least, where so many are fit.
        most: members at most.
        spare: capacity wanted ÷ need.
        stay: seconds, see above.
    """

    def __init__(
        self,
        megapixels: float = QUARTER,
        *,
        least: int = LEAST,
        most: int = MOST,
        spare: float = SPARE,
        stay: float = STAY,
    ) -> None:
        self._megapixels = megapixels
        self._least = least
        self._most = most
        self._spare = spare
        self._stay = stay
        self._inside: dict[str, Candidate] = {}
        self._joined_at: dict[str, float] = {}
        # Of those that are ranked, so bounded by them.
        self._unfit_at: dict[str, float] = {}
        self._tried_until: dict[str, float] = {}
        self._surplus_since: float | None = None
        self._members: tuple[Candidate, ...] = ()

    @property
    def members(self) -> tuple[Candidate, ...]:
        """Return the members; the same object until somebody joins or leaves."""
        return self._members

    @property
    def capacity(self) -> float:
        """Return the megapixels a second that the members have for this session."""
        return sum(map(share, self._inside.values()))

    def update(
        self,
        ranked: Sequence[Candidate],
        need: float,
        deadline: float,
        now: float,
        *,
        is_only_way: bool = False,
    ) -> None:
        """Let peers join and leave.

        Args:
            ranked: everybody who is ready, trusted and serves the queue, in any order.
            need: megapixels a second that the session wants done.
            deadline: seconds from sending within which a chunk should be back.
            now: seconds of the caller's clock.
            is_only_way: whether members alone get chunks.
        """
        reach = {each.id: self._reach(each) for each in ranked}
        known = {each.id: each for each in ranked}
        self._tried_until = {
            peer: until
            for peer, until in self._tried_until.items()
            if peer in known and now < until
        }
        fit = {peer for peer in known if reach[peer] <= deadline or peer in self._tried_until}
        self._unfit_at = {
            peer: at
            for peer, at in self._unfit_at.items()
            if peer in known and now - at < self._stay
        }
        self._unfit_at |= dict.fromkeys(
            (peer for peer in self._inside if peer in known and peer not in fit), now
        )
        self._inside = {peer: known[peer] for peer in self._inside if peer in fit}
        wanted = need * self._spare
        outside = sorted(
            (each for each in ranked if each.id not in self._inside and each.id in fit),
            key=lambda each: (
                each.id in self._unfit_at or reach[each.id] > COMFORT * deadline,
                *_order(each),
            ),
        )
        self._grow(outside, wanted)
        if is_only_way:
            self._try_again((each for each in ranked if each.id not in fit), now)
        self._speed_up(outside, wanted)
        self._exchange(outside, wanted, now)
        self._shrink(wanted, now)
        self._settle(now)

    def _reach(self, peer: Candidate) -> float:
        seconds_per_megapixel = max(peer.seconds_per_megapixel_p95, peer.seconds_per_megapixel)
        return peer.rtt + seconds_per_megapixel * self._megapixels

    def _grow(self, outside: list[Candidate], wanted: float) -> None:
        """Take from outside, first ones first, until there is enough."""
        capacity = self.capacity
        while outside and len(self._inside) < self._most:
            if capacity >= wanted and len(self._inside) >= self._least:
                break
            peer = outside.pop(0)
            self._inside[peer.id] = peer
            capacity += share(peer)

    def _try_again(self, unfit: Iterable[Candidate], now: float) -> None:
        """Where members are too few, take some of those out of reach of whom all is old."""
        for peer in sorted((each for each in unfit if each.id not in self._unfit_at), key=_order):
            if len(self._inside) >= self._least:
                return
            self._inside[peer.id] = peer
            self._tried_until[peer.id] = now + TRY

    def _speed_up(self, outside: list[Candidate], wanted: float) -> None:
        """Where all places are taken and it is not enough, take faster ones instead."""
        capacity = self.capacity
        if capacity >= wanted or not outside:
            return
        faster = sorted(outside, key=share)
        slowest = sorted(self._inside.values(), key=share, reverse=True)
        while capacity < wanted and faster and slowest and share(faster[-1]) > share(slowest[-1]):
            peer, gone = faster.pop(), slowest.pop()
            capacity += share(peer) - share(gone)
            self._swap(gone, peer, outside)

    def _exchange(self, outside: list[Candidate], wanted: float, now: float) -> None:
        """Let the best from outside take the place of the worst, where it is much better."""
        settled = [each for each in self._inside.values() if self._has_stayed(each, now)]
        fit = [each for each in outside if each.id not in self._unfit_at]
        if not settled or not fit:
            return
        worst = min(settled, key=lambda each: (each.score, share(each)))
        capacity = self.capacity
        enough = min(capacity, wanted * (1 + SURPLUS))
        able = (each for each in fit if capacity - share(worst) + share(each) >= enough)
        best = max(able, key=lambda each: (each.score, share(each)), default=None)
        if best is not None and best.score >= worst.score + BETTER:
            self._swap(worst, best, outside)

    def _shrink(self, wanted: float, now: float) -> None:
        """Let those go that have not been needed for a while."""
        enough = wanted * (1 + SURPLUS)
        capacity = self.capacity
        spared: list[Candidate] = []
        for peer in sorted(self._inside.values(), key=_order, reverse=True):
            if len(self._inside) - len(spared) <= self._least:
                break
            if capacity - share(peer) >= enough:
                capacity -= share(peer)
                spared.append(peer)
        if not spared:
            self._surplus_since = None
        elif self._surplus_since is None:
            self._surplus_since = now
        elif now - self._surplus_since >= self._stay:
            for peer in spared:
                if self._has_stayed(peer, now):
                    del self._inside[peer.id]

    def _swap(self, gone: Candidate, peer: Candidate, outside: list[Candidate]) -> None:
        del self._inside[gone.id]
        self._inside[peer.id] = peer
        outside[outside.index(peer)] = gone

    def _has_stayed(self, peer: Candidate, now: float) -> bool:
        return now - self._joined_at.get(peer.id, now) >= self._stay

    def _settle(self, now: float) -> None:
        self._joined_at = {peer: self._joined_at.get(peer, now) for peer in self._inside}
        members = tuple(self._inside.values())
        # By identity: one of the same id may have become another object.
        if tuple(map(id, members)) != tuple(map(id, self._members)):
            self._members = members


def share(peer: Candidate) -> float:
    """Return the megapixels a second that a peer has for one more session."""
    return speed(peer) * peer.slots / (peer.slots + peer.others)


def _order(peer: Candidate) -> tuple[float, float, str]:
    """Return a key that sorts the best peer first."""
    return -round(peer.score / EQUAL), -share(peer), peer.id
