"""Decides the runs of chunks: the first, those that replace one, hedges, and moves.

The table of attempts says whether there may be another run, the hedging policy when, the router
who gets it; they meet here.  Nothing here knows pixels, sockets or threads but for one lock: the
session and the simulator both drive it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic

from p2c2g.peers.breaker import Breakers, Outcome
from p2c2g.peers.health import Health
from p2c2g.routing.router import Router
from p2c2g.routing.stealing import Move, Waiting, moves
from p2c2g.session.attempts import Attempts, ChunkKey, Decision, Run, RunState, Verdict
from p2c2g.session.hedging import Hedging, Moment, Watch
from p2c2g.session.orders import F, RunRequest, Send

#: Seconds between two looks at a chunk that waits at a peer for longer than was predicted.
STEAL_INTERVAL = 0.004


class Runs(Generic[F]):
    """The runs of one session.

    Args:
        operation: what is done to every chunk: the pipeline's text.
        megapixels: of each chunk's result, by its index.
        send: sends.
        attempts: the one table.
        hedging: when a run is slow, or silent, and how many more there may be.
        breakers: is told how each peer did.
        health: likewise, with the times.
        router: who gets a run.
        flight_of: gives a frame that has not been shown.
        steal: moves what still waits in one peer's own queue to another's; None where the
            broker cannot.
        lock: guards all of these; methods that say so want it held, the others take it.
    """

    def __init__(
        self,
        operation: str,
        megapixels: Sequence[float],
        send: Send[F],
        attempts: Attempts,
        hedging: Hedging,
        breakers: Breakers,
        health: Health,
        router: Router,
        flight_of: Callable[[int], F | None],
        lock: threading.Lock,
        steal: Callable[[Sequence[Move[ChunkKey]]], None] | None = None,
    ) -> None:
        self._operation = operation
        self._megapixels = megapixels
        self._send = send
        self._attempts = attempts
        self._hedging = hedging
        self._breakers = breakers
        self._health = health
        self._router = router
        self._flight_of = flight_of
        self._steal = steal
        self._lock = lock
        self._watch = Watch()
        #: Chunks that were moved from one peer's own queue to another's, as far as asked for.
        self.stolen = 0

    # -- a frame's life ------------------------------------------------------------------------

    def open(self, flight: F, now: float) -> None:
        """Grant the first run of each chunk of a frame, and choose its peer.  The lock is held."""
        for index in range(len(self._megapixels)):
            key = (flight.number, index)
            self._attempts.open(key, now)
            self._place(flight, key, 1, self._router.first(index, flight.deadline, now), now)
        self._hedging.sent(len(self._megapixels))

    def send_first(self, flight: F) -> bool:
        """Send the first run of each chunk; tell whether they have left."""
        with self._lock:
            orders = [
                RunRequest(index, 1, runs[0].peer)
                for index in range(len(self._megapixels))
                if (runs := self._attempts.runs((flight.number, index)))
            ]
        if self._send(flight, orders):
            return True
        with self._lock:
            self.close(flight.number, None)
        return False

    def close(self, number: int, now: float | None) -> None:
        """Forget a frame's chunks: it is shown at ``now``, or never left.  The lock is held."""
        for index in range(len(self._megapixels)):
            key = (number, index)
            missing = not self._attempts.is_done(key)
            for run in self._attempts.runs(key):
                owed = missing and run.peer and not run.is_back and not run.moved_from
                if owed and now is not None:
                    self._router.overdue(run.peer, index, now - run.sent_at)
                self._back(run)
            self._attempts.close(key)

    # -- what comes back -----------------------------------------------------------------------

    def succeeded(
        self,
        key: ChunkKey,
        attempt: int,
        peer: str,
        seconds_per_chunk: float,
        size: int,
        now: float,
    ) -> Verdict:
        """Judge a good result.  The lock is held.

        Args:
            key: the chunk.
            attempt: the number of the run, as the peer tells it.
            peer: who brings it.
            seconds_per_chunk: seconds of work on it, as the peer tells it.
            size: bytes of the result.
            now: seconds of the session's clock.
        """
        runs = self._attempts.runs(key)
        run = runs[min(max(attempt, 1), len(runs)) - 1] if runs else None
        verdict = self._attempts.succeed(key, attempt)
        late = run is None or run.state is RunState.SILENT
        if late:
            self._breakers.record(peer, Outcome.LATE, now)
        elif verdict is Verdict.ACCEPTED:
            self._breakers.record(peer, Outcome.GOOD, now)
            self._router.measured(key[1], size)
        if run is None:
            self._health.failed(peer, self._operation, now)
            self._router.answered(peer, None, now)
            return verdict
        took = now - run.sent_at
        self._hedging.took(took)
        self._back(run)
        seconds_per_chunk = min(max(seconds_per_chunk, 0.0), took)
        # The shortest travel of late: the rest of this one was waiting.
        travel = self._router.answered(peer, took - seconds_per_chunk, now)
        self._health.result(
            peer, self._operation, self._megapixels[key[1]], seconds_per_chunk, travel,
            on_time=not late, now=now,
        )  # fmt: skip
        return verdict

    def examined(
        self, index: int, peer: str, seconds_per_chunk: float, took: float, now: float
    ) -> None:
        """Learn from an examination how fast a peer is.  The lock is held.

        So one that gets nothing else, since its first chunks were slow, can show that it has
        warmed up.

        Args:
            index: the chunk's.
            peer: who was examined.
            seconds_per_chunk: seconds of work on it, as the peer tells it.
            took: seconds from when it was sent until its answer came.
            now: seconds of the session's clock.
        """
        seconds_per_chunk = min(max(seconds_per_chunk, 0.0), took)
        travel = self._router.answered(peer, took - seconds_per_chunk, now)
        self._health.result(
            peer, self._operation, self._megapixels[index], seconds_per_chunk, travel,
            on_time=True, now=now,
        )  # fmt: skip

    def failed(
        self, key: ChunkKey, attempt: int | None, peer: str, now: float, *, is_probe: bool = False
    ) -> Decision | None:
        """Judge a failed run, and send the next one where there may be one.

        Args:
            key: the chunk.
            attempt: the number of the run, or None where the peer does not tell.
            peer: whose run it was; empty where nobody knows.
            now: seconds of the session's clock.
            is_probe: whether its breaker has been told already.

        Returns:
            What followed; None where the frame has been shown.
        """
        attempts = self._attempts
        with self._lock:
            if peer and not is_probe:
                self._breakers.record(peer, Outcome.BAD, now)
                self._health.failed(peer, self._operation, now)
            flight = self._flight_of(key[0])
            if flight is None or not attempts.runs(key):
                attempts.late += 1
                return None
            if attempt is None:
                attempt = attempts.run_of(key, peer)
            runs = attempts.runs(key)
            if 1 <= attempt <= len(runs):
                self._back(runs[attempt - 1])
            in_time = self._hedging.in_time(now, flight.deadline)
            decision = attempts.fail(key, attempt, now, may_rerun=in_time)
            order = self._order(flight, key, now) if decision is Decision.RETRY else None
        if order is not None:
            self._send(flight, [order])
        return decision

    def gone(self, peer: str, now: float) -> None:
        """Have others run at once what a peer had that died or left."""
        with self._lock:
            orders: list[tuple[F, RunRequest]] = []
            for key, number in self._attempts.out_at(peer):
                flight = self._flight_of(key[0])
                if flight is None or not self._hedging.in_time(now, flight.deadline):
                    continue
                if self._attempts.give_up(key, number, now) is Decision.RETRY:
                    orders.append((flight, self._order(flight, key, now)))
        for flight, order in orders:
            self._send(flight, [order])

    # -- what does not come back -----------------------------------------------------------------

    def next_look(self) -> float | None:
        """Return when :meth:`look` is due, or None.  The lock is held."""
        return self._watch.next(self._attempts.is_done)

    def look(self, now: float) -> None:
        """Move what waits too long, hedge what is slow by now, and rerun what is silent."""
        with self._lock:
            orders: list[tuple[F, RunRequest]] = []
            waits = False
            for moment, key, attempt in self._watch.due(now):
                flight = self._flight_of(key[0])
                if flight is None or self._attempts.is_done(key):
                    continue
                order = None
                if moment is Moment.WAITING:
                    waits |= self._still_waits(key, attempt, now)
                elif moment is Moment.SLOW:
                    order = self._hedge(flight, key, attempt, now)
                else:
                    order = self._give_up(flight, key, attempt, now)
                if order is not None:
                    orders.append((flight, order))
            steals = self._steals(now) if waits else []
        if steals and self._steal is not None:
            self._steal(steals)
        for flight, order in orders:
            self._send(flight, [order])

    # -- inside; the lock is held -----------------------------------------------------------------

    def _place(self, flight: F, key: ChunkKey, number: int, peer: str, now: float) -> None:
        """Note to whom a run goes, and when to look at it."""
        self._attempts.runs(key)[number - 1].peer = peer
        self._router.sent(peer, now)
        slow_at = self._hedging.hedge_at(now, flight.deadline)
        if slow_at is None:
            self._watch.add(now + self._hedging.silent_after, Moment.SILENT, key, number)
        else:
            self._watch.add(slow_at, Moment.SLOW, key, number)
        self._watch_waiting(key, number, peer, now)

    def _watch_waiting(self, key: ChunkKey, number: int, peer: str, now: float) -> None:
        candidate = self._router.candidate(peer) if peer and self._steal is not None else None
        if candidate is not None:
            due = now + candidate.finish(self._megapixels[key[1]])
            self._watch.add(due, Moment.WAITING, key, number)

    def _back(self, run: Run) -> None:
        if run.peer and not run.is_back:
            run.is_back = True
            self._router.back(run.peer)

    def _used(self, key: ChunkKey) -> set[str]:
        runs = self._attempts.runs(key)
        return {run.peer for run in runs} | {run.moved_from for run in runs if run.moved_from}

    def _hedge(self, flight: F, key: ChunkKey, attempt: int, now: float) -> RunRequest | None:
        runs = self._attempts.runs(key)
        run = runs[attempt - 1]
        silent_at = run.sent_at + self._hedging.silent_after
        self._watch.add(max(silent_at, now), Moment.SILENT, key, attempt)
        if run.state is not RunState.OUT or len(runs) >= self._attempts.most:
            return None
        peer = self._router.second(key[1], flight.deadline, self._used(key), now)
        if not peer or not self._can_make_it(peer, key, flight, now):
            return None
        if not self._hedging.hedges.take():
            return None
        number = self._attempts.add(key, peer, now)
        if number is None:
            return None
        self._place(flight, key, number, peer, now)
        return RunRequest(key[1], number, peer)

    def _give_up(self, flight: F, key: ChunkKey, attempt: int, now: float) -> RunRequest | None:
        runs = self._attempts.runs(key)
        run = runs[attempt - 1]
        if run.state is not RunState.OUT or not self._hedging.in_time(now, flight.deadline):
            return None
        alone = sum(other.state is RunState.OUT for other in runs) == 1
        if alone and len(runs) < self._attempts.most and not self._hedging.reruns.take():
            return None
        if run.peer and not run.moved_from:  # Of a moved one nobody knows who kept it.
            self._breakers.record(run.peer, Outcome.LATE, now)
        if self._attempts.give_up(key, attempt, now) is Decision.RETRY:
            return self._order(flight, key, now)
        return None

    def _can_make_it(self, peer: str, key: ChunkKey, flight: F, now: float) -> bool:
        """Tell whether a run that is sent now would, by what is known of its peer, be in time."""
        candidate = self._router.candidate(peer)
        if candidate is None or candidate.last_result == float("-inf"):
            return self._hedging.in_time(now, flight.deadline)
        return now + candidate.finish(self._megapixels[key[1]]) < flight.deadline

    def _order(self, flight: F, key: ChunkKey, now: float) -> RunRequest:
        """Choose who gets the run that was granted last, in another's place."""
        number = len(self._attempts.runs(key))
        peer = self._router.second(key[1], flight.deadline, self._used(key), now)
        self._place(flight, key, number, peer, now)
        return RunRequest(key[1], number, peer)

    def _still_waits(self, key: ChunkKey, attempt: int, now: float) -> bool:
        run = self._attempts.runs(key)[attempt - 1]
        if run.state is not RunState.OUT:
            return False
        self._watch.add(now + STEAL_INTERVAL, Moment.WAITING, key, attempt)
        return True

    def _steals(self, now: float) -> list[Move[ChunkKey]]:
        """Choose what is moved from one peer's own queue to another's; no run is counted."""
        pool = self._router.pool
        waiting = []
        for key, _number, run in self._attempts.out():
            flight = self._flight_of(key[0])
            # What a move has not found is being worked on; it stays where it is.
            if flight is not None and run.peer in pool and not run.moved_from:
                size = self._megapixels[key[1]]
                used = tuple(self._used(key) - {run.peer})
                waiting.append(Waiting(key, run.peer, run.sent_at, flight.deadline, size, used))
        chosen = moves(waiting, pool, now)
        for move in chosen:
            for run in self._attempts.runs(move.key):
                if run.peer == move.source and run.state is RunState.OUT:
                    self._router.back(move.source)
                    self._router.sent(move.to, now)
                    run.peer, run.moved_from = move.to, move.source
        self.stolen += len(chosen)
        return chosen
