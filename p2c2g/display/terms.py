"""What a browser has to know to make a session's pictures itself: all of it in JSON.

``static/composer.js`` computes the base layer and the composition from this, as
:mod:`p2c2g.media.base` and :mod:`p2c2g.media.composition` do.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from p2c2g.media.base import rest_bits
from p2c2g.media.composition import MARGIN, Composition
from p2c2g.media.frame import Size
from p2c2g.media.kernels import Kernel, kernel


def terms(
    source: Size, output: Size, scale_x: Fraction, scale_y: Fraction, gain: int
) -> dict[str, Any]:
    """Return the terms of a session.

    Args:
        source: of its frames.
        output: of its enhanced frames.
        scale_x: the whole pipeline's, across.
        scale_y: the same, down.
        gain: of its residuals, which are luma.
    """
    across, down = kernel(scale_x), kernel(scale_y)
    composition = Composition.of(scale_x, scale_y)
    return {
        "source": _pair(source),
        "output": _pair(output),
        "across": _axis(across),
        "down": _axis(down),
        "rest": rest_bits(across, down),
        "cell": _pair(composition.cell),
        "around": _pair(composition.around),
        "margin": MARGIN,
        "gain": gain,
    }


def _pair(size: Size) -> list[int]:
    return [size.width, size.height]


def _axis(found: Kernel) -> dict[str, Any]:
    reach = max((abs(at) for taps in found.details for at in taps), default=0)
    return {
        "outputs": found.outputs,
        "inputs": found.inputs,
        "bits": found.bits,
        "reach": reach,
        "nearest": list(found.nearest),
        "weights": [[taps.get(at, 0) for at in range(-reach, reach + 1)] for taps in found.details],
    }
