"""The trained upscalers, run by ONNX Runtime on the CPU.

A net gives what is to be added to the bicubic picture, in whole levels.  It is integers from end
to end: 8-bit activations, 7-bit weights, 32-bit sums.  A sum of integers is the same in any
order, so it does not matter which kernels ONNX Runtime picks for which shape, nor how many
threads: a chunk gets the very pixels of the whole frame.  (With floats it would depend on just
that.)  Seven bits, since two products of eight would overrun the 16-bit sums that processors
without VNNI make.  At the frame's edge its border is repeated, as for the other processors;
the convolutions themselves add none.

Needs the extra ``ml``.  Without it a peer does not know these methods, and says so when asked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np

from p2c2g.errors import ProcessorError
from p2c2g.media.frame import Pixels
from p2c2g.media.operations import NETWORKS, Step
from p2c2g_workers.processors.opencv import scale
from p2c2g_workers.processors.registry import register

#: Whether ONNX Runtime is not installed here.
MISSING = importlib.util.find_spec("onnxruntime") is None
#: Nets look at cells of 2x2 pixels and give cells of 4x4, three bytes a pixel.
_CELL = 2
#: In a net's result, this stands for "nothing to add".
_ZERO = 128


class Network:
    """One net, ready to run; may be used by several threads at a time."""

    def __init__(self, model: bytes, radius: int) -> None:
        """Read an ONNX file.

        Args:
            model: takes cells ``(1, h + 2k, w + 2k, 12)`` uint8 and gives ``(1, h, w, 48)``,
                where ``k`` is ``radius // 2``.
            radius: pixels to each side that a result depends on.

        Raises:
            ProcessorError: it cannot be read.
        """
        import onnxruntime  # 0.1 s that only those who need it pay

        options = onnxruntime.SessionOptions()
        # Chunks are what runs side by side; a net that spread would take their cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no other class
            raise ProcessorError(f"The net cannot be read: {error}") from error
        self._border = radius // _CELL * _CELL

    def correction(self, pixels: Pixels) -> Pixels:
        """Return what to add to twice the size: (2h, 2w, 3) uint8, where 128 is nothing."""
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
        # A cell's row of pixels is one item, which moves as one.
        rows = padded.reshape(padded.shape[0], -1).view("V6")
        tall, wide = rows.shape[0] // _CELL, rows.shape[1]
        cells = np.ascontiguousarray(rows.reshape(tall, _CELL, wide).transpose(0, 2, 1))
        (result,) = self._session.run(None, {"cells": cells.view(np.uint8)[None]})
        tall, wide = result.shape[1:3]
        items = result[0].view("V12").reshape(tall, wide, 2 * _CELL).transpose(0, 2, 1)
        large = np.ascontiguousarray(items).view(np.uint8).reshape(2 * _CELL * tall, -1, 3)
        return np.asarray(large[: 2 * height, : 2 * width], np.uint8)

    def double(self, pixels: Pixels, step: Step) -> Pixels:
        """Return twice the size: bicubic, and the net's correction added."""
        base = scale(pixels, replace(step, method="bicubic"))
        # In float32, where these whole numbers are exact, and cut off to 0 to 255.
        return np.asarray(cv2.addWeighted(base, 1, self.correction(pixels), 1, -_ZERO), np.uint8)


def card(method: str) -> dict[str, Any]:
    """Return the card of shipped weights: data, licences, figures and the hash."""
    text = files("p2c2g_workers").joinpath("weights", f"{method}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def shipped(method: str) -> Network:
    """Return a shipped net.

    Raises:
        ProcessorError: its file is not the one that its card describes.
    """
    model = files("p2c2g_workers").joinpath("weights", f"{method}.onnx").read_bytes()
    if hashlib.sha256(model).hexdigest() != card(method)["sha256"]:
        raise ProcessorError(
            f"The weights of {method} are not those of their card: install the package again."
        )
    return Network(model, NETWORKS[method].radius)


def _doubling(method: str) -> Callable[[Pixels, Step], Pixels]:
    def double(pixels: Pixels, step: Step) -> Pixels:
        """Double the size by a trained net."""
        return shipped(method).double(pixels, step)

    return double


if not MISSING:
    for _method in NETWORKS:
        register("upscale", _method)(_doubling(_method))
