"""One chunk's way: a frame is cut, sent, enhanced and composed; what is left is how far it is off.

For benchmarks of how chunks and residuals are written; nothing here needs a broker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.residual import Form, Residual
from p2c2g_training.pairs import TWO, based
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine

#: What the peers of a benchmark run, and how its frames are cut.
OPERATIONS, GRID = "upscale:2:ml-small", Grid(2, 1)
_EXACT = Form("raw", 100)
_ENGINE = CpuEngine()
_TERMS = Composition.of(TWO, TWO)


@dataclass(frozen=True)
class Frame:
    """What is captured, and what it should look like: (h, w, 3) and (2h, 2w, 3) BGR."""

    own: Pixels
    large: Pixels

    @classmethod
    def read(cls, file: Path) -> Frame:
        """Read a large picture, cut to whole blocks of 4 pixels, and scale it down by area."""
        whole = np.asarray(cv2.imread(str(file)), np.uint8)
        height, width = whole.shape[0] // 4 * 4, whole.shape[1] // 4 * 4
        large = np.ascontiguousarray(whole[:height, :width])
        small = cv2.resize(large, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return cls(np.asarray(small, np.uint8), large)

    @cached_property
    def base(self) -> Pixels:
        """Return its base layer."""
        return based(self.own)

    @cached_property
    def plan(self) -> Plan:
        """Return what is done to it."""
        return Pipeline.parse(OPERATIONS).resolve(Size.of(self.own))

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """Return its chunks."""
        return plan_chunks(self.plan, GRID)

    def source(self, chunk: Chunk) -> Pixels:
        """Return what is sent of it for a chunk, a view."""
        return cut(self.own, chunk)

    def answer(self, chunk: Chunk, name: str, payload: bytes) -> Residual:
        """Return what a peer adds to a chunk that came in a codec of this name."""
        work = Work(self.plan, name, payload, chunk.padded.size, chunk.crop, _EXACT)
        return _EXACT.decode(_ENGINE.enhance(work).payload, chunk.target.size)

    def answer_to(self, chunk: Chunk, arrived: Pixels) -> Residual:
        """Return the same for pixels as they arrived."""
        return self.answer(chunk, "raw", codec("raw").encode(arrived, 100))

    def error(self, chunk: Chunk, residual: Residual | None) -> float:
        """Return the squared error of what is shown of a chunk; of the base alone for None."""
        shown = chunk.target.of(self.base)
        if residual is not None:
            shown = np.empty_like(shown)
            _TERMS.part(self.base, chunk.target, residual, shown)
        off = cv2.absdiff(shown, chunk.target.of(self.large)).astype(np.float32)
        return float(np.square(off).sum(dtype=np.float64))

    def decibels(self, errors: Sequence[float]) -> float:
        """Return the PSNR of the whole frame, of its chunks' errors."""
        return 10 * math.log10(255**2 * self.large.size / max(sum(errors), 1e-9))
