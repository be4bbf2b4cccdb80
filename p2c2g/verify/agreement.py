"""Whether two peers' answers to one chunk are the same residual.

Two honest peers seldom return the same bytes: another build of a codec, of OpenCV or of a net's
runtime rounds differently, by a level here and there, and a lossy codec makes some levels of it.
A cheat is a peer that did something cheaper: nothing, plain bicubic where a net was asked for, half
of it, a smaller net.  Its answer passes the check of ``verify/checks.py``, which knows where a
residual has to lie and not what it says; here it is that which is compared.  Two figures are taken
of each square of :data:`TILE` pixels, in levels:

difference
    the root mean square of what is between the two residuals;
change
    the difference between the root mean squares of the two.  Rounding leaves it as it is; doing
    less does not.

Two answers agree where no square's difference and no square's change is more than its limit,
which grows with the residual that is there.  Where there is hardly any, nothing can be told, and a
lazy answer is as good as an honest one.

The limits are from ``benchmarks/agreement.py``, and ``docs/peers.md`` says what they find.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.media.residual import Residual

#: Pixels along the edge of a square, about: a residual is cut into equal ones.
TILE = 96
#: Levels of difference that agree in a square without a residual, and more for each level of it.
DIFFERENCE, DIFFERENCE_PER_LEVEL = 0.8, 0.28
#: The same of the change.
CHANGE, CHANGE_PER_LEVEL = 0.25, 0.07
#: Levels that are added to both, so that rounding does not pass for a change where there is none.
_FLOOR = 1.0
#: More than this is no level of a residual, and means the same.
_MOST = 255


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far two answers are apart, in parts of what agrees: of the worst square each."""

    difference: float
    change: float


def compare(one: Residual, other: Residual) -> Disagreement:
    """Measure how far two residuals of one shape are apart.

    Args:
        one: ``(height, width, 1 or 3)``.
        other: the same.
    """
    height, width = one.shape[:2]
    tiles = (max(1, round(width / TILE)), max(1, round(height / TILE)))
    levels, levels_other = _levels(one), _levels(other)
    apart = _power(levels - levels_other, tiles)
    power = np.hypot(_power(levels, tiles), _FLOOR)
    power_other = np.hypot(_power(levels_other, tiles), _FLOOR)
    mean = (power + power_other) / 2
    few = 1 + 16 / sqrt(height * width / (tiles[0] * tiles[1]))
    difference = apart / (DIFFERENCE + DIFFERENCE_PER_LEVEL * mean)
    change = np.abs(power - power_other) / (CHANGE + CHANGE_PER_LEVEL * mean)
    return Disagreement(float(difference.max()) / few, float(change.max()) / few)


def same_residual(one: Residual, other: Residual) -> bool:
    """Tell whether two answers to one chunk agree.

    Args:
        one: ``(height, width, 1 or 3)``, of any values.
        other: the same; one of another shape does not agree.
    """
    if one.shape != other.shape:
        return False
    found = compare(one, other)
    return found.difference <= 1 and found.change <= 1


def _levels(residual: Residual) -> NDArray[np.float32]:
    return np.clip(residual, -_MOST, _MOST).astype(np.float32)


def _power(levels: NDArray[np.float32], tiles: tuple[int, int]) -> NDArray[np.float32]:
    """Return the root mean square of each tile, of all its colours."""
    squares: Any = cv2.resize(levels * levels, tiles, interpolation=cv2.INTER_AREA)
    means: NDArray[np.float32] = squares.reshape(tiles[1], tiles[0], -1).mean(2)
    return np.sqrt(means)
