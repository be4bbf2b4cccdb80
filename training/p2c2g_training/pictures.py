"""Frames as blobs: each as lossless WebP or JPEG, whichever is the smaller.

On drawn games lossless WebP was smaller (65 KB against 398 for Doom at 1280x720), on rendered
ones JPEG (400 KB against 769); its quality of 97 at full colour resolution leaves 42 to 48 dB,
far above what any net reaches.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from p2c2g.errors import UsageError
from p2c2g.media.codecs import LOSSLESS_WEBP, Codec, codec
from p2c2g.media.frame import Pixels
from p2c2g.messaging.blobs import MAX_BLOB
from p2c2g_training.order import MAX_BYTES
from p2c2g_training.recording import MAX_PIXELS, check_size

#: Quality of JPEG, and its colour resolution: full.
QUALITY, COLOURS = 97, "444"


def packed(pixels: Pixels) -> bytes:
    """Return a frame ``(h, w, 3)`` as the bytes of a blob.

    Raises:
        UsageError: it takes more than one blob's bytes.
    """
    file = io.BytesIO()
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    Image.fromarray(rgb).save(file, "WEBP", lossless=True, method=0, quality=0)
    jpeg: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, "BGR", COLOURS)
    data = min(file.getvalue(), jpeg, key=len)
    if len(data) > MAX_BLOB:
        raise UsageError(
            f"A frame of {len(data) >> 20} MiB is too large for the pool: record with "
            "--resolution 1280x720, or train without --pool."
        )
    return data


def unpacked(blobs: Sequence[bytes]) -> list[Pixels]:
    """Return the frames that a stranger sent; all are counted before one is decoded.

    Raises:
        UsageError: they are more than a peer takes, or too small to train on.
        CodecError: one is not a picture.
    """
    size = sum(map(len, blobs))
    if size > MAX_BYTES:
        raise UsageError(
            f"The frames have {size >> 20} MiB, where a peer takes {MAX_BYTES >> 20}: send fewer."
        )
    pixels = 0
    for data in blobs:
        found = _codec(data).inspect(data)
        check_size(found, "A frame of the order")
        pixels += found.width * found.height
    if pixels > MAX_PIXELS:
        raise UsageError(
            f"The frames have {pixels // 1_000_000} megapixels, where a peer takes "
            f"{MAX_PIXELS // 1_000_000}: send fewer or smaller ones."
        )
    return [_codec(data).decode(data) for data in blobs]


def fitting(sizes: Sequence[int], most: int = MAX_BYTES) -> list[int]:
    """Return which frames to send so that their bytes fit: all, or fewer, evenly over the time."""
    count = keep = len(sizes)
    while keep > 1:
        chosen = [index * count // keep for index in range(keep)]
        if sum(sizes[index] for index in chosen) <= most:
            return chosen
        keep -= 1
    return [0][:count]


def _codec(data: bytes) -> Codec:
    return LOSSLESS_WEBP if data[:4] == b"RIFF" else codec("jpeg")
