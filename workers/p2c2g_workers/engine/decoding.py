"""A chunk's picture, decoded as it came from a stranger."""

from __future__ import annotations

import cv2
import numpy as np

from p2c2g.errors import WireError
from p2c2g.media.codecs import Codec, codec
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.greys import JPEG_LUMA
from p2c2g.media.residual import luma
from p2c2g_workers.engine import Work

#: The codec that has luma as a plane of its own.
_LUMA_APART = "jpeg"


def decoded(work: Work, out: Pixels | None = None) -> Pixels:
    """Return a chunk's pixels, ``(height, width, 3)`` uint8, BGR; in ``out`` where it is given.

    Raises:
        CodecError: the payload is no picture of its codec.
        WireError: the picture is not of the size that was announced.
    """
    return _decoded(work, codec(work.codec), out)


def luma_of(work: Work) -> Pixels:
    """Return a chunk's luma, ``(height, width)`` uint8; errors as for :func:`decoded`.

    Where the codec has luma by itself, colours are never made.
    """
    if work.codec == _LUMA_APART:
        return _decoded(work, JPEG_LUMA)[:, :, 0]
    return np.asarray(luma(cv2.split(decoded(work))), np.uint8)


def check_size(work: Work) -> None:
    """Refuse a picture that may not be decoded, or is not of the size that was announced.

    Raises:
        CodecError: the payload is no picture of its codec.
        WireError: it is of another size.
    """
    _inspected(work, codec(work.codec))


def _decoded(work: Work, chosen: Codec, out: Pixels | None = None) -> Pixels:
    return chosen.decode(work.payload, out, inspected=_inspected(work, chosen))


def _inspected(work: Work, chosen: Codec) -> Size:
    size = chosen.inspect(work.payload)
    if size != work.size:
        raise WireError(f"its picture is {size} where its header says {work.size}.")
    return size
