"""The operations on the CPU, by OpenCV and, where it cannot be exact, by Pillow.

Each of them must give a chunk exactly the pixels of the whole frame.  That decides much here; each
choice says why.  Where OpenCV is without Intel's IPP (not on x86), bicubic is
exact for factors whose numerator is a power of two; for others it may differ by one level.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from p2c2g.media.base import base
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Step
from p2c2g_workers.processors.registry import register

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Nothing:
    """The processor of what adds nothing to the base layer."""

    def __call__(self, pixels: Pixels, step: Step) -> Pixels:
        """Make the base layer."""
        size = step.output(Size.of(pixels))
        if step.scale_x == step.scale_y == 1 and size == Size.of(pixels):
            return pixels
        return base(pixels, step.scale_x, step.scale_y, size)

    @staticmethod
    def added(pixels: Pixels, step: Step) -> NDArray[np.int16]:
        """Add nothing."""
        size = step.output(Size.of(pixels))
        return np.zeros((size.height, size.width), np.int16)


register("pass", planes=True)(Nothing())
register("upscale", "base", planes=True)(Nothing())
register("resize", "base", planes=True)(Nothing())


@register("upscale", "bilinear", "bicubic", "lanczos", planes=True)
@register("resize", "bilinear", "bicubic", "lanczos", planes=True)
def scale(pixels: Pixels, step: Step) -> Pixels:
    """Scale by a smooth kernel, with the pixels' centres as points of reference."""
    if step.scale_x == step.scale_y == 1:
        return pixels
    if step.method == "lanczos" or step.scale_x < 1 or step.scale_y < 1:
        return _by_pillow(pixels, step)
    return _by_opencv(pixels, step)


@register("upscale", "nearest", planes=True)
@register("resize", "nearest", planes=True)
def nearest(pixels: Pixels, step: Step) -> Pixels:
    """Scale by repeating pixels.

    With indices of our own: OpenCV's come from a product of floats, and are wrong where a centre
    lies exactly on the border between two pixels.
    """
    if step.scale_x == step.scale_y == 1:
        return pixels
    size = step.output(Size.of(pixels))
    columns = _indices(size.width, step.scale_x, pixels.shape[1])
    rows = _indices(size.height, step.scale_y, pixels.shape[0])
    if pixels.ndim == 2:
        return pixels.take(columns, axis=1).take(rows, axis=0)
    # One item a pixel: moves three bytes at once.  Across first, while there are few rows.
    whole = np.ascontiguousarray(pixels).view("V3")[..., 0]
    wide = whole.take(columns, axis=1).take(rows, axis=0)
    return wide[..., np.newaxis].view(np.uint8)


@register("sharpen", planes=True)
def sharpen(pixels: Pixels, step: Step) -> Pixels:
    """Add the difference to a 3x3 Gaussian blur, kept within the 3x3 neighbours' extremes."""
    # A weight in 256ths times a pixel is exact in float32, so vector code and the scalar code
    # for the last columns give the same.
    amount = round(step.amount * 256) / 256
    if not amount:
        return pixels
    result = np.empty(pixels.shape, np.uint8)
    height = pixels.shape[0]
    # Five passes over a few rows at a time, which stay in the cache meanwhile.
    for top in range(0, height, _ROWS):
        above, bottom = max(0, top - 1), min(height, top + _ROWS)
        part = pixels[above : bottom + 1]
        blurred = cv2.GaussianBlur(part, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)
        sharp = cv2.addWeighted(part, 1 + amount, blurred, -amount, 0, dst=blurred)
        cv2.max(sharp, cv2.erode(part, _SQUARE), dst=sharp)
        cv2.min(sharp, cv2.dilate(part, _SQUARE), dst=sharp)
        result[top:bottom] = sharp[top - above : bottom - above]
    return result


@register("denoise", planes=True)
def denoise(pixels: Pixels, step: Step) -> Pixels:
    """Move each pixel towards the median of its 3x3 neighbours, by at most 16 levels.

    Integers throughout.  A bilateral filter is about 0.5 dB better and ten times slower, and
    its floats round by position.
    """
    most = max(1, round(16 * step.amount))
    by = (most, most, most, 0)
    smooth = cv2.medianBlur(pixels, 3)
    bound = cv2.subtract(pixels, by)  # type: ignore[call-overload]  # a scalar is allowed
    cv2.max(smooth, bound, dst=smooth)
    cv2.add(pixels, by, dst=bound)  # type: ignore[call-overload]
    return np.asarray(cv2.min(smooth, bound, dst=smooth), np.uint8)


_SQUARE = np.ones((3, 3), np.uint8)
_ROWS = 96
#: Pixels to the right and below whose results are thrown away: OpenCV computes the last ones of a
#: picture, and an odd number of them, by other code, which now and then differs by one level.
_MARGIN = 8


def _by_opencv(pixels: Pixels, step: Step) -> Pixels:
    """Enlarge: bilinear in fixed point, or bicubic."""
    bilinear = step.method == "bilinear"
    across, down = step.scale_x.denominator, step.scale_y.denominator
    if bilinear:
        whole = _filled(pixels, across, down)
    else:
        whole = _filled(pixels, 2 * across, 2 * down, _MARGIN)
    size = (int(whole.shape[1] * step.scale_x), int(whole.shape[0] * step.scale_y))
    # The plain INTER_LINEAR has coordinates in float32, which depend on the position.
    how = cv2.INTER_LINEAR_EXACT if bilinear else cv2.INTER_CUBIC
    return _cropped(np.asarray(cv2.resize(whole, size, interpolation=how)), pixels, step)


def _by_pillow(pixels: Pixels, step: Step) -> Pixels:
    """Scale with weights computed in float64 and applied as integers.

    OpenCV's Lanczos depends on the position, and its other kernels skip pixels where they
    scale down; Pillow's grow with the scale.
    """
    whole = _filled(pixels, step.scale_x.denominator, step.scale_y.denominator)
    height, width = whole.shape[:2]
    kernel = _PILLOW[step.method or ""]
    # One direction at a time: otherwise Pillow chooses by the size which comes first.
    image = Image.fromarray(whole)
    image = image.resize((int(width * step.scale_x), height), kernel)
    image = image.resize((image.width, int(height * step.scale_y)), kernel)
    return _cropped(np.asarray(image), pixels, step)


def _filled(pixels: Pixels, across: int, down: int, margin: int = 0) -> Pixels:
    """Repeat the last column and row, ``margin`` times and on until both are multiples."""
    right = margin + -(pixels.shape[1] + margin) % across
    bottom = margin + -(pixels.shape[0] + margin) % down
    if not right and not bottom:
        return pixels
    filled = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(filled, np.uint8)


def _cropped(result: Pixels, pixels: Pixels, step: Step) -> Pixels:
    size = step.output(Size.of(pixels))
    return result[: size.height, : size.width]


@lru_cache(maxsize=64)
def _indices(length: int, scale: Fraction, limit: int) -> NDArray[np.intp]:
    """Return the source index of each of ``length`` pixels: the one that holds its centre."""
    twice = 2 * np.arange(length, dtype=np.int64) + 1
    found = twice * scale.denominator // (2 * scale.numerator)
    return np.minimum(found, limit - 1).astype(np.intp)
