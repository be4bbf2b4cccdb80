"""The base layer on tensors: :mod:`p2c2g.media.base` once more, to the level.

Integers throughout, so it is the CPU's picture on any card.  Along an axis of a whole factor each
old pixel becomes as many new ones, its *phases*, which are computed side by side from slices of
the picture; along any other there is one phase, of all new pixels, computed by tables.  Either way
nothing depends on the values, so the work can be recorded as a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import torch
from torch import Tensor

from p2c2g.media.base import rest_bits
from p2c2g.media.frame import Size
from p2c2g.media.kernels import Kernel, kernel
from p2c2g.media.operations import Step
from p2c2g_workers.gpu import tables
from p2c2g_workers.gpu.ops import FUNCTIONS, Tables, repeated, size_of, weighted

#: Most 16ths, with half a level more, that are still 255.
_TOP = 16 * 256 - 1


class Nothing:
    """The processor of what adds nothing to the base layer."""

    def __call__(self, pictures: Tensor, step: Step, held: Tables) -> Tensor:
        """Make the base layer."""
        return base(pictures, step.scale_x, step.scale_y, step.output(size_of(pictures)), held)

    @staticmethod
    def added(pictures: Tensor, step: Step) -> Tensor:
        """Add nothing: (n, 1, height, width) int16 of zeros."""
        size = step.output(size_of(pictures))
        shape = (len(pictures), 1, size.height, size.width)
        return torch.zeros(shape, dtype=torch.int16, device=pictures.device)


FUNCTIONS.register("pass")(Nothing())
FUNCTIONS.register("upscale", "base")(Nothing())
FUNCTIONS.register("resize", "base")(Nothing())


def base(
    pictures: Tensor, scale_x: Fraction, scale_y: Fraction, size: Size, held: Tables
) -> Tensor:
    """Return the base layer of (n, c, h, w) uint8 as (n, c, size.height, size.width) uint8.

    Args:
        pictures: of frames, or of the padded parts of chunks; in colours, or luma alone.
        scale_x: the whole pipeline's, across.
        scale_y: the same, down.
        size: of the result, as the pipeline would give it.
        held: the tables that are kept with the work.
    """
    if scale_x == scale_y == 1 and size_of(pictures) == size:
        return pictures
    height, width = pictures.shape[2:]
    across = _Axis(3, scale_x, width, size.width, held)
    down = _Axis(2, scale_y, height, size.height, held)
    left, right = across.border
    above, below = down.border
    padded = repeated(pictures, left, right, above, below, held).to(torch.int32)
    rest = rest_bits(across.kernel, down.kernel)
    nearest = across.nearest(padded)
    fine, coarse = across.filtered(padded, (4, rest))
    ys = down.filtered(nearest, (4,))[0]
    # What was added across comes in parts of a level already.
    xys = [down.filtered(one, (4 - rest,))[0] for one in coarse[: across.kept]]
    if across.kernel.is_whole:
        xys.append([_opposite([xy[at] for xy in xys], y) for at, y in enumerate(ys)])
    # Half a level more than it is: what is shifted down later is rounded by that.
    middle = down.nearest(nearest * 16 + 8)
    phases = [
        [down.nearest(x) + xy[at] + y + middle for x, xy in zip(fine, xys, strict=True)]
        for at, y in enumerate(ys)
    ]
    if across.kernel.is_whole and down.kernel.is_whole:
        phases = _fitted(phases, middle)
    shape = (*pictures.shape[:2], down.length(middle), across.length(middle))
    result = torch.empty(shape, dtype=torch.uint8, device=pictures.device)
    for y_at, row in enumerate(phases):
        for x_at, one in enumerate(row):
            levels = one.bitwise_right_shift_(4).clamp_(0, 255)
            result[:, :, y_at :: down.phases, x_at :: across.phases] = levels
    return result[:, :, : size.height, : size.width]


@dataclass(frozen=True, slots=True)
class _Axis:
    """How one axis, ``dim`` of a tensor, is scaled: from ``source`` to ``target`` pixels."""

    dim: int
    scale: Fraction
    source: int
    target: int
    held: Tables

    @property
    def kernel(self) -> Kernel:
        """Return its weights."""
        return kernel(self.scale)

    @property
    def phases(self) -> int:
        """Return how many tensors stand side by side for the new pixels."""
        return self.kernel.outputs if self.kernel.is_whole else 1

    @property
    def kept(self) -> int:
        """Return how many of them are computed; the last one of a block follows from the others."""
        return self.phases - 1 if self.kernel.is_whole else 1

    @property
    def _count(self) -> int:
        """Return the old pixels of which there are results, where the factor is whole."""
        return -(-self.target // self.kernel.outputs)

    @property
    def border(self) -> tuple[int, int]:
        """Return how often the first and the last pixel are repeated; tables do that themselves."""
        if not self.kernel.is_whole:
            return 0, 0
        return self.kernel.before, self._count + self.kernel.after - self.source

    def length(self, phase: Tensor) -> int:
        """Return the new pixels along the axis, given those of one phase."""
        return phase.shape[self.dim] * self.phases

    def nearest(self, values: Tensor) -> Tensor:
        """Return the old pixel in which each new one lies; of a block it is one for all phases."""
        if self.kernel.is_whole:
            return values.narrow(self.dim, self.kernel.before, self._count)
        index = self.held.nearest(self.target, self.scale, self.source)
        return values.index_select(self.dim, index)

    def filtered(self, values: Tensor, kept_bits: Sequence[int]) -> list[list[Tensor]]:
        """Return what each phase adds, in as many bits behind the point as each of ``kept_bits``.

        ``values`` are whole, in units of which ``kept_bits`` is counted.
        """
        sums = self._sums(values)
        found = [[one >> self.kernel.bits - bits for one in sums] for bits in kept_bits]
        if self.kernel.is_whole:
            for phases in found:
                phases.append(_opposite(phases, self.nearest(values)))
        return found

    def _sums(self, values: Tensor) -> list[Tensor]:
        if not self.kernel.is_whole:
            taps = self.held.taps(tables.base, self.target, self.scale, self.source)
            return [weighted(values, self.dim, taps)]
        found = []
        for details in self.kernel.details[: self.kept]:
            total = torch.zeros_like(self.nearest(values))
            for at, weight in details.items():
                place = self.kernel.before + at
                total.add_(values.narrow(self.dim, place, self._count), alpha=weight)
            found.append(total)
        return found


def _opposite(phases: Sequence[Tensor], like: Tensor) -> Tensor:
    """Return the negative sum of some phases, of the shape of ``like``."""
    return reduce(torch.sub, phases, torch.zeros_like(like))


def _fitted(phases: Sequence[Sequence[Tensor]], middle: Tensor) -> list[list[Tensor]]:
    """Return blocks whose detail is as small as it has to be to stay within 0 to 255 when rounded.

    All are 16ths and half a level more; ``middle`` is the means of the blocks.
    """
    details = [[one - middle for one in row] for row in phases]
    every = [one for row in details for one in row]
    above = reduce(torch.maximum, every).clamp(min=1)
    below = reduce(torch.minimum, every).clamp(max=-1).neg_()
    # In 256ths; where a block fits it is all of them, and nothing changes.
    high = torch.div(256 * (_TOP - middle), above, rounding_mode="floor")
    low = torch.div(256 * middle, below, rounding_mode="floor")
    part = torch.minimum(high, low).clamp_(max=256)
    return [
        [one.mul_(part).add_(128).bitwise_right_shift_(8).add_(middle) for one in row]
        for row in details
    ]
