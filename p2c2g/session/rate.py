"""How many of the source's frames this machine takes on, and whether it is too busy for them.

Pure.  A machine that is too busy loses frames by its own doing, again and again: it misses ticks
of its source, or it is so late to show a frame that a newer one is there.  Then every second tick
is captured, every third, and so on: fewer pictures at an even pace, in place of as many as
possible at none, and time for all else that wants the cores.  Where frames are only late, fewer of
them would help nobody; that is said all the same.  One stall is no habit: what counts is the share
of a second's frames.

It comes back step by step after a while of calm; a step that fails doubles that while, so that a
machine which is only just too slow does not go to and fro.
"""

from __future__ import annotations

from math import floor

from p2c2g.session.frames import TOLERANCE

#: Seconds of frames that are judged together, and how many at least.
WINDOW = 1.0
ENOUGH = 4
#: Share of a window's frames that were lost, from which on the rate is lowered: in two windows
#: in a row, or in one.
LOST = 0.2
LOST_AT_ONCE = 0.6
#: Share up to which few are lost.
LOST_FEW = 0.1
#: Share that was lost or late: from so much on, twice in a row, the machine is busy; up to so
#: much it is not.
BUSY = 0.12
IDLE = 0.04
#: Frames a second below which it does not go.
LEAST = 10.0
#: Seconds of calm before a step back, at first and at most.
PATIENCE = 4.0
PATIENCE_MOST = 60.0
#: Share of the time between two frames that capturing one, or showing it, may take for a step
#: back.
ROOM = 0.7


class Rate:
    """The rate of one session.

    Args:
        fps: frames a second of the source.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._most = max(1, floor(fps / LEAST))
        #: Of so many ticks of the source one is captured.
        self.every = 1
        #: Whether frames are lost or late because of this machine.
        self.is_busy = False
        self._last: int | None = None
        self._began: float | None = None
        self._frames = self._lost = self._late = 0
        self._capturing = self._showing = 0.0
        self._lost_before = self._busy_before = False
        self._calm_since: float | None = None
        self._patience = PATIENCE
        self._raised_at = float("-inf")

    def sentence(self) -> str:
        """Return what to say of it, without the sentence's end; empty where nothing is."""
        if self.every > 1:
            return (
                f"This machine is too busy: it takes {self._fps / self.every:.3g} pictures a "
                f"second instead of {self._fps:.3g}"
            )
        return "This machine is too busy: pictures come late" if self.is_busy else ""

    def captured(self, number: int, spent: float, now: float) -> None:
        """Note a frame that was captured and sent off.

        Args:
            number: the tick's.
            spent: seconds from its capture until then.
            now: seconds of the session's clock.
        """
        if self._began is None:
            self._began = now
        if self._last is not None and number - self._last > self.every:
            self._lost += 1
        self._last = number
        self._frames += 1
        self._capturing += spent
        if now - self._began >= WINDOW and self._frames >= ENOUGH:
            self._judge(now)

    def let_go(self, late: float) -> None:
        """Note a frame that was let go so many seconds after its moment."""
        self._late += late > TOLERANCE

    def showed(self, spent: float) -> None:
        """Note how many seconds it took to show a frame."""
        self._showing += spent

    def passed_over(self) -> None:
        """Note a frame that was too late to be shown."""
        self._lost += 1

    # -- inside ------------------------------------------------------------------------------------

    def _judge(self, now: float) -> None:
        """Judge a window of frames, and begin the next."""
        lost = self._lost / self._frames
        hit = lost + self._late / self._frames
        spent = max(self._capturing, self._showing) / self._frames
        room = spent <= ROOM * (self.every - 1) / self._fps
        self._began = now
        self._frames = self._lost = self._late = 0
        self._capturing = self._showing = 0.0
        # That frames are late is no reason to have fewer.
        is_calm = lost <= LOST_FEW if self.every > 1 else hit <= IDLE
        if not is_calm:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        rested = self._calm_since is not None and now - self._calm_since >= self._patience
        lower = lost >= LOST_AT_ONCE or (lost >= LOST and self._lost_before)
        if lower:
            self._lower(now)
        elif rested and self.every == 1:
            self.is_busy = False
        elif rested and room:
            self._raise(now)
        self.is_busy |= self.every > 1 or (hit >= BUSY and self._busy_before)
        self._lost_before, self._busy_before = lost >= LOST and not lower, hit >= BUSY

    def _lower(self, now: float) -> None:
        failed = now - self._raised_at < 2 * PATIENCE
        self._patience = min(2 * self._patience, PATIENCE_MOST) if failed else PATIENCE
        self.every = min(self.every + 1, self._most)

    def _raise(self, now: float) -> None:
        self.every -= 1
        self._raised_at = self._calm_since = now
