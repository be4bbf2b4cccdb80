"""Pictures as they are shown: a frame of the gamer's own, and what peers add to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from functools import cached_property

from p2c2g.media.base import base
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.residual import Form


class FrameState(Enum):
    """How a frame that was shown ended; one that was dropped has no picture and no state."""

    COMPLETE = "complete"  # every chunk came back enhanced in time
    DEGRADED = "degraded"  # some chunks are the base layer alone


@dataclass(frozen=True, slots=True)
class Tile:
    """One chunk of a frame as it is shown.

    ``residual`` is the accepted result as it came, of the chunk's target and of the form ``form``,
    or None where the base layer is shown alone.
    """

    chunk: Chunk
    residual: bytes | None
    form: Form


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame as it is shown: whole, with every chunk in its place.

    ``frame`` are its own pixels, ``(height, width, 3 or 4)``, and ``output`` is its size when it
    is shown; ``scale`` is the pipeline's, across and down.  ``form`` is the usual one of the
    session: the tiles' have its gain, and are in colour only where it is.  ``captured_at`` and
    ``ready_at`` are seconds of the session's monotonic clock.  ``compose`` makes the picture of the
    base layer.

    Nothing is computed until somebody asks, in whose thread it is done: a browser makes its
    picture by itself.
    """

    number: int
    state: FrameState
    frame: Pixels
    output: Size
    scale: tuple[Fraction, Fraction]
    tiles: Sequence[Tile]
    form: Form
    captured_at: float
    ready_at: float
    compose: Callable[[Pixels], Pixels] = field(repr=False)

    @property
    def source(self) -> Size:
        """Return the size of its frame."""
        return Size.of(self.frame)

    @cached_property
    def base(self) -> Pixels:
        """Return the base layer, ``(height, width, 3)``; it must not be written to."""
        return base(self.frame, *self.scale, self.output)

    @cached_property
    def pixels(self) -> Pixels:
        """Return the enhanced frame, likewise: the base layer where a chunk was late."""
        return self.compose(self.base)
