"""JPEG for machines: what is lost is spread evenly over all frequencies, and over all pictures.

The standard's tables spend bytes where an eye at arm's length would miss them.  A chunk is not
looked at, though: a net works on it, and needs the fine detail that those tables throw away first;
and a residual has hardly anything but fine detail.  So here all coefficients of luma have the same
step, and those of colours a coarser one.

Where a chunk has much detail, more is off anyway, and a little more is neither seen nor costs many
dB; where it has none, a little is both.  So the step follows the detail, by its cube root.  That of
a residual does not: two honest peers, of which one rounds otherwise, have to agree.

Huffman tables are the picture's own: most blocks hold little, and take a fifth fewer bytes by them.
All of it together takes two fifths fewer bytes at the same dB of the picture shown
(docs/performance.md); any decoder reads them.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from p2c2g.media.frame import Pixels

#: The step where libjpeg takes its tables as they are, at a quality of 50, for a chunk of usual
#: detail, and for a residual: so that the usual qualities give the dB of the standard's tables.
SOURCE_STEP, RESIDUAL_STEP = 65.0, 34.0
#: Steps of colours in steps of luma.
COLOURS = 2
#: The usual detail: levels between neighbours, the geometric mean of games' chunks.
DETAIL = 6.6
#: What is added to it, in parts of the usual: none at all is no reason for the least step.
_LEAST = 0.15
_POWER = 1 / 3
#: Steps are at most so many times what they are at the usual detail, or one in so many.
_ODD = 1.6
_MOST = 255
#: Of so many rows one is looked at for its detail.
_ROWS = 4


def encode(pixels: Pixels, quality: int) -> bytes:
    """Return a chunk's pixels ``(h, w, 3 or 4)`` BGR as JPEG 4:2:0."""
    code = cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    colours = cv2.cvtColor(pixels, code)
    green = cv2.extractChannel(colours[::_ROWS], 1)
    has_neighbours = green.shape[1] > 1
    detail = float(cv2.mean(cv2.absdiff(green[:, 1:], green[:, :-1]))[0]) if has_neighbours else 0.0
    luma = step(quality, SOURCE_STEP, detail / DETAIL)
    return _written(Image.fromarray(colours), [luma, min(COLOURS * luma, _MOST)])


def encode_grey(pixels: Pixels, quality: int) -> bytes:
    """Return a residual's pixels ``(h, w, 1)``, 128 for nothing, as a grey JPEG."""
    plane = np.ascontiguousarray(pixels[:, :, 0])
    return _written(Image.fromarray(plane), [step(quality, RESIDUAL_STEP)])


def step(quality: int, middle: float, detail: float = 1.0) -> int:
    """Return the step of all coefficients.

    Args:
        quality: 1 to 100, as libjpeg understands it.
        middle: the step of a quality of 50 at the usual detail.
        detail: in parts of the usual.
    """
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    more = ((detail + _LEAST) / (1 + _LEAST)) ** _POWER
    found: int = min(max(round(middle * scale * min(max(more, 1 / _ODD), _ODD)), 1), _MOST)
    return found


def _written(image: Image.Image, steps: list[int]) -> bytes:
    stream = io.BytesIO()
    tables = [[one] * 64 for one in steps]
    image.save(stream, "JPEG", qtables=tables, subsampling="4:2:0", optimize=True)
    return stream.getvalue()
