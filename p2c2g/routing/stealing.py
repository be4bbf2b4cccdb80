"""What waits at a peer that is behind is taken by one that is idle.

Pure: it says what should move; the messaging layer moves a message between two queues at the
broker, and only where the peer has not popped it.  So a move is no run, and one that finds
nothing does nothing.  The session that sent a chunk decides, since it alone knows the deadline.

The idea is work stealing (Blumofe and Leiserson, "Scheduling Multithreaded Computations by Work
Stealing", 1999); here a third party moves the work, because peers trust nobody with a queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace, nsmallest
from typing import Generic, TypeVar

from p2c2g.peers.candidate import SILENT_LEAST, SILENT_P95S, Candidate
from p2c2g.routing.prediction import speed

K = TypeVar("K", bound=Hashable)

#: Seconds by which another peer has to be sooner.
MARGIN = 0.005
#: Moves of one call, and idle peers that are looked at for each; the fastest are kept.
MOVES_MOST = 32
IDLE_MOST = 16


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


def moves(
    waiting: Sequence[Waiting[K]], pool: Mapping[str, Candidate], now: float
) -> list[Move[K]]:
    """Return what should move, most urgent first.

    A chunk may move where its peer

    * is *behind*: as many earlier chunks as it has slots are still out, so this one has not
      been begun, and its predicted start and the time that news of it takes are over; or
    * is *silent*: it owes a result for twice its 95th percentile and 10 ms more; then all that
      was sent to it may move; or
    * is no longer in the pool.

    It goes to the peer that has a slot free and would finish first: before the deadline, and
    sooner by ``MARGIN`` than the peer that has it would, which for a silent one is never.  One
    free slot takes one chunk, and a peer that is silent takes none.

    The work is bounded: at most ``MOVES_MOST`` moves, each a choice among the ``IDLE_MOST``
    fastest idle peers; idle peers are looked for only where something may move.

    Args:
        waiting: in any order; the caller leaves out what a move has not found, because that
            chunk has been begun.
        pool: by id.
        now: seconds of the caller's clock.
    """
    by_peer: dict[str, list[Waiting[K]]] = defaultdict(list)
    for each in waiting:
        by_peer[each.peer].append(each)
    silent: set[str] = set()
    stuck: list[tuple[float, Waiting[K]]] = []  # with its finish where it is
    for name, line in by_peer.items():
        line.sort(key=lambda each: each.sent_at)
        peer = pool.get(name)
        if peer is None:
            behind: Iterable[tuple[float, Waiting[K]]] = ((float("inf"), each) for each in line)
        elif _is_silent(peer, line, now):
            silent.add(name)
            behind = ((float("inf"), each) for each in line)
        else:
            behind = _behind(peer, line, now)
        stuck.extend(behind)
    if not stuck:
        return []
    idle = _Idle(pool, silent)
    found: list[Move[K]] = []
    for finish, each in nsmallest(MOVES_MOST, stuck, key=lambda one: one[1].deadline):
        to = idle.take(each, min(finish - MARGIN, each.deadline), now)
        if to is not None:
            found.append(Move(each.key, each.peer, to))
    return found


class _Idle:
    """The fastest peers that have a slot free."""

    def __init__(self, pool: Mapping[str, Candidate], silent: set[str]) -> None:
        heap: list[tuple[float, str]] = []
        for name, each in pool.items():
            if each.backlog < each.slots and name not in silent:
                entry = (speed(each), name)
                if len(heap) < IDLE_MOST:
                    heappush(heap, entry)
                elif entry > heap[0]:
                    heapreplace(heap, entry)
        self._peers = [pool[name] for _, name in sorted(heap, reverse=True)]
        self._free = {each.id: each.slots - each.backlog for each in self._peers}
        self._given: set[tuple[Hashable, str]] = set()  # no peer gets two runs of one chunk

    def take(self, chunk: Waiting[K], latest: float, now: float) -> str | None:
        """Take the slot that would have a chunk back first, by a moment; None where none would."""
        best, earliest = None, latest - now
        for each in self._peers:
            had_it = each.id in (chunk.peer, *chunk.used) or (chunk.key, each.id) in self._given
            if self._free[each.id] and not had_it:
                finish = each.finish(chunk.megapixels)
                if finish <= earliest:
                    best, earliest = each.id, finish
        if best is not None:
            self._free[best] -= 1
            self._given.add((chunk.key, best))
        return best


def _is_silent(peer: Candidate, line: Sequence[Waiting[K]], now: float) -> bool:
    oldest = line[0]
    heard = max(peer.last_result, oldest.sent_at)
    rounds = peer.others // peer.slots  # before ours
    seconds_per_megapixel = (
        max(peer.seconds_per_megapixel_p95, peer.seconds_per_megapixel) * oldest.megapixels
    )
    owed = peer.rtt + (rounds + SILENT_P95S) * seconds_per_megapixel + SILENT_LEAST
    return now - heard > owed


def _behind(
    peer: Candidate, line: Sequence[Waiting[K]], now: float
) -> Iterable[tuple[float, Waiting[K]]]:
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
            yield now + (place // peer.slots + 1) * took + half, each
