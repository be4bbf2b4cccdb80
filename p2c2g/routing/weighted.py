"""A peer at random, each as often as it is fast.

Weighted random routing, as of a load balancer that knows its servers' speeds and not their
queues: over time each peer gets its share of the work, and sessions that know nothing of each
other do not all choose the same peer.  Chance makes queues all the same, so the others are
better where predictions can be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.drawing import Wheel
from p2c2g.routing.policy import Job
from p2c2g.routing.prediction import unless_the_queue_is_better

#: Draws for one chunk at most; see :class:`Weighted`.
DRAWS = 4


class Weighted:
    """Draws a peer in proportion to slots ÷ seconds_per_megapixel.

    One that had a run of the chunk, is silent, or would be late by prediction is drawn again, up
    to ``draws`` times in all.  Where none of those drawn is in time, the earliest of them gets
    the chunk, unless it has no slot free: then it goes to the capability queue.  Where chance
    drew others only, the earliest that is not used is looked for among all.

    When all are full each draw is late or waits: chunks go to peers while their queues are
    short enough for the deadline, and to the capability queue beyond that.

    Args:
        random: where chance comes from.
        draws: draws for one chunk, 1 or more.
    """

    def __init__(self, random: Random, draws: int = DRAWS) -> None:
        self._wheel = Wheel(random)
        self._draws = draws

    def choose(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        """Return who gets the job, or None for the capability queue."""
        if not pool:
            return None
        self._wheel.turn_to(pool)
        budget = job.deadline - now
        best, earliest = None, float("inf")
        for _ in range(self._draws):
            drawn = self._wheel.draw()
            if drawn.id in job.used or drawn.is_silent(job.megapixels, now):
                continue
            finish = drawn.finish(job.megapixels)
            if finish <= budget:
                return drawn
            if best is None or finish < earliest:
                best, earliest = drawn, finish
        if best is None:
            best = min(
                (each for each in pool if each.id not in job.used),
                key=lambda each: (
                    each.is_silent(job.megapixels, now),
                    each.finish(job.megapixels),
                ),
                default=None,
            )
        return best and unless_the_queue_is_better(best, job, now)
