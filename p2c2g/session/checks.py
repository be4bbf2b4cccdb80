"""Whether a result shows its chunk: scaled down, it has to look like what was sent.

A peer is a stranger, and a picture of the right size may still be garbage, another chunk, an
old frame or one that is moved aside.  Source and result are both reduced by area to one small
grid of cells, each of about 4x4 source pixels: honest operations hardly change a cell's mean.
Three figures are taken from the two small pictures (:class:`Deviation`), and each has a limit:

mean
    the difference of all cells, over what is tolerated of them;
block
    the same for the worst square of 5x5 cells, which finds a lie about a part of the chunk;
shift
    how far the result is moved, in source pixels.

What is tolerated of a cell grows with the contrast around it in the source, since edges are
what codecs and sharpening change.  The shift is the least-squares solution of
``difference = -gradient * shift`` over the chunk (Lucas and Kanade, "An iterative image
registration technique", 1981): sharpening and blur leave differences that look like second
derivatives, to which a first derivative is blind, so it sees two pixels where the other two
figures see nothing.

The limits come from ``benchmarks/calibrate_checks.py``, which also measures how often honest
results are refused and lies let pass (``docs/reliability.md``).  A check says nothing of detail
finer than a cell: a peer that returns a plain bilinear enlargement passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from p2c2g.errors import CheckError, UsageError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.operations import Plan

#: Source pixels along a cell's edge, unless the pipeline scales down on its way.
CELL = 4
#: Cells along the edge of the square in which the worst difference is looked for.
BLOCK = 5
#: By how many source pixels a result may seem moved; of the smallest picture on its way where
#: the pipeline scales down.
MAX_SHIFT = 1.2
#: Scaling down by leaving pixels out moves what it shows: so many times more then.
_ALIASED = 4
#: Levels that are tolerated of a cell in a flat part, and more for each level of contrast.
_FLAT, _CONTRAST = 2.0, 0.1
#: Squared gradient that stands against a shift: so many a cell, and once.  It keeps the noise
#: of a picture in which nothing can be seen from passing for movement.
_STIFFNESS, _STIFFNESS_ONCE = 0.3, 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What an honest result stays below; :class:`Deviation` says what the figures are."""

    mean: float
    block: float


#: By codec: quality, and its limits; in between they are interpolated.
LIMITS: dict[str, dict[int, Limits]] = {n: {1: Limits(99, 99)} for n in ("jpeg","webp","avif","lossless")}


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far a result is from its source.

    ``mean`` and ``block`` are in parts of what is tolerated, ``shift_x`` and ``shift_y`` in
    source pixels, right and down.
    """

    mean: float
    block: float
    shift_x: float
    shift_y: float


def measure(source: Pixels, result: Pixels, cells: Size) -> Deviation:
    """Compare two pictures of the same scene.

    Args:
        source: ``(height, width, 3 or 4)`` uint8, BGR; a view will do.
        result: ``(height, width, 3)``, of any size.
        cells: the grid; at most as wide and high as either picture.
    """
    before, after = _reduced(source, cells), _reduced(result, cells)
    off = _largest(cv2.absdiff(before[..., :3], after))
    contrast = _largest(_reduced(cv2.morphologyEx(source, cv2.MORPH_GRADIENT, _AROUND), cells))
    # Colour is coded in blocks of 16 pixels: its error reaches beyond the next cell.
    contrast = cv2.dilate(contrast, _NEXT)
    square = (BLOCK, BLOCK)
    off_in = cv2.boxFilter(off, cv2.CV_32F, square, borderType=cv2.BORDER_REPLICATE)
    contrast_in = cv2.boxFilter(contrast, cv2.CV_32F, square, borderType=cv2.BORDER_REPLICATE)
    tolerated = cells.width * cells.height * _FLAT + _CONTRAST * int(contrast.sum())
    shift = _shift(_grey(before), _grey(after))
    return Deviation(
        mean=int(off.sum()) / tolerated,
        block=float((off_in / (contrast_in * _CONTRAST + _FLAT)).max()),
        shift_x=shift[0] * source.shape[1] / cells.width,
        shift_y=shift[1] * source.shape[0] / cells.height,
    )


class Checker:
    """Checks results of one session.  Cheap, and without state: any thread may ask.

    Args:
        codec_name: of the codec, both ways.
        quality: of a lossy codec, 1 to 100.
        plan: the pipeline, resolved for the session's frames.

    Raises:
        UsageError: the codec is unknown, or nobody has calibrated it.
    """

    def __init__(self, codec_name: str, quality: int, plan: Plan) -> None:
        self._limits = limits_for(codec_name, quality)
        smallest_x = smallest_y = scale_x = scale_y = Fraction(1)
        most = MAX_SHIFT
        for step in plan.steps:
            scale_x, scale_y = scale_x * step.scale_x, scale_y * step.scale_y
            smallest_x, smallest_y = min(smallest_x, scale_x), min(smallest_y, scale_y)
            if step.method == "nearest" and min(step.scale_x, step.scale_y) < 1:
                most = MAX_SHIFT * _ALIASED
        self._scale_x, self._scale_y = smallest_x, smallest_y
        #: How many source pixels a result may seem moved, right or left, and up or down.
        self.max_shift = (float(most / smallest_x), float(most / smallest_y))

    def cells(self, chunk: Chunk) -> Size:
        """Return the grid on which a chunk's result is compared."""
        # Where a step scales down, a cell holds as many of its pixels as of the source's
        # elsewhere: nothing finer comes out of it.
        return Size(
            max(1, round(chunk.rect.width * self._scale_x / CELL)),
            max(1, round(chunk.rect.height * self._scale_y / CELL)),
        )

    def check(self, source_pixels: Pixels, chunk: Chunk, result_pixels: Pixels) -> None:
        """Compare one result with its source.

        Args:
            source_pixels: the whole source frame, ``(height, width, 3 or 4)``.
            chunk: the chunk in question.
            result_pixels: its result, of ``chunk.target``'s size and 3 channels.

        Raises:
            CheckError: the result does not show what was sent.
        """
        if result_pixels.shape != (chunk.target.height, chunk.target.width, 3):
            raise CheckError(
                f"a result has the shape {result_pixels.shape} where a picture of "
                f"{chunk.target.size} is due."
            )
        found = measure(chunk.rect.of(source_pixels), result_pixels, self.cells(chunk))
        limits = self._limits
        if found.mean > limits.mean:
            wrong = f"it is off by {found.mean:.1f} where at most {limits.mean:.1f} is tolerated"
        elif found.block > limits.block:
            wrong = (
                f"a part of it is off by {found.block:.1f} where at most {limits.block:.1f} is "
                "tolerated"
            )
        elif (
            abs(found.shift_x) > self.max_shift[0]
            or abs(found.shift_y) > self.max_shift[1]
        ):
            wrong = f"it is moved by {found.shift_x:+.1f}, {found.shift_y:+.1f} source pixels"
        else:
            return
        raise CheckError(f"a result does not show its chunk: {wrong}.")


def limits_for(codec_name: str, quality: int) -> Limits:
    """Return the limits for a codec at a quality.

    Raises:
        UsageError: the codec is unknown, or not calibrated.
    """
    chosen = codec(codec_name)
    rows = LIMITS.get("lossless" if chosen.lossless else codec_name)
    if rows is None:
        raise UsageError(
            f"{codec_name!r} has no limits for the check of its results: measure them with "
            "benchmarks/calibrate_checks.py."
        )
    qualities = sorted(rows)
    return Limits(
        mean=float(np.interp(quality, qualities, [rows[each].mean for each in qualities])),
        block=float(np.interp(quality, qualities, [rows[each].block for each in qualities])),
    )


_AROUND = np.ones((5, 5), np.uint8)
_NEXT = np.ones((3, 3), np.uint8)


def _reduced(pixels: Pixels, size: Size) -> Pixels:
    """Scale down to ``size`` by area, or nearly so.

    Halving is by far the cheapest way, and exact.  What is not a power of two times the size
    is first brought there by interpolation, which moves nothing; leaving out an odd last
    column would.
    """
    height, width = pixels.shape[:2]
    halvings = min(_halvings(width, size.width), _halvings(height, size.height))
    first = (size.width << halvings, size.height << halvings)
    if first != (width, height):
        pixels = np.asarray(cv2.resize(pixels, first, interpolation=cv2.INTER_LINEAR))
    for left in range(halvings - 1, -1, -1):
        half = (size.width << left, size.height << left)
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


def _shift(before: Pixels, after: Pixels) -> tuple[float, float]:
    """Return by how many cells, right and down, ``after`` is moved against ``before``."""
    across = cv2.Sobel(before, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(before, cv2.CV_32F, 0, 1, scale=1 / 8)
    change = cv2.subtract(after, before, dtype=cv2.CV_32F)
    stiffness = _STIFFNESS * before.size + _STIFFNESS_ONCE
    xx = float(np.vdot(across, across)) + stiffness
    yy = float(np.vdot(down, down)) + stiffness
    xy = float(np.vdot(across, down))
    x, y = float(np.vdot(across, change)), float(np.vdot(down, change))
    inverse = -1 / (xx * yy - xy * xy)
    return inverse * (yy * x - xy * y), inverse * (xx * y - xy * x)
