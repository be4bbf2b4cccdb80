"""What a routing policy is: it is given a job and a pool of candidates, and chooses one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from p2c2g.peers.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Job:
    """One run to be placed.

    ``session`` and ``chunk`` (its index, which is a region of the screen) are what affinity
    holds on to; ``megapixels`` are of its result; ``deadline`` is a moment of the caller's clock;
    ``used`` are the peers that had a run of this chunk.
    """

    session: str
    chunk: int
    megapixels: float
    deadline: float
    used: tuple[str, ...] = ()


class Policy(Protocol):
    """Chooses a peer.  Has no clock and no randomness but those that it is given."""

    def choose(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        """Return who gets the job, or None for the capability queue.

        Args:
            job: the run to be placed; who is in ``job.used`` is not chosen.
            pool: the session's pool: peers that are ready, trusted and serve the queue.  The
                same object until something in its membership changes.
            now: seconds of the caller's clock.
        """
