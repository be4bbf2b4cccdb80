"""What an honest peer answers, and what is shown of it."""

from __future__ import annotations

from collections.abc import Sequence

from p2c2g.media.base import base
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.residual import Form
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine

#: Residuals without loss.
EXACT = Form("raw", 100)


def answer(
    plan: Plan,
    frame: Pixels,
    chunk: Chunk,
    form: Form = EXACT,
    name: str = "raw",
    quality: int = 80,
) -> bytes:
    """Return the residual of one chunk of a frame, as a peer sends it.

    Args:
        plan: of the frame.
        frame: its pixels.
        chunk: which of its chunks.
        form: of the residual.
        name: of the codec by which the chunk travels.
    """
    payload = codec(name).encode(cut(frame, chunk), 80)
    work = Work(plan, name, payload, chunk.padded.size, chunk.crop, form)
    return CpuEngine().enhance(work).payload


def shown(
    plan: Plan,
    frame: Pixels,
    chunks: Sequence[Chunk] | None = None,
    form: Form = EXACT,
    name: str = "raw",
) -> Pixels:
    """Return a whole frame as it is shown where all its chunks came back.

    Args:
        plan: of the frame.
        frame: its pixels.
        chunks: how it was cut; into one where None.
        form: of the residuals.
        name: of the codec by which chunks travel.
    """
    parts = [
        (chunk.target, form.decode(answer(plan, frame, chunk, form, name), chunk.target.size))
        for chunk in chunks or plan_chunks(plan, Grid(1, 1))
    ]
    under = base(frame, plan.scale_x, plan.scale_y, plan.output)
    return Composition.of(plan.scale_x, plan.scale_y).frame(under, parts)


def shown_by(text: str, frame: Pixels) -> Pixels:
    """Return a frame as it is shown where peers ran a pipeline on it, without loss."""
    return shown(Pipeline.parse(text).resolve(Size.of(frame)), frame)
