"""How similar two pictures are: PSNR and SSIM.

Both are over all three colours of uint8, as a viewer gets them.  SSIM is that of Wang et al.
(2004) on luma, with the 11x11 Gaussian of 1.5 pixels and no border.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from p2c2g.media.frame import Pixels


def psnr(one: Pixels, other: Pixels) -> float:
    """Return the peak signal-to-noise ratio in dB; 99 where they are equal."""
    error = float(np.square(one.astype(np.float32) - other.astype(np.float32)).mean())
    return 10 * math.log10(255**2 / error) if error else 99.0


def ssim(one: Pixels, other: Pixels) -> float:
    """Return the structural similarity of two pictures' luma, at most 1."""
    a, b = (cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float64) for pixels in (one, other))

    def mean(values: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.asarray(cv2.GaussianBlur(np.asarray(values), (11, 11), 1.5)[5:-5, 5:-5])

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    both = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())
