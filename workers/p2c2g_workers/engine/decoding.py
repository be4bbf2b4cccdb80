"""The pixels of a chunk that was checked."""

from __future__ import annotations

import cv2

from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels
from p2c2g.media.greys import grey
from p2c2g.media.residual import luma
from p2c2g_workers.engine import Work

#: The codec that has luma as a plane of its own.
_LUMA_APART = "jpeg"


def decoded(work: Work) -> Pixels:
    """Return a chunk's pixels, ``(height, width, 3)`` uint8, BGR.

    Raises:
        CodecError: the payload is damaged.
    """
    return codec(work.codec).decode(work.payload, limit=work.size)


def luma_of(work: Work) -> Pixels:
    """Return a chunk's luma, ``(height, width)`` uint8; where the codec has it, without colours.

    Raises:
        CodecError: the payload is damaged.
    """
    if work.codec == _LUMA_APART:
        return grey(work.codec).decode(work.payload, limit=work.size)[:, :, 0]
    return luma(cv2.split(decoded(work)))
