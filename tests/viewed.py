"""Whole pictures as a session's player makes them, for viewers that draw by themselves."""

from __future__ import annotations

from functools import partial

import numpy as np

from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture, Tile
from p2c2g.media.residual import Form, Residual


def some_residual(output: Size, seed: int = 0, strength: float = 8.0, planes: int = 1) -> Residual:
    """Return noise, ``(height, width, planes)``."""
    shape = (output.height, output.width, planes)
    return np.rint(np.random.default_rng(seed).normal(0, strength, shape)).astype(np.int16)


def viewed_picture(
    number: int,
    frame: Pixels,
    residual: Residual,
    form: Form,
    text: str = "upscale:2",
    late: int | None = None,
    captured_at: float = 10.0,
) -> Picture:
    """Return a picture in two rows; the chunk ``late`` did not come."""
    plan = Pipeline.parse(text).resolve(Size.of(frame))
    composition = Composition.of(plan.scale_x, plan.scale_y)
    tiles, arrived = [], []
    for chunk in plan_chunks(plan, Grid(2, 1)):
        if chunk.index == late:
            tiles.append(Tile(chunk, None, form))
            continue
        data = form.encode(np.ascontiguousarray(chunk.target.of(residual)))
        tiles.append(Tile(chunk, data, form))
        arrived.append((chunk.target, form.decode(data, chunk.target.size)))
    return Picture(
        number=number,
        state=FrameState.COMPLETE if late is None else FrameState.DEGRADED,
        frame=frame,
        output=plan.output,
        scale=(plan.scale_x, plan.scale_y),
        tiles=tuple(tiles),
        form=form,
        captured_at=captured_at,
        ready_at=captured_at,
        compose=partial(composition.frame, residuals=arrived),
    )
