"""Shows frames: on a schedule, in order, and at their deadline whatever came.

A thread of its own, which waits for nothing but the clock: no peer and no broker can keep it
from showing the next frame.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from p2c2g.media.chunker import paint_base
from p2c2g.media.frame import FrameState, Picture, Tile
from p2c2g.session.config import FrameInFlight, Part, SessionConfig
from p2c2g.session.playout import Playout
from p2c2g.session.reassembler import Pending, Reassembler
from p2c2g.session.tally import Tally

logger = logging.getLogger(__name__)

#: The base layer is painted so much before the deadline at most: a part of it, and seconds.
_LEAD_SHARE, _LEAD_MOST = 0.2, 0.010

Sink = Callable[[Picture], None]
Released = Callable[[Pending[FrameInFlight, Part]], None]


class Player:
    """The frames in the making, and the thread that shows them.

    Args:
        plan: the session's.
        tally: counts what is shown.
        lock: guards the session's tables; methods that say so want it held.
        sink: called with each picture in order, on the player's thread; must not block.
        released: called with each frame that is about to be shown, the lock held.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        plan: SessionConfig,
        tally: Tally,
        lock: threading.Lock,
        sink: Sink,
        released: Released,
        clock: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._chunks = plan.chunks
        self._tally = tally
        self._sink = sink
        self._released = released
        self._clock = clock
        self._frames: Reassembler[FrameInFlight, Part] = Reassembler()
        self._playout = Playout(plan.deadline)
        self._changed = threading.Condition(lock)
        self._waits_until = float("-inf")  # not waiting
        self._ending = False
        self._lead = 0.0
        self._last_ready = float("-inf")
        self.crash: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="p2c2g-player", daemon=True)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def delay(self) -> float:
        """Return the playout delay in seconds."""
        return self._playout.delay if self._plan.paced else 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self) -> None:
        """Show what is left, each frame at its time, and end the thread."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(self._plan.deadline + 5)

    def expect(self, flight: FrameInFlight) -> None:
        """Take a frame that is to be shown.  The lock is held."""
        self._frames.open(
            flight.frame.number,
            flight,
            len(self._chunks),
            # Nothing will come for one that was not sent.
            flight.deadline - self._lead if flight.was_sent else flight.due,
            flight.due,
        )
        self._wake()

    def flight(self, number: int) -> FrameInFlight | None:
        """Return a frame that has not been shown.  The lock is held."""
        return self._frames.frame(number)

    def place(self, number: int, index: int, part: Part, now: float) -> None:
        """Put an accepted chunk into its frame.  The lock is held."""
        flight = self._frames.frame(number)
        if flight is None or not self._frames.place(number, index, part):
            return
        flight.missing -= 1
        if not flight.missing:
            flight.completed_at = now
            self._wake()

    def hopeless(self, flight: FrameInFlight) -> None:
        """Show a frame when it is due, since nothing will come for it.  The lock is held."""
        self._frames.hasten(flight.frame.number, flight.due)
        self._wake()

    def _wake(self) -> None:
        due = self._frames.next_release
        if due is not None and due < self._waits_until:
            self._changed.notify()

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while released := self._wait():
                for pending in released:
                    self._show(pending)
        except BaseException as error:
            self.crash = error
            logger.exception("The player died")
            raise

    def _wait(self) -> list[Pending[FrameInFlight, Part]]:
        """Wait for frames that may be shown; none when the session is over."""
        with self._changed:
            while True:
                now = self._clock()
                released = list(self._frames.release(now))
                if released or (self._ending and not len(self._frames)):
                    break
                due = self._frames.next_release
                self._waits_until = float("inf") if due is None else due
                self._changed.wait(None if due is None else max(0.0, due - now))
                self._waits_until = float("-inf")
            for pending in released:
                flight = pending.frame
                if flight.was_sent:
                    done = flight.completed_at if pending.complete else None
                    took = float("inf") if done is None else done - flight.frame.captured_at
                    self._playout.took(took, now)
                self._released(pending)
        return released

    def _show(self, pending: Pending[FrameInFlight, Part]) -> None:
        flight = pending.frame
        with flight.painting:
            flight.closed = True
            self._paint(pending)
        ready = flight.completed_at if pending.complete else None
        # A frame is not ready to show before the one before it is.
        ready = self._last_ready = max(self._last_ready, self._clock() if ready is None else ready)
        captured = flight.frame.captured_at
        stages = None
        if pending.complete:
            last = max(pending.parts.values(), key=lambda part: part.arrived)
            stages = last.stages(flight.frame, ready)
        picture = Picture(
            number=pending.number,
            state=FrameState.COMPLETE if pending.complete else FrameState.DEGRADED,
            source=self._plan.size,
            pixels=flight.canvas,
            tiles=tuple(
                Tile(
                    chunk,
                    flight.payloads[chunk.index],
                    part.payload if (part := pending.parts.get(chunk.index)) else None,
                )
                for chunk in self._chunks
            ),
            codec=self._plan.codec,
            captured_at=captured,
            ready_at=ready,
        )
        self._tally.shown(
            pending.number, picture.state, captured, ready, stages,
            shown_at=self._clock(), due=flight.due, deadline=flight.deadline,
        )  # fmt: skip
        self._sink(picture)

    def _paint(self, pending: Pending[FrameInFlight, Part]) -> None:
        if pending.complete:
            return
        began = self._clock()
        for chunk in self._chunks:
            if chunk.index not in pending.parts:
                paint_base(pending.frame.canvas, chunk, pending.frame.frame.pixels)
        # Begun so much before the deadline, the next one is painted by then.
        most = min(_LEAD_SHARE * self._plan.deadline, _LEAD_MOST)
        self._lead = min(max(self._clock() - began, 0.9 * self._lead), most)
