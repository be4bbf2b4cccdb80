"""Everything to the capability queue: peers pull, so the fast ones take more.

Needs no knowledge of peers at all, and is what every other policy falls back to.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2c2g.peers.candidate import Candidate
from p2c2g.routing.policy import Job


class Capability:
    """Chooses nobody: who has a slot free first takes the chunk.

    When all are full the chunk waits at the broker, and no prediction is needed for the first
    slot that is free to be the one that gets it.
    """

    def choose(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        """Return None, as every time."""
        return None
