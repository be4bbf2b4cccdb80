"""Pictures as a session shows them, made by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.picture import FrameState, Picture, Tile
from p2c2g.media.residual import USUAL_FORM, Form


def shown_picture(
    number: int,
    pixels: Pixels,
    state: FrameState = FrameState.COMPLETE,
    source: Size | None = None,
    tiles: tuple[Tile, ...] = (),
    form: Form = USUAL_FORM,
    captured_at: float = 0.0,
    ready_at: float = 0.0,
) -> Picture:
    """Return a picture of these pixels; its source has half their size where none is given.

    The source is grey.
    """
    output = Size.of(pixels)
    source = source or Size(max(1, output.width // 2), max(1, output.height // 2))
    return Picture(
        number=number,
        state=state,
        frame=np.full((source.height, source.width, 3), 128, np.uint8),
        output=output,
        scale=(Fraction(output.width, source.width), Fraction(output.height, source.height)),
        tiles=tiles,
        form=form,
        captured_at=captured_at,
        ready_at=ready_at,
        compose=lambda _base: pixels,
    )
