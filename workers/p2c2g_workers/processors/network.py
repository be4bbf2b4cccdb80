"""The trained upscalers, run by ONNX Runtime on the CPU.

A net gives the luma that is to be added to the base of a picture
(:mod:`p2c2g.media.base`), in whole levels.  It uses integers
throughout: 8-bit activations, 7-bit weights, 32-bit sums.  A sum of integers is the same in any
order, so it does not matter which kernels ONNX Runtime picks for which shape, nor how many
threads: a chunk gets exactly the pixels of the whole frame.  (With floats it would depend on
that.)  Seven bits, since two products of eight would overflow the 16-bit sums of processors
without VNNI.  At the frame's edge its border is repeated, as for the other processors; the
convolutions themselves add none.

The weights come from :mod:`p2c2g_workers.nets`.  Needs the extra ``ml``.  Without it a peer does
not know these methods, and says so when asked.

From 1.29 on, ONNX Runtime reports each process and net to its makers, unless the environment
forbids that before it is loaded.  A peer connects to nobody: this module forbids it.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import ProcessorError
from p2c2g.media.base import base
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Step
from p2c2g_workers import nets
from p2c2g_workers.nets import NOTHING, Weights
from p2c2g_workers.processors.registry import register

# On import, so that it is set before any other module loads the library.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

#: Whether ONNX Runtime, or what reads nets for it, is not installed here.
MISSING = nets.MISSING or importlib.util.find_spec("onnxruntime") is None
#: Nets take cells of 2x2 pixels, three bytes each, and give cells of 4x4, one byte each.
_CELL = 2
#: Nets that are kept ready to run, 3 MB each at most; the least recently used is dropped.
_READY = 8


class Network:
    """One net, ready to run; may be used by several threads at a time.

    Args:
        weights: checked, which :func:`~p2c2g_workers.nets.read` has done.

    Raises:
        ProcessorError: ONNX Runtime is not installed, or refuses the net.
    """

    def __init__(self, weights: Weights) -> None:
        if MISSING:
            raise ProcessorError("No net can be run without ONNX Runtime: pip install 'p2c2g[ml]'.")
        import onnxruntime  # takes 0.1 s, so only where it is needed

        options = onnxruntime.SessionOptions()
        # Chunks are what runs side by side; a net that spread would take their cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            # Written again from what was checked: a stranger's bytes end at our reader.
            self._session: Any = onnxruntime.InferenceSession(
                nets.write(weights.layers), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no other class
            raise ProcessorError(f"The net cannot be run: {error}") from error
        self._border = weights.radius // _CELL * _CELL

    def added(self, pixels: Pixels) -> NDArray[np.int16]:
        """Return the levels (2h, 2w) that are added to each colour of the base of a picture."""
        height, width = pixels.shape[:2]
        border = self._border
        padded = np.asarray(
            cv2.copyMakeBorder(
                pixels,
                border,
                border + height % _CELL,
                border,
                border + width % _CELL,
                cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )
        # A cell's row of pixels is one item, so that it is moved as a whole.
        rows = padded.reshape(padded.shape[0], -1).view("V6")
        tall, wide = rows.shape[0] // _CELL, rows.shape[1]
        cells = np.ascontiguousarray(rows.reshape(tall, _CELL, wide).transpose(0, 2, 1))
        (result,) = self._session.run(None, {"cells": cells.view(np.uint8)[None]})
        tall, wide = result.shape[1:3]
        items = result[0].view("V4").reshape(tall, wide, 2 * _CELL).transpose(0, 2, 1)
        large = np.ascontiguousarray(items).view(np.uint8).reshape(2 * _CELL * tall, -1)
        return large[: 2 * height, : 2 * width].astype(np.int16) - np.int16(NOTHING)

    def double(self, pixels: Pixels, step: Step) -> Pixels:
        """Return twice the size: the base, and the net's levels added to each colour."""
        under = base(pixels, step.scale_x, step.scale_y, step.output(Size.of(pixels)))
        levels = self.added(pixels)
        # 128 levels more as a byte, so that OpenCV adds both and cuts off at 0 and 255.
        grey = (levels + np.int16(NOTHING)).astype(np.uint8)
        return np.asarray(cv2.addWeighted(under, 1, cv2.merge([grey] * 3), 1, -NOTHING), np.uint8)


@lru_cache(maxsize=_READY)
def ready(weights: Weights) -> Network:
    """Return a net for these weights: made once, and kept while it is in use."""
    return Network(weights)


class Doubling:
    """The processor of all nets: the step names the net, and whether it is here may change."""

    def __call__(self, pixels: Pixels, step: Step) -> Pixels:
        """Double the size by the net of a step.

        Raises:
            ProcessorError: its weights are not here.
        """
        return ready(nets.find(step)).double(pixels, step)

    def added(self, pixels: Pixels, step: Step) -> NDArray[np.int16]:
        """Return the levels (2h, 2w) alone that the net of a step adds to the base.

        Raises:
            ProcessorError: its weights are not here.
        """
        return ready(nets.find(step)).added(pixels)

    @staticmethod
    def check(step: Step) -> None:
        """Refuse a step for which there are no weights here.

        Raises:
            ProcessorError: the sentence says which there are.
        """
        if not nets.has(step):
            nets.find(step)


if not MISSING:
    register("upscale", *NETWORKS)(Doubling())
