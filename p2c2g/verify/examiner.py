"""Examines peers: who is new, who was sent away, and now and then everybody else.

Work that shows whether a peer is to be believed, beside the check that every result passes:

* a *trial* goes to a peer whose breaker is half-open: a copy of a chunk, judged by itself;
* a *copy* of a chunk that one peer has answered goes to another, and the two answers are
  compared.  A newcomer gets copies of what trusted peers did before any work that counts; a
  trusted peer is compared more and more seldom (:mod:`p2c2g.peers.trust`);
* a *canary* is a chunk of some time ago, on whose answer two peers have agreed.

Who belongs together, as the operator says, gives no second opinion on each other: a copy goes to
a peer of another account and another network, and of those that agreed on a canary one at least
is unrelated to the peer that gets it.  Where nobody unrelated is there, nobody is compared.

Nobody who gets one can tell it from work.  Each is one of the three runs of its chunk, and nobody
waits for its answer.  Pure: who compares two answers takes them by :meth:`Examiner.take_answers`
and tells what came of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from random import Random
from typing import Any, Protocol

from p2c2g.media.frame import ChunkKey
from p2c2g.media.recipe import Recipe
from p2c2g.peers.breaker import Breakers, Outcome
from p2c2g.peers.trust import Trust
from p2c2g.timing.bucket import TokenBucket
from p2c2g.verify.canaries import Canaries, Canary
from p2c2g.verify.examination import TIMEOUT, BreakerTrial, Compare, Examination

#: Examinations as a share of chunks, and of some at once.
SHARE = 0.05
BURST = 4.0
#: Examinations under way, one a peer; one more is not begun.
MAX_UNDER_WAY = 16
#: Answers that wait to be compared; one more is not compared.
MAX_WAITING = 16

#: Grants a chunk one more run, for a peer; gives its number, or None where it has had its runs.
Grant = Callable[[ChunkKey, str], int | None]


class Referees(Protocol):
    """Knows who can take an examination."""

    def referee(self, peer: str, used: Collection[str], now: float) -> str:
        """Return who gives a second opinion: unrelated to ``peer``, and not ``used``; or nobody."""

    def newcomer(self, peer: str, busy: Collection[str], now: float) -> str:
        """Return who wants to be examined: unrelated to ``peer``, and not ``busy``; or nobody."""

    def are_unrelated(self, one: str, other: str) -> bool:
        """Tell whether two peers are different ones that do not belong together."""


class Examiner:
    """The examinations of one session.  Not thread-safe.

    Args:
        breakers: the peers' breakers.
        trust: says who wants one, and learns from it.
        referees: says who can take one.
        random: draws canaries.
    """

    def __init__(
        self,
        breakers: Breakers,
        trust: Trust,
        referees: Referees,
        random: Random,
    ) -> None:
        self._breakers = breakers
        self._trust = trust
        self._referees = referees
        self._random = random
        self._budget = TokenBucket(SHARE, BURST)
        self._trials: dict[str, BreakerTrial] = {}
        self._under_way: dict[str, Examination] = {}
        self._answered: deque[Compare] = deque(maxlen=MAX_WAITING)
        self._canaries = Canaries()
        #: Examinations begun, of them with canaries, and how they ended as far as they did.
        self.begun = self.canaries = self.agreed = self.differed = self.incomparable = 0

    # -- trials of breakers that are half-open ---------------------------------------------------

    def sent(self, chunks: int) -> None:
        """Note chunks that were sent for the first time: they pay for examinations."""
        self._budget.earn(chunks)

    def trickled(self, chunks: int) -> None:
        """Note chunks that were sent for examinations alone: each pays for one."""
        self._budget.earn(chunks / SHARE)

    def trial(
        self, key: ChunkKey, source: Any, recipe: Recipe, deadline: float, grant: Grant, now: float
    ) -> BreakerTrial | None:
        """Return a trial that is to go out with a chunk of the frame ``source``, or None."""
        peer = self._breakers.trial(now)
        if peer is None:
            return None
        number = grant(key, peer)
        if number is None:
            self._breakers.withdraw_trial(peer)
            return None
        for name in [n for n, trial in self._trials.items() if trial.is_over(now)]:
            del self._trials[name]
        self._trials[peer] = trial = BreakerTrial(key, number, peer, deadline, source, recipe)
        return trial

    def withdraw(self, number: int) -> None:
        """Note that the trials of a frame were not sent after all."""
        for peer in [p for p, trial in self._trials.items() if trial.key[0] == number]:
            del self._trials[peer]
            self._breakers.withdraw_trial(peer)

    def take_trial(self, peer: str, key: ChunkKey) -> BreakerTrial | None:
        """Take the trial that a result of ``peer`` answers, if it does."""
        trial = self._trials.get(peer)
        if trial is None or trial.key != key:
            return None
        return self._trials.pop(peer)

    # -- copies and canaries -------------------------------------------------------------------

    def accepted(
        self, key: ChunkKey, peer: str, payload: bytes, answer: bytes, source: Any,
        recipe: Recipe, ran: str, grant: Grant, now: float,
    ) -> Examination | None:  # fmt: skip
        """Choose whether an accepted result leads to an examination.

        Args:
            key: the chunk.
            peer: whose result it is.
            payload: the chunk as it was sent.
            answer: the result, encoded.
            source: the frame that the chunk was cut from.
            recipe: by which the frame was sent.
            ran: the pipeline by which the result was made, where the choice was the peer's.
            grant: grants the run.
            now: seconds of the session's clock.

        Returns:
            What is to be sent, or None.
        """
        if self._budget.is_empty:
            return None
        self._expire(now)
        if len(self._under_way) >= MAX_UNDER_WAY:
            return None
        canary = None
        examined = ""
        if self._trust.wants_check(peer):
            canary = self._canary(recipe, key[1], peer) if peer not in self._under_way else None
            busy = {peer, *self._under_way}
            examined = peer if canary else self._referees.referee(peer, busy, now)
        elif self._trust.is_trusted(peer):
            examined = self._referees.newcomer(peer, {peer, *self._under_way}, now)
        if not examined or not self._budget.take():
            return None
        number = grant(key, examined)
        if number is None:
            return None
        self.begun += 1
        self.canaries += canary is not None
        until = now + TIMEOUT
        self._under_way[examined] = examination = (
            Examination(
                key, number, examined, canary.payload, canary.answer, "", until, None, recipe,
                canary.ran,
            )
            if canary
            else Examination(
                key, number, examined, payload, answer, peer, until, source, recipe, ran
            )
        )  # fmt: skip
        return examination

    def take(self, peer: str, key: ChunkKey, attempt: int | None) -> Examination | None:
        """Take the examination that an answer belongs to, if it does.

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

    def answered(self, examination: Examination, answer: bytes, ran: str = "") -> None:
        """Keep an answer, made by the pipeline ``ran``, until somebody has time to compare it.

        Two nets, chosen by the time that each peer had, cannot be compared: that tells nothing
        for a peer, and nothing against it.
        """
        if ran != examination.ran:
            self.incomparable += 1
            return
        self._answered.append(Compare(examination, answer))

    def take_answers(self) -> list[Compare]:
        """Take the answers that are to be compared."""
        answers = list(self._answered)
        self._answered.clear()
        return answers

    def failed(self, examination: Examination, now: float) -> None:
        """Note that an examination was answered with an error, or with no residual at all."""
        self._condemn(examination.peer, now)

    def concluded(self, examination: Examination, *, agree: bool, now: float) -> None:
        """Note whether an answer agrees with what was known."""
        peer, by = examination.peer, examination.by
        self.agreed += agree
        self.differed += not agree
        if agree:
            for each in filter(None, (peer, by)):
                self._trust.valid(each)
            if by:
                self._canaries.learn(
                    examination.recipe,
                    examination.key[1],
                    examination.picture,
                    examination.known,
                    examination.ran,
                    (peer, by),
                )
            return
        if by and self._trust.is_trusted(peer) == self._trust.is_trusted(by):
            for each in self._less_shown(peer, by):
                self._trust.invalid(each)
            return
        self._condemn(by if by and self._trust.is_trusted(peer) else peer, now)

    # -- inside -------------------------------------------------------------------------------

    def _less_shown(self, one: str, other: str) -> tuple[str, ...]:
        """Return who begins again of two that differ, both trusted or neither: one is wrong.

        Of two that are not trusted yet it is the one of whom fewer agreed here before: those who
        lie alike are related, and nobody else agrees with them.  Else as many liars as honest
        peers would keep all of them at nothing for ever.
        """
        if not self._trust.is_trusted(one):
            by_shown = sorted((one, other), key=self._trust.shown_here)
            if self._trust.shown_here(by_shown[0]) < self._trust.shown_here(by_shown[1]):
                return (by_shown[0],)
        # Nobody knows which.
        return (one, other)

    def _canary(self, recipe: Recipe, index: int, peer: str) -> Canary | None:
        """Draw a canary for a peer, for a chunk that has its result: another may want its runs.

        Every second time at most, since only copies make new ones.
        """
        if self._random.random() < 0.5:
            return None
        are_unrelated = self._referees.are_unrelated
        return self._canaries.pick(
            recipe, self._random, index,
            lambda canary: any(are_unrelated(peer, each) for each in canary.authors),
        )  # fmt: skip

    def _condemn(self, peer: str, now: float) -> None:
        self._trust.invalid(peer)
        self._breakers.record(peer, Outcome.BAD, now)

    def _expire(self, now: float) -> None:
        for peer in [p for p, each in self._under_way.items() if each.until < now]:
            del self._under_way[peer]
