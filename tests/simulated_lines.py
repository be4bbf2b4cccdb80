"""Lines that are computed, not waited for: a queue, a rate that changes, jitter, others' traffic.

One direction is a first-in-first-out queue before a line of some bits a second.  A session's frames
go through it at their pace, a chunk a message, and what a result would tell of them is told to
:class:`~p2c2g.lines.line.Lines`, in the order in which it would come.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from p2c2g.lines.line import Lines

Rate = Callable[[float], float]
#: Seconds for which a rate is taken to stay.
_STEP = 0.01


def constant(mbits: float) -> Rate:
    """Return a rate in bytes a second that never changes."""
    return lambda _: mbits * 125_000


@dataclass
class Way:
    """One direction: bytes a second by time, seconds that it takes, and what disturbs it.

    ``others`` are bytes a second that somebody else sends through the same queue.
    """

    rate: Rate = field(default_factory=lambda: constant(100))
    takes: float = 0.015
    jitter: float = 0.0
    others: Rate = field(default_factory=lambda: constant(0))
    random: Random = field(default_factory=lambda: Random(1))
    free_at: float = 0.0
    _at: float = 0.0

    def carry(self, size: int, now: float) -> float:
        """Return when ``size`` bytes that are given to it now have arrived."""
        foreign = self.others(now) * max(0.0, now - self._at)
        self.free_at = self._pass(foreign, max(self.free_at, self._at))
        self.free_at = self._pass(size, max(self.free_at, now))
        self._at = now
        return self.free_at + self.takes + self.random.uniform(-self.jitter, self.jitter)

    def _pass(self, size: float, begins: float) -> float:
        """Return when so many bytes are through, at a rate that may change meanwhile."""
        while (ends := begins + size / self.rate(begins)) > begins + _STEP:
            size -= _STEP * self.rate(begins)
            begins += _STEP
        return ends


@dataclass
class Peer:
    """A peer: its two ways, its work on a chunk in seconds, and its clock."""

    name: str = "one@here"
    up: Way = field(default_factory=Way)
    down: Way = field(default_factory=Way)
    work: float = 0.004
    clock: Callable[[float], float] = lambda now: 4321.0 + now
    free_at: float = 0.0


def play(
    lines: Lines,
    peers: list[Peer],
    *,
    seconds: float,
    up: Callable[[float], int],
    down: Callable[[float], int],
    chunks: int = 3,
    fps: float = 30.0,
    start: float = 0.0,
) -> Iterator[float]:
    """Play a session; yield the time after each frame, when what has come until then was told.

    ``up`` and ``down`` are bytes of a whole frame, by time; the chunks go to the peers in turn.
    """
    coming: list[tuple[float, int, tuple[object, ...]]] = []
    count = 0
    for frame in range(int(seconds * fps)):
        now = start + frame / fps
        for chunk in range(chunks):
            peer = peers[chunk % len(peers)]
            size, back = up(now) // chunks, down(now) // chunks
            lines.sent(peer.name, size, now)
            received = peer.up.carry(size, now)
            begun = max(received, peer.free_at)
            idle, peer.free_at = max(0.0, begun - peer.free_at), begun + peer.work
            arrived = peer.down.carry(back, peer.free_at)
            there, ended = peer.clock(received), peer.clock(peer.free_at)
            told = (
                peer.name, size, back, now, there - now, begun - received, idle, peer.work,
                arrived - ended, arrived,
            )  # fmt: skip
            count += 1
            heapq.heappush(coming, (arrived, count, told))
        while coming and coming[0][0] <= now + 1 / fps:
            lines.arrived(*heapq.heappop(coming)[2])  # type: ignore[arg-type]
        yield now + 1 / fps
