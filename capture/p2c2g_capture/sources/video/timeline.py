"""When each picture of a film comes on: one clock from its first picture, which never goes back.

The time stamps of a file may do what a clock does not.  Two recordings in one file start again
or jump, some pictures have no stamp, and a container that counts milliseconds rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A picture may stay on for that long, in seconds.
LONGEST = 3_600.0
#: The same in a format for broadcasts, whose clock may jump: a longer gap is such a jump.
LONGEST_BEFORE_JUMP = 2.0
#: Seconds by which a stamp may miss its place at a steady rate: a container's milliseconds.
ROUNDING = 0.0006


@dataclass(frozen=True, slots=True)
class Stamps:
    """A picture's times in its file, in seconds; None where it has none."""

    #: When it is shown.
    pts: float | None
    #: When it is decoded, which never goes back in a sound recording.
    dts: float | None
    #: How long it stays on.
    duration: float | None


class Timeline:
    """Place the pictures of one pass through a film, in the order in which they are shown."""

    def __init__(self, rate: float, jumps: bool) -> None:
        """Take the pictures a second that the file states, and whether its clock may jump."""
        self._rate = rate
        self._longest = max(LONGEST_BEFORE_JUMP, 4 / rate) if jumps else LONGEST
        #: Whether the file's clock has left this one.
        self.has_jumped = False
        self._origin: float | None = None
        self._last: float | None = None
        self._lasts = 1 / rate
        self._highest_dts: float | None = None

    def start_at(self, origin: float) -> None:
        """Take the next picture for one in the middle of a film whose first has that stamp."""
        self._origin = origin

    def place(self, stamps: Stamps) -> tuple[float, float]:
        """Return when the next picture comes on and how long it stays, seconds from the first."""
        at = self._place(stamps)
        if self._last is not None:
            at = max(at, self._last)
        self._last = at
        self._lasts = stamps.duration or 0.0
        if not 0.001 <= self._lasts <= self._longest:
            self._lasts = 1 / self._rate
        return at, self._at_rate(at + self._lasts) - at

    def _place(self, stamps: Stamps) -> float:
        restarted = self._has_restarted(stamps)
        if stamps.pts is None:
            return 0.0 if self._last is None else self._at_rate(self._last + self._lasts)
        if self._origin is None:
            self._origin = stamps.pts - (0.0 if self._last is None else self._last + self._lasts)
        at = stamps.pts - self._origin
        if self._last is not None and (restarted or at - self._last > self._longest):
            self.has_jumped = True
            at = self._last + self._lasts
            self._origin = stamps.pts - at
        return self._at_rate(at)

    def _has_restarted(self, stamps: Stamps) -> bool:
        """Say whether the clock has gone back, not just the order of some pictures."""
        highest, dts = self._highest_dts, stamps.dts
        gone_back = (
            stamps.pts is not None
            and self._origin is not None
            and self._last is not None
            and stamps.pts - self._origin < self._last - ROUNDING
        )
        if gone_back and (dts is None or highest is None or dts < highest):
            self._highest_dts = dts
            return True
        if dts is not None:
            self._highest_dts = dts if highest is None else max(dts, highest)
        return False

    def _at_rate(self, at: float) -> float:
        """Return the time of the steady rate that was rounded to this one, or itself."""
        steady = round(at * self._rate) / self._rate
        return steady if abs(steady - at) <= ROUNDING else at
