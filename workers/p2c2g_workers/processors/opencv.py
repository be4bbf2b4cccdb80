"""The operations on the CPU, by OpenCV and, where it cannot be exact, by Pillow.

What is asked of each is that a chunk gets the very pixels of the whole frame.  That decides
much here; each choice says why.  Amounts are rounded to 1/256: such a weight times a pixel is
exact in float32, so a vector unit and the plain code for the last columns round alike.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Step
from p2c2g_workers.processors.registry import register

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@register("pass")
def leave(pixels: Pixels, _step: Step) -> Pixels:
    """Do nothing."""
    return pixels


@register("upscale", "bilinear", "bicubic", "lanczos")
@register("resize", "bilinear", "bicubic", "lanczos")
def scale(pixels: Pixels, step: Step) -> Pixels:
    """Scale by a smooth kernel, with the pixels' centres as points of reference."""
    if step.scale_x == step.scale_y == 1:
        return pixels
    if step.method == "lanczos" or step.scale_x < 1 or step.scale_y < 1:
        return _by_pillow(pixels, step)
    return _by_opencv(pixels, step)


@register("upscale", "nearest")
@register("resize", "nearest")
def nearest(pixels: Pixels, step: Step) -> Pixels:
    """Scale by repeating pixels.

    By indices of our own: OpenCV's come from a product of floats, and fall on the wrong side
    where a centre lies just on a border between two pixels.
    """
    if step.scale_x == step.scale_y == 1:
        return pixels
    size = step.output(Size.of(pixels))
    columns = _indices(size.width, step.scale_x, pixels.shape[1])
    rows = _indices(size.height, step.scale_y, pixels.shape[0])
    # One item a pixel: moves three bytes at once.  Across first, while there are few rows.
    whole = np.ascontiguousarray(pixels).view("V3")[..., 0]
    wide = whole.take(columns, axis=1).take(rows, axis=0)
    return wide[..., np.newaxis].view(np.uint8)


@register("sharpen")
def sharpen(pixels: Pixels, step: Step) -> Pixels:
    """Add the difference to a 3x3 Gaussian blur, kept within the 3x3 neighbours' extremes."""
    amount = round(step.amount * 256) / 256
    if not amount:
        return pixels
    blurred = cv2.GaussianBlur(pixels, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)
    sharp = cv2.addWeighted(pixels, 1 + amount, blurred, -amount, 0, dst=blurred)
    bound = cv2.erode(pixels, _SQUARE)
    cv2.max(sharp, bound, dst=sharp)
    cv2.dilate(pixels, _SQUARE, dst=bound)
    return cv2.min(sharp, bound, dst=sharp)  # type: ignore[return-value]


@register("denoise")
def denoise(pixels: Pixels, step: Step) -> Pixels:
    """Smooth what differs little from its neighbours and leave edges (bilateral filter, 5x5)."""
    return cv2.bilateralFilter(  # type: ignore[return-value]
        pixels, 5, 60 * step.amount, 2, borderType=cv2.BORDER_REPLICATE
    )


_SQUARE = np.ones((3, 3), np.uint8)


def _by_opencv(pixels: Pixels, step: Step) -> Pixels:
    """Enlarge: bilinear in fixed point, or bicubic."""
    # An odd number of source pixels takes another road through OpenCV, which differs by one
    # level here and there from that of even ones: so always even.
    whole = _filled(pixels, 2 * step.scale_x.denominator, 2 * step.scale_y.denominator)
    size = (int(whole.shape[1] * step.scale_x), int(whole.shape[0] * step.scale_y))
    bilinear = step.method == "bilinear"
    # The plain INTER_LINEAR has coordinates in float32, which depend on the position.
    how = cv2.INTER_LINEAR_EXACT if bilinear else cv2.INTER_CUBIC
    return _cropped(cv2.resize(whole, size, interpolation=how), pixels, step)


def _by_pillow(pixels: Pixels, step: Step) -> Pixels:
    """Scale with weights computed in float64 and applied as integers.

    OpenCV's Lanczos depends on the position, and its other kernels skip pixels where they
    scale down; Pillow's grow with the scale.
    """
    whole = _filled(pixels, step.scale_x.denominator, step.scale_y.denominator)
    size = (int(whole.shape[1] * step.scale_x), int(whole.shape[0] * step.scale_y))
    assert step.method is not None
    image = Image.fromarray(whole).resize(size, _PILLOW[step.method])
    return _cropped(np.asarray(image), pixels, step)


def _filled(pixels: Pixels, across: int, down: int) -> Pixels:
    """Repeat the last column and row until both lengths are multiples, so scales are exact."""
    right, bottom = -pixels.shape[1] % across, -pixels.shape[0] % down
    if not right and not bottom:
        return pixels
    return cv2.copyMakeBorder(  # type: ignore[return-value]
        pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE
    )


def _cropped(result: Pixels, pixels: Pixels, step: Step) -> Pixels:
    size = step.output(Size.of(pixels))
    return result[: size.height, : size.width]


@lru_cache(maxsize=64)
def _indices(length: int, scale: Fraction, limit: int) -> NDArray[np.intp]:
    """Return the source index of each of ``length`` pixels: the one that holds its centre."""
    twice = 2 * np.arange(length, dtype=np.int64) + 1
    found = twice * scale.denominator // (2 * scale.numerator)
    return np.minimum(found, limit - 1).astype(np.intp)
