"""The operations on tensors, with the pixels of the processors on the CPU.

A picture is a tensor ``(n, 3, h, w)`` of uint8, BGR, or ``(n, 1, h, w)``, luma alone, in any
memory order; the natural one here is that of pixels (``channels_last``), in which pictures are
sent and shown.  Sums are of whole numbers, or of binary fractions that float32 holds, so no order
of adding, no kind of card and no place in a batch changes a level:

==================  ==========================================================================
base                exactly the CPU's pixels (:mod:`p2c2g_workers.gpu.base`)
nearest             exactly the CPU's pixels
bilinear            exactly the CPU's pixels
bicubic             by 2, and smaller: exactly the CPU's pixels; larger by another factor: at most
                    :data:`BICUBIC_TOLERANCE` levels off
lanczos             exactly the CPU's pixels
sharpen, denoise    exactly the CPU's pixels
==================  ==========================================================================

In all of them a chunk gets exactly the pixels of the whole frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from p2c2g.errors import ProcessorError
from p2c2g.media.frame import Size
from p2c2g.media.operations import Step, scaled
from p2c2g_workers.gpu import tables
from p2c2g_workers.processors.registry import Functions

#: Levels by which bicubic enlarging, but by 2, may differ from OpenCV's: its sums, too, round.
BICUBIC_TOLERANCE = 1
#: Takes and gives (n, 3 or 1, h, w) uint8; never changes what it takes.
Processor = Callable[[Tensor, Step, "Tables"], Tensor]
#: Those of a card, but for the nets.
FUNCTIONS: Functions[Processor] = Functions()


class Tables:
    """The tables of one plan for one size on one device, made as they are asked for.

    They live as long as the plan does: a recorded graph of work reads them where they are.
    """

    def __init__(self, device: torch.device) -> None:
        """Begin without any."""
        self._device = device
        self._taps: dict[
            tuple[tables.Make, int, Fraction, int], tuple[tuple[Tensor, Tensor], ...]
        ] = {}
        self._nearest: dict[tuple[int, Fraction, int], Tensor] = {}
        self._edges: dict[tuple[int, int, int], Tensor] = {}

    def taps(
        self, make: tables.Make, length: int, factor: Fraction, source: int
    ) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the index and the weight of each tap of a table, (length,) each."""
        key = (make, length, factor, source)
        if key not in self._taps:
            found = make(length, factor, source)
            index = torch.from_numpy(found.index).to(self._device)
            weight = torch.from_numpy(found.weight).to(self._device)
            self._taps[key] = tuple(zip(index.unbind(), weight.unbind(), strict=True))
        return self._taps[key]

    def nearest(self, length: int, factor: Fraction, source: int) -> Tensor:
        """Return which source pixel each of ``length`` repeats."""
        key = (length, factor, source)
        if key not in self._nearest:
            self._nearest[key] = torch.from_numpy(tables.nearest(*key)).to(self._device)
        return self._nearest[key]

    def edge(self, length: int, before: int, after: int) -> Tensor:
        """Return the indices that repeat the first and the last of ``length``, or leave some."""
        key = (length, before, after)
        if key not in self._edges:
            every = torch.arange(-before, length + after, device=self._device)
            self._edges[key] = every.clamp_(0, length - 1)
        return self._edges[key]


def can(step: Step) -> bool:
    """Tell whether a step is one of those here."""
    return FUNCTIONS.find(step) is not None


def processor(step: Step) -> Processor:
    """Return what does a step.

    Raises:
        ProcessorError: it is none of those here.
    """
    found = FUNCTIONS.find(step)
    if found is None:
        raise ProcessorError(f"The graphics card has no processor for {step.processor}.")
    return found


@FUNCTIONS.register("upscale", "nearest")
@FUNCTIONS.register("resize", "nearest")
def nearest(pictures: Tensor, step: Step, held: Tables) -> Tensor:
    """Scale by repeating pixels."""
    if step.scale_x == step.scale_y == 1:
        return pictures
    height, width = pictures.shape[2:]
    size = step.output(size_of(pictures))
    columns = held.nearest(size.width, step.scale_x, width)
    rows = held.nearest(size.height, step.scale_y, height)
    return pictures.index_select(3, columns).index_select(2, rows)


@FUNCTIONS.register("upscale", "bilinear", "bicubic", "lanczos")
@FUNCTIONS.register("resize", "bilinear", "bicubic", "lanczos")
def scale(pictures: Tensor, step: Step, held: Tables) -> Tensor:
    """Scale by a smooth kernel, with the pixels' centres as points of reference."""
    if step.scale_x == step.scale_y == 1:
        return pictures
    size = step.output(size_of(pictures))
    if step.method == "lanczos" or step.scale_x < 1 or step.scale_y < 1:
        return _by_pillow(pictures, step, size, held)
    axes = ((3, size.width, step.scale_x), (2, size.height, step.scale_y))
    if step.method == "bilinear":
        sums = pictures.to(torch.int32)
        for axis, length, factor in axes:
            sums = weighted(sums, axis, held.taps(tables.linear, length, factor, sums.shape[axis]))
        # OpenCV rounds a half up here.
        half = 1 << (2 * tables.LINEAR_BITS - 1)
        return sums.add_(half).bitwise_right_shift_(2 * tables.LINEAR_BITS).to(torch.uint8)
    # Around zero, so that all sums of a doubling are below 2**24 in 2**16ths: exact.
    centred = pictures.to(torch.float32) - 128
    for axis, length, factor in axes:
        taps = held.taps(tables.cubic, length, factor, centred.shape[axis])
        centred = weighted(centred, axis, taps)
    return centred.add_(128).round_().clamp_(0, 255).to(torch.uint8)


@FUNCTIONS.register("sharpen")
def sharpen(pictures: Tensor, step: Step, held: Tables) -> Tensor:
    """Add the difference to a 3x3 Gaussian blur, kept within the 3x3 neighbours' extremes."""
    amount = round(step.amount * 256)
    if not amount:
        return pictures
    rows = _around(pictures, 2, held)
    columns = _around(rows[0] + 2 * rows[1].to(torch.int32) + rows[2], 3, held)
    blurred = (columns[0] + 2 * columns[1] + columns[2] + 8).bitwise_right_shift_(4)
    # In 256ths: below 2**24, and so is its rounding to even.
    moved = pictures.to(torch.int32) * (256 + amount) - blurred * amount
    sharp = moved.to(torch.float32).div_(256).round_().clamp_(0, 255).to(torch.uint8)
    least = _around(_least(rows), 3, held)
    most = _around(_most(rows), 3, held)
    return torch.minimum(torch.maximum(sharp, _least(least)), _most(most))


@FUNCTIONS.register("denoise")
def denoise(pictures: Tensor, step: Step, held: Tables) -> Tensor:
    """Move each pixel towards the median of its 3x3 neighbours, by at most 16 levels."""
    most = max(1, round(16 * step.amount))
    # The median of nine is that of the largest of the lowest, the middle of the middle and the
    # least of the highest of three sorted threes (A. Paeth, Graphics Gems, 1990).
    low, middle, high = _sorted(*_around(pictures, 2, held))
    lows, middles, highs = _around(low, 3, held), _around(middle, 3, held), _around(high, 3, held)
    smooth = _sorted(_most(lows), _sorted(*middles)[1], _least(highs))[1]
    here = pictures.to(torch.int16)
    bounded = torch.minimum(torch.maximum(smooth.to(torch.int16), here - most), here + most)
    return bounded.to(torch.uint8)


def size_of(pictures: Tensor) -> Size:
    """Return the size of each of (n, c, h, w)."""
    return Size(pictures.shape[3], pictures.shape[2])


def repeated(
    pictures: Tensor, left: int, right: int, top: int, bottom: int, held: Tables
) -> Tensor:
    """Return pictures with their edge repeated so many times to each side."""
    height, width = pictures.shape[2:]
    if left or right:
        pictures = pictures.index_select(3, held.edge(width, left, right))
    if top or bottom:
        pictures = pictures.index_select(2, held.edge(height, top, bottom))
    return pictures


def _by_pillow(pictures: Tensor, step: Step, size: Size, held: Tables) -> Tensor:
    """Scale in one direction and then the other, with whole levels between."""
    for axis, factor in ((3, step.scale_x), (2, step.scale_y)):
        if factor == 1:
            continue
        more = -pictures.shape[axis] % factor.denominator
        across, down = (more, 0) if axis == 3 else (0, more)
        pictures = repeated(pictures, 0, across, 0, down, held)
        length = scaled(pictures.shape[axis], factor)
        taps = held.taps(tables.PILLOW[step.method or ""], length, factor, pictures.shape[axis])
        sums = weighted(pictures.to(torch.int32), axis, taps)
        sums = sums.add_(1 << (tables.PILLOW_BITS - 1)).bitwise_right_shift_(tables.PILLOW_BITS)
        pictures = sums.clamp_(0, 255).to(torch.uint8)
    return pictures[:, :, : size.height, : size.width]


def weighted(values: Tensor, axis: int, taps: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the sums of a table along an axis, tap by tap, each in the same order."""
    shape = [1, 1, 1, 1]
    shape[axis] = len(taps[0][0])
    parts = (values.index_select(axis, index).mul_(weight.view(shape)) for index, weight in taps)
    total = next(parts)
    for part in parts:
        total = total.add_(part)
    return total


def _around(values: Tensor, axis: int, held: Tables) -> tuple[Tensor, Tensor, Tensor]:
    """Return each pixel's neighbour before it, itself, and the one after it along an axis."""
    length = values.shape[axis]
    before = values.index_select(axis, held.edge(length, 1, -1))
    after = values.index_select(axis, held.edge(length, -1, 1))
    return before, values, after


def _least(three: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.minimum(torch.minimum(three[0], three[1]), three[2])


def _most(three: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.maximum(torch.maximum(three[0], three[1]), three[2])


def _sorted(one: Tensor, two: Tensor, three: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low, high = torch.minimum(one, two), torch.maximum(one, two)
    rest = torch.minimum(high, three)
    return torch.minimum(low, rest), torch.maximum(low, rest), torch.maximum(high, three)


def as_pictures(pixels: Tensor) -> Tensor:
    """Return (n, h, w, 1, 3 or 4) pixels as (n, 1 or 3, h, w) without moving any."""
    return pixels[..., :3].permute(0, 3, 1, 2)


def as_pixels(pictures: Tensor) -> Tensor:
    """Return (n, c, h, w) as (n, h, w, c), each pixel's values side by side."""
    return pictures.permute(0, 2, 3, 1).contiguous()
