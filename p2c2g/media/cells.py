"""Cells: the blocks of new pixels whose mean nobody but the gamer's own frame decides."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.media.frame import Size

_Number = TypeVar("_Number", bound=np.integer[Any])
#: Longest edge of a cell; of one of several old pixels, which shrinks as a whole.
_LONGEST, _SHORT = 64, 16


def cell_of(scale_x: Fraction, scale_y: Fraction) -> Size:
    """Return the block of new pixels whose mean a residual cannot change.

    Where a factor is whole, it is what an old pixel became; where it is a simple fraction, what
    two or some more became, such as three new pixels of two old ones with 3/2.  Along an axis that
    does not grow, or by no simple fraction, it is one pixel wide, and along both means may change.
    """
    return Size(_edge(scale_x), _edge(scale_y))


def _edge(scale: Fraction) -> int:
    if scale <= 1:
        return 1
    if scale.denominator == 1:
        return int(scale) if scale <= _LONGEST else 1
    # A divisor, since chunks begin at multiples of the numerator.
    whole = scale.numerator
    edges = (edge for edge in range(2, _SHORT + 1) if edge >= 2 * scale and whole % edge == 0)
    return next(edges, 1)


def apart(plane: NDArray[_Number], cell: Size) -> list[NDArray[_Number]]:
    """Return a plane's whole cells: an array for each place in a cell, row by row.

    Each is ``(rows, columns)`` of cells.  Those that the right or lower edge cuts are left out.
    """
    rows, columns = plane.shape[0] // cell.height, plane.shape[1] // cell.width
    if not rows * columns:  # of which OpenCV makes nothing
        return [np.zeros((rows, columns), plane.dtype)] * (cell.width * cell.height)
    whole = np.ascontiguousarray(plane[:, : columns * cell.width])
    found: list[Any] = []
    for at in range(cell.height):
        row = whole[at : at + rows * cell.height : cell.height]
        found.extend(cv2.split(row.reshape(rows, columns, cell.width)))
    return found


def together(
    parts: Sequence[NDArray[_Number]], cell: Size, shape: tuple[int, ...]
) -> NDArray[_Number]:
    """Return the plane of a shape of which these are the parts; 0 where its edge cuts a cell."""
    plane = np.zeros(shape, parts[0].dtype)
    rows, columns = parts[0].shape
    for at in range(cell.height if parts[0].size else 0):
        row: Any = cv2.merge(list(parts[at * cell.width :][: cell.width]))
        part = plane[at : rows * cell.height : cell.height, : columns * cell.width]
        part[:] = row.reshape(part.shape)
    return plane


def divided(values: NDArray[_Number], by: int) -> NDArray[_Number]:
    """Divide in place, rounding down."""
    if by & (by - 1):
        values //= by
    else:
        values >>= by.bit_length() - 1
    return values
