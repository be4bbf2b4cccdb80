"""Decides the runs of chunks: the first, those that replace one, hedges, and moves.

The table of attempts says whether there may be another run, the hedging policy when, the router
who gets it; they meet here.  Pure: what is to be sent or moved is returned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic

from p2c2g.media.frame import ChunkKey
from p2c2g.peers.breaker import Outcome
from p2c2g.session.actions import Result, RunRequest, Send, Steal
from p2c2g.session.attempts import Decision, RunState, Verdict
from p2c2g.session.frames import FrameInFlight, P, S
from p2c2g.session.hedging import LOOK_AGAIN, Moment, Overtaken, Watch
from p2c2g.session.moving import Moving
from p2c2g.session.tables import Tables

#: Seconds between two looks at a chunk that waits at a peer for longer than was predicted.
STEAL_INTERVAL = 0.004


class Runs(Generic[S, P]):
    """The runs of one session.

    Args:
        tables: the session's.
        stealing: whether what waits in one peer's own queue may be moved to another's.
    """

    def __init__(self, tables: Tables[S, P], *, stealing: bool) -> None:
        self._operation = tables.config.operations.text
        self._megapixels = tables.config.megapixels
        self._attempts = tables.attempts
        self._hedging = tables.hedging
        self._breakers = tables.breakers
        self._health = tables.health
        self._router = tables.router
        self._throttle = tables.throttle
        self._frame_of = tables.frames.frame
        self._observers = tables.observers
        self._measuring = tables.measuring
        self._stealing = stealing
        self._lines = tables.lines
        self._delivery = tables.admission.delivery
        #: Seconds that chunks wait of late where no peer sees it.
        self._waits = 0.0
        self._watch = Watch()
        self._overtaken = Overtaken()
        self._moving = Moving(tables, self._used)

    @property
    def stolen(self) -> int:
        """Return how many chunks were moved from one peer's own queue to another's."""
        return self._moving.count

    # -- a frame's life ------------------------------------------------------------------------

    def open(self, frame: FrameInFlight[S], now: float) -> list[RunRequest]:
        """Grant the first run of each chunk of a frame, and choose its peer.

        None are to be sent where each chunk is somebody's, and nobody may have them.
        """
        requests = []
        self._waits = self._delivery.rise(now)
        for index in frame.payloads:
            key = (frame.number, index)
            self._attempts.open(key, now)
            peer = self._router.first(index, frame.deadline, now)
            if self._is_placed(peer):
                requests.append(self._request(frame, key, 1, peer, now))
            else:
                self._throttle.withdraw((*key, 1), len(frame.payloads[index]))
        self._hedging.sent(len(frame.payloads))
        return requests

    def close(self, frame: FrameInFlight[S], now: float | None) -> None:
        """Forget a frame's chunks: it is shown at ``now``, or never left."""
        for index in frame.payloads:
            key = (frame.number, index)
            missing = not self._attempts.is_done(key)
            for attempt, run in enumerate(self._attempts.runs(key), 1):
                owed = missing and run.peer and not run.is_back and not run.moved_from
                if owed and now is not None:
                    self._router.overdue(run.peer, index, now - run.sent_at)
                self._returned(key, attempt)
            self._attempts.close(key)

    def examine(
        self, frame: FrameInFlight[S], key: ChunkKey, number: int, peer: str, payload: bytes,
        budget: float, now: float,
    ) -> RunRequest:  # fmt: skip
        """Give a run that nobody waits for, granted to examine a peer by a chunk, to that peer."""
        self._attempts.assign(key, number, peer, budget)
        self._router.sent(peer, now)
        self._throttle.take((*key, number), len(payload), frame.plan.recipe.form, now)
        for observer in self._observers:
            observer.run_sent(key, number, peer, len(payload))
        self._measuring.sent(key, number, peer, len(payload), now)
        return RunRequest(key[1], number, peer, budget)

    def has_room(self, frame: FrameInFlight[S], key: ChunkKey, now: float) -> bool:
        """Tell whether the gamer's line may carry one more run of a chunk."""
        return self._throttle.fits(len(frame.payloads[key[1]]), frame.plan.recipe.form, now)

    # -- what comes back -----------------------------------------------------------------------

    def succeeded(self, result: Result, now: float) -> Verdict:
        """Judge a result that shows its chunk and arrived at ``now``."""
        key, peer = result.key, result.peer
        run = self._attempts.run(key, result.attempt)
        verdict = self._attempts.succeed(key, result.attempt)
        late = run is None or run.state is RunState.SILENT
        if late:
            self._breakers.record(peer, Outcome.LATE, now)
        elif verdict is Verdict.ACCEPTED:
            self._breakers.record(peer, Outcome.GOOD, now)
            self._router.measured(key[1], result.size)
        if run is None:
            self._health.failed(peer, self._operation, now)
            self._router.answered(peer, None, now)
            return verdict
        took = now - run.sent_at
        self._overtaken.answered(peer, run.sent_at)
        self._hedging.took(took)
        self._returned(key, min(max(result.attempt, 1), len(self._attempts.runs(key))))
        self._learn(result, took, now, on_time=not late)
        return verdict

    def examined(self, result: Result, took: float, now: float) -> None:
        """Learn from the answer to an examination how fast a peer is, ``took`` seconds in all.

        So one that gets nothing else, since its first chunks were slow, can show that it has
        warmed up.
        """
        self._learn(result, took, now, on_time=True)

    def failed(
        self, key: ChunkKey, attempt: int | None, peer: str, now: float, *, is_trial: bool = False
    ) -> tuple[Decision | None, list[Send[S]]]:
        """Judge a failed run.

        Args:
            key: the chunk.
            attempt: the number of the run, or None where the peer does not tell.
            peer: whose run it was; empty where nobody knows.
            now: seconds of the session's clock.
            is_trial: whether its breaker has been told already.

        Returns:
            What follows, None where the frame has been shown; and what is to be sent.
        """
        attempts = self._attempts
        if peer and not is_trial:
            self._breakers.record(peer, Outcome.BAD, now)
            self._health.failed(peer, self._operation, now)
        frame = self._frame_of(key[0])
        if frame is None or not attempts.runs(key):
            attempts.late += 1
            return None, []
        if attempt is None:
            attempt = attempts.run_of(key, peer)
            if not self._may_fail(key, attempt, peer):
                return None, []
        if 1 <= attempt <= len(attempts.runs(key)):
            self._returned(key, attempt)
        in_time = self._hedging.in_time(now, frame.deadline)
        decision = attempts.fail(key, attempt, now, may_rerun=in_time)
        return decision, self._again(frame, key, now) if decision is Decision.RETRY else []

    def gone(self, peer: str, now: float) -> list[Send[S]]:
        """Have others run at once what a peer had that died or left."""
        self._measuring.gone(peer)
        sends: list[Send[S]] = []
        for key, number in self._attempts.out_at(peer):
            frame = self._frame_of(key[0])
            if frame is None or not self._hedging.in_time(now, frame.deadline):
                continue
            if self._attempts.give_up(key, number, now) is Decision.RETRY:
                sends += self._again(frame, key, now)
        return sends

    # -- what does not come back -----------------------------------------------------------------

    def next_look(self) -> float | None:
        """Return when :meth:`look` is due, or None."""
        return self._watch.next(self._attempts.is_done)

    def look(self, now: float) -> list[Send[S] | Steal[S]]:
        """Move what waits too long, hedge what is slow by now, and rerun what is silent."""
        sends: list[Send[S] | Steal[S]] = []
        waits = False
        for moment, key, attempt in self._watch.due(now):
            frame = self._frame_of(key[0])
            if frame is None or self._attempts.is_done(key):
                continue
            if moment is Moment.WAITING:
                waits |= self._still_waits(key, attempt, now)
            elif moment is Moment.SLOW:
                sends += self._hedge(frame, key, attempt, now)
            else:
                sends += self._give_up(frame, key, attempt, now)
        steal = self._moving.look(now) if waits else None
        return [steal, *sends] if steal is not None else sends

    # -- inside ------------------------------------------------------------------------------------

    def _request(
        self, frame: FrameInFlight[S], key: ChunkKey, number: int, peer: str, now: float
    ) -> RunRequest:
        """Give a granted run to a peer, and note when to look at it."""
        budget = max(0.0, frame.deadline - now - self._router.rtt(peer) - self._waits)
        self._attempts.assign(key, number, peer, budget)
        self._router.sent(peer, now)
        slow_at = self._hedging.hedge_at(now, frame.deadline)
        if slow_at is None:
            self._watch.add(now + self._hedging.silent_after, Moment.SILENT, key, number)
        else:
            self._watch.add(slow_at, Moment.SLOW, key, number)
        candidate = self._router.candidate(peer) if peer and self._stealing else None
        if candidate is not None:
            due = now + candidate.finish(self._megapixels[key[1]])
            self._watch.add(due, Moment.WAITING, key, number)
        size = len(frame.payloads[key[1]])
        if number > 1:  # Of the first it is done for the whole frame.
            self._throttle.take((*key, number), size, frame.plan.recipe.form, now)
        for observer in self._observers:
            observer.run_sent(key, number, peer, size)
        self._measuring.sent(key, number, peer, size, now)
        return RunRequest(key[1], number, peer, budget)

    def _again(self, frame: FrameInFlight[S], key: ChunkKey, now: float) -> list[Send[S]]:
        """Choose who gets the run that was granted last, in another's place.

        Where nobody can, the chunk stays as it is: base alone, unless an earlier run comes back.
        """
        number = len(self._attempts.runs(key))
        peer = self._router.second(key[1], frame.deadline, self._used(key), now)
        if not self._is_placed(peer) or not self.has_room(frame, key, now):
            return []
        return [Send(frame, (self._request(frame, key, number, peer, now),))]

    def _hedge(
        self, frame: FrameInFlight[S], key: ChunkKey, attempt: int, now: float
    ) -> Iterable[Send[S]]:
        runs = self._attempts.runs(key)
        run = runs[attempt - 1]
        silent_at = run.sent_at + self._hedging.silent_after
        self._watch.add(max(silent_at, now), Moment.SILENT, key, attempt)
        if run.state is not RunState.OUT or len(runs) >= self._attempts.most:
            return ()
        peer = self._router.second(key[1], frame.deadline, self._used(key), now)
        if not peer or not self._can_make_it(peer, key, frame, now):
            return ()
        if not self.has_room(frame, key, now):
            return ()
        if not self._hedging.hedges.take():
            return ()
        number = self._attempts.add(key, peer, now)
        if number is None:
            return ()
        return (Send(frame, (self._request(frame, key, number, peer, now),)),)

    def _give_up(
        self, frame: FrameInFlight[S], key: ChunkKey, attempt: int, now: float
    ) -> Iterable[Send[S]]:
        runs = self._attempts.runs(key)
        run = runs[attempt - 1]
        if run.state is not RunState.OUT or not self._hedging.in_time(now, frame.deadline):
            return ()
        if not self._may_help(key, run.peer, run.sent_at):
            self._watch.add(now + LOOK_AGAIN, Moment.SILENT, key, attempt)
            return ()
        alone = sum(other.state is RunState.OUT for other in runs) == 1
        if alone and len(runs) < self._attempts.most and not self._hedging.reruns.take():
            return ()
        if run.peer and not run.moved_from:  # Of a moved one nobody knows who kept it.
            self._breakers.record(run.peer, Outcome.LATE, now)
        for observer in self._observers:
            observer.run_given_up(key, attempt, run.peer)
        self._measuring.lost(key, attempt, now)
        if self._attempts.give_up(key, attempt, now) is Decision.RETRY:
            return self._again(frame, key, now)
        return ()

    def _may_help(self, key: ChunkKey, peer: str, sent_at: float) -> bool:
        """Tell whether another run of a silent chunk is of use.

        Not where it would stand behind the first one: at the same peer, or in this machine's line.
        """
        if self._overtaken.is_lost(peer, sent_at):
            return True
        used = self._used(key)
        others = [each for each in self._router.pool if each not in used]
        # Of a run that was nobody's, one of them has it.
        return len(others) > (not peer) and self._lines.own_up.state != "overuse"

    def _can_make_it(self, peer: str, key: ChunkKey, frame: FrameInFlight[S], now: float) -> bool:
        """Tell whether a run that is sent now would, by what is known of its peer, be in time."""
        candidate = self._router.candidate(peer)
        if candidate is None or candidate.last_result == float("-inf"):
            return self._hedging.in_time(now, frame.deadline)
        return now + candidate.finish(self._megapixels[key[1]]) < frame.deadline

    def _learn(self, result: Result, took: float, now: float, *, on_time: bool) -> None:
        """Note how long a peer worked on a chunk that was away for ``took`` seconds."""
        peer, seconds = result.peer, min(max(result.seconds, 0.0), took)
        # The shortest round trip of late: the rest of this one was waiting.
        rtt = self._router.answered(peer, took - seconds, now)
        if result.was_known:
            for observer in self._observers:
                observer.peer_knew(result.key, peer)
            return  # That says nothing of how fast it works.
        megapixels = self._megapixels[result.key[1]]
        self._health.result(
            peer, self._operation, megapixels, seconds, rtt, on_time=on_time, now=now
        )

    def _returned(self, key: ChunkKey, number: int) -> None:
        peer = self._attempts.returned(key, number)
        if peer:
            self._router.back(peer)

    def _used(self, key: ChunkKey) -> set[str]:
        runs = self._attempts.runs(key)
        return {run.peer for run in runs} | {run.moved_from for run in runs if run.moved_from}

    def _still_waits(self, key: ChunkKey, attempt: int, now: float) -> bool:
        if self._attempts.runs(key)[attempt - 1].state is not RunState.OUT:
            return False
        self._watch.add(now + STEAL_INTERVAL, Moment.WAITING, key, attempt)
        return True

    def _may_fail(self, key: ChunkKey, attempt: int, peer: str) -> bool:
        """Tell whether a failure may be believed: where each run is somebody's, of that one."""
        if self._router.has_shared_queue:
            return True
        run = self._attempts.run(key, attempt)
        return run is not None and peer in (run.peer, run.moved_from)

    def _is_placed(self, peer: str) -> bool:
        """Tell whether a run has somewhere to go: an empty name is the capability queue."""
        return bool(peer) or self._router.has_shared_queue
