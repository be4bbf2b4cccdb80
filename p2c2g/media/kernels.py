"""The weights of the base layer: what one axis makes of old pixels, phase by phase.

An axis that grows is enlarged by Keys' bicubic kernel (a = -1/2) and back-projected (Irani and
Peleg, "Improving resolution by image registration", 1991): the result is scaled down again by
area, and what is missing there is enlarged and added.  All of this is linear, so it is one short
filter for each place, or *phase*, that a new pixel can have among the old ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

#: Weights by place relative to an old pixel, in parts of ``1 << Kernel.bits``.
Taps = Mapping[int, int]


@dataclass(frozen=True)
class Kernel:
    """How one axis is scaled: ``outputs`` new pixels for each ``inputs`` old ones, and again.

    The centre of phase ``i`` lies in old pixel ``nearest[i]``; ``details[i]`` are the weights
    around that one, less a whole for itself, so they add up to 0.  They are in 256ths where the
    factor is whole, otherwise in 128ths: then sums of them fit in 16 bits.
    """

    outputs: int
    inputs: int
    nearest: tuple[int, ...]
    details: tuple[Taps, ...]

    @property
    def is_identity(self) -> bool:
        """Tell whether nothing is done."""
        return self.outputs == self.inputs

    @property
    def bits(self) -> int:
        """Return how many bits of a weight are behind the point."""
        return _bits(self.inputs)

    @property
    def heaviest(self) -> int:
        """Return the largest sum of one phase's weights without their signs."""
        return max(sum(map(abs, taps.values())) for taps in self.details)

    @property
    def is_whole(self) -> bool:
        """Tell whether each old pixel becomes a block; the details of its phases add up to 0."""
        return self.inputs == 1

    @cached_property
    def before(self) -> int:
        """Return how many old pixels before the first one are looked at."""
        begins = (n + min(d, default=0) for n, d in self._phases)
        return max(0, -min(begins))

    @cached_property
    def after(self) -> int:
        """Return how many old pixels after the last one are looked at."""
        ends = (n + max(d, default=0) + 1 for n, d in self._phases)
        return max(0, max(ends) - self.inputs)

    @property
    def reach(self) -> int:
        """Return how many old pixels beyond a part it looks at, to either side."""
        return max(self.before, self.after)

    @property
    def _phases(self) -> list[tuple[int, Taps]]:
        return list(zip(self.nearest, self.details, strict=True))


@lru_cache(maxsize=64)
def kernel(scale: Fraction) -> Kernel:
    """Return how an axis is scaled by ``scale``."""
    outputs, inputs = scale.numerator, scale.denominator
    nearest = tuple((2 * i + 1) * inputs // (2 * outputs) for i in range(outputs))
    if scale == 1:
        return Kernel(1, 1, nearest, ({},))
    weigh = _back_projected if scale > 1 else _by_area
    rows = [weigh(i, outputs, inputs) for i in range(outputs)]
    if inputs > 1:
        rows = [{**row, n: row.get(n, 0.0) - 1} for n, row in zip(nearest, rows, strict=True)]
        details = [_rounded(row, n, inputs) for n, row in zip(nearest, rows, strict=True)]
        return Kernel(outputs, inputs, nearest, tuple(details))
    # A block's mean is to be the old pixel: without what the filters make of it.
    places = sorted({place for row in rows for place in row})
    mean = {at: math.fsum(row.get(at, 0.0) for row in rows) / outputs for at in places}
    rows = [{at: row.get(at, 0.0) - mean[at] for at in places} for row in rows[:-1]]
    details = [_rounded(row, 0, inputs) for row in rows]
    rest = {at: -sum(one.get(at, 0) for one in details) for at in places}
    details.append({at: weight for at, weight in rest.items() if weight})
    return Kernel(outputs, inputs, nearest, tuple(details))


def _cubic(output: int, outputs: int, inputs: int) -> dict[int, float]:
    """Return Keys' weights of the old pixels of which a new one is made."""
    begin, rest = divmod((2 * output + 1) * inputs - outputs, 2 * outputs)
    t = rest / (2 * outputs)
    return {
        begin - 1: (-t * t * t + 2 * t * t - t) / 2,
        begin: (3 * t * t * t - 5 * t * t + 2) / 2,
        begin + 1: (-3 * t * t * t + 4 * t * t + t) / 2,
        begin + 2: (t * t * t - t * t) / 2,
    }


def _by_area(cell: int, cells: int, pixels: int) -> dict[int, float]:
    """Return which part of a cell each pixel covers, where there are fewer cells than pixels."""
    found = {}
    for pixel in range(cell * pixels // cells, -(-(cell + 1) * pixels // cells)):
        shared = min((pixel + 1) * cells, (cell + 1) * pixels) - max(pixel * cells, cell * pixels)
        found[pixel] = shared / pixels
    return found


def _back_projected(output: int, outputs: int, inputs: int) -> dict[int, float]:
    """Return the weights of ``up + up(1 - down(up))``."""
    found: dict[int, float] = {}
    for old, weight in _cubic(output, outputs, inputs).items():
        found[old] = found.get(old, 0.0) + 2 * weight
        for new, part in _by_area(old, inputs, outputs).items():
            for place, share in _cubic(new, outputs, inputs).items():
                found[place] = found.get(place, 0.0) - weight * part * share
    return found


def _bits(inputs: int) -> int:
    return 8 if inputs == 1 else 7


def _rounded(row: Mapping[int, float], nearest: int, inputs: int) -> dict[int, int]:
    """Return weights as whole numbers, relative to ``nearest``, which takes what the rounding left.

    Rounded is the sum up to each place, from both ends to ``nearest``: many small weights do not
    all become 0.
    """
    found = {0: 0}
    for side in (
        sorted(at for at in row if at < nearest),
        sorted((at for at in row if at > nearest), reverse=True),
    ):
        exact, given = 0.0, 0
        for at in side:
            exact += row[at] * (1 << _bits(inputs))
            found[at - nearest] = round(exact) - given
            given = round(exact)
    found[0] = -sum(found.values())
    return {at: weight for at, weight in sorted(found.items()) if weight}
