"""Sizes, rectangles, frames and their chunks.

All are frozen.  Pixels are ``(height, width, channels)`` arrays of ``uint8`` in blue, green,
red order; a fourth channel, where a screen gives one, is noise and is never read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import UsageError

Pixels = NDArray[np.uint8]
_Number = TypeVar("_Number", bound=np.generic)
#: A chunk in flight: the frame's number and the chunk's index.
ChunkKey = tuple[int, int]

#: Longest edge of a frame, in pixels.  A message that claims more is refused before memory is
#: allocated.
MAX_EDGE = 16_384


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``WxH``.

        Raises:
            UsageError: it is not two whole numbers from 1 to 16384.
        """
        match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text.strip())
        size = cls(int(match[1]), int(match[2])) if match else None
        if size is None or not (1 <= size.width <= MAX_EDGE and 1 <= size.height <= MAX_EDGE):
            raise UsageError(
                f"{text!r} is not a size: give WIDTHxHEIGHT in pixels, each from 1 to "
                f"{MAX_EDGE}, such as 640x360."
            )
        return size

    @classmethod
    def of(cls, pixels: Pixels) -> Size:
        """Return the size of an array of pixels."""
        return cls(pixels.shape[1], pixels.shape[0])


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels: left edge, top edge, width, height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """Return the first column to the right of it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """Return the first row below it."""
        return self.y + self.height

    @property
    def size(self) -> Size:
        """Return its width and height."""
        return Size(self.width, self.height)

    def of(self, pixels: NDArray[_Number]) -> NDArray[_Number]:
        """Return this part of an array, as a view."""
        return pixels[self.y : self.bottom, self.x : self.right]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a source.

    ``captured_at`` is just before the grab and ``grabbed_at`` just after it, both in seconds of
    the session's monotonic clock.
    """

    number: int
    pixels: Pixels
    captured_at: float
    grabbed_at: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """One rectangle of every frame of a session, with its place before and after processing.

    ``rect`` is the chunk's own part of the frame and ``padded`` what is sent: ``rect`` with a
    halo as wide as the operations need, cut off at the frame's edges; both in source pixels.
    After processing, ``crop`` is the part of the processed ``padded`` that corresponds to
    ``rect``, and ``target`` is where it goes in the enhanced frame.
    """

    index: int
    rect: Rect
    padded: Rect
    crop: Rect
    target: Rect
