"""The router of one session: keeps each peer's candidate up to date, and asks the policy.

Pure; every call is told what time it is.  What it knows comes from three sides: the registry
(:meth:`Router.learn`, every second or so), results (:meth:`Router.answered`), and its own count of
what is out (:meth:`Router.sent`, :meth:`Router.back`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2c2g.peers.book import KnownPeer, PeerBook
from p2c2g.peers.breaker import Breakers, State
from p2c2g.peers.candidate import SILENT_MOST, UNKNOWN_RTT, Candidate
from p2c2g.peers.health import Health
from p2c2g.peers.ranking import merits, rank
from p2c2g.peers.trust import ENOUGH, Trust
from p2c2g.routing.policy import Job, Policy
from p2c2g.routing.pool import SPARE, SessionPool, share

#: Seconds for which an answer vouches that its peer lives: a message to a name that nobody has is
#: a list that nobody reads.
RECENT = 1.0
#: Bits of a megapixel of results while none has come: JPEG at quality 85.
UNKNOWN_BITS = 2e6
_BITS_WEIGHT = 1 / 64
#: The part of what is wanted that trusted peers must still have so that newcomers stay out.
SLACK = 0.7


@dataclass(frozen=True, slots=True)
class Facts:
    """What the registry says of one living peer.

    ``serves`` is whether it serves this session's queue, and ``ready`` whether it takes chunks of
    it now; ``busy`` the chunks of
    all sessions that wait or run there; ``rtt`` the seconds of a chunk's round trip as far as
    pings tell; ``seconds_per_megapixel`` what its probe promises, 0 where it promises
    nothing; ``line`` the megapixels a second of results that its line to the broker
    takes, inf where unknown.
    """

    id: str
    ready: bool
    slots: int = 1
    busy: int = 0
    rtt: float = UNKNOWN_RTT
    seconds_per_megapixel: float = 0.0
    line: float = float("inf")
    serves: bool = True


class Router:
    """Who gets a chunk of this session.

    Args:
        policy: chooses among the pool.
        session: the session's id.
        operation: what is done to its chunks: the pipeline's text.
        megapixels: of each chunk's result, by its index.
        need: megapixels a second that the session wants enhanced.
        deadline: seconds that a chunk has.
        book: the session's peers, with the candidate of each.
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
        book: PeerBook,
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
        self._book = book
        self._health = health
        self._trust = trust
        self._breakers = breakers
        #: Bits of a megapixel of results: a moving average.
        self.bits = UNKNOWN_BITS
        self._pool = SessionPool(max(megapixels))
        self._trusted_suffice = False

    @property
    def pool(self) -> Mapping[str, Candidate]:
        """Return the candidates of the session's pool, by id."""
        return {candidate.id: candidate for candidate in self._pool.members}

    def candidate(self, peer: str) -> Candidate | None:
        """Return what is known of a peer while it is there."""
        known = self._book.get(peer)
        return None if known is None else known.candidate

    def rtt(self, peer: str) -> float:
        """Return the seconds to a peer and back; for an empty name, to the farthest of the pool."""
        if peer:
            candidate = self.candidate(peer)
            return candidate.rtt if candidate else 0.0
        return max((member.rtt for member in self._pool.members), default=0.0)

    # -- what is known ------------------------------------------------------------------------

    def learn(self, facts: Iterable[Facts], now: float) -> frozenset[str]:
        """Take over what the registry says of all living peers.

        Returns:
            Those of whom it spoke the last time, and no more: they are dead, or have left.
        """
        living = {each.id: each for each in facts}
        gone = self._book.register(living)
        for known, each in zip(self._book.registered, living.values(), strict=True):
            known.is_ready = each.ready
            candidate = _candidate(known)
            candidate.slots = each.slots
            candidate.line = each.line
            # As many of those were ours as were out at some time since the last beat.
            candidate.others = max(0, each.busy - max(candidate.peak, candidate.own))
            candidate.peak = 0
            record = self._health.of(each.id, self._operation)
            standing = merits(
                record,
                self._trust.in_a_row(each.id),
                self._breakers.state(each.id, now),
                rtt=each.rtt,
            )
            candidate.score = rank(standing)
            if not candidate.rtts:
                candidate.rtt = each.rtt
            if each.seconds_per_megapixel and record is None:
                candidate.seconds_per_megapixel = candidate.seconds_per_megapixel_p95 = (
                    each.seconds_per_megapixel
                )
        self._choose_pool(now)
        return gone

    def answered(self, peer: str, rtt: float | None, now: float) -> float:
        """Note a result of a peer.

        Args:
            peer: whose.
            rtt: seconds that it was away and not worked on; None where nobody can tell.
            now: seconds of the caller's clock.

        Returns:
            The shortest round trip of its latest results, in seconds: more is a queue.
        """
        candidate = _candidate(self._book.heard(peer, now))
        if self._breakers.state(peer, now) is not State.CLOSED:
            return candidate.rtt
        candidate.last_result = now
        candidate.owes_since = now if candidate.own else float("inf")
        if rtt is not None:
            candidate.note_rtt(rtt)
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
            candidate = _candidate(self._book.known(peer))
            if not now - SILENT_MOST < candidate.owes_since <= now:
                candidate.owes_since = now
            candidate.own += 1
            candidate.peak = max(candidate.peak, candidate.own)

    def overdue(self, peer: str, index: int, seconds: float) -> None:
        """Note that nothing was heard of a chunk for so long: its round trip is no shorter."""
        candidate = self.candidate(peer)
        if candidate is not None:
            work = candidate.seconds_per_megapixel * self._megapixels[index]
            candidate.note_rtt(max(0.0, seconds - work))

    def measured(self, index: int, size: int) -> None:
        """Note the size of a chunk's result in bytes."""
        bits = 8 * size / self._megapixels[index]
        self.bits += (bits - self.bits) * _BITS_WEIGHT

    def back(self, peer: str) -> None:
        """Note that a chunk which was sent there is no longer waited for."""
        candidate = self.candidate(peer)
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
        return chosen or self._answered_last(used, now)

    def newcomer(self, busy: Collection[str], now: float) -> str:
        """Return a peer that has to show itself, and is not ``busy`` with that; empty for none.

        The one that has shown most: so one after another comes to be trusted, and early.
        """
        may_work = self._may_work(now)
        found, most = "", -1
        for peer in self._book.registered:
            if peer.is_ready and peer.name not in busy:
                in_a_row = self._trust.in_a_row(peer.name)
                if most < in_a_row < ENOUGH and may_work(peer.name):
                    found, most = peer.name, in_a_row
        return found

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
        return best.id if best is not None else self._answered_last(used, now)

    # -- inside -------------------------------------------------------------------------------

    def _choose(self, index: int, deadline: float, used: tuple[str, ...], now: float) -> str:
        job = Job(self._session, index, self._megapixels[index], deadline, used)
        for _ in range(2):
            chosen = self._policy.choose(job, self._pool.members, now)
            if chosen is None:
                return ""
            if self._breakers.state(chosen.id, now) is State.CLOSED:
                return chosen.id
            self._choose_pool(now)
        return ""

    def _choose_pool(self, now: float) -> None:
        """Make the pool again; newcomers are in it only where the trusted do not suffice."""
        may_work = self._may_work(now)
        eligible = [
            peer.candidate
            for peer in self._book.registered
            if peer.is_ready and peer.candidate is not None and may_work(peer.name)
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

    def _answered_last(self, used: Collection[str], now: float) -> str:
        """Return the peer of the youngest answer, of those not ``used``; empty for none.

        Who has just answered lives, has a slot free, and is as a rule one of the fast ones.
        """
        may_work = self._may_work(now)
        lately = (peer.candidate for peer in self._book.heard_since(now - RECENT))
        others = [
            candidate
            for candidate in lately
            if candidate is not None
            and now - candidate.last_result <= RECENT
            and candidate.id not in used
            and may_work(candidate.id)
        ]
        best = max(others, key=lambda one: one.last_result, default=None)
        return best.id if best is not None else ""


def _candidate(peer: KnownPeer) -> Candidate:
    """Return a peer's candidate, made where it has none: it is there from now on."""
    if peer.candidate is None:
        peer.candidate = Candidate(peer.name)
    return peer.candidate
