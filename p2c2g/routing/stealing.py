"""What waits at a peer that is behind is taken by one that would do it sooner.

Pure: it says what should move; the messaging layer moves a message between two queues at the
broker, and only where the peer has not popped it.  So a move is no run, and one that finds
nothing does nothing.  The session that sent a chunk decides, since it alone knows the deadline.

The idea is work stealing (Blumofe and Leiserson, "Scheduling Multithreaded Computations by Work
Stealing", 1999); here a third party moves the work, because peers trust nobody with a queue.  As
there, what is taken is what the owner would have come to last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from heapq import heappush, heapreplace, nsmallest
from typing import Generic, NamedTuple, TypeVar

from p2c2g.messaging.readahead import read_ahead
from p2c2g.peers.candidate import SILENT_LEAST, SILENT_P95S, Candidate

K = TypeVar("K", bound=Hashable)

#: Seconds by which another peer has to be sooner.
MARGIN = 0.005
#: Moves of one call, and takers that are looked at for each: those that would be done soonest.
MOVES_MOST = 32
TAKERS_MOST = 16


@dataclass(frozen=True, slots=True)
class Waiting(Generic[K]):
    """A chunk that was sent to a peer's own queue and not heard of.

    ``key`` is the caller's own, the same for two runs of one chunk; ``sent_at`` and
    ``deadline`` are moments of the caller's clock; ``used`` are other peers that have or had
    a run of it.
    """

    key: K
    peer: str
    sent_at: float
    deadline: float
    megapixels: float
    used: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move(Generic[K]):
    """A chunk that should change queues."""

    key: K
    source: str
    to: str


class _Stuck(NamedTuple, Generic[K]):
    """What may move: when it is back if it stays, and its place in its peer's line, from 0."""

    finish: float
    place: int
    chunk: Waiting[K]


def moves(
    waiting: Sequence[Waiting[K]], pool: Mapping[str, Candidate], now: float
) -> list[Move[K]]:
    """Return what should move, most urgent first; of one deadline, the ends of the lines first.

    A chunk may move where it still waits at the broker as far as can be told, behind as many as
    its peer *keeps* (:func:`kept`), and where that peer

    * is *behind*: the chunk's predicted start and the time that news of it takes are over; or
    * is *silent*: it owes a result for twice its 95th percentile and 10 ms more.

    It goes to the peer that would finish first: before the deadline, and sooner by ``MARGIN``
    than the peer that has it would, which for a silent one is never.  A peer takes what it would
    read at once, so as many as it keeps and has not; one that is silent takes none.

    The work is bounded: at most ``MOVES_MOST`` moves, each a choice among ``TAKERS_MOST``
    peers; these are looked for only where something may move.

    Args:
        waiting: in any order, each at a peer of the pool; the caller leaves out what a move
            has not found, because its peer has it.
        pool: by id.
        now: seconds of the caller's clock.
    """
    by_peer: dict[str, list[Waiting[K]]] = defaultdict(list)
    for each in waiting:
        by_peer[each.peer].append(each)
    silent: set[str] = set()
    stuck: list[_Stuck[K]] = []
    found: Iterator[_Stuck[K]]
    for name, line in by_peer.items():
        line.sort(key=lambda each: each.sent_at)
        peer = pool[name]
        if _is_silent(peer, line, now):
            silent.add(name)
            found = (_Stuck(float("inf"), place, each) for place, each in enumerate(line))
        else:
            found = _behind(peer, line, now)
        held = kept(peer, line[0].megapixels)
        stuck.extend(each for each in found if each.place >= held)
    if not stuck:
        return []
    takers = _Takers(pool, silent, stuck[0].chunk.megapixels)
    chosen: list[Move[K]] = []
    urgent = nsmallest(MOVES_MOST, stuck, key=lambda each: (each.chunk.deadline, -each.place))
    for finish, _, each in urgent:
        to = takers.take(each, min(finish - MARGIN, each.deadline), now)
        if to is not None:
            chosen.append(Move(each.key, each.peer, to))
    return chosen


def kept(peer: Candidate, megapixels: float) -> int:
    """Return how many chunks a peer has with it or on their way: what it has read cannot move.

    It is the peer's own rule with what is known here: the distance through the broker to the
    session, about twice that to the broker alone, and so nothing is added to spare.
    """
    seconds = peer.seconds_per_megapixel * megapixels
    return peer.slots + read_ahead(peer.slots, seconds, peer.rtt, spare=1.0)


class _Takers:
    """The peers that would have one more chunk back soonest, of those that would read it at once.

    Copies of the candidates, so that what is given to one counts for the next choice.
    """

    def __init__(self, pool: Mapping[str, Candidate], silent: set[str], megapixels: float) -> None:
        able = (
            each
            for name, each in pool.items()
            if name not in silent and each.backlog < kept(each, megapixels)
        )
        soonest = nsmallest(TAKERS_MOST, able, key=lambda each: each.finish(megapixels))
        self._peers = [copy(each) for each in soonest]
        self._given: set[tuple[Hashable, str]] = set()  # no peer gets two runs of one chunk

    def take(self, chunk: Waiting[K], latest: float, now: float) -> str | None:
        """Take the place that would have a chunk back first, by a moment; None where none would."""
        best, earliest = None, latest - now
        for each in self._peers:
            if each.id in (chunk.peer, *chunk.used) or (chunk.key, each.id) in self._given:
                continue
            finish = each.finish(chunk.megapixels)
            if finish <= earliest and each.backlog < kept(each, chunk.megapixels):
                best, earliest = each, finish
        if best is None:
            return None
        best.own += 1
        self._given.add((chunk.key, best.id))
        return best.id


def _is_silent(peer: Candidate, line: Sequence[Waiting[K]], now: float) -> bool:
    oldest = line[0]
    heard = max(peer.last_result, oldest.sent_at)
    rounds = peer.others // peer.slots  # before ours
    seconds_per_megapixel = (
        max(peer.seconds_per_megapixel_p95, peer.seconds_per_megapixel) * oldest.megapixels
    )
    owed = peer.rtt + (rounds + SILENT_P95S) * seconds_per_megapixel + SILENT_LEAST
    return now - heard > owed


def _behind(peer: Candidate, line: Sequence[Waiting[K]], now: float) -> Iterator[_Stuck[K]]:
    """Give what should have been begun and cannot have been, with its finish as things are."""
    half = peer.rtt / 2
    free: list[float] = []  # when each slot was to be free, by prediction
    for place, each in enumerate(line):
        took = peer.seconds_per_megapixel * each.megapixels
        begin = each.sent_at + half
        if len(free) < peer.slots:
            heappush(free, begin + took)
            continue
        begin = max(begin, free[0])
        heapreplace(free, begin + took)
        if now > begin + half:
            yield _Stuck(now + (place // peer.slots + 1) * took + half, place, each)
