"""The weights of the scaling, one table a length, scale and kernel; plain NumPy.

A result's pixel is a weighted sum of a few source pixels, so a table is two arrays: which pixels,
and with what weight.  There are four kinds, since the processors on the CPU have four:

``cubic``
    Keys' kernel with ``a = -0.75`` (R. Keys, "Cubic convolution interpolation for digital image
    processing", 1981), as OpenCV enlarges.
``linear``
    weights in 256ths, as OpenCV's ``INTER_LINEAR_EXACT``.
``pillow``
    kernels that widen where they scale down, cut off and normalised at the edge, weights in
    2**22nds, as Pillow.

``base``
    those of :mod:`p2c2g.media.kernels`, for factors that are not whole.

All but Pillow's repeat the edge.  Positions are computed in whole numbers, so a pixel gets the same
weights wherever its chunk begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from p2c2g.media.kernels import kernel

#: Fractional bits of Pillow's weights, and of the linear ones.
PILLOW_BITS, LINEAR_BITS = 22, 8


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """``index`` (taps, length) of source pixels, ``weight`` (taps, length)."""

    index: NDArray[np.int64]
    weight: NDArray[np.float32] | NDArray[np.int32]


#: Makes a table: for ``length`` pixels, ``scale`` times larger than ``source`` pixels.
Make = Callable[[int, Fraction, int], Taps]
_Kernel = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def nearest(length: int, scale: Fraction, source: int) -> NDArray[np.int64]:
    """Return the source pixel that holds each centre; ``length`` pixels from ``source``."""
    twice = 2 * np.arange(length, dtype=np.int64) + 1
    return np.minimum(twice * scale.denominator // (2 * scale.numerator), source - 1)


def cubic(length: int, scale: Fraction, source: int) -> Taps:
    """Return four taps a pixel, to enlarge by ``scale``; float32."""
    first, part = _positions(length, scale)
    weights = np.empty((4, length), np.float64)
    weights[0] = _keys(part + 1)
    weights[1] = _keys(part)
    weights[2] = _keys(1 - part)
    weights[3] = 1 - weights[0] - weights[1] - weights[2]
    index = np.clip(first + np.arange(-1, 3)[:, None], 0, source - 1)
    return Taps(index, weights.astype(np.float32))


def linear(length: int, scale: Fraction, source: int) -> Taps:
    """Return two taps a pixel, to enlarge by ``scale``; int32 in 256ths."""
    first, part = _positions(length, scale)
    second = np.rint(part * (1 << LINEAR_BITS)).astype(np.int32)
    index = np.clip(first + np.arange(2)[:, None], 0, source - 1)
    return Taps(index, np.stack([(1 << LINEAR_BITS) - second, second]).astype(np.int32))


def _pillow(support: float, kernel: _Kernel, length: int, source: int) -> Taps:
    """Return the taps of Pillow's ``resize`` from ``source`` to ``length``; int32 in 2**22nds.

    Follows ``precompute_coeffs`` of Pillow's ``Resample.c``, in the same order of operations,
    since it is the same float64.
    """
    step = source / length
    wide = max(step, 1.0)
    reach = support * wide
    centre = (np.arange(length, dtype=np.float64) + 0.5) * step
    low = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    high = np.minimum((centre + reach + 0.5).astype(np.int64), source)
    index = low + np.arange(int((high - low).max()))[:, None]
    inside = index < high
    weights = np.where(inside, kernel((index - centre + 0.5) * (1.0 / wide)), 0.0)
    total = np.zeros(length)
    for row in weights:  # one after the other, as Pillow adds them
        total = total + row
    weights = weights * (1.0 / total)
    scaled = weights * (1 << PILLOW_BITS)
    whole = np.trunc(scaled + np.where(weights < 0, -0.5, 0.5)).astype(np.int32)
    return Taps(np.minimum(index, source - 1), whole)


def base(length: int, scale: Fraction, source: int) -> Taps:
    """Return what the base layer adds to the nearest pixel, where the factor is not whole.

    int32, in parts of ``1 << Kernel.bits`` of its :func:`~p2c2g.media.kernels.kernel`.
    """
    weights = kernel(scale)
    most = max(map(len, weights.details))
    begins = np.zeros((most, weights.outputs), np.int64)
    parts = np.zeros((most, weights.outputs), np.int32)
    for phase, (first, details) in enumerate(zip(weights.nearest, weights.details, strict=True)):
        for tap, (at, weight) in enumerate(details.items()):
            begins[tap, phase], parts[tap, phase] = first + at, weight
    period, phase_of = np.divmod(np.arange(length, dtype=np.int64), weights.outputs)
    index = begins[:, phase_of] + period * weights.inputs
    return Taps(np.clip(index, 0, source - 1), parts[:, phase_of])


def _positions(length: int, scale: Fraction) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the source pixel at or left of each centre, and how far right of it that is."""
    # (i + 1/2) / scale - 1/2, over twice the numerator.
    over = 2 * scale.numerator
    at = (2 * np.arange(length, dtype=np.int64) + 1) * scale.denominator - scale.numerator
    first = at // over
    return first, (at - first * over) / over


def _keys(x: NDArray[np.float64], a: float = -0.75) -> NDArray[np.float64]:
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, far)


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic_half(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near = ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _sinc(x: NDArray[np.float64]) -> NDArray[np.float64]:
    turned = x * math.pi
    return np.where(x == 0.0, 1.0, np.sin(turned) / np.where(x == 0.0, 1.0, turned))


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where((x >= -3.0) & (x < 3.0), _sinc(x) * _sinc(x / 3), 0.0)


def _by_pillow(support: float, kernel: _Kernel) -> Make:
    return lambda length, _scale, source: _pillow(support, kernel, length, source)


#: Pillow's tables, by method.
PILLOW = {
    "bilinear": _by_pillow(1.0, _triangle),
    "bicubic": _by_pillow(2.0, _cubic_half),
    "lanczos": _by_pillow(3.0, _lanczos),
}
