"""Pictures as a session shows them, made by hand."""

from __future__ import annotations

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.picture import FrameState, Picture, Tile


def shown_picture(
    number: int,
    pixels: Pixels,
    state: FrameState = FrameState.COMPLETE,
    source: Size | None = None,
    tiles: tuple[Tile, ...] = (),
    codec: str = "jpeg",
    captured_at: float = 0.0,
    ready_at: float = 0.0,
) -> Picture:
    """Return a picture of these pixels; its source has half their size where none is given."""
    output = Size.of(pixels)
    return Picture(
        number=number,
        state=state,
        source=source or Size(max(1, output.width // 2), max(1, output.height // 2)),
        output=output,
        tiles=tiles,
        codec=codec,
        captured_at=captured_at,
        ready_at=ready_at,
        compose=lambda: pixels,
    )
