"""When an order is sent again, or given up: pure, with the time as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2c2g_training.order import Progress

#: Seconds without a report of the peer that trains, after which it counts as dead.
SILENT = 15.0
#: Seconds until an order that no peer has taken is sent again, and twice that the next time: the
#: peer that read it may have died.
UNTAKEN = 30.0
#: Failures, and nets that could not be read, after which it is given up.
MOST_FAILED = 3
#: Peers that fell silent one after the other without any progress, after which it is given up
#: too: an order that kills peers must not go through the whole pool.
MOST_SILENT = 5

Advice = Literal["wait", "again", "fetch", "give up"]


@dataclass(slots=True)
class OrderWatch:
    """Decides, from the progress that the gamer sees, what to do about an order.

    Args:
        silent: seconds without a report after which a peer counts as dead.
        failed: how often it has failed.
    """

    silent: float = SILENT
    failed: int = 0
    _beat: tuple[int, int] = (-1, -1)
    _silences: int = 0
    _part: float = 0.0
    _since: float = 0.0
    _patience: float = UNTAKEN

    def advise(self, seen: Progress, now: float) -> Advice:
        """Return what to do, having seen this at ``now`` seconds."""
        if (seen.attempt, seen.beat) != self._beat:
            self._beat, self._since = (seen.attempt, seen.beat), now
        if seen.part > self._part:
            self._part, self._silences = seen.part, 0
        quiet = now - self._since
        match seen.state:
            case "done":
                return "fetch"
            case "failed":
                return self.fail()
            case "left":
                return self._again(now)
            case "running" if quiet > self.silent:
                self._silences += 1
                return self._again(now) if self._silences < MOST_SILENT else "give up"
            case "waiting" if quiet > self._patience:
                self._patience *= 2
                return self._again(now)
        return "wait"

    def fail(self) -> Advice:
        """Count a failure."""
        self.failed += 1
        return "again" if self.failed < MOST_FAILED else "give up"

    def _again(self, now: float) -> Advice:
        self._since = now
        return "again"
