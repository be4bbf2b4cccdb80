"""Decodes a stranger's result and checks it against what was sent."""

from __future__ import annotations

import numpy as np

from p2c2g.errors import CodecError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Pixels
from p2c2g.media.operations import Plan
from p2c2g.verify.checks import Checker


class ResultReader:
    """Reads the results of one session.  Without state: any thread may ask.

    Args:
        codec_name: of the codec, both ways.
        quality: of a lossy codec, 1 to 100.
        plan: the pipeline, resolved for the session's frames.

    Raises:
        UsageError: the codec is unknown, or nobody has calibrated it.
    """

    def __init__(self, codec_name: str, quality: int, plan: Plan) -> None:
        self._codec = codec(codec_name)
        self._checker = Checker(codec_name, quality, plan)

    def decode(self, chunk: Chunk, payload: bytes) -> Pixels:
        """Return a chunk's result, ``(height, width, 3)`` of ``chunk.target``'s size.

        Raises:
            ChunkError: it is no picture of that size.
        """
        size = self._codec.size_of(payload)
        if size != chunk.target.size:
            raise CodecError(f"a result is {size} where {chunk.target.size} was asked for.")
        pixels = np.empty((size.height, size.width, 3), np.uint8)
        self._codec.decode(payload, out=pixels)
        return pixels

    def read(self, chunk: Chunk, payload: bytes, source: Pixels) -> Pixels:
        """Return a chunk's result as :meth:`decode` does, checked against its source frame.

        Raises:
            ChunkError: it is no picture of its chunk.
        """
        pixels = self.decode(chunk, payload)
        self._checker.check(source, chunk, pixels)
        return pixels
