"""JPEG on the card, where a library gives it; the CPU does everything else.

torchvision brings NVIDIA's nvJPEG.  What is known about it, from its source and its issues:

* Its encoder writes 4:4:4 whatever is asked for (``encode_jpegs_cuda.cpp`` sets
  ``NVJPEG_CSS_444``), where ours writes 4:2:0.  Any decoder reads it, ours too; it is larger.
  The quality is libjpeg's scale in both.
* Its encoder works on a stream of its own.  Before torchvision 0.22 it did not wait for what the
  caller had under way (pytorch/vision#8587), so the caller's stream is drained here first.
* Its decoder may write into memory that the caller's stream has freed and still reads
  (pytorch/vision#9606).  So it is called on a stream that does nothing else, and what it gave is
  marked as used by the stream that reads it.
* A damaged picture fails its whole batch: then each is tried alone, and what nvJPEG refuses is
  left to the CPU's decoder, which decides.

Its upsampling of colour is not libjpeg's: a decoded picture may differ by some levels at edges
of colour.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

#: List of bytes as (length,) uint8 tensors on the CPU to list of (3, h, w) uint8 RGB.
Decode = Callable[[list[Tensor]], list[Tensor]]
#: List of (3, h, w) uint8 RGB and a quality to list of (length,) uint8 tensors.
Encode = Callable[[list[Tensor], int], list[Tensor]]

#: The codec that is done here; the name is that of the messages.
NAME = "jpeg"


class JpegOnDevice:
    """JPEG to and from tensors ``(h, w, 3)`` uint8 BGR, in batches."""

    def __init__(self, decode: Decode, encode: Encode) -> None:
        """Take the two functions of a library."""
        self._decode = decode
        self._encode = encode

    def decode(self, payloads: Sequence[bytes]) -> list[Tensor | None]:
        """Return the pictures on the device, None for each that the library refuses.

        The sizes that the headers state have been checked before.
        """
        data = [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in payloads]
        try:
            return [_as_bgr(one) for one in self._decode(data)]
        except RuntimeError:  # no memory is one of them
            if len(data) == 1:
                return [None]
        return [self.decode([one])[0] for one in payloads]

    def encode(self, pictures: Sequence[Tensor], quality: int) -> list[bytes]:
        """Return pictures as JPEG.

        Raises:
            RuntimeError: the library cannot.
        """
        planes = [one.flip(2).permute(2, 0, 1).contiguous() for one in pictures]
        if planes[0].is_cuda:
            torch.cuda.current_stream(planes[0].device).synchronize()
        return [one.cpu().numpy().tobytes() for one in self._encode(planes, quality)]


def on_device(device: torch.device) -> JpegOnDevice | None:
    """Return the JPEG of a device; None where there is none and the CPU has to do it."""
    if device.type != "cuda" or importlib.util.find_spec("torchvision") is None:
        return None
    try:
        io: Any = importlib.import_module("torchvision.io")
    except (ImportError, OSError, RuntimeError):  # built for another torch
        return None

    def decode(data: list[Tensor]) -> list[Tensor]:
        found: list[Tensor] = io.decode_jpeg(data, mode=io.ImageReadMode.RGB, device=device)
        return found

    def encode(pictures: list[Tensor], quality: int) -> list[Tensor]:
        found: list[Tensor] = io.encode_jpeg(pictures, quality=quality)
        return found

    return JpegOnDevice(decode, encode)


def _as_bgr(planes: Tensor) -> Tensor:
    """Return (3, h, w) RGB as (h, w, 3) BGR."""
    return planes.permute(1, 2, 0).flip(2).contiguous()
