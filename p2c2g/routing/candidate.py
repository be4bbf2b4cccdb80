"""What a routing policy sees: the job to be placed, and a candidate for it.

Pure.  Seconds are of the caller's clock; a megapixel is 10⁶ pixels of the chunk's *result*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

#: Assumed of a peer of which nothing is known yet: seconds a megapixel, and seconds of travel.
UNKNOWN_SECONDS_PER_MEGAPIXEL = 0.030
UNKNOWN_RTT = 0.020
#: A peer is silent when it owes a result for its travel, so many of its 95th percentiles, and
#: these seconds.
SILENT_P95S = 2.0
SILENT_LEAST = 0.010
SILENT_MOST = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """One run to be placed.

    ``session`` and ``chunk`` (its index, which is a region of the screen) are what affinity
    holds on to; ``used`` are the peers that had a run of this chunk.
    """

    session: str
    chunk: int
    megapixels: float
    deadline: float
    used: tuple[str, ...] = ()


@dataclass(slots=True)
class Candidate:
    """What a session knows of one peer; the router keeps it up to date.

    Args:
        id: the peer's.
        slots: chunks that it works on at once.
        seconds_per_megapixel: what one slot takes: an exponentially weighted mean.
        seconds_per_megapixel_p95: the same, 95th percentile.
        rtt: seconds of a chunk's travel there and back, without its work.
        own: chunks that this session has sent to it and not heard of.
        others: chunks of other sessions that wait or run there, by its last beat.
        score: its rank, 0 to 100.
        region: where it is, as it says.
        last_result: when it last answered; -inf where never.
        owes_since: when it was sent something that it has not answered, or last answered
            while it owed more; inf where it owes nothing.  A chunk that was given up is owed.
        line: megapixels a second that its line takes to the broker; inf where unknown.
    """

    id: str
    slots: int = 1
    seconds_per_megapixel: float = UNKNOWN_SECONDS_PER_MEGAPIXEL
    seconds_per_megapixel_p95: float = UNKNOWN_SECONDS_PER_MEGAPIXEL
    rtt: float = UNKNOWN_RTT
    own: int = 0
    others: int = 0
    score: float = 50.0
    region: str = ""
    last_result: float = float("-inf")
    owes_since: float = float("inf")
    line: float = float("inf")

    @property
    def backlog(self) -> int:
        """Return the chunks that are ahead of the next one."""
        return self.own + self.others

    def wait(self, megapixels: float) -> float:
        """Return the seconds that a chunk waits: for a slot, or for the peer's line if longer.

        For a slot that is whole rounds of those ahead; the line takes one after the other.
        """
        ahead = self.backlog
        rounds = (ahead // self.slots) * self.seconds_per_megapixel * megapixels
        return max(rounds, ahead * megapixels / self.line)

    def finish(self, megapixels: float) -> float:
        """Return the seconds until a chunk that is sent now is back."""
        return self.rtt + self.wait(megapixels) + self.seconds_per_megapixel * megapixels

    def is_silent(self, megapixels: float, now: float) -> bool:
        """Tell whether it owes a result for much longer than it usually takes: it may stall.

        After ``SILENT_MOST`` it is worth another try: what it owes may have been lost.
        """
        usual = (
            self.rtt
            + SILENT_P95S
            * max(self.seconds_per_megapixel_p95, self.seconds_per_megapixel)
            * megapixels
        )
        return usual + SILENT_LEAST < now - self.owes_since < SILENT_MOST


class Policy(Protocol):
    """Chooses a peer.  Has no clock and no randomness but those that it is given."""

    def choose(self, job: Job, pool: Sequence[Candidate], now: float) -> Candidate | None:
        """Return who gets the job, or None for the capability queue.

        Args:
            job: the run to be placed; whoever is in ``job.used`` is not chosen.
            pool: the session's pool: peers that are ready, trusted and serve the queue.  The
                same object until something in its membership changes.
            now: seconds of the caller's clock.
        """
