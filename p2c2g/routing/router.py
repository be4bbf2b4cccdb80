"""The router of one session: keeps what is known of each peer, and asks the policy.

Pure; every call is told what time it is.  What it knows comes from three sides: the registry
(:meth:`Router.learn`, every second or so), results (:meth:`Router.answered`), and its own count of
what is out (:meth:`Router.sent`, :meth:`Router.back`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2c2g.peers.breaker import Breakers, State
from p2c2g.peers.health import Health
from p2c2g.peers.presence import Presence
from p2c2g.peers.ranking import merits, rank
from p2c2g.peers.trust import Trust
from p2c2g.routing.candidate import (
    SILENT_MOST,
    UNKNOWN_RTT,
    UNKNOWN_SECONDS_PER_MEGAPIXEL,
    Candidate,
    Job,
    Policy,
)
from p2c2g.routing.pool import SPARE, SessionPool, share

#: Results of a peer among which the shortest travel is its distance: more is a queue.
_TRAVELS = 32
#: Bits of a megapixel of results while none has come: JPEG at quality 85.
UNKNOWN_BITS = 2e6
_BITS_WEIGHT = 1 / 64
#: The part of what is wanted that trusted peers must still have so that newcomers stay out.
SLACK = 0.7
#: Peers known from their results alone; one more drops the one that was heard of least lately.
MAX_UNREGISTERED = 256


@dataclass(frozen=True, slots=True)
class Facts:
    """What the registry says of one living peer.

    ``ready`` is whether it takes chunks of this session's queue at all; ``busy`` the chunks of
    all sessions that wait or run there; ``rtt`` the seconds of a chunk's travel there and back
    as far as pings tell; ``seconds_per_megapixel`` what its probe promises, 0 where it promises
    nothing; ``line`` the megapixels a second of results that its line to the broker
    takes, inf where unknown.
    """

    id: str
    ready: bool
    slots: int = 1
    busy: int = 0
    rtt: float = UNKNOWN_RTT
    seconds_per_megapixel: float = 0.0
    region: str = ""
    line: float = float("inf")


class Router:
    """Who gets a chunk of this session.

    Args:
        policy: chooses among the pool.
        session: the session's id.
        operation: what is done to its chunks: the pipeline's text.
        megapixels: of each chunk's result, by its index.
        need: megapixels a second that the session wants enhanced.
        deadline: seconds that a chunk has.
        health: what was seen of the peers; the caller tells it results.
        trust: whose results count without a second opinion.
        breakers: the peers' breakers.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        session: str,
        operation: str,
        megapixels: Sequence[float],
        need: float,
        deadline: float,
        health: Health,
        trust: Trust,
        breakers: Breakers,
    ) -> None:
        self._policy = policy
        self._session = session
        self._operation = operation
        self._megapixels = megapixels
        self._need = need
        self._deadline = deadline
        self._health = health
        self._trust = trust
        self._breakers = breakers
        #: Bits of a megapixel of results: a moving average.
        self.bits = UNKNOWN_BITS
        self._pool = SessionPool(max(megapixels))
        self._presence = Presence()
        self._facts: dict[str, Facts] = {}
        self._candidates: OrderedDict[str, Candidate] = OrderedDict()
        self._travels: dict[str, deque[float]] = {}
        self._peaks: dict[str, int] = {}  # most chunks out at once since the last news
        self._trusted_suffice = False
        self._stale = False

    @property
    def pool(self) -> Mapping[str, Candidate]:
        """Return the candidates of the session's pool, by id."""
        return {candidate.id: candidate for candidate in self._pool.members}

    def candidate(self, peer: str) -> Candidate | None:
        """Return what is known of a peer."""
        return self._candidates.get(peer)

    def travel(self, peer: str) -> float:
        """Return the seconds to a peer and back; for an empty name, to the farthest of the pool."""
        if peer:
            candidate = self._candidates.get(peer)
            return candidate.rtt if candidate else 0.0
        return max((member.rtt for member in self._pool.members), default=0.0)

    # -- what is known ------------------------------------------------------------------------

    def learn(self, facts: Iterable[Facts], now: float) -> frozenset[str]:
        """Take over what the registry says of all living peers.

        Returns:
            Those of whom it spoke the last time, and no more: they are dead, or have left.
        """
        before = self._facts.keys()
        self._facts = {each.id: each for each in facts}
        gone = frozenset(before - self._facts.keys())
        for peer in gone:
            self._forget(peer)
        for each in self._facts.values():
            candidate = self._of(each.id)
            candidate.slots = each.slots
            candidate.region = each.region
            candidate.line = each.line
            # As many of those were ours as were out at some time since the last beat.
            ours = max(self._peaks.pop(each.id, 0), candidate.own)
            candidate.others = max(0, each.busy - ours)
            record = self._health.of(each.id, self._operation)
            standing = merits(
                record,
                self._trust.in_a_row(each.id),
                self._breakers.state(each.id, now),
                rtt=each.rtt,
            )
            candidate.score = rank(standing)
            if each.id not in self._travels:
                candidate.rtt = each.rtt
            if each.seconds_per_megapixel and record is None:
                candidate.seconds_per_megapixel = candidate.seconds_per_megapixel_p95 = (
                    each.seconds_per_megapixel
                )
        self._choose_pool(now)
        return gone

    def lose(self, peer: str, now: float) -> None:
        """Note that a peer has left or died."""
        self._facts.pop(peer, None)
        self._forget(peer)
        self._choose_pool(now)

    def answered(self, peer: str, travel: float | None, now: float) -> float:
        """Note a result of a peer.

        Args:
            peer: whose.
            travel: seconds of its way that were not work; None where nobody can tell.
            now: seconds of the caller's clock.

        Returns:
            The shortest travel of its latest results, in seconds: its distance.
        """
        candidate = self._of(peer)
        if self._breakers.state(peer, now) is not State.CLOSED:
            return candidate.rtt
        self._presence.seen(peer, now)
        candidate.last_result = now
        candidate.owes_since = now if candidate.own else float("inf")
        if travel is not None:
            travels = self._travels.setdefault(peer, deque(maxlen=_TRAVELS))
            travels.append(travel)
            candidate.rtt = min(travels)
        record = self._health.of(peer, self._operation)
        if record is not None and record.seconds_per_megapixel > 0:
            candidate.seconds_per_megapixel = record.seconds_per_megapixel
            candidate.seconds_per_megapixel_p95 = max(
                record.seconds_per_megapixel_p95, record.seconds_per_megapixel
            )
        return candidate.rtt

    def sent(self, peer: str, now: float) -> None:
        """Note a chunk that was sent to a peer's own queue."""
        if peer:
            candidate = self._of(peer)
            if not now - SILENT_MOST < candidate.owes_since <= now:
                candidate.owes_since = now
            candidate.own += 1
            self._peaks[peer] = max(self._peaks.get(peer, 0), candidate.own)

    def overdue(self, peer: str, index: int, seconds: float) -> None:
        """Note that nothing was heard of a chunk for so long: it travels that long at least."""
        candidate = self._candidates.get(peer)
        if candidate is not None:
            travels = self._travels.setdefault(peer, deque(maxlen=_TRAVELS))
            travels.append(
                max(0.0, seconds - candidate.seconds_per_megapixel * self._megapixels[index])
            )
            candidate.rtt = min(travels)

    def measured(self, index: int, size: int) -> None:
        """Note the size of a chunk's result in bytes."""
        bits = 8 * size / self._megapixels[index]
        self.bits += (bits - self.bits) * _BITS_WEIGHT

    def back(self, peer: str) -> None:
        """Note that a chunk which was sent there is no longer waited for."""
        candidate = self._candidates.get(peer)
        if candidate is not None and candidate.own:
            candidate.own -= 1

    # -- who gets it ---------------------------------------------------------------------------

    def first(self, index: int, deadline: float, now: float) -> str:
        """Return who gets a chunk's first run; empty for the capability queue."""
        return self._choose(index, deadline, (), now)

    def second(self, index: int, deadline: float, used: Collection[str], now: float) -> str:
        """Return who gets another run of it; empty where nobody is known that had none.

        The policy says; where that leaves it to the capability queue, the peer that answered
        last: it lives, has a slot free, and is as a rule one of the fast ones.
        """
        chosen = self._choose(index, deadline, tuple(used), now)
        return chosen or self._presence.other(now, used, self._may_work(now)) or ""

    def newcomer(self, busy: Collection[str], now: float) -> str:
        """Return a peer that wants probe work, and is not ``busy`` with any; empty for none.

        The one that has shown most: so one after another comes to be trusted, and early.
        """
        may_work = self._may_work(now)
        wanting = (
            peer
            for peer, facts in self._facts.items()
            if facts.ready and peer not in busy and not self._trust.is_trusted(peer)
        )
        return max(filter(may_work, wanting), key=self._trust.in_a_row, default="")

    def referee(self, used: Collection[str], now: float) -> str:
        """Return a peer for a second opinion, rather a trusted one; empty for none."""
        may_work = self._may_work(now)
        others = [
            candidate
            for candidate in self._pool.members
            if candidate.id not in used and may_work(candidate.id)
        ]
        best = max(
            others,
            key=lambda one: (self._trust.is_trusted(one.id), -one.backlog, one.last_result),
            default=None,
        )
        if best is not None:
            return best.id
        return self._presence.other(now, used, may_work) or ""

    # -- inside -------------------------------------------------------------------------------

    def _choose(self, index: int, deadline: float, used: tuple[str, ...], now: float) -> str:
        job = Job(self._session, index, self._megapixels[index], deadline, used)
        if self._stale:
            self._choose_pool(now)
        for _ in range(2):
            chosen = self._policy.choose(job, self._pool.members, now)
            if chosen is None:
                return ""
            if self._breakers.state(chosen.id, now) is State.CLOSED:
                return chosen.id
            self._choose_pool(now)
        return ""

    def _choose_pool(self, now: float) -> None:
        """Make the pool anew; newcomers are in it only where the trusted do not suffice."""
        self._stale = False
        may_work = self._may_work(now)
        eligible = [
            self._candidates[peer]
            for peer, facts in self._facts.items()
            if facts.ready and may_work(peer)
        ]
        trusted = [each for each in eligible if self._trust.is_trusted(each.id)]
        # Not to and fro: they have sufficed until they have clearly too little.
        enough = SPARE * self._need * (SLACK if self._trusted_suffice else 1.0)
        self._trusted_suffice = sum(map(share, trusted)) >= enough
        if self._trusted_suffice:
            eligible = trusted
        self._pool.update(eligible, self._need, self._deadline, now)

    def _may_work(self, now: float) -> Callable[[str], bool]:
        return lambda peer: self._breakers.state(peer, now) is State.CLOSED

    def _of(self, peer: str) -> Candidate:
        candidate = self._candidates.get(peer)
        if candidate is None:
            candidate = Candidate(
                peer,
                seconds_per_megapixel=UNKNOWN_SECONDS_PER_MEGAPIXEL,
                seconds_per_megapixel_p95=UNKNOWN_SECONDS_PER_MEGAPIXEL,
            )
            self._candidates[peer] = candidate
            if len(self._candidates) > len(self._facts) + MAX_UNREGISTERED:
                oldest = next(name for name in self._candidates if name not in self._facts)
                self._forget(oldest)
        elif peer not in self._facts:
            self._candidates.move_to_end(peer)
        return candidate

    def _forget(self, peer: str) -> None:
        self._candidates.pop(peer, None)
        self._peaks.pop(peer, None)
        self._travels.pop(peer, None)
        self._presence.forget(peer)
        self._stale = True
