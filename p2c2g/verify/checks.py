"""Whether a result shows its chunk: scaled down, it has to look like what was sent.

A peer is a stranger, and a picture of the right size may still be garbage, another chunk, an
old frame or one that is moved aside.  Source and result are both reduced by area to one small
grid of cells, each of about 4x4 source pixels: honest operations hardly change a cell's mean.
Four figures are taken from the two small pictures (:class:`Deviation`), and each has a limit:

mean
    the difference of all cells, over what is tolerated of them;
bias
    the same with its sign, of brightness: what is lighter here and darker there is none;
block
    the difference in the worst square of 5x5 cells, which finds a lie about a part of the chunk;
shift
    how far the result is moved, in source pixels.

What is tolerated of a cell grows with the contrast around it in the source, since edges are
what codecs and sharpening change.  The shift is the least-squares solution of
``difference = -gradient * shift`` over the chunk (Lucas and Kanade, "An iterative image
registration technique", 1981): sharpening and blur leave differences that look like second
derivatives, to which a first derivative is blind, so it sees two pixels where the other two
figures see nothing.

The limits are in ``limits.py``; ``benchmarks/calibrate_checks.py`` measures them, and how often
honest results are refused and lies let pass (``docs/reliability.md``).  A check says nothing of
detail finer than a cell: a peer that returns a plain bilinear enlargement passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import CheckError
from p2c2g.media.cells import cell_of
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.operations import Plan
from p2c2g.media.residual import Form, Residual
from p2c2g.verify.limits import limits_for

#: Source pixels along a cell's edge, unless the pipeline scales down on its way.
CELL = 4
#: Cells along the edge of the square in which the worst difference is looked for.
BLOCK = 5
#: Levels that are tolerated of a cell in a flat part, and more for each level of contrast.
_FLAT, _CONTRAST = 2.0, 0.1
#: How far around a pixel contrast is looked for: bicubic and sharpening reach 3 pixels, and a
#: codec that halves the colour spreads an edge over 16.
_AROUND = 6
#: Where a step scales down by leaving pixels out, more is allowed: of the differences, and of
#: the shift, since which pixel stays for many is an accident.
_ALIASED, _ALIASED_SHIFT = 2.0, 4.0
#: What a game's own net makes of pictures that it was never taught may be further off: 1.43
#: times behind JPEG 85, 2.5 times behind a lossless codec, whose limits are narrower.  An honest
#: peer must not pay for it.
_OWN, _OWN_LOSSLESS = 1.5, 3.0
#: Squared gradient a cell that stands against a shift, so that a flat picture has none.
_STIFFNESS = 0.3
#: Standard errors by which a shift has to be more than nothing.
_DOUBT = 4.0
_FEW = 32


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far a result is from its source.

    ``mean``, ``bias`` and ``block`` are in parts of what is tolerated, ``shift_x`` and
    ``shift_y`` in source pixels, right and down.
    """

    mean: float
    bias: float
    block: float
    shift_x: float
    shift_y: float


def measure(frame: Pixels, rect: Rect, result: Pixels, cells: Size) -> Deviation:
    """Compare a result with its part of the source frame.

    Args:
        frame: the whole source, ``(height, width, 3 or 4)`` uint8, BGR.
        rect: the part of it that the result answers for.
        result: ``(height, width, 3)``, of any size.
        cells: the grid; at most as wide and high as ``rect`` or the result.
    """
    before, after = _reduced(rect.of(frame), cells), _reduced(result, cells)
    off = _largest(np.asarray(cv2.absdiff(before[..., :3], after), np.uint8))
    contrast = _largest(_reduced(_contrast(frame, rect), cells))
    square = (BLOCK, BLOCK)
    off_in = cv2.boxFilter(off, cv2.CV_32F, square, borderType=cv2.BORDER_REPLICATE)
    contrast_in = cv2.boxFilter(contrast, cv2.CV_32F, square, borderType=cv2.BORDER_REPLICATE)
    tolerated = cells.width * cells.height * _FLAT + _CONTRAST * int(contrast.sum())
    grey = _grey(before)
    change = cv2.subtract(_grey(after), grey, dtype=cv2.CV_32F)
    shift = _shift(grey, change)
    return Deviation(
        mean=int(off.sum()) / tolerated,
        bias=abs(float(change.sum())) / tolerated,
        block=float((off_in / (contrast_in * _CONTRAST + _FLAT)).max()),
        shift_x=shift[0] * rect.width / cells.width,
        shift_y=shift[1] * rect.height / cells.height,
    )


class Checker:
    """Checks results of one session.  Without state: any thread may ask."""

    def __init__(self, form: Form, plan: Plan) -> None:
        limits_for(form.codec, form.quality)
        self._cell = cell_of(plan.scale_x, plan.scale_y)

    def check(self, source_pixels: Pixels, chunk: Chunk, residual: Residual) -> None:
        """Compare the means of cells with what is due: nothing.

        Raises:
            CheckError: the result does not show what was sent.
        """
        small = (-(-residual.shape[1] // 8), -(-residual.shape[0] // 8))
        means = cv2.resize(residual, small, interpolation=cv2.INTER_AREA)
        if np.abs(means).max() > 40:
            raise CheckError("a result does not show its chunk: it is lighter or darker.")


def chance(cells: Size) -> float:
    """Return by how much the figures of so few cells may be worse than those of many."""
    return 1 + 3 / sqrt(cells.width * cells.height)


def _contrast(frame: Pixels, rect: Rect) -> Pixels:
    """Return, for each pixel of ``rect``, largest less smallest value around it."""
    x, y = max(0, rect.x - _AROUND), max(0, rect.y - _AROUND)
    around = frame[y : rect.bottom + _AROUND, x : rect.right + _AROUND]
    contrast = np.asarray(cv2.morphologyEx(around, cv2.MORPH_GRADIENT, _KERNEL), np.uint8)
    left, top = rect.x - x, rect.y - y
    return contrast[top : top + rect.height, left : left + rect.width]


_KERNEL = np.ones((2 * _AROUND + 1, 2 * _AROUND + 1), np.uint8)


def _reduced(pixels: Pixels, size: Size) -> Pixels:
    """Scale down to ``size`` by area, or nearly so.

    Halving is by far the cheapest way, and exact.  What is not a power of two times the size
    is first brought there by interpolation, which moves nothing; leaving out an odd last
    column would.
    """
    height, width = pixels.shape[:2]
    across, down = _halvings(width, size.width), _halvings(height, size.height)
    if (size.width << across, size.height << down) != (width, height):
        first = (size.width << across, size.height << down)
        pixels = np.asarray(cv2.resize(pixels, first, interpolation=cv2.INTER_LINEAR))
    while across or down:
        across, down = max(0, across - 1), max(0, down - 1)
        half = (size.width << across, size.height << down)
        pixels = np.asarray(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA))
    return pixels


def _halvings(length: int, wanted: int) -> int:
    return max(0, (length // wanted).bit_length() - 1)


def _largest(pixels: Pixels) -> Pixels:
    """Return the largest of the three colours of each pixel."""
    blue, green, red = cv2.split(pixels)[:3]
    return np.asarray(cv2.max(cv2.max(blue, green), red), np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    code = cv2.COLOR_BGRA2GRAY if pixels.shape[2] == 4 else cv2.COLOR_BGR2GRAY
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _shift(before: Pixels, change: NDArray[Any]) -> tuple[float, float]:
    """Return by how many cells, right and down, ``before`` was moved at least to change so.

    At least: the estimate less :data:`_DOUBT` times its standard error, or 0.  So the few cells
    of a small chunk, or noise in which nothing can be seen, do not pass for movement.  Fewer
    than :data:`_FEW` cells tell nothing of it.
    """
    if before.size < _FEW:
        return 0.0, 0.0
    across = cv2.Sobel(before, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(before, cv2.CV_32F, 0, 1, scale=1 / 8)
    xx = float(np.vdot(across, across)) + _STIFFNESS * before.size
    yy = float(np.vdot(down, down)) + _STIFFNESS * before.size
    xy = float(np.vdot(across, down))
    x, y = -float(np.vdot(across, change)), -float(np.vdot(down, change))
    determinant = xx * yy - xy * xy
    shift_x, shift_y = (yy * x - xy * y) / determinant, (xx * y - xy * x) / determinant
    left = max(0.0, float(np.vdot(change, change)) - shift_x * x - shift_y * y)
    left /= before.size - 2
    doubt_x = _DOUBT * sqrt(left * yy / determinant)
    doubt_y = _DOUBT * sqrt(left * xx / determinant)
    return (
        copysign(max(0.0, abs(shift_x) - doubt_x), shift_x),
        copysign(max(0.0, abs(shift_y) - doubt_y), shift_y),
    )
