"""What a plan adds to the base of pictures, on tensors: residuals.

:mod:`p2c2g_workers.engine.adding` and :mod:`p2c2g.media.residual` once more, to the level.  So one
plane of small numbers comes down from a card, where a picture would be three.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from p2c2g.media.cells import cell_of
from p2c2g.media.frame import Size
from p2c2g.media.operations import Plan
from p2c2g.media.residual import LUMA
from p2c2g_workers.engine.adding import From, begins_with_base, source_of
from p2c2g_workers.gpu import ops
from p2c2g_workers.gpu.base import base
from p2c2g_workers.gpu.chain import Chain, knows, takes_planes
from p2c2g_workers.gpu.network import TorchNet


def source(plan: Plan, *, in_colour: bool) -> From:
    """Tell of what a residual of a plan is computed on a card."""
    return source_of(plan, in_colour=in_colour, knows=knows, takes_planes=takes_planes)


class Adding:
    """A plan, made ready to tell what it adds to pictures of one size on one device."""

    def __init__(
        self,
        plan: Plan,
        device: torch.device,
        nets: Sequence[TorchNet] = (),
        *,
        in_colour: bool = False,
        is_narrow: bool = False,
    ) -> None:
        """Look up what the steps need.

        Args:
            plan: every step names its method.
            device: where the pictures are.
            nets: those of the plan's steps, in their order.
            in_colour: whether each colour is wanted by itself rather than luma.
            is_narrow: whether levels are cut off at -128 and 127, as each lossy codec would.

        Raises:
            ProcessorError: a step cannot be done on a card.
        """
        self._plan, self._in_colour, self._is_narrow = plan, in_colour, is_narrow
        self._cell = cell_of(plan.scale_x, plan.scale_y)
        self._held = ops.Tables(device)
        self._chain = Chain(plan, device, nets)
        self._source = source(plan, in_colour=in_colour)
        #: Most pictures for which there was memory; None while there was enough for all.
        self.most: int | None = None

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return what is added to the base of pixels, without the means of cells.

        Args:
            pixels: (n, h, w, 1) uint8 where the source is luma, else (n, h, w, 3).

        Returns:
            Levels (n, height, width, 1), or 3 in colour; int16, or int8 where they are cut off.

        Raises:
            ProcessorError: a step gave a picture of another size than is due.
        """
        return self._run(pixels, prove=False)

    def prove(self, pixels: Tensor) -> None:
        """Let the nets find out which method is exact for pictures of this shape."""
        self._run(pixels, prove=True)

    def _run(self, pixels: Tensor, *, prove: bool) -> Tensor:
        pictures = ops.as_pictures(pixels)
        levels = without_means(*self._change(pictures, prove), self._cell)
        if self._is_narrow:
            return ops.as_pixels(levels.clamp_(-128, 127).to(torch.int8))
        return ops.as_pixels(levels.to(torch.int16))

    def _change(self, pictures: Tensor, prove: bool) -> tuple[Tensor, int]:
        """Return what is added, means and all, (n, c, h, w) int32, and its bits behind the point.

        As :mod:`p2c2g_workers.engine.adding` does.
        """
        if self._source is From.LEVELS:
            return self._chain.levels(pictures, prove=prove).to(torch.int32), 0
        if self._source is From.LUMA:
            under = self._under(pictures)
            if begins_with_base(self._plan):
                enhanced = self._chain.pictures(under, skip=1)
            else:
                enhanced = self._chain.pictures(pictures)
        elif self._source is From.FIRST:
            luma = _luma(pictures).add_(128).bitwise_right_shift_(8).to(torch.uint8)
            under = self._under(luma)
            begun = self._chain.levels(pictures, prove=prove) + under
            enhanced = self._chain.pictures(begun.clamp_(0, 255).to(torch.uint8), skip=1)
        else:
            under = self._under(pictures)
            enhanced = self._chain.pictures(pictures, prove=prove)
            if not self._in_colour:
                # 128ths: of 256ths, a difference does not fit in 16 bits on the CPU.
                return (_luma(enhanced) >> 1).sub_(_luma(under) >> 1), 7
        return enhanced.to(torch.int32) - under, 0

    def _under(self, pictures: Tensor) -> Tensor:
        plan = self._plan
        size = plan.output_of(ops.size_of(pictures))
        return base(pictures, plan.scale_x, plan.scale_y, size, self._held)


def without_means(values: Tensor, bits: int, cell: Size) -> Tensor:
    """Take out the mean of each cell; what is left is rounded from parts to whole levels.

    Args:
        values: (n, colours, h, w) int32, with so many ``bits`` behind the point.
        cell: of the session's scale; those that the edge cuts become 0.
    """
    if cell == Size(1, 1):
        return (values + (1 << bits >> 1)) >> bits
    n, colours, height, width = values.shape
    rows, columns = height // cell.height, width // cell.width
    whole = values[:, :, : rows * cell.height, : columns * cell.width]
    apart = whole.reshape(n, colours, rows, cell.height, columns, cell.width)
    count = cell.width * cell.height
    by = count << bits
    # Half a level more, since the quotient is rounded down.
    total = apart.sum((3, 5), keepdim=True, dtype=torch.int32).sub_(by >> 1)
    levels = torch.div(apart * count - total, by, rounding_mode="floor")
    together = levels.flatten(4, 5).flatten(2, 3)
    beyond = (0, width - together.shape[3], 0, height - together.shape[2])
    return functional.pad(together, beyond) if any(beyond) else together


def _luma(pictures: Tensor) -> Tensor:
    """Return the luma (n, 1, h, w) of pictures, int32 in 256ths."""
    blue, green, red = (pictures[:, at : at + 1].to(torch.int32) for at in range(3))
    return blue.mul_(LUMA[0]).add_(green, alpha=LUMA[1]).add_(red, alpha=LUMA[2])
