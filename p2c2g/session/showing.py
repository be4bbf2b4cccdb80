"""Decides which frame is shown next, and which are passed over.

Pure.  Frames go in order, complete or with what came (:mod:`p2c2g.session.reassembler`); but the
newest wins: one whose deadline is over is never shown where a newer one may be.  What became of
each is what playout, admission and rate learn from.

A thread that waits for a moment wakes a little after it, on a busy machine by some milliseconds.
So what is shown at its deadline goes as much sooner as that takes as a rule.
"""

from __future__ import annotations

from typing import Generic

from p2c2g.session.frames import FrameInFlight, P, Part, S, Shown, stages_of
from p2c2g.session.reassembler import Pending
from p2c2g.session.runs import Runs
from p2c2g.session.tables import Tables
from p2c2g.timing.recent import RecentTimes

#: Frames go by so much before their deadline as this share of late ones went after their moment,
#: by so many seconds at most, or this part of the deadline.
PUNCTUAL, LEAD_MOST, LEAD_PART = 0.95, 0.008, 0.08
#: Frames from which that is known.
LEAD_FRAMES = 16


class Showing(Generic[S, P]):
    """The showing of one session's frames.

    Args:
        tables: the session's.
        runs: forgets those of a frame that is over.
    """

    def __init__(self, tables: Tables[S, P], runs: Runs[S, P]) -> None:
        self._tables = tables
        self._runs = runs
        self._woke_after = RecentTimes(128)
        self._last_ready = self._last_moment = float("-inf")
        #: When the frame was let go that is being shown.
        self._since: float | None = None

    @property
    def lead(self) -> float:
        """Return the seconds by which a frame goes before its deadline, so as to be shown by it."""
        if len(self._woke_after) < LEAD_FRAMES:
            return 0.0
        most = min(LEAD_MOST, LEAD_PART * self._tables.config.deadline)
        return min(self._woke_after.quantile(PUNCTUAL) or 0.0, most)

    def release(self, now: float) -> Shown[S, P] | None:
        """Let the next frame go whose time has come, or None; ask again once it is shown."""
        if self._since is not None:
            self._tables.rate.showed(now - self._since)
            self._since = None
        self.pass_over(now)
        pending = next(self._tables.frames.release(now), None)
        if pending is None:
            return None
        self._since = now
        late = self._end(pending, now)
        self._tables.rate.let_go(late)
        if late <= self._tables.config.deadline:  # Else this machine stood still.
            self._woke_after.add(late)
        frame = pending.frame
        done = frame.completed_at if pending.complete else None
        came = {index: pending.parts[index] for index in pending.placed if index in frame.payloads}
        # A frame is not ready to be shown before the one before it is.
        ready = self._last_ready = max(self._last_ready, now if done is None else done)
        stages = stages_of(frame, came, ready) if pending.complete and came else None
        shown = Shown(frame, pending.parts, pending.whole, ready, now, stages)
        for observer in self._tables.observers:
            observer.frame_shown(shown)
        return shown

    def pass_over(self, now: float) -> None:
        """Give up the frames that are too old to be shown, where a newer one may be."""
        for pending in self._tables.frames.pass_over(now):
            self._end(pending, now)
            self._tables.rate.passed_over()
            for observer in self._tables.observers:
                observer.frame_passed_over(pending.number)

    def _end(self, pending: Pending[FrameInFlight[S], Part[P]], now: float) -> float:
        """Learn from a frame that is let go or passed over, and forget its runs.

        Returns:
            How many seconds ago it might have gone.
        """
        tables, frame = self._tables, pending.frame
        done = frame.completed_at if pending.complete else None
        # A frame cannot go before it is complete, nor before the one before it could.
        moment = max(pending.release_at, self._last_moment)
        moment = self._last_moment = min(moment if done is None else max(moment, done), now)
        late = now - moment
        # This machine stood still: answers may have come that nobody has read.
        stood = late > tables.config.deadline
        # One that waited for nothing says nothing of the peers.
        if frame.was_sent and frame.plan.awaited and not (stood and done is None):
            took = float("inf") if done is None else done - frame.captured_at
            tables.playout.took(took, now)
            tables.steering.haste.took(took, now)
            tables.steering.lateness.shown(len(frame.plan.awaited), len(frame.missing), now)
        self._runs.close(frame, None if stood else now)
        tables.plans.closed(frame)
        return late
