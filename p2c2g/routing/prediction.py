"""What all policies predict with: a peer's speed, and when it would be late.

Pure.  The prediction itself is :meth:`Candidate.finish`; this is what follows from it.
"""

from __future__ import annotations

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.policy import Job

#: Seconds a megapixel below which a measured time is taken for this: nothing takes none.
FASTEST = 1e-6


def speed(candidate: Candidate) -> float:
    """Return the megapixels a second that a peer's slots make together and its line takes."""
    return min(candidate.slots / max(candidate.seconds_per_megapixel, FASTEST), candidate.line)


def unless_the_queue_is_better(best: Candidate, job: Job, now: float) -> Candidate | None:
    """Return the earliest of a policy's peers, or None where the capability queue is better hope.

    It is better where even the earliest would be late *and* has no slot free.  Such a chunk
    would be late because it waits, and what waits in the queue of all goes to whichever slot is
    free first, one outside the pool included.  Where the earliest has a slot free, it is too
    far or too slow by itself: the queue of all might hand the chunk to one that is slower yet.
    """
    full = best.backlog >= best.slots
    return None if full and now + best.finish(job.megapixels) > job.deadline else best
