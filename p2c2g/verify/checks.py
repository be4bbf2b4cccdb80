"""Whether a residual can belong to its chunk: it has to lie where the gamer's own frame has detail.

A peer is a stranger, and what it says the picture lacks may be noise, another chunk's, an old
frame's, moved aside, or no residual at all.  None of it can do much harm, since the composition
bounds it (``media/composition.py``); the check is to find out who lies, and it is cheap: no base
is computed.  Residual and own frame are both reduced to one small grid of cells, each of about 4x4
source pixels: of the one the mean of its absolute values, the *energy*; of the other the mean
*contrast*, which is the largest less the smallest luma within two pixels, or colour where the
residual has colours.  Five figures are taken of the two (:class:`Deviation`), and each has a limit:

energy
    of all cells, over what is tolerated of them;
block
    the same in the worst square of 5x5 cells, which finds a lie about a part of the chunk;
bias
    the mean of the residual, over the same: an honest one has none;
place
    the correlation of energy and contrast, each by its square root and less its mean around:
    enhancing changes edges, whatever it is.  This is what finds most lies;
beside
    by how much that correlation is better where the residual is moved by a cell or two.

What is tolerated of a cell grows with its contrast.  The last two say nothing where a chunk is
small or has no structure, where a residual has hardly anything in it (a peer that had no time for
more sends nothing, which is the base itself), and of pipelines that denoise or do not enlarge.

The limits are in ``limits.py``; ``benchmarks/calibrate_checks.py`` measures them, and how often
honest residuals are refused and lies let pass (``docs/reliability.md``).  A check says nothing of
signs and amounts: a residual that is turned around, halved or cheaply made passes, and is found by
examinations (``agreement.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import CheckError
from p2c2g.media.cells import cell_of
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.operations import Plan
from p2c2g.media.residual import Form, Residual
from p2c2g.verify.limits import limits_for

#: Source pixels along a cell's edge, unless the pipeline scales down on its way.
CELL = 4
#: Cells along the edge of the square in which the worst energy is looked for, and of that whose
#: mean is taken out of a cell to tell its place.
BLOCK, NEAR = 5, 15
#: Levels that are tolerated of a cell in a flat part, and more for each level of contrast.
_FLAT, _CONTRAST = 1.0, 0.4
#: How far around a pixel contrast is looked for.
_AROUND = 2
#: Energy is counted in such parts of a level, and is at most 63 levels.
_PARTS = 4
#: More energy is tolerated where means of cells may change, and where a step scales down by leaving
#: pixels out.
_FREE, _ALIASED = 4.5, 1.5
#: What a game's own net makes of pictures that it was never taught may be further off.  An
#: honest peer must not pay for it.
_OWN, _OWN_LOSSLESS = 1.5, 3.0
#: What it takes to tell a place: cells; variance of the root of contrast; and that of energy, or
#: its mean.
_FEW, _STRUCTURE, _VARIED, _MUCH = 1000, 0.5, 0.05, 0.5
#: More than any difference of correlations.
_ANY = 3.0
#: Standard errors for which doubt is given.
_DOUBT = 4.0
#: Cells by which a residual is moved to see whether it fits better.
_ASIDE = [(x * by, y * by) for by in (1, 2) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]

_KERNEL = np.ones((2 * _AROUND + 1, 2 * _AROUND + 1), np.uint8)
_Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far a residual is from what can belong to its chunk.

    ``energy``, ``bias`` and ``block`` are in parts of what is tolerated.  ``place`` is a
    correlation, at best, and ``beside`` what others are above it, at least.
    """

    energy: float
    bias: float
    block: float
    place: float
    beside: float


def measure(frame: Pixels, rect: Rect, residual: Residual, cells: Size) -> Deviation:
    """Compare a residual with its part of the source frame.

    Args:
        frame: the whole source, ``(height, width, 3 or 4)`` uint8, BGR.
        rect: the part of it that the residual answers for.
        residual: ``(height, width, 1 or 3)``, of any size and values.
        cells: the grid; at most as wide and high as ``rect`` or the residual.
    """
    levels = _reduced(np.asarray(cv2.convertScaleAbs(residual, alpha=_PARTS), np.uint8), cells)
    energy = _largest(levels) * np.float32(1 / _PARTS)
    in_colour = residual.shape[2] == 3
    contrast = _largest(_reduced(_contrast(frame, rect, in_colour), cells)).astype(np.float32)
    square = (BLOCK, BLOCK)
    tolerated = contrast * _CONTRAST + _FLAT
    energy_in = cv2.boxFilter(energy, cv2.CV_32F, square, borderType=cv2.BORDER_REPLICATE)
    tolerated_in = cv2.boxFilter(tolerated, cv2.CV_32F, square, borderType=cv2.BORDER_REPLICATE)
    mean = float(tolerated.mean())
    place, beside = _placed(energy, contrast)
    return Deviation(
        energy=float(energy.mean()) / mean,
        bias=max(map(abs, cv2.mean(residual))) / mean,
        block=float((energy_in / tolerated_in).max()),
        place=place,
        beside=beside,
    )


class Checker:
    """Checks residuals of one session.  Cheap, and without state: any thread may ask.

    Args:
        form: in which they come.
        plan: the pipeline, resolved for the session's frames.

    Raises:
        UsageError: the codec is unknown, or nobody has calibrated it.
    """

    def __init__(self, form: Form, plan: Plan) -> None:
        limits = limits_for(form)
        self._channels = 3 if form.in_colour else 1
        smallest_x = smallest_y = scale_x = scale_y = Fraction(1)
        aliased = False
        for step in plan.steps:
            scale_x, scale_y = scale_x * step.scale_x, scale_y * step.scale_y
            smallest_x, smallest_y = min(smallest_x, scale_x), min(smallest_y, scale_y)
            aliased |= step.leaves_out
        self._scale_x, self._scale_y = smallest_x, smallest_y
        is_free = cell_of(plan.scale_x, plan.scale_y) == Size(1, 1)
        slack = _FREE if is_free else 1.0
        slack *= _ALIASED if aliased else 1.0
        if any(step.weights for step in plan.steps):
            slack *= _OWN_LOSSLESS if codec(form.codec).lossless else _OWN
        # Sharpening in place and denoising leave alone what has most contrast, such as checkers.
        tells = not is_free and all(step.name != "denoise" for step in plan.steps)
        #: The largest deviation that passes, where the cells are many (:func:`chance`); of
        #: ``place`` it is the smallest.
        self.most = Deviation(
            energy=limits.energy * slack,
            bias=limits.bias * slack,
            block=limits.block * slack,
            place=limits.place if tells else -_ANY,
            beside=limits.beside if tells else _ANY,
        )

    def cells(self, chunk: Chunk) -> Size:
        """Return the grid on which a chunk's residual is compared."""
        # Where a step scales down, a cell holds as many of its pixels as of the source's
        # elsewhere: nothing finer comes out of it.
        return Size(
            max(1, round(chunk.rect.width * self._scale_x / CELL)),
            max(1, round(chunk.rect.height * self._scale_y / CELL)),
        )

    def check(self, source_pixels: Pixels, chunk: Chunk, residual: Residual) -> None:
        """Compare one residual with its source.

        Args:
            source_pixels: the gamer's own frame, whole, ``(height, width, 3 or 4)``.
            chunk: the chunk in question.
            residual: as it was decoded, of ``chunk.target``'s size, and of 1 channel, or 3 where
                the form is in colour.

        Raises:
            CheckError: it does not belong to what was sent.
        """
        if residual.shape != (chunk.target.height, chunk.target.width, self._channels):
            raise CheckError(
                f"a residual has the shape {residual.shape} where one of {chunk.target.size} in "
                f"{'colour' if self._channels == 3 else 'luma'} is due."
            )
        cells = self.cells(chunk)
        found = measure(source_pixels, chunk.rect, residual, cells)
        most, few = self.most, chance(cells)
        if found.energy > most.energy * few:
            wrong = f"it changes {found.energy / (most.energy * few):.1f} times as much as may be"
        elif found.bias > most.bias * few:
            wrong = "it is lighter or darker as a whole"
        elif found.block > most.block * few:
            wrong = (
                f"a part of it changes {found.block / (most.block * few):.1f} times as much as "
                "may be"
            )
        elif found.place < most.place:
            wrong = "it does not lie where there is something to enhance"
        elif found.beside > most.beside:
            wrong = "it is moved aside"
        else:
            return
        raise CheckError(f"a residual does not belong to its chunk: {wrong}.")


def chance(cells: Size) -> float:
    """Return by how much the figures of so few cells may be worse than those of many."""
    return 1 + 3 / sqrt(cells.width * cells.height)


def _contrast(frame: Pixels, rect: Rect, in_colour: bool) -> Pixels:
    """Return, for each pixel of ``rect``, largest less smallest luma near it, or of each colour."""
    x, y = max(0, rect.x - _AROUND), max(0, rect.y - _AROUND)
    around = frame[y : rect.bottom + _AROUND, x : rect.right + _AROUND]
    if not in_colour:
        code = cv2.COLOR_BGRA2GRAY if frame.shape[2] == 4 else cv2.COLOR_BGR2GRAY
        around = np.asarray(cv2.cvtColor(around, code), np.uint8)
    contrast = np.asarray(cv2.morphologyEx(around, cv2.MORPH_GRADIENT, _KERNEL), np.uint8)
    return Rect(rect.x - x, rect.y - y, rect.width, rect.height).of(contrast)


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


def _largest(levels: Pixels) -> Pixels:
    """Return the largest of the first three channels of each cell."""
    if levels.ndim == 2 or levels.shape[2] == 1:
        return levels.reshape(levels.shape[:2])
    blue, green, red = cv2.split(levels)[:3]
    return np.asarray(cv2.max(cv2.max(blue, green), red), np.uint8)


def _placed(energy: _Map, contrast: _Map) -> tuple[float, float]:
    """Return the correlation of energy and contrast, and how far a moved one's is above it.

    Chance is given for the first and taken from the second, so that the few cells of a small
    chunk, or noise in which nothing can be seen, do not pass for a lie.  Where nothing can be told
    it is 1 and -1.
    """
    count = energy.size
    here, there = _less_around(np.sqrt(energy)), _less_around(np.sqrt(contrast))
    power, structure = float(np.vdot(here, here)), float(np.vdot(there, there))
    is_little = power < _VARIED * count and float(energy.mean()) < _MUCH
    if count < _FEW or structure < _STRUCTURE * count or is_little:
        return 1.0, -1.0
    whole = sqrt(power * structure) or 1.0
    place = float(np.vdot(here, there)) / whole
    beside = -1.0
    for x, y in _ASIDE:
        moved, under = _overlap(here, x, y), _overlap(there, -x, -y)
        if moved.size:
            both = float(np.vdot(moved, under)) / whole * count / moved.size
            beside = max(beside, both - place)
    doubt = _DOUBT / sqrt(count)
    return place + doubt, beside - doubt


def _overlap(values: _Map, x: int, y: int) -> _Map:
    """Return what is still there of a map that is moved by so many cells, right and down."""
    height, width = values.shape
    return values[max(0, -y) : max(0, height - max(0, y)), max(0, -x) : max(0, width - max(0, x))]


def _less_around(values: _Map) -> _Map:
    near = cv2.boxFilter(values, cv2.CV_32F, (NEAR, NEAR), borderType=cv2.BORDER_REPLICATE)
    return values - np.asarray(near, np.float32)
