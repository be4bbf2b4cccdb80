"""Shows frames: on a schedule, in order, and at their deadline whatever came.

A thread of its own, which waits for nothing but the clock: no peer, no broker and no picture
can keep it from showing the next frame.  What is shown is put together by who looks at its
pixels (:class:`~p2c2g.media.picture.Picture`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

from p2c2g.media.composition import Composition
from p2c2g.media.frame import Pixels
from p2c2g.media.picture import FrameState, Picture, Tile
from p2c2g.media.residual import Residual
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import Shown
from p2c2g.session.shell import Shell

Sink = Callable[[Picture], None]


class Player:
    """The player of one session.  Belongs to one thread.

    Args:
        config: the session's.
        shell: the session's core.
        sink: called with each picture in order; must not block.
        clock: seconds, monotonic.
        learn: gets the frames in place of the sink, where they have been shown before.
    """

    def __init__(
        self,
        config: SessionConfig,
        shell: Shell,
        sink: Sink,
        clock: Callable[[], float],
        learn: Callable[[Shown[Pixels, Residual]], None] | None = None,
    ) -> None:
        self._config = config
        self._chunks = config.chunks
        plan = config.operations.resolve(config.size)
        self._output = plan.output
        self._scale = (plan.scale_x, plan.scale_y)
        self._composition = Composition.of(*self._scale)
        self._shell = shell
        self._show = learn or (lambda shown: sink(self._picture(shown)))
        self._clock = clock
        self._ending = Event()

    def run(self) -> None:
        """Show frames until :meth:`finish`, and then those that are left, each at its time."""
        while True:
            now = self._clock()
            with self._shell as core:
                shown = core.release(now)
                left = core.frames_in_flight
            if shown is not None:
                # One by one: the sink may have taken long, and then the newest wins.
                self._show(shown)
                continue
            if self._ending.is_set() and not left:
                return
            self._shell.wait_for_release(now, self._ending)

    def finish(self) -> None:
        """Have :meth:`run` return once the last frame is shown; from any thread."""
        self._ending.set()
        self._shell.wake_player()

    def _picture(self, shown: Shown[Pixels, Residual]) -> Picture:
        frame, parts = shown.frame, shown.parts
        return Picture(
            number=frame.number,
            state=FrameState.COMPLETE if shown.complete else FrameState.DEGRADED,
            frame=frame.source,
            output=self._output,
            scale=self._scale,
            tiles=tuple(
                Tile(chunk, part.payload, part.recipe.form)
                if (part := parts.get(chunk.index))
                else Tile(chunk, None, frame.plan.recipe.form)
                for chunk in self._chunks
            ),
            form=self._config.form,
            captured_at=frame.captured_at,
            ready_at=shown.ready_at,
            compose=partial(
                self._composition.frame,
                residuals=[
                    (self._chunks[at].target, residual)
                    for at in sorted(parts)
                    if (residual := parts[at].residual) is not None
                ],
            ),
        )
