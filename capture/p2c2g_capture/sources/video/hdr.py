"""High dynamic range and wide colours as an ordinary screen shows them.

A pixel's code becomes light, what is brighter than the screen is compressed, and the light
becomes sRGB.  The curves are of ITU-R BT.2100 (PQ and HLG), the compression is the EETF of report
ITU-R BT.2390 (section 5.4.1), from 1,000 cd/m² to the 203 of reference white (BT.2408), for each of
red, green and blue; the primaries are converted as in BT.2087, and what they cannot show is cut
off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.media.frame import Pixels, Size

#: The brightest that is told apart, and the white of an ordinary picture, in cd/m².
PEAK, WHITE = 1_000.0, 203.0

Curve = NDArray[np.float64]

#: BT.2087: red, green, blue of BT.2020 to those of BT.709, in light.
_TO_709 = np.array(
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ]
)
# Numbers of ITU-T H.273, as FFmpeg has them.
_PQ, _HLG = 16, 18
_BT2020 = 9
#: Unspecified, and the four names of BT.709's curve.
_ORDINARY = {1, 2, 6, 14, 15}


@dataclass(frozen=True, slots=True)
class Rendering:
    """How codes of 16 bits become a picture of an ordinary screen."""

    #: What it is called; None for wide colours of ordinary range.
    name: str | None
    #: Light of each code, 65535 being white: (65536,).
    light: NDArray[np.uint16]
    #: From red, green, blue to blue, green, red.
    matrix: NDArray[np.float64]

    def render(self, codes: NDArray[np.uint16], size: Size) -> Pixels:
        """Return blue, green, red in that size from (height, width, 3) of red, green, blue."""
        if codes.shape[:2] != (size.height, size.width):
            # Before the curves, which are what takes time.
            codes = np.asarray(
                cv2.resize(codes, (size.width, size.height), interpolation=cv2.INTER_AREA),
                np.uint16,
            )
        light = cv2.transform(self.light[codes], self.matrix)
        return np.asarray(_srgb()[light], np.uint8)


def rendering_for(transfer: int, primaries: int) -> Rendering | None:
    """Return what pictures with these tags need, or None for ordinary ones."""
    if transfer == _PQ:
        return _rendering("PQ", primaries == _BT2020)
    if transfer == _HLG:
        return _rendering("HLG", primaries == _BT2020)
    if primaries == _BT2020 and transfer in _ORDINARY:
        return _rendering(None, True)
    return None


@cache
def _rendering(name: str | None, is_wide: bool) -> Rendering:
    codes = np.linspace(0, 1, 65_536)
    decode: dict[str | None, Callable[[Curve], Curve]] = {
        "PQ": lambda codes: compressed(pq_to_light(codes)) / WHITE,
        "HLG": lambda codes: compressed(hlg_to_light(codes)) / WHITE,
        None: _srgb_to_light,
    }
    light = np.clip(np.round(decode[name](codes) * 65_535), 0, 65_535).astype(np.uint16)
    matrix = _TO_709 if is_wide else np.eye(3)
    return Rendering(name, light, np.ascontiguousarray(matrix[::-1]))


def pq_to_light(codes: Curve) -> Curve:
    """Return cd/m² of codes from 0 to 1 (BT.2100, table 4)."""
    root = codes ** (1 / _M2)
    return np.asarray(
        10_000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1), np.float64
    )


def light_to_pq(light: Curve) -> Curve:
    """Return codes from 0 to 1 of cd/m²."""
    power = (light / 10_000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2, np.float64)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def hlg_to_light(codes: Curve) -> Curve:
    """Return cd/m² on a screen of 1,000, of codes from 0 to 1 (BT.2100, table 5).

    The screen's gamma of 1.2 is applied to each colour, where the standard takes the luminance.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    return np.asarray(PEAK * scene**1.2, np.float64)


def compressed(light: Curve) -> Curve:
    """Return cd/m² up to :data:`WHITE` from cd/m² up to :data:`PEAK` (BT.2390's EETF)."""
    peak = float(light_to_pq(np.array(PEAK)))
    top = float(light_to_pq(np.array(WHITE))) / peak
    knee = 1.5 * top - 0.5
    codes = np.minimum(light_to_pq(light) / peak, 1)
    t = (codes - knee) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * top
    )
    return pq_to_light(np.where(codes < knee, codes, spline) * peak)


def _srgb_to_light(codes: Curve) -> Curve:
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


@cache
def _srgb() -> NDArray[np.uint8]:
    """Return sRGB's code of each light, 65535 being white: (65536,)."""
    light = np.linspace(0, 1, 65_536)
    codes = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(codes * 255).astype(np.uint8)
