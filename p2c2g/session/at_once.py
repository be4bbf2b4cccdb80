"""Shows each frame at once, with residuals of earlier ones (``--latency none``).

What peers make of a frame comes when it has been shown, and is for those after it: the player,
which would show it, hands it in here (:mod:`p2c2g.session.carried_residuals`).  As ever, a picture
is made where somebody looks at it, in whose thread the carrying is done, too.  What is known of a
frame itself (:mod:`p2c2g.session.known`) is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, overload

from p2c2g.media.composition import Composition
from p2c2g.media.frame import Chunk, Frame, Pixels, Rect
from p2c2g.media.picture import FrameState, Picture, Tile
from p2c2g.media.residual import Form, Residual
from p2c2g.session.carried_residuals import Carried, Carrier
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import Part, Shown


class AtOnce:
    """What shows the frames of one session at once.

    Args:
        config: the session's.
        sink: called with each picture in order, by who submits frames; must not block.
        clock: seconds, monotonic.
    """

    def __init__(
        self, config: SessionConfig, sink: Callable[[Picture], None], clock: Callable[[], float]
    ) -> None:
        plan = config.operations.resolve(config.size)
        self._chunks = config.chunks
        self._form = config.form
        self._output = plan.output
        self._scale = (plan.scale_x, plan.scale_y)
        self._composition = Composition.of(*self._scale)
        self._carrier = Carrier(self._chunks, self._output, self._scale)
        self._sink = sink
        self._clock = clock
        self._lock = Lock()
        self._frames = self._known = self._carried = 0
        self._ages = 0.0
        self._age: float | None = None

    def show(self, frame: Frame, known: Mapping[int, Part[Residual]]) -> None:
        """Show a frame; ``known`` are the parts that are there already, by chunk index."""
        carried = self._carrier.carry(frame.number, frame.captured_at, frame.pixels)
        count = len(carried.shares.keys() - known.keys())
        added = _Added(self._chunks, dict(known), carried)
        with self._lock:
            self._frames += 1
            self._known += len(known)
            self._carried += count
            self._ages += count * (carried.age or 0.0)
            self._age = carried.age if count else 0.0 if known else None
        whole = len(known) + count == len(self._chunks)
        self._sink(
            Picture(
                number=frame.number,
                state=FrameState.COMPLETE if whole else FrameState.DEGRADED,
                frame=frame.pixels,
                output=self._output,
                scale=self._scale,
                tiles=_Tiles(added, self._form),
                form=self._form,
                captured_at=frame.captured_at,
                ready_at=self._clock(),
                compose=lambda base: self._composition.frame(base, added.residuals),
            )
        )

    def learn(self, shown: Shown[Pixels, Residual]) -> None:
        """Take a frame whose residuals came, or of which no more will come."""
        frame = shown.frame
        residuals = {
            at: part.residual for at, part in shown.parts.items() if part.residual is not None
        }
        self._carrier.learn(frame.number, frame.captured_at, frame.source, residuals)

    def live(self) -> dict[str, Any]:
        """Return how old what was added to the last frame is, for a readout; None for nothing."""
        with self._lock:
            return {"carried_ms": None if self._age is None else round(self._age * 1e3, 1)}

    def figures(self) -> dict[str, Any]:
        """Return what was shown, for a report: of which share of chunks, and how old on average."""
        with self._lock:
            chunks = self._frames * len(self._chunks)
            return {
                "frames": self._frames,
                "known": round(self._known / chunks, 4) if chunks else 0.0,
                "carried": round(self._carried / chunks, 4) if chunks else 0.0,
                "age_ms": round(self._ages / self._carried * 1e3, 1) if self._carried else None,
            }


@dataclass(frozen=True, slots=True)
class _Added:
    """What is added to one frame."""

    chunks: Sequence[Chunk]
    known: Mapping[int, Part[Residual]]
    carried: Carried

    @property
    def made(self) -> Mapping[int, Residual]:
        """Return what is carried; where all is known, nothing is."""
        return {} if len(self.known) == len(self.chunks) else self.carried.residuals

    @property
    def residuals(self) -> list[tuple[Rect, Residual]]:
        """Return what is added, each with its target."""
        known = {at: part.residual for at, part in self.known.items()}
        both = {**self.made, **known}
        return [(self.chunks[at].target, each) for at, each in both.items() if each is not None]


class _Tiles(Sequence[Tile]):
    """The chunks of a picture; what is carried is made and written when one is asked for."""

    def __init__(self, added: _Added, form: Form) -> None:
        self._added = added
        self._form = form

    @cached_property
    def _made(self) -> tuple[Tile, ...]:
        made = self._added.made
        return tuple(
            Tile(chunk, part.payload, part.recipe.form)
            if (part := self._added.known.get(chunk.index))
            else self._tile(chunk, made.get(chunk.index))
            for chunk in self._added.chunks
        )

    def _tile(self, chunk: Chunk, residual: Residual | None) -> Tile:
        data = None if residual is None else self._form.encode(residual)
        return Tile(chunk, data, self._form)

    def __len__(self) -> int:
        return len(self._added.chunks)

    @overload
    def __getitem__(self, at: int) -> Tile: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Tile]: ...
    def __getitem__(self, at: int | slice) -> Tile | Sequence[Tile]:
        return self._made[at]
