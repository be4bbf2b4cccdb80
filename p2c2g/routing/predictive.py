"""The peer that would have the chunk back first.

Exact over a small pool.  Over a large one a few peers are drawn, in proportion to their speed,
and the best of them is taken: the power of two choices (Mitzenmacher, "The Power of Two Choices
in Randomized Load Balancing", IEEE TPDS 2001), which costs the same for any number of peers.
It has a second merit: several sessions that know equally old news of the same peers do not all
run to the one that was idle a second ago (Mitzenmacher, "How Useful Is Old Information?",
IEEE TPDS 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.drawing import Wheel
from p2c2g.routing.policy import Job
from p2c2g.routing.prediction import unless_the_queue_is_better

#: Peers up to which all are compared.
EXACT = 64
#: Peers that are compared in a larger pool, and draws at most to find them.
CHOICES = 4
DRAWS = 12
#: Seconds of cost for each second by which a peer's 95th percentile would miss the deadline.
RISK = 1.0
#: Seconds of cost of a peer that is silent: it comes after all that are not.
SILENCE = 1.0


class Predictive:
    """Takes the peer with the least cost: predicted finish, and more where that is at risk.

    The cost of a peer is the seconds until the chunk is back, and ``risk`` times the seconds by
    which it would be late if it took the peer's 95th percentile.  Of equal ones chance decides.

    In a pool larger than ``exact``, ``choices`` different peers are drawn.  One that had a run
    of the chunk or would be late does not count as a choice, and another is drawn, up to ``draws``
    draws in all.  Only where all drawn ones are used up are all peers compared.

    A peer that is silent, owing a result for much longer than usual, comes last until it
    answers: it may stand still.

    When all are full the cost is mostly waiting, so queues grow evenly in *time*: a peer ten
    times as fast holds ten times as many chunks.  Once even the earliest of those compared
    would be late, chunks go to the capability queue (see
    :func:`~p2c2g.routing.prediction.unless_the_queue_is_better`), so a peer's own queue is
    never longer than its deadline allows.

    Args:
        random: where chance comes from.
        exact: peers up to which all are compared.
        choices: peers that are compared in a larger pool.
        draws: draws at most to find them.
        risk: weight of a 95th percentile that misses the deadline.
    """

    def __init__(
        self,
        random: Random,
        *,
        exact: int = EXACT,
        choices: int = CHOICES,
        draws: int = DRAWS,
        risk: float = RISK,
    ) -> None:
        self._random = random.random
        self._wheel = Wheel(random)
        self._exact = exact
        self._choices = choices
        self._draws = draws
        self._risk = risk

    def choose(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        """Return who gets the job, or None for the capability queue."""
        compared = pool if len(pool) <= self._exact else self._drawn(job, pool, now)
        best = self._best(job, compared, now)
        if best is None and compared is not pool:
            best = self._best(job, pool, now)
        return best and unless_the_queue_is_better(best, job, now)

    def _best(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        megapixels, budget, used = job.megapixels, job.deadline - now, job.used
        best, least, equal = None, float("inf"), 0
        for each in pool:
            if each.id in used:
                continue
            cost = each.finish(megapixels)
            if cost > least:
                continue  # the risk only adds
            if each.is_silent(megapixels, now):
                cost += SILENCE
            miss = (
                cost
                + (each.seconds_per_megapixel_p95 - each.seconds_per_megapixel) * megapixels
                - budget
            )
            if miss > 0:
                cost += self._risk * miss
            if cost < least:
                best, least, equal = each, cost, 1
            elif cost == least:
                equal += 1
                if self._random() * equal < 1:
                    best = each
        return best

    def _drawn(self, job: Job, pool: Sequence[Candidate], now: float) -> list[Candidate]:
        self._wheel.turn_to(pool)
        budget = job.deadline - now
        drawn: list[Candidate] = []
        good = 0
        for _ in range(self._draws):
            each = self._wheel.draw()
            if each.id in job.used or any(each is other for other in drawn):
                continue
            drawn.append(each)
            good += each.finish(job.megapixels) <= budget
            if good == self._choices:
                break
        return drawn
