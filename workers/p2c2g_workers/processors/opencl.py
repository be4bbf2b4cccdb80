"""The operations on OpenCL devices, by OpenCV's UMat.

OpenCV has OpenCL code for only part of this, and silently does the rest on the CPU.  So this
module has what was seen to have kernels, and the CPU's own processors do the rest: nets,
``nearest``, ``lanczos``, everything that makes a picture smaller, and bicubic by a factor that
``warpAffine`` cannot hit exactly.  Each picture goes to the device and back once a step.

The base layer is the CPU's too.  It must be exact, in whole numbers with roundings in between, and
from Python UMat has neither shifts nor slices with a step nor a conversion of types: it would be
dozens of kernels for what takes the CPU 4 ms a frame.

The tolerance, against the CPU and from chunk to whole frame, is :data:`LEVELS` levels.
``sharpen`` and ``denoise`` were seen to be exact: halves and sixteenths, which float32 holds.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Step
from p2c2g_workers.processors.opencv import scale as scale_on_cpu
from p2c2g_workers.processors.registry import CPU, Registry

#: Levels that a pixel may be off.
LEVELS = 1

OPENCL = Registry(spare=CPU)

#: ``warpAffine`` rounds positions to this part of a pixel.
_PLACES = 32
#: Pixels that are repeated around a picture: bicubic reads two away, and OpenCV's kernels do not
#: repeat the border.
_BORDER = 4
_SQUARE = np.ones((3, 3), np.uint8)
_BLUR = np.array([0.25, 0.5, 0.25], np.float32)
#: Added so that a half is rounded up, as on the CPU; sums are in 16ths.
_UP = 1 / 32


@OPENCL.register("upscale", "bilinear", "bicubic", planes=True)
@OPENCL.register("resize", "bilinear", "bicubic", planes=True)
def scale(pixels: Pixels, step: Step) -> Pixels:
    """Enlarge by a smooth kernel, with the pixels' centres as points of reference."""
    if step.scale_x == step.scale_y == 1:
        return pixels
    if step.scale_x < 1 or step.scale_y < 1:
        return scale_on_cpu(pixels, step)
    if step.method == "bilinear":
        return _bilinear(pixels, step)
    # Centres fall on multiples of half a numerator's part.
    if _PLACES % (2 * step.scale_x.numerator) or _PLACES % (2 * step.scale_y.numerator):
        return scale_on_cpu(pixels, step)
    return _bicubic(pixels, step)


@OPENCL.register("sharpen", planes=True)
def sharpen(pixels: Pixels, step: Step) -> Pixels:
    """Add the difference to a 3x3 Gaussian blur, kept within the 3x3 neighbours' extremes."""
    amount = round(step.amount * 256) / 256
    if not amount:
        return pixels
    part = _brought(pixels)
    blurred = cv2.sepFilter2D(
        part, -1, _BLUR, _BLUR, delta=_UP, borderType=cv2.BORDER_REPLICATE
    )  # fmt: skip
    sharp = cv2.addWeighted(part, 1 + amount, blurred, -amount, 0)
    sharp = cv2.max(sharp, cv2.erode(part, _SQUARE))
    return _fetched(cv2.min(sharp, cv2.dilate(part, _SQUARE)))


@OPENCL.register("denoise", planes=True)
def denoise(pixels: Pixels, step: Step) -> Pixels:
    """Move each pixel towards the median of its 3x3 neighbours, by at most 16 levels."""
    most = max(1, round(16 * step.amount))
    by: Any = (most, most, most, 0)
    part = _brought(pixels)
    smooth = cv2.max(cv2.medianBlur(part, 3), cv2.subtract(part, by))
    return _fetched(cv2.min(smooth, cv2.add(part, by)))


def _bilinear(pixels: Pixels, step: Step) -> Pixels:
    across, down = step.scale_x.denominator, step.scale_y.denominator
    height, width = pixels.shape[:2]
    # A size in whole parts, so that OpenCV computes with exactly this scale.
    whole = cv2.copyMakeBorder(
        pixels, 0, -height % down, 0, -width % across, cv2.BORDER_REPLICATE
    )  # fmt: skip
    size = int(whole.shape[1] * step.scale_x), int(whole.shape[0] * step.scale_y)
    part = _brought(whole)
    return _cropped(_fetched(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)), pixels, step)


def _bicubic(pixels: Pixels, step: Step) -> Pixels:
    """Enlarge by ``warpAffine``: ``resize`` has no bicubic kernel for OpenCL."""
    size = step.output(Size.of(pixels))
    whole = cv2.copyMakeBorder(
        pixels, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REPLICATE
    )  # fmt: skip
    columns, rows = float(1 / step.scale_x), float(1 / step.scale_y)
    places = np.array(
        [
            [columns, 0, (columns - 1) / 2 + _BORDER],
            [0, rows, (rows - 1) / 2 + _BORDER],
        ]
    )
    part = _brought(whole)
    # With BORDER_REPLICATE OpenCV would do it on the CPU.
    return _fetched(
        cv2.warpAffine(
            part,
            places,
            (size.width, size.height),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
    )


def _cropped(result: Pixels, pixels: Pixels, step: Step) -> Pixels:
    size = step.output(Size.of(pixels))
    return result[: size.height, : size.width]


def _brought(pixels: Any) -> Any:
    """Return pixels on the device; OpenCV's stubs are too narrow for all of this."""
    return cv2.UMat(np.ascontiguousarray(pixels))  # type: ignore[call-overload]


def _fetched(result: Any) -> Pixels:
    return np.asarray(result.get(), np.uint8)
