"""What a result is: not the enhanced picture, but what it adds to the base.

A peer makes the base of the chunk that it got, runs the operations on the same chunk, and sends
the difference.  The gamer's side adds it to the base of its own, undamaged frame
(:mod:`p2c2g.media.composition`).  By default only luma travels, with the weights of JPEG's YCbCr:
adding ``r`` to Y is adding ``r`` to blue, green and red.

The composition ignores what a residual would change at the frame's own resolution: the mean of
each *cell*, the block of new pixels that an old one became.  So the peer takes the means out
before it encodes, which costs nothing and saves bytes.

Residuals are whole levels, ``(height, width, 1)`` of int16, or ``(height, width, 3)`` in colour.
As bytes they are pictures of a codec, in which 128 stands for nothing and ``gain`` levels for
each.  What does not fit is cut off by a lossy codec.  A lossless one keeps it: the picture is
then twice as high, the low bytes of ``128 + r`` above and the high bytes below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import CodecError, UsageError
from p2c2g.media import cells
from p2c2g.media.codecs import Codec, Data, codec
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.greys import grey

Residual = NDArray[np.int16]

#: Weights of blue, green and red in luma, in 256ths.
LUMA = (29, 150, 77)
#: Largest gain: at most 15 levels either way are left.
MAX_GAIN = 8
_NOTHING = 128
#: Bits behind the point of a difference in luma.
_BITS = 7
#: Pixels of a cell of which a sum fits in 16 bits.
_SMALL = 64


def difference(enhanced: Pixels, base: Pixels, cell: Size, *, in_colour: bool = False) -> Residual:
    """Return what an enhanced picture adds to its base, without the means of the cells.

    Args:
        enhanced: ``(height, width, 3)`` uint8, BGR.
        base: the same, of the same part of the frame.
        cell: of the session's scale; a part has to begin at one.
        in_colour: each colour by itself rather than luma.
    """
    if in_colour:
        change = np.subtract(enhanced, base, dtype=np.int16)
        planes: Any = cv2.split(change)
        return np.dstack([levelled(plane, cell) for plane in planes])
    # In 128ths, of which a difference fits in 16 bits.
    change = (_luma(cv2.split(enhanced)) >> 1).astype(np.int16)
    change -= (_luma(cv2.split(base)) >> 1).astype(np.int16)
    return _rounded(change, cell)[:, :, None]


def levelled(change: NDArray[np.int16], cell: Size) -> Residual:
    """Return what is added to one plane, without the means of the cells.

    Cells that are cut by the right or lower edge become 0: so does the composition make them.

    Args:
        change: ``(height, width)`` whole levels, from -510 to 510; a part has to begin at a cell.
        cell: of the session's scale.
    """
    if cell == Size(1, 1):
        return change[:, :, None].copy()
    parts = cells.apart(change, cell)
    count = len(parts)
    # Whole levels: the mean alone is rounded, once a cell.
    total: NDArray[Any] = parts[0].astype(np.int16 if count <= _SMALL else np.int32)
    for one in parts[1:]:
        total += one
    mean = cells.divided(count // 2 - total, count).astype(np.int16, copy=False)
    for one in parts:
        one += mean
    return cells.together(parts, cell, change.shape)[:, :, None]


def luma(colours: Sequence[Any]) -> Pixels:
    """Return the luma of three planes, blue, green and red, rounded."""
    total = _luma(colours)
    total += 128
    total >>= 8
    return total.astype(np.uint8)


def _luma(colours: Sequence[Any]) -> NDArray[np.uint16]:
    """Return luma in 256ths."""
    blue, green, red = map(partial(np.multiply, dtype=np.uint16), colours, LUMA)
    blue += green
    blue += red
    found: NDArray[np.uint16] = blue
    return found


def _rounded(values: NDArray[np.int16], cell: Size) -> Residual:
    """Return the same of 128ths: what is left of them is rounded to whole levels."""
    if cell == Size(1, 1):
        return (values + (1 << _BITS >> 1)) >> _BITS
    parts = cells.apart(values, cell)
    count = len(parts)
    total = parts[0].astype(np.int32)
    for one in parts[1:]:
        total += one
    # Half a level more, since the quotient is rounded down.
    total -= count << _BITS >> 1
    found: list[Residual] = []
    for one in parts:
        change = np.multiply(one, count, dtype=np.int32)
        change -= total
        found.append(cells.divided(change, count << _BITS).astype(np.int16))
    return cells.together(found, cell, values.shape)


@dataclass(frozen=True, slots=True)
class Form:
    """How the residuals of a session are written.

    Args:
        codec: its name.
        quality: 1 to 100, for a lossy codec.
        gain: so many levels of the picture stand for one of the residual; 1 if it is lossless.
        in_colour: three colours rather than luma.

    Raises:
        UsageError: there is no such codec, or the gain cannot be.
    """

    codec: str
    quality: int
    gain: int = 1
    in_colour: bool = False

    def __post_init__(self) -> None:
        most = 1 if self._codec.lossless else MAX_GAIN
        if not 1 <= self.gain <= most:
            raise UsageError(f"A gain of {self.gain} cannot be: {self.codec} has 1 to {most}.")

    def __str__(self) -> str:
        colour = " in colour" if self.in_colour else ""
        return f"{self.codec} {self.quality} x{self.gain}{colour}"

    @property
    def _codec(self) -> Codec:
        return codec(self.codec) if self.in_colour else grey(self.codec)

    def encode(self, residual: Residual) -> bytes:
        """Write a residual.

        Raises:
            CodecError: the codec cannot hold it.
            UsageError: the quality is out of its range.
        """
        values = residual * np.int16(self.gain) + np.int16(_NOTHING)
        if not self._codec.lossless:
            # Around 128 on both sides alike.
            picture = np.clip(values, 1, 255).astype(np.uint8)
        else:
            picture = (values & 255).astype(np.uint8)
            if values.min() < 0 or values.max() > 255:
                picture = np.concatenate([picture, (values >> 8 & 255).astype(np.uint8)])
        return self._codec.encode(picture, self.quality)

    def decode(self, data: Data, size: Size) -> Residual:
        """Read a residual.

        Raises:
            CodecError: it is none of this form and size.
        """
        found = self._codec
        high = Size(size.width, size.height * (2 if found.lossless else 1))
        stated = found.inspect(data, limit=high, quality=self.quality)
        if stated not in (size, high):
            raise CodecError(f"This {found.name} is of the size {stated} where {size} is due.")
        picture = found.decode(data, inspected=stated)
        values: NDArray[Any] = picture[: size.height].astype(np.int16)
        if stated != size:
            values += picture[size.height :].astype(np.int8).astype(np.int16) << 8
        values -= _NOTHING
        if self.gain > 1:
            values = (2 * values + self.gain) // (2 * self.gain)
        return values


#: What a session asks for unless told otherwise: the knee of the curves in docs/residuals.md.
USUAL_FORM = Form("jpeg", 75)
