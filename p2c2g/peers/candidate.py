"""What routing knows of one peer: a candidate for the next chunk.

Pure.  Seconds are of the caller's clock; a megapixel is 10⁶ pixels of the chunk's *result*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Assumed of a peer of which nothing is known yet: seconds a megapixel, and of a round trip.
UNKNOWN_SECONDS_PER_MEGAPIXEL = 0.030
UNKNOWN_RTT = 0.020
#: Round trips of which the shortest counts: the rest of a longer one was waiting.
RTTS = 32
#: A peer is silent when it owes a result for its round trip, so many of its 95th percentiles, and
#: these seconds.
SILENT_P95S = 2.0
SILENT_LEAST = 0.010
SILENT_MOST = 2.0


@dataclass(slots=True)
class Candidate:
    """What a session knows of one peer while it is there; the router keeps it up to date.

    Args:
        id: the peer's.
        slots: chunks that it works on at once.
        seconds_per_megapixel: what one slot takes: an exponentially weighted mean.
        seconds_per_megapixel_p95: the same, 95th percentile.
        rtt: seconds of a chunk's round trip, without its work.
        own: chunks that this session has sent to it and not heard of.
        others: chunks of other sessions that wait or run there, by its last beat.
        score: its rank, 0 to 100.
        last_result: when it last answered; -inf where never.
        owes_since: when it was sent something that it has not answered, or last answered
            while it owed more; inf where it owes nothing.  A chunk that was given up is owed.
        line: megapixels a second that its line takes to the broker; inf where unknown.
        peak: the most chunks of this session that were there at once since its last beat.
        rtts: seconds of the latest round trips that were measured.
        sessions: for how many it works, by its last beat; 0 where it does not say.
        codecs: megapixels a second of reading and writing together, by codec, as it says.
    """

    id: str
    slots: int = 1
    seconds_per_megapixel: float = UNKNOWN_SECONDS_PER_MEGAPIXEL
    seconds_per_megapixel_p95: float = UNKNOWN_SECONDS_PER_MEGAPIXEL
    rtt: float = UNKNOWN_RTT
    own: int = 0
    others: int = 0
    score: float = 50.0
    last_result: float = float("-inf")
    owes_since: float = float("inf")
    line: float = float("inf")
    peak: int = 0
    rtts: tuple[float, ...] = ()
    sessions: float = 0.0
    codecs: Mapping[str, float] = field(default_factory=dict)

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

    def note_rtt(self, rtt: float) -> None:
        """Note the seconds of a round trip: the shortest of the latest counts."""
        self.rtts = (*self.rtts, rtt)[-RTTS:]
        self.rtt = min(self.rtts)
