"""The trained nets on a card, with exactly the bytes that ONNX Runtime gives on a CPU.

All numbers of a net are whole (:mod:`p2c2g_workers.nets`), and no sum of a layer reaches 2**24.
So float32 holds every product and every sum, in any order of adding.  TF32 may be used
for it too: it cuts the operands to 11 significant bits, where these have at most 8, and adds in
float32 (NVIDIA's cards keep 24 bits and more while they add: Fasi, Higham, Mikaitis and Pranesh,
"Numerical behavior of NVIDIA tensor cores", PeerJ CS, 2021).  Between layers the sums are scaled
and rounded as ONNX's QLinearConv does: one product in float32, half to even, cut off to 8 bits.

This breaks where a library convolves by another sum than the plain one (Winograd's minimal
filtering, Fourier transforms).  Which one it takes depends on the shape, so each new shape is
proved on its first pictures (:meth:`TorchNet.prove`), and where it differs, products of matrices
do the work from there on.

In half precision, activations and weights are still exact, and so are the sums, in float32; only
a convolution's result is rounded, once.  So chunked still equals whole, and nearly all of a
result is at most :data:`HALF_TOLERANCE` off.  ``benchmarks/gpu.py`` measures whether that is worth
it on a card.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from p2c2g.media.frame import Size
from p2c2g_workers.gpu import ops
from p2c2g_workers.gpu.base import base
from p2c2g_workers.netfile import NOTHING, Weights

logger = logging.getLogger(__name__)

#: Levels by which half precision may differ from whole numbers: at 199 of 200 numbers, and at all.
HALF_TOLERANCE, HALF_WORST = 1, 8
#: Pixels along a cell's edge, before and after.
_CELL, _LARGE = 2, 4
_TWICE = Fraction(2)
#: Brings every sum of a layer into the range of float16; a power of two, so it costs no bit.
_HALF_SCALE = 2.0**-14
#: Rows of cells that the products of matrices take at a time: they copy each number nine times.
_STRIP = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """``weight`` (out, in, k, k); a level is ``(sum + bias) * factor``, each (1, out, 1, 1)."""

    weight: Tensor
    bias: Tensor
    factor: Tensor
    zero: int


class TorchNet:
    """One net on one device; one thread at a time."""

    def __init__(
        self, weights: Weights, device: torch.device, *, half: bool = False, compiled: bool = False
    ) -> None:
        """Bring weights to a device.

        Args:
            weights: read and checked.
            device: where to.
            half: whether sums may come out in float16.
            compiled: whether ``torch.compile`` makes one kernel of scaling, rounding and cutting
                off; takes seconds, and a compiler.
        """
        self.weights = weights
        self._device = device
        self._half = half
        self._unproved: set[tuple[int, ...]] = set()
        self._kind = torch.float16 if half else torch.float32
        # Vector units want the channels side by side; Metal has been seen to misread weights that
        # have them so (pytorch/pytorch#192212).
        on_metal = device.type == "mps"
        self._order = torch.contiguous_format if on_metal else torch.channels_last
        shift = np.float32(_HALF_SCALE if half else 1)
        made = []
        for layer in weights.layers:
            # In float32 and in this order, as ONNX Runtime computes it; then a power of two.
            factor = np.float32(layer.in_scale) * layer.scale / np.float32(layer.out_scale)
            made.append(
                _Layer(
                    self._placed(layer.weight.astype(np.float32) * shift).to(self._kind),
                    _column(layer.bias.astype(np.float32) * shift, device),
                    _column(factor / shift, device),
                    layer.zero_out,
                )
            )
        self._layers = tuple(made)
        #: Cells to each side that the layers use up.
        self._border = sum(layer.weight.shape[-1] // 2 for layer in made)
        self._settle = torch.compile(_settle, dynamic=True) if compiled else _settle

    def double(self, pictures: Tensor, held: ops.Tables) -> Tensor:
        """Return (n, 3, h, w) uint8 as (n, 3, 2h, 2w): the base, and the levels added to it."""
        height, width = pictures.shape[2:]
        size = Size(2 * width, 2 * height)
        found = (
            base(pictures, _TWICE, _TWICE, size, held)
            .to(torch.int16)
            .add_(self.added(pictures, held))
        )
        return found.clamp_(0, 255).to(torch.uint8)

    def added(self, pictures: Tensor, held: ops.Tables) -> Tensor:
        """Return of (n, 3, h, w) uint8 the levels (n, 1, 2h, 2w) int16 to add to each colour."""
        return self._added(pictures, held, tuple(pictures.shape) in self._unproved)

    def prove(self, pictures: Tensor, held: ops.Tables) -> bool:
        """Tell whether this device's convolutions are exact for pictures of this shape.

        Where they are not, products of matrices serve this shape from now on.  In half precision
        no sum is exact, and there is nothing to prove.
        """
        if self._half:
            return True
        found = self._added(pictures, held, False)
        for index, one in enumerate(found):
            if not torch.equal(one, self._added(pictures[index : index + 1], held, True)[0]):
                self._unproved.add(tuple(pictures.shape))
                logger.warning(
                    "Convolutions of %s are not exact on %s for %s: products of matrices do them.",
                    self.weights.method,
                    self._device,
                    tuple(pictures.shape),
                )
                return False
        return True

    def _added(self, pictures: Tensor, held: ops.Tables, by_products: bool) -> Tensor:
        height, width = pictures.shape[2:]
        value = self._floats(self._cells(pictures, held)).to(self._kind)
        for layer in self._layers:
            kind = torch.float32 if layer is self._layers[-1] else self._kind
            sums = _convolve(value, layer.weight, by_products)
            # Products of matrices are to prove the other: without compiled code.
            settle = _settle if by_products else self._settle
            value = settle(sums, layer.bias, layer.factor, layer.zero, kind)
        levels = value.to(torch.int16).sub_(NOTHING)
        return functional.pixel_shuffle(levels, _LARGE)[:, :, : 2 * height, : 2 * width]

    def _cells(self, pictures: Tensor, held: ops.Tables) -> Tensor:
        """Return (n, 12, h', w') uint8: the pictures, their edges repeated, in cells."""
        height, width = pictures.shape[2:]
        border = _CELL * self._border
        padded = ops.repeated(
            pictures, border, border + width % _CELL, border, border + height % _CELL, held
        )
        rows = ops.as_pixels(padded)
        n, tall, wide = rows.shape[0], rows.shape[1] // _CELL, rows.shape[2] // _CELL
        cells = rows.reshape(n, tall, _CELL, wide, _CELL * 3).permute(0, 1, 3, 2, 4)
        return cells.reshape(n, tall, wide, _CELL * _CELL * 3).permute(0, 3, 1, 2)

    def _placed(self, weight: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(weight).to(self._device).contiguous(memory_format=self._order)

    def _floats(self, cells: Tensor) -> Tensor:
        return cells.to(torch.float32).contiguous(memory_format=self._order)


def _settle(sums: Tensor, bias: Tensor, factor: Tensor, zero: int, kind: torch.dtype) -> Tensor:
    """Turn sums into levels: scaled, rounded half to even, cut off."""
    levels = sums.to(torch.float32).add_(bias).mul_(factor).round_()
    if zero:
        levels = levels.add_(zero)
    return levels.clamp_(0, 255).to(kind)


def _convolve(value: Tensor, weight: Tensor, by_products: bool) -> Tensor:
    """Convolve without a border and without a bias, which PyTorch would add in one more pass."""
    if not by_products:
        return functional.conv2d(value, weight)
    reach = weight.shape[-1] - 1
    n, _, tall, wide = value.shape
    flat = weight.flatten(1)
    strips = []
    for top in range(0, tall - reach, _STRIP):
        part = value[:, :, top : min(top + _STRIP + reach, tall)]
        columns = functional.unfold(part.contiguous(), weight.shape[-1])
        sums = torch.matmul(flat, columns)
        strips.append(sums.view(n, len(flat), part.shape[2] - reach, wide - reach))
    return torch.cat(strips, dim=2)


def _column(values: NDArray[np.float32], device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32)).view(1, -1, 1, 1).to(device)
