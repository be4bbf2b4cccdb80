"""Nets for tests: of the right form, and of no use to anybody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from p2c2g_workers.netfile import (
    CELL_IN,
    CELL_OUT,
    LEVEL,
    NOTHING,
    SHAPES,
    WEIGHT_LIMIT,
    Layer,
    read,
    write,
)


def layers(method: str = "ml-tiny", seed: int = 1) -> list[Layer]:
    """Return a net of chance, whose results are spread over many levels."""
    random = np.random.default_rng(seed)
    width, depth = SHAPES[method]
    made: list[Layer] = []
    before, in_scale = CELL_IN, LEVEL
    for index in range(depth + 1):
        last = index == depth
        after, kernel = (CELL_OUT, 1) if last else (width, 3)
        out_scale = LEVEL if last else float(np.float32(0.01 * (index + 1)))
        weight = random.integers(
            -WEIGHT_LIMIT, WEIGHT_LIMIT + 1, (after, before, kernel, kernel), np.int8
        )
        bias = random.integers(-20_000, 20_000, after, np.int32)
        # So that a usual sum becomes some tens of levels.
        usual = 100 * 36 * (before * kernel * kernel) ** 0.5
        scale = random.uniform(30, 60, after) / usual * out_scale / in_scale
        made.append(
            Layer(
                weight, bias, scale.astype(np.float32), in_scale, out_scale, NOTHING if last else 0
            )
        )
        before, in_scale = after, out_scale
    return made


def model(method: str = "ml-tiny", seed: int = 1) -> bytes:
    """Return the file of a net of chance."""
    return write(layers(method, seed))


def nudged(file: bytes, by: int = 9) -> bytes:
    """Return a net that adds ``by`` steps more to each result of its last convolution."""
    *first, last = read(file).layers
    step = last.out_scale / (last.in_scale * last.scale.astype(np.float64))
    bias = last.bias + np.round(by * step).astype(np.int32)
    return write([*first, replace(last, bias=bias)])


def computed(parts: tuple[Layer, ...], cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Run a net in whole numbers, as :class:`Layer` says: (h, w, 12) to (h', w', 16)."""
    value = cells.astype(np.int64)
    for layer in parts:
        kernel = layer.weight.shape[2]
        height, width = value.shape[0] - kernel + 1, value.shape[1] - kernel + 1
        sums = np.tile(layer.bias.astype(np.int64), (height, width, 1))
        for down in range(kernel):
            for across in range(kernel):
                part = value[down : down + height, across : across + width]
                sums += part @ layer.weight[:, :, down, across].T.astype(np.int64)
        # In float32 throughout, as QLinearConv has it.
        factor = np.float32(layer.in_scale) * layer.scale / np.float32(layer.out_scale)
        rounded = np.rint(sums.astype(np.float32) * factor).astype(np.int64)
        value = np.clip(rounded + layer.zero_out, 0, 255)
    return value.astype(np.uint8)
