"""A session that needs no pool: what this machine does in a moment, it does by itself.

It takes frames and gives pictures as :class:`~p2c2g.session.session.Session` does, with the same
composition and the same figures; its only peer is this machine, which is never late, works on one
frame at a time, and passes over one where a newer one waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any
from uuid import uuid4

from p2c2g.logs import rebind
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Chunk, Frame, Pixels, Rect
from p2c2g.media.picture import FrameState, Picture, Tile
from p2c2g.media.residual import Residual
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import FrameInFlight, FramePlan, Part, Shown, Way
from p2c2g.session.rate import Rate
from p2c2g.session.tally import Tally
from p2c2g.system.threads import SupervisedThread

#: Gives what a session's operations add to the base of a whole frame.
Enhancer = Callable[[Pixels], Residual]
#: Seconds beyond its own work that the thread may take to end.
_PATIENCE = 5.0


class OwnSession:
    """A session on this machine alone.

    Args:
        config: what is done to each frame; grid, queue, deadline and policy have no meaning here.
        enhance: does it; None where nothing is done, and the base is shown alone.
        notice: what there is to say to those who watch, without its end.
        sink: called with each picture in order, on the session's thread.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        config: SessionConfig,
        enhance: Enhancer | None,
        sink: Callable[[Picture], None],
        clock: Callable[[], float] = monotonic,
        notice: str = "",
    ) -> None:
        self.id = uuid4().hex[:12]
        self.config = config
        self.tally = Tally()
        plan = config.operations.resolve(config.size)
        self._scale = (plan.scale_x, plan.scale_y)
        self._composition = Composition.of(*self._scale)
        output = Rect(0, 0, plan.output.width, plan.output.height)
        source = Rect(0, 0, config.size.width, config.size.height)
        self._whole = Chunk(0, source, source, output, output)
        # What is done here is known at once.
        self._plan = FramePlan(config.recipe, (Way.KNOWN if enhance else Way.LEFT_OUT,))
        self._enhance = enhance
        self._sink = sink
        self._clock = clock
        self._changed = threading.Condition()
        self._next: Frame | None = None
        self._ending = False
        self._working = 0
        self._rate = Rate(config.fps)
        self._always = notice
        self._notice = ""
        self._thread = SupervisedThread("p2c2g-own", self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, frame: Frame) -> None:
        """Take a frame; one that still waits is passed over, and counts as dropped.

        Raises:
            RuntimeError: the session's thread has died.
        """
        self._thread.check()
        self.tally.frame_submitted(frame.number, sent=True)
        now = self._clock()
        with self._changed:
            self._rate.captured(frame.number, now - frame.captured_at, now)
            passed_over, self._next = self._next, frame
            if passed_over is not None:
                self._rate.passed_over()
            notice = ". ".join(filter(None, (self._always, self._rate.sentence())))
            before = self._notice
            self._notice = notice
            self._changed.notify()
        if passed_over is not None:
            self.tally.frame_passed_over(passed_over.number)
        if notice != before:
            self.tally.noticed(notice, now)

    @property
    def frames_in_flight(self) -> int:
        """Return how many frames wait or are worked on."""
        return self._working + (self._next is not None)

    def live(self) -> dict[str, Any]:
        """Return the figures of the last seconds, and that they are this machine's own."""
        by = "nobody" if self._enhance is None else "here"
        return {**self.tally.live(self._clock(), self.frames_in_flight), "by": by}

    @property
    def every(self) -> int:
        """Return of how many ticks of the source one is to be captured: 1 where there is time."""
        return self._rate.every

    def figures(self) -> dict[str, Any]:
        """Return what was counted, for the report."""
        return self.tally.summary()

    def close(self, due: int | None = None) -> None:
        """Show what is left and end the thread; ``due`` as for a session with peers."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(_PATIENCE)
        if due is not None:
            self.tally.captured = due

    def _run(self) -> None:
        rebind(session=self.id)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next or self._ending)
                frame, self._next = self._next, None
                if frame is None:
                    return
                self._working = 1
            began = self._clock()
            self._show(frame)
            with self._changed:
                self._rate.showed(self._clock() - began)
                self._working = 0

    def _show(self, frame: Frame) -> None:
        residual = None if self._enhance is None else self._enhance(frame.pixels)
        done, whole, form = self._clock(), self._whole, self.config.form
        encoded = None if residual is None else form.encode(residual)
        added = [] if residual is None else [(whole.target, residual)]
        deadline = frame.captured_at + self.config.deadline
        counted: FrameInFlight[Pixels] = FrameInFlight(
            frame.number, frame.pixels, {}, self._plan, frame.captured_at, frame.grabbed_at,
            deadline, deadline, was_sent=False, missing=set(), completed_at=done,
        )  # fmt: skip
        picture = Picture(
            number=frame.number,
            state=FrameState.DEGRADED if residual is None else FrameState.COMPLETE,
            frame=frame.pixels,
            output=self.config.output,
            scale=self._scale,
            tiles=(Tile(whole, encoded, form),),
            form=form,
            captured_at=frame.captured_at,
            ready_at=done,
            compose=partial(self._composition.frame, residuals=added),
        )
        stages = (frame.grabbed_at - frame.captured_at, 0.0, 0.0, 0.0, done - frame.grabbed_at)
        parts: dict[int, Part[Residual]] = {}
        if encoded is not None:
            parts[0] = Part(
                encoded, residual, self._plan.recipe, peer="", ran="", sent=frame.grabbed_at,
                queue=0.0, decode=0.0, process=done - frame.grabbed_at, result=0.0, arrived=done,
            )  # fmt: skip
        self.tally.frame_shown(
            Shown(counted, parts, bool(parts), done, self._clock(), (*stages, 0.0, 0.0))
        )
        self._sink(picture)
