"""A small queueing model to compare routing policies in: no broker, no pictures, no clock.

Several sessions next to the broker send frames in chunks to peers that are 1 to 10 times as
fast as the slowest, have 1 to 4 slots and are 10 to 60 ms away.  A peer keeps reads outstanding
at the broker, as many as its slots and its round trip need; what is read waits at the peer and
can be moved no more.  Reads that wait are served in the order in which they came, as Redis
does.  Work takes a log-normal time.  Where
asked for, the busiest peer stalls for half a second in every two.

A session knows of a peer what it would know in truth: how long its own chunks took there, what
it has out, and once a second what the others have.  Nothing is sent twice, so that a policy has
to answer for its choices; the simulator proper has hedges and all the rest.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.policies import make
from p2c2g.routing.policy import Job, Policy
from p2c2g.routing.pool import MOST, SPARE, SessionPool
from p2c2g.routing.stealing import Waiting, moves

MEGAPIXELS = 0.2304  # a quarter of 1280x720
CHUNKS, FPS, DEADLINE = 4, 60.0, 0.100
#: Spread of the logarithm of a chunk's work, and the 95th percentile ÷ mean that follows.
SIGMA = 0.3
P95 = math.exp(1.645 * SIGMA - SIGMA**2 / 2)
BEAT, STEAL_EVERY = 1.0, 0.005
STALL_EVERY, STALL = 2.0, 0.5


@dataclass(frozen=True, slots=True)
class Terms:
    """What one run is of.

    ``load`` is the share of what all peers together can do; ``stalls`` whether the busiest peer
    stalls; ``pooled`` whether sessions
    send to a pool of their own, or to all peers.
    """

    policy: str = "predictive"
    peers: int = 40
    sessions: int = 4
    load: float = 0.7
    seconds: float = 30.0
    stalls: bool = False
    stealing: bool = False
    pooled: bool = True
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Outcome:
    """Percent of chunks late, their 50th and 99th percentile in ms, and moves by what came."""

    late: float
    p50: float
    p99: float
    moved: int = 0
    missed: int = 0


@dataclass(slots=True, eq=False)
class _Chunk:
    number: int
    session: _Session
    sent_at: float
    peer: str = ""  # of its own queue; the capability queue where empty
    begun: bool = False  # as far as the session knows: a move has not found it


@dataclass(slots=True, eq=False)
class _Peer:
    id: str
    slots: int
    seconds_per_megapixel: float
    rtt: float
    queue: deque[_Chunk] = field(default_factory=deque)  # its own, at the broker
    here: deque[_Chunk] = field(default_factory=deque)  # read, not begun
    working: int = 0
    reads: int = 0  # outstanding at the broker
    stalled_until: float = 0.0

    @property
    def window(self) -> int:
        """Return how many chunks it keeps, on their way to it or there."""
        travelling = math.ceil(self.slots * self.rtt / (self.seconds_per_megapixel * MEGAPIXELS))
        return self.slots + min(8 * self.slots, travelling)


@dataclass(slots=True, eq=False)
class _Session:
    name: str
    policy: Policy
    known: dict[str, Candidate]
    pool: SessionPool
    need: float
    out: dict[int, _Chunk] = field(default_factory=dict)  # sent to somebody's own queue


class Model:
    """One run; see the module.

    Args:
        terms: of what.
        policy: makes the policy of a session; the one that the terms name where None.
    """

    def __init__(self, terms: Terms, policy: Callable[[Random], Policy] | None = None) -> None:
        self.terms = terms
        self.random = Random(terms.seed)
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._shared: deque[_Chunk] = deque()
        self._readers: deque[_Peer] = deque()  # one entry for each read, oldest first
        self._times: list[float] = []
        self._moved = self._missed = 0
        self.peers = {each.id: each for each in map(self._make_peer, range(terms.peers))}
        able = sum(each.slots / each.seconds_per_megapixel for each in self.peers.values())
        need = able * terms.load / terms.sessions
        chosen = policy or (lambda random: make(terms.policy, random))
        self.sessions = [
            _Session(
                f"s{number}",
                chosen(Random(f"{terms.seed}/{number}")),
                {
                    each.id: Candidate(each.id, each.slots, rtt=each.rtt)
                    for each in self.peers.values()
                },
                SessionPool(
                    MEGAPIXELS,
                    most=MOST if terms.pooled else terms.peers,
                    spare=SPARE if terms.pooled else math.inf,
                ),
                need,
            )
            for number in range(terms.sessions)
        ]

    def _make_peer(self, number: int) -> _Peer:
        random = self.random
        slowest = 0.150  # seconds a megapixel: 35 ms a chunk
        return _Peer(
            f"p{number}",
            random.choice((1, 1, 2, 4)),
            slowest / 10 ** random.random(),
            random.uniform(0.010, 0.060),
        )

    def run(self) -> Outcome:
        """Run it, and return what came of chunks sent after the first two seconds."""
        for peer in self.peers.values():
            for _ in range(peer.window):
                self._read(peer)
        for number, session in enumerate(self.sessions):
            offset = number / self.terms.sessions
            for candidate in session.known.values():  # what its probe promised
                peer = self.peers[candidate.id]
                candidate.seconds_per_megapixel = peer.seconds_per_megapixel * self.random.uniform(
                    0.8, 1.25
                )
                candidate.seconds_per_megapixel_p95 = candidate.seconds_per_megapixel * P95
            self._every(BEAT, offset * BEAT, partial(self._beat, session))
            frames = FPS * CHUNKS * MEGAPIXELS
            # As many chunks a frame as the load asks for, so the frame rate stays.
            chunks = max(1, round(session.need / frames * CHUNKS))
            rate = session.need / (chunks * MEGAPIXELS)
            self._every(1 / rate, offset / rate, partial(self._frame, session, chunks))
            if self.terms.stealing:
                self._every(STEAL_EVERY, 0.0, partial(self._steal, session))
        if self.terms.stalls:
            self._every(STALL_EVERY, STALL_EVERY, self._stall)
        while self._events and self._events[0][0] < self.terms.seconds:
            self.now, _, act = heapq.heappop(self._events)
            act()
        times = sorted(self._times)
        late = sum(each > DEADLINE for each in times) / len(times)
        return Outcome(
            round(late * 100, 2),
            round(times[len(times) // 2] * 1000, 1),
            round(times[int(len(times) * 0.99)] * 1000, 1),
            self._moved,
            self._missed,
        )

    # -- events -------------------------------------------------------------------------------

    def _at(self, moment: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, act))

    def _every(self, seconds: float, first: float, act: Callable[[], None]) -> None:
        def again() -> None:
            act()
            self._at(self.now + seconds, again)

        self._at(first, again)

    # -- a session ----------------------------------------------------------------------------

    def _beat(self, session: _Session) -> None:
        own = dict.fromkeys(session.known, 0)
        for chunk in session.out.values():
            own[chunk.peer] += 1
        for candidate in session.known.values():
            peer = self.peers[candidate.id]
            everything = len(peer.queue) + len(peer.here) + peer.working
            candidate.others = max(0, everything - own[peer.id])
        session.pool.update(list(session.known.values()), session.need, DEADLINE, self.now)

    def _frame(self, session: _Session, chunks: int) -> None:
        for region in range(chunks):
            job = Job(session.name, region, MEGAPIXELS, self.now + DEADLINE)
            chosen = session.policy.choose(job, session.pool.members, self.now)
            self._count += 1
            chunk = _Chunk(self._count, session, self.now)
            if chosen is None:
                self._offer(chunk)
            else:
                chosen.own += 1
                session.out[chunk.number] = chunk
                self._send(chunk, self.peers[chosen.id])

    def _steal(self, session: _Session) -> None:
        waiting = [
            Waiting(each.number, each.peer, each.sent_at, each.sent_at + DEADLINE, MEGAPIXELS)
            for each in session.out.values()
            if not each.begun
        ]
        pool = {each.id: each for each in session.pool.members}
        for move in moves(waiting, pool, self.now):
            chunk = session.out[move.key]
            source, to = self.peers[move.source], self.peers[move.to]
            if chunk in source.queue:
                source.queue.remove(chunk)
                session.known[source.id].own -= 1
                session.known[to.id].own += 1
                self._send(chunk, to)
                self._moved += 1
            else:
                chunk.begun = True
                self._missed += 1

    def _back(self, chunk: _Chunk, peer: _Peer, took: float) -> None:
        candidate = chunk.session.known[peer.id]
        candidate.seconds_per_megapixel += 0.1 * (
            took / MEGAPIXELS - candidate.seconds_per_megapixel
        )
        candidate.seconds_per_megapixel_p95 = candidate.seconds_per_megapixel * P95
        candidate.last_result = self.now
        if chunk.peer:
            candidate.own -= 1
            del chunk.session.out[chunk.number]
        if chunk.sent_at > 2.0:
            self._times.append(self.now - chunk.sent_at)

    # -- the broker ---------------------------------------------------------------------------

    def _offer(self, chunk: _Chunk) -> None:
        while self._readers:
            peer = self._readers.popleft()
            if peer.reads:
                self._take(peer, chunk)
                return
        self._shared.append(chunk)

    def _send(self, chunk: _Chunk, peer: _Peer) -> None:
        chunk.peer = peer.id
        if peer.reads:
            self._readers.remove(peer)
            self._take(peer, chunk)
        else:
            peer.queue.append(chunk)

    def _read(self, peer: _Peer) -> None:
        peer.reads += 1
        if peer.queue:
            self._take(peer, peer.queue.popleft())
        elif self._shared:
            self._take(peer, self._shared.popleft())
        else:
            self._readers.append(peer)

    def _take(self, peer: _Peer, chunk: _Chunk) -> None:
        peer.reads -= 1

        def arrive() -> None:
            peer.here.append(chunk)
            self._work(peer)

        self._at(self.now + peer.rtt / 2, arrive)

    # -- a peer -------------------------------------------------------------------------------

    def _work(self, peer: _Peer) -> None:
        while peer.here and peer.working < peer.slots and self.now >= peer.stalled_until:
            chunk = peer.here.popleft()
            peer.working += 1
            mean = peer.seconds_per_megapixel * MEGAPIXELS
            took = self.random.lognormvariate(math.log(mean) - SIGMA**2 / 2, SIGMA)
            self._at(self.now + took, partial(self._end, peer, chunk, took))

    def _end(self, peer: _Peer, chunk: _Chunk, took: float) -> None:
        if self.now < peer.stalled_until:
            self._at(peer.stalled_until, partial(self._end, peer, chunk, took))
            return
        peer.working -= 1
        self._at(self.now + peer.rtt / 2, partial(self._back, chunk, peer, took))
        self._at(self.now + peer.rtt / 2, partial(self._read, peer))
        self._work(peer)

    def _stall(self) -> None:
        peer = max(self.peers.values(), key=lambda each: len(each.here) + each.working)
        peer.stalled_until = self.now + STALL
        self._at(peer.stalled_until, partial(self._work, peer))
