"""A chunk's picture, decoded as it came from a stranger."""

from __future__ import annotations

from p2c2g.errors import WireError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels
from p2c2g_workers.engine import Work


def decoded(work: Work, out: Pixels | None = None) -> Pixels:
    """Return a chunk's pixels, ``(height, width, 3)`` uint8, BGR; in ``out`` where it is given.

    Raises:
        CodecError: the payload is no picture of its codec.
        WireError: the picture is not of the size that was announced.
    """
    chosen = codec(work.codec)
    size = chosen.size_of(work.payload)
    if size != work.size:
        raise WireError(f"its picture is {size} where its header says {work.size}.")
    return chosen.decode(work.payload, out, limit=work.size)
