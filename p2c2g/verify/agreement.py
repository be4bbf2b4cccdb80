"""Whether two peers' answers to one chunk are the same picture.

Two honest peers seldom return the same bytes: another build of a codec or of OpenCV rounds
differently, by a level here and there, and a lossy codec makes some levels of it.  A cheat is a
peer that did something cheaper: nearest where bicubic was asked for, no sharpening, a blur.  Its
answer passes the check of ``verify/checks.py``, which is blind to detail; here it is detail that
is compared.  Two figures are taken of each square of :data:`TILE` pixels, in levels of
brightness:

difference
    the root mean square of what is between the two pictures;
detail
    the root mean square of a picture less its own blur, one for each picture.  Rounding leaves
    it as it is; sharpening, or leaving it out, does not.

Two answers agree where no square's difference and no square's change of detail is more than its
limit, which grows with the detail that is there: edges are what codecs change.  Where there is
no detail nothing can be told, and a lazy answer is as good as an honest one.

The limits are from ``benchmarks/agreement.py``, and ``docs/peers.md`` says what they find.  Of
colour only the brightness is compared: colour is what the check of every result sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np

from p2c2g.media.frame import Pixels
from p2c2g.media.residual import Residual

#: Pixels along the edge of a square, about: a picture is cut into equal ones.
TILE = 96
#: Radius of the blur that tells detail from the rest, as the deviation of a Gaussian.
_FINE = 1.5
#: Levels of difference that agree in a flat square, and more for each level of detail.
DIFFERENCE, DIFFERENCE_PER_DETAIL = 2.0, 0.14
#: The same of the change of detail.
CHANGE, CHANGE_PER_DETAIL = 0.3, 0.035
#: Detail that is added to both, so that rounding does not pass for detail where there is none.
_FLOOR = 1.0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far two answers are apart, in parts of what agrees: of the worst square each."""

    difference: float
    change: float


def compare(one: Pixels, other: Pixels) -> Disagreement:
    """Measure how far two pictures of one size are apart.

    Args:
        one: ``(height, width, 3)`` uint8, BGR.
        other: the same.
    """
    height, width = one.shape[:2]
    tiles = (max(1, round(width / TILE)), max(1, round(height / TILE)))
    grey, grey_other = _grey(one), _grey(other)
    apart = _power(grey - grey_other, tiles)
    detail = np.hypot(_power(_fine(grey), tiles), _FLOOR)
    detail_other = np.hypot(_power(_fine(grey_other), tiles), _FLOOR)
    mean = (detail + detail_other) / 2
    few = 1 + 16 / sqrt(height * width / (tiles[0] * tiles[1]))
    difference = apart / (DIFFERENCE + DIFFERENCE_PER_DETAIL * mean)
    change = np.abs(detail - detail_other) / (CHANGE + CHANGE_PER_DETAIL * mean)
    return Disagreement(float(difference.max()) / few, float(change.max()) / few)


def same_picture(one: Pixels, other: Pixels) -> bool:
    """Tell whether two answers to one chunk agree.

    Args:
        one: ``(height, width, 3)`` uint8, BGR.
        other: the same; one of another size does not agree.
    """
    if one.shape != other.shape:
        return False
    found = compare(one, other)
    return found.difference <= 1 and found.change <= 1


def _grey(pixels: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.float32)


def _fine(
    grey: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    blurred = cv2.GaussianBlur(grey, (0, 0), _FINE, borderType=cv2.BORDER_REFLECT_101)
    return grey - np.asarray(blurred, np.float32)


def _power(
    levels: np.ndarray[tuple[int, ...], np.dtype[np.float32]], tiles: tuple[int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the root mean square of each tile."""
    squares = cv2.resize(levels * levels, tiles, interpolation=cv2.INTER_AREA)
    return np.sqrt(np.asarray(squares, np.float32))


def same_residual(one: Residual, other: Residual) -> bool:
    """Tell whether two answers to one chunk agree."""
    if one.shape != other.shape:
        return False
    return bool(np.sqrt(np.mean(np.square((one - other).astype(np.float32)))) < 3)
