"""One lane of the benchmark of lanes: H.264 of a region, and its pixels as planes and back."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType

from p2c2g.media.frame import Pixels


class Lane:
    """One region's encoder and its peer's decoder.

    Args:
        preset: of x264.
        rate: its constant rate factor.
        pixels: the first picture, for the size.
    """

    def __init__(self, preset: str, rate: int, pixels: Pixels) -> None:
        height, width = (edge + edge % 2 for edge in pixels.shape[:2])
        self.encoder: Any = av.CodecContext.create("libx264", "w")
        self.encoder.width, self.encoder.height = width, height
        self.encoder.pix_fmt, self.encoder.thread_count = "yuv420p", 1
        self.encoder.time_base = Fraction(1, 30)
        self.encoder.options = {
            "preset": preset, "tune": "zerolatency", "crf": str(rate), "g": "100000",
            # PSNR is what is compared: without what x264 does for the eye.
            "forced-idr": "1", "x264-params": "psy=0:aq-mode=0:scenecut=0",
        }  # fmt: skip
        self.decoder = decoder()
        self._count = 0

    def encode(self, pixels: Pixels, *, is_key: bool) -> bytes:
        """Return a picture (h, w, 3) BGR as the next of its stream."""
        frame = av.VideoFrame.from_ndarray(planes(pixels), format="yuv420p")
        frame.pts, self._count = self._count, self._count + 1
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        return b"".join(bytes(packet) for packet in self.encoder.encode(frame))

    def decode(self, data: bytes, like: Pixels) -> Pixels:
        """Return the picture, of the shape of ``like``."""
        (found,) = self.decoder.decode(av.Packet(data))
        return picture(found.to_ndarray())[: like.shape[0], : like.shape[1]]


def decoder() -> Any:
    """Return a peer's end of a lane."""
    made: Any = av.CodecContext.create("h264", "r")
    made.thread_count = 1
    made.options = {"flags": "low_delay"}
    return made


def planes(pixels: Pixels) -> Pixels:
    """Return luma and halved colours as one plane, (3 * h / 2, w), edges made even."""
    across, down = pixels.shape[1] % 2, pixels.shape[0] % 2
    even = cv2.copyMakeBorder(pixels, 0, down, 0, across, cv2.BORDER_REPLICATE)
    luma, red, blue = cv2.split(cv2.cvtColor(even, cv2.COLOR_BGR2YCrCb))
    half = (even.shape[1] // 2, even.shape[0] // 2)
    small = [cv2.resize(one, half, interpolation=cv2.INTER_AREA) for one in (blue, red)]
    return np.concatenate([luma.ravel(), *(one.ravel() for one in small)]).reshape(
        -1, even.shape[1]
    )


def picture(found: Pixels) -> Pixels:
    """Return the pixels (h, w, 3) BGR of such planes."""
    height, width = found.shape[0] * 2 // 3, found.shape[1]
    rest = found[height:].ravel()
    half = (height // 2, width // 2)
    blue, red = (
        cv2.resize(one.reshape(half), (width, height), interpolation=cv2.INTER_LINEAR)
        for one in (rest[: rest.size // 2], rest[rest.size // 2 :])
    )
    merged = cv2.merge([found[:height], red, blue])
    return np.asarray(cv2.cvtColor(merged, cv2.COLOR_YCrCb2BGR), np.uint8)
