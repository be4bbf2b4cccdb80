"""The router of one session: keeps each peer's candidate up to date, and asks the policy.

Pure; every call is told what time it is.  What it knows comes from three sides: the registry
(:meth:`Router.learn`, every second or so), results (:meth:`Router.answered`), and its own count of
what is out (:meth:`Router.sent`, :meth:`Router.back`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from p2c2g.peers.book import KnownPeer, PeerBook
from p2c2g.peers.breaker import Breakers, State
from p2c2g.peers.candidate import SILENT_MOST, UNKNOWN_RTT, Candidate
from p2c2g.peers.health import Health
from p2c2g.peers.ranking import merits, rank
from p2c2g.peers.trust import Trust
from p2c2g.routing.demand import Demand
from p2c2g.routing.policy import Job, Policy
from p2c2g.routing.pool import SPARE, SessionPool, share
from p2c2g.routing.referees import Referees

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
    takes, inf where unknown; ``codecs`` the megapixels a second of each codec, as it has measured
    them; ``sessions`` for how many it works, 0 where it does not say.  ``account`` and ``network``
    say which peers belong together, as the operator of an open pool tells; empty where nobody does.
    """

    id: str
    ready: bool
    slots: int = 1
    busy: int = 0
    rtt: float = UNKNOWN_RTT
    seconds_per_megapixel: float = 0.0
    line: float = float("inf")
    serves: bool = True
    account: str = ""
    network: str = ""
    codecs: Mapping[str, float] = field(default_factory=dict)
    sessions: float = 0.0


class Router:
    """Who gets a chunk of this session.

    Args:
        policy: chooses among the pool.
        session: the session's id.
        operation: what is done to its chunks: the pipeline's text.
        megapixels: of each chunk's result, by its index.
        need: megapixels a second that the session may want enhanced, at most; it begins with so
            many, and :meth:`wants` says how many there are.
        deadline: seconds that a chunk has.
        book: the session's peers, with the candidate of each.
        health: what was seen of the peers; the caller tells it results.
        trust: whose results count without a second opinion.
        breakers: the peers' breakers.
        has_shared_queue: whether there is a queue that any peer reads: an open pool has none, and
            each chunk is somebody's.
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
        has_shared_queue: bool = True,
    ) -> None:
        self.has_shared_queue = has_shared_queue
        self._policy = policy
        self._session = session
        self._operation = operation
        self._megapixels = megapixels
        self._demand = Demand(need)
        self._deadline = deadline
        self._book = book
        self._health = health
        self._trust = trust
        self._breakers = breakers
        #: Bits of a megapixel of results: a moving average.
        self.bits = UNKNOWN_BITS
        self._pool = SessionPool(max(megapixels))
        #: Who examines whom.
        self.referees = Referees(book, trust, breakers, self._pool)
        self._trusted_suffice = False
        self._is_mixed = False

    @property
    def pool(self) -> Mapping[str, Candidate]:
        """Return the candidates of the session's pool, by id."""
        return {candidate.id: candidate for candidate in self._pool.members}

    def candidate(self, peer: str) -> Candidate | None:
        """Return what is known of a peer while it is there."""
        known = self._book.get(peer)
        return None if known is None else known.candidate

    def slots(self, peer: str) -> int:
        """Return how many chunks a peer works on at once; 1 where nobody knows."""
        candidate = self.candidate(peer)
        return candidate.slots if candidate else 1

    def rtt(self, peer: str) -> float:
        """Return the seconds to a peer and back; for an empty name, to the farthest of the pool."""
        if peer:
            candidate = self.candidate(peer)
            return candidate.rtt if candidate else 0.0
        return max((member.rtt for member in self._pool.members), default=0.0)

    # -- what is known ------------------------------------------------------------------------

    def learn(
        self, facts: Iterable[Facts], now: float, *, is_mixed: bool = False
    ) -> frozenset[str]:
        """Take over what the registry says of all living peers.

        Args:
            facts: of each.
            now: seconds of the caller's clock.
            is_mixed: whether there are peers of other versions, too.  They would throw away what
                they pull from the capability queue, so nothing goes there while another is left.

        Returns:
            Those of whom it spoke the last time, and no more: they are dead, or have left.
        """
        living = {each.id: each for each in facts}
        self._is_mixed = is_mixed
        gone = self._book.register(living)
        for known, each in zip(self._book.registered, living.values(), strict=True):
            known.is_ready = each.ready
            known.account, known.network = each.account, each.network
            candidate = _candidate(known)
            candidate.slots = each.slots
            candidate.line = each.line
            candidate.codecs, candidate.sessions = each.codecs, each.sessions
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

    def wants(self, megapixels: float, frames: float, now: float) -> None:
        """Note a frame: what is sent of it, and that there are so many frames a second."""
        if self._demand.note(megapixels * frames, now):
            self._choose_pool(now)

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
        """Return who gets a chunk's first run; empty for the capability queue.

        Where there is no such queue it is the earliest of the pool, in time or not, and empty only
        where nobody may have it.
        """
        return self._choose(index, deadline, (), now)

    def second(self, index: int, deadline: float, used: Collection[str], now: float) -> str:
        """Return who gets another run of it; empty where nobody is known that had none.

        The policy says; where that leaves it to the capability queue, the peer that answered
        last: it lives, has a slot free, and is as a rule one of the fast ones.
        """
        chosen = self._choose(index, deadline, tuple(used), now)
        return chosen or self.referees.answered_last(used, now)

    # -- inside -------------------------------------------------------------------------------

    def _choose(self, index: int, deadline: float, used: tuple[str, ...], now: float) -> str:
        job = Job(self._session, index, self._megapixels[index], deadline, used)
        for _ in range(2):
            chosen = self._policy.choose(job, self._pool.members, now)
            if chosen is None:
                break
            if self._breakers.state(chosen.id, now) is State.CLOSED:
                return chosen.id
            self._choose_pool(now)
        best = self._earliest(job, now) if self._must_name else None
        return "" if best is None else best.id

    @property
    def _must_name(self) -> bool:
        """Tell whether each chunk has to be somebody's, since no queue is for all."""
        return self._is_mixed or not self.has_shared_queue

    def _earliest(self, job: Job, now: float) -> Candidate | None:
        """Return who would have a chunk back first, of the pool that may work."""
        may_work = self._may_work(now)
        return min(
            (each for each in self._pool.members if each.id not in job.used and may_work(each.id)),
            key=lambda each: (
                each.is_silent(job.megapixels, now),
                each.finish(job.megapixels),
            ),
            default=None,
        )

    def _choose_pool(self, now: float) -> None:
        """Make the pool again; newcomers are in it only where the trusted do not suffice.

        Who is doubted is in it only where everybody is: of two that differ nobody knows which lies.
        """
        may_work = self._may_work(now)
        eligible = [
            peer.candidate
            for peer in self._book.registered
            if peer.is_ready and peer.candidate is not None and may_work(peer.name)
        ]
        trusted = [each for each in eligible if self._trust.is_trusted(each.id)]
        # Not to and fro: they have sufficed until they have clearly too little.
        enough = SPARE * self._demand.need * (SLACK if self._trusted_suffice else 1.0)
        self._trusted_suffice = sum(map(share, trusted)) >= enough
        if self._trusted_suffice:
            eligible = trusted
        elif not_doubted := [each for each in eligible if not self._trust.is_doubted(each.id)]:
            eligible = not_doubted
        self._pool.update(
            eligible, self._demand.need, self._deadline, now, is_only_way=self._must_name
        )

    def _may_work(self, now: float) -> Callable[[str], bool]:
        return self.referees.may_work(now)


def _candidate(peer: KnownPeer) -> Candidate:
    """Return a peer's candidate, made where it has none: it is there from now on."""
    if peer.candidate is None:
        peer.candidate = Candidate(peer.name)
    return peer.candidate
