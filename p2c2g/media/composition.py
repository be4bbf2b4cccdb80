"""The picture that is shown: the gamer's own base, and what peers add to it, within bounds.

Whatever a residual says, three things hold of the picture, since it is made so:

1.  Scaled down by area, it is the gamer's own frame: no pixel of that differs by more than one
    level where both axes grow by whole numbers.  With simple fractions, such as 3/2, that holds
    of the means of cells, a few old pixels each (:func:`~p2c2g.media.cells.cell_of`), against
    those of the base.
2.  A luma residual moves a pixel's three colours by the same number of levels, and no further
    than the darkest and the lightest luma of the base around it, which is as far as an old pixel
    each way, and beyond that :data:`MARGIN` levels and half of their contrast.  One in colour
    moves each colour likewise within its own range.
3.  No colour leaves 0 to 255, nor is cut off there.

How: of each cell the mean is taken out, and what is left of it shrinks, in 16ths, until it is
within its bounds.  Both look at one cell at a time, so any chunk can be composed by itself, and
where none came, the residual is 0 and the base is shown.  The cell shrinks as a whole since that
keeps its mean.  All of it is integers, so everybody who composes makes the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import cv2
import numpy as np

from p2c2g.media import cells
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.residual import Residual, luma

#: Levels beyond the range of the base around a pixel, besides half its contrast.
MARGIN = 4
#: In how many steps a cell shrinks.
_STEPS = 16
#: New pixels in a band of rows: what is made of it on the way stays in the cache.
_BAND = 1 << 18


@dataclass(frozen=True, slots=True)
class Composition:
    """How the frames of one session are put together; without state.

    Args:
        cell: whose mean a residual cannot change.
        around: how far the range of the base reaches from a pixel, across and down.
    """

    cell: Size
    around: Size

    @classmethod
    def of(cls, scale_x: Fraction, scale_y: Fraction) -> Composition:
        """Return what is due for a pipeline's scale."""
        around = Size(max(2, math.ceil(scale_x)), max(2, math.ceil(scale_y)))
        return cls(cells.cell_of(scale_x, scale_y), around)

    def frame(self, base: Pixels, residuals: Iterable[tuple[Rect, Residual]]) -> Pixels:
        """Return a whole frame.

        Args:
            base: the frame's base layer, ``(height, width, 3)`` uint8, BGR.
            residuals: those that came, each with the target of its chunk.
        """
        result = base.copy()
        for target, residual in residuals:
            self.part(base, target, residual, target.of(result))
        return result

    def part(self, base: Pixels, target: Rect, residual: Residual, out: Pixels) -> None:
        """Compose one chunk.

        Args:
            base: the whole frame's base layer; it is not changed.
            target: the chunk's place in it.
            residual: of the target's size, in luma or in colour; of any values.
            out: is filled: of the target's size, and no part of ``base``.
        """
        band = max(1, _BAND // (target.width * self.cell.height)) * self.cell.height
        for begin in range(0, target.height, band):
            rows = slice(begin, min(begin + band, target.height))
            place = Rect(target.x, target.y + begin, target.width, rows.stop - begin)
            self._band(base, place, residual[rows], out[rows])

    def _band(self, base: Pixels, place: Rect, residual: Residual, out: Pixels) -> None:
        x, y = max(0, place.x - self.around.width), max(0, place.y - self.around.height)
        near = base[y : place.bottom + self.around.height, x : place.right + self.around.width]
        inner = Rect(place.x - x, place.y - y, place.width, place.height)
        colours: list[Any] = list(cv2.split(near))
        here = [inner.of(one) for one in colours]
        changes: list[Any]
        if residual.shape[2] == 1:
            below: Any = cv2.min(cv2.min(here[0], here[1]), here[2])
            above: Any = cv2.bitwise_not(cv2.max(cv2.max(here[0], here[1]), here[2]))
            changes = [self._change(residual[:, :, 0], luma(colours), inner, below, above)] * 3
        else:
            changes = [
                self._change(residual[:, :, at], colours[at], inner, one, np.invert(one))
                for at, one in enumerate(here)
            ]
        # Modulo 256: the bounds see to it that nothing runs over.
        np.add(place.of(base), np.asarray(cv2.merge(changes), np.uint8), out=out)

    def _change(
        self, residual: Residual, near: Pixels, inner: Rect, below: Pixels, above: Pixels
    ) -> Pixels:
        """Return what is added to a plane, modulo 256.

        ``near`` is the plane with what is around it, and ``below`` and ``above`` how far each
        pixel is from 0 and 255.
        """
        square = np.ones((2 * self.around.height + 1, 2 * self.around.width + 1), np.uint8)
        lightest: Any = cv2.dilate(near, square)
        darkest: Any = cv2.erode(near, square)
        here, lightest, darkest = (inner.of(one) for one in (near, lightest, darkest))
        beyond = (lightest - darkest >> 1) + np.uint8(MARGIN)
        up: Any = cv2.min(cv2.add(lightest - here, beyond), above)
        down: Any = cv2.min(cv2.add(here - darkest, beyond), below)
        levels = np.clip(residual, -255, 255)
        if self.cell == Size(1, 1):
            return np.clip(levels, -down.astype(np.int16), up).astype(np.uint8)
        apart = partial(cells.apart, cell=self.cell)
        return cells.together(_fitted(apart(levels), apart(up), apart(down)), self.cell, here.shape)


def _fitted(
    levels: Sequence[Residual], up: Sequence[Pixels], down: Sequence[Pixels]
) -> list[Pixels]:
    """Take each cell's mean out, shrink the rest until it fits, and round it to whole levels.

    With ``n`` pixels in a cell, ``d = n * r - sum(r)`` and ``k`` the least of
    ``(16 * n * bound + 1) // |d|`` over its pixels and at most 16, a pixel is moved by
    ``(k * d + 8 * n) // (16 * n)``.  The 1 keeps 0 / 0 away, and lets nothing through.
    """
    count = len(levels)
    bits = np.int16 if 2 * 255 * count * _STEPS <= 32_767 else np.int32
    total: Any = levels[0].astype(bits)
    for one in levels[1:]:
        total += one
    changes: list[Any] = [np.multiply(one, count, dtype=bits) - total for one in levels]
    kept = np.full(total.shape, _STEPS, np.float32)
    for change, high, low in zip(changes, up, down, strict=True):
        upwards = -(change > 0).astype(np.uint8)
        bound = (low ^ ((low ^ high) & upwards)).astype(np.float32)
        bound *= _STEPS * count
        bound += 1
        # Whole numbers below 2^24: the quotient's floor is exact in float32.
        with np.errstate(divide="ignore"):
            bound /= np.abs(change)
        np.minimum(kept, bound, out=kept)
    shrunk = kept.astype(bits)
    unit = _STEPS * count
    found: list[Pixels] = []
    for change in changes:
        change *= shrunk
        change += unit // 2
        found.append(cells.divided(change, unit).astype(np.uint8))
    return found
