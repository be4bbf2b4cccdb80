"""Moves what waits in one peer's own queue to another's, which would do it sooner.

Pure: what is to be moved is returned.  No run is counted: a move is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from p2c2g.media.frame import ChunkKey
from p2c2g.routing.stealing import Move, Waiting, moves
from p2c2g.session.actions import RunRequest, Send, Steal
from p2c2g.session.frames import P, S
from p2c2g.session.tables import Tables


class Moving(Generic[S, P]):
    """The moves of one session.

    Args:
        tables: the session's.
        used: returns the peers that have or had a run of a chunk.
    """

    def __init__(self, tables: Tables[S, P], used: Callable[[ChunkKey], set[str]]) -> None:
        self._attempts = tables.attempts
        self._router = tables.router
        self._throttle = tables.throttle
        self._frame_of = tables.frames.frame
        self._observers = tables.observers
        self._megapixels = tables.config.megapixels
        self._used = used
        #: Chunks that were moved, as far as asked for.
        self.count = 0

    def look(self, now: float) -> Steal[S] | None:
        """Choose what is moved; None where that is nothing."""
        chosen = self._choose(now)
        return self._steal(chosen, now) if chosen else None

    def _steal(self, chosen: list[Move[ChunkKey]], now: float) -> Steal[S]:
        """Return moves, and what is to be sent where they are made by sending again."""
        sends: list[Send[S] | None] = []
        for move in () if self._router.has_shared_queue else chosen:
            frame = self._frame_of(move.key[0])
            for number, run in enumerate(self._attempts.runs(move.key), 1):
                if frame is not None and run.peer == move.to and run.moved_from == move.source:
                    budget = max(0.0, frame.deadline - now - self._router.rtt(move.to))
                    request = RunRequest(move.key[1], number, move.to, budget)
                    sends.append(Send(frame, (request,)))
                    break
            else:
                sends.append(None)
        return Steal(tuple(chosen), tuple(sends))

    def _choose(self, now: float) -> list[Move[ChunkKey]]:
        pool = self._router.pool
        waiting = []
        for key, _number, run in self._attempts.out():
            frame = self._frame_of(key[0])
            # What a move has not found is being worked on; it stays where it is.
            if frame is not None and run.peer in pool and not run.moved_from:
                size = self._megapixels[key[1]]
                used = tuple(self._used(key) - {run.peer})
                waiting.append(Waiting(key, run.peer, run.sent_at, frame.deadline, size, used))
        chosen = moves(waiting, pool, now)
        if not self._router.has_shared_queue:
            chosen = [move for move in chosen if self._may_go_again(move.key, now)]
        for move in chosen:
            for _ in range(self._attempts.move(move.key, move.source, move.to)):
                self._router.back(move.source)
                self._router.sent(move.to, now)
            for observer in self._observers:
                observer.chunk_moved(move.key, move.source, move.to)
        self.count += len(chosen)
        return chosen

    def _may_go_again(self, key: ChunkKey, now: float) -> bool:
        """Tell whether a chunk may be sent again to be moved, whose result is awaited already."""
        frame = self._frame_of(key[0])
        return frame is not None and self._throttle.resend(len(frame.payloads[key[1]]), now)
