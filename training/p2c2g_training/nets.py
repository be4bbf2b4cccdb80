"""The nets: a few convolutions over cells of 2x2 pixels, in integers throughout.

A cell is 12 numbers (2x2 pixels of three colours), so the convolutions run at a quarter of the
places (the inverse of the "pixel shuffle" of Shi et al., ESPCN, CVPR 2016).  Each convolution
is plain and followed by ReLU, as in SRVGG (Wang et al., Real-ESRGAN, 2021) and QuickSRNet
(Berger et al., CVPRW 2023); the last one, 1x1, gives the luma that is to be added to each of a
cell's 4x4 large pixels of the base.  The composition takes the mean of each 2x2 of them out, so
that is taken out of the last convolution itself.  During training, a 3x3 convolution is a wide
3x3 and a 1x1 with an identity beside them, folded to one kernel at each step (collapsible linear
blocks: Bhardwaj et al., SESR, MLSys 2022).

The later part of the training rounds as the peer will (Jacob et al., CVPR 2018; straight-through
gradients): weights of 7 bits a channel, so that no 16-bit sum of an AVX2 machine can saturate,
activations of 8 bits whose lower bound is the ReLU, and the result in whole levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from p2c2g_workers import netfile
from p2c2g_workers.netfile import CELL_IN, CELL_OUT

#: Largest size of a rounded weight: with 8-bit activations, two products fit 16 bits.
WEIGHT_LIMIT = 63
#: Largest size of a rounded bias: with all that weights can add, sums stay below 2**24.
BIAS_LIMIT = 1 << 22
#: One level of the picture, where black is 0 and white 1.
LEVEL = 1 / 255


@dataclass(frozen=True, slots=True)
class Shape:
    """A net's size: ``depth`` 3x3 convolutions of ``width`` channels, and a 1x1."""

    width: int
    depth: int

    @property
    def radius(self) -> int:
        """Return how many pixels to each side a result depends on."""
        return 2 * self.depth + 1


#: Shapes by method, as peers know them.
SHAPES = {method: Shape(*shape) for method, shape in netfile.SHAPES.items()}


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution in whole numbers.

    ``weight`` (out, in, k, k) int8 and ``bias`` (out,) int32; a weight's value is
    ``weight * scale[out]``, a result's ``result * out_scale``.
    """

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: NDArray[np.float32]
    out_scale: float


class Fold(nn.Module):
    """A 3x3 convolution that is wide during training and one kernel when it runs."""

    def __init__(self, before: int, after: int, wide: int = 96) -> None:
        super().__init__()
        self.inner = nn.Conv2d(before, wide, 3).weight
        self.bias = nn.Parameter(torch.zeros(after))
        self.outer = nn.Parameter(torch.randn(after, wide) * wide**-0.5)
        same = torch.zeros(after, before, 3, 3)
        for channel in range(min(before, after)):
            same[channel, channel, 1, 1] = 1.0
        self.register_buffer("same", same)

    def convolution(self) -> tuple[Tensor, Tensor]:
        """Return the one kernel, (after, before, 3, 3), and the bias."""
        same: Any = self.same
        folded: Tensor = torch.einsum("ow,wikl->oikl", self.outer, self.inner)
        return folded.add(same), self.bias


class Last(nn.Module):
    """The 1x1 convolution at the end: what it learns has no means over blocks of 2x2 pixels.

    ``same`` is what it begins with.
    """

    def __init__(self, before: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(nn.Conv2d(before, CELL_OUT, 1).weight.detach() * 0.1)
        self.bias = nn.Parameter(torch.zeros(CELL_OUT))
        self.register_buffer("same", torch.zeros_like(self.inner))
        self.register_buffer("levelling", _levelling(), persistent=False)

    def convolution(self) -> tuple[Tensor, Tensor]:
        """Return the kernel, (16, before, 1, 1), and the bias."""
        levelling: Any = self.levelling
        same: Any = self.same
        return torch.einsum("oc,cikl->oikl", levelling, self.inner) + same, levelling @ self.bias


class Net(nn.Module):
    """From cells to what is added to the base, in levels."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        widths = [CELL_IN, *[shape.width] * shape.depth]
        folds = [Fold(a, b) for a, b in pairwise(widths)]
        self.folds = nn.ModuleList([*folds, Last(shape.width)])
        self.register_buffer("peaks", torch.zeros(shape.depth))
        self.rounding = False

    def forward(self, cells: Tensor) -> Tensor:
        """Take (n, 12, h, w) levels; give (n, 16, h-2*depth, w-2*depth) levels to be added."""
        # Each convolution gets whole steps, and the scale is applied after it: half precision
        # holds 8 bits exactly, but not 8 bits times a scale.
        value: Tensor = cells
        scale: Any = LEVEL
        peaks: Any = self.peaks
        for index, fold in enumerate(self.folds):
            assert isinstance(fold, Fold | Last)
            kernel, bias = fold.convolution()
            if self.rounding:
                weight_scale = kernel.detach().abs().amax((1, 2, 3), keepdim=True) / WEIGHT_LIMIT
                weight_scale = weight_scale + 1e-12
                kernel = _rounded(kernel, weight_scale, -WEIGHT_LIMIT, WEIGHT_LIMIT)
                value = functional.conv2d(value, kernel)
                value = value * (weight_scale.view(1, -1, 1, 1) * scale)
                value = value + bias.view(1, -1, 1, 1)
            else:
                value = functional.conv2d(value, kernel * scale, bias)
                scale = 1.0
            if index == self.shape.depth:
                break
            if self.rounding:
                scale = peaks[index] / 255
                value = _rounded(value, scale, 0, 255)
                continue
            value = functional.relu(value)
            with torch.no_grad():
                # A few extreme values may be cut off: finer steps are worth more.
                top = value.flatten()[::7].float().topk(8).values[-1]
                peaks[index] = torch.maximum(peaks[index] * 0.995, top)
        if self.rounding:
            return _rounded(value, torch.tensor(LEVEL), -128, 127)
        return value.float() / LEVEL

    @torch.no_grad()
    def layers(self) -> list[Layer]:
        """Return the net in whole numbers, as the peer runs it."""
        peaks: Any = self.peaks
        scales = [LEVEL, *(float(peak) / 255 for peak in peaks), LEVEL]
        layers = []
        for index, fold in enumerate(self.folds):
            assert isinstance(fold, Fold | Last)
            kernel, offset = fold.convolution()
            scale = kernel.abs().amax((1, 2, 3)) / WEIGHT_LIMIT + 1e-12
            # A channel with a bias and hardly any weight: coarser steps keep it exact.
            scale = torch.maximum(scale, offset.abs() / (scales[index] * BIAS_LIMIT)).float()
            weight = (kernel / scale[:, None, None, None]).round()
            bias = (offset / (scale * scales[index])).round()
            layers.append(
                Layer(
                    weight.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT).to(torch.int8).numpy(),
                    bias.to(torch.int32).numpy(),
                    scale.numpy(),
                    scales[index + 1],
                )
            )
        return layers


def cells(pixels: NDArray[np.uint8]) -> Tensor:
    """Return (n, h, w, 3) as cells: (n, 12, h/2, w/2) of levels."""
    n, h, w, _ = pixels.shape
    parts = pixels.reshape(n, h // 2, 2, w // 2, 2, 3).transpose(0, 2, 4, 5, 1, 3)
    return torch.from_numpy(np.ascontiguousarray(parts.reshape(n, 12, h // 2, w // 2))).float()


def large_cells(levels: NDArray[np.int16]) -> Tensor:
    """Return (n, h, w) as cells of 4x4: (n, 16, h/4, w/4) of levels."""
    n, h, w = levels.shape
    parts = levels.reshape(n, h // 4, 4, w // 4, 4).transpose(0, 2, 4, 1, 3)
    return torch.from_numpy(np.ascontiguousarray(parts.reshape(n, 16, h // 4, w // 4))).float()


def _levelling() -> Tensor:
    """Return the (16, 16) that takes the mean of each 2x2 out of the 4x4 numbers of a cell."""
    places = torch.arange(CELL_OUT)
    block = places // 8 * 2 + places % 4 // 2
    return torch.eye(CELL_OUT) - (block[:, None] == block) / 4


def _rounded(value: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """Return whole steps of ``scale``; the gradient passes where nothing is cut off."""
    steps = (value / scale).clamp(low, high)
    return steps + (steps.round() - steps).detach()
