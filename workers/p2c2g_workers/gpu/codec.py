"""Decoding JPEG on the card, where a library can; the CPU does everything else.

A residual is encoded by the CPU: torchvision's encoder for cards takes three planes and no less
(``encode_jpegs_cuda.cpp`` checks it), of which it would write two that say nothing.

torchvision brings NVIDIA's nvJPEG.  What is known about it, from its source and its issues:

* Its decoder may write into memory that the caller's stream has freed and still reads
  (pytorch/vision#9606).  So it is called on a stream that does nothing else, and what it gave is
  marked as used by the stream that reads it.
* A damaged picture fails its whole batch: then each is tried alone, and what nvJPEG refuses is
  left to the CPU's decoder, which decides.

Its upsampling of colour is not libjpeg's: a picture decoded in colour may differ by some levels
at edges of colour.  Most residuals need its luma alone.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

#: List of bytes as (length,) uint8 tensors on the CPU to list of (3, h, w) uint8 RGB, or of luma
#: (1, h, w) where that is asked for.
Decode = Callable[[list[Tensor], bool], list[Tensor]]

#: The codec that is done here; the name is that of the messages.
NAME = "jpeg"


class JpegOnDevice:
    """JPEG to tensors ``(h, w, 3)`` uint8 BGR, or ``(h, w, 1)`` of luma, in batches."""

    def __init__(self, decode: Decode) -> None:
        """Take the function of a library."""
        self._decode = decode

    def decode(self, payloads: Sequence[bytes], *, of_luma: bool = False) -> list[Tensor | None]:
        """Return the pictures on the device, None for each that the library refuses.

        Luma is a JPEG's own plane: no colour is made.  The sizes that the headers state have been
        checked before.
        """
        data = [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in payloads]
        try:
            return [_as_bgr(one) for one in self._decode(data, of_luma)]
        except RuntimeError:  # no memory is one of them
            if len(data) == 1:
                return [None]
        return [self.decode([one], of_luma=of_luma)[0] for one in payloads]


def on_device(device: torch.device) -> JpegOnDevice | None:
    """Return the decoder of a device; None where there is none and the CPU has to do it."""
    if device.type != "cuda" or importlib.util.find_spec("torchvision") is None:
        return None
    try:
        io: Any = importlib.import_module("torchvision.io")
    except (ImportError, OSError, RuntimeError):  # built for another torch
        return None

    def decode(data: list[Tensor], of_luma: bool) -> list[Tensor]:
        mode = io.ImageReadMode.GRAY if of_luma else io.ImageReadMode.RGB
        found: list[Tensor] = io.decode_jpeg(data, mode=mode, device=device)
        return found

    return JpegOnDevice(decode)


def _as_bgr(planes: Tensor) -> Tensor:
    """Return (3, h, w) RGB as (h, w, 3) BGR, or (1, h, w) as (h, w, 1)."""
    return planes.permute(1, 2, 0).flip(2).contiguous()
