"""AMD's FidelityFX Super Resolution 1, with which many games enlarge: EASU and then RCAS.

After ``ffx_fsr1.h`` of FidelityFX-FSR 1.0.2 (MIT licence, Advanced Micro Devices, 2021), in
float32: EASU is a 12-tap kernel stretched along the edge that it finds around each result, RCAS a
sharpening of five taps, limited so that nothing leaves the range of the neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2c2g.media.frame import Pixels

_Plane = NDArray[Any]

#: RCAS's sharpness in stops below the most; what AMD's documentation recommends.
STOPS = 0.2
#: Places of EASU's 12 taps, across and down from the pixel at the upper left of a result.
_TAPS = ((0, -1), (1, -1), (-1, 1), (0, 1), (0, 0), (-1, 0),
         (1, 1), (2, 1), (2, 0), (1, 0), (1, 2), (0, 2))  # fmt: skip
#: RCAS goes no further than this, where a pixel would leave the range.
_LIMIT = 0.25 - 1 / 16
_TINY = np.float32(1 / 32768)


def fsr(own: Pixels) -> Pixels:
    """Return a picture (h, w, 3) doubled."""
    return _sharpened(_doubled(own.astype(np.float32) / 255))


def _doubled(own: _Plane) -> _Plane:
    height, width = own.shape[:2]
    border = 3
    padded: _Plane = np.pad(own, ((border, border), (border, border), (0, 0)), "edge")
    luma = padded[..., 0] * 0.5 + padded[..., 2] * 0.5 + padded[..., 1]
    large = np.empty((2 * height, 2 * width, 3), np.float32)
    for down in range(2):
        for across in range(2):
            # The result's centre lies a quarter before or behind the pixel's.
            part = np.float32(0.75 - across / 2), np.float32(0.75 - down / 2)
            x, y = border - (across == 0), border - (down == 0)

            def at(plane: _Plane, place: tuple[int, int], x: int = x, y: int = y) -> _Plane:
                top, left = y + place[1], x + place[0]
                return plane[top : top + height, left : left + width]

            near = {place: at(luma, place) for place in _TAPS}
            direction_x, direction_y, length = _edges(near, *part)
            large[down::2, across::2] = _kernel(
                {place: at(padded, place) for place in _TAPS},
                *part, direction_x, direction_y, length,
            )  # fmt: skip
    return large


def _edges(
    near: dict[tuple[int, int], _Plane], x: np.float32, y: np.float32
) -> tuple[_Plane, _Plane, _Plane]:
    """Return the direction of the edge at each result and how edge-like it is, 0 to 1."""
    total_x = total_y = length = np.zeros_like(near[0, 0])
    for place, weight in (
        ((0, 0), (1 - x) * (1 - y)), ((1, 0), x * (1 - y)), ((0, 1), (1 - x) * y), ((1, 1), x * y),
    ):  # fmt: skip
        at_x, at_y = place
        middle = near[place]
        for is_down in (False, True):
            before = near[at_x - (not is_down), at_y - is_down]
            after = near[at_x + (not is_down), at_y + is_down]
            change = after - before
            most = np.maximum(np.abs(after - middle), np.abs(middle - before))
            part = np.clip(np.abs(change) / np.maximum(most, _TINY), 0, 1) ** 2
            length = length + part * weight
            if is_down:
                total_y = total_y + change * weight
            else:
                total_x = total_x + change * weight
    size = np.square(total_x) + np.square(total_y)
    is_none = size < _TINY
    scale = 1 / np.sqrt(np.where(is_none, 1, size))
    return (
        np.where(is_none, 1, total_x) * scale,
        np.where(is_none, 0, total_y) * scale,
        np.square(length * 0.5),
    )


def _kernel(
    near: dict[tuple[int, int], _Plane], x: np.float32, y: np.float32,
    direction_x: _Plane, direction_y: _Plane, length: _Plane,
) -> _Plane:  # fmt: skip
    """Return the results (h, w, 3): sums of 12 taps, within the range of the nearest four."""
    stretch = (np.square(direction_x) + np.square(direction_y)) / np.maximum(
        np.abs(direction_x), np.abs(direction_y)
    )
    along = 1 + (stretch - 1) * length
    beside = 1 - 0.5 * length
    lobe = 0.5 + (0.25 - 0.04 - 0.5) * length
    end = 1 / lobe
    total = np.zeros_like(near[0, 0])
    weights = np.zeros_like(length)
    for (at_x, at_y), colours in near.items():
        off_x, off_y = np.float32(at_x) - x, np.float32(at_y) - y
        turned_x = (off_x * direction_x + off_y * direction_y) * along
        turned_y = (off_y * direction_x - off_x * direction_y) * beside
        distance = np.minimum(np.square(turned_x) + np.square(turned_y), end)
        window = np.square(lobe * distance - 1)
        base = 25 / 16 * np.square(2 / 5 * distance - 1) - (25 / 16 - 1)
        weight = base * window
        total += colours * weight[..., None]
        weights += weight
    nearest = np.stack([near[place] for place in ((0, 0), (1, 0), (0, 1), (1, 1))])
    return np.asarray(np.clip(total / weights[..., None], nearest.min(0), nearest.max(0)))


def _sharpened(large: _Plane) -> Pixels:
    padded: _Plane = np.pad(large, ((1, 1), (1, 1), (0, 0)), "edge")
    ring = np.stack([padded[:-2, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:], padded[2:, 1:-1]])
    least, most = ring.min(0), ring.max(0)
    down = np.minimum(least, large) / np.maximum(4 * most, _TINY)
    up = (1 - np.maximum(most, large)) / np.minimum(4 * least - 4, -_TINY)
    lobes = np.maximum(-down, up).max(2, keepdims=True)
    lobe = np.clip(lobes, -_LIMIT, 0) * np.float32(2.0**-STOPS)
    sharp = (lobe * ring.sum(0) + large) / (4 * lobe + 1)
    return np.asarray(np.rint(np.clip(sharp, 0, 1) * 255), np.uint8)
