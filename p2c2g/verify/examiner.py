"""Examines peers: who is new, who was sent away, and now and then everybody else.

Work that shows whether a peer is to be believed, beside the check that every result passes:

* a *probe* goes to a peer whose breaker is half-open: a copy of a chunk, judged by itself;
* a *copy* of a chunk that one peer has answered goes to another, and the two answers are
  compared.  A newcomer gets copies of what trusted peers did before any work that counts; a
  trusted peer is compared ever more seldom (:mod:`p2c2g.peers.trust`);
* a *canary* is a chunk of some time ago, on whose answer two peers have agreed.

Nobody who gets one can tell it from work.  Each is one of the three runs of its chunk; nobody
waits for its answer, and it is judged on the keeper's thread.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from random import Random

from p2c2g.errors import ChunkError
from p2c2g.peers.breaker import Breakers, Outcome
from p2c2g.peers.health import Health
from p2c2g.peers.trust import Canaries, Canary, Trust
from p2c2g.routing.router import Router
from p2c2g.session.attempts import Attempts, ChunkKey
from p2c2g.session.config import FrameInFlight, SessionConfig
from p2c2g.session.orders import RunRequest
from p2c2g.timing.bucket import TokenBucket
from p2c2g.verify.examination import TIMEOUT, BreakerTrial, Comparer, Examination

logger = logging.getLogger(__name__)

#: Examinations as a share of chunks, and of some at once.
SHARE = 0.05
BURST = 4.0
#: Examinations under way, one a peer; one more is not begun.
MAX_UNDER_WAY = 16
#: Answers that wait for their judgement; one more is not judged.
MAX_WAITING = 16


class Examiner:
    """The examinations of one session.

    Args:
        plan: the session's.
        attempts: the one table.
        breakers: the peers' breakers.
        health: is told what came of an examination.
        trust: says who wants one, and learns from it.
        router: says who can take one.
        lock: guards all of these; methods that say so want it held, the others take it.
        random: draws canaries.
        comparer: compares two answers.
    """

    def __init__(
        self,
        plan: SessionConfig,
        attempts: Attempts,
        breakers: Breakers,
        health: Health,
        trust: Trust,
        router: Router,
        lock: threading.Lock,
        random: Random,
        comparer: Comparer,
    ) -> None:
        self._settings = f"{plan.codec} {plan.quality} {plan.size} {plan.operations} {plan.grid}"
        self._chunks = plan.chunks
        self._comparer = comparer
        self._attempts = attempts
        self._breakers = breakers
        self._health = health
        self._trust = trust
        self._router = router
        self._lock = lock
        self._random = random
        self._budget = TokenBucket(SHARE, BURST)
        self._probes: dict[str, BreakerTrial] = {}
        self._under_way: dict[str, Examination] = {}
        self._answered: deque[tuple[Examination, bytes, str]] = deque(maxlen=MAX_WAITING)
        self._canaries = Canaries()
        #: Examinations begun, of them with canaries, and how they ended as far as they did.
        self.begun = self.canaries = self.agreed = self.differed = self.incomparable = 0

    # -- probes of breakers that are half-open ---------------------------------------------------

    def probe(self, flight: FrameInFlight, now: float) -> RunRequest | None:
        """Return a probe that is to go out with a frame, or None.  The lock is held."""
        self._budget.earn(len(self._chunks))
        peer = self._breakers.probe(now)
        if peer is None:
            return None
        key = (flight.number, self._chunks[-1].index)
        number = self._attempts.add(key, peer, now, hedge=False)
        if number is None:
            self._breakers.unprobe(peer)
            return None
        # One that is not answered would keep its frame.
        for name in [n for n, probe in self._probes.items() if probe.is_over(now)]:
            del self._probes[name]
        self._probes[peer] = BreakerTrial(key, number, flight)
        return RunRequest(key[1], number, peer)

    def take_probe(self, peer: str, key: ChunkKey) -> BreakerTrial | None:
        """Take the probe that a result of ``peer`` answers, if it does.  The lock is held."""
        probe = self._probes.get(peer)
        if probe is None or probe.key != key:
            return None
        return self._probes.pop(peer)

    # -- copies and canaries -------------------------------------------------------------------

    def accepted(
        self,
        flight: FrameInFlight,
        index: int,
        peer: str,
        answer: bytes,
        now: float,
        ran: str = "",
    ) -> tuple[RunRequest, bytes] | None:
        """Choose whether an accepted result leads to an examination.  The lock is held.

        Args:
            flight: the frame.
            index: the chunk's.
            peer: whose result it is.
            answer: the result, encoded.
            now: seconds of the session's clock.
            ran: the pipeline by which it was made, where the choice was the peer's.

        Returns:
            The run to be sent and its picture, or None.
        """
        if self._budget.is_empty:
            return None
        self._expire(now)
        if len(self._under_way) >= MAX_UNDER_WAY:
            return None
        canary = None
        examined = ""
        if self._trust.wants_check(peer):
            canary = self._canary(index) if peer not in self._under_way else None
            examined = peer if canary else self._router.referee({peer, *self._under_way}, now)
        elif self._trust.is_trusted(peer):
            examined = self._router.newcomer({peer, *self._under_way}, now)
        if not examined or not self._budget.take():
            return None
        key = (flight.number, index)
        number = self._attempts.examine(key, examined, now)
        if number is None:
            return None
        self.begun += 1
        self.canaries += canary is not None
        self._router.sent(examined, now)
        picture, known, by, how = (
            (canary.payload, canary.answer, "", canary.ran)
            if canary
            else (flight.payloads[index], answer, peer, ran)
        )
        self._under_way[examined] = Examination(
            key, number, examined, picture, known, by, now + TIMEOUT,
            None if canary else flight.frame.pixels, how,
        )  # fmt: skip
        return RunRequest(index, number, examined), picture

    def take(self, peer: str, key: ChunkKey, attempt: int | None) -> Examination | None:
        """Take the examination that an answer belongs to, if it does.  The lock is held.

        Args:
            peer: whose answer it is.
            key: the chunk that it speaks of.
            attempt: the run that it speaks of, or None where it speaks of none.
        """
        examination = self._under_way.get(peer)
        if examination is None or examination.key != key:
            return None
        if attempt is not None and examination.attempt != attempt:
            return None
        return self._under_way.pop(peer)

    def put(self, examination: Examination, answer: bytes, ran: str = "") -> None:
        """Keep an answer, made by the pipeline ``ran``, for :meth:`judge`.  The lock is held."""
        self._answered.append((examination, answer, ran))

    def failed(self, examination: Examination, now: float) -> None:
        """Note that an examination was answered with an error.  The lock is held."""
        self._condemn(examination.peer, now)

    def judge(self, now: float) -> None:
        """Judge the answers that have come; slow, and for a thread that has the time."""
        while True:
            with self._lock:
                if not self._answered:
                    return
                examination, answer, ran = self._answered.popleft()
                if ran != examination.ran:
                    # Two nets, chosen by the time that each peer had, cannot be compared: that
                    # tells nothing for a peer, and nothing against it.
                    self.incomparable += 1
                    continue
            try:
                agree = self._comparer.agree(examination, answer)
            except ChunkError as error:
                logger.warning("Peer %s failed an examination: %s", examination.peer, error)
                with self._lock:
                    self._condemn(examination.peer, now)
                continue
            with self._lock:
                self._conclude(examination, agree=agree, now=now)

    # -- inside -------------------------------------------------------------------------------

    def _canary(self, index: int) -> Canary | None:
        """Draw a canary, for a chunk that has its result: another one may want its runs.

        Every second time at most, since only copies make new ones.
        """
        if self._random.random() < 0.5:
            return None
        return self._canaries.pick(self._settings, self._random, chunk=index)

    def _conclude(self, examination: Examination, *, agree: bool, now: float) -> None:
        peer, by = examination.peer, examination.by
        self.agreed += agree
        self.differed += not agree
        if agree:
            for each in filter(None, (peer, by)):
                self._trust.valid(each)
                self._health.checked(each, good=True)
            if by:
                self._canaries.learn(
                    self._settings,
                    examination.key[1],
                    examination.picture,
                    examination.answer,
                    examination.ran,
                )
            return
        if by and self._trust.is_trusted(peer) == self._trust.is_trusted(by):
            # One of them is wrong, and nobody knows which: both begin anew.
            logger.warning("Peers %s and %s differ in chunk %s.", peer, by, examination.key)
            for each in (peer, by):
                self._trust.invalid(each)
                self._health.checked(each, good=False)
            return
        self._condemn(by if by and self._trust.is_trusted(peer) else peer, now)

    def _condemn(self, peer: str, now: float) -> None:
        logger.warning("Peer %s has failed an examination and is no longer trusted.", peer)
        self._trust.invalid(peer)
        self._health.checked(peer, good=False)
        self._breakers.record(peer, Outcome.BAD, now)

    def _expire(self, now: float) -> None:
        for peer in [p for p, each in self._under_way.items() if each.until < now]:
            del self._under_way[peer]
